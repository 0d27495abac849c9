/* Wrong: a field is used as a format, so that a percent sign in a path changes the text. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

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
    size_t size = total_length(records, count) * 2 + 64;
    char *out = malloc(size);
    char *end = out;
    if (out == NULL)
        return NULL;
    for (size_t r = 0; r < count; r++) {
        for (size_t f = 0; f < LOG_FIELDS; f++) {
            end += snprintf(end, size - (size_t)(end - out), records[r].field[f]);
            *end++ = f + 1 < LOG_FIELDS ? '\t' : '\n';
        }
    }
    *end = '\0';
    return out;
}
