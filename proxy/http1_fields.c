/* Field lines (RFC 9112 §5): reading, and going on in a head that came in pieces. */
#include "http1_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static_assert(sizeof(size_t) == 8, "progress is packed into a size_t");
static_assert(HTTP1_HEAD_BYTES_MAX < 1u << 24 && HTTP1_FIELDS_MAX < 1u << 16, "progress fits");

struct http1_progress http1_progress_unpack(size_t scanned)
{
    return (struct http1_progress){.position = scanned & 0xffffff,
                                   .line = scanned >> 24 & 0xffffff,
                                   .fields = (unsigned)(scanned >> 48)};
}

size_t http1_progress_pack(struct http1_progress progress)
{
    return progress.position | progress.line << 24 | (size_t)progress.fields << 48;
}

#ifdef __SSE2__
#define ALL_SIXTEEN 0xffffu

/* Of sixteen bytes, a bit for each that is visible ASCII or a space. With one added and read as
 * signed, all others are below what a space becomes. */
static inline unsigned find_visible(const char *at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i next = _mm_add_epi8(block, _mm_set1_epi8(1));

    return (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(next, _mm_set1_epi8(' ')));
}

/* Of sixteen bytes, a bit for each that is a letter or a hyphen. */
static inline unsigned find_plain(const char *at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i lower = _mm_or_si128(block, _mm_set1_epi8(0x20));
    __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                   _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
    __m128i plain = _mm_or_si128(letter, _mm_cmpeq_epi8(block, _mm_set1_epi8('-')));

    return (unsigned)_mm_movemask_epi8(plain);
}
#endif

/* The first byte that is no text, or a tab, or `end`; obs-text is gone over one by one. */
static inline const char *find_stop(const char *at, const char *end)
{
#ifdef __SSE2__
    while (end - at >= 16) {
        unsigned visible = find_visible(at);
        if (visible == ALL_SIXTEEN) {
            at += 16;
            continue;
        }
        at += __builtin_ctz(~visible);
        if ((uint8_t)*at < 0x80)
            return at;
        at++;
    }
#endif
    while (at < end && http1_is(*at, BYTE_TEXT) && *at != '\t')
        at++;
    return at;
}

/* The first byte that is not of a token, or `end`. */
static inline const char *find_token_end(const char *at, const char *end)
{
    while (at < end && http1_is(*at, BYTE_TOKEN))
        at++;
    return at;
}

void http1_skip_text(struct http1_cursor *cursor)
{
    cursor->at = find_stop(cursor->at, cursor->end);
}

/* Like http1_skip_text, but goes over tabs. */
static inline void skip_value(struct http1_cursor *cursor)
{
    for (;;) {
        cursor->at = find_stop(cursor->at, cursor->end);
        if (cursor->at == cursor->end || *cursor->at != '\t')
            return;
        cursor->at++;
    }
}

static void skip_first_line(struct http1_cursor *cursor, enum http1_first_line kind)
{
    if (kind == FIRST_LINE_REQUEST)
        http1_skip_text(cursor);
    else
        skip_value(cursor);
}

enum http1_result http1_read_first_line(struct http1_cursor *cursor, enum http1_first_line kind,
                                        struct slice *ret_line)
{
    const char *start = cursor->at;

    skip_first_line(cursor, kind);
    const char *end = cursor->at;
    enum http1_result result = http1_read_line_end(cursor);
    if (result == HTTP1_DONE)
        *ret_line = (struct slice){start, (size_t)(end - start)};
    return result;
}

/* Reads a name and its colon. */
static inline enum http1_result read_name(struct http1_cursor *cursor, struct slice *ret_name)
{
    const char *start = cursor->at;
    const char *end = cursor->end - start > (ptrdiff_t)HTTP1_NAME_BYTES_MAX
                          ? start + HTTP1_NAME_BYTES_MAX + 1
                          : cursor->end;

    const char *at = find_token_end(start, end);
    *ret_name = (struct slice){start, (size_t)(at - start)};
    if (ret_name->length > HTTP1_NAME_BYTES_MAX)
        return HTTP1_BAD_FIELD;
    if (at == end)
        return HTTP1_MORE;
    if (*at != ':' || at == start)
        return HTTP1_BAD_FIELD;
    cursor->at = at + 1;
    return HTTP1_DONE;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Reads one field line. With HTTP1_MORE the cursor stands where reading is to go on: at the line's
 * start, or in its value. */
static inline enum http1_result read_field(struct http1_cursor *cursor,
                                           struct http_field *ret_field)
{
    enum http1_result result = read_name(cursor, &ret_field->name);
    if (result != HTTP1_DONE)
        return result;

    while (cursor->at < cursor->end && is_blank(*cursor->at))
        cursor->at++;
    const char *start = cursor->at;
    skip_value(cursor);
    const char *end = cursor->at;
    while (end > start && is_blank(end[-1]))
        end--;
    ret_field->value = (struct slice){start, (size_t)(end - start)};
    ret_field->plain = false;
    return http1_read_line_end(cursor);
}

#ifdef __SSE2__
#define PLAIN_BYTES_MIN (16 + 16 + 2) /* what a name with the first byte of its value may take */

/* The usual line: complete, its name of letters and hyphens, one space before its value and none
 * behind. The same as read_field with a third of the work. Returns where the next line begins, or
 * NULL for every other line, good or bad. At least PLAIN_BYTES_MIN bytes are there. */
static inline const char *read_plain_field(const char *at, const char *end,
                                           struct http_field *ret_field)
{
    const char *name_end = at;
    unsigned plain = find_plain(name_end);
    if (plain == ALL_SIXTEEN) {
        name_end += 16;
        plain = find_plain(name_end);
        if (plain == ALL_SIXTEEN)
            return NULL;
    }
    name_end += __builtin_ctz(~plain);
    const char *value = name_end + 2;
    if (name_end == at || memcmp(name_end, ": ", 2) != 0 || (uint8_t)*value <= ' ')
        return NULL;
    const char *stop = find_stop(value, end);
    if (end - stop < 2 || memcmp(stop, "\r\n", 2) != 0 || stop[-1] == ' ')
        return NULL;
    ret_field->name = (struct slice){at, (size_t)(name_end - at)};
    ret_field->value = (struct slice){value, (size_t)(stop - value)};
    ret_field->plain = true;
    return stop + 2;
}

/* The same for the last bytes of the input: blocks would reach over its end, so from a copy. */
static const char *read_last_plain_field(const char *at, const char *end,
                                         struct http_field *ret_field)
{
    char copy[PLAIN_BYTES_MIN + 16] = {0}; /* zeros are no text: nothing goes over them */

    memcpy(copy, at, (size_t)(end - at));
    const char *next = read_plain_field(copy, copy + sizeof(copy), ret_field);
    if (next == NULL)
        return NULL;
    ret_field->name.data = at;
    ret_field->value.data = at + (ret_field->value.data - copy);
    return at + (next - copy);
}

/* Reads usual lines as long as they come. */
static void read_plain_fields(struct http1_cursor *cursor, struct http1_fields *fields)
{
    const char *at = cursor->at, *end = cursor->end;
    unsigned count = fields->count;

    for (; count < HTTP1_FIELDS_MAX; count++) {
        struct http_field *field = &fields->list[count];
        const char *next = end - at >= PLAIN_BYTES_MIN ? read_plain_field(at, end, field)
                           : at < end && *at != '\r'   ? read_last_plain_field(at, end, field)
                                                       : NULL;
        if (next == NULL)
            break;
        at = next;
        http1_classify_plain(field);
        http1_note(fields, field->known, count);
    }
    cursor->at = at;
    fields->count = count;
}
#else
static void read_plain_fields(struct http1_cursor *cursor, struct http1_fields *fields)
{
    (void)cursor;
    (void)fields;
}
#endif

enum http1_result http1_read_fields(const char *start, struct http1_cursor *cursor,
                                    struct http1_fields *fields, size_t *ret_scanned)
{
    struct http_field one_too_many;
    const char *line;
    enum http1_result result;

    for (fields->count = 0;; fields->count++) {
        read_plain_fields(cursor, fields);
        line = cursor->at;
        if (line < cursor->end && *line == '\r') {
            result = http1_read_line_end(cursor);
            break;
        }
        bool full = fields->count == HTTP1_FIELDS_MAX;
        struct http_field *field = full ? &one_too_many : &fields->list[fields->count];
        result = read_field(cursor, field);
        if (result == HTTP1_DONE && full)
            result = HTTP1_TOO_MANY_FIELDS;
        if (result != HTTP1_DONE)
            break;
        http1_classify(field);
        http1_note(fields, field->known, fields->count);
    }
    if (result == HTTP1_MORE)
        *ret_scanned = http1_progress_pack((struct http1_progress){
            .line = (size_t)(line - start),
            .position = (size_t)(cursor->at - start),
            .fields = fields->count,
        });
    return result;
}

/* Goes on with the line of `progress`. */
static enum http1_result resume_line(struct slice bytes, struct http1_progress *progress,
                                     bool *ret_head_end)
{
    struct http1_cursor cursor = {bytes.data + progress->position, bytes.data + bytes.length};
    struct http_field field;
    enum http1_result result;

    *ret_head_end = false;
    if (progress->position > progress->line) {
        skip_value(&cursor);
        result = http1_read_line_end(&cursor);
    } else if (cursor.at < cursor.end && *cursor.at == '\r') {
        result = http1_read_line_end(&cursor);
        *ret_head_end = result == HTTP1_DONE;
    } else {
        result = read_field(&cursor, &field);
    }
    progress->position = (size_t)(cursor.at - bytes.data);
    return result;
}

enum http1_result http1_resume(struct slice bytes, enum http1_first_line kind, size_t *scanned)
{
    struct http1_progress progress = http1_progress_unpack(*scanned);
    enum http1_result result;
    bool head_end;

    if (progress.line == 0) { /* still in the first line */
        struct http1_cursor cursor = {bytes.data + progress.position, bytes.data + bytes.length};
        skip_first_line(&cursor, kind);
        if (cursor.end - cursor.at >= 2)
            return HTTP1_DONE;
        *scanned = (size_t)(cursor.at - bytes.data);
        return cursor.at < cursor.end && *cursor.at != '\r' ? HTTP1_DONE : HTTP1_MORE;
    }
    for (;;) {
        result = resume_line(bytes, &progress, &head_end);
        if (result != HTTP1_DONE || head_end)
            break;
        if (progress.fields++ == HTTP1_FIELDS_MAX)
            return HTTP1_TOO_MANY_FIELDS;
        progress.line = progress.position;
    }
    if (result == HTTP1_MORE)
        *scanned = http1_progress_pack(progress);
    return result;
}

enum http1_result http1_unfinished(enum http1_result result, struct slice bytes,
                                   enum http1_result too_large)
{
    return result == HTTP1_MORE && bytes.length == HTTP1_HEAD_BYTES_MAX ? too_large : result;
}
