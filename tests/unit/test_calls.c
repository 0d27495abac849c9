/* The calls that may block: they are what they are without hooks, and the trace has how long they
   took, for what, and where. Every call of the table below is left waiting until a signal ends it;
   what it took is measured beside it. */
/* run: upto=trace without=asan,tsan flags=-fno-optimize-sibling-calls alone=yes */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>

#if PLI_TRACE && PLI_INTERPOSE

#define WAIT_MS 20

static int pipe_of[2], full_pipe[2], pair[2], full_pair[2], listener, full_listener, epoll;
static pid_t child;

/* -- The calls, each of which waits for ever -- */

static char room[64];
static struct iovec room_vector = {room, sizeof room};

PL_NOINLINE static long in_read(void)
{
    return read(pipe_of[0], room, sizeof room);
}

static long in_readv(void)
{
    return readv(pipe_of[0], &room_vector, 1);
}

static long in_read_checked(void)
{
    ssize_t __read_chk(int, void *, size_t, size_t);
    return PLI_GLIBC ? __read_chk(pipe_of[0], room, sizeof room, sizeof room) : in_read();
}

static long in_write(void)
{
    return write(full_pipe[1], room, sizeof room);
}

static long in_writev(void)
{
    return writev(full_pipe[1], &room_vector, 1);
}

static long in_poll(void)
{
    struct pollfd p = {pipe_of[0], POLLIN, 0};
    return poll(&p, 1, -1);
}

static long in_ppoll(void)
{
    struct pollfd p = {pipe_of[0], POLLIN, 0};
    return ppoll(&p, 1, NULL, NULL);
}

static long in_select(void)
{
    fd_set in;
    FD_ZERO(&in);
    FD_SET(pipe_of[0], &in);
    return select(pipe_of[0] + 1, &in, NULL, NULL, NULL);
}

/* The mask holds while it waits: a signal that is blocked before ends it. */
static long in_pselect(void)
{
    sigset_t alarm, before;
    fd_set in;
    FD_ZERO(&in);
    FD_SET(pipe_of[0], &in);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, &before);
    long result = pselect(pipe_of[0] + 1, &in, NULL, NULL, NULL, &before);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return result;
}

static long in_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(epoll, &event, 1, -1);
}

static long in_epoll_pwait(void)
{
    struct epoll_event event;
    return epoll_pwait(epoll, &event, 1, -1, NULL);
}

static long in_accept(void)
{
    return accept(listener, NULL, NULL);
}

static long in_accept4(void)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* Connects to a local socket, whose queue has room for one. */
static long in_connect(void)
{
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    getsockname(full_listener, (struct sockaddr *)&name, &size);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    long result = connect(fd, (struct sockaddr *)&name, size);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static long in_send(void)
{
    return send(full_pair[0], room, sizeof room, 0);
}

static long in_sendto(void)
{
    return sendto(full_pair[0], room, sizeof room, 0, NULL, 0);
}

static long in_sendmsg(void)
{
    struct msghdr message = {.msg_iov = &room_vector, .msg_iovlen = 1};
    return sendmsg(full_pair[0], &message, 0);
}

static long in_recv(void)
{
    return recv(pair[0], room, sizeof room, 0);
}

static long in_recvfrom(void)
{
    return recvfrom(pair[0], room, sizeof room, 0, NULL, NULL);
}

static long in_recvmsg(void)
{
    struct msghdr message = {.msg_iov = &room_vector, .msg_iovlen = 1};
    return recvmsg(pair[0], &message, 0);
}

static struct timespec left_of_sleep;

static long in_nanosleep(void)
{
    struct timespec t = {10, 0};
    return nanosleep(&t, &left_of_sleep);
}

/* It returns its error, and leaves errno alone. */
static long in_clock_nanosleep(void)
{
    struct timespec t = {10, 0};
    errno = 0;
    int error = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left_of_sleep);
    if (errno != 0)
        return 0;
    errno = error;
    return -1;
}

static long in_usleep(void)
{
    return usleep(900000);
}

/* It returns what is left, in seconds, and no error. */
static long in_sleep(void)
{
    unsigned left = sleep(10);
    errno = left >= 9 && left <= 10 ? EINTR : 0;
    return -1;
}

static long in_wait(void)
{
    return wait(NULL);
}

static long in_waitpid(void)
{
    return waitpid(child, NULL, 0);
}

static long in_wait4(void)
{
    return wait4(child, NULL, 0, NULL);
}

static const struct {
    const char *name;
    long (*call)(void);
    uint32_t cause;
    const int *object; /* what it waits for; NULL: not looked at */
} calls[] = {
    {"in_read", in_read, PLI_CAUSE_READ, &pipe_of[0]},
    {"in_readv", in_readv, PLI_CAUSE_READ, &pipe_of[0]},
    {"in_read_checked", in_read_checked, PLI_CAUSE_READ, &pipe_of[0]},
    {"in_write", in_write, PLI_CAUSE_WRITE, &full_pipe[1]},
    {"in_writev", in_writev, PLI_CAUSE_WRITE, &full_pipe[1]},
    {"in_poll", in_poll, PLI_CAUSE_POLL, NULL},
    {"in_ppoll", in_ppoll, PLI_CAUSE_POLL, NULL},
    {"in_select", in_select, PLI_CAUSE_SELECT, NULL},
    {"in_pselect", in_pselect, PLI_CAUSE_SELECT, NULL},
    {"in_epoll_wait", in_epoll_wait, PLI_CAUSE_EPOLL, &epoll},
    {"in_epoll_pwait", in_epoll_pwait, PLI_CAUSE_EPOLL, &epoll},
    {"in_accept", in_accept, PLI_CAUSE_ACCEPT, &listener},
    {"in_accept4", in_accept4, PLI_CAUSE_ACCEPT, &listener},
    {"in_connect", in_connect, PLI_CAUSE_CONNECT, NULL},
    {"in_send", in_send, PLI_CAUSE_SEND, &full_pair[0]},
    {"in_sendto", in_sendto, PLI_CAUSE_SEND, &full_pair[0]},
    {"in_sendmsg", in_sendmsg, PLI_CAUSE_SEND, &full_pair[0]},
    {"in_recv", in_recv, PLI_CAUSE_RECEIVE, &pair[0]},
    {"in_recvfrom", in_recvfrom, PLI_CAUSE_RECEIVE, &pair[0]},
    {"in_recvmsg", in_recvmsg, PLI_CAUSE_RECEIVE, &pair[0]},
    {"in_nanosleep", in_nanosleep, PLI_CAUSE_SLEEP, NULL},
    {"in_clock_nanosleep", in_clock_nanosleep, PLI_CAUSE_SLEEP, NULL},
    {"in_usleep", in_usleep, PLI_CAUSE_SLEEP, NULL},
    {"in_sleep", in_sleep, PLI_CAUSE_SLEEP, NULL},
    {"in_wait", in_wait, PLI_CAUSE_CHILD, NULL},
    {"in_waitpid", in_waitpid, PLI_CAUSE_CHILD, &child},
    {"in_wait4", in_wait4, PLI_CAUSE_CHILD, &child},
};
#define CALLS (sizeof calls / sizeof *calls)

static void fill(int fd)
{
    static const char bytes[4096];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, bytes, sizeof bytes) > 0)
        continue;
    while (write(fd, bytes, 1) > 0)
        continue;
    fcntl(fd, F_SETFL, 0);
}

static void nothing(int number)
{
    (void)number;
}

/* A local socket whose name the system makes up. */
static int listen_somewhere(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t));
    listen(fd, 0);
    return fd;
}

/* All that the calls wait for, and that never comes. */
static void set_up(void)
{
    struct sigaction action = {.sa_handler = nothing}; /* without SA_RESTART */
    struct epoll_event event = {EPOLLIN, {0}};
    sigaction(SIGALRM, &action, NULL);
    bool good = pipe(pipe_of) == 0 && pipe(full_pipe) == 0 &&
                socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
                socketpair(AF_UNIX, SOCK_STREAM, 0, full_pair) == 0;
    fill(full_pipe[1]);
    fill(full_pair[0]);
    listener = listen_somewhere();
    full_listener = listen_somewhere();
    in_connect();
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_of[0], &event);
    if ((child = fork()) == 0)
        for (;;)
            pause();
    ok(good, "all stands that never comes");
}

static void alarm_in(int ms)
{
    struct itimerval when = {{0, 0}, {0, ms * 1000}};
    setitimer(ITIMER_REAL, &when, NULL);
}

/* -- As without hooks -- */

/* Each is ended by the signal, after the time that was asked for. */
static void test_interrupted(const char *when)
{
    for (size_t i = 0; i < CALLS; i++) {
        uint64_t began = pl_now_ns();
        alarm_in(WAIT_MS);
        errno = 0;
        long result = calls[i].call();
        int error = errno;
        uint64_t took = pl_now_ns() - began;
        ok(result == -1 && error == EINTR && took > WAIT_MS * 900000u,
           "%s: %s ends with EINTR", when, calls[i].name);
    }
}

/* Results and errors of what does not wait. */
static void test_results(const char *when)
{
    char bytes[8] = "", name[] = "/tmp/perflab-calls-XXXXXX";
    int p[2], status = 0, file = mkstemp(name);
    struct timeval short_time = {0, 2000};
    struct timespec t = {0, 1000}, wrong = {0, -1};
    struct iovec v = {bytes, 4};
    bool good = pipe2(p, O_NONBLOCK) == 0;
    errno = 0;
    good = good && read(p[0], bytes, 8) == -1 && errno == EAGAIN;
    good = good && write(p[1], "1234567", 8) == 8 && readv(p[0], &v, 1) == 4;
    good = good && read(p[0], bytes + 4, 4) == 4 && strcmp(bytes, "1234567") == 0;
    close(p[1]);
    good = good && read(p[0], bytes, 8) == 0 && read(-1, bytes, 8) == -1 && errno == EBADF;
    ok(good, "%s: reads and writes", when);
    good = pwrite(file, "abc", 3, 2) == 3 && pread(file, bytes, 8, 3) == 2 && bytes[1] == 'c' &&
           pwrite64(file, "x", 1, 0) == 1 && pread64(file, bytes, 1, 0) == 1 && bytes[0] == 'x';
    ok(good, "%s: with a position", when);
    good = poll(NULL, 0, 1) == 0 && ppoll(NULL, 0, &t, NULL) == 0 && t.tv_nsec == 1000 &&
           select(0, NULL, NULL, NULL, &short_time) == 0 &&
           (!PLI_GLIBC || short_time.tv_usec == 0) && /* musl leaves it as it is */
           pselect(0, NULL, NULL, NULL, &t, NULL) == 0;
    ok(good, "%s: time runs out", when);
    errno = 0;
    good = clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, NULL) == EINVAL && errno == 0 &&
           nanosleep(&wrong, NULL) == -1 && errno == EINVAL && usleep(1) == 0 && sleep(0) == 0;
    ok(good, "%s: sleeping", when);
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    good = waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 &&
           waitpid(pid, &status, 0) == -1 && errno == ECHILD;
    ok(good, "%s: children", when);
    close(p[0]);
    close(file);
    unlink(name);
}

static const char *cleaned;

static void clean(void *name)
{
    cleaned = name;
}

static void *wait_for_ever(void *index)
{
    size_t i = (size_t)(uintptr_t)index;
    pthread_cleanup_push(clean, (void *)(uintptr_t)calls[i].name);
    for (;;)
        calls[i].call();
    pthread_cleanup_pop(0);
    return NULL;
}

/* All but those that sleep for a known time are points of cancellation that never come back. */
static void test_cancelled(const char *when)
{
    for (size_t i = 0; i < CALLS; i++) {
        pthread_t thread;
        void *result = NULL;
        cleaned = "nobody";
        pthread_create(&thread, NULL, wait_for_ever, (void *)i);
        usleep(2000);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        ok(result == PTHREAD_CANCELED && strcmp(cleaned, calls[i].name) == 0,
           "%s: %s can be cancelled", when, calls[i].name);
    }
}

/* -- As the trace has it -- */

#define SESSION ((size_t)8 << 20)

typedef struct seen {
    uint32_t cause;
    uint64_t object, began, ended; /* ended 0: it goes on */
    const pli_site *site;
} seen;

static seen waits[4096];
static size_t waits_count;
static uint64_t runs_ns[4096], run_instances[4096]; /* the last figures of each instance */
static size_t runs_count;

static void take_figures(const pli_payload_sched *figures)
{
    size_t i = 0;
    while (i < runs_count && run_instances[i] != figures->instance)
        i++;
    runs_count += i == runs_count;
    run_instances[i] = figures->instance, runs_ns[i] = figures->run_ns;
}

static void take(const pli_record *r, uint32_t instance, uint32_t wanted)
{
    const uint64_t *payload = (const uint64_t *)(const void *)(r + 1);
    if (r->kind == PLI_RECORD_SCHED)
        take_figures((const void *)payload);
    if (instance != wanted)
        return;
    if (r->kind == PLI_RECORD_WAIT_BEGIN && waits_count < 4096)
        waits[waits_count++] = (seen){r->name, payload[0], r->ticks, 0,
                                      (const pli_site *)(uintptr_t)payload[1]};
    if (r->kind == PLI_RECORD_WAIT_END && waits_count > 0 && !waits[waits_count - 1].ended)
        waits[waits_count - 1].ended = r->ticks;
}

/* Reads the waits of one thread, and the figures of all. */
static void collect(uint32_t instance)
{
    char *copy = pli_os_map((size_t)pli_trace.pool.chunks * pli_trace.pool.chunk_bytes);
    pli_records records;
    pli_chunks chunks = pli_pool_copy(&pli_trace.pool, copy);
    waits_count = runs_count = 0;
    if (!pli_records_open(&records, chunks))
        return;
    while (pli_records_thread(&records))
        for (const pli_record *r; (r = pli_records_next(&records)) != NULL;)
            take(r, records.instance, instance);
    pli_records_close(&records);
    munmap(copy, chunks.count * chunks.chunk_bytes);
}

/* The note of a wait that goes on, in the thread's chunk. */
static const pli_chunk *noted(const pli_thread *t)
{
    const pli_chunk *c = t->trace.chunk;
    return c && PLI_LOAD(c->wait_cause) && c->wait_used == c->used ? c : NULL;
}

static bool has(const pli_site *site, const char *function)
{
    pl_frame frame;
    for (int i = 0; site && i < site->depth; i++)
        if (pl_symbolize((void *)site->pcs[i], &frame) == PL_OK &&
            strcmp(frame.function, function) == 0)
            return true;
    return false;
}

static bool within(uint64_t got_ns, uint64_t most_ns, uint64_t least_ns)
{
    diag("%.3f ms, wanted %.3f to %.3f", (double)got_ns / 1e6, (double)least_ns / 1e6,
         (double)most_ns / 1e6);
    return got_ns <= most_ns && got_ns >= least_ns;
}

/* One wait, of the right cause and at the right stack; its length is between that of the alarm and
   what the caller sees. Who is held up right beside the call sees more: false then. */
static bool recorded(size_t i, bool *exact)
{
    pli_trace_open(SESSION, NULL);
    alarm_in(WAIT_MS);
    uint64_t began = pl_ticks();
    calls[i].call();
    uint64_t took = pl_ticks_to_ns(pl_ticks() - began);
    collect(pli_self->instance);
    const seen *w = &waits[0];
    *exact = within(pl_ticks_to_ns(w->ended - w->began), took, took - took / 50);
    pli_trace_close();
    return waits_count == 1 && w->cause == calls[i].cause &&
           (!calls[i].object || w->object == (uint64_t)*calls[i].object);
}

static void test_recorded(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        bool right = true, exact = false;
        for (int tries = 0; right && !exact && tries < 5; tries++)
            right = recorded(i, &exact);
        ok(right, "%s is recorded once, and its cause", calls[i].name);
        ok(exact, "%s: how long", calls[i].name);
    }
}

/* The stack of what was recorded. */
static void test_stacks(void)
{
    pli_trace_open(SESSION, NULL);
    for (size_t i = 0; i < CALLS; i++) {
        alarm_in(1);
        calls[i].call();
        collect(pli_self->instance);
        ok(waits_count > 0 && has(waits[waits_count - 1].site, calls[i].name), "%s: where",
           calls[i].name);
    }
    pli_trace_close();
}

/* What does not wait leaves no records; the few that a busy machine holds up are waits. */
static void test_short(void)
{
    int zero = open("/dev/zero", O_RDONLY);
    char byte;
    pli_trace_open(SESSION, NULL);
    for (int i = 0; i < 10000; i++)
        if (read(zero, &byte, 1) != 1)
            break;
    collect(pli_self->instance);
    size_t held_up = 0;
    for (size_t i = 0; i < waits_count; i++)
        held_up += pl_ticks_to_ns(waits[i].ended - waits[i].began) >= PLI_BLOCKING_SHORT_NS;
    ok(waits_count == held_up && held_up < 1000, "short calls: %zu of 10000 took over 5 us",
       held_up);
    ok(noted(pli_self) == NULL, "and no note is left");
    pli_trace_close();
    close(zero);
}

static pli_thread *waiter; /* atomic */

static void *read_and_tell(void *unused)
{
    __atomic_store_n(&waiter, pli_thread_join(), __ATOMIC_RELEASE);
    pl_trace_instant("so that it has a chunk");
    in_read();
    return unused;
}

/* A thread in the middle of a read can be seen there, from the file alone. */
static void test_note(void)
{
    pthread_t thread;
    const pli_chunk *c = NULL;
    pli_trace_open(SESSION, NULL);
    uint64_t began = pl_ticks();
    pthread_create(&thread, NULL, read_and_tell, NULL);
    for (int i = 0; !c && i < 1000; i++) {
        usleep(1000);
        const pli_thread *t = __atomic_load_n(&waiter, __ATOMIC_ACQUIRE);
        c = t ? noted(t) : NULL;
    }
    pl_frame frame = {0};
    ok(c && c->wait_cause == PLI_CAUSE_READ && c->wait_object == (uint64_t)pipe_of[0] &&
       c->wait_ticks > began, "who waits is noted as waiting");
    ok(c && pl_symbolize((void *)(uintptr_t)c->wait_pc, &frame) == PL_OK &&
       strcmp(frame.function, "in_read") == 0, "and where");
    is_int(write(pipe_of[1], "x", 1), 1, "what it waits for");
    pthread_join(thread, NULL);
    ok(c && PLI_LOAD(c->wait_cause) == 0, "comes, and the note is gone");
    pli_trace_close();
}

/* -- A handler that reads and writes, at any moment -- */

static int self_pipe[2];
static int64_t handled; /* atomic */

static void read_and_write(int number)
{
    int saved = errno;
    char byte = (char)number;
    if (write(self_pipe[1], &byte, 1) == 1 && read(self_pipe[0], &byte, 1) == 1)
        __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
    errno = saved;
}

static void test_handler(void)
{
    struct sigaction action = {.sa_handler = read_and_write, .sa_flags = SA_RESTART}, before;
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    int done = 0, wrong = 0;
    ok(pipe(self_pipe) == 0, "a pipe to itself");
    sigaction(SIGALRM, &action, &before);
    pli_trace_open(SESSION, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (uint64_t began = pl_now_ns(); pl_now_ns() - began < 500000000; done++) {
        pl_region_begin("work");
        pthread_mutex_lock(&mutex);
        errno = 0;
        wrong += read(-1, room, 1) != -1 || errno != EBADF;
        pthread_mutex_unlock(&mutex);
        free(malloc((size_t)done % 1000));
        pl_region_end();
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    pli_trace_close();
    ok(wrong == 0 && done > 0 && handled > 0, "%lld handlers read and wrote, errno stays",
       (long long)handled);
}

/* -- A schedule that is known -- */

static pthread_mutex_t turns = PTHREAD_MUTEX_INITIALIZER;

typedef struct part {
    int sleeps, spins, locks; /* of 10 ms each */
    uint64_t slept_ns, waited_ns, computed_ns;
    uint32_t instance;
} part;

static void spin_ms(int ms)
{
    for (uint64_t end = pl_thread_cpu_ns() + (uint64_t)ms * 1000000; pl_thread_cpu_ns() < end;)
        continue;
}

/* What it sees itself of what it does, by the clocks of the system. */
static void *play(void *arg)
{
    part *p = arg;
    p->instance = pli_thread_join()->instance;
    for (int i = 0; i < p->sleeps || i < p->spins || i < p->locks; i++) {
        uint64_t t = pl_now_ns();
        if (i < p->sleeps)
            usleep(10000);
        p->slept_ns += i < p->sleeps ? pl_now_ns() - t : 0;
        if (i < p->spins)
            spin_ms(10);
        t = pl_now_ns();
        if (i < p->locks)
            pthread_mutex_lock(&turns);
        p->waited_ns += i < p->locks ? pl_now_ns() - t : 0;
        if (i < p->locks)
            spin_ms(10), pthread_mutex_unlock(&turns);
    }
    p->computed_ns = pl_thread_cpu_ns();
    return NULL;
}

static uint64_t traced_ns(uint32_t cause)
{
    uint64_t ticks = 0;
    for (size_t i = 0; i < waits_count; i++)
        ticks += waits[i].cause == cause ? waits[i].ended - waits[i].began : 0;
    return pl_ticks_to_ns(ticks);
}

/* Two in a hundred, and what a clock or an end of a thread takes. */
static bool close_to(uint64_t got, uint64_t wanted, int times)
{
    uint64_t loose = wanted / 50 + (uint64_t)times * 50000;
    return within(got, wanted + loose, wanted > loose ? wanted - loose : 0);
}

static void test_schedule(void)
{
    part parts[] = {{.sleeps = 30}, {.spins = 30}, {.spins = 5, .locks = 20},
                    {.sleeps = 5, .locks = 20}};
    pthread_t thread[4];
    pli_trace_open(SESSION, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, play, &parts[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    usleep(30000); /* a look at who has ended */
    for (int i = 0; i < 4; i++) {
        const part *p = &parts[i];
        collect(p->instance);
        uint64_t ran = 0;
        for (size_t k = 0; k < runs_count; k++)
            ran = run_instances[k] == p->instance ? runs_ns[k] : ran;
        ok(close_to(traced_ns(PLI_CAUSE_SLEEP), p->slept_ns, p->sleeps), "thread %d sleeps", i);
        ok(close_to(traced_ns(PLI_CAUSE_LOCK), p->waited_ns, p->locks), "and waits");
        ok(close_to(ran, p->computed_ns, 10), "and computes");
    }
    pli_trace_close();
}

static void test_off_and_on(const char *when)
{
    test_results(when);
    test_interrupted(when);
    test_cancelled(when);
}

int main(void)
{
    pl_ticks_to_ns(1);
    set_up();
    test_off_and_on("off");
    pli_trace_open(SESSION, NULL);
    test_off_and_on("on");
    pli_trace_close();
    test_recorded();
    test_stacks();
    test_short();
    test_note();
    test_handler();
    test_schedule();
    kill(child, SIGKILL);
    return done();
}

#else

int main(void)
{
    skip("calls", "nothing is interposed");
    return done();
}

#endif
