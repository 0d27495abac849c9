/* workload.c: inputs, right answers and benchmarks of lab 06 (contract: docs/internals.md).

   An input is the requests, a line each; its size n is their number:

       ann GET page-07\nbot-3 GET page-01\nbob PUT a.txt 2086 some text ...\n

   Of twenty requests five are of a blocked user, one is an upload, one makes no sense, and the rest
   ask for pages: most of them for one of 32, the others for pages that nobody asks for again.
   One request of 500 is an upload with a wrong checksum, and one at least in 50 or more. (They are
   rare since slow.c loses a descriptor for each, and the grader allows 64.) */
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pages ---- */

static unsigned long renders;   /* since the operation began */

/* render_page writes some words that depend on the whole key. */
void render_page(const char *key, char *page)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *s = key; *s != '\0'; s++)
        hash = (hash ^ (unsigned char)*s) * 1099511628211u;
    size_t size = 60 + hash % (PAGE_SIZE - 61);
    for (size_t i = 0; i < size; i++) {
        hash ^= hash << 13;
        hash ^= hash >> 7;
        hash ^= hash << 17;
        page[i] = hash % 7 == 0 ? ' ' : (char)('a' + hash % 26);
    }
    page[size] = '\0';
    renders++;
}

/* ---- seeded input ---- */

enum { LINE_MAX = 512, KINDS = 20, BAD_EVERY = 500, BAD_FROM = 50, HOT_PAGES = 32 };

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

#define PICK(rng, list) ((list)[below(rng, sizeof(list) / sizeof(*(list)))])

static const char *const users[] = {"ann", "bob", "c", "robot-1", "bot", "Bot-2",
                                    "d\xc3\xa9j\xc3\xa0", "a-name-of-thirty-one-letters-ok"};
static const char *const bots[] = {"bot-", "bot-1", "bot-22", "bot-a-name-of-thirty-one-letter"};
static const char *const broken[] = {
    "", " ", "ann", "ann GET", "ann GET ", "ann GET two words", "ann GET page-01 ",
    "ann  GET page-01",
    " ann GET page-01", "ann POST page-01", "ann get page-01", "ann PUT", "ann PUT a.txt",
    "ann PUT a.txt 12", "ann PUT a.txt 12 ", "ann PUT a.txt x12 text", "ann PUT a.txt -12 text",
    "ann PUT a.txt 1234567890 text", "a-name-of-thirty-two-letters-bad GET page-01",
    "ann GET a-name-of-thirty-two-letters-bad", "bot-3", "bot-3 makes no sense at all",
    "bot-a-name-of-thirty-two-letters GET page-01"};
static const unsigned lengths[] = {1, 2, 15, 31, 64, 100, TEXT_MAX - 1, TEXT_MAX};

static void make_get(uint64_t *rng, const char *user, char *line)
{
    if (below(rng, 5) > 0)
        snprintf(line, LINE_MAX, "%s GET page-%02u", user, below(rng, HOT_PAGES));
    else if (below(rng, 8) > 0)
        snprintf(line, LINE_MAX, "%s GET item-%016llx", user,
                 (unsigned long long)next_random(rng));
    else
        snprintf(line, LINE_MAX, "%s GET %0*llx", user, WORD_MAX,
                 (unsigned long long)next_random(rng));
}

/* make_put writes an upload; too long ones and wrong checksums are among the bad. */
static void make_put(uint64_t *rng, const char *user, int bad, char *line)
{
    char text[TEXT_MAX + 1];
    unsigned size = PICK(rng, lengths), sum = 0;
    for (unsigned i = 0; i < size; i++) {
        unsigned letter = below(rng, 54);
        text[i] = (char)(letter < 9 ? ' ' : letter < 15 ? 0xe9 : 'a' + letter % 26);
        sum += (unsigned char)text[i];
    }
    text[size] = '\0';
    snprintf(line, LINE_MAX, "%s PUT file-%u.txt %u %s", user, below(rng, 1000),
             bad ? sum + 1 + below(rng, 9) : sum, text);
}

/* The kinds of twenty requests, in a new order. */
static void shuffle(uint64_t *rng, char *kinds)
{
    memcpy(kinds, "bbbbbpxggggggggggggg", KINDS);
    for (unsigned i = KINDS - 1; i > 0; i--) {
        unsigned other = below(rng, i + 1);
        char kind = kinds[i];
        kinds[i] = kinds[other];
        kinds[other] = kind;
    }
}

static void make_request(uint64_t *rng, char kind, char *line)
{
    const char *user = PICK(rng, users);
    if (kind == 'x')
        snprintf(line, LINE_MAX, "%s", PICK(rng, broken));
    else if (kind == 'p' || kind == '!')
        make_put(rng, user, kind == '!', line);
    else
        make_get(rng, kind == 'b' ? PICK(rng, bots) : user, line);
}

int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    uint64_t rng = seed, bad = n < BAD_FROM ? 0 : n < BAD_EVERY ? 1 : n / BAD_EVERY;
    char kinds[KINDS], line[LINE_MAX];
    for (uint64_t i = 0; i < n; i++) {
        if (i % KINDS == 0)
            shuffle(&rng, kinds);
        int is_bad = i * bad / n != (i + 1) * bad / n;
        make_request(&rng, is_bad ? '!' : kinds[i % KINDS], line);
        if (workload_append(input, line, strlen(line)) || workload_append(input, "\n", 1))
            return -1;
    }
    return 0;
}

/* ---- oracle: it looks at a line as places of blanks, and keeps nothing ---- */

struct span {
    const char *start;
    size_t size;
};

/* The part up to the next blank; *line is what comes behind that, NULL at the end. */
static struct span next_part(struct span *line)
{
    struct span part = *line;
    const char *blank = line->start ? memchr(line->start, ' ', line->size) : NULL;
    if (blank == NULL) {
        line->start = NULL;
        line->size = 0;
        return part;
    }
    part.size = (size_t)(blank - part.start);
    line->size -= part.size + 1;
    line->start = blank + 1;
    return part;
}

static int is_word(struct span part)
{
    return part.start != NULL && part.size >= 1 && part.size <= WORD_MAX;
}

static int is_text(struct span part, const char *text)
{
    return part.start != NULL && part.size == strlen(text) &&
           memcmp(part.start, text, part.size) == 0;
}

/* The reply to an upload: its number, and a checksum that is right. */
static int expect_put(struct span name, struct span rest, char *reply)
{
    struct span number = next_part(&rest);
    unsigned long given = 0, sum = 0;
    if (number.start == NULL || number.size < 1 || number.size > 9 || rest.size < 1 ||
        rest.size > TEXT_MAX)
        return 400;
    for (size_t i = 0; i < number.size; i++) {
        if (number.start[i] < '0' || number.start[i] > '9')
            return 400;
        given = given * 10 + (unsigned long)(number.start[i] - '0');
    }
    for (size_t i = 0; i < rest.size; i++)
        sum += (unsigned char)rest.start[i];
    if (sum == given)
        snprintf(reply, REPLY_SIZE, "201 %.*s %zu", (int)name.size, name.start, rest.size);
    else
        snprintf(reply, REPLY_SIZE, "400 %.*s", (int)name.size, name.start);
    return sum == given ? 201 : 400;
}

static int expect_reply(struct span line, char *reply)
{
    struct span user = next_part(&line), verb = next_part(&line), name = next_part(&line);
    char key[WORD_MAX + 1], page[PAGE_SIZE];
    strcpy(reply, "400");
    if (!is_word(user))
        return 400;
    if (user.size >= 4 && memcmp(user.start, "bot-", 4) == 0) {
        snprintf(reply, REPLY_SIZE, "403 %.*s", (int)user.size, user.start);
        return 403;
    }
    if (is_text(verb, "PUT") && is_word(name))
        return expect_put(name, line, reply);
    if (!is_text(verb, "GET") || !is_word(name) || line.start != NULL)
        return 400;
    snprintf(key, sizeof key, "%.*s", (int)name.size, name.start);
    render_page(key, page);
    snprintf(reply, REPLY_SIZE, "200 %s", page);
    return 200;
}

static int append_summary(workload_buffer *output, const struct summary *s)
{
    char text[200];
    int size = snprintf(text, sizeof text, "served=%lu stored=%lu blocked=%lu bad=%lu bytes=%lu\n",
                        s->served, s->stored, s->blocked, s->bad, s->bytes);
    return workload_append(output, text, (size_t)size);
}

int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    const char *at = (const char *)input->data, *end = at + input->size;
    struct summary summary = {0};
    char reply[REPLY_SIZE];
    while (at < end) {
        size_t size = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
        int status = expect_reply((struct span){at, size}, reply);
        summary.served += status == 200;
        summary.stored += status == 201;
        summary.blocked += status == 403;
        summary.bad += status == 400;
        summary.bytes += strlen(reply);
        if (workload_append(output, reply, strlen(reply)) || workload_append(output, "\n", 1))
            return -1;
        at += size + 1;
    }
    return append_summary(output, &summary);
}

/* ---- one operation: a service, all requests, its end ---- */

struct state {
    char *lines;                /* with a NUL in place of each newline */
    size_t size, count;
    char *replies;
    struct summary summary;
    int done;
};

static void *do_nothing(void *argument)
{
    return argument;
}

/* A C library keeps the stack of a thread that has ended, with some memory, for the next one. That
   is nobody's leak: it is made here, before anything is measured. */
static void warm_threads(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
        pthread_join(thread, NULL);
}

void *workload_load(const unsigned char *data, size_t size)
{
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    for (size_t i = 0; i < size; i++)
        s->count += data[i] == '\n';
    s->size = size;
    s->lines = malloc(size + 1);
    s->replies = malloc(s->count * REPLY_SIZE + 1);
    if (s->lines == NULL || s->replies == NULL) {
        workload_unload(s);
        return NULL;
    }
    memcpy(s->lines, data, size);
    for (size_t i = 0; i < size; i++)
        if (s->lines[i] == '\n')
            s->lines[i] = '\0';
    warm_threads();
    return s;
}

/* Each request lies where the one before did: who keeps a pointer to it is found out. */
static int handle_all(struct state *s, struct service *service)
{
    char line[LINE_MAX], reply[REPLY_SIZE], *to = s->replies;
    const char *at = s->lines;
    for (size_t i = 0; i < s->count; i++, at += strlen(at) + 1) {
        strcpy(line, at);
        memset(reply, '#', sizeof reply);
        if (service_handle(service, line, reply) != 0)
            return 0;
        size_t size = strnlen(reply, REPLY_SIZE - 1);
        memcpy(to, reply, size);
        to[size] = '\n';
        to += size + 1;
    }
    *to = '\0';
    return 1;
}

void workload_run(void *state)
{
    struct state *s = state;
    struct service *service = service_open();
    renders = 0;
    s->done = 0;
    if (service == NULL)
        return;
    s->done = handle_all(s, service);
    memset(&s->summary, 0, sizeof s->summary);
    service_close(service, &s->summary);
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    if (!s->done || workload_append(output, s->replies, strlen(s->replies)))
        return -1;
    return append_summary(output, &s->summary);
}

/* renders: pages rendered for each request. */
int workload_count(void *state, const char *name, double *value)
{
    const struct state *s = state;
    if (strcmp(name, "renders") != 0)
        return -1;
    *value = (double)renders / (double)(s->count ? s->count : 1);
    return 0;
}

void workload_unload(void *state)
{
    struct state *s = state;
    free(s->lines);
    free(s->replies);
    free(s);
}

/* ---- benchmark: make lab06-bench; make lab06-profile runs it once and looks what is left ---- */

enum { BENCH_REQUESTS = 10000 };

PL_BENCH(Service)
{
    workload_buffer input = {0};
    struct state *s = NULL;
    if (workload_make(1, BENCH_REQUESTS, &input) == 0)
        s = workload_load(input.data, input.size);
    free(input.data);
    if (s == NULL) {
        pl_bench_fail(b, "out of memory for %d requests", BENCH_REQUESTS);
        return;
    }
    pl_bench_report_allocs(b);
    PL_LOOP(b) {
        workload_run(s);
    }
    workload_unload(s);
}
