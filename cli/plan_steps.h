/* From --steps and --interval to a rollout's steps. Pure. */
#ifndef CLI_PLAN_STEPS_H
#define CLI_PLAN_STEPS_H

struct cJSON;

#define PLAN_STEPS_WHY_BYTES  256
#define PLAN_STEPS_DEFAULT    "5,25,50,100"
#define PLAN_INTERVAL_DEFAULT "30s"

/* "5,100" and "30s" become [{"set_weight": 5}, {"pause": "30s"}, {"set_weight": 100}]. NULL stands
 * for the defaults. Returns 0 and the array, which the caller frees, or -EINVAL with `why`. */
int plan_steps(const char *weights, const char *interval, struct cJSON **ret_steps,
               char why[PLAN_STEPS_WHY_BYTES]) __attribute__((warn_unused_result));

#endif
