/* The C side of golden/twin_test.go: the same benchmarks, whose output must be the same bytes. */
#include "perflab.h"

PL_BENCH(Plain)
{
    for (int64_t i = 0; i < b->n; i++)
        PL_CLOBBER();
    pl_bench_report_metric(b, 123.456, "ns/op");
}

PL_BENCH(Metrics)
{
    pl_bench_report_allocs(b);
    pl_bench_set_bytes(b, 1000);
    pl_bench_report_metric(b, 0.25, "ns/op");
    pl_bench_report_metric(b, 12.345, "MB/s");
    pl_bench_report_metric(b, 7.9, "B/op");
    pl_bench_report_metric(b, 3, "allocs/op");
    pl_bench_report_metric(b, 1, "z/op");
    pl_bench_report_metric(b, 1234567.8, "Z/op");
    pl_bench_report_metric(b, 0.00001, "a/op");
    pl_bench_report_metric(b, 2, "a/op");
    pl_bench_report_metric(b, -99.99, "neg");
}

PL_BENCH(Hidden)
{
    pl_bench_report_metric(b, 0, "ns/op");
    pl_bench_report_metric(b, 42, "answers");
}

PL_BENCH(Reset)
{
    pl_bench_report_metric(b, 1, "gone");
    pl_bench_reset_timer(b);
    pl_bench_report_metric(b, 5, "ns/op");
}

static void leaf(pl_bench *b, void *arg)
{
    (void)arg;
    pl_bench_report_metric(b, 1, "ns/op");
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

PL_BENCH(Names)
{
    static const char *const names[] = {
        "a", "a", "a#01", "a", "", "", "x y\tz", "üñ", "\x01", "b/c",
        "b/c", "#00", "n=10", "n=10", "n=100", "a#1", "a#1", "tail#", "é z"};
    for (size_t i = 0; i < COUNT(names); i++)
        pl_bench_run(b, names[i], leaf, NULL);
}

static void nested(pl_bench *b, void *arg)
{
    (void)arg;
    pl_bench_run(b, "x", leaf, NULL);
    pl_bench_run(b, "x", leaf, NULL);
    pl_bench_run(b, "y", leaf, NULL);
}

PL_BENCH(Nested)
{
    pl_bench_run(b, "one", nested, NULL);
    pl_bench_run(b, "two", nested, NULL);
}

PL_BENCH(Logs)
{
    pl_bench_log(b, "first\nsecond\nthird");
    pl_bench_log(b, "n is %d\n", (int)b->n);
    pl_bench_report_metric(b, 1, "ns/op");
}

PL_BENCH(ManyLogs)
{
    for (int i = 0; i < 20; i++)
        pl_bench_log(b, "line %d", i);
    pl_bench_report_metric(b, 1, "ns/op");
}

PL_BENCH(FailFirst)
{
    pl_bench_fail(b, "wrong from the start");
}

static void late(pl_bench *b, void *arg)
{
    (void)arg;
    if (b->n > 1)
        pl_bench_fail(b, "wrong at %d", (int)b->n);
    pl_bench_report_metric(b, 1, "ns/op");
}

PL_BENCH(FailLate)
{
    late(b, NULL);
}

static void bad(pl_bench *b, void *arg)
{
    (void)arg;
    pl_bench_fail(b, "sub");
}

PL_BENCH(FailSub)
{
    pl_bench_run(b, "good", leaf, NULL);
    pl_bench_run(b, "bad", bad, NULL);
    pl_bench_run(b, "late", late, NULL);
}

PL_BENCH(AVeryLongNameThatMakesTheColumnWide)
{
    pl_bench_run(b, "and/an/even/longer/name/of/its/child", leaf, NULL);
    pl_bench_run(b, "short", leaf, NULL);
}

PL_BENCH(Loop)
{
    PL_LOOP(b) {
    }
    pl_bench_report_metric(b, 2, "ns/op");
}

PL_BENCH_MAIN()
