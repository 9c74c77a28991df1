/* What is kept of a rollout for people, beyond its progress: notes, lessons, and the report in the
 * state folder. */
#ifndef UPDATER_RECORD_H
#define UPDATER_RECORD_H

#include "rollout.h"

struct cJSON;

#define RECORD_LESSONS      5u /* shown at the start of the next rollout; who reads more? */
#define RECORD_NOTE_BYTES   2000u
#define RECORD_LESSON_RATIO 70u /* per cent of a limit, from which on it is worth a lesson */

/* Notes a lesson by itself; the same words once only. printf-like. */
void record_lesson(struct rollout *rollout, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same of one that has ended. */
void record_lesson_add(struct journal *journal, const char *rollout, const char *message);
/* Adds "notes", "lessons" (of earlier rollouts) and "failures" to what is shown of a rollout. */
void record_view(struct cJSON *object, struct journal *journal,
                 const struct journal_rollout *record);

/* Writes STATE/reports/ID.md and ID.json, each whole or not at all. */
void record_keep(struct updater *updater, const char *rollout);
/* Removes both; `context` is the updater. */
void record_forget(void *context, const char *rollout);

#endif
