/* Computes for a given CPU time in a given number of threads, three quarters of it in hot() and one
   in cold(), and prints the CPU time of the process in nanoseconds, then the share of hot():

       cpu_load work THREADS MS     MS in each thread, all at once
       cpu_load short COUNT         COUNT threads one after the other, 1 to 5 ms each
       cpu_load fixed               always the same work, on one thread

   It knows nothing of profilers: they are preloaded, or linked. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The same work under two names, which differ in a constant: compilers make one of functions that
   are equal. A dependent chain: no compiler and no processor shortens it. */
#define WORK(name, constant)                                                                       \
    static __attribute__((noinline)) uint64_t name(uint64_t x, unsigned turns)                     \
    {                                                                                              \
        for (unsigned i = 0; i < turns; i++) {                                                     \
            x = x * 6364136223846793005u + (constant);                                             \
            __asm__ volatile("" : "+r"(x));                                                        \
        }                                                                                          \
        return x;                                                                                  \
    }

WORK(hot, 1442695040888963407u)
WORK(cold, 1442695040888963409u)

static uint64_t mix(uint64_t x)
{
    return cold(hot(x, 30000), 10000);
}

static void *work(void *ms)
{
    uint64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + *(const uint64_t *)ms * 1000000u, x = 1;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        x = mix(x);
    return (void *)(uintptr_t)x;
}

static void together(int threads, uint64_t ms)
{
    pthread_t thread[256];
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, work, &ms) != 0)
            exit(1);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int count = argc > 2 ? atoi(argv[2]) : 0;
    if (strcmp(mode, "work") == 0 && argc == 4 && count > 0 && count <= 256) {
        together(count, (uint64_t)atoll(argv[3]));
    } else if (strcmp(mode, "short") == 0 && argc == 3) {
        for (int i = 0; i < count; i++)
            together(1, 1 + (uint64_t)i % 5);
    } else if (strcmp(mode, "fixed") == 0) {
        uint64_t x = 1;
        for (int i = 0; i < 12000; i++)
            x = mix(x);
        if (x == 0)
            return 1;
    } else {
        fprintf(stderr, "cpu_load: work THREADS MS, short COUNT, or fixed\n");
        return 2;
    }
    printf("%llu\n", (unsigned long long)clock_ns(CLOCK_PROCESS_CPUTIME_ID));
    return 0;
}
