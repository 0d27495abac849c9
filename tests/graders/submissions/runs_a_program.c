/* forbidden: start another program
   Asks a shell. */
#include "lab.h"
#include <stdlib.h>
#include <string.h>

char *squeeze(const char *text) {
    if (system("true")) return NULL;
    return strdup(text);
}
