/* Memory limits: when the bell rings, and that beyond the wall every entry point fails cleanly. */
/* run: upto=limit without=asan,tsan flags=-fno-builtin,-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <malloc.h>
#include <pthread.h>

#if PLI_INTERPOSE

static int rung;
static int64_t heard;
static void *cache[100];

static int64_t live(void)
{
    pl_memstats m;
    pl_memstats_read(&m);
    return m.alloc;
}

static void ring(int64_t live_bytes, void *user)
{
    rung++, heard = live_bytes;
    *(int *)user += 1;
}

/* Gives the cache back, as a program would; and takes a little, which must not ring again. */
static void empty_cache(int64_t live_bytes, void *user)
{
    (void)live_bytes, (void)user;
    rung++;
    free(malloc(1000));
    for (int i = 0; i < 100; i++)
        free(cache[i]), cache[i] = NULL;
}

static void test_soft(void)
{
    int told = 0;
    int64_t base = live();
    ok(pl_memlimit_set(base + 1000000, ring, &told, 0) == PL_OK, "a soft limit");
    void *p = malloc(900000);
    is_int(rung, 0, "below it: silence");
    void *q = malloc(200000);
    ok(rung == 1 && told == 1, "above: a bell");
    ok(heard > base + 1000000 && heard < base + 1300000, "with the bytes that would be live");
    void *r = malloc(300000);
    is_int(rung, 1, "further above: not again");
    free(r);
    r = malloc(300000);
    is_int(rung, 1, "nor after a little less");
    free(q), free(p);
    p = malloc(1100000);
    is_int(rung, 2, "again after it was well below");
    free(p), free(r);
    pl_memlimit_set(0, NULL, NULL, 0);
    free(malloc(5000000));
    is_int(rung, 2, "without a limit: silence");
}

static void test_callback(void)
{
    for (int i = 0; i < 100; i++)
        cache[i] = malloc(10000);
    rung = 0;
    pl_memlimit_set(live() + 100000, empty_cache, NULL, 0);
    void *p = malloc(300000);
    ok(p && rung == 1 && !cache[0], "a callback may free and allocate");
    free(p);
    pl_memlimit_set(0, NULL, NULL, 0);
}

static void test_hard(void)
{
    void *out = &out, *small = malloc(100);
    size_t much = 3000000, half = SIZE_MAX / 2;
    PL_HIDE(much);
    PL_HIDE(half);
    ok(pl_memlimit_set(0, NULL, NULL, live() + 1000000) == PL_OK, "a hard limit");
    errno = 0;
    ok(!malloc(much) && errno == ENOMEM, "malloc");
    ok(!calloc(much / 100, 100), "calloc");
    ok(!calloc(half, 3), "calloc of what overflows");
    ok(!aligned_alloc(64, much / 64 * 64) && !memalign(64, much) && !valloc(much) && !pvalloc(much),
       "the aligned ones");
    ok(posix_memalign(&out, 64, much) == ENOMEM && out == &out, "posix_memalign");
    strcpy(small, "still there");
    ok(!realloc(small, much) && strcmp(small, "still there") == 0, "realloc leaves the block");
    char *grown = realloc(small, 900000);
    ok(grown && strcmp(grown, "still there") == 0, "what fits is given");
    grown = realloc(grown, 950000);
    ok(grown != NULL, "of a block that grows, only the rest counts");
    free(grown);
    void *fits = malloc(900000);
    ok(fits != NULL, "what was freed can be had again");
    free(fits);
    pl_memlimit_set(0, NULL, NULL, 0);
    fits = malloc(much);
    ok(fits != NULL, "without a limit all is as before");
    free(fits);
}

static void *churn(void *unused)
{
    for (int i = 0; i < 20000; i++)
        free(malloc((size_t)i % 3000));
    return unused;
}

/* Limits come and go while others allocate. */
static void test_threads(void)
{
    pthread_t thread[4];
    int64_t before = live();
    for (int i = 0; i < 4; i++)
        if (pthread_create(&thread[i], NULL, churn, NULL))
            abort();
    for (int i = 0; i < 200; i++) {
        pl_memlimit_set(1 << 20, NULL, NULL, i % 2 ? 1 << 30 : 0);
        pl_memlimit_set(0, NULL, NULL, 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    ok(live() - before < 100000, "nothing is lost or counted twice");
}

int main(void)
{
    is_int(pl_memlimit_set(-1, NULL, NULL, 0), PL_INVALID, "no negative limits");
    is_int(pl_memlimit_set(0, NULL, NULL, -1), PL_INVALID, "neither of them");
    test_soft();
    test_callback();
    test_hard();
    test_threads();
    return done();
}

#else

int main(void)
{
    is_int(pl_memlimit_set(1, NULL, NULL, 1), PL_UNSUPPORTED, "no hooks, no limits");
    return done();
}

#endif
