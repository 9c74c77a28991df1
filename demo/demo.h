/* The demo application: something to put behind Sluice that tells what happened to it. A thread
 * per connection; one static binary that runs in an otherwise empty container.
 *
 * What is set, by environment or as NAME=VALUE on the command line, stands in demo/main.c. */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum health { HEALTH_OK, HEALTH_FAIL, HEALTH_SLOW, HEALTH_FAIL_AFTER };

struct settings {
    const char *version;
    char hostname[65];
    enum health health;
    uint64_t fail_after_us;
    bool log_ends;
    uint32_t fail_percent; /* of the answers of / are 500 */
    uint32_t delay_ms;     /* before an answer of / */
};
extern struct settings settings; /* written before the first thread starts */

#define BUFFER_BYTES 16384 /* also the longest head of a request */

/* A connection and what was read from it but not used yet. Owner: its thread. */
struct connection {
    int fd;
    size_t used;   /* bytes in the buffer */
    size_t offset; /* of which so many are taken */
    char buffer[BUFFER_BYTES];
};

/* Reads more into the buffer. Returns false at the end, on an error, or where it is full. */
bool connection_fill(struct connection *connection);
/* Returns 1 to `size` bytes, 0 at the end. */
size_t connection_read(struct connection *connection, void *bytes, size_t size);
bool connection_read_all(struct connection *connection, void *bytes, size_t size);
bool connection_write(struct connection *connection, const void *bytes, size_t size);

/* An exchange begins and ends; the end is logged where LOG_ENDS is set. */
void exchange_begin(void);
void exchange_end(const char *kind, const char *path);
/* After SIGTERM: answers say `Connection: close`. */
bool is_stopping(void);

uint64_t monotonic_us(void);
void sleep_ms(uint64_t ms);
/* One line, one write(2) to stdout. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

void http_serve(struct connection *connection);
void tcp_serve(struct connection *connection);
/* After the handshake, until it is closed. */
void websocket_serve(struct connection *connection);
/* `sluice-demo check`: asks the /healthz of the instance on this host. Returns the exit status. */
int check_run(uint16_t port);

#endif
