/* In which container we run, by what the kernel says of our mounts. */
#include "tests/unit/unit.h"
#include "updater/own_container.h"

#include <string.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void finds_the_folder_that_the_engine_mounts_from(void **state)
{
    char id[65] = "";

    (void)state;
    assert_true(own_container_parse("701 699 0:53 / /proc rw - proc proc rw\n"
                                    "715 698 254:1 /var/lib/docker/containers/" ID
                                    "/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw\n",
                                    id));
    assert_string_equal(id, ID);
    assert_true(own_container_parse("1 2 0:1 /engine/data/containers/" ID
                                    "/hostname /etc/hostname rw - ext4 /dev/vda1 rw",
                                    id));
}

static void is_in_none_on_a_host(void **state)
{
    char id[65] = "";

    (void)state;
    assert_false(own_container_parse("", id));
    assert_false(own_container_parse("22 1 254:1 / / rw - ext4 /dev/vda1 rw\n", id));
    /* The engine's own mounts of others, seen from the host. */
    assert_false(own_container_parse("40 22 254:1 /docker/containers/" ID
                                     "/mounts/shm /docker/containers/" ID "/mounts/shm rw - tmpfs",
                                     id));
    assert_false(own_container_parse("1 2 0:1 /docker/containers/0123/hosts /etc/hosts rw\n", id));
    assert_string_equal(id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_folder_that_the_engine_mounts_from),
        cmocka_unit_test(is_in_none_on_a_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
