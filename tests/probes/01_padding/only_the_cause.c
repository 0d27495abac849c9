/* slow.c with its fields in another order, and nothing else: 40 bytes in place of 64. */
#include "lab.h"

#include <stdlib.h>

/* One row of the table. */
struct record {
    int64_t pickup;
    int64_t distance;
    int64_t fare;
    int64_t dropoff;
    uint8_t vendor;
    uint8_t passengers;
    uint8_t payment;
    uint8_t disputed;
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
