#include "pull.h"

#include "base/memory.h"
#include "follow.h"
#include "json.h"

#include <sys/ioctl.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY_MS 300 /* what is answered sooner shows nothing */
#define TENTH         10.

struct shown {
    const struct invocation *invocation;
    bool live; /* on a terminal: one line that is written over */
    bool pulled;
    char state[32];
    double attempt, tenth;
};

static size_t columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

static void line_clear(const struct shown *shown)
{
    if (shown->live && shown->pulled) {
        fputs("\r\033[K", stdout);
        fflush(stdout);
    }
}

static void line_show(struct shown *shown, const struct cJSON *pull)
{
    char line[PULL_LINE_BYTES];
    struct lines lines = {0};
    const char *state = json_text(pull, "state");
    double attempt = json_number(pull, "attempt");
    double tenth = (double)(int)(json_number(pull, "percent") / TENTH);
    bool is_news =
        strcmp(shown->state, state) != 0 || attempt > shown->attempt || tenth > shown->tenth;
    line_clear(shown);
    shown->pulled = true;
    if (shown->invocation->json || (!shown->live && !is_news))
        return;
    snprintf(shown->state, sizeof shown->state, "%s", state);
    shown->attempt = attempt;
    shown->tenth = tenth;
    lines_add(&lines, "pulling %s", pull_line(pull, line)); /* takes its control bytes away */
    if (shown->live)
        printf("%.*s", (int)text_fit(lines.items[0], columns() - 1), lines.items[0]);
    else
        lines_print(&lines, stdout, false);
    fflush(stdout);
    lines_done(&lines);
}

static void look(struct shown *shown, const char *path)
{
    struct api_reply reply;
    const struct cJSON *pull = NULL;
    if (api_request(shown->invocation->admin, "GET", path, NULL, &reply))
        pull = json_get(reply.json, "pull");
    if (cJSON_IsObject(pull))
        line_show(shown, pull);
    api_reply_done(&reply);
}

/* Returns whether the answer has come; else it was Ctrl-C. */
static bool wait_for_answer(struct api_pending *pending, struct shown *shown, const char *path)
{
    int signals = follow_signals();
    bool answered = false, interrupted = false;
    while (!answered && !interrupted) {
        switch (api_wait(pending, signals, LOOK_EVERY_MS)) {
        case API_ANSWERED:
            answered = true;
            break;
        case API_READABLE:
            interrupted = follow_signal(signals) != SIGWINCH;
            break;
        case API_TIMEOUT:
            look(shown, path);
            break;
        }
    }
    line_clear(shown);
    if (signals >= 0)
        close(signals);
    return answered;
}

static enum exit_code say_refusal(const struct shown *shown, const char *path,
                                  struct api_reply *reply)
{
    if (reply->status == 0 && shown->pulled)
        return complain(UNREACHABLE,
                        "the daemon ended while the image was pulled; no rollout was begun and "
                        "nothing was changed: try again");
    if (reply->status >= 200 && reply->status < 300)
        return complain(FAILED,
                        "the daemon's answer to %s is not JSON; is %s really sluice's socket?",
                        path, shown->invocation->admin);
    api_complain(shown->invocation, path, reply);
    return api_exit_code(reply);
}

bool pull_ask(const struct invocation *invocation, const char *service, const char *path,
              const struct cJSON *body, struct api_reply *ret_reply, enum exit_code *ret_code)
{
    struct shown shown = {.invocation = invocation,
                          .live = isatty(STDOUT_FILENO) && !invocation->json};
    struct api_pending *pending = api_begin(invocation->admin, "POST", path, body);
    char *escaped = api_escape(service);
    char *service_path = memory_format("/v1/services/%s", escaped);
    bool answered = pending != NULL && wait_for_answer(pending, &shown, service_path);
    *ret_reply = (struct api_reply){0};
    if (answered)
        api_end(pending, ret_reply);
    else
        api_end(pending, NULL);
    free(service_path);
    free(escaped);
    bool accepted = ret_reply->status >= 200 && ret_reply->status < 300 && ret_reply->json != NULL;
    if (pending == NULL)
        *ret_code = complain(FAILED, "libcurl cannot be set up");
    else if (!answered)
        *ret_code = complain((enum exit_code)DETACHED,
                             "stopped waiting; the pull goes on, and the rollout after it. "
                             "`sluice watch %s` shows it, `sluice abort %s` ends it",
                             service, service);
    else if (accepted)
        *ret_code = DONE;
    else
        *ret_code = say_refusal(&shown, path, ret_reply);
    return accepted;
}
