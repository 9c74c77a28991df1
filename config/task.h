/* What a rollout does beside its steps: hooks (`rollout.hooks`) and verifications
 * (`rollout.verify`). To the planner both are tasks at a point, with a result. */
#ifndef CONFIG_TASK_H
#define CONFIG_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

#define CONFIG_TASKS_MAX        24 /* per service, hooks and verifications together */
#define CONFIG_TASK_HEADERS_MAX 16

enum config_task_point { /* Flagger's words for hooks, in the order of a rollout */
                         POINT_CONFIRM_ROLLOUT,          /* before anything is made */
                         POINT_VERIFY_CANARY,            /* before each rise of the weight */
                         POINT_PRE_ROLLOUT,              /* before the first traffic */
                         POINT_CONFIRM_TRAFFIC_INCREASE, /* before each rise of the weight */
                         POINT_ROLLOUT,           /* at each weight, once every worker has it */
                         POINT_VERIFY_SERVICE,    /* at full weight */
                         POINT_CONFIRM_PROMOTION, /* after the watch, before the old ones go */
                         POINT_POST_ROLLOUT,      /* at the end, whichever it is */
                         POINT_ROLLBACK,          /* asked again and again: yes means back */
                         POINT_EVENT,             /* told of every event; nothing waits for it */
                         POINT_COUNT
};
enum config_task_kind { TASK_WEBHOOK, TASK_COMMAND, TASK_GATE, TASK_HTTP };
enum config_on_failure { ON_FAILURE_ROLLBACK, ON_FAILURE_IGNORE, ON_FAILURE_PAUSE };

struct config_task {
    char *name; /* of its own within the service */
    enum config_task_point point;
    enum config_task_kind kind;
    char *url;                         /* webhook */
    char **command;                    /* argv, NULL-terminated; run as `user` */
    uint32_t timeout_ms;               /* of one try; default 10 s */
    uint32_t interval_ms;              /* between two tries; default 5 s, of a verification 1 s */
    uint16_t retries;                  /* beyond the first try; default 2 */
    uint32_t wait_ms;                  /* confirm_*: for the yes; default 24 h */
    enum config_on_failure on_failure; /* default rollback; post_rollout: ignore */
    /* http, sent to each new container */
    char *method, *path, *host, *body, *expected; /* body: sent; expected: a piece of the answer */
    char **headers;                               /* "Name: value", NULL-terminated; NULL: none */
    uint16_t status_min, status_max;              /* default 200-399 */
};

/* Whether it is asked until it says yes. */
static inline bool config_task_is_gate(const struct config_task *task)
{
    return task->point == POINT_CONFIRM_ROLLOUT || task->point == POINT_CONFIRM_TRAFFIC_INCREASE ||
           task->point == POINT_CONFIRM_PROMOTION;
}

static inline bool config_task_is_verification(const struct config_task *task)
{
    return task->point == POINT_VERIFY_CANARY || task->point == POINT_VERIFY_SERVICE;
}

#define CONFIG_NOTIFY_MAX 16

enum config_severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR };
enum config_notify_format { NOTIFY_JSON, NOTIFY_SLACK };

struct config_notify { /* who is told of rollouts; nothing waits for it */
    char *name;
    char *url;      /* webhook; NULL: a command */
    char **command; /* argv, NULL-terminated; run as `user` */
    enum config_notify_format format;
    enum config_severity severity; /* and above; default info */
    uint32_t timeout_ms;           /* of one try; default 10 s */
    uint16_t retries;              /* beyond the first; default 5 */
};

extern const char *const notify_severity_words[]; /* NULL-terminated */
struct cJSON *config_notify_to_json(const struct config_notify *notify, size_t count);
void config_notify_free(struct config_notify *notify, size_t count); /* NULL is fine */

const char *config_task_point_name(enum config_task_point point); /* "confirm_rollout", ... */
const char *config_task_kind_name(enum config_task_kind kind);    /* "webhook", ... */

/* As JSON, as in a file: {"hooks": […], "verify": […]}; the caller owns it. And back: returns 0 and
 * an array that config_tasks_free() ends, or -EINVAL. */
struct cJSON *config_tasks_to_json(const struct config_task *tasks, size_t count);
int config_tasks_read_text(const char *text, struct config_task **ret_tasks, size_t *ret_count)
    __attribute__((warn_unused_result));
void config_tasks_free(struct config_task *tasks, size_t count); /* NULL is fine */

#endif
