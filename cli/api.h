/* Requests to the admin API over its Unix socket: one at a time, waiting for the answer; or one
 * that may take long, while others are made.
 *
 * Owner: whoever called; a reply is ended by api_reply_done(). */
#ifndef CLI_API_H
#define CLI_API_H

#include "command.h"

#include <stdbool.h>
#include <stddef.h>

#define API_ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct api_pending;
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

/* One whose answer takes its time: an image is pulled. NULL: libcurl cannot be set up. */
struct api_pending *api_begin(const char *admin, const char *method, const char *path,
                              const struct cJSON *body);
enum api_waited { API_ANSWERED, API_TIMEOUT, API_READABLE };
/* Waits for the answer, until `fd` (-1: none) is readable, or for so long. */
enum api_waited api_wait(struct api_pending *pending, int fd, int timeout_ms);
/* Ends it; the answer, where there is one, is the caller's. NULL is fine for both. */
void api_end(struct api_pending *pending, struct api_reply *ret_reply);

/* Says on stderr what is wrong with a reply that is no success. */
void api_complain(const struct invocation *invocation, const char *path, struct api_reply *reply);
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
