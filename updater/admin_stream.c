#include "admin_stream.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/utf8.h"

#include <sys/socket.h>

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16 * 1024)
#define RETRY_LINE  "retry: 1000\n\n"
#define COMMENT     ":\n\n"

struct admin_stream {
    struct list node; /* on hub->streams */
    struct admin_hub *hub;
    struct MHD_Connection *connection;
    char *service;        /* NULL: every one */
    uint64_t next_id;     /* the event that is being sent, or comes next */
    size_t waiting_bytes; /* of events from next_id on that concern it, the sent part included */
    size_t backlog_bytes; /* what it missed: handed to it at once, so not held against it */
    const char *text;     /* being sent: an event's, or a constant; NULL: none */
    size_t length, offset;
    bool is_event; /* text is that of event next_id */
    bool comment_due;
    bool suspended;
    bool cut; /* too slow: its socket is shut down */
};

void admin_hub_init(struct admin_hub *hub)
{
    memset(hub, 0, sizeof *hub);
    list_init(&hub->streams);
    hub->first_id = hub->next_id = clock_wall_ms();
}

static struct admin_event *event_at(struct admin_hub *hub, uint64_t id)
{
    check(id >= hub->first_id && id < hub->next_id);
    return &hub->ring[id % ADMIN_EVENTS_KEPT];
}

static bool concerns(const struct admin_stream *stream, const struct admin_event *event)
{
    return stream->service == NULL ||
           (event->service != NULL && strcmp(stream->service, event->service) == 0);
}

static void wake(struct admin_stream *stream)
{
    stream->hub->run_wanted = true;
    if (!stream->suspended)
        return;
    stream->suspended = false;
    MHD_resume_connection(stream->connection);
}

/* The descriptor stays libmicrohttpd's: shut down, it becomes readable, and is closed there. */
static void cut_off(struct admin_stream *stream)
{
    if (stream->cut)
        return;
    stream->cut = true;
    stream->text = NULL;
    const union MHD_ConnectionInfo *information =
        MHD_get_connection_info(stream->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (information != NULL)
        shutdown(information->connect_fd, SHUT_RDWR);
    wake(stream);
}

static void forget_oldest(struct admin_hub *hub)
{
    struct admin_event *event = event_at(hub, hub->first_id);
    for (struct list *node = hub->streams.next; node != &hub->streams; node = node->next) {
        struct admin_stream *stream = container_of(node, struct admin_stream, node);
        if (stream->next_id != hub->first_id)
            continue;
        if (concerns(stream, event))
            cut_off(stream);
        stream->next_id++;
    }
    hub->kept_bytes -= event->length;
    free(event->text);
    free(event->service);
    *event = (struct admin_event){0};
    hub->first_id++;
}

void admin_hub_resume_all(struct admin_hub *hub)
{
    for (struct list *node = hub->streams.next; node != &hub->streams; node = node->next) {
        struct admin_stream *stream = container_of(node, struct admin_stream, node);
        stream->cut = true;
        wake(stream);
    }
}

void admin_hub_done(struct admin_hub *hub)
{
    check(list_is_empty(&hub->streams));
    while (hub->first_id < hub->next_id)
        forget_oldest(hub);
}

/* Which service an event is about: {"service": "web"} of rollouts and drains, else the "name" of a
 * service object. */
static const char *service_of(const struct cJSON *data)
{
    const char *service = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "service"));
    if (service != NULL)
        return service;
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "name"));
}

void admin_hub_publish(struct admin_hub *hub, const char *event, const struct cJSON *data)
{
    char *json = cJSON_PrintUnformatted(data);
    if (json == NULL)
        json = memory_copy_string("null");
    utf8_mend(json);
    uint64_t id = hub->next_id;
    char *text = memory_format("id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", id, event, json);
    free(json);
    size_t length = strlen(text);
    while (hub->next_id - hub->first_id >= ADMIN_EVENTS_KEPT ||
           (hub->first_id < hub->next_id && hub->kept_bytes + length > ADMIN_KEPT_BYTES_MAX))
        forget_oldest(hub);
    struct admin_event *kept = &hub->ring[id % ADMIN_EVENTS_KEPT];
    check(kept->text == NULL);
    *kept = (struct admin_event){text, length, memory_copy_string(service_of(data))};
    hub->kept_bytes += length;
    hub->next_id++;
    for (struct list *node = hub->streams.next; node != &hub->streams; node = node->next) {
        struct admin_stream *stream = container_of(node, struct admin_stream, node);
        if (!concerns(stream, kept))
            continue;
        /* One event alone may be larger than the limit: counted is what waited before it. */
        if (stream->waiting_bytes > ADMIN_WAITING_BYTES_MAX + stream->backlog_bytes)
            cut_off(stream);
        stream->waiting_bytes += length;
        wake(stream);
    }
}

void admin_hub_comment(struct admin_hub *hub)
{
    for (struct list *node = hub->streams.next; node != &hub->streams; node = node->next) {
        struct admin_stream *stream = container_of(node, struct admin_stream, node);
        if (!stream->suspended)
            continue; /* it has something to send */
        stream->comment_due = true;
        wake(stream);
    }
}

/* Chooses what is sent next. Returns false where there is nothing. */
static bool next_text(struct admin_stream *stream)
{
    struct admin_hub *hub = stream->hub;
    stream->offset = 0;
    for (; stream->next_id < hub->next_id; stream->next_id++) {
        const struct admin_event *event = event_at(hub, stream->next_id);
        if (!concerns(stream, event))
            continue;
        stream->text = event->text;
        stream->length = event->length;
        stream->is_event = true;
        return true;
    }
    if (!stream->comment_due)
        return false;
    stream->comment_due = false;
    stream->text = COMMENT;
    stream->length = strlen(COMMENT);
    return true;
}

static void text_sent(struct admin_stream *stream)
{
    if (stream->is_event) {
        check(stream->waiting_bytes >= stream->length);
        stream->waiting_bytes -= stream->length;
        stream->next_id++;
    }
    stream->is_event = false;
    stream->text = NULL;
}

static ssize_t read_stream(void *context, uint64_t position, char *buffer, size_t size)
{
    struct admin_stream *stream = context;
    size_t filled = 0;
    (void)position;
    if (stream->cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    while (filled < size && (stream->text != NULL || next_text(stream))) {
        size_t piece = stream->length - stream->offset;
        if (piece > size - filled)
            piece = size - filled;
        memcpy(buffer + filled, stream->text + stream->offset, piece);
        filled += piece;
        stream->offset += piece;
        if (stream->offset == stream->length)
            text_sent(stream);
    }
    if (filled == 0) {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    return (ssize_t)filled;
}

static void stream_free(void *context)
{
    struct admin_stream *stream = context;
    list_remove(&stream->node);
    stream->hub->stream_count--;
    free(stream->service);
    free(stream);
}

/* The first event after `text`: everything kept where it lies further back, what comes next where
 * it is no id of ours. */
static uint64_t resume_at(const struct admin_hub *hub, const char *text)
{
    uint64_t id = 0;
    if (text == NULL || slice_to_u64(slice_from_string(text), &id) < 0 || id >= hub->next_id)
        return hub->next_id;
    return id + 1 > hub->first_id ? id + 1 : hub->first_id;
}

struct MHD_Response *admin_stream_new(struct admin_hub *hub, struct MHD_Connection *connection,
                                      const char *service, const char *last_event_id)
{
    if (hub->stream_count >= ADMIN_STREAMS_MAX)
        return NULL;
    struct admin_stream *stream = memory_new(sizeof *stream);
    stream->hub = hub;
    stream->connection = connection;
    stream->service = memory_copy_string(service);
    stream->text = RETRY_LINE;
    stream->length = strlen(RETRY_LINE);
    stream->next_id = resume_at(hub, last_event_id);
    for (uint64_t id = stream->next_id; id < hub->next_id; id++) {
        const struct admin_event *event = event_at(hub, id);
        if (concerns(stream, event))
            stream->waiting_bytes += event->length;
    }
    stream->backlog_bytes = stream->waiting_bytes;
    list_append(&hub->streams, &stream->node);
    hub->stream_count++;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, stream_free);
    if (response == NULL)
        stream_free(stream);
    return response;
}
