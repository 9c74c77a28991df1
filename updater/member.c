/* The members of a rollout: what the journal keeps of each container that takes part. */
#include "base/log.h"
#include "base/memory.h"
#include "container_template.h"
#include "rollout.h"
#include "steady.h"
#include "updater.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text_set(char *buffer, size_t size, const char *text)
{
    (void)slice_copy_string(slice_from_string(text ? text : ""), buffer, size);
}

static struct member *list_find(struct member_list *list, const char *id)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].id, id) == 0)
            return &list->items[i];
    }
    return NULL;
}

static void member_read(struct member *member, const struct journal_container *from)
{
    text_set(member->id, sizeof(member->id), from->id);
    text_set(member->name, sizeof(member->name), from->name);
    text_set(member->final_name, sizeof(member->final_name), from->final_name);
    text_set(member->image_id, sizeof(member->image_id), from->image_id);
    member->ordinal = from->ordinal;
    member->is_new = from->is_new;
    member->slot = from->slot;
    member->generation = from->generation;
    member->created_ms = from->created_ms;
    member->started_ms = from->started_ms;
    member->published_ms = from->published_ms;
    member->stopped_ms = from->stopped_ms;
    member->removed_ms = from->removed_ms;
    member->attached = memory_copy_string(from->attached);
    member->drain.notice_us = -1;
}

static void drain_read(struct member_drain *drain, const struct journal_drain *from)
{
    drain->begun = true;
    drain->forced = from->forced;
    text_set(drain->name, sizeof(drain->name), from->container);
    drain->slot = from->slot;
    drain->generation = from->generation;
    drain->epoch = from->epoch;
    drain->started_ms = from->started_ms;
    drain->drained_ms = from->drained_ms;
    drain->duration_ms = from->duration_ms;
    drain->notice_us = from->notice_us;
    drain->proof = memory_copy_string(from->proof);
    drain->ends = memory_copy_string(from->ends);
}

int member_list_load(struct journal *journal, const char *rollout, struct member_list *ret_list)
{
    struct journal_container *containers;
    struct journal_drain *drains;
    size_t count;
    int error = journal_container_list(journal, rollout, &containers, &count);

    if (error)
        return error;
    memset(ret_list, 0, sizeof(*ret_list));
    for (size_t i = 0; i < count && ret_list->count < PLAN_CONTAINERS_MAX; i++)
        member_read(&ret_list->items[ret_list->count++], &containers[i]);
    journal_containers_free(containers, count);
    error = journal_drain_list(journal, rollout, &drains, &count);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        struct member *member = list_find(ret_list, drains[i].id);

        if (member)
            drain_read(&member->drain, &drains[i]);
    }
    journal_drains_free(drains, count);
    return 0;
}

void member_list_done(struct member_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        free(list->items[i].drain.proof);
        free(list->items[i].drain.ends);
        free(list->items[i].attached);
    }
    list->count = 0;
}

struct member *rollout_member_of_id(struct rollout *rollout, const char *id)
{
    return list_find(&rollout->members, id);
}

/* "web-3": 3, and where the number begins. 0: it has none. */
static unsigned number_of(const char *name, size_t *ret_at)
{
    size_t at = strlen(name);

    while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9')
        at--;
    *ret_at = at;
    return at > 0 && (name[at - 1] == '-' || name[at - 1] == '_') && strlen(name) - at < 6
               ? (unsigned)strtoul(name + at, NULL, 10)
               : 0;
}

/* Of a scale: the numbers go on where those that are there end; without numbers, from 2. */
static void next_name(const struct rollout *rollout, unsigned ordinal, char *name, size_t size)
{
    unsigned highest = 1;
    const char *first = "";
    size_t at, length;

    for (unsigned i = rollout->members.count; i-- > 0;) {
        const struct member *member = &rollout->members.items[i];
        unsigned number = member->is_new ? 0 : number_of(member->name, &at);

        if (!member->is_new)
            first = member->name;
        if (number > highest)
            highest = number;
    }
    length = number_of(first, &at) > 0 ? at : strlen(first);
    (void)snprintf(name, size, "%.*s%s%u", (int)length, first,
                   length == strlen(first) && length > 0 ? "-" : "",
                   highest + 1 + ordinal - rollout->spec.replicas);
}

void rollout_final_name(const struct rollout *rollout, unsigned ordinal, char *name, size_t size)
{
    if (rollout->template) { /* whoever else has come meanwhile */
        container_template_name(service_name(rollout->service), ordinal, name, size);
        return;
    }
    for (unsigned i = 0; i < rollout->members.count; i++) {
        const struct member *member = &rollout->members.items[i];

        if (!member->is_new && member->ordinal == ordinal) {
            text_set(name, size, member->name);
            return;
        }
    }
    name[0] = '\0';
    if (rollout->spec.scale_to > 0 && ordinal >= rollout->spec.replicas)
        next_name(rollout, ordinal, name, size);
}

/* Old ones that came after the start are numbered after those that were there. */
static uint16_t next_ordinal(const struct rollout *rollout)
{
    uint16_t next = 0;

    for (unsigned i = 0; i < rollout->members.count; i++) {
        const struct member *member = &rollout->members.items[i];

        if (!member->is_new && member->ordinal >= next)
            next = (uint16_t)(member->ordinal + 1);
    }
    return next;
}

struct member *rollout_member(struct rollout *rollout, const struct container *container)
{
    struct member *member = list_find(&rollout->members, container->facts.id);

    if (member || rollout->members.count == PLAN_CONTAINERS_MAX)
        return member;
    member = &rollout->members.items[rollout->members.count];
    memset(member, 0, sizeof(*member));
    member->is_new = rollout_is_new(rollout, container);
    member->ordinal = member->is_new && container->facts.ordinal >= 0
                          ? (uint16_t)container->facts.ordinal
                          : next_ordinal(rollout);
    text_set(member->id, sizeof(member->id), container->facts.id);
    text_set(member->name, sizeof(member->name), container->facts.name);
    text_set(member->image_id, sizeof(member->image_id), container->facts.image_id);
    if (member->is_new) {
        rollout_final_name(rollout, member->ordinal, member->final_name,
                           sizeof(member->final_name));
        member->created_ms = steady_wall_ms();
    }
    member->attached = memory_copy_string(container->facts.attached);
    member->drain.notice_us = -1;
    rollout->members.count++;
    member_save(rollout, member);
    return member;
}

static void save_failed(struct rollout *rollout, int error)
{
    const char *words = journal_error(rollout->service->updater->journal);
    struct log_line line;

    if (strcmp(words, rollout->logged) == 0)
        return;
    text_set(rollout->logged, sizeof(rollout->logged), words);
    log_begin(&line, LOG_ERROR, "journal-write-failed");
    log_string(&line, "service", service_name(rollout->service));
    log_string(&line, "rollout", rollout_id(rollout));
    log_string(&line, "reason", words);
    log_errno(&line, error);
    log_end(&line);
}

void member_save(struct rollout *rollout, const struct member *member)
{
    const struct journal_container row = {
        .id = member->id,
        .name = member->name,
        .final_name = member->final_name,
        .image_id = member->image_id,
        .ordinal = member->ordinal,
        .is_new = member->is_new,
        .slot = member->slot,
        .generation = member->generation,
        .created_ms = member->created_ms,
        .started_ms = member->started_ms,
        .published_ms = member->published_ms,
        .stopped_ms = member->stopped_ms,
        .removed_ms = member->removed_ms,
        .attached = member->attached,
    };
    int error =
        journal_container_save(rollout->service->updater->journal, rollout_id(rollout), &row);

    if (error)
        save_failed(rollout, error);
}

void member_drain_save(struct rollout *rollout, const struct member *member)
{
    const struct member_drain *drain = &member->drain;
    const struct journal_drain row = {
        .id = member->id,
        .container = drain->name,
        .slot = drain->slot,
        .generation = drain->generation,
        .is_new = member->is_new,
        .forced = drain->forced,
        .epoch = drain->epoch,
        .started_ms = drain->started_ms,
        .drained_ms = drain->drained_ms,
        .duration_ms = drain->duration_ms,
        .stopped_ms = member->stopped_ms,
        .removed_ms = member->removed_ms,
        .notice_us = drain->notice_us,
        .proof = drain->proof,
        .ends = drain->ends,
    };
    int error;

    if (!drain->begun)
        return;
    error = journal_drain_save(rollout->service->updater->journal, rollout_id(rollout), &row);
    if (error)
        save_failed(rollout, error);
}

void rollout_log(struct rollout *rollout, const char *event, const struct member *member,
                 const char *message)
{
    struct log_line line;
    int error;

    log_begin(&line, LOG_INFO, event);
    log_string(&line, "service", service_name(rollout->service));
    log_string(&line, "rollout", rollout_id(rollout));
    log_string(&line, "container", member ? member->id : NULL);
    log_string(&line, "name", member ? member->name : NULL);
    log_string(&line, "image", member ? member->image_id : rollout->record.image_id);
    log_string(&line, "message", message[0] ? message : NULL);
    log_end(&line);
    error = journal_log(rollout->service->updater->journal, rollout_id(rollout), steady_wall_ms(),
                        event, message);
    if (error)
        save_failed(rollout, error);
}
