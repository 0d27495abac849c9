/* A program with all that a trace can have: tasks over three threads, regions, logs, counters,
   flows, and long names; traced [FILE]. */
#include "perflab.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pl_task request;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *name)
{
    PL_TASK(request) {
        PL_REGION("work") {
            pthread_mutex_lock(&lock);
            pl_trace_log("who", "%s", (const char *)name);
            pthread_mutex_unlock(&lock);
        }
    }
    pl_flow_in("taken", 7);
    return NULL;
}

int main(int argc, char **argv)
{
    static char name[65537];
    pthread_t threads[3];
    pl_trace_desc desc = {argc > 1 ? argv[1] : "trace.pftrace", 0, 0};
    if (argc > 1 && pl_trace_start(&desc) != PL_OK)
        return 2;
    memset(name, 'n', sizeof name - 1);
    request = pl_task_begin("request", PL_NO_TASK);
    pl_flow_out("handed on", 7);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)("worker"));
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        pl_trace_counter("joined", i + 1);
    }
    pl_task_end(request);
    pl_region_begin_copy(name);
    pl_trace_instant("inside");
    pl_region_end();
    pl_region_begin("never ended");
    return argc > 1 ? pl_trace_stop() != PL_OK : 0;
}
