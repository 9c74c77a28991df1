/* What is told of a pull, and what an image is called. */
#include "tests/unit/unit.h"
#include "updater/engine_registry.h"
#include "updater/image_names.h"
#include "updater/pull_progress.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool note(struct pull_progress *progress, const char *text, uint64_t now_ms)
{
    cJSON *object = cJSON_Parse(text);
    assert_non_null(object);
    bool moved = pull_progress_note(progress, object, now_ms);
    cJSON_Delete(object);
    return moved;
}

#define LAYER(id, status) "{\"status\":\"" status "\",\"progressDetail\":{},\"id\":\"" id "\"}"
#define BYTES(id, status, current, total)                                                          \
    "{\"status\":\"" status "\",\"progressDetail\":{\"current\":" current ",\"total\":" total      \
    "},\"id\":\"" id "\"}"

static void a_pull_is_followed_from_nothing_to_all(void **state)
{
    struct pull_progress progress = {.began_ms = 1000};
    struct pull_figures figures;

    (void)state;
    figures = pull_progress_figures(&progress, 1000);
    assert_int_equal(figures.layers, 0);
    assert_true(figures.percent < 0.1 && figures.left_ms == -1 && !figures.total_is_known);
    assert_true(note(&progress, "{\"status\":\"Pulling from a\",\"id\":\"v1\"}", 1000));
    assert_int_equal(progress.layer_count, 0); /* v1 is the tag */
    assert_true(note(&progress, LAYER("aaa", "Pulling fs layer"), 1000));
    assert_true(note(&progress, LAYER("bbb", "Already exists"), 1000));
    assert_true(note(&progress, LAYER("ccc", "Waiting"), 1000));
    assert_true(note(&progress, BYTES("aaa", "Downloading", "500", "1000"), 3000));
    figures = pull_progress_figures(&progress, 3000);
    assert_int_equal(figures.layers, 3);
    assert_int_equal(figures.layers_done, 1);
    assert_false(figures.total_is_known); /* ccc's size is not known */
    assert_true(figures.percent > 18.7 && figures.percent < 18.8);
    assert_int_equal(figures.bytes_per_s, 250);
    assert_true(figures.left_ms > 8600 && figures.left_ms < 8700);
    assert_true(note(&progress, BYTES("ccc", "Downloading", "10", "3000"), 3100));
    figures = pull_progress_figures(&progress, 3100);
    assert_true(figures.total_is_known && figures.bytes_total == 4000 && figures.bytes == 510);
    assert_true(note(&progress, LAYER("ccc", "Download complete"), 4000));
    assert_true(note(&progress, LAYER("aaa", "Download complete"), 4000));
    assert_true(note(&progress, BYTES("aaa", "Extracting", "1000", "1000"), 4100));
    assert_true(note(&progress, LAYER("aaa", "Pull complete"), 4200));
    assert_true(note(&progress, LAYER("ccc", "Pull complete"), 4300));
    assert_true(note(&progress, "{\"status\":\"Digest: sha256:0123\"}", 4300));
    assert_string_equal(progress.digest, "sha256:0123");
    figures = pull_progress_figures(&progress, 4300);
    assert_true(figures.percent > 99.9 && figures.left_ms == 0 && figures.bytes == 4000);
    assert_int_equal(figures.layers_done, 3);
}

static void what_is_said_again_is_no_progress(void **state)
{
    struct pull_progress progress = {.began_ms = 1000};

    (void)state;
    assert_true(note(&progress, BYTES("aaa", "Downloading", "5", "10"), 1000));
    assert_false(note(&progress, BYTES("aaa", "Downloading", "5", "10"), 1100));
    assert_true(note(&progress, BYTES("aaa", "Downloading", "6", "10"), 1200));
    assert_true(note(&progress, LAYER("aaa", "Retrying in 2 seconds"), 1300));
    assert_true(note(&progress, LAYER("aaa", "Retrying in 1 second"), 1300)); /* it counts down */
    assert_false(note(&progress, LAYER("aaa", "Retrying in 1 second"), 1300));
    assert_true(note(&progress, "{\"status\":\"Pulling from a\",\"id\":\"v1\"}", 1400));
    assert_false(note(&progress, "{\"status\":\"Pulling from a\",\"id\":\"v1\"}", 1400));
    assert_false(note(&progress, "{\"aux\":{}}", 1400));
}

static void nonsense_of_an_engine_does_no_harm(void **state)
{
    struct pull_progress progress = {.began_ms = 5000};
    char text[160];

    (void)state;
    note(&progress, BYTES("aaa", "Downloading", "-5", "-10"), 4000); /* the clock is behind */
    note(&progress, BYTES("aaa", "Downloading", "20", "10"), 4000);
    note(&progress, BYTES("aaa", "Extracting", "20", "10"), 6000);
    note(&progress, BYTES("bbb", "Downloading", "\"x\"", "null"), 6000);
    note(&progress, "{\"status\":7,\"id\":[]}", 6000);
    note(&progress, "{\"status\":\"Downloading\",\"id\":\"ccc\",\"progressDetail\":null}", 6000);
    for (unsigned i = 0; i < 2 * PULL_LAYERS_MAX; i++) {
        snprintf(text, sizeof(text), LAYER("%08x", "Waiting"), i);
        note(&progress, text, 7000);
    }
    struct pull_figures figures = pull_progress_figures(&progress, 8000);
    assert_int_equal(figures.layers, PULL_LAYERS_MAX);
    assert_true(figures.percent >= 0. && figures.percent <= 100.);
    assert_true(figures.left_ms >= -1);
}

static void the_digest_is_of_the_repository_that_was_asked_for(void **state)
{
    static const struct {
        const char *reference, *digest;
    } cases[] = {
        {"one.test:5000/web:v1", "one.test:5000/web@sha256:11"},
        {"two.test/web", "two.test/web@sha256:22"},
        {"two.test/web@sha256:33", "two.test/web@sha256:33"},
        {"two.test/web:v9@sha256:33", "two.test/web@sha256:33"},
        {"web:v1", "web@sha256:44"},
        {"docker.io/library/web:v1", "web@sha256:44"},
        {"team/web", NULL},
        {"three.test/web", NULL},
        {"sha256:0123456789abcdef", "one.test:5000/web@sha256:11"}, /* its id: any will do */
        {"0123456789ab", "one.test:5000/web@sha256:11"},
        {"fedcba987654", NULL},
    };
    cJSON *image = cJSON_Parse(
        "{\"Id\":\"sha256:0123456789abcdef\",\"RepoDigests\":[\"one.test:5000/web@sha256:11\","
        "\"two.test/web@sha256:22\",\"two.test/web@sha256:33\",7,\"web@sha256:44\"]}");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *digest = image_repo_digest(image, cases[i].reference);
        if (cases[i].digest == NULL)
            assert_null(digest);
        else
            assert_string_equal(digest, cases[i].digest);
    }
    assert_true(image_has_digest(image, "two.test/web:v1", "sha256:33"));
    assert_false(image_has_digest(image, "two.test/web:v1", "sha256:11"));
    assert_null(image_repo_digest(NULL, "web"));
    cJSON_Delete(image);
}

static void an_id_is_told_from_a_reference(void **state)
{
    (void)state;
    assert_true(
        image_is_id("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    assert_false(image_is_id("sha256:0123"));
    assert_false(image_is_id("web:v1"));
    assert_null(image_reference_digest("web:v1"));
    assert_string_equal(image_reference_digest("web@sha256:1"), "sha256:1");
}

static void the_helper_of_the_registry_comes_before_the_store(void **state)
{
    cJSON *config =
        cJSON_Parse("{\"credsStore\":\"all\",\"credHelpers\":{\"one.test:5000\":\"one\","
                    "\"https://index.docker.io/v1/\":\"hub\"}}");
    cJSON *none = cJSON_Parse("{\"credsStore\":\"\",\"auths\":{}}");

    (void)state;
    assert_string_equal(engine_registry_helper(config, "one.test:5000"), "one");
    assert_string_equal(engine_registry_helper(config, NULL), "hub");
    assert_string_equal(engine_registry_helper(config, "two.test"), "all");
    assert_null(engine_registry_helper(none, "two.test"));
    assert_null(engine_registry_helper(NULL, NULL));
    cJSON_Delete(config);
    cJSON_Delete(none);
}

static void a_helpers_answer_is_a_password_or_a_token(void **state)
{
    char *auth = engine_registry_auth_of_helper(
        SLICE("{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"p\"}\n"), "one.test");

    (void)state;
    /* {"username":"u","password":"p","serveraddress":"one.test"} */
    assert_string_equal(auth, "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAiLCJzZXJ2ZXJhZGRyZXNzIjoib25l"
                              "LnRlc3QifQ==");
    free(auth);
    auth = engine_registry_auth_of_helper(SLICE("{\"Username\":\"<token>\",\"Secret\":\"p\"}"),
                                          "one.test");
    /* {"identitytoken":"p","serveraddress":"one.test"} */
    assert_string_equal(auth, "eyJpZGVudGl0eXRva2VuIjoicCIsInNlcnZlcmFkZHJlc3MiOiJvbmUudGVzdCJ9");
    free(auth);
    assert_null(engine_registry_auth_of_helper(SLICE("{\"Username\":\"u\"}"), NULL));
    assert_null(engine_registry_auth_of_helper(SLICE("words"), NULL));
    assert_null(engine_registry_auth_of_helper(SLICE(""), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pull_is_followed_from_nothing_to_all),
        cmocka_unit_test(what_is_said_again_is_no_progress),
        cmocka_unit_test(nonsense_of_an_engine_does_no_harm),
        cmocka_unit_test(the_digest_is_of_the_repository_that_was_asked_for),
        cmocka_unit_test(an_id_is_told_from_a_reference),
        cmocka_unit_test(the_helper_of_the_registry_comes_before_the_store),
        cmocka_unit_test(a_helpers_answer_is_a_password_or_a_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
