/* hang: did not finish within 2 s
   A loop without an end. */
#include "lab.h"
#include <stddef.h>

char *squeeze(const char *text) {
    for (volatile int running = 1; running || *text;) {}
    return NULL;
}
