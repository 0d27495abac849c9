/* Benchmarks when memory or threads run out: each allocation of a run is made to fail in turn, and
   so is the start of each thread. The run ends with a code and a message, never with a crash. */
/* run: upto=benchmain */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int fail_at, calls; /* the call that fails, counted from 1; 0: none */

static int fails(void)
{
    return ++calls == fail_at;
}

static void *test_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

static void *test_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

static char *test_strndup(const char *text, size_t size)
{
    return fails() ? NULL : strndup(text, size);
}

static int threads_left = 1000;

static int test_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                               void *(*start)(void *), void *arg)
{
    return threads_left-- > 0 ? pthread_create(id, attributes, start, arg) : 11;
}

#define malloc(size) test_malloc(size)
#define calloc(count, size) test_calloc(count, size)
#define strndup(text, size) test_strndup(text, size)
#define pthread_create(id, attributes, start, arg) test_pthread_create(id, attributes, start, arg)
#define PERFLAB_NO_INTERPOSE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

static void leaf(pl_bench *b, void *arg)
{
    (void)arg;
    for (int64_t i = 0; i < b->n; i++)
        PL_CLOBBER();
}

PL_BENCH(Tree)
{
    pl_bench_run(b, "one", leaf, NULL);
    pl_bench_run(b, "one", leaf, NULL);
}

static void work(pl_parallel *pb, void *arg)
{
    int64_t *done = arg;
    while (PL_NEXT(pb))
        PLI_ADD(*done, 1);
}

PL_BENCH(Threads)
{
    int64_t done = 0;
    pl_bench_parallel(b, work, &done);
}

/* Runs pl_bench_main with its output in text. */
static int run(char **argv, char *text, size_t size)
{
    FILE *saved_out = stdout, *saved_err = stderr;
    memset(text, 0, size);
    stdout = stderr = fmemopen(text, size, "w");
    calls = 0;
    int code = pl_bench_main(0, argv);
    fclose(stdout);
    stdout = saved_out;
    stderr = saved_err;
    return code;
}

static void test_memory(void)
{
    char *argv[] = {(char *)"program", (char *)"-benchtime=10x", (char *)"-cpu=2",
                    (char *)"-bench=Tree/one|Threads", NULL};
    static char text[65536];
    int silent = 0, odd = 0, code = 1;
    for (fail_at = 1; fail_at < 1000; fail_at++) {
        code = run(argv, text, sizeof text);
        if (calls < fail_at)
            break; /* there are no more allocations to fail */
        odd += code != 1 && code != 2;
        silent += strstr(text, "out of memory") == NULL && strstr(text, "Memory") == NULL &&
                  strstr(text, "memory") == NULL;
    }
    fail_at = 0;
    is_int(code, 0, "without a failure all is well (after %d)", calls);
    ok(calls > 10, "there were %d allocations to fail", calls);
    is_int(odd, 0, "each failure gives 1 or 2");
    is_int(silent, 0, "and says that memory ran out");
}

static void test_threads(void)
{
    char *argv[] = {(char *)"program", (char *)"-benchtime=10x", (char *)"-cpu=4",
                    (char *)"-bench=Threads", NULL};
    static char text[65536];
    for (int have = 0; have < 4; have++) {
        threads_left = have;
        int code = run(argv, text, sizeof text);
        char said[80];
        snprintf(said, sizeof said, "thread %d of 4 cannot be started", have + 1);
        ok(code == 1 && strstr(text, said), "%s", said);
    }
    char *timeout[] = {(char *)"program", (char *)"-timeout=1h", (char *)"-bench=Tree", NULL};
    threads_left = 0;
    ok(run(timeout, text, sizeof text) == 2 && strstr(text, "-timeout"), "none for -timeout");
    threads_left = 1000;
}

int main(void)
{
    test_memory();
    test_threads();
    return done();
}
