/* What an image is called: which of its digests belongs to the repository that was asked for. Pure.
 *
 * An image may have come from several repositories (one pushed to a mirror, one renamed), and has a
 * digest of each. */
#ifndef UPDATER_IMAGE_NAMES_H
#define UPDATER_IMAGE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

/* "registry.test:5000/a/b:v1@sha256:…" -> "registry.test:5000/a/b"; the default registry and its
 * "library/" are left out. The caller frees it; NULL for what is no reference. */
char *image_repository(const char *reference);

/* The entry of `RepoDigests` ("name@sha256:…") of the repository that `reference` names; where it
 * names the image by its id, any. NULL: none. Borrowed from `image`, an inspect's JSON. */
const char *image_repo_digest(const struct cJSON *image, const char *reference);

/* Whether the image is known by this digest ("sha256:…") in the reference's repository. */
bool image_has_digest(const struct cJSON *image, const char *reference, const char *digest);

/* The "sha256:…" behind the "@" of a reference; NULL: it has none. */
const char *image_reference_digest(const char *reference);

/* Whether it is an image's id ("sha256:" and 64 digits), which no registry knows. */
bool image_is_id(const char *reference);

#endif
