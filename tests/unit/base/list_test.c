#include "base/list.h"
#include "tests/unit/unit.h"

static void takes_the_first_until_none_is_left(void **state)
{
    struct list head, nodes[3];

    (void)state;
    list_init(&head);
    for (unsigned i = 0; i < 3; i++)
        list_append(&head, &nodes[i]);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(list_is_empty(&head));
        assert_ptr_equal(list_take_first(&head), &nodes[i]);
        assert_true(list_is_empty(&nodes[i]));
    }
    assert_true(list_is_empty(&head));
    assert_ptr_equal(head.prev, &head);
}

static void what_was_taken_may_be_removed_and_appended_again(void **state)
{
    struct list head, one, two;

    (void)state;
    list_init(&head);
    list_append(&head, &one);
    list_append(&head, &two);
    list_remove(list_take_first(&head));
    list_append(&head, &one);
    assert_ptr_equal(list_take_first(&head), &two);
    assert_ptr_equal(list_take_first(&head), &one);
}

static void all_of_one_list_go_before_those_of_another(void **state)
{
    struct list head, from, nodes[4];

    (void)state;
    list_init(&head);
    list_init(&from);
    list_put_all_before(&head, &from);
    assert_true(list_is_empty(&head));
    list_append(&from, &nodes[2]);
    list_append(&from, &nodes[3]);
    list_put_all_before(&head, &from); /* to an empty one */
    assert_true(list_is_empty(&from));
    list_append(&from, &nodes[0]);
    list_append(&from, &nodes[1]);
    list_put_all_before(&head, &from);
    assert_true(list_is_empty(&from));
    assert_ptr_equal(head.prev, &nodes[3]);
    for (unsigned i = 0; i < 4; i++)
        assert_ptr_equal(list_take_first(&head), &nodes[i]);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_first_until_none_is_left),
        cmocka_unit_test(what_was_taken_may_be_removed_and_appended_again),
        cmocka_unit_test(all_of_one_list_go_before_those_of_another),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
