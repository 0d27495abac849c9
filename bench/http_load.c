/* A program that answers requests of its own, 1,000 a second on two threads, while its profiles are
   fetched: http_load SECONDS. It prints its port, and at its end the 99th percentile of how long a
   request took, in ns: from the moment at which it was due, so that what is held up counts, too.
   Those of even half seconds of the monotonic clock come first, then those of odd ones. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 2, PERIOD_NS = 2000000, PHASE_NS = 500000000, BLOCKS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t *took[2], end_ns;
static size_t count[2], room; /* of both; under the lock */

/* Some memory, some computing, and a lock that the other thread wants as well. */
static unsigned request(void)
{
    char *block[BLOCKS];
    unsigned sum = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = 64 + 32 * (size_t)i;
        block[i] = malloc(size);
        memset(block[i], i, size);
    }
    for (int i = 0; i < BLOCKS; i++) {
        for (int k = 0; k < 64; k++)
            sum = sum * 31 + (unsigned char)block[i][k];
        free(block[i]);
    }
    return sum;
}

static void *serve(void *unused)
{
    for (uint64_t due = pl_now_ns(); due < end_ns; due += PERIOD_NS) {
        struct timespec until = {(time_t)(due / 1000000000), (long)(due % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        unsigned answer = request();
        PL_KEEP(answer);
        int phase = due / PHASE_NS % 2;
        pthread_mutex_lock(&lock);
        if (count[phase] < room)
            took[phase][count[phase]++] = pl_now_ns() - due;
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static unsigned long long p99(int phase)
{
    qsort(took[phase], count[phase], sizeof *took[phase], compare);
    return count[phase] ? took[phase][count[phase] * 99 / 100] : 0;
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 10;
    pthread_t thread[THREADS];
    room = THREADS * (seconds + 1) * (1000000000 / PERIOD_NS);
    for (int i = 0; i < 2; i++) {
        took[i] = calloc(room, sizeof *took[i]);
        if (!took[i])
            return 1;
        memset(took[i], 1, room * sizeof *took[i]); /* or it would grow for as long as it runs */
    }
    pl_block_rate_set(1000);
    pl_mutex_fraction_set(10);
    if (pl_http_start(&(pl_http_desc){"127.0.0.1:0", NULL, NULL}) != PL_OK)
        return 1;
    printf("%d\n", pl_http_port());
    fflush(stdout);
    end_ns = pl_now_ns() + seconds * 1000000000;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, serve, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    printf("%llu %llu\n", p99(0), p99(1));
    return count[0] == 0 || count[1] == 0;
}
