/* What a malloc and its free cost while the heap profile runs: heap_pair RATE

   Prints nanoseconds of processor time a pair, the fastest of several batches, called 16 functions
   deep. RATE 0: no profile. Half of the blocks live on for a while, so that blocks are freed in
   another order than they were made. perflab is called by a weak name, so that the same object is
   linked with and without perflab.o, and beside other profilers. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES 7
#define LIVE 256

void pl_heap_rate_set(int64_t bytes) __attribute__((weak));

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static __attribute__((noinline)) void pairs(int count)
{
    static void *live[LIVE];
    for (int i = 0; i < count; i += 2) {
        void *p = malloc(64);
        __asm__ volatile("" : : "r"(p) : "memory");
        free(p);
        free(live[i / 2 % LIVE]);
        live[i / 2 % LIVE] = malloc(64);
    }
}

static __attribute__((noinline)) void deeper(int frames, int count)
{
    if (frames > 0)
        deeper(frames - 1, count);
    else
        pairs(count);
    __asm__ volatile("" : : : "memory"); /* no tail call: each is a frame */
}

int main(int argc, char **argv)
{
    int64_t rate = argc > 1 ? atoll(argv[1]) : 0;
    int count = rate == 1 ? 100000 : 2000000;
    double best = 1e30;
    if (rate > 0 && pl_heap_rate_set)
        pl_heap_rate_set(rate);
    for (int batch = 0; batch < BATCHES; batch++) {
        double began = cpu_ns();
        deeper(10, count); /* and main, three of libc's, pairs, and the first: 16 */
        double took = cpu_ns() - began;
        best = took < best ? took : best;
    }
    printf("%.3f\n", best / count);
    return 0;
}
