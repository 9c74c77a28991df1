/* What splice(2) would save a tunnel: bytes from one TCP connection to another by recv() and
 * send(), as base/stream.c does it, and by splice() through a pipe. Measured is the processor time
 * of the thread in the middle, for messages of a size that are echoed one after the other, and for
 * a stream of many bytes. docs/data-plane.md has what came out.
 *
 *     cc -O2 -D_GNU_SOURCE -o splice-bench tests/proxy/splice_bench.c -lpthread && ./splice-bench
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)256 << 10) /* READ_BYTES_MAX */
#define SINK_BYTES ((size_t)1 << 20)

static void die(const char *what)
{
    perror(what);
    exit(1);
}

struct way { /* one direction of the middle */
    int from, to;
    size_t total;
    bool splices;
    int pipe_bytes;
    uint64_t cpu_us;
};

static void connect_pair(int pair[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(pair[0], (struct sockaddr *)&address, length) < 0)
        die("connect");
    pair[1] = accept(listener, NULL, NULL);
    setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(pair[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    close(listener);
}

static uint64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void wait_for(int fd, short events)
{
    struct pollfd look = {.fd = fd, .events = events};

    poll(&look, 1, -1);
}

static size_t copy_some(const struct way *way, char *buffer)
{
    ssize_t got = recv(way->from, buffer, COPY_BYTES, MSG_DONTWAIT);

    if (got <= 0)
        return 0;
    for (ssize_t sent = 0; sent < got;) {
        ssize_t done = send(way->to, buffer + sent, (size_t)(got - sent), MSG_DONTWAIT);
        if (done < 0)
            wait_for(way->to, POLLOUT);
        else
            sent += done;
    }
    return (size_t)got;
}

static size_t splice_some(const struct way *way, const int ends[2])
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    ssize_t got = splice(way->from, NULL, ends[1], NULL, (size_t)way->pipe_bytes, flags);

    if (got <= 0)
        return 0;
    for (ssize_t sent = 0; sent < got;) {
        ssize_t done = splice(ends[0], NULL, way->to, NULL, (size_t)(got - sent), flags);
        if (done < 0)
            wait_for(way->to, POLLOUT);
        else
            sent += done;
    }
    return (size_t)got;
}

static void *run_middle(void *argument)
{
    struct way *way = argument;
    char *buffer = malloc(COPY_BYTES);
    int ends[2];

    if (buffer == NULL || pipe2(ends, O_NONBLOCK) < 0)
        die("pipe");
    fcntl(way->from, F_SETFL, O_NONBLOCK);
    fcntl(way->to, F_SETFL, O_NONBLOCK);
    if (way->splices && fcntl(ends[1], F_SETPIPE_SZ, way->pipe_bytes) < 0)
        die("F_SETPIPE_SZ");
    uint64_t before = cpu_us();
    for (size_t done = 0; done < way->total;) {
        wait_for(way->from, POLLIN);
        done += way->splices ? splice_some(way, ends) : copy_some(way, buffer);
    }
    way->cpu_us = cpu_us() - before;
    close(ends[0]);
    close(ends[1]);
    free(buffer);
    return NULL;
}

static void write_whole(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0)
            die("write");
        bytes += done;
        count -= (size_t)done;
    }
}

static void read_whole(int fd, char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = read(fd, bytes, count < SINK_BYTES ? count : SINK_BYTES);
        if (done <= 0)
            die("read");
        count -= (size_t)done;
    }
}

struct source {
    int fd;
    size_t total;
};

static void *run_source(void *argument)
{
    const struct source *source = argument;
    char *bytes = calloc(1, SINK_BYTES);

    for (size_t sent = 0; sent < source->total; sent += SINK_BYTES)
        write_whole(source->fd, bytes, SINK_BYTES);
    free(bytes);
    return NULL;
}

/* Microseconds of the middle's processor time for the whole. */
static uint64_t measure(size_t message, size_t total, int pipe_bytes)
{
    int near[2], far[2];
    pthread_t middle, source;
    char *bytes = calloc(1, SINK_BYTES);

    connect_pair(near);
    connect_pair(far);
    struct way way = {.from = near[1],
                      .to = far[0],
                      .total = total,
                      .splices = pipe_bytes > 0,
                      .pipe_bytes = pipe_bytes};
    pthread_create(&middle, NULL, run_middle, &way);
    if (message == 0) {
        struct source from = {near[0], total};
        pthread_create(&source, NULL, run_source, &from);
        read_whole(far[1], bytes, total);
        pthread_join(source, NULL);
    } else {
        for (size_t sent = 0; sent < total; sent += message) { /* one at a time */
            write_whole(near[0], bytes, message);
            read_whole(far[1], bytes, message);
        }
    }
    pthread_join(middle, NULL);
    free(bytes);
    for (unsigned i = 0; i < 2; i++) {
        close(near[i]);
        close(far[i]);
    }
    return way.cpu_us;
}

int main(void)
{
    static const size_t sizes[] = {64, 1024, 4096, 16384, 65536, 262144, 1048576};
    static const int pipes[] = {0, 65536, 262144, 1048576};

    printf("%-10s %12s %12s %12s %12s   us of processor time per MiB (per message below 64 KiB)\n",
           "message", "copy", "splice 64k", "splice 256k", "splice 1m");
    for (size_t i = 0; i <= sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = i < sizeof(sizes) / sizeof(sizes[0]) ? sizes[i] : 0;
        size_t count = size == 0 ? 1 : size < 65536 ? 20000 : (256u << 20) / size;
        size_t total = size == 0 ? (1024u << 20) : size * count;
        double unit = size > 0 && size < 65536 ? (double)count : (double)total / 1048576.0;
        uint64_t best[4];
        for (unsigned round = 0; round < 3; round++)
            for (unsigned p = 0; p < 4; p++) { /* side by side; the best of three */
                uint64_t took = measure(size, total, pipes[p]);
                best[p] = round == 0 || took < best[p] ? took : best[p];
            }
        if (size == 0)
            printf("%-10s", "stream");
        else
            printf("%-10zu", size);
        for (unsigned p = 0; p < 4; p++)
            printf(" %12.2f", (double)best[p] / unit);
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
