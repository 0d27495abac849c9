/* Everything but the cause made faster: one scan of the text for each field where slow.c makes
   three, and memcpy where it has strcat. The scan is the cause. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

static char *append_field(char *out, const char *field, char separator)
{
    size_t end = strlen(out);
    size_t length = strlen(field);
    char *bigger = realloc(out, end + length + 2);
    if (bigger == NULL) {
        free(out);
        return NULL;
    }
    memcpy(bigger + end, field, length);
    bigger[end + length] = separator;
    bigger[end + length + 1] = '\0';
    return bigger;
}

char *log_export(const struct log_record *records, size_t count)
{
    char *out = calloc(1, 1);
    for (size_t r = 0; r < count && out != NULL; r++)
        for (size_t f = 0; f < LOG_FIELDS && out != NULL; f++)
            out = append_field(out, records[r].field[f], f + 1 < LOG_FIELDS ? '\t' : '\n');
    return out;
}
