/* How far bytes have got that were written to a TCP socket. Apart, for <linux/tcp.h>, which knows
 * of it, and <netinet/tcp.h> do not go together. */
#ifndef BASE_SOCKET_PROGRESS_H
#define BASE_SOCKET_PROGRESS_H

#include <stdint.h>

/* Bytes that the other side's machine has acknowledged since the connection was made; 0 where the
 * kernel does not tell. */
uint64_t socket_acknowledged(int fd);

#endif
