/* Inside of preflight: what is gathered, the checks that read it, and what they say.
 *
 * preflight.c asks for a rollout or a dry run of one; preflight_gather.c asks the engine and this
 * host; then every check of preflight_checks[] says ok, warning, refused or skipped. The checks lie
 * in files by area. They are pure: facts in, words out. */
#ifndef UPDATER_PREFLIGHT_PARTS_H
#define UPDATER_PREFLIGHT_PARTS_H

#include "config/config.h"
#include "plan_preview.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFLIGHT_MESSAGE_BYTES 512u
#define PREFLIGHT_CHECKS_MAX    32u

struct cJSON;

/* --- what is known ------------------------------------------------------------------------- */

struct preflight_use {                            /* of one container */
    uint64_t memory_limit, nano_cpus, pids_limit; /* of a new one like it; 0: none */
    uint64_t memory_used, pids;
    bool measured; /* memory_used and pids are known */
};

struct preflight_disk {
    char path[256]; /* "": not known */
    bool known;     /* what follows */
    bool no_inodes; /* none is left */
    uint64_t free_bytes;
};

struct preflight_host {
    bool is_here;              /* the engine's host is this one: what follows is about it */
    uint64_t memory_available; /* bytes */
    double load;               /* of the last minute */
    uint64_t threads, threads_max;
    struct preflight_disk engine_disk, state_disk;
    /* of the proxy, wherever the engine is */
    uint64_t descriptors_max;     /* of a worker; 0: not known */
    uint64_t descriptors_used;    /* connections of the fullest one */
    uint64_t service_connections; /* to this service's backends, of the worker that has most */
    unsigned slots_free;          /* of the routing table */
};

struct preflight_registry { /* what it says of an image that is to be pulled; dry runs ask */
    bool asked;
    int error;
    char *message; /* where error != 0 */
    char *digest;  /* "sha256:…" */
    struct cJSON *platforms;
};

struct preflight_network { /* that a container is on */
    char *name;
    struct cJSON *inspect; /* NULL: not known */
    bool is_gone;
};

struct preflight_old { /* a container that runs now, to be replaced */
    char *id, *name, *image, *image_id;
    char why[256];                     /* why Sluice cannot reach it; empty: it can */
    struct cJSON *inspect, *its_image; /* NULL: gone meanwhile; the image may be gone too */
    struct preflight_use use;
};

/* Everything that the checks look at. Owned by the preflight; what is NULL is not known. */
struct preflight_facts {
    const char *service, *strategy;
    const struct config_service *config;
    const struct plan_spec *spec;
    const struct plan_preview *preview;
    const char *api_version;
    const char *in_progress; /* words; NULL: no rollout of this service is in progress */
    const char *attention;   /* of the last one; "": none */
    const char *own_id;      /* of the container that this process runs in */
    unsigned leftover_count; /* containers of a rollout that ended without them */

    struct preflight_old *olds;
    size_t old_count;
    uint32_t first; /* so many are to be made, of a service that has none: olds[0] is what they are
                       made like, and does not run; 0: the olds run */
    const struct cJSON *template; /* container_template.h: that one; NULL: they run */
    struct cJSON
        *others; /* [{"Id", "Name", "HostConfig"}] of all other containers; NULL: not known */
    struct preflight_network *networks;
    size_t network_count;
    struct cJSON *info; /* the engine's; NULL: see info_why */
    char *info_why;
    struct preflight_host host;
    struct preflight_registry registry;

    const struct cJSON *changes; /* on purpose (container_changes.h); NULL: none */
    bool keeps_image;            /* no image was asked for: they keep the one that they have */

    const char *image;    /* as asked for */
    const char *its_name; /* by which it is looked up; NULL: image */
    const char *pinned;   /* the id that is meant by it; NULL: what it means now */
    enum config_pull pull;
    bool dry_run;
    const char *digest;      /* "name@sha256:…"; NULL: none, or not known */
    struct cJSON *its_image; /* its inspect; NULL: not on the engine */
    char *image_id;          /* NULL: not on the engine */
};

/* --- what is said -------------------------------------------------------------------------- */

enum preflight_outcome {
    PREFLIGHT_OK,
    PREFLIGHT_SKIPPED, /* could not be looked at; the message says why */
    PREFLIGHT_WARNING,
    PREFLIGHT_REFUSED,
};

struct preflight_result {
    const struct preflight_check *check;
    enum preflight_outcome outcome;
    bool forced; /* it was refused, and the operator said to go on */
    char message[PREFLIGHT_MESSAGE_BYTES];
};

struct preflight_check {
    const char *name;  /* "memory"; NULL ends the list */
    const char *code;  /* of the refusal, as docs/admin-api.md lists them */
    unsigned status;   /* its HTTP status */
    bool is_judgement; /* an operator may force it */
    void (*run)(const struct preflight_facts *facts, struct preflight_result *result);
};

/* In the order in which they are shown; the first refusal is the one that is told. */
extern const struct preflight_check preflight_checks[];

struct preflight_results {
    struct preflight_result items[PREFLIGHT_CHECKS_MAX];
    unsigned count;
};

/* Runs every check; those named in `forced` (NULL-terminated, or NULL) do not refuse. */
void preflight_run_checks(const struct preflight_facts *facts, const char *const *forced,
                          struct preflight_results *ret_results);
/* The first refusal; NULL: none. */
const struct preflight_result *preflight_refusal(const struct preflight_results *results);
/* Whether there is a check of this name that an operator may force. */
bool preflight_may_force(const char *name);
/* "memory, cpu, disk": those. The caller frees it. */
char *preflight_forcible(void);
const char *preflight_outcome_name(enum preflight_outcome outcome);
/* [{"name", "outcome", "message", "forced"}]. The caller owns it. */
struct cJSON *preflight_results_view(const struct preflight_results *results);

/* Says something in a check. The worse outcome stands, of equal ones the first; printf-like. */
void preflight_say(struct preflight_result *result, enum preflight_outcome outcome,
                   const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- the checks, by area ------------------------------------------------------------------- */

typedef void preflight_check_run(const struct preflight_facts *facts,
                                 struct preflight_result *result);

/* preflight_state.c: what there is */
preflight_check_run check_in_progress, check_containers, check_versions, check_attention;
/* preflight_engine.c */
preflight_check_run check_engine, check_managed, check_networks;
/* preflight_image.c */
preflight_check_run check_registry, check_image, check_platform;
/* preflight_host.c: is there room? */
preflight_check_run check_memory, check_cpu, check_disk, check_processes, check_descriptors;
/* preflight_settings.c */
preflight_check_run check_health, check_port, check_settings;
/* preflight_containers.c: can each be made again, beside the old one? */
preflight_check_run check_own_container, check_recreate, check_names, check_volumes;
/* preflight_dependents.c: what hangs on them, and what they hang on */
preflight_check_run check_dependents;
/* Whether new ones can run beside the old ones; false with `why`: the order is stop-first, where it
 * is left to us. */
bool preflight_beside(const struct preflight_facts *facts, char why[PLAN_WHY_BYTES]);

/* The sum of the `wanted` largest of so many values. */
uint64_t preflight_sum_largest(const uint64_t *values, size_t count, size_t wanted);
/* How many containers have an address in "10.0.0.0/24"; UINT64_MAX: any, or not known. */
uint64_t preflight_subnet_room(const char *subnet);

#endif
