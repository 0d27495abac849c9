/* Wrong: there is room for the NUL at the end, but nobody writes it. */
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
    char *end = out;
    if (out == NULL)
        return NULL;
    for (size_t r = 0; r < count; r++) {
        for (size_t f = 0; f < LOG_FIELDS; f++) {
            const char *field = records[r].field[f];
            size_t length = strlen(field);
            memcpy(end, field, length);
            end += length;
            *end++ = f + 1 < LOG_FIELDS ? '\t' : '\n';
        }
    }
    return out;
}
