/* A service as the updater keeps it: its row, its containers as last inspected, its rollout.
 *
 * Owner: the updater; services live as long as the process (a new config starts a new process).
 * Containers belong to their service and go when the engine no longer has them. */
#ifndef UPDATER_SERVICE_H
#define UPDATER_SERVICE_H

#include "base/list.h"
#include "base/timer.h"
#include "container.h"
#include "table.h"

#include <stdbool.h>
#include <stdint.h>

struct drain_proof;
struct preflight;
struct prune;
struct rollout;
struct updater;

#define SERVICE_CONTAINERS_MAX PLAN_CONTAINERS_MAX /* per service; more are left out */
#define SERVICE_MESSAGE_BYTES  384u

struct container { /* one that carries the service's label, running or not */
    struct list node;
    struct service *service;
    struct container_facts facts;
    struct address address; /* family 0: not known */
    char why[256];          /* why it cannot be reached; empty: it can */
    uint64_t started_ms;    /* clock_ms() */
    int slot;               /* TABLE_NONE: not in the table */
    bool seen;              /* by the list in progress */
    uint64_t looked;        /* sequence of the inspect that said all this */
    uint64_t ended_seen_ms; /* clock_ms() when it was first seen to have ended; 0: it has not */
    bool leftover;          /* of a rollout that ended without it: not ours to route to */
    uint64_t removing_ms;   /* clock_ms() when it was first seen as being removed; 0: it is not */
    uint64_t going_ms;      /* clock_ms() when an event said that it is being stopped; 0: not */
    bool busy;              /* an action on it is in flight */
    uint32_t attempts;      /* failed tries in a row of the action `attempted` */
    uint8_t attempted;      /* enum plan_action_kind */
    uint64_t retry_ms;      /* clock_ms() before which none is tried again */
    char error[256];        /* the last failure's words */
};

struct service {
    struct updater *updater;
    const struct config_service *config;
    int row;
    bool is_static;
    /* discovered */
    struct list containers;
    unsigned container_count;
    bool listing, list_again;             /* a list is in flight; another is wanted after it */
    unsigned list_pending;                /* parts of it that have not ended yet */
    bool list_good;                       /* the engine gave it, and each inspect of it */
    bool list_given;                      /* the engine gave it */
    bool list_due;                        /* one that was not good is made again soon */
    unsigned list_bad;                    /* given, but not good, in a row */
    bool listed;                          /* the containers of one whole list have been inspected */
    bool stale;                           /* the engine was away since */
    char trouble[SERVICE_MESSAGE_BYTES];  /* of list and addresses, for people */
    struct rollout *rollout;              /* in progress, or NULL */
    char attention[PLAN_WHY_BYTES + 128]; /* of the last one, if it ended so; for people */
    struct timer held;                    /* fires when the hold is over */
    struct list dry_runs;                 /* of struct preflight */
    bool held_by_operator;                /* not, or not only, for the swap of a rollout */
    struct preflight *preflight;          /* of one that is asked for, or NULL */
    struct prune *prune;                  /* of old images, or NULL */
    /* events */
    bool changed;
    uint64_t shown_ms; /* clock_ms() of the last "service" event */
};

static inline const char *service_name(const struct service *service)
{
    return service->config->name;
}

/* The container of this id, or NULL. */
struct container *service_container(const struct service *service, const char *id);
struct container *service_container_of_slot(const struct service *service, int slot);
/* Told to end by somebody (an event said so), and its grace has not passed yet. */
bool container_is_going(struct container *container);
/* Takes it off the service; releases its slot. */
void container_forget(struct container *container);
/* Its slot leaves the table (if it has one). */
void container_release_slot(struct container *container);
/* What the table needs to know of it. `group` and `state` are the caller's. */
struct table_backend container_backend(const struct container *container, enum group group,
                                       enum backend_state state);
/* Into the table (or found there again). Returns the slot or TABLE_NONE. */
int container_give_slot(struct container *container, enum group group, enum backend_state state);

#endif
