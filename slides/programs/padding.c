/* padding.c: audits tables of many sizes, with records of 64, 40 and 32 bytes that hold the same.
   What does a smaller record bring, in the cache and out of it? */
#include "perflab.h"

#include <stdint.h>
#include <stdlib.h>

/* AUDIT makes a record type and a benchmark that looks at every record of a table. */
#define AUDIT(NAME, FIELDS) \
    struct NAME { FIELDS }; \
    static void audit_##NAME(pl_bench *b, void *arg) \
    { \
        size_t count = *(const size_t *)arg; \
        struct NAME *table = calloc(count, sizeof *table); \
        if (table == NULL) { \
            pl_bench_fail(b, "out of memory for %zu records", count); \
            return; \
        } \
        for (size_t i = 0; i < count; i++) { \
            table[i].pickup = (int64_t)i; \
            table[i].dropoff = (int64_t)i + 1000; \
        } \
        PL_LOOP(b) { \
            int64_t found = 0; \
            for (size_t i = 0; i < count; i++) { \
                const struct NAME *r = &table[i]; \
                if (r->passengers > 8 || r->fare > 90000 || r->dropoff - r->pickup > 7200000) \
                    found += r->disputed; \
            } \
            PL_KEEP(found); \
        } \
        pl_bench_report_metric(b, (double)pl_bench_elapsed_ns(b) / (double)b->n / (double)count, \
                               "ns/record"); \
        free(table); \
    }

AUDIT(holes, uint8_t vendor; int64_t pickup; uint8_t passengers; int64_t distance;
      uint8_t payment; int64_t fare; uint8_t disputed; int64_t dropoff;)
AUDIT(ordered, int64_t pickup; int64_t distance; int64_t fare; int64_t dropoff;
      uint8_t vendor; uint8_t passengers; uint8_t payment; uint8_t disputed;)
AUDIT(smaller, int64_t pickup; int64_t dropoff; uint32_t distance; uint32_t fare;
      uint8_t vendor; uint8_t passengers; uint8_t payment; uint8_t disputed;)

static void sweep(pl_bench *b, void (*audit)(pl_bench *b, void *arg))
{
    for (size_t records = 500; records <= 2048000; records *= 4) {
        char name[32];
        snprintf(name, sizeof name, "records=%zu", records);
        pl_bench_run(b, name, audit, &records);
    }
}

PL_BENCH(Holes)
{
    sweep(b, audit_holes);
}

PL_BENCH(Ordered)
{
    sweep(b, audit_ordered);
}

PL_BENCH(Smaller)
{
    sweep(b, audit_smaller);
}

PL_BENCH_MAIN()
