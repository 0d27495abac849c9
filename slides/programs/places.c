/* places.c: where lab 02's counters lie, counted from the cache line of the first. Build it with
   slow.c or the solution: python3 -m slides program THIS labs/02_false_sharing/slow.c */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4 };

/* machine_line is the lab's: here without the lab's input, which brings the figure there. */
size_t machine_line(void)
{
    long bytes = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
    return bytes > 0 ? (size_t)bytes : 64;
}

static void show(const char *name, unsigned thread, const uint64_t *place, uintptr_t start)
{
    printf("%s thread=%u offset=%zu\n", name, thread, (size_t)((uintptr_t)place - start));
}

int main(void)
{
    struct stats *stats = stats_new(THREADS);
    if (stats == NULL)
        return 1;
    struct stats_place first = stats_where(stats, 0);
    uintptr_t start = (uintptr_t)first.requests & ~(uintptr_t)(machine_line() - 1);
    printf("(line) bytes=%zu\n", machine_line());
    for (unsigned thread = 0; thread < THREADS; thread++) {
        struct stats_place place = stats_where(stats, thread);
        show("requests", thread, place.requests, start);
        show("bytes", thread, place.bytes, start);
    }
    stats_free(stats);
    return 0;
}
