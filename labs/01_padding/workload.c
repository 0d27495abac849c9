/* workload.c: inputs, right answers and benchmarks of lab 01 (contract: docs/internals.md).

   An input is small, whatever the table: a key and sets of limits. Trip number i of a table is a
   function of the key and i, so that a table of hundreds of megabytes never goes through a pipe.

   The table does not fit into a cache: with the 2,000,000 trips of lab.ini slow.c's has 122 MiB,
   and the largest cache that one core of a desktop reaches has 96. Each operation begins at the
   start of the table, which was written longest ago. */
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- seeded input ---- */

/* mix is the last part of splitmix64: every bit of the result depends on every bit of z. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static const int64_t day = 86400000;            /* milliseconds */
static const int64_t year_2024 = 1704067200000;

/* Trips that break wrong code: ends of the ranges of lab.h, values that a float or a smaller type
   does not hold, and values that lie exactly on a limit (see limits_of). The time on the road
   stands in place of the dropoff. */
static const struct trip odd_trips[] = {
    {0, 0, 0, 0, 0, 0, 0, 0},
    {255, 4102444800000, 255, 40000000, 255, 2000000000, 1, day},
    {1, 1, 1, 1, 1, 1, 1, 1},
    {128, 4294967295, 127, 16777217, 128, 16777217, 1, 4095},
    {127, 4294967296, 128, 65535, 127, 65536, 0, 65536},
    {7, 1704067200001, 6, 30000, 2, 20000, 1, 1000000},
    {7, 1704067200001, 7, 40000, 2, 30000, 1, 1000000},
    {8, 1704067200999, 7, 100, 2, 900, 0, 1000000},
    {8, 1704067200999, 2, 100, 2, 20001, 0, 1000000},
    {9, 1735689599999, 4, 0, 3, 32768, 1, day - 1},
    {10, 951782400000, 15, 36000000, 9, 99, 0, day},
    {11, 1582934400001, 3, 35000, 0, 50000, 1, 0},
    {12, 1704067212345, 2, 30001, 1, 700, 1, 1000000},
    {13, 1704067298765, 1, 40001, 1, 600, 0, 1000000},
    {14, 1704067298766, 2, 4294968, 4, 900, 1, 1000000},     /* times 1000: 2^32 and a little */
};

enum { ODD_TRIPS = sizeof odd_trips / sizeof *odd_trips, ODD_EVERY = 257, AUDITS = 5 };

/* What stands in the input. */
struct order {
    uint64_t count, key;
    struct limits limits[AUDITS];
};

/* usual_trip is one of a city: a few kilometres at the speed of its traffic. */
static struct trip usual_trip(uint64_t a, uint64_t b)
{
    int64_t metres = (int64_t)(a >> 40 & 0x7fff);
    struct trip t = {
        .vendor = (int64_t)(a & 3),
        .pickup = year_2024 + (int64_t)(b >> 30),
        .passengers = 1 + (int64_t)(a >> 8 & 3),
        .distance = metres,
        .payment = (int64_t)(a >> 16 & 7),
        .fare = 250 + metres / 8 + (int64_t)(b & 0x7ff),
        .disputed = (a >> 24 & 63) == 0,
        .dropoff = 60000 + metres * (80 + (int64_t)(b >> 16 & 127)),
    };
    return t;
}

/* trip_at is trip number i of the table. One in 257 is odd, and so are the first and the last. */
static struct trip trip_at(const struct order *order, uint64_t i)
{
    uint64_t a = mix(order->key + (i + 1) * 0x9e3779b97f4a7c15u);
    int is_odd = (i + order->key) % ODD_EVERY == 0 || i == 0 || i + 1 == order->count;
    struct trip t = is_odd ? odd_trips[a % ODD_TRIPS] : usual_trip(a, mix(a));
    t.dropoff += t.pickup;
    return t;
}

/* limits_of: no usual trip is above them, and some odd ones lie exactly on them. */
static struct limits limits_of(uint64_t key, unsigned audit)
{
    uint64_t z = mix(key ^ (audit + 1));
    struct limits limits = {
        .passengers = 6 + (int64_t)(z & 1),
        .fare = (z >> 8 & 3) == 0 ? 20001 : 20000 + 10000 * (int64_t)(z >> 16 & 1),
        .speed = 30 + 10 * (int64_t)(z >> 24 & 1),
    };
    return limits;
}

int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    struct order order = {.count = n, .key = mix(seed + 1)};
    for (unsigned i = 0; i < AUDITS; i++)
        order.limits[i] = limits_of(order.key, i);
    return workload_append(input, &order, sizeof order);
}

/* ---- output: text, so that people can read a difference ---- */

enum { ALL_ROWS = 1024, SOME_ROWS = 64, LINE_MAX = 256 };

/* Small tables are read back whole, of large ones some rows. */
static uint64_t row_number(const struct order *order, uint64_t i)
{
    return order->count <= ALL_ROWS ? i : mix(order->key + i) % order->count;
}

static uint64_t rows_shown(const struct order *order)
{
    return order->count <= ALL_ROWS ? order->count : SOME_ROWS;
}

static int put_audit(workload_buffer *output, unsigned number, const struct audit *a)
{
    char line[LINE_MAX];
    int length = snprintf(line, sizeof line, "audit %u: trips %lld, disputed %lld, fares %lld\n",
                          number, (long long)a->trips, (long long)a->disputed,
                          (long long)a->fares);
    return workload_append(output, line, (size_t)length);
}

static int put_row(workload_buffer *output, uint64_t row, const struct trip *t)
{
    char line[LINE_MAX];
    int length = snprintf(
        line, sizeof line, "row %llu: vendor %lld, pickup %lld, passengers %lld, distance %lld, "
        "payment %lld, fare %lld, disputed %lld, dropoff %lld\n", (unsigned long long)row,
        (long long)t->vendor, (long long)t->pickup, (long long)t->passengers,
        (long long)t->distance, (long long)t->payment, (long long)t->fare,
        (long long)t->disputed, (long long)t->dropoff);
    return workload_append(output, line, (size_t)length);
}

static int put_extra(workload_buffer *output, int result)
{
    char line[LINE_MAX];
    int length = snprintf(line, sizeof line, "one trip too many: table_add returned %d\n", result);
    return workload_append(output, line, (size_t)length);
}

/* ---- oracle: the rules of lab.h, trip by trip, without a table ---- */

/* is_above compares speeds as quotients where slow.c compares products: distance / time is above
   the limit when the part that is left over, or a whole metre, is. */
static int is_above(const struct trip *t, const struct limits *limits)
{
    int64_t milliseconds = t->dropoff - t->pickup;
    if (t->passengers > limits->passengers || t->fare > limits->fare)
        return 1;
    if (milliseconds == 0)
        return t->distance > 0;
    int64_t whole = t->distance * 1000 / milliseconds;
    return whole > limits->speed
        || (whole == limits->speed && t->distance * 1000 % milliseconds != 0);
}

static int put_audits(workload_buffer *output, const struct order *order)
{
    struct audit found[AUDITS] = {{0, 0, 0}};
    int failed = 0;
    for (uint64_t i = 0; i < order->count; i++) {
        struct trip t = trip_at(order, i);
        for (unsigned a = 0; a < AUDITS; a++) {
            int64_t above = is_above(&t, &order->limits[a]);
            found[a].trips += above;
            found[a].disputed += above * t.disputed;
            found[a].fares += above * t.fare;
        }
    }
    for (unsigned a = 0; a < AUDITS; a++)
        failed |= put_audit(output, a, &found[a]);
    return failed;
}

int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    struct order order;
    memcpy(&order, input->data, sizeof order);
    int failed = put_audits(output, &order);
    for (uint64_t i = 0; i < rows_shown(&order); i++) {
        uint64_t row = row_number(&order, i);
        struct trip t = trip_at(&order, row);
        failed |= put_row(output, row, &t);
    }
    return failed | put_extra(output, -1);
}

/* ---- one operation ---- */

struct state {
    struct order order;
    struct table *table;
    int extra;                      /* what table_add returned for one trip too many */
    struct audit found[AUDITS];
};

static int fill(struct table *table, const struct order *order)
{
    int failed = 0;
    for (uint64_t i = 0; i < order->count; i++) {
        struct trip t = trip_at(order, i);
        failed |= table_add(table, &t);
    }
    return failed;
}

void *workload_load(const unsigned char *data, size_t size)
{
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL || size != sizeof s->order) {
        free(s);
        return NULL;
    }
    memcpy(&s->order, data, size);
    s->table = table_new((size_t)s->order.count);
    if (s->table == NULL) {
        free(s);
        return NULL;
    }
    struct trip more = trip_at(&s->order, s->order.count);
    s->extra = fill(s->table, &s->order) ? 1 : table_add(s->table, &more);
    return s;
}

void workload_run(void *state)
{
    struct state *s = state;
    for (unsigned i = 0; i < AUDITS; i++)
        table_audit(s->table, &s->order.limits[i], &s->found[i]);
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    int failed = 0;
    for (unsigned i = 0; i < AUDITS; i++)
        failed |= put_audit(output, i, &s->found[i]);
    for (uint64_t i = 0; i < rows_shown(&s->order); i++) {
        uint64_t row = row_number(&s->order, i);
        struct trip t = {0};
        table_get(s->table, (size_t)row, &t);
        failed |= put_row(output, row, &t);
    }
    return failed | put_extra(output, s->extra);
}

void workload_unload(void *state)
{
    struct state *s = state;
    table_free(s->table);
    free(s);
}

/* ---- benchmarks: make lab01-bench ---- */

static void *load_trips(uint64_t trips)
{
    workload_buffer input = {0};
    void *state = NULL;
    if (workload_make(trips, trips, &input) == 0)
        state = workload_load(input.data, input.size);
    free(input.data);
    return state;
}

static void bench_fill(pl_bench *b, void *arg)
{
    struct order order = {.count = *(const uint64_t *)arg, .key = 1};
    pl_bench_report_allocs(b);
    PL_LOOP(b) {
        struct table *table = table_new((size_t)order.count);
        if (table == NULL || fill(table, &order) != 0) {
            pl_bench_fail(b, "out of memory for %llu trips", (unsigned long long)order.count);
            return;
        }
        table_free(table);
    }
}

static void bench_audit(pl_bench *b, void *arg)
{
    uint64_t trips = *(const uint64_t *)arg;
    struct state *s = load_trips(trips);
    if (s == NULL) {
        pl_bench_fail(b, "out of memory for %llu trips", (unsigned long long)trips);
        return;
    }
    PL_LOOP(b) {
        table_audit(s->table, &s->order.limits[0], &s->found[0]);
        PL_KEEP(&s->found[0]);
    }
    pl_bench_report_metric(b, (double)pl_bench_elapsed_ns(b) / (double)b->n / (double)trips,
                           "ns/trip");
    workload_unload(s);
}

/* A table of 1,000,000 trips: B/op divided by a million is what one trip takes. */
PL_BENCH(Fill)
{
    static uint64_t trips = 1000000;
    pl_bench_run(b, "trips=1000000", bench_fill, &trips);
}

/* A table that fits into the cache, and one that does not. */
PL_BENCH(Audit)
{
    static uint64_t sizes[] = {500, 2000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32];
        snprintf(name, sizeof name, "trips=%llu", (unsigned long long)sizes[i]);
        pl_bench_run(b, name, bench_audit, &sizes[i]);
    }
}
