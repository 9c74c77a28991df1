#include "answer.h"

#include "base/check.h"

#include <stdio.h>

static const struct {
    unsigned status;
    const char *reason;
    const char *text; /* what is wrong and where to look */
} answers[] = {
    {200, "OK", "This proxy forwards what is allowed here."},
    {400, "Bad Request", "The request is not valid HTTP."},
    {404, "Not Found", "No service is routed to this host and path."},
    {405, "Method Not Allowed", "This method is not forwarded."},
    {408, "Request Timeout", "The request did not arrive in time."},
    {413, "Content Too Large", "The request's body is larger than this service takes."},
    {414, "URI Too Long", "The request target is too long."},
    {417, "Expectation Failed", "This expectation cannot be met."},
    {421, "Misdirected Request", "This host belongs to another certificate: connect anew for it."},
    {429, "Too Many Requests", "This client has sent too many requests: try again later."},
    {431, "Request Header Fields Too Large", "The request's head is too large."},
    {501, "Not Implemented", "This method is not supported."},
    {502, "Bad Gateway", "The service's backend could not be reached or broke off."},
    {503, "Service Unavailable", "No backend of the service can serve at the moment."},
    {504, "Gateway Timeout", "The service's backend did not answer in time."},
    {505, "HTTP Version Not Supported", "This version of HTTP is not supported."},
};

size_t answer_write(char buffer[ANSWER_BYTES_MAX], const struct answer *answer,
                    const struct answer_page *page, const char *date)
{
    unsigned status = answer->status;
    size_t i = 0;

    while (i < sizeof(answers) / sizeof(answers[0]) - 1 && answers[i].status != status)
        i++;
    check(answers[i].status == status);
    const char *text = answer->text != NULL ? answer->text : answers[i].text;
    char retry[32] = "";
    if (status == 503 || status == 429)
        snprintf(retry, sizeof(retry), "Retry-After: %u\r\n",
                 answer->retry_s > 0 ? answer->retry_s : 1);
    bool has_id = answer->request_id.length > 0;
    bool allow = status == 405 || status == 200, plain = page == NULL && !answer->head_only;
    int length =
        snprintf(buffer, ANSWER_BYTES_MAX,
                 "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\n"
                 "Content-Length: %zu\r\n%s%s%s%s%.*s%s\r\n%s%s",
                 status, answers[i].reason, date, page != NULL ? page->type : "text/plain",
                 page != NULL ? page->body.length : strlen(text) + 1, retry,
                 allow ? "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n" : "",
                 answer->close ? "Connection: close\r\n" : "", has_id ? "X-Request-Id: " : "",
                 (int)answer->request_id.length, has_id ? answer->request_id.data : "",
                 has_id ? "\r\n" : "", plain ? text : "", plain ? "\n" : "");
    check(length > 0 && (size_t)length < ANSWER_BYTES_MAX);
    return (size_t)length;
}
