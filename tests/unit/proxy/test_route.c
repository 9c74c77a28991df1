/* Host and path to service: which route wins. */
#include "proxy/route.h"
#include "tests/unit/unit.h"

static char any_path[] = "/", api[] = "/api", deep[] = "/api/v1", folder[] = "/static/";
static char shop[] = "shop.example", suffix[] = "*.shop.example", longer[] = "*.eu.shop.example";
static char v6[] = "[::1]";

static struct config_route everything[] = {{NULL, any_path}};
static struct config_route on_shop[] = {{shop, any_path}};
static struct config_route on_shop_api[] = {{shop, api}, {shop, deep}};
static struct config_route on_suffix[] = {{suffix, any_path}};
static struct config_route on_longer[] = {{longer, any_path}};
static struct config_route api_anywhere[] = {{NULL, api}, {NULL, folder}};
static struct config_route on_v6[] = {{v6, any_path}};

enum { EVERYTHING, SHOP, SHOP_API, SUFFIX, LONGER, API, V6, DATABASE, SERVICES };

static struct config_service services[SERVICES] = {
    [EVERYTHING] = {.routes = everything, .route_count = 1},
    [SHOP] = {.routes = on_shop, .route_count = 1},
    [SHOP_API] = {.routes = on_shop_api, .route_count = 2},
    [SUFFIX] = {.routes = on_suffix, .route_count = 1},
    [LONGER] = {.routes = on_longer, .route_count = 1},
    [API] = {.routes = api_anywhere, .route_count = 2},
    [V6] = {.routes = on_v6, .route_count = 1},
    [DATABASE] = {.protocol = PROTOCOL_TCP},
};

static void check_route(const struct route_table *table, const char *host, const char *path,
                        int service)
{
    assert_int_equal(route_find(table, slice_from_string(host), slice_from_string(path)), service);
}

static void the_most_particular_route_wins(void **state)
{
    const struct config config = {.services = services, .service_count = SERVICES};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    check_route(&table, "other.example", "/", EVERYTHING);
    check_route(&table, "shop.example", "/", SHOP);
    check_route(&table, "shop.example", "/api", SHOP_API);
    check_route(&table, "shop.example", "/api/v1/x", SHOP_API);
    check_route(&table, "shop.example", "/apix", SHOP);
    check_route(&table, "a.shop.example", "/", SUFFIX);
    check_route(&table, "a.eu.shop.example", "/", LONGER);
    check_route(&table, "a.shop.example", "/api", SUFFIX);
    check_route(&table, "other.example", "/api?x=/y", API);
    check_route(&table, "other.example", "/static/a.css", API);
    check_route(&table, "other.example", "/static", EVERYTHING);
    check_route(&table, "", "/", EVERYTHING);
    route_table_done(&table);
}

static void host_is_compared_without_case_port_and_root_dot(void **state)
{
    const struct config config = {.services = services, .service_count = SERVICES};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    check_route(&table, "SHOP.Example", "/", SHOP);
    check_route(&table, "shop.example:8080", "/", SHOP);
    check_route(&table, "shop.example.", "/", SHOP);
    check_route(&table, "A.SHOP.EXAMPLE:80", "/", SUFFIX);
    check_route(&table, ".shop.example", "/", EVERYTHING);
    check_route(&table, "[::1]:8080", "/", V6);
    check_route(&table, "[::2]:8080", "/", EVERYTHING);
    check_route(&table, "xshop.example", "/", EVERYTHING);
    route_table_done(&table);
}

static void paths_are_compared_by_what_they_mean(void **state)
{
    const struct config config = {.services = services, .service_count = SERVICES};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    check_route(&table, "h", "/%61pi/x", API);
    check_route(&table, "h", "/ap%69?x", API);
    check_route(&table, "h", "//api", API);
    check_route(&table, "h", "///api//x", API);
    check_route(&table, "h", "/api%2fx", API);
    check_route(&table, "h", "/%2fapi", API);
    check_route(&table, "h", "/x//api", EVERYTHING);
    check_route(&table, "h", "/%2561pi", EVERYTHING);
    check_route(&table, "h", "/api/.hidden/...", API);
    check_route(&table, "h", "/.well-known/x", EVERYTHING);
    check_route(&table, "h", "/x?y=//../%2e%2e", EVERYTHING);
    check_route(&table, "h", "/%", EVERYTHING);
    check_route(&table, "h", "/%3f/api", EVERYTHING);
    route_table_done(&table);
}

static void dot_segments_are_ambiguous_where_paths_decide(void **state)
{
    static const char *const dotted[] = {
        "/api/../x",     "/api/..",           "/./api",      "/api/%2e%2E/x", "/api/.%2e/x",
        "/api/..%2fx",   "/api/..%5cx",       "/api%2f../x", "/api%5C..%5Cx", "/api/..;/x",
        "/api/..;a=b/x", "/api/%2e%2e%3bx/y", "/api/%2e",    "/..?x",         "//..//api",
    };
    const struct config config = {.services = services, .service_count = SERVICES};
    const struct config one = {.services = &services[EVERYTHING], .service_count = 1};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    for (size_t i = 0; i < sizeof(dotted) / sizeof(dotted[0]); i++)
        check_route(&table, "h", dotted[i], ROUTE_AMBIGUOUS);
    route_table_done(&table);
    route_table_init(&table, &one);
    for (size_t i = 0; i < sizeof(dotted) / sizeof(dotted[0]); i++)
        check_route(&table, "h", dotted[i], EVERYTHING);
    route_table_done(&table);
}

static void routes_are_compared_decoded_too(void **state)
{
    static char encoded[] = "/a%20b";
    struct config_route routes[] = {{NULL, encoded}};
    struct config_service service = {.routes = routes, .route_count = 1};
    const struct config config = {.services = &service, .service_count = 1};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    check_route(&table, "h", "/a%20b/c", 0);
    check_route(&table, "h", "/%61%20b", 0);
    check_route(&table, "h", "/a+b", ROUTE_NONE);
    route_table_done(&table);
}

static void options_of_the_whole_server_goes_to_the_host(void **state)
{
    const struct config config = {.services = services, .service_count = SERVICES};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    check_route(&table, "shop.example", "*", SHOP);
    route_table_done(&table);
}

static void service_without_routes_takes_everything(void **state)
{
    struct config_service only = {.route_count = 0};
    const struct config config = {.services = &only, .service_count = 1};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    check_route(&table, "any.example", "/any", 0);
    route_table_done(&table);
}

static void nothing_is_found_where_nothing_is_routed(void **state)
{
    const struct config config = {.services = &services[SHOP], .service_count = 1};
    struct route_table table;

    (void)state;
    route_table_init(&table, &config);
    check_route(&table, "other.example", "/", -1);
    check_route(&table, "", "/", -1);
    route_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_particular_route_wins),
        cmocka_unit_test(host_is_compared_without_case_port_and_root_dot),
        cmocka_unit_test(paths_are_compared_by_what_they_mean),
        cmocka_unit_test(dot_segments_are_ambiguous_where_paths_decide),
        cmocka_unit_test(routes_are_compared_decoded_too),
        cmocka_unit_test(options_of_the_whole_server_goes_to_the_host),
        cmocka_unit_test(service_without_routes_takes_everything),
        cmocka_unit_test(nothing_is_found_where_nothing_is_routed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
