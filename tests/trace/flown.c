/* For the flight recorder, which PERFLAB asks for: requests of which the last is slow, beside a
   thread that reads from a pipe into which nobody writes. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int nobody[2];

static PL_NOINLINE void read_for_ever(void)
{
    char byte;
    while (read(nobody[0], &byte, 1) == 1)
        continue;
    PL_CLOBBER();
}

static void *reader(void *unused)
{
    pl_trace_instant("reads");
    read_for_ever();
    return unused;
}

static void request(unsigned ms)
{
    pl_task t = pl_task_begin("request", PL_NO_TASK);
    PL_TASK(t) {
        PL_REGION(ms > 50 ? "slow" : "fast") {
            usleep(ms * 1000);
        }
    }
    pl_task_end(t);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (pipe(nobody) != 0 || pthread_create(&thread, NULL, reader, NULL) != 0)
        return 1;
    for (int i = 0; i < 20; i++)
        request(2);
    usleep(600000);
    request(150);
    usleep(300000);
    if (argc > 1 && strcmp(argv[1], "kill") == 0)
        kill(getpid(), SIGKILL);
    return 0;
}
