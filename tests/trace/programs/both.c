/* The same trace twice: as the program writes it at the end, and, just before, its ring file. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pl_task job;

static inline __attribute__((always_inline)) void pause_inlined(void)
{
    usleep(3000);
}

PL_NOINLINE static void pause_with_lock(void)
{
    pthread_mutex_lock(&lock);
    pause_inlined();
    pthread_mutex_unlock(&lock);
}

static void *worker(void *arg)
{
    char name[16];
    snprintf(name, sizeof name, "worker-%d", *(int *)arg);
    pthread_setname_np(pthread_self(), name);
    for (int i = 0; i < 10; i++) {
        PL_REGION("turn") {
            PL_TASK(job) { pause_with_lock(); }
            pl_trace_log("turn", "number %d", i);
            pl_trace_counter("turns", i);
            pl_trace_instant("done");
            pl_flow_out("next", (uint64_t)i);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char copy[512];
    int number[3] = {1, 2, 3};
    pl_trace_desc desc = {.path = argc > 1 ? argv[1] : NULL, .buffer_bytes = 4 << 20};
    pthread_t thread[3];
    snprintf(copy, sizeof copy, "cp '%s.ring' '%s.copy'", argv[1], argv[1]);
    if (pl_trace_start(&desc) != PL_OK)
        return 1;
    job = pl_task_begin("job", PL_NO_TASK);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, worker, &number[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    pl_task_end(job);
    if (system(copy) != 0)
        return 1;
    return pl_trace_stop() != PL_OK;
}
