/* The admin API's requests about what is kept of a rollout: its report, and notes on it. */
#include "api.h"
#include "base/memory.h"
#include "events.h"
#include "record.h"
#include "report.h"
#include "steady.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

char *api_user_name(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);

    return user ? memory_copy_string(user->pw_name) : memory_format("uid %u", (unsigned)uid);
}

void api_report(struct updater *updater, const struct journal_rollout *record,
                const struct admin_request *request, struct admin_answer *ret_answer)
{
    const char *format = admin_query(request, "format");
    cJSON *view;

    if (format && strcmp(format, "json") != 0 && strcmp(format, "markdown") != 0) {
        admin_error(ret_answer, 400, "bad-request", "format is json or markdown");
        return;
    }
    view = api_rollout_show(updater, record);
    ret_answer->status = 200;
    if (format && strcmp(format, "json") == 0) {
        ret_answer->body = view;
        return;
    }
    ret_answer->text = report_markdown(view);
    ret_answer->content_type = "text/markdown; charset=utf-8";
    cJSON_Delete(view);
}

/* False and an answer where it is not one. */
static bool note_read(const cJSON *body, struct journal_note *note, struct admin_answer *answer)
{
    static const char *const keys[] = {"message", "lesson", NULL};
    const cJSON *message, *lesson;

    if (!api_body_has_only(body, keys, answer))
        return false;
    message = cJSON_GetObjectItemCaseSensitive(body, "message");
    lesson = cJSON_GetObjectItemCaseSensitive(body, "lesson");
    if (!cJSON_IsString(message) || message->valuestring[0] == '\0' ||
        strlen(message->valuestring) > RECORD_NOTE_BYTES) {
        admin_error(answer, 400, "bad-request", "message is a text of 1 to %u bytes",
                    RECORD_NOTE_BYTES);
        return false;
    }
    if (lesson && !cJSON_IsBool(lesson)) {
        admin_error(answer, 400, "bad-request", "lesson is true or false");
        return false;
    }
    note->message = message->valuestring;
    note->is_lesson = cJSON_IsTrue(lesson);
    return true;
}

static struct rollout *in_progress(struct updater *updater, const struct journal_rollout *record)
{
    const struct service *service = updater_service(updater, record->service);

    return service && service->rollout && strcmp(rollout_id(service->rollout), record->id) == 0
               ? service->rollout
               : NULL;
}

void api_note(struct updater *updater, const struct journal_rollout *record,
              const struct admin_request *request, struct admin_answer *ret_answer)
{
    struct journal_note note = {.time_ms = steady_wall_ms()};
    struct rollout *live = in_progress(updater, record);
    char *user;
    int error;

    if (!note_read(request->body, &note, ret_answer))
        return;
    user = api_user_name(request->uid);
    note.user = user;
    error = journal_note_add(updater->journal, record->id, &note);
    free(user);
    if (error == -EDQUOT) {
        admin_error(ret_answer, 409, "not-applicable",
                    "rollout %s has %u notes already; that is all that is kept", record->id,
                    JOURNAL_NOTES_MAX);
        return;
    }
    if (error) {
        admin_error(ret_answer, 500, "journal", "%s", journal_error(updater->journal));
        return;
    }
    if (live)
        events_rollout(live, "rollout_updated");
    else
        record_keep(updater, record->id);
    ret_answer->status = 201;
    ret_answer->body = api_rollout_show(updater, record);
}

/* NULL where none was given; false and an answer where it is no name. */
static bool confirm_read(const cJSON *body, const char **ret_name, struct admin_answer *answer)
{
    static const char *const keys[] = {"name", NULL};
    const cJSON *name;

    if (!body)
        return true;
    if (!api_body_has_only(body, keys, answer))
        return false;
    name = cJSON_GetObjectItemCaseSensitive(body, "name");
    if (name && !cJSON_IsString(name)) {
        admin_error(answer, 400, "bad-request", "name is that of a hook or verification");
        return false;
    }
    *ret_name = name ? name->valuestring : NULL;
    return true;
}

void api_confirm(struct updater *updater, const struct journal_rollout *record,
                 const struct admin_request *request, struct admin_answer *ret_answer)
{
    struct rollout *live = in_progress(updater, record);
    char why[PLAN_WHY_BYTES] = "the rollout is not in progress: nothing waits for a yes";
    const char *name = NULL;
    int error = -ENOENT;
    char *user;

    if (!confirm_read(request->body, &name, ret_answer))
        return;
    user = api_user_name(request->uid);
    if (live)
        error = task_confirm(live, name, user, why);
    free(user);
    if (error == -ENOENT) {
        admin_error(ret_answer, 409, "not-applicable", "%s", why);
        return;
    }
    if (error) {
        admin_error(ret_answer, 500, "journal", "%s", journal_error(updater->journal));
        return;
    }
    events_rollout(live, "rollout_updated");
    ret_answer->status = 200;
    ret_answer->body = api_rollout_show(updater, record);
}
