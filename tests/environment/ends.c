/* Computes for a while, allocating as it goes, and then ends as its argument says. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* malloc and free all the time: a signal comes in the middle of one. */
static void churn(double duration)
{
    static _Thread_local void *volatile block[64];
    double end = seconds() + duration;
    for (unsigned i = 0; seconds() < end; i++) {
        for (unsigned k = 0; k < 1000; k++) {
            free(block[(i * 7 + k) % 64]);
            block[(i * 7 + k) % 64] = malloc(1 + (i + k) * 37 % 3000);
        }
    }
}

static void *churn_for_ever(void *unused)
{
    for (;;)
        churn(1);
    return unused;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "return";
    double duration = argc > 2 ? atof(argv[2]) : 0.2;
    pthread_t thread;
    if (strcmp(how, "wait") == 0) { /* for a signal, in two threads */
        pthread_create(&thread, NULL, churn_for_ever, NULL);
        puts("ready");
        fflush(stdout);
        churn_for_ever(NULL);
    }
    churn(duration);
    if (strcmp(how, "exit") == 0)
        exit(3);
    if (strcmp(how, "_exit") == 0)
        _exit(4);
    if (strcmp(how, "_Exit") == 0)
        _Exit(5);
    if (strcmp(how, "thread") == 0)
        pthread_exit(NULL);
    if (strcmp(how, "chdir") == 0 && chdir("/") != 0)
        return 1;
    if (strcmp(how, "fork") == 0) {
        if (fork() == 0) {
            churn(duration);
            _exit(0);
        }
        wait(NULL);
    }
    if (strcmp(how, "vfork") == 0) {
        if (vfork() == 0)
            _exit(9);
        wait(NULL);
        churn(duration);
    }
    if (strcmp(how, "exec") == 0)
        execl("/proc/self/exe", "ends", "return", argv[2], (char *)NULL);
    return 0;
}
