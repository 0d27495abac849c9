/* The block and mutex profiles against schedules whose waits are known. Bounds are ratios to what
   the threads themselves have measured, so that a busy machine moves both. */
/* run: upto=profile without=asan,tsan */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>

#if PLI_INTERPOSE

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static int64_t waited_ns; /* by all threads, as they see it; atomic */
static int waiting;       /* atomic */

static void sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* The sums over all sites that have a function of that name on their stack. */
static void sums(const pli_sites *sites, const char *function, int64_t *events, int64_t *ns)
{
    size_t position = 0;
    *events = *ns = 0;
    for (pli_site *site; (site = pli_sites_next(sites, &position)) != NULL;) {
        pl_frame frame;
        bool there = function == NULL;
        for (int i = 0; i < site->depth && !there; i++)
            there = pl_symbolize((void *)site->pcs[i], &frame) == PL_OK &&
                    strcmp(frame.function, function) == 0;
        *events += there ? site->value[0] : 0;
        *ns += there ? site->value[1] : 0;
    }
}

static int64_t ns_of(const pli_sites *sites, const char *function)
{
    int64_t events, ns;
    sums(sites, function, &events, &ns);
    return ns;
}

static int64_t events_of(const pli_sites *sites, const char *function)
{
    int64_t events, ns;
    sums(sites, function, &events, &ns);
    return events;
}

/* What has been counted since is counted from 0. */
static void forget(void)
{
    size_t position = 0;
    for (pli_site *site; (site = pli_sites_next(&pli_sync.blocked, &position)) != NULL;)
        site->value[0] = site->value[1] = 0;
    position = 0;
    for (pli_site *site; (site = pli_sites_next(&pli_sync.charged, &position)) != NULL;)
        site->value[0] = site->value[1] = 0;
    waited_ns = 0;
    waiting = 0;
}

static bool near(int64_t got, int64_t wanted, int percent)
{
    diag("%lld, wanted %lld", (long long)got, (long long)wanted);
    return got * 100 >= wanted * (100 - percent) && got * 100 <= wanted * (100 + percent);
}

static PL_NOINLINE void wait_for_the_mutex(void)
{
    uint64_t began = pl_now_ns();
    __atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&mutex);
    __atomic_add_fetch(&waited_ns, (int64_t)(pl_now_ns() - began), __ATOMIC_RELAXED);
}

static PL_NOINLINE void let_it_go(void)
{
    pthread_mutex_unlock(&mutex);
    PL_CLOBBER(); /* no jump in place of the call */
}

static void *waiter(void *unused)
{
    wait_for_the_mutex();
    let_it_go();
    return unused;
}

/* The holder sleeps while five wait: 5 x 200 ms, charged to its unlock. */
static PL_NOINLINE void test_holder_is_charged(void)
{
    pthread_t thread[5];
    forget();
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 5; i++)
        pthread_create(&thread[i], NULL, waiter, NULL);
    while (__atomic_load_n(&waiting, __ATOMIC_RELAXED) < 5)
        sleep_ms(1);
    sleep_ms(200);
    let_it_go();
    for (int i = 0; i < 5; i++)
        pthread_join(thread[i], NULL);
    ok(near(ns_of(&pli_sync.charged, "let_it_go"), waited_ns, 5), "the unlock has all the waiting");
    ok(ns_of(&pli_sync.charged, "test_holder_is_charged") >= 1000 * 1000 * 900,
       "nearly all of it that of the one who slept");
    ok(near(ns_of(&pli_sync.blocked, "wait_for_the_mutex"), waited_ns, 5),
       "the waiters have it, too");
    is_int(events_of(&pli_sync.blocked, "wait_for_the_mutex"), 5, "five of them");
}

/* Who gets a lock at once has not waited. */
static void test_no_contention(void)
{
    forget();
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        pthread_rwlock_rdlock(&rwlock);
        pthread_rwlock_unlock(&rwlock);
        sem_post(&semaphore);
        sem_wait(&semaphore);
    }
    is_int(events_of(&pli_sync.blocked, NULL), 0, "nobody has waited");
    is_int(events_of(&pli_sync.charged, NULL), 0, "for nobody");
}

static PL_NOINLINE void hold_and_release(int64_t ms)
{
    pthread_mutex_lock(&mutex);
    sleep_ms(ms);
    pthread_mutex_unlock(&mutex);
}

static void *take_turns(void *count)
{
    for (int i = 0; i < *(int *)count; i++)
        hold_and_release(10);
    return NULL;
}

/* Two threads want a lock all the time, which each holds for a while: whoever has it, the other one
   waits, until one of them is through. */
static void test_turns(void)
{
    pthread_t thread[2];
    int count = 20;
    forget();
    uint64_t began = pl_now_ns();
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, take_turns, &count);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    int64_t took = (int64_t)(pl_now_ns() - began), got = ns_of(&pli_sync.charged, NULL);
    ok(got > took * 4 / 10 && got < took * 11 / 10, "turns: %lld of %lld ms",
       (long long)got / 1000000, (long long)took / 1000000);
    ok(near(got, ns_of(&pli_sync.blocked, "hold_and_release"), 5), "both profiles have the same");
}

static void *post_later(void *unused)
{
    sleep_ms(100);
    sem_post(&semaphore);
    sleep_ms(100);
    pthread_mutex_lock(&mutex);
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    sleep_ms(100);
    return unused;
}

static PL_NOINLINE void wait_for_the_semaphore(void)
{
    while (sem_wait(&semaphore) != 0)
        continue;
}

static PL_NOINLINE void wait_for_the_condition(void)
{
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
}

static PL_NOINLINE void wait_for_the_end(pthread_t thread)
{
    pthread_join(thread, NULL);
    PL_CLOBBER();
}

/* Each of these by another call, and measured around it. */
static void test_other_waits(void)
{
    pthread_t thread;
    struct timespec until;
    uint64_t t[4];
    forget();
    pthread_create(&thread, NULL, post_later, NULL);
    t[0] = pl_now_ns();
    wait_for_the_semaphore();
    t[1] = pl_now_ns();
    wait_for_the_condition();
    t[2] = pl_now_ns();
    wait_for_the_end(thread);
    t[3] = pl_now_ns();
    ok(near(ns_of(&pli_sync.blocked, "wait_for_the_semaphore"), (int64_t)(t[1] - t[0]), 5),
       "semaphore");
    ok(near(ns_of(&pli_sync.blocked, "wait_for_the_condition"), (int64_t)(t[2] - t[1]), 5),
       "condition");
    ok(near(ns_of(&pli_sync.blocked, "wait_for_the_end"), (int64_t)(t[3] - t[2]), 5), "join");
    forget();
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    uint64_t began = pl_now_ns();
    errno = 0;
    int result = sem_timedwait(&semaphore, &until);
    ok(result == -1 && errno == ETIMEDOUT, "a wait that ends by itself says so");
    ok(near(ns_of(&pli_sync.blocked, NULL), (int64_t)(pl_now_ns() - began), 5), "and is counted");
}

static void *read_later(void *unused)
{
    pthread_rwlock_rdlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
    return unused;
}

static pthread_barrier_t barrier;

static void *come_late(void *unused)
{
    sleep_ms(100);
    pthread_barrier_wait(&barrier);
    return unused;
}

static PL_NOINLINE void test_readers_and_barriers(void)
{
    pthread_t thread;
    forget();
    pthread_rwlock_wrlock(&rwlock);
    pthread_create(&thread, NULL, read_later, NULL);
    sleep_ms(100);
    pthread_rwlock_unlock(&rwlock);
    pthread_join(thread, NULL);
    int64_t ns = ns_of(&pli_sync.blocked, "read_later");
    ok(ns > 50 * 1000 * 1000, "a reader waits for the writer");
    ok(near(ns_of(&pli_sync.charged, "test_readers_and_barriers"), ns, 5), "which is charged");
    forget();
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, come_late, NULL);
    uint64_t began = pl_now_ns();
    pthread_barrier_wait(&barrier);
    int64_t took = (int64_t)(pl_now_ns() - began);
    ok(near(ns_of(&pli_sync.blocked, "test_readers_and_barriers"), took, 5), "barrier");
    is_int(events_of(&pli_sync.blocked, "come_late"), 0, "the last one does not wait");
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
}

/* Errors are libc's. */
static void test_errors(void)
{
    pthread_mutexattr_t kind;
    pthread_mutex_t checked;
    struct timespec past = {1, 0};
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checked, &kind);
    is_int(pthread_mutex_lock(&checked), 0, "an error checking mutex");
    is_int(pthread_mutex_lock(&checked), EDEADLK, "knows its owner");
    is_int(pthread_mutex_timedlock(&checked, &past), EDEADLK, "also with a time limit");
    is_int(pthread_mutex_unlock(&checked), 0, "goes back");
    is_int(pthread_mutex_unlock(&checked), EPERM, "once");
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_t again;
    pthread_mutex_init(&again, &kind);
    ok(pthread_mutex_lock(&again) == 0 && pthread_mutex_lock(&again) == 0 &&
       pthread_mutex_unlock(&again) == 0 && pthread_mutex_unlock(&again) == 0,
       "a recursive one can be taken twice");
    pthread_mutex_destroy(&again);
    pthread_mutex_destroy(&checked);
    is_int(pthread_join(pthread_self(), NULL), EDEADLK, "nobody waits for himself");
}

static PL_NOINLINE void *short_waits(void *count)
{
    for (int i = 0; i < *(int *)count; i++) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 300000;
        if (until.tv_nsec >= 1000000000)
            until.tv_sec++, until.tv_nsec -= 1000000000;
        uint64_t began = pl_now_ns();
        sem_timedwait(&semaphore, &until);
        __atomic_add_fetch(&waited_ns, (int64_t)(pl_now_ns() - began), __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Below the rate a wait is kept now and then, and weighs for those that were not. */
static void test_rate(void)
{
    int count = 4000;
    forget();
    pl_block_rate_set(2000000);
    short_waits(&count);
    int64_t events, ns;
    sums(&pli_sync.blocked, "short_waits", &events, &ns);
    pl_block_rate_set(1);
    ok(near(ns, waited_ns, 20), "the sum of short waits");
    ok(near(events, count, 20), "and their number");
}

/* One in five is kept, and counts five times. */
static PL_NOINLINE void test_fraction(void)
{
    forget();
    is_int(pl_mutex_fraction_set(5), 1, "the fraction from before");
    is_int(pl_mutex_fraction_set(-1), 5, "asking changes nothing");
    pthread_t thread;
    int count = 400;
    for (int i = 0; i < count; i++) {
        waiting = 0;
        pthread_mutex_lock(&mutex);
        pthread_create(&thread, NULL, waiter, NULL);
        while (__atomic_load_n(&waiting, __ATOMIC_RELAXED) < 1)
            sched_yield();
        sleep_ms(1);
        pthread_mutex_unlock(&mutex);
        pthread_join(thread, NULL);
    }
    int64_t events = events_of(&pli_sync.charged, "test_fraction");
    ok(events > 200 && events < 600 && events % 5 == 0, "a fifth stands for all: %lld of 400",
       (long long)events);
    pl_mutex_fraction_set(1);
}

static void test_off(void)
{
    forget();
    pl_block_rate_set(0);
    pl_mutex_fraction_set(0);
    pthread_t thread;
    waiting = 0;
    pthread_mutex_lock(&mutex);
    pthread_create(&thread, NULL, waiter, NULL);
    sleep_ms(20);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    is_int(events_of(&pli_sync.blocked, NULL) + events_of(&pli_sync.charged, NULL), 0,
           "off is off");
    pl_block_rate_set(1);
    pl_mutex_fraction_set(1);
}

static void test_text(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    is_int(pl_profile_write("mutex", out, 1), PL_OK, "the mutex profile as text");
    fclose(out);
    ok(strncmp(text, "--- mutex:\ncycles/second=1000000000\nsampling period=1\n", 54) == 0,
       "begins as Go's");
    free(text);
    out = open_memstream(&text, &size);
    is_int(pl_profile_write("block", out, 1), PL_OK, "the block profile as text");
    fclose(out);
    ok(strncmp(text, "--- contention:\ncycles/second=1000000000\n", 41) == 0, "begins as Go's");
    free(text);
}

static void test_fork(void)
{
    int status;
    pthread_t thread;
    waiting = 0;
    pthread_mutex_lock(&mutex);
    pthread_create(&thread, NULL, waiter, NULL);
    while (__atomic_load_n(&waiting, __ATOMIC_RELAXED) < 1)
        sched_yield();
    sleep_ms(10);
    pid_t child = fork(); /* whose lists know of nobody who waits */
    if (child == 0) {
        int64_t before = ns_of(&pli_sync.charged, NULL);
        pthread_mutex_unlock(&mutex);
        _exit(ns_of(&pli_sync.charged, NULL) == before ? 0 : 1);
    }
    waitpid(child, &status, 0);
    is_int(status, 0, "a fork's child has no waiters");
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
}

int main(void)
{
    sem_init(&semaphore, 0, 0);
    pl_block_rate_set(1);
    pl_mutex_fraction_set(1);
    test_holder_is_charged();
    test_no_contention();
    test_turns();
    test_other_waits();
    test_readers_and_barriers();
    test_errors();
    test_rate();
    test_fraction();
    test_off();
    test_text();
    test_fork();
    return done();
}

#else

int main(void)
{
    pl_block_rate_set(1);
    is_int(pl_mutex_fraction_set(1), 0, "without hooks nothing can be seen, and all goes on");
    return done();
}

#endif
