/* What counts as an asset. */
#include "proxy/asset.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static bool is_asset(const char *method, const char *target, const char *fields)
{
    static struct http1_request request;
    char head[512];
    size_t scanned = 0, length = 0;

    snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, target, fields);
    assert_int_equal(http1_parse_request(slice_from_string(head), &scanned, &request, &length),
                     HTTP1_DONE);
    return asset_is_asked(&request);
}

static void extension_of_the_last_segment_tells(void **state)
{
    static const char *const yes[] = {"/a.js",    "/x/y.min.CSS",    "/a.js?v=1",     "/.ico",
                                      "/f.woff2", "/a.b/c.svg?x=/y", "/a.webmanifest"};
    static const char *const no[] = {"/",       "/js",      "/a.js/",     "/a.js/b", "/a.html",
                                     "/a.json", "/x?a.js",  "/x?y=/a.js", "/a.",     "/a.jsx",
                                     "/a.j",    "/a.jsonp", "/.js.map2"};

    (void)state;
    for (unsigned i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_true(is_asset("GET", yes[i], ""));
        assert_true(is_asset("HEAD", yes[i], ""));
    }
    for (unsigned i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(is_asset("GET", no[i], ""));
}

static void browser_tells_by_the_destination(void **state)
{
    (void)state;
    assert_true(is_asset("GET", "/logo", "Sec-Fetch-Dest: image\r\n"));
    assert_true(is_asset("GET", "/logo", "sec-fetch-dest: Script\r\n"));
    assert_false(is_asset("GET", "/page", "Sec-Fetch-Dest: document\r\n"));
    assert_false(is_asset("GET", "/api", "Sec-Fetch-Dest: empty\r\n"));
}

static void only_what_can_be_asked_again(void **state)
{
    (void)state;
    assert_false(is_asset("POST", "/a.js", ""));
    assert_false(is_asset("PUT", "/a.js", "Sec-Fetch-Dest: image\r\n"));
    assert_false(is_asset("GET", "/a.js", "Content-Length: 1\r\n"));
    assert_false(is_asset("GET", "/a.js", "Transfer-Encoding: chunked\r\n"));
    assert_false(is_asset("OPTIONS", "*", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extension_of_the_last_segment_tells),
        cmocka_unit_test(browser_tells_by_the_destination),
        cmocka_unit_test(only_what_can_be_asked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
