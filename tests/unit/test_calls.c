/* The calls that may block: they are what they are without hooks, and the trace has how long they
   took, for what, and where. Every call of the table below is left waiting until a signal ends it;
   what it took is measured beside it. */
/* run: without=asan,tsan flags=-fno-optimize-sibling-calls alone=yes */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>

#if PLI_CALLS

#define WAIT_MS 20

static int pipe_of[2], full_pipe[2], pair[2], full_pair[2], listener, full_listener, epoll;
static pid_t child;

/* -- The calls, each of which waits for ever -- */

static char room[64];
static struct iovec room_vector = {room, sizeof room};

static long in_read(void)
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
           select(0, NULL, NULL, NULL, &short_time) == 0 && (!PLI_GLIBC || short_time.tv_usec == 0) &&
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
