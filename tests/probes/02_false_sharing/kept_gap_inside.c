/* The gap lies between the counters of one thread, and none between two threads: in three of four
   places that malloc may choose, the bytes of a thread share a line with the requests of the
   next one. */
#include "lab.h"

#include <stdatomic.h>
#include <stdlib.h>

struct slot {
    _Atomic uint64_t requests;
    char padding[56];
    _Atomic uint64_t bytes;
};

struct stats {
    unsigned threads;
    struct slot slot[STATS_THREADS];
};

struct stats *stats_new(unsigned threads)
{
    struct stats *stats = calloc(1, sizeof *stats);
    if (stats != NULL)
        stats->threads = threads;
    return stats;
}

void stats_add(struct stats *stats, unsigned thread, uint64_t bytes)
{
    atomic_fetch_add(&stats->slot[thread].requests, 1);
    atomic_fetch_add(&stats->slot[thread].bytes, bytes);
}

struct stats_total stats_read(const struct stats *stats)
{
    struct stats_total total = {0, 0};
    for (unsigned thread = 0; thread < stats->threads; thread++) {
        total.requests += atomic_load(&stats->slot[thread].requests);
        total.bytes += atomic_load(&stats->slot[thread].bytes);
    }
    return total;
}

struct stats_place stats_where(const struct stats *stats, unsigned thread)
{
    struct stats_place place = {
        .requests = (const uint64_t *)&stats->slot[thread].requests,
        .bytes = (const uint64_t *)&stats->slot[thread].bytes,
    };
    return place;
}

void stats_free(struct stats *stats)
{
    free(stats);
}
