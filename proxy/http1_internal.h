/* What the files of the HTTP/1.1 parser share. Owner: nobody, all of it is pure. */
#ifndef PROXY_HTTP1_INTERNAL_H
#define PROXY_HTTP1_INTERNAL_H

#include "http1.h"

#include <assert.h>

/* Classes of bytes: a table of 256, one bit per class. */
enum {
    BYTE_TOKEN = 1 << 0, /* tchar (RFC 9110 §5.6.2) */
    BYTE_TEXT = 1 << 1,  /* VCHAR, SP, HTAB, obs-text (RFC 9110 §5.5) */
    BYTE_PATH = 1 << 2,  /* of a path, see http1_target.c; '%' is not in it */
    BYTE_QUERY = 1 << 3, /* of a query, likewise */
    BYTE_HOST = 1 << 4,  /* reg-name without '%' (RFC 3986 §3.2.2) */
    BYTE_HEX = 1 << 5,
};
extern const uint8_t http1_bytes[256];

static inline bool http1_is(char byte, uint8_t classes)
{
    return (http1_bytes[(uint8_t)byte] & classes) != 0;
}

static inline uint64_t http1_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline uint32_t http1_load_half(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* Whether two texts of the same length are equal, the first in any case. The first is a token, the
 * second of lower-case letters, digits and hyphens: setting one bit folds the former onto the
 * latter, and nothing else that a token may hold. */
static inline bool http1_equals_folded(const char *name, const char *lower, size_t length)
{
    const uint64_t fold = 0x2020202020202020;

    if (length >= 8) {
        for (size_t i = 0; i + 8 < length; i += 8)
            if ((http1_load(name + i) | fold) != http1_load(lower + i))
                return false;
        return (http1_load(name + length - 8) | fold) == http1_load(lower + length - 8);
    }
    if (length >= 4)
        return (http1_load_half(name) | (uint32_t)fold) == http1_load_half(lower) &&
               (http1_load_half(name + length - 4) | (uint32_t)fold) ==
                   http1_load_half(lower + length - 4);
    for (size_t i = 0; i < length; i++)
        if ((name[i] | 0x20) != lower[i])
            return false;
    return true;
}

/* How far a head was read before: what `scanned` holds, packed. */
struct http1_progress {
    size_t line;     /* where the line begins that is not complete yet */
    size_t position; /* in its value; the same as `line` while the colon was not seen */
    unsigned fields; /* complete field lines */
};

struct http1_progress http1_progress_unpack(size_t scanned);
size_t http1_progress_pack(struct http1_progress progress);

/* The rest of a head. `at` moves on; `end` is the end of what may be read. */
struct http1_cursor {
    const char *at;
    const char *end;
};

/* Moves on to the first control byte or DEL; horizontal tab is one. */
void http1_skip_text(struct http1_cursor *cursor);

/* Moves behind the CRLF where the cursor stands on it. HTTP1_MORE where it is cut, HTTP1_BAD_FIELD
 * for anything else. */
static inline enum http1_result http1_read_line_end(struct http1_cursor *cursor)
{
    if (cursor->end - cursor->at >= 2 && cursor->at[0] == '\r' && cursor->at[1] == '\n') {
        cursor->at += 2;
        return HTTP1_DONE;
    }
    if (cursor->at == cursor->end || (cursor->end - cursor->at == 1 && *cursor->at == '\r'))
        return HTTP1_MORE;
    return HTTP1_BAD_FIELD;
}

/* What a first line may hold: a reason phrase may have tabs, a request line may not. */
enum http1_first_line { FIRST_LINE_REQUEST, FIRST_LINE_RESPONSE };

/* Reads the first line: *ret_line is it without CRLF, free of control bytes. HTTP1_MORE, or
 * HTTP1_BAD_FIELD where a control byte, or a bare CR or LF, is in it. */
enum http1_result http1_read_first_line(struct http1_cursor *cursor, enum http1_first_line kind,
                                        struct slice *ret_line);

struct http1_fields {
    struct http_field *list; /* HTTP1_FIELDS_MAX */
    unsigned count;
    uint32_t seen;     /* a bit for each enum http_known_field */
    uint32_t repeated; /* of them, those seen more than once */
    uint8_t last[32];  /* where, of those seen */
};

static_assert(FIELD_CLAIM < 32 && HTTP1_FIELDS_MAX <= UINT8_MAX, "known fields fit");

static inline void http1_note(struct http1_fields *fields, uint8_t known, unsigned index)
{
    fields->repeated |= fields->seen & 1u << known;
    fields->seen |= 1u << known;
    fields->last[known] = (uint8_t)index;
}

static inline bool http1_has(const struct http1_fields *fields, enum http_known_field known)
{
    return (fields->seen & 1u << known) != 0;
}

/* Where to look for a known field: from `at` to before `end`, not all of which are that field. */
struct http1_range {
    unsigned at, end;
};

static inline struct http1_range http1_where(const struct http1_fields *fields,
                                             enum http_known_field known)
{
    if (!http1_has(fields, known))
        return (struct http1_range){0, 0};
    if ((fields->repeated & 1u << known) != 0)
        return (struct http1_range){0, fields->count};
    return (struct http1_range){fields->last[known], fields->last[known] + 1u};
}

/* Reads field lines up to and with the empty line. `start` is where the head begins. With
 * HTTP1_MORE, *ret_scanned says how far it came. */
enum http1_result http1_read_fields(const char *start, struct http1_cursor *cursor,
                                    struct http1_fields *fields, size_t *ret_scanned);

/* Goes on where an earlier call for the same head left off, without storing fields. HTTP1_DONE:
 * the head is complete, or its first line has not been read yet: parse it from its start. */
enum http1_result http1_resume(struct slice bytes, enum http1_first_line kind, size_t *scanned);

static inline bool http1_in_first_line(size_t scanned)
{
    return http1_progress_unpack(scanned).line == 0;
}

/* The result for a head that is not complete, within its limit and past it. */
enum http1_result http1_unfinished(enum http1_result result, struct slice bytes,
                                   enum http1_result too_large);

enum {
    KNOWN_HOP = 1 << 0,       /* hop by hop whatever Connection says */
    KNOWN_PROTECTED = 1 << 1, /* Connection cannot take it away */
};

/* Sets `known` and `hop` from the name. Names of the table written with an underscore in place of
 * a hyphen are hop: a backend that folds both into one would take them for the real thing. */
void http1_classify(struct http_field *field);
/* The same for a name of letters and hyphens only. */
void http1_classify_plain(struct http_field *field);
/* Whether Connection must not name it. */
bool http1_is_protected(struct slice name);

/* --- Connection and Upgrade (http1_connection.c) --- */

struct http1_connection {
    bool close, keep_alive, upgrade;
    struct slice upgrade_protocol; /* the first of Upgrade that is not h2c */
};

/* Reads all Connection and Upgrade fields; marks what Connection names as hop. HTTP1_DONE or
 * HTTP1_BAD_FIELD. */
enum http1_result http1_read_connection(struct http1_fields *fields,
                                        struct http1_connection *ret_connection);

/* The next element of a comma-separated list (RFC 9110 §5.6.1), trimmed; empty ones are passed
 * over. Returns false at the end. */
bool http1_list_next(struct slice *list, struct slice *ret_element);
bool http1_is_token(struct slice text);

/* --- framing (http1_fields.c) --- */

struct http1_framing_fields {
    bool has_length, has_chunked;
    uint64_t length;
};

/* Reads Content-Length and Transfer-Encoding (RFC 9112 §6). HTTP1_DONE or why not. */
enum http1_result http1_read_framing(const struct http1_fields *fields, uint8_t minor_version,
                                     struct http1_framing_fields *ret_framing);

/* --- target and host (http1_target.c) --- */

/* host [":" port], not empty (RFC 9110 §7.2, RFC 3986 §3.2.2). */
bool http1_is_host(struct slice host);

/* Sets path and, for absolute-form, host from `target`. `ret_default_port` is that of the scheme.
 * HTTP1_DONE, HTTP1_BAD_TARGET or HTTP1_BAD_HOST. */
enum http1_result http1_read_target(struct http1_request *request, unsigned *ret_default_port);

/* The same authority, a default port being as good as none. */
bool http1_same_host(struct slice a, struct slice b, unsigned default_port);

/* "HTTP/1.0" and "HTTP/1.1". HTTP1_DONE, HTTP1_BAD_VERSION or HTTP1_UNSUPPORTED_VERSION. */
enum http1_result http1_read_version(struct slice text, uint8_t *ret_minor_version);

#endif
