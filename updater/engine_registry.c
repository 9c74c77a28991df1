#include "engine_registry.h"

#include "base/memory.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_BYTES_MAX ((size_t)1024 * 1024)

/* --- base64 (RFC 4648): read with either alphabet, written with the URL-safe one (§5) ------- */

static int sextet(int c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* NULL where it is none. */
static char *base64_decode(const char *text)
{
    char *bytes = memory_new(strlen(text) * 3 / 4 + 1);
    size_t length = 0;
    unsigned bits = 0, kept = 0;

    for (; *text != '\0' && *text != '='; text++) {
        int value = sextet(*text);
        if (value < 0) {
            free(bytes);
            return NULL;
        }
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        kept += 6;
        if (kept >= 8) {
            kept -= 8;
            bytes[length++] = (char)(unsigned char)(bits >> kept & 0xff);
        }
    }
    bytes[length] = '\0';
    return bytes;
}

static char *base64_encode(struct slice bytes)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789-_";
    char *text = memory_new(bytes.length / 3 * 4 + 5);
    char *out = text;

    for (size_t i = 0; i < bytes.length; i += 3) { /* three bytes, four letters */
        size_t left = bytes.length - i;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < left ? (unsigned char)bytes.data[i + k] : 0);
        *out++ = alphabet[bits >> 18 & 63];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = alphabet[bits >> 6 & 63];
        *out++ = alphabet[bits & 63];
        for (size_t k = left; k < 3; k++)
            out[(ptrdiff_t)k - 3] = '=';
    }
    *out = '\0';
    return text;
}

/* --- the file's entries --------------------------------------------------------------------- */

static struct slice host_of_key(const char *key)
{
    struct slice host = slice_from_string(key);

    if (slice_starts_with(host, SLICE("https://")))
        host = (struct slice){host.data + 8, host.length - 8};
    else if (slice_starts_with(host, SLICE("http://")))
        host = (struct slice){host.data + 7, host.length - 7};
    const char *slash = memchr(host.data, '/', host.length);
    if (slash != NULL)
        host.length = (size_t)(slash - host.data);
    return host;
}

/* The entry of `config`'s object `part` that is the registry's. */
static const cJSON *find_entry(const cJSON *config, const char *part, const char *registry)
{
    const cJSON *entries = engine_json_get(config, part);
    const cJSON *entry;

    if (!cJSON_IsObject(entries))
        return NULL;
    cJSON_ArrayForEach(entry, entries)
    {
        size_t length = strlen(entry->string);
        if (registry == NULL &&
            ((length > 4 && strcmp(entry->string + length - 4, "/v1/") == 0) ||
             slice_equals_ignoring_case(host_of_key(entry->string), SLICE("index.docker.io"))))
            return entry;
        if (registry != NULL &&
            slice_equals_ignoring_case(host_of_key(entry->string), slice_from_string(registry)))
            return entry;
    }
    return NULL;
}

static cJSON *auth_of_token(const char *token)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "identitytoken", token);
    return object;
}

static cJSON *auth_of_password(const char *user, const char *password)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "username", user);
    cJSON_AddStringToObject(object, "password", password);
    return object;
}

/* Takes over `object`, which may be NULL. */
static char *auth_encode(cJSON *object, const char *server)
{
    char *text = NULL, *auth;

    if (object != NULL) {
        cJSON_AddStringToObject(object, "serveraddress", server);
        text = cJSON_PrintUnformatted(object);
    }
    auth = text != NULL ? base64_encode(slice_from_string(text))
                        : memory_copy_string(ENGINE_AUTH_ANONYMOUS);
    cJSON_free(text);
    cJSON_Delete(object);
    return auth;
}

/* What the engine wants to be told; NULL where the entry holds nothing of use. */
static cJSON *credentials(const cJSON *entry)
{
    const char *token = engine_json_string(entry, "identitytoken");
    const char *encoded = engine_json_string(entry, "auth");
    const char *user = engine_json_string(entry, "username");
    const char *password = engine_json_string(entry, "password");
    char *decoded = encoded != NULL ? base64_decode(encoded) : NULL;
    char *colon = decoded != NULL ? strchr(decoded, ':') : NULL;
    cJSON *result = NULL;

    if (colon != NULL) {
        *colon = '\0';
        user = decoded;
        password = colon + 1;
    }
    if (token != NULL && token[0] != '\0')
        result = auth_of_token(token);
    else if (user != NULL && password != NULL)
        result = auth_of_password(user, password);
    free(decoded);
    return result;
}

char *engine_registry_auth_from(const cJSON *config, const char *registry)
{
    const cJSON *entry = find_entry(config, "auths", registry);

    return auth_encode(entry != NULL ? credentials(entry) : NULL,
                       entry != NULL ? entry->string : "");
}

/* --- helpers -------------------------------------------------------------------------------- */

const char *engine_registry_helper(const cJSON *config, const char *registry)
{
    const cJSON *own = find_entry(config, "credHelpers", registry);
    const char *name = cJSON_IsString(own) ? own->valuestring : NULL;

    if (name == NULL)
        name = engine_json_string(config, "credsStore");
    return name != NULL && name[0] != '\0' ? name : NULL;
}

char *engine_registry_auth_of_helper(struct slice answer, const char *registry)
{
    cJSON *json = engine_json_parse(answer);
    const char *user = engine_json_string(json, "Username");
    const char *secret = engine_json_string(json, "Secret");
    char *auth = NULL;

    if (user != NULL && secret != NULL)
        auth = auth_encode(strcmp(user, "<token>") == 0 ? auth_of_token(secret)
                                                        : auth_of_password(user, secret),
                           registry != NULL ? registry : ENGINE_DEFAULT_REGISTRY);
    cJSON_Delete(json);
    return auth;
}

/* --- the file ------------------------------------------------------------------------------- */

static int read_config(const char *path, cJSON **ret_config)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
    int error = 0;

    if (fd < 0)
        return -errno;
    char *text = memory_new(CONFIG_BYTES_MAX);
    size_t length = 0;
    ssize_t got = 0;
    while (length < CONFIG_BYTES_MAX &&
           (got = read(fd, text + length, CONFIG_BYTES_MAX - length)) > 0)
        length += (size_t)got;
    if (got < 0)
        error = -errno;
    else if (length == CONFIG_BYTES_MAX)
        error = -EFBIG;
    else if (length > 0 && (*ret_config = engine_json_parse((struct slice){text, length})) == NULL)
        error = -EBADMSG;
    free(text);
    close(fd);
    return error;
}

int engine_registry_config(cJSON **ret_config, char why[256])
{
    const char *folder = getenv("DOCKER_CONFIG");
    const char *home = getenv("HOME");
    cJSON *config = NULL;
    char *path;
    int error;

    if (folder != NULL && folder[0] != '\0')
        path = memory_format("%s/config.json", folder);
    else
        path = memory_format("%s/.docker/config.json", home != NULL ? home : "/root");
    error = read_config(path, &config);
    if (error == -ENOENT || error == -ENOTDIR)
        error = 0;
    if (error == -EBADMSG)
        (void)snprintf(why, 256, "%.180s is not JSON", path);
    else if (error)
        (void)snprintf(why, 256, "cannot read %.180s: %s", path, strerror(-error));
    else
        *ret_config = config;
    free(path);
    return error;
}
