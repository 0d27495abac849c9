/* A lock held across a sleep: flush_log sleeps with the lock that add_line takes, too. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int stop;
static volatile unsigned lines;

PL_NOINLINE static void add_line(void)
{
    pthread_mutex_lock(&log_lock);
    lines++;
    pthread_mutex_unlock(&log_lock);
}

PL_NOINLINE static void flush_log(void)
{
    pthread_mutex_lock(&log_lock);
    usleep(40000);
    pthread_mutex_unlock(&log_lock);
}

static void *flusher(void *unused)
{
    pthread_setname_np(pthread_self(), "flusher");
    while (!stop) {
        PL_REGION("flush") { flush_log(); }
        usleep(5000);
    }
    return unused;
}

static void *worker(void *unused)
{
    pthread_setname_np(pthread_self(), "worker");
    while (!stop) {
        PL_REGION("request") {
            uint64_t until = pl_now_ns() + 100000;
            while (pl_now_ns() < until) {}
            add_line();
        }
    }
    return unused;
}

int main(int argc, char **argv)
{
    pl_trace_desc desc = {.path = argc > 1 ? argv[1] : NULL};
    pthread_t thread[5];
    if (pl_trace_start(&desc) != PL_OK)
        return 1;
    for (int i = 0; i < 5; i++)
        pthread_create(&thread[i], NULL, i ? worker : flusher, NULL);
    usleep(1500000);
    stop = 1;
    for (int i = 0; i < 5; i++)
        pthread_join(thread[i], NULL);
    return pl_trace_stop() != PL_OK;
}
