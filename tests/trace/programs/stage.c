/* One slow stage: parse and store wait for compress, which one thread does for all. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <unistd.h>

#define ROOM 4
#define ITEMS 200

typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
} queue;

static queue parsed = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
static queue compressed = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

PL_NOINLINE static void queue_add(queue *q, int step)
{
    pthread_mutex_lock(&q->lock);
    while (step > 0 ? q->count == ROOM : q->count == 0)
        pthread_cond_wait(&q->changed, &q->lock);
    q->count += step;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static void spin(unsigned us)
{
    uint64_t until = pl_now_ns() + us * 1000;
    while (pl_now_ns() < until) {}
}

PL_NOINLINE static void compress_item(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 4000000; i++)
        sum = sum * 31 + (uint64_t)i;
    PL_KEEP(sum);
}

static void *parser(void *unused)
{
    pthread_setname_np(pthread_self(), "parser");
    for (int i = 0; i < ITEMS; i++) {
        PL_REGION("parse") { spin(200); }
        queue_add(&parsed, 1);
    }
    return unused;
}

static void *compressor(void *unused)
{
    pthread_setname_np(pthread_self(), "compressor");
    for (int i = 0; i < ITEMS; i++) {
        queue_add(&parsed, -1);
        PL_REGION("compress") { compress_item(); }
        queue_add(&compressed, 1);
    }
    return unused;
}

static void *storer(void *unused)
{
    pthread_setname_np(pthread_self(), "storer");
    for (int i = 0; i < ITEMS; i++) {
        queue_add(&compressed, -1);
        PL_REGION("store") { spin(100); }
    }
    return unused;
}

int main(int argc, char **argv)
{
    pl_trace_desc desc = {.path = argc > 1 ? argv[1] : NULL};
    void *(*const stage[3])(void *) = {parser, compressor, storer};
    pthread_t thread[3];
    if (pl_cpu_start(NULL) != PL_OK || pl_trace_start(&desc) != PL_OK)
        return 1;
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, stage[i], NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    return pl_trace_stop() != PL_OK;
}
