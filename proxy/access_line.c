#include "access_line.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* The most of each that is written, escaped. Together with all the rest they fit a line. */
#define TARGET_BYTES_MAX     1400u
#define REFERER_BYTES_MAX    700u
#define USER_AGENT_BYTES_MAX 500u
#define NAME_BYTES_MAX       270u /* host names and what the config allows */

#define ESCAPE_BYTES_MAX 6u /* \u00ff */

struct line {
    char *text;
    size_t length;
};

static void put_bytes(struct line *line, const char *bytes, size_t length)
{
    check(length <= ACCESS_LINE_BYTES_MAX - line->length);
    if (length > 0) /* an empty slice may have no data at all */
        memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

static void put_string(struct line *line, const char *string)
{
    put_bytes(line, string, strlen(string));
}

static void put_u64(struct line *line, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    put_bytes(line, digits + at, sizeof(digits) - at);
}

/* --- escapes ------------------------------------------------------------------------------ */

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

static size_t escape(char out[ESCAPE_BYTES_MAX], unsigned char c, bool json)
{
    static const char hex[] = "0123456789abcdef";
    size_t length = 0;

    if (!is_plain(c))
        out[length++] = '\\';
    if (is_plain(c) || c == '"' || c == '\\') {
        out[length++] = (char)c;
        return length;
    }
    out[length++] = json ? 'u' : 'x';
    if (json) {
        out[length++] = '0';
        out[length++] = '0';
    }
    out[length++] = hex[c >> 4];
    out[length++] = hex[c & 15];
    return length;
}

/* The text without its quotes, at most `max` bytes of it. JSON takes a byte beyond ASCII for the
 * character of that number: which encoding it was meant in, nobody knows. */
static void put_escaped(struct line *line, struct slice value, bool json, size_t max)
{
    size_t end = line->length + max - 3;
    size_t plain = 0;

    while (plain < value.length && plain < max - 3 && is_plain((unsigned char)value.data[plain]))
        plain++;
    put_bytes(line, value.data, plain);
    for (size_t i = plain; i < value.length; i++) {
        char escaped[ESCAPE_BYTES_MAX];
        size_t length = escape(escaped, (unsigned char)value.data[i], json);
        if (line->length + length > end) {
            put_string(line, "...");
            return;
        }
        put_bytes(line, escaped, length);
    }
}

/* --- what may be said ----------------------------------------------------------------------- */

static struct slice without_query(struct slice target, bool query)
{
    const char *mark = query || target.length == 0 ? NULL : memchr(target.data, '?', target.length);

    if (mark != NULL)
        target.length = (size_t)(mark - target.data);
    return target;
}

/* A referer is a URL: its query, its fragment and a password in front of its host are nobody's
 * business here. */
static void put_referer(struct line *line, struct slice referer, bool query)
{
    referer = without_query(referer, query);
    const char *hash = referer.length > 0 ? memchr(referer.data, '#', referer.length) : NULL;
    if (hash != NULL)
        referer.length = (size_t)(hash - referer.data);
    const char *host = memmem(referer.data, referer.length, "//", 2);
    if (host != NULL) {
        size_t scheme = (size_t)(host + 2 - referer.data);
        const char *path = memchr(host + 2, '/', referer.length - scheme);
        size_t authority = path != NULL ? (size_t)(path - host - 2) : referer.length - scheme;
        const char *user = memrchr(host + 2, '@', authority);
        if (user != NULL) {
            put_escaped(line, (struct slice){referer.data, scheme}, false, 64);
            size_t skipped = (size_t)(user + 1 - referer.data);
            referer = (struct slice){user + 1, referer.length - skipped};
        }
    }
    put_escaped(line, referer, false, REFERER_BYTES_MAX);
}

/* --- logfmt and JSON: the same keys --------------------------------------------------------- */

struct writer {
    struct line line;
    bool json;
};

static void put_key(struct writer *writer, const char *key)
{
    struct line *line = &writer->line;

    if (writer->json) {
        put_string(line, line->length > 0 ? ",\"" : "{\"");
        put_string(line, key);
        put_string(line, "\":");
    } else {
        if (line->length > 0)
            put_bytes(line, " ", 1);
        put_string(line, key);
        put_bytes(line, "=", 1);
    }
}

static bool needs_quotes(struct slice value)
{
    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] == ' ' || value.data[i] == '=' || !is_plain((unsigned char)value.data[i]))
            return true;
    return value.length == 0;
}

static void put_slice(struct writer *writer, const char *key, struct slice value, size_t max)
{
    bool quotes = writer->json || needs_quotes(value);

    put_key(writer, key);
    if (quotes)
        put_bytes(&writer->line, "\"", 1);
    put_escaped(&writer->line, value, writer->json, max);
    if (quotes)
        put_bytes(&writer->line, "\"", 1);
}

static void put_name(struct writer *writer, const char *key, const char *name)
{
    if (name != NULL)
        put_slice(writer, key, slice_from_string(name), NAME_BYTES_MAX);
}

static void put_number(struct writer *writer, const char *key, uint64_t number)
{
    put_key(writer, key);
    put_u64(&writer->line, number);
}

static void put_time(struct writer *writer, const char *key, uint64_t us)
{
    if (us != ACCESS_NONE)
        put_number(writer, key, us);
}

static void put_request(struct writer *writer, const struct access_record *record, bool query)
{
    const struct access_request *request = &record->request;

    if (request->method.length > 0) {
        put_slice(writer, "method", request->method, NAME_BYTES_MAX);
        put_slice(writer, "host", request->host, NAME_BYTES_MAX);
        put_slice(writer, "path", without_query(request->target, query), TARGET_BYTES_MAX);
    }
    if (request->request_id.length > 0)
        put_slice(writer, "request_id", request->request_id, NAME_BYTES_MAX);
}

static void put_keys(struct writer *writer, bool query, const struct access_clock *clock,
                     unsigned ms, const struct access_record *record)
{
    char stamp[sizeof(clock->iso) + sizeof(".999Z")];
    char id[24], client[ADDRESS_TEXT_BYTES];

    snprintf(stamp, sizeof(stamp), "%s.%03uZ", clock->iso, ms);
    address_format(&record->client, client);
    put_name(writer, "time", stamp);
    put_name(writer, "level", "info");
    put_name(writer, "role", "worker");
    put_name(writer, "event", record->event);
    if (record->id != 0) { /* a text in JSON: it has more bits than a number there */
        snprintf(id, sizeof(id), "%llu", (unsigned long long)record->id);
        put_name(writer, "id", id);
    }
    put_name(writer, "kind", record->kind);
    put_name(writer, "client", client);
    put_name(writer, "service", record->service);
    put_name(writer, "group", record->group);
    put_name(writer, "backend", record->backend);
    put_request(writer, record, query);
    if (record->status != 0)
        put_number(writer, "status", record->status);
    if (record->kind != NULL) {
        put_number(writer, "bytes_in", record->bytes_in);
        put_number(writer, "bytes_out", record->bytes_out);
        put_number(writer, "tries", record->tries);
        put_time(writer, "queue_us", record->queue_us);
        put_time(writer, "connect_us", record->connect_us);
        put_time(writer, "first_byte_us", record->first_byte_us);
        put_number(writer, "total_us", record->total_us);
    }
    put_name(writer, "why", record->why);
    if (writer->json)
        put_bytes(&writer->line, "}", 1);
}

/* --- Common Log Format, and Apache's "combined" ---------------------------------------------- */

static void put_common(struct line *line, bool query, const struct access_clock *clock,
                       const struct access_record *record)
{
    const struct access_request *request = &record->request;
    char client[ADDRESS_TEXT_BYTES];

    address_format_ip(&record->client, client);
    put_string(line, client);
    put_string(line, " - - [");
    put_string(line, clock->common);
    put_string(line, "] \"");
    if (request->method.length > 0) {
        put_escaped(line, request->method, false, NAME_BYTES_MAX);
        put_bytes(line, " ", 1);
        put_escaped(line, without_query(request->target, query), false, TARGET_BYTES_MAX);
        put_string(line, request->minor_version == 0 ? " HTTP/1.0" : " HTTP/1.1");
    } else {
        put_string(line, "-");
    }
    put_string(line, "\" ");
    if (record->status != 0)
        put_u64(line, record->status);
    else
        put_string(line, "-");
    put_bytes(line, " ", 1);
    if (record->body_bytes > 0)
        put_u64(line, record->body_bytes);
    else
        put_string(line, "-");
}

static void put_combined(struct line *line, bool query, const struct access_record *record)
{
    put_string(line, " \"");
    if (record->request.referer.length > 0)
        put_referer(line, record->request.referer, query);
    else
        put_string(line, "-");
    put_string(line, "\" \"");
    if (record->request.user_agent.length > 0)
        put_escaped(line, record->request.user_agent, false, USER_AGENT_BYTES_MAX);
    else
        put_string(line, "-");
    put_string(line, "\"");
}

/* --- the line --------------------------------------------------------------------------------- */

static void turn(struct access_clock *clock, uint64_t second)
{
    time_t seconds = (time_t)second;
    struct tm utc;

    if (clock->second == second || gmtime_r(&seconds, &utc) == NULL)
        return;
    clock->second = second;
    strftime(clock->iso, sizeof(clock->iso), "%FT%T", &utc);
    /* Month names are English: the locale is C. */
    strftime(clock->common, sizeof(clock->common), "%d/%b/%Y:%H:%M:%S +0000", &utc);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the writer writes to it */
size_t access_line_write(char line[ACCESS_LINE_BYTES_MAX], enum config_access_format format,
                         bool query, struct access_clock *clock, uint64_t wall_ms,
                         const struct access_record *record)
{
    struct writer writer = {.line = {.text = line}, .json = format == ACCESS_JSON};

    turn(clock, wall_ms / 1000);
    if (format == ACCESS_LOGFMT || format == ACCESS_JSON) {
        put_keys(&writer, query, clock, (unsigned)(wall_ms % 1000), record);
    } else {
        put_common(&writer.line, query, clock, record);
        if (format == ACCESS_COMBINED)
            put_combined(&writer.line, query, record);
    }
    put_bytes(&writer.line, "\n", 1);
    return writer.line.length;
}

/* --- fields --------------------------------------------------------------------------------- */

static bool take_field(struct slice line, const char *name, struct slice *ret_value)
{
    size_t length = strlen(name);

    if (line.length < length || strncasecmp(line.data, name, length) != 0)
        return false;
    *ret_value = (struct slice){line.data + length, line.length - length};
    return true;
}

void access_line_find_fields(struct slice head, struct access_request *request)
{
    const char *at = head.data, *end = head.data + head.length;

    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        if (feed == NULL || feed == at)
            return;
        struct slice line = {at, (size_t)(feed - at - 1)};
        if (!take_field(line, "referer: ", &request->referer))
            take_field(line, "user-agent: ", &request->user_agent);
        at = feed + 1;
    }
}
