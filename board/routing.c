#include "routing.h"

#include "base/check.h"
#include "memory_board.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Epoch E lies in copy E & 1. `writing` is raised before a copy is touched, `published` after: a
 * reader whose copy may have been touched meanwhile sees that `writing` went past it by two. */
struct routing_board {
    uint32_t version;
    uint32_t table_bytes;
    _Atomic uint64_t writing;
    _Atomic uint64_t published;
    struct routing_table copies[2];
};

int routing_board_create(void)
{
    struct routing_board *board = NULL;
    int fd = memory_board_create("sluice-routing", sizeof(struct routing_board));

    if (fd < 0)
        return fd;
    int error = memory_board_map(fd, sizeof(*board), true, (void **)&board);
    if (error < 0)
        return error;
    board->version = ROUTING_VERSION;
    board->table_bytes = sizeof(struct routing_table);
    routing_board_unmap(board);
    return fd;
}

int routing_board_map(int fd, bool writable, struct routing_board **ret_board)
{
    struct routing_board *board = NULL;
    int error = memory_board_map(fd, sizeof(*board), writable, (void **)&board);

    if (error < 0)
        return error;
    if (board->version != ROUTING_VERSION || board->table_bytes != sizeof(struct routing_table)) {
        routing_board_unmap(board);
        return -EINVAL;
    }
    *ret_board = board;
    return 0;
}

void routing_board_unmap(struct routing_board *board)
{
    memory_board_unmap(board, sizeof(*board));
}

uint64_t routing_board_epoch(const struct routing_board *board)
{
    return atomic_load_explicit(&board->published, memory_order_acquire);
}

/* The parts of a table that are in use. */
static void copy_table(struct routing_table *to, const struct routing_table *from,
                       uint32_t service_count, uint32_t backend_count)
{
    to->epoch = from->epoch;
    to->service_count = service_count;
    to->backend_count = backend_count;
    to->end_count = from->end_count <= ROUTING_ENDS_MAX ? from->end_count : 0;
    memcpy(to->secret, from->secret, sizeof(to->secret));
    memcpy(to->ends, from->ends, to->end_count * sizeof(from->ends[0]));
    memcpy(to->services, from->services, service_count * sizeof(from->services[0]));
    memcpy(to->backends, from->backends, backend_count * sizeof(from->backends[0]));
}

static int check_table(struct routing_table *table)
{
    for (uint32_t i = 0; i < table->service_count; i++) {
        struct routing_service *service = &table->services[i];
        service->name[sizeof(service->name) - 1] = '\0';
        service->check.path[sizeof(service->check.path) - 1] = '\0';
        service->check.host[sizeof(service->check.host) - 1] = '\0';
        service->check.body[sizeof(service->check.body) - 1] = '\0';
        service->match.name[sizeof(service->match.name) - 1] = '\0';
        service->match.value[sizeof(service->match.value) - 1] = '\0';
        if (service->weight > WEIGHT_MAX || service->mirror > WEIGHT_MAX ||
            (unsigned)service->match.kind > MATCH_COOKIE)
            return -EPROTO;
    }
    for (uint32_t i = 0; i < table->backend_count; i++) {
        struct routing_backend *backend = &table->backends[i];
        backend->name[sizeof(backend->name) - 1] = '\0';
        if (backend->state == BACKEND_FREE)
            continue;
        bool has_address =
            backend->address.family == AF_INET || backend->address.family == AF_INET6;
        if (backend->state > BACKEND_DRAINING || backend->group >= GROUP_COUNT ||
            backend->service >= table->service_count || !has_address)
            return -EPROTO;
    }
    return 0;
}

int routing_board_read(const struct routing_board *board, struct routing_table *ret_table)
{
    uint64_t epoch = atomic_load_explicit(&board->published, memory_order_acquire);

    if (epoch == 0) {
        ret_table->epoch = 0;
        ret_table->service_count = ret_table->backend_count = ret_table->end_count = 0;
        return 0;
    }
    const struct routing_table *copy = &board->copies[epoch & 1];
    uint32_t service_count = copy->service_count;
    uint32_t backend_count = copy->backend_count;
    if (service_count > ROUTING_SERVICES_MAX || backend_count > ROUTING_BACKENDS_MAX)
        service_count = UINT32_MAX; /* torn or wrong: told apart below */
    else
        copy_table(ret_table, copy, service_count, backend_count);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&board->writing, memory_order_relaxed) > epoch + 1)
        return -EAGAIN;
    if (service_count == UINT32_MAX || ret_table->epoch != epoch)
        return -EPROTO;
    return check_table(ret_table);
}

uint64_t routing_board_publish(struct routing_board *board, struct routing_table *draft)
{
    uint64_t epoch = atomic_load_explicit(&board->published, memory_order_relaxed) + 1;

    check(draft->service_count <= ROUTING_SERVICES_MAX);
    check(draft->backend_count <= ROUTING_BACKENDS_MAX);
    check(draft->end_count <= ROUTING_ENDS_MAX);
    atomic_store_explicit(&board->writing, epoch, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    draft->epoch = epoch;
    copy_table(&board->copies[epoch & 1], draft, draft->service_count, draft->backend_count);
    atomic_store_explicit(&board->published, epoch, memory_order_release);
    return epoch;
}

const char *backend_state_name(enum backend_state state)
{
    static const char *const names[] = {"free", "starting", "ready", "draining"};

    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "invalid";
}

const char *group_name(enum group group)
{
    static const char *const names[] = {"stable", "canary"};

    return (unsigned)group < GROUP_COUNT ? names[group] : "invalid";
}

const char *exchange_kind_name(enum exchange_kind kind)
{
    static const char *const names[] = {
        [KIND_REQUEST] = "request",     [KIND_UPLOAD] = "upload", [KIND_STREAM] = "stream",
        [KIND_WEBSOCKET] = "websocket", [KIND_TCP] = "tcp",
    };

    return (unsigned)kind < KIND_COUNT ? names[kind] : "invalid";
}
