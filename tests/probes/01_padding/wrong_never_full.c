/* Wrong: table_add does not say when the table is full. */
#include "lab.h"

#include <assert.h>
#include <stdlib.h>

/* One row of the table. */
struct record {
    int64_t pickup;
    int64_t dropoff;
    uint32_t distance;      /* metres, up to 40,000,000 */
    uint32_t fare;          /* cents, up to 2,000,000,000 */
    uint8_t vendor;
    uint8_t passengers;
    uint8_t payment;
    uint8_t disputed;
};

static_assert(sizeof(struct record) == 32, "somebody made a hole, or added a field");

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
        return 0;
    table->records[table->count++] = (struct record){
        .pickup = trip->pickup,
        .dropoff = trip->dropoff,
        .distance = (uint32_t)trip->distance,
        .fare = (uint32_t)trip->fare,
        .vendor = (uint8_t)trip->vendor,
        .passengers = (uint8_t)trip->passengers,
        .payment = (uint8_t)trip->payment,
        .disputed = (uint8_t)trip->disputed,
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

/* The product is computed in 64 bits: 40,000,000 metres times 1000 do not fit into 32. */
static int is_suspicious(const struct record *record, const struct limits *limits)
{
    int64_t milliseconds = record->dropoff - record->pickup;
    return record->passengers > limits->passengers
        || record->fare > limits->fare
        || (int64_t)record->distance * 1000 > limits->speed * milliseconds;
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
