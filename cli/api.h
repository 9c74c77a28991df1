/* Requests to the admin API over its Unix socket: one at a time, waiting for the answer.
 *
 * Owner: whoever called; a reply is ended by api_reply_done(). */
#ifndef CLI_API_H
#define CLI_API_H

#include "command.h"

#include <stdbool.h>
#include <stddef.h>

#define API_ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct cJSON;

struct api_reply {
    unsigned status;    /* HTTP status; 0: the daemon is not reachable */
    struct cJSON *json; /* the body, where it is JSON; else NULL */
    char *text;         /* the body, where it is not */
    char *why;          /* where status is 0: what went wrong, for people */
};

/* `body` may be NULL. Returns whether the answer is one of success (2xx). */
bool api_request(const char *admin, const char *method, const char *path, const struct cJSON *body,
                 struct api_reply *ret_reply);
void api_reply_done(struct api_reply *reply);

/* Like api_request; says on stderr what went wrong, and gives the exit code that fits it. */
bool api_ask(const struct invocation *invocation, const char *method, const char *path,
             const struct cJSON *body, struct api_reply *ret_reply);
/* The same for a GET whose answer is text. */
bool api_ask_text(const struct invocation *invocation, const char *path,
                  struct api_reply *ret_reply);
enum exit_code api_exit_code(const struct api_reply *reply);

/* The daemon does not answer: says so, with what to do. Returns UNREACHABLE. */
enum exit_code api_complain_unreachable(const struct invocation *invocation, const char *why);

/* `text` as one segment of a path; the caller frees it. */
char *api_escape(const char *text) __attribute__((returns_nonnull, warn_unused_result));

#endif
