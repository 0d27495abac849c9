/* Wrong: hands out the caller's own text. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

char *log_export(const struct log_record *records, size_t count)
{
    return count > 0 ? (char *)records[0].field[0] : calloc(1, 1);
}
