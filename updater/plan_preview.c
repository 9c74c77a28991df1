#include "plan_preview.h"

#include "base/memory.h"
#include "container_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREVIEW_REQUESTS 1000000u
#define START_MS         1000000000000ull /* some wall clock: not 0, which says "never" */

struct preview_world { /* large, so not on the stack */
    struct plan_observed in;
    struct plan out;
    bool gone[PLAN_CONTAINERS_MAX];
    bool window_done;
    struct plan_preview *preview;
    const char *service;
    unsigned old_count;
    uint32_t promoted_step; /* the last at which an operator said go on; UINT32_MAX: none */
};

static void olds_enter(struct preview_world *world, const struct plan_container *olds)
{
    for (unsigned i = 0; i < world->old_count; i++) {
        struct plan_container *container = &world->in.containers[i];

        *container = olds[i];
        container->ordinal = (uint16_t)i;
        container->is_new = container->busy = container->drained = false;
        container->state = CONTAINER_RUNNING;
        container->backend = BACKEND_READY;
        container->verdict = VERDICT_HEALTHY;
        container->started_ms = container->published_ms = START_MS - 1;
        container->drain_since_ms = 0;
        container->attempts = 0;
        container->reason[0] = '\0';
    }
    world->in.container_count = world->old_count;
}

static struct plan_preview_action *note(struct preview_world *world)
{
    struct plan_preview *preview = world->preview;
    struct plan_preview_action *noted;

    if (preview->count == preview->room) {
        preview->room = preview->room > 0 ? 2 * preview->room : 32;
        preview->actions =
            memory_resize(preview->actions, preview->room * sizeof(*preview->actions));
    }
    noted = &preview->actions[preview->count++];
    memset(noted, 0, sizeof(*noted));
    noted->after_ms = world->in.now_ms - START_MS;
    noted->phase = world->out.progress.phase;
    return noted;
}

static void note_action(struct preview_world *world, const struct plan_action *action)
{
    struct plan_preview_action *noted = note(world);
    const struct plan_container *container = &world->in.containers[action->container];

    noted->action = *action;
    if (action->kind == ACTION_CREATE) {
        noted->is_new = true;
        if (world->old_count == 0)
            container_template_name(world->service, action->ordinal, noted->name,
                                    sizeof(noted->name));
        for (unsigned i = 0; i < world->old_count; i++) {
            if (world->in.containers[i].ordinal == action->ordinal &&
                !world->in.containers[i].is_new)
                (void)snprintf(noted->name, sizeof(noted->name), "%s",
                               world->in.containers[i].name);
        }
    } else if (action->kind == ACTION_TASK) {
        (void)snprintf(noted->name, sizeof(noted->name), "%s",
                       world->in.spec->tasks[action->task].name);
    } else if (plan_action_has_container(action->kind)) {
        noted->is_new = container->is_new;
        (void)snprintf(noted->name, sizeof(noted->name), "%s",
                       container->final_name[0] != '\0' ? container->final_name : container->name);
    }
}

static void create(struct preview_world *world, const struct plan_action *action, const char *name)
{
    struct plan_container *container;

    if (world->in.container_count == PLAN_CONTAINERS_MAX)
        return;
    container = &world->in.containers[world->in.container_count++];
    memset(container, 0, sizeof(*container));
    container->is_new = true;
    container->ordinal = action->ordinal;
    container->state = CONTAINER_CREATED;
    (void)snprintf(container->final_name, sizeof(container->final_name), "%s", name);
    (void)snprintf(container->name, sizeof(container->name), "%.120s-new", name);
}

/* As it goes when all is well: at once. */
static void apply(struct preview_world *world, const struct plan_action *action)
{
    struct plan_container *container = &world->in.containers[action->container];

    switch (action->kind) {
    case ACTION_CREATE:
        create(world, action, world->preview->actions[world->preview->count - 1].name);
        break;
    case ACTION_START:
        container->state = CONTAINER_RUNNING;
        container->started_ms = world->in.now_ms;
        break;
    case ACTION_PUBLISH:
        container->backend = BACKEND_STARTING;
        container->verdict = VERDICT_HEALTHY;
        container->published_ms = world->in.now_ms;
        break;
    case ACTION_READY:
        container->backend = BACKEND_READY;
        container->drained = false;
        container->drain_since_ms = 0;
        break;
    case ACTION_SET_WEIGHT:
        world->in.weight = action->weight;
        world->in.mirror = action->mirror;
        world->in.match = action->match;
        break;
    case ACTION_DRAIN:
        container->backend = BACKEND_DRAINING;
        container->drained = true;
        container->drain_since_ms = world->in.now_ms;
        break;
    case ACTION_END_KINDS:
        break;
    case ACTION_STOP:
        container->state = CONTAINER_EXITED;
        container->kept = true;
        container->backend = BACKEND_FREE;
        container->verdict = VERDICT_UNKNOWN;
        break;
    case ACTION_REMOVE:
        world->gone[action->container] = true;
        break;
    case ACTION_RENAME:
        memcpy(container->name, container->final_name, sizeof(container->name));
        break;
    case ACTION_HOLD:
        world->in.hold_left_ms = world->in.spec->hold_ms;
        world->in.hold_acknowledged = true;
        break;
    case ACTION_RELEASE:
        world->in.hold_left_ms = 0;
        break;
    case ACTION_TASK: /* every hook says yes, and none asks for the way back */
        world->in.tasks[action->task].step = action->step;
        world->in.tasks[action->task].since_ms = world->in.now_ms;
        world->in.tasks[action->task].state =
            world->in.spec->tasks[action->task].point == POINT_ROLLBACK ? PLAN_TASK_RUNNING
                                                                        : PLAN_TASK_PASSED;
        break;
    }
}

static void forget_the_gone(struct preview_world *world)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < world->in.container_count; i++) {
        if (!world->gone[i]) {
            if (kept != i)
                world->in.containers[kept] = world->in.containers[i];
            kept++;
        }
        world->gone[i] = false;
    }
    world->in.container_count = kept;
}

static void count_beside(struct preview_world *world)
{
    unsigned running = 0;

    for (unsigned i = 0; i < world->in.container_count; i++)
        running += world->in.containers[i].state == CONTAINER_RUNNING;
    if (running > world->old_count && running - world->old_count > world->preview->beside_max)
        world->preview->beside_max = running - world->old_count;
}

static void act(struct preview_world *world)
{
    unsigned count = world->out.action_count;

    for (unsigned i = 0; i < count; i++) {
        note_action(world, &world->out.actions[i]);
        apply(world, &world->out.actions[i]);
    }
    forget_the_gone(world);
    count_beside(world);
}

/* What the requests of the new version come to: many, and all went well. */
static void look(struct preview_world *world)
{
    struct plan_window *window = &world->in.window;
    bool is_own;
    const struct config_analysis *rules =
        plan_analysis(world->in.spec, &world->in.progress, world->in.weight, &is_own);
    uint64_t number;

    if (rules == NULL) {
        window->since_ms = 0;
        return;
    }
    if (window->since_ms == 0 || world->window_done || window->is_own != is_own ||
        window->step != world->in.progress.step) {
        *window = (struct plan_window){
            .since_ms = world->in.now_ms, .step = world->in.progress.step, .is_own = is_own};
        return;
    }
    number = (world->in.now_ms - window->since_ms) / analysis_look_ms(rules);
    if (number > window->look) {
        window->look = (uint32_t)number;
        window->canary.requests = window->stable.requests = PREVIEW_REQUESTS;
        window->canary.latency[0] = window->stable.latency[0] = PREVIEW_REQUESTS;
    }
}

/* When the present step or watch ends by itself; 0: not known. Looks on the way change nothing. */
static uint64_t step_end_ms(const struct preview_world *world)
{
    const struct plan_progress *progress = &world->out.progress;
    const struct plan_spec *spec = world->in.spec;
    const struct config_step *step = &spec->steps[progress->step];

    if (progress->phase != PHASE_FORWARD || !progress->step_entered)
        return 0;
    if (progress->step >= spec->step_count)
        return progress->step_since_ms + spec->monitor_ms;
    return step->kind == STEP_PAUSE && !step->until_promoted
               ? progress->step_since_ms + step->pause_ms
               : 0;
}

static bool waits_for_word(const struct preview_world *world)
{
    const struct plan_progress *progress = &world->out.progress;
    const struct plan_spec *spec = world->in.spec;

    return progress->step_entered && progress->step < spec->step_count &&
           spec->steps[progress->step].kind == STEP_PAUSE &&
           spec->steps[progress->step].until_promoted;
}

/* Nothing to be done now: time passes, or an operator says go on. False: it waits for ever. */
static bool pass(struct preview_world *world)
{
    uint64_t end_ms = step_end_ms(world);

    if (world->out.look_again_ms > 0 && !waits_for_word(world)) {
        if (end_ms < world->out.look_again_ms)
            end_ms = world->out.look_again_ms;
        world->in.now_ms = end_ms > world->in.now_ms ? end_ms : world->in.now_ms + 1;
        return true;
    }
    if (world->promoted_step == world->out.progress.step)
        return false; /* it was said, and changed nothing */
    note(world)->promotes = true;
    world->promoted_step = world->out.progress.step;
    world->in.wish_promote = true;
    return true;
}

static void run(struct preview_world *world)
{
    for (unsigned round = 0; round < PLAN_PREVIEW_ROUNDS; round++) {
        look(world);
        plan_next(&world->in, &world->out);
        world->window_done = world->out.window_done;
        world->in.progress = world->out.progress;
        world->in.wish_promote = false;
        if (world->out.progress.phase == PHASE_ENDED)
            return;
        if (world->out.action_count > 0)
            act(world);
        else if (!pass(world))
            break;
    }
    (void)snprintf(world->preview->stuck, sizeof(world->preview->stuck), "%s",
                   world->out.waiting[0] != '\0' ? world->out.waiting : "it does not end");
}

void plan_preview(const struct plan_spec *spec, const char *service,
                  const struct plan_container *olds, unsigned old_count,
                  struct plan_preview *ret_preview)
{
    struct preview_world *world = memory_new(sizeof(*world));

    memset(ret_preview, 0, sizeof(*ret_preview));
    world->preview = ret_preview;
    world->service = service;
    world->promoted_step = UINT32_MAX;
    world->old_count = old_count < PLAN_REPLICAS_MAX ? old_count : PLAN_REPLICAS_MAX;
    world->in.spec = spec;
    world->in.now_ms = START_MS;
    world->in.weight_acknowledged = world->in.engine_reachable = world->in.image_ready = true;
    olds_enter(world, olds);
    run(world);
    ret_preview->took_ms = world->in.now_ms - START_MS;
    ret_preview->outcome = world->out.progress.outcome;
    free(world);
}

void plan_preview_done(struct plan_preview *preview)
{
    free(preview->actions);
    memset(preview, 0, sizeof(*preview));
}
