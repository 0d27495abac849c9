/* The stacks of all threads: who is where, who waits for what, and that nobody is disturbed. */
/* run: upto=dump flags=-fno-optimize-sibling-calls,-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The thread sanitizer puts signals off, and calls their handlers later, from elsewhere. */
#if defined(__SANITIZE_THREAD__)
#define LATE_SIGNALS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LATE_SIGNALS 1
#endif
#endif
#ifndef LATE_SIGNALS
#define LATE_SIGNALS 0
#endif

static char *text; /* what was written last */
static size_t text_size;

/* Takes all stacks into text. */
static pl_result take(void)
{
    free(text);
    FILE *out = open_memstream(&text, &text_size);
    pl_result result = pl_stacks_write(out);
    fclose(out);
    return result;
}

/* Writes a profile into text. */
static pl_result write_profile(const char *name, int debug)
{
    free(text);
    FILE *out = open_memstream(&text, &text_size);
    pl_result result = pl_profile_write(name, out, debug);
    fclose(out);
    return result;
}

static int tid(void)
{
    return (int)syscall(SYS_gettid);
}

/* -- Threads in every kind of wait. Each round ends by a limit of time or by being told -- */

static int stop, interrupted, rounds;
static int quiet_pipe[2], listener;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, of_cond = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t lock_written = PTHREAD_RWLOCK_INITIALIZER;
static sem_t nothing;
static uint32_t word;

/* Whether a wait has ended as nobody has asked it to. */
static void note(long result, int error)
{
    if (result < 0 && error == EINTR)
        __atomic_add_fetch(&interrupted, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
    PL_CLOBBER();
}

#define LONG_NS 5000000 /* long enough to be met asleep, short enough to end soon */

PL_NOINLINE static void in_nanosleep(void)
{
    struct timespec t = {0, LONG_NS};
    note(nanosleep(&t, NULL), errno);
}

PL_NOINLINE static void in_poll(void)
{
    struct pollfd p = {quiet_pipe[0], POLLIN, 0};
    note(poll(&p, 1, LONG_NS / 1000000), errno);
}

PL_NOINLINE static void in_select(void)
{
    struct timeval t = {0, LONG_NS / 1000};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(quiet_pipe[0], &set);
    note(select(quiet_pipe[0] + 1, &set, NULL, NULL, &t), errno);
}

PL_NOINLINE static void in_epoll(void)
{
    static __thread int epoll = -1;
    struct epoll_event event;
    if (epoll < 0)
        epoll = epoll_create1(0);
    note(epoll_wait(epoll, &event, 1, LONG_NS / 1000000), errno);
}

PL_NOINLINE static void in_sem_timed(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += LONG_NS;
    t.tv_sec += t.tv_nsec / 1000000000, t.tv_nsec %= 1000000000;
    note(sem_timedwait(&nothing, &t), errno);
}

PL_NOINLINE static void in_sigwait(void)
{
    struct timespec t = {0, LONG_NS};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    note(sigtimedwait(&set, NULL, &t), errno);
}

PL_NOINLINE static void in_read(void)
{
    char c;
    note(read(quiet_pipe[0], &c, 1), errno);
}

PL_NOINLINE static void in_accept(void)
{
    int fd = accept(listener, NULL, NULL);
    note(fd, errno);
    close(fd);
}

PL_NOINLINE static void in_cond(void)
{
    pthread_mutex_lock(&of_cond);
    while (!PLI_LOAD(stop))
        pthread_cond_wait(&never, &of_cond);
    pthread_mutex_unlock(&of_cond);
    PL_CLOBBER();
}

PL_NOINLINE static void in_mutex(void)
{
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    PL_CLOBBER();
}

PL_NOINLINE static void in_sem(void)
{
    note(sem_wait(&nothing), errno);
}

PL_NOINLINE static void in_futex(void)
{
    syscall(SYS_futex, &word, 128, 0, NULL, NULL, 0);
    PL_CLOBBER();
}

static void *until_stop(void *unused)
{
    while (!PLI_LOAD(stop))
        usleep(1000);
    return unused;
}

PL_NOINLINE static void in_join(void)
{
    pthread_t other;
    pthread_create(&other, NULL, until_stop, NULL);
    pthread_join(other, NULL);
    PL_CLOBBER();
}

PL_NOINLINE static void in_rwlock(void)
{
    pthread_rwlock_rdlock(&lock_written);
    pthread_rwlock_unlock(&lock_written);
    PL_CLOBBER();
}

PL_NOINLINE static void in_barrier(void)
{
    pthread_barrier_wait(&barrier);
    PL_CLOBBER();
}

static pid_t child; /* lives until the end */

PL_NOINLINE static void in_wait4(void)
{
    siginfo_t info;
    note(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), errno);
}

PL_NOINLINE static void spinning(void)
{
    for (volatile int i = 0; i < 100000 && !PLI_LOAD(stop); i++)
        PL_CLOBBER();
}

PL_NOINLINE static void in_malloc(void)
{
    for (int i = 1; i < 1000; i++) {
        void *p = malloc((size_t)i * 64);
        PL_KEEP(p);
        free(p);
    }
    PL_CLOBBER();
}

#define WAITS(X)                                                                                   \
    X(in_nanosleep) X(in_poll) X(in_select) X(in_epoll) X(in_sem_timed) X(in_sigwait) X(in_read)   \
    X(in_accept) X(in_cond) X(in_mutex) X(in_sem) X(in_futex) X(in_join) X(in_rwlock)              \
    X(in_barrier) X(in_wait4) X(spinning) X(in_malloc)
#define ENTRY(name) {#name, name, 0, 0},

/* What a thread does again and again; its number; how often it was seen there. */
static struct { const char *name; void (*run)(void); int tid, seen; } waits[] = {WAITS(ENTRY)};
enum { KINDS = sizeof waits / sizeof *waits };

static void *again(void *kind)
{
    int i = (int)(intptr_t)kind % KINDS;
    if ((intptr_t)kind < KINDS)
        PLI_STORE(waits[i].tid, (int)syscall(SYS_gettid));
    while (!PLI_LOAD(stop))
        waits[i].run();
    return NULL;
}

/* Everybody goes on: what waits without a limit is given what it waits for. */
static void release(int threads)
{
    PLI_STORE(stop, 1);
    pthread_mutex_unlock(&held);
    pthread_rwlock_unlock(&lock_written);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    pthread_mutex_lock(&of_cond);
    pthread_cond_broadcast(&never);
    pthread_mutex_unlock(&of_cond);
    for (int i = 0; i < threads; i++) {
        sem_post(&nothing);
        if (write(quiet_pipe[1], "", 1) != 1)
            abort();
    }
    PLI_STORE(word, 1);
    syscall(SYS_futex, &word, 129, threads, NULL, NULL, 0);
    shutdown(listener, SHUT_RDWR);
}

static void prepare(int in_each)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (pipe(quiet_pipe) != 0)
        abort();
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 5) != 0)
        abort();
    pthread_barrier_init(&barrier, NULL, (unsigned)in_each + 1);
    sem_init(&nothing, 0, 0);
    pthread_mutex_lock(&held);
    pthread_rwlock_wrlock(&lock_written);
    if ((child = fork()) == 0)
        for (;;)
            pause();
}

/* The part of text about a thread. */
static const char *part_of(int tid, size_t *size)
{
    char head[40];
    snprintf(head, sizeof head, "thread %d (", tid);
    const char *at = strstr(text, head), *end = at ? strstr(at, "\n\n") : NULL;
    *size = end ? (size_t)(end - at) : 0;
    return at;
}

/* Whether a function is in the stack of a thread, and the stack ends where threads begin. */
static int part_has(int tid, const char *what)
{
    char whole[8192];
    size_t size;
    const char *part = part_of(tid, &size);
    snprintf(whole, sizeof whole, "%.*s", (int)size, part ? part : "");
    return strstr(whole, what) != NULL;
}

/* Many in one build; the others differ in how stacks look, and not in chance. */
#if defined(__OPTIMIZE__) && !defined(__clang__) && !PLI_SANITIZER && !defined(STACKS_FEW)
enum { ROUNDS = 200 };
#else
enum { ROUNDS = 40 };
#endif

PL_NOINLINE static void test_every_wait(void)
{
    enum { EACH = 3 };
    pthread_t thread[EACH * KINDS];
    prepare(EACH);
    for (int i = 0; i < EACH * KINDS; i++)
        pthread_create(&thread[i], NULL, again, (void *)(intptr_t)i);
    usleep(50000);
    for (int i = 0; i < ROUNDS; i++) {
        if (take() != PL_OK)
            ok(0, "stacks are taken");
        for (int k = 0; k < KINDS; k++) {
            char name[40];
            snprintf(name, sizeof name, "  %s+0x", waits[k].name);
            waits[k].seen += part_has(PLI_LOAD(waits[k].tid), name) &&
                             !part_has(PLI_LOAD(waits[k].tid), "[truncated]");
        }
    }
    for (int k = 0; k < KINDS; k++)
        ok(waits[k].seen > ROUNDS / 2 || (LATE_SIGNALS && waits[k].run == in_malloc),
           "%s: found there in %d of %d rounds", waits[k].name, waits[k].seen, ROUNDS);
    is_int(PLI_LOAD(interrupted), 0, "nobody's wait was ended, in %d waits", PLI_LOAD(rounds));
    release(EACH * KINDS + 1);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < EACH * KINDS; i++)
        pthread_join(thread[i], NULL);
}

/* What stands in brackets: the system call and its descriptor; what is waited for, who has it. */
PL_NOINLINE static void test_states(void)
{
    char words[80];
    pthread_t thread[4];
    static const int kinds[] = {6 /* in_read */, 9 /* in_mutex */, 8 /* in_cond */, 16};
    prepare(0);
    PLI_STORE(stop, 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, again, (void *)(intptr_t)kinds[i]);
    usleep(50000);
    take();
    snprintf(words, sizeof words, "[in read, descriptor %d]", quiet_pipe[0]);
    ok(part_has(PLI_LOAD(waits[6].tid), words), "%s", words);
    snprintf(words, sizeof words, "[waits for a mutex that thread %d holds]", tid());
    if (PLI_GLIBC) /* musl notes no holder */
        ok(part_has(PLI_LOAD(waits[9].tid), words), "%s", words);
    else
        ok(part_has(PLI_LOAD(waits[9].tid), "[waits for a mutex]"), "a mutex");
    ok(part_has(PLI_LOAD(waits[8].tid), "[waits for a condition]"), "a condition");
    ok(part_has(PLI_LOAD(waits[16].tid), "[running]"), "one that computes");
    ok(strstr(text, "\nmodules:\n0x") && strstr(text, "build id "), "the modules stand at the end");
    release(4);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
}

/* -- In a signal handler, on a stack of its own -- */

static int handled, looked_at;

PL_NOINLINE static void in_handler(int number)
{
    struct timespec t = {0, 100000000};
    (void)number;
    PLI_STORE(handled, 1);
    while (!PLI_LOAD(looked_at))
        nanosleep(&t, NULL);
    PL_CLOBBER();
}

PL_NOINLINE static void interrupted_function(void)
{
    raise(SIGUSR1);
    PL_CLOBBER();
}

static void *handle(void *number)
{
    static char room[64 << 10];
    sigaltstack(&(stack_t){.ss_sp = room, .ss_size = sizeof room}, NULL);
    PLI_STORE(*(int *)number, tid());
    interrupted_function();
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    return NULL;
}

PL_NOINLINE static void test_in_a_handler(void)
{
    pthread_t thread;
    int number = 0;
    struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, handle, &number);
    while (!PLI_LOAD(handled))
        usleep(1000);
    usleep(10000);
    take();
    ok(part_has(PLI_LOAD(number), "in_handler+0x") &&
       part_has(PLI_LOAD(number), "interrupted_function+0x") &&
       !part_has(PLI_LOAD(number), "[truncated]"),
       "from a handler's stack on to what it has interrupted");
    PLI_STORE(looked_at, 1);
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_DFL);
}

/* -- Who does not answer -- */

static void *spin_deaf(void *number)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    PLI_STORE(*(int *)number, tid());
    while (!PLI_LOAD(stop))
        PL_CLOBBER();
    return NULL;
}

PL_NOINLINE static void test_a_deaf_thread(void)
{
    pthread_t thread;
    int number = 0;
    PLI_STORE(stop, 0);
    pthread_create(&thread, NULL, spin_deaf, &number);
    while (!PLI_LOAD(number))
        usleep(1000);
    is_int(take(), PL_OK, "a thread that blocks the signal holds nobody up");
    ok(part_has(PLI_LOAD(number), "no stack: it has SIGPROF blocked"), "and it is said");
    PLI_STORE(stop, 1);
    pthread_join(thread, NULL);
}

static int own_signals;

static void on_sigprof(int number)
{
    (void)number;
    __atomic_add_fetch(&own_signals, 1, __ATOMIC_RELAXED);
}

/* The program's handler for SIGPROF gets its own signals, and none of perflab's. */
PL_NOINLINE static void test_the_programs_handler(void)
{
    pthread_t thread;
    PLI_STORE(stop, 0);
    signal(SIGPROF, on_sigprof);
    pthread_create(&thread, NULL, again, (void *)16);
    usleep(10000);
    for (int i = 0; i < 20; i++)
        take();
    is_int(PLI_LOAD(own_signals), 0, "questions do not reach it");
    raise(SIGPROF);
    is_int(PLI_LOAD(own_signals), 1, "its own signals do");
    if (!PLI_INTERPOSE)
        ok(part_has(PLI_LOAD(waits[16].tid), "no stack: another handler has SIGPROF") != 0 ||
           strstr(text, "another handler"), "where sigaction is not hooked, that is said");
    signal(SIGPROF, SIG_DFL);
    PLI_STORE(stop, 1);
    pthread_join(thread, NULL);
}

/* -- Many, and many that come and go -- */

/* How many threads there are, once the system has done away with those that have ended. */
static int settled_threads(void)
{
    usleep(50000);
    return pl_num_threads();
}

static int asleep; /* threads that have come to sleep_until_told; atomic */

static void *sleep_until_told(void *semaphore)
{
    __atomic_add_fetch(&asleep, 1, __ATOMIC_RELAXED);
    while (sem_wait(semaphore) != 0)
        continue;
    return NULL;
}

static int count_of(const char *what)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

PL_NOINLINE static void test_a_thousand(void)
{
    enum { MANY = LATE_SIGNALS ? 200 : 1000 };
    static pthread_t thread[MANY];
    pthread_attr_t small;
    sem_t told;
    int before = settled_threads();
    sem_init(&told, 0, 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    for (int i = 0; i < MANY; i++)
        pthread_create(&thread[i], &small, sleep_until_told, &told);
    while (__atomic_load_n(&asleep, __ATOMIC_RELAXED) < MANY)
        usleep(1000);
    usleep(100000);
    is_int(pl_num_threads() - before, MANY, "they are counted");
    take();
    is_int(count_of("  sleep_until_told+0x"), MANY, "all of them are shown");
    is_int(write_profile("goroutine", 1), PL_OK, "as a profile");
    ok(strstr(text, "1000 @ 0x") || LATE_SIGNALS || PLI_SANITIZER, "equal stacks are one sample");
    for (int i = 0; i < MANY; i++)
        sem_post(&told);
    for (int i = 0; i < MANY; i++)
        pthread_join(thread[i], NULL);
    is_int(settled_threads(), before, "and they are gone");
}

static void *short_life(void *unused)
{
    PL_CLOBBER();
    return unused;
}

static void *come_and_go(void *unused)
{
    while (!PLI_LOAD(stop)) {
        pthread_t thread[8];
        for (int i = 0; i < 8; i++)
            pthread_create(&thread[i], NULL, short_life, NULL);
        for (int i = 0; i < 8; i++)
            pthread_join(thread[i], NULL);
    }
    return unused;
}

PL_NOINLINE static void test_churn(void)
{
    pthread_t thread[2];
    int bad = 0;
    PLI_STORE(stop, 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, come_and_go, NULL);
    for (int i = 0; i < 200; i++)
        bad += take() != PL_OK || !part_has(tid(), "test_churn+0x");
    PLI_STORE(stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    is_int(bad, 0, "threads come and go meanwhile");
}

static void *keep_taking(void *unused)
{
    FILE *null = fopen("/dev/null", "w");
    while (!PLI_LOAD(stop))
        pl_stacks_write(null);
    fclose(null);
    return unused;
}

/* A fork's child has one thread, and can look at it whatever others were at. */
PL_NOINLINE static void test_fork(void)
{
    pthread_t thread;
    int failed = 0;
    PLI_STORE(stop, 0);
    pthread_create(&thread, NULL, keep_taking, NULL);
    for (int i = 0; i < 20; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            FILE *null = fopen("/dev/null", "w");
            _exit(pl_num_threads() == 1 && pl_stacks_write(null) == PL_OK ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        failed += status != 0;
    }
    PLI_STORE(stop, 1);
    pthread_join(thread, NULL);
    is_int(failed, 0, "a fork's child takes stacks");
}

/* -- Profiles -- */

static void *own_thread(void *semaphore)
{
    pli_thread_is_own();
    return sleep_until_told(semaphore);
}

PL_NOINLINE static void start_five(pthread_t *thread, sem_t *told)
{
    int five = 5;
    PL_HIDE(five); /* or the loop would become five calls, which are five stacks */
    for (int i = 0; i < five; i++)
        pthread_create(&thread[i], NULL, sleep_until_told, told);
    PL_CLOBBER();
}

/* The total in the first line of a text. */
static int total_of(const char *name)
{
    char format[80];
    int total = -1;
    snprintf(format, sizeof format, "%s profile: total %%d\n", name);
    sscanf(text, format, &total);
    return total;
}

PL_NOINLINE static void test_profiles(void)
{
    pthread_t thread[6];
    sem_t told;
    sem_init(&told, 0, 0);
    write_profile("threadcreate", 1);
    int before = total_of("threadcreate");
    int threads = settled_threads();
    ok(before >= threads, "threads from before are counted (%d)", before);
    start_five(thread, &told);
    pthread_create(&thread[5], NULL, own_thread, &told);
    usleep(50000);
    is_int(pl_num_threads(), threads + 5, "perflab's own threads are not");
    write_profile("goroutine", 1);
    is_int(total_of("goroutine"), threads + 5, "goroutine: all threads but perflab's own");
    is_int(write_profile("goroutine", 0), PL_OK, "as a protobuf");
    ok(memcmp(text, "\x1f\x8b", 2) == 0, "which is compressed");
    is_int(write_profile("goroutine", 2), PL_OK, "and as pl_stacks_write has it");
    ok(count_of("  sleep_until_told+0x") == 5, "with all threads");
    if (PLI_INTERPOSE)
        ok(count_of("  start_five+0x") == 5, "and where they were started");
    write_profile("threadcreate", 1);
    is_int(total_of("threadcreate"), before + 5, "threadcreate: five more");
    if (PLI_INTERPOSE)
        ok(strstr(text, "\n5 @ 0x") && strstr(text, "\tstart_five+0x"), "by the one that did it");
    for (int i = 0; i < 6; i++)
        sem_post(&told);
    for (int i = 0; i < 6; i++)
        pthread_join(thread[i], NULL);
    write_profile("threadcreate", 1);
    is_int(total_of("threadcreate"), before + 5, "the total stays when they have ended");
}

/* -- Who waits for ever -- */

static pthread_mutex_t mutex_a = PTHREAD_MUTEX_INITIALIZER, mutex_b = PTHREAD_MUTEX_INITIALIZER,
                       orphaned = PTHREAD_MUTEX_INITIALIZER;
static pthread_t first_in_circle;
static int both;

static void hold_and_want(pthread_mutex_t *have, pthread_mutex_t *want)
{
    pthread_mutex_lock(have);
    __atomic_add_fetch(&both, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&both, __ATOMIC_SEQ_CST) < 2)
        usleep(1000);
    pthread_mutex_lock(want);
}

static void *a_then_b(void *unused)
{
    hold_and_want(&mutex_a, &mutex_b);
    return unused;
}

static void *b_then_a(void *unused)
{
    hold_and_want(&mutex_b, &mutex_a);
    return unused;
}

static void *behind_the_circle(void *unused)
{
    pthread_mutex_lock(&mutex_a);
    return unused;
}

static void *join_the_circle(void *unused)
{
    pthread_join(first_in_circle, NULL);
    return unused;
}

static void *take_and_end(void *unused)
{
    pthread_mutex_lock(&orphaned);
    return unused;
}

static void *want_the_orphan(void *unused)
{
    pthread_mutex_lock(&orphaned);
    return unused;
}

/* Threads that hang for ever, beside some that only wait; in a process of their own. */
static int leaked_threads(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, take_and_end, NULL);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, want_the_orphan, NULL);
    pthread_create(&first_in_circle, NULL, a_then_b, NULL);
    pthread_create(&thread, NULL, b_then_a, NULL);
    usleep(50000);
    pthread_create(&thread, NULL, behind_the_circle, NULL);
    pthread_create(&thread, NULL, join_the_circle, NULL);
    pthread_create(&thread, NULL, again, (void *)8 /* in_cond */);
    pthread_create(&thread, NULL, again, (void *)9 /* in_mutex, which main holds */);
    pthread_create(&thread, NULL, again, (void *)10 /* in_sem */);
    usleep(50000);
    write_profile("goroutineleak", 1);
    int total = total_of("goroutineleak");
    for (int k = 8; k <= 10; k++)
        if (strstr(text, waits[k].name))
            return 100;
    write_profile("goroutineleak", 2);
    return total == 5 && count_of("(leaked)") == 5 && count_of("\nthread ") >= 8 ? 5 : total;
}

static sem_t for_ever;

/* perflab's own thread takes the profile; what it finds is the process's exit status. */
static void *look_from_outside(void *unused)
{
    pli_thread_is_own();
    usleep(50000);
    write_profile("goroutineleak", 1);
    _exit(total_of("goroutineleak"));
    return unused;
}

static void *wait_for_ever(void *unused)
{
    sem_wait(&for_ever);
    return unused;
}

/* Every thread of the program waits; a handler might post. */
static void all_wait(bool handler)
{
    pthread_t thread;
    if (handler)
        signal(SIGUSR1, in_handler);
    sem_init(&for_ever, 0, 0);
    pthread_create(&thread, NULL, look_from_outside, NULL);
    pthread_create(&thread, NULL, wait_for_ever, NULL);
    wait_for_ever(NULL);
}

/* Runs one of these in a child, and returns its exit status. */
static int in_child(int what)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        PLI_STORE(stop, 0);
        pthread_mutex_lock(&held);
        if (what > 0)
            all_wait(what == 2);
        _exit(leaked_threads());
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

PL_NOINLINE static void test_leaked(void)
{
    if (LATE_SIGNALS) {
        skip("who waits for ever", "the sanitizer ends a program that has a deadlock");
        return;
    }
    if (PLI_GLIBC)
        is_int(in_child(0), 5, "a circle, who waits behind it or joins it; a holder that is gone");
    is_int(in_child(1), 2, "all threads of a program that wait for a semaphore");
    is_int(in_child(2), 0, "but for a handler that might post");
    is_int(write_profile("goroutineleak", 1), PL_OK, "a healthy program");
    is_int(total_of("goroutineleak"), 0, "has none");
}

PL_NOINLINE static void test_arguments(void)
{
    is_int(pl_stacks_write(NULL), PL_INVALID, "no file");
    FILE *full = fopen("/dev/full", "w");
    is_int(pl_stacks_write(full), PL_IO, "a full device");
    fclose(full);
    struct rlimit before, none = {0, 0};
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    is_int(take(), PL_IO, "no descriptor left");
    setrlimit(RLIMIT_NOFILE, &before);
    is_int(take(), PL_OK, "and then there is one");
}

int main(void)
{
    test_every_wait();
    test_states();
    test_in_a_handler();
    test_a_deaf_thread();
    test_the_programs_handler();
    test_a_thousand();
    test_churn();
    test_fork();
    test_profiles();
    test_leaked();
    test_arguments();
    free(text);
    return done();
}
