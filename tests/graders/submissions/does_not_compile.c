/* compile: line 7: expected
   A missing semicolon. */
#include "lab.h"
#include <stdlib.h>

char *squeeze(const char *text) {
    int length = 1 return malloc(length + *text);
}
