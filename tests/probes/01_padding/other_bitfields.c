/* Bit-fields in three words of 64 bits: 24 bytes a trip. The ranges of lab.h say how many bits a
   field needs; the time on the road needs fewer than the dropoff. */
#include "lab.h"

#include <stdlib.h>

/* One row of the table: 42 + 8 + 8 + 1, 27 + 26 + 8 and 31 bits. */
struct record {
    uint64_t pickup : 42, vendor : 8, passengers : 8, disputed : 1;
    uint64_t milliseconds : 27, distance : 26, payment : 8;
    uint64_t fare : 31;
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
    table->records = malloc((capacity + 1) * sizeof *table->records);
    if (table->records == NULL) {
        free(table);
        return NULL;
    }
    return table;
}

int table_add(struct table *table, const struct trip *trip)
{
    if (table->count == table->capacity)
        return -1;
    table->records[table->count++] = (struct record){
        .vendor = (uint8_t)trip->vendor,
        .pickup = (uint64_t)trip->pickup,
        .passengers = (uint8_t)trip->passengers,
        .distance = (uint64_t)trip->distance,
        .payment = (uint8_t)trip->payment,
        .fare = (uint64_t)trip->fare,
        .disputed = trip->disputed & 1,
        .milliseconds = (uint64_t)(trip->dropoff - trip->pickup),
    };
    return 0;
}

void table_get(const struct table *table, size_t index, struct trip *trip)
{
    const struct record *record = &table->records[index];
    *trip = (struct trip){
        .vendor = record->vendor,
        .pickup = (int64_t)record->pickup,
        .passengers = record->passengers,
        .distance = record->distance,
        .payment = record->payment,
        .fare = record->fare,
        .disputed = record->disputed,
        .dropoff = (int64_t)(record->pickup + record->milliseconds),
    };
}

static int is_suspicious(const struct record *record, const struct limits *limits)
{
    return (int64_t)record->passengers > limits->passengers
        || (int64_t)record->fare > limits->fare
        || (int64_t)record->distance * 1000 > limits->speed * (int64_t)record->milliseconds;
}

void table_audit(const struct table *table, const struct limits *limits, struct audit *audit)
{
    *audit = (struct audit){0, 0, 0};
    for (size_t i = 0; i < table->count; i++) {
        const struct record *record = &table->records[i];
        if (!is_suspicious(record, limits))
            continue;
        audit->trips++;
        audit->disputed += record->disputed;
        audit->fares += record->fare;
    }
}

void table_free(struct table *table)
{
    free(table->records);
    free(table);
}
