/* slow.c: the frozen baseline of lab @id@, kept to compare with. Edit student.c, not this file. */
#include "lab.h"
#include "perflab.h"

/* FILL IN: code as people really write it, slow for one reason. A function that a question asks for
   is PL_NOINLINE, so that a profile has a name for it. */
static PL_NOINLINE uint64_t add(uint64_t sum, unsigned char byte)
{
    return sum + byte;
}

uint64_t checksum(const unsigned char *bytes, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = add(sum, bytes[i]);
    return sum;
}
