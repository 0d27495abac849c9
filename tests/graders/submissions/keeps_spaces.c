/* wrong-output: the output is wrong for an input of size
   A copy with everything in it. */
#include "lab.h"
#include <string.h>

char *squeeze(const char *text) { return strdup(text); }
