/* output-too-large: the output has 10,000,000 bytes
   Ten megabytes for any input. */
#include "lab.h"
#include <stdlib.h>
#include <string.h>

char *squeeze(const char *text) {
    char *copy = malloc(10000001);
    memset(copy, 'a' + *text % 2, 10000000);
    copy[10000000] = '\0';
    return copy;
}
