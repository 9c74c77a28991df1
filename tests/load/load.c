#include "load.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"

#include <signal.h>
#include <stdlib.h>

#define TICK_S    0.005
#define BURST_MAX 64 /* requests begun in one turn */

struct run {
    struct load load;
    struct client **keepalive, **others;
    struct websocket **websockets;
    struct tcp_client **tcp_clients;
    unsigned other_count, next_keepalive;
    uint64_t begun, new_begun, requests_reported;
    ev_timer tick, report, end;
    ev_signal interrupt, terminate;
};

/* xorshift64*: fast, and good enough for bodies and masks. */
uint64_t load_random(struct load *load)
{
    load->seed ^= load->seed >> 12;
    load->seed ^= load->seed << 25;
    load->seed ^= load->seed >> 27;
    return load->seed * 2685821657736338717u;
}

static void stop(struct run *run)
{
    run->load.stopping = true;
}

static uint64_t due(double rate, uint64_t elapsed_ms)
{
    return (uint64_t)(rate * (double)elapsed_ms / 1000.0);
}

/* Begins what is due by now, whether or not earlier requests were answered. */
static void pace(struct run *run)
{
    struct load *load = &run->load;
    uint64_t elapsed_ms = clock_ms() - load->statistics.started_ms;
    uint64_t wanted = due(load->options.rate, elapsed_ms);
    uint64_t new_wanted = due(load->options.new_rate, elapsed_ms);

    for (unsigned i = 0; i < BURST_MAX && run->begun < wanted; i++, run->begun++) {
        if (!client_start_any(run->keepalive, load->options.connections, &run->next_keepalive)) {
            load->statistics.late++;
            break;
        }
    }
    for (unsigned i = 0; i < BURST_MAX && run->new_begun < new_wanted; i++, run->new_begun++) {
        if (!client_start_once(load)) {
            load->statistics.late++;
            break;
        }
    }
}

/* Every exchange in flight has a deadline of its own, so this ends. */
static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct run *run = timer->data;

    (void)events;
    if (!run->load.stopping)
        pace(run);
    else if (run->load.statistics.in_flight == 0)
        ev_break(loop, EVBREAK_ALL);
}

static void on_report(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct run *run = timer->data;

    (void)loop;
    (void)events;
    statistics_print_progress(&run->load.statistics, run->requests_reported,
                              run->load.options.report_ms);
    run->requests_reported = run->load.statistics.requests;
}

static void on_end(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    stop(timer->data);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    stop(watcher->data);
}

static void start_watchers(struct run *run)
{
    struct ev_loop *loop = run->load.loop;
    double report_s = run->load.options.report_ms / 1000.0;

    ev_timer_init(&run->tick, on_tick, 0, TICK_S);
    ev_timer_init(&run->report, on_report, report_s, report_s);
    ev_timer_init(&run->end, on_end, run->load.options.duration_s, 0);
    ev_signal_init(&run->interrupt, on_signal, SIGINT);
    ev_signal_init(&run->terminate, on_signal, SIGTERM);
    run->tick.data = run->report.data = run->end.data = run;
    run->interrupt.data = run->terminate.data = run;
    ev_timer_start(loop, &run->tick);
    if (run->load.options.report_ms > 0)
        ev_timer_start(loop, &run->report);
    if (run->load.options.duration_s > 0)
        ev_timer_start(loop, &run->end);
    ev_signal_start(loop, &run->interrupt);
    ev_signal_start(loop, &run->terminate);
}

static void start_others(struct run *run, enum kind kind, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        run->others[run->other_count] = client_new(&run->load, kind);
        client_start(run->others[run->other_count++]);
    }
}

static void start_clients(struct run *run)
{
    const struct options *options = &run->load.options;
    size_t others = (size_t)options->slow + options->uploads + options->downloads;

    if (options->uploads > 0)
        uploads_prepare(&run->load);
    run->keepalive = memory_new_array(options->connections, sizeof(struct client *));
    run->others = memory_new_array(others + 1, sizeof(struct client *));
    run->websockets = memory_new_array(options->websockets + 1, sizeof(struct websocket *));
    run->tcp_clients = memory_new_array(options->tcp_connections + 1, sizeof(struct tcp_client *));
    for (unsigned i = 0; i < options->connections; i++)
        run->keepalive[i] = client_new(&run->load, KIND_KEEPALIVE);
    start_others(run, KIND_SLOW, options->slow);
    start_others(run, KIND_UPLOAD, options->uploads);
    start_others(run, KIND_DOWNLOAD, options->downloads);
    for (unsigned i = 0; i < options->websockets; i++)
        run->websockets[i] = websocket_new(&run->load);
    for (unsigned i = 0; i < options->tcp_connections; i++)
        run->tcp_clients[i] = tcp_client_new(&run->load);
}

static void free_clients(struct run *run)
{
    for (unsigned i = 0; i < run->load.options.connections; i++)
        client_free(run->keepalive[i]);
    for (unsigned i = 0; i < run->other_count; i++)
        client_free(run->others[i]);
    for (unsigned i = 0; i < run->load.options.websockets; i++)
        websocket_free(run->websockets[i]);
    for (unsigned i = 0; i < run->load.options.tcp_connections; i++)
        tcp_client_free(run->tcp_clients[i]);
    uploads_free();
    free(run->keepalive);
    free(run->others);
    free(run->websockets);
    free(run->tcp_clients);
}

int main(int argc, char **argv)
{
    static struct run run;
    bool help;
    int code = options_parse(argc, argv, &run.load.options, &help);

    if (code != 0 || help)
        return code;
    run.load.loop = ev_default_loop(0);
    check(run.load.loop != NULL);
    run.load.seed = clock_us() | 1;
    run.load.statistics.started_ms = clock_ms();
    start_watchers(&run);
    start_clients(&run);
    ev_run(run.load.loop, 0);
    statistics_print_final(&run.load.statistics);
    code = run.load.statistics.failed == 0 ? 0 : 1;
    free_clients(&run);
    ev_loop_destroy(run.load.loop);
    return code;
}
