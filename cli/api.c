#include "api.h"

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

bool api_request(const char *admin, const char *method, const char *path, const struct cJSON *body,
                 struct api_reply *ret_reply)
{
    struct gathered gathered = {0};
    struct api_reply reply = {0};
    char *text = body != NULL ? cJSON_PrintUnformatted(body) : memory_copy_string("");
    CURL *easy = prepare(admin, method, path, &gathered);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURLcode result = CURLE_OUT_OF_MEMORY;
    if (easy != NULL && text != NULL) {
        if (strcmp(method, "GET") != 0) {
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, text);
            curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        }
        result = curl_easy_perform(easy);
    }
    if (result == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        reply.status = (unsigned)status;
        if (gathered.data != NULL)
            reply.json = cJSON_ParseWithLength(gathered.data, gathered.length);
        if (reply.json == NULL) {
            reply.text = gathered.data;
            gathered.data = NULL;
        }
    } else {
        const char *words = curl_easy_strerror(result);
        reply.why = memory_copy_string(
            result == CURLE_COULDNT_CONNECT ? why_unreachable(admin, words) : words);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    free(gathered.data);
    free(text);
    *ret_reply = reply;
    return reply.status >= 200 && reply.status < 300;
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
    const char *message = json_text(ret_reply->json, "error.message");
    if (invocation->json && ret_reply->json != NULL)
        json_print(ret_reply->json);
    if (ret_reply->status == 0)
        api_complain_unreachable(invocation, ret_reply->why);
    else if (message[0] != '\0')
        complain(FAILED, "%s", message);
    else
        complain(FAILED, "the daemon answered %s with status %u", path, ret_reply->status);
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
