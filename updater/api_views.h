/* What the admin API shows of services: JSON as docs/admin-api.md has it. The caller owns what is
 * returned. */
#ifndef UPDATER_API_VIEWS_H
#define UPDATER_API_VIEWS_H

#include "service.h"

struct cJSON;

struct cJSON *view_service(const struct service *service);
struct cJSON *view_backend(const struct service *service, int slot);
/* view_drain.c: the drain of one backend, and all of the service that are going on. */
struct cJSON *view_drain(const struct service *service, int slot);
struct cJSON *view_drains(const struct service *service);
/* Exchanges that wait in the workers. */
uint64_t view_queued(const struct service *service);
/* Adds "refusals": what the workers refused, by reason. */
void view_add_refusals(struct cJSON *object, const struct updater *updater);
struct cJSON *view_health(const struct updater *updater);
/* The split of every live row as it stands, for the weight given (rows that have not adopted it
 * are left out); `weight` UINT32_MAX: whatever they have. */
struct cJSON *view_split(const struct updater *updater, int row, uint32_t weight);

/* Adds "active_by_kind". */
void view_add_kinds(struct cJSON *object, const uint32_t active[KIND_COUNT]);
/* Per cent as a number. */
double view_percent(uint32_t weight);
/* Adds "match": {"header" | "cookie": {"name", "value"}}, or "none". */
void view_add_match(struct cJSON *object, const struct config_match *match);
struct score_sum;
/* Adds "mirrored": what became of the copies that the backends of this sum were sent. */
void view_add_mirror(struct cJSON *object, const struct score_sum *sum);
/* Adds RFC 3339, or null for 0. */
void view_add_time(struct cJSON *object, const char *key, uint64_t wall_ms);
/* Adds a string, or null for NULL. */
void view_add_string(struct cJSON *object, const char *key, const char *value);

#endif
