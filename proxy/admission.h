/* Whether a client may have one more connection, and one more request: the limits per client.
 *
 * Each worker counts what comes to it. It does not divide the limit by the number of workers: the
 * kernel spreads a client's connections by a hash, so one with a few of them, or with one alone,
 * would meet a part of its limit though it keeps to the whole. */
#ifndef PROXY_ADMISSION_H
#define PROXY_ADMISSION_H

#include "worker.h"

/* Makes the tables that the config asks for. Returns 0 or -errno. */
int admission_open(struct worker *worker) __attribute__((warn_unused_result));
void admission_close(struct worker *worker);

/* A connection of this client. *ret_ticket: for admission_leave(); 0 where none is counted. False:
 * it has too many; the refusal is counted and logged, and nothing is to be left. */
bool admission_enter(struct worker *worker, const struct address *client, uint64_t *ret_ticket)
    __attribute__((warn_unused_result));
void admission_leave(struct worker *worker, uint64_t ticket);

/* What requests of this client are counted under: a hash, to be kept where the client stays the
 * same. 0: no rate is limited. */
uint64_t admission_name(const struct worker *worker, const struct address *client);
/* A request of this client to a service of the config (-1: to none). False: too many. */
bool admission_take(struct worker *worker, const struct address *client, uint64_t name, int service)
    __attribute__((warn_unused_result));
static inline bool admission_ask(struct worker *worker, const struct address *client, uint64_t name,
                                 int service)
{
    return worker->client_rates == NULL || admission_take(worker, client, name, service);
}

#endif
