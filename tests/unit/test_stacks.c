/* The stacks of all threads: who is where, who waits for what, and that nobody is disturbed. */
/* run: flags=-fno-optimize-sibling-calls,-ldl alone=yes */
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

#if defined(__SANITIZE_THREAD__) || PLI_SANITIZER
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static char *text;     /* the last dump */
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

static void test_every_wait(void)
{
    enum { EACH = 3, ROUNDS = 200 };
    pthread_t thread[EACH * KINDS];
    prepare(EACH);
    for (int i = 0; i < EACH * KINDS; i++)
        pthread_create(&thread[i], NULL, again, (void *)(intptr_t)i);
    usleep(50000);
    int cut = 0, without = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (take() != PL_OK)
            ok(0, "stacks are taken");
        for (int k = 0; k < KINDS; k++) {
            char name[40];
            snprintf(name, sizeof name, "  %s+0x", waits[k].name);
            waits[k].seen += part_has(waits[k].tid, name);
        }
        for (const char *at = text; (at = strstr(at, "[truncated]")) != NULL; at++) {
            if (cut++ == 0) {
                const char *from = at;
                while (from > text && strncmp(from, "\nthread", 7)) from--;
                diag("cut: %.*s", (int)(at - from) + 20, from);
            }
        }
        for (const char *at = text; (at = strstr(at, "no stack")) != NULL; at++)
            without++;
    }
    for (int k = 0; k < KINDS; k++)
        ok(waits[k].seen > ROUNDS / 2, "%s: found there in %d of %d rounds", waits[k].name,
           waits[k].seen, ROUNDS);
    is_int(interrupted, 0, "nobody's wait was ended in %d waits", rounds);
    diag("%d cut, %d without", cut, without);
    release(EACH * KINDS + 1);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < EACH * KINDS; i++)
        pthread_join(thread[i], NULL);
    take();
}

int main(void)
{
    test_every_wait();
    free(text);
    return done();
}
