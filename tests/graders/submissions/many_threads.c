/* slow:
   Two hundred threads at once, each with memory of its own, and a signal to one of them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "lab.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 200 };

static void *wait_for_signal(void *signals) {
    int number;
    free(malloc(100));
    sigwait(signals, &number);
    return NULL;
}

char *squeeze(const char *text) {
    pthread_t threads[THREADS];
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, wait_for_signal, &signals) != 0) return NULL;
    for (int i = 0; i < THREADS; i++) pthread_kill(threads[i], SIGUSR1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (; *text; text++)
        if (*text != ' ') *to++ = *text;
    *to = '\0';
    return copy;
}
