/* What one malloc and the free of the block cost: ./malloc_pair THREADS MODE

   MODE `same` frees each block at once, 64 bytes; `mixed` keeps 256 blocks of 16 to 2,048 bytes
   alive and replaces one each time. Prints one number, nanoseconds of processor time a pair: the
   fastest of several batches, so that an interruption does not count. It knows nothing of perflab;
   bench/run.py links it with and without perflab.o, and preloads other allocators. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAIRS 400000
#define BATCHES 5
#define LIVE 256
#define MAX_THREADS 64

static int mixed;
static pthread_barrier_t start_line;

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The compiler may not know that the block is a fresh one, or it deletes both calls. */
static void keep(void *block) {
    __asm__ volatile("" : : "r"(block) : "memory");
}

static void same_size(void) {
    for (int i = 0; i < PAIRS; i++) {
        void *block = malloc(64);
        keep(block);
        free(block);
    }
}

static void mixed_sizes(void) {
    void *live[LIVE] = {NULL};
    uint32_t random = 1;
    for (int i = 0; i < PAIRS; i++) {
        random = random * 1664525 + 1013904223;
        unsigned place = random >> 8 & (LIVE - 1);
        free(live[place]);
        live[place] = malloc(16u << (random >> 16 & 7));
        keep(live[place]);
    }
    for (int i = 0; i < LIVE; i++) {
        free(live[i]);
    }
}

static void *work(void *result) {
    double best = 1e30;
    pthread_barrier_wait(&start_line);
    for (int i = 0; i < BATCHES; i++) {
        double start = cpu_ns();
        mixed ? mixed_sizes() : same_size();
        double each = (cpu_ns() - start) / PAIRS;
        best = each < best ? each : best;
    }
    *(double *)result = best;
    return NULL;
}

int main(int argc, char **argv) {
    int threads = argc == 3 ? atoi(argv[1]) : 0;
    pthread_t others[MAX_THREADS];
    double results[MAX_THREADS], sum = 0;
    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: malloc_pair THREADS same|mixed\n");
        return 2;
    }
    mixed = strcmp(argv[2], "mixed") == 0;
    pthread_barrier_init(&start_line, NULL, (unsigned)threads);
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&others[i], NULL, work, &results[i]) != 0) {
            perror("malloc_pair: pthread_create");
            return 1;
        }
    }
    work(&results[0]);
    for (int i = 0; i < threads; i++) {
        if (i > 0) {
            pthread_join(others[i], NULL);
        }
        sum += results[i];
    }
    printf("%.4f\n", sum / threads);
    return 0;
}
