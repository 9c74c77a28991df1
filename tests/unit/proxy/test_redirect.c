#include "proxy/http1.h"
#include "proxy/redirect.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct http1_request request;
static char out[1024];

static size_t redirect(const char *in, uint16_t port, size_t size)
{
    const struct redirect_options options = {.port = port, .date = "D"};
    size_t scanned = 0, length = 0;

    assert_int_equal(http1_parse_request(slice_from_string(in), &scanned, &request, &length),
                     HTTP1_DONE);
    length = redirect_write(out, size, &request, &options);
    out[length] = '\0';
    return length;
}

static void host_path_and_query_are_kept_and_the_port_is_that_of_https(void **state)
{
    (void)state;
    assert_true(redirect("GET /a?b=c HTTP/1.1\r\nHost: h:80\r\n\r\n", 443, sizeof(out) - 1) > 0);
    assert_non_null(strstr(out, "HTTP/1.1 308 "));
    assert_non_null(strstr(out, "\r\nLocation: https://h/a?b=c\r\n"));
    redirect("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 8443, sizeof(out) - 1);
    assert_non_null(strstr(out, "\r\nLocation: https://[::1]:8443/\r\n"));
}

static void what_is_of_the_server_leads_to_its_root(void **state)
{
    (void)state;
    redirect("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 443, sizeof(out) - 1);
    assert_non_null(strstr(out, "\r\nLocation: https://h/\r\n"));
}

static void nothing_is_written_where_it_does_not_fit_or_leads_nowhere(void **state)
{
    (void)state;
    assert_int_equal(redirect("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 443, 50), 0);
    assert_int_equal(redirect("GET / HTTP/1.0\r\n\r\n", 443, sizeof(out) - 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_path_and_query_are_kept_and_the_port_is_that_of_https),
        cmocka_unit_test(what_is_of_the_server_leads_to_its_root),
        cmocka_unit_test(nothing_is_written_where_it_does_not_fit_or_leads_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
