/* The heap profile: exact at rate 1, fair at others, and right while the rate changes. What it says
   is compared with what the test itself has allocated, never with another run. */
/* run: upto=leak without=asan,tsan flags=-fno-builtin,-fno-optimize-sibling-calls,-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>

#if PLI_INTERPOSE

typedef struct sums { int64_t made, made_bytes, live, live_bytes; } sums;

/* The sums of all sites that have a function on their stack; NULL: of all. */
static sums sums_of(const char *function)
{
    pli_profile_view view = {.name = "heap"};
    sums all = {0, 0, 0, 0};
    size_t at = 0;
    if (pli_allocs_view(&view, false) != PL_OK)
        abort();
    for (pli_site *site; (site = pli_sites_next(view.sites, &at)) != NULL;) {
        pl_frame frame;
        bool there = function == NULL;
        for (int i = 0; i < site->depth && !there; i++)
            there = pl_symbolize((void *)site->pcs[i], &frame) == PL_OK &&
                    strcmp(frame.function, function) == 0;
        if (!there)
            continue;
        all.made += pli_view_value(&view, 0, site);
        all.made_bytes += pli_view_value(&view, 1, site);
        all.live += pli_view_value(&view, 2, site);
        all.live_bytes += pli_view_value(&view, 3, site);
    }
    return all;
}

static sums since(const char *function, sums before)
{
    sums now = sums_of(function);
    return (sums){now.made - before.made, now.made_bytes - before.made_bytes,
                  now.live - before.live, now.live_bytes - before.live_bytes};
}

/* -- Exact -- */

enum { ROUNDS = 50 };

/* Every entry point, failures included; *ledger gets what was made. Returns what is still live. */
static PL_NOINLINE int64_t ledger_calls(sums *ledger)
{
    void *all[16 * ROUNDS];
    int n = 0;
    for (int i = 1; i <= ROUNDS; i++) {
        size_t size = (size_t)(i * i * 37);
        all[n++] = malloc(size);
        all[n++] = calloc(size, 3);
        all[n++] = aligned_alloc(64, 64 * size);
        if (posix_memalign(&all[n++], 128, size))
            abort();
        all[n++] = memalign(32, size);
        all[n++] = valloc(size);
        all[n++] = malloc(0);
        all[n++] = strdup("forty-two bytes of text, or nearly that");
        void *moved = malloc(size);
        ledger->made++, ledger->made_bytes += (int64_t)malloc_usable_size(moved);
        all[n++] = realloc(moved, 7 * size);
        size_t huge = (size_t)1 << 62;
        PL_HIDE(huge);
        ok(!realloc(all[n - 1], huge) && !malloc(huge) && !calloc(huge, huge),
           "what is too large fails");
    }
    for (int i = 0; i < n; i++) {
        ledger->made++, ledger->made_bytes += (int64_t)malloc_usable_size(all[i]);
        if (i % 3)
            free(all[i]);
        else
            ledger->live++, ledger->live_bytes += (int64_t)malloc_usable_size(all[i]);
    }
    for (int i = 0; i < n; i += 3)
        PL_KEEP(all[i]);
    return n;
}

static void test_exact(void)
{
    sums before = sums_of("ledger_calls"), ledger = {0, 0, 0, 0};
    ledger_calls(&ledger);
    sums got = since("ledger_calls", before);
    is_int(got.made, ledger.made, "blocks made");
    is_int(got.made_bytes, ledger.made_bytes, "bytes made");
    is_int(got.live, ledger.live, "blocks live");
    is_int(got.live_bytes, ledger.live_bytes, "bytes live");
}

static void *shared[64 * 100];

static void *make_shared(void *arg)
{
    size_t begin = (size_t)(uintptr_t)arg * 400;
    for (size_t i = begin; i < begin + 400; i++)
        shared[i] = malloc(i % 500 + 1);
    return NULL;
}

static void *free_shared(void *arg)
{
    size_t begin = (size_t)(uintptr_t)arg * 400;
    for (size_t i = begin; i < begin + 400; i++)
        free(shared[(i * 7919) % 6400]); /* those of other threads */
    return NULL;
}

static void all_threads(void *(*run)(void *))
{
    pthread_t thread[16];
    for (uintptr_t i = 0; i < 16; i++)
        if (pthread_create(&thread[i], NULL, run, (void *)i))
            abort();
    for (int i = 0; i < 16; i++)
        pthread_join(thread[i], NULL);
}

static void test_other_threads(void)
{
    sums before = sums_of("make_shared");
    all_threads(make_shared);
    is_int(since("make_shared", before).live, 6400, "16 threads make 400 blocks each");
    all_threads(free_shared);
    is_int(since("make_shared", before).live, 0, "and free each other's: none is live");
    is_int(since("make_shared", before).live_bytes, 0, "nor any byte");
    is_int(since("make_shared", before).made, 6400, "6400 were made");
}

/* -- Sampled -- */

static PL_NOINLINE void many_small(int n)
{
    for (int i = 0; i < n; i++)
        free(malloc(104));
}

static PL_NOINLINE void few_large(int n)
{
    for (int i = 0; i < n; i++)
        free(malloc(3000000));
}

static void within(double got, double want, double part, const char *what)
{
    if (!ok(got > want * (1 - part) && got < want * (1 + part), "%s", what))
        diag("got %.0f, want %.0f within %.0f %%", got, want, 100 * part);
}

/* 208 MB at 16 KiB are 12,700 hits: a standard deviation of 0.9 %. */
static void test_fair(void)
{
    pl_heap_rate_set(16384);
    sums small = sums_of("many_small"), large = sums_of("few_large");
    many_small(2000000);
    few_large(300);
    small = since("many_small", small), large = since("few_large", large);
    within((double)small.made, 2e6, 0.05, "small blocks: their number");
    within((double)small.made_bytes, 2e6 * 104, 0.05, "and bytes");
    is_int(large.made, 300, "blocks much larger than the rate: every one");
    ok(small.live == 0 && large.live == 0, "none is live: each free finds its block");
}

/* Halves of the same work under different rates add up; what an old rate has kept stays. */
static void test_rate_changes(void)
{
    sums before = sums_of("many_small");
    pl_heap_rate_set(4096);
    many_small(500000);
    sums first = since("many_small", before);
    pl_heap_rate_set(65536);
    is_int(since("many_small", before).made, first.made, "a new rate changes no old count");
    many_small(500000);
    within((double)since("many_small", before).made, 1e6, 0.15, "both halves count the same");
    pl_heap_rate_set(0);
    sums off = since("many_small", before);
    many_small(500000);
    is_int(since("many_small", before).made, off.made, "rate 0 keeps nothing");
    pl_heap_rate_set(-1);
    is_int(pli_heap.rate, 0, "nor does a negative one");
    pl_heap_rate_set(1000);
    is_int(pli_heap.rate, 512, "rates are rounded down to a power of two");
}

static int stop;

static void *churn(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        many_small(100);
    return NULL;
}

/* A thread that is in the middle of its window when the rate is set notices soon: else it would go
   on without a hit for a gigabyte. */
static void test_running_threads(void)
{
    pthread_t thread;
    pl_heap_rate_set(0);
    sums before = sums_of("churn");
    if (pthread_create(&thread, NULL, churn, NULL))
        abort();
    for (int i = 0; i < 50; i++)
        pli_os_nap();
    pl_heap_rate_set(4096);
    int64_t waited = 0;
    for (; waited < 2000 && since("churn", before).made == 0; waited++)
        pli_os_nap();
    ok(waited < 2000, "a running thread takes the new rate over");
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

/* The peak, too, must survive that the words were moved under it. */
static void test_peak(void)
{
    pl_memstats m;
    void *p = malloc(50000);
    pl_memstats_read(&m);
    int64_t top = m.alloc;
    free(p);
    pl_heap_rate_set(8192);
    pl_memstats_read(&m);
    ok(m.peak_alloc >= top, "a new rate keeps the peak");
}

/* -- With others -- */

static PL_NOINLINE void *leak_one(void)
{
    return malloc(777);
}

static void test_beside_leaks(void)
{
    pl_leak_baseline mark;
    pl_heap_rate_set(1);
    sums before = sums_of("leak_one");
    ok(pl_leak_mark(&mark) == PL_OK, "a mark beside the profile");
    void *p = leak_one(), *q = leak_one();
    ok(pl_leak_check(&mark, NULL, NULL) >= 2, "the check finds blocks of the profile");
    free(q);
    pl_leak_stop();
    is_int(since("leak_one", before).live, 1, "the profile goes on without the check");
    free(p);
    is_int(since("leak_one", before).live, 0, "and knows the block that was left");
    pl_heap_rate_set(0);
    ok(pl_leak_mark(&mark) == PL_OK, "a mark without the profile");
    p = leak_one();
    pl_leak_stop();
    ok(!pli_live_find((uintptr_t)p), "what only the check knew is forgotten");
    free(p);
    is_int(since("leak_one", before).made, 2, "and was no part of the profile");
}

static void test_fork(void)
{
    pl_heap_rate_set(1);
    sums before = sums_of("leak_one");
    void *p = leak_one();
    pid_t child = fork();
    if (child == 0) {
        free(p);
        void *q = leak_one();
        pl_heap_rate_set(524288);
        _exit(since("leak_one", before).live != 1 || !q);
    }
    int status = 0;
    waitpid(child, &status, 0);
    is_int(status, 0, "a child frees its parent's block, and makes one of its own");
    is_int(since("leak_one", before).live, 1, "the parent's is still live");
    free(p);
}

/* -- Formats -- */

static char text[1 << 20];

static void write_text(const char *name)
{
    FILE *out = tmpfile();
    if (!out || pl_profile_write(name, out, 1) != PL_OK)
        abort();
    rewind(out);
    text[fread(text, 1, sizeof text - 1, out)] = '\0';
    fclose(out);
}

static void test_text(void)
{
    long long objects, bytes, all, all_bytes, rate;
    pl_heap_rate_set(1);
    void *p = leak_one();
    write_text("heap");
    is_int(sscanf(text, "heap profile: %lld: %lld [%lld: %lld] @ heap/%lld\n", &objects, &bytes,
                  &all, &all_bytes, &rate), 5, "the title is pprof's");
    ok(rate == 2 && objects >= 1 && bytes >= 777 && all > objects, "with sums, and twice the rate");
    ok(strstr(text, "\tleak_one+0x") && strstr(text, "\n# runtime.MemStats\n# alloc = ") &&
           strstr(text, "\n# MaxRSS = "), "names, statistics, and memory follow");
    free(p);
}

static void test_delta(void)
{
    pli_snapshot before;
    pli_bytes none = {NULL, 0, 0, false}, one = none;
    ok(pli_snapshot_take("heap", &before) == PL_OK, "a snapshot");
    ok(pli_profile_bytes("heap", 1, false, &before, &none) == PL_OK, "and nothing since");
    long long objects = -1, all = -1;
    pli_bytes_byte(&none, 0);
    sscanf((char *)none.data, "heap profile: %lld: %*d [%lld", &objects, &all);
    ok(objects == 0 && all == 0, "is nothing in the difference");
    void *p = leak_one();
    ok(pli_profile_bytes("heap", 1, false, &before, &one) == PL_OK, "one block later");
    pli_bytes_byte(&one, 0);
    sscanf((char *)one.data, "heap profile: %lld: %*d [%lld", &objects, &all);
    ok(objects == 1 && all == 1, "it is one");
    free(p);
    pli_bytes_free(&none), pli_bytes_free(&one);
    pli_snapshot_free(&before);
}

int main(void)
{
    FILE *null = fopen("/dev/null", "w");
    ok(null && pl_profile_write("heap", null, 0) == PL_INVALID, "no profile before a rate is set");
    fclose(null);
    pl_heap_rate_set(1);
    test_exact();
    test_other_threads();
    test_text();
    test_delta();
    test_fair();
    test_rate_changes();
    test_running_threads();
    test_peak();
    test_beside_leaks();
    test_fork();
    return done();
}

#else

int main(void)
{
    pl_heap_rate_set(1);
    free(malloc(100));
    ok(1, "without hooks a rate changes nothing");
    return done();
}

#endif
