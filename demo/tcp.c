#include "demo.h"

#include <inttypes.h>

/* Echoes; the client speaks first. */
void tcp_serve(struct connection *connection)
{
    char bytes[BUFFER_BYTES];
    size_t got;

    exchange_begin();
    log_line("connect kind=tcp monotonic_us=%" PRIu64, monotonic_us());
    while ((got = connection_read(connection, bytes, sizeof(bytes))) > 0)
        if (!connection_write(connection, bytes, got))
            break;
    exchange_end("tcp", "-");
}
