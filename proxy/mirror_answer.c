#include "mirror_answer.h"

#include "base/siphash.h"
#include "limits.h"

#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
    return hash_spread(hash ^ word) + 0x9e3779b97f4a7c15u; /* so that zeros count too */
}

bool mirror_answer_add(struct mirror_answer *answer, struct slice piece)
{
    uint64_t room = MIRROR_BODY_BYTES_MAX - answer->bytes;
    size_t length = piece.length < room ? piece.length : (size_t)room, i = 0;

    while (i < length) {
        unsigned held = answer->bytes % sizeof(uint64_t);
        size_t take = length - i < sizeof(uint64_t) - held ? length - i : sizeof(uint64_t) - held;
        uint64_t word = 0;
        memcpy((char *)&word + held, piece.data + i, take);
        answer->word |= word;
        answer->bytes += take;
        i += take;
        if (held + take < sizeof(uint64_t))
            break;
        answer->hash = mix(answer->hash, answer->word);
        answer->word = 0;
    }
    return answer->bytes == MIRROR_BODY_BYTES_MAX;
}

enum mirror_verdict mirror_answer_compare(const struct mirror_answer *a,
                                          const struct mirror_answer *b)
{
    if (a->status != b->status)
        return MIRROR_STATUS_DIFFERS;
    return a->bytes == b->bytes && a->hash == b->hash && a->word == b->word ? MIRROR_SAME
                                                                            : MIRROR_BODY_DIFFERS;
}
