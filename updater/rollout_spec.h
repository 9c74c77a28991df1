/* What a rollout is to do, settled when it starts: from config, request and what runs. Pure. */
#ifndef UPDATER_ROLLOUT_SPEC_H
#define UPDATER_ROLLOUT_SPEC_H

#include "plan.h"

struct rollout_way {                 /* what was asked for over the config */
    const struct config_step *steps; /* NULL: the config's */
    size_t step_count;
    bool strategy_given;
    enum config_strategy strategy;
    bool order_given;
    enum config_order order;
};

/* The strategy that is to be taken. */
enum config_strategy rollout_strategy(const struct config_rollout *config,
                                      const struct rollout_way *way);
/* The order, as told: auto where nobody decides. */
enum config_order rollout_order(const struct config_rollout *config, const struct rollout_way *way);

/* `beside_why`: why no new container can run beside its old one; NULL: it can. The spec borrows
 * the steps: the config's, the way's or `room`. */
struct plan_spec rollout_spec(const struct config_service *config, const struct rollout_way *way,
                              uint32_t replicas, const char *beside_why,
                              struct config_step room[PLAN_STEPS_MAX]);

/* Makes it that of a scale: nothing is replaced or judged, the same containers become more or
 * fewer. */
void rollout_spec_scale(struct plan_spec *spec, uint32_t scale_to);

#endif
