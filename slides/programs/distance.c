/* distance.c: two threads add to a counter of their own each, the same work at every distance of
   the two counters in memory. Only the time differs. Each thread has a processor to itself. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, ROOM = 8 * LINE };

struct worker {
    _Atomic uint64_t *counter;
    uint64_t additions;
    int number;
};

/* stay_on_one keeps the calling thread on a processor of its own, of those it may use. */
static void stay_on_one(int number)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && number-- == 0)
            CPU_SET(cpu, &one);
    }
    if (CPU_COUNT(&one) == 1)
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

static void *add(void *arg)
{
    struct worker *w = arg;
    stay_on_one(w->number);
    for (uint64_t i = 0; i < w->additions; i++)
        atomic_fetch_add(w->counter, 1);
    return NULL;
}

/* run_pair lets two threads add, `distance` bytes apart. */
static void run_pair(pl_bench *b, void *arg)
{
    size_t distance = *(const size_t *)arg;
    char *memory = aligned_alloc(LINE, ROOM);
    struct worker workers[2];
    pthread_t threads[2];
    if (memory == NULL) {
        pl_bench_fail(b, "out of memory");
        return;
    }
    memset(memory, 0, ROOM);
    for (size_t i = 0; i < 2; i++) {
        workers[i].counter = (_Atomic uint64_t *)(memory + i * distance);
        workers[i].additions = (uint64_t)b->n;
        workers[i].number = (int)i;
    }
    pl_bench_reset_timer(b);
    for (size_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, add, &workers[i]);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pl_bench_stop_timer(b);
    free(memory);
}

PL_BENCH(Pair)
{
    for (size_t distance = 8; distance <= 256; distance *= 2) {
        char name[32];
        snprintf(name, sizeof name, "bytes=%zu", distance);
        pl_bench_run(b, name, run_pair, &distance);
    }
}

/* Alone is one thread with the same work, for comparison. */
PL_BENCH(Alone)
{
    _Atomic uint64_t counter = 0;
    struct worker w = {&counter, (uint64_t)b->n, 0};
    add(&w);
}

PL_BENCH_MAIN()
