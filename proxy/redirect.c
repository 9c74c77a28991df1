#include "redirect.h"

#include "http1.h"

#include <stdio.h>

/* The port of http is not that of https; an IPv6 address keeps its brackets. */
static struct slice without_port(struct slice host)
{
    const char *start = host.data;

    if (host.length > 0 && host.data[0] == '[')
        start = memchr(host.data, ']', host.length);
    const char *colon = start != NULL && host.length > 0
                            ? memchr(start, ':', host.length - (size_t)(start - host.data))
                            : NULL;
    if (colon != NULL)
        host.length = (size_t)(colon - host.data);
    return host;
}

size_t redirect_write(char *buffer, size_t size, const struct http1_request *request,
                      const struct redirect_options *options)
{
    static const char body[] = "This service is at https.\n";
    struct slice host = without_port(request->host);
    /* "*" is of the server, not of a resource (RFC 9110 §9.3.7) */
    struct slice path = request->path.data[0] == '*' ? SLICE("/") : request->path;
    const char *root = path.data[0] == '?' ? "/" : ""; /* of "http://host?query" */
    char port[8] = "";

    if (host.length == 0)
        return 0;
    if (options->port != 443)
        snprintf(port, sizeof(port), ":%u", options->port);
    int length =
        snprintf(buffer, size,
                 "HTTP/1.1 308 Permanent Redirect\r\nDate: %s\r\nLocation: https://%.*s%s%s%.*s\r\n"
                 "Content-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s",
                 options->date, (int)host.length, host.data, port, root, (int)path.length,
                 path.data, sizeof(body) - 1, options->close ? "Connection: close\r\n" : "",
                 options->head_only ? "" : body);
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}
