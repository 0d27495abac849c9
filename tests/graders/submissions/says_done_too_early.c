/* protocol: something wrote 'R'
   Reports the end before the work is done, and works on. */
#include "lab.h"
#include <string.h>
#include <unistd.h>

char *squeeze(const char *text) {
    if (write(4, "R", 1) != 1) return NULL;
    usleep(20000);
    char *copy = strdup(text), *to = copy;
    for (; *text; text++)
        if (*text != ' ') *to++ = *text;
    *to = '\0';
    return copy;
}
