/* Leaves behind what its argument says, and ends. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")
#define OWN __attribute__((noinline))

struct node { struct node *next; char text[48]; };
static struct node *cache;

static OWN void lose_block(int times)
{
    for (int i = 0; i < times; i++) {
        void *p = malloc(1000);
        KEEP(p);
    }
}

static OWN void grow_cache(int times)
{
    for (int i = 0; i < times; i++) {
        struct node *n = malloc(sizeof *n);
        n->next = cache;
        cache = n;
    }
}

static OWN void leave_open(void)
{
    int fd = open("/etc/passwd", O_RDONLY);
    KEEP(&fd);
}

static void *wait_for_ever(void *unused)
{
    pause();
    return unused;
}

static OWN void leave_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, NULL);
    usleep(20000);
    KEEP(&thread);
}

/* What the program has left on its stack may still look like pointers. */
static OWN void wipe_stack(void)
{
    char old[16384];
    memset(old, 0, sizeof old);
    KEEP(old);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "nothing";
    free(strdup("given back"));
    printf("begins, ");
    if (strstr(what, "block"))
        lose_block(20);
    if (strstr(what, "cache"))
        grow_cache(10);
    if (strstr(what, "file"))
        leave_open();
    if (strstr(what, "thread"))
        leave_thread();
    if (strstr(what, "fork")) {
        fflush(stdout);
        if (fork() == 0) {
            grow_cache(1);
            lose_block(strstr(what, "child") ? 5 : 0);
            exit(0);
        }
        wait(NULL);
    }
    wipe_stack();
    printf("ends\n");
    return 3;
}
