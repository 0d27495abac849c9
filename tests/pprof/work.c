/* Known weights: parse 40 and 20 more in read_word; sum 30; strlen 10; crunch 8 at two places. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "record.h"

/* Not inlined, no tail calls: every one of them is in the stack. */
#define KEEP __attribute__((noinline))
#define AFTER __asm__ volatile("" : : : "memory")

KEEP void read_word(void)
{
    record(20);
    AFTER;
}

KEEP void parse(void)
{
    record(40);
    read_word();
    AFTER;
}

KEEP static void sum(int depth)
{
    if (depth > 0)
        sum(depth - 1);
    else
        record(30);
    AFTER;
}

KEEP static int crunch(int x)
{
    AFTER;
    return x * 7 + 1;
}

/* The code itself: a program that is not position-independent may take the address of a jump to it.
   Static programs have no such thing, and no table of names to ask. */
static const void *code_of_strlen(void)
{
    const void *code = dlsym(RTLD_NEXT, "strlen");
    return code ? code : (const void *)strlen;
}

KEEP void work(void)
{
    parse();
    sum(3 + crunch(0) / 7);
    record_inside(code_of_strlen(), 1, 10);
    record_inside((const void *)crunch, 0, 5);
    record_inside((const void *)crunch, 2, 3);
    AFTER;
}
