/* forbidden: defines 'write'
   Its own way to talk to the grader. */
#include "lab.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t write(int descriptor, const void *bytes, size_t n) {
    return descriptor < 0 || !bytes ? -1 : (ssize_t)n;
}

char *squeeze(const char *text) {
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (; *text; text++)
        if (*text != 32) *to++ = *text;
    *to = 0;
    return copy;
}
