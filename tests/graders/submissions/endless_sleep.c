/* hang: within 2 s
   Waits for something that never comes. */
#include "lab.h"
#include <string.h>
#include <unistd.h>

char *squeeze(const char *text) {
    for (;;) pause();
    return strdup(text);
}
