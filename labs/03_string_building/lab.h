/* lab.h: what log_export has to do. Every version of the lab keeps this contract. */
#ifndef LAB03_H
#define LAB03_H

#include <stddef.h>

/* Columns of one line of a web server's access log, in this order:
   time, level, host, method, path, status, bytes, milliseconds, referer, agent. */
enum { LOG_FIELDS = 10 };

/* One request. No field is NULL, many are empty (""), some are long. A field holds any bytes but
   NUL, tab and newline. The text belongs to the caller; where it lies in memory means nothing. */
struct log_record {
    const char *field[LOG_FIELDS];
};

/* log_export returns all records as one string, a line per record: the fields in order, one tab
   between two fields, one newline after the last. Empty fields keep their place. No records give
   the empty string. The string ends with NUL and comes from malloc: the caller frees it. NULL
   means out of memory, and then nothing stays allocated. */
char *log_export(const struct log_record *records, size_t count);

#endif
