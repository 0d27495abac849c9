/* slow.c with the number of threads in front. In one of four places that malloc may choose, the
   counters of threads 0 and 1 then lie on both sides of the end of a line; those of 1 and 2 never
   do. Luck is no design. */
#include "lab.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Each thread has counters of its own, so that no thread has to wait for another one. They are
   atomic because stats_read reads them while threads add to them. */
struct stats {
    unsigned threads;
    _Atomic uint64_t requests[STATS_THREADS];
    _Atomic uint64_t bytes[STATS_THREADS];
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
    atomic_fetch_add(&stats->requests[thread], 1);
    atomic_fetch_add(&stats->bytes[thread], bytes);
}

struct stats_total stats_read(const struct stats *stats)
{
    struct stats_total total = {0, 0};
    for (unsigned thread = 0; thread < stats->threads; thread++) {
        total.requests += atomic_load(&stats->requests[thread]);
        total.bytes += atomic_load(&stats->bytes[thread]);
    }
    return total;
}

struct stats_place stats_where(const struct stats *stats, unsigned thread)
{
    struct stats_place place = {
        .requests = (const uint64_t *)&stats->requests[thread],
        .bytes = (const uint64_t *)&stats->bytes[thread],
    };
    return place;
}

void stats_free(struct stats *stats)
{
    free(stats);
}
