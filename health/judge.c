#include "judge.h"

static uint32_t at_least_one(uint32_t count)
{
    return count > 0 ? count : 1;
}

static bool is_new(const struct judgement *judgement)
{
    return judgement->state == VERDICT_UNKNOWN || judgement->state == VERDICT_STARTING;
}

static void take_success(struct judgement *judgement, const struct judge_settings *settings)
{
    judgement->failures = 0;
    if (judgement->successes < UINT32_MAX)
        judgement->successes++;
    if (is_new(judgement) || judgement->successes >= at_least_one(settings->successes))
        judgement->state = VERDICT_HEALTHY;
}

static bool counts(const struct judgement *judgement, const struct judge_settings *settings,
                   uint64_t now_ms)
{
    if (!is_new(judgement))
        return true;
    if (now_ms < settings->start_end_ms)
        return false;
    return judgement->counted_ms == 0 || now_ms - judgement->counted_ms >= settings->interval_ms;
}

static void take_failure(struct judgement *judgement, const struct judge_settings *settings,
                         uint64_t now_ms)
{
    judgement->successes = 0;
    if (counts(judgement, settings, now_ms)) {
        judgement->counted_ms = now_ms;
        if (judgement->failures < UINT32_MAX)
            judgement->failures++;
    }
    if (judgement->failures >= at_least_one(settings->retries))
        judgement->state = VERDICT_UNHEALTHY;
    else if (judgement->state == VERDICT_UNKNOWN)
        judgement->state = VERDICT_STARTING;
}

void judge_result(struct judgement *judgement, const struct judge_settings *settings, bool passed,
                  uint64_t now_ms)
{
    if (passed)
        take_success(judgement, settings);
    else
        take_failure(judgement, settings, now_ms);
}

uint32_t judge_pace_ms(const struct judgement *judgement, const struct judge_settings *settings)
{
    if (is_new(judgement) && settings->interval_ms > JUDGE_QUICK_MS)
        return JUDGE_QUICK_MS;
    return settings->interval_ms;
}
