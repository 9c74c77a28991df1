#include "attention.h"

#include "base/log.h"
#include "journal.h"
#include "updater.h"

#include <stdio.h>

void attention_look(struct service *service)
{
    struct journal *journal = service->updater->journal;
    struct journal_rollout *newest = NULL;
    size_t count = 0;

    service->attention[0] = '\0';
    if (journal_rollout_list(journal, service_name(service), 1, &newest, &count) < 0) {
        log_event(LOG_ERROR, "journal-read-failed", "reason", journal_error(journal));
        return;
    }
    if (count > 0 && newest[0].progress.phase == PHASE_ENDED &&
        newest[0].progress.outcome == OUTCOME_NEEDS_ATTENTION)
        (void)snprintf(service->attention, sizeof(service->attention),
                       "rollout %s needs attention: %s; `sluice history %s` shows what was left",
                       newest[0].id, newest[0].progress.why, newest[0].id);
    journal_rollouts_free(newest, count);
    service->changed = true;
}
