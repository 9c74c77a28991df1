/* The updater as the planner's caller: observes what it can know, journals, acts, and dies at any
 * point in between. What it keeps in memory is gone then; the journal and the boards are not. */
#include "base/check.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

static struct plan_observed observed; /* large; one rollout at a time */
static struct plan plan;
static int truth_of[PLAN_CONTAINERS_MAX]; /* index in observed -> index in the world */

static void crash(struct world *world, enum fault point)
{
    world_fault(world, point, -1);
    world->is_up = false;
    world->has_listed = false;
    world->up_at = world->now + 1 + world_random(world, 30);
    world->incarnation++;
    world->create_attempts = 0;
    world->create_retry_at = 0;
    world->create_error_final = false;
    world->window.since_ms = 0; /* another one is opened */
    for (int i = 0; i < world->container_count; i++) {
        world->containers[i].attempts = 0;
        world->containers[i].retry_at = 0;
    }
}

static bool crashes(struct world *world)
{
    return !world->is_clean && world->now < world->calm_at &&
           world_chance(world, world->fault_rate);
}

/* --- what it knows ---------------------------------------------------------------------------- */

static void free_slot(struct world *world, struct sim_container *container)
{
    if (container->backend == BACKEND_FREE)
        return;
    container->backend = BACKEND_FREE;
    container->verdict = VERDICT_UNKNOWN;
    container->end_kinds = 0;
    traffic_publish(world);
}

static void close_intent(struct world *world, uint16_t ordinal)
{
    for (int i = 0; i < INTENTS_MAX; i++) {
        if (world->intents[i].is_open && world->intents[i].ordinal == ordinal) {
            world->intents[i].is_open = false;
            return;
        }
    }
}

static void look_at(struct world *world, int index)
{
    struct sim_container *container = &world->containers[index];

    container->fresh_at = 0;
    if (container->state == CONTAINER_RUNNING && container->started != container->seen_started)
        free_slot(world, container); /* another run of it is another backend */
    container->seen_started = container->started;
    if (container->is_new && container->exists && !container->seen)
        close_intent(world, container->ordinal);
    container->seen = container->exists;
    container->seen_state = container->state;
    container->seen_restarts = container->restarts;
    container->seen_ended_with_engine = container->ended_with_engine;
    memcpy(container->seen_name, container->name, sizeof(container->name));
    if (!container->exists)
        free_slot(world, container);
    world->is_awake = true;
}

static void list_all(struct world *world)
{
    for (int i = 0; i < world->container_count; i++)
        look_at(world, i);
}

/* Creates that may still happen: in flight, or without an answer for less than the engine takes. */
static uint32_t count_creating(struct world *world)
{
    uint32_t count = world->now < world->create_retry_at ? 1 : 0;

    for (int i = 0; i < INTENTS_MAX; i++) {
        struct sim_intent *intent = &world->intents[i];

        if (!intent->is_open)
            continue;
        if (world->now < intent->at + CREATE_TICKS_MAX) {
            count++;
            continue;
        }
        intent->is_open = false;
        list_all(world); /* what came of it is looked up, not awaited */
    }
    return count;
}

static bool is_busy(const struct world *world, int index)
{
    if (world->now < world->containers[index].retry_at)
        return true;
    for (int i = 0; i < OPERATIONS_MAX; i++) {
        if (world->operations[i].is_on && world->operations[i].container == index &&
            world->operations[i].incarnation == world->incarnation)
            return true;
    }
    return false;
}

static void observe_container(struct world *world, int index)
{
    const struct sim_container *from = &world->containers[index];
    struct plan_container *to = &observed.containers[observed.container_count];

    truth_of[observed.container_count++] = index;
    memcpy(to->name, from->seen_name, sizeof(from->seen_name));
    memcpy(to->final_name, from->final_name, sizeof(from->final_name));
    to->ordinal = from->ordinal;
    to->is_new = from->is_new;
    to->busy = is_busy(world, index);
    to->kept = from->stop_meant;
    to->stopping =
        world->now < from->stop_lands && from->seen_state == CONTAINER_RUNNING && !to->busy;
    to->state = from->seen_state;
    to->exit_code = 1;
    to->restarts = from->seen_restarts;
    to->end_unexplained = to->ended_with_engine = false;
    if (from->seen_state == CONTAINER_EXITED && from->seen_ended_with_engine && !to->kept) {
        to->end_unexplained = !observed.engine_reachable && from->is_new;
        to->ended_with_engine = observed.engine_reachable;
    }
    to->backend = from->backend;
    to->verdict = from->verdict;
    to->started_ms = from->started * TICK_MS;
    to->published_ms = from->published * TICK_MS;
    to->reason[0] = '\0';
    to->drained = traffic_is_drained(world, index);
    to->drain_since_ms = from->drain_since * TICK_MS;
    to->removing_since_ms =
        from->seen_state == CONTAINER_REMOVING ? from->removing_since * TICK_MS : 0;
    memcpy(to->active, from->active, sizeof(to->active));
    to->end_kinds = from->end_kinds;
    to->attempts = from->attempts;
    to->attempted = from->attempted;
}

static void open_window(struct world *world, bool is_own)
{
    world->window = (struct plan_window){
        .since_ms = world->now * TICK_MS, .step = world->progress.step, .is_own = is_own};
    world->window_done = false;
    for (int i = 0; i < world->container_count; i++) {
        world->containers[i].base_requests = world->containers[i].requests;
        world->containers[i].base_failed = world->containers[i].failed;
    }
}

static void look_through_window(struct world *world)
{
    memset(&world->window.canary, 0, sizeof(world->window.canary));
    memset(&world->window.stable, 0, sizeof(world->window.stable));
    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];
        struct analysis_figures *figures =
            container->is_new ? &world->window.canary : &world->window.stable;

        figures->requests += container->requests - container->base_requests;
        figures->failures += container->failed - container->base_failed;
    }
}

/* What window_observe() does. */
static void observe_window(struct world *world)
{
    bool is_own;
    const struct config_analysis *rules =
        plan_analysis(&world->spec, &world->progress, world->table.weight, &is_own);
    uint64_t look;

    if (rules == NULL) {
        world->window.since_ms = 0;
    } else if (world->window.since_ms == 0 || world->window_done ||
               world->window.step != world->progress.step || world->window.is_own != is_own) {
        open_window(world, is_own);
    } else {
        look = (world->now * TICK_MS - world->window.since_ms) / analysis_look_ms(rules);
        if (look > world->window.look) {
            world->window.look = (uint32_t)look;
            look_through_window(world);
        }
    }
    observed.window = world->window;
}

static void observe(struct world *world)
{
    observe_window(world);
    observed.creating = count_creating(world);
    observed.now_ms = world->now * TICK_MS;
    observed.spec = &world->spec;
    observed.progress = world->progress;
    observed.weight = world->table.weight;
    observed.mirror = world->table.mirror;
    observed.match = world->table.match;
    observed.weight_acknowledged = true;
    for (unsigned i = 0; i < world->worker_count; i++) {
        const struct sim_view *view = &world->workers[i].view;

        if (world->workers[i].live &&
            (view->weight != world->table.weight || view->mirror != world->table.mirror ||
             !config_match_equals(&view->match, &world->table.match)))
            observed.weight_acknowledged = false;
    }
    observed.engine_reachable = world->has_listed && !world_engine_is_away(world);
    observed.image_ready = world->now >= world->image_at;
    observed.create_attempts = world->create_attempts;
    observed.create_error_final = world->create_error_final;
    snprintf(observed.create_error, sizeof(observed.create_error), "no");
    observed.drain_orders = world->orders;
    observed.hold_left_ms =
        world->table.held_until > world->now ? (world->table.held_until - world->now) * TICK_MS : 0;
    observed.hold_acknowledged = traffic_has_taken(world, world->hold_epoch);
    if (world->has_restarted && observed.engine_reachable && !world->wish_pause &&
        world->progress.phase == PHASE_FORWARD) {
        world->wish_pause = true;
        world->resume_at = world->now + world_random(world, 300);
    }
    if (observed.engine_reachable)
        world->has_restarted = false;
    observed.wish_pause = world->wish_pause;
    observed.wish_promote = world->wish_promote;
    observed.wish_abort = world->wish_abort;
    tasks_observe(world, &observed);
    observed.container_count = 0;
    for (int i = 0; i < world->container_count; i++) {
        if (world->containers[i].seen)
            observe_container(world, i);
    }
}

/* --- what it does ----------------------------------------------------------------------------- */

static void act_on_table(struct world *world, const struct plan_action *action, int index)
{
    struct sim_container *container = &world->containers[index];

    if (action->kind == ACTION_SET_WEIGHT) {
        world->table.weight = action->weight;
        world->table.mirror = action->mirror;
        world->table.match = action->match;
    } else if (action->kind == ACTION_HOLD) {
        world->hold_epoch = world->table.epoch + 1;
        world->table.held_until = world->now + world->spec.hold_ms / TICK_MS;
    } else if (action->kind == ACTION_RELEASE) {
        world->table.held_until = 0;
    } else if (action->kind == ACTION_PUBLISH) {
        container->backend = BACKEND_STARTING;
        container->verdict = VERDICT_UNKNOWN;
        container->failures = 0;
        container->published = world->now;
    } else if (action->kind == ACTION_READY) {
        container->backend = BACKEND_READY;
        container->drain_since = container->drain_epoch = 0;
        container->end_kinds = 0;
    } else if (action->kind == ACTION_DRAIN) {
        container->backend = BACKEND_DRAINING;
        container->drain_since = world->now;
        container->drain_epoch = 0;
    } else {
        container->end_kinds = action->kinds;
    }
    traffic_publish(world);
    world->is_awake = true;
}

static void intend_create(struct world *world, uint16_t ordinal)
{
    for (int i = 0; i < INTENTS_MAX; i++) {
        if (!world->intents[i].is_open) {
            world->intents[i] = (struct sim_intent){.is_open = true,
                                                    .ordinal = ordinal,
                                                    .at = world->now,
                                                    .incarnation = world->incarnation};
            return;
        }
    }
    check(false);
}

static void act(struct world *world, const struct plan_action *action)
{
    bool has_container = plan_action_has_container(action->kind);
    int index = has_container ? truth_of[action->container] : -1;

    check_action(world, &observed, action);
    world_note(world, "act: %s %s %u: %s", plan_action_name(action->kind),
               index >= 0 ? world->containers[index].name : "",
               action->kind == ACTION_SET_WEIGHT ? action->weight : action->ordinal, action->why);
    if (action->kind == ACTION_STOP)
        world->containers[index].stop_lands = world->now + CREATE_TICKS_MAX;
    if (action->kind == ACTION_TASK) {
        tasks_begin(world, action->task, action->step);
        return;
    }
    if (action->kind == ACTION_CREATE)
        intend_create(world, action->ordinal);
    if (action->kind == ACTION_CREATE || action->kind == ACTION_START ||
        action->kind == ACTION_STOP || action->kind == ACTION_REMOVE ||
        action->kind == ACTION_RENAME)
        world_operate(world, action->kind, index, action->ordinal);
    else
        act_on_table(world, action, index >= 0 ? index : 0);
}

/* What journal_save_plan() does. */
static void save(struct world *world)
{
    if (world->progress.phase != plan.progress.phase || world->progress.step != plan.progress.step)
        world_note(world, "journal: %s step %u %s", plan_phase_name(plan.progress.phase),
                   plan.progress.step, plan.progress.why);
    world->progress = plan.progress;
    for (unsigned i = 0; i < plan.action_count; i++) {
        if (plan.actions[i].kind == ACTION_STOP)
            world->containers[truth_of[plan.actions[i].container]].stop_meant = true;
    }
    if (observed.wish_promote)
        world->wish_promote = false;
    if (plan.progress.phase != PHASE_FORWARD)
        world->wish_abort = world->wish_promote = world->wish_pause = false;
    check_saved(world);
}

static void plan_and_act(struct world *world)
{
    world->is_awake = false;
    observe(world);
    mutation_plan(world->mutation, &observed, &plan);
    world->look_again_at = plan.look_again_ms;
    world->window_done = plan.window_done;
    check_plan(world, &observed, &plan);
    if (crashes(world)) {
        crash(world, FAULT_CRASH_BEFORE_JOURNAL);
        return;
    }
    save(world);
    for (unsigned i = 0; i < plan.action_count; i++) {
        if (crashes(world)) {
            crash(world, FAULT_CRASH_BETWEEN);
            return;
        }
        act(world, &plan.actions[i]);
    }
    check_applied(world);
    if (plan.action_count > 0 && crashes(world))
        crash(world, FAULT_CRASH_AFTER);
}

static void answer_create(struct world *world, const struct sim_operation *operation, bool failed)
{
    close_intent(world, operation->ordinal);
    world->create_attempts = failed ? world->create_attempts + 1 : 0;
    world->create_error_final = failed && operation->is_final;
    if (failed)
        world->create_retry_at = world->now + (1ull << world->create_attempts);
    else if (operation->container >= 0)
        look_at(world, operation->container);
}

static void answer_failed(struct world *world, const struct sim_operation *operation)
{
    struct sim_container *container = &world->containers[operation->container];

    if (container->attempted != operation->kind)
        container->attempts = 0;
    container->attempts++;
    container->attempted = (uint8_t)operation->kind;
    container->retry_at = world->now + (1ull << container->attempts);
}

void updater_answer(struct world *world, const struct sim_operation *operation, bool failed)
{
    bool is_create = operation->kind == ACTION_CREATE;

    if (!world->is_up || operation->incarnation != world->incarnation)
        return;
    world->is_awake = true;
    if (operation->kind == ACTION_STOP && !operation->answer_lost)
        world->containers[operation->container].stop_lands = 0;
    if (operation->answer_lost || world_engine_is_away(world)) { /* what came of it is not known */
        if (is_create)
            world->create_retry_at = world->now + 3;
        else
            world->containers[operation->container].retry_at = world->now + 2;
        return;
    }
    if (is_create) {
        answer_create(world, operation, failed);
    } else if (failed) {
        answer_failed(world, operation);
    } else {
        world->containers[operation->container].attempts = 0;
        look_at(world, operation->container);
    }
}

/* --- the operator ----------------------------------------------------------------------------- */

static bool applies(struct world *world, enum plan_verb verb)
{
    char why[PLAN_WHY_BYTES];

    return plan_verb_applies(&world->progress, world->wish_pause, verb, why) == 0;
}

static bool waits_for_promote(const struct world *world)
{
    const struct config_step *step = &world->steps[world->progress.step];

    if (world->progress.phase == PHASE_FORWARD && world->progress.failure_pause)
        return true;
    if (world->progress.phase != PHASE_FORWARD || world->progress.step >= world->spec.step_count)
        return false;
    /* An analysis that is never sure of anything waits for a person, too. */
    return step->until_promoted ||
           (step->kind == STEP_ANALYSIS && world->progress.step_entered &&
            world->now * TICK_MS > world->progress.step_since_ms + step->analysis.interval_ms);
}

/* Kept with the rollout, whatever becomes of the updater. */
static void order_tick(struct world *world)
{
    unsigned kind = (unsigned)world_random(world, KIND_COUNT);

    if (world_chance(world, 5000)) {
        world_fault(world, FAULT_EXTEND, -1);
        world->orders.extend_ms[kind] += world_random(world, 60) * TICK_MS;
    } else {
        world_fault(world, FAULT_END_KIND, -1);
        world->orders.ended_ms[kind] = world->now * TICK_MS;
    }
    world->is_awake = true;
}

static void operator_tick(struct world *world)
{
    bool may_meddle = !world->is_clean && world->now < world->calm_at;
    uint32_t rate = world->fault_rate / 4 + 1;

    if (may_meddle && world_chance(world, rate * 2))
        order_tick(world);
    if (may_meddle && world_chance(world, rate) && applies(world, VERB_PAUSE)) {
        world_fault(world, FAULT_PAUSE, -1);
        world->wish_pause = world->is_awake = true;
        world->resume_at = world->now + world_random(world, 300);
    }
    if (world->wish_pause && world->now >= world->resume_at && applies(world, VERB_RESUME)) {
        world->wish_pause = false;
        world->is_awake = true;
    }
    if (world->promote_at == 0 &&
        (waits_for_promote(world) || (may_meddle && world_chance(world, rate))))
        world->promote_at = world->now + 1 + world_random(world, 50);
    if (world->promote_at != 0 && world->now >= world->promote_at) {
        world->promote_at = 0;
        if (world->progress.failure_pause && /* enough of it */
            (world_chance(world, 3000) || world->made >= CONTAINERS_MAX / 2)) {
            world_fault(world, FAULT_ABORT, -1);
            world->wish_abort = world->is_awake = true;
        } else if (applies(world, VERB_PROMOTE)) {
            world_fault(world, FAULT_PROMOTE, -1);
            world->wish_promote = world->is_awake = true;
            world->promotes = 1;
        }
    }
    if (may_meddle && world_chance(world, rate) && applies(world, VERB_ABORT)) {
        world_fault(world, FAULT_ABORT, -1);
        world->wish_abort = world->is_awake = true;
    }
}

/* --- one tick -----------------------------------------------------------------------------------
 */

static void hear_events(struct world *world)
{
    if (world_engine_is_away(world)) {
        world->is_awake = world->is_awake || world->has_listed;
        world->has_listed = false;
        world->listed_at = world->away_until + world_random(world, 3);
        return;
    }
    if (!world->has_listed) {
        if (world->now < world->listed_at)
            return;
        world->has_listed = world->is_awake = true;
        list_all(world);
        return;
    }
    for (int i = 0; i < world->container_count; i++) {
        if (world->containers[i].fresh_at != 0 && world->now >= world->containers[i].fresh_at)
            look_at(world, i);
    }
}

/* Nothing happened and no time was named: then it must not have anything to do either. */
static void audit(struct world *world)
{
    observe(world);
    if (world->is_awake)
        return;
    mutation_plan(world->mutation, &observed, &plan);
    if (plan.action_count > 0)
        check_break(world, "it would %s now, but asked to be called at %llu: %.100s",
                    plan_action_name(plan.actions[0].kind),
                    (unsigned long long)world->look_again_at, plan.actions[0].why);
    else if (plan.progress.phase != world->progress.phase ||
             plan.progress.step != world->progress.step)
        check_break(world,
                    "it would go on to %s step %u now, but asked to be called at %llu: %.100s",
                    plan_phase_name(plan.progress.phase), plan.progress.step,
                    (unsigned long long)world->look_again_at, plan.progress.why);
    else if (plan.waiting[0] == '\0')
        check_break(world, "it waits and does not say for what");
}

void updater_tick(struct world *world)
{
    uint64_t before = world->look_again_at;

    if (!world->is_up) {
        if (world->now < world->up_at)
            return;
        world->is_up = world->is_awake = true;
        tasks_resume(world);
        world->listed_at = world->now + world_random(world, 4);
    }
    if (crashes(world) && world_chance(world, 2000)) {
        crash(world, FAULT_CRASH_IDLE);
        return;
    }
    if (crashes(world) && world_chance(world, 1000)) {
        crash(world, FAULT_BOARDS_LOST);
        traffic_lose_boards(world);
        return;
    }
    hear_events(world);
    tasks_tick(world);
    operator_tick(world);
    if (world->now == world->table.held_until || world->now == world->image_at ||
        world->now == world->create_retry_at)
        world->is_awake = true;
    for (int i = 0; i < world->container_count; i++)
        world->is_awake = world->is_awake || world->containers[i].retry_at == world->now ||
                          world->containers[i].stop_lands == world->now;
    for (int i = 0; i < INTENTS_MAX; i++) {
        if (world->intents[i].is_open && world->now == world->intents[i].at + CREATE_TICKS_MAX)
            world->is_awake = true;
    }
    if (world->is_awake || (before != 0 && world->now * TICK_MS >= before))
        plan_and_act(world);
    else if (world_chance(world, 500))
        audit(world);
}
