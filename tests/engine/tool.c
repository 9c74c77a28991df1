/* sluice-engine-tool: the engine client and container_recreate() driven by hand and by the tests
 * beside this file. Each subcommand makes its calls, prints one JSON line per answer and ends:
 * 0 done, 1 an error (named on stderr), 2 usage.
 *
 *     sluice-engine-tool HOST COMMAND [ARGUMENT ...]      (TOOL_CERT_PATH: folder for TLS)
 *
 * Not installed. */
#include "base/memory.h"
#include "updater/container.h"
#include "updater/credentials.h"
#include "updater/engine.h"
#include "updater/engine_text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tool {
    struct ev_loop *loop;
    struct engine *engine;
    const char *const *arguments;
    int exit_code;
    unsigned events;    /* to wait for */
    unsigned cancelled; /* calls */
    ev_timer later;
    cJSON *answer; /* of the last call of ask(); NULL: none */
    int error;
    char *message;
    char *auth; /* X-Registry-Auth */
};

static void tell(const cJSON *json)
{
    char *text = json != NULL ? cJSON_PrintUnformatted(json) : NULL;

    printf("%s\n", text != NULL ? text : "null");
    fflush(stdout);
    cJSON_free(text);
}

static void on_answer(void *context, const struct engine_reply *reply)
{
    struct tool *tool = context;

    cJSON_Delete(tool->answer);
    free(tool->message);
    tool->answer = cJSON_Duplicate(reply->json, true);
    tool->error = reply->error;
    tool->message = memory_copy_string(reply->message);
    if (reply->error != 0) {
        fprintf(stderr, "error=%s status=%u passing=%d message=%s\n",
                strerrorname_np(-reply->error), reply->status, engine_error_is_passing(reply),
                reply->message);
        tool->exit_code = 1;
    }
    ev_break(tool->loop, EVBREAK_ONE);
}

/* Runs the loop until the call just made has been answered. Returns its JSON, for the caller to
 * free; NULL on an error or where there is none. */
static cJSON *wait_for_answer(struct tool *tool)
{
    ev_run(tool->loop, 0);
    cJSON *answer = tool->answer;
    tool->answer = NULL;
    return answer;
}

static int to_number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

/* --- commands ------------------------------------------------------------------------------- */

static void tell_answer(struct tool *tool)
{
    cJSON *answer = wait_for_answer(tool);

    if (tool->error == 0)
        tell(answer);
    cJSON_Delete(answer);
}

static void run_ping(struct tool *tool)
{
    engine_ping(tool->engine, on_answer, tool);
    tell_answer(tool);
    fprintf(stderr, "api=%s\n", engine_api_version(tool->engine));
}

static void run_list(struct tool *tool)
{
    engine_list(tool->engine, tool->arguments, on_answer, tool);
    tell_answer(tool);
}

static void run_inspect(struct tool *tool)
{
    engine_inspect(tool->engine, tool->arguments[0], on_answer, tool);
    tell_answer(tool);
}

static void run_image(struct tool *tool)
{
    engine_image_inspect(tool->engine, tool->arguments[0], on_answer, tool);
    tell_answer(tool);
}

static void run_create(struct tool *tool)
{
    cJSON *config = cJSON_Parse(tool->arguments[1]);

    engine_create(tool->engine, tool->arguments[0], config, on_answer, tool);
    tell_answer(tool);
    cJSON_Delete(config);
}

static void run_start(struct tool *tool)
{
    engine_start(tool->engine, tool->arguments[0], on_answer, tool);
    tell_answer(tool);
}

static void run_stop(struct tool *tool)
{
    engine_stop(tool->engine, tool->arguments[0], to_number(tool->arguments[1]), on_answer, tool);
    tell_answer(tool);
}

static void run_kill(struct tool *tool)
{
    engine_kill(tool->engine, tool->arguments[0], tool->arguments[1], on_answer, tool);
    tell_answer(tool);
}

static void run_remove(struct tool *tool)
{
    engine_remove(tool->engine, tool->arguments[0], true, false, on_answer, tool);
    tell_answer(tool);
}

static void run_rename(struct tool *tool)
{
    engine_rename(tool->engine, tool->arguments[0], tool->arguments[1], on_answer, tool);
    tell_answer(tool);
}

static void on_progress(void *context, const cJSON *object)
{
    (void)context;
    tell(object);
}

static void on_credentials(void *context, int error, const char *auth, const char *message)
{
    struct tool *tool = context;

    tool->auth = memory_copy_string(auth);
    if (error != 0) {
        fprintf(stderr, "error=%s message=%s\n", strerrorname_np(-error), message);
        tool->exit_code = 1;
    }
    ev_break(tool->loop, EVBREAK_ONE);
}

static void run_pull(struct tool *tool)
{
    struct engine_reference parts = {0};

    if (engine_reference_parse(tool->arguments[0], &parts) == 0) {
        credentials_ask(tool->loop, parts.registry, on_credentials, tool);
        ev_run(tool->loop, 0);
    } else {
        tool->auth = NULL;
    }
    engine_reference_done(&parts);
    if (tool->exit_code != 0)
        return;
    engine_pull(tool->engine, &(struct engine_pull_options){.reference = tool->arguments[0],
                                                            .auth = tool->auth,
                                                            .on_progress = on_progress,
                                                            .done = on_answer,
                                                            .context = tool});
    tell_answer(tool);
    free(tool->auth);
}

/* --- events --------------------------------------------------------------------------------- */

static void tell_event(const char *what, const char *detail, const char *id)
{
    printf("%s %s %s\n", what, detail, id);
    fflush(stdout);
}

static void on_event(void *context, const char *action, const char *id, const cJSON *event)
{
    struct tool *tool = context;

    (void)event;
    tell_event("event", action, id);
    if (tool->events > 0 && --tool->events == 0)
        ev_break(tool->loop, EVBREAK_ONE);
}

static void on_gap(void *context)
{
    (void)context;
    tell_event("gap", "-", "-");
}

static void on_lost(void *context, const char *message)
{
    (void)context;
    tell_event("lost", message, "-");
}

/* events COUNT: follows until so many have come. */
static void run_events(struct tool *tool)
{
    tool->events = (unsigned)to_number(tool->arguments[0]);
    engine_follow(tool->engine, &(struct engine_event_handlers){on_event, on_gap, on_lost, tool});
    ev_run(tool->loop, 0);
}

/* lists COUNT: asks for the list so often, each time but the first when a byte is read. */
static void run_lists(struct tool *tool)
{
    static const char *const none[] = {NULL};
    int count = to_number(tool->arguments[0]);

    for (int i = 0; i < count; i++) {
        engine_list(tool->engine, none, on_answer, tool);
        cJSON_Delete(wait_for_answer(tool));
        printf("%s %s\n", tool->error == 0 ? "ok" : strerrorname_np(-tool->error),
               engine_api_version(tool->engine));
        fflush(stdout);
        if (getchar() == EOF)
            break;
    }
}

/* --- closing -------------------------------------------------------------------------------- */

static void on_later(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ONE);
}

static void on_counted(void *context, const struct engine_reply *reply)
{
    struct tool *tool = context;

    if (reply->error == -ECANCELED)
        tool->cancelled++;
    else
        printf("error=%s\n", strerrorname_np(-reply->error));
    if (tool->cancelled == 1) /* a call that is made while the engine is closed */
        engine_inspect(tool->engine, "late", on_counted, tool);
}

/* close [wait]: closes with one call of each kind in flight, either at once or after the engine has
 * been sent some, and prints how many were told so. */
static void run_close(struct tool *tool)
{
    static const char *const none[] = {NULL};

    engine_ping(tool->engine, on_counted, tool);
    engine_list(tool->engine, none, on_counted, tool);
    engine_stop(tool->engine, "x", -1, on_counted, tool);
    engine_remove(tool->engine, "x", true, true, on_counted, tool);
    engine_pull(tool->engine, &(struct engine_pull_options){.reference = "x:v1",
                                                            .on_progress = on_progress,
                                                            .done = on_counted,
                                                            .context = tool});
    engine_inspect(tool->engine, "", on_counted, tool);
    engine_follow(tool->engine, &(struct engine_event_handlers){on_event, on_gap, on_lost, tool});
    if (tool->arguments[0] != NULL) {
        ev_timer_init(&tool->later, on_later, 0.5, 0.);
        ev_timer_start(tool->loop, &tool->later);
        ev_run(tool->loop, 0);
    }
    engine_close(tool->engine);
    tool->engine = NULL;
    printf("cancelled %u\n", tool->cancelled);
}

/* --- recreate ------------------------------------------------------------------------------- */

static cJSON *ask_inspect(struct tool *tool, const char *id)
{
    engine_inspect(tool->engine, id, on_answer, tool);
    return wait_for_answer(tool);
}

static cJSON *ask_image(struct tool *tool, const char *reference)
{
    engine_image_inspect(tool->engine, reference, on_answer, tool);
    return wait_for_answer(tool);
}

static char *create_and_connect(struct tool *tool, const char *name, const cJSON *create,
                                const cJSON *connects)
{
    const cJSON *endpoint;

    engine_create(tool->engine, name, create, on_answer, tool);
    cJSON *created = wait_for_answer(tool);
    char *id =
        memory_copy_string(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(created, "Id")));
    cJSON_Delete(created);
    if (id == NULL)
        return NULL;
    cJSON_ArrayForEach(endpoint, connects)
    {
        engine_network_connect(tool->engine, endpoint->string, id, endpoint, on_answer, tool);
        cJSON_Delete(wait_for_answer(tool));
    }
    engine_start(tool->engine, id, on_answer, tool);
    cJSON_Delete(wait_for_answer(tool));
    return id;
}

/* recreate ID IMAGE NAME: makes, connects and starts a container like ID of IMAGE, and prints its
 * id and the difference. */
static void run_recreate(struct tool *tool)
{
    cJSON *old = ask_inspect(tool, tool->arguments[0]);
    const char *old_image_id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(old, "Image"));
    cJSON *old_image = old_image_id != NULL ? ask_image(tool, old_image_id) : NULL;
    cJSON *labels = cJSON_Parse("{\"" LABEL_ROLLOUT "\": \"r1\", \"" LABEL_GROUP "\": \"canary\"}");
    cJSON *create = NULL, *connects = NULL, *new = NULL, *new_image = NULL;
    char *id = NULL, *difference = NULL;
    char why[256];

    if (old == NULL || old_image == NULL)
        goto out;
    /* It is started beside the old one here, which is the caller's to allow. */
    if (container_beside(old, why) < 0 ||
        container_recreate(old, old_image, tool->arguments[1], labels,
                           engine_api_version(tool->engine), &create, &connects, why) < 0) {
        fprintf(stderr, "refused: %s\n", why);
        tool->exit_code = 3;
        goto out;
    }
    id = create_and_connect(tool, tool->arguments[2], create, connects);
    if (id == NULL)
        goto out;
    new = ask_inspect(tool, id);
    new_image = ask_image(tool, tool->arguments[1]);
    difference = container_difference(old, old_image, NULL, new, new_image);
    printf("id %s\n%s", id, difference != NULL ? difference : "");
out:
    free(id);
    free(difference);
    cJSON_Delete(old);
    cJSON_Delete(old_image);
    cJSON_Delete(labels);
    cJSON_Delete(create);
    cJSON_Delete(connects);
    cJSON_Delete(new);
    cJSON_Delete(new_image);
}

/* difference OLD NEW: what recreate prints, for two containers that are there. */
static void run_difference(struct tool *tool)
{
    cJSON *containers[2], *images[2];
    char *difference;

    for (int i = 0; i < 2; i++) {
        containers[i] = ask_inspect(tool, tool->arguments[i]);
        images[i] = ask_image(
            tool, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(containers[i], "Image")));
    }
    difference = container_difference(containers[0], images[0], NULL, containers[1], images[1]);
    printf("%s", difference != NULL ? difference : "");
    free(difference);
    for (int i = 0; i < 2; i++) {
        cJSON_Delete(containers[i]);
        cJSON_Delete(images[i]);
    }
}

static const struct command {
    const char *name;
    int arguments; /* at least */
    void (*run)(struct tool *tool);
} commands[] = {
    {"ping", 0, run_ping},       {"list", 0, run_list},
    {"inspect", 1, run_inspect}, {"image", 1, run_image},
    {"create", 2, run_create},   {"start", 1, run_start},
    {"stop", 2, run_stop},       {"kill", 2, run_kill},
    {"remove", 1, run_remove},   {"rename", 2, run_rename},
    {"pull", 1, run_pull},       {"events", 1, run_events},
    {"lists", 1, run_lists},     {"recreate", 3, run_recreate},
    {"close", 0, run_close},     {"difference", 2, run_difference},
};

int main(int count, char **arguments)
{
    struct tool tool = {.loop = ev_loop_new(0), .arguments = (const char *const *)arguments + 3};

    for (size_t i = 0; count >= 3 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(arguments[2], commands[i].name) != 0 || count - 3 < commands[i].arguments)
            continue;
        if (engine_open(tool.loop, arguments[1], getenv("TOOL_CERT_PATH"), &tool.engine) < 0) {
            fprintf(stderr, "no engine's address: %s\n", arguments[1]);
            return 2;
        }
        commands[i].run(&tool);
        engine_close(tool.engine);
        cJSON_Delete(tool.answer);
        free(tool.message);
        return tool.exit_code;
    }
    fprintf(stderr, "usage: sluice-engine-tool HOST COMMAND [ARGUMENT ...]\n");
    return 2;
}
