/* What retries may cost a service: a share of its recent exchanges, so that backends that all fail
 * get some more connects for their trouble and no storm of them. One per service and worker. Pure.
 *
 * "Recent" is some 8 s: each second an eighth is forgotten. */
#ifndef PROXY_RETRY_BUDGET_H
#define PROXY_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* Granted whatever the share comes to, so that little traffic is retried too: 10 each second. */
#define RETRIES_FREE 80u

struct retry_budget { /* zero is the start */
    uint32_t exchanges, retries;
};

static inline void retry_budget_earn(struct retry_budget *budget)
{
    budget->exchanges++;
}

/* Takes one retry, where there is one. */
static inline bool retry_budget_take(struct retry_budget *budget, uint32_t percent)
{
    uint64_t granted = RETRIES_FREE + (uint64_t)budget->exchanges * percent / 100;

    if (budget->retries >= granted)
        return false;
    budget->retries++;
    return true;
}

/* Each second. */
static inline void retry_budget_forget(struct retry_budget *budget)
{
    budget->exchanges -= (budget->exchanges + 7) / 8;
    budget->retries -= (budget->retries + 7) / 8;
}

#endif
