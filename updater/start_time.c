#include "start_time.h"

#include <stddef.h>
#include <time.h>

uint64_t start_time_wall_ms(const char *started_at)
{
    struct tm tm = {0};
    const char *rest = started_at ? strptime(started_at, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    unsigned ms = 0;
    time_t seconds;

    if (!rest)
        return 0;
    seconds = timegm(&tm);
    for (unsigned i = 1, scale = 100; rest[0] == '.' && scale > 0; i++, scale /= 10) {
        if (rest[i] < '0' || rest[i] > '9')
            break;
        ms += (unsigned)(rest[i] - '0') * scale;
    }
    return seconds > 0 ? (uint64_t)seconds * 1000 + ms : 0;
}

uint64_t start_time_ms(const char *started_at, uint64_t wall_ms, uint64_t now_ms)
{
    uint64_t started_ms = start_time_wall_ms(started_at);
    uint64_t age_ms = wall_ms > started_ms ? wall_ms - started_ms : 0;

    if (started_ms == 0)
        return now_ms;
    return now_ms > age_ms ? now_ms - age_ms : 1;
}
