/* Who we are to a registry: the value of X-Registry-Auth, from the config.json that `docker login`
 * writes. Pure but for engine_registry_auth(), which reads the file. */
#ifndef UPDATER_ENGINE_REGISTRY_H
#define UPDATER_ENGINE_REGISTRY_H

struct cJSON;

#define ENGINE_AUTH_ANONYMOUS "e30=" /* base64 of {} */

/* Reads $DOCKER_CONFIG/config.json, else $HOME/.docker/config.json, anew each time: logins change.
 * `registry` NULL: the engine's default one. Anonymous where nothing is known. The caller frees it.
 */
char *engine_registry_auth(const char *registry);

/* From the parsed file; may be NULL. Entries are found by the registry's name, with or without
 * "https://" before and a path after it; the default registry's is the one that is kept with the
 * path "/v1/". */
char *engine_registry_auth_from(const struct cJSON *config, const char *registry);

#endif
