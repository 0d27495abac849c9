/* A builder that grows by half instead of doubling, and gives back what it did not need. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

char *log_export(const struct log_record *records, size_t count)
{
    size_t length = 0;
    size_t capacity = 16;
    char *out = malloc(capacity);
    for (size_t i = 0; i < count * LOG_FIELDS && out != NULL; i++) {
        const char *field = records[i / LOG_FIELDS].field[i % LOG_FIELDS];
        size_t added = strlen(field) + 1;
        if (length + added + 1 > capacity) {
            while (length + added + 1 > capacity)
                capacity += capacity / 2;
            char *bigger = realloc(out, capacity);
            if (bigger == NULL)
                free(out);
            out = bigger;
        }
        if (out == NULL)
            return NULL;
        memcpy(out + length, field, added);
        length += added;
        out[length - 1] = (i + 1) % LOG_FIELDS != 0 ? '\t' : '\n';
    }
    if (out == NULL)
        return NULL;
    out[length] = '\0';
    char *fitted = realloc(out, length + 1);
    return fitted != NULL ? fitted : out;
}
