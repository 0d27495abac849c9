/* The registry of threads and the sums over them: other threads, dead threads, forks. */
/* run: upto=malloc flags=-fno-builtin */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
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

#define GIVERS 16
#define HANDED 256
static void *_Atomic handed[GIVERS][HANDED];
static pthread_barrier_t all_filled;

/* Every thread frees what the others allocated. */
static void *give_and_take(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < HANDED; i++)
        handed[me][i] = malloc(1000 + (size_t)i * 40);
    pthread_barrier_wait(&all_filled);
    for (int i = 0; i < HANDED; i++)
        free(handed[(me + 1 + i % (GIVERS - 1)) % GIVERS][i]);
    return NULL;
}

static void test_cross_thread(void)
{
    pthread_barrier_init(&all_filled, NULL, GIVERS);
    run_threads(GIVERS, give_and_take);
    pl_memstats before = read_now();
    for (int round = 0; round < 16; round++)
        run_threads(GIVERS, give_and_take);
    pl_memstats after = read_now(), d = pl_memstats_diff(&after, &before);
    is_int(d.alloc, 0, "freed by other threads: live bytes return to where they were");
    is_int(d.heap_objects, 0, "and live blocks");
    long long held = GIVERS * (HANDED * 1000ll + 40ll * HANDED * (HANDED - 1) / 2);
    ok(after.peak_alloc - before.alloc > held - GIVERS * 65536 &&
           after.peak_alloc - before.alloc < held + GIVERS * (65536 + HANDED * 16) + 65536,
       "the peak over %d threads is right within 64 KiB a thread", GIVERS);
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
    for (int i = 0; i < 10000 / THREADS; i++)
        run_threads(THREADS, allocate_once);
    is_int(blocks(), had, "10,000 threads reuse the blocks of those before them");
    is_int(read_now().threads_seen - seen, 10000, "and each was seen");
}

static volatile int stop_now;

/* What starting threads allocates is over when the busy threads begin. */
static pthread_barrier_t all_there;

static void start_busy(pthread_t *busy, int n, void *(*body)(void *))
{
    stop_now = 0;
    pthread_barrier_init(&all_there, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++)
        pthread_create(&busy[i], NULL, body, (void *)(intptr_t)i);
}

static void stop_busy(pthread_t *busy, int n)
{
    stop_now = 1;
    for (int i = 0; i < n; i++)
        pthread_join(busy[i], NULL);
}

static void *allocate_until_told(void *arg)
{
    unsigned n = (unsigned)(intptr_t)arg;
    pthread_barrier_wait(&all_there);
    while (!stop_now) {
        n = n * 1664525u + 1013904223u;
        free(malloc(n >> 18));
    }
    return NULL;
}

/* What eight threads have done, for a child that is born in the middle of it. */
static struct { long long mallocs, frees; } done_by[THREADS];

/* Small pairs, and between them blocks that move the counts out of their window, so that a fork
   often meets a thread that is settling. */
static void *allocate_and_settle(void *arg)
{
    int me = (int)(intptr_t)arg;
    void *large[3];
    setpriority(PRIO_PROCESS, 0, 19); /* of this thread: the children shall come first */
    pthread_barrier_wait(&all_there);
    while (!stop_now) {
        for (int i = 0; i < 200; i++) {
            void *p = malloc(24);
            PLI_ADD(done_by[me].mallocs, 1);
            free(p);
            PLI_ADD(done_by[me].frees, 1);
        }
        for (int i = 0; i < 3; i++, PLI_ADD(done_by[me].mallocs, 1))
            large[i] = malloc(40000);
        for (int i = 0; i < 3; i++, PLI_ADD(done_by[me].frees, 1))
            free(large[i]);
    }
    return NULL;
}

static pthread_barrier_t begun, may_end;

static void *allocate_and_stay(void *arg)
{
    free(malloc(100));
    pthread_barrier_wait(&begun);
    pthread_barrier_wait(&may_end);
    return arg;
}

/* New threads take over what the lost ones left, and are read while they live. */
static int new_threads_count(void)
{
    pthread_t threads[THREADS];
    pl_memstats before = read_now();
    pthread_barrier_init(&begun, NULL, THREADS + 1);
    pthread_barrier_init(&may_end, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, allocate_and_stay, NULL);
    pthread_barrier_wait(&begun);
    int counted = read_now().frees - before.frees >= THREADS;
    pthread_barrier_wait(&may_end);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return counted;
}

/* In the child. Each lost thread may have been inside one malloc or free. Exit status 0 when all is
   right. */
static int check_child(const pl_memstats *start)
{
    pl_memstats now = read_now();
    long long mallocs = now.mallocs - start->mallocs, frees = now.frees - start->frees;
    for (int i = 0; i < THREADS; i++)
        mallocs -= done_by[i].mallocs, frees -= done_by[i].frees;
    /* Starting a thread may take a block or two; a half-settled thread is off by hundreds. */
    if (llabs(mallocs) > 4 * THREADS || llabs(frees) > 4 * THREADS)
        return 1;
    free(malloc(1000));
    if (read_now().mallocs - now.mallocs != 1)
        return 2;
    return new_threads_count() ? 0 : 3;
}

static void test_fork(void)
{
    pthread_t busy[THREADS];
    start_busy(busy, THREADS, allocate_and_settle);
    pl_memstats start = read_now();
    pthread_barrier_wait(&all_there);
    int wrong = 0;
    for (int i = 0; i < 250 && !wrong; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a child that waits for a lost thread ends, too */
            _exit(check_child(&start));
        }
        waitpid(child, &wrong, 0);
    }
    stop_busy(busy, THREADS);
    is_int(wrong, 0, "250 forks while 8 threads allocate: every child counts on");
    long long mallocs = 0;
    for (int i = 0; i < THREADS; i++)
        mallocs += done_by[i].mallocs;
    ok(llabs(read_now().mallocs - start.mallocs - mallocs) <= 3 * THREADS,
       "and the parent never noticed");
}

/* Each of the busy threads holds at most one block, and a reader never sees anything else. */
static void test_readers(void)
{
    enum { BUSY = 4 };
    pthread_t busy[BUSY];
    start_busy(busy, BUSY, allocate_until_told);
    pl_memstats m = read_now();
    int64_t last = 0, back = 0, objects = m.heap_objects, outside = 0;
    pthread_barrier_wait(&all_there);
    for (int i = 0; i < 100000; i++) {
        pli_heap_sum(&m);
        back += m.mallocs < last;
        last = m.mallocs;
        outside += m.mallocs - m.frees < objects || m.mallocs - m.frees > objects + BUSY;
    }
    stop_busy(busy, BUSY);
    is_int(back, 0, "mallocs never go back while four threads allocate");
    is_int(outside, 0, "and no moment is seen at which a thread holds other than 0 or 1 blocks");
}

static sem_t gone;

/* A thread that nobody joins leaves its counts behind, too. */
static void *let_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        free(malloc(64));
    sem_post(&gone);
    return NULL;
}

static void start_detached(int n)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < n; i++)
        pthread_create(&thread, &attr, let_go, NULL);
    for (int i = 0; i < n; i++)
        sem_wait(&gone);
    pthread_attr_destroy(&attr);
}

static void test_detached(void)
{
    sem_init(&gone, 0, 0);
    start_detached(THREADS);
    pl_memstats before = read_now();
    start_detached(50);
    int64_t mallocs = read_now().mallocs - before.mallocs;
    ok(mallocs >= 5000 && mallocs < 5400, "50 detached threads are counted (%lld)",
       (long long)mallocs);
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
    test_detached();
    test_fork();
    test_readers();
    return done();
}
