/* Each thread makes its slot itself, at its first request, and remembers it in a thread-local
   variable. The slots belong to the stats, so that they outlive the threads. */
#include "lab.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    _Atomic uint64_t requests;
    _Atomic uint64_t bytes;
};

struct stats {
    uint64_t id;            /* unlike the address, never used twice */
    unsigned threads;
    _Atomic(struct slot *) slot[STATS_THREADS];
};

static _Thread_local struct {
    uint64_t id;            /* of the stats that the slot belongs to; 0: none yet */
    struct slot *slot;
} mine;

struct stats *stats_new(unsigned threads)
{
    static _Atomic uint64_t last_id;
    struct stats *stats = calloc(1, sizeof *stats);
    if (stats == NULL)
        return NULL;
    stats->id = atomic_fetch_add(&last_id, 1) + 1;
    stats->threads = threads;
    return stats;
}

static struct slot *make_slot(struct stats *stats, unsigned thread)
{
    size_t size = machine_line() > sizeof(struct slot) ? machine_line() : sizeof(struct slot);
    struct slot *slot = aligned_alloc(machine_line(), size);
    if (slot == NULL)
        abort();
    memset(slot, 0, size);
    atomic_store(&stats->slot[thread], slot);
    return slot;
}

void stats_add(struct stats *stats, unsigned thread, uint64_t bytes)
{
    if (mine.id != stats->id) {
        mine.slot = atomic_load(&stats->slot[thread]);
        if (mine.slot == NULL)
            mine.slot = make_slot(stats, thread);
        mine.id = stats->id;
    }
    atomic_fetch_add(&mine.slot->requests, 1);
    atomic_fetch_add(&mine.slot->bytes, bytes);
}

struct stats_total stats_read(const struct stats *stats)
{
    struct stats_total total = {0, 0};
    for (unsigned thread = 0; thread < stats->threads; thread++) {
        struct slot *slot = atomic_load(&stats->slot[thread]);
        if (slot == NULL)
            continue;
        total.requests += atomic_load(&slot->requests);
        total.bytes += atomic_load(&slot->bytes);
    }
    return total;
}

struct stats_place stats_where(const struct stats *stats, unsigned thread)
{
    const struct slot *slot = atomic_load(&stats->slot[thread]);
    struct stats_place place = {
        .requests = (const uint64_t *)&slot->requests,
        .bytes = (const uint64_t *)&slot->bytes,
    };
    return place;
}

void stats_free(struct stats *stats)
{
    for (unsigned thread = 0; thread < stats->threads; thread++)
        free(atomic_load(&stats->slot[thread]));
    free(stats);
}
