/* slow.c with the counters of each thread in a line of their own, and nothing else. */
#include "lab.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Two lines of 64 bytes, or one of 128. */
struct slot {
    _Alignas(128) _Atomic uint64_t requests;
    _Atomic uint64_t bytes;
};

struct stats {
    unsigned threads;
    struct slot slot[STATS_THREADS];
};

struct stats *stats_new(unsigned threads)
{
    struct stats *stats = aligned_alloc(_Alignof(struct stats), sizeof *stats);
    if (stats != NULL) {
        memset(stats, 0, sizeof *stats);
        stats->threads = threads;
    }
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
