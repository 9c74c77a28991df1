/* Who we are to a registry: the value of X-Registry-Auth, from what `docker login` writes into
 * config.json, or from the credential helper that is named there. Pure but for
 * engine_registry_config(), which reads the file; the helper is run by credentials.c. */
#ifndef UPDATER_ENGINE_REGISTRY_H
#define UPDATER_ENGINE_REGISTRY_H

#include "base/slice.h"

struct cJSON;

#define ENGINE_AUTH_ANONYMOUS "e30=" /* base64 of {} */
/* Under which key Docker's own client keeps the default registry. */
#define ENGINE_DEFAULT_REGISTRY "https://index.docker.io/v1/"

/* Reads $DOCKER_CONFIG/config.json, else $HOME/.docker/config.json, anew each time: logins change.
 * Returns 0 with NULL where there is no such file, else -errno with `why` for people. */
int engine_registry_config(struct cJSON **ret_config, char why[256])
    __attribute__((warn_unused_result));

/* All of these: `registry` NULL is the engine's default one; `config` may be NULL. Entries are
 * found by the registry's name, with or without "https://" before and a path after it; the default
 * registry's is the one that is kept with the path "/v1/".
 *
 * The header from `auths`; anonymous where nothing is known. The caller frees it. */
char *engine_registry_auth_from(const struct cJSON *config, const char *registry);
/* The X of the docker-credential-X that knows (credHelpers, else credsStore); NULL: none is named.
 * Borrowed from `config`. */
const char *engine_registry_helper(const struct cJSON *config, const char *registry);
/* The header from a helper's answer {"Username", "Secret"}; NULL where it is none. */
char *engine_registry_auth_of_helper(struct slice answer, const char *registry);

#endif
