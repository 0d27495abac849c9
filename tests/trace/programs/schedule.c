/* Threads that spin, sleep and wait for a lock by a script. Prints, for each thread, what a reader
   has to find: ns of CPU time, of sleep as it was asked for, and of waiting for the lock until it
   was given back. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define TURNS 25

typedef struct script {
    const char *name;
    unsigned spin_us, sleep_us;
    bool holds, wants;
    uint64_t cpu_ns, slept_ns, locked_ns;
} script;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t turn;
static uint64_t given_ns;

static void spin(unsigned us)
{
    uint64_t until = pl_thread_cpu_ns() + us * UINT64_C(1000);
    while (pl_thread_cpu_ns() < until) {}
}

static void hold(script *s)
{
    pthread_mutex_lock(&lock);
    pthread_barrier_wait(&turn);
    usleep(s->sleep_us);
    s->slept_ns += s->sleep_us * UINT64_C(1000);
    given_ns = pl_now_ns();
    pthread_mutex_unlock(&lock);
    pthread_barrier_wait(&turn);
}

static void want(script *s)
{
    pthread_barrier_wait(&turn);
    uint64_t asked = pl_now_ns();
    pthread_mutex_lock(&lock);
    if (given_ns > asked)
        s->locked_ns += given_ns - asked;
    pthread_mutex_unlock(&lock);
    pthread_barrier_wait(&turn);
}

static void *act(void *arg)
{
    script *s = arg;
    uint64_t before = pl_thread_cpu_ns();
    pthread_setname_np(pthread_self(), s->name);
    for (int i = 0; i < TURNS; i++) {
        PL_REGION("turn") {
            spin(s->spin_us);
            if (s->holds)
                hold(s);
            else if (s->wants)
                want(s);
            else if (s->sleep_us) {
                usleep(s->sleep_us);
                s->slept_ns += s->sleep_us * UINT64_C(1000);
            }
        }
    }
    s->cpu_ns = pl_thread_cpu_ns() - before;
    return NULL;
}

int main(int argc, char **argv)
{
    script scripts[] = {{.name = "spinner", .spin_us = 20000},
                        {.name = "sleeper", .spin_us = 4000, .sleep_us = 30000},
                        {.name = "holder", .spin_us = 2000, .sleep_us = 25000, .holds = true},
                        {.name = "wanter", .spin_us = 3000, .wants = true}};
    pl_trace_desc desc = {.path = argc > 1 ? argv[1] : NULL};
    pthread_t thread[4];
    pthread_barrier_init(&turn, NULL, 2);
    if (pl_trace_start(&desc) != PL_OK)
        return 1;
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, act, &scripts[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 4; i++)
        printf("%s %llu %llu %llu\n", scripts[i].name, (unsigned long long)scripts[i].cpu_ns,
               (unsigned long long)scripts[i].slept_ns, (unsigned long long)scripts[i].locked_ns);
    return pl_trace_stop() != PL_OK;
}
