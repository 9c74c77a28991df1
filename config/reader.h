/* Reading a mapping by a table: name, kind, range, default of each key in one place.
 *
 * Owner: one config_read_*(). The reader knows where it is in the document (`path`), so that every
 * refusal tells it. Values that are refused leave their target at the default, and reading goes
 * on: all errors of a file are told at once. */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "config.h"
#include "node.h"
#include "problems.h"

#define READER_PATH_BYTES 512

struct reader {
    struct problems problems;
    const struct config_overrides *overrides; /* never NULL */
    struct config *config;
    char path[READER_PATH_BYTES];
    size_t path_length;
    bool canonical; /* what the supervisor handed down: the environment counts no more */
};

enum field_kind {
    FIELD_DURATION, /* uint32_t, milliseconds */
    FIELD_NUMBER16, /* uint16_t */
    FIELD_NUMBER32, /* uint32_t */
    FIELD_SIZE,     /* uint64_t, bytes */
    FIELD_BOOL,     /* bool */
    FIELD_WORD,     /* an enum: index into `words` */
    FIELD_TEXT,     /* char *, judged by `valid` and `max` bytes */
    FIELD_TABLE,    /* an embedded struct, read by `table` */
    FIELD_OTHER,    /* `read` does it */
};

struct table;

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;
    uint64_t min, max;
    uint32_t fallback;
    const char *const *words; /* NULL-terminated */
    const char *allowed;      /* text: for people */
    bool (*valid)(const char *text);
    const struct table *table;
    void (*read)(struct reader *reader, const struct node *node, void *target);
};

struct table {
    const char *name; /* as in schema.json's $defs */
    const struct field *fields;
    size_t count;
};

#define TABLE(table_name, table_fields)                                                            \
    {                                                                                              \
        .name = (table_name), .fields = (table_fields),                                            \
        .count = sizeof(table_fields) / sizeof((table_fields)[0])                                  \
    }

/* Sets every field with a default; texts are left NULL. */
void table_defaults(const struct table *table, void *target);

/* Reads what is given over what the target holds. Unknown keys are refused. */
void table_read(struct reader *reader, const struct node *node, const struct table *table,
                void *target);

/* Every table there is, for tests and for the schema. NULL-terminated. */
extern const struct table *const config_tables[];
extern const struct table config_table, listener_table, sni_table, service_table, route_table,
    discover_table, healthcheck_table, http_check_table, tcp_check_table, container_check_table,
    rollout_table, step_table, pause_table, tls_table, certificate_table, client_certificates_table,
    backend_tls_table, drain_table, drain_budget_table, timeouts_table, engine_table, admin_table,
    limits_table, service_limits_table, access_log_table, error_pages_table, rate_table,
    sticky_table, preview_table, preview_match_table, hash_table, queue_table, ejection_table,
    retries_table, hold_table, images_table, step_match_table, step_match_value_table,
    analysis_table, preset_table, hook_table, verify_table, verify_http_table, notify_table;

/* Where in the document: returns what reader_leave() wants. */
size_t reader_enter(struct reader *reader, const char *key);
size_t reader_enter_index(struct reader *reader, size_t index);
void reader_leave(struct reader *reader, size_t mark);

/* "FILE:LINE: path: found <the node>, allowed <...>". */
void reader_refuse(struct reader *reader, const struct node *node, const char *allowed, ...)
    __attribute__((format(printf, 3, 4)));
/* "FILE:LINE: path: <text>", where there is more to say. */
void reader_tell(struct reader *reader, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Where the node is not of the kind: refuses it and returns false. */
bool reader_wants_mapping(struct reader *reader, const struct node *node);
bool reader_wants_list(struct reader *reader, const struct node *node, size_t max);
/* Text that YAML takes for text (numbers and words like `no` want quotes). */
bool reader_wants_text(struct reader *reader, const struct node *node);

/* Checks across fields, with the node for its lines. */
void service_check(struct reader *reader, const struct node *node, struct config_service *service);
void config_check(struct reader *reader, const struct node *root);
/* What belongs to TCP of one listener; in check_tcp.c. */
void listener_check_tcp(struct reader *reader, const struct node *node,
                        struct config_listener *listener);
/* Index of the service that `named` names, or -1 and told. */
int service_resolve(struct reader *reader, const struct node *named);

/* Reads an element of `services`; in read_service.c. */
void service_read(struct reader *reader, const struct node *node, struct config_service *service);
/* A file's path; one that is not absolute counts from the folder of the config. In read_tls.c. */
void path_read(struct reader *reader, const struct node *node, char **place);
void access_log_read(struct reader *reader, const struct node *node, void *target);
void access_log_defaults(struct config_access_log *log);
void error_pages_read(struct reader *reader, const struct node *node, void *target);
void service_error_pages_read(struct reader *reader, const struct node *node, void *target);
void config_error_pages_done(struct config_error_pages *pages);
void listener_tls_read(struct reader *reader, const struct node *node, void *target);
void listener_redirect_read(struct reader *reader, const struct node *node, void *target);
void service_tls_read(struct reader *reader, const struct node *node, void *target);
void config_tls_done(struct config_tls *tls);
void config_backend_tls_done(struct config_backend_tls *tls);
/* The global limits, without what belongs to one place only, are where a service starts from. */
void service_limits_begin(const struct config *config, struct config_service *service);
void limits_finish(struct config *config); /* once `workers` is known */
void balance_defaults(struct config_service *service);
void hash_read(struct reader *reader, const struct node *node, void *target);
/* Whether `balance` and `hash` fit together, and the protocol. */
void hash_check(struct reader *reader, const struct node *node,
                const struct config_service *service);
void ejection_read(struct reader *reader, const struct node *node, void *target);
void healthcheck_read(struct reader *reader, const struct node *node, void *target);
/* A host name or "*." and one, into *ret_host in lower case. */
void host_read(struct reader *reader, const struct node *node, char **ret_host);
void sni_read(struct reader *reader, const struct node *node, void *target);
void trusted_proxies_read(struct reader *reader, const struct node *node, void *target);
/* A list of networks over what *list and *count hold; in read_trust.c. */
void networks_read(struct reader *reader, const struct node *node, struct network **list,
                   size_t *count);
void drain_read(struct reader *reader, const struct node *node, void *target);
void drain_defaults(struct config_drain *drain);
void rollout_read(struct reader *reader, const struct node *node, void *target);
/* Both lists of a rollout; in read_tasks.c. */
void tasks_read(struct reader *reader, const struct node *node, struct config_rollout *rollout);
void notify_read(struct reader *reader, const struct node *node, void *target);
void tasks_check(struct reader *reader, const struct node *node,
                 const struct config_service *service);
extern const char *const hook_point_words[], *const on_failure_words[]; /* NULL-terminated */
/* http:// or https://, into *place. */
void web_url_read(struct reader *reader, const struct node *node, char **place);
/* A list of arguments or a line for the shell, as argv; in read_healthcheck.c. */
void command_read(struct reader *reader, const struct node *node, char ***place);
/* "204" or "200-399" */
void status_range_read(struct reader *reader, const struct node *node, uint16_t *ret_min,
                       uint16_t *ret_max);
void sticky_read(struct reader *reader, const struct node *node, void *target);
void preview_read(struct reader *reader, const struct node *node, void *target);
/* What of these a service of this protocol cannot have. */
void sticky_check(struct reader *reader, const struct node *node,
                  const struct config_service *service);
void step_match_read(struct reader *reader, const struct node *node, void *target);
void step_mirror_read(struct reader *reader, const struct node *node, void *target);
/* What of a plan's steps a service of this protocol cannot have. */
void steps_check(struct reader *reader, const struct node *node,
                 const struct config_service *service);
/* What belongs to the way in which replicas are replaced; in read_rolling.c. */
void max_surge_read(struct reader *reader, const struct node *node, void *target);
void max_unavailable_read(struct reader *reader, const struct node *node, void *target);
void max_failure_ratio_read(struct reader *reader, const struct node *node, void *target);
/* Keys of a rollout that contradict one another; `node` is the rollout's. */
void rolling_check(struct reader *reader, const struct node *node,
                   const struct config_rollout *rollout);
/* `steps` and `interval` of `node` into the rollout. */
void rollout_steps_read(struct reader *reader, const struct node *node,
                        struct config_rollout *rollout);
/* A list of steps alone; its last weight may be less than 100. */
void rollout_step_list_read(struct reader *reader, const struct node *steps,
                            struct config_rollout *rollout);
void analysis_defaults(struct config_analysis *analysis);
void analysis_read(struct reader *reader, const struct node *node,
                   struct config_analysis *analysis);
void rollout_analysis_read(struct reader *reader, const struct node *node, void *target);
void step_analysis_read(struct reader *reader, const struct node *node, void *target);
void presets_read(struct reader *reader, const struct node *node, void *target);
void config_presets_done(struct config *config);
void rollout_default_steps(struct config_rollout *rollout, uint32_t interval_ms);
/* The whole document, defaults, environment and overrides; in read.c. */
void config_read_tree(struct reader *reader, const struct node *root);

#endif
