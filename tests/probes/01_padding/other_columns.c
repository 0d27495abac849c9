/* A column for each field, each an array of its own: 28 bytes a trip, and no holes at all. */
#include "lab.h"

#include <stdlib.h>

/* All columns lie in one block, one behind the other, the widest first. */
struct table {
    size_t count, capacity;
    int64_t *pickup, *dropoff;
    uint32_t *distance, *fare;
    uint8_t *vendor, *passengers, *payment, *disputed;
};

struct table *table_new(size_t capacity)
{
    struct table *t = malloc(sizeof *t);
    char *block = malloc(28 * (capacity + 1));
    if (t == NULL || block == NULL) {
        free(block);
        free(t);
        return NULL;
    }
    t->count = 0;
    t->capacity = capacity;
    t->pickup = (int64_t *)(void *)block;
    t->dropoff = t->pickup + capacity;
    t->distance = (uint32_t *)(t->dropoff + capacity);
    t->fare = t->distance + capacity;
    t->vendor = (uint8_t *)(t->fare + capacity);
    t->passengers = t->vendor + capacity;
    t->payment = t->passengers + capacity;
    t->disputed = t->payment + capacity;
    return t;
}

int table_add(struct table *t, const struct trip *trip)
{
    size_t i = t->count;
    if (i == t->capacity)
        return -1;
    t->pickup[i] = trip->pickup;
    t->dropoff[i] = trip->dropoff;
    t->distance[i] = (uint32_t)trip->distance;
    t->fare[i] = (uint32_t)trip->fare;
    t->vendor[i] = (uint8_t)trip->vendor;
    t->passengers[i] = (uint8_t)trip->passengers;
    t->payment[i] = (uint8_t)trip->payment;
    t->disputed[i] = (uint8_t)trip->disputed;
    t->count++;
    return 0;
}

void table_get(const struct table *t, size_t i, struct trip *trip)
{
    *trip = (struct trip){
        t->vendor[i], t->pickup[i], t->passengers[i], t->distance[i], t->payment[i], t->fare[i],
        t->disputed[i], t->dropoff[i]};
}

void table_audit(const struct table *t, const struct limits *limits, struct audit *audit)
{
    *audit = (struct audit){0, 0, 0};
    for (size_t i = 0; i < t->count; i++) {
        int64_t milliseconds = t->dropoff[i] - t->pickup[i];
        if (t->passengers[i] <= limits->passengers && t->fare[i] <= limits->fare
            && (int64_t)t->distance[i] * 1000 <= limits->speed * milliseconds)
            continue;
        audit->trips++;
        audit->disputed += t->disputed[i];
        audit->fares += t->fare[i];
    }
}

void table_free(struct table *t)
{
    free(t->pickup);
    free(t);
}
