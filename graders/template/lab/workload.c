/* workload.c: inputs, right answers and benchmarks of lab @id@ (contract: docs/internals.md).

   FILL IN: the form of an input and of an output. Here: bytes, and their sum as a uint64_t. */
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

/* FILL IN: input that looks like real work, with what breaks wrong code in it. */
int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    uint64_t rng = seed;
    for (uint64_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)next_random(&rng);
        if (workload_append(input, &byte, 1))
            return -1;
    }
    return 0;
}

/* ---- oracle ---- */

/* FILL IN: the right output by another way than slow.c's. Here: how often each byte comes. */
int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    uint64_t times[256] = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < input->size; i++)
        times[input->data[i]]++;
    for (uint64_t byte = 0; byte < 256; byte++)
        sum += byte * times[byte];
    return workload_append(output, &sum, sizeof sum);
}

/* ---- one operation ---- */

struct state {
    size_t count;
    uint64_t result;
    unsigned char *bytes;
};

void *workload_load(const unsigned char *data, size_t size)
{
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->bytes = malloc(size + 1);
    if (s->bytes == NULL) {
        free(s);
        return NULL;
    }
    memcpy(s->bytes, data, size);
    s->count = size;
    return s;
}

void workload_run(void *state)
{
    struct state *s = state;
    s->result = checksum(s->bytes, s->count);
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    return workload_append(output, &s->result, sizeof s->result);
}

void workload_unload(void *state)
{
    struct state *s = state;
    free(s->bytes);
    free(s);
}

/* ---- benchmarks: make lab@id@-bench ---- */

static void bench_size(pl_bench *b, void *arg)
{
    uint64_t n = *(const uint64_t *)arg;
    workload_buffer input = {0};
    struct state *s = NULL;
    if (workload_make(n, n, &input) == 0)
        s = workload_load(input.data, input.size);
    free(input.data);
    if (s == NULL) {
        pl_bench_fail(b, "out of memory for %llu bytes", (unsigned long long)n);
        return;
    }
    pl_bench_report_allocs(b);
    PL_LOOP(b) {
        workload_run(s);
        PL_KEEP(s->result);
    }
    workload_unload(s);
}

/* FILL IN: the sizes that the questions of lab.ini ask about. */
PL_BENCH(Checksum)
{
    static uint64_t sizes[] = {500000, 1000000, 2000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32];
        snprintf(name, sizeof name, "n=%llu", (unsigned long long)sizes[i]);
        pl_bench_run(b, name, bench_size, &sizes[i]);
    }
}
