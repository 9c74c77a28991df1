#include "image_names.h"

#include "base/memory.h"
#include "engine_json.h"
#include "engine_text.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define ID_PREFIX "sha256:"
#define ID_DIGITS 64

static const char *skip(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : text;
}

char *image_repository(const char *reference)
{
    struct engine_reference parts;
    const char *name;
    char *repository;

    if (engine_reference_parse(reference, &parts) < 0)
        return NULL;
    name = parts.name;
    if (parts.registry == NULL)
        name = skip(skip(skip(name, "index.docker.io/"), "docker.io/"), "library/");
    repository = memory_copy_string(name);
    engine_reference_done(&parts);
    return repository;
}

const char *image_reference_digest(const char *reference)
{
    const char *at = strchr(reference, '@');

    return at != NULL ? at + 1 : NULL;
}

bool image_is_id(const char *reference)
{
    return strncmp(reference, ID_PREFIX, sizeof(ID_PREFIX) - 1) == 0 &&
           strspn(reference + sizeof(ID_PREFIX) - 1, "0123456789abcdef") == ID_DIGITS &&
           strlen(reference) == sizeof(ID_PREFIX) - 1 + ID_DIGITS;
}

/* The daemon takes "sha256:ABC…", "ABC…" and any unique beginning of these for an id. */
static bool names_by_id(const cJSON *image, const char *reference)
{
    const char *id = engine_json_string(image, "Id");
    const char *digits = skip(reference, ID_PREFIX);

    return id != NULL && strlen(digits) >= 12 &&
           strncmp(skip(id, ID_PREFIX), digits, strlen(digits)) == 0;
}

static bool is_of(const cJSON *entry, const char *repository)
{
    char *own = cJSON_IsString(entry) ? image_repository(entry->valuestring) : NULL;
    bool same = own != NULL && strcmp(own, repository) == 0;

    free(own);
    return same;
}

const char *image_repo_digest(const cJSON *image, const char *reference)
{
    const cJSON *digests = engine_json_get(image, "RepoDigests");
    char *repository = image_repository(reference);
    const char *wanted = image_reference_digest(reference);
    const cJSON *entry, *found = NULL;

    cJSON_ArrayForEach(entry, digests)
    {
        if (repository == NULL || !is_of(entry, repository))
            continue;
        if (found == NULL ||
            (wanted != NULL && image_reference_digest(entry->valuestring) != NULL &&
             strcmp(image_reference_digest(entry->valuestring), wanted) == 0))
            found = entry;
    }
    if (found == NULL && names_by_id(image, reference))
        found = cJSON_GetArrayItem(digests, 0);
    free(repository);
    return cJSON_IsString(found) ? found->valuestring : NULL;
}

bool image_has_digest(const cJSON *image, const char *reference, const char *digest)
{
    const cJSON *digests = engine_json_get(image, "RepoDigests");
    char *repository = image_repository(reference);
    const cJSON *entry;
    bool found = false;

    cJSON_ArrayForEach(entry, digests)
    {
        const char *its = cJSON_IsString(entry) ? image_reference_digest(entry->valuestring) : NULL;

        found = found || (repository != NULL && its != NULL && strcmp(its, digest) == 0 &&
                          is_of(entry, repository));
    }
    free(repository);
    return found;
}
