/* What the admin API answers: docs/admin-api.md. */
#ifndef UPDATER_API_H
#define UPDATER_API_H

#include "admin.h"
#include "rollout.h"
#include "updater.h"

/* The handler for admin_open(); context is the updater. */
void api_handle(void *context, const struct admin_request *request,
                struct admin_answer *ret_answer);

/* api_verbs.c */
void api_weight(struct service *service, const struct admin_request *request,
                struct admin_answer *ret_answer);
/* `verb`: "pause", "resume", "promote", "abort" */
void api_rollout_verb(struct updater *updater, const char *id, const char *verb,
                      struct admin_answer *ret_answer);
void api_rollout_start(struct service *service, const struct admin_request *request,
                       struct admin_answer *ret_answer);

/* Ends the pull that a rollout begins with. */
void api_abort(struct service *service, const struct admin_request *request,
               struct admin_answer *ret_answer);

/* api_rollback.c: a rollout of an earlier version of the history. */
void api_rollback(struct service *service, const struct admin_request *request,
                  struct admin_answer *ret_answer);

/* api_hold.c */
void api_hold(struct service *service, const struct admin_request *request,
              struct admin_answer *ret_answer);
void api_release(struct service *service, const struct admin_request *request,
                 struct admin_answer *ret_answer);

/* api_drain.c */
void api_drain(struct service *service, const struct admin_request *request,
               struct admin_answer *ret_answer);

/* api_scale.c */
void api_scale(struct service *service, const struct admin_request *request,
               struct admin_answer *ret_answer);

/* api_record.c */
void api_report(struct updater *updater, const struct journal_rollout *record,
                const struct admin_request *request, struct admin_answer *ret_answer);
void api_note(struct updater *updater, const struct journal_rollout *record,
              const struct admin_request *request, struct admin_answer *ret_answer);
void api_confirm(struct updater *updater, const struct journal_rollout *record,
                 const struct admin_request *request, struct admin_answer *ret_answer);
/* The whole record, of one in progress too; the caller owns it. */
struct cJSON *api_rollout_show(struct updater *updater, const struct journal_rollout *record);

/* The user of this uid, as the record names people; the caller frees it. */
char *api_user_name(uid_t uid) __attribute__((returns_nonnull, warn_unused_result));
/* Refuses a body that is no object or has a key that is not in `keys` (NULL-terminated). */
bool api_body_has_only(const struct cJSON *body, const char *const *keys,
                       struct admin_answer *answer);

/* metrics.c: Prometheus text; the caller frees it. */
char *metrics_write(const struct updater *updater);

#endif
