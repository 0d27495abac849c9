/* The sampler: its totals, whose signals it takes, what it survives, and what it leaves alone. */
/* run: upto=cpu */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <poll.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

static PL_NOINLINE void spin(uint64_t ms)
{
    uint64_t end = pl_thread_cpu_ns() + ms * 1000000;
    volatile unsigned x = 0;
    while (pl_thread_cpu_ns() < end)
        for (int i = 0; i < 2000; i++)
            x = x + (unsigned)i;
}

static void *spin_thread(void *ms)
{
    spin(*(uint64_t *)ms);
    return NULL;
}

/* Sums over the sites: those with a label, or all when label is NULL. */
static int64_t weight_of(const char *label)
{
    int64_t sum = 0;
    size_t position = 0;
    for (pli_site *s; (s = pli_sites_next(&pli_cpu.sites, &position)) != NULL;) {
        bool has = !label;
        for (int i = 0; s->labels && i < 2 * s->labels->count && !has; i++)
            has = strcmp(s->labels->pair[i], label) == 0;
        sum += has ? s->value[0] : 0;
    }
    return sum;
}

static void test_results(void)
{
    is_int(pl_cpu_stop(), PL_INVALID, "nothing to stop");
    is_int(pl_cpu_start(&(pl_cpu_desc){.hz = -1}), PL_INVALID, "hz below 1");
    is_int(pl_cpu_start(&(pl_cpu_desc){.hz = 10001}), PL_INVALID, "hz above 10,000");
    is_int(pl_cpu_start(&(pl_cpu_desc){.max_depth = 257}), PL_INVALID, "too deep");
    is_int(pl_cpu_start(&(pl_cpu_desc){.path = "/nowhere/cpu.pb.gz"}), PL_IO, "no such folder");
    is_int(pl_cpu_start(NULL), PL_OK, "defaults");
    is_int(pl_cpu_start(NULL), PL_BUSY, "twice");
    is_int(pl_cpu_stop(), PL_OK, "stopped");
    is_int(pl_cpu_start(&(pl_cpu_desc){.hz = 10000}), PL_OK, "again");
    is_int(pl_cpu_stop(), PL_OK, "stopped again");
}

/* All weights together are the CPU time, at any rate and with any number of threads. A thread's
   first period is random: each counts for a tick more or less. */
static void test_totals(int threads, int hz)
{
    pthread_t thread[64];
    uint64_t ms = 800 / (uint64_t)threads, before = pl_process_cpu_ns();
    pl_cpu_start(&(pl_cpu_desc){.hz = hz});
    for (int i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, spin_thread, &ms);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    double used = (double)(pl_process_cpu_ns() - before) / 1e9;
    pl_cpu_stop();
    int64_t got = weight_of(NULL) + pli_cpu.sites.lost;
    double expected = used * hz, slack = 0.03 * expected + 3 * __builtin_sqrt(threads) + 2;
    ok(got > expected - slack && got < expected + slack, "%d threads, %d Hz: %lld of %.0f ticks",
       threads, hz, (long long)got, expected);
}

static void test_labels(void)
{
    uint64_t ms = 150;
    pthread_t thread;
    pl_cpu_start(&(pl_cpu_desc){.hz = 1000});
    PL_LABELS("who", "outer", "kind", "test") {
        spin(150);
        PL_LABELS("who", "inner") { spin(150); }
        pthread_create(&thread, NULL, spin_thread, &ms);
        pthread_join(thread, NULL);
    }
    spin(150);
    pl_cpu_stop();
    int64_t outer = weight_of("outer"), inner = weight_of("inner"), both = weight_of("test");
    ok(inner > 75 && inner < 250, "the inner value replaces the outer one: %lld",
       (long long)inner);
    is_int(both, outer + inner, "what is not replaced stays");
    ok(weight_of(NULL) > both + 75, "behind the block there are none");
#if PLI_INTERPOSE
    ok(outer > 200, "a thread that is started inside inherits them: %lld", (long long)outer);
#endif
}

static int leave_block(void)
{
    PL_LABELS("left", "by return") { return 1; }
    return 0;
}

static void test_return_out_of_a_block(void)
{
    leave_block();
    ok(pli_self->labels == NULL, "a return gives the labels back");
}

static volatile int own_signals;

static void own_handler(int number)
{
    (void)number;
    own_signals++;
}

/* The program's handler, installed before, keeps its signals; one installed meanwhile gets them. */
static void test_foreign_handler(void)
{
    struct sigaction now, own;
    memset(&own, 0, sizeof own);
    own.sa_handler = own_handler;
    own_signals = 0;
    pl_cpu_start(&(pl_cpu_desc){.hz = 1000});
#if PLI_INTERPOSE
    sigaction(SIGPROF, &own, NULL);
    sigaction(SIGPROF, NULL, &now);
    ok(now.sa_handler == own_handler, "sigaction tells of the program's handler");
#else
    pli_cpu_set_own_sig(&own); /* as if it had been there before */
    (void)now;
#endif
    spin(100);
    is_int(own_signals, 0, "it gets none of perflab's signals");
    kill(getpid(), SIGPROF);
    kill(getpid(), SIGPROF);
    spin(20);
    ok(own_signals >= 1, "it gets its own");
    pl_cpu_stop();
    ok(weight_of(NULL) > 60, "and the profile goes on");
}

#if PLI_INTERPOSE
static void *spin_masked(void *ms)
{
    sigset_t all, now;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    spin(*(uint64_t *)ms);
    return (void *)(intptr_t)(sigismember(&now, SIGTERM) == 1);
}

/* A thread that blocks all signals is sampled all the same. */
static void test_masked_thread(void)
{
    uint64_t ms = 300;
    pthread_t thread;
    void *masked;
    pl_cpu_start(&(pl_cpu_desc){.hz = 1000});
    pthread_create(&thread, NULL, spin_masked, &ms);
    pthread_join(thread, &masked);
    pl_cpu_stop();
    ok(masked != NULL, "the other signals are blocked");
    /* All of it, 300, if the thread were deaf. What it did after the kernel's last look, which is
       late on a busy machine, has none. */
    ok(pli_cpu.missing < 150, "and the time has stacks: %lld ticks have none",
       (long long)pli_cpu.missing);
}
#endif

static uint32_t stop;
static int interrupted;

/* Waits in every way that a signal would end. */
static void *sleep_in_turn(void *unused)
{
    sem_t sem;
    struct epoll_event event;
    int epoll = epoll_create1(0);
    sem_init(&sem, 0, 0);
    while (!PLI_LOAD(stop)) {
        struct timespec pause = {0, 5000000}, until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000;
        until.tv_sec += until.tv_nsec / 1000000000, until.tv_nsec %= 1000000000;
        interrupted += poll(NULL, 0, 5) < 0;
        interrupted += epoll_wait(epoll, &event, 1, 5) < 0;
        interrupted += nanosleep(&pause, NULL) < 0;
        interrupted += sem_timedwait(&sem, &until) < 0 && errno == EINTR;
        interrupted += select(0, NULL, NULL, NULL, &(struct timeval){0, 5000}) < 0;
    }
    close(epoll);
    return unused;
}

static void test_sleepers(void)
{
    pthread_t sleeper, busy;
    uint64_t ms = 1000;
    pl_cpu_start(&(pl_cpu_desc){.hz = 10000});
    pthread_create(&sleeper, NULL, sleep_in_turn, NULL);
    pthread_create(&busy, NULL, spin_thread, &ms);
    pthread_join(busy, NULL);
    PLI_STORE(stop, 1);
    pthread_join(sleeper, NULL);
    pl_cpu_stop();
    is_int(interrupted, 0, "sleeping threads are not woken at 10,000 Hz");
}

/* What does not fit is counted: kept and lost together are what was produced. */
static PL_NOINLINE void recurse(int depth)
{
    if (depth > 0)
        recurse(depth - 1);
    else
        spin(2);
    PL_CLOBBER();
}

static void test_full_table(void)
{
    pl_cpu_start(&(pl_cpu_desc){.hz = 10000, .buffer_bytes = 4096});
    for (int i = 0; i < 150; i++)
        recurse(i % 50);
    pl_cpu_stop();
    ok(pli_cpu.sites.lost > 0, "a small table loses samples");
    is_int(weight_of(NULL) + pli_cpu.sites.lost, pli_cpu.ticks, "and counts them");
}

static void test_truncated(void)
{
    bool marked = false;
    size_t position = 0;
    pl_cpu_start(&(pl_cpu_desc){.hz = 1000, .max_depth = 8});
    for (int i = 0; i < 60; i++)
        recurse(40);
    pl_cpu_stop();
    for (pli_site *s; (s = pli_sites_next(&pli_cpu.sites, &position)) != NULL;)
        marked |= s->depth == 8 && s->pcs[7] == PLI_PC_TRUNCATED;
    ok(marked, "a stack that is cut says so");
}

/* A child has no profile until it starts its own; the parent's goes on. */
static void test_fork(void)
{
    int status;
    pl_cpu_start(&(pl_cpu_desc){.hz = 1000});
    spin(100);
    pid_t child = fork();
    if (child == 0) {
        bool good = pl_cpu_stop() == PL_INVALID && pl_cpu_start(NULL) == PL_OK;
        spin(60);
        good = good && pl_cpu_stop() == PL_OK && weight_of(NULL) >= 3 && weight_of(NULL) <= 12;
        if (!good)
            diag("child: %lld", (long long)weight_of(NULL));
        _exit(good ? 0 : 1);
    }
    waitpid(child, &status, 0);
    spin(100);
    pl_cpu_stop();
    is_int(status, 0, "the child takes its own profile");
    int64_t sum = weight_of(NULL);
    ok(sum > 160 && sum < 300, "the parent's has both halves: %lld", (long long)sum);
}

#if PLI_INTERPOSE
/* In a child, since limits cannot be raised again: no room for a queued signal. */
static int without_timers(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_SIGPENDING, &none);
    uint64_t before = pl_process_cpu_ns();
    if (pl_cpu_start(&(pl_cpu_desc){.hz = 1000}) != PL_OK || !pli_cpu.refused)
        return 1;
    spin(400);
    double used = (double)(pl_process_cpu_ns() - before) / 1e6;
    pl_cpu_stop();
    int64_t got = weight_of(NULL);
    return got > 0.95 * used && got < 1.05 * used ? 0 : 2;
}

static void test_fallback(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(without_timers());
    waitpid(child, &status, 0);
    is_int(WEXITSTATUS(status), 0, "without timers, one for the process tells the same");
}

/* The timer of the process outlives exec; the new program must not. */
static void test_exec(int form)
{
    static const char *const work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 7";
    char *list[] = {"sh", "-c", (char *)(uintptr_t)work, NULL};
    struct rlimit none = {0, 0};
    int status;
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_SIGPENDING, &none);
        pl_cpu_start(&(pl_cpu_desc){.hz = 1000});
        if (form == 0)
            execv("/nowhere", list), execv("/bin/sh", list);
        else if (form == 1)
            execvp("sh", list);
        else if (form == 2)
            execl("/bin/sh", "sh", "-c", work, (char *)NULL);
        else if (form == 3)
            execlp("sh", "sh", "-c", work, (char *)NULL);
        else
            execle("/bin/sh", "sh", "-c", work, (char *)NULL, environ);
        _exit(1);
    }
    waitpid(child, &status, 0);
    is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 7,
           "exec while sampling, form %d", form);
}
#endif

/* The profile is not disturbed by children that share the memory. */
static void test_spawn(void)
{
    pid_t pid;
    char *list[] = {"true", NULL};
    int status = -1;
    pl_cpu_start(&(pl_cpu_desc){.hz = 1000});
    spin(50);
    bool spawned = posix_spawnp(&pid, "true", NULL, NULL, list, environ) == 0;
    if (spawned)
        waitpid(pid, &status, 0);
    is_int(status, 0, "posix_spawn");
    is_int(system("exit 3") >> 8, 3, "system");
    spin(50);
    is_int(pl_cpu_stop(), PL_OK, "the profile went on");
    ok(weight_of(NULL) >= 95, "and has all: %lld", (long long)weight_of(NULL));
}

int main(void)
{
    test_results();
    /* Without hooks, a thread that lives for ten milliseconds may be gone before it is met. */
    for (int threads = 1; threads <= (PLI_INTERPOSE ? 64 : 16); threads *= 4)
        for (int hz = 100; hz <= 10000; hz *= 10)
            test_totals(threads, hz);
    test_labels();
    test_return_out_of_a_block();
    test_sleepers();
    test_foreign_handler();
    test_full_table();
    test_truncated();
    test_fork();
    test_spawn();
#if PLI_INTERPOSE
    test_masked_thread();
    test_fallback();
    for (int form = 0; form < 5; form++)
        test_exec(form);
#endif
    return done();
}
