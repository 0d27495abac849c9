/* workload.c: inputs, right answers and benchmarks of lab 04 (contract: docs/internals.md).

   An input is what a server sees in a day: requests that open and close, many of them open at a
   time. It begins with four counts (struct totals); then come the events:

       ['o'][slot 16][read 8][user 16][headers 16][buffers 16] [struct line_in]... [size 32]...
       ['c'][slot 16]

   A slot is a connection. The output has a line for each request, in the order in which they close:
   how many headers it had then, who was signed in, a sum over the headers that its handler read and
   over the marks in its buffers, and whether it was as new when it opened. */
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 256,            /* more than are ever open */
    TICK = 24,              /* at most so many requests come in at a time */
    BURST = 128,            /* but for once */
    MAX_HEADERS = 12, MAX_BUFFERS = 16,
    READ_EVERY = 8,         /* handlers that read all headers; the others read the first */
};

struct totals {
    uint64_t events, headers, buffers, requests;
};

/* The texts of all requests. Few of them, so that reading them costs nothing beside the memory that
   this lab is about. */
#define TEXT(literal) {literal, sizeof literal - 1}

static const struct text names[] = {
    TEXT("host"), TEXT("accept"), TEXT("accept-encoding"), TEXT("accept-language"), TEXT("via"),
    TEXT("authorization"), TEXT("cache-control"), TEXT("connection"), TEXT("content-length"),
    TEXT("content-type"), TEXT("cookie"), TEXT("if-none-match"), TEXT("origin"), TEXT("referer"),
    TEXT("te"), TEXT("traceparent"), TEXT("user-agent"), TEXT("x-request-id"), TEXT("dnt"),
};

static const char letters[] = "gzip, br; q=0.9, text/html; no-cache, de-DE, Bearer 7f3a0c99e5d1b2";

enum { NAMES = sizeof names / sizeof *names, LETTERS = sizeof letters - 1 };

/* A header line in an input: a name, and where in `letters` the value stands. */
struct line_in {
    uint8_t name, at, size;
};

static struct text value_of(struct line_in line)
{
    return (struct text){letters + line.at, line.size};
}

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

/* Sizes at which off-by-one errors and blocks of a fixed size show themselves. They take turns, so
   that 500 requests have them all. */
static const unsigned odd_sizes[] = {0, 1, 7, 4095, 4096, 4097, 16384, 100000};

enum { ODD_EVERY = 211, ODD_SIZES = sizeof odd_sizes / sizeof *odd_sizes };

/* What workload_make keeps in mind. */
struct maker {
    workload_buffer *input;
    struct totals totals;
    uint64_t rng;
    uint64_t odd;                   /* a counter that tells when an odd size is due */
    unsigned open, slot[SLOTS];     /* the slots in use first, then the free ones */
    int failed;
};

static void put(struct maker *m, const void *bytes, size_t size)
{
    m->failed |= workload_append(m->input, bytes, size);
}

static void put_16(struct maker *m, unsigned value)
{
    uint16_t small = (uint16_t)value;
    put(m, &small, sizeof small);
}

/* make_header: one value in 32 is empty. */
static void make_header(struct maker *m)
{
    struct line_in line;
    line.name = (uint8_t)below(&m->rng, NAMES);
    line.at = (uint8_t)below(&m->rng, LETTERS);
    line.size = (uint8_t)below(&m->rng, below(&m->rng, 32) == 0 ? 1 : LETTERS + 1u - line.at);
    put(m, &line, sizeof line);
    m->totals.headers++;
}

/* make_buffer: 512 to 4095 bytes, small sizes more often than large ones. */
static void make_buffer(struct maker *m)
{
    uint32_t class = 512u << below(&m->rng, 3);
    uint32_t size = class + below(&m->rng, class);
    if (m->odd % ODD_EVERY == 0)
        size = odd_sizes[m->odd / ODD_EVERY % ODD_SIZES];
    m->odd++;
    put(m, &size, sizeof size);
    m->totals.buffers++;
}

static void make_open(struct maker *m)
{
    unsigned headers = below(&m->rng, 32) == 0 ? 0 : 2 + below(&m->rng, MAX_HEADERS - 1);
    unsigned buffers = below(&m->rng, MAX_BUFFERS + 1);
    unsigned user = below(&m->rng, 2) == 0 ? 0 : 1 + below(&m->rng, 9999);
    unsigned char read = below(&m->rng, READ_EVERY) == 0;
    put(m, "o", 1);
    put_16(m, m->slot[m->open++]);
    put(m, &read, 1);
    put_16(m, user);
    put_16(m, headers);
    put_16(m, buffers);
    for (unsigned i = 0; i < headers; i++)
        make_header(m);
    for (unsigned i = 0; i < buffers; i++)
        make_buffer(m);
    m->totals.events++;
    m->totals.requests++;
}

/* make_closes closes about so many in `of` of the open requests, in an order of its own. */
static void make_closes(struct maker *m, unsigned parts, unsigned of)
{
    for (unsigned left = m->open; left > 0; left--) {
        unsigned index = below(&m->rng, m->open);
        unsigned slot = m->slot[index];
        if (below(&m->rng, of) >= parts)
            continue;
        m->slot[index] = m->slot[--m->open];
        m->slot[m->open] = slot;
        put(m, "c", 1);
        put_16(m, slot);
        m->totals.events++;
    }
}

/* make_hours: the loop of a server. Some requests come in, then those that are ready are answered;
   others wait a little longer. In the end all are answered. */
static void make_hours(struct maker *m, uint64_t n)
{
    while (n > 0) {
        unsigned more = 1 + below(&m->rng, TICK);
        for (; more > 0 && n > 0; more--, n--)
            make_open(m);
        make_closes(m, 3, 4);
    }
    make_closes(m, 1, 1);
}

/* A day has quiet hours, a burst in which far more requests are open than ever, and quiet hours. */
int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    struct maker m = {.input = input, .rng = seed};
    uint64_t burst = n / 4 < BURST ? n / 4 : BURST;
    uint64_t morning = (n - burst) / 2;
    for (unsigned i = 0; i < SLOTS; i++)
        m.slot[i] = i;
    m.odd = below(&m.rng, ODD_EVERY * ODD_SIZES);
    put(&m, &m.totals, sizeof m.totals);
    make_hours(&m, morning);
    for (uint64_t i = 0; i < burst; i++)
        make_open(&m);
    make_closes(&m, 1, 1);
    make_hours(&m, n - burst - morning);
    if (m.failed)
        return -1;
    memcpy(input->data, &m.totals, sizeof m.totals);
    return 0;
}

/* ---- the sum over texts and marks ---- */

static uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x9e3779b97f4a7c15u;
}

/* add_text adds a text's length, its first letter and its last. */
static uint64_t add_text(uint64_t sum, struct text text)
{
    uint64_t ends = 0;
    if (text.size != 0)
        ends = (unsigned char)text.at[0] | (unsigned)(unsigned char)text.at[text.size - 1] << 8;
    return mix(sum, ends << 32 | text.size);
}

/* ---- one line of output ---- */

struct line {
    uint64_t request;
    size_t headers;
    unsigned user;
    uint64_t sum;
    int stale, crooked;
};

static void put_digits(char *text, size_t end, uint64_t value)
{
    for (; value != 0; value /= 10)
        text[--end] = (char)('0' + value % 10);
}

/* write_line fills numbers into a line that is ready but for them: formatting must not take longer
   than what this lab measures. */
static int write_line(workload_buffer *output, const struct line *line)
{
    char text[] = "request 0000000: 00 headers, user 0000, sum 00000000, opened clean\n";
    put_digits(text, 15, line->request % 10000000);
    put_digits(text, 19, line->headers % 100);
    put_digits(text, 38, line->user % 10000);
    for (int i = 0; i < 8; i++)
        text[44 + i] = "0123456789abcdef"[line->sum >> (60 - 4 * i) & 15];
    if (line->stale || line->crooked)
        memcpy(text + 54, line->stale ? "opened stale" : "buffer askew", 12);
    return workload_append(output, text, sizeof text - 1);
}

/* ---- reading an input ---- */

/* Where the next bytes of an input are. */
struct reader {
    const unsigned char *at;
};

static uint64_t take(struct reader *r, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, r->at, size);
    r->at += size;
    return value;
}

static struct line_in take_line(struct reader *r)
{
    struct line_in line;
    memcpy(&line, r->at, sizeof line);
    r->at += sizeof line;
    return line;
}

/* ---- oracle ---- */

/* expect_open reads one request and says what its line has to be. */
static struct line expect_open(struct reader *r, uint64_t request)
{
    struct line line = {.request = request, .sum = request};
    uint64_t read = take(r, 1);
    uint64_t buffers;
    line.user = (unsigned)take(r, 2);
    line.headers = take(r, 2);
    buffers = take(r, 2);
    for (size_t i = 0; i < line.headers; i++) {
        struct line_in header = take_line(r);
        if (read || i == 0)
            line.sum = add_text(add_text(line.sum, names[header.name]), value_of(header));
    }
    for (uint64_t i = 0; i < buffers; i++)
        line.sum = mix(line.sum, take(r, 4) != 0 ? request : 0);
    return line;
}

/* The oracle has no memory to manage: a request's line is known when it opens. */
int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    struct reader r = {input->data};
    struct totals totals;
    struct line slot[SLOTS];
    uint64_t request = 0;
    memcpy(&totals, input->data, sizeof totals);
    r.at += sizeof totals;
    for (uint64_t i = 0; i < totals.events; i++) {
        int opens = take(&r, 1) == 'o';
        size_t number = take(&r, 2);
        if (opens)
            slot[number] = expect_open(&r, request++);
        else if (write_line(output, &slot[number]))
            return -1;
    }
    return 0;
}

/* ---- one operation ---- */

struct event {
    unsigned slot, user, headers, buffers;
    int opens, read;
    const struct line_in *header;
    const uint32_t *buffer;         /* sizes */
};

/* A connection and the request that is open on it. */
struct connection {
    struct request *request;
    const struct event *event;
    uint64_t number;
    int stale, crooked;
    unsigned char *buffer[MAX_BUFFERS];
};

struct state {
    struct totals totals;
    struct event *event;
    struct line_in *header;
    uint32_t *buffer;
    struct line *line;              /* of requests that are closed */
    uint64_t next, closed;          /* how many requests have come, how many are answered */
    struct server *server;
    int failed;
    struct connection connection[SLOTS];
};

/* load_event notes what one event says; its headers and buffers go to the next free places. */
static void load_event(struct reader *r, struct event *event, struct line_in **header,
                       uint32_t **buffer)
{
    *event = (struct event){.header = *header, .buffer = *buffer};
    event->opens = take(r, 1) == 'o';
    event->slot = (unsigned)take(r, 2);
    if (!event->opens)
        return;
    event->read = (int)take(r, 1);
    event->user = (unsigned)take(r, 2);
    event->headers = (unsigned)take(r, 2);
    event->buffers = (unsigned)take(r, 2);
    for (unsigned i = 0; i < event->headers; i++)
        *(*header)++ = take_line(r);
    for (unsigned i = 0; i < event->buffers; i++)
        *(*buffer)++ = (uint32_t)take(r, 4);
}

static void load_events(struct state *s, struct reader *r)
{
    struct line_in *header = s->header;
    uint32_t *buffer = s->buffer;
    for (uint64_t i = 0; i < s->totals.events; i++)
        load_event(r, &s->event[i], &header, &buffer);
    memset(s->line, 0, (s->totals.requests + 1) * sizeof *s->line);
}

void *workload_load(const unsigned char *data, size_t size)
{
    struct reader r = {data};
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL || size < sizeof s->totals) {
        free(s);
        return NULL;
    }
    memcpy(&s->totals, data, sizeof s->totals);
    r.at += sizeof s->totals;
    s->event = malloc((s->totals.events + 1) * sizeof *s->event);
    s->header = malloc((s->totals.headers + 1) * sizeof *s->header);
    s->buffer = malloc((s->totals.buffers + 1) * sizeof *s->buffer);
    s->line = malloc((s->totals.requests + 1) * sizeof *s->line);
    if (s->event == NULL || s->header == NULL || s->buffer == NULL || s->line == NULL) {
        workload_unload(s);
        return NULL;
    }
    load_events(s, &r);
    return s;
}

/* mark_buffer writes the request's number at both ends of its buffer. */
static void mark_buffer(unsigned char *buffer, size_t size, uint64_t number)
{
    size_t length = size < sizeof number ? size : sizeof number;
    memcpy(buffer, &number, length);
    memcpy(buffer + size - length, &number, length);
}

/* read_mark gives the number that mark_buffer wrote; another one when the bytes have changed. */
static uint64_t read_mark(const unsigned char *buffer, size_t size, uint64_t number)
{
    uint64_t first = number;
    uint64_t last = number;
    size_t length = size < sizeof number ? size : sizeof number;
    memcpy(&first, buffer, length);
    memcpy(&last, buffer + size - length, length);
    return size == 0 ? 0 : first == last ? first : ~first;
}

static int take_buffer(struct state *s, struct connection *c, unsigned index)
{
    size_t size = c->event->buffer[index];
    unsigned char *buffer = request_buffer(s->server, c->request, size);
    if (buffer == NULL)
        return -1;
    c->buffer[index] = buffer;
    c->crooked |= (uintptr_t)buffer % _Alignof(max_align_t) != 0;
    mark_buffer(buffer, size, c->number);
    return 0;
}

static int is_new(const struct request *r)
{
    return r->first == NULL && r->last == NULL && r->headers == 0 && r->user == 0 &&
           r->status == 0;
}

static int open_request(struct state *s, const struct event *event)
{
    struct connection *c = &s->connection[event->slot];
    *c = (struct connection){.event = event, .number = s->next++};
    c->request = request_open(s->server);
    if (c->request == NULL)
        return -1;
    c->stale = !is_new(c->request);
    if (event->user != 0)
        c->request->user = event->user;
    for (unsigned i = 0; i < event->headers; i++)
        if (request_add(s->server, c->request, names[event->header[i].name],
                        value_of(event->header[i])))
            return -1;
    for (unsigned i = 0; i < event->buffers; i++)
        if (take_buffer(s, c, i))
            return -1;
    return 0;
}

/* sum_headers reads all headers that are in the request now, or only the first. It stops after one
   too many, since a damaged list may have no end. */
static size_t sum_headers(const struct connection *c, uint64_t *sum)
{
    size_t count = 0;
    const struct header *header = c->request->first;
    for (; header != NULL && count <= c->event->headers; header = header->next) {
        *sum = add_text(*sum, header->name);
        *sum = add_text(*sum, header->value);
        count++;
        if (!c->event->read)
            return c->request->headers;
    }
    return count;
}

static void close_request(struct state *s, struct connection *c)
{
    struct line *line = &s->line[s->closed++];
    *line = (struct line){c->number, 0, c->request->user, c->number, c->stale, c->crooked};
    line->headers = sum_headers(c, &line->sum);
    c->request->status = 200;
    for (unsigned i = 0; i < c->event->buffers; i++)
        line->sum = mix(line->sum, read_mark(c->buffer[i], c->event->buffer[i], c->number));
    request_close(s->server, c->request);
}

static void serve(struct state *s, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to && !s->failed; i++) {
        const struct event *event = &s->event[i];
        if (event->opens)
            s->failed = open_request(s, event) != 0;
        else
            close_request(s, &s->connection[event->slot]);
    }
}

static void begin(struct state *s)
{
    s->next = s->closed = 0;
    if (s->server == NULL)
        s->server = server_start();
    s->failed = s->server == NULL;
}

/* The server stays when the day is over: what it keeps then is part of the evidence. */
void workload_run(void *state)
{
    struct state *s = state;
    begin(s);
    serve(s, 0, s->totals.events);
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    for (uint64_t i = 0; i < s->closed; i++)
        if (write_line(output, &s->line[i]))
            return -1;
    return s->failed ? -1 : 0;
}

void workload_unload(void *state)
{
    struct state *s = state;
    if (s->server != NULL && !s->failed)
        server_stop(s->server);
    free(s->line);
    free(s->buffer);
    free(s->header);
    free(s->event);
    free(s);
}

/* ---- benchmarks: make lab04-bench ---- */

/* busiest is the number of events after which most requests are open. */
static uint64_t busiest(const struct state *s)
{
    uint64_t open = 0, most = 0, at = 0;
    for (uint64_t i = 0; i < s->totals.events; i++) {
        open += s->event[i].opens ? 1u : (uint64_t)-1;
        if (open > most) {
            most = open;
            at = i + 1;
        }
    }
    return at;
}

/* live_at_peak serves one more day, and looks at the heap when most requests are open. */
static double live_at_peak(struct state *s)
{
    pl_memstats before, peak;
    uint64_t middle = busiest(s);
    begin(s);
    pl_memstats_read(&before);
    serve(s, 0, middle);
    pl_memstats_read(&peak);
    serve(s, middle, s->totals.events);
    return (double)(peak.alloc - before.alloc);
}

static void bench_serve(pl_bench *b, void *arg)
{
    uint64_t requests = *(const uint64_t *)arg;
    workload_buffer input = {0};
    struct state *s = NULL;
    if (workload_make(requests, requests, &input) == 0)
        s = workload_load(input.data, input.size);
    if (s == NULL) {
        pl_bench_fail(b, "out of memory for %llu requests", (unsigned long long)requests);
        free(input.data);
        return;
    }
    double peak = live_at_peak(s);
    pl_bench_report_allocs(b);
    PL_LOOP(b)
        workload_run(s);
    pl_bench_report_metric(b, peak, "peak-B");
    workload_unload(s);
    free(input.data);
}

PL_BENCH(Serve)
{
    static uint64_t sizes[] = {5000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32];
        snprintf(name, sizeof name, "requests=%llu", (unsigned long long)sizes[i]);
        pl_bench_run(b, name, bench_serve, &sizes[i]);
    }
}
