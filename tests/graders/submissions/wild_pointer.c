/* crash: SIGSEGV: it used memory that is not its own
   Writes somewhere. */
#include "lab.h"
#include <stdint.h>

char *squeeze(const char *text) {
    volatile char *volatile somewhere = (char *)(uintptr_t)0x123456789000;
    *somewhere = *text;
    return (char *)text;
}
