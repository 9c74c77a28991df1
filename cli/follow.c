#include "follow.h"

#include "api.h"
#include "base/clock.h"
#include "base/memory.h"
#include "facts.h"
#include "json.h"
#include "record.h"
#include "stream.h"
#include "text.h"

#include <sys/signalfd.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOST_MAX_MS 60000 /* an updater that was killed is back long before */
#define RETRY_MS    500

struct follow {
    const struct invocation *invocation;
    char *id, *path, *service;
    struct facts facts;
    struct stream *stream;
    struct cJSON *rollout; /* as last seen */
    uint64_t lost_ms;      /* clock_ms() since when there is no connection; 0: there is one */
};

int follow_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int follow_signal(int fd)
{
    struct signalfd_siginfo information;
    if (fd < 0 || read(fd, &information, sizeof information) != (ssize_t)sizeof information)
        return 0;
    return (int)information.ssi_signo;
}

/* Prints the lines after the time and the weight, and empties them. */
static void print_facts(const struct follow *follow, struct lines *lines)
{
    struct lines out = {0};
    char time_text[TEXT_BYTES], weight[TEXT_BYTES];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(time_text, sizeof time_text, "%H:%M:%S", &local);
    for (size_t i = 0; i < lines->count; i++)
        lines_add(&out, DIM "%s" PLAIN "  %6s  %s", time_text,
                  text_weight(follow->facts.weight, weight), lines->items[i]);
    if (!follow->invocation->json)
        lines_print(&out, stdout, follow->invocation->colour);
    lines_done(&out);
    lines_done(lines);
}

/* Takes over `rollout`. */
static void take_rollout(struct follow *follow, struct cJSON *rollout)
{
    struct lines lines = {0};
    cJSON_Delete(follow->rollout);
    follow->rollout = rollout;
    facts_rollout(&follow->facts, rollout, &lines);
    print_facts(follow, &lines);
}

/* Returns false where the daemon does not know the rollout (any more). */
static bool ask_rollout(struct follow *follow)
{
    struct api_reply reply;
    if (api_request(follow->invocation->admin, "GET", follow->path, NULL, &reply) &&
        reply.json != NULL) {
        take_rollout(follow, reply.json);
        reply.json = NULL;
    }
    bool known = reply.status != 404;
    api_reply_done(&reply);
    return known;
}

static void take_event(struct follow *follow, struct stream_event *event)
{
    struct lines lines = {0};
    if (strncmp(event->name, "rollout_", 8) == 0) {
        if (strcmp(json_text(event->data, "id"), follow->id) == 0) {
            take_rollout(follow, event->data);
            event->data = NULL;
        }
    } else {
        const char *rollout = json_text(event->data, "rollout");
        if (strcmp(event->name, "service") == 0 || rollout[0] == '\0' ||
            strcmp(rollout, follow->id) == 0)
            facts_event(&follow->facts, event->name, event->data, &lines);
    }
    print_facts(follow, &lines);
    stream_event_done(event);
}

static enum exit_code end_code(const struct follow *follow)
{
    const char *state = json_text(follow->rollout, "state");
    if (strcmp(state, "completed") == 0)
        return DONE;
    return strcmp(state, "aborted") == 0 ? ABORTED : FAILED;
}

static enum exit_code say_end(const struct follow *follow)
{
    struct lines lines = {0};
    if (follow->invocation->json) {
        json_print(follow->rollout);
        return end_code(follow);
    }
    lines_add(&lines, "%s", "");
    record_summary(follow->rollout, &lines);
    lines_print(&lines, stdout, follow->invocation->colour);
    lines_done(&lines);
    return end_code(follow);
}

static enum exit_code say_detached(const struct follow *follow)
{
    return complain((enum exit_code)DETACHED,
                    "stopped following; the rollout goes on. `sluice watch %s` shows it, `sluice "
                    "pause|promote|abort %s` steers it",
                    follow->service, follow->service);
}

/* No connection: once said, then tried again. Returns false where that took too long. */
static bool handle_lost(struct follow *follow, enum stream_result result)
{
    uint64_t now = clock_ms();
    if (follow->lost_ms == 0 && result == STREAM_TIMEOUT)
        return true; /* it is connected: the stream itself ends when it is silent for too long */
    if (follow->lost_ms == 0) {
        follow->lost_ms = now;
        complain(UNREACHABLE,
                 "lost the daemon (%s); the rollout goes on by itself, connecting again",
                 stream_why(follow->stream));
    }
    if (now - follow->lost_ms >= LOST_MAX_MS)
        return false;
    if (result == STREAM_TIMEOUT)
        stream_connect(follow->stream);
    return true;
}

static enum exit_code follow_loop(struct follow *follow, int signals)
{
    const int fds[2] = {signals, -1};
    stream_connect(follow->stream);
    for (;;) {
        struct stream_event event;
        if (facts_is_end(json_text(follow->rollout, "state")))
            return say_end(follow);
        enum stream_result result =
            stream_next(follow->stream, fds, follow->lost_ms != 0 ? RETRY_MS : 60000, &event);
        switch (result) {
        case STREAM_EVENT:
            take_event(follow, &event);
            break;
        case STREAM_OPENED:
            follow->lost_ms = 0;
            if (!ask_rollout(follow))
                return complain(FAILED,
                                "the daemon does not know rollout %s any more; `sluice "
                                "history %s` lists what it knows",
                                follow->id, follow->service);
            break;
        case STREAM_READABLE:
            if (follow_signal(signals) != SIGWINCH)
                return say_detached(follow);
            break;
        case STREAM_TIMEOUT:
        case STREAM_LOST:
            if (!handle_lost(follow, result))
                return api_complain_unreachable(follow->invocation, stream_why(follow->stream));
            break;
        }
    }
}

enum exit_code follow_rollout(const struct invocation *invocation, const struct cJSON *rollout)
{
    struct follow follow = {
        .invocation = invocation,
        .id = memory_copy_string(json_text(rollout, "id")),
        .service = memory_copy_string(json_text(rollout, "service")),
    };
    follow.path = memory_format("/v1/rollouts/%s", follow.id);
    follow.stream = stream_open(invocation->admin, follow.service);
    facts_init(&follow.facts);
    int signals = follow_signals();
    enum exit_code code = UNREACHABLE;
    if (follow.stream != NULL) {
        take_rollout(&follow, cJSON_Duplicate(rollout, 1));
        code = follow_loop(&follow, signals);
    }
    if (signals >= 0)
        close(signals);
    stream_close(follow.stream);
    facts_done(&follow.facts);
    cJSON_Delete(follow.rollout);
    free(follow.path);
    free(follow.service);
    free(follow.id);
    return code;
}
