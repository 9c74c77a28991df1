/* The choice of a backend for an exchange: group first (split.h), then a backend (balance.h). */
#ifndef PROXY_CHOOSE_H
#define PROXY_CHOOSE_H

#include "board/routing.h"

#include <stdbool.h>

struct exchange;
struct worker;

#define CHOICE_NONE (-1) /* none can serve */
#define CHOICE_FULL (-2) /* those that can have no room, or others wait for it already */

/* A slot that can serve and that the exchange has not tried. Decides and counts the split when the
 * exchange has no group yet; a retry stays in its group where that is possible, and so does what
 * waits for room: the split is kept also under load. */
int choose_backend(struct exchange *x);
/* Whether the group that the exchange is not in can serve it. */
bool choose_has_other_group(const struct exchange *x);

/* Whether one in rotation has room for one more exchange. */
bool choose_finds_room(const struct worker *worker, uint32_t service, enum group group);

#endif
