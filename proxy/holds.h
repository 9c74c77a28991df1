/* What still holds the backends that drain: told to the updater through the worker's row. */
#ifndef PROXY_HOLDS_H
#define PROXY_HOLDS_H

#include <stdint.h>

struct worker;

/* Something on this slot ended: rings the updater's bell if it drains and this worker is done
 * with it. No polling anywhere. */
void holds_check_drained(struct worker *worker, uint32_t slot);
/* Writes the list of holds into the row: at a new table, after an end (a little later where there
 * are many exchanges to look at), each second. */
void holds_publish(struct worker *worker);

#endif
