/* A program with a server: host ADDRESS [token=TOKEN] [host=NAME]... [idle]. It prints
   "RESULT PORT" and does what its standard input says, a word a line, each answered by a line:

       stop        pl_http_stop
       start A     pl_http_start on another address
       fork        a child that looks whether it has a server; its exit status
       mark        pl_leak_mark
       leaks       pl_leak_check: how many since the mark
       hold        descriptors are used up, but for the one that a file needs
       release     they are given back
       exit        ends the process while its threads run */
#define _GNU_SOURCE
#include "perflab.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int burn_cpu(void);
int hold_lock(void);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned sink;

PL_NOINLINE int burn_cpu(void)
{
    for (int i = 0; i < 300000; i++)
        sink += (unsigned)i;
    return 1;
}

PL_NOINLINE int hold_lock(void)
{
    pthread_mutex_lock(&lock);
    int done = burn_cpu();
    pthread_mutex_unlock(&lock);
    return done;
}

static void *work(void *unused)
{
    while (hold_lock())
        usleep(1000);
    return unused;
}

/* Whether a child holds connections of its parent's: whoever is at the other end would not see them
   close. */
static int has_sockets(void)
{
    struct stat status;
    for (int fd = 3; fd < 256; fd++)
        if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
            return 1;
    return 0;
}

static int child_has_server(int port)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (has_sockets())
            _exit(4);
        int before = pl_http_port();
        char address[32];
        pl_http_desc desc = {address, NULL, NULL};
        strcpy(address, "127.0.0.1:0");
        pl_result result = pl_http_start(&desc);
        _exit(before != 0 ? 1 : result != PL_OK ? 2 : pl_http_port() == port ? 3 : 0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int held[4096], held_count;

static void hold(void)
{
    struct rlimit limit = {64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    while (held_count < 4096 && (held[held_count] = open("/dev/null", O_RDONLY)) >= 0)
        held_count++;
}

static int release(void)
{
    int count = held_count;
    while (held_count > 0)
        close(held[--held_count]);
    return count > 0;
}

static void obey(const char *word, const char *rest)
{
    static pl_leak_baseline mark;
    pl_http_desc desc = {rest, NULL, NULL};
    int result = 0;
    if (strcmp(word, "stop") == 0)
        pl_http_stop();
    else if (strcmp(word, "start") == 0)
        result = pl_http_start(&desc);
    else if (strcmp(word, "fork") == 0)
        result = child_has_server(pl_http_port());
    else if (strcmp(word, "mark") == 0)
        result = pl_leak_mark(&mark);
    else if (strcmp(word, "leaks") == 0)
        result = (int)pl_leak_check(&mark, NULL, stderr);
    else if (strcmp(word, "hold") == 0)
        hold();
    else if (strcmp(word, "release") == 0)
        result = release();
    else
        exit(0);
    printf("%d %d\n", result, pl_http_port());
    fflush(stdout);
}

static void notice(int number)
{
    sink += (unsigned)number;
}

int main(int argc, char **argv)
{
    const char *hosts[8] = {NULL};
    int count = 0, idle = 0;
    pl_http_desc desc = {argv[1], NULL, hosts};
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "token=", 6) == 0)
            desc.token = argv[i] + 6;
        else if (strncmp(argv[i], "host=", 5) == 0 && count < 7)
            hosts[count++] = argv[i] + 5;
        else
            idle = 1;
    }
    signal(SIGUSR1, notice);
    pl_block_rate_set(1);
    pl_mutex_fraction_set(1);
    pl_result result = argc > 1 ? pl_http_start(&desc) : PL_OK;
    printf("%d %d\n", (int)result, pl_http_port());
    fflush(stdout);
    for (int i = 0; i < 2 && !idle; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, NULL);
    }
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        char *rest = strchr(line, ' ');
        if (rest)
            *rest++ = '\0';
        obey(line, rest);
    }
    return 0;
}
