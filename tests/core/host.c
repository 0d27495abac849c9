/* Loads a library while threads are at work: host plugin PATH, host deepbind PATH,
   host perflab PATH. Prints what a reader of the statistics sees of it. */
#define _GNU_SOURCE
#include "perflab.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

static int stop;

static void *work(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        void *volatile p = malloc(100);
        free(p);
    }
    return arg;
}

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        puts(dlerror());
        exit(1);
    }
    return found;
}

/* The blocks of a plugin: all of them, or none where it was bound to libc past everybody. */
static void use_plugin(void *library)
{
    pl_result (*read_stats)(pl_memstats *);
    void (*plugin_work)(int);
    pl_memstats before, after;
    *(void **)&read_stats = symbol(RTLD_DEFAULT, "pl_memstats_read");
    *(void **)&plugin_work = symbol(library, "plugin_work");
    plugin_work(1);
    read_stats(&before);
    plugin_work(1000);
    read_stats(&after);
    printf("%d mallocs, %d frees\n", (int)(after.mallocs - before.mallocs),
           (int)(after.frees - before.frees));
}

/* A perflab that comes too late to stand before malloc, and goes again. */
static void use_perflab(void *library)
{
    pl_result (*read_stats)(pl_memstats *), (*write_stats)(const pl_memstats *, FILE *);
    pl_memstats stats;
    *(void **)&read_stats = symbol(library, "pl_memstats_read");
    *(void **)&write_stats = symbol(library, "pl_memstats_write");
    read_stats(&stats);
    write_stats(&stats, stdout);
}

static int fork_works(void)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char **argv)
{
    int late = argc == 3 && strcmp(argv[1], "perflab") == 0;
    int bind = argc == 3 && strcmp(argv[1], "deepbind") == 0 ? RTLD_DEEPBIND : 0;
    pthread_t threads[THREADS];
    for (int i = 0; late && i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    void *library = dlopen(argv[argc - 1], RTLD_NOW | bind);
    if (!library) {
        puts(dlerror());
        return 1;
    }
    (late ? use_perflab : use_plugin)(library);
    if (late)
        dlclose(library);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; late && i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts(fork_works() ? "ended well" : "fork failed");
    return 0;
}
