#include "proxy/sni.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static struct sni_table table;

static int start(void **state)
{
    (void)state;
    table = (struct sni_table){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    sni_done(&table);
    return 0;
}

static void add(const char *name, enum key_kind kind, int pair)
{
    sni_add(&table, slice_from_string(name), kind, pair);
}

/* The RSA pair, or -1 where nothing is found. */
static int find(const char *name)
{
    const struct sni_entry *entry = sni_find(&table, slice_from_string(name));

    return entry == NULL ? -1 : entry->pair[KEY_RSA];
}

static void the_very_name_wins_over_the_star_above_it(void **state)
{
    (void)state;
    add("*.shop.example", KEY_RSA, 0);
    add("www.shop.example", KEY_RSA, 1);
    add("shop.example", KEY_RSA, 2);
    sni_finish(&table);
    assert_int_equal(find("www.shop.example"), 1);
    assert_int_equal(find("shop.example"), 2);
    assert_int_equal(find("api.shop.example"), 0);
    assert_int_equal(find("other.example"), -1);
}

static void a_star_stands_for_one_label(void **state)
{
    (void)state;
    add("*.shop.example", KEY_RSA, 0);
    sni_finish(&table);
    assert_int_equal(find("a.shop.example"), 0);
    assert_int_equal(find("a.b.shop.example"), -1);
    assert_int_equal(find("shop.example"), -1);
    assert_int_equal(find(".shop.example"), -1);
    assert_int_equal(find("*.shop.example"), -1); /* nobody asks for a star */
}

static void case_and_the_roots_dot_say_nothing(void **state)
{
    (void)state;
    add("WWW.Shop.Example", KEY_RSA, 3);
    sni_finish(&table);
    assert_int_equal(find("www.shop.example"), 3);
    assert_int_equal(find("Www.SHOP.example."), 3);
    assert_int_equal(find("www.shop.example.."), -1);
}

static void a_name_may_have_a_certificate_of_each_kind(void **state)
{
    (void)state;
    add("a.example", KEY_RSA, 0);
    add("a.example", KEY_ECDSA, 1);
    add("a.example", KEY_ECDSA, 2); /* the first of a kind has the name */
    sni_finish(&table);
    const struct sni_entry *entry = sni_find(&table, SLICE("a.example"));
    assert_int_equal(entry->pair[KEY_RSA], 0);
    assert_int_equal(entry->pair[KEY_ECDSA], 1);
    assert_int_equal(entry->pair[KEY_EDDSA], -1);
    assert_int_equal(table.count, 1);
}

static void a_very_name_takes_the_kinds_it_lacks_from_the_star(void **state)
{
    (void)state;
    add("*.example.org", KEY_RSA, 0);
    add("*.example.org", KEY_ECDSA, 1);
    add("www.example.org", KEY_ECDSA, 2);
    sni_finish(&table);
    const struct sni_entry *entry = sni_find(&table, SLICE("www.example.org"));
    assert_int_equal(entry->pair[KEY_RSA], 0);
    assert_int_equal(entry->pair[KEY_ECDSA], 2);
}

static void names_that_are_none_are_left_out(void **state)
{
    char long_name[300];

    (void)state;
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    add(long_name, KEY_RSA, 0);
    add("", KEY_RSA, 0);
    add(".", KEY_RSA, 0);
    add("w*.example.org", KEY_RSA, 0);
    add("www.*.org", KEY_RSA, 0);
    add("*.*.org", KEY_RSA, 0);
    add("*.org", KEY_RSA, 0); /* a whole top level */
    add("*", KEY_RSA, 0);
    sni_add(&table, (struct slice){"a.example\0.evil.example", 23}, KEY_RSA, 0);
    sni_finish(&table);
    assert_int_equal(table.count, 0);
    assert_int_equal(find("a.example"), -1);
    assert_int_equal(find(long_name), -1);
    assert_int_equal(find(""), -1);
}

static void each_of_many_names_is_found(void **state)
{
    char name[32];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "h%d.example.org", (i * 7919) % 3000);
        add(name, KEY_RSA, (i * 7919) % 3000);
    }
    sni_finish(&table);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "h%d.example.org", i);
        assert_int_equal(find(name), i);
    }
    assert_int_equal(find("h3000.example.org"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_very_name_wins_over_the_star_above_it, start, end),
        cmocka_unit_test_setup_teardown(a_star_stands_for_one_label, start, end),
        cmocka_unit_test_setup_teardown(case_and_the_roots_dot_say_nothing, start, end),
        cmocka_unit_test_setup_teardown(a_name_may_have_a_certificate_of_each_kind, start, end),
        cmocka_unit_test_setup_teardown(a_very_name_takes_the_kinds_it_lacks_from_the_star, start,
                                        end),
        cmocka_unit_test_setup_teardown(names_that_are_none_are_left_out, start, end),
        cmocka_unit_test_setup_teardown(each_of_many_names_is_found, start, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
