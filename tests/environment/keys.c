/* A program for every key of PERFLAB: keys WHAT. It knows nothing of perflab. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
void *kept[1000];

/* 1,000 blocks of 10,000 bytes, and as many again that are freed. */
static __attribute__((noinline)) void allocate(void)
{
    for (int i = 0; i < 1000; i++) {
        kept[i] = malloc(10000);
        void *gone = malloc(10000);
        __asm__ volatile("" : : "r"(gone) : "memory");
        free(gone);
    }
}

static __attribute__((noinline)) void *hold(void *unused)
{
    for (int i = 0; i < 10; i++) {
        pthread_mutex_lock(&mutex);
        usleep(5000);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void contend(void)
{
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, hold, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
}

/* Takes memory until there is none. */
static void fill(void)
{
    size_t blocks = 0;
    while (blocks < 5000 && malloc(100000))
        blocks++;
    char *large = realloc(malloc(10), 50000000);
    printf("%zu %s %d\n", blocks, large ? "large" : "none", errno == ENOMEM);
}

static void burn(void)
{
    for (volatile unsigned i = 0; i < 100000000; i++)
        continue;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "allocate") == 0)
        allocate();
    if (strcmp(what, "contend") == 0)
        contend();
    if (strcmp(what, "fill") == 0)
        fill();
    if (strcmp(what, "grow") == 0)
        for (int i = 0; i < 60; i++, usleep(100000))
            memset(malloc(1000000), 1, 1000000);
    if (strcmp(what, "fork") == 0) {
        if (fork() == 0) {
            allocate();
            burn();
            exit(0);
        }
        wait(NULL);
    }
    if (strcmp(what, "wait") == 0) {
        allocate();
        puts("ready");
        fflush(stdout);
        for (int i = 0; i < 200; i++)
            usleep(100000);
    }
    return 0;
}
