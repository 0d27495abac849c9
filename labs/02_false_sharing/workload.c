/* workload.c: inputs, right answers and benchmarks of lab 02 (contract: docs/internals.md).

   An input says how many requests a server answers, with how many threads, and how large the
   answers are. Each thread serves an equal share of the requests, on a processor of its own as far
   as there are enough: the caller is thread 0. Four times on its way, a thread looks at what stands
   at the addresses of its counters. So those addresses are the ones that are added to, and their
   distance is evidence. What it serves after the last look is seen in the total only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* for sched_setaffinity */
#endif
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZES = 1024,               /* sizes of answers; they repeat */
    LOOKS = 4,                  /* times that a thread looks at its counters */
    PARTS = LOOKS + 1,          /* of a thread's share; a look comes after each but the last */
    MANY = 100000,              /* from so many requests on there are two threads */
    STACK = 256 << 10,          /* bytes; 64 threads have to fit into a worker */
    LINE_MAX = 256,
    OTHER_BYTES = 7,            /* what a second set of counters counts meanwhile */
};

/* What stands in the input. */
struct order {
    uint64_t requests, threads;
    uint64_t line;              /* bytes of a line that processors pass to each other */
    uint64_t sizes[SIZES];
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

/* Nothing, one byte, and what 32 bits do not hold. */
static const uint64_t odd_sizes[] = {0, 1, 4294967295, 4294967296, 1099511627776};
static const unsigned thread_numbers[] = {1, 2, 3, 5, 8, 16, STATS_THREADS};

enum { ODD_EVERY = 31, ODD_SIZES = sizeof odd_sizes / sizeof *odd_sizes,
       THREAD_NUMBERS = sizeof thread_numbers / sizeof *thread_numbers };

static uint64_t make_size(uint64_t *rng)
{
    uint64_t z = next_random(rng);
    return z % ODD_EVERY == 0 ? odd_sizes[(z >> 32) % ODD_SIZES] : z >> 50;
}

/* The largest line of the first processor's caches; 64 where the kernel does not say. A worker may
   not open files, so the judge reads it, and it travels in the input. */
static uint64_t read_line_size(void)
{
    unsigned long largest = 0;
    for (int index = 0; index < 8; index++) {
        char path[128];
        unsigned long size = 0;
        snprintf(path, sizeof path,
                 "/sys/devices/system/cpu/cpu0/cache/index%d/coherency_line_size", index);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fscanf(file, "%lu", &size) == 1 && size > largest)
            largest = size;
        fclose(file);
    }
    return largest ? largest : 64;
}

int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    uint64_t rng = seed;
    struct order order = {.requests = n, .line = read_line_size()};
    order.threads = n >= MANY ? 2 : thread_numbers[next_random(&rng) % THREAD_NUMBERS];
    for (unsigned i = 0; i < SIZES; i++)
        order.sizes[i] = make_size(&rng);
    return workload_append(input, &order, sizeof order);
}

/* ---- who serves what ---- */

/* part_end is the first request that is not part of a thread's share any more. */
static uint64_t part_end(uint64_t requests, uint64_t parts, uint64_t part)
{
    return requests / parts * (part + 1) + (part + 1 == parts ? requests % parts : 0);
}

static uint64_t part_begin(uint64_t requests, uint64_t parts, uint64_t part)
{
    return part == 0 ? 0 : part_end(requests, parts, part - 1);
}

/* ---- output: text, so that people can read a difference ---- */

struct look {
    uint64_t requests, bytes;   /* at the addresses of the counters */
    int is_plausible;           /* stats_read gave as much as this thread had added, or more */
};

static int put_look(workload_buffer *output, uint64_t thread, unsigned number,
                    const struct look *look)
{
    char line[LINE_MAX];
    int length = snprintf(
        line, sizeof line, "thread %llu, look %u: requests %llu, bytes %llu, total %s\n",
        (unsigned long long)thread, number, (unsigned long long)look->requests,
        (unsigned long long)look->bytes, look->is_plausible ? "plausible" : "too small");
    return workload_append(output, line, (size_t)length);
}

static int put_total(workload_buffer *output, const char *whose, struct stats_total total)
{
    char line[LINE_MAX];
    int length = snprintf(line, sizeof line, "%s: requests %llu, bytes %llu\n", whose,
                          (unsigned long long)total.requests, (unsigned long long)total.bytes);
    return workload_append(output, line, (size_t)length);
}

/* ---- oracle: sums over the sizes, without threads and counters ---- */

static uint64_t sum_of_sizes(const struct order *order, uint64_t first, uint64_t end)
{
    uint64_t sum = 0;
    for (uint64_t i = first; i < end; i++)
        sum += order->sizes[i % SIZES];
    return sum;
}

int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    struct order order;
    memcpy(&order, input->data, sizeof order);
    int failed = 0;
    for (uint64_t thread = 0; thread < order.threads; thread++) {
        uint64_t first = part_begin(order.requests, order.threads, thread);
        uint64_t share = part_end(order.requests, order.threads, thread) - first;
        for (unsigned number = 0; number < LOOKS; number++) {
            uint64_t done = part_end(share, PARTS, number);
            struct look right = {done, sum_of_sizes(&order, first, first + done), 1};
            failed |= put_look(output, thread, number, &right);
        }
    }
    struct stats_total all = {order.requests, sum_of_sizes(&order, 0, order.requests)};
    struct stats_total other = {1, OTHER_BYTES};
    return failed | put_total(output, "all threads", all)
                  | put_total(output, "other counters", other);
}

/* ---- the threads of a server ---- */

enum { WAIT, GO, LEAVE };       /* what the other threads are told */
enum { TURNS = 100000 };        /* of waiting, before others may have the processor */

struct server;

/* One thread of the server. Number 0 is the caller. */
struct thread {
    pthread_t id;
    struct server *server;
    unsigned number;
    uint64_t cpu_ns;            /* processor time that it took to serve */
    struct stats_place place;
    struct look looks[LOOKS];
};

struct server {
    const struct order *order;
    struct stats *stats;
    unsigned threads;
    unsigned hired;             /* those that there are, the caller included; 0: none yet */
    cpu_set_t cpus;             /* those that the process may use */
    _Atomic unsigned ready;     /* threads that wait for their word */
    _Atomic unsigned word;      /* WAIT, GO or LEAVE */
    _Atomic unsigned done;      /* threads that have served their requests */
    struct stats_total total;
    struct thread thread[STATS_THREADS];
};

/* pin moves the calling thread to the processor that is the number-th of the set, cyclically. */
static void pin(const cpu_set_t *cpus, unsigned number)
{
    int count = CPU_COUNT(cpus);
    int left = count > 0 ? (int)(number % (unsigned)count) : 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, cpus) || left-- > 0)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/* wait_for waits without sleeping, since to be woken takes longer than a fast run. */
static unsigned wait_for(_Atomic unsigned *place, unsigned least)
{
    unsigned found;
    for (unsigned turn = 0; (found = atomic_load(place)) < least; turn++) {
        if (turn >= TURNS)
            sched_yield();
    }
    return found;
}

/* look_at is what a thread sees that has added so much. Before the first request that is nothing,
   and stats_where may not be asked. */
static struct look look_at(struct thread *t, uint64_t requests, uint64_t bytes)
{
    if (requests == 0)
        return (struct look){0, 0, 1};
    t->place = stats_where(t->server->stats, t->number);
    struct stats_total total = stats_read(t->server->stats);
    struct look look = {
        .requests = __atomic_load_n(t->place.requests, __ATOMIC_ACQUIRE),
        .bytes = __atomic_load_n(t->place.bytes, __ATOMIC_ACQUIRE),
        .is_plausible = total.requests >= requests && total.bytes >= bytes,
    };
    return look;
}

/* serve is what a thread does with its share of the requests. */
static void serve(struct thread *t)
{
    const struct order *order = t->server->order;
    struct stats *stats = t->server->stats;
    uint64_t first = part_begin(order->requests, t->server->threads, t->number);
    uint64_t share = part_end(order->requests, t->server->threads, t->number) - first;
    uint64_t i = first, bytes = 0;
    uint64_t start = pl_thread_cpu_ns();
    for (unsigned part = 0; part < PARTS; part++) {
        for (uint64_t end = first + part_end(share, PARTS, part); i < end; i++) {
            uint64_t size = order->sizes[i % SIZES];
            stats_add(stats, t->number, size);
            bytes += size;
        }
        if (part < LOOKS)
            t->looks[part] = look_at(t, i - first, bytes);
    }
    t->cpu_ns = pl_thread_cpu_ns() - start;
}

static void *help(void *arg)
{
    struct thread *t = arg;
    pin(&t->server->cpus, t->number);
    atomic_fetch_add(&t->server->ready, 1);
    if (wait_for(&t->server->word, GO) == GO)
        serve(t);
    atomic_fetch_add(&t->server->done, 1);
    return NULL;
}

static void open_server(struct server *server, const struct order *order, unsigned threads,
                        const cpu_set_t *cpus)
{
    memset(server, 0, sizeof *server);
    server->order = order;
    server->threads = threads;
    server->cpus = *cpus;
}

/* hire starts the threads, and returns when they wait for their word. What a run costs is what
   they do after that, and not how long it takes to start them. */
static void hire(struct server *server)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setstacksize(&attributes, STACK);
    for (unsigned number = 0; number < server->threads; number++) {
        struct thread *t = &server->thread[number];
        *t = (struct thread){.server = server, .number = number};
        if (number != 0 && pthread_create(&t->id, &attributes, help, t) != 0)
            break;
        server->hired = number + 1;
    }
    pthread_attr_destroy(&attributes);
    pin(&server->cpus, 0);
    wait_for(&server->ready, server->hired - 1);
}

/* dismiss ends the threads, whether they have served or not, and frees the counters. */
static void dismiss(struct server *server)
{
    if (atomic_load(&server->word) == WAIT)
        atomic_store(&server->word, LEAVE);
    for (unsigned number = 1; number < server->hired; number++)
        pthread_join(server->thread[number].id, NULL);
    if (server->stats != NULL)
        stats_free(server->stats);
    sched_setaffinity(0, sizeof server->cpus, &server->cpus);
    server->stats = NULL;
    server->hired = 0;
    atomic_store(&server->ready, 0);
    atomic_store(&server->word, WAIT);
    atomic_store(&server->done, 0);
}

/* run_server has all requests served by the threads that were hired. Returns 0, or -1 without
   memory or threads. */
static int run_server(struct server *server)
{
    server->stats = server->hired == server->threads ? stats_new(server->threads) : NULL;
    if (server->stats == NULL)
        return -1;
    atomic_store(&server->word, GO);
    serve(&server->thread[0]);
    wait_for(&server->done, server->threads - 1);
    server->total = stats_read(server->stats);
    return 0;
}

/* ---- one operation ---- */

struct state {
    struct order order;
    struct stats *other;        /* counters that are there, and count something else */
    struct server server;
    int failed;
};

static size_t line_size;

/* Not inlined: a worker gets only those functions of this file that workload_load and its like
   call, and this one is for the students. */
PL_NOINLINE size_t machine_line(void)
{
    return line_size;
}

void *workload_load(const unsigned char *data, size_t size)
{
    cpu_set_t cpus;
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL || size != sizeof s->order) {
        free(s);
        return NULL;
    }
    memcpy(&s->order, data, size);
    line_size = (size_t)s->order.line;
    s->other = machine_line() != 0 ? stats_new(1) : NULL;
    if (s->other == NULL) {
        free(s);
        return NULL;
    }
    stats_add(s->other, 0, OTHER_BYTES);
    sched_getaffinity(0, sizeof cpus, &cpus);
    open_server(&s->server, &s->order, (unsigned)s->order.threads, &cpus);
    hire(&s->server);
    return s;
}

void workload_run(void *state)
{
    struct state *s = state;
    s->failed = run_server(&s->server);
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    int failed = s->failed;
    for (unsigned thread = 0; thread < s->server.threads; thread++)
        for (unsigned number = 0; number < LOOKS; number++)
            failed |= put_look(output, thread, number, &s->server.thread[thread].looks[number]);
    return failed | put_total(output, "all threads", s->server.total)
                  | put_total(output, "other counters", stats_read(s->other));
}

void workload_unload(void *state)
{
    struct state *s = state;
    dismiss(&s->server);
    stats_free(s->other);
    free(s);
}

/* ---- what is counted: the distances between counters, and processor time ---- */

static uint64_t difference(uintptr_t a, uintptr_t b)
{
    return a > b ? a - b : b - a;
}

/* nearest is the least distance between counters of two threads, in units of `unit` bytes; 0 means
   that they lie in the same unit. */
static uint64_t nearest(const struct server *server, uint64_t unit)
{
    uint64_t least = UINT64_MAX;
    for (unsigned a = 0; a < server->threads; a++) {
        for (unsigned b = 0; b < a; b++) {
            const struct stats_place *p = &server->thread[a].place, *q = &server->thread[b].place;
            const uint64_t *left[] = {p->requests, p->bytes}, *right[] = {q->requests, q->bytes};
            for (unsigned pair = 0; pair < 4; pair++) {
                uint64_t distance = difference((uintptr_t)left[pair / 2] / unit,
                                               (uintptr_t)right[pair % 2] / unit);
                least = distance < least ? distance : least;
            }
        }
    }
    return least;
}

enum { PLACES = 8, PLACE_THREADS = 8 };

/* nearest_anywhere looks at the counters of this run, and at those of eight more servers in
   different places of the heap: a lucky address is no design. Returns UINT64_MAX without memory. */
static uint64_t nearest_anywhere(const struct state *s, uint64_t unit)
{
    uint64_t least = nearest(&s->server, unit);
    struct server *servers = calloc(PLACES, sizeof *servers);
    void *gaps[PLACES] = {NULL};
    struct order few = s->order;
    few.requests = PLACE_THREADS * PARTS;
    for (unsigned i = 0; i < PLACES && servers != NULL; i++) {
        gaps[i] = malloc(16 * i + 24);
        open_server(&servers[i], &few, PLACE_THREADS, &s->server.cpus);
        hire(&servers[i]);
        uint64_t here = run_server(&servers[i]) == 0 ? nearest(&servers[i], unit) : 0;
        least = here < least ? here : least;
    }
    for (unsigned i = 0; i < PLACES && servers != NULL; i++) {
        dismiss(&servers[i]);
        free(gaps[i]);
    }
    free(servers);
    return servers != NULL ? least : UINT64_MAX;
}

static uint64_t cpu_time(const struct server *server)
{
    uint64_t sum = 0;
    for (unsigned number = 0; number < server->threads; number++)
        sum += server->thread[number].cpu_ns;
    return sum;
}

/* cpu_with is the processor time that all requests take with so many threads, in nanoseconds. */
static double cpu_with(const struct state *s, unsigned threads)
{
    struct server *server = malloc(sizeof *server);
    if (server == NULL)
        return 0;
    open_server(server, &s->order, threads, &s->server.cpus);
    hire(server);
    uint64_t taken = run_server(server) == 0 ? cpu_time(server) : 0;
    dismiss(server);
    free(server);
    return (double)taken;
}

int workload_count(void *state, const char *name, double *value)
{
    const struct state *s = state;
    if (strcmp(name, "lines_apart") == 0)
        *value = (double)nearest_anywhere(s, s->order.line);
    else if (strcmp(name, "bytes_apart") == 0)
        *value = (double)nearest_anywhere(s, 1);
    else if (strcmp(name, "counters_per_line") == 0)
        *value = (double)s->order.line / sizeof(uint64_t);
    else if (strcmp(name, "cpu_factor") == 0)
        *value = cpu_with(s, 2) / cpu_with(s, 1);
    else
        return -1;
    return 0;
}

/* ---- benchmarks: make lab02-bench ---- */

enum { BENCH_REQUESTS = 200000 };

/* serve_once starts threads while the clock stands still. Returns their processor time. */
static uint64_t serve_once(pl_bench *b, struct server *server)
{
    pl_bench_stop_timer(b);
    dismiss(server);
    hire(server);
    pl_bench_start_timer(b);
    if (run_server(server) == 0)
        return cpu_time(server);
    pl_bench_fail(b, "out of memory or threads");
    return 0;
}

static void bench_serve(pl_bench *b, void *arg)
{
    unsigned threads = *(const unsigned *)arg;
    workload_buffer input = {0};
    struct state *s = NULL;
    uint64_t cpu_ns = 0;
    if (workload_make(1, BENCH_REQUESTS, &input) == 0)
        s = workload_load(input.data, input.size);
    free(input.data);
    if (s == NULL) {
        pl_bench_fail(b, "out of memory for %u threads", threads);
        return;
    }
    dismiss(&s->server);
    s->server.threads = threads;
    PL_LOOP(b) {
        cpu_ns += serve_once(b, &s->server);
    }
    double requests = (double)b->n * BENCH_REQUESTS;
    pl_bench_report_metric(b, (double)pl_bench_elapsed_ns(b) / requests, "ns/request");
    pl_bench_report_metric(b, (double)cpu_ns / requests, "cpu-ns/request");
    if (threads > 1)
        pl_bench_report_metric(b, (double)nearest(&s->server, 1), "bytes-apart");
    workload_unload(s);
}

/* The same requests, by one thread and by two. */
PL_BENCH(Serve)
{
    static unsigned numbers[] = {1, 2};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char name[32];
        snprintf(name, sizeof name, "threads=%u", numbers[i]);
        pl_bench_run(b, name, bench_serve, &numbers[i]);
    }
}
