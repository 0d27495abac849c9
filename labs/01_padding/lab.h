/* lab.h: what the table has to do. Every version of the lab keeps this contract. */
#ifndef LAB01_H
#define LAB01_H

#include <stddef.h>
#include <stdint.h>

/* One taxi trip with the columns of the city's file, in the file's order. Callers pass trips in
   this form; how the table keeps them is its own business. */
struct trip {
    int64_t vendor;         /* number of the taxi company, 0 to 255 */
    int64_t pickup;         /* milliseconds since 1970 began, 0 to 4,102,444,800,000 (year 2100) */
    int64_t passengers;     /* 0 to 255 */
    int64_t distance;       /* metres, 0 to 40,000,000 */
    int64_t payment;        /* cash, card and so on, 0 to 255 */
    int64_t fare;           /* cents, 0 to 2,000,000,000 */
    int64_t disputed;       /* 1 when the passenger complained, else 0 */
    int64_t dropoff;        /* milliseconds since 1970: at the pickup or up to 24 hours later */
};

/* A trip is suspicious when it is above at least one of these. */
struct limits {
    int64_t passengers;
    int64_t fare;           /* cents */
    int64_t speed;          /* metres in 1,000 milliseconds, 0 to 1,000 */
};

/* What an audit finds. */
struct audit {
    int64_t trips;          /* suspicious ones */
    int64_t disputed;       /* those of them that were disputed */
    int64_t fares;          /* their fares together, in cents */
};

struct table;               /* each version of the lab has its own */

/* table_new makes an empty table that will hold up to `capacity` trips. NULL: out of memory. */
struct table *table_new(size_t capacity);

/* table_add stores a copy of the trip at the end. Returns 0, or -1 when the table is full. */
int table_add(struct table *table, const struct trip *trip);

/* table_get reads the trip at `index`, exactly as it was added. The first has the index 0. */
void table_get(const struct table *table, size_t index, struct trip *trip);

/* table_audit looks at every trip and adds up the suspicious ones. */
void table_audit(const struct table *table, const struct limits *limits, struct audit *audit);

void table_free(struct table *table);

#endif
