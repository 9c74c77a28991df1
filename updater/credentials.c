#include "credentials.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/script.h"
#include "base/timer.h"
#include "engine_registry.h"

#include <sys/wait.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_BYTES (32u * 1024) /* cloud registries' tokens have some thousand */
#define WORDS_BYTES  512

struct credentials {
    struct ev_loop *loop;
    char *registry; /* NULL: the default one */
    char *helper;   /* "docker-credential-X"; NULL: none */
    cJSON *config;
    struct script *script;
    struct timer timer; /* of the helper; without one: the answer is due at once */
    bool timed_out;
    int error;
    char words[WORDS_BYTES];
    credentials_callback *done;
    void *context;
};

/* Those in flight and those that were cancelled and are not reaped yet. */
static struct list running = {&running, &running};

static void credentials_free(struct credentials *credentials)
{
    timer_stop(credentials->loop, &credentials->timer);
    cJSON_Delete(credentials->config);
    free(credentials->registry);
    free(credentials->helper);
    free(credentials);
}

static void finish(struct credentials *credentials, char *auth)
{
    credentials->done(credentials->context, credentials->error, auth, credentials->words);
    free(auth);
    credentials_free(credentials);
}

/* From `auths`. */
static void finish_from_file(struct credentials *credentials)
{
    finish(credentials, engine_registry_auth_from(credentials->config, credentials->registry));
}

static void __attribute__((format(printf, 3, 4)))
fail(struct credentials *credentials, int error, const char *format, ...)
{
    va_list arguments;

    credentials->error = error;
    va_start(arguments, format);
    (void)vsnprintf(credentials->words, sizeof(credentials->words), format, arguments);
    va_end(arguments);
}

/* Its first line, for people: a helper has a say in it. */
static struct slice first_line(struct slice output)
{
    const char *end = output.length > 0 ? memchr(output.data, '\n', output.length) : NULL;

    if (end != NULL)
        output.length = (size_t)(end - output.data);
    output = slice_trim(output);
    if (output.length > 200)
        output.length = 200;
    return output;
}

/* The words of Docker's own helper library for a registry that it has nothing for. */
static bool is_unknown(struct slice output)
{
    return memmem(output.data, output.length, "credentials not found", 21) != NULL;
}

static void on_helper_end(void *context, int status, struct slice output)
{
    struct credentials *credentials = context;
    struct slice words = first_line(output);
    char *auth = NULL;

    credentials->script = NULL;
    if (credentials->timed_out) {
        fail(credentials, -ETIMEDOUT, "%s did not answer within %u s", credentials->helper,
             CREDENTIALS_HELPER_MS / 1000);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        auth = engine_registry_auth_of_helper(output, credentials->registry);
        if (auth == NULL)
            fail(credentials, -EPROTO, "%s gave no credentials: its answer is not understood",
                 credentials->helper);
    } else if (WIFEXITED(status) && is_unknown(output)) {
        finish_from_file(credentials);
        return;
    } else if (WIFSIGNALED(status)) {
        fail(credentials, -EIO, "%s ended by signal %d", credentials->helper, WTERMSIG(status));
    } else {
        fail(credentials, -EIO, "%s failed (status %d)%s%.*s", credentials->helper,
             WEXITSTATUS(status), words.length > 0 ? ": " : "", (int)words.length, words.data);
    }
    finish(credentials, auth);
}

static void on_timer(struct timer *timer)
{
    struct credentials *credentials = container_of(timer, struct credentials, timer);

    if (credentials->script != NULL) {
        credentials->timed_out = true;
        script_kill(credentials->script); /* its end tells */
    } else if (credentials->error) {
        finish(credentials, NULL);
    } else {
        finish_from_file(credentials);
    }
}

static int helper_start(struct credentials *credentials)
{
    char get[] = "get";
    char *const argv[] = {credentials->helper, get, NULL};
    const struct script_options options = {
        .argv = argv,
        .environment = environ,
        .running = &running,
        .input = slice_from_string(credentials->registry != NULL ? credentials->registry
                                                                 : ENGINE_DEFAULT_REGISTRY),
        .output_bytes = ANSWER_BYTES,
        .errors_apart = true,
        .on_end = on_helper_end,
        .context = credentials,
    };

    return script_start(credentials->loop, &options, &credentials->script);
}

static void ask(struct credentials *credentials)
{
    char why[256];
    int error = engine_registry_config(&credentials->config, why);
    const char *name;

    if (error) {
        fail(credentials, error, "%s", why);
        return;
    }
    name = engine_registry_helper(credentials->config, credentials->registry);
    if (name == NULL)
        return;
    if (strchr(name, '/') != NULL) {
        fail(credentials, -EINVAL, "config.json names a credential helper with a slash");
        return;
    }
    credentials->helper = memory_format("docker-credential-%s", name);
    error = helper_start(credentials);
    if (error)
        fail(credentials, error, "cannot start %s: %s", credentials->helper, strerror(-error));
}

struct credentials *credentials_ask(struct ev_loop *loop, const char *registry,
                                    credentials_callback *done, void *context)
{
    struct credentials *credentials = memory_new(sizeof(*credentials));

    credentials->loop = loop;
    credentials->registry = memory_copy_string(registry);
    credentials->done = done;
    credentials->context = context;
    timer_init(&credentials->timer, on_timer);
    ask(credentials);
    timer_start(loop, &credentials->timer, credentials->script != NULL ? CREDENTIALS_HELPER_MS : 0);
    return credentials;
}

void credentials_cancel(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    if (credentials->script != NULL)
        script_abandon(credentials->script);
    credentials_free(credentials);
}

void credentials_end_all(void)
{
    script_end_all(&running);
}
