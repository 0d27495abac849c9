/* slow:
   Keeps a few MiB in a file without a name, and reads it back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "lab.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char *squeeze(const char *text) {
    size_t size = 6 << 20;
    char *copy = calloc(1, size), *to = copy;
    int file = memfd_create("text", 0);
    for (; *text; text++)
        if (*text != ' ') *to++ = *text;
    if (file < 0 || write(file, copy, size) != (ssize_t)size) return NULL;
    memset(copy, 'x', size);
    if (pread(file, copy, size, 0) != (ssize_t)size) return NULL;
    close(file);
    return copy;
}
