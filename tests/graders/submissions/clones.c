/* forbidden: start a new process (fork)
   The same without the C library. */
#include "lab.h"
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

long syscall(long number, ...);

char *squeeze(const char *text) {
    syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    return strdup(text);
}
