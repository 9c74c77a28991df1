/* Runs real workers without a supervisor, for tests of the proxy alone: makes the boards and the
 * listeners, publishes a table of the config's static backends, and does on stdin's lines what the
 * updater and health would do. Answers each line with one line of JSON.
 *
 *     sluice-worker-bench WORKER CONFIG [ROWS]
 */
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/memory.h"
#include "board/scoreboard.h"
#include "board/tickets.h"
#include "board/verdicts.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HIGH_FD 400 /* above every fixed descriptor */

struct bench {
    struct config *config;
    struct routing_board *routing;
    struct routing_table draft;
    struct verdicts_board *verdicts;
    struct scoreboard scores;
    unsigned row_count;
    uint64_t published_us; /* the last epoch: acknowledged by all */
    int config_fd, routing_fd, verdicts_fd, tickets_fd, bell_updater;
    int log_channels[ROWS_MAX];
    int row_fds[ROWS_MAX], bells[ROWS_MAX], listeners[ROWS_MAX][CONFIG_LISTENERS_MAX];
    pid_t pids[ROWS_MAX];
};

static void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int high(int fd)
{
    int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

    if (moved < 0)
        die("descriptor");
    close(fd);
    return moved;
}

static int config_memfd(const struct config *config)
{
    char *json = config_to_json(config);
    int fd = memfd_create("config", MFD_CLOEXEC);

    if (fd < 0 || write(fd, json, strlen(json)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        die("config memfd");
    free(json);
    return high(fd);
}

static int open_listener(const struct address *address)
{
    struct sockaddr_storage storage;
    socklen_t length = address_to_sockaddr(address, &storage);
    int on = 1, fd = socket(storage.ss_family, SOCK_STREAM, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&storage, length) < 0 || listen(fd, 1024) < 0)
        die("listener");
    return high(fd);
}

/* Port 0 is chosen once, by the first row's socket. */
static void open_listeners(struct bench *bench)
{
    for (size_t i = 0; i < bench->config->listener_count; i++) {
        struct address address = bench->config->listeners[i].address;
        for (unsigned row = 0; row < bench->row_count; row++) {
            struct sockaddr_storage storage;
            socklen_t length = sizeof(storage);
            int fd = bench->listeners[row][i] = open_listener(&address);
            if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0 ||
                address_from_sockaddr(&storage, &address) < 0)
                die("getsockname");
        }
        printf("%s\"%s\": %u", i > 0 ? ", " : "{", bench->config->listeners[i].name, address.port);
    }
    printf("}\n");
}

static void add_backend(struct bench *bench, size_t service, enum group group, const char *name)
{
    struct routing_backend *backend = &bench->draft.backends[bench->draft.backend_count++];

    *backend = (struct routing_backend){.generation = 1,
                                        .service = (uint16_t)service,
                                        .group = (uint8_t)group,
                                        .state = BACKEND_READY,
                                        .weight = 1,
                                        .ready_ms = 1 /* long ago */};
    if (address_parse(slice_from_string(name), &backend->address) < 0)
        die(name);
    snprintf(backend->name, sizeof(backend->name), "%s", name);
}

static void fill_table(struct bench *bench)
{
    memset(bench->draft.secret, 's', sizeof(bench->draft.secret));
    for (size_t i = 0; i < bench->config->service_count; i++) {
        const struct config_service *from = &bench->config->services[i];
        struct routing_service *service = &bench->draft.services[i];
        snprintf(service->name, sizeof(service->name), "%s", from->name);
        service->protocol = (uint8_t)from->protocol;
        service->balance = (uint8_t)from->balance;
        service->check.kind = (uint8_t)from->check.kind;
        for (size_t j = 0; j < from->backend_count; j++)
            add_backend(bench, i, GROUP_STABLE, from->backends[j]);
        for (size_t j = 0; j < from->canary_count; j++)
            add_backend(bench, i, GROUP_CANARY, from->canary[j]);
        bench->draft.service_count++;
    }
}

static void make_boards(struct bench *bench)
{
    bench->routing_fd = high(routing_board_create());
    bench->verdicts_fd = high(verdicts_board_create());
    bench->tickets_fd = high(tickets_board_create());
    bench->bell_updater = high(eventfd(0, EFD_NONBLOCK));
    if (routing_board_map(bench->routing_fd, true, &bench->routing) < 0 ||
        verdicts_board_map(bench->verdicts_fd, true, &bench->verdicts) < 0)
        die("boards");
    /* scoreboard_map() wants the rows at consecutive descriptors. */
    for (unsigned row = 0; row < bench->row_count; row++) {
        bench->row_fds[row] = high(score_row_create());
        bench->bells[row] = high(eventfd(0, EFD_NONBLOCK));
        if (dup2(bench->row_fds[row], 800 + (int)row) < 0)
            die("row");
    }
    if (scoreboard_map(&bench->scores, 800, bench->row_count, ROWS_MAX) < 0)
        die("scoreboard");
    for (unsigned row = 0; row < bench->row_count; row++)
        close(800 + (int)row);
}

static void give(int fd, int target)
{
    if (dup2(fd, target) < 0)
        _exit(1);
}

/* As the supervisor does. */
static void send_log_file(const struct bench *bench, unsigned row)
{
    const char *path = bench->config->access_log.file;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

    if (fd < 0 || descriptor_send(bench->log_channels[row], fd) < 0)
        die(path);
    close(fd);
}

static int make_log_channel(struct bench *bench, unsigned row)
{
    int pair[2];

    if (bench->config->access_log.file == NULL)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
        die("log channel");
    bench->log_channels[row] = high(pair[0]);
    send_log_file(bench, row);
    return high(pair[1]);
}

static void start_worker(struct bench *bench, const char *path, unsigned row)
{
    char row_text[16], rows_text[16], byte;
    int ready[2];

    snprintf(row_text, sizeof(row_text), "%u", row);
    snprintf(rows_text, sizeof(rows_text), "%u", bench->row_count);
    if (pipe(ready) < 0)
        die("pipe");
    int log_end = make_log_channel(bench, row);
    pid_t pid = fork();
    if (pid == 0) {
        int write_end = high(ready[1]);
        close(ready[0]);
        give(bench->config_fd, DESCRIPTOR_CONFIG);
        give(bench->routing_fd, DESCRIPTOR_ROUTING);
        give(bench->verdicts_fd, DESCRIPTOR_VERDICTS);
        give(bench->bell_updater, DESCRIPTOR_BELL_UPDATER);
        give(bench->tickets_fd, DESCRIPTOR_TICKETS);
        give(write_end, DESCRIPTOR_READY);
        if (log_end >= 0)
            give(log_end, DESCRIPTOR_LOG_CHANNEL);
        for (unsigned i = 0; i < bench->row_count; i++)
            give(bench->row_fds[i], DESCRIPTOR_ROW_FIRST + (int)i);
        give(bench->bells[row], DESCRIPTOR_BELL_ROW_FIRST + (int)row);
        for (size_t i = 0; i < bench->config->listener_count; i++)
            give(bench->listeners[row][i], DESCRIPTOR_LISTENER_FIRST + (int)i);
        execl(path, path, "--row", row_text, "--rows", rows_text, "--slot", row_text,
              "--generation", "1", (char *)NULL);
        _exit(1);
    }
    close(ready[1]);
    if (log_end >= 0)
        close(log_end);
    if (pid < 0 || read(ready[0], &byte, 1) != 1) {
        int status = 0;
        waitpid(pid, &status, 0);
        fprintf(stderr, "bench: worker did not get ready, exit status %d\n", WEXITSTATUS(status));
        exit(1);
    }
    close(ready[0]);
    bench->pids[row] = pid;
    score_set(&bench->scores.rows[row]->pid, pid);
}

/* It was told to stop, and has: it acknowledges nothing more. */
static bool has_finished(const struct bench *bench, unsigned row)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)bench->pids[row], &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0 && info.si_code == CLD_EXITED && info.si_status == 0;
}

static bool all_have_seen(const struct bench *bench, uint64_t epoch)
{
    for (unsigned row = 0; row < bench->row_count; row++)
        if (atomic_load_explicit(&bench->scores.rows[row]->seen_epoch, memory_order_acquire) <
                epoch &&
            !has_finished(bench, row))
            return false;
    return true;
}

static void ring(const struct bench *bench)
{
    for (unsigned row = 0; row < bench->row_count; row++)
        bell_ring(bench->bells[row]);
}

/* Publishes and waits until every worker has acknowledged, as its bell tells. */
static void publish(struct bench *bench, bool wait)
{
    uint64_t start_us = clock_us(), epoch = routing_board_publish(bench->routing, &bench->draft);
    unsigned silence = 0;

    ring(bench);
    while (wait && !all_have_seen(bench, epoch)) {
        struct pollfd bell = {.fd = bench->bell_updater, .events = POLLIN};
        if (poll(&bell, 1, 100) > 0)
            bell_clear(bench->bell_updater);
        else if (++silence == 100) /* one that has finished rings no bell */
            die("no acknowledgement");
    }
    bench->published_us = clock_us();
    printf("{\"epoch\": %" PRIu64 ", \"us\": %" PRIu64 "}\n", epoch, clock_us() - start_us);
}

static void print_proof(const struct bench *bench, uint32_t slot, uint64_t epoch)
{
    struct drain_proof proof;
    bool drained = scoreboard_is_drained(&bench->scores, slot,
                                         bench->draft.backends[slot].generation, epoch, &proof);

    printf("{\"drained\": %s, \"last_end_us\": %" PRIu64 ", \"now_us\": %" PRIu64 ", \"left\": [",
           drained ? "true" : "false", proof.last_end_us, clock_us());
    for (unsigned how = 0; how < LEFT_COUNT; how++) {
        for (unsigned kind = 0; kind < KIND_COUNT; kind++)
            printf("%s%u", kind > 0 ? ", " : how > 0 ? "], [" : "[", proof.left[how][kind]);
    }
    printf("]]}\n");
}

/* Waits by the bell until the slot is drained; says how long after the last exchange's end, or
 * after the acknowledgement where that came later. */
static void await_drained(const struct bench *bench, uint32_t slot, uint64_t epoch)
{
    struct drain_proof proof;

    while (!scoreboard_is_drained(&bench->scores, slot, bench->draft.backends[slot].generation,
                                  epoch, &proof)) {
        struct pollfd bell = {.fd = bench->bell_updater, .events = POLLIN};
        if (poll(&bell, 1, 20000) <= 0) {
            printf("{\"drained\": false}\n");
            return;
        }
        bell_clear(bench->bell_updater);
    }
    uint64_t from_us =
        proof.last_end_us > bench->published_us ? proof.last_end_us : bench->published_us;
    printf("{\"drained\": true, \"noticed_us\": %" PRIu64 "}\n", clock_us() - from_us);
}

static void print_scores(const struct bench *bench)
{
    printf("{\"backends\": [");
    for (uint32_t i = 0; i < bench->draft.backend_count; i++) {
        struct score_sum sum;
        scoreboard_sum(&bench->scores, i, bench->draft.backends[i].generation, &sum);
        printf(
            "%s{\"active\": [%u, %u, %u, %u, %u], \"connecting\": %u, \"open\": %u, \"idle\": %u, "
            "\"exchanges\": %" PRIu64 ", \"status\": [%" PRIu64 ", %" PRIu64 ", %" PRIu64
            ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "], \"connect_failures\": %" PRIu64
            ", \"timeouts\": %" PRIu64 ", \"resets\": %" PRIu64 ", \"retries\": %" PRIu64
            ", \"asset_retries\": %" PRIu64 ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64
            ", \"ejected\": %u, \"ejections\": %" PRIu64 ", \"mirror\": [%" PRIu64 ", %" PRIu64
            ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "]}",
            i > 0 ? ", " : "", sum.active[0], sum.active[1], sum.active[2], sum.active[3],
            sum.active[4], sum.connecting, sum.open, sum.idle, sum.exchanges, sum.status[0],
            sum.status[1], sum.status[2], sum.status[3], sum.status[4], sum.status[5],
            sum.connect_failures, sum.timeouts, sum.resets, sum.retries, sum.asset_retries,
            sum.bytes_in, sum.bytes_out, sum.ejected, sum.ejections, sum.mirrored,
            sum.mirror_compared, sum.mirror_status_differs, sum.mirror_body_differs,
            sum.mirror_failures);
    }
    printf("], \"rows\": [");
    for (unsigned row = 0; row < bench->row_count; row++) {
        const struct score_row *r = bench->scores.rows[row];
        uint64_t split = score_get(&r->split[0]);
        printf("%s{\"memory\": %" PRIu64
               ", \"pressure\": %u, \"clients\": %u, \"accepted\": %" PRIu64
               ", \"queued\": %u, \"split\": "
               "[%u, %u, %u], \"refusals\": [",
               row > 0 ? ", " : "", score_get(&r->memory_held), score_get(&r->memory_pressure),
               score_get(&r->clients), score_get(&r->accepted), score_get(&r->queued[0]),
               score_split_weight(split), score_split_exchanges(split), score_split_canary(split));
        for (unsigned i = 0; i < REFUSAL_COUNT; i++)
            printf("%s%" PRIu64, i > 0 ? ", " : "", score_get(&r->refusals[i]));
        printf("], \"access_log_lost\": %" PRIu64 ", \"spliced\": %" PRIu64 ", \"refused\": {",
               score_get(&r->access_log_lost), score_get(&r->spliced_bytes));
        for (unsigned i = 0; i < REFUSAL_COUNT; i++)
            printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", refusal_name((enum refusal)i),
                   score_get(&r->refusals[i]));
        printf("}}");
    }
    printf("]}\n");
}

static void print_holds(const struct bench *bench)
{
    struct score_hold holds[SCORE_HOLDS_MAX];
    const char *separator = "";
    uint32_t total;

    printf("[");
    for (unsigned row = 0; row < bench->row_count; row++) {
        uint32_t count = score_holds_read(bench->scores.rows[row], holds, SCORE_HOLDS_MAX, &total);
        for (uint32_t i = 0; i < count; i++) {
            printf("%s{\"id\": %" PRIu64 ", \"slot\": %u, \"kind\": \"%s\", \"request\": \"%s\", "
                   "\"ending\": %u, \"bytes_left\": %" PRId64 "}",
                   separator, holds[i].id, holds[i].slot,
                   exchange_kind_name((enum exchange_kind)holds[i].kind), holds[i].request,
                   holds[i].ending, (int64_t)holds[i].bytes_left);
            separator = ", ";
        }
    }
    printf("]\n");
}

static void signal_workers(const struct bench *bench, int signal_number)
{
    for (unsigned row = 0; row < bench->row_count; row++)
        kill(bench->pids[row], signal_number);
}

static void await_workers(const struct bench *bench)
{
    printf("[");
    for (unsigned row = 0; row < bench->row_count; row++) {
        int status = 0;
        waitpid(bench->pids[row], &status, 0);
        printf("%s%d", row > 0 ? ", " : "",
               WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    }
    printf("]\n");
}

static void set_state(struct bench *bench, uint32_t slot, enum backend_state state)
{
    bench->draft.backends[slot].state = (uint8_t)state;
    bench->draft.backends[slot].ready_ms = clock_ms();
    publish(bench, true);
}

/* `since_ms`: 0 is now. */
static void judge(struct bench *bench, uint32_t slot, enum verdict_state state, uint64_t since_ms)
{
    struct verdict verdict = {.state = state};

    if (verdict_write(bench->verdicts, slot, bench->draft.backends[slot].generation, &verdict,
                      since_ms > 0 ? since_ms : clock_ms()))
        ring(bench);
    printf("{}\n");
}

static void end_exchange(struct bench *bench, uint64_t id)
{
    bench->draft.ends[0] = id;
    bench->draft.end_count = 1;
    publish(bench, true);
    bench->draft.end_count = 0;
}

/* X-Match: yes, or the cookie match=yes. */
static void set_match(struct bench *bench, uint32_t service, enum config_match_kind kind)
{
    struct config_match match = {.kind = kind, .value = "yes"};

    memcpy(match.name, kind == MATCH_HEADER ? "X-Match" : "match",
           kind == MATCH_HEADER ? sizeof("X-Match") : sizeof("match"));
    bench->draft.services[service].match = kind == MATCH_NONE ? (struct config_match){0} : match;
    publish(bench, true);
}

/* Returns false at the end. */
static bool obey(struct bench *bench, const char *verb, uint64_t first, uint64_t second)
{
    uint32_t slot = (uint32_t)first;

    if (strcmp(verb, "weight") == 0) {
        bench->draft.services[slot].weight = (uint16_t)second;
        publish(bench, true);
    } else if (strcmp(verb, "match") == 0) {
        set_match(bench, slot, (enum config_match_kind)second);
    } else if (strcmp(verb, "mirror") == 0) {
        bench->draft.services[slot].mirror = (uint16_t)second;
        publish(bench, true);
    } else if (strcmp(verb, "hold") == 0) {
        bench->draft.services[slot].held_until_ms = second > 0 ? clock_ms() + second : 0;
        publish(bench, true);
    } else if (strcmp(verb, "salt") == 0) {
        bench->draft.services[slot].salt = second;
        publish(bench, true);
    } else if (strcmp(verb, "drain") == 0) {
        set_state(bench, slot, BACKEND_DRAINING);
    } else if (strcmp(verb, "ready") == 0) {
        set_state(bench, slot, BACKEND_READY);
    } else if (strcmp(verb, "end-kinds") == 0) {
        bench->draft.backends[slot].end_kinds = (uint8_t)second;
        publish(bench, true);
        bench->draft.backends[slot].end_kinds = 0;  /* until the next table */
    } else if (strcmp(verb, "close-spread") == 0) { /* for the ends that follow */
        bench->draft.backends[slot].close_spread_ms = (uint32_t)second;
        printf("{}\n");
    } else if (strcmp(verb, "end") == 0) {
        end_exchange(bench, first);
    } else if (strcmp(verb, "proof") == 0) {
        print_proof(bench, slot, second);
    } else if (strcmp(verb, "await-drained") == 0) {
        await_drained(bench, slot, second);
    } else if (strcmp(verb, "healthy") == 0) {
        judge(bench, slot, VERDICT_HEALTHY, second);
    } else if (strcmp(verb, "unhealthy") == 0) {
        judge(bench, slot, VERDICT_UNHEALTHY, second);
    } else if (strcmp(verb, "scores") == 0) {
        print_scores(bench);
    } else if (strcmp(verb, "holds") == 0) {
        print_holds(bench);
    } else if (strcmp(verb, "pids") == 0) {
        for (unsigned row = 0; row < bench->row_count; row++)
            printf("%s%d%s", row > 0 ? ", " : "[", bench->pids[row],
                   row + 1 < bench->row_count ? "" : "]\n");
    } else if (strcmp(verb, "reopen") == 0) { /* the access log's file */
        for (unsigned row = 0; row < bench->row_count; row++)
            send_log_file(bench, row);
        printf("{}\n");
    } else if (strcmp(verb, "terminate") == 0) {
        signal_workers(bench, SIGTERM);
        printf("{}\n");
    } else if (strcmp(verb, "retire") == 0) {
        signal_workers(bench, SIGQUIT);
        printf("{}\n");
    } else if (strcmp(verb, "wait") == 0) {
        await_workers(bench);
        return false;
    } else {
        printf("{\"error\": \"unknown verb\"}\n");
    }
    return true;
}

int main(int argc, char **argv)
{
    struct bench *bench = memory_new(sizeof(*bench));
    struct config_errors errors = {0};
    char line[256];
    bool more = true;

    if (argc < 3) {
        fprintf(stderr, "usage: sluice-worker-bench WORKER CONFIG [ROWS]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    bench->row_count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    if (config_read_file(argv[2], NULL, &errors, &bench->config) < 0) {
        fprintf(stderr, "%s", errors.text);
        return 2;
    }
    bench->config_fd = config_memfd(bench->config);
    make_boards(bench);
    fill_table(bench);
    routing_board_publish(bench->routing, &bench->draft);
    open_listeners(bench);
    /* All before the first starts: else it counts the others as idle until it looks again. */
    for (unsigned row = 0; row < bench->row_count; row++)
        score_set(&bench->scores.rows[row]->state, ROW_LIVE);
    for (unsigned row = 0; row < bench->row_count; row++)
        start_worker(bench, argv[1], row);
    printf("{\"ready\": true}\n");
    while (more && fgets(line, sizeof(line), stdin) != NULL) {
        char verb[32] = "";
        uint64_t first = 0, second = 0;
        if (sscanf(line, "%31s %" SCNu64 " %" SCNu64, verb, &first, &second) < 1)
            continue;
        more = obey(bench, verb, first, second);
    }
    if (more)
        signal_workers(bench, SIGKILL);
    config_free(bench->config);
    free(bench);
    return 0;
}
