#include "board/tickets.h"
#include "board/verdicts.h"
#include "supervisor.h"

#include <sys/eventfd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int descriptor_raise(int fd)
{
    if (fd < 0)
        return fd;
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, SUPERVISOR_FD_FIRST);
    int error = errno;
    close(fd);
    return raised < 0 ? -error : raised;
}

/* A second descriptor of the same memory that the kernel will not let anybody write through. */
static int open_read_only(int fd)
{
    char path[64];

    if (fd < 0)
        return fd;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    return read_only < 0 ? -errno : descriptor_raise(read_only);
}

static int open_bell(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? -errno : descriptor_raise(fd);
}

static int create_row(struct boards *boards, unsigned row)
{
    boards->rows_rw[row] = descriptor_raise(score_row_create());
    if (boards->rows_rw[row] < 0)
        return boards->rows_rw[row];
    boards->rows_ro[row] = open_read_only(boards->rows_rw[row]);
    if (boards->rows_ro[row] < 0)
        return boards->rows_ro[row];
    boards->row_bells[row] = open_bell();
    return boards->row_bells[row] < 0 ? boards->row_bells[row] : 0;
}

/* scoreboard_map() wants the rows' descriptors side by side. */
static int map_rows(struct boards *boards)
{
    int first = DESCRIPTOR_ROW_FIRST;

    for (unsigned row = 0; row < boards->row_count; row++)
        if (dup3(boards->rows_rw[row], first + (int)row, O_CLOEXEC) < 0)
            return -errno;
    int error = scoreboard_map(&boards->score, first, boards->row_count, ROWS_MAX);
    for (unsigned row = 0; row < boards->row_count; row++)
        close(first + (int)row);
    return error;
}

int boards_create(struct boards *boards, unsigned row_count)
{
    int *const singles[] = {&boards->routing_rw,   &boards->routing_ro, &boards->verdicts_rw,
                            &boards->verdicts_ro,  &boards->tickets_rw, &boards->tickets_ro,
                            &boards->bell_updater, &boards->bell_health};

    *boards = (struct boards){.row_count = row_count};
    boards->routing_rw = descriptor_raise(routing_board_create());
    boards->routing_ro = open_read_only(boards->routing_rw);
    boards->verdicts_rw = descriptor_raise(verdicts_board_create());
    boards->verdicts_ro = open_read_only(boards->verdicts_rw);
    boards->tickets_rw = descriptor_raise(tickets_board_create());
    boards->tickets_ro = open_read_only(boards->tickets_rw);
    boards->bell_updater = open_bell();
    boards->bell_health = open_bell();
    for (unsigned i = 0; i < sizeof(singles) / sizeof(singles[0]); i++)
        if (*singles[i] < 0)
            return *singles[i];
    for (unsigned row = 0; row < row_count; row++) {
        int error = create_row(boards, row);
        if (error < 0)
            return error;
    }
    int error = tickets_board_map(boards->tickets_rw, true, &boards->tickets);
    return error < 0 ? error : map_rows(boards);
}
