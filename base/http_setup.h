/* What a request of base/http_client.h is in libcurl's options. Internal to the client. */
#ifndef BASE_HTTP_SETUP_H
#define BASE_HTTP_SETUP_H

#include <curl/curl.h>
#include <stdbool.h>

struct http_request_options;

bool http_url_is_valid(const char *url);

/* Returns false where libcurl is out of memory or refuses an option. `*headers` and `*connect_to`
 * (NULL before) are the caller's to free in either case, once the handle is no longer used. */
bool http_request_set_up(CURL *easy, const struct http_request_options *options,
                         struct curl_slist **headers, struct curl_slist **connect_to)
    __attribute__((warn_unused_result));

#endif
