/* Takes a CPU profile of a function with an inlined call: `profiled FILE.pb.gz FILE.txt [main]`.
   The work is a thread's, whose stack begins in libc, or, with `main`, that of a program, whose
   begin has no lines. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <string.h>

static volatile double sum;

static inline void inlined(int i)
{
    sum += i; /* here */
}

/* Nobody uses what it returns: so gcc makes a copy without that, whose name only its origin has. */
__attribute__((noinline)) static double work(void)
{
    for (uint64_t end = pl_thread_cpu_ns() + 300000000; pl_thread_cpu_ns() < end;)
        for (int i = 0; i < 100000; i++)
            inlined(i); /* and here */
    return sum;
}

static void *run(void *unused)
{
    work();
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc < 3 || pl_cpu_start(&(pl_cpu_desc){.hz = 500}) != PL_OK)
        return 1;
    if (argc > 3)
        work();
    else if (pthread_create(&thread, NULL, run, NULL) == 0)
        pthread_join(thread, NULL);
    FILE *text = fopen(argv[2], "w");
    if (pl_cpu_stop() != PL_OK || pl_profile_save("cpu", argv[1]) != PL_OK || !text)
        return 1;
    return pl_profile_write("cpu", text, 1) != PL_OK || fclose(text) != 0;
}
