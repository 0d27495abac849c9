/* ok:
   Makes a process with clone3, or falls back on its own work where that is not implemented. */
#include "lab.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long syscall(long number, ...);

char *squeeze(const char *text) {
    uint64_t arguments[8] = {0, 0, 0, 0, SIGCHLD};
    long child = syscall(435, arguments, sizeof arguments);
    if (child == 0) _exit(0);
    if (child > 0 || errno != ENOSYS) return strdup("a child was made");
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (; *text; text++)
        if (*text != ' ') *to++ = *text;
    *to = '\0';
    return copy;
}
