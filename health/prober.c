#include "prober.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/http_client.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/script.h"
#include "board/routing.h"
#include "board/verdicts.h"
#include "config/config.h"
#include "judge.h"
#include "probe.h"
#include "tls_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_AGAIN_MS 10u /* after the table changed under our hands */

struct lane { /* probes of a kind, at most `max` at a time */
    unsigned running, max;
    struct list waiting;
};

struct target {       /* a backend slot */
    struct list node; /* on its lane's waiting list, or on none */
    struct prober *prober;
    uint32_t slot;
    uint32_t generation; /* 0: not probed */
    uint8_t kind;        /* enum config_check_kind */
    struct address address;
    struct judgement judgement;
    struct timer due;
    struct probe probe;
    uint64_t started_ms; /* of the last probe */
    bool spread;         /* the next gap is cut at random */
};

struct prober {
    struct prober_options options;
    struct probe_tools tools;
    struct list scripts;
    struct lane network, script_lane;
    struct timer again; /* sync once more */
    ev_prepare before_wait;
    bool changed;                 /* a verdict: bells are rung once, before the loop waits */
    struct routing_table *table;  /* the one in force */
    struct routing_table *coming; /* room for the next */
    uint32_t target_count;        /* slots in use were below this */
    struct target targets[ROUTING_BACKENDS_MAX];
};

/* --- verdicts ------------------------------------------------------------------------------- */

static const struct routing_backend *backend_of(const struct target *target)
{
    return &target->prober->table->backends[target->slot];
}

static const struct routing_service *service_of(const struct target *target)
{
    return &target->prober->table->services[backend_of(target)->service];
}

static void log_change(const struct target *target, const struct verdict *verdict)
{
    const struct routing_backend *backend = backend_of(target);
    struct log_line line;

    log_begin(&line, verdict->state == VERDICT_UNHEALTHY ? LOG_WARNING : LOG_INFO,
              "backend-health");
    log_string(&line, "service", service_of(target)->name);
    log_string(&line, "backend", backend->name);
    log_string(&line, "group", group_name(backend->group < GROUP_COUNT ? backend->group : 0));
    log_string(&line, "health", verdict_state_name(verdict->state));
    log_string(&line, "reason", verdict->reason[0] != '\0' ? verdict->reason : NULL);
    log_end(&line);
}

/* Publishes the target's judgement. */
static void publish(struct target *target, const struct probe_result *result)
{
    struct prober *prober = target->prober;
    uint64_t now_ms = clock_ms();
    struct verdict verdict = {
        .state = target->judgement.state,
        .checked_ms = now_ms,
        .latency_us = result->latency_us,
        .failures = target->judgement.failures,
        .successes = target->judgement.successes,
    };

    memcpy(verdict.reason, result->reason, sizeof(verdict.reason));
    if (verdict_write(prober->options.verdicts, target->slot, target->generation, &verdict,
                      now_ms)) {
        log_change(target, &verdict);
        prober->changed = true;
    }
}

static void ring_bells(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct prober *prober = watcher->data;

    (void)loop;
    (void)events;
    if (!prober->changed)
        return;
    prober->changed = false;
    bell_ring(DESCRIPTOR_BELL_UPDATER);
    for (unsigned row = 0; row < prober->options.row_count; row++)
        bell_ring(DESCRIPTOR_BELL_ROW_FIRST + (int)row);
}

/* Kinds of check that ask nobody. */
static bool is_passive(uint8_t kind)
{
    return kind == CHECK_NONE || kind == CHECK_CONTAINER;
}

static void take_over(struct target *target, enum verdict_state state, const char *reason)
{
    struct probe_result result = {.passed = state == VERDICT_HEALTHY};
    struct verdict old;

    snprintf(result.reason, sizeof(result.reason), "%s", reason);
    verdict_read(target->prober->options.verdicts, target->slot, target->generation, &old);
    if (old.state == state && strcmp(old.reason, result.reason) == 0)
        return;
    target->judgement = (struct judgement){.state = state};
    publish(target, &result);
}

static void judge_passively(struct target *target)
{
    if (target->kind == CHECK_NONE) {
        take_over(target, VERDICT_HEALTHY, "no check configured");
        return;
    }
    switch (backend_of(target)->container_health) {
    case CONTAINER_HEALTH_HEALTHY:
        take_over(target, VERDICT_HEALTHY, "");
        break;
    case CONTAINER_HEALTH_UNHEALTHY:
        take_over(target, VERDICT_UNHEALTHY, "the engine reports the container unhealthy");
        break;
    case CONTAINER_HEALTH_STARTING:
        take_over(target, VERDICT_STARTING, "the engine reports the container starting");
        break;
    default: /* as the engine and Compose take it: what runs is well */
        take_over(target, VERDICT_HEALTHY, "the image has no HEALTHCHECK");
        break;
    }
}

/* --- probing -------------------------------------------------------------------------------- */

static struct lane *lane_of(struct target *target)
{
    return target->kind == CHECK_SCRIPT ? &target->prober->script_lane : &target->prober->network;
}

static struct judge_settings settings_of(const struct target *target)
{
    const struct routing_check *wanted = &service_of(target)->check;

    return (struct judge_settings){
        .retries = wanted->retries,
        .successes = wanted->successes,
        .interval_ms = wanted->interval_ms > 0 ? wanted->interval_ms : 1,
        .start_end_ms = backend_of(target)->started_ms + wanted->start_period_ms,
    };
}

static char *const *script_of(const struct target *target)
{
    const struct config *config = target->prober->options.config;
    int index = config_find_service(config, service_of(target)->name);

    return index >= 0 && config->services[index].check.kind == CHECK_SCRIPT
               ? config->services[index].check.script
               : NULL;
}

static const struct tls_files *tls_of(const struct target *target)
{
    const struct prober_options *options = &target->prober->options;
    int index = config_find_service(options->config, service_of(target)->name);

    return index >= 0 && options->tls[index].enabled ? &options->tls[index] : NULL;
}

static enum config_proxy_protocol proxy_protocol_of(const struct target *target)
{
    const struct config *config = target->prober->options.config;
    int index = config_find_service(config, service_of(target)->name);

    return index >= 0 ? config->services[index].send_proxy_protocol : SEND_PROXY_PROTOCOL_NONE;
}

static void run_probe(struct target *target)
{
    struct probe_subject subject = {
        .check = &service_of(target)->check,
        .backend = backend_of(target),
        .service = service_of(target)->name,
        .argv = script_of(target),
        .tls = tls_of(target),
        .proxy_protocol = proxy_protocol_of(target),
    };

    lane_of(target)->running++;
    target->started_ms = clock_ms();
    probe_start(&target->probe, &subject);
}

static void start_waiting(struct lane *lane)
{
    while (lane->running < lane->max && !list_is_empty(&lane->waiting)) {
        struct target *target = container_of(lane->waiting.next, struct target, node);
        list_remove(&target->node);
        run_probe(target);
    }
}

static void on_due(struct timer *timer)
{
    struct target *target = container_of(timer, struct target, due);
    struct lane *lane = lane_of(target);

    list_append(&lane->waiting, &target->node);
    start_waiting(lane);
}

/* A random share of `gap_ms`, so that phases spread. */
static uint64_t random_share(uint32_t gap_ms)
{
    return (uint64_t)random() % ((uint64_t)gap_ms + 1);
}

static void schedule_next(struct target *target)
{
    struct judge_settings settings = settings_of(target);
    uint32_t gap_ms = judge_pace_ms(&target->judgement, &settings);
    uint64_t now_ms = clock_ms();
    uint64_t due_ms = target->started_ms + gap_ms;

    if (target->spread && target->judgement.state == VERDICT_HEALTHY) {
        due_ms -= random_share(gap_ms);
        target->spread = false;
    }
    timer_start_at(target->prober->options.loop, &target->due, due_ms, now_ms);
}

static void on_probed(struct probe *probe, const struct probe_result *result)
{
    struct target *target = container_of(probe, struct target, probe);
    struct judge_settings settings = settings_of(target);
    struct lane *lane = lane_of(target);

    lane->running--;
    judge_result(&target->judgement, &settings, result->passed, clock_ms());
    publish(target, result);
    schedule_next(target);
    start_waiting(lane);
}

/* --- in step with the table ----------------------------------------------------------------- */

static void target_stop(struct target *target)
{
    struct lane *lane = lane_of(target);

    if (target->generation == 0)
        return;
    timer_stop(target->prober->options.loop, &target->due);
    list_remove(&target->node);
    if (target->probe.running) {
        probe_stop(&target->probe);
        lane->running--;
    }
    target->generation = 0;
}

static void target_start(struct target *target)
{
    struct prober *prober = target->prober;
    const struct routing_backend *backend = backend_of(target);
    struct verdict old;
    uint64_t wait_ms = 0;

    target->generation = backend->generation;
    target->address = backend->address;
    target->kind = service_of(target)->check.kind;
    target->spread = true;
    verdict_read(prober->options.verdicts, target->slot, target->generation, &old);
    /* A verdict that a process before us made for this very backend stands until we know better. */
    target->judgement = (struct judgement){
        .state = old.state,
        .failures = old.failures,
        .successes = old.successes,
        .counted_ms = old.failures > 0 ? old.checked_ms : 0,
    };
    if (is_passive(target->kind))
        return;
    if (old.state == VERDICT_HEALTHY || old.state == VERDICT_UNHEALTHY)
        wait_ms = random_share(service_of(target)->check.interval_ms);
    timer_start(prober->options.loop, &target->due, wait_ms);
}

static bool is_wanted(const struct routing_table *table, const struct routing_backend *backend)
{
    return backend->generation != 0 && backend->service < table->service_count &&
           (backend->state == BACKEND_STARTING || backend->state == BACKEND_READY);
}

static void follow(struct target *target, bool wanted)
{
    const struct routing_backend *backend = backend_of(target);

    if (!wanted) {
        target_stop(target);
        return;
    }
    if (target->generation != backend->generation ||
        target->kind != service_of(target)->check.kind ||
        !address_equals(&target->address, &backend->address)) {
        target_stop(target);
        target_start(target);
    }
    if (is_passive(target->kind))
        judge_passively(target);
}

void prober_sync(struct prober *prober)
{
    struct routing_table *old = prober->table;
    uint32_t count;
    int error;

    if (routing_board_epoch(prober->options.routing) == old->epoch)
        return;
    error = routing_board_read(prober->options.routing, prober->coming);
    if (error == -EAGAIN)
        timer_start(prober->options.loop, &prober->again, SYNC_AGAIN_MS);
    else if (error != 0)
        log_event(LOG_ERROR, "routing-table-unreadable", "error", strerror(-error));
    if (error != 0)
        return;
    prober->table = prober->coming;
    prober->coming = old;
    count = prober->table->backend_count > prober->target_count ? prober->table->backend_count
                                                                : prober->target_count;
    for (uint32_t slot = 0; slot < count; slot++)
        follow(&prober->targets[slot],
               slot < prober->table->backend_count &&
                   is_wanted(prober->table, &prober->table->backends[slot]));
    prober->target_count = prober->table->backend_count;
    start_waiting(&prober->network);
    start_waiting(&prober->script_lane);
}

static void on_again(struct timer *timer)
{
    prober_sync(container_of(timer, struct prober, again));
}

/* --- life ----------------------------------------------------------------------------------- */

struct prober *prober_open(const struct prober_options *options)
{
    struct prober *prober = memory_new(sizeof(*prober));

    prober->options = *options;
    list_init(&prober->scripts);
    prober->tools = (struct probe_tools){.loop = options->loop,
                                         .client = http_client_open(options->loop),
                                         .scripts = &prober->scripts};
    if (prober->tools.client == NULL) {
        free(prober);
        return NULL;
    }
    prober->network.max = PROBER_NETWORK_MAX;
    prober->script_lane.max = PROBER_SCRIPTS_MAX;
    list_init(&prober->network.waiting);
    list_init(&prober->script_lane.waiting);
    timer_init(&prober->again, on_again);
    ev_prepare_init(&prober->before_wait, ring_bells);
    prober->before_wait.data = prober;
    ev_prepare_start(options->loop, &prober->before_wait);
    prober->table = memory_new(sizeof(*prober->table));
    prober->coming = memory_new(sizeof(*prober->coming));
    for (uint32_t slot = 0; slot < ROUTING_BACKENDS_MAX; slot++) {
        struct target *target = &prober->targets[slot];
        target->prober = prober;
        target->slot = slot;
        list_init(&target->node);
        timer_init(&target->due, on_due);
        probe_init(&target->probe, &prober->tools, on_probed);
    }
    return prober;
}

void prober_close(struct prober *prober)
{
    if (prober == NULL)
        return;
    for (uint32_t slot = 0; slot < prober->target_count; slot++)
        target_stop(&prober->targets[slot]);
    script_end_all(&prober->scripts);
    timer_stop(prober->options.loop, &prober->again);
    ev_prepare_stop(prober->options.loop, &prober->before_wait);
    http_client_close(prober->tools.client);
    free(prober->table);
    free(prober->coming);
    free(prober);
}
