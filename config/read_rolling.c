/* How replicas are replaced: strategy, order, and what bounds them. */
#include "base/slice.h"
#include "reader.h"
#include "value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REPLICAS_MAX 1000u /* more than any service has here */

const char *const strategy_words[] = {"canary", "rolling", "blue_green", NULL};
const char *const order_words[] = {"auto", "start-first", "stop-first", NULL};
const char *const failure_action_words[] = {"rollback", "pause", NULL};

/* `2` or `25%`. */
static void read_amount(struct reader *reader, const struct node *node,
                        struct config_amount *amount)
{
    const char *sign = node->kind == NODE_SCALAR ? strchr(node->text, '%') : NULL;
    uint64_t value = 0;

    if (sign != NULL && sign[1] == '\0' &&
        slice_to_u64((struct slice){node->text, (size_t)(sign - node->text)}, &value) == 0 &&
        value <= 100)
        *amount = (struct config_amount){.kind = AMOUNT_PERCENT, .value = (uint32_t)value};
    else if (sign == NULL && node->kind == NODE_SCALAR && node->plain &&
             number_parse(node->text, &value) && value <= REPLICAS_MAX)
        *amount = (struct config_amount){.kind = AMOUNT_COUNT, .value = (uint32_t)value};
    else
        reader_refuse(reader, node,
                      "a number of containers such as 2, or a share of the replicas "
                      "such as 25%%");
}

void max_surge_read(struct reader *reader, const struct node *node, void *target)
{
    read_amount(reader, node, &((struct config_rollout *)target)->rolling.max_surge);
}

void max_unavailable_read(struct reader *reader, const struct node *node, void *target)
{
    read_amount(reader, node, &((struct config_rollout *)target)->max_unavailable);
}

void max_failure_ratio_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_rolling *rolling = &((struct config_rollout *)target)->rolling;
    char *end = NULL;
    double ratio = -1;

    if (node->kind == NODE_SCALAR && node->plain &&
        strspn(node->text, "0123456789.") == strlen(node->text))
        ratio = strtod(node->text, &end);
    if (end == NULL || end == node->text || *end != '\0' || !(ratio >= 0 && ratio <= 1))
        reader_refuse(reader, node, "a share from 0 to 1, such as 0.2");
    else
        rolling->max_failure_ratio = (uint32_t)(ratio * WEIGHT_MAX + 0.5);
}

static bool is_none(struct config_amount amount)
{
    return amount.kind != AMOUNT_NONE && amount.value == 0;
}

/* True where the key is given; then it is told. */
static bool refuse(struct reader *reader, const struct node *node, const char *key,
                   const char *allowed)
{
    const struct node *given = node_get(node, key);
    size_t mark;

    if (given == NULL)
        return false;
    mark = reader_enter(reader, key);
    reader_refuse(reader, given, "%s", allowed);
    reader_leave(reader, mark);
    return true;
}

static void check_keys(struct reader *reader, const struct node *node,
                       enum config_strategy strategy)
{
    static const char *const of_rolling[] = {
        "parallelism", "delay", "ramp", "max_surge", "max_failure_ratio", "failure_action"};
    static const char *const of_steps[] = {"steps", "interval", "preset"};
    bool is_rolling = strategy == STRATEGY_ROLLING;
    bool has_steps = strategy == STRATEGY_CANARY;

    for (size_t i = 0; !is_rolling && i < sizeof(of_rolling) / sizeof(of_rolling[0]); i++)
        (void)refuse(reader, node, of_rolling[i], "only with `strategy: rolling`");
    for (size_t i = 0; !has_steps && i < sizeof(of_steps) / sizeof(of_steps[0]); i++)
        (void)refuse(reader, node, of_steps[i],
                     is_rolling ? "with `strategy: canary`: rolling goes replica by replica"
                                : "with `strategy: canary`: blue_green switches once");
    if (strategy != STRATEGY_BLUE_GREEN)
        (void)refuse(reader, node, "auto_promote", "only with `strategy: blue_green`");
}

/* A batch is `parallelism` containers: start-first they come on top, stop-first they are missing.
 */
static void check_batch(struct reader *reader, const struct node *node,
                        const struct config_rollout *rollout)
{
    bool is_stop_first = rollout->order == ORDER_STOP_FIRST;
    struct config_amount room =
        is_stop_first ? rollout->max_unavailable : rollout->rolling.max_surge;

    if (room.kind == AMOUNT_COUNT && room.value > 0 && rollout->rolling.parallelism > room.value)
        (void)refuse(reader, node, "parallelism",
                     is_stop_first ? "at most max_unavailable: stop-first, so many are missing"
                                   : "at most max_surge: start-first, so many come on top");
}

void rolling_check(struct reader *reader, const struct node *node,
                   const struct config_rollout *rollout)
{
    const struct config_amount surge = rollout->rolling.max_surge;
    size_t before = reader->problems.count;

    check_keys(reader, node, rollout->strategy);
    if (reader->problems.count != before)
        return;
    if (rollout->strategy == STRATEGY_BLUE_GREEN && rollout->order == ORDER_STOP_FIRST)
        (void)refuse(reader, node, "order",
                     "auto or start-first with `strategy: blue_green`: the whole new set runs "
                     "beside the old one");
    else if (rollout->order == ORDER_STOP_FIRST && is_none(rollout->max_unavailable))
        (void)refuse(reader, node, "max_unavailable",
                     "at least 1 with `order: stop-first`: the one that makes room is missing");
    else if (is_none(surge) && is_none(rollout->max_unavailable))
        (void)refuse(reader, node, "max_unavailable",
                     "at least 1 where max_surge is 0: with neither, nothing could be replaced");
    else if (rollout->order == ORDER_START_FIRST && is_none(surge))
        (void)refuse(reader, node, "max_surge",
                     "at least 1 with `order: start-first`: the new one runs beside the old one");
    else if (rollout->order == ORDER_STOP_FIRST && surge.kind != AMOUNT_NONE && surge.value > 0)
        (void)refuse(reader, node, "max_surge",
                     "0 with `order: stop-first`: nothing runs beside the old ones");
    else
        check_batch(reader, node, rollout);
}
