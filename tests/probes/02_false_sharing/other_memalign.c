/* A pointer to each thread's slot; the slots come from posix_memalign one by one. */
#include "lab.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What one thread counts. Both stand in one line, since the same thread adds to both. */
struct slot {
    _Atomic uint64_t requests;
    _Atomic uint64_t bytes;
};

struct stats {
    unsigned threads;
    struct slot *slot[STATS_THREADS];
};

static struct slot *slot_of(const struct stats *stats, unsigned thread)
{
    return stats->slot[thread];
}

static struct slot *slot_new(size_t line)
{
    void *block = NULL;
    size_t size = line > sizeof(struct slot) ? line : sizeof(struct slot);
    if (posix_memalign(&block, line, size) != 0)
        return NULL;
    return memset(block, 0, size);
}

struct stats *stats_new(unsigned threads)
{
    struct stats *stats = calloc(1, sizeof *stats);
    if (stats == NULL)
        return NULL;
    stats->threads = threads;
    for (unsigned thread = 0; thread < threads; thread++) {
        stats->slot[thread] = slot_new(machine_line());
        if (stats->slot[thread] == NULL) {
            stats_free(stats);
            return NULL;
        }
    }
    return stats;
}

void stats_add(struct stats *stats, unsigned thread, uint64_t bytes)
{
    struct slot *slot = slot_of(stats, thread);
    atomic_fetch_add(&slot->requests, 1);
    atomic_fetch_add(&slot->bytes, bytes);
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
    const struct slot *slot = slot_of(stats, thread);
    struct stats_place place = {
        .requests = (const uint64_t *)&slot->requests,
        .bytes = (const uint64_t *)&slot->bytes,
    };
    return place;
}

void stats_free(struct stats *stats)
{
    for (unsigned thread = 0; thread < stats->threads; thread++)
        free(stats->slot[thread]);
    free(stats);
}
