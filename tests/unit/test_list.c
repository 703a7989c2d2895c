/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>

#include "lib/list.h"

#include <cmocka.h>

struct item {
    int value;
    struct list node;
};

static void assert_order(struct list *head, const int *want, int n)
{
    int i = 0;

    list_for_each(it, head)
    {
        assert_true(i < n);
        assert_int_equal(list_entry(it, struct item, node)->value, want[i++]);
        assert_ptr_equal(it->next->prev, it);
    }
    assert_int_equal(i, n);
}

static void test_nodes_keep_the_order_of_insertion(void **state)
{
    struct list head;
    struct item a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 };

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    list_insert(&head, &b.node);
    list_insert(&head, &c.node);
    list_push_front(&head, &a.node);
    assert_order(&head, (const int[]){ 1, 2, 3 }, 3);
    list_remove(&b.node);
    assert_order(&head, (const int[]){ 1, 3 }, 2);
    list_insert(&a.node, &b.node);
    assert_order(&head, (const int[]){ 2, 1, 3 }, 3);
}

static void test_removing_twice_is_harmless(void **state)
{
    struct list head;
    struct item a = { .value = 1 }, b = { .value = 2 };

    (void)state;
    list_init(&head);
    list_insert(&head, &a.node);
    list_insert(&head, &b.node);
    list_remove(&a.node);
    list_remove(&a.node);
    assert_order(&head, (const int[]){ 2 }, 1);
    list_remove(&b.node);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_keep_the_order_of_insertion),
        cmocka_unit_test(test_removing_twice_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
