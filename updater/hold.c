#include "hold.h"

#include "base/clock.h"
#include "base/log.h"
#include "events.h"
#include "updater.h"

static const struct routing_service *row_of(const struct service *service)
{
    return &service->updater->table->draft.services[service->row];
}

uint64_t hold_left_ms(const struct service *service)
{
    uint64_t until_ms = row_of(service)->held_until_ms, now_ms = clock_ms();

    return until_ms > now_ms ? until_ms - now_ms : 0;
}

/* `uid`: who did it; nobody where its time was over. */
static void end(struct service *service, const uint64_t *uid)
{
    const char *why = uid ? "released" : "timeout";
    struct log_line line;

    timer_stop(service->updater->loop, &service->held);
    table_set_held(service->updater->table, service->row, 0);
    service->held_by_operator = false;
    log_begin(&line, LOG_INFO, "hold-ended");
    log_string(&line, "service", service_name(service));
    log_string(&line, "why", why);
    if (uid)
        log_u64(&line, "uid", *uid);
    log_end(&line);
    events_hold(service, "hold_ended", why);
    updater_wake(service->updater);
}

static void on_over(struct timer *timer)
{
    end(container_of(timer, struct service, held), NULL);
}

void hold_load(struct service *service)
{
    timer_init(&service->held, on_over);
    if (row_of(service)->held_until_ms != 0)
        timer_start(service->updater->loop, &service->held, hold_left_ms(service));
}

void hold_stop(struct service *service)
{
    timer_stop(service->updater->loop, &service->held);
}

/* One that has run out is another one from here on: workers have to hear of it again. */
static void begin(struct service *service, uint64_t ms)
{
    if (hold_left_ms(service) == 0)
        table_set_held(service->updater->table, service->row, 0);
    table_set_held(service->updater->table, service->row, clock_ms() + ms);
    timer_start(service->updater->loop, &service->held, ms);
}

void hold_for_swap(struct service *service, uint64_t ms)
{
    bool is_new = hold_left_ms(service) == 0;

    if (hold_left_ms(service) < ms)
        begin(service, ms);
    if (is_new)
        events_hold(service, "hold_began", NULL);
}

void hold_end_swap(struct service *service)
{
    if (service->held_by_operator || row_of(service)->held_until_ms == 0)
        return;
    timer_stop(service->updater->loop, &service->held);
    table_set_held(service->updater->table, service->row, 0);
    events_hold(service, "hold_ended", "released");
}

void hold_begin(struct service *service, uint64_t ms, uint64_t uid)
{
    struct log_line line;

    service->held_by_operator = true;
    begin(service, ms);
    log_begin(&line, LOG_INFO, "hold-began");
    log_string(&line, "service", service_name(service));
    log_u64(&line, "ms", ms);
    log_u64(&line, "uid", uid);
    log_end(&line);
    events_hold(service, "hold_began", NULL);
    updater_wake(service->updater);
}

bool hold_release(struct service *service, uint64_t uid)
{
    if (hold_left_ms(service) == 0)
        return false;
    end(service, &uid);
    return true;
}
