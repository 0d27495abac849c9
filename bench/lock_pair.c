/* What one lock and unlock cost that nobody contends: lock_pair off|on

   Prints nanoseconds of processor time a pair: the fastest of several batches. `on` switches the
   block and mutex profiles on where perflab is linked. A second thread sleeps beside it, since libc
   spares the atomic operations of a program with one thread. perflab is called by weak names, so
   that the same object is linked with and without perflab.o. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAIRS 2000000
#define BATCHES 5

void pl_block_rate_set(int64_t ns) __attribute__((weak));
int pl_mutex_fraction_set(int n) __attribute__((weak));

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *sleep_on(void *unused)
{
    for (;;)
        pause();
    return unused;
}

int main(int argc, char **argv)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_t sleeper;
    double best = 1e30;
    pthread_create(&sleeper, NULL, sleep_on, NULL);
    if (argc > 1 && strcmp(argv[1], "on") == 0 && pl_block_rate_set) {
        pl_block_rate_set(1);
        pl_mutex_fraction_set(1);
    }
    for (int batch = 0; batch < BATCHES; batch++) {
        double began = cpu_ns();
        for (int i = 0; i < PAIRS; i++) {
            pthread_mutex_lock(&mutex);
            pthread_mutex_unlock(&mutex);
        }
        double took = cpu_ns() - began;
        best = took < best ? took : best;
    }
    printf("%.3f\n", best / PAIRS);
    return 0;
}
