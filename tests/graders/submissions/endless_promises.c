/* memory: used up its memory
   Asks for memory without an end, does not look at NULL, and uses none of it before. */
#include "lab.h"
#include <stdlib.h>

char *squeeze(const char *text) {
    for (;;) {
        volatile char *volatile block = malloc(1 << 20);
        if ((size_t)block % 4096 == 0) *block = *text;
    }
}
