/* crash: SIGABRT: it called abort
   Frees a block twice; libc notices. */
#include "lab.h"
#include <stdlib.h>

char *squeeze(const char *text) {
    char *volatile copy = malloc(10);
    *copy = *text;
    free(copy);
    free(copy);
    return copy;
}
