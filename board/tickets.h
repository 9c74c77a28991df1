/* The keys of TLS session tickets: the fourth board. Written by the supervisor, which knows nothing
 * of TLS but draws random bytes; read by workers, so that each of them takes up what another (or
 * one before a reload) has begun.
 *
 * Four places in a ring: the current key, with which tickets are made; the one before it, whose
 * tickets are still taken; the next one, which is there an interval before it is used, so that to
 * rotate is one store; and an empty place, where the key before the last was wiped. */
#ifndef BOARD_TICKETS_H
#define BOARD_TICKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TICKETS_VERSION 1u
#define TICKET_KEYS     4u
#define TICKET_NAME     16u

/* Whoever gets hold of a key can read the recorded TLS 1.2 sessions that were resumed by its
 * tickets (not those of TLS 1.3, whose resumption has a key exchange of its own). So a key lives
 * for two intervals, a day, and then is nowhere. Shorter would cost those who come back once in a
 * morning a full handshake each time. */
#define TICKETS_INTERVAL_MS (UINT64_C(12) * 3600 * 1000)

struct ticket_key {
    uint8_t name[TICKET_NAME]; /* stands in the ticket in the clear */
    uint8_t cipher[32];        /* AES-256 */
    uint8_t mac[32];           /* HMAC-SHA256 */
};

enum ticket_age { TICKET_UNKNOWN, TICKET_CURRENT, TICKET_OTHER /* taken, to be made anew */ };

struct tickets_board;

/* Creates the memory with keys in it. Returns a descriptor or -errno. The supervisor's call. */
int tickets_board_create(void) __attribute__((warn_unused_result));
/* `writable` for the one writer only. Returns 0, -EINVAL for another layout, or -errno. */
int tickets_board_map(int fd, bool writable, struct tickets_board **ret_board)
    __attribute__((warn_unused_result));
void tickets_board_unmap(struct tickets_board *board);

/* The next key becomes the current one. Returns 0, or -errno with nothing changed. */
int tickets_rotate(struct tickets_board *board) __attribute__((warn_unused_result));

/* The key to make tickets with. */
void tickets_current(const struct tickets_board *board, struct ticket_key *ret_key);
/* The key of a ticket that a client shows, by its name; untouched where it is not known. */
enum ticket_age tickets_find(const struct tickets_board *board, const uint8_t name[TICKET_NAME],
                             struct ticket_key *ret_key);

#endif
