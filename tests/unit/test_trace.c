/* The tracer: what is recorded of regions, tasks and threads, in handlers and forks and at the ends
   of threads, and what starts and stops do under pressure. What is in the file at the end is
   tests/trace's business. */
/* run: upto=trace */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <setjmp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char folder[] = "/tmp/perflab-trace-XXXXXX", path[64];

static pl_result start(size_t bytes)
{
    return pl_trace_start(&(pl_trace_desc){.path = path, .buffer_bytes = bytes,
                                           .leave_out = PL_TRACE_NO_WAITS | PL_TRACE_NO_STATES |
                                                        PL_TRACE_NO_COUNTERS});
}

/* What is in the session now, read from a copy. */
typedef struct reading {
    pli_records records;
    pli_chunks chunks;
    char *memory;
    size_t size;
} reading;

static void reading_open(reading *r)
{
    r->size = (size_t)pli_trace.pool.chunks * pli_trace.pool.chunk_bytes;
    r->memory = pli_os_map(r->size);
    r->chunks = pli_pool_copy(&pli_trace.pool, r->memory);
    if (!pli_records_open(&r->records, r->chunks))
        abort();
}

static void reading_close(reading *r)
{
    pli_records_close(&r->records);
    munmap(r->memory, r->size);
}

/* Sums over all records; instance 0: of all threads. */
typedef struct totals {
    long long kind[PLI_RECORD_TEXT + 1], all, dropped, misnested, instances;
} totals;

static bool has_name(const pli_record *r, const char *name)
{
    const pli_name_slot *s = &pli_trace.pool.names.slots[r->name];
    return r->name && s->size == strlen(name) &&
           memcmp(pli_trace.pool.names.texts + s->text, name, s->size) == 0;
}

static totals count(uint32_t instance)
{
    totals t;
    reading r;
    memset(&t, 0, sizeof t);
    reading_open(&r);
    for (const pli_piece *p; (p = pli_records_thread(&r.records)) != NULL;) {
        long long depth = 0;
        t.instances++;
        for (const pli_record *record; (record = pli_records_next(&r.records)) != NULL;) {
            if (instance && p->thread->instance != instance)
                continue;
            depth += (record->kind == PLI_RECORD_BEGIN) - (record->kind == PLI_RECORD_END);
            t.misnested += depth < 0;
            t.kind[record->kind <= PLI_RECORD_TEXT ? record->kind : 0]++;
            t.all++;
        }
    }
    for (size_t i = 0; i < r.chunks.count; i++)
        t.dropped += pli_chunks_at(r.chunks, i)->dropped;
    reading_close(&r);
    return t;
}

/* The kinds of this thread's records, a letter each: what happened, in its order. */
static const char *story(void)
{
    static const char letters[] = "?T.{}!#lbeEXoiwWsSn-+";
    static char text[256];
    size_t used = 0;
    reading r;
    reading_open(&r);
    for (const pli_piece *p; (p = pli_records_thread(&r.records)) != NULL;)
        for (const pli_record *record; (record = pli_records_next(&r.records)) != NULL;)
            if (p->thread->instance == pli_instance && record->kind != PLI_RECORD_THREAD &&
                used < sizeof text - 1)
                text[used++] = letters[record->kind];
    reading_close(&r);
    text[used] = '\0';
    return text;
}

static void test_results(void)
{
    pl_trace_desc far = {.path = "/nowhere/t.pftrace"};
    pl_trace_desc small = {.path = path, .buffer_bytes = 4096};
    pl_trace_desc odd = {.path = path, .leave_out = 64};
    is_int(pl_trace_stop(), PL_INVALID, "nothing to stop");
    is_int(pl_trace_start(&far), PL_IO, "no such folder");
    is_int(pl_trace_start(&small), PL_INVALID, "a buffer that is too small");
    is_int(pl_trace_start(&odd), PL_INVALID, "an option that is none");
    is_int(pl_trace_on, 0, "nothing is on after failures");
    is_int(start(0), PL_OK, "it starts");
    is_int(start(0), PL_BUSY, "once");
    ok(pl_trace_on != 0, "and is on");
    char ring[80];
    struct stat s;
    snprintf(ring, sizeof ring, "%s.ring", path);
    ok(stat(ring, &s) == 0 && s.st_size == 64 << 20, "its file has the size that was asked for");
    ok((uint64_t)s.st_blocks * 512 >= (uint64_t)s.st_size, "and room on the disk for all of it");
    is_int(pl_trace_stop(), PL_OK, "it stops");
    ok(stat(path, &s) == 0 && s.st_size > 100, "and there is a trace");
    ok(stat(ring, &s) != 0, "in place of the other file");
    is_int(pl_trace_on, 0, "and it is off");
}

static void returns_from_region(void)
{
    PL_REGION("returns") {
        PL_REGION_SCOPE("scope");
        return;
    }
}

/* Each call is a record, in its order. */
static void test_calls(void)
{
    start(0);
    PL_REGION("outer") {
        pl_region_begin("inner");
        pl_trace_instant("now");
        pl_region_begin_copy("copied");
        pl_region_end();
        pl_region_end();
    }
    is_str(story(), "{{!{}}}", "regions and an instant");
    pl_trace_stop();

    start(0);
    returns_from_region();
    is_str(story(), "{{}}", "return ends the regions it leaves");
    pl_trace_stop();

    start(0);
    pl_task job = pl_task_begin("job", PL_NO_TASK), step = pl_task_begin("step", job);
    PL_TASK(job) { PL_TASK(step) { PL_REGION("work") { } } }
    pl_task_end(step);
    pl_task_end(job);
    pl_trace_counter("queue", 2.5);
    pl_trace_log("note", "%d of %s", 3, "these");
    pl_flow_out("message", 77);
    pl_flow_in("message", 77);
    is_str(story(), "bbEE{}XXee#loi", "tasks, work for them, a counter, a log, a flow");
    ok(job.id != 0 && step.id != job.id, "with numbers of their own");
    pl_trace_stop();

    is_int((long long)pl_task_begin("off", PL_NO_TASK).id, 0, "no trace, no task");
    PL_REGION("off") { PL_TASK(job) { } }
    start(0);
    is_str(story(), "", "what was done while it was off is not there");
    pl_trace_stop();
}

/* What the program does wrong is recorded as it is; readers mend it. */
static void test_misnested(void)
{
    start(0);
    pl_region_end();
    pl_region_begin("a");
    pl_region_begin("b");
    pl_region_end();
    is_str(story(), "}{{}", "ends without a begin, and begins without an end");
    is_int(count(pli_instance).misnested, 1, "the first end has nothing to end");
    is_int(pl_trace_stop(), PL_OK, "that makes a trace, too");
}

/* The newest stay, and every record that is gone is counted. */
static void test_wrap(void)
{
    const long long pairs = 200000;
    start(PLI_TRACE_LEAST);
    for (long long i = 0; i < pairs; i++)
        PL_REGION("round") { }
    totals t = count(0);
    long long said = (long long)pli_trace.pool.taken; /* each chunk begins with a THREAD */
    is_int(t.all + t.dropped, 2 * pairs + said, "records there and records gone are all that were");
    ok(t.all < 20000 && t.all > 5000, "in the memory that was asked for (%lld)", t.all);
    ok(t.kind[PLI_RECORD_THREAD] > 0 && t.kind[PLI_RECORD_LOST] == 0, "none was lost");
    pl_trace_stop();
}

/* A name is in the table, or its bytes are in the record; whatever it is. */
static void test_names(void)
{
    static char long_name[65537], copy[16];
    memset(long_name, 'x', sizeof long_name - 1);
    start(0);
    pl_region_begin(long_name);
    pl_region_begin_copy(long_name);
    strcpy(copy, "before");
    pl_region_begin_copy(copy);
    strcpy(copy, "after");
    pl_region_begin("");
    pl_region_begin("\xf0\x9f\x90\x8c UTF-8 \xff");
    reading r;
    bool literal = false, utf8 = false, old = false;
    size_t bytes = 0;
    reading_open(&r);
    while (pli_records_thread(&r.records))
        for (const pli_record *record; (record = pli_records_next(&r.records)) != NULL;) {
            literal |= has_name(record, long_name);
            utf8 |= has_name(record, "\xf0\x9f\x90\x8c UTF-8 \xff");
            old |= record->bytes == 6 && memcmp(record + 1, "before", 6) == 0;
            bytes += record->name == 0 && record->kind != PLI_RECORD_THREAD ? record->bytes : 0;
        }
    reading_close(&r);
    ok(literal && utf8, "literals of 64 KiB, and in any writing, are in the table of names");
    ok(old, "a copied name is what it was then");
    is_int((long long)bytes, 65536 + 6, "one of 64 KiB is there with all of its bytes");
    for (int i = 0; i < 5; i++)
        pl_region_end();
    pl_trace_stop();
}

/* As if a library with a string in it were unloaded, and another one loaded in its place. */
static void test_dlclose(void)
{
    char *text = pli_os_map(4096);
    start(0);
    strcpy(text, "first owner");
    pl_trace_instant(text);
    void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
    if (!library || !PLI_INTERPOSE) {
        skip("a string whose owner is unloaded", "no library to unload, or no hook");
        pl_trace_stop();
        return;
    }
    dlclose(library);
    strcpy(text, "second owner");
    pl_trace_instant(text);
    munmap(text, 4096);
    bool first = false, second = false;
    reading r;
    reading_open(&r);
    while (pli_records_thread(&r.records))
        for (const pli_record *record; (record = pli_records_next(&r.records)) != NULL;)
            first |= has_name(record, "first owner"), second |= has_name(record, "second owner");
    reading_close(&r);
    ok(first && second, "a string whose owner is unloaded keeps its text, and lends it to nobody");
    is_int(pl_trace_stop(), PL_OK, "and is not needed any more");
}

/* -- Threads -- */

static void *short_thread(void *number)
{
    PL_REGION("short") { pl_trace_counter("number", (double)(intptr_t)number); }
    return NULL;
}

/* All of them are there, in a few chunks. */
static void test_many_threads(void)
{
    pthread_t threads[4];
    start(0);
    for (intptr_t i = 0; i < 1000; i += 4) {
        for (intptr_t k = 0; k < 4; k++)
            pthread_create(&threads[k], NULL, short_thread, (void *)(i + k));
        for (int k = 0; k < 4; k++)
            pthread_join(threads[k], NULL);
    }
    totals t = count(0);
    ok(t.instances >= 1000, "1,000 short threads are 1,000 threads (%lld)", t.instances);
    is_int(t.kind[PLI_RECORD_COUNTER], 1000, "each has written what it had to say");
    is_int(t.kind[PLI_RECORD_THREAD_END], 1000, "and ended");
    ok(pli_trace.pool.taken < 60, "in %llu chunks", (unsigned long long)pli_trace.pool.taken);
    is_int(t.misnested, 0, "none has another one's regions");
    pl_trace_stop();
}

static pthread_key_t early, late;
static uint32_t dying;

/* Runs when its thread has no block any more, or still has. */
static void destroy(void *value)
{
    dying = pli_instance;
    PL_REGION("destructor") { }
    (void)value;
}

static void *with_destructors(void *unused)
{
    pthread_setspecific(early, &early);
    PL_REGION("life") { }
    pthread_setspecific(late, &late);
    return unused;
}

/* What the ends of a thread still do is that thread's. */
static void test_destructors(void)
{
    pthread_t thread;
    start(0);
    pthread_key_create(&early, destroy);
    pthread_key_create(&late, destroy);
    pthread_create(&thread, NULL, with_destructors, NULL);
    pthread_join(thread, NULL);
    is_int(count(dying).kind[PLI_RECORD_BEGIN], 3, "regions in destructors are their thread's");
    is_int(count(dying).kind[PLI_RECORD_END], 3, "and they end");
    pthread_key_delete(early);
    pthread_key_delete(late);
    pl_trace_stop();
}

static pthread_barrier_t gate;

static void *waits_at_gate(void *unused)
{
    pthread_barrier_wait(&gate);
    PL_REGION("late") { }
    pthread_barrier_wait(&gate);
    return unused;
}

/* A thread from before the start, that no hook has told of. */
static void test_unseen(void)
{
    pthread_t thread;
    pthread_barrier_init(&gate, NULL, 2);
    pli_create_next(&thread, NULL, waits_at_gate, NULL);
    start(0);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    totals t = count(0);
    is_int(t.kind[PLI_RECORD_BEGIN], 1, "a thread that was there before records as others do");
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&gate);
    pl_trace_stop();
}

static void *sleep_over_it(void *unused)
{
    PL_REGION("before") { }
    pthread_barrier_wait(&gate);
    usleep(100000);
    return unused;
}

/* A call that outlasts its trace, and ends in the next one: the first one's memory is gone. */
static void test_outlasted(void)
{
    const pl_trace_desc waits = {.path = path, .buffer_bytes = PLI_TRACE_LEAST};
    pthread_t thread;
    pthread_barrier_init(&gate, NULL, 2);
    pl_trace_start(&waits);
    char *ring = (char *)pli_trace.ring;
    size_t bytes = pli_trace.bytes;
    pthread_create(&thread, NULL, sleep_over_it, NULL);
    pthread_barrier_wait(&gate);
    usleep(20000);
    pl_trace_stop();
    void *taken = mmap(ring, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pl_trace_start(&waits);
    pthread_join(thread, NULL);
    is_int(count(0).misnested, 0, "a call that outlasts its trace leaves the next one alone");
    pl_trace_stop();
    munmap(taken, bytes);
    pthread_barrier_destroy(&gate);
}

/* -- Handlers -- */

static long long handled;
static sigjmp_buf back;
static int jumps;

static void record_in_handler(int number)
{
    (void)number;
    PL_REGION("handler") { pl_trace_counter("handled", (double)handled); }
    handled++;
}

static void much_in_handler(int number)
{
    (void)number;
    for (int i = 0; i < 200; i++)
        PL_REGION("handler") { }
    handled += 200;
}

/* Leaves every fourth time. */
static void jump_from_handler(int number)
{
    (void)number;
    pl_trace_instant("tick");
    handled++;
    if (handled % 4 == 0)
        siglongjmp(back, 1);
}

/* Some thousand signals a second; beside a sanitizer fewer, or the handler is all that runs. */
#define ALARM_NS (PLI_SANITIZER ? 5000000 : 100000)

static timer_t alarm_begin(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec when = {{0, ALARM_NS}, {0, ALARM_NS}};
    timer_t timer;
    handled = 0;
    sigaction(SIGALRM, &action, NULL);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &when, NULL);
    return timer;
}

static void alarm_end(timer_t timer)
{
    timer_delete(timer);
    signal(SIGALRM, SIG_IGN);
}

/* As long as there is room for all of it. */
static bool roomy(void)
{
    return PLI_LOAD(pli_trace.pool.taken) < pli_trace.pool.chunks / (PLI_SANITIZER ? 16 : 2);
}

/* What one trace holds too much or too little. */
typedef struct { long long handled, begins, ends, instants, disorder; } handler_sums;

static void handlers_trace(void (*handler)(int), handler_sums *sums)
{
    long long rounds = 0;
    start((size_t)256 << 20);
    timer_t timer = alarm_begin(handler);
    for (; roomy(); rounds++)
        PL_REGION("round") { pl_trace_instant("in it"); }
    alarm_end(timer);
    totals t = count(pli_instance);
    sums->handled += handled;
    sums->begins += llabs(t.kind[PLI_RECORD_BEGIN] - rounds - handled);
    sums->ends += llabs(t.kind[PLI_RECORD_END] - rounds - handled);
    sums->instants += llabs(t.kind[PLI_RECORD_INSTANT] - rounds);
    sums->disorder += t.misnested + t.dropped + (long long)pli_trace.ring->lost;
    pl_trace_stop();
}

/* Regions, with handlers that come at any moment: each record is there once, and whole.
   How many come while there is room depends on the machine, so as many traces as it takes. */
static void test_handlers(void (*handler)(int), const char *what)
{
    handler_sums sums = {0};
    for (int i = 0; i < 100 && sums.handled <= 20; i++)
        handlers_trace(handler, &sums);
    ok(sums.handled > 20, "%s: %lld", what, sums.handled);
    is_int(sums.begins, 0, "every region of both is there");
    is_int(sums.ends, 0, "and ends");
    is_int(sums.instants, 0, "and what is in between");
    is_int(sums.disorder, 0, "all in order");
}

/* A handler that leaves by longjmp may leave a record half written for ever. */
static void test_longjmp(void)
{
    long long volatile rounds = 0;
#if PLI_SANITIZER
    skip("handlers that never come back", "the thread sanitizer waits for them");
    return;
#endif
    start((size_t)256 << 20);
    timer_t timer = alarm_begin(jump_from_handler);
    jumps += sigsetjmp(back, 1);
    for (; roomy(); rounds++)
        pl_trace_instant("round");
    alarm_end(timer);
    totals t = count(pli_instance);
    long long there = t.kind[PLI_RECORD_INSTANT], made = rounds + handled;
    ok(jumps > 5, "handlers that never come back: %d", jumps);
    ok(there <= made + jumps && there >= made - jumps, "lose one record each at most: %lld of %lld",
       there, made);
    long long before = there;
    pl_trace_instant("after");
    is_int(count(pli_instance).kind[PLI_RECORD_INSTANT], before + 1, "the thread goes on");
    is_int(pl_trace_stop(), PL_OK, "and the trace stops");
}

/* -- Forks -- */

static void at_fork_region(void)
{
    PL_REGION("fork") { }
}

/* The child's records are none of the parent's, and the parent's go on. */
static void test_fork(void)
{
    char own[80];
    struct stat s;
    snprintf(own, sizeof own, "%s.child", path);
    pthread_atfork(at_fork_region, at_fork_region, at_fork_region);
    start(0);
    PL_REGION("before") { }
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 100000; i++)
            PL_REGION("child") { }
        bool good = pl_trace_on == 0 && pl_trace_stop() == PL_INVALID;
#if !PLI_SANITIZER /* which ends a child that starts a thread */
        good &= pl_trace_start(&(pl_trace_desc){.path = own}) == PL_OK;
        PL_REGION("child") { }
        good &= pl_trace_stop() == PL_OK;
#endif
        _exit(good ? 0 : 1);
    }
    int status = -1;
    PL_REGION("after") { }
    waitpid(child, &status, 0);
    is_int(status, 0, "a fork's child is not traced, and may start a trace of its own");
    ok(PLI_SANITIZER || (stat(own, &s) == 0 && s.st_size > 0), "which it writes");
    totals t = count(0);
    is_int(t.kind[PLI_RECORD_BEGIN], 4, "the parent has its own regions, also around the fork");
    is_int(t.kind[PLI_RECORD_END], 4, "and their ends");
    is_int(pl_trace_stop(), PL_OK, "and its trace");
}

/* -- Under pressure -- */

static uint32_t done_storming;

static void *storm(void *unused)
{
    for (int i = 0; i < 60; i++) {
        const pl_trace_desc all = {.path = path, .buffer_bytes = PLI_TRACE_LEAST};
        if ((i % 2 ? start(PLI_TRACE_LEAST) : pl_trace_start(&all)) == PL_OK)
            PL_REGION("mine") { }
        pl_trace_stop();
    }
    return unused;
}

static void *record_in_storm(void *unused)
{
    while (!PLI_LOAD(done_storming)) {
        PL_REGION("storm") {
            pl_trace_log("log", "%s", "text");
            pl_task_end(pl_task_begin("task", PL_NO_TASK));
            usleep(20);
        }
    }
    return unused;
}

/* Two threads start and stop, two record. */
static void test_storm(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i < 2 ? storm : record_in_storm, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    PLI_STORE(done_storming, 1);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    is_int(pl_trace_stop(), PL_INVALID, "starts and stops from all sides: none is left over");
    is_int(pli_trace.users, 0, "and nobody holds the memory");
}

/* In a child: what may go wrong when the trace starts, and is said then. */
static int with_limit(int which, rlim_t most)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {most, most};
        signal(SIGXFSZ, SIG_DFL);
        setrlimit(which, &limit);
        pl_result result = start(0);
        char ring[80];
        snprintf(ring, sizeof ring, "%s.ring", path);
        _exit(access(ring, F_OK) == 0 ? 100 : (int)result);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A disk with less room than is asked for; false where none can be made. */
static bool small_disk(const char *at)
{
    return mkdir(at, 0700) == 0 && mount("none", at, "tmpfs", 0, "size=1m") == 0;
}

static void test_no_room(void)
{
    char disk[64], file[80], ring[96];
    is_int(with_limit(RLIMIT_FSIZE, 1 << 20), PL_IO, "files that may not grow: said at the start");
#if PLI_SANITIZER
    skip("out of memory", "a sanitizer needs more");
#else
    is_int(with_limit(RLIMIT_AS, 30 << 20), PL_NOMEM, "out of memory: said at the start");
#endif
    snprintf(disk, sizeof disk, "%s/disk", folder);
    snprintf(file, sizeof file, "%s/t.pftrace", disk);
    snprintf(ring, sizeof ring, "%s.ring", file);
    if (!small_disk(disk)) {
        skip("a full disk", "no right to mount one");
    } else {
        is_int(pl_trace_start(&(pl_trace_desc){.path = file}), PL_IO,
               "a full disk: said at the start");
        ok(access(ring, F_OK) != 0, "and nothing is left there");
        is_int(pl_trace_start(&(pl_trace_desc){.path = file, .buffer_bytes = 512 << 10}), PL_OK,
               "with room for the records it starts");
        for (int i = 0; i < 100000; i++)
            PL_REGION("round") { }
        FILE *other = fopen("/dev/null", "w");
        char filler[96];
        snprintf(filler, sizeof filler, "%s/filler", disk);
        int fd = open(filler, O_WRONLY | O_CREAT, 0600);
        posix_fallocate(fd, 0, 400 << 10);
        close(fd);
        is_int(pl_trace_stop(), PL_IO, "without room for the trace the stop says so");
        ok(access(ring, F_OK) == 0, "and the records stay for graders");
        fclose(other);
        umount(disk);
    }
    rmdir(disk);
}

/* A reader who copies while threads record and go round the pool sees whole records only. */
static void test_copy(void)
{
    pthread_t threads[3];
    done_storming = 0;
    start(PLI_TRACE_LEAST);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, record_in_storm, NULL);
    long long unknown = 0, records = 0;
    for (int i = 0; i < 200; i++) {
        totals t = count(0);
        unknown += t.kind[0];
        records += t.all;
    }
    PLI_STORE(done_storming, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ok(records > 0, "records were read while others were written (%lld)", records);
    is_int(unknown, 0, "each of a kind that there is");
    pl_trace_stop();
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/t.pftrace", folder);
    test_results();
    test_calls();
    test_misnested();
    test_wrap();
    test_names();
    test_dlclose();
    test_many_threads();
    test_destructors();
    test_unseen();
    test_outlasted();
    test_handlers(record_in_handler, "handlers that record");
    test_handlers(much_in_handler, "handlers that record more than there is room aside");
    test_longjmp();
    test_fork();
    test_storm();
    test_no_room();
    test_copy();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || done();
}
