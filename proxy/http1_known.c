/* The fields that the proxy knows, and what framing they ask for. */
#include "http1_internal.h"

struct known {
    const char *name; /* lower case */
    uint8_t length;
    uint8_t field;
    uint8_t flags;
};

#define KNOWN(text, field, flags)                                                                  \
    {                                                                                              \
        (text), sizeof(text) - 1, (field), (flags)                                                 \
    }

/* By length, then the more frequent first. Protected: what the proxy or a backend trusts, and what
 * is meant for every recipient (RFC 9110 §7.6.1: never appropriate as a connection option). */
static const struct known known_fields[] = {
    KNOWN("te", FIELD_TE, KNOWN_HOP),
    KNOWN("via", FIELD_VIA, KNOWN_PROTECTED),
    KNOWN("age", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("host", FIELD_HOST, KNOWN_PROTECTED),
    KNOWN("date", FIELD_DATE, KNOWN_PROTECTED),
    KNOWN("vary", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("range", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("cookie", FIELD_COOKIE, KNOWN_PROTECTED),
    KNOWN("origin", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("expect", FIELD_EXPECT, KNOWN_PROTECTED),
    KNOWN("server", FIELD_SERVER, KNOWN_PROTECTED),
    KNOWN("upgrade", FIELD_UPGRADE, KNOWN_HOP),
    KNOWN("trailer", FIELD_TRAILER, KNOWN_HOP),
    KNOWN("location", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("forwarded", FIELD_FORWARDED, KNOWN_PROTECTED),
    KNOWN("x-real-ip", FIELD_CLAIM, KNOWN_PROTECTED),
    KNOWN("connection", FIELD_CONNECTION, KNOWN_HOP),
    KNOWN("keep-alive", FIELD_KEEP_ALIVE, KNOWN_HOP),
    KNOWN("set-cookie", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("tracestate", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("traceparent", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("client-cert", FIELD_CLIENT_CERT, KNOWN_PROTECTED),
    KNOWN("content-type", FIELD_CONTENT_TYPE, KNOWN_PROTECTED),
    KNOWN("x-request-id", FIELD_X_REQUEST_ID, KNOWN_PROTECTED),
    KNOWN("max-forwards", FIELD_MAX_FORWARDS, KNOWN_PROTECTED),
    KNOWN("authorization", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("cache-control", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("content-range", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("sluice-mirror", FIELD_CLAIM, KNOWN_PROTECTED),
    KNOWN("content-length", FIELD_CONTENT_LENGTH, KNOWN_PROTECTED),
    KNOWN("http2-settings", FIELD_OTHER, KNOWN_HOP),
    KNOWN("x-forwarded-for", FIELD_X_FORWARDED_FOR, KNOWN_PROTECTED),
    KNOWN("x-forwarded-host", FIELD_X_FORWARDED_HOST, KNOWN_PROTECTED),
    KNOWN("x-forwarded-port", FIELD_CLAIM, KNOWN_PROTECTED),
    KNOWN("proxy-connection", FIELD_PROXY_CONNECTION, KNOWN_HOP),
    KNOWN("content-encoding", FIELD_OTHER, KNOWN_PROTECTED),
    KNOWN("x-forwarded-proto", FIELD_X_FORWARDED_PROTO, KNOWN_PROTECTED),
    KNOWN("transfer-encoding", FIELD_TRANSFER_ENCODING, KNOWN_HOP),
    KNOWN("client-cert-chain", FIELD_CLAIM, KNOWN_PROTECTED),
    KNOWN("proxy-authenticate", FIELD_PROXY_AUTHENTICATE, KNOWN_HOP),
    KNOWN("x-forwarded-prefix", FIELD_CLAIM, KNOWN_PROTECTED),
    KNOWN("x-forwarded-server", FIELD_CLAIM, KNOWN_PROTECTED),
    KNOWN("proxy-authorization", FIELD_PROXY_AUTHORIZATION, KNOWN_HOP),
    KNOWN("strict-transport-security", FIELD_HSTS, KNOWN_PROTECTED),
};

#define KNOWN_COUNT      (sizeof(known_fields) / sizeof(known_fields[0]))
#define KNOWN_LENGTH_MAX 25

/* Index of the first of each length, and of the end: known_fields is sorted by length. The test
 * finds_every_known_field holds the two together. */
static const uint8_t first_of_length[KNOWN_LENGTH_MAX + 2] = {
    0,  0,  0,  1,  3,  6,  7,  11, 13, 14, 16, 20, 22,          25,
    29, 31, 32, 36, 39, 42, 43, 43, 43, 43, 43, 43, KNOWN_COUNT,
};

#define LETTER(letter) (1u << ((letter)&31))

/* The first letters of each length: of those that nobody knows, most end here. The same test. */
static const uint32_t letters_of_length[KNOWN_LENGTH_MAX + 1] = {
    [2] = LETTER('t'),
    [3] = LETTER('v') | LETTER('a'),
    [4] = LETTER('h') | LETTER('d') | LETTER('v'),
    [5] = LETTER('r'),
    [6] = LETTER('c') | LETTER('o') | LETTER('e') | LETTER('s'),
    [7] = LETTER('u') | LETTER('t'),
    [8] = LETTER('l'),
    [9] = LETTER('f') | LETTER('x'),
    [10] = LETTER('c') | LETTER('k') | LETTER('s') | LETTER('t'),
    [11] = LETTER('t') | LETTER('c'),
    [12] = LETTER('c') | LETTER('x') | LETTER('m'),
    [13] = LETTER('a') | LETTER('c') | LETTER('s'),
    [14] = LETTER('c') | LETTER('h'),
    [15] = LETTER('x'),
    [16] = LETTER('x') | LETTER('p') | LETTER('c'),
    [17] = LETTER('x') | LETTER('t') | LETTER('c'),
    [18] = LETTER('p') | LETTER('x'),
    [19] = LETTER('p'),
    [25] = LETTER('s'),
};

static inline bool may_be_known(struct slice name)
{
    uint32_t letters = name.length <= KNOWN_LENGTH_MAX ? letters_of_length[name.length] : 0;

    return letters != 0 && (letters >> (name.data[0] & 31) & 1u) != 0;
}

/* Whether `name` is `known`, in any case; *twin: with an underscore for a hyphen. */
static bool matches(struct slice name, const struct known *known, bool *twin)
{
    *twin = false;
    if (http1_equals_folded(name.data, known->name, name.length))
        return true;
    if (memchr(name.data, '_', name.length) == NULL)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool upper = c >= 'A' && c <= 'Z';
        if ((upper ? c | 0x20 : c) == known->name[i])
            continue;
        if (c != '_' || known->name[i] != '-')
            return false;
        *twin = true;
    }
    return true;
}

static inline const struct known *find_plain(struct slice name)
{
    if (!may_be_known(name))
        return NULL;
    const struct known *known = &known_fields[first_of_length[name.length]];
    const struct known *end = &known_fields[first_of_length[name.length + 1]];
    char first = (char)(name.data[0] | 0x20);
    for (; known < end; known++)
        if (first == known->name[0] && http1_equals_folded(name.data, known->name, name.length))
            return known;
    return NULL;
}

static const struct known *find(struct slice name, bool *twin)
{
    *twin = false;
    if (!may_be_known(name))
        return NULL;
    const struct known *known = &known_fields[first_of_length[name.length]];
    const struct known *end = &known_fields[first_of_length[name.length + 1]];
    for (; known < end; known++)
        if ((name.data[0] | 0x20) == known->name[0] && matches(name, known, twin))
            return known;
    return NULL;
}

/* "x-forwarded-" in any case; *twin as above. */
static bool begins_forwarded(struct slice name, bool *twin)
{
    static const struct known prefix = KNOWN("x-forwarded-", FIELD_OTHER, KNOWN_PROTECTED);

    return name.length > prefix.length && (name.data[0] | 0x20) == 'x' &&
           matches((struct slice){name.data, prefix.length}, &prefix, twin);
}

void http1_classify(struct http_field *field)
{
    bool twin;
    const struct known *known = find(field->name, &twin);

    bool claim = known == NULL && begins_forwarded(field->name, &twin);
    if (known == NULL && !claim)
        twin = false;
    field->known = twin            ? FIELD_OTHER
                   : claim         ? FIELD_CLAIM
                   : known != NULL ? known->field
                                   : FIELD_OTHER;
    field->hop = twin || (known != NULL && (known->flags & KNOWN_HOP) != 0);
}

void http1_classify_plain(struct http_field *field)
{
    static const struct slice forwarded = {"x-forwarded-", 12};
    const struct known *known = find_plain(field->name);

    field->known = FIELD_OTHER;
    field->hop = false;
    if (known != NULL) {
        field->known = known->field;
        field->hop = (known->flags & KNOWN_HOP) != 0;
    } else if ((field->name.data[0] | 0x20) == 'x' && field->name.length > forwarded.length &&
               http1_equals_folded(field->name.data, forwarded.data, forwarded.length)) {
        field->known = FIELD_CLAIM;
    }
}

bool http1_is_protected(struct slice name)
{
    bool twin = false;
    const struct known *known = find(name, &twin);

    if (known != NULL)
        return !twin && (known->flags & KNOWN_PROTECTED) != 0;
    return begins_forwarded(name, &twin) && !twin;
}

static enum http1_result read_length(struct slice value, struct http1_framing_fields *framing)
{
    uint64_t length;

    if (framing->has_length || slice_to_u64(value, &length) != 0 || length > INT64_MAX)
        return HTTP1_BAD_CONTENT_LENGTH;
    framing->has_length = true;
    framing->length = length;
    return HTTP1_DONE;
}

static enum http1_result read_encoding(struct slice value, uint8_t minor_version,
                                       struct http1_framing_fields *framing)
{
    if (framing->has_chunked || minor_version == 0 ||
        !slice_equals_ignoring_case(value, SLICE("chunked")))
        return HTTP1_BAD_TRANSFER_ENCODING;
    framing->has_chunked = true;
    return HTTP1_DONE;
}

enum http1_result http1_read_framing(const struct http1_fields *fields, uint8_t minor_version,
                                     struct http1_framing_fields *ret_framing)
{
    struct http1_framing_fields framing = {0};
    enum http1_result result = HTTP1_DONE;
    struct http1_range lengths = http1_where(fields, FIELD_CONTENT_LENGTH);
    struct http1_range encodings = http1_where(fields, FIELD_TRANSFER_ENCODING);

    for (unsigned i = lengths.at; i < lengths.end && result == HTTP1_DONE; i++)
        if (fields->list[i].known == FIELD_CONTENT_LENGTH)
            result = read_length(fields->list[i].value, &framing);
    for (unsigned i = encodings.at; i < encodings.end && result == HTTP1_DONE; i++)
        if (fields->list[i].known == FIELD_TRANSFER_ENCODING)
            result = read_encoding(fields->list[i].value, minor_version, &framing);
    if (result != HTTP1_DONE)
        return result;
    if (framing.has_length && framing.has_chunked)
        return HTTP1_BAD_FRAMING;
    *ret_framing = framing;
    return HTTP1_DONE;
}
