/* The records as they were; the loop asks for memory ahead of its use, takes four records a turn,
   and the table lies on huge pages where the kernel gives them. */
#include "lab.h"

#include <stdlib.h>
#include <sys/mman.h>

/* One row of the table. The fields stand in the order of the columns in the file. */
struct record {
    uint8_t vendor;
    int64_t pickup;
    uint8_t passengers;
    int64_t distance;
    uint8_t payment;
    int64_t fare;
    uint8_t disputed;
    int64_t dropoff;
};

struct table {
    size_t count, capacity;
    struct record *records;
};

struct table *table_new(size_t capacity)
{
    struct table *table = malloc(sizeof *table);
    if (table == NULL)
        return NULL;
    table->count = 0;
    table->capacity = capacity;
    size_t huge = 2u << 20;
    size_t size = (capacity * sizeof *table->records / huge + 1) * huge;
    table->records = aligned_alloc(huge, size);
    if (table->records == NULL) {
        free(table);
        return NULL;
    }
    madvise(table->records, size, MADV_HUGEPAGE);
    return table;
}

int table_add(struct table *table, const struct trip *trip)
{
    if (table->count == table->capacity)
        return -1;
    table->records[table->count++] = (struct record){
        .vendor = (uint8_t)trip->vendor,
        .pickup = trip->pickup,
        .passengers = (uint8_t)trip->passengers,
        .distance = trip->distance,
        .payment = (uint8_t)trip->payment,
        .fare = trip->fare,
        .disputed = (uint8_t)trip->disputed,
        .dropoff = trip->dropoff,
    };
    return 0;
}

void table_get(const struct table *table, size_t index, struct trip *trip)
{
    const struct record *record = &table->records[index];
    *trip = (struct trip){
        .vendor = record->vendor,
        .pickup = record->pickup,
        .passengers = record->passengers,
        .distance = record->distance,
        .payment = record->payment,
        .fare = record->fare,
        .disputed = record->disputed,
        .dropoff = record->dropoff,
    };
}

static int is_suspicious(const struct record *record, const struct limits *limits)
{
    int64_t milliseconds = record->dropoff - record->pickup;
    return record->passengers > limits->passengers
        || record->fare > limits->fare
        || record->distance * 1000 > limits->speed * milliseconds;
}

static void look(const struct record *record, const struct limits *limits, struct audit *audit)
{
    if (!is_suspicious(record, limits))
        return;
    audit->trips++;
    audit->disputed += record->disputed;
    audit->fares += record->fare;
}

void table_audit(const struct table *table, const struct limits *limits, struct audit *audit)
{
    const struct record *record = table->records;
    const struct record *end = record + table->count;
    *audit = (struct audit){0, 0, 0};
    for (; end - record >= 4; record += 4) {
        __builtin_prefetch((const char *)record + 1024);
        __builtin_prefetch((const char *)record + 1088);
        __builtin_prefetch((const char *)record + 1152);
        __builtin_prefetch((const char *)record + 1216);
        look(&record[0], limits, audit);
        look(&record[1], limits, audit);
        look(&record[2], limits, audit);
        look(&record[3], limits, audit);
    }
    for (; record < end; record++)
        look(record, limits, audit);
}

void table_free(struct table *table)
{
    free(table->records);
    free(table);
}
