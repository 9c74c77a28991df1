#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool read_head(struct connection *connection, struct request *request)
{
    for (;;) {
        size_t length = connection->used - connection->offset;
        const char *start = connection->buffer + connection->offset;
        const char *end = memmem(start, length, "\r\n\r\n", 4);
        if (end != NULL) {
            size_t head = (size_t)(end - start) + 4;
            memcpy(request->head, start, head);
            request->head[head] = '\0';
            connection->offset += head;
            return true;
        }
        if (!connection_fill(connection))
            return false;
    }
}

/* Whether a comma-separated list holds the word. */
static bool list_holds(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (; *list != '\0'; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ',')) {
        list += strspn(list, " \t");
        if (strncasecmp(list, word, length) == 0 && strchr(" \t,;", list[length]) != NULL)
            return true;
        if (*list == '\0')
            break;
    }
    return false;
}

static void take_header(struct request *request, const char *name, const char *value)
{
    if (strcasecmp(name, "content-length") == 0)
        request->body_left = strtoull(value, NULL, 10);
    else if (strcasecmp(name, "transfer-encoding") == 0)
        request->chunked = list_holds(value, "chunked");
    else if (strcasecmp(name, "connection") == 0 && list_holds(value, "close"))
        request->keep_alive = false;
    else if (strcasecmp(name, "connection") == 0 && list_holds(value, "keep-alive"))
        request->keep_alive = true;
    else if (strcasecmp(name, "upgrade") == 0)
        request->wants_websocket = list_holds(value, "websocket");
    else if (strcasecmp(name, "sec-websocket-key") == 0)
        snprintf(request->websocket_key, sizeof(request->websocket_key), "%s", value);
    else if (strcasecmp(name, "accept") == 0)
        request->wants_events = list_holds(value, "text/event-stream");
    else if (strcasecmp(name, "expect") == 0)
        request->wants_continue = strcasecmp(value, "100-continue") == 0;
    else if (strcasecmp(name, "host") == 0)
        snprintf(request->host, sizeof(request->host), "%s", value);
}

static bool parse_head(struct request *request)
{
    char head[BUFFER_BYTES + 1];
    char version[16];
    char *rest = head;

    memcpy(head, request->head, sizeof(head));
    char *line = strsep(&rest, "\n");
    if (sscanf(line, "%15s %2047s %15s", request->method, request->target, version) != 3 ||
        request->target[0] != '/' || strncmp(version, "HTTP/1.", 7) != 0)
        return false;
    request->version_1_1 = strcmp(version, "HTTP/1.0") != 0;
    request->keep_alive = request->version_1_1;
    while ((line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        char *value = strchr(line, ':');
        if (*line == '\0')
            break;
        if (value == NULL)
            return false;
        *value++ = '\0';
        take_header(request, line, value + strspn(value, " \t"));
    }
    snprintf(request->path, sizeof(request->path), "%.*s", (int)strcspn(request->target, "?"),
             request->target);
    if (request->chunked)
        request->body_left = 0;
    request->body_done = !request->chunked && request->body_left == 0;
    return true;
}

enum request_result request_read(struct connection *connection, struct request *request)
{
    memset(request, 0, sizeof(*request));
    if (!read_head(connection, request))
        return connection->used > connection->offset ? REQUEST_BAD : REQUEST_END;
    return parse_head(request) ? REQUEST_READ : REQUEST_BAD;
}

static bool read_line(struct connection *connection, char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!connection_read_all(connection, line + i, 1))
            return false;
        if (line[i] == '\n') {
            line[i > 0 && line[i - 1] == '\r' ? i - 1 : i] = '\0';
            return true;
        }
    }
    return false;
}

/* Reads a chunk's size, and the trailers after the last. Returns false where no data follow. */
static bool next_chunk(struct connection *connection, struct request *request)
{
    char line[1024];
    char *end = NULL;

    if (!read_line(connection, line, sizeof(line)))
        return false;
    request->body_left = strtoull(line, &end, 16);
    if (end == line)
        return false;
    if (request->body_left > 0)
        return true;
    do {
        if (!read_line(connection, line, sizeof(line)))
            return false;
    } while (*line != '\0');
    request->body_done = true;
    return false;
}

size_t request_read_body(struct connection *connection, struct request *request, void *bytes,
                         size_t size)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char line[8];

    if (request->body_done)
        return 0;
    if (request->wants_continue && !connection_write(connection, go_on, sizeof(go_on) - 1))
        return 0;
    request->wants_continue = false;
    if (request->body_left == 0 && !next_chunk(connection, request))
        return 0;
    if (size > request->body_left)
        size = (size_t)request->body_left;
    size_t got = connection_read(connection, bytes, size);
    request->body_left -= got;
    if (got > 0 && request->body_left == 0) {
        if (!request->chunked)
            request->body_done = true;
        else if (!read_line(connection, line, sizeof(line)) || *line != '\0')
            return 0;
    }
    return got;
}

uint64_t request_number(const struct request *request, const char *name, uint64_t fallback)
{
    const char *at = strchr(request->target, '?');
    size_t length = strlen(name);

    while (at != NULL) {
        at++;
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return strtoull(at + length + 1, NULL, 10);
        at = strchr(at, '&');
    }
    return fallback;
}
