/* loop_overhead.c - what PL_LOOP adds to a body, beside the cheapest loop there is.

       cc -O2 -DPERFLAB_IMPL -x c -c perflab.h -o perflab.o
       cc -O2 -I. bench/loop_overhead.c perflab.o -o loop_overhead -pthread && ./loop_overhead

   prints a line a body: its name, the ns of an iteration with PL_LOOP and with the bare loop, and the
   ratio. The two take turns in many rounds, so that a change of clock rate or a busy neighbour meets
   both; ns are the medians of the rounds, the ratio is the median of the rounds' own ratios. */
#include "perflab.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 301, ITERATIONS = 400000 };

/* Compilers delete an empty loop; the empty asm keeps it and costs no instruction. */
static PL_NOINLINE double bare_empty(void)
{
    uint64_t left = ITERATIONS, start = pl_now_ns();
    do
        __asm__ volatile("" : "+r"(left));
    while (--left);
    return (double)(pl_now_ns() - start) / ITERATIONS;
}

/* A body of about three cycles that depends on itself: short, as those of real benchmarks are at
   their shortest. */
static PL_NOINLINE double bare_multiply(void)
{
    uint64_t x = 1, left = ITERATIONS, start = pl_now_ns();
    PL_HIDE(x);
    do {
        x *= 6364136223846793005u;
        __asm__ volatile("" : "+r"(left), "+r"(x));
    } while (--left);
    return (double)(pl_now_ns() - start) / ITERATIONS;
}

/* The same bodies as sub-benchmarks; arg is where the time goes. */
static void loop_empty(pl_bench *b, void *arg)
{
    PL_LOOP(b) {
    }
    *(double *)arg = (double)pl_bench_elapsed_ns(b) / (double)b->n;
}

static void loop_multiply(pl_bench *b, void *arg)
{
    uint64_t x = 1;
    PL_HIDE(x);
    PL_LOOP(b) {
        x *= 6364136223846793005u;
        PL_HIDE(x);
    }
    *(double *)arg = (double)pl_bench_elapsed_ns(b) / (double)b->n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static FILE *report; /* standard output is for the harness, and thrown away */

static void rounds(pl_bench *b, const char *name, double (*bare)(void),
                   void (*loop)(pl_bench *b, void *arg))
{
    static double bares[ROUNDS], loops[ROUNDS], ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        bares[i] = bare();
        pl_bench_run(b, name, loop, &loops[i]);
        ratios[i] = loops[i] / bares[i];
    }
    fprintf(report, "%-10s %7.3f %7.3f %6.3f\n", name, median(loops), median(bares),
            median(ratios));
}

PL_BENCH(Loop)
{
    rounds(b, "empty", bare_empty, loop_empty);
    rounds(b, "multiply", bare_multiply, loop_multiply);
}

int main(int argc, char **argv)
{
    char count[32];
    char *flags[] = {argv[0], count, NULL};
    (void)argc;
    snprintf(count, sizeof count, "-benchtime=%dx", ITERATIONS);
    report = fdopen(dup(STDOUT_FILENO), "w");
    if (!report || !freopen("/dev/null", "w", stdout)) {
        perror("loop_overhead: standard output");
        return 2;
    }
    fprintf(report, "%-10s %7s %7s %6s\n", "body", "PL_LOOP", "bare", "ratio");
    int code = pl_bench_main(2, flags);
    return fclose(report) == 0 ? code : 2;
}
