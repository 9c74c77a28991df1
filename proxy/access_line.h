/* One exchange as one line of the access log, in each format. Pure.
 *
 * Nothing that came from outside is written as it is: quotes, control bytes and what is no ASCII
 * are escaped by the format's own rules, so a line is always one line and its fields always its
 * own. */
#ifndef PROXY_ACCESS_LINE_H
#define PROXY_ACCESS_LINE_H

#include "base/address.h"
#include "base/slice.h"
#include "config/config.h"

#include <limits.h>

/* With its line feed. A pipe takes so much in one piece. */
#define ACCESS_LINE_BYTES_MAX PIPE_BUF

#define ACCESS_NONE UINT64_MAX /* a time that there is not */

/* What the client asked; slices are empty where it is not known. */
struct access_request {
    struct slice method, target, host;
    uint8_t minor_version; /* HTTP/1.x */
    struct slice referer, user_agent;
    struct slice request_id;
};

struct access_record {
    const char *event; /* "exchange" or "request-refused" */
    uint64_t id;       /* 0: none */
    const char *kind;  /* NULL: none; so with the names below */
    struct address client;
    const char *service, *group, *backend;
    struct access_request request;
    unsigned status;              /* 0: none was sent */
    uint64_t bytes_in, bytes_out; /* from and to the backend, heads included */
    uint64_t body_bytes;          /* of bytes_in, behind the head */
    unsigned tries;
    uint64_t queue_us;      /* from its begin until a backend was chosen, earlier tries included */
    uint64_t connect_us;    /* until there was a connection to it */
    uint64_t first_byte_us; /* until its answer began */
    uint64_t total_us;
    const char *why;
};

/* The time of lines, formatted once a second. */
struct access_clock {
    uint64_t second;
    char iso[sizeof("2026-11-24T18:53:14")];
    char common[sizeof("24/Nov/2026:18:53:14 +0000")];
};

/* Writes the line; returns its length, which is never 0. What is too long is cut, and ends in
 * "...". `query`: with the target's query, and the referer's. */
size_t access_line_write(char line[ACCESS_LINE_BYTES_MAX], enum config_access_format format,
                         bool query, struct access_clock *clock, uint64_t wall_ms,
                         const struct access_record *record);

/* Referer and user agent of a head as it is sent on. */
void access_line_find_fields(struct slice head, struct access_request *request);

#endif
