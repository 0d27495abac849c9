/* The flight recorder: who asks for a snapshot, how often, and what is in it. A snapshot is read as
   far as the names in it go; tests/trace decodes whole ones. */
/* run: upto=flight alone=yes */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <sys/wait.h>

#if PLI_TRACE

#define MS 1000000u
#define BYTES ((size_t)4 << 20)

static char folder[] = "/tmp/perflab-flight-XXXXXX";

static const char *in_folder(const char *name)
{
    static _Thread_local char path[8][200];
    static _Thread_local int next;
    char *out = path[next++ % 8];
    snprintf(out, sizeof *path, "%s/%s", folder, name);
    return out;
}

static void sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* Whether a file is there, at the latest in some seconds. */
static bool comes(const char *name)
{
    for (int i = 0; i < 1000; i++, sleep_ms(10))
        if (access(in_folder(name), F_OK) == 0)
            return true;
    return false;
}

static bool is_there(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

/* Whether a file has a text in it. */
static bool holds(const char *name, const char *text)
{
    static char bytes[16 << 20];
    int fd = open(in_folder(name), O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, bytes, sizeof bytes);
    if (fd >= 0)
        close(fd);
    return n > 0 && memmem(bytes, (size_t)n, text, strlen(text)) != NULL;
}

static void test_order(void)
{
    is_int(pl_flight_write(in_folder("none")), PL_INVALID, "nothing runs, nothing to write");
    is_int(pl_flight_stop(), PL_INVALID, "nor to stop");
    is_int(pl_flight_start(&(pl_flight_desc){.buffer_bytes = 1}), PL_INVALID, "too small");
    is_int(pl_flight_start(&(pl_flight_desc){.path = "/no/such/folder/f"}), PL_IO, "no folder");
    is_int(pl_flight_start(&(pl_flight_desc){.signal = SIGKILL}), PL_INVALID, "no such signal");
    is_int(pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES}), PL_OK, "start");
    is_int(pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES}), PL_BUSY, "once");
    is_int(pl_flight_write("/no/such/folder/f"), PL_IO, "a folder that is not there");
    is_int(pl_flight_write(in_folder("first")), PL_OK, "write");
    is_int(pl_flight_stop(), PL_OK, "stop");
    is_int(pl_flight_write(in_folder("late")), PL_INVALID, "and it is over");
    is_int(PLI_LOAD(pl_trace_on), 0, "nothing is recorded any more");
}

/* What is older than the age is left out. */
static void test_age(void)
{
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .age_ns = 300 * MS});
    pl_trace_instant("long ago");
    sleep_ms(400);
    pl_trace_instant("just now");
    is_int(pl_flight_write(in_folder("age")), PL_OK, "the last 300 ms");
    ok(holds("age", "just now"), "what was just now");
    ok(!holds("age", "long ago"), "and nothing older");
    pl_flight_stop();
}

/* Names: %n counts, without it a name that is there is left alone. */
static void test_names(void)
{
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .path = in_folder("snap-%n.x")});
    ok(pl_flight_write(NULL) == PL_OK && pl_flight_write(NULL) == PL_OK, "two snapshots");
    pl_flight_stop();
    ok(is_there("snap-1.x") && is_there("snap-2.x") && !is_there("snap-3.x"), "and two files");
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .path = in_folder("plain")});
    ok(pl_flight_write(NULL) == PL_OK && pl_flight_write(NULL) == PL_OK, "two again");
    pl_flight_stop();
    ok(is_there("plain") && is_there("plain.1") && !is_there("plain.2"), "with a number");
}

static int foreign; /* atomic */

static void count(int number)
{
    (void)number;
    __atomic_add_fetch(&foreign, 1, __ATOMIC_RELAXED);
}

static void test_signal(void)
{
    signal(SIGUSR2, count);
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .signal = SIGUSR2,
                                      .path = in_folder("signal")});
    pl_trace_instant("before the signal");
    kill(getpid(), SIGUSR2);
    ok(comes("signal") && holds("signal", "before the signal"), "a signal has one written");
    pl_flight_stop();
    kill(getpid(), SIGUSR2);
    is_int(PLI_LOAD(foreign), 1, "then the signal is the program's again");
    signal(SIGUSR2, SIG_DFL);
}

static void task(const char *name, unsigned ms)
{
    pl_task t = pl_task_begin(name, PL_NO_TASK);
    sleep_ms(ms);
    pl_task_end(t);
}

/* Only those that are meant, and only when they are slow; at most one a second. */
static void test_slow_task(void)
{
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .task = "request",
                                      .task_ns = 200 * MS, .path = in_folder("slow")});
    for (int i = 0; i < 20; i++)
        task("request", 1);
    task("another", 300);
    sleep_ms(100);
    ok(!is_there("slow"), "fast ones, and others, have nothing written");
    task("request", 300);
    ok(comes("slow") && holds("slow", "request"), "a slow one has");
    task("request", 250);
    sleep_ms(50);
    ok(!is_there("slow.1"), "but not twice in a second");
    ok(comes("slow.1"), "but then");
    pl_flight_stop();
}

/* One that hangs is not waited for for ever. */
static void test_stuck_task(void)
{
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .task_ns = 50 * MS,
                                      .age_ns = 200 * MS, .path = in_folder("stuck")});
    pl_task t = pl_task_begin("hangs", PL_NO_TASK);
    ok(comes("stuck"), "a task without an end");
    pl_task_end(t);
    pl_flight_stop();
}

static int stop; /* atomic */

static void *load(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        PL_REGION("load") {
            pl_trace_counter("figure", 1);
        }
    }
    return unused;
}

static void *write_many(void *results)
{
    for (int i = 0; i < 20; i++)
        __atomic_add_fetch((int *)results + pl_flight_write(in_folder("load")), 1,
                           __ATOMIC_RELAXED);
    return NULL;
}

/* Snapshots while all memory is overwritten again and again; two at a time never both go on. */
static void test_load(void)
{
    pthread_t writer[2], thread[3];
    static int results[64];
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = (size_t)1 << 20, .age_ns = 50 * MS});
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, load, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&writer[i], NULL, write_many, results);
    for (int i = 0; i < 2; i++)
        pthread_join(writer[i], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    ok(results[PL_OK] >= 20 && results[PL_OK] + results[PL_BUSY] == 40,
       "%d snapshots, %d were told to come again", results[PL_OK], results[PL_BUSY]);
    is_int(pl_flight_stop(), PL_OK, "stop under load");
}

/* With a trace beside it. Each has its own from its own start on. */
static void test_beside_a_trace(void)
{
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES});
    pl_trace_instant("of the flight alone");
    is_int(pl_trace_start(&(pl_trace_desc){.path = in_folder("trace")}), PL_OK, "a trace, too");
    pl_trace_instant("of both");
    is_int(pl_trace_stop(), PL_OK, "ends");
    pl_trace_instant("after the trace");
    is_int(pl_flight_write(in_folder("both")), PL_OK, "and the recorder goes on");
    pl_flight_stop();
    ok(holds("trace", "of both") && !holds("trace", "of the flight alone") &&
       !holds("trace", "after the trace"), "the trace has its time");
    ok(holds("both", "of both") && holds("both", "of the flight alone") &&
       holds("both", "after the trace"), "the recorder has all of it");
}

/* The file that a killed program leaves, with what was recorded before. */
static void test_killed(void)
{
    pid_t child = fork();
    if (child == 0) {
        pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .ring = in_folder("ring")});
        pl_trace_instant("the last words");
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    ok(holds("ring", "perflab ring 1") && holds("ring", "the last words"), "kill -9");
    child = fork();
    if (child == 0) {
        pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES, .ring = in_folder("gone")});
        _exit(pl_flight_stop() != PL_OK || is_there("gone"));
    }
    int status;
    waitpid(child, &status, 0);
    is_int(status, 0, "a good end removes it");
}

/* A child has no recorder, and may start its own. */
static void test_fork(void)
{
    pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES});
    pid_t child = fork();
    if (child == 0)
        _exit(pl_flight_write(in_folder("child")) != PL_INVALID ||
              pl_flight_start(&(pl_flight_desc){.buffer_bytes = BYTES}) != PL_OK ||
              pl_flight_write(in_folder("child")) != PL_OK || pl_flight_stop() != PL_OK);
    int status;
    waitpid(child, &status, 0);
    is_int(status, 0, "a fork's child");
    is_int(pl_flight_write(in_folder("parent")), PL_OK, "and its parent");
    pl_flight_stop();
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    test_order();
    test_age();
    test_names();
    test_signal();
    test_slow_task();
    test_stuck_task();
    test_load();
    test_beside_a_trace();
    if (!PLI_SANITIZER) { /* TSan's children may not start threads */
        test_killed();
        test_fork();
    }
    char remove[100];
    snprintf(remove, sizeof remove, "rm -r %s", folder);
    ok(system(remove) == 0, "nothing is left");
    return done();
}

#else

int main(void)
{
    skip("flight", "there is no tracer here");
    return done();
}

#endif
