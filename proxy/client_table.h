/* A figure per client address, in fixed memory: how many connections, or when it may ask again.
 * Pure.
 *
 * Sets of eight places, chosen by a keyed hash of the address, so no allocation and no search past
 * one set. A full set gives up the place with the least figure: of rates that is whoever is
 * furthest from being refused, and one that is due in the past says no more than none at all. So a
 * client that is being refused gets its place cleared only by eight others in its set that were
 * refused for longer; and who does not know the key cannot tell which addresses fall into one set.
 *
 * Owner: the worker. */
#ifndef PROXY_CLIENT_TABLE_H
#define PROXY_CLIENT_TABLE_H

#include "base/address.h"
#include "base/siphash.h"
#include "config/config.h"

struct client_table;

/* NULL when out of memory. */
struct client_table *client_table_new(const uint8_t key[SIPHASH_KEY_BYTES]);
void client_table_free(struct client_table *table);

/* Names a client: an IPv4 address, or the /64 of an IPv6 one, for what one host gets there is not
 * less. Never 0. */
uint64_t client_table_key(const struct client_table *table, const struct address *address);
/* The same client for another purpose: keeps its figures apart. The name does not tell outsiders
 * where it falls, so neither does this. Never 0. */
static inline uint64_t client_table_key_for(uint64_t key, uint16_t purpose)
{
    uint64_t other = hash_spread(key + purpose);

    return purpose == 0 || other == 0 ? key : other;
}

/* The client's figure; 0 at first. The place of another is taken for it only where the figure there
 * is at most `gives_way`. NULL: there is none. Good until the next call. */
uint64_t *client_table_at(struct client_table *table, uint64_t key, uint64_t gives_way);

/* One request more, by the generic cell rate algorithm (ITU-T I.371): *due_ns is when the last one
 * would have come at the steady rate. False: too many. */
bool client_rate_take(uint64_t *due_ns, const struct config_rate *rate, uint64_t now_ns);

#endif
