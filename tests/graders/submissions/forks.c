/* forbidden: start a new process (fork)
   Lets a child do the work. */
#include "lab.h"
#include <string.h>
#include <unistd.h>

char *squeeze(const char *text) {
    if (fork() == 0) _exit(0);
    return strdup(text);
}
