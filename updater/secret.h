/* The secret of this installation, which signs the cookies that tell users apart. It stays the same
 * over crashes, reloads and restarts: STATE/secret keeps it, the routing table gives it to the
 * workers, which cannot read the state directory. */
#ifndef UPDATER_SECRET_H
#define UPDATER_SECRET_H

#include "board/routing.h"

/* Fills `secret`: with what the file says; else it stays what was published; else a new one. What
 * the file does not have is written. Where it cannot be, that is logged, and the secret lasts as
 * long as the supervisor. */
void secret_open(const char *state, uint8_t secret[ROUTING_SECRET_BYTES]);

#endif
