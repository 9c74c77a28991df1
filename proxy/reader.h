/* Whether a client takes the answer that waits for it.
 *
 * Our queue alone does not tell: behind it the kernel has up to some MiB of its own, and takes from
 * us in steps of a third of that. So what counts is what the client's side has acknowledged. It is
 * asked for at a deadline only, so a client that keeps up costs no system call.
 *
 * Owner: the client that embeds it. */
#ifndef PROXY_READER_H
#define PROXY_READER_H

#include "base/stream.h"
#include "pace.h"

struct reader {
    bool watched; /* something waits for the client, and a deadline was set for it */
    struct pace pace;
    uint64_t taken; /* at the last look */
    uint64_t taken_ms;
};

enum reader_verdict {
    READER_TAKES,
    READER_TAKES_NOTHING, /* for timeouts.response */
    READER_IS_SLOW,       /* below limits.min_rate */
};

/* What was queued was taken, or somebody else queues from now on. */
static inline void reader_rest(struct reader *reader)
{
    reader->watched = false;
}

/* Something is queued. Returns whether a deadline must be set, reader_wait_ms() from now. */
static inline bool reader_watch(struct reader *reader, uint64_t now_ms)
{
    if (reader->watched)
        return false;
    reader->watched = true;
    reader->taken_ms = now_ms;
    reader->taken = 0;
    pace_rest(&reader->pace);
    return true;
}

static inline uint32_t reader_wait_ms(const struct config_traffic_limits *limits,
                                      uint32_t response_ms)
{
    return limits->min_rate > 0 && limits->min_rate_window_ms < response_ms
               ? limits->min_rate_window_ms
               : response_ms;
}

/* At the deadline. */
enum reader_verdict reader_judge(struct reader *reader, const struct stream *stream,
                                 const struct config_traffic_limits *limits, uint32_t response_ms,
                                 uint64_t now_ms);

#endif
