#include "base/memory.h"
#include "cli/sse.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char seen[512];

static void on_event(void *context, const char *event, const char *data)
{
    size_t length = strlen(seen);
    (void)context;
    snprintf(seen + length, sizeof seen - length, "%s=%s;", event, data);
}

static struct sse start(void)
{
    seen[0] = '\0';
    return (struct sse){.on_event = on_event};
}

static void feed(struct sse *sse, const char *text)
{
    assert_true(sse_feed(sse, text, strlen(text)));
}

static void reads_events_with_ids(void **state)
{
    struct sse sse = start();
    (void)state;
    feed(&sse, "retry: 1000\n\n: comment\n\nid: 7\nevent: service\ndata: {\"a\":1}\n\n");
    assert_string_equal(seen, "service={\"a\":1};");
    assert_string_equal(sse.last_id, "7");
    feed(&sse, "data:x\ndata: y\n\n");
    assert_string_equal(seen, "service={\"a\":1};message=x\ny;");
    sse_done(&sse);
}

static void reads_the_same_however_it_is_cut(void **state)
{
    const char *text = "id: 12\r\nevent: a\r\ndata: one\r\n\r\nevent: b\rdata: two\r\rdata\n\n";
    (void)state;
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        struct sse sse = start();
        assert_true(sse_feed(&sse, text, cut));
        assert_true(sse_feed(&sse, text + cut, strlen(text) - cut));
        assert_string_equal(seen, "a=one;b=two;message=;");
        assert_string_equal(sse.last_id, "12");
        sse_done(&sse);
    }
}

static void forgets_half_an_event_but_not_the_last_id(void **state)
{
    struct sse sse = start();
    (void)state;
    feed(&sse, "id: 1\ndata: a\n\nid: 2\nevent: b\ndata: half");
    sse_restart(&sse);
    assert_string_equal(sse.last_id, "1");
    feed(&sse, "data: c\n\n");
    assert_string_equal(seen, "message=a;message=c;");
    sse_done(&sse);
}

static void refuses_an_event_without_end(void **state)
{
    struct sse sse = start();
    (void)state;
    char *piece = memory_new(1024 * 1024);
    memset(piece, 'x', 1024 * 1024);
    unsigned taken = 0;
    while (sse_feed(&sse, piece, 1024 * 1024))
        assert_true(++taken <= 16);
    assert_int_equal(taken, 16);
    free(piece);
    sse_done(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_events_with_ids),
        cmocka_unit_test(reads_the_same_however_it_is_cut),
        cmocka_unit_test(forgets_half_an_event_but_not_the_last_id),
        cmocka_unit_test(refuses_an_event_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
