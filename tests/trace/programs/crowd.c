/* Too many workers: 64 threads that all want to compute. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>

#define WORKERS 64

static uint64_t until;

PL_NOINLINE static uint64_t hash_block(uint64_t seed)
{
    for (int i = 0; i < 200000; i++)
        seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed;
}

static void *worker(void *arg)
{
    uint64_t hash = (uintptr_t)arg;
    pthread_setname_np(pthread_self(), "worker");
    while (pl_now_ns() < until) {
        PL_REGION("hash") { hash = hash_block(hash); }
    }
    PL_KEEP(hash);
    return NULL;
}

int main(int argc, char **argv)
{
    pl_trace_desc desc = {.path = argc > 1 ? argv[1] : NULL};
    pthread_t thread[WORKERS];
    if (pl_cpu_start(NULL) != PL_OK || pl_trace_start(&desc) != PL_OK)
        return 1;
    until = pl_now_ns() + 1000000000;
    for (uintptr_t i = 0; i < WORKERS; i++)
        pthread_create(&thread[i], NULL, worker, (void *)i);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(thread[i], NULL);
    return pl_trace_stop() != PL_OK;
}
