/* The pure parts of the engine client: numbers, streams of objects, versions, names, credentials.
 */
#include "base/slice.h"
#include "tests/unit/unit.h"
#include "updater/engine_json.h"
#include "updater/engine_objects.h"
#include "updater/engine_registry.h"
#include "updater/engine_text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- JSON ----------------------------------------------------------------------------------- */

static void numbers_go_through_as_they_came(void **state)
{
    static const char text[] =
        "{\"a\":9223372036854775807,\"b\":[1,-9007199254740993,{\"c\":1000000000000000}],"
        "\"12345678901234567890\":\"12345678901234567890 \\\" 99999999999999999\",\"d\":1.5,"
        "\"e\":-1,\"f\":999999999999999,\"g\":18446744073709551615,\"h\":1024000000000000}";

    (void)state;
    cJSON *json = engine_json_parse(SLICE(text));
    assert_non_null(json);
    char *again = cJSON_PrintUnformatted(json);
    assert_string_equal(again, text);
    assert_true(engine_json_integer(json, "a", 0) == INT64_MAX);
    assert_true(engine_json_integer(json, "h", 0) == 1024000000000000);
    assert_true(engine_json_integer(json, "e", 0) == -1);
    cJSON_free(again);
    cJSON_Delete(json);
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const cases[] = {"", " ", "{", "{}x", "{\"a\":}", "<html>", "{} {}"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_null(engine_json_parse(slice_from_string(cases[i])));
    cJSON *json = engine_json_parse(SLICE("{}\r\n "));
    assert_non_null(json);
    cJSON_Delete(json);
}

static void readers_take_whatever_there_is(void **state)
{
    cJSON *json = engine_json_parse(SLICE("{\"a\":{\"b\":[]},\"n\":null,\"s\":\"t\",\"x\":1e300}"));

    (void)state;
    assert_null(engine_json_at(json, "a", "b", "c", NULL));
    assert_null(engine_json_at(NULL, "a", NULL));
    assert_null(engine_json_string(json, "a"));
    assert_null(engine_json_string(NULL, "a"));
    assert_string_equal(engine_json_string(json, "s"), "t");
    assert_false(engine_json_true(json, "s"));
    assert_int_equal(engine_json_integer(json, "s", 7), 7);
    assert_int_equal(engine_json_integer(json, "x", 7), 7);
    assert_true(engine_json_is_empty(engine_json_at(json, "a", "b", NULL)));
    assert_true(engine_json_is_empty(engine_json_get(json, "n")));
    assert_false(engine_json_is_empty(engine_json_get(json, "s")));
    cJSON_Delete(json);
}

/* --- streams of objects --------------------------------------------------------------------- */

static unsigned objects_seen;
static char last_status[64];

static void on_object(void *context, const cJSON *object)
{
    const char *status = engine_json_string(object, "status");

    (void)context;
    objects_seen++;
    slice_copy_string(slice_from_string(status != NULL ? status : ""), last_status,
                      sizeof(last_status));
}

static void a_stream_may_be_cut_anywhere(void **state)
{
    static const char text[] = "{\"status\":\"a}{\\\"\\\\\"}\r\n{\"status\":\"\xe2\x82\xac\","
                               "\"x\":[{}]}{\"status\":\"c\"}\n";

    (void)state;
    for (size_t cut = 0; cut <= sizeof(text) - 1; cut++) {
        struct engine_objects objects = {0};
        objects_seen = 0;
        engine_objects_feed(&objects, (struct slice){text, cut}, on_object, NULL);
        engine_objects_feed(&objects, (struct slice){text + cut, sizeof(text) - 1 - cut}, on_object,
                            NULL);
        assert_int_equal(objects_seen, 3);
        assert_int_equal(objects.dropped, 0);
        assert_string_equal(last_status, "c");
        assert_true(engine_objects_is_whole(&objects));
        engine_objects_done(&objects);
    }
}

static void an_object_that_is_too_long_is_skipped_and_the_next_one_found(void **state)
{
    struct engine_objects objects = {0};
    char *long_text = malloc(ENGINE_OBJECT_BYTES_MAX + 1);

    (void)state;
    assert_non_null(long_text);
    memset(long_text, 'x', ENGINE_OBJECT_BYTES_MAX + 1);
    objects_seen = 0;
    engine_objects_feed(&objects, SLICE("{\"status\":\""), on_object, NULL);
    engine_objects_feed(&objects, (struct slice){long_text, ENGINE_OBJECT_BYTES_MAX + 1}, on_object,
                        NULL);
    assert_true(objects.room <= ENGINE_OBJECT_BYTES_MAX);
    engine_objects_feed(&objects, SLICE("\"}{\"status\":\"next\"}"), on_object, NULL);
    assert_int_equal(objects_seen, 1);
    assert_int_equal(objects.dropped, 1);
    assert_string_equal(last_status, "next");
    engine_objects_done(&objects);
    free(long_text);
}

static void bytes_between_objects_and_broken_objects_are_counted(void **state)
{
    struct engine_objects objects = {0};

    (void)state;
    objects_seen = 0;
    engine_objects_feed(&objects, SLICE("oops {]}{\"status\":\"b\"} \r\n"), on_object, NULL);
    assert_int_equal(objects_seen, 1);
    assert_int_equal(objects.dropped, 3);
    engine_objects_feed(&objects, SLICE("{\"half\":"), on_object, NULL);
    assert_false(engine_objects_is_whole(&objects));
    engine_objects_done(&objects);
}

/* --- places, versions, names ---------------------------------------------------------------- */

static void places_are_sockets_and_ports(void **state)
{
    struct engine_place place;

    (void)state;
    assert_int_equal(engine_place_parse("unix:///run/d.sock", "/certs", &place), 0);
    assert_string_equal(place.unix_socket, "/run/d.sock");
    assert_null(place.cert_path);
    engine_place_done(&place);
    assert_int_equal(engine_place_parse("tcp://10.0.0.7", NULL, &place), 0);
    assert_string_equal(place.base_url, "http://10.0.0.7:2375");
    engine_place_done(&place);
    assert_int_equal(engine_place_parse("tcp://[::1]:99", "/certs", &place), 0);
    assert_string_equal(place.base_url, "https://[::1]:99");
    assert_string_equal(place.cert_path, "/certs");
    engine_place_done(&place);
    assert_int_equal(engine_place_parse("tcp://engine", "/certs", &place), 0);
    assert_string_equal(place.base_url, "https://engine:2376");
    engine_place_done(&place);
    assert_int_equal(engine_place_parse("tcp://[::1", NULL, &place), -EINVAL);
    assert_int_equal(engine_place_parse("ssh://x", NULL, &place), -EINVAL);
}

static void versions_compare_as_numbers(void **state)
{
    (void)state;
    assert_true(engine_version_compare("1.9", "1.41") < 0);
    assert_true(engine_version_compare("2.0", "1.41") > 0);
    assert_int_equal(engine_version_compare("1.41", "1.41"), 0);
    assert_true(engine_version_compare("", "1.24") < 0);
    assert_true(engine_version_compare("1.41x", "1.24") < 0);
    assert_true(engine_version_compare(NULL, "1.24") < 0);
}

static void names_cannot_leave_their_place_in_the_path(void **state)
{
    static const char *const refused[] = {"", ".", "..", "a/b", "/"};
    char *segment;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_null(engine_path_segment(refused[i]));
    assert_null(engine_path_segment(NULL));
    segment = engine_path_segment("a?b#c%2f \xc3\xa4");
    assert_string_equal(segment, "a%3Fb%23c%252f%20%C3%A4");
    free(segment);
    segment = engine_path_reference("r.test:5/a/b@sha256:12?x");
    assert_string_equal(segment, "r.test:5/a/b@sha256:12%3Fx");
    free(segment);
    assert_null(engine_path_reference("a/../b"));
    assert_null(engine_path_reference("a b"));
    assert_null(engine_path_reference("a/"));
}

static void references_have_a_name_a_tag_and_a_registry(void **state)
{
    static const struct {
        const char *text, *name, *tag, *registry;
    } cases[] = {
        {"web", "web", "latest", NULL},
        {"web:v1", "web", "v1", NULL},
        {"team/web:v1", "team/web", "v1", NULL},
        {"localhost/web", "localhost/web", "latest", "localhost"},
        {"r.test/web:v1", "r.test/web", "v1", "r.test"},
        {"r:5000/team/web", "r:5000/team/web", "latest", "r:5000"},
        {"r:5000/web@sha256:abc", "r:5000/web", "sha256:abc", "r:5000"},
        {"web:v1@sha256:abc", "web", "sha256:abc", NULL},
    };
    static const char *const refused[] = {"", ":v1", "web:", "web@", "r.test/:v1", "a//b", "a\nb"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct engine_reference reference;
        assert_int_equal(engine_reference_parse(cases[i].text, &reference), 0);
        assert_string_equal(reference.name, cases[i].name);
        assert_string_equal(reference.tag, cases[i].tag);
        if (cases[i].registry != NULL)
            assert_string_equal(reference.registry, cases[i].registry);
        else
            assert_null(reference.registry);
        engine_reference_done(&reference);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct engine_reference reference;
        assert_int_equal(engine_reference_parse(refused[i], &reference), -EINVAL);
    }
}

static void an_errors_words_come_from_wherever_they_are(void **state)
{
    static const struct {
        struct slice body;
        const char *words;
    } cases[] = {
        {{"{\"message\":\"no such\"}", 21}, "no such"},
        {{"{\"message\":null}", 16}, "status 500: {\"message\":null}"},
        {{"<p>Bad\n<b>Gateway</b></p>", 25}, "status 500: Bad Gateway"},
        {{NULL, 0}, "status 500 and no word of why"},
        {{"\x01\xff\x02", 3}, "status 500 and no word of why"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *message = engine_error_message(500, cases[i].body);
        assert_string_equal(message, cases[i].words);
        free(message);
    }
}

/* --- credentials ---------------------------------------------------------------------------- */

static void credentials_are_found_by_registry(void **state)
{
    static const char config[] =
        "{\"auths\":{\"https://index.test/v1/\":{\"auth\":\"YTpi\"},\"https://r.test:5/v2/\":{"
        "\"auth\":\"dXNlcjpwYXNz\"},\"t.test\":{\"identitytoken\":\"tok\",\"auth\":\"YTpi\"},"
        "\"bad.test\":{\"auth\":\"!\"},\"null.test\":null}}";
    static const struct {
        const char *registry, *auth;
    } cases[] = {
        {"r.test:5",
         "eyJ1c2VybmFtZSI6InVzZXIiLCJwYXNzd29yZCI6InBhc3MiLCJzZXJ2ZXJhZGRyZXNzIjoiaHR0cHM6Ly9yLnR"
         "lc3Q6NS92Mi8ifQ=="},
        {NULL, "eyJ1c2VybmFtZSI6ImEiLCJwYXNzd29yZCI6ImIiLCJzZXJ2ZXJhZGRyZXNzIjoiaHR0cHM6Ly9pbmRle"
               "C50ZXN0L3YxLyJ9"},
        {"t.test", "eyJpZGVudGl0eXRva2VuIjoidG9rIiwic2VydmVyYWRkcmVzcyI6InQudGVzdCJ9"},
        {"bad.test", ENGINE_AUTH_ANONYMOUS},
        {"null.test", ENGINE_AUTH_ANONYMOUS},
        {"other.test", ENGINE_AUTH_ANONYMOUS},
    };
    cJSON *json = engine_json_parse(SLICE(config));

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *auth = engine_registry_auth_from(json, cases[i].registry);
        assert_string_equal(auth, cases[i].auth);
        free(auth);
    }
    char *auth = engine_registry_auth_from(NULL, NULL);
    assert_string_equal(auth, ENGINE_AUTH_ANONYMOUS);
    free(auth);
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_go_through_as_they_came),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(readers_take_whatever_there_is),
        cmocka_unit_test(a_stream_may_be_cut_anywhere),
        cmocka_unit_test(an_object_that_is_too_long_is_skipped_and_the_next_one_found),
        cmocka_unit_test(bytes_between_objects_and_broken_objects_are_counted),
        cmocka_unit_test(places_are_sockets_and_ports),
        cmocka_unit_test(versions_compare_as_numbers),
        cmocka_unit_test(names_cannot_leave_their_place_in_the_path),
        cmocka_unit_test(references_have_a_name_a_tag_and_a_registry),
        cmocka_unit_test(an_errors_words_come_from_wherever_they_are),
        cmocka_unit_test(credentials_are_found_by_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
