/* TCP echo clients: a line now and then, the same line back. */
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "load.h"

#include <stdlib.h>

#define LINE_INTERVAL_S 0.2
#define LINE_BYTES_MAX  128

struct tcp_client {
    struct load *load;
    struct wire wire;
    ev_timer timer;
    bool waiting; /* for an echo */
    bool open;    /* counted as such */
    uint64_t sent_us, opened_ms;
    size_t line_length;
    char line[LINE_BYTES_MAX];
};

static void again(struct tcp_client *client)
{
    if (client->open)
        client->load->statistics.tcp.open--;
    client->open = client->waiting = false;
    wire_close(&client->wire);
}

static void broken(struct tcp_client *client, const char *detail)
{
    client->load->statistics.tcp.broken++;
    statistics_failed(&client->load->statistics, KIND_TCP, detail);
    again(client);
}

static void read_echo(struct tcp_client *client)
{
    struct wire *wire = &client->wire;
    size_t length = wire->in_length < client->line_length ? wire->in_length : client->line_length;

    if (!client->waiting || wire->in_length > client->line_length ||
        memcmp(wire->in, client->line, length) != 0) {
        broken(client, "wrong echo");
        return;
    }
    if (length < client->line_length)
        return;
    wire_consume(wire, length);
    client->waiting = false;
    client->load->statistics.tcp.messages++;
    statistics_done(&client->load->statistics, KIND_TCP, clock_us() - client->sent_us);
}

static void on_wire(struct wire *wire, enum wire_event event)
{
    struct tcp_client *client =
        (struct tcp_client *)(void *)((char *)wire - offsetof(struct tcp_client, wire));

    if (event == WIRE_DATA) {
        read_echo(client);
    } else if (event == WIRE_FAILED) {
        broken(client, strerror(wire->error));
    } else if (client->waiting) {
        broken(client, "closed before the echo");
    } else {
        client->load->statistics.tcp.closed++;
        again(client);
    }
}

/* Closed by the client itself between two lines; the next line goes over a new connection. */
static bool is_held_enough(const struct tcp_client *client)
{
    unsigned hold_ms = client->load->options.tcp_hold_ms;

    return hold_ms > 0 && client->open && clock_ms() - client->opened_ms >= hold_ms;
}

static void send_line(struct tcp_client *client)
{
    int length = snprintf(client->line, sizeof(client->line), "%016llx %016llx\n",
                          (unsigned long long)load_random(client->load),
                          (unsigned long long)load_random(client->load));

    client->line_length = (size_t)length;
    client->waiting = true;
    client->sent_us = clock_us();
    if (!client->open) {
        client->load->statistics.tcp.open++;
        client->opened_ms = clock_ms();
    }
    client->open = true;
    wire_send(&client->wire, (struct slice){client->line, client->line_length},
              (struct slice){NULL, 0});
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct tcp_client *client = timer->data;

    (void)loop;
    (void)events;
    if (client->waiting) {
        if (clock_us() - client->sent_us > (uint64_t)client->load->options.timeout_ms * 1000)
            broken(client, "timeout of the echo");
        return;
    }
    if (client->load->stopping)
        return;
    if (client->wire.fd >= 0 && client->wire.in_length == 0 && wire_is_stale(&client->wire))
        return; /* the loop will tell */
    if (is_held_enough(client))
        again(client);
    if (client->wire.fd < 0) {
        int error = wire_open(&client->wire, &client->load->options.tcp);
        if (error != 0) {
            broken(client, strerror(-error));
            return;
        }
    }
    send_line(client);
}

struct tcp_client *tcp_client_new(struct load *load)
{
    struct tcp_client *client = memory_new(sizeof(*client));

    client->load = load;
    wire_init(&client->wire, load->loop, on_wire);
    ev_timer_init(&client->timer, on_timer, 0, LINE_INTERVAL_S);
    client->timer.data = client;
    ev_timer_start(load->loop, &client->timer);
    return client;
}

void tcp_client_free(struct tcp_client *client)
{
    ev_timer_stop(client->load->loop, &client->timer);
    wire_done(&client->wire);
    free(client);
}
