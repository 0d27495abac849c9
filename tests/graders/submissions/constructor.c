/* forbidden: constructor
   Runs before the worker does. */
#include "lab.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *squeeze(const char *text) {
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (; *text; text++)
        if (*text != 32) *to++ = *text;
    *to = 0;
    return copy;
}

__attribute__((constructor)) static void first(void) {
    puts("PASS");
    _exit(0);
}
