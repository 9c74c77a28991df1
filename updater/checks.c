#include "checks.h"

#include "base/list.h"
#include "base/log.h"
#include "record.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHECKS_MAX  8u
#define WORDS_BYTES 256u

struct checks {
    struct rollout *rollout;
    bool stays_new; /* completed: the new ones stay; else the old ones */
    struct journal_check items[CHECKS_MAX];
    char words[CHECKS_MAX][WORDS_BYTES];
    size_t count;
};

static void note(struct checks *checks, const char *name, bool passed, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void note(struct checks *checks, const char *name, bool passed, const char *format, ...)
{
    char *words = checks->words[checks->count];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words, WORDS_BYTES, format, arguments);
    va_end(arguments);
    checks->items[checks->count++] =
        (struct journal_check){.name = name, .passed = passed, .message = words};
}

static bool is_new(const struct checks *checks, const struct container *container)
{
    return rollout_is_new(checks->rollout, container);
}

/* One of those that the service is made of from now on. */
static bool stays(const struct checks *checks, const struct container *container)
{
    return !container->leftover && is_new(checks, container) == checks->stays_new &&
           rollout_member_of_id(checks->rollout, container->facts.id) != NULL;
}

static bool serves(const struct container *container)
{
    const struct updater *updater = container->service->updater;
    const struct routing_backend *backend;

    if (container->facts.state != CONTAINER_RUNNING || container->slot == TABLE_NONE)
        return false;
    backend = table_backend(updater->table, container->slot);
    return backend->state == BACKEND_READY &&
           verdict_state_of(updater->verdicts, (uint32_t)container->slot, backend->generation) ==
               VERDICT_HEALTHY;
}

static bool has_its_name(const struct checks *checks, const struct container *container)
{
    const struct member *member = rollout_member_of_id(checks->rollout, container->facts.id);

    return !member->is_new || member->final_name[0] == '\0' ||
           strcmp(container->facts.name, member->final_name) == 0;
}

struct count {
    unsigned staying, serving, right_image, right_name, left;
    char odd[128]; /* the first that is not as it should be */
};

static void look_at(const struct checks *checks, const struct container *container,
                    struct count *count)
{
    const struct journal_rollout *record = &checks->rollout->record;
    const char *wanted = checks->stays_new ? record->image_id : record->previous_image_id;
    bool has_image = !wanted || strcmp(container->facts.image_id, wanted) == 0;

    if (!stays(checks, container)) {
        /* What was stopped before the rollout, or is nobody's of it, is not left over by it. */
        if (is_new(checks, container) ||
            (checks->stays_new && rollout_member_of_id(checks->rollout, container->facts.id))) {
            count->left++;
            (void)snprintf(count->odd, sizeof(count->odd), "%s", container->facts.name);
        }
        return;
    }
    count->staying++;
    count->serving += serves(container);
    count->right_image += has_image;
    count->right_name += has_its_name(checks, container);
}

static void look_at_all(const struct checks *checks, struct count *count)
{
    const struct service *service = checks->rollout->service;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next)
        look_at(checks, container_of(node, struct container, node), count);
}

static void check_record(struct checks *checks)
{
    struct rollout *rollout = checks->rollout;
    struct journal_service saved;
    bool is_ours;

    if (!checks->stays_new || journal_service_load(rollout->service->updater->journal,
                                                   service_name(rollout->service), &saved))
        return;
    is_ours = saved.stable_rollout && strcmp(saved.stable_rollout, rollout_id(rollout)) == 0;
    note(checks, "the record names this rollout as the stable one", is_ours, "%s",
         saved.stable_rollout ? saved.stable_rollout : "none");
    journal_service_done(&saved);
}

static void tell(struct checks *checks)
{
    struct rollout *rollout = checks->rollout;
    struct journal *journal = rollout->service->updater->journal;

    if (journal_checks_save(journal, rollout_id(rollout), checks->items, checks->count))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
    for (size_t i = 0; i < checks->count; i++) {
        struct log_line line;

        if (checks->items[i].passed)
            continue;
        log_begin(&line, LOG_WARNING, "rollout-not-as-promised");
        log_string(&line, "service", service_name(rollout->service));
        log_string(&line, "rollout", rollout_id(rollout));
        log_string(&line, "check", checks->items[i].name);
        log_string(&line, "found", checks->items[i].message);
        log_end(&line);
        record_lesson(rollout, "after the end it was not so that %s: %s", checks->items[i].name,
                      checks->items[i].message);
    }
}

void checks_run(struct rollout *rollout)
{
    struct checks checks = {.rollout = rollout,
                            .stays_new = rollout->progress.outcome == OUTCOME_COMPLETED};
    struct count count = {0};
    unsigned replicas = rollout->spec.replicas;

    if (rollout->progress.outcome == OUTCOME_NEEDS_ATTENTION)
        return;
    look_at_all(&checks, &count);
    note(&checks, "all replicas are there", count.staying >= replicas, "%u of %u", count.staying,
         replicas);
    note(&checks, "all run the image", count.right_image == count.staying, "%u of %u",
         count.right_image, count.staying);
    note(&checks, "all are healthy and in rotation", count.serving == count.staying, "%u of %u",
         count.serving, count.staying);
    note(&checks, "all have their names", count.right_name == count.staying, "%u of %u",
         count.right_name, count.staying);
    note(&checks, "no container is left over", count.left == 0, "%u%s%s", count.left,
         count.left > 0 ? ": " : "", count.odd);
    check_record(&checks);
    tell(&checks);
}

void checks_view(cJSON *object, struct journal *journal, const char *rollout)
{
    cJSON *array = cJSON_AddArrayToObject(object, "checks");
    struct journal_check *checks;
    size_t count;

    if (journal_check_list(journal, rollout, &checks, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        cJSON *check = cJSON_CreateObject();

        cJSON_AddStringToObject(check, "name", checks[i].name);
        cJSON_AddStringToObject(check, "state", checks[i].passed ? "passed" : "warning");
        cJSON_AddStringToObject(check, "message", checks[i].message ? checks[i].message : "");
        cJSON_AddItemToArray(array, check);
    }
    journal_checks_free(checks, count);
}
