#include "plan_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool container_runs(const struct plan_container *container)
{
    return container->state == CONTAINER_RUNNING || container->state == CONTAINER_PAUSED ||
           container->state == CONTAINER_RESTARTING;
}

bool container_can_run(const struct plan_container *container)
{
    return container_runs(container) || container->state == CONTAINER_CREATED ||
           container->ended_with_engine;
}

bool container_is_healthy(const struct plan_container *container)
{
    return container->state == CONTAINER_RUNNING && container->backend == BACKEND_READY &&
           container->verdict == VERDICT_HEALTHY;
}

bool container_gave_up(const struct plan_container *container, enum plan_action_kind kind)
{
    return container->attempts >= PLAN_ATTEMPTS_MAX && container->attempted == kind;
}

unsigned planner_count(const struct planner *planner, bool is_new)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++)
        count += planner->in->containers[i].is_new == is_new;
    return count;
}

unsigned planner_count_healthy(const struct planner *planner, bool is_new)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        count += container->is_new == is_new && container_is_healthy(container);
    }
    return count;
}

unsigned planner_floor(const struct planner *planner, bool is_new)
{
    const struct plan_spec *spec = planner->in->spec;
    unsigned wanted =
        spec->replicas > spec->max_unavailable ? spec->replicas - spec->max_unavailable : 1;
    unsigned possible = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        possible += container->is_new == is_new && container_can_run(container) &&
                    !(is_new && planner_is_surplus(planner, i));
    }
    if (possible < wanted)
        wanted = possible;
    return wanted > 0 ? wanted : 1;
}

/* How far a new container has come. */
static unsigned rank(const struct plan_container *container)
{
    static const unsigned by_backend[] = {
        [BACKEND_FREE] = 0,
        [BACKEND_STARTING] = 2,
        [BACKEND_READY] = 3,
        [BACKEND_DRAINING] = 1,
    };
    unsigned by_state = container_runs(container) ? 2 : container_can_run(container) ? 1 : 0;

    return by_state * 4 + by_backend[container->backend & 3];
}

int planner_new_of(const struct planner *planner, unsigned ordinal)
{
    const struct plan_container *containers = planner->in->containers;
    int best = -1;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (!containers[i].is_new || containers[i].ordinal != ordinal)
            continue;
        if (best < 0 || rank(&containers[i]) > rank(&containers[best]))
            best = (int)i;
    }
    return best;
}

bool planner_is_surplus(const struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];

    return container->is_new && planner_new_of(planner, container->ordinal) != (int)index;
}

static bool needs_engine(enum plan_action_kind kind)
{
    return kind == ACTION_CREATE || kind == ACTION_START || kind == ACTION_STOP ||
           kind == ACTION_REMOVE || kind == ACTION_RENAME;
}

struct plan_action *planner_act(struct planner *planner, enum plan_action_kind kind,
                                const char *format, ...)
{
    struct plan *plan = planner->out;
    struct plan_action *action;
    va_list arguments;

    if (needs_engine(kind) && !planner->in->engine_reachable) {
        planner_wait(planner, "for the engine to be reachable again");
        return NULL;
    }
    if (plan->action_count == PLAN_ACTIONS_MAX) {
        planner_look_at(planner, planner->in->now_ms);
        return NULL;
    }
    action = &plan->actions[plan->action_count++];
    memset(action, 0, sizeof(*action));
    action->kind = kind;
    va_start(arguments, format);
    vsnprintf(action->why, sizeof(action->why), format, arguments);
    va_end(arguments);
    return action;
}

static bool is_acted_on(const struct plan *plan, unsigned index)
{
    for (unsigned i = 0; i < plan->action_count; i++) {
        const struct plan_action *action = &plan->actions[i];

        if (plan_action_has_container(action->kind) && action->container == index)
            return true;
    }
    return false;
}

/* Actions of one plan are carried out in any order: one for each container, the next one later. */
void planner_act_on(struct planner *planner, enum plan_action_kind kind, unsigned index,
                    const char *why)
{
    const struct plan_container *container = &planner->in->containers[index];
    struct plan_action *action;

    if (container->busy || is_acted_on(planner->out, index)) {
        planner_wait(planner, "for %s: an action on it is under way", container->name);
        return;
    }
    action = planner_act(planner, kind, "%s", why);
    if (action != NULL) {
        action->container = index;
        action->ordinal = container->ordinal;
    }
}

bool planner_route(struct planner *planner, uint32_t weight, uint32_t mirror,
                   const struct config_match *match, const char *why)
{
    const struct plan_observed *in = planner->in;
    struct plan_action *action;

    if (in->weight == weight && in->mirror == mirror && config_match_equals(&in->match, match)) {
        if (!in->weight_acknowledged)
            planner_wait(planner, "for every worker to take the weight");
        return in->weight_acknowledged;
    }
    action = planner_act(planner, ACTION_SET_WEIGHT, "%s", why);
    if (action != NULL) {
        action->weight = weight;
        action->mirror = mirror;
        action->match = *match;
    }
    return false;
}

void planner_wait(struct planner *planner, const char *format, ...)
{
    va_list arguments;

    if (planner->out->waiting[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(planner->out->waiting, sizeof(planner->out->waiting), format, arguments);
    va_end(arguments);
}

void planner_look_at(struct planner *planner, uint64_t at_ms)
{
    struct plan *plan = planner->out;

    if (plan->look_again_ms == 0 || at_ms < plan->look_again_ms)
        plan->look_again_ms = at_ms;
}

/* Time in which nothing was due must not count, and it must not be written down again and again
 * either: the clock is taken off (0) and starts anew. What becomes of containers is progress too.
 */
bool planner_deadline(struct planner *planner, bool runs)
{
    const struct plan_observed *in = planner->in;
    struct plan_progress *progress = &planner->out->progress;
    uint64_t since_ms;

    if (!runs || !in->engine_reachable || in->spec->progress_deadline_ms == 0) {
        progress->changed_ms = 0;
        return false;
    }
    if (progress->changed_ms == 0)
        progress->changed_ms = in->now_ms;
    since_ms = progress->changed_ms;
    for (unsigned i = 0; i < in->container_count; i++) {
        const struct plan_container *container = &in->containers[i];
        bool comes = progress->phase == PHASE_FORWARD
                         ? container->is_new
                         : progress->phase == PHASE_BACK && !container->is_new && container->kept;

        if (!comes)
            continue;
        if (container->started_ms > since_ms)
            since_ms = container->started_ms;
        if (container->published_ms > since_ms)
            since_ms = container->published_ms;
    }
    if (in->now_ms >= since_ms + in->spec->progress_deadline_ms)
        return true;
    planner_look_at(planner, since_ms + in->spec->progress_deadline_ms);
    return false;
}

void planner_clear_actions(struct planner *planner)
{
    planner->out->action_count = 0;
    planner->out->look_again_ms = 0;
    planner->out->waiting[0] = '\0';
    planner->hold_wanted = planner->on_schedule = false;
    planner->leaving = 0;
}

void planner_go_back(struct planner *planner, const char *format, ...)
{
    struct plan_progress *progress = &planner->out->progress;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(progress->why, sizeof(progress->why), format, arguments);
    va_end(arguments);
    planner_clear_actions(planner);
    progress->phase = PHASE_BACK;
    progress->changed_ms = 0;
    progress->promote_wanted = false;
}

void planner_end(struct planner *planner, enum plan_outcome outcome)
{
    planner_clear_actions(planner);
    planner->out->progress.phase = PHASE_ENDED;
    planner->out->progress.outcome = outcome;
}

/* Nothing is in rotation, but something is put there by this very plan (everything was restarted,
 * and the table is new): that comes first. */
static bool serves_in_a_moment(const struct planner *planner)
{
    bool comes = false;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container_is_healthy(container))
            return false;
        comes = comes ||
                (container->state == CONTAINER_RUNNING && !container->busy &&
                 container->backend == BACKEND_STARTING && container->verdict == VERDICT_HEALTHY);
    }
    return comes;
}

void planner_need_attention(struct planner *planner, const char *format, ...)
{
    char *why = planner->out->progress.why;
    char before[PLAN_WHY_BYTES];
    size_t length;
    va_list arguments;

    if (serves_in_a_moment(planner))
        return;
    snprintf(before, sizeof(before), "%s", why);
    va_start(arguments, format);
    vsnprintf(why, PLAN_WHY_BYTES, format, arguments);
    va_end(arguments);
    length = strlen(why);
    if (before[0] != '\0')
        snprintf(why + length, PLAN_WHY_BYTES - length, "; it was on its way back: %s", before);
    planner_end(planner, OUTCOME_NEEDS_ATTENTION);
}

const char *planner_duration(uint64_t ms, char text[PLAN_DURATION_BYTES])
{
    uint64_t seconds = ms / 1000;

    if (ms % 1000 != 0 && ms < 10000)
        snprintf(text, PLAN_DURATION_BYTES, "%ums", (unsigned)ms);
    else if (seconds >= 60 && seconds % 60 != 0)
        snprintf(text, PLAN_DURATION_BYTES, "%um%us", (unsigned)(seconds / 60),
                 (unsigned)(seconds % 60));
    else if (seconds >= 60)
        snprintf(text, PLAN_DURATION_BYTES, "%um", (unsigned)(seconds / 60));
    else
        snprintf(text, PLAN_DURATION_BYTES, "%us", (unsigned)seconds);
    return text;
}
