/* slow.c with the named cause fixed and nothing else: the length is kept, so that nothing scans the
   text for its end, and room is made by doubling. The rest stays as clumsy as it was. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

struct text {
    char *out;
    size_t length, capacity;
};

static struct text append_field(struct text t, const char *field, const char *separator)
{
    size_t needed = t.length + strlen(field) + 2;
    if (needed > t.capacity) {
        char *bigger = realloc(t.out, needed * 2);
        if (bigger == NULL) {
            free(t.out);
            return (struct text){NULL, 0, 0};
        }
        t.out = bigger;
        t.capacity = needed * 2;
    }
    strcpy(t.out + t.length, field);
    t.length += strlen(field);
    strcpy(t.out + t.length, separator);
    t.length += strlen(separator);
    return t;
}

char *log_export(const struct log_record *records, size_t count)
{
    struct text t = {calloc(1, 1), 0, 1};
    for (size_t r = 0; r < count && t.out != NULL; r++) {
        for (size_t f = 0; f < LOG_FIELDS && t.out != NULL; f++) {
            const char *separator = f + 1 < LOG_FIELDS ? "\t" : "\n";
            t = append_field(t, records[r].field[f], separator);
        }
    }
    return t.out;
}
