/* Out of memory at every allocation of perflab's own: each mapping that a feature asks for is
   refused in turn, alone or with all that come after. What was asked for is done, or refused with
   PL_NOMEM; nothing crashes, hangs or stays locked; and with memory again, it works. */
/* run: without=gcc-O0,clang-O0,clang-O2,tsan flags=-fno-builtin,-g1 */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Shared with the child that tries. */
enum { CALLS = 4096, DEPTH = 6 };
typedef struct faults {
    int first, last, calls; /* the mappings that are refused, and how many there were */
    uintptr_t way[CALLS];   /* who asked for each, as a sum of the stack */
} faults;
static faults *fault;

static void keep_way(int call)
{
    void *stack[DEPTH];
    int depth = call < CALLS && fault->first == INT_MAX ? backtrace(stack, DEPTH) : 0;
    for (int i = 0; i < depth; i++)
        fault->way[call] = fault->way[call] * 31 + (uintptr_t)stack[i];
}

static void *faulty_mmap(void *p, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fault && !(flags & MAP_FIXED)) {
        int n = __atomic_add_fetch(&fault->calls, 1, __ATOMIC_RELAXED);
        keep_way(n);
        if (n >= fault->first && n <= fault->last) {
            errno = ENOMEM;
            return MAP_FAILED;
        }
    }
    return mmap(p, size, protection, flags, fd, offset);
}

#define mmap faulty_mmap
#define PERFLAB_IMPL
#include "perflab.h"
#undef mmap
#include "tap.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char folder[] = "/tmp/perflab-XXXXXX";

/* What may come of a call without memory. */
static bool fair(pl_result result)
{
    return result == PL_OK || result == PL_NOMEM;
}

/* -- What is tried. Each returns whether all was well; `whole`: there is memory, so it has to be
      done. Two threads beside this one work, and wait for each other. -- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int stop;

PL_NOINLINE static void work_a_bit(void)
{
    for (int i = 0; i < 300; i++) {
        void *volatile p = malloc((size_t)(i * 37 % 5000));
        pthread_mutex_lock(&lock);
        PL_CLOBBER();
        pthread_mutex_unlock(&lock);
        free(p);
    }
    PL_CLOBBER();
}

static void *works(void *unused)
{
    while (!PLI_LOAD(stop)) {
        work_a_bit();
        pli_os_nap();
    }
    return unused;
}

static bool names(bool whole)
{
    pl_frame frame, inlined[8];
    const void *pc = (const char *)(uintptr_t)work_a_bit + 8;
    pl_result result = pl_symbolize(pc, &frame);
    int n = pl_symbolize_inlined((const char *)(uintptr_t)&qsort + 1, inlined, 8);
    if (!fair(result) || n < 1 || !frame.function || !frame.module)
        return false;
    return !whole || (result == PL_OK && strcmp(frame.function, "work_a_bit") == 0 && frame.file &&
                      strstr(frame.file, "test_memory_faults.c") && frame.line > 50);
}

static bool own_stack(bool whole)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    pl_result result = pl_stack_write(out);
    fclose(out);
    bool good = fair(result) && (!whole || (strstr(text, "own_stack") && strstr(text, "main")));
    free(text);
    return good;
}

static bool all_stacks(bool whole)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    pl_result result = pl_stacks_write(out);
    fclose(out);
    bool good = fair(result) && (!whole || (result == PL_OK && strstr(text, "all_stacks") &&
                                            strstr(text, "works") && strstr(text, "modules:")));
    free(text);
    return good;
}

static bool profiles(bool whole)
{
    static const char *const all[] = {"heap", "allocs", "block", "mutex", "goroutine",
                                      "goroutineleak", "threadcreate"};
    bool good = true;
    pl_heap_rate_set(1);
    pl_block_rate_set(1);
    pl_mutex_fraction_set(1);
    for (int i = 0; i < 3; i++)
        work_a_bit();
    for (int i = 0; i < 7; i++)
        for (int debug = 0; debug < 2; debug++) {
            char *text = NULL;
            size_t size = 0;
            FILE *out = open_memstream(&text, &size);
            pl_result result = pl_profile_write(all[i], out, debug);
            fclose(out);
            bool none = result == PL_INVALID && i < 4; /* it could not begin to collect */
            good &= whole ? result == PL_OK && size > 20 : fair(result) || none;
            if (!good)
                diag("%s, debug %d: %s, %zu bytes", all[i], debug, pl_result_str(result), size);
            free(text);
        }
    return good;
}

static bool own_profile(bool whole)
{
    static int keys[3000];
    pl_profile *p = pl_profile_new(whole ? "again" : "first");
    bool good = p != NULL || !whole;
    for (int i = 0; p && i < 3000; i++) {
        pl_result result = pl_profile_add(p, &keys[i], 0);
        good &= whole ? result == PL_OK : fair(result);
    }
    for (int i = 0; p && i < 3000; i++)
        pl_profile_remove(p, &keys[i]);
    return good;
}

static bool cpu(bool whole)
{
    char path[64];
    snprintf(path, sizeof path, "%s/cpu", folder);
    pl_result result = pl_cpu_start(&(pl_cpu_desc){.hz = 1000, .path = path});
    if (result != PL_OK)
        return !whole && result == PL_NOMEM && pl_cpu_stop() == PL_INVALID;
    PL_LABELS("handler", "search", "number", whole ? "one" : "two") { work_a_bit(); }
    usleep(20000);
    result = pl_cpu_stop();
    return (whole ? result == PL_OK : fair(result)) &&
           (access(path, F_OK) == 0) == (result == PL_OK) && remove(path) * 0 == 0;
}

static bool trace(bool whole)
{
    char path[64], ring[80];
    snprintf(path, sizeof path, "%s/t", folder);
    snprintf(ring, sizeof ring, "%s.ring", path);
    pl_result result = pl_trace_start(&(pl_trace_desc){.path = path, .buffer_bytes = 1 << 20});
    if (result != PL_OK)
        return !whole && result == PL_NOMEM && access(ring, F_OK) != 0 &&
               pl_trace_stop() == PL_INVALID;
    PL_REGION("work") { work_a_bit(); }
    result = pl_trace_stop();
    /* What could not be written stays, for graders. */
    bool good = result == PL_OK ? access(path, F_OK) == 0 && access(ring, F_OK) != 0
                                : !whole && result == PL_NOMEM && access(ring, F_OK) == 0;
    unlink(path);
    unlink(ring);
    return good;
}

static bool flight(bool whole)
{
    char path[64];
    snprintf(path, sizeof path, "%s/flight", folder);
    pl_result result = pl_flight_start(&(pl_flight_desc){.path = path, .buffer_bytes = 1 << 20});
    if (result != PL_OK)
        return !whole && result == PL_NOMEM && pl_flight_stop() == PL_INVALID;
    PL_REGION("work") { work_a_bit(); }
    result = pl_flight_write(NULL);
    bool good = whole ? result == PL_OK : fair(result);
    good &= (access(path, F_OK) == 0) == (result == PL_OK);
    unlink(path);
    return pl_flight_stop() == PL_OK && good;
}

static bool leaks(bool whole)
{
    pl_leak_baseline mark;
    char *text = NULL;
    size_t size;
    pl_result result = pl_leak_mark(&mark);
    if (result != PL_OK)
        return !whole && result == PL_NOMEM;
    void *volatile lost = malloc(100);
    lost = (void *)(~(uintptr_t)lost);
    FILE *report = open_memstream(&text, &size);
    int64_t found = pl_leak_check(&mark, &(pl_leak_desc){.wait_ms = -1}, report);
    fclose(report);
    free(text);
    pl_leak_stop();
    free((void *)(~(uintptr_t)lost));
    return whole ? found >= !PLI_SANITIZER : found >= 0 || found == -PL_NOMEM;
}

/* All answers from inside, then one through the server, if it could be started. */
static const char *const targets[] = {
    "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs",
    "/debug/pprof/goroutine?debug=2", "/debug/pprof/goroutine", "/debug/pprof/threadcreate?debug=1",
    "/debug/pprof/cmdline", "/debug/pprof/symbol?0x401000", "/debug/pprof/nothing", "/nowhere"};

static bool answers(bool whole)
{
    bool good = true;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        pl_http_request request = {.target = targets[i]};
        pl_http_response response;
        pl_result result = pl_http_handle(&request, &response);
        int wanted = i < 9 ? 200 : 404;
        good &= fair(result) && (!whole || result == PL_OK);
        if (result == PL_OK) {
            good &= response.status == wanted || (!whole && response.status == 500);
            good &= response.size > 0 || response.status == 500;
            pl_http_response_free(&response);
        }
        if (!good)
            diag("%s: %s", targets[i], pl_result_str(result));
    }
    return good;
}

/* A question over the wire: the status, 0 when the server hung up. */
static int ask(const char *target)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)pl_http_port())};
    char text[4096] = "";
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                     "Connection: close\r\n\r\n", target);
    if (write(fd, text, (size_t)n) != n || read(fd, text, sizeof text) <= 0 ||
        sscanf(text, "HTTP/1.1 %d", &status) != 1)
        status = 0;
    while (read(fd, text, sizeof text) > 0) {
    }
    close(fd);
    return status;
}

static bool server(bool whole)
{
    pl_result result = pl_http_start(&(pl_http_desc){.address = "127.0.0.1:0"});
    if (result != PL_OK)
        return !whole && result == PL_NOMEM && pl_http_port() == 0;
    bool good = true;
    for (size_t i = 0; i < 4; i++) {
        int status = ask(targets[i]);
        good &= status == 200 || (!whole && (status >= 404 || status == 0));
        if (!good)
            diag("%s: status %d", targets[i], status);
    }
    pl_http_stop();
    return good;
}

#if !PLI_SANITIZER /* which reports crashes itself */

/* A crash whose report cannot get memory has all but the names, and ends as it would have. */
PL_NOINLINE static void crash_here(void)
{
    volatile uintptr_t nowhere = 8;
    *(volatile char *)nowhere = 1;
    PL_CLOBBER();
}

static bool crash(bool whole)
{
    char path[64], text[65536];
    snprintf(path, sizeof path, "%s/report", folder);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen(path, "w", stderr) || pl_crash_install() != PL_OK)
            _exit(9);
        crash_here();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    FILE *in = fopen(path, "r");
    size_t n = in ? fread(text, 1, sizeof text - 1, in) : 0;
    text[n] = '\0';
    if (in)
        fclose(in);
    if (WIFEXITED(status)) /* not installed */
        return !whole && WEXITSTATUS(status) == 9;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && strstr(text, "SIGSEGV") &&
           strstr(text, "0x0000000000000008") && strstr(text, "modules:") &&
           strstr(text, whole ? "crash_here" : "\n#1 ");
}

#endif

typedef struct trial { const char *name; bool (*run)(bool whole); } trial;

/* -- How it is tried -- */

/* In a child: 0, all was well. */
static int child_tries(const trial *t)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, works, NULL) != 0)
            return 2;
    alarm(60);
    PLI_STORE(fault->calls, 0);
    bool good = t->run(false);
    int calls = PLI_LOAD(fault->calls);
    PLI_STORE(fault->first, INT_MAX - 1);
    if (!good)
        return 3;
    if (!t->run(true))
        return 4;
    PLI_STORE(stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    PLI_STORE(fault->calls, calls);
    return 0;
}

static bool try(const trial *t, int first, int last)
{
    static const char *const why[] = {"", "", "a thread could not be started", "without memory",
                                      "with memory again"};
    fault->first = first, fault->last = last, fault->calls = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
    {
        int code = child_tries(t);
        fflush(stdout);
        _exit(code);
    }
    int status;
    waitpid(child, &status, 0);
    if (status == 0)
        return true;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    diag("%s, mappings %d to %d refused: %s %d", t->name, first, last,
         code > 1 && code < 5 ? why[code] : WIFSIGNALED(status) ? "signal" : "status",
         WIFSIGNALED(status) ? WTERMSIG(status) : code);
    return false;
}

/* Whether it is the first that was asked for on its way, or the eighth: a buffer that grows a
   hundred times is refused memory twice. */
static bool is_new_way(int n)
{
    int before = 0;
    for (int i = 1; i < n; i++)
        before += fault->way[i] == fault->way[n];
    return before == 0 || before == 7;
}

static void test_trial(const trial *t)
{
    memset(fault->way, 0, sizeof fault->way);
    bool good = try(t, INT_MAX, INT_MAX);
    int all = fault->calls < CALLS ? fault->calls : CALLS, tried = 0;
    ok(good, "%s: with memory", t->name);
    for (int n = 1; good && n < all; n++) {
        if (!is_new_way(n) || (PLI_SANITIZER && n % 6))
            continue;
        good = try(t, n, n);
        if (tried++ % 3 == 0)
            good &= try(t, n, INT_MAX - 1);
    }
    ok(good && (tried > 0 || PLI_SANITIZER),
       "%s: without each of %d mappings, and without all from some on", t->name, tried);
}

int main(void)
{
    static const trial trials[] = {
        {"symbolize", names}, {"a stack", own_stack}, {"all stacks", all_stacks},
        {"profiles", profiles}, {"an own profile", own_profile}, {"cpu", cpu}, {"trace", trace},
        {"flight", flight}, {"leaks", leaks}, {"answers", answers}, {"server", server},
#if !PLI_SANITIZER
        {"crash", crash},
#endif
    };
    if (!mkdtemp(folder))
        return 1;
    fault = mmap(NULL, sizeof *fault, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *stack[DEPTH];
    backtrace(stack, DEPTH); /* loads what it needs */
    fault->first = fault->last = INT_MAX;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        test_trial(&trials[i]);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    is_int(system(command), 0, "nothing else is left");
    return done();
}
