/* What an iteration of PL_LOOP costs on an empty body, beside the cheapest loop there is: count
   down, jump if not zero. The two take turns, so that a change of clock rate or a busy neighbour
   meets both. Prints a line a round: ns an iteration with PL_LOOP, ns with the bare loop. */
#include "perflab.h"

#include <stdio.h>
#include <unistd.h>

enum { ROUNDS = 101, ITERATIONS = 1000000 };

/* Compilers delete an empty loop; the empty asm keeps it and costs no instruction. */
static PL_NOINLINE double bare(void)
{
    uint64_t left = ITERATIONS, start = pl_now_ns();
    do
        __asm__ volatile("" : "+r"(left));
    while (--left);
    return (double)(pl_now_ns() - start) / ITERATIONS;
}

/* A sub-benchmark; arg is where the time goes. */
static void loop(pl_bench *b, void *arg)
{
    PL_LOOP(b) {
    }
    *(double *)arg = (double)pl_bench_elapsed_ns(b) / (double)b->n;
}

static FILE *report; /* standard output is for the harness, and thrown away */

PL_BENCH(Rounds)
{
    for (int round = 0; round < ROUNDS; round++) {
        double ours = 0, other = round % 2 ? bare() : 0;
        pl_bench_run(b, "loop", loop, &ours);
        other = round % 2 ? other : bare();
        fprintf(report, "%.4f %.4f\n", ours, other);
    }
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
    int code = pl_bench_main(2, flags);
    return fclose(report) == 0 ? code : 2;
}
