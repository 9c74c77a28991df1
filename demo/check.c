#include "demo.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int check_run(uint16_t port)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct connection connection = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    char status[12];

    if (connection.fd < 0 ||
        connect(connection.fd, (struct sockaddr *)(void *)&address, sizeof(address)) < 0 ||
        !connection_write(&connection, request, sizeof(request) - 1) ||
        !connection_read_all(&connection, status, sizeof(status))) {
        perror("sluice-demo: check");
        return 1;
    }
    close(connection.fd);
    return memcmp(status, "HTTP/1.1 200", sizeof(status)) == 0 ? 0 : 1;
}
