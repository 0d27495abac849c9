/* Crashes in the way that its first argument says, after pl_crash_install. */
#include "perflab.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OWN __attribute__((noinline))

static volatile int zero;
static char data[64] = {1, 2, 3};
static char *volatile target;

static OWN void write_to_nothing(void)
{
    *target = 1;
    PL_CLOBBER();
}

static OWN void divide(void)
{
    zero = (int)(sizeof data + (size_t)data[0]) / zero;
    PL_CLOBBER();
}

static OWN void trap(void)
{
    __builtin_trap();
}

static OWN void give_up(void)
{
    abort();
}

static OWN void ask_to_end(void)
{
    raise(SIGSEGV);
    PL_CLOBBER();
}

static OWN void call(void *code)
{
    ((void (*)(void))code)();
    PL_CLOBBER();
}

static volatile int no_end = 1;

static OWN int deeper(int n)
{
    volatile char room[1000];
    room[n % 1000] = (char)n;
    return no_end ? deeper(n + 1) + room[n % 999] : 0;
}

static OWN void behind_the_file(void)
{
    char name[] = "/tmp/perflab-crash-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    target = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    write_to_nothing();
}

/* Everything that the stack of this function's callers has, as far as a page goes. */
static OWN void smash(void)
{
    char *here = __builtin_frame_address(0);
    memset(here, 0x41, 512);
    PL_CLOBBER();
}

/* The lists of free blocks lead nowhere. */
static OWN void in_malloc(void)
{
    for (int size = 16; size < 2000; size += 16) {
        char *volatile block[9]; /* or the compiler leaves all of this out */
        for (int i = 0; i < 9; i++)
            block[i] = malloc((size_t)size);
        for (int i = 0; i < 9; i++)
            free(block[i]);
        for (int i = 0; i < 9; i++)
            memset(block[i], 0x41, (size_t)size);
    }
    for (int size = 16; size < 2000; size += 16)
        PL_KEEP(malloc((size_t)size));
}

static void *crash_there(void *unused)
{
    write_to_nothing();
    return unused;
}

static OWN void two_at_once(void)
{
    pthread_t other;
    pthread_create(&other, NULL, crash_there, NULL);
    write_to_nothing();
}

static void *overflow_there(void *unused)
{
    deeper(0);
    return unused;
}

static OWN void in_a_thread(void *(*run)(void *))
{
    pthread_t other;
    pthread_create(&other, NULL, run, NULL);
    pthread_join(other, NULL);
}

static void *sleeper(void *unused)
{
    for (;;)
        sleep(100);
    return unused;
}

static void *spinner(void *unused)
{
    for (;;)
        PL_CLOBBER();
    return unused;
}

static void own_handler(int number)
{
    static const char text[] = "the program's own handler\n";
    ssize_t n = write(2, text, sizeof text - 1);
    _exit(n > 0 ? 40 + number : 1);
}

/* Whether it was this one. */
static int is(const char *way, const char *name)
{
    return strcmp(way, name) == 0;
}

static void crash(const char *way)
{
    if (is(way, "null"))
        write_to_nothing();
    else if (is(way, "divide"))
        divide();
    else if (is(way, "trap"))
        trap();
    else if (is(way, "abort"))
        give_up();
    else if (is(way, "raise"))
        ask_to_end();
    else if (is(way, "bus"))
        behind_the_file();
    else if (is(way, "jump-null"))
        call(NULL);
    else if (is(way, "jump-data"))
        call(data);
    else if (is(way, "wild"))
        target = (char *)0x4141414141414141, write_to_nothing();
    else if (is(way, "overflow"))
        PL_KEEP(deeper(0));
    else if (is(way, "overflow-thread"))
        in_a_thread(overflow_there);
    else if (is(way, "thread"))
        in_a_thread(crash_there);
    else if (is(way, "smash"))
        smash();
    else if (is(way, "malloc"))
        in_malloc();
    else if (is(way, "two"))
        two_at_once();
    else if (is(way, "breakpoint"))
        raise(SIGTRAP);
}

int main(int argc, char **argv)
{
    pthread_t others[2];
    const char *way = argc > 1 ? argv[1] : "", *how = argc > 2 ? argv[2] : "";
    if (is(how, "handler-before"))
        signal(SIGSEGV, own_handler);
    if (!is(how, "without") && pl_crash_install() != PL_OK)
        return 1;
    if (is(how, "handler-after"))
        signal(SIGSEGV, own_handler);
    pthread_create(&others[0], NULL, sleeper, NULL);
    pthread_create(&others[1], NULL, spinner, NULL);
    usleep(20000);
    crash(way);
    return 0;
}
