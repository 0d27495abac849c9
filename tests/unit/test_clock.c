/* Results, clocks and timers: what a program relies on. Times are compared as ratios. */
/* run: upto=cpu */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

static void spin_ns(uint64_t ns)
{
    uint64_t start = pl_now_ns();
    while (pl_now_ns() - start < ns)
        continue;
}

static void test_results(void)
{
    is_str(pl_result_str(PL_OK), "ok", "the text of PL_OK");
    int named = 1;
    for (int r = 0; r < PL_RESULT_COUNT; r++)
        named &= pl_result_str((pl_result)r)[0] != '\0' &&
                 strcmp(pl_result_str((pl_result)r), "unknown result") != 0;
    ok(named, "every result has a text");
    is_str(pl_result_str((pl_result)12345), "unknown result", "a value that is no result");
    is_str(pl_result_str((pl_result)-1), "unknown result", "a negative value");
    is_str(pl_version(), PL_VERSION, "the version of the object is that of the header");
}

static void test_monotone(void)
{
    uint64_t last_ns = pl_now_ns(), last_ticks = pl_ticks();
    int back = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t ns = pl_now_ns(), ticks = pl_ticks();
        back += ns < last_ns || (int64_t)(ticks - last_ticks) < -1000;
        last_ns = ns, last_ticks = ticks;
    }
    is_int(back, 0, "clocks do not go back");
}

/* The same span on both clocks, several times; the tightest counts, since a span may be
   interrupted between the two reads. */
static double worst_of_best(uint64_t span)
{
    double best = 1;
    for (int i = 0; i < 5; i++) {
        uint64_t t0 = pl_ticks(), n0 = pl_now_ns();
        spin_ns(span);
        uint64_t t1 = pl_ticks(), n1 = pl_now_ns();
        double error = (double)pl_ticks_to_ns(t1 - t0) / (double)(n1 - n0) - 1;
        error = error < 0 ? -error : error;
        best = error < best ? error : best;
    }
    return best;
}

static void test_conversion(void)
{
    is_int((long long)pl_ticks_to_ns(0), 0, "no ticks are no time");
    const uint64_t spans[] = {1000000, 10000000, 50000000};
    for (int i = 0; i < 3; i++) {
        double error = worst_of_best(spans[i]);
        ok(error < 1e-3, "ticks agree with the system's clock over %llu us",
           (unsigned long long)spans[i] / 1000);
        diag("relative error %.2e", error);
    }
    uint64_t one = pl_ticks_to_ns(1000000), many = pl_ticks_to_ns(1000000000000ull);
    ok(many / 1000000 >= one - 1 && many / 1000000 <= one + 1, "large differences do not overflow");
}

static void test_cpu_time(void)
{
    uint64_t cpu = pl_thread_cpu_ns(), process = pl_process_cpu_ns(), wall = pl_now_ns();
    spin_ns(20000000);
    cpu = pl_thread_cpu_ns() - cpu, process = pl_process_cpu_ns() - process;
    wall = pl_now_ns() - wall;
    ok(cpu > 0 && cpu <= wall + wall / 20, "a spinning thread uses at most the time there is");
    ok(process + process / 10 >= cpu, "the process uses what its thread uses");
    cpu = pl_thread_cpu_ns();
    usleep(20000);
    cpu = pl_thread_cpu_ns() - cpu;
    ok(cpu < 10000000, "a sleeping thread uses next to none");
}

static void test_timer(void)
{
    pl_timer t = {0};
    is_int((long long)pl_timer_ns(&t), 0, "a fresh timer shows 0");
    pl_timer_stop(&t);
    is_int((long long)pl_timer_ns(&t), 0, "stopping a stopped timer changes nothing");
    pl_timer_start(&t);
    spin_ns(3000000);
    ok(pl_timer_ns(&t) >= 2900000, "a running timer shows the time so far");
    pl_timer_start(&t);
    ok(pl_timer_ns(&t) >= 2900000, "starting a running timer changes nothing");
    pl_timer_stop(&t);
    uint64_t first = pl_timer_ns(&t);
    spin_ns(3000000);
    is_int((long long)pl_timer_ns(&t), (long long)first, "a stopped timer stands");
    pl_timer_start(&t);
    spin_ns(3000000);
    pl_timer_stop(&t);
    ok(pl_timer_ns(&t) >= first + 2900000, "intervals add up");
    pl_timer_start(&t);
    pl_timer_reset(&t);
    ok(pl_timer_ns(&t) < first, "a reset timer begins anew and goes on");
}

/* The branch for machines without a usable counter: ticks are nanoseconds then. */
static void test_without_counter(void)
{
    uint32_t source = pli_clock.source;
    pli_clock.source = PLI_TICKS_CLOCK;
    uint64_t ticks = pl_ticks(), now = pl_now_ns();
    ok(now - ticks < 1000000000u, "without a counter, ticks are the clock's nanoseconds");
    is_int((long long)pl_ticks_to_ns(1234567), 1234567, "and need no conversion");
    pli_clock.source = source;
}

int main(void)
{
    test_results();
    test_monotone();
    test_conversion();
    test_cpu_time();
    test_timer();
    test_without_counter();
    return done();
}
