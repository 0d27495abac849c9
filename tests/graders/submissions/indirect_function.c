/* forbidden: ifunc
   Runs while the program is linked. */
#include "lab.h"
#include <stdlib.h>
#include <string.h>

char *squeeze(const char *text) {
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (; *text; text++)
        if (*text != 32) *to++ = *text;
    *to = 0;
    return copy;
}

static void *resolve(void) { return squeeze; }
char *other(const char *text) __attribute__((ifunc("resolve")));
