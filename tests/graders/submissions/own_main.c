/* forbidden: defines main
   A program of its own. */
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

int main(void) { return 0; }
