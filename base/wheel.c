#include "wheel.h"

#define SLOT_BITS 6
#define TIME_MAX  ((UINT64_C(1) << (SLOT_BITS * WHEEL_LEVELS)) - 1)
#define PLACE_MAX 0xffff
#define PLACE_DUE PLACE_MAX

static unsigned level_shift(unsigned level)
{
    return level * SLOT_BITS;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    list_init(&wheel->due);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

/* All above the level's six bits is the wheel's own. */
static uint64_t slot_begin(const struct wheel *wheel, unsigned level, unsigned slot)
{
    uint64_t above = wheel->now_ms >> level_shift(level + 1) << level_shift(level + 1);

    return above | (uint64_t)slot << level_shift(level);
}

static void insert(struct wheel *wheel, struct wheel_node *node)
{
    uint64_t at_ms = node->at_ms;
    unsigned highest = 63 - (unsigned)__builtin_clzll(at_ms ^ wheel->now_ms);
    unsigned level = highest / SLOT_BITS;
    unsigned slot = (unsigned)(at_ms >> level_shift(level)) % WHEEL_SLOTS;

    node->place = (level * WHEEL_SLOTS + slot + 1) & PLACE_MAX;
    list_append(&wheel->slots[level][slot], &node->list);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

/* Those that are due are put in again by wheel_take(). */
static bool keeps_place(const struct wheel *wheel, const struct wheel_node *node, uint64_t at_ms)
{
    unsigned index = node->place - 1u;

    if (node->place == 0 || node->place == PLACE_DUE)
        return node->place == PLACE_DUE;
    return slot_begin(wheel, index / WHEEL_SLOTS, index % WHEEL_SLOTS) <= at_ms;
}

bool wheel_set(struct wheel *wheel, struct wheel_node *node, uint64_t at_ms)
{
    if (at_ms <= wheel->now_ms)
        at_ms = wheel->now_ms + 1;
    if (at_ms > TIME_MAX)
        at_ms = TIME_MAX;
    bool keeps = keeps_place(wheel, node, at_ms);
    if (!keeps)
        wheel_remove(wheel, node);
    node->at_ms = at_ms & TIME_MAX;
    if (!keeps)
        insert(wheel, node);
    return !keeps;
}

void wheel_remove(struct wheel *wheel, struct wheel_node *node)
{
    node->at_ms = 0;
    if (node->place == 0)
        return;
    list_remove(&node->list);
    if (node->place != PLACE_DUE) {
        unsigned index = node->place - 1u, level = index / WHEEL_SLOTS, slot = index % WHEEL_SLOTS;
        if (list_is_empty(&wheel->slots[level][slot]))
            wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    }
    node->place = 0;
}

/* The first slot that is not empty; false: there is none. */
static bool find_next(const struct wheel *wheel, unsigned *ret_level, unsigned *ret_slot)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (wheel->occupied[level] == 0)
            continue;
        *ret_level = level;
        *ret_slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
        return true;
    }
    return false;
}

bool wheel_is_empty(const struct wheel *wheel)
{
    unsigned level, slot;

    return list_is_empty(&wheel->due) && !find_next(wheel, &level, &slot);
}

uint64_t wheel_next(const struct wheel *wheel)
{
    unsigned level, slot;

    return find_next(wheel, &level, &slot) ? slot_begin(wheel, level, slot) : UINT64_MAX;
}

static void put_all_in_due(struct wheel *wheel, unsigned level, unsigned slot)
{
    struct list *nodes = &wheel->slots[level][slot];

    wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    while (!list_is_empty(nodes)) {
        struct list *first = list_take_first(nodes);
        container_of(first, struct wheel_node, list)->place = PLACE_DUE;
        list_append(&wheel->due, first);
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    unsigned level, slot;

    while (find_next(wheel, &level, &slot) && slot_begin(wheel, level, slot) <= now_ms)
        put_all_in_due(wheel, level, slot);
    if (now_ms > wheel->now_ms)
        wheel->now_ms = now_ms;
}

struct wheel_node *wheel_take(struct wheel *wheel)
{
    while (!list_is_empty(&wheel->due)) {
        struct list *first = list_take_first(&wheel->due);
        struct wheel_node *node = container_of(first, struct wheel_node, list);
        bool is_due = node->at_ms != 0 && node->at_ms <= wheel->now_ms;
        node->place = 0;
        if (is_due) {
            node->at_ms = 0;
            return node;
        }
        if (node->at_ms != 0)
            insert(wheel, node);
    }
    return NULL;
}
