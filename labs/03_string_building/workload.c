/* workload.c: inputs, right answers and benchmarks of lab 03 (contract: docs/internals.md).

   An input is a uint64_t count of records, then every field as text and a NUL, record by record:

       [count]["09:41:07.315\0" "INFO\0" ... "curl/8.5.0\0"]["09:41:07.316\0" ...]

   The oracle needs no string functions: the output is the same bytes, with a tab or a newline in
   place of each NUL. */
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#define PICK(rng, list) ((list)[below(rng, sizeof(list) / sizeof(*(list)))])

static const char *const levels[] = {"INFO", "INFO", "INFO", "WARN", "ERROR"};
static const char *const methods[] = {"GET", "GET", "GET", "POST", "PUT", "DELETE"};
static const char *const paths[] = {"/", "/login", "/api/v2/cart", "/img/logo.svg", "/q?s=a%20b"};
static const char *const referers[] = {"", "", "-", "/home", "/d\xc3\xa9j\xc3\xa0-vu"};
static const char *const agents[] = {"curl/8.5.0", "Mozilla/5.0", "\"probe\\1\"", "Wget", "bot"};
static const unsigned statuses[] = {200, 200, 200, 204, 301, 304, 404, 500};

/* Lengths at which off-by-one errors and buffers of a fixed size show themselves. They take turns,
   so that 500 records have them all. */
static const unsigned odd_lengths[] = {1, 31, 63, 64, 65, 127, 255, 256, 1023};

enum { FIELD_MAX = 1024, ODD_EVERY = 509, ODD_LENGTHS = sizeof odd_lengths / sizeof *odd_lengths };

/* usual_field writes a field as an access log has it. */
static void usual_field(uint64_t *rng, uint64_t record, size_t column, char *text)
{
    unsigned value = (unsigned)next_random(rng);
    unsigned ms = (unsigned)record;
    switch (column) {
    case 0: snprintf(text, FIELD_MAX, "09:%02u:%02u.%03u", ms / 60000 % 60, ms / 1000 % 60,
                     ms % 1000); break;
    case 1: snprintf(text, FIELD_MAX, "%s", PICK(rng, levels)); break;
    case 2: snprintf(text, FIELD_MAX, "web-%02u", value % 20); break;
    case 3: snprintf(text, FIELD_MAX, "%s", PICK(rng, methods)); break;
    case 4: snprintf(text, FIELD_MAX, "%s", PICK(rng, paths)); break;
    case 5: snprintf(text, FIELD_MAX, "%u", PICK(rng, statuses)); break;
    case 6: snprintf(text, FIELD_MAX, "%u", value % 20000); break;
    case 7: snprintf(text, FIELD_MAX, "%u.%u", value % 40, value / 64 % 10); break;
    case 8: snprintf(text, FIELD_MAX, "%s", PICK(rng, referers)); break;
    default: snprintf(text, FIELD_MAX, "%s", PICK(rng, agents)); break;
    }
}

/* odd_field writes letters, each other than the one before, so that a shifted copy is seen. */
static void odd_field(uint64_t *rng, unsigned length, char *text)
{
    unsigned first = below(rng, 26);
    for (unsigned i = 0; i < length; i++)
        text[i] = (char)('a' + (first + i) % 26);
    text[length] = '\0';
}

/* make_field chooses: one field in 509 has an odd length, and one in 16 is empty. */
static void make_field(uint64_t *rng, uint64_t index, size_t column, char *text)
{
    if (index % ODD_EVERY == 0)
        odd_field(rng, odd_lengths[index / ODD_EVERY % ODD_LENGTHS], text);
    else if (below(rng, 16) == 0)
        text[0] = '\0';
    else
        usual_field(rng, index / LOG_FIELDS, column, text);
}

int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    uint64_t rng = seed;
    uint64_t index = below(&rng, ODD_EVERY * ODD_LENGTHS);
    char text[FIELD_MAX];
    if (workload_append(input, &n, sizeof n))
        return -1;
    for (uint64_t record = 0; record < n; record++) {
        for (size_t column = 0; column < LOG_FIELDS; column++) {
            make_field(&rng, index++, column, text);
            if (workload_append(input, text, strlen(text) + 1))
                return -1;
        }
    }
    return 0;
}

/* ---- oracle ---- */

int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    size_t start = output->size;
    size_t column = 0;
    if (workload_append(output, input->data + sizeof(uint64_t), input->size - sizeof(uint64_t)))
        return -1;
    for (size_t i = start; i < output->size; i++) {
        if (output->data[i] != '\0')
            continue;
        column = (column + 1) % LOG_FIELDS;
        output->data[i] = column == 0 ? '\n' : '\t';
    }
    return 0;
}

/* ---- one operation ---- */

enum { BLOCKS = 64 };   /* of 16 bytes up to about 100 KB */

struct state {
    size_t count;
    struct log_record *records;
    char *text;                 /* the fields, column by column: see place_fields */
    char *result;
    void *blocks[BLOCKS];       /* see dirty_heap */
};

/* place_fields copies the fields column by column. So no two fields of a record are neighbours,
   and a submission cannot copy many fields at once by trusting to luck where they lie. */
static void place_fields(struct state *s, const char *data)
{
    char *to = s->text;
    for (size_t column = 0; column < LOG_FIELDS; column++) {
        const char *from = data;
        for (size_t i = 0; i < s->count * LOG_FIELDS; i++) {
            size_t size = strlen(from) + 1;
            if (i % LOG_FIELDS == column) {
                s->records[i / LOG_FIELDS].field[column] = memcpy(to, from, size);
                to += size;
            }
            from += size;
        }
    }
}

/* dirty_heap leaves old bytes in free memory, as a program that has run for a while does: a
   result without its NUL is then seen as one. It keeps every fourth block, since allocators give
   whole free regions back to the system and get clean ones. */
static void dirty_heap(struct state *s)
{
    size_t size = 16;
    for (size_t i = 0; i < BLOCKS; i++, size += size / 8 + 8) {
        s->blocks[i] = malloc(size);
        if (s->blocks[i] != NULL)
            memset(s->blocks[i], '#', size);
        PL_KEEP(s->blocks[i]);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 4 != 0) {
            free(s->blocks[i]);
            s->blocks[i] = NULL;
        }
    }
}

void *workload_load(const unsigned char *data, size_t size)
{
    uint64_t count;
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    memcpy(&count, data, sizeof count);
    s->count = (size_t)count;
    s->records = malloc((s->count + 1) * sizeof *s->records);
    s->text = malloc(size);
    if (s->records == NULL || s->text == NULL) {
        workload_unload(s);
        return NULL;
    }
    place_fields(s, (const char *)data + sizeof count);
    dirty_heap(s);
    return s;
}

void workload_run(void *state)
{
    struct state *s = state;
    free(s->result);
    s->result = log_export(s->records, s->count);
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    if (s->result == NULL)
        return -1;
    return workload_append(output, s->result, strlen(s->result));
}

void workload_unload(void *state)
{
    struct state *s = state;
    for (size_t i = 0; i < BLOCKS; i++)
        free(s->blocks[i]);
    free(s->result);
    free(s->text);
    free(s->records);
    free(s);
}

/* ---- benchmarks: make lab03-bench ---- */

static void bench_export(pl_bench *b, void *arg)
{
    uint64_t records = *(const uint64_t *)arg;
    workload_buffer input = {0};
    struct state *s = NULL;
    if (workload_make(records, records, &input) == 0)
        s = workload_load(input.data, input.size);
    free(input.data);
    if (s == NULL) {
        pl_bench_fail(b, "out of memory for %llu records", (unsigned long long)records);
        return;
    }
    pl_bench_report_allocs(b);
    PL_LOOP(b) {
        workload_run(s);
        PL_KEEP(s->result);
    }
    if (s->result != NULL)
        pl_bench_set_bytes(b, (int64_t)strlen(s->result));
    workload_unload(s);
}

/* Each size is twice the one before, so that two neighbouring lines tell the growth. */
PL_BENCH(LogExport)
{
    static uint64_t sizes[] = {750, 1500, 3000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32];
        snprintf(name, sizeof name, "records=%llu", (unsigned long long)sizes[i]);
        pl_bench_run(b, name, bench_export, &sizes[i]);
    }
}
