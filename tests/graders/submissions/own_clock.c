/* forbidden: defines 'clock_gettime'
   A clock that stands still. */
#include "lab.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    now->tv_sec = now->tv_nsec = id & 0;
    return 0;
}

char *squeeze(const char *text) {
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (; *text; text++)
        if (*text != 32) *to++ = *text;
    *to = 0;
    return copy;
}
