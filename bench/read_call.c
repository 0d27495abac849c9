/* What a read of one byte costs that does not wait: read_call off|on

   Prints nanoseconds of processor time a call of read on /dev/zero: the fastest of many batches.
   `on` has the flight recorder run meanwhile, where perflab is compiled in. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CALLS 100000
#define BATCHES 20

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    int zero = open("/dev/zero", O_RDONLY);
    double best = 1e30;
    char byte;
#ifdef PERFLAB_H
    if (argc > 1 && strcmp(argv[1], "on") == 0 && pl_flight_start(NULL) != PL_OK)
        return 1;
#else
    (void)argc, (void)argv;
#endif
    for (int batch = 0; batch < BATCHES; batch++) {
        double began = cpu_ns();
        for (int i = 0; i < CALLS; i++)
            if (read(zero, &byte, 1) != 1)
                return 1;
        double took = cpu_ns() - began;
        best = took < best ? took : best;
    }
    printf("%.3f\n", best / CALLS);
    return 0;
}
