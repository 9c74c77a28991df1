/* watch: what the daemon says about its services, on the screen as it changes. */
#include "api.h"
#include "base/clock.h"
#include "base/memory.h"
#include "command.h"
#include "follow.h"
#include "json.h"
#include "render.h"
#include "screen.h"
#include "stream.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_EVERY_MS  1000
#define PLAIN_COLUMNS 100
#define WATCHED_MAX   256

struct watched {
    struct cJSON *service;
    struct cJSON *samples[2]; /* as asked one and two rounds ago: rates are taken over these */
    uint64_t sample_ms[2];
    struct cJSON *rollout;
};

struct watch {
    const struct invocation *invocation;
    char *path; /* of the service, or of all */
    struct watched items[WATCHED_MAX];
    unsigned count;
    struct stream *stream;
    bool screen, lost;
    char why[256]; /* why it is lost */
};

static struct watched *find(struct watch *watch, const char *name)
{
    for (unsigned i = 0; i < watch->count; i++)
        if (strcmp(json_text(watch->items[i].service, "name"), name) == 0)
            return &watch->items[i];
    return NULL;
}

/* Takes over `service`. */
static struct watched *take_service(struct watch *watch, struct cJSON *service)
{
    struct watched *item = find(watch, json_text(service, "name"));
    if (item == NULL) {
        if (watch->count == WATCHED_MAX) {
            cJSON_Delete(service);
            return NULL;
        }
        item = &watch->items[watch->count++];
    }
    cJSON_Delete(item->service);
    item->service = service;
    return item;
}

static void take_sample(struct watched *item)
{
    cJSON_Delete(item->samples[0]);
    item->samples[0] = item->samples[1];
    item->sample_ms[0] = item->sample_ms[1];
    item->samples[1] = cJSON_Duplicate(item->service, 1);
    item->sample_ms[1] = clock_ms();
}

/* The rollout in progress, where another one than we have is. */
static void ask_rollout(struct watch *watch, struct watched *item, bool again)
{
    struct api_reply reply;
    const char *id = json_text(item->service, "rollout");
    if (id[0] == '\0' || (!again && strcmp(id, json_text(item->rollout, "id")) == 0))
        return;
    char *escaped = api_escape(id);
    char *path = memory_format("/v1/rollouts/%s", escaped);
    if (api_request(watch->invocation->admin, "GET", path, NULL, &reply) && reply.json != NULL) {
        cJSON_Delete(item->rollout);
        item->rollout = reply.json;
        reply.json = NULL;
    }
    api_reply_done(&reply);
    free(path);
    free(escaped);
}

/* Asks for all that is shown. Returns the reply's exit code; `say`: complains. */
static enum exit_code ask(struct watch *watch, bool say, bool again)
{
    struct api_reply reply;
    const char *admin = watch->invocation->admin;
    bool answered = say ? api_ask(watch->invocation, "GET", watch->path, NULL, &reply)
                        : api_request(admin, "GET", watch->path, NULL, &reply);
    enum exit_code code = api_exit_code(&reply);
    struct cJSON *services = cJSON_GetObjectItemCaseSensitive(reply.json, "services");
    if (answered && services != NULL) {
        struct cJSON *service;
        while ((service = cJSON_DetachItemFromArray(services, 0)) != NULL)
            take_service(watch, service);
    } else if (answered && reply.json != NULL) {
        take_service(watch, reply.json);
        reply.json = NULL;
    } else if (reply.status == 0) {
        snprintf(watch->why, sizeof watch->why, "%s", reply.why);
    }
    for (unsigned i = 0; answered && i < watch->count; i++) {
        take_sample(&watch->items[i]);
        ask_rollout(watch, &watch->items[i], again);
    }
    watch->lost = reply.status == 0;
    api_reply_done(&reply);
    return code;
}

static void take_event(struct watch *watch, struct stream_event *event)
{
    if (strcmp(event->name, "service") == 0) {
        struct watched *item = take_service(watch, event->data);
        event->data = NULL;
        if (item != NULL)
            ask_rollout(watch, item, false);
    } else if (strncmp(event->name, "rollout_", 8) == 0) {
        struct watched *item = find(watch, json_text(event->data, "service"));
        if (item != NULL) {
            cJSON_Delete(item->rollout);
            item->rollout = event->data;
            event->data = NULL;
        }
    }
    stream_event_done(event);
}

static void render(const struct watch *watch, size_t columns, struct lines *lines)
{
    for (unsigned i = 0; i < watch->count; i++) {
        const struct watched *item = &watch->items[i];
        struct picture picture = {
            .service = item->service,
            .before = item->samples[0],
            .elapsed_ms = (double)(clock_ms() - item->sample_ms[0]),
            .rollout = item->rollout,
        };
        if (i > 0)
            lines_add(lines, "%s", "");
        render_service(&picture, columns, lines);
    }
}

static void show(const struct watch *watch)
{
    struct lines lines = {0};
    char status[400];
    if (watch->screen) {
        render(watch, screen_columns(), &lines);
        if (watch->lost)
            snprintf(status, sizeof status, BAD "no daemon: %s; connecting again" PLAIN "  q quits",
                     watch->why);
        else
            snprintf(status, sizeof status, DIM "q quits, up and down scroll" PLAIN);
        screen_draw(&lines, status);
    } else if (watch->invocation->json) {
        for (unsigned i = 0; i < watch->count; i++)
            json_print(watch->items[i].service);
    } else {
        render(watch, PLAIN_COLUMNS, &lines);
        if (watch->lost)
            lines_add(&lines, "no daemon: %s; connecting again", watch->why);
        lines_add(&lines, "%s", "");
        lines_print(&lines, stdout, watch->invocation->colour);
    }
    lines_done(&lines);
}

/* Returns whether to go on. */
static bool on_readable(struct watch *watch, int signals)
{
    int number = follow_signal(signals);
    if (number == SIGINT || number == SIGTERM)
        return false;
    if (number == SIGWINCH && watch->screen)
        screen_resize();
    if (watch->screen && screen_keys())
        return false;
    if (watch->screen)
        show(watch);
    return true;
}

static void watch_loop(struct watch *watch, int signals)
{
    const int fds[2] = {signals, watch->screen ? STDIN_FILENO : -1};
    uint64_t asked_ms = clock_ms();
    stream_connect(watch->stream);
    show(watch);
    for (;;) {
        struct stream_event event;
        uint64_t now = clock_ms();
        if (now - asked_ms >= ASK_EVERY_MS) {
            asked_ms = now;
            if (watch->lost)
                stream_connect(watch->stream);
            ask(watch, false, watch->lost);
            show(watch);
        }
        int left = (int)(asked_ms + ASK_EVERY_MS > now ? asked_ms + ASK_EVERY_MS - now : 0);
        switch (stream_next(watch->stream, fds, left, &event)) {
        case STREAM_EVENT:
            take_event(watch, &event);
            if (watch->screen)
                show(watch);
            break;
        case STREAM_OPENED:
            ask(watch, false, true);
            break;
        case STREAM_LOST:
            watch->lost = true;
            snprintf(watch->why, sizeof watch->why, "%s", stream_why(watch->stream));
            if (watch->screen)
                show(watch);
            break;
        case STREAM_READABLE:
            if (!on_readable(watch, signals))
                return;
            break;
        case STREAM_TIMEOUT:
            break;
        }
    }
}

static void watch_done(struct watch *watch)
{
    for (unsigned i = 0; i < watch->count; i++) {
        cJSON_Delete(watch->items[i].service);
        cJSON_Delete(watch->items[i].samples[0]);
        cJSON_Delete(watch->items[i].samples[1]);
        cJSON_Delete(watch->items[i].rollout);
    }
    stream_close(watch->stream);
    free(watch->path);
    free(watch);
}

enum exit_code command_watch(const struct invocation *invocation)
{
    struct watch *watch = memory_new(sizeof *watch);
    const char *name = invocation->arguments[0];
    char *escaped = name != NULL ? api_escape(name) : NULL;
    watch->invocation = invocation;
    watch->path =
        memory_format("/v1/services%s%s", name != NULL ? "/" : "", name != NULL ? escaped : "");
    free(escaped);
    enum exit_code code = ask(watch, true, true);
    if (code != DONE || invocation_option(invocation, "once") != NULL) {
        if (code == DONE)
            show(watch);
        watch_done(watch);
        return code;
    }
    watch->stream = stream_open(invocation->admin, name);
    int signals = follow_signals();
    bool terminal = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !invocation->json;
    watch->screen = terminal && screen_open();
    if (watch->stream != NULL)
        watch_loop(watch, signals);
    screen_close();
    if (signals >= 0)
        close(signals);
    watch_done(watch);
    return DONE;
}
