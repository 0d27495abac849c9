/* slow: printed
   Writes a few MiB to stdout, of which the grader keeps the beginning. */
#include "lab.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *squeeze(const char *text) {
    static char noise[4 << 20];
    char *copy = malloc(strlen(text) + 1), *to = copy;
    memset(noise, 'x', sizeof noise);
    for (int i = 0; i < 4; i++)
        if (write(1, noise, sizeof noise) < 0) break;
    for (; *text; text++)
        if (*text != ' ') *to++ = *text;
    *to = '\0';
    return copy;
}
