/* The configuration: what the file says with every default filled in and every value checked.
 *
 * Owner: whoever called config_read*(); freed whole by config_free(). Immutable after that.
 * Life: the supervisor reads the file once and hands a canonical JSON form down as a sealed memfd;
 * each child reads that with the same reader (config_read_fd). */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/address.h"
#include "base/network.h"
#include "match.h"
#include "task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, with the board's in mind (board/routing.h has arrays of these sizes). */
#define CONFIG_SERVICES_MAX    256  /* rows of the routing table */
#define CONFIG_LISTENERS_MAX   64   /* descriptors reserved per worker */
#define CONFIG_NAME_MAX        63   /* a service's or listener's name: [A-Za-z0-9][A-Za-z0-9_.-]* */
#define CONFIG_ROUTES_MAX      64   /* per service */
#define CONFIG_STEPS_MAX       64   /* per rollout plan */
#define CONFIG_IMAGES_KEPT_MAX 100  /* versions; the history has 200 rollouts */
#define CONFIG_PRESETS_MAX     32   /* named plans */
#define CONFIG_BACKENDS_MAX    1024 /* static ones per service and group */
#define CONFIG_RETRIES_MAX     10   /* of one exchange: each backend tried is remembered */
#define CONFIG_TRUSTED_MAX     256 /* networks of proxies in front; each is compared per connection */
#define CONFIG_SNI_MAX         256 /* per listener: names that lead to a service */
#define CONFIG_ERROR_PAGES_MAX 32  /* per service; as many for all */
#define CONFIG_FILE_BYTES_MAX  (1u << 20)
#define CONFIG_HOLD_MAX_MS     3600000u /* no operator means to hold a service for longer */

#define WEIGHT_MAX 10000u /* a weight is in hundredths of a per cent */

enum config_protocol { PROTOCOL_HTTP, PROTOCOL_TCP };
enum config_balance { BALANCE_LEAST_REQUESTS, BALANCE_ROUND_ROBIN, BALANCE_RANDOM, BALANCE_HASH };
enum config_hash_kind { HASH_NONE, HASH_HEADER, HASH_COOKIE, HASH_CLIENT_ADDRESS, HASH_PATH };
enum config_check_kind {
    CHECK_NONE,      /* no check given: a backend counts as healthy */
    CHECK_HTTP,      /* GET path, status in range, optionally a piece of the body */
    CHECK_TCP,       /* connect succeeds */
    CHECK_SCRIPT,    /* exit status 0; the backend's address in the environment */
    CHECK_CONTAINER, /* the container's own HEALTHCHECK, as the engine reports it */
};
enum config_sticky_kind {
    STICKY_NONE,
    STICKY_COOKIE,         /* a signed cookie of the proxy's own */
    STICKY_HEADER,         /* a field of the request */
    STICKY_CLIENT_ADDRESS, /* without the port */
};
enum config_preview_kind { PREVIEW_NONE, PREVIEW_HEADER, PREVIEW_COOKIE };
enum config_step_kind {
    STEP_SET_WEIGHT,
    STEP_PAUSE,
    STEP_MATCH,
    STEP_MIRROR,
    STEP_ANALYSIS,
    STEP_REPLICAS,
};
enum config_inconclusive { INCONCLUSIVE_WAIT, INCONCLUSIVE_PASS, INCONCLUSIVE_FAIL };
enum config_strategy { STRATEGY_CANARY, STRATEGY_ROLLING, STRATEGY_BLUE_GREEN };
enum config_order {
    ORDER_AUTO,        /* stop-first where start-first cannot work */
    ORDER_START_FIRST, /* the new one beside the old one */
    ORDER_STOP_FIRST,  /* the old one makes room for the new one */
};
enum config_failure_action { FAILURE_ROLLBACK, FAILURE_PAUSE };
enum config_on_timeout { ON_TIMEOUT_CLOSE, ON_TIMEOUT_WAIT, ON_TIMEOUT_FAIL };
enum config_pull { PULL_MISSING, PULL_ALWAYS, PULL_NEVER };
enum config_access_format { ACCESS_LOGFMT, ACCESS_JSON, ACCESS_COMMON, ACCESS_COMBINED };
enum config_proxy_protocol {
    SEND_PROXY_PROTOCOL_NONE,
    SEND_PROXY_PROTOCOL_V1,
    SEND_PROXY_PROTOCOL_V2,
};

struct config_timeouts {         /* milliseconds; DESIGN §8 says what each spans */
    uint32_t header_ms;          /* default 10 s */
    uint32_t body_ms;            /* default 30 s */
    uint32_t connect_ms;         /* default 2 s */
    uint32_t response_ms;        /* default 60 s */
    uint32_t idle_ms;            /* default 75 s */
    uint32_t tunnel_ms;          /* default 1 h */
    uint32_t tunnel_lifetime_ms; /* default 0: none */
    uint32_t queue_ms; /* `queue`: how long an exchange waits for a backend that can serve;
                          default 5 s, 0: does not wait */
};

enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };

struct config_certificate { /* PEM files, by absolute path or from the working directory */
    char *cert;             /* with its chain */
    char *key;              /* the same file, where none was told */
    char *ocsp;             /* a DER answer to staple; NULL: none */
};

struct config_tls {                          /* of a listener */
    struct config_certificate *certificates; /* the first one is the default */
    size_t certificate_count;                /* 0: no TLS */
    enum config_tls_version min_version;     /* default 1.2 */
    char *client_ca;                         /* client_certificates.ca; NULL: none are asked for */
    bool client_required;                    /* default true: no connection without */
    uint32_t hsts_s;                         /* Strict-Transport-Security; 0: none */
    bool hsts_subdomains;                    /* default false */
};

struct config_backend_tls { /* of a service, towards its backends */
    bool enabled;
    bool verify;      /* chain and name; default true */
    char *ca;         /* NULL: the system's */
    char *name;       /* looked for in the certificate, and sent as SNI; NULL: the backend's host */
    char *cert, *key; /* ours, where backends ask for one; NULL: none */
};

struct config_rate { /* requests per second of one client, and how many may come at once */
    uint32_t rate;   /* 0: any */
    uint32_t burst;
};

struct config_traffic_limits {   /* of one service: the global ones with its own over them */
    uint64_t body_bytes;         /* of a request's body; 0: any */
    uint32_t min_rate;           /* bytes per second; 0: any */
    uint32_t min_rate_window_ms; /* that it is averaged over; default 20 s */
    struct config_rate requests; /* `requests_per_client`; default none */
    bool own_requests;           /* the service's own: counted apart from the others' */
    struct network *trusted;     /* clients that no limit per client counts for; a service's */
    size_t trusted_count;        /* come on top of the global ones */
};

struct config_limits {
    struct config_traffic_limits traffic; /* first: read by the same functions */
    uint32_t connections;                 /* of one worker; 0: as many as descriptors allow */
    uint32_t connections_per_client;      /* of one worker; 0: any */
    uint64_t header_bytes;                /* of a request's head; default and most 64 KiB */
    uint16_t header_count;                /* fields in it; default and most 128 */
    uint64_t memory_bytes; /* what a worker's connections may hold; default derived */
};

struct config_access_log {
    bool on;
    enum config_access_format format;
    char *file; /* NULL: stderr */
    uint32_t
        sample; /* of WEIGHT_MAX: the share of those that went well; the rest is logged always */
    bool query; /* with the query string, which may hold secrets */
};

struct config_error_page {
    uint16_t first, last; /* statuses */
    char *file;
};

struct config_error_pages {
    struct config_error_page *items;
    size_t count;
};

struct config_sni {
    char *host; /* lower case; "*.example.org": every name below it */
    int service;
};

struct config_listener {
    char *name;
    struct address address;
    enum config_protocol protocol;
    int service;   /* index into services, for a tcp listener or with `canary`; -1: none */
    bool canary;   /* `group: canary`: every request goes to that group of `service`; http */
    uint16_t port; /* tcp: the port in the container, where it is another than the service's, so
                      that a container's second port runs, and drains, as the same service; 0: no */
    struct config_tls tls;
    uint16_t redirect_port; /* `redirect: https`: 308 to https at this port; 0: no */
    bool proxy_protocol;    /* connections begin with a PROXY header; only trusted_proxies may */
    bool defer_accept;      /* http: a connection counts from its first byte on: TCP_DEFER_ACCEPT */
    struct config_sni *sni; /* tcp: the name in the TLS ClientHello decides; `service` for the
                               others. The TLS itself is the backend's */
    size_t sni_count;
};

struct config_route {
    char *host; /* lower case without port; NULL: every host. "*.example.org" is a suffix match */
    char *path; /* prefix that ends at a path segment, without a slash at its end; "/": every
                   path */
};

struct config_check {
    enum config_check_kind kind;
    char *path;          /* http; default "/" */
    char *host;          /* http: Host header; NULL: the backend's address */
    uint16_t status_min; /* http; `status: 200-399` or `status: 204`; default 200-399 */
    uint16_t status_max;
    char *body;               /* http: a piece that the body must hold; NULL: any */
    char **script;            /* script: argv, NULL-terminated; NULL otherwise */
    uint32_t interval_ms;     /* default 2 s */
    uint32_t timeout_ms;      /* at most interval; default 1 s, or interval where that is less */
    uint32_t start_period_ms; /* default 0: failures in it do not count until the first success */
    uint16_t retries;         /* failures in a row that make a backend unhealthy; default 3 */
    uint16_t successes;       /* successes in a row that bring it back; default 1 */
};

struct config_analysis {     /* what the new version's requests are judged by */
    bool on;                 /* of a rollout: through all of it */
    uint32_t success_rate;   /* of WEIGHT_MAX: share that must go well; default 9900, 0: any */
    uint32_t latency_p99_ms; /* default 0: any */
    bool compare;            /* with the old version, in the same time; default true */
    uint32_t min_requests;   /* fewer of them are no pass; default 100 */
    uint32_t interval_ms;    /* figures are gathered for so long; default 30 s */
    enum config_inconclusive inconclusive; /* what a step does that cannot tell; default wait */
};

struct config_step { /* no pointers: steps are copied and freed as one array */
    enum config_step_kind kind;
    uint32_t weight;           /* set_weight: of WEIGHT_MAX */
    bool until_promoted;       /* pause: {} waits for `sluice promote` */
    uint32_t pause_ms;         /* pause: 30s */
    struct config_match match; /* match: holds until another match; `none` ends it */
    uint32_t mirror;           /* mirror: of WEIGHT_MAX, until another mirror; 0 ends it */
    uint32_t replicas; /* replicas: how many new containers from here on, whatever the weight */
    struct config_analysis analysis;
};

/* Classes of exchange: each has a drain budget of its own. */
enum exchange_kind {
    KIND_REQUEST,
    KIND_UPLOAD,    /* a request whose body comes by and by, up to the end of its answer */
    KIND_STREAM,    /* no end of its answer is in sight: events, or long in coming */
    KIND_WEBSOCKET, /* upgraded, to whatever */
    KIND_TCP,
    KIND_COUNT,
};

struct config_drain_budget {
    uint32_t timeout_ms;
    enum config_on_timeout on_timeout;
};

struct config_drain {
    /* default 30 s, 5 min for websockets and tcp; uploads and streams have what requests have */
    struct config_drain_budget budgets[KIND_COUNT];
    uint32_t close_spread_ms; /* ends at a budget's end are spread over it; default 5 s */
    uint32_t stream_after_ms; /* an answer that is so long in coming, or comes for so long with no
                                 length, makes a stream of its request; 0: none; default 20 s */
};

enum config_amount_kind { AMOUNT_NONE, AMOUNT_COUNT, AMOUNT_PERCENT };

struct config_amount { /* of containers: `2`, or a share of the replicas: `25%` */
    enum config_amount_kind kind;
    uint32_t value;
};

struct config_rolling {             /* strategy: rolling; Compose's and Argo's words */
    uint32_t parallelism;           /* replicas replaced at once; default 1, 0: all */
    uint32_t delay_ms;              /* between two batches; default 0 */
    uint32_t ramp_ms;               /* a batch's share of traffic moves in so long; default 4 s */
    struct config_amount max_surge; /* containers beyond the replicas; default parallelism */
    uint32_t max_failure_ratio;     /* of WEIGHT_MAX; default 0 */
    enum config_failure_action action; /* `failure_action`; default rollback */
};

struct config_images { /* of a rollout */
    enum config_pull pull;
    uint32_t pull_stall_ms; /* no progress for so long: tried again; default 60 s */
    uint32_t keep;          /* versions of the service whose images stay; 0: all; default 3 */
};

extern const char *const config_on_timeout_words[]; /* by enum config_on_timeout; NULL at the end */
extern const char *const config_drain_keys[KIND_COUNT]; /* "requests", ... */

struct config_rollout {
    enum config_strategy strategy; /* default canary */
    enum config_order order;       /* default auto */
    struct config_rolling rolling;
    struct config_amount max_unavailable; /* replicas that may be missing; default 0, and where the
                                             order is stop-first parallelism */
    struct config_step *steps; /* default: 5, 25, 50, 100 per cent with 30 s pauses between */
    size_t step_count;
    struct config_analysis analysis; /* `on` where it is given: through the whole rollout */
    struct config_task *tasks;       /* hooks and verifications, in the file's order */
    size_t task_count;
    struct config_drain drain;
    uint32_t progress_deadline_ms; /* no progress for so long: rolled back; default 10 min, or
                                      health_timeout where that is longer */
    uint32_t health_timeout_ms;    /* a new container must be healthy in this time; default derived:
                                      start_period + (retries + 1) * interval + timeout + 10 s,
                                   at most a progress_deadline that is given */
    uint32_t monitor_ms;           /* watched at full weight before the old ones go; default 5 s */
    uint32_t bake_ms;  /* `bake_time`: the same, where it is longer; default 0, see bake_given */
    bool bake_given;   /* else a blue_green one takes 10 min */
    bool auto_promote; /* blue_green: default true; false waits for `sluice promote` */
    uint32_t stop_grace_period_ms; /* 0: what the container says, else 10 s */
    uint16_t history;              /* ended rollouts kept on record; default 200 */
    struct config_images images;
};

struct config_preset { /* a plan by name */
    char *name;
    struct config_step *steps;
    size_t step_count;
};

struct config_sticky { /* what tells one user from another */
    enum config_sticky_kind kind;
    char *name; /* of cookie or header; NULL otherwise */
};

struct config_preview { /* which requests ask for the canary group */
    enum config_preview_kind kind;
    char *name;  /* of header or cookie */
    char *value; /* asks for canary */
    char *never; /* asks for stable; NULL: none does */
};

struct config_hash { /* `balance: hash`: what the choice follows from */
    enum config_hash_kind kind;
    char *name;             /* of header or cookie; NULL otherwise */
    uint16_t bound_percent; /* of the mean load, that a backend has at most; default 125 */
};

struct config_queue {
    uint16_t max; /* exchanges that wait at once, over all workers; default 1024, 0: none does */
};

struct config_ejection {  /* passive health */
    uint16_t failures;    /* in a row that take a backend out; default 5, 0: no ejection */
    uint32_t time_ms;     /* for so long, times how often in a row; default 30 s */
    uint16_t max_percent; /* of a group's backends at once; default 50 */
};

struct config_retries {
    uint16_t attempts;       /* beyond the first, per exchange; default 2, 0: none */
    uint16_t budget_percent; /* of the recent exchanges, for all of them together; default 20 */
};

struct config_hold {     /* exchanges of a service that an operator holds */
    uint16_t max;        /* per worker; default 1024 */
    uint32_t timeout_ms; /* for one of them, and of a hold where nothing is said; default 30 s */
};

struct config_service {
    char *name;
    enum config_protocol protocol; /* derived: tcp where a tcp listener names it */
    struct config_route *routes;   /* http: one for every host and path by default; tcp: none */
    size_t route_count;
    /* where its backends are: either static lists or discovery by label, never both */
    char **backends; /* "host:port", as written; resolved by the updater */
    size_t backend_count;
    char **canary;
    size_t canary_count;
    char *label_key;   /* discover: { label: key=value }; NULL for a static service */
    char *label_value; /* NULL: the key alone */
    char *project;     /* discover: { project: shop }: com.docker.compose.project; NULL: any */
    uint16_t port;     /* in the container; 0: the only exposed one */
    char *network;     /* NULL: the only one, or an error that lists them */
    bool published;    /* `published: true`: reach it by its published host port */
    enum config_balance balance;
    struct config_hash hash;  /* balance: hash only; tcp: client_address only */
    uint32_t slow_start_ms;   /* a newly ready backend's share grows over so long; default 0 */
    uint16_t max_connections; /* exchanges per backend, over all workers; default 0: no limit */
    struct config_queue queue;
    struct config_ejection ejection;
    struct config_retries retries;
    enum config_proxy_protocol send_proxy_protocol; /* to its backends; default none */
    struct config_check check;
    struct config_error_pages error_pages;
    struct config_timeouts timeouts; /* the file's global ones with the service's own over them */
    struct config_traffic_limits limits;
    struct config_rollout rollout;
    struct config_backend_tls tls;
    struct config_sticky sticky;   /* tcp: client_address only */
    struct config_preview preview; /* http */
    struct config_hold hold;
    bool retry_assets; /* http */
};

struct config {
    struct config_listener *listeners;
    size_t listener_count;
    struct config_service *services;
    size_t service_count;
    char *engine_host; /* "unix:///var/run/docker.sock", "tcp://h:p"; file, else DOCKER_HOST, else
                          the default. Never NULL */
    char *engine_cert_path; /* folder with ca.pem, cert.pem, key.pem: TLS; NULL: none */
    bool engine_needed;     /* some service is discovered */
    char *admin_socket;     /* default /run/sluice/admin.sock */
    char *state;            /* default /var/lib/sluice */
    char *user;             /* workers and health run as; default "nobody" */
    struct config_timeouts timeouts;
    struct config_limits limits;
    struct config_notify *notify; /* who is told of rollouts */
    size_t notify_count;
    uint32_t workers; /* 1 to 32; `auto`: one per processor that this process may use */
    struct config_access_log access_log;
    struct config_error_pages error_pages; /* where a service has none of its own */
    struct config_preset *presets;         /* the file's own; see config_find_preset() */
    size_t preset_count;
    struct network *trusted_proxies; /* whose word about the client counts; default none */
    size_t trusted_proxy_count;
};

/* What `sluice run` was told on its command line; NULL or 0: not told. */
struct config_overrides {
    const char *state;
    const char *admin_socket;
    const char *engine_host;
    uint32_t workers;
};

/* Why a config was refused, for people: one line per error, each
 * "FILE:LINE: path.to.key: what was found, what is allowed". Several errors are reported at once.
 */
struct config_errors {
    char *text; /* lines, each ended by a newline; NULL: none */
    size_t count;
};
void config_errors_done(struct config_errors *errors);

/* Reads a file, YAML or JSON. Returns 0 and the config, or -EINVAL with `errors` filled; the
 * caller ends both with config_free() and config_errors_done(). `overrides` may be NULL. */
int config_read_file(const char *path, const struct config_overrides *overrides,
                     struct config_errors *errors, struct config **ret_config)
    __attribute__((warn_unused_result));

/* The same from memory; `name` stands for the file in messages. */
int config_read_text(const char *name, const char *text, size_t length,
                     const struct config_overrides *overrides, struct config_errors *errors,
                     struct config **ret_config) __attribute__((warn_unused_result));

/* Reads the canonical form from the memfd that the supervisor handed down. Returns 0 or -errno. */
int config_read_fd(int fd, struct config **ret_config) __attribute__((warn_unused_result));

/* The canonical form: JSON with every default spelled out, which reads back to an equal config.
 * The caller frees it. */
char *config_to_json(const struct config *config) __attribute__((warn_unused_result));

/* Index of the service of this name, or -1. */
int config_find_service(const struct config *config, const char *name);

/* The plan of this name: of the file, else one that is built in; NULL: there is none. */
const struct config_preset *config_find_preset(const struct config *config, const char *name);
/* The names of all of them, "fast, careful, ...", for people. */
void config_preset_names(const struct config *config, char *text, size_t size);

/* Reads a list of steps from JSON, by the rules of the file's `steps` but that the last weight need
 * not be 100. `usual` is where a step's analysis starts from. Returns 0 and the steps, which the
 * caller frees, or -EINVAL with `errors` filled. */
int config_read_steps(const char *json, const struct config_analysis *usual,
                      struct config_errors *errors, struct config_step **ret_steps,
                      size_t *ret_count) __attribute__((warn_unused_result));

/* Tells every file that the configuration names (certificates, keys, CAs), for whoever watches
 * them.
 */
void config_each_file(const struct config *config, void (*tell)(void *context, const char *path),
                      void *context);

void config_free(struct config *config);

/* Readers of single values, used by the command line too. All return 0 or -EINVAL.
 * Durations: "500ms", "30s", "5m", "1h", "1m30s", "0". Weights: "5", "0.25", "100" per cent.
 * Sizes in bytes, 1024 and its powers: "4096", "512k", "10m", "1g", "0". */
int config_parse_duration(const char *text, uint32_t *ret_ms) __attribute__((warn_unused_result));
int config_parse_weight(const char *text, uint32_t *ret_weight) __attribute__((warn_unused_result));
int config_parse_size(const char *text, uint64_t *ret_bytes) __attribute__((warn_unused_result));
/* "missing", "always", "never" */
int config_parse_pull(const char *text, enum config_pull *ret_pull)
    __attribute__((warn_unused_result));
const char *config_pull_name(enum config_pull pull);

#endif
