/* Two threads take turns 20,000 times, each turn a log: pingpong FILE. */
#include "perflab.h"
#include <pthread.h>
#include <sched.h>

#define TURNS 20000

static int turn;

static void *play(void *odd)
{
    for (int i = odd != NULL; i < TURNS; i += 2) {
        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != i)
            sched_yield();
        pl_trace_log("turn", "%d", i);
        __atomic_store_n(&turn, i + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t other;
    pl_trace_desc desc = {argc > 1 ? argv[1] : NULL, 0, 0};
    if (pl_trace_start(&desc) != PL_OK)
        return 1;
    if (pthread_create(&other, NULL, play, &turn) != 0)
        return 1;
    play(NULL);
    pthread_join(other, NULL);
    return pl_trace_stop() != PL_OK;
}
