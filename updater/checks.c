#include "checks.h"

#include "base/list.h"
#include "base/log.h"
#include "notify.h"
#include "record.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHECKS_MAX  8u
#define WORDS_BYTES 256u

struct checks {
    struct rollout *rollout;
    bool is_completed;
    struct journal_check items[CHECKS_MAX];
    char words[CHECKS_MAX][WORDS_BYTES];
    size_t count;
};

/* `advice`: what to do where it is not so. */
static void note(struct checks *checks, const char *name, bool passed, const char *advice,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void note(struct checks *checks, const char *name, bool passed, const char *advice,
                 const char *format, ...)
{
    char *words = checks->words[checks->count];
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    (void)vsnprintf(words, WORDS_BYTES, format, arguments);
    va_end(arguments);
    length = strlen(words);
    if (!passed)
        (void)snprintf(words + length, WORDS_BYTES - length, "; %s", advice);
    checks->items[checks->count++] =
        (struct journal_check){.name = name, .passed = passed, .message = words};
}

/* One of those that the service is made of from now on. */
static bool stays(const struct checks *checks, const struct container *container)
{
    const struct plan_spec *spec = &checks->rollout->spec;
    const struct member *member = rollout_member_of_id(checks->rollout, container->facts.id);

    if (!member || container->leftover)
        return false;
    if (checks->is_completed && spec->scale_to > 0)
        return plan_stays(spec, member->ordinal);
    return member->is_new == checks->is_completed;
}

static unsigned wanted_count(const struct checks *checks)
{
    const struct plan_spec *spec = &checks->rollout->spec;

    return checks->is_completed && spec->scale_to > 0 ? spec->scale_to : spec->replicas;
}

static bool serves(const struct container *container)
{
    const struct updater *updater = container->service->updater;
    const struct routing_backend *backend;

    if (container->facts.state != CONTAINER_RUNNING || container->slot == TABLE_NONE)
        return false;
    backend = table_backend(updater->table, container->slot);
    return backend->state == BACKEND_READY &&
           verdict_state_of(updater->verdicts, (uint32_t)container->slot, backend->generation) ==
               VERDICT_HEALTHY;
}

static bool has_its_name(const struct checks *checks, const struct container *container)
{
    const struct member *member = rollout_member_of_id(checks->rollout, container->facts.id);

    return !member->is_new || member->final_name[0] == '\0' ||
           strcmp(container->facts.name, member->final_name) == 0;
}

struct count {
    unsigned staying, serving, right_image, right_name, left;
    char left_name[128]; /* of one */
};

/* The new ones have what was rolled out, the old ones what they had. */
static bool has_its_image(const struct checks *checks, const struct container *container)
{
    const struct member *member = rollout_member_of_id(checks->rollout, container->facts.id);
    const char *wanted = member->is_new ? checks->rollout->record.image_id : member->image_id;

    return !wanted || wanted[0] == '\0' || strcmp(container->facts.image_id, wanted) == 0;
}

static void look_at(const struct checks *checks, const struct container *container,
                    struct count *count)
{
    if (stays(checks, container)) {
        count->staying++;
        count->serving += serves(container);
        count->right_image += has_its_image(checks, container);
        count->right_name += has_its_name(checks, container);
        return;
    }
    /* What was stopped before the rollout, or is nobody's of it, is not left over by it. */
    if (!rollout_is_new(checks->rollout, container) &&
        !rollout_member_of_id(checks->rollout, container->facts.id))
        return;
    count->left++;
    (void)snprintf(count->left_name, sizeof(count->left_name), "%s", container->facts.name);
}

static void look_at_all(const struct checks *checks, struct count *count)
{
    const struct service *service = checks->rollout->service;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next)
        look_at(checks, container_of(node, struct container, node), count);
}

static void check_record(struct checks *checks)
{
    struct rollout *rollout = checks->rollout;
    struct journal_service saved;
    bool is_ours;

    if (!checks->is_completed || journal_service_load(rollout->service->updater->journal,
                                                      service_name(rollout->service), &saved))
        return;
    is_ours = saved.stable_rollout && strcmp(saved.stable_rollout, rollout_id(rollout)) == 0;
    note(checks, "the record names this rollout as the stable one", is_ours,
         "a rollback goes by it: look at `sluice history`", "%s",
         saved.stable_rollout ? saved.stable_rollout : "none");
    journal_service_done(&saved);
}

void checks_tell(const struct service *service, const char *rollout,
                 const struct journal_check *check)
{
    char message[WORDS_BYTES * 2];
    struct log_line line;

    log_begin(&line, LOG_WARNING, "rollout-not-as-promised");
    log_string(&line, "service", service_name(service));
    log_string(&line, "rollout", rollout);
    log_string(&line, "check", check->name);
    log_string(&line, "found", check->message);
    log_end(&line);
    (void)snprintf(message, sizeof(message), "after the end it was not so that %s: %s", check->name,
                   check->message);
    notify_finding(service, rollout, check->name, check->message);
    record_lesson_add(service->updater->journal, rollout, message);
}

static void tell(struct checks *checks)
{
    struct rollout *rollout = checks->rollout;
    struct updater *updater = rollout->service->updater;

    if (journal_checks_save(updater->journal, rollout_id(rollout), checks->items, checks->count))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(updater->journal));
    for (size_t i = 0; i < checks->count; i++) {
        if (!checks->items[i].passed)
            checks_tell(rollout->service, rollout_id(rollout), &checks->items[i]);
    }
}

void checks_run(struct rollout *rollout)
{
    struct checks checks = {.rollout = rollout,
                            .is_completed = rollout->progress.outcome == OUTCOME_COMPLETED};
    struct count count = {0};
    unsigned wanted = wanted_count(&checks);
    const char *image = checks.is_completed ? rollout->record.digest : NULL;

    if (checks.is_completed && !image)
        image = rollout->record.image_id;

    if (rollout->progress.outcome == OUTCOME_NEEDS_ATTENTION)
        return;
    look_at_all(&checks, &count);
    note(&checks, "all replicas are there", count.staying >= wanted,
         "`sluice scale` makes what is missing", "%u of %u", count.staying, wanted);
    note(&checks, "all run the image", count.right_image == count.staying,
         "somebody else made the others: roll out again", "%u of %u%s%s", count.right_image,
         count.staying, image ? ": " : "", image ? image : "");
    note(&checks, "all are healthy and in rotation", count.serving == count.staying,
         "`sluice status` says which, and why", "%u of %u", count.serving, count.staying);
    note(&checks, "all have their names", count.right_name == count.staying,
         "`docker rename` puts it right, and so does the next rollout", "%u of %u",
         count.right_name, count.staying);
    note(&checks, "no container is left over", count.left == 0,
         "look at it, then `docker rm -f` it", "%u%s%s", count.left, count.left > 0 ? ": " : "",
         count.left_name);
    check_record(&checks);
    tell(&checks);
}

void checks_view(cJSON *object, struct journal *journal, const char *rollout)
{
    cJSON *array = cJSON_AddArrayToObject(object, "checks");
    struct journal_check *checks;
    size_t count;

    if (journal_check_list(journal, rollout, &checks, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        cJSON *check = cJSON_CreateObject();

        cJSON_AddStringToObject(check, "name", checks[i].name);
        cJSON_AddStringToObject(check, "state", checks[i].passed ? "passed" : "warning");
        cJSON_AddStringToObject(check, "message", checks[i].message ? checks[i].message : "");
        cJSON_AddItemToArray(array, check);
    }
    journal_checks_free(checks, count);
}
