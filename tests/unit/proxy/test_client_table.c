/* Figures of clients in fixed memory, and the rate. */
#include "proxy/client_table.h"
#include "proxy/limits.h"
#include "tests/unit/unit.h"

#define SECOND_NS 1000000000u

static struct client_table *table_of(uint8_t seed)
{
    uint8_t key[SIPHASH_KEY_BYTES] = {seed};
    struct client_table *table = client_table_new(key);

    assert_non_null(table);
    return table;
}

static uint64_t key_of(const struct client_table *table, const char *ip, uint16_t purpose)
{
    struct address address;

    assert_int_equal(address_from_ip(slice_from_string(ip), 80, &address), 0);
    return client_table_key_for(client_table_key(table, &address), purpose);
}

static void a_client_is_its_ipv4_address_or_its_64(void **state)
{
    struct client_table *table = table_of(1);

    (void)state;
    uint64_t v4 = key_of(table, "192.0.2.1", 0);
    assert_int_equal(key_of(table, "::ffff:192.0.2.1", 0), v4);
    assert_int_not_equal(key_of(table, "192.0.2.2", 0), v4);
    assert_int_not_equal(key_of(table, "::ffff:192.0.2.2", 0), v4);
    assert_int_not_equal(key_of(table, "192.0.2.1", 1), v4);
    uint64_t v6 = key_of(table, "2001:db8::1", 0);
    assert_int_equal(key_of(table, "2001:db8::ffff:1:2", 0), v6);
    assert_int_not_equal(key_of(table, "2001:db8:0:1::1", 0), v6);
    client_table_free(table);
}

static void places_depend_on_the_secret_key(void **state)
{
    struct client_table *one = table_of(1), *other = table_of(2);

    (void)state;
    assert_int_not_equal(key_of(one, "192.0.2.1", 0), key_of(other, "192.0.2.1", 0));
    client_table_free(one);
    client_table_free(other);
}

/* The n-th key of a set. */
static uint64_t in_set(uint64_t n)
{
    return 5 + (n + 1) * CLIENT_TABLE_SETS;
}

static void a_full_set_gives_up_the_least_figure_only(void **state)
{
    struct client_table *table = table_of(1);

    (void)state;
    for (uint64_t i = 0; i < CLIENT_TABLE_WAYS; i++)
        *client_table_at(table, in_set(i), 0) = 100 + i;
    assert_null(client_table_at(table, in_set(100), 99));
    uint64_t *figure = client_table_at(table, in_set(100), UINT64_MAX);
    assert_int_equal(*figure, 0);
    *figure = 200;
    for (uint64_t i = 1; i < CLIENT_TABLE_WAYS; i++)
        assert_int_equal(*client_table_at(table, in_set(i), UINT64_MAX), 100 + i);
    assert_int_equal(*client_table_at(table, in_set(100), 0), 200);
    client_table_free(table);
}

static void who_counts_nothing_gives_way(void **state)
{
    struct client_table *table = table_of(1);

    (void)state;
    for (uint64_t i = 0; i < CLIENT_TABLE_WAYS; i++)
        *client_table_at(table, in_set(i), 0) = 1;
    assert_null(client_table_at(table, in_set(100), 0));
    *client_table_at(table, in_set(3), 0) = 0;
    assert_non_null(client_table_at(table, in_set(100), 0));
    client_table_free(table);
}

static void a_client_that_is_refused_is_not_forgotten_for_a_crowd_that_asks_once_each(void **state)
{
    struct client_table *table = table_of(1);
    struct config_rate rate = {.rate = 10, .burst = 20};
    uint64_t now_ns = 1000 * (uint64_t)SECOND_NS, mine = key_of(table, "192.0.2.1", 0);

    (void)state;
    while (client_rate_take(client_table_at(table, mine, UINT64_MAX), &rate, now_ns))
        ;
    for (uint32_t i = 0; i < 1000000; i++) { /* ten times as many as there are places */
        struct address address = {.family = AF_INET,
                                  .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        uint64_t key = client_table_key(table, &address);
        assert_true(client_rate_take(client_table_at(table, key, UINT64_MAX), &rate, now_ns));
    }
    assert_false(client_rate_take(client_table_at(table, mine, UINT64_MAX), &rate, now_ns));
    client_table_free(table);
}

static unsigned taken(uint64_t *due_ns, const struct config_rate *rate, uint64_t now_ns)
{
    unsigned count = 0;

    while (client_rate_take(due_ns, rate, now_ns))
        count++;
    return count;
}

static void a_burst_passes_then_the_rate(void **state)
{
    struct config_rate rate = {.rate = 50, .burst = 100};
    uint64_t due_ns = 0, now_ns = 77 * (uint64_t)SECOND_NS;

    (void)state;
    assert_int_equal(taken(&due_ns, &rate, now_ns), 100);
    assert_int_equal(taken(&due_ns, &rate, now_ns + SECOND_NS / 50), 1);
    assert_int_equal(taken(&due_ns, &rate, now_ns + SECOND_NS), 49);
    assert_int_equal(taken(&due_ns, &rate, now_ns + 10 * (uint64_t)SECOND_NS), 100);
}

static void the_extreme_rates_are_kept(void **state)
{
    struct config_rate slow = {.rate = 1, .burst = 1}, fast = {.rate = 1000000, .burst = 1000000};
    uint64_t due_ns = 0, now_ns = SECOND_NS;

    (void)state;
    assert_int_equal(taken(&due_ns, &slow, now_ns), 1);
    assert_int_equal(taken(&due_ns, &slow, now_ns + SECOND_NS - 1), 0);
    assert_int_equal(taken(&due_ns, &slow, now_ns + SECOND_NS), 1);
    due_ns = 0;
    assert_int_equal(taken(&due_ns, &fast, now_ns), 1000000);
    assert_int_equal(taken(&due_ns, &fast, now_ns + 1000000), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_its_ipv4_address_or_its_64),
        cmocka_unit_test(places_depend_on_the_secret_key),
        cmocka_unit_test(a_full_set_gives_up_the_least_figure_only),
        cmocka_unit_test(who_counts_nothing_gives_way),
        cmocka_unit_test(a_client_that_is_refused_is_not_forgotten_for_a_crowd_that_asks_once_each),
        cmocka_unit_test(a_burst_passes_then_the_rate),
        cmocka_unit_test(the_extreme_rates_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
