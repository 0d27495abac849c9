/* workload.c: inputs, right answers and benchmarks of lab 05 (contract: docs/internals.md).

   An input is a struct plan and then the bytes that log_collect finds in its descriptor. The plan
   says what happens to the descriptors: the kernel itself makes the faults.

       plain, and input that is malformed     two files in memory
       interrupted                            two pipes, the second one with room for 4096 bytes; a
                                              thread at the other ends brings and takes a little at
                                              a time, and sends signals in between
       full                                   a file that may not grow beyond so many bytes
       gone                                   a pipe whose reader leaves after so many bytes
       unreadable                             a descriptor that nothing can be read from

   The output is what the function returned, and then what arrived at the other end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The last digit of n decides, between FIRST_FAULT and LAST_FAULT; other inputs are plain. */
enum fault {
    PLAIN, INTERRUPTED, FULL, GONE, CUT_TEXT, CUT_HEADER, NO_LENGTH, UNREADABLE, TOO_LONG,
};

enum { FIRST_FAULT = 100, LAST_FAULT = 9999 };

static const char *const fault_names[] = {
    "nothing", "signals, and pipes that take little at a time", "no room for all of the output",
    "the reader of the output leaves", "the input ends within a text",
    "the input ends within a header", "a header without a length", "the input cannot be read",
    "a length above MESSAGE_MAX",
};

struct plan {
    uint64_t fault;
    uint64_t room;          /* bytes that the output takes, for FULL and GONE */
};

/* ---- seeded input ---- */

/* next_random is splitmix64: small, and the same on every machine. */
static uint64_t next_random(uint64_t *rng)
{
    uint64_t z = (*rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned below(uint64_t *rng, unsigned limit)
{
    return (unsigned)(next_random(rng) % limit);
}

/* Sizes at which buffers of a fixed size show themselves. Each comes once in a thousand messages.
   The timed input has only the first of them: it is to have many short messages. */
static const unsigned odd_sizes[] = {0, 1, 4095, 4096, 4097, 65535, 65536, 65537, MESSAGE_MAX};

enum {
    ODD_EVERY = 61, ODD_SIZES = sizeof odd_sizes / sizeof *odd_sizes, ODD_SMALL = 5,
    MANY = 2000, PIPED = 4096, PIPED_MOST = 65536,
};

static const char *const hosts[] = {
    "web-01", "web-02", "web-17", "db-1", "db-2", "cache-eu-3", "mail", "ci-runner-104", "x",
    "a-host-with-a-name-of-31-bytes.",
};

enum { HOSTS = sizeof hosts / sizeof *hosts };

/* message_size: a line of a log has 20 to 99 bytes. */
static unsigned message_size(uint64_t *rng, uint64_t index, uint64_t first_odd, int sizes)
{
    uint64_t turn = index / ODD_EVERY;
    uint64_t which = (turn + first_odd) % ODD_SIZES;
    if (index % ODD_EVERY == 0 && turn < ODD_SIZES && which < (unsigned)sizes)
        return odd_sizes[which];
    return 20 + below(rng, 80);
}

/* make_text writes letters, each other than the one before, so that a shifted copy is seen. One in
   eight has a newline in it, and one a NUL. */
static int make_text(uint64_t *rng, unsigned size, workload_buffer *input)
{
    unsigned char part[256];
    unsigned first = below(rng, 90);
    for (unsigned i = 0; i < sizeof part; i++)
        part[i] = (unsigned char)(' ' + (first + i) % 90);
    if (first % 8 < 2)
        part[first] = first % 8 == 0 ? '\n' : '\0';
    for (; size > sizeof part; size -= sizeof part)
        if (workload_append(input, part, sizeof part))
            return -1;
    return workload_append(input, part, size);
}

/* make_message appends one message, and adds the length of its line to *total. */
static int make_message(uint64_t *rng, unsigned size, workload_buffer *input, uint64_t *total)
{
    char header[HOST_MAX + 16];
    const char *host = hosts[below(rng, HOSTS)];
    int length = snprintf(header, sizeof header, "%s %u\n", host, size);
    *total += strlen(host) + 2 + size + 1;
    return workload_append(input, header, (size_t)length) || make_text(rng, size, input) ? -1 : 0;
}

/* spoil puts a fault into the bytes themselves: behind the last whole message. */
static int spoil(enum fault fault, workload_buffer *input)
{
    char header[64];
    switch (fault) {
    case CUT_TEXT: snprintf(header, sizeof header, "web-01 100\nonly the beginning"); break;
    case CUT_HEADER: snprintf(header, sizeof header, "web-01 10"); break;
    case NO_LENGTH: snprintf(header, sizeof header, "web-01 ten\nten bytes.web-01 2\nok"); break;
    case TOO_LONG: snprintf(header, sizeof header, "web-01 %d\nlong", MESSAGE_MAX + 1); break;
    default: return 0;
    }
    return workload_append(input, header, strlen(header));
}

/* room_for: half of the output has room in a file. A reader leaves so early that the rest cannot
   fit into the pipe, which has room for a page, of 64 KiB on some machines; at once when there is
   little. */
static uint64_t room_for(enum fault fault, uint64_t total)
{
    return fault == GONE && total < 4 * PIPED_MOST ? 0 : total / 2;
}

static enum fault fault_for(uint64_t n)
{
    uint64_t digit = n % 10;
    return n < FIRST_FAULT || n > LAST_FAULT || digit > TOO_LONG ? PLAIN : (enum fault)digit;
}

int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    uint64_t rng = seed, total = 0;
    uint64_t first_odd = below(&rng, ODD_SIZES);
    enum fault fault = fault_for(n);
    struct plan plan = {fault, 0};
    int sizes = n > MANY || fault == INTERRUPTED ? ODD_SMALL : ODD_SIZES;
    size_t start = input->size;
    if (workload_append(input, &plan, sizeof plan))
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if (make_message(&rng, message_size(&rng, i, first_odd, sizes), input, &total))
            return -1;
    plan.room = room_for(fault, total);
    memcpy(input->data + start, &plan, sizeof plan);
    return spoil(fault, input);
}

/* ---- what a result looks like ---- */

struct name_of_error {
    int number;
    const char *name;
};

static const char *error_name(int number)
{
    static const struct name_of_error names[] = {
        {EFBIG, "EFBIG (no room)"}, {EPIPE, "EPIPE (the reader is gone)"},
        {EPROTO, "EPROTO (malformed input)"}, {EBADF, "EBADF"}, {EINTR, "EINTR"},
        {ENOMEM, "ENOMEM"}, {ENOSPC, "ENOSPC"}, {EIO, "EIO"}, {EINVAL, "EINVAL"},
        {EAGAIN, "EAGAIN"}, {EACCES, "EACCES"}, {EMFILE, "EMFILE"}, {0, "no error"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    return "another error";
}

/* put_result writes the first lines of an output: what was tried and what was returned. */
static int put_result(workload_buffer *output, uint64_t fault, long returned, int error, int closed)
{
    char text[200];
    int size = snprintf(text, sizeof text, "fault: %s\nreturned: %ld", fault_names[fault],
                        returned);
    if (returned < 0)
        size += snprintf(text + size, sizeof text - (size_t)size, ", %s", error_name(error));
    size += snprintf(text + size, sizeof text - (size_t)size, "\n%swritten:\n",
                     closed ? "in or out was closed\n" : "");
    return workload_append(output, text, (size_t)size);
}

/* ---- oracle ---- */

/* put_line appends the line of one message and moves *at behind it; -1 when it is not whole. It
   looks at the input as a whole, where log_collect sees it piece by piece. */
static int put_line(const char **at, const char *end, workload_buffer *lines)
{
    const char *blank = memchr(*at, ' ', (size_t)(end - *at));
    const char *newline = blank == NULL ? NULL : memchr(blank, '\n', (size_t)(end - blank));
    char *stop;
    if (newline == NULL)
        return -1;
    unsigned long size = strtoul(blank + 1, &stop, 10);
    if (stop != newline || size > MESSAGE_MAX || size > (size_t)(end - newline - 1))
        return -1;
    if (workload_append(lines, *at, (size_t)(blank - *at)) || workload_append(lines, ": ", 2) ||
        workload_append(lines, newline + 1, size) || workload_append(lines, "\n", 1))
        return -1;
    *at = newline + 1 + size;
    return 0;
}

/* expect_lines fills `lines`; returns what log_collect has to, and errno's value in *error. */
static long expect_lines(const struct plan *plan, const char *at, const char *end,
                         workload_buffer *lines, int *error)
{
    long count = 0;
    int limited = plan->fault == FULL || plan->fault == GONE;
    *error = plan->fault == UNREADABLE ? EINVAL : 0;
    while (at < end && *error == 0) {
        if (put_line(&at, end, lines) == 0)
            count++;
        else
            *error = EPROTO;
    }
    if (limited && plan->room < lines->size) {
        lines->size = (size_t)plan->room;
        *error = plan->fault == FULL ? EFBIG : EPIPE;
    }
    return *error != 0 ? -1 : count;
}

int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    struct plan plan;
    workload_buffer lines = {0};
    const char *data = (const char *)input->data;
    int error;
    memcpy(&plan, data, sizeof plan);
    long count = expect_lines(&plan, data + sizeof plan, data + input->size, &lines, &error);
    int failed = put_result(output, plan.fault, count, error, 0) ||
                 workload_append(output, lines.data, lines.size);
    free(lines.data);
    return failed ? -1 : 0;
}

/* ---- one operation ---- */

/* Both ends of a file or a pipe. A file has one descriptor at both. */
struct ends {
    int read, write;
};

struct state {
    struct plan plan;
    const unsigned char *data;      /* the stream, without the plan */
    size_t size;
    struct ends in, out;
    long returned;
    int error, closed;
    pthread_t main, peer;
    atomic_int done;                /* log_collect has returned */
    workload_buffer taken;          /* what came out of a pipe; its room is fixed */
};

/* open_file makes a file in memory that holds the given bytes and is read from its beginning. */
static int open_file(struct ends *file, const unsigned char *data, size_t size)
{
    file->read = file->write = memfd_create("lab05", MFD_CLOEXEC);
    if (file->read < 0)
        return -1;
    for (size_t done = 0; done < size; ) {
        ssize_t put = write(file->write, data + done, size - done);
        if (put <= 0)
            return -1;
        done += (size_t)put;
    }
    return lseek(file->read, 0, SEEK_SET) == 0 ? 0 : -1;
}

/* open_pipe makes a pipe whose other end, the peer's, does not block. */
static int open_pipe(struct ends *ends, int peer_reads)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0)
        return -1;
    *ends = (struct ends){pair[0], pair[1]};
    fcntl(ends->write, F_SETPIPE_SZ, PIPED);
    return fcntl(peer_reads ? ends->read : ends->write, F_SETFL, O_NONBLOCK);
}

/* open_unreadable makes a descriptor that looks like any other, and fails with EINVAL when read. */
static int open_unreadable(struct ends *ends)
{
    ends->read = ends->write = epoll_create1(EPOLL_CLOEXEC);
    return ends->read < 0 ? -1 : 0;
}

static int open_ends(struct state *s)
{
    int piped_out = s->plan.fault == INTERRUPTED || s->plan.fault == GONE;
    int failed = s->plan.fault == INTERRUPTED  ? open_pipe(&s->in, 0)
                 : s->plan.fault == UNREADABLE ? open_unreadable(&s->in)
                                               : open_file(&s->in, s->data, s->size);
    return failed || (piped_out ? open_pipe(&s->out, 1) : open_file(&s->out, NULL, 0)) ? -1 : 0;
}

void *workload_load(const unsigned char *data, size_t size)
{
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL || size < sizeof s->plan) {
        free(s);
        return NULL;
    }
    memcpy(&s->plan, data, sizeof s->plan);
    s->data = data + sizeof s->plan;
    s->size = size - sizeof s->plan;
    s->in = s->out = (struct ends){-1, -1};
    signal(SIGPIPE, SIG_IGN);
    s->taken.capacity = 2 * s->size + PIPED;
    s->taken.data = malloc(s->taken.capacity);
    if (s->taken.data == NULL || open_ends(s) != 0) {
        workload_unload(s);
        return NULL;
    }
    return s;
}

/* ---- the peer: a thread at the other ends of the pipes ---- */

static void on_signal(int number)
{
    (void)number;
}

static void rest(long microseconds)
{
    struct timespec time = {0, microseconds * 1000};
    nanosleep(&time, NULL);
}

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

/* bring writes the next few bytes of the input; at its end it closes the pipe. */
static void bring(struct state *s, size_t *brought, size_t most)
{
    size_t left = s->size - *brought;
    if (left > 0) {
        ssize_t put = write(s->in.write, s->data + *brought, left < most ? left : most);
        *brought += put > 0 ? (size_t)put : 0;
    }
    if (*brought == s->size)
        close_end(&s->in.write);
}

/* carry takes up to `most` bytes of the output. Returns how many there were. Room is for more than
   any right output. */
static size_t carry(struct state *s, size_t most)
{
    workload_buffer *taken = &s->taken;
    size_t room = taken->capacity - taken->size;
    ssize_t got = read(s->out.read, taken->data + taken->size, most < room ? most : room);
    taken->size += got > 0 ? (size_t)got : 0;
    return got > 0 ? (size_t)got : 0;
}

/* interrupt brings and takes little at a time. In between it waits until log_collect most likely
   blocks, and sends it a signal. */
static void interrupt(struct state *s)
{
    uint64_t rng = s->size;
    size_t brought = 0;
    while (!atomic_load(&s->done)) {
        bring(s, &brought, 1 + below(&rng, 700));
        rest(30);
        pthread_kill(s->main, SIGUSR1);
        rest(30);
        carry(s, 1 + below(&rng, 500));
    }
    while (carry(s, PIPED) > 0)
        continue;
}

/* leave takes what there is room for and then closes the pipe. */
static void leave(struct state *s)
{
    size_t left = (size_t)s->plan.room;
    while (left > 0 && !atomic_load(&s->done)) {
        size_t got = carry(s, left);
        left -= got;
        if (got == 0)
            rest(30);
    }
    close_end(&s->out.read);
}

static void *peer(void *state)
{
    struct state *s = state;
    if (s->plan.fault == INTERRUPTED)
        interrupt(s);
    else
        leave(s);
    return NULL;
}

static void call(struct state *s)
{
    errno = 0;
    s->returned = log_collect(s->in.read, s->out.write);
    s->error = errno;
    s->closed = fcntl(s->in.read, F_GETFD) < 0 || fcntl(s->out.write, F_GETFD) < 0;
    atomic_store(&s->done, 1);
}

static void call_with_peer(struct state *s)
{
    struct sigaction action = {.sa_handler = on_signal};    /* no SA_RESTART: calls fail */
    s->main = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
    if (pthread_create(&s->peer, NULL, peer, s) != 0) {
        s->returned = -1;
        s->error = ENOMEM;
        return;
    }
    call(s);
    pthread_join(s->peer, NULL);
}

/* call_with_limit: a write beyond the limit fails with EFBIG, as it would with ENOSPC when a disk
   is full. */
static void call_with_limit(struct state *s)
{
    struct rlimit usual;
    getrlimit(RLIMIT_FSIZE, &usual);
    struct rlimit small = {(rlim_t)s->plan.room, usual.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    call(s);
    setrlimit(RLIMIT_FSIZE, &usual);
}

/* start_over lets a benchmark run again on the same files. */
static void start_over(struct state *s)
{
    if (s->in.read == s->in.write)
        lseek(s->in.read, 0, SEEK_SET);
    if (s->out.read == s->out.write && ftruncate(s->out.write, 0) == 0)
        lseek(s->out.write, 0, SEEK_SET);
}

void workload_run(void *state)
{
    struct state *s = state;
    start_over(s);
    switch (s->plan.fault) {
    case INTERRUPTED: call_with_peer(s); break;
    case FULL: call_with_limit(s); break;
    case GONE:
        if (s->plan.room == 0)
            close_end(&s->out.read);
        call_with_peer(s);
        break;
    default: call(s);
    }
}

/* store_file copies what stands in a file, without a system call that would be counted. */
static int store_file(int file, workload_buffer *output)
{
    struct stat info;
    if (fstat(file, &info) != 0 || info.st_size == 0)
        return 0;
    size_t size = (size_t)info.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED)
        return -1;
    int failed = workload_append(output, bytes, size);
    munmap(bytes, size);
    return failed;
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    if (put_result(output, s->plan.fault, s->returned, s->error, s->closed))
        return -1;
    if (s->plan.fault == INTERRUPTED || s->plan.fault == GONE)
        return workload_append(output, s->taken.data, s->taken.size);
    return store_file(s->out.write, output);
}

static void close_ends(struct ends *ends)
{
    if (ends->read != ends->write)
        close_end(&ends->write);
    close_end(&ends->read);
}

void workload_unload(void *state)
{
    struct state *s = state;
    close_ends(&s->in);
    close_ends(&s->out);
    free(s->taken.data);
    free(s);
}

/* ---- benchmarks: make lab05-bench ---- */

/* calls_so_far counts the calls of read and write, as the kernel does for this process. */
static double calls_so_far(void)
{
    char text[512] = "";
    double calls = 0;
    int file = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
    close_end(&file);
    if (size < 0)
        return -1;
    const char *reads = strstr(text, "syscr: ");
    const char *writes = strstr(text, "syscw: ");
    if (reads != NULL && writes != NULL)
        calls = strtod(reads + 7, NULL) + strtod(writes + 7, NULL);
    return calls;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* report_calls runs once more, and counts: calls for each MiB that goes in or out. */
static void report_calls(pl_bench *b, struct state *s)
{
    struct stat out;
    double before = calls_so_far();
    workload_run(s);
    double calls = calls_so_far() - before - 1;     /* the first count was one of them */
    if (before < 0 || fstat(s->out.write, &out) != 0)
        return;
    double bytes = (double)s->size + (double)out.st_size;
    pl_bench_report_metric(b, calls, "calls/op");
    pl_bench_report_metric(b, calls * (1 << 20) / bytes, "calls/MiB");
}

/* report_share: which part of the processor time since `before` went to the kernel. */
static void report_share(pl_bench *b, const struct rusage *before)
{
    struct rusage after;
    getrusage(RUSAGE_SELF, &after);
    double user = seconds(after.ru_utime) - seconds(before->ru_utime);
    double kernel = seconds(after.ru_stime) - seconds(before->ru_stime);
    if (user + kernel > 0)
        pl_bench_report_metric(b, 100 * kernel / (user + kernel), "kernel-%");
}

static void bench_collect(pl_bench *b, void *arg)
{
    uint64_t messages = *(const uint64_t *)arg;
    workload_buffer input = {0};
    struct state *s = NULL;
    struct rusage before;
    if (workload_make(messages, messages, &input) == 0)
        s = workload_load(input.data, input.size);
    if (s == NULL) {
        pl_bench_fail(b, "cannot make files in memory for %llu messages",
                      (unsigned long long)messages);
        free(input.data);
        return;
    }
    getrusage(RUSAGE_SELF, &before);
    pl_bench_set_bytes(b, (int64_t)s->size);
    PL_LOOP(b)
        workload_run(s);
    report_share(b, &before);
    report_calls(b, s);
    workload_unload(s);
    free(input.data);
}

PL_BENCH(Collect)
{
    static uint64_t sizes[] = {2500, 10000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32];
        snprintf(name, sizeof name, "messages=%llu", (unsigned long long)sizes[i]);
        pl_bench_run(b, name, bench_collect, &sizes[i]);
    }
}
