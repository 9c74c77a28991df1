/* Stands in for the supervisor and the updater, so that a test can drive the real sluice-health:
 *
 *     health_bench SLUICE_HEALTH CONFIG
 *
 * Creates the boards, publishes the services of CONFIG and starts sluice-health. Then takes
 * commands on stdin, one per line, and tells what happens on stdout, one event per line:
 *
 *     add SLOT SERVICE HOST:PORT [AGE_MS]  a new backend, starting; a new generation of its slot
 *     state SLOT starting|ready|draining   moves it
 *     container SLOT none|starting|healthy|unhealthy
 *     remove SLOT                          the slot is free
 *     kill | start                         SIGKILL to sluice-health; starts another
 *     terminate                            SIGTERM to sluice-health, until it has ended
 *     show                                 a verdict line for each slot in use
 *     bells                                "bells N": row bells that were rung since last asked
 *     (end of input)                       SIGTERM, and ends with sluice-health's exit code
 *
 *     ready                                sluice-health serves
 *     verdict SLOT GENERATION STATE REASON its verdict changed (or `show` asked)
 *     ended CODE | signalled NUMBER        sluice-health is gone
 */
#include "base/clock.h"
#include "base/descriptors.h"
#include "board/routing.h"
#include "board/verdicts.h"
#include "config/config.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS          2
#define OWN_FDS_FIRST 256 /* above every descriptor that the child gets */

static struct {
    const char *program;
    struct config *config;
    struct routing_board *routing;
    struct verdicts_board *verdicts;
    struct routing_table draft;
    uint64_t told[ROUTING_BACKENDS_MAX]; /* generation << 32 | state, as last printed */
    int config_fd, routing_fd, verdicts_fd, updater_bell, health_bell, row_bells[ROWS];
    int ready_fd, pid_fd;
    pid_t pid;
} bench;

_Noreturn static void die(const char *what, int error)
{
    fprintf(stderr, "health_bench: %s: %s\n", what, strerror(error));
    exit(70);
}

/* Out of the way of the fixed descriptors. */
static int lift(int fd)
{
    int lifted;

    if (fd < 0)
        die("descriptor", fd == -1 ? errno : -fd);
    lifted = fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS_FIRST);
    if (lifted < 0)
        die("dup", errno);
    close(fd);
    return lifted;
}

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from != NULL ? from : "");
}

static void draft_services(void)
{
    for (size_t i = 0; i < bench.config->service_count; i++) {
        const struct config_service *from = &bench.config->services[i];
        struct routing_service *to = &bench.draft.services[i];
        copy_text(to->name, sizeof(to->name), from->name);
        to->check.kind = (uint8_t)from->check.kind;
        to->check.status_min = from->check.status_min;
        to->check.status_max = from->check.status_max;
        to->check.retries = from->check.retries;
        to->check.successes = from->check.successes;
        to->check.interval_ms = from->check.interval_ms;
        to->check.timeout_ms = from->check.timeout_ms;
        to->check.start_period_ms = from->check.start_period_ms;
        copy_text(to->check.path, sizeof(to->check.path), from->check.path);
        copy_text(to->check.host, sizeof(to->check.host), from->check.host);
        copy_text(to->check.body, sizeof(to->check.body), from->check.body);
    }
    bench.draft.service_count = (uint32_t)bench.config->service_count;
}

static void publish(void)
{
    routing_board_publish(bench.routing, &bench.draft);
    bell_ring(bench.health_bell);
}

static void hand_down(int from, int to)
{
    if (dup2(from, to) < 0)
        _exit(71);
}

static void start_health(void)
{
    int ready[2];
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0)
        die("pipe", errno);
    bench.ready_fd = lift(ready[0]);
    ready[1] = lift(ready[1]);
    pid = fork();
    if (pid < 0)
        die("fork", errno);
    if (pid == 0) {
        hand_down(bench.config_fd, DESCRIPTOR_CONFIG);
        hand_down(bench.routing_fd, DESCRIPTOR_ROUTING);
        hand_down(bench.verdicts_fd, DESCRIPTOR_VERDICTS);
        hand_down(bench.updater_bell, DESCRIPTOR_BELL_UPDATER);
        hand_down(bench.health_bell, DESCRIPTOR_BELL_HEALTH);
        hand_down(ready[1], DESCRIPTOR_READY);
        for (int row = 0; row < ROWS; row++)
            hand_down(bench.row_bells[row], DESCRIPTOR_BELL_ROW_FIRST + row);
        execl(bench.program, "sluice-health", "--rows", "2", (char *)NULL);
        _exit(72);
    }
    close(ready[1]);
    bench.pid = pid;
    bench.pid_fd = lift((int)syscall(SYS_pidfd_open, pid, 0));
}

static void tell_verdict(uint32_t slot, bool always)
{
    uint32_t generation = bench.draft.backends[slot].generation;
    struct verdict verdict;
    uint64_t word;

    verdict_read(bench.verdicts, slot, generation, &verdict);
    word = (uint64_t)generation << 32 | verdict.state;
    if (!always && (word == bench.told[slot] || verdict.state == VERDICT_UNKNOWN))
        return;
    bench.told[slot] = word;
    printf("verdict %u %u %s %s\n", slot, generation, verdict_state_name(verdict.state),
           verdict.reason);
}

static void tell_verdicts(bool always)
{
    for (uint32_t slot = 0; slot < bench.draft.backend_count; slot++)
        if (bench.draft.backends[slot].state != BACKEND_FREE)
            tell_verdict(slot, always);
    fflush(stdout);
}

static void tell_bells(void)
{
    unsigned rung = 0;
    uint64_t count;

    for (int row = 0; row < ROWS; row++)
        if (read(bench.row_bells[row], &count, sizeof(count)) == sizeof(count))
            rung++;
    printf("bells %u\n", rung);
    fflush(stdout);
}

static void add(uint32_t slot, const char *service, const char *address, unsigned age_ms)
{
    struct routing_backend *backend = &bench.draft.backends[slot];
    int index = config_find_service(bench.config, service);
    uint32_t generation = backend->generation + 1;

    if (index < 0)
        die(service, ENOENT);
    *backend = (struct routing_backend){.generation = generation,
                                        .service = (uint16_t)index,
                                        .state = BACKEND_STARTING,
                                        .weight = 1,
                                        .started_ms = clock_ms() - age_ms};
    if (address_parse(slice_from_string(address), &backend->address) != 0)
        die(address, EINVAL);
    copy_text(backend->name, sizeof(backend->name), address);
    if (slot >= bench.draft.backend_count)
        bench.draft.backend_count = slot + 1;
}

static bool look_up(const char *word, const char *const *words, uint8_t count, uint8_t *ret_index)
{
    for (uint8_t i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static void change(const char *verb, uint32_t slot, const char *word)
{
    static const char *const states[] = {"free", "starting", "ready", "draining"};
    static const char *const healths[] = {"none", "starting", "healthy", "unhealthy"};
    struct routing_backend *backend = &bench.draft.backends[slot];

    if (strcmp(verb, "remove") == 0)
        backend->state = BACKEND_FREE;
    else if ((strcmp(verb, "state") != 0 || !look_up(word, states, 4, &backend->state)) &&
             (strcmp(verb, "container") != 0 ||
              !look_up(word, healths, 4, &backend->container_health)))
        die(verb, EINVAL);
}

static void obey(const char *line)
{
    char verb[16] = "", second[64] = "", third[64] = "";
    unsigned slot = 0, age_ms = 0;

    if (sscanf(line, "%15s %u %63s %63s %u", verb, &slot, second, third, &age_ms) < 1 ||
        slot >= ROUTING_BACKENDS_MAX)
        die(line, EINVAL);
    if (strcmp(verb, "kill") == 0) {
        kill(bench.pid, SIGKILL);
    } else if (strcmp(verb, "terminate") == 0) {
        struct pollfd end = {.fd = bench.pid_fd, .events = POLLIN};
        while (poll(&end, 1, 0) == 0)
            kill(bench.pid, SIGTERM);
    } else if (strcmp(verb, "start") == 0) {
        start_health();
    } else if (strcmp(verb, "show") == 0) {
        tell_verdicts(true);
    } else if (strcmp(verb, "bells") == 0) {
        tell_bells();
    } else {
        if (strcmp(verb, "add") == 0)
            add(slot, second, third, age_ms);
        else
            change(verb, slot, second);
        publish();
    }
}

/* Returns false at the end of the input. */
static bool read_commands(void)
{
    static char text[65536];
    static size_t length;
    ssize_t got = read(STDIN_FILENO, text + length, sizeof(text) - 1 - length);
    char *line = text, *end;

    if (got <= 0)
        return false;
    length += (size_t)got;
    text[length] = '\0';
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        obey(line);
        line = end + 1;
    }
    length -= (size_t)(line - text);
    memmove(text, line, length);
    return true;
}

static int reap(void)
{
    int status = 0, code;

    waitpid(bench.pid, &status, 0);
    close(bench.pid_fd);
    bench.pid_fd = -1;
    bench.pid = 0;
    if (WIFSIGNALED(status))
        printf("signalled %d\n", WTERMSIG(status));
    else
        printf("ended %d\n", WEXITSTATUS(status));
    fflush(stdout);
    code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return code;
}

static void read_ready(void)
{
    char byte;

    if (read(bench.ready_fd, &byte, 1) == 1) {
        printf("ready\n");
        fflush(stdout);
    }
    close(bench.ready_fd);
    bench.ready_fd = -1;
}

static int run(void)
{
    for (;;) {
        struct pollfd polls[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                 {.fd = bench.updater_bell, .events = POLLIN},
                                 {.fd = bench.ready_fd, .events = POLLIN},
                                 {.fd = bench.pid_fd, .events = POLLIN}};

        if (poll(polls, 4, -1) < 0)
            die("poll", errno);
        if (polls[1].revents != 0) {
            bell_clear(bench.updater_bell);
            tell_verdicts(false);
        }
        if (polls[2].revents != 0)
            read_ready();
        if (polls[3].revents != 0)
            reap();
        if (polls[0].revents != 0 && !read_commands())
            break;
    }
    if (bench.pid == 0)
        return 0;
    kill(bench.pid, SIGTERM);
    return reap();
}

static void make_config(const char *path)
{
    struct config_errors errors = {0};
    char *json;

    if (config_read_file(path, NULL, &errors, &bench.config) != 0)
        die(errors.text != NULL ? errors.text : path, EINVAL);
    json = config_to_json(bench.config);
    bench.config_fd = lift(memfd_create("config", MFD_CLOEXEC));
    if (write(bench.config_fd, json, strlen(json)) != (ssize_t)strlen(json))
        die("config", errno);
    lseek(bench.config_fd, 0, SEEK_SET);
    free(json);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: health_bench SLUICE_HEALTH CONFIG\n");
        return 64;
    }
    bench.program = arguments[1];
    make_config(arguments[2]);
    bench.routing_fd = lift(routing_board_create());
    bench.verdicts_fd = lift(verdicts_board_create());
    if (routing_board_map(bench.routing_fd, true, &bench.routing) != 0 ||
        verdicts_board_map(bench.verdicts_fd, false, &bench.verdicts) != 0)
        die("boards", EINVAL);
    bench.updater_bell = lift(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    bench.health_bell = lift(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    for (int row = 0; row < ROWS; row++)
        bench.row_bells[row] = lift(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    draft_services();
    start_health();
    publish();
    return run();
}
