/* The engine client's pure parts: where the engine is, which API version is spoken, how names go
 * into a path, what an error's body says, what a reference to an image consists of. */
#ifndef UPDATER_ENGINE_TEXT_H
#define UPDATER_ENGINE_TEXT_H

#include "base/slice.h"

#include <stdbool.h>

/* What this client was written for. 1.24 is the oldest whose create call takes HostConfig as today;
 * calls are made with the newest that both sides know. */
#define ENGINE_API_OLDEST "1.24"
#define ENGINE_API_NEWEST "1.47"

struct engine_place {  /* strings are owned; freed by engine_place_done() */
    char *base_url;    /* "http://localhost", "https://10.0.0.7:2376"; no slash at the end */
    char *unix_socket; /* NULL: TCP */
    char *cert_path;   /* NULL: no TLS */
};
/* `host`: "unix:///path", "tcp://host[:port]" (2375, with TLS 2376). Returns 0 or -EINVAL. */
int engine_place_parse(const char *host, const char *cert_path, struct engine_place *ret_place)
    __attribute__((warn_unused_result));
void engine_place_done(struct engine_place *place);

/* Compares "1.9" and "1.41" as versions: below, equal, above 0. What is no version counts as 0.0.
 */
int engine_version_compare(const char *a, const char *b);
/* The newest version that both sides know. `engine_oldest` may be NULL (not said). Returns 0, or
 * -EPROTO with `why` for people. */
int engine_version_choose(const char *engine_newest, const char *engine_oldest,
                          char ret_version[16], char why[256]) __attribute__((warn_unused_result));

/* Percent-encodes all but unreserved characters (RFC 3986 §2.3) and those of `keep`. The caller
 * frees it. */
char *engine_escape(const char *text, const char *keep);
/* One path segment (a container's or network's id or name), encoded; NULL for what would change the
 * path: empty, ".", ".." and what has a slash (the engine resolves even encoded ones). */
char *engine_path_segment(const char *name);
/* An image reference as the path it is; NULL where it has empty, "." or ".." segments or control
 * characters. */
char *engine_path_reference(const char *reference);

/* What the engine says: `message` of a JSON body; else what can be said of a body that is none.
 * The caller frees it. */
char *engine_error_message(unsigned status, struct slice body);
/* -errno for an HTTP status that is no success; see struct engine_reply. */
int engine_status_error(unsigned status);

struct engine_reference { /* strings are owned; freed by engine_reference_done() */
    char *name;           /* with the registry: "registry.example:5000/team/web" */
    char *tag;            /* "v1", "sha256:…"; "latest" where none was given */
    char *registry;       /* NULL: the engine's default one */
};
/* Returns 0, or -EINVAL for what cannot be a reference. */
int engine_reference_parse(const char *text, struct engine_reference *ret_reference)
    __attribute__((warn_unused_result));
void engine_reference_done(struct engine_reference *reference);

#endif
