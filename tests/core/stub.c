/* Takes the addresses of malloc and free. Built without position independence, these are stubs of
   this program, for every library too. Says "exact" when blocks are counted all the same. */
#include "perflab.h"

#include <stdlib.h>

static __attribute__((noinline)) void *allocate(void *(*with)(size_t))
{
    PL_HIDE(with);
    return with(100);
}

static __attribute__((noinline)) void release(void (*with)(void *), void *p)
{
    PL_HIDE(with);
    with(p);
}

int main(void)
{
    pl_memstats before, after;
    pl_memstats_read(&before);
    for (int i = 0; i < 100; i++)
        release(free, allocate(malloc));
    pl_memstats_read(&after);
    int exact = after.counted && after.mallocs - before.mallocs == 100 &&
                after.frees - before.frees == 100;
    puts(exact ? "exact" : "different");
    return 0;
}
