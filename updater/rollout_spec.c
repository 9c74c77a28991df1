#include "rollout_spec.h"

#include "base/check.h"
#include "base/slice.h"

#include <string.h>

#define HOLD_MIN_MS                                                                                \
    1000u /* of a hold that is renewed; how long an exchange waits is the config's */
#define BLUE_GREEN_BAKE_MS (10u * 60 * 1000)

enum config_strategy rollout_strategy(const struct config_rollout *config,
                                      const struct rollout_way *way)
{
    return way->strategy_given ? way->strategy : config->strategy;
}

enum config_order rollout_order(const struct config_rollout *config, const struct rollout_way *way)
{
    enum config_order order = way->order_given ? way->order : config->order;

    /* The whole new set runs beside the old one: there is no other way. */
    if (rollout_strategy(config, way) == STRATEGY_BLUE_GREEN && order == ORDER_AUTO)
        return ORDER_START_FIRST;
    return order;
}

static uint32_t health_timeout(const struct config_service *config)
{
    const struct config_check *check = &config->check;

    if (config->rollout.health_timeout_ms)
        return config->rollout.health_timeout_ms;
    return check->start_period_ms + (check->retries + 1u) * check->interval_ms + check->timeout_ms +
           10000u;
}

/* Of the replicas: a share of them on top is rounded up, one that may be missing down, so that
 * neither is more than what was allowed and something can still move (Kubernetes' rule). */
static uint32_t amount_of(struct config_amount amount, uint32_t replicas, bool up, uint32_t usual)
{
    if (amount.kind == AMOUNT_NONE)
        return usual;
    if (amount.kind == AMOUNT_COUNT)
        return amount.value;
    return (uint32_t)(((uint64_t)replicas * amount.value + (up ? 99 : 0)) / 100);
}

static bool never_surges(const struct config_rolling *rolling)
{
    return rolling->max_surge.kind != AMOUNT_NONE && rolling->max_surge.value == 0;
}

/* Why start-first is not the order; NULL where it is. */
static const char *stop_first_why(const struct config_rollout *config,
                                  const struct rollout_way *way, const char *beside_why)
{
    if (rollout_strategy(config, way) == STRATEGY_BLUE_GREEN)
        return NULL; /* the whole new set beside the old one, or not at all */
    if (rollout_order(config, way) == ORDER_STOP_FIRST)
        return "asked for: order stop-first";
    if (rollout_order(config, way) == ORDER_START_FIRST)
        return NULL;
    if (beside_why)
        return beside_why;
    return rollout_strategy(config, way) == STRATEGY_ROLLING && never_surges(&config->rolling)
               ? "max_surge is 0"
               : NULL;
}

/* A batch, a delay, a batch: the weight of each is the share of the new replicas, rounded down, so
 * that plan_replicas_for() gives that very number. */
static size_t rolling_steps(const struct config_rolling *rolling, uint32_t replicas,
                            uint32_t at_once, struct config_step *steps)
{
    size_t count = 0;

    for (uint32_t done = 0; done < replicas;) {
        if (done > 0 && rolling->delay_ms > 0)
            steps[count++] =
                (struct config_step){.kind = STEP_PAUSE, .pause_ms = rolling->delay_ms};
        done = done + at_once < replicas ? done + at_once : replicas;
        steps[count++] = (struct config_step){
            .kind = STEP_SET_WEIGHT,
            .weight = (uint32_t)((uint64_t)done * WEIGHT_MAX / replicas),
        };
    }
    return count;
}

static void set_rolling(struct plan_spec *spec, const struct config_rolling *rolling,
                        struct config_step room[PLAN_STEPS_MAX])
{
    uint32_t at_once = rolling->parallelism > 0 ? rolling->parallelism : spec->replicas;
    uint32_t most = spec->order == ORDER_STOP_FIRST ? spec->max_unavailable : spec->max_surge;

    if (at_once > most)
        at_once = most;
    spec->step_count = rolling_steps(rolling, spec->replicas, at_once > 0 ? at_once : 1, room);
    spec->steps = room;
    spec->ramp_ms = rolling->ramp_ms;
    spec->max_failures =
        (uint32_t)((uint64_t)rolling->max_failure_ratio * spec->replicas / WEIGHT_MAX);
    spec->failure_action = rolling->action;
}

/* All of them at no weight, for people to look at; a yes, where one is wanted; one switch. */
static void set_blue_green(struct plan_spec *spec, const struct config_rollout *config,
                           struct config_step room[PLAN_STEPS_MAX])
{
    spec->steps = room;
    spec->step_count = 0;
    room[spec->step_count++] =
        (struct config_step){.kind = STEP_REPLICAS, .replicas = spec->replicas};
    if (!config->auto_promote)
        room[spec->step_count++] = (struct config_step){.kind = STEP_PAUSE, .until_promoted = true};
    room[spec->step_count++] = (struct config_step){.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX};
}

/* How long the old version is kept running once the new one has all traffic. */
static uint32_t watch_ms(const struct config_rollout *config, enum config_strategy strategy)
{
    uint32_t bake_ms = config->bake_given                ? config->bake_ms
                       : strategy == STRATEGY_BLUE_GREEN ? BLUE_GREEN_BAKE_MS
                                                         : 0;

    return bake_ms > config->monitor_ms ? bake_ms : config->monitor_ms;
}

struct plan_spec rollout_spec(const struct config_service *config, const struct rollout_way *way,
                              uint32_t replicas, const char *beside_why,
                              struct config_step room[PLAN_STEPS_MAX])
{
    const struct config_rollout *rollout = &config->rollout;
    const char *why = stop_first_why(rollout, way, beside_why);
    uint32_t batch = rollout->rolling.parallelism > 0 ? rollout->rolling.parallelism : replicas;
    struct plan_spec spec = {
        .replicas = replicas,
        .strategy = rollout_strategy(rollout, way),
        .order = why ? ORDER_STOP_FIRST : ORDER_START_FIRST,
        .max_surge = amount_of(rollout->rolling.max_surge, replicas, true, batch),
        .max_unavailable = amount_of(rollout->max_unavailable, replicas, false, why ? batch : 0),
        .steps = way->steps ? way->steps : rollout->steps,
        .step_count = way->steps ? way->step_count : rollout->step_count,
        .analysis = rollout->analysis,
        .tasks = rollout->tasks,
        .task_count = rollout->task_count,
        .drain = rollout->drain,
        .health_timeout_ms = health_timeout(config),
        .progress_deadline_ms = rollout->progress_deadline_ms,
        .monitor_ms = watch_ms(rollout, rollout_strategy(rollout, way)),
        .hold_ms = config->hold.timeout_ms > HOLD_MIN_MS ? config->hold.timeout_ms : HOLD_MIN_MS,
    };

    check(replicas <= PLAN_REPLICAS_MAX); /* there is room for the steps of so many */
    if (why)
        (void)slice_copy_string(slice_from_string(why), spec.order_why, sizeof(spec.order_why));
    if (spec.order == ORDER_STOP_FIRST && spec.max_unavailable == 0)
        spec.max_unavailable = 1; /* the one that makes room */
    if (spec.strategy == STRATEGY_ROLLING) {
        set_rolling(&spec, &rollout->rolling, room);
    } else if (spec.strategy == STRATEGY_BLUE_GREEN) {
        set_blue_green(&spec, rollout, room);
    } else if (spec.order == ORDER_STOP_FIRST && replicas == 1) {
        /* Nothing to split between: all of it moves with the one container. */
        room[0] = (struct config_step){.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX};
        spec.steps = room;
        spec.step_count = 1;
    }
    return spec;
}

void rollout_spec_scale(struct plan_spec *spec, uint32_t scale_to)
{
    spec->scale_to = scale_to;
    spec->strategy = STRATEGY_CANARY;
    spec->order = ORDER_START_FIRST;
    spec->order_why[0] = '\0';
    spec->steps = NULL;
    spec->step_count = 0;
    spec->analysis.on = false;
    if (scale_to <= spec->replicas)
        spec->monitor_ms = 0; /* nothing comes that could be watched */
}
