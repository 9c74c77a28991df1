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

/* api_hold.c */
void api_hold(struct service *service, const struct admin_request *request,
              struct admin_answer *ret_answer);
void api_release(struct service *service, const struct admin_request *request,
                 struct admin_answer *ret_answer);

/* metrics.c: Prometheus text; the caller frees it. */
char *metrics_write(const struct updater *updater);

#endif
