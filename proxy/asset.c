#include "asset.h"

static bool is_one_of(struct slice word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (slice_equals_ignoring_case(word, slice_from_string(*list)))
            return true;
    return false;
}

/* Behind the last dot of the last segment; empty: it has none. */
static struct slice extension_of(struct slice path)
{
    const char *query = memchr(path.data, '?', path.length);

    if (query != NULL)
        path.length = (size_t)(query - path.data);
    for (size_t i = path.length; i > 0 && path.data[i - 1] != '/'; i--)
        if (path.data[i - 1] == '.')
            return (struct slice){path.data + i, path.length - i};
    return (struct slice){"", 0};
}

bool asset_is_asked(const struct http1_request *request)
{
    static const char *const extensions[] = {
        "js",  "mjs",  "css", "map",  "wasm", "png",   "jpg",         "jpeg", "gif", "svg",  "webp",
        "ico", "avif", "ttf", "woff", "otf",  "woff2", "webmanifest", "mp3",  "mp4", "webm", NULL,
    };
    static const char *const destinations[] = {"script", "style",    "image",  "font",  "audio",
                                               "video",  "manifest", "worker", "track", NULL};

    if ((request->method != HTTP_GET && request->method != HTTP_HEAD) ||
        request->framing != HTTP_BODY_NONE)
        return false;
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (slice_equals_ignoring_case(field->name, SLICE("sec-fetch-dest")) &&
            is_one_of(field->value, destinations))
            return true;
    }
    return is_one_of(extension_of(request->path), extensions);
}
