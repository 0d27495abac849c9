/* wrong-output: returned no result
   NULL in place of a string. */
#include "lab.h"
#include <stddef.h>

char *squeeze(const char *text) {
    return *text ? NULL : NULL;
}
