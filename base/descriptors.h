/* The fixed descriptors that the supervisor hands to its children, and the check that a child
 * makes at start: nothing else is open. Every other descriptor is close-on-exec.
 *
 * A child gets the boards it does not write through descriptors opened read-only, so that the
 * kernel holds the rule of one writer. */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

#include <stdbool.h>

#define ROWS_MAX 64 /* worker processes at once, both generations of a reload counted */

enum descriptor {
    DESCRIPTOR_CONFIG = 3,       /* sealed memfd with the canonical config: all */
    DESCRIPTOR_ROUTING = 4,      /* read-write: updater; read-only: workers, health */
    DESCRIPTOR_VERDICTS = 5,     /* read-write: health; read-only: workers, updater */
    DESCRIPTOR_BELL_UPDATER = 6, /* eventfd: read by the updater, rung by workers and health */
    DESCRIPTOR_BELL_HEALTH = 7,  /* eventfd: read by health, rung by the updater */
    DESCRIPTOR_READY = 8,   /* pipe to the supervisor: a child writes one byte when it serves */
    DESCRIPTOR_TICKETS = 9, /* read-only: workers; keys of TLS tickets */
    DESCRIPTOR_LOG_CHANNEL = 12, /* a worker's end of a socket on which the supervisor sends the
                                    access log's file: descriptors only, one way */
    DESCRIPTOR_ROW_FIRST = 16,   /* + row: scoreboard rows; read-write: the worker's own */
    DESCRIPTOR_BELL_ROW_FIRST = DESCRIPTOR_ROW_FIRST + ROWS_MAX, /* + row: eventfds: a worker has
                                  its own; updater and health have all, to ring */
    DESCRIPTOR_LISTENER_FIRST = DESCRIPTOR_BELL_ROW_FIRST + ROWS_MAX, /* + index of the listener
                                  in the config: a worker's listening sockets */
};

/* Closes nothing: marks every descriptor from 3 up close-on-exec, so that a child of this
 * process (a check script, a hook) inherits only what it is given. Returns 0 or -errno. */
int descriptors_close_on_exec(void) __attribute__((warn_unused_result));

/* Looks at every open descriptor. Returns -EEXIST, and one in *ret_strange, where `is_given` does
 * not know it; -errno where they cannot be looked at; 0 where all is as it should be. */
int descriptors_check(bool (*is_given)(void *context, int fd), void *context, int *ret_strange)
    __attribute__((warn_unused_result));

/* Sends a descriptor, and one byte, over a Unix socket; without waiting. Returns 0 or -errno. */
int descriptor_send(int channel, int fd) __attribute__((warn_unused_result));
/* Takes the next one, close-on-exec. Returns it or -errno: -EAGAIN where there is none, -ENOMSG for
 * a message that brought none. */
int descriptor_receive(int channel) __attribute__((warn_unused_result));

/* Rings an eventfd. Never blocks; a full counter is as good as rung. */
void bell_ring(int fd);
/* Silences an eventfd that was rung. */
void bell_clear(int fd);

#endif
