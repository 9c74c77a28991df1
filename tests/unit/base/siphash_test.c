#include "base/siphash.h"
#include "tests/unit/unit.h"

/* Aumasson and Bernstein, appendix A: the key is 00 … 0f, the text 00 … 0e. */
static void hashes_as_the_paper_says(void **state)
{
    uint8_t key[SIPHASH_KEY_BYTES];
    char text[15];

    (void)state;
    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    assert_true(siphash(key, (struct slice){text, sizeof(text)}) == 0xa129ca6149be45e5u);
    /* from the authors' vectors: no byte at all, and whole words */
    assert_true(siphash(key, (struct slice){text, 0}) == 0x726fdb47dd0e0e31u);
    assert_true(siphash(key, (struct slice){text, 8}) == 0x93f5f5799a932462u);
}

static void spreading_keeps_numbers_apart(void **state)
{
    (void)state;
    for (uint64_t x = 1; x < 1000; x++) {
        uint64_t changed = hash_spread(x) ^ hash_spread(x - 1);
        assert_in_range(__builtin_popcountll(changed), 10, 54);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_as_the_paper_says),
        cmocka_unit_test(spreading_keeps_numbers_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
