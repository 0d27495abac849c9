/* Compares perflab's statistics with a ledger of its own and says "exact", "silent" (nothing is
   counted, and the text says so) or what differs. Runs above any allocator. */
#define _GNU_SOURCE
#include "perflab.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 1000

static struct { long long mallocs, frees, bytes, live; } book;
static void *kept[SLOTS];
static unsigned random_state = 1;

static unsigned draw(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (unsigned)(((unsigned long long)random_state * below) >> 32);
}

static void enter(void *p)
{
    long long bytes = p ? (long long)malloc_usable_size(p) : 0;
    book.mallocs += p != NULL, book.bytes += bytes, book.live += bytes;
}

static void leave(void *p)
{
    book.frees += p != NULL, book.live -= p ? (long long)malloc_usable_size(p) : 0;
}

static void *allocate(size_t n)
{
    void *p = NULL;
    switch (draw(6)) {
    case 0: return calloc(1, n);
    case 1: return aligned_alloc(64, (n + 63) & ~(size_t)63);
    case 2: return posix_memalign(&p, 32, n) == 0 ? p : NULL;
    default: return malloc(n);
    }
}

static void step(void)
{
    void **slot = &kept[draw(SLOTS)];
    size_t n = 1 + draw(4000) * (draw(97) ? 1 : 100);
    leave(*slot);
    if (*slot && draw(2)) {
        *slot = realloc(*slot, n);
    } else {
        free(*slot);
        *slot = allocate(n);
    }
    enter(*slot);
}

int main(void)
{
    pl_memstats before, after, d;
    pl_memstats_read(&before);
    for (int i = 0; i < 100000; i++)
        step();
    pl_memstats_read(&after);
    d = pl_memstats_diff(&after, &before);
    if (!after.counted) {
        puts(d.mallocs == 0 && d.frees == 0 && d.total_alloc == 0 ? "silent" : "half a count");
        return pl_memstats_write(&after, stdout) != PL_OK;
    }
    int same = d.mallocs == book.mallocs && d.frees == book.frees &&
               d.total_alloc == book.bytes && d.alloc == book.live;
    puts(same ? "exact" : "different");
    if (!same)
        printf("mallocs %lld %lld, frees %lld %lld, bytes %lld %lld, live %lld %lld\n",
               (long long)d.mallocs, book.mallocs, (long long)d.frees, book.frees,
               (long long)d.total_alloc, book.bytes, (long long)d.alloc, book.live);
    return 0;
}
