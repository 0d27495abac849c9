/* forbidden: used the system call
   Forbids others to look at its descriptors, threads and memory. */
#include "lab.h"
#include <string.h>
#include <sys/prctl.h>

char *squeeze(const char *text) {
    prctl(PR_SET_DUMPABLE, 0);
    return strdup(text);
}
