/* The choice of a backend for an exchange: group first (split.h), then a backend (balance.h). */
#ifndef PROXY_CHOOSE_H
#define PROXY_CHOOSE_H

#include <stdbool.h>

struct exchange;

/* A slot that can serve and that the exchange has not tried, or -1. Decides and counts the split
 * when the exchange has no group yet; a retry stays in its group where that is possible. */
int choose_backend(struct exchange *x);
/* Whether the group that the exchange is not in can serve it. */
bool choose_has_other_group(const struct exchange *x);

#endif
