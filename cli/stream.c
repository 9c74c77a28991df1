#include "stream.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "sse.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_SECONDS 40L /* the daemon says something every 15 s */

struct queued {
    struct list node;
    struct stream_event event;
};

struct stream {
    char *admin, *service;
    CURLM *multi;
    CURL *easy; /* NULL: not connected */
    struct curl_slist *headers;
    struct sse sse;
    struct list queue;
    bool opened, opened_told;
    bool lost_told;
    char why[CURL_ERROR_SIZE];
};

static void on_event(void *context, const char *event, const char *data)
{
    struct stream *stream = context;
    struct cJSON *json = cJSON_Parse(data);
    if (json == NULL)
        return; /* of a newer daemon, perhaps; nothing that we know */
    struct queued *queued = memory_new(sizeof *queued);
    queued->event = (struct stream_event){memory_copy_string(event), json};
    list_append(&stream->queue, &queued->node);
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct stream *stream = context;
    long status = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return size * count;
    stream->opened = true;
    return sse_feed(&stream->sse, data, size * count) ? size * count : 0;
}

struct stream *stream_open(const char *admin, const char *service)
{
    CURLM *multi = curl_multi_init();
    if (multi == NULL)
        return NULL;
    struct stream *stream = memory_new(sizeof *stream);
    stream->multi = multi;
    stream->admin = memory_copy_string(admin);
    stream->service = memory_copy_string(service);
    stream->sse.on_event = on_event;
    stream->sse.context = stream;
    list_init(&stream->queue);
    return stream;
}

static void disconnect(struct stream *stream)
{
    if (stream->easy == NULL)
        return;
    curl_multi_remove_handle(stream->multi, stream->easy);
    curl_easy_cleanup(stream->easy);
    curl_slist_free_all(stream->headers);
    stream->easy = NULL;
    stream->headers = NULL;
}

static bool pop(struct stream *stream, struct stream_event *ret_event)
{
    if (list_is_empty(&stream->queue))
        return false;
    struct list *first = stream->queue.next;
    stream->queue.next = first->next;
    first->next->prev = &stream->queue;
    struct queued *queued = container_of(first, struct queued, node);
    *ret_event = queued->event;
    free(queued);
    return true;
}

void stream_event_done(struct stream_event *event)
{
    free(event->name);
    cJSON_Delete(event->data);
    *event = (struct stream_event){0};
}

void stream_close(struct stream *stream)
{
    struct stream_event event;
    if (stream == NULL)
        return;
    while (pop(stream, &event))
        stream_event_done(&event);
    disconnect(stream);
    curl_multi_cleanup(stream->multi);
    sse_done(&stream->sse);
    free(stream->admin);
    free(stream->service);
    free(stream);
}

static char *make_url(const struct stream *stream)
{
    if (stream->service == NULL)
        return memory_copy_string("http://sluice/v1/events");
    char *escaped = curl_easy_escape(NULL, stream->service, 0);
    char *url = memory_format("http://sluice/v1/events?service=%s", escaped);
    curl_free(escaped);
    return url;
}

void stream_connect(struct stream *stream)
{
    disconnect(stream);
    sse_restart(&stream->sse);
    stream->opened = stream->opened_told = stream->lost_told = false;
    stream->why[0] = '\0';
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return;
    stream->easy = easy;
    if (stream->sse.last_id != NULL) {
        char *header = memory_format("Last-Event-ID: %s", stream->sse.last_id);
        stream->headers = curl_slist_append(NULL, header);
        free(header);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, stream->headers);
    }
    char *url = make_url(stream);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    free(url);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, stream->admin);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, stream->why);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SILENCE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
    curl_multi_add_handle(stream->multi, easy);
}

/* Lets libcurl work; ends the connection where it says so. */
static void work(struct stream *stream)
{
    int running = 0, left = 0;
    const CURLMsg *message;
    curl_multi_perform(stream->multi, &running);
    while ((message = curl_multi_info_read(stream->multi, &left)) != NULL) {
        long status = 0;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
        if (message->data.result == CURLE_OK && status != 200)
            snprintf(stream->why, sizeof stream->why, "the daemon answered with status %ld",
                     status);
        else if (stream->why[0] == '\0')
            snprintf(stream->why, sizeof stream->why, "the daemon closed the stream");
        disconnect(stream);
        return;
    }
}

/* What can be told without waiting; STREAM_TIMEOUT: nothing. */
static enum stream_result tell(struct stream *stream, struct stream_event *ret_event)
{
    if (stream->opened && !stream->opened_told) {
        stream->opened_told = true;
        return STREAM_OPENED;
    }
    if (pop(stream, ret_event))
        return STREAM_EVENT;
    if (stream->easy == NULL && !stream->lost_told) {
        stream->lost_told = true;
        return STREAM_LOST;
    }
    return STREAM_TIMEOUT;
}

enum stream_result stream_next(struct stream *stream, const int fds[2], int timeout_ms,
                               struct stream_event *ret_event)
{
    uint64_t deadline = clock_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    for (;;) {
        struct curl_waitfd waits[2];
        unsigned wait_count = 0;
        work(stream);
        enum stream_result result = tell(stream, ret_event);
        if (result != STREAM_TIMEOUT)
            return result;
        uint64_t now = clock_ms();
        for (unsigned i = 0; i < 2; i++)
            if (fds[i] >= 0)
                waits[wait_count++] = (struct curl_waitfd){fds[i], CURL_WAIT_POLLIN, 0};
        int ready = 0;
        curl_multi_poll(stream->multi, waits, wait_count,
                        deadline > now ? (int)(deadline - now) : 0, &ready);
        for (unsigned i = 0; i < wait_count; i++)
            if (waits[i].revents != 0)
                return STREAM_READABLE;
        if (ready == 0 && clock_ms() >= deadline)
            return STREAM_TIMEOUT;
    }
}

const char *stream_why(const struct stream *stream)
{
    return stream->why;
}
