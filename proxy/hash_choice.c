#include "hash_choice.h"

#include "base/siphash.h"

#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    const struct hash_point *a = left, *b = right;

    return a->place < b->place ? -1 : a->place > b->place;
}

void hash_sort(struct hash_point *points, uint32_t count)
{
    qsort(points, count, sizeof(*points), compare);
}

/* The first point at or after the place; around the end. */
static uint32_t find(const struct hash_circle *circle, uint64_t place)
{
    uint32_t low = 0, high = circle->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (circle->points[middle].place < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low < circle->count ? low : 0;
}

int32_t hash_choose(const struct hash_circle *circle, uint64_t key)
{
    uint64_t best = UINT64_MAX;
    int32_t chosen = -1;

    for (uint64_t probe = 1; probe <= HASH_PROBES && circle->count > 0; probe++) {
        uint64_t place = hash_spread(key + probe * 0x9e3779b97f4a7c15u);
        uint32_t at = find(circle, place);
        for (uint32_t i = 0; i < circle->count; i++) {
            const struct hash_point *point = &circle->points[at];
            uint64_t distance = point->place - place;
            if (distance >= best)
                break;
            if (circle->may_take(circle->context, point->index)) {
                best = distance;
                chosen = point->index;
                break;
            }
            at = at + 1 < circle->count ? at + 1 : 0;
        }
        if (chosen < 0)
            break; /* all were asked */
    }
    return chosen;
}

uint64_t hash_bound(uint64_t total, uint32_t weight, uint64_t weights, uint32_t bound_percent)
{
    uint64_t whole = weights * 100;
    uint64_t bound = (total * weight * bound_percent + whole - 1) / whole;

    return bound > 0 ? bound : 1;
}
