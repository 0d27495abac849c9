/* The registry of threads and the sums over them: other threads, dead threads, forks. */
/* run: flags=-fno-builtin */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <signal.h>
#include <sys/wait.h>

#define THREADS 8

static pl_memstats read_now(void)
{
    pl_memstats m;
    pl_memstats_read(&m);
    return m;
}

static void run_threads(int n, void *(*body)(void *))
{
    pthread_t threads[64];
    for (int i = 0; i < n; i++)
        pthread_create(&threads[i], NULL, body, (void *)(intptr_t)i);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* A first round of threads makes libc allocate what it keeps. */
static void warm_up(void *(*body)(void *))
{
    run_threads(THREADS, body);
}

static void *alloc_1000(void *arg)
{
    for (int i = 0; i < 1000; i++)
        free(malloc((size_t)(i * 7 % 3000 + (intptr_t)arg)));
    return NULL;
}

static void test_exited(void)
{
    warm_up(alloc_1000);
    pl_memstats before = read_now();
    run_threads(THREADS, alloc_1000);
    pl_memstats d = read_now();
    d = pl_memstats_diff(&d, &before);
    ok(d.mallocs >= THREADS * 1000 && d.mallocs < THREADS * 1000 + 200,
       "what exited threads allocated is counted (%lld)", (long long)d.mallocs);
    is_int(d.mallocs - d.frees, d.heap_objects, "objects are mallocs less frees");
    ok(llabs(d.alloc) < 10000, "and nothing of it is live");
}

#define HANDED 256
static void *_Atomic handed[THREADS][HANDED];
static pthread_barrier_t all_filled;

/* Every thread frees what the others allocated. */
static void *give_and_take(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < HANDED; i++)
        handed[me][i] = malloc(1000 + (size_t)i * 40);
    pthread_barrier_wait(&all_filled);
    for (int i = 0; i < HANDED; i++)
        free(handed[(me + 1 + i % (THREADS - 1)) % THREADS][i]);
    return NULL;
}

static void test_cross_thread(void)
{
    pthread_barrier_init(&all_filled, NULL, THREADS);
    warm_up(give_and_take);
    pl_memstats before = read_now();
    for (int round = 0; round < 16; round++)
        run_threads(THREADS, give_and_take);
    pl_memstats after = read_now(), d = pl_memstats_diff(&after, &before);
    is_int(d.alloc, 0, "freed by other threads: live bytes return to where they were");
    is_int(d.heap_objects, 0, "and live blocks");
    long long held = THREADS * (HANDED * 1000ll + 40ll * HANDED * (HANDED - 1) / 2);
    ok(after.peak_alloc - before.alloc > held - THREADS * 65536 &&
           after.peak_alloc - before.alloc < held + THREADS * (65536 + HANDED * 16) + 65536,
       "the peak over %d threads is right within 64 KiB a thread", THREADS);
}

static pthread_key_t late_key;

static void allocate_late(void *value)
{
    free(malloc(500));
    if ((intptr_t)value > 1) /* once more in the next round of destructors */
        pthread_setspecific(late_key, (void *)((intptr_t)value - 1));
}

static void *with_late_key(void *arg)
{
    (void)arg;
    free(malloc(10));
    pthread_setspecific(late_key, (void *)3);
    return NULL;
}

static void test_after_death(void)
{
    pthread_key_create(&late_key, allocate_late);
    warm_up(with_late_key);
    pl_memstats before = read_now();
    run_threads(THREADS, with_late_key);
    pl_memstats after = read_now(), d = pl_memstats_diff(&after, &before);
    ok(d.mallocs >= THREADS * 4, "what thread destructors allocate is counted (%lld)",
       (long long)d.mallocs);
    is_int(d.heap_objects, 0, "and freed");
}

static void *allocate_once(void *arg)
{
    (void)arg;
    free(malloc(100));
    return NULL;
}

static long long blocks(void)
{
    long long n = 0;
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        n++;
    return n;
}

static void test_churn(void)
{
    warm_up(allocate_once);
    long long had = blocks();
    int64_t seen = read_now().threads_seen;
    for (int i = 0; i < 2000 / THREADS; i++)
        run_threads(THREADS, allocate_once);
    is_int(blocks(), had, "2,000 threads reuse the blocks of those before them");
    is_int(read_now().threads_seen - seen, 2000, "and each was seen");
}

static volatile int stop_now;

static void *allocate_until_told(void *arg)
{
    unsigned n = (unsigned)(intptr_t)arg;
    while (!stop_now) {
        n = n * 1664525u + 1013904223u;
        free(malloc(n >> 18));
    }
    return NULL;
}

/* In the child: counting goes on, and new threads work. Exit status 0 when all is right. */
static int check_child(const pl_memstats *at_fork)
{
    pl_memstats before = read_now();
    void *p = malloc(1000);
    pl_memstats after = read_now();
    if (before.mallocs < at_fork->mallocs || after.mallocs - before.mallocs != 1)
        return 1;
    run_threads(2, allocate_once);
    free(p);
    return read_now().mallocs > after.mallocs ? 0 : 2;
}

static void test_fork(void)
{
    pthread_t busy[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&busy[i], NULL, allocate_until_told, (void *)(intptr_t)i);
    int wrong = 0;
    for (int i = 0; i < 100; i++) {
        pl_memstats now = read_now();
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            _exit(check_child(&now));
        }
        int status = -1;
        waitpid(child, &status, 0);
        wrong += status != 0;
    }
    stop_now = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(busy[i], NULL);
    is_int(wrong, 0, "100 forks while 4 threads allocate: every child counts on");
}

/* Readers see sums that only grow, whatever the threads are doing. */
static void test_readers(void)
{
    pthread_t busy[4];
    stop_now = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&busy[i], NULL, allocate_until_told, (void *)(intptr_t)i);
    int64_t last = 0, back = 0;
    for (int i = 0; i < 3000; i++) {
        pl_memstats m;
        pli_heap_sum(&m);
        back += m.mallocs < last;
        last = m.mallocs;
    }
    stop_now = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(busy[i], NULL);
    is_int(back, 0, "mallocs never go back while four threads allocate");
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!PLI_INTERPOSE) {
        is_int(read_now().counted, 0, "a sanitizer build says that nothing is counted");
        return done();
    }
    test_exited();
    test_cross_thread();
    test_after_death();
    test_churn();
    test_fork();
    test_readers();
    return done();
}
