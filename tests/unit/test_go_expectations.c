/* What the tests of Go's runtime/pprof expect of block, mutex and heap profiles, asked of these:
   delays of known waits, no bias between short and long ones, depth, one sample a stack. */
/* run: upto=sync without=asan,tsan flags=-fno-builtin,-fno-optimize-sibling-calls,-ldl alone=yes */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <pthread.h>

#if PLI_INTERPOSE

enum { WAITERS = 100 };
#define HOLD_MS 100

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int waiting;
static int64_t waited_ns; /* by all, as they see it */

static int64_t sum(const pli_sites *sites, int value)
{
    size_t at = 0;
    int64_t all = 0;
    for (pli_site *site; (site = pli_sites_next(sites, &at)) != NULL;)
        all += site->value[value];
    return all;
}

static void *wait_once(void *unused)
{
    int64_t began = (int64_t)pl_now_ns();
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&mutex);
    __atomic_add_fetch(&waited_ns, (int64_t)pl_now_ns() - began, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&mutex);
    return unused;
}

/* Go's TestMutexProfile: a lock is held while 100 wait. Its holder is charged with all of it. */
static void test_mutex(void)
{
    pthread_t thread[WAITERS];
    pl_mutex_fraction_set(1);
    pthread_mutex_lock(&mutex);
    int64_t began = (int64_t)pl_now_ns();
    for (int i = 0; i < WAITERS; i++)
        if (pthread_create(&thread[i], NULL, wait_once, NULL))
            abort();
    while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < WAITERS)
        pli_os_nap();
    struct timespec hold = {0, HOLD_MS * 1000000};
    nanosleep(&hold, NULL);
    pthread_mutex_unlock(&mutex);
    int64_t wall = (int64_t)pl_now_ns() - began;
    for (int i = 0; i < WAITERS; i++)
        pthread_join(thread[i], NULL);
    int64_t charged = sum(&pli_sync.charged, 1);
    ok((double)charged >= 0.9 * WAITERS * HOLD_MS * 1e6, "at least 0.9 of 100 x 100 ms");
    ok((double)charged <= 1.1 * WAITERS * (double)wall + 0.1 * (double)waited_ns,
       "at most 1.1 of 100 x the time it was held");
    ok((double)charged > 0.95 * (double)waited_ns && (double)charged < 1.05 * (double)waited_ns,
       "and within 5 %% of what the waiters saw");
    diag("charged %.3f s, waited %.3f s", (double)charged / 1e9, (double)waited_ns / 1e9);
    pl_mutex_fraction_set(0);
}

static PL_NOINLINE void blocked(uint64_t ns)
{
    pli_sync_blocked((uint64_t)((double)ns / ((double)pl_ticks_to_ns(1 << 30) / (1 << 30))),
                     __builtin_return_address(0));
    PL_CLOBBER();
}

static PL_NOINLINE void often_short(int n)
{
    for (int i = 0; i < n; i++)
        blocked(500);
}

static PL_NOINLINE void seldom_long(int n)
{
    for (int i = 0; i < n; i++)
        blocked(10000);
}

/* Go's TestBlockProfileBias: as much time in many short waits as in few long ones. */
static void test_bias(void)
{
    pl_block_rate_set(1000);
    int64_t before = sum(&pli_sync.blocked, 1), events = sum(&pli_sync.blocked, 0);
    often_short(400000);
    int64_t middle = sum(&pli_sync.blocked, 1), middle_events = sum(&pli_sync.blocked, 0);
    seldom_long(20000);
    double brief = (double)(middle - before);
    double lasting = (double)(sum(&pli_sync.blocked, 1) - middle);
    ok(brief > 0.95 * lasting && brief < 1.05 * lasting, "no bias: %.4f of the long ones' time",
       brief / lasting);
    double seen = (double)(middle_events - events);
    ok(seen > 380000 && seen < 420000, "as many as there were: %.0f of 400000", seen);
    pl_block_rate_set(0);
}

/* Deeper than any limit. */
static PL_NOINLINE void deep(int frames, void (*what)(void))
{
    if (frames > 0)
        deep(frames - 1, what);
    else
        what();
    PL_CLOBBER();
}

static void allocate(void)
{
    free(malloc(12345));
}

static void block(void)
{
    pli_sync_count(&pli_sync.blocked, __builtin_return_address(0), 1, 77777);
}

/* The deepest stack, and whether it says that it was cut. */
static int deepest(const pli_sites *sites, bool *cut)
{
    size_t at = 0;
    int depth = 0;
    for (pli_site *site; (site = pli_sites_next(sites, &at)) != NULL;)
        if (site->depth > depth) {
            depth = site->depth;
            *cut = site->pcs[depth - 1] == PLI_PC_TRUNCATED;
        }
    return depth;
}

/* Go's TestProfilerStackDepth: 128 frames, and whoever wants to know sees that there were more. */
static void test_depth(void)
{
    bool cut = false;
    pl_heap_rate_set(1);
    deep(100, allocate);
    ok(deepest(&pli_live.sites, &cut) > 100 && !cut, "heap: 100 frames and more, whole");
    deep(500, allocate);
    is_int(deepest(&pli_live.sites, &cut), 128, "heap: 128 of 500 frames");
    ok(cut, "which says so");
    pl_block_rate_set(1);
    deep(500, block);
    ok(deepest(&pli_sync.blocked, &cut) >= 128 && cut, "block: as deep");
    pl_heap_rate_set(0), pl_block_rate_set(0);
}

/* Go's TestProfileRecordNoDuplicates: a stack and size is one sample. */
static void test_no_duplicates(void)
{
    const pli_sites *tables[] = {&pli_live.sites, &pli_sync.blocked, &pli_sync.charged};
    int twice = 0;
    for (int i = 0; i < 3; i++) {
        size_t at = 0;
        for (pli_site *a; (a = pli_sites_next(tables[i], &at)) != NULL;) {
            size_t other = at;
            for (pli_site *b; (b = pli_sites_next(tables[i], &other)) != NULL;)
                twice += a->depth == b->depth && a->size == b->size && a->labels == b->labels &&
                         memcmp(a->pcs, b->pcs, (size_t)a->depth * sizeof *a->pcs) == 0;
        }
    }
    is_int(twice, 0, "no stack is there twice");
}

int main(void)
{
    test_mutex();
    test_bias();
    test_depth();
    test_no_duplicates();
    return done();
}

#else

int main(void)
{
    ok(1, "without hooks nothing is expected");
    return done();
}

#endif
