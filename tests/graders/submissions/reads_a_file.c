/* crash: before that it tried to open a file
   Does not look at what fopen returned. */
#include "lab.h"
#include <stdio.h>
#include <string.h>

char *squeeze(const char *text) {
    FILE *file = fopen("/etc/hostname", "r");
    char *copy = strdup(text);
    copy[0] = (char)fgetc(file);
    return copy;
}
