/* A hierarchical timing wheel (Varghese and Lauck, SOSP 1987): what is to happen at some
 * millisecond, put in and taken out in constant time, however many there are.
 *
 * Level 0 has a slot for each millisecond, each further level one for 64 of the level below. A node
 * lies on the level of the highest six bits by which its time differs from the wheel's. So what is
 * on a lower level is earlier than what is on a higher one, and within a level the slots are in
 * order: the next one is the lowest bit that is set. When a slot of a higher level begins, what is
 * in it goes to lower ones, or is due.
 *
 * Lazy: a node whose time moves to later stays in its slot until that begins. */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "list.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_LEVELS 7 /* 42 bits of milliseconds: 139 years */
#define WHEEL_SLOTS  64

struct wheel_node { /* zeroed: in no wheel */
    struct list list;
    uint64_t at_ms : 48; /* 0: at rest, and dropped when its slot begins */
    uint64_t place : 16; /* the wheel's own; 0: in no wheel */
};

struct wheel {
    uint64_t now_ms;
    uint64_t occupied[WHEEL_LEVELS]; /* a bit for each slot that is not empty */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list due;
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);
/* Puts in, or moves. A time that is not after the wheel's is taken for the one after it. Returns
 * whether wheel_next() may be earlier now. */
bool wheel_set(struct wheel *wheel, struct wheel_node *node, uint64_t at_ms);
/* Of one that is in no wheel: no effect. */
void wheel_remove(struct wheel *wheel, struct wheel_node *node);
bool wheel_is_empty(const struct wheel *wheel);
/* When the next slot begins that is not empty: nothing is due before. UINT64_MAX: there is none. */
uint64_t wheel_next(const struct wheel *wheel);
/* To be called until wheel_take() has nothing more. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
/* One whose time has come, removed; NULL: no more. Any may be set or removed in between; what is
 * set then is not due before the next wheel_advance(). Of those that became due in the same call
 * the order is that of their slots. */
struct wheel_node *wheel_take(struct wheel *wheel);

#endif
