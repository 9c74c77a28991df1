#include "changes.h"

#include "container_changes.h"
#include "journal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

static char *print(const cJSON *changes)
{
    return changes != NULL ? cJSON_PrintUnformatted(changes) : NULL;
}

int changes_rollout_add(struct journal *journal, const struct journal_rollout *rollout,
                        const cJSON *changes, const cJSON *undo)
{
    char *wanted = print(changes), *back = print(undo);
    const struct journal_changes record = {.wanted = wanted, .undo = back};
    int error = wanted != NULL ? journal_rollout_add_changed(journal, rollout, &record)
                               : journal_rollout_add(journal, rollout);

    cJSON_free(wanted);
    cJSON_free(back);
    return error;
}

int changes_load(struct journal *journal, const char *rollout, cJSON **ret_changes)
{
    struct journal_changes record;
    int error = journal_changes_load(journal, rollout, &record);

    if (error != 0 && error != -ENOENT)
        return error;
    *ret_changes = error == 0 && record.wanted != NULL ? cJSON_Parse(record.wanted) : NULL;
    if (error == 0)
        journal_changes_done(&record);
    return 0;
}

/* `joined` with what takes this rollout's changes back. */
static int take_back(struct journal *journal, const char *rollout, cJSON **joined)
{
    struct journal_changes record;
    int error = journal_changes_load(journal, rollout, &record);
    cJSON *undo, *both;

    if (error != 0)
        return error == -ENOENT ? 0 : error;
    undo = record.undo != NULL ? cJSON_Parse(record.undo) : NULL;
    journal_changes_done(&record);
    if (undo == NULL)
        return 0;
    both = container_changes_join(*joined, undo);
    cJSON_Delete(undo);
    cJSON_Delete(*joined);
    *joined = both;
    return 0;
}

/* Newest first: what an older one takes back holds over what a newer one does. */
int changes_back_to(struct journal *journal, const char *service, const char *rollout, bool before,
                    cJSON **ret_changes)
{
    struct journal_rollout *rollouts;
    cJSON *joined = NULL;
    bool found = false;
    size_t count;
    int error = journal_rollout_list(journal, service, UINT32_MAX, &rollouts, &count);

    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0 && !found; i++) {
        found = strcmp(rollouts[i].id, rollout) == 0;
        if (rollouts[i].progress.outcome == OUTCOME_COMPLETED && (!found || before))
            error = take_back(journal, rollouts[i].id, &joined);
    }
    journal_rollouts_free(rollouts, count);
    if (error == 0 && !found)
        error = -ENOENT;
    if (error != 0) {
        cJSON_Delete(joined);
        return error;
    }
    *ret_changes = joined;
    return 0;
}
