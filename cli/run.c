/* run: reads and checks the config, then becomes the supervisor. */
#include "base/memory.h"
#include "base/slice.h"
#include "check_config.h"
#include "check_files.h"
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX 32
#define WORDS_MAX   16

struct words {
    char *items[WORDS_MAX];
    unsigned count;
};

static void words_add(struct words *words, const char *option, const char *value)
{
    if (value == NULL)
        return;
    words->items[words->count++] = memory_copy_string(option);
    words->items[words->count++] = memory_copy_string(value);
}

enum exit_code command_run(const struct invocation *invocation)
{
    struct config *config = NULL;
    uint64_t workers = 0;
    const char *workers_text = invocation_option(invocation, "workers");
    if (workers_text != NULL && (slice_to_u64(slice_from_string(workers_text), &workers) < 0 ||
                                 workers < 1 || workers > WORKERS_MAX))
        return complain(USAGE, "--workers '%s' is no number from 1 to %d", workers_text,
                        WORKERS_MAX);
    const char *admin = invocation->admin_given ? invocation->admin : NULL;
    struct config_overrides overrides = {
        .state = invocation_option(invocation, "state"),
        .admin_socket = admin,
        .engine_host = invocation_option(invocation, "engine"),
        .workers = (uint32_t)workers,
    };
    enum exit_code code =
        check_config(invocation->arguments[0], &overrides, invocation->json, &config);
    if (code != DONE)
        return code;
    config_free(config);
    char *supervisor = libexec_path("sluice-supervisor");
    struct words words = {.items = {memory_copy_string("sluice-supervisor")}, .count = 1};
    words_add(&words, "--config", invocation->arguments[0]);
    words_add(&words, "--state", overrides.state);
    words_add(&words, "--admin", admin);
    words_add(&words, "--engine", overrides.engine_host);
    words_add(&words, "--workers", workers_text);
    words_add(&words, "--endpoints", invocation_option(invocation, "endpoints"));
    fflush(stdout);
    execv(supervisor, words.items);
    code = complain(FAILED,
                    "%s cannot be started: %s; is sluice installed whole? SLUICE_LIBEXEC "
                    "names the folder",
                    supervisor, strerror(errno));
    for (unsigned i = 0; i < words.count; i++)
        free(words.items[i]);
    free(supervisor);
    return code;
}
