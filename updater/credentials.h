/* Asking who we are to a registry: config.json, and the credential helper that it names.
 *
 * `docker-credential-X get` (X from credHelpers, else credsStore) is run as a child: the registry's
 * name on its stdin, {"Username", "Secret"} on its stdout; bounded in time and output. A helper
 * that knows nothing of the registry, and says so, leaves what `auths` holds. One that fails fails
 * the question: to try without credentials would end in a denial that says nothing of the cause.
 *
 * Owner: whoever asked, until the callback runs, which is exactly once unless it is cancelled, and
 * never before credentials_ask() returns. */
#ifndef UPDATER_CREDENTIALS_H
#define UPDATER_CREDENTIALS_H

#include <stdint.h>

struct credentials;
struct ev_loop;

#define CREDENTIALS_HELPER_MS 30000u

/* error 0: `auth` is the value of X-Registry-Auth. Else -errno, and `message` is for people.
 * Both are valid during the call. */
typedef void credentials_callback(void *context, int error, const char *auth, const char *message);

/* `registry` NULL: the engine's default one. */
struct credentials *credentials_ask(struct ev_loop *loop, const char *registry,
                                    credentials_callback *done, void *context);
/* The callback does not run; a helper is killed. NULL is fine. */
void credentials_cancel(struct credentials *credentials);
/* Ends and reaps the helpers that were cancelled and still end, at the end of the process. */
void credentials_end_all(void);

#endif
