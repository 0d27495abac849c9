/* slow.c: the frozen baseline of lab 01, kept to compare with. Edit student.c, not this file. */
#include "lab.h"

#include <stdlib.h>

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
