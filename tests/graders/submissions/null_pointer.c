/* crash: SIGSEGV: it used a NULL pointer
   Writes through a NULL pointer. */
#include "lab.h"
#include <stddef.h>

char *squeeze(const char *text) {
    volatile char *volatile nowhere = NULL;
    *nowhere = *text;
    return (char *)text;
}
