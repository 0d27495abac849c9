/* wrong-output: the output is wrong
   Control characters, a terminal must not get them. */
#include "lab.h"
#include <string.h>

char *squeeze(const char *text) {
    char *copy = strdup(text);
    return memset(copy, '\x1b', strlen(copy));
}
