#include "engine_text.h"

#include "base/memory.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX 512u /* of a body that is no JSON: enough to recognise it */

static int place_parse_tcp(const char *address, const char *cert_path, struct engine_place *place)
{
    const char *colon = strrchr(address, ':');
    const char *bracket = strrchr(address, ']');
    bool has_port = colon != NULL && (bracket == NULL || colon > bracket);
    const char *scheme = cert_path != NULL ? "https" : "http";
    uint64_t port = 0;

    if (address[0] == '\0' || address[0] == ':' || strpbrk(address, "/?#@ \t\r\n") != NULL)
        return -EINVAL;
    if (address[0] == '[' && bracket == NULL)
        return -EINVAL;
    if (has_port &&
        (slice_to_u64(slice_from_string(colon + 1), &port) < 0 || port == 0 || port > UINT16_MAX))
        return -EINVAL;
    place->base_url = has_port ? memory_format("%s://%s", scheme, address)
                               : memory_format("%s://%s:%s", scheme, address,
                                               cert_path != NULL ? "2376" : "2375");
    place->cert_path = memory_copy_string(cert_path);
    return 0;
}

int engine_place_parse(const char *host, const char *cert_path, struct engine_place *ret_place)
{
    struct slice text = slice_from_string(host);
    struct engine_place place = {0};

    if (slice_starts_with(text, SLICE("unix://"))) {
        if (host[7] != '/' || host[8] == '\0')
            return -EINVAL;
        place.unix_socket = memory_copy_string(host + 7);
        place.base_url = memory_copy_string("http://localhost");
    } else if (slice_starts_with(text, SLICE("tcp://"))) {
        int error = place_parse_tcp(host + 6, cert_path, &place);
        if (error < 0)
            return error;
    } else {
        return -EINVAL;
    }
    *ret_place = place;
    return 0;
}

void engine_place_done(struct engine_place *place)
{
    free(place->base_url);
    free(place->unix_socket);
    free(place->cert_path);
    *place = (struct engine_place){0};
}

/* Returns 0 for "1.41", -EINVAL for anything else. */
static int version_parse(const char *text, unsigned ret_parts[2])
{
    const char *dot = text != NULL ? strchr(text, '.') : NULL;
    uint64_t major, minor;

    if (dot == NULL || slice_to_u64((struct slice){text, (size_t)(dot - text)}, &major) < 0 ||
        slice_to_u64(slice_from_string(dot + 1), &minor) < 0 || major > UINT16_MAX ||
        minor > UINT16_MAX)
        return -EINVAL;
    ret_parts[0] = (unsigned)major;
    ret_parts[1] = (unsigned)minor;
    return 0;
}

int engine_version_compare(const char *a, const char *b)
{
    unsigned parts_a[2] = {0, 0}, parts_b[2] = {0, 0};

    if (version_parse(a, parts_a) < 0)
        parts_a[0] = 0;
    if (version_parse(b, parts_b) < 0)
        parts_b[0] = 0;
    if (parts_a[0] != parts_b[0])
        return parts_a[0] < parts_b[0] ? -1 : 1;
    if (parts_a[1] != parts_b[1])
        return parts_a[1] < parts_b[1] ? -1 : 1;
    return 0;
}

int engine_version_choose(const char *engine_newest, const char *engine_oldest,
                          char ret_version[16], char why[256])
{
    unsigned parts[2];

    if (version_parse(engine_newest, parts) < 0) {
        snprintf(why, 256, "what answers is no Docker Engine: it names no API version");
        return -EPROTO;
    }
    if (engine_version_compare(engine_newest, ENGINE_API_OLDEST) < 0) {
        snprintf(why, 256, "the engine is too old: it speaks API %s, needed is %s or later",
                 engine_newest, ENGINE_API_OLDEST);
        return -EPROTO;
    }
    if (version_parse(engine_oldest, parts) == 0 &&
        engine_version_compare(engine_oldest, ENGINE_API_NEWEST) > 0) {
        snprintf(why, 256, "the engine is too new: it wants API %s or later, this client speaks %s",
                 engine_oldest, ENGINE_API_NEWEST);
        return -EPROTO;
    }
    bool theirs = engine_version_compare(engine_newest, ENGINE_API_NEWEST) < 0;
    snprintf(ret_version, 16, "%s", theirs ? engine_newest : ENGINE_API_NEWEST);
    return 0;
}

char *engine_escape(const char *text, const char *keep)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    char *escaped = memory_new(strlen(text) * 3 + 1);
    char *out = escaped;

    for (; *text != '\0'; text++) {
        if (strchr(unreserved, *text) != NULL || strchr(keep, *text) != NULL)
            *out++ = *text;
        else
            out += snprintf(out, 4, "%%%02X", (unsigned char)*text);
    }
    return escaped;
}

static bool is_dots(struct slice segment)
{
    return segment.length == 0 || slice_equals(segment, SLICE(".")) ||
           slice_equals(segment, SLICE(".."));
}

char *engine_path_segment(const char *name)
{
    if (name == NULL || is_dots(slice_from_string(name)) || strchr(name, '/') != NULL)
        return NULL;
    return engine_escape(name, "");
}

char *engine_path_reference(const char *reference)
{
    if (reference == NULL)
        return NULL;
    for (const char *at = reference;; at++) {
        size_t length = strcspn(at, "/");
        if (is_dots((struct slice){at, length}))
            return NULL;
        at += length;
        if (*at == '\0')
            break;
    }
    for (const char *at = reference; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return NULL;
    }
    return engine_escape(reference, "/:@");
}

/* The readable start of a body that is no JSON: a proxy's HTML page, a line of text. */
static char *describe_body(unsigned status, struct slice body)
{
    char text[MESSAGE_BYTES_MAX];
    size_t length = 0;
    bool in_tag = false, space = false;

    for (size_t i = 0; i < body.length && length + 2 < sizeof(text); i++) {
        char c = body.data[i];
        if (c == '<' || c == '>') {
            in_tag = c == '<';
            space = true;
        } else if ((unsigned char)c <= ' ' || (unsigned char)c >= 0x7f) {
            space = true;
        } else if (!in_tag) {
            if (space && length > 0)
                text[length++] = ' ';
            space = false;
            text[length++] = c;
        }
    }
    text[length] = '\0';
    if (length == 0)
        return memory_format("status %u and no word of why", status);
    return memory_format("status %u: %s", status, text);
}

char *engine_error_message(unsigned status, struct slice body)
{
    cJSON *json = engine_json_parse(body);
    const char *message = engine_json_string(json, "message");
    char *result;

    if (message != NULL && message[0] != '\0')
        result = memory_copy_string(message);
    else
        result = describe_body(status, body);
    cJSON_Delete(json);
    return result;
}

int engine_status_error(unsigned status)
{
    switch (status) {
    case 404:
        return -ENOENT;
    case 409:
        return -EEXIST;
    case 401:
    case 403:
        return -EACCES;
    default:
        if (status >= 500)
            return -EREMOTEIO;
        return status >= 400 ? -EINVAL : -EPROTO;
    }
}

/* The first part names a registry where it can be a host's name and no folder's. */
static char *find_registry(const char *name)
{
    size_t length = strcspn(name, "/");
    struct slice first = {name, length};

    if (name[length] == '\0')
        return NULL;
    if (memchr(name, '.', length) == NULL && memchr(name, ':', length) == NULL &&
        !slice_equals(first, SLICE("localhost")))
        return NULL;
    if (slice_equals(first, SLICE("docker.io")) || slice_equals(first, SLICE("index.docker.io")))
        return NULL;
    return memory_format("%.*s", (int)length, name);
}

int engine_reference_parse(const char *text, struct engine_reference *ret_reference)
{
    char *escaped = engine_path_reference(text);
    bool fits = escaped != NULL && strlen(text) <= 1024;
    struct engine_reference reference = {0};

    free(escaped);
    if (!fits)
        return -EINVAL;
    size_t name_length = strcspn(text, "@");
    const char *slash = memrchr(text, '/', name_length);
    const char *last = slash != NULL ? slash + 1 : text;
    const char *colon = memchr(last, ':', name_length - (size_t)(last - text));
    const char *tag = "latest";

    if (text[name_length] == '@')
        tag = text + name_length + 1;
    else if (colon != NULL)
        tag = colon + 1;
    if (colon != NULL)
        name_length = (size_t)(colon - text);
    if (name_length == 0 || tag[0] == '\0' || (slash != NULL && text + name_length == slash + 1))
        return -EINVAL;
    reference.name = memory_format("%.*s", (int)name_length, text);
    reference.tag = memory_copy_string(tag);
    reference.registry = find_registry(reference.name);
    *ret_reference = reference;
    return 0;
}

void engine_reference_done(struct engine_reference *reference)
{
    free(reference->name);
    free(reference->tag);
    free(reference->registry);
    *reference = (struct engine_reference){0};
}
