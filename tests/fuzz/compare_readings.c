/* What holds between the two readers. Where Sluice refuses, llhttp may do what it likes: that
 * Sluice is the stricter one is held by llhttp_differences.c and tests/strict. */
#include "reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The exceptions: what llhttp refuses though the RFC has it. Each is a refusal by llhttp, so that
 * the two never read one message in two ways. (The allowances are in reading.h.) */
struct exception {
    const char *why;   /* in llhttp's reason */
    const char *needs; /* bytes that the message must have for it, or NULL: it is in the trailer */
    const char *rule;
};

static const struct exception exceptions[] = {
    {"Invalid character in chunk size", ";",
     "RFC 9112 7.1.1: a chunk may have several extensions with values, and quoted pairs in them"},
    {"Invalid character in chunk extensions quoted value", "\"",
     "RFC 9110 5.6.4: a quoted string of a chunk extension may have quoted pairs and obs-text"},
    {"Content-Length", NULL,
     "RFC 9110 6.5.1: framing fields in a trailer say nothing, whatever they are; they are "
     "dropped"},
    {"Transfer-Encoding", NULL, "the same"},
};

static struct reading ours, theirs;

static void print_reading(const char *name, const struct reading *reading)
{
    static const char *const outcomes[] = {"refused", "unfinished", "whole"};

    fprintf(stderr,
            "%s: %s (%s), head %s, %zu bytes%s, status %u, HTTP/1.%u\n  method [%.*s] target "
            "[%.*s]\n%.*s  body [%.*s]\n",
            name, outcomes[reading->outcome], reading->why != NULL ? reading->why : "-",
            reading->head_whole ? "whole" : "unfinished", reading->length,
            reading->until_close ? " until close" : "", reading->status, reading->minor_version,
            (int)reading->method.length, reading->method.data, (int)reading->target.length,
            reading->target.data, (int)reading->fields.length, reading->fields.data,
            (int)reading->body.length, reading->body.data);
}

static bool same_head(void)
{
    return theirs.head_whole && ours.status == theirs.status &&
           ours.minor_version == theirs.minor_version &&
           text_equals(&ours.method, &theirs.method) && text_equals(&ours.target, &theirs.target) &&
           text_equals(&ours.fields, &theirs.fields) && ours.until_close == theirs.until_close;
}

static bool same_body(void)
{
    return text_equals(&ours.body, &theirs.body) && ours.outcome == theirs.outcome &&
           (ours.outcome != READING_WHOLE || ours.length == theirs.length);
}

static bool has(const struct text *text, const char *bytes)
{
    for (size_t i = 0, length = strlen(bytes); i + length <= text->length; i++)
        if (strncasecmp(&text->data[i], bytes, length) == 0)
            return true;
    return false;
}

static bool applies(const struct exception *exception, const struct message *message)
{
    if (theirs.why == NULL || strstr(theirs.why, exception->why) == NULL)
        return false;
    if (exception->needs == NULL)
        return theirs.in_trailer;
    return memmem(message->data, message->length, exception->needs, strlen(exception->needs)) !=
           NULL;
}

static bool is_exception(const struct message *message)
{
    if (theirs.outcome != READING_REFUSED)
        return false;
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
        if (applies(&exceptions[i], message))
            return true;
    return false;
}

/* A connection that is used again where the other reader would not is read from a wrong place.
 * Proxy-Connection, which no RFC knows, is Connection to llhttp. */
static bool same_connection(void)
{
    if (has(&ours.fields, "proxy-connection:"))
        return true;
    return ours.outcome != READING_WHOLE || !ours.keep_alive || theirs.keep_alive;
}

void compare_readings(const struct message *message)
{
    const char *what = NULL;

    if (message->length > READING_BYTES_MAX)
        return;
    read_by_sluice(message, &ours);
    if (!ours.head_whole)
        return;
    read_by_llhttp(message, &theirs);
    if (!same_head())
        what = "head";
    else if (ours.outcome != READING_REFUSED && !same_body() && !is_exception(message))
        what = "body";
    else if (!same_connection())
        what = "connection";
    if (what == NULL)
        return;
    fprintf(stderr, "the %s is read differently, of\n%.*s\n", what, (int)message->length,
            message->data);
    print_reading("sluice", &ours);
    print_reading("llhttp", &theirs);
    abort();
}
