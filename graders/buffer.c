/* buffer.c: the growing workload_append, for the judge and for benchmarks. A worker has its own,
   which cannot grow. */
#include "workload.h"

#include <stdlib.h>
#include <string.h>

int workload_append(workload_buffer *buffer, const void *bytes, size_t n) {
    if (n > buffer->capacity - buffer->size) {
        if (n > SIZE_MAX / 4 || buffer->size > SIZE_MAX / 4) return -1;
        size_t capacity = 2 * (buffer->size + n) + 64;
        unsigned char *data = realloc(buffer->data, capacity);
        if (!data) return -1;
        buffer->data = data;
        buffer->capacity = capacity;
    }
    if (n) memcpy(buffer->data + buffer->size, bytes, n);
    buffer->size += n;
    return 0;
}
