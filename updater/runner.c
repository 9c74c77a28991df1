#include "runner.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/script.h"
#include "base/timer.h"
#include "updater.h"

#include <sys/wait.h>

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLES_MAX 48u
#define COMMAND_PATH  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct run {
    struct updater *updater;
    struct script *script;
    struct timer timeout;
    uint32_t timeout_ms;
    bool told_to_end, is_late;
    void (*on_end)(void *context, const struct run_end *end);
    void *context;
};

bool runner_is_needed(const struct config *config)
{
    for (size_t i = 0; i < config->notify_count; i++) {
        if (config->notify[i].command)
            return true;
    }
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_rollout *rollout = &config->services[i].rollout;

        for (size_t k = 0; k < rollout->task_count; k++) {
            if (rollout->tasks[k].kind == TASK_COMMAND)
                return true;
        }
    }
    return false;
}

int runner_open(struct updater *updater)
{
    const struct passwd *entry;

    list_init(&updater->commands);
    updater->command_user = (struct script_user){.is_set = false};
    if (geteuid() != 0)
        return 0; /* what runs as somebody already stays that one */
    errno = 0;
    entry = getpwnam(updater->config->user);
    if (!entry)
        return errno ? -errno : -ENOENT;
    updater->command_user =
        (struct script_user){.is_set = true, .uid = entry->pw_uid, .gid = entry->pw_gid};
    return 0;
}

void runner_close(struct updater *updater)
{
    script_end_all(&updater->commands);
}

/* --- environment ---------------------------------------------------------------------------- */

struct variables {
    char *items[VARIABLES_MAX + 1];
    unsigned count;
};

static void variable_add(struct variables *variables, const char *prefix, const char *name,
                         const char *value)
{
    char *variable;

    if (variables->count == VARIABLES_MAX)
        return;
    variable = memory_format("SLUICE_%s%s=%s", prefix, name, value);
    for (char *at = variable; *at != '='; at++)
        *at = (char)toupper((unsigned char)*at);
    variables->items[variables->count++] = variable;
}

/* Texts and numbers; what is deeper is on stdin. "rollout" is SLUICE_ROLLOUT, its id, and its
 * members come without a prefix of their own. */
static void variables_add(struct variables *variables, const cJSON *object)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        char number[32];

        if (cJSON_IsString(item)) {
            variable_add(variables, "", strcmp(item->string, "id") == 0 ? "rollout" : item->string,
                         item->valuestring);
        } else if (cJSON_IsNumber(item)) {
            (void)snprintf(number, sizeof(number), "%g", item->valuedouble);
            variable_add(variables, "", item->string, number);
        } else if (cJSON_IsObject(item) && strcmp(item->string, "rollout") == 0) {
            variables_add(variables, item);
        }
    }
}

static void variables_done(struct variables *variables)
{
    for (unsigned i = 0; i < variables->count; i++)
        free(variables->items[i]);
}

/* --- a run ---------------------------------------------------------------------------------- */

static void on_script_end(void *context, int status, struct slice output)
{
    struct run *run = context;
    struct run_end end = {.output = output};
    char why[64];

    timer_stop(run->updater->loop, &run->timeout);
    end.passed = !run->is_late && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (run->is_late)
        (void)snprintf(why, sizeof(why), "no end within %u ms", (unsigned)run->timeout_ms);
    else if (WIFEXITED(status))
        (void)snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
    else
        (void)snprintf(why, sizeof(why), "killed by signal %d", WTERMSIG(status));
    end.why = why;
    run->on_end(run->context, &end);
    free(run);
}

static void on_timeout(struct timer *timer)
{
    struct run *run = container_of(timer, struct run, timeout);

    run->is_late = true;
    if (run->told_to_end) {
        script_kill(run->script);
        return;
    }
    run->told_to_end = true;
    script_terminate(run->script);
    timer_start(run->updater->loop, &run->timeout, RUN_GRACE_MS);
}

int run_start(struct updater *updater, const struct run_options *options, struct run **ret_run)
{
    struct run *run = memory_new(sizeof(*run));
    struct variables variables = {.items = {memory_copy_string(COMMAND_PATH)}, .count = 1};
    int error;

    variables_add(&variables, options->payload);
    const struct script_options script = {
        .argv = options->command,
        .environment = variables.items,
        .running = &updater->commands,
        .input = options->input,
        .output_bytes = RUN_OUTPUT_BYTES,
        .user = updater->command_user,
        .on_end = on_script_end,
        .context = run,
    };

    run->updater = updater;
    run->timeout_ms = options->timeout_ms;
    run->on_end = options->on_end;
    run->context = options->context;
    timer_init(&run->timeout, on_timeout);
    error = script_start(updater->loop, &script, &run->script);
    variables_done(&variables);
    if (error) {
        free(run);
        return error;
    }
    timer_start(updater->loop, &run->timeout, options->timeout_ms);
    *ret_run = run;
    return 0;
}

void run_abandon(struct run *run)
{
    if (!run)
        return;
    timer_stop(run->updater->loop, &run->timeout);
    script_abandon(run->script);
    free(run);
}
