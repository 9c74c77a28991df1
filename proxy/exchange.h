/* One exchange: an HTTP request with its response, a TCP connection, or an upgraded connection.
 * Routed, balanced, counted, retried, drained and logged here, whatever protocol it came by.
 *
 * Owner: the protocol's object that embeds it. Life: exchange_start() to exchange_end(). The state
 * is the list it sits on; exchange_enter() is the only function that moves it. */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "base/address.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/stream.h"
#include "base/timer.h"
#include "board/scoreboard.h"
#include "config/config.h"
#include "limits.h"

struct access_request;
struct exchange;
struct upstream;
struct worker;

enum exchange_state {
    EXCHANGE_PLACING,    /* about to get a backend */
    EXCHANGE_QUEUED,     /* none can serve: waits for one */
    EXCHANGE_CONNECTING, /* has a backend; its connection is being made */
    EXCHANGE_ASKING,     /* the request goes out; no answer yet */
    EXCHANGE_ANSWERING,  /* the answer comes in */
    EXCHANGE_TUNNELLING, /* bytes both ways */
    EXCHANGE_DONE,
    EXCHANGE_STATE_COUNT,
};

/* Why it ended. The names are logged as they are. */
enum exchange_why {
    WHY_DONE,
    WHY_CLIENT_CLOSED, /* 499 in the log */
    WHY_BAD_REQUEST,
    WHY_SLOW_CLIENT,
    WHY_SLOW_BODY, /* below limits.min_rate: */
    WHY_SLOW_READ,
    WHY_BODY_SIZE,
    WHY_RATE,
    WHY_NO_ROUTE,
    WHY_NO_BACKEND,
    WHY_NO_CANARY,     /* none that the preview listener could show */
    WHY_MISDIRECTED,   /* a Host of another certificate */
    WHY_HELD,          /* by an operator, for longer than it may wait */
    WHY_QUEUE_FULL,    /* its backends have no room, nor has the queue */
    WHY_QUEUE_TIMEOUT, /* waited for room in vain */
    WHY_CONNECT_FAILED,
    WHY_RETRY_BUDGET, /* failed, and the service's retries were used up */
    WHY_BAD_RESPONSE,
    WHY_BACKEND_BROKE, /* broke off before or within its answer */
    WHY_RESPONSE_TIMEOUT,
    WHY_TUNNEL_SILENT,
    WHY_TUNNEL_LIFETIME,
    WHY_MEMORY,
    WHY_ENDED,   /* by an operator, or at the end of its drain budget */
    WHY_STOPPED, /* the worker's own drain was over */
    WHY_COUNT,
};

/* What an exchange asks of the protocol it came by. Each may end the exchange and doom its owner:
 * the caller touches nothing after. */
struct exchange_protocol {
    void (*on_placed)(struct exchange *exchange); /* exchange->upstream is connected */
    void (*on_refused)(struct exchange *exchange, enum exchange_why why); /* gets no backend */
    void (*on_upstream)(struct exchange *exchange, enum stream_event event);
    void (*on_timeout)(struct exchange *exchange); /* of a state after CONNECTING */
    /* Is to end, in the way that its sides understand, by itself and soon; it may end at once.
     * False: there is no such way. */
    bool (*on_farewell)(struct exchange *exchange, enum exchange_why why);
    void (*on_abort)(struct exchange *exchange, enum exchange_why why); /* must end at once */
    /* Bytes still to come of an upload, or of an answer with a length; UINT64_MAX: not known. NULL:
     * they never are. */
    uint64_t (*bytes_left)(const struct exchange *exchange);
    struct slice (*request_line)(const struct exchange *exchange); /* "GET /path", for people */
    /* What the client asked, for the log; NULL: a connection asks nothing. `fields`: with those
     * that have to be looked for. */
    void (*describe)(const struct exchange *exchange, bool fields, struct access_request *ret);
};

struct exchange {
    struct worker *worker;
    const struct exchange_protocol *protocol;
    struct list node;         /* worker->exchanges[state] */
    struct list waiting_node; /* worker->waiting[service][group], while queued */
    struct timer timer;       /* the state's deadline */
    uint64_t id;
    enum exchange_state state;
    enum exchange_kind kind;
    uint16_t service; /* in the config: */
    const struct config_service *config;
    uint16_t port; /* of the backend, where it is another than the service's; 0: no */
    struct address client;
    struct address local; /* where it connected to, for backends that are told; family 0: none */

    struct upstream *upstream; /* its connection, once it has one */
    bool placed;               /* counted as active on: */
    uint16_t slot;
    uint32_t generation;
    enum group group; /* GROUP_COUNT: not decided yet */
    enum group asked; /* the group that it asks for; GROUP_COUNT: none */
    bool keeps_group; /* `group` was set at its start: no other will do */
    bool is_copy;     /* a mirror's */
    bool held;        /* queued because an operator holds the service */
    bool has_user;    /* keeps to a group and a backend: */
    uint64_t user;
    bool has_key; /* goes where its key leads: */
    uint64_t key;
    bool unrepeatable;   /* a pooled connection must be looked at before it is trusted */
    bool fresh;          /* a pooled connection failed it: wants one of its own */
    bool waits_for_room; /* while queued, or not for any backend that can serve */
    bool owes_retry;     /* the next backend is another try, paid for when there is one */
    uint8_t retry_count;
    uint8_t join_count; /* backends it was given to, one after the other */
    uint8_t try_count;  /* of them, those whose connect failed: */
    uint16_t tried[TRIES_MAX];

    struct list ending_node; /* worker->ending_soon, ending_told */
    uint8_t ending;          /* enum ending, by ends.c: */
    enum exchange_why end_why;
    uint64_t end_at_ms; /* its turn to be told goodbye, or the end of its patience */

    uint64_t queued_ms; /* since when it waits, or waited; 0: never */
    uint64_t started_us, placed_us, connected_us, answered_us;
    uint64_t bytes_in, bytes_out;     /* from and to the backend */
    uint64_t head_bytes_in;           /* of them, up to the end of the answer's head */
    uint64_t counted_in, counted_out; /* of them, those on the scoreboard already */
    uint16_t status;                  /* sent to the client; 0: none */
    bool from_backend;                /* that status is the backend's */
};

/* Prepares memory for its first exchange; the timer is kept from one exchange to the next. */
void exchange_init(struct exchange *x, struct worker *worker);
/* Frees what init made. */
void exchange_done(struct exchange *x);

void exchange_start(struct exchange *x, enum exchange_kind kind, uint16_t service,
                    const struct address *client, const struct exchange_protocol *protocol);
/* A copy of a client's exchange, for the canary: nobody waits for it, so it waits for nothing. */
void exchange_start_copy(struct exchange *x, const struct exchange *original,
                         const struct exchange_protocol *protocol);
void exchange_enter(struct exchange *x, enum exchange_state next);

/* Chooses a backend, counts the exchange on it and gets a connection; or queues it, or refuses it.
 * Ends in one of the protocol's functions, now or later. */
void exchange_place(struct exchange *x);
/* A pooled connection turned out dead before any byte of the answer: again, on a fresh one, or
 * refused where it may not be. */
void exchange_retry(struct exchange *x);

/* Whether the other group can serve it; and that: counted as answered with `status` where it was.
 * Its connection is closed or given back before. */
bool exchange_other_group_serves(const struct exchange *x);
void exchange_switch_group(struct exchange *x, uint16_t status);

/* From upstream.c: what became of a connect. */
void exchange_connected(struct exchange *x);
void exchange_connect_failed(struct exchange *x);

/* The gauges follow. */
void exchange_change_kind(struct exchange *x, enum exchange_kind kind);
/* A request whose answer is long in coming, or comes for long without a length, is a stream from
 * now on: looked at where it matters, when its backend drains. */
void exchange_note_stream(struct exchange *x);
/* The state's deadline, from now on; 0: none. */
void exchange_set_timeout(struct exchange *x, uint64_t after_ms);

/* Closes the connection to the backend, if it has one. */
void exchange_close_upstream(struct exchange *x);
/* The same after a tunnel, as `why` has it: what was broken off for one side is for the other. */
void exchange_end_upstream(struct exchange *x, enum exchange_why why);
/* Counts it off, logs it. The upstream connection must be closed or given back before. */
void exchange_end(struct exchange *x, enum exchange_why why);
/* Breaks it off: what ends.c does with one that a farewell has not ended. */
void exchange_abort(struct exchange *x, enum exchange_why why);

static inline const struct config_service *exchange_service(const struct exchange *exchange)
{
    return exchange->config;
}
/* Whether its backend is told of the client ahead of everything: then the connection is its own. */
static inline bool exchange_announces(const struct exchange *exchange)
{
    return exchange_service(exchange)->send_proxy_protocol != SEND_PROXY_PROTOCOL_NONE;
}
/* So many exchanges may be on its backend, itself included. Copies leave every second place to
 * clients. */
static inline uint32_t exchange_most_active(const struct exchange *exchange)
{
    uint32_t max = exchange_service(exchange)->max_connections;

    return max == 0 ? UINT32_MAX : exchange->is_copy ? max / 2 : max;
}
/* Of an upload or answer; UINT64_MAX: not known. */
static inline uint64_t exchange_bytes_left(const struct exchange *exchange)
{
    return exchange->protocol->bytes_left != NULL ? exchange->protocol->bytes_left(exchange)
                                                  : UINT64_MAX;
}
/* Ended in order, though not by its own sides: the client gets an end and no reset. */
static inline bool exchange_why_is_orderly(enum exchange_why why)
{
    return why == WHY_DONE || why == WHY_ENDED || why == WHY_STOPPED || why == WHY_TUNNEL_SILENT ||
           why == WHY_TUNNEL_LIFETIME;
}
/* The same of this one: a connection that did not take its leave when told goodbye is reset. */
static inline bool exchange_ends_in_order(const struct exchange *x, enum exchange_why why)
{
    return exchange_why_is_orderly(why) && x->ending != ENDING_FORCED;
}
const char *exchange_state_name(enum exchange_state state);
const char *exchange_why_name(enum exchange_why why);

#endif
