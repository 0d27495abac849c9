/* Known shares: parse 60, of it 20 in read_word; sum 30; and 10 in libc's strlen. */
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

void work(void)
{
    parse();
    sum(3);
    record_inside((const void *)strlen, 10);
    AFTER;
}
