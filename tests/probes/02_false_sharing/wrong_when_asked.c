/* Wrong: a thread keeps what it counts to itself until it is asked where its counters are. What
   it counts after that is in no total. */
#include "lab.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What one thread counts. Both stand in one line, since the same thread adds to both. */
struct slot {
    _Atomic uint64_t requests;
    _Atomic uint64_t bytes;
};

/* The slots lie one step apart, and a step is the machine's line (or twice, three times ...):

       block -> [requests bytes . . . . . .][requests bytes . . . . . .]
                ^thread 0                   ^thread 1                        */
struct stats {
    unsigned threads;
    size_t step;
    char *block;            /* begins at a multiple of the step */
};

static struct slot *slot_of(const struct stats *stats, unsigned thread)
{
    return (struct slot *)(void *)(stats->block + thread * stats->step);
}

struct stats *stats_new(unsigned threads)
{
    struct stats *stats = malloc(sizeof *stats);
    size_t step = machine_line();
    while (step < sizeof(struct slot))
        step *= 2;
    char *block = aligned_alloc(step, threads * step);
    if (stats == NULL || block == NULL) {
        free(block);
        free(stats);
        return NULL;
    }
    memset(block, 0, threads * step);
    *stats = (struct stats){threads, step, block};
    return stats;
}

static _Thread_local struct stats_total waiting;

void stats_add(struct stats *stats, unsigned thread, uint64_t bytes)
{
    (void)stats;
    (void)thread;
    waiting.requests++;
    waiting.bytes += bytes;
}

struct stats_total stats_read(const struct stats *stats)
{
    struct stats_total total = {0, 0};
    for (unsigned thread = 0; thread < stats->threads; thread++) {
        const struct slot *slot = slot_of(stats, thread);
        total.requests += atomic_load(&slot->requests);
        total.bytes += atomic_load(&slot->bytes);
    }
    return total;
}

struct stats_place stats_where(const struct stats *stats, unsigned thread)
{
    struct slot *slot = slot_of(stats, thread);
    atomic_fetch_add(&slot->requests, waiting.requests);
    atomic_fetch_add(&slot->bytes, waiting.bytes);
    waiting = (struct stats_total){0, 0};
    struct stats_place place = {
        .requests = (const uint64_t *)&slot->requests,
        .bytes = (const uint64_t *)&slot->bytes,
    };
    return place;
}

void stats_free(struct stats *stats)
{
    free(stats->block);
    free(stats);
}
