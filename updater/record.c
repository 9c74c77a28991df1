#include "record.h"

#include "api_views.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "checks.h"
#include "report.h"
#include "steady.h"
#include "updater.h"
#include "view_rollout.h"

#include <sys/stat.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- lessons -------------------------------------------------------------------------------- */

static bool is_noted(struct journal *journal, const char *rollout, const char *message)
{
    struct journal_note *notes;
    bool found = false;
    size_t count;

    if (journal_note_list(journal, rollout, &notes, &count))
        return false;
    for (size_t i = 0; i < count; i++)
        found = found || strcmp(notes[i].message, message) == 0;
    journal_notes_free(notes, count);
    return found;
}

void record_lesson_add(struct journal *journal, const char *rollout, const char *message)
{
    const struct journal_note note = {
        .time_ms = steady_wall_ms(), .message = message, .is_lesson = true};
    int error;

    if (is_noted(journal, rollout, message))
        return;
    error = journal_note_add(journal, rollout, &note);
    if (error && error != -EDQUOT)
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
}

void record_lesson(struct rollout *rollout, const char *format, ...)
{
    char message[RECORD_NOTE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    record_lesson_add(rollout->service->updater->journal, rollout_id(rollout), message);
}

/* --- what is shown -------------------------------------------------------------------------- */

static void add_notes(cJSON *object, const char *key, struct journal_note *notes, size_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);

    for (size_t i = 0; i < count; i++) {
        cJSON *note = cJSON_CreateObject();

        view_add_time(note, "time", notes[i].time_ms);
        view_add_string(note, "user", notes[i].user);
        cJSON_AddBoolToObject(note, "lesson", notes[i].is_lesson);
        cJSON_AddStringToObject(note, "message", notes[i].message);
        cJSON_AddStringToObject(note, "rollout", notes[i].rollout);
        cJSON_AddItemToArray(array, note);
    }
    journal_notes_free(notes, count);
}

/* Hooks and verifications apart, in the order of their begin. */
static void add_tasks(cJSON *object, struct journal *journal, const char *rollout)
{
    cJSON *hooks = cJSON_AddArrayToObject(object, "hooks");
    cJSON *verifications = cJSON_AddArrayToObject(object, "verifications");
    struct journal_task *tasks;
    size_t count;

    if (journal_task_list(journal, rollout, &tasks, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        cJSON *task = cJSON_CreateObject();
        uint64_t end_ms = tasks[i].ended_ms ? tasks[i].ended_ms : steady_wall_ms();
        bool is_hook = strncmp(tasks[i].point, "verify_", 7) != 0;

        cJSON_AddStringToObject(task, "name", tasks[i].name);
        cJSON_AddStringToObject(task, "on", is_hook ? tasks[i].point : tasks[i].point + 7);
        cJSON_AddNumberToObject(task, "step", tasks[i].step);
        cJSON_AddStringToObject(task, "kind", tasks[i].kind);
        cJSON_AddStringToObject(task, "state", tasks[i].state);
        cJSON_AddNumberToObject(task, "attempts", tasks[i].attempts);
        view_add_time(task, "started", tasks[i].started_ms);
        view_add_time(task, "ended", tasks[i].ended_ms);
        cJSON_AddNumberToObject(
            task, "duration_ms",
            end_ms > tasks[i].started_ms ? (double)(end_ms - tasks[i].started_ms) : 0.);
        view_add_string(task, "user", tasks[i].user);
        cJSON_AddStringToObject(task, "message", tasks[i].message ? tasks[i].message : "");
        cJSON_AddItemToArray(is_hook ? hooks : verifications, task);
    }
    journal_tasks_free(tasks, count);
}

static void add_failures(cJSON *object, struct journal *journal, const char *rollout)
{
    cJSON *array = cJSON_AddArrayToObject(object, "failures");
    struct journal_action *actions;
    size_t count;

    if (journal_action_list(journal, rollout, false, &actions, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        cJSON *failure;

        if (actions[i].error == 0)
            continue;
        failure = cJSON_CreateObject();
        view_add_time(failure, "time", actions[i].ended_ms);
        cJSON_AddStringToObject(failure, "action", actions[i].kind);
        view_add_string(failure, "container", actions[i].container);
        view_add_string(failure, "message", actions[i].message);
        cJSON_AddItemToArray(array, failure);
    }
    journal_actions_free(actions, count);
}

void record_view(cJSON *object, struct journal *journal, const struct journal_rollout *record)
{
    struct journal_note *notes = NULL;
    size_t count = 0;

    if (journal_note_list(journal, record->id, &notes, &count))
        notes = NULL, count = 0;
    add_notes(object, "notes", notes, count);
    if (journal_lesson_list(journal, record->service, record->created_ms, RECORD_LESSONS, &notes,
                            &count))
        notes = NULL, count = 0;
    add_notes(object, "lessons", notes, count);
    add_failures(object, journal, record->id);
    add_tasks(object, journal, record->id);
    checks_view(object, journal, record->id);
}

/* --- files ---------------------------------------------------------------------------------- */

static char *path_of(const struct updater *updater, const char *rollout, const char *ending)
{
    return memory_format("%s/reports/%s.%s", updater->config->state, rollout, ending);
}

/* Beside it first, then renamed over it: never half a report. Not synced: the journal has it all.
 */
static int write_file(const char *path, char *text)
{
    char *beside = memory_format("%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t length = strlen(text);

    utf8_mend(text);
    ssize_t written = fd >= 0 ? write(fd, text, length) : -1;
    int error = fd < 0 ? -errno : written < 0 ? -errno : (size_t)written < length ? -ENOSPC : 0;

    if (fd >= 0)
        close(fd);
    if (!error && rename(beside, path))
        error = -errno;
    if (error)
        (void)unlink(beside);
    free(beside);
    return error;
}

static int write_both(const struct updater *updater, const char *rollout, const cJSON *view)
{
    char *folder = memory_format("%s/reports", updater->config->state);
    char *markdown = report_markdown(view);
    char *json = cJSON_Print(view);
    char *markdown_path = path_of(updater, rollout, "md");
    char *json_path = path_of(updater, rollout, "json");
    int error = mkdir(folder, 0700) && errno != EEXIST ? -errno : 0;

    if (!error)
        error = write_file(markdown_path, markdown);
    if (!error)
        error = json ? write_file(json_path, json) : -ENOMEM;
    cJSON_free(json);
    free(markdown);
    free(json_path);
    free(markdown_path);
    free(folder);
    return error;
}

void record_keep(struct updater *updater, const char *rollout)
{
    struct journal_rollout record;
    struct log_line line;
    cJSON *view;
    int error = journal_rollout_find(updater->journal, rollout, &record);

    if (!error) {
        view = view_rollout(updater, &record, NULL);
        error = write_both(updater, rollout, view);
        cJSON_Delete(view);
        journal_rollout_done(&record);
    }
    if (!error)
        return;
    log_begin(&line, LOG_WARNING, "report-not-kept");
    log_string(&line, "rollout", rollout);
    log_errno(&line, error);
    log_end(&line);
}

void record_forget(void *context, const char *rollout)
{
    static const char *const endings[] = {"md", "json"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char *path = path_of(context, rollout, endings[i]);

        (void)unlink(path); /* where it stays, the next prune does not know of it: a few KiB */
        free(path);
    }
}
