/* What perflab itself needs and does not get: counts stay exact without a block for the thread. The
   calls that fail on purpose are those of perflab alone. */
/* run: upto=malloc flags=-fno-builtin */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define UNUSED __attribute__((unused)) /* in a sanitizer build */

static struct { int no_map, no_key, no_value, refused; } faults;

UNUSED static void *faulty_mmap(void *p, size_t size, int protection, int flags, int fd,
                                off_t offset)
{
    if (!faults.no_map)
        return mmap(p, size, protection, flags, fd, offset);
    faults.refused++;
    return MAP_FAILED;
}

UNUSED static int faulty_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    if (!faults.no_key)
        return pthread_key_create(key, destructor);
    faults.refused++;
    return 11;
}

UNUSED static int faulty_setspecific(pthread_key_t key, const void *value)
{
    if (!faults.no_value)
        return pthread_setspecific(key, value);
    faults.refused++;
    return 12;
}

#define mmap faulty_mmap
#define pthread_key_create faulty_key_create
#define pthread_setspecific faulty_setspecific
#define PERFLAB_IMPL
#include "perflab.h"
#undef mmap
#undef pthread_key_create
#undef pthread_setspecific
#include "tap.h"

#include <malloc.h>
#include <sys/wait.h>

typedef struct sums { long long blocks, bytes, live; } sums;

static void *work(void *arg)
{
    sums *s = arg;
    void *kept[10] = {0};
    for (int i = 0; i < 3000; i++) {
        void **slot = &kept[i % 10];
        s->live -= *slot ? (long long)malloc_usable_size(*slot) : 0;
        free(*slot);
        *slot = malloc((size_t)i % 700 * (i % 100 ? 1 : 3000));
        long long bytes = (long long)malloc_usable_size(*slot);
        s->blocks++, s->bytes += bytes, s->live += bytes;
    }
    for (int i = 0; i < 9; i++) { /* one stays */
        s->live -= (long long)malloc_usable_size(kept[i]);
        free(kept[i]);
    }
    return NULL;
}

static void start_and_join(int n, sums *sum)
{
    pthread_t threads[4];
    for (int i = 0; i < n; i++)
        pthread_create(&threads[i], NULL, work, &sum[i]);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* Exit status of a child whose work is counted right: 0. */
static int check_work(void)
{
    sums warm[4] = {{0, 0, 0}}, sum[4] = {{0, 0, 0}}, all = {0, 0, 0};
    start_and_join(4, warm); /* libc keeps what it needs for threads */
    pl_memstats before, after, d;
    pl_memstats_read(&before);
    start_and_join(4, sum);
    work(&all);
    pl_memstats_read(&after);
    d = pl_memstats_diff(&after, &before);
    for (int i = 0; i < 4; i++)
        all.blocks += sum[i].blocks, all.bytes += sum[i].bytes, all.live += sum[i].live;
    if (d.mallocs != all.blocks || d.heap_objects != 5 || d.total_alloc != all.bytes)
        return 1;
    if (d.alloc != all.live || after.peak_alloc < after.alloc)
        return 2;
    return faults.refused > 0 ? 0 : 3;
}

/* Each fault in a process of its own that has not met its threads yet: fork, then forget. */
static void test_fault(const char *name, int no_map, int no_key, int no_value)
{
    pid_t child = fork();
    if (child == 0) {
        pli_self = &pli_unborn;
        pli_threads.all = NULL;
        pli_threads.prepared = 0;
        faults.no_map = no_map, faults.no_key = no_key, faults.no_value = no_value;
        _exit(check_work());
    }
    int status = -1;
    waitpid(child, &status, 0);
    is_int(status, 0, "counts are exact %s", name);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!PLI_INTERPOSE) {
        pl_memstats m;
        is_int(pl_memstats_read(&m), PL_OK, "a sanitizer build reads without hooks");
        is_int(m.counted, 0, "and says that nothing is counted");
        return done();
    }
    test_fault("without memory for the blocks of threads", 1, 0, 0);
    test_fault("without a key that tells of the end of a thread", 0, 1, 0);
    test_fault("without room for the key's value", 0, 0, 1);
    return done();
}
