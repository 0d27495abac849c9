/* Half of the cause: the length is kept, but room is made field by field. With a realloc that grows
   in place it is as fast as the solution; with another allocator it copies the text every time. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

char *log_export(const struct log_record *records, size_t count)
{
    size_t length = 0;
    char *out = calloc(1, 1);
    for (size_t i = 0; i < count * LOG_FIELDS && out != NULL; i++) {
        const char *field = records[i / LOG_FIELDS].field[i % LOG_FIELDS];
        size_t added = strlen(field);
        char *bigger = realloc(out, length + added + 2);
        if (bigger == NULL) {
            free(out);
            return NULL;
        }
        out = bigger;
        memcpy(out + length, field, added);
        length += added;
        out[length++] = (i + 1) % LOG_FIELDS != 0 ? '\t' : '\n';
        out[length] = '\0';
    }
    return out;
}
