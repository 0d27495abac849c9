/* forbidden: reach another process
   Ends the one who asks, by the number of its first thread. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "lab.h"
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

char *squeeze(const char *text) {
    syscall(SYS_tkill, getppid(), SIGKILL);
    return strdup(text);
}
