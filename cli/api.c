#include "api.h"

#include "base/clock.h"
#include "base/memory.h"
#include "json.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A request makes the updater ask the engine, whose own time limit lies below this. */
#define TIMEOUT_MS         60000L
#define CONNECT_TIMEOUT_MS 5000L

struct gathered {
    char *data;
    size_t length;
};

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct gathered *gathered = context;
    size_t length = size * count;
    if (gathered->length + length > API_ANSWER_BYTES_MAX)
        return 0;
    gathered->data = memory_resize(gathered->data, gathered->length + length + 1);
    memcpy(gathered->data + gathered->length, data, length);
    gathered->length += length;
    gathered->data[gathered->length] = '\0';
    return length;
}

static CURL *prepare(const char *admin, const char *method, const char *path,
                     struct gathered *gathered)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return NULL;
    char *url = memory_format("http://sluice%s", path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    free(url);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, admin);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, gathered);
    return easy;
}

/* libcurl says only "couldn't connect"; the socket itself says why. */
static const char *why_unreachable(const char *admin, const char *words)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(admin) >= sizeof address.sun_path)
        return "the path is too long for a socket";
    memcpy(address.sun_path, admin, strlen(admin) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return words;
    int error = connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
    close(fd);
    switch (error) {
    case ENOENT:
        return "there is no socket of this name";
    case ECONNREFUSED:
        return "nobody listens on it any more";
    case EACCES:
        return "you may not use it (try sudo, or join its group)";
    default:
        return words;
    }
}

/* --- requests -------------------------------------------------------------------------------- */

struct api_pending {
    char *admin, *text; /* text: the body */
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct gathered gathered;
    CURLcode result;
    bool answered;
};

static struct api_pending *pending_new(const char *admin, const char *method, const char *path,
                                       const struct cJSON *body)
{
    struct api_pending *pending = memory_new(sizeof *pending);
    pending->admin = memory_copy_string(admin);
    pending->text = body != NULL ? cJSON_PrintUnformatted(body) : memory_copy_string("");
    pending->headers = curl_slist_append(NULL, "Content-Type: application/json");
    pending->result = CURLE_OUT_OF_MEMORY;
    pending->easy = prepare(admin, method, path, &pending->gathered);
    if (pending->easy == NULL || pending->text == NULL) {
        pending->answered = true;
        return pending;
    }
    if (strcmp(method, "GET") != 0) {
        curl_easy_setopt(pending->easy, CURLOPT_POSTFIELDS, pending->text);
        curl_easy_setopt(pending->easy, CURLOPT_HTTPHEADER, pending->headers);
    }
    return pending;
}

static struct api_reply reply_of(struct api_pending *pending)
{
    struct api_reply reply = {0};
    if (pending->answered && pending->result == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(pending->easy, CURLINFO_RESPONSE_CODE, &status);
        reply.status = (unsigned)status;
        if (pending->gathered.data != NULL)
            reply.json = cJSON_ParseWithLength(pending->gathered.data, pending->gathered.length);
        if (reply.json == NULL) {
            reply.text = pending->gathered.data;
            pending->gathered.data = NULL;
        }
    } else {
        const char *words = curl_easy_strerror(pending->result);
        reply.why = memory_copy_string(pending->result == CURLE_COULDNT_CONNECT
                                           ? why_unreachable(pending->admin, words)
                                           : words);
    }
    return reply;
}

void api_end(struct api_pending *pending, struct api_reply *ret_reply)
{
    if (pending == NULL)
        return;
    if (ret_reply != NULL)
        *ret_reply = reply_of(pending);
    if (pending->multi != NULL && pending->easy != NULL)
        curl_multi_remove_handle(pending->multi, pending->easy);
    curl_multi_cleanup(pending->multi);
    curl_slist_free_all(pending->headers);
    curl_easy_cleanup(pending->easy);
    free(pending->gathered.data);
    free(pending->text);
    free(pending->admin);
    free(pending);
}

bool api_request(const char *admin, const char *method, const char *path, const struct cJSON *body,
                 struct api_reply *ret_reply)
{
    struct api_pending *pending = pending_new(admin, method, path, body);
    if (!pending->answered)
        pending->result = curl_easy_perform(pending->easy);
    pending->answered = true;
    api_end(pending, ret_reply);
    return ret_reply->status >= 200 && ret_reply->status < 300;
}

struct api_pending *api_begin(const char *admin, const char *method, const char *path,
                              const struct cJSON *body)
{
    struct api_pending *pending = pending_new(admin, method, path, body);
    pending->multi = curl_multi_init();
    if (pending->multi == NULL) {
        api_end(pending, NULL);
        return NULL;
    }
    if (pending->answered)
        return pending;
    curl_easy_setopt(pending->easy, CURLOPT_TIMEOUT_MS, 0L);
    curl_multi_add_handle(pending->multi, pending->easy);
    return pending;
}

/* Lets libcurl work; whether the answer is there. */
static bool pending_work(struct api_pending *pending)
{
    int running = 0, left = 0;
    const CURLMsg *message;
    curl_multi_perform(pending->multi, &running);
    while ((message = curl_multi_info_read(pending->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        pending->result = message->data.result;
        pending->answered = true;
    }
    return pending->answered;
}

enum api_waited api_wait(struct api_pending *pending, int fd, int timeout_ms)
{
    uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
    while (!pending->answered && !pending_work(pending)) {
        struct curl_waitfd wait = {fd, CURL_WAIT_POLLIN, 0};
        uint64_t now = clock_ms();
        if (now >= deadline)
            return API_TIMEOUT;
        curl_multi_poll(pending->multi, &wait, fd >= 0 ? 1 : 0, (int)(deadline - now), NULL);
        if (wait.revents != 0)
            return API_READABLE;
    }
    return API_ANSWERED;
}

void api_reply_done(struct api_reply *reply)
{
    cJSON_Delete(reply->json);
    free(reply->text);
    free(reply->why);
    *reply = (struct api_reply){0};
}

enum exit_code api_exit_code(const struct api_reply *reply)
{
    switch (reply->status) {
    case 0:
        return UNREACHABLE;
    case 400:
    case 404:
    case 405:
    case 413:
        return USAGE;
    case 409:
        return strcmp(json_text(reply->json, "error.code"), "aborted") == 0 ? ABORTED : REFUSED;
    case 422:
    case 502: /* the engine is not there, or does not want */
    case 503:
    case 504:
        return REFUSED;
    default:
        return reply->status >= 200 && reply->status < 300 ? DONE : FAILED;
    }
}

enum exit_code api_complain_unreachable(const struct invocation *invocation, const char *why)
{
    if (invocation->admin_given)
        return complain(UNREACHABLE,
                        "no daemon answers on %s: %s; start it with `sluice run CONFIG --admin %s`",
                        invocation->admin, why, invocation->admin);
    return complain(UNREACHABLE,
                    "no daemon answers on %s: %s; start it with `sluice run CONFIG`, or name its "
                    "socket with --admin PATH",
                    invocation->admin, why);
}

void api_complain(const struct invocation *invocation, const char *path, struct api_reply *reply)
{
    const char *message = json_text(reply->json, "error.message");
    if (invocation->json && reply->json != NULL)
        json_print(reply->json);
    if (reply->status == 0)
        api_complain_unreachable(invocation, reply->why);
    else if (message[0] != '\0')
        complain(FAILED, "%s", message);
    else
        complain(FAILED, "the daemon answered %s with status %u", path, reply->status);
}

static bool ask(const struct invocation *invocation, const char *method, const char *path,
                const struct cJSON *body, bool wants_json, struct api_reply *ret_reply)
{
    if (api_request(invocation->admin, method, path, body, ret_reply)) {
        if (wants_json ? ret_reply->json != NULL : ret_reply->text != NULL)
            return true;
        complain(FAILED, "the daemon's answer to %s is %s; is %s really sluice's socket?", path,
                 wants_json ? "not JSON" : "no text", invocation->admin);
        ret_reply->status = 500;
        return false;
    }
    api_complain(invocation, path, ret_reply);
    return false;
}

bool api_ask(const struct invocation *invocation, const char *method, const char *path,
             const struct cJSON *body, struct api_reply *ret_reply)
{
    return ask(invocation, method, path, body, true, ret_reply);
}

bool api_ask_text(const struct invocation *invocation, const char *path,
                  struct api_reply *ret_reply)
{
    return ask(invocation, "GET", path, NULL, false, ret_reply);
}

char *api_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    char *copy = memory_copy_string(escaped != NULL ? escaped : "");
    curl_free(escaped);
    return copy;
}
