/* Wrong: a static buffer, which the caller cannot free and which cuts long exports. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

char *log_export(const struct log_record *records, size_t count)
{
    static char out[64 * 1024];
    size_t length = 0;
    for (size_t r = 0; r < count; r++) {
        for (size_t f = 0; f < LOG_FIELDS; f++) {
            size_t added = strlen(records[r].field[f]);
            if (length + added + 2 > sizeof out)
                break;
            memcpy(out + length, records[r].field[f], added);
            length += added;
            out[length++] = f + 1 < LOG_FIELDS ? '\t' : '\n';
        }
    }
    out[length] = '\0';
    return out;
}
