#include "clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t clock_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000u;
}

uint64_t clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000u;
}

void clock_format(uint64_t wall_ms, char text[CLOCK_TEXT_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000u);
    struct tm utc;
    char date[sizeof("2026-11-23T04:56:31")];

    if (gmtime_r(&seconds, &utc) == NULL || strftime(date, sizeof(date), "%FT%T", &utc) == 0) {
        text[0] = '\0';
        return;
    }
    snprintf(text, CLOCK_TEXT_BYTES, "%s.%03uZ", date, (unsigned)(wall_ms % 1000u));
}
