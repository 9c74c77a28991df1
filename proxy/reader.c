#include "reader.h"

enum reader_verdict reader_judge(struct reader *reader, const struct stream *stream,
                                 const struct config_traffic_limits *limits, uint32_t response_ms,
                                 uint64_t now_ms)
{
    uint64_t taken = stream_acknowledged(stream);
    bool slow = pace_is_too_slow(&reader->pace, limits, taken, now_ms);

    if (taken != reader->taken) {
        reader->taken = taken;
        reader->taken_ms = now_ms;
    }
    if (now_ms - reader->taken_ms >= response_ms)
        return READER_TAKES_NOTHING;
    return slow ? READER_IS_SLOW : READER_TAKES;
}
