#include "ejection.h"

bool ejection_count(struct ejection *ejection, const struct config_ejection *rules, bool failed)
{
    if (!failed) {
        ejection->failures = 0;
        return false;
    }
    if (ejection_is_on(ejection)) /* what was in flight when it was ejected, or panic */
        return false;
    if (ejection->failures < UINT16_MAX)
        ejection->failures++;
    return ejection->failures >= rules->failures;
}

bool ejection_is_allowed(const struct config_ejection *rules, uint32_t ejected, uint32_t members)
{
    return (uint64_t)(ejected + 1) * 100 <= (uint64_t)rules->max_percent * members;
}

/* Each `time` that it stayed in takes one off its record. */
static void forget(struct ejection *ejection, const struct config_ejection *rules, uint64_t now_ms)
{
    uint64_t good = (now_ms - ejection->returned_ms) / rules->time_ms;

    ejection->times = good >= ejection->times ? 0 : (uint16_t)(ejection->times - good);
}

void ejection_begin(struct ejection *ejection, const struct config_ejection *rules, uint64_t now_ms)
{
    forget(ejection, rules, now_ms);
    if (ejection->times < UINT16_MAX)
        ejection->times++;
    uint64_t time_ms = (uint64_t)rules->time_ms * ejection->times;
    ejection->until_ms = now_ms + (time_ms < EJECTION_MS_MAX ? time_ms : EJECTION_MS_MAX);
    ejection->failures = 0;
}

bool ejection_end(struct ejection *ejection, uint64_t now_ms)
{
    if (!ejection_is_on(ejection) || now_ms < ejection->until_ms)
        return false;
    ejection->until_ms = 0;
    ejection->returned_ms = now_ms;
    return true;
}
