/* Ends in one of several ways, in the middle of a region: ways exit|_exit|term|fork|exec|stop|dump|
   busy. */
#include "perflab.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void nap(int ms)
{
    usleep((useconds_t)ms * 1000);
}

static void child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        PL_REGION("child")
            nap(150);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void execute(char *self)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, "exit", (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "exit";
    pl_region_begin("whole");
    PL_REGION("part")
        nap(120);
    if (strcmp(way, "_exit") == 0)
        _exit(0);
    if (strcmp(way, "term") == 0)
        raise(SIGTERM);
    if (strcmp(way, "fork") == 0)
        child();
    if (strcmp(way, "exec") == 0)
        execute(argv[0]);
    if (strcmp(way, "stop") == 0)
        return pl_trace_stop() != PL_OK;
    if (strcmp(way, "busy") == 0)
        return pl_trace_start(NULL) != PL_BUSY;
    if (strcmp(way, "dump") == 0) {
        raise(SIGUSR2);
        kill(getpid(), SIGKILL);
    }
    pl_region_end();
    return 0;
}
