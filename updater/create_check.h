/* A container that was made just now, against the one whose configuration it was made from. */
#ifndef UPDATER_CREATE_CHECK_H
#define UPDATER_CREATE_CHECK_H

#include <stdbool.h>

struct cJSON;
struct engine;
struct engine_reply;

struct create_check_request { /* borrowed until `done` is called */
    struct engine *engine;
    const struct cJSON *old_inspect;
    const struct cJSON *old_image; /* NULL: the engine has it no more */
    const struct cJSON *changes;   /* made on purpose; NULL: none */
    const char *id;                /* the new one's */
    bool is_more;                  /* one more beside it: its anonymous volumes are its own */
    /* Called once. `failed` (else NULL): the engine could not be asked, and nothing is known.
     * `difference`: as of container_difference(), NULL where there is none. */
    void (*done)(void *context, const struct engine_reply *failed, const char *difference);
    void *context;
};
void create_check(const struct create_check_request *request);

/* The differences in one line for people, as many as it has room for. */
void create_check_words(const char *difference, char *text, unsigned size);

#endif
