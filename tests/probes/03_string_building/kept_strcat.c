/* All memory at once, as in a good solution; but strcat still looks for the end of the text, twice
   a field. Faster than slow.c, and as quadratic. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

static size_t total_length(const struct log_record *records, size_t count)
{
    size_t total = 0;
    for (size_t r = 0; r < count; r++)
        for (size_t f = 0; f < LOG_FIELDS; f++)
            total += strlen(records[r].field[f]) + 1;
    return total;
}

char *log_export(const struct log_record *records, size_t count)
{
    char *out = malloc(total_length(records, count) + 1);
    if (out == NULL)
        return NULL;
    out[0] = '\0';
    for (size_t r = 0; r < count; r++) {
        for (size_t f = 0; f < LOG_FIELDS; f++) {
            strcat(out, records[r].field[f]);
            strcat(out, f + 1 < LOG_FIELDS ? "\t" : "\n");
        }
    }
    return out;
}
