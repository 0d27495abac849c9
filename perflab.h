/* perflab.h - performance tools for C and C++ programs, in one header.

   A timer, a CPU profile, exact heap statistics and benchmarks in the manner of Go. No dependency
   but libc and the kernel.

   DO THIS
       cc -O2 -DPERFLAB_IMPL -x c -c perflab.h -o perflab.o     once: the implementation
       cc -O2 main.c perflab.o -o main                          main.c includes "perflab.h"
   (before glibc 2.34 add -ldl -pthread; for a shared library add -fPIC)
   or write, in exactly one C file, before any other include:
       #define _GNU_SOURCE
       #define PERFLAB_IMPL
       #include "perflab.h"
   The API is C99 and C++11; the implementation is C11 with GNU extensions (gcc, clang).

   CONTENTS (search for the tag)
       >>api         everything a program may use; readable alone
       >>platform    the operating system and the processor, behind a small contract
       >>util        atomics, a lock, numbers and text as other programs write them
       >>results     the names of the results
       >>clock       time, ticks, timers
       >>thread      one block per thread: birth, death, fork
       >>module      the loaded program and libraries: where they lie, which they are
       >>cfi         where the caller of an address is: the tables that compilers write
       >>unwind      one walker for all stacks
       >>site        one table for all profiles: stack, labels and size to counters
       >>event       a ring a thread for what has a time
       >>cpu         the sampler: one CPU clock timer a thread
       >>heap        exact counts of the heap, per thread and summed up
       >>live        which blocks are live, and who made them
       >>malloc      the interposed entry points: malloc and its family, operator new and delete
       >>sync        where threads wait for one another: block and mutex profiles
       >>elf         programs and libraries as files, and in memory: their tables of symbols
       >>symbol      names for addresses
       >>gzip        growing buffers, compression of what leaves, decompression of what is read
       >>dwarf       debug information: units, entries, ranges
       >>line        line tables and inlined calls
       >>frame       function, file and line of an address
       >>profile     what was collected, as files that other tools read
       >>stack       the calling thread's own stack
       >>leak        what was made since a mark and is still there
       >>machine     facts that explain a measurement, and what mends a noisy machine
       >>flags       the command line of a benchmark program
       >>bench       one benchmark: timer, metrics, growth of n, threads
       >>benchmain   which benchmarks run, and what is printed of them
       >>env         what the environment variable PERFLAB asks for

   EXAMPLES
       Timer:          pl_timer t = {0};
                       pl_timer_start(&t);  work();  pl_timer_stop(&t);
                       printf("%llu ns\n", (unsigned long long)pl_timer_ns(&t));

       Heap:           pl_memstats before, after;
                       pl_memstats_read(&before);  work();  pl_memstats_read(&after);
                       pl_memstats change = pl_memstats_diff(&after, &before);
                       pl_memstats_write(&change, stdout);

       Leaks:          PERFLAB=leakcheck=1 ./program             (no call needed: see LEAKS)

       CPU profile:    PERFLAB=cpu=cpu.pb.gz ./program           (no call needed: see PROFILES)
                       pl_cpu_start(&(pl_cpu_desc){.path = "cpu.pb.gz"});  work();  pl_cpu_stop();

       Labels:         PL_LABELS("request", "search") { search(query); }

       Stack:          pl_stack_write(stderr);

       Benchmarks:     PL_BENCH(Sum) { int x = 7; PL_HIDE(x);
                                       PL_LOOP(b) { PL_KEEP(sum(x)); } }
                       PL_BENCH_MAIN()
                       ./program -bench Sum -benchmem -count 10      (-help lists the flags)

       CPU profile:    pl_cpu_start(NULL);  work();  pl_cpu_stop();
                       pl_profile_save("cpu", "cpu.pb.gz");
                       go tool pprof -top program cpu.pb.gz

       Waiting:        pl_block_rate_set(1);  pl_mutex_fraction_set(1);  work();
                       pl_profile_save("mutex", "mutex.pb.gz");     who lets others wait
                       pl_profile_save("block", "block.pb.gz");     who waits

       Stacks:         void *pcs[32];  pl_frame f;
                       int depth = pl_callers(0, pcs, 32);
                       for (int i = 0; i < depth; i++) {
                           pl_symbolize(pcs[i], &f);
                           printf("%s+%zu\n", f.function, f.offset);
                       }

   PROFILES
       Every program that has perflab.o in it, or runs with LD_PRELOAD=libperflab.so, takes a
       profile of itself when it is asked to:

           $ PERFLAB=cpu=cpu.pb.gz,hz=1000 ./program
           $ python3 -m graders top cpu.pb.gz            or: go tool pprof -http=: program cpu.pb.gz

       cpu=FILE     a CPU profile of all threads, written when the program ends: by exit, _exit or
                    a SIGTERM, SIGINT or SIGHUP that it does not handle. %p in the name is the
                    number of the process; children without it append .PID
       hz=N         samples a second of CPU time, 1 to 10,000; 100
       The file is a gzipped pprof profile (profile.proto), which Go's tools, Parca, Pyroscope and
       speedscope read. Functions are named by perflab itself; source lines come from the program's
       debug information (-g), which the reader looks up. -cpuprofile FILE does the same for what
       benchmarks time.

   LEAKS
       The same programs tell at their end (return from main, or exit) what they never gave back:

           $ PERFLAB=leakcheck=1 ./server
           perflab: 3 leaks: 512 bytes in 1 block, 1 descriptor, 1 thread
             lost: 512 bytes in 1 block, allocated at
                 #0   0x55d0c8f3a1b3  read_request+0x1a  /home/me/server
                 #1   0x55d0c8f3a20e  main+0x2c  /home/me/server
             descriptor 4 (/home/me/server.log), opened at ...
             thread 4711 (server) runs keep_alive, started at ...
               and waits at ...

       leakcheck=1      lost blocks, open descriptors, running threads. 2: also blocks that are
                        still reachable (a cache that only grows is one of these)
       leakexit=N       end with this exit code when there are leaks; without it, with the program's
       leakignore=NAME  no leak: whatever has this function, or library, in its stack; '*' stands
                        for any letters, and the key may be given up to 32 times
       A fork's child counts from its fork on. What is made before main, by other constructors, may
       be missing. pl_leak_mark and pl_leak_check do the same for a part of a program.

   BENCHMARKS
       A file with PL_BENCHs and PL_BENCH_MAIN(), linked with perflab.o, is a program that measures:

           $ ./strings -benchmem
           goos: linux
           goarch: amd64
           cpu: AMD EPYC
           # governor: unknown      ... more facts about the machine, and warnings with their cure
           BenchmarkStrlen-2   100000000     10.05 ns/op   99476.88 MB/s    0 B/op    0 allocs/op
           BenchmarkStrdup-2    94820635     14.44 ns/op                   40 B/op    1 allocs/op
           PASS

       It is Go's format: the name and on how many processors, iterations, and values with their
       units. One run is an anecdote: to compare two versions, take ten of each and let benchstat
       say what is noise:

           $ ./old -count 10 > old.txt; ./new -count 10 > new.txt; benchstat old.txt new.txt

       -bench REGEX     what to run, part by part: 'Sort/n=10$'    -list [REGEX]   only the names
       -benchtime 2s    how long each, or 100x: how often          -count N        how many results
       -benchmem        bytes and allocations too                  -cpu 1,2,4      threads
       -json            an object a line (see >>benchmain)         -v              logs at once
       -shuffle on      another order each time                    -timeout 10m    give up then

       The exit code is 0 when all passed, 1 when a benchmark failed, 2 for a wrong flag, a timeout
       or an output that cannot be written.

   CONFIGURATION (define where the implementation is compiled; none is defined by default)
       PERFLAB_NO_INTERPOSE   leaves libc's functions alone: pl_memstats counts nothing then, and
                              short threads that never allocate are missing in a CPU profile
   PERFLAB_NO_SYNC        leaves locks and the like alone: no block and no mutex profile. A static
                              program with barriers needs it
       PERFLAB_NO_ENV         ignores the environment variable PERFLAB
       where benchmarks are compiled:
       PERFLAB_PKG            the name in the `pkg:` line of their output, a string; no line
       PERFLAB_FLAGS          the compiler's flags, a string, for the environment block; none

   THREADS AND SIGNALS
       Every public function says in its comment which threads may call it and whether a signal
       handler may. What is kept per thread is written by that thread alone; readers sum up. After
       fork, the child goes on with the heap it inherited and one thread. A CPU profile uses SIGPROF
       and one timer a thread; sleeping threads are not woken, and a handler of the program's own
       for SIGPROF keeps its signals.

   ERRORS
       Every call that can fail returns a pl_result; PL_OK is 0; pl_result_str names it. There is no
       global last error. When memory for perflab's own use runs out, counting goes on, more slowly.

   COST
       Measured side by side in bench/README.md, here on one machine (AMD EPYC, gcc 12): pl_ticks
       1.00 times the bare instruction; an iteration of PL_LOOP 1.00 times a dec/jnz loop; exact
       statistics of a malloc and free pair 1.07 to 1.17 times plain glibc when linked, 1.11 to 1.37
       when preloaded; including the header 4 ms of compile time, implementing it 0.7 s. The CPU
       profile is within 0.3 % of the process's clock with 1 to 64 threads at 100 to 10,000 Hz; a
       sample of 32 frames takes 0.4 us in the handler; starting, stopping and writing 2 ms; the
       program's own CPU time does not change measurably at 100 or 1000 Hz (0.999 times, middle
       half 0.994 to 1.005).

   INTERPOSED SYMBOLS (all weak; each goes on to the next definition in line, so that jemalloc,
   tcmalloc or mimalloc stay in charge where they are linked or preloaded)
       malloc calloc realloc reallocarray free posix_memalign aligned_alloc memalign valloc pvalloc
       free_sized free_aligned_sized, and the 20 forms of C++'s operator new and delete
   for leaks (while nobody looks for them they only hand on)
       open open64 __open_2 __open64_2 openat openat64 creat fopen fopen64 dup dup2 dup3 socket
       socketpair accept accept4 pipe pipe2 eventfd epoll_create epoll_create1 timerfd_create
       memfd_create inotify_init1
   for the CPU profile (while none is taken they only hand on)
       pthread_create pthread_sigmask sigprocmask sigaction signal __sysv_signal dlclose _exit _Exit
       execve execv execvp execl execlp execle
   for the block and mutex profiles (left out by PERFLAB_NO_SYNC)
       pthread_mutex_lock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock
       pthread_rwlock_rdlock pthread_rwlock_timedrdlock pthread_rwlock_wrlock
       pthread_rwlock_timedwrlock pthread_rwlock_unlock pthread_cond_wait pthread_cond_timedwait
       pthread_cond_clockwait pthread_barrier_wait pthread_join sem_wait sem_timedwait
   Beside a sanitizer nothing is counted, nor in a static link, where libc keeps its own malloc;
   pl_memstats_write says so. A static link with musl needs PERFLAB_NO_INTERPOSE.

   WHAT IT DOES NOT DO
       It does not replace the allocator, start threads, write files or install signal handlers
       unless asked. It does not count what reaches the kernel without malloc (mmap), nor jemalloc's
       own API (mallocx).

   LICENCE
       MIT or public domain, at your choice: see LICENSE.
*/
#ifndef PERFLAB_H
#define PERFLAB_H

/* ==== >>api =================================================================================== */

/* The implementation needs more of libc than standard C: that has to be said before its first
   header. */
#if defined(PERFLAB_IMPL) && !defined(_GNU_SOURCE)
#ifdef _FEATURES_H
#error "perflab: put #define _GNU_SOURCE before the first #include of this file"
#endif
#define _GNU_SOURCE
#endif

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PL_VERSION "0.1.0"

/* Has the compiler check the arguments of a function that formats as printf does. */
#define PLI_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

#ifdef __cplusplus
extern "C" {
#endif

/* -- Results ----------------------------------------------------------------------------------- */

/* One list makes the constants and their texts: PL_RESULTS(X) calls X(name, text). */
#define PL_RESULTS(X)                                                                              \
    X(PL_OK, "ok")                                                                                 \
    X(PL_NOMEM, "out of memory")                                                                   \
    X(PL_INVALID, "invalid argument")                                                              \
    X(PL_IO, "input or output failed")                                                             \
    X(PL_BUSY, "already in use")                                                                   \
    X(PL_UNSUPPORTED, "not supported on this system")

#define PLI_RESULT_ENUM(name, text) name,
typedef enum pl_result { PL_RESULTS(PLI_RESULT_ENUM) PL_RESULT_COUNT } pl_result;

/* pl_result_str returns the text of a result, never NULL; "unknown result" for any other value.
   Threads: any. Signal-safe: yes. */
const char *pl_result_str(pl_result r);

/* pl_version returns PL_VERSION of the implementation that is linked in.
   Threads: any. Signal-safe: yes. */
const char *pl_version(void);

/* -- Time -------------------------------------------------------------------------------------- */

/* pl_now_ns returns nanoseconds since an arbitrary start that is fixed while the system runs; it
   never goes back. Threads: any. Signal-safe: yes. */
uint64_t pl_now_ns(void);

/* pl_ticks returns the cheapest clock of the machine, in ticks of unknown length: the processor's
   time stamp counter where it is constant and the kernel itself trusts it, else pl_now_ns. Reads
   are not ordered against the instructions around them. Threads: any. Signal-safe: yes. */
uint64_t pl_ticks(void);

/* pl_ticks_to_ns converts a difference of two pl_ticks to nanoseconds. The rate is measured,
   without sleeping, between the program's start and the call, and becomes finer as the program
   runs: within 10 ppm after 0.1 ms, within 1 ppm after 10 ms. Threads: any. Signal-safe: yes. */
uint64_t pl_ticks_to_ns(uint64_t difference);

/* pl_thread_cpu_ns returns the CPU time in nanoseconds that the calling thread has used.
   Threads: any. Signal-safe: yes. */
uint64_t pl_thread_cpu_ns(void);

/* pl_process_cpu_ns returns the CPU time in nanoseconds that all threads of the process have used.
   Threads: any. Signal-safe: yes. */
uint64_t pl_process_cpu_ns(void);

/* A stop watch that can be paused. Start with {0} ({} in C++); fields are private. */
typedef struct pl_timer {
    uint64_t total_ticks;   /* of the finished intervals */
    uint64_t started_ticks; /* of the running interval */
    uint32_t running;
} pl_timer;

/* pl_timer_start begins an interval; a running timer goes on. Threads: one at a time. Signal-safe:
   yes. */
void pl_timer_start(pl_timer *t);

/* pl_timer_stop ends the interval and adds it to the total; a stopped timer stays as it is.
   Threads: one at a time. Signal-safe: yes. */
void pl_timer_stop(pl_timer *t);

/* pl_timer_reset sets the total to 0; a running timer goes on from now.
   Threads: one at a time. Signal-safe: yes. */
void pl_timer_reset(pl_timer *t);

/* pl_timer_ns returns the nanoseconds in all intervals, the running one included.
   Threads: one at a time. Signal-safe: yes. */
uint64_t pl_timer_ns(const pl_timer *t);

/* -- Heap statistics --------------------------------------------------------------------------- */

/* One list makes the struct, the difference and the text: PL_MEMSTATS(X) calls X(name, kind,
   meaning), where kind is TOTAL for what only grows (a difference subtracts it) and LEVEL for what
   goes up and down (a difference subtracts it too: growth) and KEEP for what has no difference (the
   later value stays). All bytes are usable bytes: what malloc_usable_size says, not what was asked
   for. */
#define PL_MEMSTATS(X)                                                                             \
    X(alloc, LEVEL, "bytes in live blocks")                                                        \
    X(total_alloc, TOTAL, "bytes allocated so far, freed ones included")                           \
    X(sys, LEVEL, "bytes of writable private address space of the process")                        \
    X(mallocs, TOTAL, "blocks allocated so far; a realloc is one malloc and one free")             \
    X(frees, TOTAL, "blocks freed so far")                                                         \
    X(heap_alloc, LEVEL, "the same as alloc, under Go's name")                                     \
    X(heap_sys, LEVEL, "bytes the allocator holds from the system")                                \
    X(heap_idle, LEVEL, "bytes the allocator holds and no block uses")                             \
    X(heap_inuse, LEVEL, "bytes the allocator holds for blocks in use, its own overhead included") \
    X(heap_released, LEVEL, "bytes the allocator could give back to the system now")               \
    X(heap_objects, LEVEL, "live blocks: mallocs - frees")                                         \
    X(peak_alloc, KEEP, "highest alloc so far: exact with one thread, else +-64 KiB a thread") \
    X(threads_seen, KEEP, "threads that allocated or freed so far")                                \
    X(counted, KEEP, "1: every block is counted; 0: another malloc is in place")

#define PLI_MEMSTATS_FIELD(name, kind, meaning) int64_t name;
typedef struct pl_memstats { PL_MEMSTATS(PLI_MEMSTATS_FIELD) } pl_memstats;

/* pl_memstats_read fills *out. Blocks of other threads that are being allocated at this very moment
   may or may not be in it. Costs a walk over the threads and, for the heap_ and sys fields, a call
   into the allocator and one read of /proc. PL_INVALID when out is NULL. Threads: any. Signal-safe:
   no. */
pl_result pl_memstats_read(pl_memstats *out);

/* pl_memstats_diff returns after - before field by field; peak_alloc, threads_seen and counted are
   those of after. Threads: any. Signal-safe: yes. */
pl_memstats pl_memstats_diff(const pl_memstats *after, const pl_memstats *before);

/* pl_step_aside ends the counting of this copy of perflab for good. A program and a preloaded
   library may both contain perflab: the first in line calls this in the others. Threads: any.
   Signal-safe: no. */
void pl_step_aside(void);

/* pl_memstats_write writes one line a field, "name = value", and one that says what was counted.
   PL_IO when out reports an error. Threads: any, as far as out allows. Signal-safe: no. */
pl_result pl_memstats_write(const pl_memstats *m, FILE *out);

/* -- CPU profile -------------------------------------------------------------------------------

   Who spends the time: the stacks of all threads are sampled as they use up CPU time. */

/* Options; zero is the default for each. */
typedef struct pl_cpu_desc {
    int hz;              /* samples a second of CPU time, 1 to 10,000; default 100 */
    const char *path;    /* where pl_cpu_stop writes the profile to; default: nowhere */
    int max_depth;       /* frames kept of a stack, 1 to 256; default 64 */
    size_t buffer_bytes; /* for different stacks; default 16 MiB, of which memory is what is used */
    int gated;           /* 1: for PL_BENCH, whose loops open and close a gate */
} pl_cpu_desc;

/* pl_cpu_start begins to sample all threads, those that start later too; NULL for the defaults. It
   forgets the profile before. Each thread gets a timer on its CPU clock that sends SIGPROF; a
   handler of the program's own for SIGPROF goes on to get the signals that are not perflab's. The
   handler stays installed after the stop. Errors: PL_BUSY when a profile is being taken, PL_INVALID
   for options out of range, PL_IO when the folder of path cannot be written to, PL_NOMEM,
   PL_UNSUPPORTED outside Linux. Threads: any. Signal-safe: no. */
pl_result pl_cpu_start(const pl_cpu_desc *desc);

/* pl_cpu_stop ends the profile, and writes it when a path was given. It can be written again until
   the next start: pl_profile_write("cpu", ...).
   Errors: PL_INVALID when none is being taken; those of pl_profile_save. Threads: any. Signal-safe:
   no. */
pl_result pl_cpu_stop(void);

/* PL_LABELS("key", "value", ...) { ... } has the samples that this thread gives inside the block
   carry the labels, beside those it has already; a key that is given again is replaced. Threads
   that are started inside inherit them. `return` out of the block is right; break and continue
   leave only the block. Costs about as much as a malloc. Sets of labels are kept for ever and at
   most 64 Ki different ones are: no request numbers, please. Threads: any. Signal-safe: no.

       PL_LABELS("handler", "search", "tenant", name) { search(query); }
       go tool pprof -tagfocus handler=search program cpu.pb.gz */
#define PL_LABELS(...)                                                                             \
    for (PLI_LABELS_VARIABLE(PLI_PASTE(pli_labels_, __LINE__), __VA_ARGS__);                       \
         !PLI_PASTE(pli_labels_, __LINE__).done; PLI_PASTE(pli_labels_, __LINE__).done = 1)

/* PL_LABELS_SCOPE("key", "value", ...); does the same until the end of the enclosing block. */
#define PL_LABELS_SCOPE(...) PLI_LABELS_VARIABLE(PLI_PASTE(pli_labels_, __LINE__), __VA_ARGS__)

#define PLI_LABELS_VARIABLE(name, ...)                                                             \
    pli_labels_scope name __attribute__((cleanup(pli_labels_end), unused)) =                       \
        pli_labels_begin(__VA_ARGS__, (const char *)0)
#define PLI_PASTE(a, b) PLI_PASTE_NOW(a, b)
#define PLI_PASTE_NOW(a, b) a##b

/* What the two macros keep: the labels from before. */
typedef struct pli_labels_scope { const void *before; int done; } pli_labels_scope;
pli_labels_scope pli_labels_begin(const char *key, ...) __attribute__((__sentinel__));
void pli_labels_end(pli_labels_scope *scope);

/* -- Waiting -----------------------------------------------------------------------------------

   Where threads wait for one another: at mutexes, read-write locks, conditions, semaphores,
   barriers and joins of pthreads, and whatever is built on them (std::mutex, C11's mtx_t). */

/* pl_block_rate_set has the profile "block" keep waits of `ns` nanoseconds and more, and of shorter
   ones a fair sample that counts in their place; 1 keeps all, 0 switches it off, as at first. Each
   is counted at the stack of the one who waited. Threads: any. Signal-safe: no. */
void pl_block_rate_set(int64_t ns);

/* pl_mutex_fraction_set has the profile "mutex" keep one in n of the unlocks that others were
   waiting for; 1 keeps all, 0 switches it off, as at first, and what is negative changes nothing.
   Returns the n from before. Each is counted at the stack of the unlock, with what all waiters
   together have waited for it, in nanoseconds. Threads: any. Signal-safe: no. */
int pl_mutex_fraction_set(int n);

/* -- Profiles as files ---------------------------------------------------------------------------

   Read them with `python3 -m graders top FILE`, `go tool pprof`, or whatever else knows pprof's
   format. Functions have their names in the file, so that no other file is needed; source lines are
   found by the reader, in programs built with -g. What a C library without debug symbols does not
   tell is named by place: [libc.so.6+0x9f3c0]. Lost samples are there, as lostProfileEvent.
   go tool pprof prefers the names in DWARF to those in the file, and shows [program] for functions
   where it cannot follow DWARF (link-time optimisation): -symbolize=none has it take the file's. */

/* pl_profile_write writes a profile by name ("cpu") to out, then flushes it. debug 0: a protobuf,
   compressed. debug 1: text, as Go's net/http/pprof prints it. debug 2: the newest samples one by
   one with their times, at most 512 a thread. A profile that is being taken is written as it is
   now. Errors: PL_INVALID when there is no such profile, nothing was collected yet, or debug is
   something else; PL_IO, PL_NOMEM, PL_UNSUPPORTED outside Linux.
   Threads: any. Signal-safe: no. */
pl_result pl_profile_write(const char *name, FILE *out, int debug);

/* pl_profile_save writes the protobuf to a file. The file is made beside path and then takes its
   place, so that there is never half a profile; where path is a pipe, a device or a link, it is
   written to. Errors: as pl_profile_write. Threads: any. Signal-safe: no. */
pl_result pl_profile_save(const char *name, const char *path);

/* -- Stacks and names -------------------------------------------------------------------------- */

/* pl_callers writes the stack of the calling thread to pcs, the innermost first, and returns how
   many there are, at most max. It begins with the function that calls it, or `skip` further out.
   Each address lies inside the call that is to be returned from (one less than where it returns
   to), so that it belongs to the line of the call: look it up as it is. 0 when an argument is out
   of range, or there is no memory. No symbols are read: see pl_symbolize.
   Threads: any. Signal-safe: no. */
int pl_callers(int skip, void **pcs, int max);

/* What is known of an address. Strings stay for as long as the program runs. */
typedef struct pl_frame {
    const void *pc;
    const char *function; /* "[module+0x1234]" when it has no name; never NULL */
    const char *file;     /* of the source, as a whole path; NULL when it is not known */
    int line;             /* 0 when it is not known */
    size_t offset;        /* of pc, from the begin of the function; 0 in an inlined one */
    const char *module;   /* the path of the program or library; "" when it is in none */
} pl_frame;

/* pl_symbolize tells which function an address is in: of the program, a library, or the kernel's
   vdso. It asks their symbol tables, or separate debug files, which it reads when it first meets a
   module; C++ names are demangled where the C++ runtime is present. File and line come from debug
   information (cc -g). The function is the one that the code was compiled into, and the line is
   that function's: where code of an inlined function is, the line that calls it.
   Errors: PL_INVALID when out is NULL or the address is in no module (out says "[unknown]" then),
   PL_NOMEM, PL_UNSUPPORTED outside Linux. Threads: any. Signal-safe: no. */
pl_result pl_symbolize(const void *pc, pl_frame *out);

/* pl_symbolize_inlined tells all functions that an address is in: the last one is pl_symbolize's,
   and before it stand the functions that the compiler inlined there, the innermost first, each with
   the line in it. Writes at most max of them to out and returns how many, at least 1; where there
   are more (48 is the most), it leaves out those before the last. 0 when out is NULL or max is not
   positive. What is not known is as pl_symbolize has it. Threads: any. Signal-safe: no. */
int pl_symbolize_inlined(const void *pc, pl_frame *out, int max);

/* A stack as pl_stack_write prints it:

       #0   0x55d0c8f3a1b3  skip_blanks (inlined)  /home/me/blank.h:7  /home/me/search
       #1   0x55d0c8f3a1b3  parse+0x1a  /home/me/parse.c:12  /home/me/search
       #2   0x55d0c8f3a20e  main+0x2c  /home/me/search

   skip_blanks was inlined into parse. main was compiled without -g: its file is not known. */

/* pl_stack_write writes the stack of the calling thread, a line a function, beginning with the one
   that calls it. Errors: PL_INVALID when out is NULL, PL_IO, PL_UNSUPPORTED outside Linux.
   Threads: any. Signal-safe: no. */
pl_result pl_stack_write(FILE *out);

/* -- Leaks ---------------------------------------------------------------------------------------

   What is left of what was made since a mark: heap blocks, descriptors and threads, each with the
   stack that made it.

       pl_leak_baseline mark;
       pl_leak_mark(&mark);
       serve(1000);
       if (pl_leak_check(&mark, NULL, stderr) > 0) { ... }
       pl_leak_stop();

   Without a call, for a whole program: PERFLAB=leakcheck=1 ./program (see LEAKS above). */

/* A moment to compare with; its field is private. */
typedef struct pl_leak_baseline { uint32_t generation; } pl_leak_baseline;

/* Options; zero is the default for each. */
typedef struct pl_leak_desc {
    const char *const *ignore; /* functions, or file names of libraries ("libssl.so.3"), with NULL
                                  behind the last; '*' stands for any letters. Whatever has one of
                                  them in its stack is no leak. */
    int wait_ms;               /* how long to look again while there are leaks and other threads,
                                  which may be about to end; default 500, -1: not at all */
    int lost_only;             /* 1: blocks that the program can still reach do not count */
} pl_leak_desc;

/* pl_leak_mark sets a mark: what is made from now on, by any thread, is a leak until it is gone.
   The first mark begins to record who makes what: 0.2 to 0.8 us a block, by the depth of its stack,
   on a busy virtual machine; pl_leak_stop ends that. Errors: PL_INVALID when mark is NULL,
   PL_NOMEM, PL_UNSUPPORTED outside Linux. Threads: any. Signal-safe: no. */
pl_result pl_leak_mark(pl_leak_baseline *mark);

/* pl_leak_check returns how many blocks, descriptors and threads there are that were made since the
   mark, and writes them to report, unless that is NULL: what was made at one stack together, the
   most bytes first. It may be called again with the same mark. NULL is the default for desc. A
   block is "lost" when no pointer to it was found in the program's data, the stacks of its threads,
   or blocks to which these lead; else it is "reachable". It is "unclear" when only heap memory from
   before the mark points to it, which may be in use or free. Descriptors 0 to 2, the calling
   thread, and blocks that the C library keeps (FILEs: their descriptors count) do not. Where
   blocks are not counted (pl_memstats: counted = 0), the report says so. Errors: the negative of
   PL_INVALID when there is no such mark (any more), of PL_NOMEM, of PL_IO when report says so, of
   PL_UNSUPPORTED outside Linux. Threads: any. Signal-safe: no. */
int64_t pl_leak_check(const pl_leak_baseline *mark, const pl_leak_desc *desc, FILE *report);

/* pl_leak_stop ends what the first mark began; all marks so far are void.
   Threads: any. Signal-safe: no. */
void pl_leak_stop(void);

/* -- Values the optimiser may not touch ----------------------------------------------------------

   A compiler deletes work whose result nobody uses and computes at compile time what it can
   foresee. A benchmark has to forbid both: PL_HIDE what goes in, PL_KEEP what comes out. */

/* PL_KEEP(value) has the value computed, as if something read it. Any scalar, pointer or
   struct; an array by address: PL_KEEP(&a). Scalars stay in a register: no store, no load.
   Memory that the value points to counts as read, so that stores before it stay too. */

/* PL_HIDE(lvalue) makes the compiler forget what it knows about a variable: with it
   `int x = 7; PL_HIDE(x); PL_KEEP(x * x);` multiplies each time. Arrays and structs too. */

/* PL_CLOBBER() makes the compiler assume that all memory was read and written: stores before
   it are done, loads after it are done again. It costs no instruction by itself. */
#define PL_CLOBBER() __asm__ volatile("" : : : "memory")

/* PL_NOINLINE before a function keeps it a real call, with no copy of it made for a caller. The
   compiler may still see that it has no effect, and leave a call without use out: PL_KEEP it. */
#if defined(__clang__)
#define PL_NOINLINE __attribute__((noinline))
#else
#define PL_NOINLINE __attribute__((noinline, noclone))
#endif

/* The register that holds a float or double, in the words of asm constraints. */
#if defined(__SSE2__)
#define PLI_FLOAT_REG "x"
#elif defined(__aarch64__)
#define PLI_FLOAT_REG "w"
#else
#define PLI_FLOAT_REG "m"
#endif

#ifdef __cplusplus
extern "C++" {
/* pli_kind says where values of a type live: 1 in a general register, 2 in a float register,
   0 in memory. Written out: with <type_traits> including this file takes half as long again
   (17 ms instead of 11, g++ 12). */
template <class T> struct pli_kind { enum { value = __is_enum(T) ? 1 : 0 }; };
template <class T> struct pli_kind<T *> { enum { value = 1 }; };
#define PLI_KIND(T, kind) \
    template <> struct pli_kind<T> { enum { value = sizeof(T) <= sizeof(void *) ? kind : 0 }; }
PLI_KIND(bool, 1); PLI_KIND(wchar_t, 1);
PLI_KIND(char, 1); PLI_KIND(signed char, 1); PLI_KIND(unsigned char, 1);
PLI_KIND(short, 1); PLI_KIND(unsigned short, 1);
PLI_KIND(int, 1); PLI_KIND(unsigned, 1);
PLI_KIND(long, 1); PLI_KIND(unsigned long, 1);
PLI_KIND(long long, 1); PLI_KIND(unsigned long long, 1);
PLI_KIND(float, 2); PLI_KIND(double, 2);
/* What has no register is kept and hidden by its address: with "memory" the compiler must take it
   that the asm reads what is there, and writes it. */
template <int kind> struct pli_opaque {
    template <class T> static void keep(const T &v) { __asm__ volatile("" : : "r"(&v) : "memory"); }
    template <class T> static void hide(T &v) { __asm__ volatile("" : : "r"(&v) : "memory"); }
};
/* A value in a register goes into the asm (kept), or in and out again (hidden): what comes out is
   anybody's guess. "memory" for what a kept pointer points to. */
template <> struct pli_opaque<1> {
    template <class T> static void keep(T v) { __asm__ volatile("" : : "r"(v) : "memory"); }
    template <class T> static void hide(T &v) { __asm__ volatile("" : "+r"(v)); }
};
template <> struct pli_opaque<2> {
    template <class T> static void keep(T v)
    {
        __asm__ volatile("" : : PLI_FLOAT_REG(v) : "memory");
    }
    template <class T> static void hide(T &v) { __asm__ volatile("" : "+" PLI_FLOAT_REG(v)); }
};
/* The references cost nothing: they are gone when these are inlined. */
template <class T> inline void pli_keep(const T &v) { pli_opaque<pli_kind<T>::value>::keep(v); }
template <class T> inline void pli_hide(T &v) { pli_opaque<pli_kind<T>::value>::hide(v); }
}
#define PL_KEEP(value) pli_keep(value)
#define PL_HIDE(lvalue) pli_hide(lvalue)
#else
/* In C the same choice is made by the compiler's own classes of types: 1 integer, 5 pointer.
   The branches not taken must compile as well, hence an operand of a fitting type in them; none
   of them leaves an instruction behind, even without optimisation. See pli_opaque for the asm. */
/* Whether a value fits into a general register; __int128 does not, nor what is a struct. */
#define PLI_IN_REG(v) \
    ((__builtin_classify_type(v) == 1 || __builtin_classify_type(v) == 5) && \
     sizeof(v) <= sizeof(void *))
/* Whether it lives in a float register; long double and _Complex do not everywhere. */
#define PLI_IN_FLOAT_REG(v) \
    (__builtin_types_compatible_p(__typeof__(v), float) || \
     __builtin_types_compatible_p(__typeof__(v), double))
#define PL_KEEP(value) \
    do { \
        __typeof__(value) pli_kept = (value); \
        if (PLI_IN_REG(pli_kept)) \
            __asm__ volatile("" : : "r"(__builtin_choose_expr(PLI_IN_REG(pli_kept), \
                                                              pli_kept, 0)) : "memory"); \
        else if (PLI_IN_FLOAT_REG(pli_kept)) \
            __asm__ volatile("" : : PLI_FLOAT_REG(__builtin_choose_expr( \
                                      PLI_IN_FLOAT_REG(pli_kept), pli_kept, 0.0)) : "memory"); \
        else \
            __asm__ volatile("" : : "r"(&pli_kept) : "memory"); \
    } while (0)
#define PL_HIDE(lvalue) \
    do { \
        int pli_no_int = 0; \
        double pli_no_float = 0; \
        if (PLI_IN_REG(lvalue)) \
            __asm__ volatile("" : "+r"(*__builtin_choose_expr(PLI_IN_REG(lvalue), \
                                                              &(lvalue), &pli_no_int))); \
        else if (PLI_IN_FLOAT_REG(lvalue)) \
            __asm__ volatile("" : "+" PLI_FLOAT_REG(*__builtin_choose_expr( \
                                      PLI_IN_FLOAT_REG(lvalue), &(lvalue), &pli_no_float))); \
        else \
            __asm__ volatile("" : : "r"(&(lvalue)) : "memory"); \
        (void)pli_no_int; \
        (void)pli_no_float; \
    } while (0)
#endif

/* -- Benchmarks ----------------------------------------------------------------------------------

   Go's testing.B for C. A benchmark is a function that the harness calls with a growing number
   of iterations until it has run for -benchtime; the result is a line in Go's format, which
   benchstat reads. Two ways to write one:

       PL_BENCH(Hash)                            PL_BENCH(HashByCount)
       {                                         {
           char *text = make_text();                 char *text = make_text();
           PL_LOOP(b) {                              pl_bench_reset_timer(b);
               PL_KEEP(hash(text));                  for (int64_t i = 0; i < b->n; i++) {
           }                                             PL_KEEP(hash(text));
           free(text);                               }
       }                                             free(text);
                                                 }
   The first runs its set-up once a measurement, and times the loop alone. */

/* pl_bench is one benchmark while it runs. The body reads it and passes it on. */
typedef struct pl_bench {
    int64_t n; /* iterations to run; with PL_LOOP 0 inside the loop, the number done after it */
    int procs; /* the value of -cpu in force: threads of pl_bench_parallel, the -P of the name */
} pl_bench;

/* pl_parallel is one thread of pl_bench_parallel; on that thread's own stack. */
typedef struct pl_parallel {
    int thread;    /* this thread: 0 to threads - 1 */
    int threads;   /* how many run together */
    int64_t taken; /* private: iterations taken from the common count and not yet run */
    int started;   /* private: passed the start barrier */
    void *job;     /* private */
} pl_parallel;

/* PL_BENCH(Name) { ... } defines and registers the benchmark "BenchmarkName"; its body is a
   function with the parameter `pl_bench *b`. Errors: pl_bench_fail. A body must return: one that
   ends by exit() or longjmp() makes the program fail. Threads: called on pl_bench_main's. */
#define PL_BENCH(Name) \
    static void pl_bench_body_##Name(pl_bench *b, void *arg); \
    static pli_bench_entry pl_bench_entry_##Name = { \
        "Benchmark" #Name, pl_bench_body_##Name, __FILE__, __LINE__, \
        PLI_COMPILER, PERFLAB_FLAGS, PERFLAB_PKG, PLI_OPTIMISED, 0}; \
    __attribute__((constructor)) static void pl_bench_register_##Name(void) \
    { \
        pli_bench_register(&pl_bench_entry_##Name); \
    } \
    static void pl_bench_body_##Name(pl_bench *b __attribute__((unused)), \
                                     void *arg __attribute__((unused)))

/* PL_LOOP(b) { ... } runs its block until the measurement is long enough (Go's b.Loop). The
   first pass resets the timer, the end stops it. `break` and `return` out of it make the
   benchmark fail, `continue` is right. The counter is a register: an empty block costs a
   decrement and a jump. Once a benchmark; on its own thread; the timer must be running. */
#define PL_LOOP(b) \
    for (uint64_t pli_left = pli_loop_next(b); pli_left; \
         pli_left = pli_left ? 0 : pli_loop_next(b)) \
        for (; pli_left; pli_left = pli_loop_count(pli_left))

/* PL_NEXT(pb) tells a thread of pl_bench_parallel whether there is one more iteration for it.
   The first call waits until all threads have arrived; there the clock starts. */
#define PL_NEXT(pb) pli_parallel_step(pb)

/* PL_BENCH_MAIN() is a main() that runs the benchmarks of the program; no semicolon after it. */
#define PL_BENCH_MAIN() \
    int main(int argc, char **argv) \
    { \
        return pl_bench_main(argc, argv); \
    }

/* pl_bench_main runs the registered benchmarks as the flags say (-help lists them) and writes
   the results to standard output, each line at once.
   Returns 0 when all passed (or none matched), 1 when one failed, 2 for a wrong flag, a -timeout
   or an output that cannot be written. Threads: one call at a time. Signal-safe: no. */
int pl_bench_main(int argc, char **argv);

/* pl_bench_reset_timer sets time, allocations and own metrics of this run back to zero; whether
   the timer runs stays as it is. Call it after a costly set-up (PL_LOOP does by itself).
   Errors: none. Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_reset_timer(pl_bench *b);

/* pl_bench_start_timer goes on with time and allocation counts after pl_bench_stop_timer; does
   nothing while they run. Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_start_timer(pl_bench *b);

/* pl_bench_stop_timer pauses time and allocation counts. Inside a loop each pause charges the
   benchmark about one clock read (30 ns), so it suits bodies of microseconds and up.
   Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_stop_timer(pl_bench *b);

/* pl_bench_elapsed_ns returns the time measured so far in this run, in nanoseconds.
   Threads: the benchmark's own. Signal-safe: no. */
uint64_t pl_bench_elapsed_ns(const pl_bench *b);

/* pl_bench_report_allocs has this benchmark print B/op and allocs/op, as -benchmem does for all:
   the allocations of all threads while the timer ran, exact, divided by n and rounded down.
   Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_report_allocs(pl_bench *b);

/* pl_bench_set_bytes says how many bytes one iteration processes, and has MB/s (10^6) printed.
   Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_set_bytes(pl_bench *b, int64_t n);

/* pl_bench_report_metric adds "value unit" to the result, once a unit: the last value counts.
   Divide by b->n yourself for a value per operation, and end the unit in "/op" then. The names
   ns/op, MB/s, B/op and allocs/op replace the harness's own value; ns/op of 0 hides it.
   Errors: an empty unit, white space in it, more than 47 bytes or more than 32 metrics make the
   benchmark fail. Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_report_metric(pl_bench *b, double value, const char *unit);

/* A family of benchmarks, one for each size. Names of the form key=value are columns to benchstat:

       static void sort_n(pl_bench *b, void *arg)
       {
           int *numbers = make_numbers(*(int *)arg);
           PL_LOOP(b) {
               pl_bench_stop_timer(b);
               shuffle(numbers);
               pl_bench_start_timer(b);
               sort(numbers);
           }
           free(numbers);
       }
       PL_BENCH(Sort)
       {
           int n[] = {10, 1000};
           pl_bench_run(b, "n=10", sort_n, &n[0]);
           pl_bench_run(b, "n=1000", sort_n, &n[1]);
       } */

/* pl_bench_run runs fn as the sub-benchmark "Parent/name": spaces become _, repeats get #01.
   A benchmark that calls it is run once and has no result of its own.
   Errors: out of memory makes the parent fail. Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_run(pl_bench *b, const char *name, void (*fn)(pl_bench *b, void *arg), void *arg);

/* What threads do to each other, with -cpu 1,2,4 as a table of how it scales:

       static void lookup(pl_parallel *pb, void *table)
       {
           struct cursor c = cursor_at(pb->thread);       // set-up of this thread: not timed
           while (PL_NEXT(pb)) {
               PL_KEEP(find(table, &c));
           }
       }
       PL_BENCH(Lookup) { pl_bench_parallel(b, lookup, shared_table()); } */

/* pl_bench_parallel shares the b->n iterations among threads: procs of them (times
   pl_bench_set_parallelism), each calls fn, which loops `while (PL_NEXT(pb)) { ... }`. What
   stands before the loop is set-up of that thread and is not timed: the clock runs from the
   moment all threads have reached PL_NEXT until the last one is done. ns/op is wall time.
   Errors: a thread that cannot be started, or fn leaving before PL_NEXT said so with no other
   thread to run the rest, makes the benchmark fail. fn may call pl_bench_log and
   pl_bench_fail, not the timer functions. Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_parallel(pl_bench *b, void (*fn)(pl_parallel *pb, void *arg), void *arg);

/* pl_bench_set_parallelism makes pl_bench_parallel use p threads a processor (default 1); for
   bodies that wait more than they compute. p below 1 changes nothing.
   Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_set_parallelism(pl_bench *b, int p);

/* pl_bench_log keeps a line that is printed below the result (-v: at once). A body that runs
   several times logs several times; after ten lines, and after 64 KiB, the rest is cut.
   Threads: any. Signal-safe: no. */
void pl_bench_log(pl_bench *b, const char *fmt, ...) PLI_PRINTF(2, 3);

/* pl_bench_fail is pl_bench_log that also marks the benchmark failed: no result is printed for
   it and pl_bench_main returns 1. The body goes on. Threads: any. Signal-safe: no. */
void pl_bench_fail(pl_bench *b, const char *fmt, ...) PLI_PRINTF(2, 3);

/* What the macros above expand to. Not to be called by hand. */
typedef struct pli_bench_entry {
    const char *name;
    void (*fn)(pl_bench *b, void *arg);
    const char *file;
    int line;
    const char *compiler, *flags, *pkg;
    int optimised;
    struct pli_bench_entry *next;
} pli_bench_entry;

void pli_bench_register(pli_bench_entry *entry);
uint64_t pli_loop_next(pl_bench *b);
int pli_parallel_refill(pl_parallel *pb);

/* pli_loop_count counts down in a register. The empty asm keeps an empty loop alive (gcc and
   clang would delete it) and lets no memory access move from one iteration to the next.
   Two loops, since clang tests twice a pass when one loop both counts and asks for more; the
   outer one sees a `break` in the inner one by what is left, and ends too. */
__attribute__((always_inline, unused)) static inline uint64_t pli_loop_count(uint64_t left)
{
    __asm__ volatile("" : "+r"(left) : : "memory");
    return left - 1;
}

__attribute__((always_inline, unused)) static inline int pli_parallel_step(pl_parallel *pb)
{
    __asm__ volatile("" : : : "memory"); /* or an empty loop would take all at once */
    if (pb->taken == 0 && !pli_parallel_refill(pb))
        return 0;
    pb->taken--;
    return 1;
}

/* PERFLAB_PKG names the package in the `pkg:` line; PERFLAB_FLAGS the compiler's flags in the
   environment block. Both are strings, defined before this file is included (or with -D) where
   the PL_BENCHs are. Leave PERFLAB_PKG out where old and new program would differ in it:
   benchstat compares only what has the same. */
#ifndef PERFLAB_PKG
#define PERFLAB_PKG ""
#endif
#ifndef PERFLAB_FLAGS
#define PERFLAB_FLAGS ""
#endif

#define PLI_TEXT(macro) PLI_TEXT_OF(macro)
#define PLI_TEXT_OF(text) #text
#if defined(__clang__)
#define PLI_COMPILER "clang " PLI_TEXT(__clang_major__) "." PLI_TEXT(__clang_minor__)
#else
#define PLI_COMPILER "gcc " __VERSION__
#endif
#if defined(__OPTIMIZE__)
#define PLI_OPTIMISED 1
#else
#define PLI_OPTIMISED 0
#endif

#ifdef __cplusplus
}
#endif
#endif /* PERFLAB_H */

/* ============================================================================================== */

#ifdef PERFLAB_IMPL
#ifndef PERFLAB_IMPL_DONE
#define PERFLAB_IMPL_DONE

/* ==== >>platform =================================================================================
   The only place with #if on the operating system, the processor or the C library. Its contract is
   the list of pli_os_ functions below: small, without state, one implementation each; a system that
   cannot do a thing says so in the return value, and the caller says it to the user.

       pli_os_clock_ns_sig, pli_os_ticks_sig, pli_os_ticks_usable     time
       pli_os_read_file, pli_os_map                                   small files, pages of memory
       pli_os_yield, pli_os_nap, pli_os_relax, pli_os_wait, pli_os_wake    waiting for others
       pli_os_data_bytes, pli_os_heap_read                            memory, as the system sees it
       pli_os_name, pli_os_arch, pli_os_cpu_count, pli_os_cpu_model   facts of the machine

   None of them allocates, so that all of them may be called inside malloc. To bring perflab to
   another system is to write this section again; where a function has nothing better, the portable
   fallback at its end is right, only poorer: ticks become nanoseconds, waiting becomes yielding,
   sizes become 0, and the text says so. */

#ifdef __cplusplus
#error "perflab: compile the implementation as C: cc -DPERFLAB_IMPL -x c -c perflab.h -o perflab.o"
#endif
#if defined(__STDC_VERSION__) && __STDC_VERSION__ < 201112L
#error "perflab: the implementation needs C11: add -std=gnu11"
#endif

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* PLI_LINUX and PLI_GLIBC are 0 or 1, so that a misspelt name is an error and not a silent 0. */
#if defined(__linux__)
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
/* The kernel's numbers, which never change: <linux/futex.h> is not there beside every libc. */
#define PLI_FUTEX_WAIT_PRIVATE 128
#define PLI_FUTEX_WAKE_PRIVATE 129
#define PLI_LINUX 1
#else
#define PLI_LINUX 0
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#include <malloc.h>
#define PLI_GLIBC 1
#define PLI_MALLINFO2 __GLIBC_PREREQ(2, 33)
#define PLI_THRD_CREATE __GLIBC_PREREQ(2, 28)
#define PLI_SYNC_CLOCKS __GLIBC_PREREQ(2, 30)
#define PLI_FIND_OBJECT __GLIBC_PREREQ(2, 35)
#else
#define PLI_GLIBC 0
#define PLI_MALLINFO2 0
#define PLI_THRD_CREATE PLI_LINUX /* musl has it */
#define PLI_SYNC_CLOCKS 0
#define PLI_FIND_OBJECT 0
#endif

/* Sanitizers bring an allocator of their own that must see every block. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLI_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer) || __has_feature(leak_sanitizer)
#define PLI_SANITIZER 1
#endif
#endif
#ifndef PLI_SANITIZER
#define PLI_SANITIZER 0
#endif

/* Interposition by symbol order is how ELF works; elsewhere the hooks are left out. */
#if !defined(PERFLAB_NO_INTERPOSE) && PLI_LINUX && !PLI_SANITIZER
#define PLI_INTERPOSE 1
#else
#define PLI_INTERPOSE 0
#endif

/* The size of a size_t in the names of C++'s operator new. */
#if __SIZEOF_SIZE_T__ == 8
#define PLI_MANGLED_SIZE "m"
#else
#define PLI_MANGLED_SIZE "j"
#endif

/* Products of two 64-bit numbers, for scaling without loss. */
__extension__ typedef unsigned __int128 pli_wide;

/* Thread-local variables of a preloaded library must not be allocated on first use: that would call
   malloc from within malloc. */
#if defined(__PIC__) && !defined(__PIE__)
#define PLI_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else /* part of an executable: an instruction less in malloc */
#define PLI_THREAD_LOCAL __thread __attribute__((tls_model("local-exec")))
#endif
#define PLI_SOMETIMES __attribute__((unused)) /* some configurations have no caller */
#define PLI_PUBLIC __attribute__((visibility("default")))
#define PLI_HOOK __attribute__((weak, visibility("default"), noinline)) /* an interposed function */
#define PLI_CACHE_LINE 128 /* two lines: processors fetch them in pairs */

/* Nanoseconds of one of the system's clocks. The kernel answers most of them without a system call
   (vdso); the CPU time clocks take one, 5 to 10 times as long. A failing clock reads 0. */
static uint64_t pli_os_clock_ns_sig(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The time stamp counter. Not serialising: what it costs is what a profile or a trace pays per
   event. */
static inline uint64_t pli_os_ticks_sig(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    return 0;
#endif
}

/* open for perflab's own files, past the hook of that name, which notes what the program opens. */
static int pli_os_open(const char *path, int flags)
{
#if defined(__linux__)
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
#else
    return open(path, flags | O_CLOEXEC, 0666);
#endif
}

/* Reads the first bytes of a small file such as those in /proc and /sys into text, NUL-terminated,
   without a final newline. Uses no memory of its own, so that it may run inside malloc. */
static pl_result pli_os_read_file(const char *path, char *text, size_t capacity)
{
    text[0] = '\0';
    int fd = pli_os_open(path, O_RDONLY);
    if (fd < 0)
        return PL_IO;
    size_t used = 0;
    while (used + 1 < capacity) {
        ssize_t n = read(fd, text + used, capacity - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    while (used > 0 && text[used - 1] == '\n')
        used--;
    text[used] = '\0';
    return PL_OK;
}

/* Whether the time stamp counter ticks at a constant rate on all processors: the processor must
   promise it and the kernel, which has tested it, must use it for its own clock. */
static int pli_os_ticks_usable(void)
{
#if (defined(__x86_64__) || defined(__i386__)) && defined(__linux__)
    /* Leaf 80000007, bit 8 of edx: the invariant TSC, whose rate depends neither on the
       frequency of the processor nor on its sleep. Where the kernel has found the counters of
       two processors apart, it has turned to another clock, such as hpet. */
    unsigned a = 0x80000007u, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    char source[32];
    pli_os_read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
                     sizeof source);
    return (d >> 8 & 1) && strcmp(source, "tsc") == 0;
#elif defined(__aarch64__)
    return 1; /* the architecture promises a constant rate */
#else
    return 0;
#endif
}

/* Fresh zeroed memory from the system, in whole pages; NULL when there is none. The only source of
   memory that perflab may use inside malloc. */
PLI_SOMETIMES static void *pli_os_map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* The same, for memory that is written at once: all pages now cost less than one after another when
   they are first touched. */
PLI_SOMETIMES static void *pli_os_map_now(size_t size)
{
#if PLI_LINUX
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
#else
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#endif
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Address space whose pages the system gives when they are first touched, zeroed; NULL when there
   is none. For tables that are rarely full: what is never touched costs nothing. */
PLI_SOMETIMES static void *pli_os_reserve(size_t size)
{
#if PLI_LINUX
    /* Without NORESERVE the whole would count as promised memory, and could be refused. */
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#else
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#endif
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Lets another thread have this processor: for waits that are short but not certain to be. */
PLI_SOMETIMES static void pli_os_yield(void)
{
    sched_yield();
}

/* Sleeps for a moment: unlike yielding, that lets threads of lower priority go on, too. */
PLI_SOMETIMES static void pli_os_nap(void)
{
    const struct timespec moment = {0, 50000};
    nanosleep(&moment, NULL);
}

#if PLI_LINUX

/* Programs for this processor, in the words of ELF. */
#if defined(__x86_64__)
#define PLI_ELF_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define PLI_ELF_MACHINE EM_AARCH64
#elif defined(__i386__)
#define PLI_ELF_MACHINE EM_386
#elif defined(__arm__)
#define PLI_ELF_MACHINE EM_ARM
#elif defined(__riscv)
#define PLI_ELF_MACHINE EM_RISCV
#else
#define PLI_ELF_MACHINE EM_NONE
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PLI_ELF_DATA ELFDATA2LSB
#else
#define PLI_ELF_DATA ELFDATA2MSB
#endif

/* Copies memory of this process that may be gone: false then. Where the kernel has no such call
   (emulators, strict filters), the memory is taken to be there. */
static bool pli_os_copy(void *to, uintptr_t from, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)from, size};
    int saved_errno = errno;
    long n = syscall(SYS_process_vm_readv, getpid(), &here, 1UL, &there, 1UL, 0UL);
    /* EFAULT is the answer that was asked for. ENOSYS and EPERM say nothing of the memory. */
    bool refused = n < 0 && errno != EFAULT;
    if (refused)
        memcpy(to, (const void *)from, size);
    errno = saved_errno;
    return refused || n == (long)size;
}

/* Asks the resolver of an IFUNC as the dynamic linker does; 0 where it is not known how. */
static uintptr_t pli_os_resolve(uintptr_t resolver)
{
#if defined(__x86_64__) || defined(__i386__)
    return ((uintptr_t(*)(void))resolver)();
#elif defined(__aarch64__)
    struct { unsigned long size, hwcap, hwcap2; } more = {
        sizeof more, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
    uint64_t first = more.hwcap | (uint64_t)1 << 62; /* a second argument follows */
    return ((uintptr_t(*)(uint64_t, const void *))resolver)(first, &more);
#else
    (void)resolver;
    return 0;
#endif
}

/* The kernel's number of the calling thread. */
static int pli_os_tid_sig(void)
{
    return (int)syscall(SYS_gettid);
}

/* Writes the first `max` numbers that name files of a directory to out and returns how many there
   are: more than max means that some are missing. /proc/self/task lists the threads of this process
   so, /proc/self/fd its descriptors; what comes or goes meanwhile may be in it or not. */
static int pli_os_numbers(const char *path, int *out, int max)
{
    char entries[2048] __attribute__((aligned(8)));
    int count = 0, dir = pli_os_open(path, O_RDONLY | O_DIRECTORY);
    long size;
    while (dir >= 0 && (size = syscall(SYS_getdents64, dir, entries, sizeof entries)) > 0) {
        /* linux_dirent64, by offset:

           0  inode, 8 bytes     8  position of the next, 8 bytes     16  length of this record
           18 type, 1 byte       19 name, NUL-terminated, then filler up to a multiple of 8 */
        unsigned short step; /* a record: inode 8, next 8, length 2, type 1, name */
        for (long at = 0; at < size; at += step) {
            memcpy(&step, entries + at + 16, sizeof step);
            const char *name = entries + at + 19; /* "." and ".." are none */
            int number = atoi(name);
            if (*name >= '0' && *name <= '9' && number != dir && count++ < max)
                out[count - 1] = number;
        }
    }
    if (dir >= 0)
        close(dir);
    return count;
}

/* -- Registers and code: what >>unwind has to know of the processor -- */

/* Where a thread is. lr is a register that may tell where the caller is until the next call
   overwrites it: the link register, or on x86-64 r10, from which functions that align their stack
   count. bx, on x86-64, is one from which a few such functions count, and which calls keep. */
typedef struct pli_regs { uintptr_t pc, sp, fp, lr, bx; } pli_regs;

#define PLI_PAGE 4096 /* the smallest there is: larger ones consist of these */

/* The numbers of the registers in unwind tables, and whether a call leaves the return address in a
   register. */
#if defined(__aarch64__)
enum { PLI_REG_FP = 29, PLI_REG_LR = 30, PLI_REG_SP = 31, PLI_REG_BX = 255 /* none */,
       PLI_RA_IN_REGISTER = 1 };
#else
enum { PLI_REG_FP = 6, PLI_REG_LR = 10, PLI_REG_SP = 7, PLI_REG_BX = 3, PLI_RA_IN_REGISTER = 0 };
#endif

/* Where the registers are in what the kernel has put on the stack before it called a handler,
   counted from sp when the handler has returned: pc, sp, fp, lr, bx. */
static size_t pli_os_frame_offset_sig(int which)
{
#if defined(__x86_64__)
    const size_t base = offsetof(ucontext_t, uc_mcontext.gregs);
    const size_t at[] = {REG_RIP, REG_RSP, REG_RBP, REG_R10, REG_RBX};
    return base + at[which] * sizeof(greg_t);
#elif defined(__aarch64__)
    const size_t base = 128; /* a siginfo_t comes first */
    const size_t at[] = {offsetof(ucontext_t, uc_mcontext.pc), offsetof(ucontext_t, uc_mcontext.sp),
                         offsetof(ucontext_t, uc_mcontext.regs[29]),
                         offsetof(ucontext_t, uc_mcontext.regs[30]),
                         offsetof(ucontext_t, uc_mcontext.regs[19])};
    return base + at[which];
#else
    return (size_t)which;
#endif
}

/* What was interrupted by a signal, from the third argument of its handler. */
static pli_regs pli_regs_of_signal_sig(const void *context)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    return (pli_regs){(uintptr_t)u->uc_mcontext.gregs[REG_RIP],
                      (uintptr_t)u->uc_mcontext.gregs[REG_RSP],
                      (uintptr_t)u->uc_mcontext.gregs[REG_RBP],
                      (uintptr_t)u->uc_mcontext.gregs[REG_R10],
                      (uintptr_t)u->uc_mcontext.gregs[REG_RBX]};
#elif defined(__aarch64__)
    return (pli_regs){u->uc_mcontext.pc, u->uc_mcontext.sp, u->uc_mcontext.regs[29],
                      u->uc_mcontext.regs[30], 0};
#else
    (void)u;
    return (pli_regs){0, 0, 0, 0, 0};
#endif
}

/* Where the caller itself is. */
__attribute__((always_inline)) static inline pli_regs pli_regs_here(void)
{
    pli_regs r = {0, 0, 0, 0, 0};
#if defined(__x86_64__)
    __asm__ volatile("lea 0(%%rip), %%rax\n\tmov %%rax, %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2\n\t"
                     "mov %%rbx, %3"
                     : "=m"(r.pc), "=m"(r.sp), "=m"(r.fp), "=m"(r.bx) : : "rax");
#elif defined(__aarch64__)
    __asm__ volatile("adr x9, .\n\tstr x9, %0\n\tmov x9, sp\n\tstr x9, %1\n\tstr x29, %2\n\t"
                     "str x30, %3"
                     : "=m"(r.pc), "=m"(r.sp), "=m"(r.fp), "=m"(r.lr) : : "x9");
#endif
    return r;
}

/* A return address without the signature that some processors put into its upper bits. */
static uintptr_t pli_os_strip_sig(uintptr_t ra)
{
#if defined(__aarch64__)
    register uintptr_t lr __asm__("x30") = ra;
    __asm__("hint 7" : "+r"(lr)); /* xpaclri; does nothing where there are no signatures */
    return lr;
#else
    return ra;
#endif
}

/* Whether this is the code to which handlers return: "call sigreturn", in libc's two spellings. */
static bool pli_os_is_restorer_sig(const uint8_t *code, uintptr_t end)
{
    size_t room = end > (uintptr_t)code ? end - (uintptr_t)code : 0;
#if defined(__x86_64__)
    /* mov $15, %rax (glibc) or mov $15, %eax (musl); syscall. 15 is rt_sigreturn on x86-64.
       glibc describes its restorer in .eh_frame with the letter S; musl does not. */
    static const uint8_t wide[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    static const uint8_t narrow[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
    return (room >= sizeof wide && memcmp(code, wide, sizeof wide) == 0) ||
           (room >= sizeof narrow && memcmp(code, narrow, sizeof narrow) == 0);
#elif defined(__aarch64__)
    static const uint8_t plain[] = {0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4}; /* x8 = 139; svc */
    return room >= sizeof plain && memcmp(code, plain, sizeof plain) == 0;
#else
    (void)room;
    return false;
#endif
}

/* Whether a thread ends with this code, "call exit" to the kernel, as musl's clone has it behind
   the call of the thread's function. */
static bool pli_os_is_thread_end_sig(const uint8_t *code, uintptr_t end)
{
    size_t room = end > (uintptr_t)code ? end - (uintptr_t)code : 0;
#if defined(__x86_64__)
    static const uint8_t plain[] = {0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05};
#else
    static const uint8_t plain[] = {0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4}; /* x8 = 93; svc */
#endif
    return room >= sizeof plain && memcmp(code, plain, sizeof plain) == 0;
}

/* Whether a call stands before this address, and its target, if the instruction names it. At least
   eight bytes before it can be read. */
static bool pli_os_follows_call_sig(const uint8_t *ra, uintptr_t *target)
{
#if defined(__x86_64__)
    int32_t distance;
    memcpy(&distance, ra - 4, sizeof distance);
    /* e8 and the distance from the next instruction, which is what the call returns to. */
    if (ra[-5] == 0xe8) {
        *target = (uintptr_t)ra + (uintptr_t)(intptr_t)distance;
        return true;
    }
    /* The byte behind ff, ModRM: two bits of mode, three that are 2 for a near call, three of
       base. ff d0 is call *%rax; ff 15 and four bytes, call *distance(%rip); ff 54 24 08, call
       *8(%rsp). The length has to agree with the mode, or any ff in an operand would do. It is
       without a REX prefix: that stands before ff. */
    for (int length = 2; length <= 7; length++) { /* ff /2: by register or memory */
        unsigned form = ra[1 - length], mode = form >> 6, base = form & 7;
        int needs = 2 + (base == 4 && mode != 3) +
                    (mode == 1 ? 1 : mode == 2 || (mode == 0 && base == 5) ? 4 : 0);
        if (ra[-length] == 0xff && (form >> 3 & 7) == 2 && needs == length)
            return true;
    }
    return false;
#elif defined(__aarch64__)
    uint32_t code;
    memcpy(&code, ra - 4, sizeof code);
    if ((code & 0xfc000000u) == 0x94000000u) /* bl */
        *target = (uintptr_t)ra - 4 + (uintptr_t)((intptr_t)((int32_t)(code << 6) >> 4));
    return *target || (code & 0xfefff000u) == 0xd63f0000u; /* blr, blraa and the like */
#else
    (void)ra, (void)target;
    return false;
#endif
}

/* Whether this is in a stub of a procedure linkage table, which pushes nothing: it jumps on, with
   the stack as the call has left it, or a jump has. Where it jumps to stands at *slot, if that is
   said. Twelve bytes can be read. */
static bool pli_os_is_stub_sig(const uint8_t *code, uintptr_t *slot)
{
#if defined(__x86_64__)
    static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
    int32_t distance;
    if (memcmp(code, endbr, sizeof endbr) == 0)
        code += sizeof endbr;
    code += *code == 0xf2; /* bnd */
    memcpy(&distance, code + 2, sizeof distance);
    *slot = (uintptr_t)code + 6 + (uintptr_t)(intptr_t)distance;
    return code[0] == 0xff && code[1] == 0x25;
#elif defined(__aarch64__)
    uint32_t word;
    memcpy(&word, code, sizeof word);
    *slot = 0;
    return (word & 0x9f00001fu) == 0x90000010u || /* adrp x16; ldr x17; add x16; br x17 */
           (word & 0xffc003ffu) == 0xf9400211u || (word & 0xffc003ffu) == 0x91000210u ||
           word == 0xd61f0220u;
#else
    (void)code, (void)slot;
    return false;
#endif
}

/* Whether a page of memory can be read, without a fault. The kernel copies a signal mask from there
   before it sees that what it is to do with it makes no sense. Page 0, to it, means no mask. */
static bool pli_os_readable_sig(uintptr_t page)
{
    int saved_errno = errno;
    bool readable = page != 0 &&
                    (syscall(SYS_rt_sigprocmask, -1, page, NULL, 8) == 0 || errno != EFAULT);
    errno = saved_errno;
    return readable;
}

/* An address that the kernel has put behind the main thread's stack; 0 when that stack may not grow
   to this size. */
static uintptr_t pli_os_stack_end(uintptr_t size)
{
    struct rlimit limit;
    bool grows = getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= size;
    return grows ? getauxval(AT_RANDOM) : 0;
}

/* Calls visit with the lines of /proc/self/maps, one by one, until it returns true; whether it did.
   */
static bool pli_os_each_map(bool (*visit)(char *line, void *arg), void *arg)
{
    char text[8192];
    size_t used = 0;
    bool found = false;
    int fd = pli_os_open("/proc/self/maps", O_RDONLY);
    for (ssize_t n; fd >= 0 && !found;) {
        if ((n = read(fd, text + used, sizeof text - 1 - used)) <= 0)
            break;
        used += (size_t)n;
        text[used] = '\0';
        char *line = text, *end;
        for (; !found && (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            found = visit(line, arg);
        }
        /* The last line may be cut: its part moves to the front, and the next read completes it. */
        used -= (size_t)(line - text);
        memmove(text, line, used);
    }
    if (fd >= 0)
        close(fd);
    return found;
}

typedef struct pli_os_mapped { uintptr_t address; char *out; size_t size; } pli_os_mapped;

/* Whether a line of /proc/self/maps is about this address, and about a file: copies its path. */
static bool pli_os_map_line(char *line, void *arg)
{
    pli_os_mapped *wanted = arg;
    uintptr_t start, end;
    const char *path = strchr(line, '/');
    if (!path || sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) != 2 ||
        wanted->address < start || wanted->address >= end || strlen(path) >= wanted->size)
        return false;
    strcpy(wanted->out, path);
    /* The kernel appends this when the file was removed or replaced after it was mapped. */
    char *deleted = strstr(wanted->out, " (deleted)");
    if (deleted)
        *deleted = '\0';
    return true;
}

/* The path of the file that is mapped at an address; false when there is none. */
static bool pli_os_mapped_file(uintptr_t address, char *out, size_t size)
{
    return pli_os_each_map(pli_os_map_line, &(pli_os_mapped){address, out, size});
}

/* The CPU clock of one thread of this process, for pli_os_clock_ns_sig: the kernel's encoding. */
static int pli_os_thread_clock(int tid)
{
    /* Bits of a CPU clock's number, which is negative:

           31 ... 3   ~tid
           2          1: of a thread, 0: of a process
           1, 0       2: what the scheduler counts, in ns; 0 and 1 are sums of the tick */
    return (int)(~(unsigned)tid << 3 | 6);
}

/* A timer on such a clock, which sends `signal` with `value` to the thread; its number goes to *id.
   Returns 0 or errno. By system call, since libc's timer_create needs another library in old
   releases and knows no threads. */
static int pli_os_timer_make(int clock, int tid, int signal, uintptr_t value, int *id)
{
#if __SIZEOF_LONG__ == 8
    /* struct sigevent as the kernel has it, 64 bytes. Plain SIGEV_SIGNAL would go to any thread
       of the process: that thread would then be sampled for the time of another. */
    struct { uintptr_t value; int signal, notify, tid, unused[11]; } event = {
        value, signal, 4 /* SIGEV_THREAD_ID */, tid, {0}};
    return syscall(SYS_timer_create, clock, &event, id) == 0 ? 0 : errno;
#else
    (void)clock, (void)tid, (void)signal, (void)value, (void)id;
    return ENOSYS; /* other layouts, other numbers */
#endif
}

/* Starts it: a signal after first_ns of the clock, then every period_ns. Returns 0 or errno. */
static int pli_os_timer_set(int id, uint64_t first_ns, uint64_t period_ns)
{
#if __SIZEOF_LONG__ == 8
    /* it_interval comes first, then it_value. An it_value of 0 would stop the timer. */
    struct itimerspec when = {
        {(time_t)(period_ns / 1000000000u), (long)(period_ns % 1000000000u)},
        {(time_t)(first_ns / 1000000000u), (long)(first_ns % 1000000000u)}};
    return syscall(SYS_timer_settime, id, 0, &when, NULL) == 0 ? 0 : errno;
#else
    (void)id, (void)first_ns, (void)period_ns;
    return ENOSYS;
#endif
}

/* Has the calling thread receive a signal. */
static void pli_os_unblock(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* pthread_sigmask by system call, since it may be called in handlers and before constructors. As
   libc's own, it leaves the signals alone that libc uses itself. */
PLI_SOMETIMES static int pli_os_sigmask_sig(int how, const sigset_t *set, sigset_t *old)
{
    uint64_t mask = 0, before = 0;
    const uint64_t libc = (uint64_t)7 << 31; /* 32, 33, 34 */
    if (set)
        memcpy(&mask, set, sizeof mask);
    /* glibc uses 32 for cancelling and 33 for setuid in all threads, musl 34 as well. Blocking
       them would hang whoever waits for an answer. Signal n is bit n - 1. */
    mask &= ~(PLI_GLIBC ? (uint64_t)3 << 31 : libc);
    if (syscall(SYS_rt_sigprocmask, how, set ? &mask : NULL, &before, sizeof mask) != 0)
        return errno;
    if (old) {
        sigemptyset(old);
        memcpy(old, &before, sizeof before);
    }
    return 0;
}

static void pli_os_timer_end(int id)
{
    syscall(SYS_timer_delete, id);
}

#endif /* PLI_LINUX */

/* Sleeps while *word is value, or shortly where the system has no such call. */
static void pli_os_wait(uint32_t *word, uint32_t value)
{
#if PLI_LINUX
    /* The kernel compares and sleeps under one lock: a wake between the caller's look at the
       word and this call is not lost, since the word is another one then. It may return early,
       on a signal; callers look again. */
    syscall(SYS_futex, word, PLI_FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    (void)word, (void)value;
    sched_yield();
#endif
}

/* Wakes one thread that waits on word. Waking nobody is harmless. */
static void pli_os_wake(uint32_t *word)
{
#if PLI_LINUX
    syscall(SYS_futex, word, PLI_FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
#else
    (void)word;
#endif
}

/* Bytes of writable private memory of this process, stacks included; 0 where the system does not
   tell. */
static int64_t pli_os_data_bytes(void)
{
    char text[128];
    long pages = 0;
    if (pli_os_read_file("/proc/self/statm", text, sizeof text) != PL_OK ||
        sscanf(text, "%*s %*s %*s %*s %*s %ld", &pages) != 1)
        return 0;
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* What the allocator holds: from the system, of that in use, of that ready to be given back. Zero
   where the allocator in charge is not the C library's or does not tell. */
typedef struct pli_os_heap { int64_t sys, inuse, releasable; } pli_os_heap;

/* mallinfo2 walks all arenas of glibc and takes their locks: not for hot paths, not in handlers.
   Older releases had only mallinfo, whose 32-bit fields overflow: that is worse than nothing. */
static pli_os_heap pli_os_heap_read(void)
{
    pli_os_heap h = {0, 0, 0};
#if PLI_MALLINFO2
    struct mallinfo2 m = mallinfo2();
    h.sys = (int64_t)(m.arena + m.hblkhd);
    h.inuse = (int64_t)(m.uordblks + m.hblkhd);
    h.releasable = (int64_t)m.keepcost;
#endif
    return h;
}

/* What Go calls the operating system: the value of `goos:` in benchmark text. */
static const char *pli_os_name(void)
{
#if defined(__linux__)
    return "linux";
#elif defined(__APPLE__)
    return "darwin";
#elif defined(__FreeBSD__)
    return "freebsd";
#else
    return "unix";
#endif
}

/* What Go calls the processor: the value of `goarch:`. */
static const char *pli_os_arch(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__i386__)
    return "386";
#elif defined(__arm__)
    return "arm";
#elif defined(__riscv)
    return "riscv64";
#else
    return "unknown";
#endif
}

/* Processors that this process may run on, for -cpu: fewer than there are under taskset or in a
   container. */
static int pli_os_cpu_count(void)
{
#if PLI_LINUX
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN); /* also with more processors than a cpu_set_t */
    return count > 0 ? (int)count : 1;
}

/* The name of the processor as it tells itself, for `cpu:`; "" where it does not. Room for 64. */
static void pli_os_cpu_model(char *name)
{
    name[0] = '\0';
#if defined(__x86_64__) || defined(__i386__)
    unsigned words[13] = {0}, *w = words; /* 48 letters from three leaves, and an end */
    for (unsigned leaf = 0x80000002u; leaf <= 0x80000004u; leaf++, w += 4)
        __asm__ volatile("cpuid"
                         : "=a"(w[0]), "=b"(w[1]), "=c"(w[2]), "=d"(w[3]) : "a"(leaf), "c"(0));
    /* The text is in eax, ebx, ecx, edx of each leaf in turn; some processors have it aligned to
       the right. */
    const char *text = (const char *)words;
    snprintf(name, 64, "%s", text + strspn(text, " "));
#elif defined(__APPLE__)
    size_t size = 64;
    if (sysctlbyname("machdep.cpu.brand_string", name, &size, NULL, 0) != 0)
        name[0] = '\0';
#elif PLI_LINUX
    char text[512];
    pli_os_read_file("/proc/cpuinfo", text, sizeof text);
    const char *line = strstr(text, "model name");
    const char *value = line ? strstr(line, ": ") : NULL;
    if (value)
        snprintf(name, 64, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
#endif
}

/* Tells the processor that this is a waiting loop: its other thread gets the units. */
static void pli_os_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ==== >>util =====================================================================================
   Words that are written by one thread and read by others are plain uint64_t with relaxed atomic
   access: on every supported processor that is an ordinary load and store, so that the owner pays
   nothing for them. */

/* Hints for the one branch in a hot path that decides between counting and the slow path. */
#define PLI_LIKELY(x) __builtin_expect(!!(x), 1)
#define PLI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PLI_COLD __attribute__((noinline, cold))
#define PLI_LOAD(object) __atomic_load_n(&(object), __ATOMIC_RELAXED)
#define PLI_STORE(object, value) __atomic_store_n(&(object), (value), __ATOMIC_RELAXED)
#define PLI_ADD(object, value) __atomic_add_fetch(&(object), (value), __ATOMIC_RELAXED)
#define PLI_LOAD_ACQUIRE(object) __atomic_load_n(&(object), __ATOMIC_ACQUIRE)
#define PLI_STORE_RELEASE(object, value) __atomic_store_n(&(object), (value), __ATOMIC_RELEASE)

/* A lock that works inside malloc and before constructors. Its one word is the futex too:

       0 free ──take──► 1 held ──another take──► 2 held, somebody waits
         ▲                │ give                      │ give: wakes one
         └────────────────┴───────────────────────────┘

   A waiter takes the lock by writing 2, since it cannot know whether it was the last one. Not
   recursive, and no lock of anybody else is ever taken while this one is held. */
typedef struct pli_lock { uint32_t state; } pli_lock;

/* The usual case is one atomic exchange. A thread that has to wait marks the lock as contended, so
   that only then the owner pays for a system call when it gives the lock back. */
static void pli_lock_take(pli_lock *lock)
{
    uint32_t expected = 0;
    if (__atomic_compare_exchange_n(&lock->state, &expected, 1, 0, __ATOMIC_ACQUIRE,
    __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0)
        pli_os_wait(&lock->state, 2);
}

/* Wakes one waiter only: it will mark the lock as contended again and so wake the next. */
static void pli_lock_give(pli_lock *lock)
{
    if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2)
        pli_os_wake(&lock->state);
}

/* Takes the lock; in an emergency only if that is possible within a tenth of a second, since the
   owner may be what was interrupted. Returns whether it has it. */
PLI_SOMETIMES static bool pli_lock_take_or_try(pli_lock *lock, bool emergency)
{
    for (int i = 0; emergency; i++) {
        uint32_t expected = 0;
        if (__atomic_compare_exchange_n(&lock->state, &expected, 1, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
        if (i == 1000)
            return false;
        pli_os_nap();
    }
    pli_lock_take(lock);
    return true;
}

/* Memory that is never given back, for what lives as long as the program: names, modules, labels.
   Zeroed, aligned to 16 bytes; NULL when there is none. It does not pass malloc, so that it may be
   used inside it and is not counted as the program's. */
#define PLI_KEEP_CHUNK ((size_t)64 << 10)

static struct { pli_lock lock; char *next; size_t left; } pli_kept;

/* Large requests get pages of their own, so that at most a quarter of a chunk is given up when
   the next one begins. */
PLI_SOMETIMES static void *pli_keep(size_t size)
{
    void *p = NULL;
    size = (size + 15) & ~(size_t)15;
    if (size >= PLI_KEEP_CHUNK / 4)
        return pli_os_map(size);
    pli_lock_take(&pli_kept.lock);
    if (size > pli_kept.left) {
        pli_kept.next = pli_os_map(PLI_KEEP_CHUNK);
        pli_kept.left = pli_kept.next ? PLI_KEEP_CHUNK : 0;
    }
    if (size <= pli_kept.left) {
        p = pli_kept.next;
        pli_kept.next += size;
        pli_kept.left -= size;
    }
    pli_lock_give(&pli_kept.lock);
    return p;
}

/* A fork's child: another thread may have been in the middle of it. The rest of the chunk is given
   up. */
PLI_SOMETIMES static void pli_keep_fork_child(void)
{
    memset(&pli_kept, 0, sizeof pli_kept);
}

/* The definition of an interposed function that the program would use if there were none here;
   found once and kept in *found. NULL in a static program. */
PLI_SOMETIMES static void *pli_next_of(void **found, const char *name)
{
    void *next = PLI_LOAD(*found);
    if (!next) {
        next = dlsym(RTLD_NEXT, name);
        PLI_STORE(*found, next);
    }
    return next;
}

/* Writes the absolute form of a path to out, so that a later chdir does not move the file; "" for
   NULL. PL_INVALID when it is too long, PL_IO when its folder cannot be written to. */
PLI_SOMETIMES static pl_result pli_path_absolute(char *out, size_t size, const char *path)
{
    out[0] = '\0';
    if (!path || !*path)
        return PL_OK;
    size_t used = 0;
    if (path[0] != '/') {
        if (!getcwd(out, size - 1))
            return PL_IO;
        used = strlen(out);
        out[used++] = '/';
    }
    if (used + strlen(path) >= size)
        return PL_INVALID;
    strcpy(out + used, path);
    char *name = strrchr(out, '/') + 1, first = *name;
    *name = '\0';
    bool writable = access(out, W_OK | X_OK) == 0;
    *name = first;
    return writable ? PL_OK : PL_IO;
}

/* Raises *peak to value if that is higher. */
PLI_SOMETIMES static void pli_raise(int64_t *peak, int64_t value)
{
    int64_t seen = PLI_LOAD(*peak);
    while (value > seen &&
           !__atomic_compare_exchange_n(peak, &seen, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

typedef struct pli_pair { uint64_t key, value; } pli_pair;

/* Sorts by key; equal ones keep their order. scratch has room for as many. A pass for each byte in
   which the keys differ: without recursion, and without malloc, as qsort may call it. */
PLI_SOMETIMES static void pli_sort(pli_pair *pairs, pli_pair *scratch, size_t count)
{
    for (int shift = 0; shift < 64; shift += 8) {
        /* place[b + 1] counts the keys with byte b. Summed up, place[b] is where the first of
           them goes, and it moves on with each one placed: so equal keys keep their order. */
        size_t place[257] = {0};
        for (size_t i = 0; i < count; i++)
            place[(pairs[i].key >> shift & 255) + 1]++;
        if (count == 0 || place[(pairs[0].key >> shift & 255) + 1] == count)
            continue;
        for (int i = 1; i < 256; i++)
            place[i] += place[i - 1];
        for (size_t i = 0; i < count; i++)
            scratch[place[pairs[i].key >> shift & 255]++] = pairs[i];
        memcpy(pairs, scratch, count * sizeof *pairs);
    }
}

/* -- Numbers and text as other programs write and read them -- */

/* Reads a whole decimal number in [least, most]; false for anything else: what overflows, what has
   other characters behind it, and nothing at all. */
static bool pli_parse_int64(const char *text, int64_t least, int64_t most, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end > text && *end == '\0' && errno == 0 && *out >= least && *out <= most;
}

/* Returns how many nanoseconds the unit at *text has and moves *text behind it; 0 when there is
   none. A unit ends where the next number begins: "1m30s". */
static double pli_parse_unit(const char **text)
{
    static const struct {
        const char *name;
        double ns;
    } unit[] = {{"ns", 1}, {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"ms", 1e6}, /* C2 B5: the micro sign */
                {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    size_t size = strcspn(*text, ".0123456789");
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
        if (strlen(unit[i].name) == size && strncmp(unit[i].name, *text, size) == 0) {
            *text += size;
            return unit[i].ns;
        }
    }
    return 0;
}

/* Reads a time in Go's form (1h30m, 1.5s, 100ms; 0 alone needs no unit) as nanoseconds; false for
   anything else. By hand, since strtod takes 1e3, 0x10, inf and the locale's decimal point. */
static bool pli_parse_duration(const char *text, int64_t *ns)
{
    double sum = 0, unit = 1;
    bool zero = strcmp(text, "0") == 0;
    for (const char *s = text; !zero && unit > 0 && (*s || s == text);) {
        double value = 0, place = 1;
        int digits = 0;
        for (; *s >= '0' && *s <= '9'; s++, digits++)
            value = 10 * value + (*s - '0');
        for (s += *s == '.'; *s >= '0' && *s <= '9'; s++, digits++)
            value += (*s - '0') * (place /= 10);
        unit = digits > 0 ? pli_parse_unit(&s) : 0;
        sum += value * unit;
    }
    bool good = unit > 0 && sum < 9223372036854774784.0; /* the last double below 2^63 */
    *ns = good ? (int64_t)(sum + 1e-3) : 0; /* down, but for what tenths lose in binary */
    return good;
}

/* Turns the decimal point of the program's locale into a '.': benchmark text and JSON know no
   other, and the program may have called setlocale. */
static void pli_format_point(char *number)
{
    char *point = number + strspn(number, " -0123456789");
    size_t size = strcspn(point, "0123456789");
    if (size > 0 && *point != 'e' && point[size]) {
        memmove(point + 1, point + size, strlen(point + size) + 1);
        *point = '.';
    }
}

/* %*.*f in any locale, with NaN and Inf as Go spells them. */
static void pli_format_double(char *out, size_t size, int width, int digits, double x)
{
    if (__builtin_isfinite(x)) {
        snprintf(out, size, "%*.*f", width, digits, x);
        pli_format_point(out);
    } else {
        snprintf(out, size, "%*s", width, __builtin_isnan(x) ? "NaN" : x > 0 ? "+Inf" : "-Inf");
    }
}

/*     first byte   bytes   bits of the character
       00 .. 7F     1       7
       C2 .. DF     2       5 + 6             (C0 and C1 would be longer forms of ASCII)
       E0 .. EF     3       4 + 6 + 6
       F0 .. F4     4       3 + 6 + 6 + 6     (up to U+10FFFF)

   Reads one character and returns its length in bytes. What is not UTF-8 (a stray or missing byte,
   a form longer than need be, a surrogate) is U+FFFD, a byte at a time. */
static int pli_utf8_decode(const char *text, uint32_t *rune)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    int size = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;
    uint32_t r = size == 1 ? *s : *s & (0x7fu >> size); /* the bits of the first byte */
    for (int i = 1; i < size; i++) {
        r = r << 6 | (s[i] & 0x3f);
        size = (s[i] & 0xc0) == 0x80 ? size : 0; /* also at the end of the text */
    }
    bool good = size > 0 && r >= least[size] && r <= 0x10ffff && (r < 0xd800 || r > 0xdfff);
    *rune = good ? r : 0xfffd;
    return good ? size : 1;
}

/* Writes text as a JSON string: valid whatever the bytes. */
static void pli_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (int size; *text; text += size) {
        uint32_t rune;
        size = pli_utf8_decode(text, &rune);
        if (rune < 0x20 || rune == '"' || rune == '\\' || rune == 0x7f || rune == 0xfffd)
            fprintf(out, "\\u%04x", (unsigned)rune);
        else
            fwrite(text, 1, (size_t)size, out);
    }
    fputc('"', out);
}

/* Writes the fewest digits that read back as x; null for NaN and Inf, which JSON does not know. */
static void pli_json_number(FILE *out, double x)
{
    char text[40] = "null";
    /* Every decimal number of 15 digits survives a double, and 17 tell any two doubles apart. */
    for (int digits = 15; __builtin_isfinite(x) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    pli_format_point(text);
    fputs(text, out);
}

/* ==== >>results =============================================================================== */

const char *pl_result_str(pl_result r)
{
#define PLI_RESULT_TEXT(name, text) text,
    static const char *const texts[] = {PL_RESULTS(PLI_RESULT_TEXT)};
    return (unsigned)r < PL_RESULT_COUNT ? texts[r] : "unknown result";
}

const char *pl_version(void)
{
    return PL_VERSION;
}

/* ==== >>clock ====================================================================================
   Ticks are converted by a line through two anchors, pairs of (ticks, nanoseconds) taken at the
   same moment:

       ns |                    * second anchor: taken when a conversion is asked for
          |            ,  '
          |     ,  '             rate = (n1 - n0) / (t1 - t0)
          |  *  first anchor: taken when the program starts
          +-------------------------- ticks

   The further apart, the finer the rate, so nobody has to sleep for it: the second anchor moves
   whenever the program has run twice as long as at the last conversion. Each conversion uses the
   newest rate, so the same difference may come out a few ppm apart early and late in a run. An
   anchor reads the clock between two reads of the counter and keeps the tightest of several tries;
   the error is half that gap. */

/* gap is in ticks: how long reading the clock took. ticks is the middle of it. */
typedef struct pli_anchor { uint64_t ticks, ns, gap; } pli_anchor;

enum { PLI_TICKS_UNKNOWN, PLI_TICKS_COUNTER, PLI_TICKS_CLOCK };

#define PLI_RATE_SHIFT 32             /* ns_per_tick is a fixed-point number */
#define PLI_RATE_SPAN_NS 100000       /* least distance of the anchors: 10 ppm with a gap of 1 ns */
#define PLI_RATE_FINE_NS 10000000000u /* 10 s apart, the rate is as fine as it needs to be */

static struct {
    uint32_t source;      /* PLI_TICKS_...; written once */
    pli_anchor first;     /* written before source */
    uint64_t ns_per_tick; /* 0: not measured yet */
    uint64_t remeasure;   /* in ticks after the first anchor */
} pli_clock;

/* A moment on both clocks. Eight tries are enough: an interrupt hits at most a few of them. */
static pli_anchor pli_anchor_take_sig(void)
{
    pli_anchor best = {0, 0, UINT64_MAX};
    for (int i = 0; i < 8; i++) {
        uint64_t before = pli_os_ticks_sig();
        uint64_t ns = pli_os_clock_ns_sig(CLOCK_MONOTONIC);
        uint64_t gap = pli_os_ticks_sig() - before;
        if (gap < best.gap)
            best = (pli_anchor){before + gap / 2, ns, gap};
    }
    return best;
}

/* Runs once, in practice: from the constructor, or from the first pl_ticks of an earlier one. Twice
   at once is harmless: both threads find the same source, and either anchor is a right one. */
static PLI_COLD uint32_t pli_clock_init(void)
{
    int saved_errno = errno;
    pli_clock.first = pli_anchor_take_sig();
    uint32_t source = pli_os_ticks_usable() ? PLI_TICKS_COUNTER : PLI_TICKS_CLOCK;
    PLI_STORE_RELEASE(pli_clock.source, source);
    errno = saved_errno;
    return source;
}

/* Not lazily: the earlier the first anchor, the finer the rate. */
__attribute__((constructor)) static void pli_clock_start(void)
{
    if (PLI_LOAD_ACQUIRE(pli_clock.source) == PLI_TICKS_UNKNOWN)
        pli_clock_init();
}

uint64_t pl_now_ns(void)
{
    return pli_os_clock_ns_sig(CLOCK_MONOTONIC);
}

/* One load, one comparison and the instruction itself: see bench/ticks.c. */
uint64_t pl_ticks(void)
{
    uint32_t source = PLI_LOAD(pli_clock.source);
    if (PLI_LIKELY(source == PLI_TICKS_COUNTER))
        return pli_os_ticks_sig();
    if (source == PLI_TICKS_UNKNOWN && pli_clock_init() == PLI_TICKS_COUNTER)
        return pli_os_ticks_sig();
    return pl_now_ns();
}

/* pl_ticks in a handler: the source is known by then. */
PLI_SOMETIMES static uint64_t pli_ticks_sig(void)
{
    return PLI_LOAD(pli_clock.source) == PLI_TICKS_COUNTER ? pli_os_ticks_sig() :
           pli_os_clock_ns_sig(CLOCK_MONOTONIC);
}

/* Places the second anchor and returns the rate. Two threads may do so at once: both results are
   right. */
static PLI_COLD uint64_t pli_clock_measure_sig(void)
{
    pli_anchor now = pli_anchor_take_sig();
    while (now.ns - pli_clock.first.ns < PLI_RATE_SPAN_NS)
        now = pli_anchor_take_sig();
    uint64_t ticks = now.ticks - pli_clock.first.ticks, ns = now.ns - pli_clock.first.ns;
    /* Nanoseconds a tick, times 2^32: a counter of 3 GHz has 1431655765. In 128 bits, since ns
       passes 2^32 after 4.3 seconds and the shift would lose its upper bits. */
    uint64_t rate = (uint64_t)(((pli_wide)ns << PLI_RATE_SHIFT) / ticks);
    PLI_STORE(pli_clock.remeasure, ns > PLI_RATE_FINE_NS ? UINT64_MAX : 2 * ticks);
    PLI_STORE(pli_clock.ns_per_tick, rate);
    return rate;
}

uint64_t pl_ticks_to_ns(uint64_t difference)
{
    uint64_t now = pl_ticks();
    if (PLI_LOAD(pli_clock.source) != PLI_TICKS_COUNTER)
        return difference;
    uint64_t rate = PLI_LOAD(pli_clock.ns_per_tick);
    if (rate == 0 || now - pli_clock.first.ticks > PLI_LOAD(pli_clock.remeasure))
        rate = pli_clock_measure_sig();
    return (uint64_t)(((pli_wide)difference * rate) >> PLI_RATE_SHIFT);
}

/* CPU time counts what a thread computed, not what it waited for: two runs on a busy machine agree
   in it where their wall clocks do not. */
uint64_t pl_thread_cpu_ns(void)
{
    return pli_os_clock_ns_sig(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t pl_process_cpu_ns(void)
{
    return pli_os_clock_ns_sig(CLOCK_PROCESS_CPUTIME_ID);
}

/* Nothing when it runs already: the earlier start stays, so that pairs need not be counted. */
void pl_timer_start(pl_timer *t)
{
    if (t->running)
        return;
    t->running = 1;
    t->started_ticks = pl_ticks();
}

/* Counters of two processors may differ by a few ticks: an interval is never negative. */
static uint64_t pli_timer_interval(const pl_timer *t)
{
    uint64_t now = pl_ticks();
    return t->running && now > t->started_ticks ? now - t->started_ticks : 0;
}

void pl_timer_stop(pl_timer *t)
{
    t->total_ticks += pli_timer_interval(t);
    t->running = 0;
}

/* A running timer goes on from now: what it had not yet summed up is dropped as well. */
void pl_timer_reset(pl_timer *t)
{
    t->total_ticks = 0;
    t->started_ticks = pl_ticks();
}

/* Also while it runs. Ticks are summed and converted once, so that roundings do not add up. */
uint64_t pl_timer_ns(const pl_timer *t)
{
    return pl_ticks_to_ns(t->total_ticks + pli_timer_interval(t));
}

/* ==== >>thread ===================================================================================
   Each thread that a collector meets gets one block. Blocks live in one list that only grows at its
   head, so that a reader can walk it without a lock; a block whose thread is gone is kept for the
   next one.

       pli_threads.all ──► block ──► block ──► block ──► NULL
                             ▲                   (state FREE: waits for the next thread)
       pli_self (thread-local) of its thread

   pli_self is never NULL. Three blocks that belong to nobody stand for what a thread is while it
   has none:

       UNBORN    has not been met yet: the first slow path gives it a block
       ORPHAN    has no block: it is dying, perflab is at work for it, or memory ran out
       NESTED    is inside an allocator that calls another entry point: nothing is to be counted
       twice

   All counters of those three are 0, and the hot paths test before they write: so each of them goes
   the slow way by itself, without a test of its own (see >>heap).

   The life of a thread, as far as perflab sees it:

       first malloc or free,     UNBORN ─► ORPHAN ─► its own block      pli_thread_join, birth hooks
       or its start, when
       somebody collects
       ... works ...             the hot paths write to its block
       its key's destructor      its own block ─► ORPHAN                pli_thread_exit, death hooks
       later destructors, libc   ORPHAN: counted under the common totals, atomically
       fork, in the child        blocks of the others: death hooks, FREE

   The heap's counts need no more than that. Who samples must meet threads that never allocate, too:
   then pthread_create is hooked, so that a thread joins before its first instruction, and those
   that are there already are found in the system's list and adopted: they get a block from outside,
   which becomes their own when they join. An adopted thread that ends without ever joining is
   missed in the list later (pli_threads_meet).

   Invariant: a block in state USED belongs to one live thread, and only that thread writes its
   counters. Birth, death and fork happen under pli_threads.lock. Collectors register hooks for
   these moments. */

typedef struct pli_counts {
    /* written by the owner, read by anyone: see >>heap */
    uint64_t born, died, top;
    /* written by whoever made the epoch odd, read by anyone who sees the same even epoch before and
       after */
    uint64_t epoch, mallocs, frees, bytes;
    int64_t live;
} pli_counts;

enum { PLI_THREAD_FREE, PLI_THREAD_USED };
enum { PLI_WANT_CPU = 1, PLI_WANT_LEAK = 2 };

/* What the sampler keeps of a thread: see >>cpu. */
typedef struct pli_cpu_thread {
    int timer;         /* the kernel's number + 1; 0: none */
    uint64_t base_ns;  /* its time when the timer was started */
    uint64_t first_ns; /* from then to the first tick */
    int64_t ticks;     /* that were seen; atomic */
} pli_cpu_thread;

typedef struct pli_thread {
    pli_counts heap;
    struct pli_thread *next; /* immutable once in the list */
    uint32_t state, adopted; /* under the lock */
    int tid;
    uintptr_t start;                 /* the function it runs; 0: unknown */
    const struct pli_labels *labels; /* of what it does now; written by the thread itself */
    uint64_t made;                   /* who started it, and since when: see >>live; 0: unknown */
    struct pli_ring *ring;           /* its events; kept for the next thread */
    pli_cpu_thread cpu;
} __attribute__((aligned(PLI_CACHE_LINE))) pli_thread;

/* What a collector does at these moments; any may be NULL. All but the last run under
   pli_threads.lock and may neither allocate nor take a lock that is held while allocating. */
typedef struct pli_thread_hooks {
    void (*birth)(pli_thread *t);
    void (*death)(pli_thread *t);      /* in the dying thread, or in a fork's child for one that
                                          did not come along */
    void (*fork_begin)(pli_thread *t); /* for every thread but the forking one: bring what it
                                          counts into a state that can be copied, and keep it so */
    void (*fork_end)(pli_thread *t);   /* the same threads go on: in the parent, and in the child
                                          before their death */
    void (*fork_child)(pli_thread *t); /* in the child, for the one thread that went on */
} pli_thread_hooks;

#define PLI_COLLECTORS_MAX 8
#define PLI_THREADS_CHUNK 64 /* blocks mapped at once */

PLI_SOMETIMES static pli_thread pli_unborn, pli_orphan, pli_nested;
PLI_SOMETIMES static PLI_THREAD_LOCAL pli_thread *pli_self = &pli_unborn;

static struct {
    pli_lock lock;
    uint32_t prepared;   /* 1: the key exists and fork is watched */
    pthread_key_t key;   /* its destructor tells that a thread dies */
    pli_thread *all;     /* grows at the head, release; walked with acquire */
    int64_t seen;        /* threads that ever had a block */
    pli_thread *forking; /* the block of the thread inside fork */
    uint32_t wanted;     /* PLI_WANT_...: who has threads join when they start; atomic */
    uint32_t adopted;    /* 1: there may be adopted threads */
    uint64_t (*maker)(const void *ra); /* notes who starts a thread: `made` of it; atomic */
    int collectors;
    const pli_thread_hooks *hooks[PLI_COLLECTORS_MAX];
} pli_threads;

#if PLI_LINUX

/* What a new thread is to run. Free ones form a list, so that starting threads takes no memory of
   the program's. */
typedef struct pli_start {
    struct pli_start *next;
    void *(*run)(void *);
    void *arg;
    const struct pli_labels *labels;
    uint64_t made;
} pli_start;

PLI_SOMETIMES static struct { pli_lock lock; pli_start *free; } pli_starts;

/* Under the lock, in the dying thread or, after fork, for one that is not there any more. */
static void pli_thread_death(pli_thread *t)
{
    for (int i = 0; i < pli_threads.collectors; i++)
        if (pli_threads.hooks[i]->death)
            pli_threads.hooks[i]->death(t);
    PLI_STORE(t->state, PLI_THREAD_FREE);
}

/* Runs when a thread ends, before the destructors of keys made later: what those still allocate is
   counted as an orphan's. */
static void pli_thread_exit(void *block)
{
    pli_self = &pli_orphan;
    pli_lock_take(&pli_threads.lock);
    pli_thread_death(block);
    pli_lock_give(&pli_threads.lock);
}

/* A fork, with two other threads A and B at work:

       parent                                      child
       prepare: lock, pli_self = ORPHAN
                fork_begin(A), fork_begin(B)
       fork ─────────────────────────────────────► a copy, with this thread alone
       parent:  fork_end(A), fork_end(B)           child: fork_end(A), fork_end(B)
                pli_self back, unlock                     pli_self back, death(A), death(B)
                                                          its new tid, unlock, fork_child(self)

   pthread_atfork runs prepare handlers in the reverse order of registration, others in order. */

/* Calls a collector's hook for every live thread but the forking one. */
#define PLI_FORK_EACH(hook)                                                                        \
    for (pli_thread *t = pli_threads.all; t; t = t->next)                                          \
        for (int i = 0; i < pli_threads.collectors; i++)                                           \
            if (t->state == PLI_THREAD_USED && t != pli_threads.forking &&                         \
                pli_threads.hooks[i]->hook)                                                        \
                pli_threads.hooks[i]->hook(t);

/* fork copies memory at some moment of the other threads: a lock that one of them holds would stay
   held in the child for ever, and what it has half written would stay half. So the forking thread
   takes the lock and stops the others' settling, and both sides undo it. What other libraries'
   handlers allocate meanwhile in this thread is counted as an orphan's, which needs no lock. */
static void pli_fork_prepare(void)
{
    pli_lock_take(&pli_threads.lock);
    pli_threads.forking = pli_self;
    pli_self = &pli_orphan;
    PLI_FORK_EACH(fork_begin)
}

/* The parent goes on as if nothing had been. */
static void pli_fork_parent(void)
{
    PLI_FORK_EACH(fork_end)
    pli_self = pli_threads.forking;
    pli_lock_give(&pli_threads.lock);
}

/* In the child only the calling thread is left; the blocks of the others die here. Locks that were
   held by them are free again. */
static void pli_fork_child(void)
{
    /* A lock's owner may be a thread that is not here. So locks are set to 0, and lists that it
       may have left half changed are given up; what is in them is lost in the child, and small. */
    pli_keep_fork_child();
    memset(&pli_starts, 0, sizeof pli_starts);
    PLI_FORK_EACH(fork_end)
    pli_self = pli_threads.forking;
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        if (t->state == PLI_THREAD_USED && t != pli_self)
            pli_thread_death(t);
    if (pli_self->state == PLI_THREAD_USED)
        pli_self->tid = pli_os_tid_sig();
    pli_threads.lock.state = 0;
    for (int i = 0; i < pli_threads.collectors; i++)
        if (pli_threads.hooks[i]->fork_child)
            pli_threads.hooks[i]->fork_child(pli_self);
}

/* The key is made late, when the first thread needs it, since making it in a constructor would come
   after threads that other constructors started. Under the lock. */
static void pli_threads_prepare(void)
{
    if (pli_threads.prepared)
        return;
    pli_threads.prepared = 1;
    if (pthread_key_create(&pli_threads.key, pli_thread_exit) != 0)
        pli_threads.prepared = 2; /* no key left: threads stay orphans, counting goes on */
}

/* Registering with fork may allocate, so it waits for the constructors. */
__attribute__((constructor)) static void pli_threads_watch_fork(void)
{
    pthread_atfork(pli_fork_prepare, pli_fork_parent, pli_fork_child);
}

/* A collector adds its hooks before it meets its first thread; once more does nothing. More than
   PLI_COLLECTORS_MAX are a mistake of perflab's own, found by its tests. */
static void pli_collector_add(const pli_thread_hooks *hooks)
{
    bool there = false;
    pli_lock_take(&pli_threads.lock);
    for (int i = 0; i < pli_threads.collectors; i++)
        there = there || pli_threads.hooks[i] == hooks;
    if (!there && pli_threads.collectors < PLI_COLLECTORS_MAX)
        pli_threads.hooks[pli_threads.collectors++] = hooks;
    pli_lock_give(&pli_threads.lock);
}

/* A free block, or NULL when there is no memory. Under the lock. */
static pli_thread *pli_thread_find_block(void)
{
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        if (t->state == PLI_THREAD_FREE)
            return t;
    pli_thread *chunk = pli_os_map(PLI_THREADS_CHUNK * sizeof *chunk);
    if (!chunk)
        return NULL;
    for (int i = 0; i < PLI_THREADS_CHUNK; i++) {
        /* next is written before the block can be reached: readers walk without the lock. */
        chunk[i].next = pli_threads.all;
        PLI_STORE_RELEASE(pli_threads.all, &chunk[i]);
    }
    return pli_threads.all;
}

/* The block of a thread that is known by its number, or NULL. Under the lock, or for the calling
   thread. */
static pli_thread *pli_thread_of_sig(int tid)
{
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        if (PLI_LOAD(t->state) == PLI_THREAD_USED && PLI_LOAD(t->tid) == tid)
            return t;
    return NULL;
}

/* A block in state USED for a thread that has none, or NULL when there is no memory. Under the
   lock. */
static pli_thread *pli_thread_begin(int tid)
{
    pli_thread *t = pli_thread_find_block();
    if (!t)
        return NULL;
    PLI_STORE(t->state, PLI_THREAD_USED);
    PLI_STORE(t->tid, tid); /* atomic, since a handler may have read them in an earlier life */
    PLI_STORE(t->start, (uintptr_t)0);
    PLI_STORE(t->labels, (const struct pli_labels *)NULL);
    PLI_STORE(t->made, (uint64_t)0);
    PLI_ADD(pli_threads.seen, 1);
    for (int i = 0; i < pli_threads.collectors; i++)
        if (pli_threads.hooks[i]->birth)
            pli_threads.hooks[i]->birth(t);
    return t;
}

/* The block of the calling thread: the one under which it was adopted, else a new one. NULL when
   there is no key or no memory. */
static pli_thread *pli_thread_birth(void)
{
    int tid = pli_os_tid_sig();
    pli_lock_take(&pli_threads.lock);
    pli_threads_prepare();
    pli_thread *t = pli_threads.adopted ? pli_thread_of_sig(tid) : NULL;
    if (!t && pli_threads.prepared == 1)
        t = pli_thread_begin(tid);
    if (t)
        t->adopted = 0;
    pli_lock_give(&pli_threads.lock);
    return t;
}

/* Gives the calling thread its block and returns it, or &pli_orphan. pthread_setspecific may
   allocate: the thread counts as an orphan until it is done. */
static PLI_COLD pli_thread *pli_thread_join(void)
{
    if (pli_self != &pli_unborn)
        return pli_self;
    pli_self = &pli_orphan;
    pli_thread *t = pli_thread_birth();
    if (t && pthread_setspecific(pli_threads.key, t) == 0)
        return pli_self = t;
    if (t)
        pli_thread_exit(t);
    return &pli_orphan;
}

/* -- Threads that have not met perflab by themselves -- */

/* Adopts a thread, unless it has a block. Under the lock. */
static void pli_thread_adopt(int tid)
{
    pli_thread *t = pli_thread_of_sig(tid);
    if (!t && (t = pli_thread_begin(tid)) != NULL)
        t->adopted = 1;
}

/* Under the lock: adopted threads that the list no longer has are dead. */
static void pli_threads_forget(const int *tids, int count)
{
    for (pli_thread *t = pli_threads.all; t; t = t->next) {
        bool lives = t->state != PLI_THREAD_USED || !t->adopted;
        for (int i = 0; i < count && !lives; i++)
            lives = tids[i] == t->tid;
        if (!lives)
            pli_thread_death(t);
    }
}

/* Has threads join when they start, or does not need that any more. */
PLI_SOMETIMES static void pli_threads_want(uint32_t who, bool wanted)
{
    if (wanted)
        __atomic_fetch_or(&pli_threads.wanted, who, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&pli_threads.wanted, ~who, __ATOMIC_RELAXED);
}

/* Adopts the threads that are there already. When they are too many for the memory at hand, the
   rest is met when it joins. */
PLI_SOMETIMES static void pli_threads_meet(void)
{
    /* In threads: 256 KiB of addresses, of which only what is written becomes memory. */
    size_t room = (size_t)64 << 10;
    int *tids = pli_os_map(room * sizeof *tids);
    if (!tids)
        return;
    pli_thread_join();
    pli_lock_take(&pli_threads.lock);
    int count = pli_os_numbers("/proc/self/task", tids, (int)room);
    /* A list that was cut does not tell who is dead. */
    if (count <= (int)room)
        pli_threads_forget(tids, count);
    pli_threads.adopted = 1;
    for (int i = 0; i < count && i < (int)room; i++)
        pli_thread_adopt(tids[i]);
    pli_lock_give(&pli_threads.lock);
    munmap(tids, room * sizeof *tids);
}

#endif /* PLI_LINUX */

#if PLI_INTERPOSE

/* The labels of the creator are the new thread's, too. NULL when there is no memory. */
static pli_start *pli_start_take(void *(*run)(void *), void *arg, const void *ra)
{
    uint64_t (*maker)(const void *) = PLI_LOAD(pli_threads.maker);
    uint64_t made = maker ? maker(ra) : 0;
    pli_lock_take(&pli_starts.lock);
    pli_start *start = pli_starts.free;
    if (start)
        pli_starts.free = start->next;
    pli_lock_give(&pli_starts.lock);
    if (!start)
        start = pli_keep(sizeof *start);
    if (start)
        *start = (pli_start){NULL, run, arg, pli_self->labels, made};
    return start;
}

/* By the new thread once it has copied it, or by the creator when there is no new thread. */
static void pli_start_give(pli_start *start)
{
    pli_lock_take(&pli_starts.lock);
    start->arg = NULL; /* a block that only this would point to counts as lost: see >>leak */
    start->next = pli_starts.free;
    pli_starts.free = start;
    pli_lock_give(&pli_starts.lock);
}

/* Where a new thread begins. The last call is a jump where the compiler optimises: stacks show the
   thread's function, not this one. */
static void *pli_start_run(void *argument)
{
    pli_start start = *(pli_start *)argument;
    pli_start_give(argument);
    pli_thread *t = pli_thread_join();
    if (t != &pli_orphan) {
        PLI_STORE(t->start, (uintptr_t)start.run);
        PLI_STORE(t->labels, start.labels);
        if (start.made)
            PLI_STORE(t->made, start.made);
    }
    /* A creator may have blocked all signals, as is usual for worker threads, and the mask is
       inherited: the timer of this thread would then never be heard. */
    pli_os_unblock(SIGPROF);
    return start.run(start.arg);
}

/* In a static program there is no next definition to look up, but libc's own other name for it. The
   reference to thrd_create has the linker bring the part of libc.a along that defines it. */
typedef int pli_create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
extern pli_create_function pli_libc_pthread_create __asm__("__pthread_create")
    __attribute__((weak));
#if PLI_THRD_CREATE
extern int pli_thrd_create(void) __asm__("thrd_create");
static int (*const pli_bring_along)(void) __attribute__((used)) = pli_thrd_create;
#endif

/* A thread that starts while nobody collects is not touched, except to inherit labels. Without
   memory for its start it runs as it would without perflab, and joins when it is first met. */
PLI_HOOK int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*run)(void *), void *arg)
{
    static void *found;
    pli_create_function *next;
    *(void **)&next = pli_next_of(&found, "pthread_create");
    if (!next)
        next = pli_libc_pthread_create;
    bool join = PLI_LOAD(pli_threads.wanted) || pli_self->labels;
    pli_start *start = join ? pli_start_take(run, arg, __builtin_return_address(0)) : NULL;
    if (!start)
        return next(thread, attributes, run, arg);
    int error = next(thread, attributes, pli_start_run, start);
    if (error)
        pli_start_give(start);
    return error;
}

#endif /* PLI_INTERPOSE */

/* ==== >>module ===================================================================================
   The loaded objects: the program, its libraries, the vdso. Each stays in the list after it was
   unloaded, so that what was sampled in it still has names:

       pli_modules.all ──► program ──► libc ──► plugin (gone) ──► [vdso] ──► NULL

       pli_modules.map ──► [ program | libc | [vdso] ]    what is loaded, sorted by address

   Handlers look into the map, which never changes: a new one takes its place, and the old one is
   given back when no handler reads it any more. Every handler counts itself in and out for that.

   A library may also be unloaded while a handler reads its tables. So dlclose is hooked: it lets
   the handlers finish, and those that come meanwhile do without tables. dlopen is not hooked, since
   it depends on who calls it. What it has loaded is found by asking the dynamic linker for a single
   address, which glibc allows in handlers since 2.35; elsewhere, unwinding falls back to guesses
   there until the list is refreshed.

   The same address may belong to one library now and to another later. So time is counted in
   epochs: one ends when a library is unloaded in which something was sampled. A sample carries its
   epoch, and an address is looked up among the modules of that epoch, the youngest first.

   Invariant: modules that were sampled do not overlap in any epoch but the last one possible. */

#if PLI_LINUX

#define PLI_MODULE_TEXTS 4 /* executable segments; one is usual */
#define PLI_MODULES_MAX 4096 /* loaded ever */
#define PLI_BUILD_ID_MAX 32
#define PLI_EPOCHS_MAX 1000 /* the last one does not end: time and memory for them are bounded */
#define PLI_EPOCH_NOW UINT32_MAX /* the last epoch of a module that is still loaded */

/* A range of addresses that may be executed, and where in the file it begins. */
typedef struct pli_text { uintptr_t start, end; uint64_t offset; } pli_text;

/* The unwind tables of a module: their header, 0 if there is none, and their segment. Without a
   header there may be an index of perflab's own, sorted by address: see pli_index_make. */
typedef struct pli_index { uintptr_t function, fde; } pli_index;
typedef struct pli_tables {
    uintptr_t hdr, start, end;
    const pli_index *index;
    size_t count;
} pli_tables;

typedef struct pli_module {
    struct pli_module *next;      /* immutable once in the list */
    const char *name;             /* as the dynamic linker calls it */
    const char *path;             /* absolute; "[vdso]" for the kernel's */
    uintptr_t bias;               /* address in memory - address in the file's symbol table */
    uintptr_t start, end;         /* of all its segments */
    pli_text text[PLI_MODULE_TEXTS];
    int texts;
    int build_id_size;            /* 0: it has none */
    unsigned char build_id[PLI_BUILD_ID_MAX];
    const ElfW(Phdr) *phdrs;      /* in the module's own memory */
    int phdr_count;
    pli_tables tables;
    uint32_t first_epoch, last_epoch;
    uint32_t sampled;             /* 1: an address of it is in a stack; atomic */
    bool is_main, seen;           /* seen: in the refresh that is under way */
    struct pli_symbols *symbols;  /* its names, once somebody asked: see >>symbol; atomic */
    struct pli_debug *debug;      /* its debug information: see >>dwarf; under the lock there */
} pli_module;

/* What is executable, by address. Never written once it is published; `bytes` is for munmap. A
   module with two executable segments is in it twice. */
typedef struct pli_code_map {
    size_t count, bytes;
    struct { uintptr_t start, end; pli_module *module; } range[];
} pli_code_map;

static struct {
    pli_lock lock;
    pli_module *all, **last;  /* in the order of loading: the program first */
    size_t count;
    pli_code_map *map;             /* atomic */
    uint32_t epoch;           /* atomic */
    uint32_t readers;         /* handlers that use the map or a module's tables; atomic */
    uint32_t frozen;          /* not 0: a library may be going away; atomic */
    uint32_t unlisted;        /* 1: something was sampled that is not in the list yet; atomic */
    uint32_t generation;      /* changes whenever one has gone; atomic */
    unsigned long long loads; /* of the dynamic linker's counts, at the last refresh */
} pli_modules;

/* The epoch of what is sampled now. */
static uint32_t pli_modules_epoch_sig(void)
{
    return PLI_LOAD_ACQUIRE(pli_modules.epoch);
}

/* -- What handlers do -- */

/* Counts a handler in and returns the map, which then stays until the handler is counted out. */
static const pli_code_map *pli_modules_enter_sig(void)
{
    __atomic_add_fetch(&pli_modules.readers, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&pli_modules.map, __ATOMIC_SEQ_CST);
}

/* Whether modules' own memory must be left alone. Asked after entering: what is not frozen then
   stays until the handler is counted out. */
static bool pli_modules_frozen_sig(void)
{
    return __atomic_load_n(&pli_modules.frozen, __ATOMIC_SEQ_CST) != 0;
}

/* Release: the handler's last read of the map comes before the count that lets it be unmapped.
   The order that keeps a reader safe, and why the two sides need SEQ_CST:

       handler              refresh                      dlclose
       readers + 1          map = new                    frozen + 1
       m = map              wait for readers == 0        wait for readers == 0
       frozen?              munmap(old)                  unload
       readers - 1                                       frozen - 1

   Each side writes first and then reads what the other one writes. So either the handler sees the
   new value, or the other side sees the handler and waits for it. */
static void pli_modules_leave_sig(void)
{
    __atomic_sub_fetch(&pli_modules.readers, 1, __ATOMIC_RELEASE);
}

/* The loaded module with code at this address, or NULL. */
static pli_module *pli_code_map_find_sig(const pli_code_map *map, uintptr_t pc)
{
    size_t low = 0, high = map ? map->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->range[middle].end <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return map && low < map->count && map->range[low].start <= pc ? map->range[low].module : NULL;
}

/* The tables of the segment that has this header. */
static pli_tables pli_tables_of_sig(const ElfW(Phdr) *phdrs, int count, uintptr_t bias)
{
    pli_tables t = {0, 0, 0, NULL, 0};
    for (int i = 0; i < count; i++)
        if (phdrs[i].p_type == PT_GNU_EH_FRAME)
            t.hdr = bias + phdrs[i].p_vaddr;
    /* Linkers put .eh_frame into the same segment as its header: the bounds of that segment are
       the bounds for all that is read of either. */
    for (int i = 0; i < count && t.hdr; i++) {
        uintptr_t start = bias + phdrs[i].p_vaddr;
        if (phdrs[i].p_type == PT_LOAD && t.hdr >= start && t.hdr < start + phdrs[i].p_filesz)
            t.start = start, t.end = start + phdrs[i].p_filesz;
    }
    if (t.end == 0)
        t.hdr = 0;
    return t;
}

/* What handlers know of the code around an address. */
typedef struct pli_code {
    pli_text text;     /* its end is 0 where there is none */
    pli_tables tables;
} pli_code;

#if PLI_FIND_OBJECT

/* From program headers: the executable segment that has the address, and the tables. Between the
   segments of a library there may be holes that cannot be read. */
static pli_code pli_code_of_sig(const ElfW(Phdr) *phdrs, int count, uintptr_t bias, uintptr_t pc)
{
    pli_code code = {{0, 0, 0}, pli_tables_of_sig(phdrs, count, bias)};
    for (int i = 0; i < count; i++) {
        uintptr_t start = bias + phdrs[i].p_vaddr, end = start + phdrs[i].p_memsz;
        if (phdrs[i].p_type == PT_LOAD && (phdrs[i].p_flags & PF_X) && pc >= start && pc < end)
            code.text = (pli_text){start, end, phdrs[i].p_offset};
    }
    return code;
}

/* What lies at an address, as the dynamic linker says now: of libraries that were loaded since the
   last refresh, whose headers are on their first page. */
static pli_code pli_code_unlisted_sig(uintptr_t pc)
{
    const pli_code none = {{0, 0, 0}, {0, 0, 0, NULL, 0}};
    struct dl_find_object object;
    if (_dl_find_object((void *)pc, &object) != 0)
        return none;
    const ElfW(Ehdr) *elf = object.dlfo_map_start;
    uintptr_t start = (uintptr_t)elf, bias = start;
    if (!pli_os_readable_sig(start) || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
        elf->e_phoff > PLI_PAGE - elf->e_phnum * sizeof(ElfW(Phdr)))
        return none;
    const ElfW(Phdr) *phdrs = (const ElfW(Phdr) *)(start + elf->e_phoff);
    /* Backwards, so that the lowest PT_LOAD has the last word: ELF sorts them by p_vaddr, and
       the object is mapped from the page of the first one on. */
    for (int i = elf->e_phnum - 1; i >= 0; i--)
        if (phdrs[i].p_type == PT_LOAD) /* the first one lies lowest */
            bias = start - (phdrs[i].p_vaddr & ~(uintptr_t)(PLI_PAGE - 1));
    return pli_code_of_sig(phdrs, elf->e_phnum, bias, pc);
}

/* Whether a module of the map is still there: the C library unloads some without asking anybody,
   and not every program has the hook. */
static bool pli_module_stands_sig(const pli_module *m, uintptr_t pc)
{
    struct dl_find_object object;
    return m->is_main || m->path[0] == '[' ||
           (_dl_find_object((void *)pc, &object) == 0 &&
            (uintptr_t)object.dlfo_map_start == (m->start & ~(uintptr_t)(PLI_PAGE - 1)));
}

#else

/* Before glibc 2.35 and in musl nothing signal-safe tells where an address belongs: a library that
   was loaded after the last look at the list ends the walk. */
static pli_code pli_code_unlisted_sig(uintptr_t pc)
{
    (void)pc;
    return (pli_code){{0, 0, 0}, {0, 0, 0, NULL, 0}};
}

/* Nobody can be asked: at least it can be read. */
static bool pli_module_stands_sig(const pli_module *m, uintptr_t pc)
{
    const uintptr_t page = ~(uintptr_t)(PLI_PAGE - 1);
    return m->is_main || (pli_os_readable_sig(pc & page) &&
                          (!m->tables.hdr || (pli_os_readable_sig(m->tables.start & page) &&
                                              pli_os_readable_sig((m->tables.end - 1) & page))));
}

#endif

/* Looks an address up, and notes what it found as sampled. While libraries go away (frozen) only
   the map tells, and what it tells of must not be read. */
static pli_code pli_code_at_sig(const pli_code_map *map, uintptr_t pc, bool frozen)
{
    pli_module *m = pli_code_map_find_sig(map, pc);
    pli_code code = {{0, 0, 0}, {0, 0, 0, NULL, 0}};
    if (m && (frozen || pli_module_stands_sig(m, pc))) {
        if (!PLI_LOAD(m->sampled))
            PLI_STORE(m->sampled, 1);
        code.tables = m->tables;
        for (int i = 0; i < m->texts; i++)
            if (pc >= m->text[i].start && pc < m->text[i].end)
                code.text = m->text[i];
    } else if (!frozen) {
        code = pli_code_unlisted_sig(pc);
        if (code.text.end && !PLI_LOAD(pli_modules.unlisted))
            PLI_STORE(pli_modules.unlisted, 1);
    }
    return code;
}

/* -- The list. Under the lock -- */

/* Takes the build id from a segment of notes: what is said to be longer than that ends it. */
static void pli_module_read_notes(pli_module *m, const char *at, const char *end)
{
    while (end - at > 12) {
        /* A note, padded to four bytes after the name and after the content:

           04 00 00 00  14 00 00 00  03 00 00 00   4 bytes of name, 20 of content, type 3
           47 4e 55 00                             "GNU": types are counted by owner
           d0 4f ...                               the build id, a hash that the linker made */
        uint32_t head[3]; /* bytes of the name, of the content, type */
        memcpy(head, at, sizeof head);
        at += 12;
        size_t name = ((size_t)head[0] + 3) & ~(size_t)3;
        size_t content = ((size_t)head[1] + 3) & ~(size_t)3;
        if (name + content > (size_t)(end - at))
            return;
        if (head[2] == NT_GNU_BUILD_ID && head[0] == 4 && memcmp(at, "GNU", 4) == 0 &&
            head[1] <= PLI_BUILD_ID_MAX) {
            m->build_id_size = (int)head[1];
            memcpy(m->build_id, at + name, head[1]);
        }
        at += name + content;
    }
}

/* Takes a module's segments, notes and tables from its program headers. */
static void pli_module_read(pli_module *m)
{
    m->start = UINTPTR_MAX;
    m->tables = pli_tables_of_sig(m->phdrs, m->phdr_count, m->bias);
    for (int i = 0; i < m->phdr_count; i++) {
        const ElfW(Phdr) *p = &m->phdrs[i];
        uintptr_t start = m->bias + p->p_vaddr, end = start + p->p_memsz;
        if (p->p_type == PT_NOTE)
            pli_module_read_notes(m, (const char *)start, (const char *)end);
        if (p->p_type != PT_LOAD)
            continue;
        m->start = start < m->start ? start : m->start;
        m->end = end > m->end ? end : m->end;
        if ((p->p_flags & PF_X) && m->texts < PLI_MODULE_TEXTS)
            m->text[m->texts++] = (pli_text){start, end, p->p_offset};
    }
}

/* A copy that lives as long as the program. */
static const char *pli_keep_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = pli_keep(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* C libraries call the kernel's object by different names, "" too: its address tells it. */
static bool pli_is_vdso(const void *phdrs)
{
    uintptr_t base = getauxval(AT_SYSINFO_EHDR);
    return base && (uintptr_t)phdrs - base < PLI_PAGE;
}

/* The path of what the dynamic linker calls `name`. "" is the program: its path is that of the file
   at its program headers (`ld.so ./program` runs as ld.so), and so is that of one that was found
   from the working directory, which may change. */
static const char *pli_module_path(const char *name, const void *phdrs)
{
    char path[4096];
    if (pli_is_vdso(phdrs))
        return "[vdso]";
    if (*name == '/' && pli_modules.all) /* the program may be called /proc/self/exe */
        return name;
    if (pli_os_mapped_file((uintptr_t)phdrs, path, sizeof path))
        return pli_keep_text(path);
    if (*name)
        return name;
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    return pli_keep_text(path);
}

/* The first epoch of a new module: after those of modules that were sampled where it lies now. */
static uint32_t pli_module_epoch(const pli_module *new)
{
    uint32_t first = 0;
    for (const pli_module *m = pli_modules.all; m; m = m->next)
        if (m->sampled && m->start < new->end && new->start < m->end && m->last_epoch >= first)
            first = m->last_epoch + 1;
    return first < pli_modules.epoch ? first : pli_modules.epoch;
}

/* Adds what the dynamic linker tells of; false when there is no memory. */
static bool pli_module_add(const struct dl_phdr_info *info)
{
    pli_module *m = pli_modules.count < PLI_MODULES_MAX ? pli_keep(sizeof *m) : NULL;
    const char *name = m ? pli_keep_text(info->dlpi_name ? info->dlpi_name : "") : NULL;
    const char *path = name ? pli_module_path(name, info->dlpi_phdr) : NULL;
    if (!path)
        return false;
    m->name = name, m->path = path, m->bias = info->dlpi_addr;
    m->sampled = PLI_LOAD(pli_modules.unlisted); /* it may have been this */
    m->phdrs = info->dlpi_phdr, m->phdr_count = info->dlpi_phnum;
    m->last_epoch = PLI_EPOCH_NOW, m->is_main = !pli_modules.all;
    pli_module_read(m);
    m->first_epoch = pli_module_epoch(m);
    if (!pli_modules.last)
        pli_modules.last = &pli_modules.all;
    /* Release: who reads the list without the lock, to name an address, finds a whole module. */
    PLI_STORE_RELEASE(*pli_modules.last, m);
    pli_modules.last = &m->next;
    pli_modules.count++;
    return true;
}

/* Whether this is the module, loaded or not. */
static bool pli_module_is(const pli_module *m, const struct dl_phdr_info *info)
{
    return m->phdrs == info->dlpi_phdr && m->phdr_count == info->dlpi_phnum &&
           (pli_is_vdso(m->phdrs) ||
            strcmp(m->name, info->dlpi_name ? info->dlpi_name : "") == 0);
}

/* Whether a module that is met again goes on: nothing else was sampled there meanwhile. */
static bool pli_module_goes_on(const pli_module *m)
{
    return m->last_epoch == PLI_EPOCH_NOW || pli_module_epoch(m) <= m->last_epoch + 1;
}

/* Marks what was there at the last refresh and still is. For dl_iterate_phdr. */
static int pli_module_mark(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (pli_module *m = pli_modules.all; m; m = m->next)
        m->seen |= m->last_epoch == PLI_EPOCH_NOW && pli_module_is(m, info);
    return 0;
}

/* One object, for dl_iterate_phdr. Each time that it was there it may be in the list: the last one
   counts. */
static int pli_module_meet(struct dl_phdr_info *info, size_t size, void *failed)
{
    pli_module *met = NULL;
    (void)size;
    for (pli_module *m = pli_modules.all; m; m = m->next)
        if (pli_module_is(m, info))
            met = m;
    if (met && pli_module_goes_on(met))
        met->last_epoch = PLI_EPOCH_NOW;
    else if (!pli_module_add(info))
        *(bool *)failed = true;
    return 0;
}

/* Some C libraries do not list the kernel's object. */
static void pli_module_meet_vdso(bool *failed)
{
    uintptr_t base = getauxval(AT_SYSINFO_EHDR);
    const ElfW(Ehdr) *elf = (const ElfW(Ehdr) *)base;
    struct dl_phdr_info info;
    if (!base)
        return;
    memset(&info, 0, sizeof info);
    info.dlpi_phdr = (const ElfW(Phdr) *)(base + elf->e_phoff), info.dlpi_phnum = elf->e_phnum;
    info.dlpi_name = "[vdso]", info.dlpi_addr = base;
    for (int i = 0; i < elf->e_phnum; i++)
        if (info.dlpi_phdr[i].p_type == PT_LOAD)
            info.dlpi_addr = base - info.dlpi_phdr[i].p_vaddr;
    pli_module_meet(&info, 0, failed);
}

/* What is not there any more is gone: that ends an epoch if something of it was sampled. */
static void pli_modules_retire(void)
{
    bool sampled = false;
    for (pli_module *m = pli_modules.all; m; m = m->next)
        m->seen = m->path[0] == '['; /* the kernel's, which may not be told of */
    dl_iterate_phdr(pli_module_mark, NULL);
    for (pli_module *m = pli_modules.all; m; m = m->next) {
        if (m->seen || m->last_epoch != PLI_EPOCH_NOW)
            continue;
        m->last_epoch = pli_modules.epoch;
        sampled |= PLI_LOAD(m->sampled) != 0;
    }
    if (sampled && pli_modules.epoch < PLI_EPOCHS_MAX)
        PLI_STORE_RELEASE(pli_modules.epoch, pli_modules.epoch + 1);
}

/* Waits until no handler uses the map or a module that it found there before now. */
static void pli_modules_wait_for_readers(void)
{
    while (__atomic_load_n(&pli_modules.readers, __ATOMIC_SEQ_CST) != 0)
        pli_os_yield();
}

/* A map of what is loaded; NULL when there is no memory. */
static pli_code_map *pli_code_map_make(void)
{
    size_t count = 0, bytes;
    for (pli_module *m = pli_modules.all; m; m = m->next)
        count += m->last_epoch == PLI_EPOCH_NOW ? (size_t)m->texts : 0;
    bytes = sizeof(pli_code_map) + count * sizeof(*((pli_code_map *)0)->range);
    pli_code_map *map = pli_os_map(bytes);
    if (!map)
        return NULL;
    map->bytes = bytes;
    for (pli_module *m = pli_modules.all; m; m = m->next) {
        for (int i = 0; m->last_epoch == PLI_EPOCH_NOW && i < m->texts; i++) {
            /* By insertion: objects come in the order of loading, and a refresh is rare. */
            size_t at = map->count++;
            for (; at > 0 && map->range[at - 1].start > m->text[i].start; at--)
                map->range[at] = map->range[at - 1];
            map->range[at].start = m->text[i].start;
            map->range[at].end = m->text[i].end;
            map->range[at].module = m;
        }
    }
    return map;
}

/* Puts a new map in place of the old one. */
static bool pli_code_map_replace(void)
{
    pli_code_map *map = pli_code_map_make(), *old = pli_modules.map;
    if (!map)
        return false;
    __atomic_store_n(&pli_modules.map, map, __ATOMIC_SEQ_CST);
    pli_modules_wait_for_readers();
    if (old)
        munmap(old, old->bytes);
    return true;
}

/* Whether anything was loaded or unloaded since the last refresh; before the first one, all was.
   Asked of the first object. */
static int pli_modules_changed(struct dl_phdr_info *info, size_t size, void *changed)
{
    unsigned long long loads = 1;
    /* The C library passes the size of the structure that it knows: the two counts came later
       than the rest. Where they are missing, every refresh has to look at all objects. */
    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs)
        loads = info->dlpi_adds + info->dlpi_subs;
    *(bool *)changed = loads != pli_modules.loads || loads == 1 || !pli_modules.map;
    pli_modules.loads = loads;
    return 1;
}

/* Brings list and map up to date with what is loaded. PL_NOMEM when a module could not be added.
   Takes the dynamic linker's lock: not for handlers, not inside malloc. */
static pl_result pli_modules_refresh(void)
{
    bool failed = false, changed = true;
    pli_lock_take(&pli_modules.lock);
    dl_iterate_phdr(pli_modules_changed, &changed);
    if (changed) {
        pli_modules_retire(); /* first, since others may have taken their place */
        dl_iterate_phdr(pli_module_meet, &failed);
        pli_module_meet_vdso(&failed);
        PLI_STORE(pli_modules.unlisted, 0);
        PLI_ADD(pli_modules.generation, 1);
        failed |= !pli_code_map_replace();
    }
    pli_lock_give(&pli_modules.lock);
    return failed ? PL_NOMEM : PL_OK;
}

/* The module that had this address in that epoch, or NULL. */
static const pli_module *pli_module_at(uintptr_t pc, uint32_t epoch)
{
    const pli_module *found = NULL;
    for (pli_module *m = PLI_LOAD_ACQUIRE(pli_modules.all); m; m = PLI_LOAD_ACQUIRE(m->next))
        if (pc >= m->start && pc < m->end && epoch >= m->first_epoch && epoch <= m->last_epoch)
            found = m;
    return found;
}

/* A fork's child: nobody else is at work. */
static void pli_modules_fork_child(void)
{
    pli_modules.lock.state = pli_modules.readers = pli_modules.frozen = 0;
}

#if PLI_INTERPOSE

/* While this is under way, handlers keep away from modules' own memory. What goes has to be in the
   list before, or what was sampled in it would have no names. */
PLI_HOOK int dlclose(void *handle)
{
    static void *found;
    int (*next)(void *);
    *(void **)&next = pli_next_of(&found, "dlclose");
    if (!next || !PLI_LOAD(pli_modules.map))
        return next ? next(handle) : -1;
    /* A count, not a flag: destructors that dlclose runs may call dlclose again, and other
       threads may be in it at the same time. */
    __atomic_add_fetch(&pli_modules.frozen, 1, __ATOMIC_SEQ_CST);
    pli_modules_refresh();
    pli_modules_wait_for_readers();
    /* The lock is not held here: the library's destructors run inside, and may do anything. */
    int result = next(handle);
    pli_modules_refresh();
    __atomic_sub_fetch(&pli_modules.frozen, 1, __ATOMIC_SEQ_CST);
    return result;
}

#endif /* PLI_INTERPOSE */

/* ==== >>cfi ======================================================================================
   Where the caller of an address is. Compilers write down for every instruction how to find it, in
   .eh_frame, for the sake of exceptions:

       pc ──► row: cfa = sp + 24, return address at cfa - 8, caller's fp at cfa - 16

              ...            ◄── cfa: where the caller's sp was before the call
              return address
              saved fp
       sp ──► local

   .eh_frame holds small programs that make such rows. They are run when an address is met for the
   first time, by the handler itself, and the row is kept in a cache: starting costs nothing however
   large the program is, and a frame whose row is known costs a few loads. Only pc, sp, fp (and the
   link register, where there is one) are followed: they are enough for all but a few rows of
   assembler code.

   Where there is no row (musl, code made at run time), the frame is guessed: a return address on
   top of the stack, a frame pointer, or the nearest word that follows a call to here. A guess has
   to point behind a call instruction in known code. When nothing fits, the stack ends in
   PLI_PC_TRUNCATED.

   Every load is checked before it is made. Of a module: against the segment that holds the tables.
   Of the stack: each page, as it is entered, is shown to the kernel, which says whether it could be
   read. So nothing has to be known of the stack, and coroutines, signal stacks and the smallest
   thread's are walked alike.

   Invariant: no byte outside of the segment that holds the tables is read, whatever they say. */

/* Addresses that are no code but marks in a stack: time that is known of without its stack, and the
   root of a stack that was cut. */
enum { PLI_PC_LOST = 1, PLI_PC_TRUNCATED = 2, PLI_PC_MARKS = 16 };

/* -- Rows -- */

/* Where the caller's frame is (cfa), its fp and its return address. */
enum { PLI_CFA_UNKNOWN, PLI_CFA_SP, PLI_CFA_FP, PLI_CFA_LR, PLI_CFA_BX, PLI_CFA_AT_FP,
       PLI_CFA_PLT, PLI_CFA_SIGNAL, PLI_CFA_OUTERMOST };
enum { PLI_AT_SAME, PLI_AT_CFA, PLI_AT_FP, PLI_AT_UNKNOWN, PLI_AT_NOWHERE };

/* A rule says where the caller's value of a register is; its offset is in bytes, from cfa or
   from fp. A row is what the walker needs at one address. bx is followed only since some code of
   x86-64 keeps its cfa in it while it changes the stack pointer. */
typedef struct pli_rule { int at, offset; } pli_rule;
typedef struct pli_row { int cfa, cfa_offset; pli_rule fp, ra, bx; } pli_row;

static const pli_rule pli_ra_pushed = {PLI_AT_CFA, -8}; /* by a call, on x86-64 */

/* A row in one word, so that a cache entry is two:

       bits  0-3  cfa     4-5  fp.at     6-7  x.at
             8-35 cfa offset     36-49 fp offset / 8     50-63 x offset / 8

   x is the return address, or bx where calls push the return address. What does not fit is no
   row. */
static uint64_t pli_row_pack_sig(const pli_row *row)
{
    pli_rule fp = row->fp, x = PLI_RA_IN_REGISTER ? row->ra : row->bx;
    bool fits = row->cfa_offset >= -(1 << 27) && row->cfa_offset < 1 << 27 &&
                fp.offset >= -(1 << 16) && fp.offset < 1 << 16 && fp.offset % 8 == 0 &&
                x.offset >= -(1 << 16) && x.offset < 1 << 16 && x.offset % 8 == 0 &&
                (PLI_RA_IN_REGISTER || (row->ra.at == pli_ra_pushed.at &&
                                        row->ra.offset == pli_ra_pushed.offset));
    if (row->ra.at == PLI_AT_NOWHERE)
        return PLI_CFA_OUTERMOST;
    if (!fits || row->cfa == PLI_CFA_UNKNOWN || fp.at == PLI_AT_UNKNOWN ||
        (PLI_RA_IN_REGISTER && x.at == PLI_AT_UNKNOWN))
        return PLI_CFA_UNKNOWN;
    return (uint64_t)row->cfa | (uint64_t)fp.at << 4 | (uint64_t)x.at << 6 |
           ((uint64_t)row->cfa_offset & 0xfffffff) << 8 |
           ((uint64_t)(fp.offset / 8) & 0x3fff) << 36 | (uint64_t)(x.offset / 8) << 50;
}

/* The inverse. The shifts to the left and back, as signed numbers, extend the sign of each
   field: a fp is saved below cfa, so its offset is negative nearly always. */
static pli_row pli_row_unpack_sig(uint64_t word)
{
    pli_rule fp = {(int)(word >> 4 & 3), (int)((int64_t)(word << 14) >> 50) * 8};
    pli_rule x = {(int)(word >> 6 & 3), (int)((int64_t)word >> 50) * 8}, same = {PLI_AT_SAME, 0};
    return (pli_row){(int)(word & 15), (int)((int64_t)(word << 28) >> 36), fp,
                     PLI_RA_IN_REGISTER ? x : pli_ra_pushed, PLI_RA_IN_REGISTER ? same : x};
}

/* -- Reading tables: never outside of [at, end), whatever they say -- */

/* `bad` stays once it is set, and `at` then reads zeros: a caller may read several fields and
   look at `bad` once, behind the last of them. */
typedef struct pli_reader { const uint8_t *at, *end; bool bad; } pli_reader;

/* A little-endian number of 1 to 8 bytes; 0 and bad at the end. */
static uint64_t pli_read_sig(pli_reader *r, size_t size)
{
    uint64_t value = 0;
    if (r->bad || (size_t)(r->end - r->at) < size) {
        r->bad = true;
        r->at = r->end;
        return 0;
    }
    memcpy(&value, r->at, size);
    r->at += size;
    return value;
}

/* Such as the 4-byte distances of DW_EH_PE_sdata4: code lies before .eh_frame, so that they are
   negative. size is 1 to 8: at 0, the shift would not be defined. */
static int64_t pli_read_signed_sig(pli_reader *r, size_t size)
{
    int unused = 64 - 8 * (int)size;
    return (int64_t)(pli_read_sig(r, size) << unused) >> unused;
}

/* LEB128: seven bits a byte, the lowest first; the last byte lacks bit 7. */
static uint64_t pli_read_uleb_sig(pli_reader *r)
{
    uint64_t value = 0, byte = 0x80;
    if (!r->bad && r->at < r->end && *r->at < 0x80) /* as nearly all are */
        return *r->at++;
    for (int shift = 0; (byte & 0x80) && !r->bad; shift += 7) {
        byte = pli_read_sig(r, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
    }
    return value;
}

/* The same with a sign, which is bit 6 of the last byte: 78 is -8, the usual data alignment, and
   f8 00 is 120. Bits past the 64th are dropped, but their bytes are read. */
static int64_t pli_read_sleb_sig(pli_reader *r)
{
    uint64_t value = 0, byte = 0x80;
    int shift = 0;
    for (; (byte & 0x80) && !r->bad; shift += 7) {
        byte = pli_read_sig(r, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
    }
    if (shift < 64 && (byte & 0x40))
        value |= ~(uint64_t)0 << shift;
    return (int64_t)value;
}

/* A pointer in one of the DW_EH_PE encodings: the low four bits are its form, the next three what
   it counts from. Bad for forms that no compiler uses here. */
static uintptr_t pli_read_pointer_sig(pli_reader *r, uint8_t encoding, uintptr_t hdr)
{
    /* Forms: 0 absptr, 2 udata2, 3 udata4, 4 udata8, 10 to 12 the signed ones; bit 3 is the
       sign. Bases: 0x10 the field's own address, 0x30 the header's. Linkers write 0x1b (pcrel,
       sdata4) for FDEs and 0x3b (datarel, sdata4) in the header's table. 0x80 is one more load,
       and is refused. */
    static const uint8_t sizes[16] = {8, 0, 2, 4, 8, 0, 0, 0, 0, 0, 2, 4, 8, 0, 0, 0};
    uintptr_t base = (encoding & 0x70) == 0x10 ? (uintptr_t)r->at :
                     (encoding & 0x70) == 0x30 ? hdr : 0;
    size_t size = sizes[encoding & 15];
    if (size == 0 || (encoding & 0xc0) || ((encoding & 0x70) && !base)) {
        r->bad = true;
        return 0;
    }
    return base + (uintptr_t)((encoding & 8) ? pli_read_signed_sig(r, size) :
                              (int64_t)pli_read_sig(r, size));
}

/* Moves on; bad when that is further than the end. */
static void pli_skip_sig(pli_reader *r, uint64_t size)
{
    if (r->bad || size > (uint64_t)(r->end - r->at)) {
        r->bad = true;
        r->at = r->end;
        return;
    }
    r->at += size;
}

/* A part of what is read. */
static pli_reader pli_sub_reader_sig(pli_reader *r, uint64_t size)
{
    pli_reader sub = *r;
    pli_skip_sig(r, size);
    sub.end = r->at, sub.bad = r->bad;
    return sub;
}

/* -- FDEs: one a function, and the CIE that several share -- */

/* What gcc writes for a function with a frame pointer on x86-64. Numbers are little-endian:

       14 00 00 00   length of the CIE: what follows
       00 00 00 00   a CIE; an FDE has a distance here, never 0
       01            version
       7a 52 00      augmentation "zR": its data has a size, and is the encoding of addresses
       01 78 10      code in units of 1, data of -8 (sleb); column 16 is the return address
       01 1b         one byte of augmentation data: pcrel, sdata4
       0c 07 08      DW_CFA_def_cfa: cfa = r7 (sp) + 8
       90 01         DW_CFA_offset: r16 is saved at cfa + 1 * -8
       00 00         DW_CFA_nop: filler

       1c 00 00 00   length of the FDE
       1c 00 00 00   from this field back to its CIE
       .. .. .. ..   the function, from this field on
       2b 00 00 00   its size: 43 bytes
       00            no augmentation data
       41 0e 10      behind push %rbp: cfa = sp + 16 (DW_CFA_def_cfa_offset)
       86 02         r6 (fp) is saved at cfa - 16
       43 0d 06      behind mov %rsp, %rbp: cfa counts from r6, still + 16
       66 0c 07 08   38 bytes further, behind pop %rbp: cfa = sp + 8 again
       00 00 00 */
typedef struct pli_fde {
    uintptr_t start, end;    /* the function */
    pli_reader common, own;  /* the programs: of the CIE, then its own */
    uint64_t code_align;
    int64_t data_align;
    uint64_t ra;             /* the column that stands for the return address */
    bool signal;             /* the caller was interrupted, not called */
} pli_fde;

/* What precedes a CIE or FDE: its length. The reader of its content; bad for the end mark and for
   the 64-bit form, which nothing needs. */
static pli_reader pli_entry_sig(const pli_tables *t, uintptr_t at)
{
    bool inside = at >= t->start && at < t->end; /* else nothing of it can be read */
    pli_reader r = {(const uint8_t *)(inside ? at : t->end), (const uint8_t *)t->end, !inside};
    uint64_t length = pli_read_sig(&r, 4);
    if (length == 0 || length >= 0xfffffff0u)
        r.bad = true;
    return pli_sub_reader_sig(&r, length);
}

/* The augmentation "zPLRSB": what each letter brings along. */
static void pli_cie_augmentation_sig(const char *letters, pli_reader *data, uintptr_t hdr,
                                     uint8_t *encoding, pli_fde *fde)
{
    for (; *letters; letters++) {
        /* P, the personality routine, may be indirect (0x80), as in position-independent C++.
           Nothing needs its value, only its length, so that bit is cleared before it is read. */
        if (*letters == 'R')
            *encoding = (uint8_t)pli_read_sig(data, 1);
        else if (*letters == 'P')
            pli_read_pointer_sig(data, (uint8_t)pli_read_sig(data, 1) & 0x7f, hdr);
        else if (*letters == 'L')
            pli_read_sig(data, 1);
        else if (*letters == 'S')
            fde->signal = true;
        else if (*letters != 'z' && *letters != 'B')
            data->bad = true;
    }
}

/* Reads a CIE; *encoding is how its FDEs write addresses, *sized whether they have augmentation
   data. False when it cannot be understood. */
static bool pli_cie_read_sig(const pli_tables *t, uintptr_t at, uint8_t *encoding, bool *sized,
                             pli_fde *fde)
{
    pli_reader r = pli_entry_sig(t, at);
    uint64_t id = pli_read_sig(&r, 4), version = pli_read_sig(&r, 1);
    /* Where the string has no end inside the entry, the loop below makes the reader bad: letters
       is used only behind that test. Version 1 has one byte for the return column, 3 a uleb. */
    const char *letters = (const char *)r.at;
    while (pli_read_sig(&r, 1) != 0 && !r.bad)
        continue;
    if (r.bad || id != 0 || (version != 1 && version != 3))
        return false;
    fde->code_align = pli_read_uleb_sig(&r);
    fde->data_align = pli_read_sleb_sig(&r);
    fde->ra = version == 1 ? pli_read_sig(&r, 1) : pli_read_uleb_sig(&r);
    *encoding = 0;
    *sized = *letters == 'z';
    if (*sized) {
        pli_reader data = pli_sub_reader_sig(&r, pli_read_uleb_sig(&r));
        pli_cie_augmentation_sig(letters, &data, t->hdr, encoding, fde);
        r.bad |= data.bad;
    }
    fde->common = r;
    return !r.bad && (*sized || !*letters);
}

/* Reads an FDE and the CIE that it points back to. False for a CIE, whose distance is 0, for
   entries that leave the segment, and for what cannot be understood. */
static bool pli_fde_read_sig(const pli_tables *t, uintptr_t at, pli_fde *fde)
{
    uint8_t encoding;
    bool sized;
    pli_reader r = pli_entry_sig(t, at);
    uintptr_t here = (uintptr_t)r.at;
    uint64_t back = pli_read_sig(&r, 4);
    memset(fde, 0, sizeof *fde);
    if (r.bad || back == 0 || !pli_cie_read_sig(t, here - back, &encoding, &sized, fde))
        return false;
    fde->start = pli_read_pointer_sig(&r, encoding, t->hdr);
    fde->end = fde->start + pli_read_pointer_sig(&r, encoding & 0x0f, t->hdr);
    if (sized)
        pli_skip_sig(&r, pli_read_uleb_sig(&r));
    fde->own = r;
    return !r.bad;
}

/* The same by perflab's own index, which may have been half there when *t was copied. */
static bool pli_fde_find_in_index_sig(const pli_tables *t, uintptr_t pc, pli_fde *fde)
{
    size_t low = 0, high = t->index ? t->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->index[middle].function <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && pli_fde_read_sig(t, t->index[low - 1].fde, fde) && pc >= fde->start &&
           pc < fde->end;
}

/* The FDE of the function that has this address, by the sorted table of .eh_frame_hdr:

       version 1, encodings of the next two and of the table; address of .eh_frame; count;
       (start, FDE) (start, FDE) ...    as two offsets from the header: what linkers write */
static bool pli_fde_find_sig(const pli_tables *t, uintptr_t pc, pli_fde *fde)
{
    if (t->hdr == 0)
        return pli_fde_find_in_index_sig(t, pc, fde);
    pli_reader r = {(const uint8_t *)t->hdr, (const uint8_t *)t->end, false};
    /* The four bytes are 01 1b 03 3b as linkers write them: version, .eh_frame as pcrel sdata4,
       count as udata4, table as datarel sdata4. Only the last one, and the version, have to be
       so: another form of the table could not be searched in steps of 8 bytes. */
    uint64_t head = pli_read_sig(&r, 4);
    if ((head & 0xff) != 1 || head >> 24 != 0x3b)
        return false;
    pli_read_pointer_sig(&r, (uint8_t)(head >> 8), t->hdr);
    uint64_t count = pli_read_pointer_sig(&r, (uint8_t)(head >> 16), t->hdr);
    uint64_t room = (uint64_t)(r.end - r.at) / 8, low = 0, high = count < room ? count : room;
    int32_t pair[2];
    if (r.bad)
        return false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        memcpy(pair, r.at + 8 * middle, sizeof pair);
        if (t->hdr + (uintptr_t)(intptr_t)pair[0] <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    memcpy(pair, r.at + 8 * (low - 1), sizeof pair);
    return pli_fde_read_sig(t, t->hdr + (uintptr_t)(intptr_t)pair[1], fde) && pc >= fde->start &&
           pc < fde->end;
}

/* -- Programs: DWARF's call frame instructions, as far as they concern cfa, fp and ra -- */

#define PLI_CFI_DEPTH 6 /* DW_CFA_remember_state; compilers nest it once */

/* A program under way. `initial` is the row behind the CIE's program: DW_CFA_restore goes back
   to it, not to the last one saved. While the CIE's own program runs it is all zero, which is a
   register's rule SAME. */
typedef struct pli_cfi {
    const pli_fde *fde;
    uintptr_t at;       /* the address that the row is for */
    pli_row row, initial, saved[PLI_CFI_DEPTH];
    int depth;
} pli_cfi;

/* An offset in units of the CIE. Unsigned, since a damaged table may hold any number. */
static int pli_cfi_scaled_sig(const pli_cfi *c, uint64_t units)
{
    return (int)(units * (uint64_t)c->fde->data_align);
}

/* Registers other than these four are not followed: the cfa is unknown until an instruction
   names one of them again. */
static void pli_cfi_set_cfa_sig(pli_cfi *c, uint64_t reg, int64_t offset)
{
    c->row.cfa = reg == PLI_REG_SP ? PLI_CFA_SP : reg == PLI_REG_FP ? PLI_CFA_FP :
                 reg == PLI_REG_LR ? PLI_CFA_LR : reg == PLI_REG_BX ? PLI_CFA_BX : PLI_CFA_UNKNOWN;
    c->row.cfa_offset = (int)offset;
}

/* Two forms are in use: *(fp + n), in functions that align their stack, and that of the linker's
   procedure linkage table, where each entry of 16 bytes pushes something after n, 9 or 11:
   sp + 8 + ((pc & 15) >= n ? 8 : 0). */
static void pli_cfi_cfa_expression_sig(pli_cfi *c, pli_reader code)
{
    /* DW_OP_breg7 8, breg16 0, lit15, and, lit n, ge, lit3, shl, plus. As a stack machine: the
       lowest four bits of pc, compared with n, give 0 or 1, which is shifted to 0 or 8 and added
       to sp + 8. breg16 is the column of the return address and means pc here. */
    static const uint8_t plt[] = {0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x30, 0x2a, 0x33, 0x24, 0x22};
    c->row.cfa = PLI_CFA_UNKNOWN;
    if ((size_t)(code.end - code.at) == sizeof plt && memcmp(code.at, plt, 6) == 0 &&
        (code.at[6] & 0xf0) == plt[6] && memcmp(code.at + 7, plt + 7, 4) == 0) {
        c->row.cfa = PLI_CFA_PLT;
        c->row.cfa_offset = code.at[6] & 15; /* DW_OP_lit n */
    } else if (pli_read_sig(&code, 1) == 0x70 + PLI_REG_FP) { /* DW_OP_breg of fp */
        c->row.cfa_offset = (int)pli_read_sleb_sig(&code);
        if (pli_read_sig(&code, 1) == 0x06 && code.at == code.end && !code.bad) /* DW_OP_deref */
            c->row.cfa = PLI_CFA_AT_FP;
    }
}

/* "Saved at fp + n" is the one form that is understood. */
static pli_rule pli_cfi_expression_sig(pli_reader code)
{
    pli_rule rule = {PLI_AT_UNKNOWN, 0};
    if (pli_read_sig(&code, 1) == 0x70 + PLI_REG_FP) {
        rule.offset = (int)pli_read_sleb_sig(&code);
        if (code.at == code.end && !code.bad)
            rule.at = PLI_AT_FP;
    }
    return rule;
}

/* Whether an instruction says how one register was saved. */
static bool pli_cfi_about_register_sig(uint8_t code)
{
    return code >> 6 >= 2 || (code >= 0x05 && code <= 0x09) || code == 0x10 || code == 0x11 ||
           (code >= 0x14 && code <= 0x16);
}

/* Its rule. What is not understood is read all the same, and the register unknown. */
static pli_rule pli_cfi_new_rule_sig(pli_cfi *c, uint8_t code, pli_reader *r)
{
    pli_rule rule = {PLI_AT_UNKNOWN, 0};
    if (code >> 6 == 2 || code == 0x05) /* DW_CFA_offset, DW_CFA_offset_extended */
        rule = (pli_rule){PLI_AT_CFA, pli_cfi_scaled_sig(c, pli_read_uleb_sig(r))};
    else if (code == 0x11) /* DW_CFA_offset_extended_sf */
        rule = (pli_rule){PLI_AT_CFA, pli_cfi_scaled_sig(c, (uint64_t)pli_read_sleb_sig(r))};
    else if (code == 0x08) /* DW_CFA_same_value */
        rule.at = PLI_AT_SAME;
    else if (code == 0x09 || code == 0x14) /* DW_CFA_register, DW_CFA_val_offset */
        pli_read_uleb_sig(r);
    else if (code == 0x15) /* DW_CFA_val_offset_sf */
        pli_read_sleb_sig(r);
    else if (code == 0x10) /* DW_CFA_expression */
        rule = pli_cfi_expression_sig(pli_sub_reader_sig(r, pli_read_uleb_sig(r)));
    else if (code == 0x16) /* DW_CFA_val_expression */
        pli_skip_sig(r, pli_read_uleb_sig(r));
    return rule;
}

/* The register is in the low six bits of the two short forms (DW_CFA_offset, DW_CFA_restore),
   else a uleb behind the code. All operands are read for registers that nobody follows, too: the
   next instruction begins behind them. */
static void pli_cfi_register_sig(pli_cfi *c, uint8_t code, pli_reader *r)
{
    uint64_t reg = code >> 6 >= 2 ? code & 0x3f : pli_read_uleb_sig(r);
    bool restore = code >> 6 == 3 || code == 0x06;
    pli_rule rule = {PLI_AT_SAME, 0};
    if (!restore)
        rule = pli_cfi_new_rule_sig(c, code, r);
    if (reg == PLI_REG_FP)
        c->row.fp = restore ? c->initial.fp : rule;
    else if (reg == c->fde->ra)
        c->row.ra = restore ? c->initial.ra : rule;
    else if (reg == PLI_REG_BX)
        c->row.bx = restore ? c->initial.bx : rule;
    if (code == 0x07 && reg == c->fde->ra) /* DW_CFA_undefined: nobody has called this */
        c->row.ra.at = PLI_AT_NOWHERE;
}

/* Instructions about the cfa, and those that save and restore rows. */
static void pli_cfi_frame_sig(pli_cfi *c, uint8_t code, pli_reader *r)
{
    uint64_t reg;
    if (code == 0x0c || code == 0x12) { /* DW_CFA_def_cfa, _sf */
        reg = pli_read_uleb_sig(r);
        pli_cfi_set_cfa_sig(c, reg, code == 0x0c ? (int64_t)pli_read_uleb_sig(r) :
                            pli_cfi_scaled_sig(c, (uint64_t)pli_read_sleb_sig(r)));
    } else if (code == 0x0d) { /* DW_CFA_def_cfa_register */
        pli_cfi_set_cfa_sig(c, pli_read_uleb_sig(r), c->row.cfa_offset);
    } else if (code == 0x0e) { /* DW_CFA_def_cfa_offset */
        c->row.cfa_offset = (int)pli_read_uleb_sig(r);
    } else if (code == 0x13) { /* DW_CFA_def_cfa_offset_sf */
        c->row.cfa_offset = pli_cfi_scaled_sig(c, (uint64_t)pli_read_sleb_sig(r));
    } else if (code == 0x0f) { /* DW_CFA_def_cfa_expression */
        pli_cfi_cfa_expression_sig(c, pli_sub_reader_sig(r, pli_read_uleb_sig(r)));
    } else if (code == 0x0a && c->depth < PLI_CFI_DEPTH) { /* DW_CFA_remember_state */
        c->saved[c->depth++] = c->row;
    } else if (code == 0x0b && c->depth > 0) { /* DW_CFA_restore_state */
        c->row = c->saved[--c->depth];
    } else if (code == 0x2e) { /* DW_CFA_GNU_args_size */
        pli_read_uleb_sig(r);
    } else if (code != 0x00 && code != 0x2d) { /* nop, aarch64's signed return addresses */
        r->bad = true;
    }
}

/* Whether the code moves on to a later address; *by is how far. */
static bool pli_cfi_advance_sig(const pli_cfi *c, uint8_t code, pli_reader *r, uintptr_t *by)
{
    if (code >> 6 == 1) /* DW_CFA_advance_loc; 2 to 4: with 1, 2 or 4 bytes of distance */
        *by = (code & 0x3f) * c->fde->code_align;
    else if (code >= 0x02 && code <= 0x04)
        *by = pli_read_sig(r, (size_t)1 << (code - 2)) * c->fde->code_align;
    else
        return false;
    return true;
}

/* Runs a program up to the row of c->at; false when it makes no sense. */
static bool pli_cfi_run_sig(pli_cfi *c, pli_reader r)
{
    uintptr_t here = c->fde->start, by;
    while (r.at < r.end && !r.bad) {
        uint8_t code = (uint8_t)pli_read_sig(&r, 1);
        if (pli_cfi_advance_sig(c, code, &r, &by)) {
            here += by;
            /* A row holds from its address up to the next one: the row at c->at itself is
               complete when the code moves past it. */
            if (here > c->at)
                break;
        } else if (pli_cfi_about_register_sig(code)) {
            pli_cfi_register_sig(c, code, &r);
        } else {
            pli_cfi_frame_sig(c, code, &r);
        }
    }
    return !r.bad;
}

/* The row of an address, from its tables. */
static uint64_t pli_row_make_sig(const pli_tables *t, uintptr_t pc)
{
    pli_fde fde;
    pli_cfi c;
    if (!pli_fde_find_sig(t, pc, &fde))
        return PLI_CFA_UNKNOWN;
    memset(&c, 0, sizeof c);
    c.fde = &fde, c.at = pc;
    if (!pli_cfi_run_sig(&c, fde.common))
        return PLI_CFA_UNKNOWN;
    c.initial = c.row;
    if (!pli_cfi_run_sig(&c, fde.own))
        return PLI_CFA_UNKNOWN;
    if (fde.signal)
        return PLI_CFA_SIGNAL;
    return pli_row_pack_sig(&c.row);
}

/* ==== >>unwind ===================================================================================
   One walker for all stacks. A step looks for the row of the address where it is, computes the
   caller's frame from it, and goes on there:

       pc, sp, fp ──► row ──► cfa ──► return address = next pc
                       ▲               cfa           = next sp
                       │               saved fp      = next fp
       cache ──► tables of the module (>>cfi) ──► a guess

   The leaf's address is that of an instruction, all others lie behind a call: the call may be the
   last instruction of its function, and what follows it may belong to another one. So callers are
   looked up one byte before their address. What a signal has interrupted is like a leaf again.

   A walk ends at a row that says so (outermost: the start of a thread or of the program), at a
   return address of 0, or when nothing is known any more.

   Invariant: the walk goes up the stack only, but where it crosses a signal frame; it reads no page
   that it has not asked the kernel for, but of the main thread's stack, where it knows. */

/* -- The cache of rows: pairs of places, where the youngest takes the first and pushes the one
   before into the second --

   A key is what its address and its row give by exclusive or; a reader who finds a key and a row
   that belong to different addresses gets another address out, and takes it for a miss. */

#define PLI_ROWS 4096

/* 64 KiB, shared by all threads, zero at first. No lock and no order of the two stores is
   needed: see the key above. A lost race costs one more run of the program. */
static struct { uint64_t key, row; } pli_rows[PLI_ROWS] __attribute__((aligned(64)));

/* An address, and in its unused bits the generation of modules. */
static uint64_t pli_row_name_sig(uintptr_t pc)
{
    return (uint64_t)pc ^ (uint64_t)(PLI_LOAD(pli_modules.generation) + 1) << 48;
}

/* The first place of a name's pair. Multiplying by 2^64 / golden ratio spreads neighbours; the
   upper twelve bits of the product choose. One place alone costs a walk over 32 frames two rows in
   every eighth run, a third of its time. Zeroes never match: a name has the generation + 1 in its
   upper bits. */
static size_t pli_row_place_sig(uint64_t name)
{
    return (size_t)(name * 0x9e3779b97f4a7c15u >> 52) % PLI_ROWS & ~(size_t)1;
}

/* Both places of the pair are looked at; a hit in the second one does not change their order, so
   that a look writes nothing and handlers on different processors do not fight for the line. */
static bool pli_row_cached_sig(uintptr_t pc, uint64_t *row)
{
    uint64_t name = pli_row_name_sig(pc);
    size_t at = pli_row_place_sig(name);
    *row = PLI_LOAD(pli_rows[at].row);
    if ((PLI_LOAD(pli_rows[at].key) ^ *row) == name)
        return true;
    *row = PLI_LOAD(pli_rows[at + 1].row);
    return (PLI_LOAD(pli_rows[at + 1].key) ^ *row) == name;
}

/* The second place is lost, the first one moves there. */
static void pli_row_keep_sig(uintptr_t pc, uint64_t row)
{
    uint64_t name = pli_row_name_sig(pc);
    size_t at = pli_row_place_sig(name);
    PLI_STORE(pli_rows[at + 1].row, PLI_LOAD(pli_rows[at].row));
    PLI_STORE(pli_rows[at + 1].key, PLI_LOAD(pli_rows[at].key));
    PLI_STORE(pli_rows[at].row, row);
    PLI_STORE(pli_rows[at].key, name ^ row);
}

/* -- The walk -- */

/* What has been checked during one walk. */
typedef struct pli_walk {
    const pli_code_map *map;
    pli_regs regs;
    uintptr_t low, high; /* of the stack: readable */
    uintptr_t last_text_start, last_text_end; /* where the last address was found */
    bool exact;          /* pc was interrupted; else it is a return address */
    bool frozen;         /* modules must not be read during this walk */
} pli_walk;

/* An address at the outer end of the main thread's stack, or 0. From an sp that is near on, all of
   that stack can be read: the kernel keeps other memory away and lets the stack grow. Saves a third
   of what a walk over 32 frames costs: three probes of 100 ns (bench/unwind.c). */
static uintptr_t pli_stack_end;
#define PLI_STACK_NEAR ((uintptr_t)1 << 20)

/* The beginning of a walk: nothing of the stack is known to be readable yet, unless it is the main
   thread's. `exact`, since the first address is where the thread was interrupted. */
static pli_walk pli_walk_begin_sig(const pli_regs *regs, const pli_code_map *map)
{
    pli_walk w;
    memset(&w, 0, sizeof w);
    w.map = map;
    w.frozen = pli_modules_frozen_sig();
    w.regs = *regs;
    w.exact = true;
    uintptr_t end = PLI_LOAD(pli_stack_end);
    if (end - regs->sp < PLI_STACK_NEAR) {
        w.low = regs->sp & ~(uintptr_t)(PLI_PAGE - 1);
        w.high = end & ~(uintptr_t)7;
    }
    return w;
}

/* Reads a word of the stack: false when it is not aligned or not there. */
static bool pli_load_sig(pli_walk *w, uintptr_t at, uintptr_t *word)
{
    if (at % sizeof *word != 0)
        return false;
    if (at < w->low || at >= w->high) {
        /* The range grows upwards by pages, as the walk does. An address elsewhere begins a new
           range: a handler on a signal stack goes on, past its frame, on the thread's own stack. */
        uintptr_t page = at & ~(uintptr_t)(PLI_PAGE - 1);
        if (!pli_os_readable_sig(page))
            return false;
        if (page == w->high)
            w->high += PLI_PAGE;
        else
            w->low = page, w->high = page + PLI_PAGE;
    }
    *word = *(const uintptr_t *)at;
    return true;
}

/* Whether an address may be code: in a module. */
static bool pli_text_known_sig(pli_walk *w, uintptr_t pc)
{
    if (pc >= w->last_text_start && pc < w->last_text_end)
        return true;
    pli_text text = pli_code_at_sig(w->map, pc, w->frozen).text;
    w->last_text_start = text.start, w->last_text_end = text.end;
    return text.end != 0;
}

/* Where the program begins, in code of libc that often has no tables, and room enough for it. */
static uintptr_t pli_entry;
#define PLI_ENTRY_SIZE 64

/* Whether a handler has returned here: to the first of the two instructions that end it, or it was
   interrupted between them. */
static bool pli_is_restorer_sig(const pli_walk *w, uintptr_t end)
{
    uintptr_t pc = w->regs.pc;
    bool between = w->exact && pc - w->last_text_start >= 8 && w->last_text_end;
    for (uintptr_t back = 0; back <= (between ? 7 : 0); back++)
        if (pli_os_is_restorer_sig((const uint8_t *)pc - back, end))
            return true;
    return false;
}

/* The row of an address without tables that may yet be known: code that ends a handler or a thread,
   the program's first, or a return address that no call has left behind, but who made the stack of
   a coroutine. */
static uint64_t pli_row_known_sig(pli_walk *w)
{
    uintptr_t pc = w->regs.pc, page = pc & ~(uintptr_t)(PLI_PAGE - 1), target = 0;
    bool known = pli_text_known_sig(w, pc); /* emulators have their own code to end handlers */
    uintptr_t end = known ? w->last_text_end : pli_os_readable_sig(page) ? page + PLI_PAGE : 0;
    if (pli_is_restorer_sig(w, end))
        return PLI_CFA_SIGNAL;
    if (!known)
        return PLI_CFA_UNKNOWN;
    bool called = w->exact || pc - w->last_text_start < 8 ||
                  pli_os_follows_call_sig((const uint8_t *)pc, &target);
    bool root = pc - PLI_LOAD(pli_entry) < PLI_ENTRY_SIZE ||
                pli_os_is_thread_end_sig((const uint8_t *)pc, end);
    return called && !root ? PLI_CFA_UNKNOWN : PLI_CFA_OUTERMOST;
}

/* The row of where the walk is. */
static uint64_t pli_row_find_sig(pli_walk *w)
{
    /* A return address may be the first byte behind its function, where a call does not return
       and nothing follows. Less one, it lies in the call, and has the row of the call. */
    uintptr_t pc = w->regs.pc - !w->exact;
    uint64_t row;
    if (pli_row_cached_sig(pc, &row))
        return row;
    if (w->frozen)
        return PLI_CFA_UNKNOWN;
    pli_code code = pli_code_at_sig(w->map, pc, false);
    row = pli_row_make_sig(&code.tables, pc);
    if (row == PLI_CFA_UNKNOWN)
        row = pli_row_known_sig(w);
    pli_row_keep_sig(pc, row);
    return row;
}

/* Moves to a caller whose frame begins at cfa. False where that would be down the stack. */
static bool pli_walk_to_sig(pli_walk *w, uintptr_t cfa, uintptr_t ra, uintptr_t fp, uintptr_t bx)
{
    bool leaf = w->exact && PLI_RA_IN_REGISTER; /* it may use no stack at all */
    if (cfa < w->regs.sp || (cfa == w->regs.sp && !leaf))
        return false;
    w->regs = (pli_regs){pli_os_strip_sig(ra), cfa, fp, 0, bx};
    w->exact = false;
    return true;
}

/* Where the frame of the caller begins; 0 when that is unknown. */
static uintptr_t pli_walk_cfa_sig(pli_walk *w, const pli_row *row)
{
    const pli_regs *r = &w->regs;
    uintptr_t offset = (uintptr_t)(intptr_t)row->cfa_offset, cfa = 0;
    if (row->cfa == PLI_CFA_SP)
        cfa = r->sp + offset;
    else if (row->cfa == PLI_CFA_FP)
        cfa = r->fp + offset;
    else if (row->cfa == PLI_CFA_PLT)
        cfa = r->sp + 8 + ((r->pc & 15) >= offset ? 8 : 0);
    else if (row->cfa == PLI_CFA_AT_FP)
        cfa = pli_load_sig(w, r->fp + offset, &cfa) ? cfa : 0;
    else if (row->cfa == PLI_CFA_BX && r->bx)
        cfa = r->bx + offset;
    else if (row->cfa == PLI_CFA_LR && w->exact) /* no call has overwritten it */
        cfa = r->lr + offset;
    return cfa;
}

/* The caller's value of a register. What is saved at fp is there as long as fp is in the frame: gcc
   forgets to say that it is no more, in the last two instructions of functions that align their
   stack. */
static bool pli_walk_saved_sig(pli_walk *w, pli_rule rule, uintptr_t cfa, uintptr_t *value)
{
    uintptr_t offset = (uintptr_t)(intptr_t)rule.offset, fp = w->regs.fp;
    if (rule.at == PLI_AT_CFA)
        return pli_load_sig(w, cfa + offset, value);
    if (rule.at == PLI_AT_FP && fp >= w->regs.sp && fp < cfa)
        return pli_load_sig(w, fp + offset, value);
    return true;
}

/* By a row of the tables. */
static bool pli_walk_row_sig(pli_walk *w, pli_row row)
{
    uintptr_t cfa = pli_walk_cfa_sig(w, &row), ra = w->regs.lr, fp = w->regs.fp;
    uintptr_t bx = row.bx.at == PLI_AT_UNKNOWN ? 0 : w->regs.bx;
    /* "The same" holds only in the frame that was interrupted, before it saves the link register.
       Further up that would be the frame's own address once more, without end. */
    if (row.ra.at == PLI_AT_SAME && (!PLI_RA_IN_REGISTER || !w->exact))
        return false;
    return cfa && pli_walk_saved_sig(w, row.ra, cfa, &ra) &&
           pli_walk_saved_sig(w, row.fp, cfa, &fp) && pli_walk_saved_sig(w, row.bx, cfa, &bx) &&
           pli_walk_to_sig(w, cfa, ra, fp, bx);
}

/* Past the frame that the kernel made for a handler: what was interrupted goes on. */
static bool pli_walk_signal_sig(pli_walk *w)
{
    pli_regs regs;
    uintptr_t *word[] = {&regs.pc, &regs.sp, &regs.fp, &regs.lr, &regs.bx};
    for (int i = 0; i < 5; i++)
        if (!pli_load_sig(w, w->regs.sp + pli_os_frame_offset_sig(i), word[i]))
            return false;
    w->regs = regs;
    w->exact = true;
    return true;
}

#define PLI_GUESS_STUB 12 /* bytes that tell a stub */
#define PLI_GUESS_FAR ((uintptr_t)64 << 10) /* a function does not reach that far */

/* Where a call from the text that was found last goes on to, if by a stub: 0 when that is unknown.
   */
static uintptr_t pli_guess_callee_sig(const pli_walk *w, uintptr_t target)
{
    uintptr_t slot, callee;
    if (target < w->last_text_start || w->last_text_end - target < PLI_GUESS_STUB ||
        !pli_os_is_stub_sig((const uint8_t *)target, &slot))
        return target;
    if (slot == 0 || slot % sizeof slot != 0 ||
        !pli_os_readable_sig(slot & ~(uintptr_t)(PLI_PAGE - 1)))
        return 0;
    callee = *(const uintptr_t *)slot;
    bool resolved = callee < w->last_text_start || callee >= w->last_text_end;
    return resolved ? callee : 0; /* else it points back to the stub */
}

/* Whether a word may be the return address of a call to the function that pc is in: it stands
   behind a call, and if that names its target, the target is near. Any call will do when pc is 0.
   */
static bool pli_guess_fits_sig(pli_walk *w, uintptr_t pc, uintptr_t ra)
{
    uintptr_t target = 0;
    if (ra < PLI_PC_MARKS || !pli_text_known_sig(w, ra) || ra - w->last_text_start < 8 ||
        !pli_os_follows_call_sig((const uint8_t *)ra, &target))
        return false;
    if (target && target < w->last_text_end)
        target = pli_guess_callee_sig(w, target);
    return !pc || !target || ra - PLI_LOAD(pli_entry) < PLI_ENTRY_SIZE ||
           pc - target < PLI_GUESS_FAR ||
           (target - pc < PLI_GUESS_FAR && /* by way of another function, which jumped on */
            (target < w->last_text_start || target >= w->last_text_end));
}

#define PLI_GUESS_WORDS 256

/* Whether the walk begins in a stub, which may have been jumped to instead of called. */
static bool pli_guess_stub_sig(pli_walk *w)
{
    uintptr_t pc = w->regs.pc, slot;
    return w->exact && pli_text_known_sig(w, pc) && w->last_text_end - pc >= PLI_GUESS_STUB &&
           pli_os_is_stub_sig((const uint8_t *)pc, &slot);
}

/* Whether a word may be the fp of a frame further out: there a return address stands behind it. */
static bool pli_guess_is_fp_sig(pli_walk *w, uintptr_t fp, uintptr_t sp)
{
    uintptr_t ra;
    return fp > sp && fp - sp < (1 << 20) && pli_load_sig(w, fp + 8, &ra) &&
           pli_guess_fits_sig(w, 0, ra);
}

/* Without a row: the link register, or the nearest word of the stack that fits, which may be the
   one behind the frame pointer. That one alone would leave callers out: code without tables is
   often code that has no frame pointers either, and fp is then that of a caller further out. */
static bool pli_walk_guess_sig(pli_walk *w)
{
    uintptr_t pc = w->regs.pc, sp = w->regs.sp, fp = w->regs.fp, ra, up, fp_ra = 0, saved = 0;
    if (w->frozen) /* code may not be looked at: trust the frame pointer */
        return fp >= sp && pli_load_sig(w, fp, &up) && pli_load_sig(w, fp + 8, &ra) && up > fp &&
               pli_walk_to_sig(w, fp + 16, ra, up, 0);
    if (pli_guess_stub_sig(w))
        pc = 0;
    if (PLI_RA_IN_REGISTER && w->exact && pli_guess_fits_sig(w, pc, w->regs.lr))
        return pli_walk_to_sig(w, sp, w->regs.lr, fp, 0);
    if (fp >= sp && pli_load_sig(w, fp, &up) && pli_load_sig(w, fp + 8, &ra) &&
        pli_guess_fits_sig(w, pc, ra))
        fp_ra = ra;
    for (int i = 0; i < PLI_GUESS_WORDS && pli_load_sig(w, sp, &ra); i++, sp += sizeof ra) {
        if (fp_ra && (PLI_RA_IN_REGISTER || sp == fp + 8))
            break; /* nothing nearer */
        if (pli_guess_fits_sig(w, pc, ra)) /* fp may have been saved and used for something else */
            return pli_walk_to_sig(w, sp + sizeof ra, ra,
                                   pli_guess_is_fp_sig(w, fp, sp) || !saved ? fp : saved, 0);
        if (pli_guess_is_fp_sig(w, ra, sp))
            saved = ra;
    }
    return fp_ra && pli_walk_to_sig(w, fp + 16, fp_ra, up, 0);
}

/* One frame up. False at the root, and where nothing is known (*cut then). */
static bool pli_walk_step_sig(pli_walk *w, bool *cut)
{
    uint64_t row = pli_row_find_sig(w);
    bool moved;
    if (row == PLI_CFA_OUTERMOST)
        return false;
    if (row == PLI_CFA_UNKNOWN)
        moved = pli_walk_guess_sig(w);
    else if (row == PLI_CFA_SIGNAL)
        moved = pli_walk_signal_sig(w);
    else
        moved = pli_walk_row_sig(w, pli_row_unpack_sig(row));
    *cut = !moved;
    return moved && w->regs.pc >= PLI_PC_MARKS;
}

/* Writes the stack from regs, leaf first, and returns how many addresses it has: at most max. The
   leaf is as it is, and so is what was interrupted by a signal; each other one lies inside the call
   that it is to return from (the return address less one), so that all can be looked up as they
   are. A stack that does not reach its root ends in PLI_PC_TRUNCATED. */
static int pli_unwind_sig(const pli_regs *regs, uintptr_t *pcs, int max)
{
    pli_walk w = pli_walk_begin_sig(regs, pli_modules_enter_sig());
    bool cut = false;
    int n = 0;
    pcs[n++] = w.regs.pc;
    while (n < max && pli_walk_step_sig(&w, &cut))
        pcs[n++] = w.regs.pc - !w.exact;
    if (n == max && !cut)
        cut = pli_walk_step_sig(&w, &cut) || cut; /* is there more? */
    pli_modules_leave_sig();
    if (cut && n == max && n > 1)
        pcs[n - 1] = PLI_PC_TRUNCATED;
    else if (cut && n < max)
        pcs[n++] = PLI_PC_TRUNCATED;
    return n;
}

/* -- An index for programs without .eh_frame_hdr: static ones, on some systems -- */

/* By address; heapsort needs no memory and no luck. */
static void pli_index_sort(pli_index *index, size_t count)
{
    for (size_t start = count / 2, end = count; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            pli_index last = index[--end];
            index[end] = index[0], index[0] = last;
        }
        for (size_t root = start, child; (child = 2 * root + 1) < end; root = child) {
            child += child + 1 < end && index[child].function < index[child + 1].function;
            if (index[root].function >= index[child].function)
                break;
            pli_index moved = index[root];
            index[root] = index[child], index[child] = moved;
        }
    }
}

/* Goes over .eh_frame and notes its FDEs, as far as there is room; returns how many there are. */
static size_t pli_index_fill(const pli_tables *t, uintptr_t at, uintptr_t end, pli_index *index,
                             size_t room)
{
    size_t count = 0;
    pli_fde fde;
    for (uint32_t length; at + 8 <= end; at += 4 + length) {
        memcpy(&length, (const void *)at, sizeof length);
        if (length == 0 || length >= 0xfffffff0u)
            break;
        if (pli_fde_read_sig(t, at, &fde) && count++ < room)
            index[count - 1] = (pli_index){fde.start, at};
    }
    return count;
}

/* Where .eh_frame is, as the file's section headers say; false when they do not. */
static bool pli_index_section(const pli_module *m, uintptr_t *start, uintptr_t *end)
{
    ElfW(Ehdr) elf;
    ElfW(Shdr) names, section;
    char name[16];
    bool found = false;
    int fd = pli_os_open(m->path, O_RDONLY);
    if (fd < 0 || pread(fd, &elf, sizeof elf, 0) != sizeof elf)
        elf.e_shnum = 0;
    off_t at = elf.e_shnum ? (off_t)elf.e_shoff : 0;
    if (elf.e_shnum && pread(fd, &names, sizeof names, at + (off_t)sizeof names * elf.e_shstrndx) !=
        sizeof names)
        elf.e_shnum = 0;
    for (int i = 0; i < elf.e_shnum && !found; i++, at += (off_t)sizeof section) {
        memset(name, 0, sizeof name);
        found = pread(fd, &section, sizeof section, at) == sizeof section &&
                pread(fd, name, sizeof name - 1, (off_t)(names.sh_offset + section.sh_name)) > 0 &&
                strcmp(name, ".eh_frame") == 0;
    }
    if (fd >= 0)
        close(fd);
    *start = m->bias + section.sh_addr, *end = *start + section.sh_size;
    return found;
}

/* Makes the index of a module that has none. The section must lie in one of its segments. */
static void pli_index_make(pli_module *m)
{
    uintptr_t start, end;
    pli_tables t = {0, 0, 0, NULL, 0};
    if (!pli_index_section(m, &start, &end))
        return;
    for (int i = 0; i < m->phdr_count; i++) {
        uintptr_t low = m->bias + m->phdrs[i].p_vaddr, high = low + m->phdrs[i].p_filesz;
        if (m->phdrs[i].p_type == PT_LOAD && start >= low && end <= high && start < end)
            t.start = low, t.end = high;
    }
    size_t count = t.end ? pli_index_fill(&t, start, end, NULL, 0) : 0;
    pli_index *index = count ? pli_keep(count * sizeof *index) : NULL;
    if (!index)
        return;
    pli_index_fill(&t, start, end, index, count);
    pli_index_sort(index, count);
    m->tables.start = t.start, m->tables.end = t.end, m->tables.count = count;
    PLI_STORE_RELEASE(m->tables.index, (const pli_index *)index);
}

/* Makes the program's index once, whoever comes first. Handlers may be looking: they see all of
   it or nothing. */
static void pli_index_need(pli_module *program)
{
    static pli_lock lock;
    if (!program || program->tables.hdr || PLI_LOAD_ACQUIRE(program->tables.index))
        return;
    pli_lock_take(&lock);
    if (!program->tables.index)
        pli_index_make(program);
    pli_lock_give(&lock);
}

/* Brings all up to date that unwinding needs: see pli_modules_refresh. */
static pl_result pli_unwind_prepare(void)
{
    PLI_STORE(pli_entry, (uintptr_t)getauxval(AT_ENTRY));
    PLI_STORE(pli_stack_end, pli_os_stack_end(2 * PLI_STACK_NEAR));
    pl_result result = pli_modules_refresh();
    pli_index_need(PLI_LOAD_ACQUIRE(pli_modules.all));
    return result;
}

/* The bounds of the function around pc, from its FDE; false when it has none. Of loaded modules. */
static bool pli_unwind_function(const pli_module *m, uintptr_t pc, uintptr_t *start,
                                uintptr_t *end)
{
    pli_fde fde;
    pli_modules_enter_sig(); /* it stays while it is read */
    bool found = !pli_modules_frozen_sig() && m->last_epoch == PLI_EPOCH_NOW &&
                 pli_fde_find_sig(&m->tables, pc, &fde);
    pli_modules_leave_sig();
    if (found)
        *start = fde.start, *end = fde.end;
    return found;
}

/* ==== >>site =====================================================================================
   A profile is a table of sites: how often, and how much, at which stack. A site is found by its
   key, all of which is hashed: the stack, the epoch that tells whose addresses they are, the
   labels of the thread, and for the heap the size of a block.

       slots   [ ]  [ * ]  [ ]  [ * ]  [ * ]  [ ]        a power of two, open addressing
                     │           │      └──────────────────────────┐
       arena   [ site: key, values, stack ][ site ][ site ][ ... free ... ]
                                                             ▲ used

   Both are reserved as a whole when the table is opened, and the system gives pages as they are
   touched. So a handler can add a site: it takes room from the arena by one addition, writes the
   site, and hangs it into its slot by one exchange. Whoever loses a race for a slot uses the
   winner's site if it is the same one, else goes to the next slot; what it took from the arena
   stays unused. Nothing is ever moved or freed while the table is open.

   Two threads that meet the same new stack at once, A and B:

       A: slot is empty, makes site a         B: slot is empty, makes site b
       A: exchanges NULL for a: succeeds      B: exchanges NULL for b: fails, and sees a
       A: counts in a                         B: a has B's key: counts in a; b stays unused

   When the arena or the slots are full, what would have needed a new site is counted in `lost`. So
   a table never lies: what it kept and what it lost add up to what happened.

   Invariant: a site in a slot is complete, and its key never changes. */

#define PLI_SITE_VALUES 4
#define PLI_STACK_MAX 256

/* A set of labels; sets that are equal are the same one, so that comparing pointers is enough. */
typedef struct pli_labels {
    const struct pli_labels *next; /* of all sets */
    uint64_t hash;
    int count;                     /* pairs */
    const char *pair[];            /* key, value, key, value, ... sorted by key */
} pli_labels;

/* What a caller looks for. pcs is the caller's buffer, and is copied into the site. An epoch is
   part of it since one address may be two functions, before and after a dlclose. */
typedef struct pli_site_key {
    const pli_labels *labels; /* NULL: none */
    uint64_t size;
    uint32_t epoch;
    int depth;
    const uintptr_t *pcs; /* leaf first */
} pli_site_key;

/* As in the arena: 16 bytes aligned, with `depth` addresses behind it. All but the values is
   written once, before the site is in a slot. The values only ever change by atomic additions. */
typedef struct pli_site {
    uint64_t hash;
    const pli_labels *labels;
    uint64_t size;
    uint32_t epoch;
    int depth;
    int64_t value[PLI_SITE_VALUES]; /* what they mean is the profile's business; atomic */
    uintptr_t pcs[];
} pli_site;

typedef struct pli_sites {
    pli_site **slots; /* slots, then the arena: one reservation of `bytes` */
    size_t slot_mask, bytes;
    char *arena;
    size_t arena_bytes, used;
    int64_t lost; /* atomic */
} pli_sites;

/* Room for 16 MiB holds about 25,000 stacks of 64 frames. A slot for each 256 bytes keeps the slots
   at most a third full. */
static pl_result pli_sites_open(pli_sites *s, size_t bytes)
{
    size_t slots = 64;
    while (slots * 512 < bytes)
        slots *= 2;
    size_t slot_bytes = slots * sizeof *s->slots;
    char *memory = pli_os_reserve(bytes + slot_bytes);
    if (!memory)
        return PL_NOMEM;
    s->slots = (pli_site **)(void *)memory;
    s->slot_mask = slots - 1, s->bytes = bytes + slot_bytes;
    s->arena = memory + slot_bytes, s->arena_bytes = bytes;
    s->used = 0, s->lost = 0;
    return PL_OK;
}

/* Nobody may be at work in it any more. */
PLI_SOMETIMES static void pli_sites_close(pli_sites *s)
{
    if (s->slots)
        munmap(s->slots, s->bytes);
    memset(s, 0, sizeof *s);
}

/* Multiply and fold: both halves of a 128-bit product, as wyhash and others mix. */
static uint64_t pli_mix_sig(uint64_t a, uint64_t b)
{
    pli_wide product = (pli_wide)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Each address is mixed into what came before, so that the order of the frames counts. */
static uint64_t pli_site_hash_sig(const pli_site_key *key)
{
    uint64_t hash = pli_mix_sig((uintptr_t)key->labels ^ key->size << 20, key->epoch);
    for (int i = 0; i < key->depth; i++)
        hash = pli_mix_sig(hash, key->pcs[i]);
    return hash;
}

/* The hash first: it differs for nearly all sites that are met in a slot by chance, and it is
   the first word. Sets of labels are unique, so that their addresses tell them apart. */
static bool pli_site_is_sig(const pli_site *site, uint64_t hash, const pli_site_key *key)
{
    return site->hash == hash && site->labels == key->labels && site->size == key->size &&
           site->epoch == key->epoch && site->depth == key->depth &&
           memcmp(site->pcs, key->pcs, (size_t)key->depth * sizeof *key->pcs) == 0;
}

/* A complete site that is in no slot yet, or NULL when the arena is full. */
static pli_site *pli_site_make_sig(pli_sites *s, uint64_t hash, const pli_site_key *key)
{
    size_t stack_bytes = (size_t)key->depth * sizeof *key->pcs;
    size_t bytes = (sizeof(pli_site) + stack_bytes + 15) & ~(size_t)15;
    /* Looked at before the addition: a full table would otherwise go on counting `used` up with
       each sample, and could in the end wrap around. The test behind it is for those who came
       between. */
    if (PLI_LOAD(s->used) + bytes > s->arena_bytes)
        return NULL;
    size_t end = PLI_ADD(s->used, bytes);
    if (end > s->arena_bytes)
        return NULL;
    pli_site *site = (pli_site *)(void *)(s->arena + end - bytes);
    site->hash = hash, site->labels = key->labels, site->size = key->size;
    site->epoch = key->epoch, site->depth = key->depth;
    memcpy(site->pcs, key->pcs, stack_bytes);
    return site;
}

/* The site with this key, new if need be; NULL when the table is full. Lock-free: any number of
   threads and of handlers at once. */
static pli_site *pli_site_find_sig(pli_sites *s, const pli_site_key *key)
{
    uint64_t hash = pli_site_hash_sig(key);
    pli_site *made = NULL;
    for (size_t probe = 0; probe <= s->slot_mask; probe++) {
        pli_site **slot = &s->slots[(hash + probe) & s->slot_mask];
        pli_site *site = PLI_LOAD_ACQUIRE(*slot);
        /* A failed exchange leaves the winner's site in `site`: it is compared like any other.
           The site made is kept for the next free slot of this search. */
        if (!site) {
            if (!made && !(made = pli_site_make_sig(s, hash, key)))
                return NULL;
            if (__atomic_compare_exchange_n(slot, &site, made, 0, __ATOMIC_ACQ_REL,
                                            __ATOMIC_ACQUIRE))
                return made;
        }
        if (pli_site_is_sig(site, hash, key))
            return site;
    }
    return NULL;
}

/* Adds to the first two values of the site with this key: an event and how much it was. */
static void pli_sites_count_sig(pli_sites *s, const pli_site_key *key, int64_t events, int64_t much)
{
    pli_site *site = pli_site_find_sig(s, key);
    if (!site) {
        PLI_ADD(s->lost, events);
        return;
    }
    PLI_ADD(site->value[0], events);
    PLI_ADD(site->value[1], much);
}

/* The sites one after the other: start with *position 0; NULL at the end. Sites that are added
   meanwhile may or may not be met. */
PLI_SOMETIMES static pli_site *pli_sites_next(const pli_sites *s, size_t *position)
{
    while (s->slots && *position <= s->slot_mask) {
        pli_site *site = PLI_LOAD_ACQUIRE(s->slots[(*position)++]);
        if (site)
            return site;
    }
    return NULL;
}

/* -- Labels --

   A thread has one set of labels at a time, or none. PL_LABELS makes the set that results, looks
   whether it is known already, and points the thread at it; the end of the block points back:

       t->labels ──► {handler: search, tenant: a}      one word, so that a handler reads it whole
                          ▲ in the bucket of its hash, for ever

   Since equal sets are the same set, a site's key needs no more than the pointer, and the handler
   compares no text. Sets are kept for ever because samples refer to them, and because a handler may
   be reading one at any time. */

#define PLI_LABELS_MAX 16             /* pairs of a set */
#define PLI_LABEL_SETS ((size_t)64 << 10)
#define PLI_LABEL_BUCKETS 1024

/* All sets, by their hash. A set is complete when it gets into its bucket, and then never changes.
   */
static struct {
    pli_lock lock;
    size_t count;
    const pli_labels *bucket[PLI_LABEL_BUCKETS];
} pli_labels_all;

/* A set that is being put together. */
typedef struct pli_label_list { int count; const char *pair[2 * PLI_LABELS_MAX]; } pli_label_list;

/* Puts a pair where its key belongs; it replaces one with the same key. */
static void pli_label_put(pli_label_list *list, const char *key, const char *value)
{
    int at = 0;
    while (at < list->count && strcmp(list->pair[2 * at], key) < 0)
        at++;
    if (at == list->count || strcmp(list->pair[2 * at], key) != 0) {
        if (list->count == PLI_LABELS_MAX)
            return;
        memmove(&list->pair[2 * at + 2], &list->pair[2 * at],
                2 * (size_t)(list->count - at) * sizeof *list->pair);
        list->count++;
    }
    list->pair[2 * at] = key;
    list->pair[2 * at + 1] = value;
}

/* A step behind each text: otherwise the pairs "ab", "c" and "a", "bc" would be alike. */
static uint64_t pli_label_hash(const pli_label_list *list)
{
    uint64_t hash = (uint64_t)list->count;
    for (int i = 0; i < 2 * list->count; i++, hash = pli_mix_sig(hash, 1))
        for (const char *s = list->pair[i]; *s; s++)
            hash = hash * 31 + (unsigned char)*s;
    return hash;
}

/* Both are sorted by key, so that equal sets have their pairs at the same places. */
static bool pli_labels_are(const pli_labels *set, uint64_t hash, const pli_label_list *list)
{
    if (set->hash != hash || set->count != list->count)
        return false;
    for (int i = 0; i < 2 * list->count; i++)
        if (strcmp(set->pair[i], list->pair[i]) != 0)
            return false;
    return true;
}

/* A copy that stays; NULL when there is no memory, or there are too many. Under the lock. */
static const pli_labels *pli_labels_keep(uint64_t hash, const pli_label_list *list)
{
    size_t pairs = 2 * (size_t)list->count;
    pli_labels *set = pli_keep(sizeof *set + pairs * sizeof *set->pair);
    if (!set || pli_labels_all.count >= PLI_LABEL_SETS)
        return NULL;
    set->hash = hash, set->count = list->count;
    for (size_t i = 0; i < pairs; i++)
        if (!(set->pair[i] = pli_keep_text(list->pair[i])))
            return NULL;
    const pli_labels **bucket = &pli_labels_all.bucket[hash % PLI_LABEL_BUCKETS];
    set->next = *bucket;
    PLI_STORE_RELEASE(*bucket, set);
    pli_labels_all.count++;
    return set;
}

/* The one set that equals the list; NULL when it could not be kept. */
static const pli_labels *pli_labels_find(const pli_label_list *list)
{
    uint64_t hash = pli_label_hash(list);
    pli_lock_take(&pli_labels_all.lock);
    const pli_labels *set = pli_labels_all.bucket[hash % PLI_LABEL_BUCKETS];
    while (set && !pli_labels_are(set, hash, list))
        set = set->next;
    if (!set)
        set = pli_labels_keep(hash, list);
    pli_lock_give(&pli_labels_all.lock);
    return set;
}

/* Inner labels are added to those of the scopes around. The scope remembers the set before, so that
   ending it is one store. Sets are never freed: a site or another thread may point to them. */
pli_labels_scope pli_labels_begin(const char *key, ...)
{
    pli_label_list list = {0, {NULL}};
    pli_thread *t = pli_thread_join();
    const pli_labels *before = t->labels;
    for (int i = 0; before && i < before->count; i++)
        pli_label_put(&list, before->pair[2 * i], before->pair[2 * i + 1]);
    va_list arguments;
    va_start(arguments, key);
    for (const char *value; key && (value = va_arg(arguments, const char *)) != NULL;
         key = va_arg(arguments, const char *))
        pli_label_put(&list, key, value);
    va_end(arguments);
    const pli_labels *set = pli_labels_find(&list);
    if (set && t->state == PLI_THREAD_USED) /* not the blocks that belong to nobody */
        PLI_STORE(t->labels, set);
    return (pli_labels_scope){before, 0};
}

/* A thread without a block has nothing to give back: its labels were never stored. */
void pli_labels_end(pli_labels_scope *scope)
{
    if (pli_self->state == PLI_THREAD_USED)
        PLI_STORE(pli_self->labels, (const pli_labels *)scope->before);
}

/* A fork's child: a set that was being added is not in its bucket, or is complete. */
static void pli_labels_fork_child(void)
{
    pli_labels_all.lock.state = 0;
}

/* -- How a profile is seen from outside: a list of sample types over sites -- */

#define PLI_VIEW_TYPES 4
#define PLI_VIEW_NOTES 8
#define PLI_VIEW_NOTE 120

/* One value of each sample: value[index] of its site, times a factor. */
typedef struct pli_sample_type {
    const char *type, *unit; /* "cpu", "nanoseconds" */
    int index;
    int64_t factor;
} pli_sample_type;

/* A cpu profile is {samples/count: value[0]} and {cpu/nanoseconds: value[0] * period}. Zero is the
   default for what a collector does not know. */
typedef struct pli_profile_view {
    const char *name;
    const pli_sites *sites;
    int types;
    pli_sample_type type[PLI_VIEW_TYPES];
    const char *default_type;              /* NULL: the last one */
    const char *period_type, *period_unit;
    int64_t period;
    int64_t time_ns, duration_ns;          /* when it began, since 1970; how long it took */
    int64_t lost;                          /* in units of value[0], beside what the sites lost */
    const char *size_label;                /* "bytes": what the sites' size is; NULL: nothing */
    const char *drop_frames, *keep_frames; /* regular expressions over function names */
    const char *contention;                /* the title of this kind of text; NULL: the usual one */
    int64_t sampling;                      /* there: one in so many is kept; 0: not said */
    uint64_t events_since;                 /* ticks: the threads' rings have its events; 0: not */
    int notes;
    char note[PLI_VIEW_NOTES][PLI_VIEW_NOTE]; /* for people: how it was taken, what is missing */
} pli_profile_view;

/* Adds a line for people. */
__attribute__((format(printf, 2, 3))) PLI_SOMETIMES
static void pli_view_note(pli_profile_view *view, const char *format, ...)
{
    va_list arguments;
    if (view->notes == PLI_VIEW_NOTES)
        return;
    va_start(arguments, format);
    vsnprintf(view->note[view->notes++], PLI_VIEW_NOTE, format, arguments);
    va_end(arguments);
}

/* What a collector adds, so that its profile can be written by name. */
typedef struct pli_profile_source {
    const char *name;
    /* Fills a zeroed view. What it points to stays until done, which is called after PL_OK only.
       In an emergency: no malloc, and PL_BUSY rather than a long wait. */
    pl_result (*fill)(pli_profile_view *view, bool emergency);
    void (*done)(void); /* may be NULL */
    struct pli_profile_source *next;
} pli_profile_source;

static pli_profile_source *pli_profile_sources; /* grows at its head; atomic */

/* Once for each source, which is static. */
PLI_SOMETIMES static void pli_profile_source_add(pli_profile_source *source)
{
    source->next = PLI_LOAD(pli_profile_sources);
    while (!__atomic_compare_exchange_n(&pli_profile_sources, &source->next, source, 0,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
}

/* ==== >>event ====================================================================================
   What has a time is written to a ring of its thread. A ring is a power of two of events; the
   newest overwrite the oldest:

       head = 21        (events ever written; the next one goes to place head mod 8)

       place   0    1    2    3    4    5    6    7
             [16] [17] [18] [19] [20] [13] [14] [15]
                                        ▲ next: overwrites 13

   An event has 24 bytes: when, what, who, and how much. Of a sample that is the time, its site (and
   so its whole stack), the thread and the weight. What the site table adds up, the ring keeps
   apart, as far as it reaches back: pl_profile_write(..., 2) prints it.

   One writer, any number of readers. The writer fills the place and then moves head, with release;
   a reader copies an event and then looks whether head has come round to its place meanwhile. A
   place is overwritten while head stands exactly one round further, so that a reader may only trust
   events younger than that.

   Invariant: the events head - capacity + 1 ... head - 1 are complete and do not change while head
   stays. */

#define PLI_RING_EVENTS 512 /* 12 KiB a thread, of which only what is written becomes memory */

#define PLI_EVENT_WEIGHT_MAX 0xfffffffu

enum { PLI_EVENT_SAMPLE = 1 };

/* 24 bytes. tid is in it because a ring outlives its thread and goes on with the next one;
   weight counts the ticks that the sample stands for, at most PLI_EVENT_WEIGHT_MAX. */
typedef struct pli_event {
    uint64_t ticks;
    const void *what; /* of a sample: its pli_site */
    int32_t tid;
    uint32_t kind : 4, weight : 28;
} pli_event;

/* head never wraps in practice: at a million events a second that takes 500,000 years. It is
   written by the owner only, so an ordinary load finds its last value. */
typedef struct pli_ring {
    uint64_t head;
    uintptr_t stack[PLI_STACK_MAX]; /* for the handler: a small stack has no room for it */
    pli_event event[PLI_RING_EVENTS];
} pli_ring;

/* The writer's. Overwrites the oldest event. */
static void pli_ring_write_sig(pli_ring *ring, pli_event event)
{
    uint64_t head = PLI_LOAD(ring->head);
    ring->event[head % PLI_RING_EVENTS] = event;
    PLI_STORE_RELEASE(ring->head, head + 1);
}

/* Copies event number `at`; false when it was overwritten, or is not there yet. */
PLI_SOMETIMES static bool pli_ring_read(pli_ring *ring, uint64_t at, pli_event *out)
{
    if (at >= PLI_LOAD_ACQUIRE(ring->head))
        return false;
    *out = ring->event[at % PLI_RING_EVENTS];
    /* Adding 0, unlike a load, cannot be done before the loads above it. */
    return __atomic_fetch_add(&ring->head, 0, __ATOMIC_ACQ_REL) - at < PLI_RING_EVENTS;
}

/* ==== >>cpu ======================================================================================
   Every thread has a timer on its own CPU clock. When the thread has computed for one period, the
   kernel sends it SIGPROF, and the handler counts the stack that it interrupted:

       thread computes ──► a period is over ──► the kernel's next tick: SIGPROF ──► handler
                                                                                      │ weight
       pprof file ◄── pl_profile_write ◄── sites ◄── (stack, labels) += weight ◄──────┘

   The kernel looks at CPU clocks only at its own ticks, 100 to 1000 times a second. At higher
   rates, or when a virtual machine loses ticks, several periods are over by then: the signal tells
   how many more (its overruns), and the sample weighs that much. So all weights together are the
   CPU time, whatever the rate:

       expected = periods in the thread's CPU time since its timer was started
       missing  = expected - what was counted          seen at the thread's end, and at the stop

   What is missing has no stack: it is counted under the thread's function, as lostProfileEvent. The
   first period ends at a random time, so that threads which live for less than one are counted
   rightly on the whole.

   Threads that sleep are not disturbed, since their clocks stand still. exec ends the timers, fork
   does not copy them.

   Where the kernel refuses a timer (too many queued signals, a seccomp filter), the whole process
   goes over to one setitimer(ITIMER_PROF). Then some running thread gets the signal and speaks for
   all, with the weight of what the process has used since the last one.

   Invariant: while the engine is OFF no handler touches a site or a thread block; a signal whose
   timer is not the one in its block belongs to an earlier life of the block and counts nothing. */

#define PLI_CPU_COOKIE ((uintptr_t)0x701b << 48) /* above every address: marks perflab's signals */
#define PLI_CPU_BLOCK(value) ((value) & (((uintptr_t)1 << 48) - 1))
#define PLI_CPU_HZ 100 /* as Go: more than enough for a program that runs for seconds */
#define PLI_CPU_HZ_MAX 10000
#define PLI_CPU_DEPTH 64
#define PLI_CPU_BUFFER ((size_t)16 << 20)

enum { PLI_CPU_OFF, PLI_CPU_TIMERS, PLI_CPU_ITIMER };

static struct {
    pli_lock lock;           /* start and stop, and whoever reads the sites */
    bool running;            /* between start and stop; under the lock */
    uint32_t engine;         /* what sends signals now; atomic, changed under pli_threads.lock */
    uint32_t busy;           /* handlers at work */
    uint32_t gate;           /* 0: samples are seen and not kept */
    bool prepared;           /* handler and thread hooks are in place */
    bool gated;              /* the gate is moved: the process's clock says nothing */
    bool valid;              /* there is a profile, finished or not */
    bool forked;             /* this is the child of a process that had taken one */
    int refused;             /* why the kernel refused a timer; 0: it did not */
    int hz, depth, pid;
    uint64_t period_ns;
    uint64_t start_ns, stop_ns, start_unix_ns, start_cpu_ns, start_ticks;
    int64_t start_seen;      /* threads that were met before the start */
    int64_t ticks;           /* counted, with or without a stack; atomic */
    int64_t missing;         /* of these without; atomic */
    uint64_t itimer_base_ns, itimer_first_ns;
    int64_t itimer_ticks;    /* atomic */
    pli_sites sites;
    struct sigaction own[2]; /* the program's own action for SIGPROF: one of these */
    uint32_t own_now;        /* which; atomic */
    char path[4096];         /* where the stop writes to; "": nowhere */
} pli_cpu;

/* How many periods end in `ns` of CPU time, when the first is over after first_ns. */
static int64_t pli_cpu_expected_sig(uint64_t ns, uint64_t first_ns)
{
    return ns < first_ns ? 0 : (int64_t)((ns - first_ns) / pli_cpu.period_ns + 1);
}

/* The order in which things happen matters, since handlers may run at any moment in any thread:

       start   options, sites, modules      nothing can look at them yet
               engine = TIMERS              threads that are born from now on arm themselves
               wanted = 1                   new threads join at their start
               a timer for each block       those who had one before
               the system's list            those who had none: adopted, and armed by their birth

       stop    under pli_threads.lock       no birth, no death, no falling back meanwhile
               engine = OFF                 handlers that come now count nothing
               busy == 0                    those that came before are through
               timers end, each thread's missing ticks are counted
               the process's clock          what nobody was asked about is missing, too

       fork    pli_threads.lock is held     so that no block is half born in the child
               in the child                 no timers, engine OFF, the sites are forgotten

       fall    engine = OFF, busy == 0      the kernel refused a timer while threads run
       back    all timers end               what they have counted stays
               engine = ITIMER              from here on one clock for all

   A signal may come late: after its timer ended, after the engine was switched off, or when its
   block serves another thread. It is recognised by the timer's number in it, which the block does
   not have any more, and is dropped; its ticks are part of what is missing. */

/* -- In the handler -- */

/* Counts time whose stack is not known. */
static void pli_cpu_count_missing_sig(const pli_thread *t, int64_t weight)
{
    uintptr_t pcs[2] = {PLI_PC_LOST, PLI_LOAD(t->start)};
    pli_site_key key = {PLI_LOAD(t->labels), 0, pli_modules_epoch_sig(), pcs[1] ? 2 : 1, pcs};
    PLI_ADD(pli_cpu.missing, weight);
    pli_sites_count_sig(&pli_cpu.sites, &key, weight, 0);
}

/* Counts the stack that was interrupted, and notes when that was. */
static void pli_cpu_sample_sig(pli_thread *t, const void *context, int64_t weight)
{
    pli_ring *ring = PLI_LOAD_ACQUIRE(t->ring);
    if (!ring) {
        pli_cpu_count_missing_sig(t, weight);
        return;
    }
    pli_regs regs = pli_regs_of_signal_sig(context);
    int depth = pli_unwind_sig(&regs, ring->stack, pli_cpu.depth);
    pli_site_key key = {PLI_LOAD(t->labels), 0, pli_modules_epoch_sig(), depth, ring->stack};
    pli_site *site = pli_site_find_sig(&pli_cpu.sites, &key);
    if (!site) {
        PLI_ADD(pli_cpu.sites.lost, weight);
        return;
    }
    PLI_ADD(site->value[pli_cpu.gated], weight);
    uint32_t kept = weight < PLI_EVENT_WEIGHT_MAX ? (uint32_t)weight : PLI_EVENT_WEIGHT_MAX;
    pli_ring_write_sig(ring, (pli_event){pli_ticks_sig(), site, PLI_LOAD(t->tid),
                                         PLI_EVENT_SAMPLE, kept});
}

/* A signal of the thread's own timer. */
static void pli_cpu_thread_tick_sig(const siginfo_t *info, const void *context)
{
    pli_thread *t = (pli_thread *)PLI_CPU_BLOCK((uintptr_t)info->si_value.sival_ptr);
    int64_t weight = 1 + (int64_t)info->si_overrun;
    if (PLI_LOAD_ACQUIRE(t->cpu.timer) != info->si_timerid + 1)
        return;
    PLI_STORE(t->cpu.ticks, PLI_LOAD(t->cpu.ticks) + weight);
    PLI_ADD(pli_cpu.ticks, weight);
    if (PLI_LOAD(pli_cpu.gate))
        pli_cpu_sample_sig(t, context, weight);
}

/* A signal of the one timer of the process: it weighs what nobody has counted yet. */
static void pli_cpu_process_tick_sig(const void *context)
{
    uint64_t ns = pli_os_clock_ns_sig(CLOCK_PROCESS_CPUTIME_ID) - pli_cpu.itimer_base_ns;
    int64_t expected = pli_cpu_expected_sig(ns, pli_cpu.itimer_first_ns);
    int64_t counted = PLI_LOAD(pli_cpu.itimer_ticks);
    while (expected > counted &&
           !__atomic_compare_exchange_n(&pli_cpu.itimer_ticks, &counted, expected, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    if (expected <= counted)
        return;
    pli_thread *t = pli_self->ring ? pli_self : pli_thread_of_sig(pli_os_tid_sig());
    PLI_ADD(pli_cpu.ticks, expected - counted);
    if (PLI_LOAD(pli_cpu.gate))
        pli_cpu_sample_sig(t ? t : pli_self, context, expected - counted);
}

/* The program's own action from now on. A handler may be reading the one before: it stays as it
   is. */
static void pli_cpu_set_own_sig(const struct sigaction *action)
{
    uint32_t other = !PLI_LOAD(pli_cpu.own_now);
    pli_cpu.own[other] = *action;
    PLI_STORE_RELEASE(pli_cpu.own_now, other);
}

/* What is not perflab's goes to the handler that the program has. One that has none is
   spared: the signal would end it. */
static void pli_cpu_forward_sig(int number, siginfo_t *info, void *context)
{
    struct sigaction own = pli_cpu.own[PLI_LOAD_ACQUIRE(pli_cpu.own_now)];
    if (own.sa_handler == SIG_DFL || own.sa_handler == SIG_IGN)
        return;
    if (own.sa_flags & (int)SA_RESETHAND)
        pli_cpu_set_own_sig(&(struct sigaction){.sa_handler = SIG_DFL});
    if (own.sa_flags & SA_SIGINFO)
        own.sa_sigaction(number, info, context);
    else
        own.sa_handler(number);
}

/* SIGPROF. The engine is looked at after busy was raised: whoever switches it off and then finds
   nobody busy may free what handlers use. */
static void pli_cpu_handler_sig(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uintptr_t value = (uintptr_t)info->si_value.sival_ptr;
    bool own = info->si_code == SI_TIMER && value - PLI_CPU_BLOCK(value) == PLI_CPU_COOKIE;
    __atomic_add_fetch(&pli_cpu.busy, 1, __ATOMIC_SEQ_CST);
    uint32_t engine = __atomic_load_n(&pli_cpu.engine, __ATOMIC_SEQ_CST);
    bool process = engine == PLI_CPU_ITIMER && info->si_code == SI_KERNEL;
    if (own && engine == PLI_CPU_TIMERS)
        pli_cpu_thread_tick_sig(info, context);
    if (process)
        pli_cpu_process_tick_sig(context);
    __atomic_sub_fetch(&pli_cpu.busy, 1, __ATOMIC_RELEASE);
    if (!own && !process)
        pli_cpu_forward_sig(number, info, context);
    errno = saved_errno;
}

/* What a tick is worth. A thread that computes for 10 ms at 1000 Hz, on a machine whose kernel
   looks every 4 ms:

       CPU time        0    1    2    3    4    5    6    7    8    9    10 ms
       periods end       |    |    |    |    |    |    |    |    |    |        first_ns = 0.4 ms
       kernel looks                        ^                   ^
       signals                             4 overruns: 3       4 overruns: 3
       at the end                                                        2 missing

   So the two stacks that were seen stand for 8 ms, and 2 ms are known of without a stack. Over many
   looks, which come at moments that have nothing to do with the program, the shares are right. */

/* -- Timers. All of these run under pli_threads.lock, the birth and death of threads too -- */

/* From now on no handler counts anything, and none is at work. */
static void pli_cpu_quieten(void)
{
    __atomic_store_n(&pli_cpu.engine, PLI_CPU_OFF, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&pli_cpu.busy, __ATOMIC_SEQ_CST) != 0)
        pli_os_yield();
}

/* Time that ran out without a signal. A gated profile cannot say which part of it was timed, and
   leaves it out. */
static void pli_cpu_add_missing(const pli_thread *t, int64_t ticks)
{
    if (ticks <= 0 || pli_cpu.gated)
        return;
    PLI_ADD(pli_cpu.ticks, ticks);
    pli_cpu_count_missing_sig(t, ticks);
}

/* Starts the timer of a thread. Returns 0, or why the kernel refused; a thread that has just ended
   is no refusal. */
static int pli_cpu_arm(pli_thread *t)
{
    if (!t->ring)
        PLI_STORE_RELEASE(t->ring, (pli_ring *)pli_os_reserve(sizeof *t->ring));
    int timer, clock = pli_os_thread_clock(t->tid);
    int error = pli_os_timer_make(clock, t->tid, SIGPROF, PLI_CPU_COOKIE | (uintptr_t)t, &timer);
    if (error) /* another thread may have just ended: its clock is gone then */
        return t->tid != pli_os_tid_sig() && (error == EINVAL || error == ESRCH) ? 0 : error;
    t->cpu.first_ns = pli_mix_sig(pl_ticks(), (uint64_t)t->tid) % pli_cpu.period_ns + 1;
    t->cpu.base_ns = pli_os_clock_ns_sig(clock);
    PLI_STORE(t->cpu.ticks, 0);
    PLI_STORE_RELEASE(t->cpu.timer, timer + 1); /* the block is complete */
    return pli_os_timer_set(timer, t->cpu.first_ns, pli_cpu.period_ns);
}

/* Ends a thread's timer and counts what it has not told. */
static void pli_cpu_disarm(pli_thread *t)
{
    int timer = t->cpu.timer;
    if (timer == 0)
        return;
    PLI_STORE(t->cpu.timer, 0);
    pli_os_timer_end(timer - 1);
    uint64_t ns = pli_os_clock_ns_sig(pli_os_thread_clock(t->tid));
    if (ns > t->cpu.base_ns) /* else the thread is gone, and its clock with it */
        pli_cpu_add_missing(t, pli_cpu_expected_sig(ns - t->cpu.base_ns, t->cpu.first_ns) -
                            t->cpu.ticks);
}

static void pli_cpu_disarm_all(void)
{
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        pli_cpu_disarm(t);
}

/* The one timer of the process; period 0 ends it. */
static void pli_cpu_set_itimer(uint64_t first_ns, uint64_t period_ns)
{
    struct itimerval when = {{0, (suseconds_t)(period_ns / 1000)},
                             {0, (suseconds_t)((first_ns + 999) / 1000)}};
    if (period_ns >= 1000000000u)
        when.it_interval = (struct timeval){1, 0};
    setitimer(ITIMER_PROF, &when, NULL);
}

/* Goes over to the one timer, since the kernel has refused another. */
static void pli_cpu_fall_back(int error)
{
    pli_cpu_quieten();
    pli_cpu_disarm_all();
    pli_cpu.refused = error;
    pli_cpu.itimer_ticks = 0;
    pli_cpu.itimer_first_ns = pli_mix_sig(pl_ticks(), (uint64_t)error) % pli_cpu.period_ns + 1;
    pli_cpu.itimer_base_ns = pl_process_cpu_ns();
    __atomic_store_n(&pli_cpu.engine, PLI_CPU_ITIMER, __ATOMIC_SEQ_CST);
    pli_cpu_set_itimer(pli_cpu.itimer_first_ns, pli_cpu.period_ns);
}

/* A thread begins to take part. */
static void pli_cpu_birth(pli_thread *t)
{
    PLI_STORE(t->cpu.timer, 0);
    uint32_t engine = PLI_LOAD_ACQUIRE(pli_cpu.engine); /* and with it the period */
    if (engine == PLI_CPU_TIMERS) {
        int error = pli_cpu_arm(t);
        if (error)
            pli_cpu_fall_back(error);
    } else if (engine == PLI_CPU_ITIMER && !t->ring) {
        PLI_STORE_RELEASE(t->ring, (pli_ring *)pli_os_reserve(sizeof *t->ring));
    }
}

/* In a fork's child the timers of the parent's threads do not exist. */
static void pli_cpu_death(pli_thread *t)
{
    if (PLI_LOAD(pli_cpu.pid) == getpid())
        pli_cpu_disarm(t);
    PLI_STORE(t->cpu.timer, 0);
}

/* -- Threads that no hook tells of -- */

/* Where pthread_create is not hooked (PERFLAB_NO_INTERPOSE, sanitizers), a thread of perflab's own
   looks from time to time whether there are new ones. */
static void *pli_cpu_look_around(void *unused)
{
    const struct timespec pause = {0, 10000000};
    for (; PLI_LOAD(pli_cpu.engine) != PLI_CPU_OFF; nanosleep(&pause, NULL))
        pli_threads_meet();
    return unused;
}

/* Starts that thread where it is needed. Without it, threads that begin later and never allocate
   are counted as missing at the stop. Not in a fork's child beside a sanitizer: TSan ends those
   that start a thread. */
static void pli_cpu_watch(void)
{
    sigset_t all, before;
    pthread_t watcher;
    if (PLI_INTERPOSE || (PLI_SANITIZER && pli_cpu.forked))
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    if (pthread_create(&watcher, NULL, pli_cpu_look_around, NULL) == 0)
        pthread_detach(watcher);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* -- The profile --

   Its first value is the number of ticks, its second the time: ticks times the period. Both are in
   the file because Go's have both, and readers take the last one for the one that matters.

   Notes go into the file as comments, which pprof prints above its tables. They say what a reader
   has to know to trust the figures: time without stacks, and a poorer engine than usual. */

/* What the reader of a profile has to know to trust it. */
static void pli_cpu_notes(pli_profile_view *view)
{
    if (pli_cpu.refused)
        pli_view_note(view, "sampled with setitimer for the whole process: a timer for each thread "
                      "was refused (%s)", strerror(pli_cpu.refused));
    if (pli_cpu.missing > 0 && pli_cpu.ticks > 0)
        pli_view_note(view, "%.1f %% of the time has no stack (lostProfileEvent): ends of threads, "
                      "or threads that could not be sampled",
                      100.0 * (double)pli_cpu.missing / (double)pli_cpu.ticks);
    if (pli_cpu.gated)
        pli_view_note(view, "only what benchmarks time: set-up is left out");
}

/* Takes pli_cpu.lock, which pli_cpu_view_done gives back once the profile is encoded: no start may
   empty the sites under the reader. Samples go on coming meanwhile, and may or may not be part
   of it. A profile that is still running ends, for its reader, now. */
static pl_result pli_cpu_view(pli_profile_view *view, bool emergency)
{
    if (!pli_lock_take_or_try(&pli_cpu.lock, emergency))
        return PL_BUSY;
    if (!pli_cpu.valid) {
        pli_lock_give(&pli_cpu.lock);
        return PL_INVALID;
    }
    uint64_t end = pli_cpu.stop_ns ? pli_cpu.stop_ns : pl_now_ns();
    view->sites = &pli_cpu.sites;
    view->types = 2;
    view->type[0] = (pli_sample_type){"samples", "count", 0, 1};
    view->type[1] = (pli_sample_type){"cpu", "nanoseconds", 0, (int64_t)pli_cpu.period_ns};
    view->period_type = "cpu", view->period_unit = "nanoseconds";
    view->period = (int64_t)pli_cpu.period_ns;
    view->time_ns = (int64_t)pli_cpu.start_unix_ns;
    view->duration_ns = (int64_t)(end - pli_cpu.start_ns);
    view->events_since = pli_cpu.start_ticks;
    pli_cpu_notes(view);
    return PL_OK;
}

static void pli_cpu_view_done(void)
{
    pli_lock_give(&pli_cpu.lock);
}

static pli_profile_source pli_cpu_source = {"cpu", pli_cpu_view, pli_cpu_view_done, NULL};

/* -- Start and stop -- */

/* In the child of a fork nothing is sampled until somebody starts it: >>env does. Whatever another
   thread was doing to the sites when the memory was copied, they are not looked at again. */
static void pli_cpu_fork_child(pli_thread *t)
{
    bool mine = pli_cpu.lock.state == 0;
    t->cpu.timer = 0; /* it stayed with the parent */
    pli_labels_fork_child();
    pli_modules_fork_child();
    pli_cpu.engine = PLI_CPU_OFF;
    pli_cpu.lock.state = pli_cpu.busy = 0;
    pli_cpu.valid = pli_cpu.running = false;
    pli_cpu.forked = true;
    PLI_STORE(pli_cpu.pid, getpid());
    pli_threads_want(PLI_WANT_CPU, false);
    if (mine)
        pli_sites_close(&pli_cpu.sites);
    memset(&pli_cpu.sites, 0, sizeof pli_cpu.sites);
}

static const pli_thread_hooks pli_cpu_hooks = {
    pli_cpu_birth, pli_cpu_death, NULL, NULL, pli_cpu_fork_child};

/* Once: the handler and the hooks stay. */
static void pli_cpu_prepare(void)
{
    struct sigaction action, own;
    if (pli_cpu.prepared)
        return;
    pli_collector_add(&pli_cpu_hooks);
    pli_profile_source_add(&pli_cpu_source);
    memset(&action, 0, sizeof action);
    action.sa_sigaction = pli_cpu_handler_sig;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask); /* or another handler might wait here for this one to end */
    sigaction(SIGPROF, NULL, &own);
    pli_cpu_set_own_sig(&own);
    sigaction(SIGPROF, &action, NULL);
    pli_cpu.prepared = true; /* from now on the program's calls of sigaction are about `own` */
}

/* Starts to sample with what is set in pli_cpu. */
static void pli_cpu_begin(void)
{
    PLI_STORE(pli_cpu.pid, getpid());
    pli_cpu.ticks = pli_cpu.missing = 0;
    pli_cpu.refused = 0;
    pli_cpu.valid = pli_cpu.running = true;
    pli_cpu.start_ns = pl_now_ns();
    pli_cpu.stop_ns = 0;
    pli_cpu.start_ticks = pl_ticks() | 1; /* never 0, which means none */
    pli_cpu.start_unix_ns = pli_os_clock_ns_sig(CLOCK_REALTIME);
    pli_cpu.start_cpu_ns = pl_process_cpu_ns();
    pli_cpu.start_seen = PLI_LOAD(pli_threads.seen);
    pli_os_unblock(SIGPROF);
    __atomic_store_n(&pli_cpu.engine, PLI_CPU_TIMERS, __ATOMIC_SEQ_CST);
    pli_threads_want(PLI_WANT_CPU, true);
    pli_lock_take(&pli_threads.lock);
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        if (t->state == PLI_THREAD_USED && t->cpu.timer == 0)
            pli_cpu_birth(t);
    pli_lock_give(&pli_threads.lock);
    pli_threads_meet();
}

/* Takes over the options; PL_INVALID when one is out of range. */
static pl_result pli_cpu_configure(const pl_cpu_desc *desc)
{
    int hz = desc->hz ? desc->hz : PLI_CPU_HZ;
    int depth = desc->max_depth ? desc->max_depth : PLI_CPU_DEPTH;
    if (hz < 1 || hz > PLI_CPU_HZ_MAX || depth < 1 || depth > PLI_STACK_MAX)
        return PL_INVALID;
    pl_result result = pli_path_absolute(pli_cpu.path, sizeof pli_cpu.path, desc->path);
    if (result != PL_OK)
        return result;
    pli_sites_close(&pli_cpu.sites);
    pli_cpu.valid = false;
    pli_cpu.hz = hz;
    pli_cpu.period_ns = 1000000000u / (uint64_t)hz;
    pli_cpu.depth = depth;
    pli_cpu.gated = desc->gated;
    pli_cpu.gate = !desc->gated;
    return pli_sites_open(&pli_cpu.sites, desc->buffer_bytes ? desc->buffer_bytes :
                          PLI_CPU_BUFFER);
}

/* Options first, then the unwind tables, and the timers last: a failure leaves nothing running.
   Building the index of a program without one may take milliseconds, which are not sampled. */
pl_result pl_cpu_start(const pl_cpu_desc *desc)
{
    static const pl_cpu_desc defaults;
    pl_result result = PL_BUSY;
    pli_lock_take(&pli_cpu.lock);
    if (!pli_cpu.running) {
        pli_cpu_prepare();
        result = pli_cpu_configure(desc ? desc : &defaults);
        if (result == PL_OK)
            result = pli_unwind_prepare();
        if (result == PL_OK) {
            pli_cpu_begin();
            pli_cpu_watch();
        }
    }
    pli_lock_give(&pli_cpu.lock);
    return result;
}

/* What threads have used that perflab never met; a little is the random of the first periods. */
static void pli_cpu_add_unmet(void)
{
    uint64_t ns = pl_process_cpu_ns() - pli_cpu.start_cpu_ns;
    int64_t unmet = (int64_t)(ns / pli_cpu.period_ns) - pli_cpu.ticks;
    if (unmet > 2 + PLI_LOAD(pli_threads.seen) - pli_cpu.start_seen)
        pli_cpu_add_missing(&pli_orphan, unmet);
}

/* Under pli_cpu.lock. In an emergency, what would take long to wait for is left out. */
static void pli_cpu_end(bool emergency)
{
    bool locked = pli_lock_take_or_try(&pli_threads.lock, emergency);
    bool itimer = PLI_LOAD(pli_cpu.engine) == PLI_CPU_ITIMER;
    pli_cpu.running = false;
    pli_threads_want(PLI_WANT_CPU, false);
    pli_cpu_quieten();
    pli_cpu.stop_ns = pl_now_ns();
    if (itimer) {
        pli_cpu_set_itimer(0, 0);
        uint64_t ns = pl_process_cpu_ns() - pli_cpu.itimer_base_ns;
        pli_cpu_add_missing(&pli_orphan, pli_cpu_expected_sig(ns, pli_cpu.itimer_first_ns) -
                            pli_cpu.itimer_ticks);
    }
    if (locked) {
        pli_cpu_disarm_all();
        pli_lock_give(&pli_threads.lock);
    }
    pli_cpu_add_unmet();
}

/* Sampling ends under the lock, the file is written without it: names are looked up in symbol
   tables that may have to be read from the disk, and another start need not wait for that. */
pl_result pl_cpu_stop(void)
{
    char path[sizeof pli_cpu.path];
    pli_lock_take(&pli_cpu.lock);
    bool running = pli_cpu.running;
    if (running)
        pli_cpu_end(false);
    memcpy(path, pli_cpu.path, sizeof path); /* the next start may come before the writing */
    pli_lock_give(&pli_cpu.lock);
    if (!running)
        return PL_INVALID;
    return path[0] ? pl_profile_save("cpu", path) : PL_OK;
}

/* The program ends: true when a profile was being taken, which is stopped now but not written. */
PLI_SOMETIMES static bool pli_cpu_end_at_exit(bool emergency)
{
    if (!pli_lock_take_or_try(&pli_cpu.lock, emergency))
        return false;
    bool running = pli_cpu.running;
    if (running)
        pli_cpu_end(emergency);
    pli_lock_give(&pli_cpu.lock);
    return running;
}

/* -- The gate: a profile of what is timed --

       PL_BENCH(X) {
           table = make_table();          timed, as far as anybody knows yet: value[1]
           PL_LOOP(b) {                   resets the timer: value[1] is dropped
               find(table);               timed: value[1]
           }                              stops the timer: the gate is closed
           free_table(table);             seen, not kept
       }                                  the run is over: value[1] is added to value[0]

   Closing the gate while make_table runs would be simpler, but a benchmark that never resets its
   timer is timed from its first line on, and that is known only at its end. */

/* Samples are kept only while the gate is open. */
PLI_SOMETIMES static void pli_cpu_gate(bool open)
{
    PLI_STORE(pli_cpu.gate, open);
}

/* Whether what was sampled since the last call was part of what is timed is known afterwards: until
   then it stands in each site's second value. */
PLI_SOMETIMES static void pli_cpu_settle(bool keep)
{
    size_t position = 0;
    if (!pli_cpu.gated || !pli_cpu.valid)
        return;
    for (pli_site *site; (site = pli_sites_next(&pli_cpu.sites, &position)) != NULL;) {
        int64_t since = __atomic_exchange_n(&site->value[1], 0, __ATOMIC_RELAXED);
        PLI_ADD(site->value[0], keep ? since : 0);
    }
}

/* What >>env does before SIGTERM, SIGINT or SIGHUP ends the program; the handler is NULL until
   then. The program sees the default action in its place, and gets it in place of the default. */
PLI_SOMETIMES static struct sigaction pli_farewell;

#if PLI_INTERPOSE

/* -- Interposed: what could blind the sampler, or let it do harm -- */

/* While a profile is taken, no thread may shut itself off from SIGPROF: its time would be missing.
   Returns the set to use in place of `set`. */
static const sigset_t *pli_mask_sig(int how, const sigset_t *set, sigset_t *copy)
{
    if (!set || how == SIG_UNBLOCK || PLI_LOAD(pli_cpu.engine) == PLI_CPU_OFF)
        return set;
    memcpy(copy, set, sizeof *copy);
    sigdelset(copy, SIGPROF);
    return copy;
}

PLI_HOOK int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t copy;
    return pli_os_sigmask_sig(how, pli_mask_sig(how, set, &copy), old);
}

/* The same for programs with one thread, with the other convention for errors. */
PLI_HOOK int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    int error = pthread_sigmask(how, set, old);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

typedef int pli_sigaction_function(int, const struct sigaction *, struct sigaction *);
extern pli_sigaction_function pli_libc_sigaction __asm__("__sigaction") __attribute__((weak));

/* Whether perflab has put its own handler where the program believes the default action to be. */
static bool pli_farewell_for_sig(int number)
{
    return pli_farewell.sa_handler &&
           (number == SIGTERM || number == SIGINT || number == SIGHUP);
}

/* libc's own. */
static int pli_libc_action(int number, const struct sigaction *action, struct sigaction *old)
{
    static void *found;
    pli_sigaction_function *next;
    *(void **)&next = pli_next_of(&found, "sigaction");
    return (next ? next : pli_libc_sigaction)(number, action, old);
}

/* The program's handler for SIGPROF gets what is not perflab's; it sees its own as the one that is
   installed. */
PLI_HOOK int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    if (number == SIGPROF && pli_cpu.prepared) {
        if (old)
            *old = pli_cpu.own[PLI_LOAD_ACQUIRE(pli_cpu.own_now)];
        if (action)
            pli_cpu_set_own_sig(action);
        return 0;
    }
    if (!pli_farewell_for_sig(number))
        return pli_libc_action(number, action, old);
    int result = pli_libc_action(number, action && action->sa_handler == SIG_DFL ? &pli_farewell :
                                   action, old);
    if (result == 0 && old && old->sa_handler == pli_farewell.sa_handler)
        memset(old, 0, sizeof *old);
    return result;
}

/* libc's signal does not come by sigaction's name. So for perflab's signals it is made of that
   here, and wherever there is no next definition (static programs). */
typedef void pli_signal_handler(int);
typedef pli_signal_handler *pli_signal_function(int, pli_signal_handler *);

/* glibc has two functions named signal: the headers give programs that ask for strict ISO C the one
   that resets. The work of both: `flags` are what sets them apart. Signals that are none of
   perflab's business go straight on. */
static pli_signal_handler *pli_signal(int number, pli_signal_handler *handler, int flags,
                                      pli_signal_function *next)
{
    struct sigaction action, old;
    if (next && !pli_farewell_for_sig(number) && !(number == SIGPROF && pli_cpu.prepared))
        return next(number, handler);
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

/* BSD's meaning, glibc's default: system calls go on, the handler stays. */
PLI_HOOK pli_signal_handler *signal(int number, pli_signal_handler *handler)
{
    static void *found;
    pli_signal_function *next;
    *(void **)&next = pli_next_of(&found, "signal");
    return pli_signal(number, handler, SA_RESTART, next);
}

/* What signal is in programs compiled with -std=c11. */
pli_signal_function pli_sysv_signal __asm__("__sysv_signal");

PLI_HOOK pli_signal_handler *pli_sysv_signal(int number, pli_signal_handler *handler)
{
    static void *found;
    pli_signal_function *next;
    *(void **)&next = pli_next_of(&found, "__sysv_signal");
    return pli_signal(number, handler, (int)(SA_RESETHAND | SA_NODEFER), next);
}

/* setitimer survives exec, and its signal would end the new program. execvpe is libc's own: the
   others come down to it or to the system call. */
static void pli_exec_begin(void)
{
    if (PLI_LOAD(pli_cpu.engine) == PLI_CPU_ITIMER)
        pli_cpu_set_itimer(0, 0);
}

/* exec failed: the program goes on. */
static int pli_exec_end(void)
{
    int saved_errno = errno;
    if (PLI_LOAD(pli_cpu.engine) == PLI_CPU_ITIMER && PLI_LOAD(pli_cpu.pid) == getpid())
        pli_cpu_set_itimer(pli_cpu.period_ns, pli_cpu.period_ns);
    errno = saved_errno;
    return -1;
}

PLI_HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
    pli_exec_begin();
    syscall(SYS_execve, path, argv, envp);
    return pli_exec_end();
}

/* The six forms differ in where the program is looked for, in who gives the environment, and in
   how the arguments come; each is one of the two above. */
PLI_HOOK int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

PLI_HOOK int execvp(const char *file, char *const argv[])
{
    pli_exec_begin();
    execvpe(file, argv, environ);
    return pli_exec_end();
}

/* Has `list` be an array of the arguments from first on, up to their NULL, on the stack. */
#define PLI_EXEC_LIST(list, first, more)                                                           \
    size_t count = 0;                                                                              \
    va_list more;                                                                                  \
    va_start(more, first);                                                                         \
    for (const char *each = first; each; each = va_arg(more, char *))                              \
        count++;                                                                                   \
    va_end(more);                                                                                  \
    char *list[count + 1];                                                                         \
    list[0] = (char *)(uintptr_t)first;                                                            \
    va_start(more, first);                                                                         \
    for (size_t i = 1; i <= count; i++)                                                            \
        list[i] = va_arg(more, char *);

PLI_HOOK int execl(const char *path, const char *first, ...)
{
    PLI_EXEC_LIST(list, first, more)
    va_end(more);
    return execve(path, list, environ);
}

PLI_HOOK int execlp(const char *file, const char *first, ...)
{
    PLI_EXEC_LIST(list, first, more)
    va_end(more);
    return execvp(file, list);
}

PLI_HOOK int execle(const char *path, const char *first, ...)
{
    PLI_EXEC_LIST(list, first, more)
    char *const *envp = va_arg(more, char *const *);
    va_end(more);
    return execve(path, list, envp);
}

#else

PLI_SOMETIMES static int pli_libc_action(int number, const struct sigaction *action,
                                         struct sigaction *old)
{
    return sigaction(number, action, old);
}

#endif /* PLI_INTERPOSE */

#else /* !PLI_LINUX: nothing is sampled, and the callers say so */

pl_result pl_cpu_start(const pl_cpu_desc *desc)
{
    (void)desc;
    return PL_UNSUPPORTED;
}

pl_result pl_cpu_stop(void)
{
    return PL_INVALID;
}

pli_labels_scope pli_labels_begin(const char *key, ...)
{
    (void)key;
    return (pli_labels_scope){NULL, 0};
}

void pli_labels_end(pli_labels_scope *scope)
{
    (void)scope;
}

static void pli_cpu_gate(bool open)
{
    (void)open;
}

static void pli_cpu_settle(bool keep)
{
    (void)keep;
}

#endif /* PLI_LINUX */

/* ==== >>heap =====================================================================================
   Two words a thread carry the exact counts. Each adds up blocks and their bytes at once:

       63                              28 27                       0
       +---------------------------------+-------------------------+
       |  bytes                          |  blocks                 |      born: blocks allocated
       +---------------------------------+-------------------------+      died: blocks freed

   born - died is then what the thread has live, with the bytes in the upper bits, so that one
   comparison looks after the peak: above top, a new peak. An allocation costs one addition, one
   comparison and one store; so does a free. The words start close below an overflow, and born
   starts PLI_WINDOW bytes above died:

       born - died   0 ............. WINDOW ............. 2 WINDOW
                     |                 | start               |
            settle: below                          settle: above

   Two blocks of 24 and 40 bytes, the first of them freed, in hexadecimal, less the start values:

       born   0x00000040 0000002        64 bytes in 2 blocks
       died   0x00000018 0000001        24 bytes in 1 block
       live   0x00000028 0000001        40 bytes in 1 block, by one subtraction

   A separate counter of blocks would be a second read and write in each call. What is left is close
   to the floor: of what perflab adds to a malloc and free pair, a good part is the call of the next
   malloc and the return from it, which any hook pays that sees the block (bench/README.md, "not
   counted").

   Settling moves the counts into full 64-bit totals and the live bytes into the one sum of all
   threads, and starts again in the middle. It happens when the thread's live bytes moved by WINDOW
   either way, so that the common sum is never further off than that, and when born overflows, that
   is before the blocks can reach 2^28: blocks of less than 8 bytes, as musl has them, are counted
   beside the words, and so are those of PLI_BIG_BLOCK and more.

   Invariant: mallocs + blocks of born, frees + blocks of died, and the same for bytes, are exact at
   any moment at which no settling is under way (epoch even); pli_heap.live + the windows of all
   threads = live bytes. The blocks of UNBORN, ORPHAN and NESTED hold zeros: every comparison sends
   them to the slow path.

   The epoch is a lock for settling alone: even, free; odd, held. Besides the owner only a forking
   thread takes it, so that no child begins with a thread that was half settled. */

#define PLI_BLOCK_BITS 28
#define PLI_WINDOW ((uint64_t)64 << 10)
#define PLI_COUNT_START ((uint64_t)0 - ((uint64_t)1 << (30 + PLI_BLOCK_BITS)))
#define PLI_ONE_BLOCK(bytes) (((uint64_t)(bytes) << PLI_BLOCK_BITS) + 1)
#define PLI_BYTES_OF(word) ((word) >> PLI_BLOCK_BITS)
#define PLI_BLOCKS_OF(word) ((word) & (((uint64_t)1 << PLI_BLOCK_BITS) - 1))
#define PLI_BIG_BLOCK ((size_t)1 << 20)
#define PLI_BESIDE_WORDS(bytes) ((size_t)(bytes) - 8 >= PLI_BIG_BLOCK - 8) /* one comparison */

/* Sums in full 64 bits. */
typedef struct pli_totals { int64_t mallocs, frees, bytes, live; } pli_totals;

static struct {
    pli_totals gone;   /* of threads that ended, under pli_threads.lock; of orphans, atomically */
    int64_t live;      /* settled live bytes of all threads, for the peak; atomic */
    int64_t peak;      /* atomic */
    uint32_t ready;
} pli_heap;

/* What the two words hold now, and in *high the most that was live since the last settling. */
static pli_totals pli_counts_window(const pli_counts *c, int64_t *high)
{
    uint64_t born = PLI_LOAD(c->born) - PLI_COUNT_START - (PLI_WINDOW << PLI_BLOCK_BITS);
    uint64_t died = PLI_LOAD_ACQUIRE(c->died) - PLI_COUNT_START;
    /* The blocks' part of top may be below zero and have borrowed from the bytes: round. */
    uint64_t top = PLI_LOAD(c->top) + ((uint64_t)1 << (PLI_BLOCK_BITS - 1));
    *high = (int64_t)PLI_BYTES_OF(top) - (int64_t)PLI_WINDOW;
    return (pli_totals){(int64_t)PLI_BLOCKS_OF(born), (int64_t)PLI_BLOCKS_OF(died),
                        (int64_t)PLI_BYTES_OF(born),
                        (int64_t)(PLI_BYTES_OF(born) - PLI_BYTES_OF(died))};
}

#if PLI_INTERPOSE

/* Empties the window: nothing counted, live bytes in the middle. Three stores, so a reader between
   them would see half of each: the epoch tells it to try again. */
static void pli_counts_restart(pli_counts *c)
{
    PLI_STORE(c->died, PLI_COUNT_START);
    PLI_STORE(c->born, PLI_COUNT_START + (PLI_WINDOW << PLI_BLOCK_BITS));
    PLI_STORE(c->top, PLI_WINDOW << PLI_BLOCK_BITS);
}

/* Makes the epoch odd, once it is even. The fence keeps what is written next behind that. */
static void pli_counts_hold(pli_counts *c)
{
    uint64_t even = PLI_LOAD(c->epoch) & ~(uint64_t)1;
    while (!__atomic_compare_exchange_n(&c->epoch, &even, even + 1, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        pli_os_nap();
        even &= ~(uint64_t)1;
    }
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Even again. Release: who sees that sees the new sums too. */
static void pli_counts_release(pli_counts *c)
{
    PLI_STORE_RELEASE(c->epoch, PLI_LOAD(c->epoch) + 1);
}

/* Called by the owner, with what it could not count in the words, or for a thread that is gone. All
   of it goes in under one epoch: a reader, or a fork's child, sees the whole or nothing. */
static void pli_counts_settle(pli_counts *c, pli_totals beside)
{
    int64_t high;
    pli_totals window = pli_counts_window(c, &high);
    pli_counts_hold(c);
    PLI_STORE(c->mallocs, c->mallocs + (uint64_t)(window.mallocs + beside.mallocs));
    PLI_STORE(c->frees, c->frees + (uint64_t)(window.frees + beside.frees));
    PLI_STORE(c->bytes, c->bytes + (uint64_t)(window.bytes + beside.bytes));
    PLI_STORE(c->live, c->live + window.live + beside.live);
    pli_counts_restart(c);
    pli_raise(&pli_heap.peak, PLI_LOAD(pli_heap.live) + high);
    pli_raise(&pli_heap.peak, PLI_ADD(pli_heap.live, window.live + beside.live));
    pli_counts_release(c);
}

/* A block may have served another thread before: its totals went to pli_heap.gone at its death. */
static void pli_heap_birth(pli_thread *t)
{
    t->heap.mallocs = t->heap.frees = t->heap.bytes = 0;
    t->heap.live = 0;
    pli_counts_restart(&t->heap);
}

/* What a thread has counted stays counted, and what it left allocated stays live. */
static void pli_heap_death(pli_thread *t)
{
    pli_counts_settle(&t->heap, (pli_totals){0, 0, 0, 0});
    PLI_ADD(pli_heap.gone.mallocs, (int64_t)t->heap.mallocs);
    PLI_ADD(pli_heap.gone.frees, (int64_t)t->heap.frees);
    PLI_ADD(pli_heap.gone.bytes, (int64_t)t->heap.bytes);
    PLI_ADD(pli_heap.gone.live, t->heap.live);
}

/* Nobody is half-way through the counts of the forking thread while memory is copied: the child's
   would stay half-way for ever. */
static void pli_heap_fork_begin(pli_thread *t)
{
    pli_counts_hold(&t->heap);
}

static void pli_heap_fork_end(pli_thread *t)
{
    pli_counts_release(&t->heap);
}

static const pli_thread_hooks pli_heap_hooks = {
    pli_heap_birth, pli_heap_death, pli_heap_fork_begin, pli_heap_fork_end, NULL};

/* The heap is the one collector that is met before constructors run: it registers on first use. Two
   threads may come first together, and neither goes on before the hooks are there: a block without
   its birth would count wrongly. */
static PLI_COLD void pli_heap_prepare(void)
{
    pli_collector_add(&pli_heap_hooks);
    PLI_STORE_RELEASE(pli_heap.ready, 1);
}

/* Counts for a thread without a block of its own. */
static void pli_heap_count_orphan(pli_totals one)
{
    pli_totals *sum = &pli_heap.gone;
    PLI_ADD(sum->mallocs, one.mallocs);
    PLI_ADD(sum->frees, one.frees);
    PLI_ADD(sum->bytes, one.bytes);
    PLI_ADD(sum->live, one.live);
    pli_raise(&pli_heap.peak, PLI_ADD(pli_heap.live, one.live));
}

/* Counts a block in the words if it fits there; 0 if not. */
static int pli_counts_fit(pli_counts *c, size_t bytes, int born)
{
    uint64_t *word = born ? &c->born : &c->died;
    uint64_t next = *word + PLI_ONE_BLOCK(bytes);
    uint64_t live = (born ? next : c->born) - (born ? c->died : next);
    if (PLI_BESIDE_WORDS(bytes) || next < *word || live > 2 * (PLI_WINDOW << PLI_BLOCK_BITS))
        return 0;
    PLI_STORE(*word, next);
    if (live > c->top)
        PLI_STORE(c->top, live);
    return 1;
}

/* The slow path of both counting functions: no thread block yet, window left, new peak, or a block
   that does not go through the words. */
static PLI_COLD void pli_heap_count_slow(size_t bytes, int born)
{
    if (pli_self == &pli_nested)
        return;
    int saved_errno = errno;
    if (!PLI_LOAD_ACQUIRE(pli_heap.ready))
        pli_heap_prepare();
    int64_t n = (int64_t)bytes;
    pli_totals one = {born, !born, born ? n : 0, born ? n : -n};
    pli_thread *t = pli_thread_join();
    if (t == &pli_orphan)
        pli_heap_count_orphan(one);
    else if (!pli_counts_fit(&t->heap, bytes, born))
        pli_counts_settle(&t->heap, one);
    errno = saved_errno;
}

/* Counts a block that was just allocated; 0 when that takes the slow path. */
static inline int pli_heap_born(size_t bytes)
{
    pli_counts *c = &pli_self->heap;
    uint64_t next;
    if (PLI_UNLIKELY(__builtin_add_overflow(PLI_LOAD(c->born), PLI_ONE_BLOCK(bytes), &next)) ||
        PLI_UNLIKELY(next - PLI_LOAD(c->died) > PLI_LOAD(c->top)))
        return 0;
    PLI_STORE(c->born, next);
    return 1;
}

/* Counts a block that is about to be freed; 0 when that takes the slow path. died follows born and
   so cannot overflow before it. */
static inline int pli_heap_died(size_t bytes)
{
    pli_counts *c = &pli_self->heap;
    uint64_t next = PLI_LOAD(c->died) + PLI_ONE_BLOCK(bytes);
    if (PLI_UNLIKELY((int64_t)(PLI_LOAD(c->born) - next) < 0))
        return 0;
    PLI_STORE(c->died, next);
    return 1;
}

#endif /* PLI_INTERPOSE */

/* One thread's totals, by anyone: those of one moment, since born is the same before and after the
   rest was read. Otherwise a reader that was interrupted halfway would see the frees of blocks
   whose birth it had missed. *high is the top of the window. */
static pli_totals pli_counts_read(pli_counts *c, int64_t *high)
{
    for (;;) {
        uint64_t epoch = PLI_LOAD_ACQUIRE(c->epoch), born = PLI_LOAD_ACQUIRE(c->born);
        pli_totals t = pli_counts_window(c, high);
        t.mallocs += (int64_t)PLI_LOAD(c->mallocs);
        t.frees += (int64_t)PLI_LOAD(c->frees);
        t.bytes += (int64_t)PLI_LOAD(c->bytes);
        t.live += PLI_LOAD(c->live);
        /* Adding 0, unlike a load, cannot be done before the loads above it. */
        if (!(epoch & 1) && PLI_LOAD(c->born) == born &&
            __atomic_fetch_add(&c->epoch, 0, __ATOMIC_ACQ_REL) == epoch)
            return t;
    }
}

/* The sums over all threads. Not inlined: compilers take it that malloc changes no variable of the
   program, and would fold two reads around one into the same value. */
static __attribute__((noinline)) void pli_heap_sum(pl_memstats *out)
{
    __asm__ volatile("" ::: "memory");
    pli_lock_take(&pli_threads.lock);
    pli_totals sum = {PLI_LOAD(pli_heap.gone.mallocs), PLI_LOAD(pli_heap.gone.frees),
                      PLI_LOAD(pli_heap.gone.bytes), PLI_LOAD(pli_heap.gone.live)};
    int64_t settled = PLI_LOAD(pli_heap.live), peak = PLI_LOAD(pli_heap.peak), high;
    for (pli_thread *t = pli_threads.all; t; t = t->next) {
        if (t->state != PLI_THREAD_USED)
            continue;
        pli_totals one = pli_counts_read(&t->heap, &high);
        sum.mallocs += one.mallocs, sum.frees += one.frees;
        sum.bytes += one.bytes, sum.live += one.live;
        if (settled + high > peak)
            peak = settled + high;
    }
    out->mallocs = sum.mallocs, out->frees = sum.frees, out->total_alloc = sum.bytes;
    out->alloc = sum.live;
    out->peak_alloc = sum.live > peak ? sum.live : peak;
    out->threads_seen = pli_threads.seen;
    pli_lock_give(&pli_threads.lock);
}

/* ==== >>live =====================================================================================
   Which blocks are live, and who made them: a table from the address of a block to one word. It
   costs nothing until somebody watches; then it has every block that is made from there on, until
   it is freed. >>leak is one reader of it.

       63                                 32 31                                  0
       +------------------------------------+------------------------------------+
       |  site: its place in the arena / 16 |  generation                        |    made
       +------------------------------------+------------------------------------+

   The site (see >>site) has the stack, from the function that called malloc on, and as its size the
   usable bytes of the block. The generation is the number of marks that were set before.
   Descriptors and threads carry the same word, with a site of size 0.

   The table is a few hash tables, of which each is eight times as large as the one before:

       level 0   1,024 buckets of four entries, 64 KiB     an address has two buckets in each level,
       level 1   8,192                                     and is in the first place that was free
       level 2   65,536 ...                                when it came

   A level is mapped when those before had no place for a block. So a small program pays for a small
   table, nothing is ever moved, and to find a block, or that it is not there, takes a look at two
   cache lines a level. Blocks that find no place at all are counted as lost.

   There is no lock, since an address has one owner at a time: whoever was just handed the block, or
   is about to free it; that is why a block is taken out before the real free. Only free places are
   competed for, by one exchange.

   Invariant: an entry whose key is an address is complete. Keys are stored inverted, so that who
   searches memory for pointers to a block does not find the table. */

#if PLI_LINUX

#define PLI_LIVE_LEVELS 5 /* room for 19 million blocks */
#define PLI_LIVE_WAYS 8   /* places in a level: two buckets of four entries, a cache line each */
#define PLI_LIVE_BUCKETS(level) ((size_t)1024 << 3 * (level))
#define PLI_LIVE_ENTRIES(level) (PLI_LIVE_BUCKETS(level) * 4)
#define PLI_LIVE_DEPTH 32 /* frames of a stack */
#define PLI_LIVE_INNER 8  /* at most so many of them are perflab's own, and left out */
#define PLI_LIVE_ARENA ((size_t)64 << 20) /* for sites: 200,000 stacks of 32 frames */
#define PLI_LIVE_BUSY 1   /* a key: somebody is filling the entry */

/* Both atomic; key is ~address, or 0: free. */
typedef struct pli_live_entry { uint64_t key, made; } pli_live_entry;

static struct {
    uint32_t on;         /* blocks are recorded; atomic */
    uint32_t generation; /* of what is made now; atomic */
    int64_t lost;        /* blocks without a place, or whose stack had none; atomic */
    pli_live_entry *level[PLI_LIVE_LEVELS]; /* atomic; NULL: not yet */
    pli_sites sites;     /* once open, it stays */
} pli_live;

/* The site of what is made so. */
static const pli_site *pli_live_site(uint64_t made)
{
    return (const pli_site *)(void *)(pli_live.sites.arena + (made >> 32) * 16);
}

/* The word for something of this size that is made now, by a call that returns to ra: the frames
   inside are perflab's own. 0 when there is no room for another stack. Called inside malloc: takes
   no lock, no memory but pages from the system, and leaves errno alone. */
static PLI_COLD uint64_t pli_live_maker(uint64_t size, const void *ra)
{
    /* Which frames are perflab's own depends on what the compiler inlined and which calls it made
       jumps. But the address to which the entry point returns is in the stack, whatever it did. */
    uintptr_t pcs[PLI_LIVE_DEPTH + PLI_LIVE_INNER], caller = pli_os_strip_sig((uintptr_t)ra) - 1;
    int saved_errno = errno, inner = 0;
    pli_regs here = pli_regs_here();
    int depth = pli_unwind_sig(&here, pcs, PLI_LIVE_DEPTH + PLI_LIVE_INNER);
    while (inner < PLI_LIVE_INNER && inner < depth && pcs[inner] != caller)
        inner++;
    inner = inner < PLI_LIVE_INNER && inner < depth ? inner : 0;
    depth = depth - inner < PLI_LIVE_DEPTH ? depth - inner : PLI_LIVE_DEPTH;
    pli_site_key key = {NULL, size, pli_modules_epoch_sig(), depth, pcs + inner};
    const pli_site *site = pli_site_find_sig(&pli_live.sites, &key);
    errno = saved_errno;
    uint64_t place = site ? (uint64_t)((const char *)site - pli_live.sites.arena) / 16 : 0;
    return site ? place << 32 | PLI_LOAD(pli_live.generation) : 0;
}

/* A level's first entry; NULL when it is not mapped, and not to be, or there is no memory. */
static pli_live_entry *pli_live_level(int level, bool make)
{
    pli_live_entry *entries = PLI_LOAD_ACQUIRE(pli_live.level[level]), *made;
    size_t bytes = PLI_LIVE_ENTRIES(level) * sizeof *entries;
    if (entries || !make || !(made = pli_os_reserve(bytes)))
        return entries;
    if (__atomic_compare_exchange_n(&pli_live.level[level], &entries, made, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return made;
    munmap(made, bytes); /* another thread was first */
    return entries;
}

/* The entries where an address may be, one after the other; NULL at the end. */
static pli_live_entry *pli_live_way(uintptr_t address, int way, bool make)
{
    int level = way / PLI_LIVE_WAYS, place = way % PLI_LIVE_WAYS;
    pli_live_entry *entries = level < PLI_LIVE_LEVELS ? pli_live_level(level, make) : NULL;
    /* Two buckets by two halves of one hash: if one is full, the other is likely not to be. */
    uint64_t hash = pli_mix_sig(address, 0) >> (place < PLI_LIVE_WAYS / 2 ? 0 : 32);
    size_t bucket = (size_t)hash % PLI_LIVE_BUCKETS(level);
    return entries ? &entries[bucket * 4 + (size_t)place % 4] : NULL;
}

/* The entry of a block, or NULL. */
static pli_live_entry *pli_live_find(uintptr_t address)
{
    pli_live_entry *e;
    for (int way = 0; (e = pli_live_way(address, way, false)) != NULL; way++)
        if (PLI_LOAD(e->key) == ~(uint64_t)address)
            break;
    return e;
}

/* Puts a block in. If it is there already, it was freed where nobody saw it. */
PLI_SOMETIMES static void pli_live_put(uintptr_t address, uint64_t made)
{
    pli_live_entry *e = made ? pli_live_find(address) : NULL;
    uint64_t free = 0;
    for (int way = 0; made && !e && (e = pli_live_way(address, way, true)) != NULL; way++, free = 0)
        if (PLI_LOAD(e->key) != 0 ||
            !__atomic_compare_exchange_n(&e->key, &free, PLI_LIVE_BUSY, 0, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
            e = NULL;
    if (!e) {
        PLI_ADD(pli_live.lost, 1);
        return;
    }
    /* The key last: a reader who sees it sees the word too. */
    PLI_STORE(e->made, made);
    PLI_STORE_RELEASE(e->key, ~(uint64_t)address);
}

/* A block is about to be freed: takes it out, and returns what was known of it, for whoever has to
   put it back; 0 when it was not there. */
PLI_SOMETIMES static uint64_t pli_live_died(const void *p)
{
    pli_live_entry *e = PLI_LOAD(pli_live.on) ? pli_live_find((uintptr_t)p) : NULL;
    uint64_t made = e ? PLI_LOAD(e->made) : 0;
    if (e)
        PLI_STORE_RELEASE(e->key, (uint64_t)0);
    return made;
}

/* The blocks one after the other: start with *position 0; false at the end. made is 0 for an empty
   place. Blocks that come and go meanwhile may be met or not. */
static bool pli_live_next(size_t *position, uintptr_t *address, uint64_t *made)
{
    size_t at = (*position)++;
    int level = 0;
    while (level < PLI_LIVE_LEVELS && at >= PLI_LIVE_ENTRIES(level))
        at -= PLI_LIVE_ENTRIES(level++);
    pli_live_entry *entries = level < PLI_LIVE_LEVELS ? pli_live_level(level, false) : NULL;
    uint64_t key = entries ? PLI_LOAD_ACQUIRE(entries[at].key) : 0;
    *made = key > PLI_LIVE_BUSY ? PLI_LOAD(entries[at].made) : 0;
    *address = (uintptr_t)~key;
    return entries != NULL;
}

/* Forgets all blocks and gives their memory back. Whoever is putting one in at this moment finds
   zeros, which is right, and leaves an entry of a generation that nobody asks for. */
static void pli_live_clear(void)
{
    for (int i = 0; i < PLI_LIVE_LEVELS && pli_live.level[i]; i++)
        madvise(pli_live.level[i], PLI_LIVE_ENTRIES(i) * sizeof **pli_live.level, MADV_DONTNEED);
    PLI_STORE(pli_live.lost, 0);
}

#endif /* PLI_LINUX */

/* ==== >>malloc ===================================================================================
   The entry points of the heap. Each calls the next definition in line, found with RTLD_NEXT, and
   counts:

       program ──► malloc here ──► next malloc (libc's, jemalloc's, tcmalloc's ...)
                       │
                   pli_heap_born(usable bytes)

   A block is counted after it was allocated and before it is freed, so that no thread can be handed
   memory that is still counted as somebody else's. Failures count nothing: the next malloc's NULL
   and errno go back to the program as they are. Where the next malloc is glibc's, the size
   stands in the word before the block and is read from there; elsewhere malloc_usable_size is
   asked.

   What the next malloc is, is found out once, by the first call of any entry point (pli_next_find):

       UNKNOWN ──► GLIBC     sizes from the chunk; malloc and free take their hot paths
          │    ──► OTHER     jemalloc, tcmalloc, mimalloc, musl, valgrind ...: sizes by asking
          └──────► DORMANT   the hooks hand on and count nothing: another perflab stands in front,
                             a sanitizer is there, or the link has put libc's malloc in our place

   The last case is a static program. The definitions here are weak, so that linking succeeds
   whatever libc.a brings along; where malloc and free come from two allocators' names then, half a
   count would be worse than none.

   A signal handler that calls malloc breaks the rules of malloc itself; perflab adds no new danger:
   a count may be lost, never the heap.

   Finding the next definitions takes dlsym, which may itself allocate: while it is at work, blocks
   come from a small arena, are never reused, and are not counted. */

enum { PLI_NEXT_UNKNOWN, PLI_NEXT_GLIBC, PLI_NEXT_OTHER, PLI_NEXT_DORMANT };

#if PLI_INTERPOSE

/* The entry points whose next definition is looked up by name: PLI_NEXT(X) calls X(return type,
   name, parameters). */
#define PLI_NEXT(X)                                                                                \
    X(void *, malloc, (size_t size))                                                               \
    X(void *, calloc, (size_t count, size_t size))                                                 \
    X(void *, realloc, (void *p, size_t size))                                                     \
    X(void, free, (void *p))                                                                       \
    X(int, posix_memalign, (void **out, size_t alignment, size_t size))                            \
    X(void *, aligned_alloc, (size_t alignment, size_t size))                                      \
    X(void *, memalign, (size_t alignment, size_t size))                                           \
    X(void *, valloc, (size_t size))                                                               \
    X(void *, pvalloc, (size_t size))                                                              \
    X(void, free_sized, (void *p, size_t size))                                                    \
    X(void, free_aligned_sized, (void *p, size_t alignment, size_t size))                          \
    X(size_t, malloc_usable_size, (void *p))

/* The same for C++. Each row: name here, linker name, parameters, arguments; for new also size,
   alignment (0: the usual one), and whether failure is NULL instead of an exception. */
#define PLI_Z PLI_MANGLED_SIZE
#define PLI_NT "RKSt9nothrow_t"
#define PLI_AL "St11align_val_t"
#define PLI_CPP_NEW(X)                                                                             \
    X(new_one, "_Znw" PLI_Z, (size_t n), (n), n, 0, 0)                                             \
    X(new_many, "_Zna" PLI_Z, (size_t n), (n), n, 0, 0)                                            \
    X(new_one_nt, "_Znw" PLI_Z PLI_NT, (size_t n, const void *t), (n, t), n, 0, 1)                 \
    X(new_many_nt, "_Zna" PLI_Z PLI_NT, (size_t n, const void *t), (n, t), n, 0, 1)                \
    X(new_one_al, "_Znw" PLI_Z PLI_AL, (size_t n, size_t a), (n, a), n, a, 0)                      \
    X(new_many_al, "_Zna" PLI_Z PLI_AL, (size_t n, size_t a), (n, a), n, a, 0)                     \
    X(new_one_al_nt, "_Znw" PLI_Z PLI_AL PLI_NT, (size_t n, size_t a, const void *t),              \
      (n, a, t), n, a, 1)                                                                          \
    X(new_many_al_nt, "_Zna" PLI_Z PLI_AL PLI_NT, (size_t n, size_t a, const void *t),             \
      (n, a, t), n, a, 1)
#define PLI_CPP_DELETE(X)                                                                          \
    X(del_one, "_ZdlPv", (void *p), (p))                                                           \
    X(del_many, "_ZdaPv", (void *p), (p))                                                          \
    X(del_one_n, "_ZdlPv" PLI_Z, (void *p, size_t n), (p, n))                                      \
    X(del_many_n, "_ZdaPv" PLI_Z, (void *p, size_t n), (p, n))                                     \
    X(del_one_nt, "_ZdlPv" PLI_NT, (void *p, const void *t), (p, t))                               \
    X(del_many_nt, "_ZdaPv" PLI_NT, (void *p, const void *t), (p, t))                              \
    X(del_one_al, "_ZdlPv" PLI_AL, (void *p, size_t a), (p, a))                                    \
    X(del_many_al, "_ZdaPv" PLI_AL, (void *p, size_t a), (p, a))                                   \
    X(del_one_n_al, "_ZdlPv" PLI_Z PLI_AL, (void *p, size_t n, size_t a), (p, n, a))               \
    X(del_many_n_al, "_ZdaPv" PLI_Z PLI_AL, (void *p, size_t n, size_t a), (p, n, a))              \
    X(del_one_al_nt, "_ZdlPv" PLI_AL PLI_NT, (void *p, size_t a, const void *t), (p, a, t))        \
    X(del_many_al_nt, "_ZdaPv" PLI_AL PLI_NT, (void *p, size_t a, const void *t), (p, a, t))

#define PLI_NEXT_FIELD_NEW(name, symbol, parameters, ...) void *(*name) parameters;
#define PLI_NEXT_FIELD_DELETE(name, symbol, parameters, arguments) void (*name) parameters;
#define PLI_NEXT_FIELD(type, name, parameters) type(*name) parameters;

typedef struct pli_next_table {
    PLI_NEXT(PLI_NEXT_FIELD)
    PLI_CPP_NEW(PLI_NEXT_FIELD_NEW)
    PLI_CPP_DELETE(PLI_NEXT_FIELD_DELETE)
    uint32_t mode;    /* PLI_NEXT_...; written last, with release */
    uint32_t finding; /* 1: a thread has begun to look */
    uint32_t counts_new; /* operator new comes from the allocator itself and does not pass malloc */
    uintptr_t slow_below; /* blocks up to this address take the slow path: 0, that is NULL only,
                             when the next malloc is glibc's; else all. One comparison does for
                             both. */
} pli_next_table;

static pli_next_table pli_next; /* tentative: malloc and free start at pli_boot_..., see below */

/* -- The arena: blocks that dlsym asks for while it looks for malloc -- */

#define PLI_ARENA_SIZE ((size_t)64 << 10)
#define PLI_ARENA_MARK 2 /* as glibc marks mmapped chunks: sends free and realloc to their slow
paths */

static struct { size_t used; char bytes[PLI_ARENA_SIZE] __attribute__((aligned(64))); } pli_arena;

/* One comparison each way: no block of an allocator lies inside this program's own data. */
static int pli_arena_holds(const void *p)
{
    return (const char *)p >= pli_arena.bytes && (const char *)p < pli_arena.bytes + PLI_ARENA_SIZE;
}

/* In front of each block stands its size, in the place and form of glibc's. */
static void *pli_arena_alloc(size_t alignment, size_t size)
{
    size_t step = (alignment < 16 ? 16 : alignment) + ((size + 31) & ~(size_t)15), end = 0;
    int too_large = size >= PLI_ARENA_SIZE || alignment >= PLI_ARENA_SIZE;
    if (too_large || (end = PLI_ADD(pli_arena.used, step)) > PLI_ARENA_SIZE) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t mask = (alignment < 16 ? 16 : alignment) - 1;
    uintptr_t p = ((uintptr_t)pli_arena.bytes + end - step + 16 + mask) & ~mask;
    ((size_t *)p)[-1] = ((size + 15) & ~(size_t)15) | PLI_ARENA_MARK;
    return (void *)p;
}

/* For realloc. Never freed, so the size stays true. */
static size_t pli_arena_size(const void *p)
{
    return ((const size_t *)p)[-1] & ~(size_t)15;
}

/* -- Finding the next definitions -- */

/* Aliases are this copy's own, whatever symbol lookup makes of the names. */
PLI_HOOK void *malloc(size_t size);
static void *pli_own_malloc(size_t size)
    __attribute__((malloc, nothrow, alloc_size(1), alias("malloc"), used));
PLI_HOOK void free(void *p);
static void pli_own_free(void *p) __attribute__((nothrow, alias("free"), used));

/* In a static program there is nothing to look up in; libc's own names for its allocator serve.
   musl keeps its to itself: they are only found in a static program, and some may be missing. */
#if PLI_GLIBC
#define PLI_LIBC_NAME
#else
#define PLI_LIBC_NAME __attribute__((weak))
#endif
PLI_LIBC_NAME extern void *__libc_malloc(size_t size);
PLI_LIBC_NAME extern void *__libc_calloc(size_t count, size_t size);
PLI_LIBC_NAME extern void *__libc_realloc(void *p, size_t size);
PLI_LIBC_NAME extern void __libc_free(void *p);
#if PLI_GLIBC
extern void *__libc_memalign(size_t alignment, size_t size);

/* glibc has no second name for this one. */
static int pli_static_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *p = __libc_memalign(alignment, size);
    if (p)
        *out = p;
    return p ? 0 : ENOMEM;
}
#endif

/* What is missing afterwards stays NULL: pli_no_next tells the user when it is needed. */
static void pli_next_static(pli_next_table *t)
{
    t->malloc = __libc_malloc;
    t->calloc = __libc_calloc;
    t->realloc = __libc_realloc;
    t->free = __libc_free;
#if PLI_GLIBC
    t->memalign = __libc_memalign;
    t->aligned_alloc = __libc_memalign;
    t->posix_memalign = pli_static_posix_memalign;
    t->malloc_usable_size = malloc_usable_size;
#endif
}

/* A sanitizer's malloc must not be asked for sizes before the sanitizer has started, and its
   reports are worth more than counts: beside one, the hooks only hand on. */
extern void pli_asan_init(void) __asm__("__asan_init") __attribute__((weak));
extern void pli_tsan_init(void) __asm__("__tsan_init") __attribute__((weak));
extern void pli_msan_init(void) __asm__("__msan_init") __attribute__((weak));
extern void pli_lsan_init(void) __asm__("__lsan_init") __attribute__((weak));

static int pli_sanitizer_present(void)
{
    return pli_asan_init || pli_tsan_init || pli_msan_init || pli_lsan_init;
}

/* Whether two addresses lie in the same executable or library. */
static int pli_same_object(const void *a, const void *b)
{
    Dl_info of_a, of_b;
    return a && b && dladdr(a, &of_a) && dladdr(b, &of_b) && of_a.dli_fbase == of_b.dli_fbase;
}

/* The size word of a block of glibc's: size, and three flags of which 2 says that it was mmapped
   alone. */
static inline size_t pli_chunk_word(const void *p)
{
    return ((const size_t *)p)[-1];
}

/* For chunks that were not mmapped alone. The low three bits are flags. */
static inline size_t pli_chunk_bytes_plain(size_t word)
{
    return (word & ~(size_t)7) - sizeof(size_t);
}

/* A mmapped chunk has no neighbour whose first word it could use: it loses one more. */
static inline size_t pli_chunk_bytes(size_t word)
{
    return pli_chunk_bytes_plain(word) - (word & 2 ? sizeof(size_t) : 0);
}

/* Whether blocks of the next malloc look as pli_chunk_bytes takes it. */
static int pli_next_is_glibc(void)
{
#if PLI_GLIBC
    const char *preload = getenv("LD_PRELOAD"); /* valgrind replaces glibc's malloc in its place */
    if (preload && strstr(preload, "vgpreload"))
        return 0;
    if (pli_next.malloc != __libc_malloc &&
        !pli_same_object(*(void **)&pli_next.malloc, (const void *)(uintptr_t)gnu_get_libc_version))
        return 0;
    int same = 1;
    for (size_t size = 1; size < 300000; size = size * 3 + 1) {
        void *p = pli_next.malloc(size);
        same &= p && pli_chunk_bytes(pli_chunk_word(p)) == pli_next.malloc_usable_size(p);
        pli_next.free(p);
    }
    return same;
#else
    return 0;
#endif
}

/* RTLD_NEXT asks for the definition that the program would use if this one were not there. The
   table changes as a whole, so that no call sees half of it. */
static void pli_next_look_up(void)
{
#define PLI_NEXT_LOOK_UP(type, name, parameters)                                                   \
    *(void **)&found.name = dlsym(RTLD_NEXT, #name);
#define PLI_NEXT_LOOK_UP_CPP(name, symbol, ...)                                                    \
    *(void **)&found.name = dlsym(RTLD_NEXT, symbol);
    pli_next_table found = pli_next;
    PLI_NEXT(PLI_NEXT_LOOK_UP)
    if (!found.malloc)
        pli_next_static(&found);
    PLI_CPP_NEW(PLI_NEXT_LOOK_UP_CPP)
    PLI_CPP_DELETE(PLI_NEXT_LOOK_UP_CPP)
    pli_next = found;
}

/* Calls that arrive here came by the program's own malloc and free. */
static struct { void *(*malloc)(size_t); void (*free)(void *); unsigned seen; } pli_probe;

static void *pli_probe_malloc(size_t size)
{
    pli_probe.seen |= 1;
    return pli_probe.malloc(size);
}

static void pli_probe_free(void *p)
{
    pli_probe.seen |= 2;
    pli_probe.free(p);
}

/* Whether the program's malloc and free are the two here: a static link may have preferred libc's,
   another library may stand in front. Other addresses do not mean other functions: in a program
   that is not position independent and takes the address of malloc, everybody's malloc is a stub of
   that program, which jumps to the one in charge. Then a call tells. */
static int pli_malloc_is_ours(void)
{
    void *(*its_malloc)(size_t) = malloc;
    void (*its_free)(void *) = free;
    __asm__("" : "+r"(its_malloc), "+r"(its_free)); /* compilers compare names, not addresses */
    if (its_malloc == pli_own_malloc && its_free == pli_own_free)
        return 1;
    pli_probe.malloc = pli_next.malloc, pli_probe.free = pli_next.free;
    pli_next.malloc = pli_probe_malloc, pli_next.free = pli_probe_free;
    its_free(its_malloc(1));
    pli_next.malloc = pli_probe.malloc, pli_next.free = pli_probe.free;
    return pli_probe.seen == 3;
}

/* Another copy of perflab further down the line would count everything twice. */
static void pli_next_silence_copies(void)
{
    void (*step_aside)(void);
    *(void **)&step_aside = dlsym(RTLD_NEXT, "pl_step_aside");
    if (step_aside)
        step_aside();
}

/* Says why on descriptor 2, without stdio, which may allocate, and ends the program. */
static void pli_fatal(const char *text)
{
    ssize_t n = write(2, text, strlen(text));
    (void)n;
    abort();
}

/* Better than a jump to address 0, far away from the reason. */
static PLI_COLD void pli_no_next(void)
{
    pli_fatal("perflab: no malloc to go on to (a static link): compile perflab.h with "
              "-DPERFLAB_NO_INTERPOSE\n");
}

/* Returns the mode. Inside the thread that is looking, and only there, it is PLI_NEXT_UNKNOWN. */
static PLI_COLD uint32_t pli_next_find(void)
{
    if (pli_self == &pli_nested)
        return PLI_LOAD(pli_next.mode);
    if (__atomic_exchange_n(&pli_next.finding, 1, __ATOMIC_ACQ_REL) != 0) {
        while (PLI_LOAD_ACQUIRE(pli_next.mode) == PLI_NEXT_UNKNOWN)
            pli_os_yield();
        return pli_next.mode;
    }
    int saved_errno = errno;
    pli_thread *self = pli_self;
    pli_self = &pli_nested;
    pli_next_look_up();
    if (!pli_next.malloc || !pli_next.free || !pli_next.realloc || !pli_next.calloc)
        pli_no_next();
    pli_next.counts_new =
        pli_same_object(*(void **)&pli_next.new_one, *(void **)&pli_next.malloc);
    uint32_t mode = PLI_NEXT_DORMANT;
    if (!pli_sanitizer_present() && pli_malloc_is_ours())
        mode = pli_next_is_glibc() ? PLI_NEXT_GLIBC : PLI_NEXT_OTHER;
    pli_next_silence_copies();
    PLI_STORE_RELEASE(pli_next.mode, mode);
    PLI_STORE(pli_next.slow_below, mode == PLI_NEXT_GLIBC ? 0 : UINTPTR_MAX);
    pli_self = self;
    errno = saved_errno;
    return mode;
}

/* The mode for entry points that are not hot: finds it out when needed. */
static inline uint32_t pli_next_mode(void)
{
    uint32_t mode = PLI_LOAD_ACQUIRE(pli_next.mode);
    return PLI_LIKELY(mode != PLI_NEXT_UNKNOWN) ? mode : pli_next_find();
}

/* From now on the hooks of this copy only hand on. */
PLI_PUBLIC void pl_step_aside(void)
{
    pli_next_mode();
    PLI_STORE(pli_next.mode, PLI_NEXT_DORMANT);
    PLI_STORE(pli_next.slow_below, UINTPTR_MAX);
}

/* The first malloc and free of the program go through these. */
static PLI_COLD void *pli_boot_malloc(size_t size)
{
    if (pli_next_find() == PLI_NEXT_UNKNOWN)
        return pli_next.malloc == pli_boot_malloc ? pli_arena_alloc(0, size) :
        pli_next.malloc(size);
    return pli_next.malloc(size);
}

/* A free before the first malloc: of a block from before perflab was loaded, or of the arena. */
static PLI_COLD void pli_boot_free(void *p)
{
    if (pli_next_find() != PLI_NEXT_UNKNOWN && !pli_arena_holds(p))
        pli_next.free(p);
}

static pli_next_table pli_next = {
    .malloc = pli_boot_malloc, .free = pli_boot_free, .slow_below = UINTPTR_MAX};

/* -- Counting a block by its address -- */

/* What another allocator calls inside an entry point is part of that entry point. */
#define PLI_NESTED(call)                                                                           \
    __extension__({                                                                                \
        pli_thread *pli_outer = pli_self;                                                          \
        pli_self = &pli_nested;                                                                    \
        __typeof__(call) pli_value = (call);                                                       \
        pli_self = pli_outer;                                                                      \
        pli_value;                                                                                 \
    })

/* The usable size of a live block. Never call it after the block was given to the next free. */
static size_t pli_block_bytes(const void *p)
{
    uint32_t mode = PLI_LOAD(pli_next.mode);
    if (mode == PLI_NEXT_GLIBC)
        return pli_chunk_bytes(pli_chunk_word(p));
    if (mode == PLI_NEXT_DORMANT)
        return 0; /* nothing will be counted, and a sanitizer may not be ready to answer */
    return pli_next.malloc_usable_size ? pli_next.malloc_usable_size((void *)(uintptr_t)p) : 0;
}

/* Blocks of other allocators, mmapped ones of glibc's, no block at all, and all that the hot path
   of pli_heap_born leaves over. */
static PLI_COLD void *pli_block_born_slow(void *p, const void *ra)
{
    uint32_t mode = PLI_LOAD(pli_next.mode);
    if (!p || mode == PLI_NEXT_UNKNOWN || mode == PLI_NEXT_DORMANT)
        return p;
    size_t bytes = pli_block_bytes(p);
    if (PLI_BESIDE_WORDS(bytes) || !pli_heap_born(bytes))
        pli_heap_count_slow(bytes, 1);
    if (PLI_LOAD(pli_live.on) && pli_self != &pli_nested)
        pli_live_put((uintptr_t)p, pli_live_maker(bytes, ra));
    return p;
}

/* Counts p and returns it. Inlined, so that its return address is that of the entry point. */
__attribute__((always_inline)) static inline void *pli_block_born(void *p)
{
    if (PLI_UNLIKELY((uintptr_t)p <= pli_next.slow_below))
        return pli_block_born_slow(p, __builtin_return_address(0));
    size_t word = pli_chunk_word(p);
    if (PLI_UNLIKELY(word & 2) || PLI_UNLIKELY(!pli_heap_born(pli_chunk_bytes_plain(word))))
        return pli_block_born_slow(p, __builtin_return_address(0));
    return p;
}

/* Has every block pass the table of live ones, or not any more: all take the slow path then, so
   that the hot one need not ask. False where no block is seen. */
static bool pli_malloc_watch(bool on)
{
    uint32_t mode = pli_next_mode();
    /* First the flag, then the way to it: whoever still comes by the slow path after the end finds
       the flag down. */
    PLI_STORE(pli_live.on, on && mode != PLI_NEXT_DORMANT);
    if (mode == PLI_NEXT_GLIBC)
        PLI_STORE(pli_next.slow_below, on ? UINTPTR_MAX : 0);
    return mode != PLI_NEXT_DORMANT;
}

/* Counts bytes as freed. */
static void pli_block_died(size_t bytes)
{
    if (PLI_LOAD(pli_next.mode) == PLI_NEXT_DORMANT)
        return;
    if (PLI_BESIDE_WORDS(bytes) || !pli_heap_died(bytes))
        pli_heap_count_slow(bytes, 0);
}

/* -- The C entry points -- */

/* The two hot paths. As written they compile to a call, two comparisons of a register with memory,
   one test of a bit, and one counting step; free ends in a jump. Measured in bench/README.md. */
PLI_HOOK void *malloc(size_t size)
{
    return pli_block_born(pli_next.malloc(size));
}

/* NULL, blocks of the arena, of other allocators, mmapped ones, and windows that are left. */
static PLI_COLD void pli_free_slow(void *p)
{
    if (!p || pli_arena_holds(p))
        return;
    pli_live_died(p);
    if (pli_next_mode() != PLI_NEXT_UNKNOWN)
        pli_block_died(pli_block_bytes(p));
    pli_next.free(p);
}

/* The hot path is two comparisons and one addition, then the real free. Everything that is not an
   ordinary block of glibc's goes the slow way: NULL, the arena, blocks mapped one by one (bit 1 of
   the chunk's size), a thread's first block, an allocator whose sizes have to be asked for. */
PLI_HOOK void free(void *p)
{
    if (PLI_UNLIKELY((uintptr_t)p <= pli_next.slow_below) || PLI_UNLIKELY(pli_chunk_word(p) & 2) ||
        PLI_UNLIKELY(!pli_heap_died(pli_chunk_bytes_plain(pli_chunk_word(p)))))
        pli_free_slow(p);
    else
        pli_next.free(p);
}

/* The zeroing is left to the next calloc, which knows which pages are fresh. */
PLI_HOOK void *calloc(size_t count, size_t size)
{
    uint32_t mode = pli_next_mode();
    if (PLI_LIKELY(mode == PLI_NEXT_GLIBC))
        return pli_block_born(pli_next.calloc(count, size));
    if (mode == PLI_NEXT_UNKNOWN) /* the arena is zero and never reused */
        return size && count > PLI_ARENA_SIZE / size ? NULL : pli_arena_alloc(0, count * size);
    return pli_block_born(PLI_NESTED(pli_next.calloc(count, size)));
}

/* A block that dlsym asked for and now grows moves out of the arena. */
static PLI_COLD void *pli_realloc_of_arena(void *p, size_t size)
{
    void *q = malloc(size);
    size_t old = pli_arena_size(p);
    if (q)
        memcpy(q, p, old < size ? old : size);
    return q;
}

/* realloc(p, 0) frees where the next realloc says so by returning NULL, as glibc's does; others
   keep a block of no size. Old bytes are read first: afterwards the block may be somebody else's.
   */
PLI_HOOK void *realloc(void *p, size_t size)
{
    if (!p)
        return malloc(size);
    if (PLI_UNLIKELY(pli_arena_holds(p) || pli_next_mode() == PLI_NEXT_UNKNOWN))
        return pli_realloc_of_arena(p, size);
    size_t old = pli_block_bytes(p);
    /* Before the real realloc: when it has freed p, another thread may be handed the same address
       and put it in, and to take it out then would be wrong. */
    uint64_t made = pli_live_died(p);
    void *q = PLI_NESTED(pli_next.realloc(p, size));
    if (q || size == 0)
        pli_block_died(old);
    else if (made) /* p is still there */
        pli_live_put((uintptr_t)p, made);
    return pli_block_born(q);
}

/* The same overflow check everywhere, also where libc has no reallocarray. */
PLI_HOOK void *reallocarray(void *p, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, total);
}

/* The aligned forms. What the next in line lacks is made of what every system has. */
PLI_HOOK int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (pli_next_mode() == PLI_NEXT_UNKNOWN)
        return (*out = pli_arena_alloc(alignment, size)) ? 0 : ENOMEM;
    if (!pli_next.posix_memalign)
        pli_no_next();
    int error = PLI_NESTED(pli_next.posix_memalign(out, alignment, size));
    if (error == 0)
        pli_block_born(*out);
    return error;
}

/* C11's. The rule that size is a multiple of the alignment is left to the next in line. */
PLI_HOOK void *aligned_alloc(size_t alignment, size_t size)
{
    if (pli_next_mode() == PLI_NEXT_UNKNOWN)
        return pli_arena_alloc(alignment, size);
    if (!pli_next.aligned_alloc)
        pli_no_next();
    return pli_block_born(PLI_NESTED(pli_next.aligned_alloc(alignment, size)));
}

/* The three forms from before POSIX, still called by old programs and by glibc itself. */
PLI_HOOK void *memalign(size_t alignment, size_t size)
{
    if (pli_next_mode() == PLI_NEXT_UNKNOWN || !pli_next.memalign)
        return aligned_alloc(alignment, size);
    return pli_block_born(PLI_NESTED(pli_next.memalign(alignment, size)));
}

PLI_HOOK void *valloc(size_t size)
{
    if (pli_next_mode() == PLI_NEXT_UNKNOWN || !pli_next.valloc)
        return memalign((size_t)sysconf(_SC_PAGESIZE), size);
    return pli_block_born(PLI_NESTED(pli_next.valloc(size)));
}

PLI_HOOK void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (pli_next_mode() != PLI_NEXT_UNKNOWN && pli_next.pvalloc)
        return pli_block_born(PLI_NESTED(pli_next.pvalloc(size)));
    return memalign(page, (size + page - 1) & ~(page - 1));
}

/* C23: the sizes only help an allocator that looks for them. */
PLI_HOOK void free_sized(void *p, size_t size)
{
    if (!p || pli_arena_holds(p) || pli_next_mode() == PLI_NEXT_UNKNOWN || !pli_next.free_sized) {
        free(p);
        return;
    }
    pli_live_died(p);
    pli_block_died(pli_block_bytes(p));
    pli_next.free_sized(p, size);
}

/* The same for what aligned_alloc gave. */
PLI_HOOK void free_aligned_sized(void *p, size_t alignment, size_t size)
{
    if (!p || pli_arena_holds(p) || pli_next_mode() == PLI_NEXT_UNKNOWN ||
        !pli_next.free_aligned_sized) {
        free(p);
        return;
    }
    pli_live_died(p);
    pli_block_died(pli_block_bytes(p));
    pli_next.free_aligned_sized(p, alignment, size);
}

/* -- C++: operator new and delete --
   libstdc++'s call malloc and free, which count. jemalloc, tcmalloc and mimalloc bring operators of
   their own, some of which do and some of which do not, from one release to the next: a block is
   counted here if it was not counted on the way. PLI_NESTED cannot serve for new: an exception
   would leave the thread nested for ever. */

/* What changes when the calling thread counts a block. */
typedef struct pli_new_mark { const pli_thread *self; uint64_t born, epoch; } pli_new_mark;

/* Not an allocation, just three loads: new is as hot as malloc in C++. */
static pli_new_mark pli_new_mark_take(void)
{
    const pli_thread *t = pli_self;
    return (pli_new_mark){t, PLI_LOAD(t->heap.born), PLI_LOAD(t->heap.epoch)};
}

/* After new has returned: counts the block, unless the count moved meanwhile. Another block counted
   in between, by a new-handler say, is taken for this one: one block too few, in a program that has
   just run out of memory. */
static void *pli_new_done(void *p, pli_new_mark before)
{
    pli_new_mark now = pli_new_mark_take();
    int counted = now.self != before.self || now.born != before.born || now.epoch != before.epoch;
    return pli_next.counts_new && !counted ? pli_block_born(p) : p;
}

/* Without a C++ runtime behind: a C program that loads a C++ library privately. */
static PLI_COLD void *pli_new_without_runtime(size_t size, size_t alignment, int may_fail)
{
    size_t rounded = alignment ? (size + alignment - 1) & ~(alignment - 1) : size ? size : 1;
    void *p = alignment ? aligned_alloc(alignment, rounded) : malloc(rounded);
    if (!p && !may_fail)
        pli_fatal("perflab: operator new: out of memory, and no C++ runtime to throw bad_alloc\n");
    return p;
}

/* Exceptions pass through these frames by the unwind tables that every x86-64 and aarch64 object
   carries. In a program without a C++ runtime there is nothing to go on to. */
#define PLI_DEFINE_NEW(name, symbol, parameters, arguments, size, alignment, may_fail)             \
    PLI_HOOK void *pli_##name parameters __asm__(symbol);                                          \
    void *pli_##name parameters                                                                    \
    {                                                                                              \
        if (pli_next_mode() == PLI_NEXT_UNKNOWN || !pli_next.name)                                 \
            return pli_new_without_runtime(size, alignment, may_fail);                             \
        pli_new_mark mark = pli_new_mark_take();                                                   \
        return pli_new_done(pli_next.name arguments, mark);                                        \
    }

#define PLI_DEFINE_DELETE(name, symbol, parameters, arguments)                                     \
    PLI_HOOK void pli_##name parameters __asm__(symbol);                                           \
    void pli_##name parameters                                                                     \
    {                                                                                              \
        if (!p || pli_arena_holds(p) || pli_next_mode() == PLI_NEXT_UNKNOWN || !pli_next.name) {   \
            free(p);                                                                               \
            return;                                                                                \
        }                                                                                          \
        if (pli_next.counts_new) {                                                                 \
            pli_live_died(p);                                                                      \
            pli_block_died(pli_block_bytes(p));                                                    \
            PLI_NESTED((pli_next.name arguments, 0));                                              \
        } else {                                                                                   \
            pli_next.name arguments;                                                               \
        }                                                                                          \
    }

PLI_CPP_NEW(PLI_DEFINE_NEW)
PLI_CPP_DELETE(PLI_DEFINE_DELETE)

/* Whether the hooks above see every block of this program and count it. */
static int pli_malloc_in_charge(void)
{
    return pli_next_mode() != PLI_NEXT_DORMANT;
}

/* Whether the allocator behind all this is libc's own, so that mallinfo2 speaks of this heap. */
static int pli_malloc_is_libc(void)
{
    return !pli_malloc_in_charge() || pli_next_mode() == PLI_NEXT_GLIBC;
}

#else /* !PLI_INTERPOSE */

/* Nothing to step aside from. */
void pl_step_aside(void)
{
}

PLI_SOMETIMES static bool pli_malloc_watch(bool on)
{
    (void)on;
    return false;
}

/* Without hooks there is nothing that could count. */
static int pli_malloc_in_charge(void)
{
    return 0;
}

/* With hooks, the same question is answered by what was found behind them. */
static int pli_malloc_is_libc(void)
{
    return PLI_GLIBC && !PLI_SANITIZER;
}

#endif

/* -- The statistics --
   Three sources: the sums of all threads (>>heap), what the allocator says of itself, and what the
   kernel says of the process. Only the first is exact at any moment; the others round up to pages
   and keep memory that was freed. The difference between alloc and heap_inuse is what blocks cost
   beyond their bytes; between heap_inuse and heap_sys, what fragmentation and caching keep. */

/* What the allocator tells of itself; a lower bound where it tells nothing. */
static void pli_memstats_system(pl_memstats *out)
{
    pli_os_heap h = {0, 0, 0};
    if (pli_malloc_is_libc())
        h = pli_os_heap_read();
    if (!out->counted)
        out->alloc = h.inuse;
    out->sys = pli_os_data_bytes();
    out->heap_sys = h.sys ? h.sys : out->alloc;
    out->heap_inuse = h.inuse ? h.inuse : out->alloc;
    out->heap_idle = out->heap_sys - out->heap_inuse;
    out->heap_released = h.releasable;
}

/* The sum first: asking the allocator and the kernel takes longer, and other threads go on. */
pl_result pl_memstats_read(pl_memstats *out)
{
    if (!out)
        return PL_INVALID;
    memset(out, 0, sizeof *out);
    pli_heap_sum(out);
    out->counted = pli_malloc_in_charge();
    pli_memstats_system(out);
    out->heap_alloc = out->alloc;
    out->heap_objects = out->mallocs - out->frees;
    return PL_OK;
}

/* The kinds of the fields become the initialisers of the difference. */
pl_memstats pl_memstats_diff(const pl_memstats *after, const pl_memstats *before)
{
#define PLI_DIFF_TOTAL(name) after->name - before->name
#define PLI_DIFF_LEVEL(name) after->name - before->name
#define PLI_DIFF_KEEP(name) after->name
#define PLI_DIFF(name, kind, meaning) PLI_DIFF_##kind(name),
    return (pl_memstats){PL_MEMSTATS(PLI_DIFF)};
}

/* One line on what the numbers cover, since a silent zero would be taken for a fact. */
static const char *pli_memstats_remark(const pl_memstats *m)
{
    if (m->counted)
        return "every block of malloc and its family, of all threads, in usable bytes";
    if (PLI_SANITIZER)
        return "nothing: this is a sanitizer build, whose own malloc stays in place";
    if (!PLI_INTERPOSE)
        return "nothing: compiled with PERFLAB_NO_INTERPOSE, or on a system without interposition";
    return "nothing: another malloc is in place (static link, other tool); alloc is libc's word";
}

/* The names are those of the struct, so that a reader of the text finds them in the header. */
pl_result pl_memstats_write(const pl_memstats *m, FILE *out)
{
    if (!m || !out)
        return PL_INVALID;
#define PLI_MEMSTATS_LINE(name, kind, meaning)                                                     \
    fprintf(out, "%-14s = %" PRId64 "\n", #name, m->name);
    PL_MEMSTATS(PLI_MEMSTATS_LINE)
    fprintf(out, "# counted: %s\n", pli_memstats_remark(m));
    return fflush(out) == 0 && !ferror(out) ? PL_OK : PL_IO;
}

/* ==== >>sync =====================================================================================
   Where threads wait for one another. One hook for each function of libc that waits sees both sides
   of it:

       block   the stack of the one who waits, and how long          pl_block_rate_set
       mutex   the stack of the one who let others wait, at its      pl_mutex_fraction_set
               unlock, and how long they have waited so far

   A hook first tries without waiting: who gets the lock at once was not held up, and no time is
   taken. Only who would wait goes on to libc's function, between two looks at the clock.

   An unlock has to know who waits for this lock. Waiters hang themselves into a list for as long as
   they wait, with a node on their own stack: no memory is needed and nothing can overflow.

       bucket of the lock's address ──► {lock, since} ──► {lock, since} ──► NULL
                                         waiter 2's        waiter 1's stack

   The unlock adds up what all waiters of its lock have waited, and sets their clocks back: the next
   unlock is charged with what is waited from now on. So a lock that is held for 1 s while five
   wait costs 5 s, whoever of them gets it next. Go estimates this sum from the first and the last
   of the queue; here it is exact.

   A lock that H holds, and then A; A and B come meanwhile:

       time     0    1    2    3    4    5    6    7    8
       H        [ holds       ]unlock
       A             waits.....[ holds        ]unlock
       B                  waits...............[ holds ...
       charged                 2 + 1          3             A's and B's waits, then what B waits on
       block                   A: 2           B: 4          the sums are the same: 6

   Rates keep it cheap. block: what is shorter than the rate is kept with a probability of time /
   rate, and counts as rate / time events of that length, so that sums stay right. mutex: one
   charge in `fraction` is kept, and counts that often.

   What libc does inside itself is not seen (stdio's locks), nor are spin locks and futexes of the
   program's own. What a condition variable waits for its mutex at the end is part of its wait.

   Invariant: a node is in its list from before the wait until after it, and only lists' locks
   guard them; nothing that can wait is called under such a lock. */

#if PLI_LINUX

enum { PLI_SYNC_BLOCK = 1, PLI_SYNC_MUTEX = 2 };
#define PLI_SYNC_DEPTH 64
#define PLI_SYNC_BUFFER ((size_t)8 << 20)
#define PLI_SYNC_BUCKETS 256

/* On the waiting thread's stack. */
typedef struct pli_waiter {
    struct pli_waiter *next;
    const void *lock;
    uint64_t since; /* ticks: what was waited before is charged already */
    uint64_t began;
} pli_waiter;

static struct {
    uint32_t on;       /* PLI_SYNC_...: what is profiled; atomic */
    int64_t rate;      /* ns; 1: everything; atomic */
    int fraction;      /* one in so many; 0: none; atomic */
    pli_lock lock;     /* who changes these */
    pli_sites blocked, charged;
    struct { pli_lock lock; pli_waiter *first; } bucket[PLI_SYNC_BUCKETS];
} pli_sync;

/* -- Counting -- */

/* Counts at the stack of the program's call, of which `caller` is the return address: what lies
   before it is perflab's own. How many frames that are depends on what the compiler inlines, so
   they are not counted but looked through. Where the address is not found (no tables for perflab
   itself), the whole stack is taken: better a frame too many than none. Not in a signal handler, so
   the walk has a buffer of its own: the thread's ring may be in use by the sampler at this moment.
   */
static PL_NOINLINE void pli_sync_count(pli_sites *sites, const void *caller, int64_t events,
                                       int64_t ns)
{
    uintptr_t pcs[PLI_SYNC_DEPTH + 8], wanted = (uintptr_t)caller;
    pli_regs here = pli_regs_here();
    int depth = pli_unwind_sig(&here, pcs, PLI_SYNC_DEPTH + 8), first = 0;
    for (int i = 0; i < depth && i < 8 && first == 0; i++)
        if (pcs[i] - wanted + 1 < 2) /* the walk gives addresses inside the call */
            first = i;
    pli_site_key key = {PLI_LOAD(pli_self->labels), 0, pli_modules_epoch_sig(), depth - first,
                        pcs + first};
    pli_sites_count_sig(sites, &key, events, ns);
}

/* A number below `limit`, or at least 1, which is another one each time. */
static uint64_t pli_sync_random(uint64_t limit)
{
    return pli_mix_sig(pl_ticks(), (uintptr_t)&limit) % (limit ? limit : 1);
}

/* A wait has ended. One of the short ones stands for rate / ns of them: with a rate of 1 ms, of
   waits of 10 us one in a hundred is kept, and counts as a hundred waits and 1 ms, which is what a
   hundred of them take. The number of events is a whole one, above or below the true quotient by
   chance, so that it is right on average. After Go's blockevent. */
static void pli_sync_blocked(uint64_t ticks, const void *caller)
{
    uint64_t ns = pl_ticks_to_ns(ticks), rate = (uint64_t)PLI_LOAD(pli_sync.rate), events = 1;
    if (!(PLI_LOAD(pli_sync.on) & PLI_SYNC_BLOCK))
        return;
    if (ns < rate) {
        ns += ns == 0;
        if (pli_sync_random(rate) >= ns)
            return;
        events = rate / ns + (pli_sync_random(ns) < rate % ns); /* on average rate / ns */
        ns = rate;
    }
    pli_sync_count(&pli_sync.blocked, caller, (int64_t)events, (int64_t)ns);
}

/* -- Who waits for which lock -- */

/* Locks lie side by side in programs: multiplying spreads them over the buckets. Two locks that
   share one wait for each other's lists now and then, for some ten nanoseconds. */
static size_t pli_sync_bucket(const void *lock)
{
    return (size_t)((uintptr_t)lock * 0x9e3779b97f4a7c15u >> 40) % PLI_SYNC_BUCKETS;
}

/* From here on the thread counts as waiting for this lock. Between this and the wait itself the
   lock may come free: then libc's function does not wait, and next to nothing is counted. */
PLI_SOMETIMES static void pli_sync_wait_begin(pli_waiter *w, const void *lock)
{
    size_t b = pli_sync_bucket(lock);
    w->lock = lock;
    w->since = w->began = pl_ticks();
    pli_lock_take(&pli_sync.bucket[b].lock);
    w->next = pli_sync.bucket[b].first;
    PLI_STORE(pli_sync.bucket[b].first, w);
    pli_lock_give(&pli_sync.bucket[b].lock);
}

/* The wait is over, with the lock or without. What has been charged to unlocks meanwhile does not
   matter here: the waiter's own profile has all of it. */
PLI_SOMETIMES static void pli_sync_wait_end(pli_waiter *w, const void *caller)
{
    uint64_t ticks = pl_ticks() - w->began;
    size_t b = pli_sync_bucket(w->lock);
    pli_lock_take(&pli_sync.bucket[b].lock);
    pli_waiter **at = &pli_sync.bucket[b].first;
    while (*at && *at != w)
        at = &(*at)->next;
    if (*at) /* else a fork's child: its lists begin anew */
        PLI_STORE(*at, w->next);
    pli_lock_give(&pli_sync.bucket[b].lock);
    pli_sync_blocked(ticks, caller);
}

/* What all who wait for this lock have waited since the last unlock, in ticks. The look without the
   lock keeps uncontended unlocks cheap; a waiter that it misses came this moment, and is met by the
   next unlock with all of its wait. Other locks may share the bucket: their waiters are passed by.
   */
static uint64_t pli_sync_waited(const void *lock)
{
    size_t b = pli_sync_bucket(lock);
    uint64_t sum = 0;
    if (!PLI_LOAD(pli_sync.bucket[b].first))
        return 0;
    pli_lock_take(&pli_sync.bucket[b].lock);
    uint64_t now = pl_ticks();
    for (pli_waiter *w = pli_sync.bucket[b].first; w; w = w->next) {
        if (w->lock == lock) {
            sum += now - w->since;
            w->since = now;
        }
    }
    pli_lock_give(&pli_sync.bucket[b].lock);
    return sum;
}

/* Before the unlock itself: afterwards the lock may be somebody else's, or gone. */
PLI_SOMETIMES static void pli_sync_charge(const void *lock, const void *caller)
{
    int fraction = PLI_LOAD(pli_sync.fraction);
    if (fraction <= 0)
        return;
    uint64_t ticks = pli_sync_waited(lock);
    if (ticks == 0 || (fraction > 1 && pli_sync_random((uint64_t)fraction) != 0))
        return;
    pli_sync_count(&pli_sync.charged, caller, fraction,
                   (int64_t)pl_ticks_to_ns(ticks) * fraction);
}

/* -- The profiles -- */

/* Two profiles of the same shape: pprof's -sample_index chooses contentions or delay, and shows
   delay when nothing is said, the last of the two. The period of 1 is Go's, and has no meaning. */
static void pli_sync_view(pli_profile_view *view, const pli_sites *sites)
{
    view->sites = sites;
    view->types = 2;
    view->type[0] = (pli_sample_type){"contentions", "count", 0, 1};
    view->type[1] = (pli_sample_type){"delay", "nanoseconds", 1, 1};
    view->period_type = "contentions", view->period_unit = "count";
    view->period = 1;
    view->time_ns = (int64_t)pli_os_clock_ns_sig(CLOCK_REALTIME);
}

/* Reading takes no lock: sites only ever come, and their values only grow. */
static pl_result pli_block_view(pli_profile_view *view, bool emergency)
{
    (void)emergency;
    pli_sync_view(view, &pli_sync.blocked);
    view->contention = "contention";
    return PL_OK;
}

/* The fraction as it is now stands in the text form; it says nothing of what was kept before. */
static pl_result pli_mutex_view(pli_profile_view *view, bool emergency)
{
    (void)emergency;
    pli_sync_view(view, &pli_sync.charged);
    view->contention = "mutex";
    view->sampling = PLI_LOAD(pli_sync.fraction);
    return PL_OK;
}

static pli_profile_source pli_block_source = {"block", pli_block_view, NULL, NULL};
static pli_profile_source pli_mutex_source = {"mutex", pli_mutex_view, NULL, NULL};

/* In the child of a fork only this thread is left, which waits for nothing. */
static void pli_sync_fork_child(pli_thread *t)
{
    (void)t;
    memset(pli_sync.bucket, 0, sizeof pli_sync.bucket);
    pli_sync.lock.state = 0;
}

/* Threads need no birth or death here: what waits is alive. */
static const pli_thread_hooks pli_sync_hooks = {NULL, NULL, NULL, NULL, pli_sync_fork_child};

/* Opens the tables of both, once; they stay open, since a hook may be at work at any time. */
static pl_result pli_sync_prepare(void)
{
    if (pli_sync.charged.slots)
        return PL_OK;
    pl_result result = pli_unwind_prepare();
    if (result == PL_OK && !pli_sync.blocked.slots)
        result = pli_sites_open(&pli_sync.blocked, PLI_SYNC_BUFFER);
    if (result == PL_OK)
        result = pli_sites_open(&pli_sync.charged, PLI_SYNC_BUFFER);
    if (result != PL_OK)
        return result;
    pli_collector_add(&pli_sync_hooks);
    pli_profile_source_add(&pli_block_source);
    pli_profile_source_add(&pli_mutex_source);
    return PL_OK;
}

/* Switches one of the two on or off; off stays possible without memory. Under the lock. */
static void pli_sync_switch(uint32_t which, bool on)
{
    uint32_t now = PLI_LOAD(pli_sync.on);
    __atomic_store_n(&pli_sync.on, on ? now | which : now & ~which, __ATOMIC_RELEASE);
}

/* When there is no memory for the tables the profile stays off, and writing it says PL_INVALID. */
void pl_block_rate_set(int64_t ns)
{
    pli_lock_take(&pli_sync.lock);
    bool on = ns > 0 && pli_sync_prepare() == PL_OK;
    PLI_STORE(pli_sync.rate, ns);
    pli_sync_switch(PLI_SYNC_BLOCK, on);
    pli_lock_give(&pli_sync.lock);
}

/* What was kept stays as it was scaled: a new fraction does not change old counts. */
int pl_mutex_fraction_set(int n)
{
    pli_lock_take(&pli_sync.lock);
    int before = pli_sync.fraction;
    if (n >= 0) {
        bool on = n > 0 && pli_sync_prepare() == PL_OK;
        PLI_STORE(pli_sync.fraction, on ? n : 0);
        pli_sync_switch(PLI_SYNC_MUTEX, on);
    }
    pli_lock_give(&pli_sync.lock);
    return before;
}

#else /* !PLI_LINUX: there is nothing to set */

void pl_block_rate_set(int64_t ns)
{
    (void)ns;
}

int pl_mutex_fraction_set(int n)
{
    (void)n;
    return 0;
}

#endif /* PLI_LINUX */

#if PLI_INTERPOSE && !defined(PERFLAB_NO_SYNC)

/* -- Interposed -- */

/* What waits, and the unlocks. trylock, signal, broadcast and post do not wait, and are not
   touched: so they can be called here without coming back. In a static program the first list is
   known by another name, too, the second one is not. */
#define PLI_SYNC_CALLS(X)                                                                          \
    X(pthread_mutex_lock, (pthread_mutex_t *m), (m))                                               \
    X(pthread_mutex_timedlock, (pthread_mutex_t *m, PLI_UNTIL), (m, until))                        \
    X(pthread_mutex_unlock, (pthread_mutex_t *m), (m))                                             \
    X(pthread_rwlock_rdlock, (pthread_rwlock_t *l), (l))                                           \
    X(pthread_rwlock_wrlock, (pthread_rwlock_t *l), (l))                                           \
    X(pthread_rwlock_unlock, (pthread_rwlock_t *l), (l))                                           \
    X(pthread_cond_wait, (pthread_cond_t *c, pthread_mutex_t *m), (c, m))                          \
    X(pthread_cond_timedwait, (pthread_cond_t *c, pthread_mutex_t *m, PLI_UNTIL), (c, m, until))   \
    X(pthread_barrier_wait, (pthread_barrier_t *b), (b))                                           \
    X(pthread_join, (pthread_t thread, void **result), (thread, result))                           \
    PLI_SYNC_GLIBC_CALLS(X)
#define PLI_SYNC_LONE_CALLS(X)                                                                     \
    X(pthread_rwlock_timedrdlock, (pthread_rwlock_t *l, PLI_UNTIL), (l, until))                    \
    X(pthread_rwlock_timedwrlock, (pthread_rwlock_t *l, PLI_UNTIL), (l, until))                    \
    X(sem_wait, (sem_t *s), (s))                                                                   \
    X(sem_timedwait, (sem_t *s, PLI_UNTIL), (s, until))
#define PLI_UNTIL const struct timespec *until

/* glibc's own: C++ waits by them. */
#if PLI_SYNC_CLOCKS
#define PLI_SYNC_GLIBC_CALLS(X)                                                                    \
    X(pthread_mutex_clocklock, (pthread_mutex_t *m, clockid_t clock, PLI_UNTIL),                   \
      (m, clock, until))                                                                           \
    X(pthread_cond_clockwait, (pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock, PLI_UNTIL), \
      (c, m, clock, until))
#else
#define PLI_SYNC_GLIBC_CALLS(X)
#endif

/* Each pointer leads to a function that looks the next definition up and then stands aside: so the
   hot path tests nothing.

   In a static program nothing comes next, but libc has most of these under a name with underscores
   too, if something brings it along: C11's threads do, which are referred to here. Semaphores and
   timed locks are made of glibc's forms with a clock, which are not interposed for that reason. */
#if PLI_THRD_CREATE
extern int pli_thrd_join(void) __asm__("thrd_join");
extern int pli_mtx_timedlock(void) __asm__("mtx_timedlock");
extern int pli_mtx_unlock(void) __asm__("mtx_unlock");
extern int pli_cnd_wait(void) __asm__("cnd_wait");
static int (*const pli_sync_bring_along[])(void) __attribute__((used)) = {
    pli_thrd_join, pli_mtx_timedlock, pli_mtx_unlock, pli_cnd_wait};
#endif
#define PLI_SYNC_FIRST(name, parameters, arguments)                                                \
    extern int pli_libc_##name parameters __asm__("__" #name) __attribute__((weak));               \
    static int pli_first_##name parameters;
PLI_SYNC_CALLS(PLI_SYNC_FIRST)
#if PLI_SYNC_CLOCKS
#define PLI_SYNC_LONE(name, parameters, arguments) static int pli_first_##name parameters;
PLI_SYNC_LONE_CALLS(PLI_SYNC_LONE)

static int pli_libc_pthread_rwlock_timedrdlock(pthread_rwlock_t *l, PLI_UNTIL)
{
    return pthread_rwlock_clockrdlock(l, CLOCK_REALTIME, until);
}

static int pli_libc_pthread_rwlock_timedwrlock(pthread_rwlock_t *l, PLI_UNTIL)
{
    return pthread_rwlock_clockwrlock(l, CLOCK_REALTIME, until);
}

static int pli_libc_sem_timedwait(sem_t *s, PLI_UNTIL)
{
    return sem_clockwait(s, CLOCK_REALTIME, until);
}

static int pli_libc_sem_wait(sem_t *s)
{
    const struct timespec never = {INT32_MAX, 0};
    return sem_clockwait(s, CLOCK_MONOTONIC, &never);
}
#else
PLI_SYNC_LONE_CALLS(PLI_SYNC_FIRST)
#endif

#define PLI_SYNC_POINTER(name, parameters, arguments) int(*name) parameters;
#define PLI_SYNC_INITIAL(name, parameters, arguments) pli_first_##name,
static struct { PLI_SYNC_CALLS(PLI_SYNC_POINTER) PLI_SYNC_LONE_CALLS(PLI_SYNC_POINTER) }
    pli_sync_next = {PLI_SYNC_CALLS(PLI_SYNC_INITIAL) PLI_SYNC_LONE_CALLS(PLI_SYNC_INITIAL)};

/* There is nothing to go on to, and the program would go wrong without. */
static PLI_COLD void *pli_sync_missing(const char *name)
{
    char line[200];
    snprintf(line, sizeof line, "perflab: there is no %s behind perflab's (a static link); "
             "compile perflab.h with PERFLAB_NO_SYNC\n", name);
    pli_fatal(line);
    return NULL;
}

#define PLI_SYNC_FIND(name, parameters, arguments)                                                 \
    static int pli_first_##name parameters                                                         \
    {                                                                                              \
        int(*next) parameters;                                                                     \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        if (!next)                                                                                 \
            next = pli_libc_##name;                                                                \
        if (!next)                                                                                 \
            *(void **)&next = pli_sync_missing(#name);                                             \
        PLI_STORE(pli_sync_next.name, next);                                                       \
        return next arguments;                                                                     \
    }
PLI_SYNC_CALLS(PLI_SYNC_FIND)
PLI_SYNC_LONE_CALLS(PLI_SYNC_FIND)

/* Off is off: a load, a test that the processor foretells, and a jump to libc's function; 0.3 ns
   more than glibc alone for a lock and unlock (bench/lock_pair.c). */
#define PLI_SYNC_NEXT(name) PLI_LOAD(pli_sync_next.name)
#define PLI_SYNC_OFF PLI_LIKELY(PLI_LOAD(pli_sync.on) == 0)
#define PLI_CALLER __builtin_return_address(0)

/* For locks: tries first, and waits with the thread in the list of those who wait for it. Errors of
   the attempt are errors of the call, but that the lock is taken. Trying first lets a thread take
   the lock that has just come, before those who wait: libc's own mutexes allow that as well, and
   locks that go by priority are given by the kernel in either case. The macro ends the function,
   since the caller's address can only be asked for there. */
#define PLI_SYNC_LOCK(attempt, lock, name, arguments)                                              \
    if (PLI_SYNC_OFF)                                                                              \
        return PLI_SYNC_NEXT(name) arguments;                                                      \
    int error = attempt(lock);                                                                     \
    if (error != EBUSY)                                                                            \
        return error;                                                                              \
    pli_waiter waiter;                                                                             \
    pli_sync_wait_begin(&waiter, lock);                                                            \
    error = PLI_SYNC_NEXT(name) arguments;                                                         \
    pli_sync_wait_end(&waiter, PLI_CALLER);                                                        \
    return error;

/* For the others: nobody is charged. They may be cancelled on the way, and then count nothing. */
#define PLI_SYNC_WAIT(name, arguments)                                                             \
    uint64_t began = pl_ticks();                                                                   \
    int result = PLI_SYNC_NEXT(name) arguments;                                                    \
    int saved_errno = errno;                                                                       \
    pli_sync_blocked(pl_ticks() - began, PLI_CALLER);                                              \
    errno = saved_errno;                                                                           \
    return result;

/* An attempt takes what is free, owned by somebody who died, or this thread's already (recursive);
   an error checking mutex that is this thread's own is busy too, and libc's function then says
   EDEADLK. */
PLI_HOOK int pthread_mutex_lock(pthread_mutex_t *m)
{
    PLI_SYNC_LOCK(pthread_mutex_trylock, m, pthread_mutex_lock, (m))
}

PLI_HOOK int pthread_mutex_timedlock(pthread_mutex_t *m, PLI_UNTIL)
{
    PLI_SYNC_LOCK(pthread_mutex_trylock, m, pthread_mutex_timedlock, (m, until))
}

/* Charged before it is unlocked: see pli_sync_charge. */
PLI_HOOK int pthread_mutex_unlock(pthread_mutex_t *m)
{
    if (!PLI_SYNC_OFF)
        pli_sync_charge(m, PLI_CALLER);
    return PLI_SYNC_NEXT(pthread_mutex_unlock)(m);
}

/* A reader waits for the writer that holds the lock, or for one that waits before it. */
PLI_HOOK int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
    PLI_SYNC_LOCK(pthread_rwlock_tryrdlock, l, pthread_rwlock_rdlock, (l))
}

PLI_HOOK int pthread_rwlock_timedrdlock(pthread_rwlock_t *l, PLI_UNTIL)
{
    PLI_SYNC_LOCK(pthread_rwlock_tryrdlock, l, pthread_rwlock_timedrdlock, (l, until))
}

PLI_HOOK int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
    PLI_SYNC_LOCK(pthread_rwlock_trywrlock, l, pthread_rwlock_wrlock, (l))
}

PLI_HOOK int pthread_rwlock_timedwrlock(pthread_rwlock_t *l, PLI_UNTIL)
{
    PLI_SYNC_LOCK(pthread_rwlock_trywrlock, l, pthread_rwlock_timedwrlock, (l, until))
}

/* Every reader's unlock is charged with what writers wait: who of several readers was the last is
   known to nobody. */
PLI_HOOK int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
    if (!PLI_SYNC_OFF)
        pli_sync_charge(l, PLI_CALLER);
    return PLI_SYNC_NEXT(pthread_rwlock_unlock)(l);
}

/* Waiting for a condition unlocks the mutex. */
#define PLI_SYNC_COND(name, arguments)                                                             \
    if (PLI_SYNC_OFF)                                                                              \
        return PLI_SYNC_NEXT(name) arguments;                                                      \
    pli_sync_charge(m, PLI_CALLER);                                                                \
    PLI_SYNC_WAIT(name, arguments)

/* What the thread waits for the mutex at the end is part of this: libc takes it without asking. */
PLI_HOOK int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    PLI_SYNC_COND(pthread_cond_wait, (c, m))
}

PLI_HOOK int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, PLI_UNTIL)
{
    PLI_SYNC_COND(pthread_cond_timedwait, (c, m, until))
}

/* The last one to come does not wait, and is told so by libc. */
PLI_HOOK int pthread_barrier_wait(pthread_barrier_t *b)
{
    if (PLI_SYNC_OFF)
        return PLI_SYNC_NEXT(pthread_barrier_wait)(b);
    uint64_t began = pl_ticks();
    int result = PLI_SYNC_NEXT(pthread_barrier_wait)(b);
    if (result == 0)
        pli_sync_blocked(pl_ticks() - began, PLI_CALLER);
    return result;
}

/* A thread that has ended already is joined at once, and nobody has waited. */
PLI_HOOK int pthread_join(pthread_t thread, void **result)
{
    if (PLI_SYNC_OFF)
        return PLI_SYNC_NEXT(pthread_join)(thread, result);
    int error = pthread_tryjoin_np(thread, result);
    if (error != EBUSY)
        return error;
    uint64_t began = pl_ticks();
    error = PLI_SYNC_NEXT(pthread_join)(thread, result);
    pli_sync_blocked(pl_ticks() - began, PLI_CALLER);
    return error;
}

/* Semaphores tell errors by errno. A signal handler's EINTR ends the wait, which counts as far as
   it went: the program's loop will wait again. */
#define PLI_SYNC_SEM(name, arguments)                                                              \
    if (PLI_SYNC_OFF)                                                                              \
        return PLI_SYNC_NEXT(name) arguments;                                                      \
    int saved = errno;                                                                             \
    if (sem_trywait(s) == 0)                                                                       \
        return 0;                                                                                  \
    errno = saved;                                                                                 \
    PLI_SYNC_WAIT(name, arguments)

/* A semaphore has no owner: nobody is charged. */
PLI_HOOK int sem_wait(sem_t *s)
{
    PLI_SYNC_SEM(sem_wait, (s))
}

PLI_HOOK int sem_timedwait(sem_t *s, PLI_UNTIL)
{
    PLI_SYNC_SEM(sem_timedwait, (s, until))
}

#if PLI_SYNC_CLOCKS

PLI_HOOK int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock, PLI_UNTIL)
{
    PLI_SYNC_LOCK(pthread_mutex_trylock, m, pthread_mutex_clocklock, (m, clock, until))
}

PLI_HOOK int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
                                    PLI_UNTIL)
{
    PLI_SYNC_COND(pthread_cond_clockwait, (c, m, clock, until))
}

#endif
#endif /* PLI_INTERPOSE && !PERFLAB_NO_SYNC */

/* ==== >>elf ======================================================================================
   Programs and libraries as the ELF format describes them. A file has a table of sections, which
   tells where everything is; what is loaded has only segments, and one of them, the dynamic
   section, points to what the dynamic linker needs:

       file      | header | code, data ... | .symtab | .strtab | ... | sections |
                     └──────────────────────────────────────────────────▲ e_shoff
       memory    | header, program headers | code | dynamic section | data |
                             └── PT_DYNAMIC ───────────▲ DT_SYMTAB, DT_STRTAB, DT_GNU_HASH

   A symbol is a name (a place in a table of strings), an address as the file has it, a size and a
   kind. There are two tables of them: .symtab has all functions and may be stripped, .dynsym has
   those that other modules may call and is always there.

   Every number that is read may be wrong: the file may be cut, replaced while it is read, or made
   to do harm, and the module may be unloaded. So files are read by pread, not mapped, since a file
   that shrinks takes mapped memory away; memory is read by a system call that fails where there is
   none; and both know their size and refuse what lies outside. Tables are copied whole: what was
   checked does not change afterwards. tests/fuzz/elf.c feeds them anything.

   Files of other processors, widths or byte orders are refused. */

#if PLI_LINUX

/* -- Images: a file, or memory -- */

/* Where bytes come from: a file when fd is one, else the memory that begins at base. Offsets count
   from the first byte of either. In memory that is where the module's first segment was loaded, so
   that an offset is an address of the file less that of its first segment. */
typedef struct pli_image { int fd; uintptr_t base; uint64_t size; } pli_image;

/* Whether a part lies inside, without overflow whatever the numbers. */
static bool pli_image_holds(const pli_image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset;
}

/* Memory is read by a system call too: the module may be unloaded meanwhile. */
static bool pli_image_read(const pli_image *image, uint64_t offset, void *to, size_t size)
{
    if (!pli_image_holds(image, offset, size))
        return false;
    if (image->fd < 0)
        return pli_os_copy(to, image->base + offset, size);
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(image->fd, (char *)to + done, size - done, (off_t)(offset + done));
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* A copy of a part in fresh memory, with a zero byte behind it, so that a last string without an
   end has one; NULL when that is not possible. Memory from the system is zero. A false size costs no
   more than the size of the file. */
static void *pli_image_take(const pli_image *image, uint64_t offset, uint64_t size)
{
    void *copy = pli_image_holds(image, offset, size) ? pli_os_map_now((size_t)size + 1) : NULL;
    if (copy && !pli_image_read(image, offset, copy, (size_t)size)) {
        munmap(copy, (size_t)size + 1);
        return NULL;
    }
    return copy;
}

/* Ends a copy; the size is the one that was asked for. */
static void pli_image_give(void *copy, uint64_t size)
{
    if (copy)
        munmap(copy, (size_t)size + 1);
}

/* Copies the build id from the notes in [at, end) to id; its size, or 0. The linker makes it from
   all that it links, so that files with the same id are the same program. A note:

       bytes of the name | bytes of the content | type 3 | "GNU\0" | the id, 20 bytes or so

   Names and contents are padded to four bytes. */
static int pli_image_notes_id(const pli_image *image, uint64_t at, uint64_t end, unsigned char *id)
{
    uint32_t head[3];
    while (at < end && end - at > sizeof head && pli_image_read(image, at, head, sizeof head)) {
        char name[4] = "";
        uint64_t content = at + sizeof head + (((uint64_t)head[0] + 3) & ~(uint64_t)3);
        if (head[2] == NT_GNU_BUILD_ID && head[0] == 4 && head[1] <= PLI_BUILD_ID_MAX &&
            pli_image_read(image, at + sizeof head, name, 4) && memcmp(name, "GNU", 4) == 0)
            return pli_image_read(image, content, id, head[1]) ? (int)head[1] : 0;
        at = content + (((uint64_t)head[1] + 3) & ~(uint64_t)3);
    }
    return 0;
}

/* An open file with its table of sections. The table is a copy; its offsets and sizes are not
   checked until they are used, since sections that nobody needs may be as wrong as they like. */
typedef struct pli_elf {
    pli_image image;
    ElfW(Ehdr) header;
    ElfW(Shdr) *section;
    size_t sections;
} pli_elf;

/* For this processor, and laid out as the structures here are. */
static bool pli_elf_is_native(const ElfW(Ehdr) *h)
{
    const unsigned char *ident = h->e_ident;
    return memcmp(ident, ELFMAG, SELFMAG) == 0 &&
           ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) &&
           ident[EI_DATA] == PLI_ELF_DATA && h->e_machine == PLI_ELF_MACHINE &&
           h->e_shentsize == sizeof(ElfW(Shdr));
}

/* Also after pli_elf_use said no. */
static void pli_elf_close(pli_elf *elf)
{
    pli_image_give(elf->section, elf->sections * sizeof *elf->section);
    if (elf->image.fd >= 0)
        close(elf->image.fd);
}

/* Takes over the descriptor. False when it is no file of this kind, or has no table of sections.
   Only plain files: reading from a pipe that somebody put in its place would wait. */
static bool pli_elf_use(pli_elf *elf, int fd)
{
    struct stat status;
    memset(elf, 0, sizeof *elf);
    elf->image.fd = fd;
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    elf->image.size = (uint64_t)status.st_size;
    if (!pli_image_read(&elf->image, 0, &elf->header, sizeof elf->header) ||
        !pli_elf_is_native(&elf->header))
        return false;
    uint64_t bytes = (uint64_t)elf->header.e_shnum * sizeof *elf->section;
    elf->section = pli_image_take(&elf->image, elf->header.e_shoff, bytes);
    elf->sections = elf->section ? elf->header.e_shnum : 0;
    return elf->sections > 0;
}

/* The build id from the note sections: program headers of debug files point nowhere. */
static int pli_elf_build_id(const pli_elf *elf, unsigned char *id)
{
    int size = 0;
    for (size_t i = 0; i < elf->sections && size == 0; i++) {
        const ElfW(Shdr) *s = &elf->section[i];
        if (s->sh_type == SHT_NOTE && pli_image_holds(&elf->image, s->sh_offset, s->sh_size))
            size = pli_image_notes_id(&elf->image, s->sh_offset, s->sh_offset + s->sh_size, id);
    }
    return size;
}

/* Whether the file's program headers are those in memory: for what was linked without build id. */
static bool pli_elf_has_headers(const pli_elf *elf, const pli_module *m)
{
    ElfW(Phdr) in_file, in_memory;
    bool same = m->last_epoch == PLI_EPOCH_NOW && elf->header.e_phnum == m->phdr_count &&
                elf->header.e_phentsize == sizeof in_file;
    for (int i = 0; same && i < m->phdr_count; i++)
        same = pli_image_read(&elf->image, elf->header.e_phoff + (uint64_t)i * sizeof in_file,
                              &in_file, sizeof in_file) &&
               pli_os_copy(&in_memory, (uintptr_t)&m->phdrs[i], sizeof in_memory) &&
               memcmp(&in_file, &in_memory, sizeof in_file) == 0;
    return same;
}

/* Whether this is the file that the module was loaded from, or its debug file. */
static bool pli_elf_is(const pli_elf *elf, const pli_module *m)
{
    unsigned char id[PLI_BUILD_ID_MAX];
    int size = pli_elf_build_id(elf, id);
    if (size == 0 && m->build_id_size == 0)
        return pli_elf_has_headers(elf, m);
    return size == m->build_id_size && memcmp(id, m->build_id, (size_t)size) == 0;
}

/* Opens a file if it belongs to the module. O_NONBLOCK, since to open a pipe would wait too. */
static bool pli_elf_open(pli_elf *elf, const char *path, const pli_module *m)
{
    int fd = pli_os_open(path, O_RDONLY | O_NONBLOCK);
    if (pli_elf_use(elf, fd) && pli_elf_is(elf, m))
        return true;
    pli_elf_close(elf);
    return false;
}

/* -- Tables of symbols -- */

/* A copy of both parts of a table, as they are in the image:

       symbol     | name: 1, address, size, kind | name: 7, ... |
       strings    \0 s t r l e n \0 m e m c p y @ @ G L I B C _ 2 . 1 4 \0
                  0 1             8

   The sections are those of the file, as long as it is open; there are none in memory. */
typedef struct pli_table {
    ElfW(Sym) *symbol;
    size_t count, string_bytes;
    char *strings;
    const ElfW(Shdr) *section;
    size_t sections;
} pli_table;

/* Copies both parts; false and nothing kept when that fails. Places of names and numbers of
   symbols are kept in 32 bits: no table of a real program is larger. */
static bool pli_table_take(pli_table *table, const pli_image *image, uint64_t symbols,
                           uint64_t count, uint64_t strings, uint64_t string_bytes)
{
    memset(table, 0, sizeof *table);
    if (count == 0 || count > UINT32_MAX || string_bytes == 0 || string_bytes > UINT32_MAX)
        return false;
    table->count = (size_t)count, table->string_bytes = (size_t)string_bytes;
    table->symbol = pli_image_take(image, symbols, count * sizeof(ElfW(Sym)));
    table->strings = table->symbol ? pli_image_take(image, strings, string_bytes) : NULL;
    if (!table->strings)
        pli_image_give(table->symbol, count * sizeof(ElfW(Sym)));
    return table->strings != NULL;
}

/* The file's table of this type: SHT_SYMTAB or SHT_DYNSYM. */
static bool pli_table_of_file(pli_table *table, const pli_elf *elf, uint32_t type)
{
    for (size_t i = 0; i < elf->sections; i++) {
        const ElfW(Shdr) *s = &elf->section[i];
        if (s->sh_type != type || s->sh_entsize != sizeof(ElfW(Sym)) || s->sh_link >= elf->sections)
            continue;
        const ElfW(Shdr) *strings = &elf->section[s->sh_link];
        if (strings->sh_type == SHT_STRTAB &&
            pli_table_take(table, &elf->image, s->sh_offset, s->sh_size / sizeof(ElfW(Sym)),
                           strings->sh_offset, strings->sh_size)) {
            table->section = elf->section, table->sections = elf->sections;
            return true;
        }
    }
    return false;
}

/* How many symbols a GNU hash table knows of, since the dynamic section does not say how long its
   table is. A bucket holds the number of its first symbol, chains follow one another in the order
   of the symbols. So the chain of the highest bucket is the last, and it ends at an odd value:

       buckets, symoffset, bloom words, shift, bloom filter..., bucket..., chain... */
static uint64_t pli_gnu_hash_count(const pli_image *image, uint64_t at)
{
    uint32_t head[4], link = 0;
    if (!pli_image_read(image, at, head, sizeof head))
        return 0;
    uint64_t buckets = at + sizeof head + (uint64_t)head[2] * sizeof(uintptr_t);
    uint64_t chain = buckets + (uint64_t)head[0] * 4;
    uint32_t *bucket = pli_image_take(image, buckets, (uint64_t)head[0] * 4);
    uint64_t last = 0;
    for (uint32_t i = 0; bucket && i < head[0]; i++)
        last = bucket[i] > last ? bucket[i] : last;
    pli_image_give(bucket, (uint64_t)head[0] * 4);
    if (last < head[1])
        return head[1];
    for (; !(link & 1); last++)
        if (!pli_image_read(image, chain + (last - head[1]) * 4, &link, 4))
            return 0;
    return last;
}

/* Offsets in the image of what the dynamic section points to; 0: it does not. */
typedef struct pli_dynamic { uint64_t symbols, strings, string_bytes, hash, gnu_hash; } pli_dynamic;

/* Some dynamic linkers replace addresses of the file by those in memory (glibc), others do not
   (musl), and nobody does so in the vdso, which is read-only. */
static uint64_t pli_dynamic_offset(const pli_module *m, uintptr_t address)
{
    bool in_memory = address >= m->start && address < m->end;
    return (in_memory ? address : address + m->bias) - m->start;
}

/* Notes what one entry says. Only those entries are understood that lead to the symbols. */
static void pli_dynamic_take(pli_dynamic *d, const pli_module *m, const ElfW(Dyn) *entry)
{
    uint64_t offset = pli_dynamic_offset(m, entry->d_un.d_ptr);
    switch (entry->d_tag) {
    case DT_SYMTAB: d->symbols = offset; break;
    case DT_STRTAB: d->strings = offset; break;
    case DT_STRSZ: d->string_bytes = entry->d_un.d_val; break;
    case DT_HASH: d->hash = offset; break;
    case DT_GNU_HASH: d->gnu_hash = offset; break;
    default: break;
    }
}

/* Reads the dynamic section of a loaded module. */
static void pli_dynamic_read(pli_dynamic *d, const pli_module *m, const pli_image *image)
{
    ElfW(Phdr) header;
    ElfW(Dyn) entry;
    memset(d, 0, sizeof *d);
    for (int i = 0; i < m->phdr_count; i++) {
        if (!pli_os_copy(&header, (uintptr_t)&m->phdrs[i], sizeof header))
            return;
        if (header.p_type != PT_DYNAMIC)
            continue;
        uint64_t at = m->bias + header.p_vaddr - m->start, end = at + header.p_memsz;
        for (; at < end && pli_image_read(image, at, &entry, sizeof entry); at += sizeof entry)
            pli_dynamic_take(d, m, &entry);
    }
}

/* What a module exports, by its dynamic section: of the two hash tables, one is there. */
static bool pli_table_of_dynamic(pli_table *table, const pli_module *m)
{
    pli_image image = {-1, m->start, m->end - m->start};
    pli_dynamic d;
    uint32_t count[2] = {0, 0}; /* buckets, symbols */
    pli_dynamic_read(&d, m, &image);
    if (d.hash)
        pli_image_read(&image, d.hash, count, sizeof count);
    uint64_t symbols = d.hash || !d.gnu_hash ? count[1] : pli_gnu_hash_count(&image, d.gnu_hash);
    return pli_table_take(table, &image, d.symbols, symbols, d.strings, d.string_bytes);
}

/* The same from memory that is there, and stays while it is read: dlclose waits that long. */
static bool pli_table_of_memory(pli_table *table, const pli_module *m)
{
    pli_modules_enter_sig();
    bool found = !pli_modules_frozen_sig() && m->last_epoch == PLI_EPOCH_NOW &&
                 pli_table_of_dynamic(table, m);
    pli_modules_leave_sig();
    return found;
}

/* -- Where the tables are -- */

#define PLI_DEBUG_ROOT "/usr/lib/debug"
#define PLI_DEBUG_PATH 1024 /* longer ones are not looked at: handlers have little stack */

/* Debug packages of distributions put their files under the build id of the program:
   /usr/lib/debug/.build-id/ab/cdef....debug */
static bool pli_debug_by_id(pli_elf *elf, const pli_module *m)
{
    char path[sizeof PLI_DEBUG_ROOT "/.build-id/" + 2 * PLI_BUILD_ID_MAX + sizeof "/.debug"];
    if (m->build_id_size < 2)
        return false;
    char *end = path + snprintf(path, sizeof path, PLI_DEBUG_ROOT "/.build-id/%02x/",
                                m->build_id[0]);
    for (int i = 1; i < m->build_id_size; i++)
        end += snprintf(end, 3, "%02x", m->build_id[i]);
    memcpy(end, ".debug", sizeof ".debug");
    return pli_elf_open(elf, path, m);
}

/* Copies the name of a section, as much of it as there is room for; false when it has none. */
static bool pli_elf_section_name(const pli_elf *elf, size_t i, char *name, size_t size)
{
    size_t names = elf->header.e_shstrndx;
    if (names >= elf->sections)
        return false;
    uint64_t at = elf->section[names].sh_offset + elf->section[i].sh_name;
    uint64_t left = at < elf->image.size ? elf->image.size - at : 0;
    size_t bytes = left < size - 1 ? (size_t)left : size - 1;
    name[bytes] = '\0';
    return bytes > 0 && pli_image_read(&elf->image, at, name, bytes);
}

/* Copies the name that .gnu_debuglink gives; false when there is none. The section is a file name,
   its end, and a checksum that the build id makes needless. Names with a slash are not followed:
   the three folders below are where debug files belong. */
static bool pli_debug_link(const pli_elf *elf, char *name, size_t size)
{
    char title[sizeof ".gnu_debuglink"];
    for (size_t i = 0; i < elf->sections; i++) {
        const ElfW(Shdr) *s = &elf->section[i];
        size_t bytes = s->sh_size < size - 1 ? (size_t)s->sh_size : size - 1;
        if (pli_elf_section_name(elf, i, title, sizeof title) &&
            strcmp(title, ".gnu_debuglink") == 0 &&
            pli_image_read(&elf->image, s->sh_offset, name, bytes)) {
            name[bytes] = '\0';
            return *name && !strchr(name, '/');
        }
    }
    return false;
}

/* Beside the file, in .debug beside it, and at its place below /usr/lib/debug. */
static bool pli_debug_by_link(pli_elf *debug, const pli_elf *elf, const pli_module *m)
{
    static const char *const places[][2] = {{"", "/"}, {"", "/.debug/"}, {PLI_DEBUG_ROOT, "/"}};
    char path[PLI_DEBUG_PATH], name[256];
    const char *slash = strrchr(m->path, '/');
    if (!slash || !pli_debug_link(elf, name, sizeof name))
        return false;
    for (int i = 0; i < 3; i++) {
        int size = snprintf(path, sizeof path, "%s%.*s%s%s", places[i][0],
                            (int)(slash - m->path), m->path, places[i][1], name);
        if (size > 0 && (size_t)size < sizeof path && pli_elf_open(debug, path, m))
            return true;
    }
    return false;
}

/* The module's own file; the running program's even when it was deleted. */
static bool pli_elf_of_module(pli_elf *elf, const pli_module *m)
{
    if (m->path[0] != '/')
        return false;
    return pli_elf_open(elf, m->path, m) || (m->is_main && pli_elf_open(elf, "/proc/self/exe", m));
}

/* Puts the module's debug file in place of its own one, which is open if `own`. False, and nothing
   changed, when there is none. */
static bool pli_elf_take_debug(pli_elf *elf, bool own, const pli_module *m)
{
    pli_elf debug;
    if (!pli_debug_by_id(&debug, m) && !(own && pli_debug_by_link(&debug, elf, m)))
        return false;
    if (own)
        pli_elf_close(elf);
    *elf = debug;
    return true;
}

#endif /* PLI_LINUX */

/* ==== >>symbol ===================================================================================
   Names for addresses. The names of a module come from the best table there is:

       .symtab of its file ─► of its separate debug file ─► .dynsym of its file ─► .dynsym in memory

   A file counts only when it is the one that was loaded: its build id tells, or else its program
   headers. A debug file is looked for by build id and by .gnu_debuglink. What is in memory serves
   the vdso, and programs whose files were deleted or replaced since.

   A table is read at the first question about its module, and sorted into ranges:

       start   0x1000        0x1040   0x1050              0x10c0
               │ parse       │ copy   │ copy_loop         │ (nothing)
       end     └──── 0x1038  └────────┼──── 0x10a0        reach: the highest end so far
                                      └─ open: ends where the next begins, or its FDE

   An address belongs to the innermost range around it, and to none when it lies behind the end of
   all: then its function is called [module+0x1234], by the begin of the function as its unwind
   table tells it, so that all samples of one function fall together.

   Nothing here takes a lock, calls malloc or keeps a file open: two threads that need the same
   table both make it, and one of the two is used. So names can be found in an emergency, from the
   handler of a deadly signal. What calls into other libraries is left out there: C++ names stay
   mangled, and of the IFUNCs only libc's own are resolved.

   Invariant: a table that hangs in its module never changes, but for the names in `shown`, each of
   which is written once. */

#if PLI_LINUX

/* How much is known of a module: nothing, what it exports (.dynsym), all functions (.symtab). */
enum { PLI_NAMES_NONE, PLI_NAMES_EXPORTED, PLI_NAMES_ALL };

/* A range and its name, in 16 bytes. Offsets count from the module's first address. */
typedef struct pli_symbol {
    uint32_t start, end; /* end = start: open */
    uint32_t reach;      /* the highest end of this and all before: where none of them goes further,
                            there is no need to look on */
    uint32_t name;       /* its place in strings */
} pli_symbol;

/* The names of a module. One block of memory has the structure and its arrays, one the strings. */
typedef struct pli_symbols {
    size_t count, string_bytes, bytes;
    int kind;          /* which table it was */
    bool complete;     /* IFUNCs are resolved */
    char *strings;
    pli_symbol *symbol;
    const char **shown; /* the names as people write them, where these differ; atomic */
} pli_symbols;

/* -- From a table to ranges -- */

/* What is being sorted. A pair has all that is needed of a symbol:

       key      63          32 31  28 27     24 23       16 15    12 11      0
                | start       | kind | is local | underscores | is weak | length |
       value    | name        | size                                             |

   The lower half of the key is the rank: of several names at one address, the first is what a
   person calls it. */
typedef struct pli_sorter {
    const pli_module *module;
    const pli_table *table;
    pli_pair *pairs, *scratch; /* room for two for each symbol: IFUNCs add what they stand for */
    size_t count, capacity;
    bool emergency;
    int pinned;                /* 0: not asked, 1: the module cannot go, 2: it might */
    void *handle;              /* what keeps it */
} pli_sorter;

/* What a symbol is, the best first: what an IFUNC stands for, a function, a label, nothing. */
enum { PLI_RANK_RESOLVED, PLI_RANK_FUNCTION, PLI_RANK_LABEL, PLI_RANK_NONE };

/* The name of a symbol. Versions (memcpy@@GLIBC_2.14) and what compilers append to copies of a
   function (parse.part.0) are cut off, in the table itself. NULL: it has none. */
static char *pli_symbol_name(const pli_table *table, const ElfW(Sym) *symbol)
{
    static const char *const marks[] = {".cold", ".part.", ".isra.", ".constprop.", ".lto_priv.",
                                        ".llvm.", ".localalias"};
    char *name = symbol->st_name < table->string_bytes ? table->strings + symbol->st_name : NULL;
    if (!name || !*name)
        return NULL;
    char *cut = strchr(name + 1, '@'), *dot;
    if (cut)
        *cut = '\0';
    dot = strchr(name + 1, '.');
    for (size_t i = 0; dot && i < sizeof marks / sizeof *marks; i++)
        if ((cut = strstr(dot, marks[i])) != NULL)
            *cut = '\0';
    return name;
}

/* A label of assembler code that was not declared a function. Those that assemblers and linkers
   make (.L5, $x, _etext) mark other things. */
static bool pli_symbol_is_label(const pli_table *table, const ElfW(Sym) *symbol, const char *name)
{
    if (symbol->st_shndx >= table->sections || name[0] == '$' || name[0] == '.')
        return false;
    const ElfW(Shdr) *s = &table->section[symbol->st_shndx];
    return (s->sh_flags & SHF_EXECINSTR) && symbol->st_value >= s->sh_addr &&
           symbol->st_value - s->sh_addr < s->sh_size;
}

/* Imports have no section; what has a reserved one is a constant. Data is no code. */
static int pli_symbol_kind(const pli_table *table, const ElfW(Sym) *symbol, const char *name)
{
    int type = symbol->st_info & 15;
    if (!name || symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE)
        return PLI_RANK_NONE;
    if (type == STT_FUNC || type == STT_GNU_IFUNC)
        return PLI_RANK_FUNCTION;
    return type == STT_NOTYPE && pli_symbol_is_label(table, symbol, name) ? PLI_RANK_LABEL
                                                                           : PLI_RANK_NONE;
}

/* The lower the better: exported names before local ones, then those with the fewest underscores in
   front, strong before weak, short before long. In glibc 2.36 that makes write of write, __write
   and __libc_write, and memcmp (strong) of memcmp and bcmp (weak). */
static uint32_t pli_symbol_rank(int kind, const ElfW(Sym) *symbol, const char *name)
{
    uint32_t binding = symbol->st_info >> 4;
    size_t underscores = strspn(name, "_"), length = strlen(name);
    return (uint32_t)kind << 28 | (uint32_t)(binding == STB_LOCAL) << 24 |
           (uint32_t)(underscores < 15 ? underscores : 15) << 16 |
           (uint32_t)(binding == STB_WEAK) << 12 | (uint32_t)(length < 4095 ? length : 4095);
}

/* Adds a name at an address in memory. Ends beyond 4 GiB are cut; what lies outside the module is
   left out. */
static void pli_sorter_add(pli_sorter *s, uintptr_t start, uint64_t size, uint32_t rank,
                           const char *name)
{
    const pli_module *m = s->module;
    uint64_t offset = start - m->start, place = (uint64_t)(name - s->table->strings);
    if (start < m->start || start >= m->end || offset >= UINT32_MAX || s->count == s->capacity)
        return;
    uint64_t left = UINT32_MAX - offset;
    size = size < left ? size : left;
    s->pairs[s->count++] = (pli_pair){offset << 32 | rank, place << 32 | size};
}

/* The resolvers of glibc's own IFUNCs do nothing but look at the processor's features, and it is
   never unloaded. */
static bool pli_module_is_glibc(const pli_module *m)
{
    const char *slash = strrchr(m->path, '/');
    return slash &&
           (strncmp(slash, "/libc.so.6", 10) == 0 || strncmp(slash, "/libm.so.6", 10) == 0);
}

/* Has the dynamic linker keep a library while its code is called. dlopen is found by name, since a
   static program has none. */
static bool pli_sorter_pin(pli_sorter *s)
{
    void *(*open_library)(const char *, int);
    if (s->pinned)
        return s->pinned == 1;
    *(void **)&open_library = dlsym(RTLD_DEFAULT, "dlopen");
    s->handle = open_library ? open_library(s->module->path, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    s->pinned = s->handle ? 1 : 2;
    return s->pinned == 1;
}

/* Whether code of the module may be called now. */
static bool pli_sorter_may_call(pli_sorter *s, uintptr_t code)
{
    const pli_module *m = s->module;
    bool executable = false;
    for (int i = 0; i < m->texts; i++)
        executable |= code >= m->text[i].start && code < m->text[i].end;
    if (!executable || m->last_epoch != PLI_EPOCH_NOW)
        return false;
    return pli_module_is_glibc(m) || (!s->emergency && (m->is_main || pli_sorter_pin(s)));
}

/* An IFUNC is a name for one of several functions, which its resolver chooses by the processor: in
   a libc without debug symbols these have no name at all, and with them one that nobody called
   (__strlen_evex). The resolver is asked as the dynamic linker does it, and the function that it
   answers gets the IFUNC's name, before all others. */
static void pli_sorter_resolve(pli_sorter *s, const ElfW(Sym) *symbol, const char *name)
{
    uintptr_t resolver = s->module->bias + symbol->st_value;
    uint32_t rank = pli_symbol_rank(PLI_RANK_RESOLVED, symbol, name);
    if (pli_sorter_may_call(s, resolver))
        pli_sorter_add(s, pli_os_resolve(resolver), 0, rank, name);
}

/* Collects all names of the table, and sorts them. */
static void pli_sorter_fill(pli_sorter *s)
{
    const pli_table *table = s->table;
    for (size_t i = 0; i < table->count; i++) {
        const ElfW(Sym) *symbol = &table->symbol[i];
        const char *name = pli_symbol_name(table, symbol);
        int kind = pli_symbol_kind(table, symbol, name);
        if (kind == PLI_RANK_NONE)
            continue;
        pli_sorter_add(s, s->module->bias + symbol->st_value, symbol->st_size,
                       pli_symbol_rank(kind, symbol, name), name);
        if ((symbol->st_info & 15) == STT_GNU_IFUNC)
            pli_sorter_resolve(s, symbol, name);
    }
    pli_sort(s->pairs, s->scratch, s->count);
}

/* All names of the address that pair i has, as one range: as long as the longest, with the first
   name of the best rank. Returns the pair behind them. */
static size_t pli_sorter_merge(const pli_sorter *s, size_t i, pli_symbol *out)
{
    uint64_t key = s->pairs[i].key;
    uint32_t size = 0, name = (uint32_t)(s->pairs[i].value >> 32);
    for (; i < s->count && s->pairs[i].key >> 32 == key >> 32; i++) {
        uint32_t other = (uint32_t)(s->pairs[i].value >> 32), bytes = (uint32_t)s->pairs[i].value;
        size = bytes > size ? bytes : size;
        if (s->pairs[i].key == key &&
            strcmp(s->table->strings + other, s->table->strings + name) < 0)
            name = other;
    }
    uint32_t start = (uint32_t)(key >> 32);
    *out = (pli_symbol){start, start + size, 0, name};
    return i;
}

/* Turns the sorted pairs into ranges. Labels inside a function are left out: assemblers' loops have
   names, too. */
static void pli_symbols_fill(pli_symbols *symbols, const pli_sorter *s)
{
    uint32_t reach = 0;
    pli_symbol symbol;
    for (size_t i = 0, next; i < s->count; i = next) {
        next = pli_sorter_merge(s, i, &symbol);
        if ((s->pairs[i].key >> 28 & 15) == PLI_RANK_LABEL && reach > symbol.start)
            continue;
        reach = symbol.reach = symbol.end > reach ? symbol.end : reach;
        symbols->symbol[symbols->count++] = symbol;
    }
}

/* Memory for `count` ranges and for itself; NULL when there is none. The names as people write them
   take memory only where there are some. */
static pli_symbols *pli_symbols_make(size_t count)
{
    size_t bytes = sizeof(pli_symbols) + count * (sizeof(pli_symbol) + sizeof(char *));
    pli_symbols *symbols = pli_os_reserve(bytes);
    if (!symbols)
        return NULL;
    symbols->bytes = bytes;
    symbols->shown = (const char **)(symbols + 1);
    symbols->symbol = (pli_symbol *)(void *)(symbols->shown + count);
    return symbols;
}

/* For one that nobody has seen. */
static void pli_symbols_free(pli_symbols *symbols)
{
    pli_image_give(symbols->strings, symbols->string_bytes);
    munmap(symbols, symbols->bytes);
}

/* Makes the ranges of a table, and takes over its strings. NULL when there is no memory. */
static pli_symbols *pli_symbols_sort(const pli_module *m, pli_table *table, bool emergency)
{
    pli_sorter s = {m, table, NULL, NULL, 0, 2 * table->count, emergency, 0, NULL};
    size_t bytes = s.capacity * sizeof *s.pairs;
    s.pairs = pli_os_reserve(2 * bytes);
    pli_symbols *symbols = NULL;
    if (s.pairs) {
        s.scratch = s.pairs + s.capacity;
        pli_sorter_fill(&s);
        symbols = pli_symbols_make(s.count);
        if (symbols)
            pli_symbols_fill(symbols, &s);
        munmap(s.pairs, 2 * bytes);
    }
    if (s.handle)
        dlclose(s.handle);
    pli_image_give(table->symbol, table->count * sizeof *table->symbol);
    if (!symbols)
        pli_image_give(table->strings, table->string_bytes);
    else
        symbols->strings = table->strings, symbols->string_bytes = table->string_bytes;
    return symbols;
}

/* Finds the best table of a module; which kind, and the file that it is from, which stays open. A
   debug file has the sections of the program without their contents: its .dynsym is empty. */
static int pli_table_find(pli_table *table, pli_elf *elf, const pli_module *m)
{
    bool own = pli_elf_of_module(elf, m);
    if (own && pli_table_of_file(table, elf, SHT_SYMTAB))
        return PLI_NAMES_ALL;
    if (pli_elf_take_debug(elf, own, m)) {
        own = true;
        if (pli_table_of_file(table, elf, SHT_SYMTAB))
            return PLI_NAMES_ALL;
    }
    bool found = (own && pli_table_of_file(table, elf, SHT_DYNSYM)) ||
                 pli_table_of_memory(table, m);
    if (!own)
        elf->image.fd = -1, elf->section = NULL;
    return found ? PLI_NAMES_EXPORTED : PLI_NAMES_NONE;
}

/* Reads the best table there is. A module without any has an empty one: nobody need look again. */
static pli_symbols *pli_symbols_read(const pli_module *m, bool emergency)
{
    pli_table table;
    pli_elf elf;
    int kind = pli_table_find(&table, &elf, m);
    pli_symbols *symbols = kind == PLI_NAMES_NONE ? pli_symbols_make(0)
                                                  : pli_symbols_sort(m, &table, emergency);
    pli_elf_close(&elf);
    if (symbols)
        symbols->kind = kind, symbols->complete = !emergency;
    return symbols;
}

/* The names of a module, read now if need be; NULL when there is no memory. What was read in an
   emergency is read again for others; the old table stays, since somebody may be reading it. */
static const pli_symbols *pli_symbols_of(const pli_module *m, bool emergency)
{
    pli_symbols **place = (pli_symbols **)(uintptr_t)&m->symbols;
    pli_symbols *known = PLI_LOAD_ACQUIRE(*place);
    if (known && (known->complete || emergency))
        return known;
    pli_symbols *made = pli_symbols_read(m, emergency);
    if (!made)
        return known;
    if (__atomic_compare_exchange_n(place, &known, made, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return made;
    pli_symbols_free(made);
    return known;
}

/* -- Looking up -- */

/* What is known of an address. */
typedef struct pli_place {
    const pli_module *module; /* NULL: nobody's address */
    const char *name;         /* as the linker knows it; NULL: none */
    const char *shown;        /* as people write it */
    uintptr_t start;          /* of the function */
} pli_place;

/* Whether an open range goes as far as this address. It does not leave its FDE, the piece of the
   unwind tables that describes one function; where neither has one, as in assembler code without
   such, it goes on to the next symbol. */
static bool pli_symbol_covers(const pli_module *m, uintptr_t start, uintptr_t pc)
{
    uintptr_t from, to;
    if (pli_unwind_function(m, pc, &from, &to))
        return start >= from;
    return !pli_unwind_function(m, start, &from, &to);
}

/* The last symbol that begins at or before an offset; -1: none does. */
static ptrdiff_t pli_symbols_before(const pli_symbols *symbols, uint32_t offset)
{
    size_t low = 0, high = symbols->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->symbol[middle].start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return (ptrdiff_t)low - 1;
}

/* The symbol whose function an address is in; -1: none. From the last one that begins before it
   backwards, until one contains it, or none further back can: almost always the first. */
static ptrdiff_t pli_symbols_find(const pli_symbols *symbols, const pli_module *m, uintptr_t pc)
{
    uint32_t offset = (uint32_t)(pc - m->start);
    ptrdiff_t last = pli_symbols_before(symbols, offset);
    for (ptrdiff_t i = last; i >= 0; i--) {
        const pli_symbol *s = &symbols->symbol[i];
        if (offset < s->end || offset == s->start)
            return i;
        if (i == last && s->end == s->start && pli_symbol_covers(m, m->start + s->start, pc))
            return i;
        if (s->reach <= offset)
            break;
    }
    return -1;
}

/* Where a function without a name begins: at its FDE, else behind what ends before it. The latter
   makes one function of all between two exported ones, which is the best that can be said. */
static uintptr_t pli_unnamed_start(const pli_symbols *symbols, const pli_module *m, uintptr_t pc)
{
    uintptr_t start = m->start, end;
    if (pli_unwind_function(m, pc, &start, &end))
        return start;
    for (int i = 0; i < m->texts; i++)
        if (pc >= m->text[i].start && pc < m->text[i].end)
            start = m->text[i].start;
    uint32_t offset = (uint32_t)(pc - m->start);
    ptrdiff_t last = symbols ? pli_symbols_before(symbols, offset) : -1;
    uintptr_t reach = last >= 0 ? m->start + symbols->symbol[last].reach : 0;
    return reach > start && reach <= pc ? reach : start;
}

/* C++'s runtime knows how to read its own names. It is there, or not: a weak reference does not
   bring it in. In a static program only the linker can tell, in others it may come with a library
   that is loaded later. */
extern char *pli_cxa_demangle(const char *, char *, size_t *, int *) __asm__("__cxa_demangle")
    __attribute__((weak));

/* A demangled copy that stays; the name itself where that is not possible. What the runtime
   allocates is the program's malloc's, and is freed at once. */
static const char *pli_demangle(const char *name)
{
    char *(*demangle)(const char *, char *, size_t *, int *) = pli_cxa_demangle;
    int status = 0;
    if (!demangle)
        *(void **)&demangle = dlsym(RTLD_DEFAULT, "__cxa_demangle");
    char *text = demangle ? demangle(name, NULL, NULL, &status) : NULL;
    const char *kept = text ? pli_keep_text(text) : NULL;
    free(text);
    return kept ? kept : name;
}

/* The name as people write it: C++'s are demangled when they are first asked for. Two threads that
   ask at once both do it, and one text is forgotten. */
static const char *pli_symbol_shown(const pli_symbols *symbols, size_t i, bool emergency)
{
    const char *name = symbols->strings + symbols->symbol[i].name;
    if (name[0] != '_' || name[1] != 'Z')
        return name;
    const char *shown = PLI_LOAD_ACQUIRE(symbols->shown[i]);
    if (!shown && !emergency) {
        shown = pli_demangle(name);
        PLI_STORE_RELEASE(symbols->shown[i], shown);
    }
    return shown ? shown : name;
}

/* What is known of an address that was sampled in an epoch. In an emergency: without malloc. Costs
   about 15 ns when the module's table was read before. */
static pli_place pli_place_at(uintptr_t pc, uint32_t epoch, bool emergency)
{
    pli_place found = {pli_module_at(pc, epoch), NULL, NULL, pc};
    if (!found.module)
        return found;
    const pli_symbols *symbols = pli_symbols_of(found.module, emergency);
    ptrdiff_t i = symbols ? pli_symbols_find(symbols, found.module, pc) : -1;
    if (i < 0) {
        found.start = pli_unnamed_start(symbols, found.module, pc);
        return found;
    }
    found.name = symbols->strings + symbols->symbol[i].name;
    found.shown = pli_symbol_shown(symbols, (size_t)i, emergency);
    found.start = found.module->start + symbols->symbol[i].start;
    return found;
}

/* Names a function that has no name: [libc.so.6+0x9f3c0]. The number is the address in its file, as
   objdump and addr2line take it. */
static void pli_unnamed_text(char *out, size_t size, const pli_module *m, uintptr_t start)
{
    const char *slash = strrchr(m->path, '/'), *base = slash ? slash + 1 : m->path;
    int bracket = base[0] == '[';
    snprintf(out, size, "[%.*s+0x%" PRIxPTR "]", (int)strcspn(base + bracket, "]"), base + bracket,
             start - m->bias);
}

#define PLI_UNNAMED_BUCKETS 256
#define PLI_UNNAMED_MAX 128 /* letters of such a name that are kept */

/* Such names that were given out, which must stay. Grows only; atomic. */
typedef struct pli_unnamed {
    struct pli_unnamed *next;
    const pli_module *module;
    uintptr_t start;
    char text[PLI_UNNAMED_MAX];
} pli_unnamed;

/* By a hash of the address. */
static pli_unnamed *pli_unnamed_all[PLI_UNNAMED_BUCKETS];

/* NULL when there is no memory. Two threads at once may keep it twice. */
static const char *pli_unnamed_keep(const pli_module *m, uintptr_t start)
{
    pli_unnamed **bucket = &pli_unnamed_all[pli_mix_sig(start, 0) % PLI_UNNAMED_BUCKETS];
    pli_unnamed *head = PLI_LOAD_ACQUIRE(*bucket);
    for (pli_unnamed *u = head; u; u = u->next)
        if (u->start == start && u->module == m)
            return u->text;
    pli_unnamed *made = pli_keep(sizeof *made);
    if (!made)
        return NULL;
    made->module = m, made->start = start;
    pli_unnamed_text(made->text, sizeof made->text, m, start);
    do
        made->next = head;
    while (!__atomic_compare_exchange_n(bucket, &head, made, 0, __ATOMIC_RELEASE,
                                        __ATOMIC_ACQUIRE));
    return made->text;
}

#endif /* PLI_LINUX */

/* ==== >>gzip =====================================================================================
   What leaves perflab is put together in a buffer that grows, and compressed: profiles are mostly
   the same few addresses again and again.

   A gzip file (RFC 1952) is ten bytes of header, the compressed data, a checksum of what was
   compressed and its length. The data (RFC 1951, deflate) is a sequence of bytes and of
   repetitions, "as the `length` bytes that begin `distance` before here", both in Huffman codes:

       aaaaaabcabcabc      a, (5, 1), b, c, (6, 3)      a repetition may reach into itself

       length     3 4 ... 10 | 11-12 13-14 15-16 17-18 | 19-22 ...    class 257 258 ... 285
       extra bits      0     |           1             |   2 ...
       distance   1 2 3 4    | 5-6   7-8               | 9-12 ...     class 0 ... 29
       extra bits    0       |     1                   |   2 ...

   Of the three kinds of blocks this writes one of the simplest that still compresses, with the
   codes that the format fixes, and finds repetitions by one hash table without chains. 25,000
   stacks of 64 frames become 0.97 MB, where zlib's fastest level makes 0.81 of them, and the whole
   profile, names included, takes 70 ms of CPU time (AMD EPYC, gcc 12 -O2). */

#if PLI_LINUX

/* -- A buffer that grows -- */

/* Bytes from the system. When there is no memory left, what comes is dropped, and `failed` says so
   at the end: so that not each of a thousand calls has to be asked. */
typedef struct pli_bytes {
    unsigned char *data;
    size_t size, capacity;
    bool failed;
} pli_bytes;

/* Empty again, and ready for use. */
static void pli_bytes_free(pli_bytes *b)
{
    if (b->data)
        munmap(b->data, b->capacity);
    memset(b, 0, sizeof *b);
}

/* Moves to memory with room for `more` bytes: at least twice as much, so that all moves together
   copy no more than is there at the end. Not by mremap, which thread sanitizers do not see. */
static void pli_bytes_grow(pli_bytes *b, size_t more)
{
    size_t capacity = b->capacity ? 2 * b->capacity : (size_t)64 << 10;
    while (capacity - b->size < more)
        capacity *= 2;
    pli_bytes larger = {pli_os_map(capacity), b->size, capacity, false};
    if (!larger.data) {
        b->failed = true;
        return;
    }
    if (b->size)
        memcpy(larger.data, b->data, b->size);
    pli_bytes_free(b);
    *b = larger;
}

/* Room for `more` bytes at the end, which count from now on; NULL when there is none. */
static unsigned char *pli_bytes_extend(pli_bytes *b, size_t more)
{
    if (!b->failed && b->capacity - b->size < more)
        pli_bytes_grow(b, more);
    if (b->failed)
        return NULL;
    b->size += more;
    return b->data + b->size - more;
}

/* Room for so many bytes, so that they need not move while they come. What stays unused costs no
   memory. */
static void pli_bytes_expect(pli_bytes *b, size_t bytes)
{
    if (pli_bytes_extend(b, bytes))
        b->size -= bytes;
}

/* Appends. */
static void pli_bytes_add(pli_bytes *b, const void *bytes, size_t size)
{
    unsigned char *end = pli_bytes_extend(b, size);
    if (end)
        memcpy(end, bytes, size);
}

/* Appends one byte: the lowest of value. */
static void pli_bytes_byte(pli_bytes *b, unsigned value)
{
    unsigned char *end = pli_bytes_extend(b, 1);
    if (end)
        *end = (unsigned char)value;
}

/* Appends a string without its end. */
static void pli_bytes_text(pli_bytes *b, const char *text)
{
    pli_bytes_add(b, text, strlen(text));
}

/* -- Compression -- */

/* The checksum of gzip, CRC-32, four bits at a time: 16 remainders instead of the usual 256 are
   quick enough for what is compressed once. */
static uint32_t pli_crc32(const unsigned char *data, size_t size)
{
    static const uint32_t step[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158,
        0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4,
        0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ step[crc & 15];
        crc = crc >> 4 ^ step[crc & 15];
    }
    return ~crc;
}

/* Bits that do not yet fill a byte: `count` of them, fewer than 8 between calls. */
typedef struct pli_deflate { pli_bytes *out; uint64_t bits; int count; } pli_deflate;

/* Bits go into bytes from the lowest on. */
static void pli_deflate_bits(pli_deflate *d, uint64_t value, int count)
{
    d->bits |= value << d->count;
    for (d->count += count; d->count >= 8; d->count -= 8, d->bits >>= 8)
        pli_bytes_byte(d->out, (unsigned)d->bits & 255);
}

/* Huffman codes go in from their highest bit on. */
static void pli_deflate_code(pli_deflate *d, unsigned code, int count)
{
    unsigned reversed = 0;
    for (int i = 0; i < count; i++)
        reversed |= (code >> i & 1) << (count - 1 - i);
    pli_deflate_bits(d, reversed, count);
}

/* A byte (0 to 255), the end (256), or the class of a length (257 to 285), in the fixed code. */
static void pli_deflate_symbol(pli_deflate *d, unsigned symbol)
{
    if (symbol < 144)
        pli_deflate_code(d, 0x30 + symbol, 8);
    else if (symbol < 256)
        pli_deflate_code(d, 0x190 + symbol - 144, 9);
    else if (symbol < 280)
        pli_deflate_code(d, symbol - 256, 7);
    else
        pli_deflate_code(d, 0xc0 + symbol - 280, 8);
}

/* A repetition: length 3 to 258, distance 1 to 32768. Classes grow by a bit every four lengths and
   every two distances; the rest of the number follows as it is. */
static void pli_deflate_match(pli_deflate *d, unsigned length, unsigned distance)
{
    unsigned l = length - 3, far = distance - 1;
    int extra = l < 8 || length == 258 ? 0 : 29 - __builtin_clz(l);
    pli_deflate_symbol(d, length == 258 ? 285 : 257 + ((unsigned)extra << 2) + (l >> extra));
    pli_deflate_bits(d, length == 258 ? 0 : l & ((1u << extra) - 1), extra);
    extra = far < 4 ? 0 : 30 - __builtin_clz(far);
    pli_deflate_code(d, ((unsigned)extra << 1) + (far >> extra), 5);
    pli_deflate_bits(d, far & ((1u << extra) - 1), extra);
}

#define PLI_DEFLATE_HASH 15 /* bits */
#define PLI_DEFLATE_WINDOW 32768

/* How many bytes are the same; 258 is the format's most. */
static unsigned pli_deflate_length(const unsigned char *a, const unsigned char *b, size_t most)
{
    unsigned length = 0;
    while (length < most && length < 258 && a[length] == b[length])
        length++;
    return length;
}

/* Looks each place up by its first four bytes: where they stood last is where to copy from. `last`
   holds places plus one, by a hash of the bytes: another four may have taken theirs, so that the
   length is counted in any case. A repetition of three bytes gains nothing and is not looked for.
   What lies inside a repetition is not entered, which saves time. */
static void pli_deflate_run(pli_deflate *d, const unsigned char *data, size_t size, uint32_t *last)
{
    for (size_t at = 0; at < size;) {
        unsigned length = 0, distance = 0;
        if (size - at >= 4) {
            uint32_t word;
            memcpy(&word, data + at, 4);
            uint32_t *place = &last[word * 0x9e3779b1u >> (32 - PLI_DEFLATE_HASH)];
            size_t before = *place;
            *place = (uint32_t)at + 1;
            if (before && at - (before - 1) <= PLI_DEFLATE_WINDOW) {
                distance = (unsigned)(at - (before - 1));
                length = pli_deflate_length(data + at - distance, data + at, size - at);
            }
        }
        if (length >= 4)
            pli_deflate_match(d, length, distance);
        else
            pli_deflate_symbol(d, data[at]);
        at += length >= 4 ? length : 1;
    }
}

/* Appends data as a gzip file. Without a name and a time: the same profile is the same file. */
static void pli_gzip(pli_bytes *out, const unsigned char *data, size_t size)
{
    static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255};
    size_t bytes = sizeof(uint32_t) << PLI_DEFLATE_HASH;
    uint32_t *last = pli_os_map(bytes), crc = pli_crc32(data, size);
    pli_deflate d = {out, 0, 0};
    if (!last) {
        out->failed = true;
        return;
    }
    pli_bytes_add(out, head, sizeof head);
    pli_deflate_bits(&d, 3, 3); /* the last block, fixed code */
    pli_deflate_run(&d, data, size, last);
    pli_deflate_symbol(&d, 256);
    pli_deflate_bits(&d, 0, -d.count & 7);
    pli_deflate_bits(&d, crc, 32);
    pli_deflate_bits(&d, (uint32_t)size, 32);
    munmap(last, bytes);
}

/* -- Decompression: for debug information, which distributions compress --

   The inverse of the above, for all three kinds of blocks. Most of what is read is in blocks that
   bring their own two codes:

       stored     length, its complement, bytes
       fixed      the code that the format fixes, as written above
       dynamic    how many lengths of each code; the code of the lengths; the lengths; the data

   A Huffman code is given by the length of each symbol's code alone: codes of one length are
   numbers that follow one another, in the order of the symbols. It is turned into a table by the
   next 10 bits of the input: an entry is what the first of these bits stand for. Bits arrive lowest
   first and codes highest first, so codes are entered reversed:

       code 110 of symbol 7      entries ...011      symbol << 4 | 3

   Codes of 11 to 15 bits are rare; they are found by counting up the codes of each length. */

#define PLI_INFLATE_BITS 10
#define PLI_INFLATE_SYMBOLS 320 /* 288 and 32: both codes of a block */

/* An entry is 0 where no code begins so, or a longer one. */
typedef struct pli_huffman {
    uint16_t entry[1 << PLI_INFLATE_BITS];
    uint16_t count[16];                   /* codes of each length */
    uint16_t symbol[PLI_INFLATE_SYMBOLS]; /* in the order of their codes */
} pli_huffman;

/* Too large for a small stack. `bad` stays: what is read then is zeros. */
typedef struct pli_inflate {
    const unsigned char *at, *end;
    unsigned char *out;
    size_t size, capacity; /* what is there, and what has to be there in the end */
    uint64_t bits;         /* the next ones, the lowest first */
    int count;
    bool bad;
    pli_huffman symbols, distances;
} pli_inflate;

/* So many bits as a number. */
static unsigned pli_inflate_bits(pli_inflate *f, int count)
{
    while (f->count < count && f->at < f->end) {
        f->bits |= (uint64_t)*f->at++ << f->count;
        f->count += 8;
    }
    f->bad |= f->count < count;
    unsigned value = (unsigned)f->bits & ((1u << count) - 1);
    f->bits = f->bad ? 0 : f->bits >> count;
    f->count -= f->bad ? f->count : count;
    return value;
}

/* What an entry would be for a code that is longer than the table's: 0 when there is none. */
static unsigned pli_huffman_find(const pli_huffman *code, uint64_t bits)
{
    unsigned number = 0, first = 0, before = 0; /* of the codes of a length: the first, and how many
                                                   there are that are shorter */
    for (unsigned length = 1; length < 16; length++, bits >>= 1) {
        number = number << 1 | (unsigned)(bits & 1);
        first <<= 1;
        if (number - first < code->count[length])
            return (unsigned)code->symbol[before + number - first] << 4 | length;
        first += code->count[length], before += code->count[length];
    }
    return 0;
}

/* The next symbol of a code. Near the end there may be fewer bits than the longest code has: it is
   enough that the symbol's own are there. */
static unsigned pli_inflate_symbol(pli_inflate *f, const pli_huffman *code)
{
    while (f->count <= 48 && f->at < f->end) {
        f->bits |= (uint64_t)*f->at++ << f->count;
        f->count += 8;
    }
    unsigned entry = code->entry[f->bits & ((1u << PLI_INFLATE_BITS) - 1)];
    entry = entry ? entry : pli_huffman_find(code, f->bits);
    int length = (int)(entry & 15);
    f->bad |= length == 0 || length > f->count;
    f->bits = f->bad ? 0 : f->bits >> length;
    f->count -= f->bad ? f->count : length;
    return entry >> 4;
}

/* Enters a code at all places of the table that begin with it. */
static void pli_huffman_enter(pli_huffman *code, unsigned number, unsigned length, unsigned symbol)
{
    unsigned reversed = 0;
    for (unsigned bit = 0; bit < length; bit++)
        reversed |= (number >> bit & 1) << (length - 1 - bit);
    for (unsigned at = reversed; at < 1u << PLI_INFLATE_BITS; at += 1u << length)
        code->entry[at] = (uint16_t)(symbol << 4 | length);
}

/* Makes a code from its lengths, of which 0 means that the symbol does not occur. More codes than
   there is room for are no code. */
static void pli_huffman_make(pli_inflate *f, pli_huffman *code, const uint8_t *length, int symbols)
{
    unsigned next[17] = {0}, place[17] = {0};
    memset(code, 0, sizeof *code);
    for (int i = 0; i < symbols; i++)
        code->count[length[i]] += length[i] > 0;
    for (int bits = 1; bits < 16; bits++) {
        next[bits + 1] = (next[bits] + code->count[bits]) << 1;
        place[bits + 1] = place[bits] + code->count[bits];
        f->bad |= next[bits] + code->count[bits] > 1u << bits;
    }
    for (int i = 0; i < symbols && !f->bad; i++) {
        if (length[i] == 0)
            continue;
        code->symbol[place[length[i]]++] = (uint16_t)i;
        unsigned number = next[length[i]]++;
        if (length[i] <= PLI_INFLATE_BITS)
            pli_huffman_enter(code, number, length[i], (unsigned)i);
    }
}

/* The code of blocks that bring none. */
static void pli_inflate_fixed(pli_inflate *f)
{
    uint8_t length[PLI_INFLATE_SYMBOLS];
    for (int i = 0; i < 288; i++)
        length[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    memset(length + 288, 5, 32);
    pli_huffman_make(f, &f->symbols, length, 288);
    pli_huffman_make(f, &f->distances, length + 288, 30);
}

/* The lengths of both codes in one row, as the third code tells them: 0 to 15 is a length, 16 the
   last one again, 17 and 18 zeros. */
static void pli_inflate_lengths(pli_inflate *f, uint8_t *length, int count)
{
    for (int i = 0; i < count && !f->bad;) {
        unsigned symbol = pli_inflate_symbol(f, &f->symbols);
        int times = symbol < 16 ? 1 : symbol == 16 ? 3 + (int)pli_inflate_bits(f, 2) :
                    symbol == 17 ? 3 + (int)pli_inflate_bits(f, 3) :
                    11 + (int)pli_inflate_bits(f, 7);
        f->bad |= times > count - i || (symbol == 16 && i == 0);
        uint8_t value = symbol < 16 ? (uint8_t)symbol : symbol == 16 && i > 0 ? length[i - 1] : 0;
        for (; times > 0 && !f->bad; times--)
            length[i++] = value;
    }
}

/* Both codes of a block that brings its own. The lengths of the third code come in an order in
   which those that are rarely used stand last and may be left out. */
static void pli_inflate_dynamic(pli_inflate *f)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1,
                                      15};
    uint8_t length[PLI_INFLATE_SYMBOLS] = {0};
    int symbols = 257 + (int)pli_inflate_bits(f, 5), distances = 1 + (int)pli_inflate_bits(f, 5);
    int lengths = 4 + (int)pli_inflate_bits(f, 4);
    for (int i = 0; i < lengths; i++)
        length[order[i]] = (uint8_t)pli_inflate_bits(f, 3);
    pli_huffman_make(f, &f->symbols, length, 19);
    memset(length, 0, sizeof length);
    pli_inflate_lengths(f, length, symbols + distances);
    pli_huffman_make(f, &f->symbols, length, symbols);
    pli_huffman_make(f, &f->distances, length + symbols, distances);
}

/* A repetition whose length is of this class. It may reach into what it writes. */
static void pli_inflate_copy(pli_inflate *f, unsigned class)
{
    int extra = class < 8 || class == 28 ? 0 : (int)(class >> 2) - 1;
    size_t length = class == 28 ? 258 : class < 8 ? 3 + class :
                    3 + ((size_t)(4 + (class & 3)) << extra) + pli_inflate_bits(f, extra);
    unsigned far = pli_inflate_symbol(f, &f->distances);
    extra = far < 4 ? 0 : (int)(far >> 1) - 1;
    size_t distance = far < 4 ? 1 + far : far > 29 ? SIZE_MAX :
                      1 + ((size_t)(2 + (far & 1)) << extra) + pli_inflate_bits(f, extra);
    f->bad |= class > 28 || distance > f->size || length > f->capacity - f->size;
    for (; length > 0 && !f->bad; length--, f->size++)
        f->out[f->size] = f->out[f->size - distance];
}

/* The data of a block with codes, up to its end. */
static void pli_inflate_run(pli_inflate *f)
{
    while (!f->bad) {
        unsigned symbol = pli_inflate_symbol(f, &f->symbols);
        if (symbol == 256)
            return;
        if (symbol > 256)
            pli_inflate_copy(f, symbol - 257);
        else if (f->size < f->capacity && !f->bad)
            f->out[f->size++] = (unsigned char)symbol;
        else
            f->bad = true;
    }
}

/* A block without codes begins at a whole byte. */
static void pli_inflate_stored(pli_inflate *f)
{
    pli_inflate_bits(f, f->count & 7);
    unsigned length = pli_inflate_bits(f, 16), complement = pli_inflate_bits(f, 16);
    f->bad |= (length ^ complement) != 0xffff || length > f->capacity - f->size;
    for (; length > 0 && !f->bad; length--)
        f->out[f->size++] = (unsigned char)pli_inflate_bits(f, 8);
}

/* All blocks. */
static void pli_inflate_blocks(pli_inflate *f)
{
    for (bool last = false; !last && !f->bad;) {
        last = pli_inflate_bits(f, 1);
        unsigned kind = pli_inflate_bits(f, 2);
        if (kind == 1)
            pli_inflate_fixed(f);
        else if (kind == 2)
            pli_inflate_dynamic(f);
        f->bad |= kind == 3;
        if (kind == 0)
            pli_inflate_stored(f);
        else
            pli_inflate_run(f);
    }
}

/* The checksum of zlib's format: two sums modulo 65521, which may grow for 5552 bytes before they
   have to be reduced. */
static uint32_t pli_adler32(const unsigned char *data, size_t size)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < size;) {
        for (size_t stop = size - i > 5552 ? i + 5552 : size; i < stop; i++)
            b += a += data[i];
        a %= 65521, b %= 65521;
    }
    return b << 16 | a;
}

/* Unpacks zlib's format (RFC 1950: two bytes of header, the data, a checksum) into exactly `size`
   bytes; false when it is not that, or there is no memory. */
static bool pli_unzip(const unsigned char *data, size_t bytes, unsigned char *out, size_t size)
{
    if (bytes < 6 || (data[0] & 15) != 8 || (data[0] << 8 | data[1]) % 31 != 0 || (data[1] & 32))
        return false;
    pli_inflate *f = pli_os_map(sizeof *f);
    if (!f)
        return false;
    f->at = data + 2, f->end = data + bytes - 4, f->out = out, f->capacity = size;
    pli_inflate_blocks(f);
    const unsigned char *sum = data + bytes - 4;
    bool good = !f->bad && f->size == size &&
                pli_adler32(out, size) == ((uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 |
                                           (uint32_t)sum[2] << 8 | sum[3]);
    munmap(f, sizeof *f);
    return good;
}

#endif /* PLI_LINUX */

/* ==== >>dwarf ====================================================================================
   Debug information as compilers write it down: DWARF, versions 2 to 5. It lies in sections of the
   program's file or of its debug file:

       .debug_info     what there is: a tree of entries (functions, types, variables ...) for each
                       file that was compiled, a unit
       .debug_abbrev   the forms of entries, which many of them share
       .debug_line     lines: see >>line
       .debug_str      names                .debug_line_str     names of files
       .debug_ranges   addresses of what lies in several pieces; since version 5 .debug_rnglists
       .debug_addr, .debug_str_offsets      tables of addresses and names that others count into

   An entry is the number of its form and then the values of its attributes, one behind the other:

       .debug_abbrev   form 7: an inlined call, has children; origin: 4 bytes, low_pc: 8 bytes ...
       .debug_info     07   2f 01 00 00   60 11 40 00 00 00 00 00   ...   children ...   00

   So all that lies before an entry has to be walked over to find it. That is done a unit at a time,
   and only for units that somebody asks about: at the first question about a module only the first
   entry of each unit is read, which tells where its code is. A file of 100 MB may have 20,000 units
   (see bench/README.md for what that costs).

   Only this is understood: functions, inlined calls, their names and addresses. What stands in
   other files (split DWARF, the files that dwz shares between packages) is not looked for: such
   units have no lines here, rather than wrong ones.

   Every number may be wrong, as in >>elf: all reads know their bounds, all loops move on or count
   down, nothing is recursive. tests/fuzz/dwarf.c feeds this anything.

   Memory comes from the system. One lock is over all of it, >>line's. In an emergency it is only
   tried. */

#if PLI_LINUX

/* -- Sections -- */

enum { PLI_DW_INFO, PLI_DW_ABBREV, PLI_DW_LINE, PLI_DW_STR, PLI_DW_LINE_STR, PLI_DW_RANGES,
       PLI_DW_RNGLISTS, PLI_DW_ADDR, PLI_DW_STR_OFFSETS, PLI_DW_SECTIONS };

#define PLI_DW_INFLATED_MOST ((uint64_t)256 << 20) /* bytes that a section may unpack to */
#define PLI_DW_UNITS_MOST 300000
#define PLI_DW_RANGES_MOST ((size_t)2 << 20) /* of all units, or in one */
#define PLI_DW_TEXT 4096                     /* letters of a name or path; longer ones are none */
#define PLI_DW_WINDOW 16384                  /* bytes of a section that are read at once */
#define PLI_DW_SPECS_MOST ((size_t)16 << 20) /* bytes of the forms of a unit's entries */
#define PLI_DW_NONE UINT64_MAX

/* Where a section lies in its file; or its bytes, if they had to be unpacked. */
typedef struct pli_dw_section { uint64_t offset, size; unsigned char *inflated; } pli_dw_section;

/* The value of an attribute: a number, or the place of something. */
enum { PLI_DW_ABSENT, PLI_DW_NUMBER, PLI_DW_ADDRESS, PLI_DW_ADDRESS_INDEX, PLI_DW_STRING,
       PLI_DW_STRP, PLI_DW_LINE_STRP, PLI_DW_STRING_INDEX, PLI_DW_UNIT_REF, PLI_DW_INFO_REF,
       PLI_DW_LIST_INDEX, PLI_DW_OTHER };
typedef struct pli_dw_value { uint64_t number; uint8_t kind; } pli_dw_value;

/* What is known of a unit from its header and its first entry. Places count from the begin of their
   sections. */
typedef struct pli_dw_unit {
    uint64_t start, entries, end;              /* in .debug_info */
    uint64_t abbrevs;                          /* its forms */
    uint64_t address_base, string_base, list_base; /* where its part of the tables begins */
    uint64_t lines;                            /* in .debug_line, or PLI_DW_NONE */
    uint64_t low;                              /* what its lists of ranges count from */
    pli_dw_value folder;                       /* where the compiler was started */
    uint8_t version, address_size, offset_size;
} pli_dw_unit;

/* Addresses that belong to something, `owner`. In a sorted array, reach is the highest end of this
   one and of all before. */
typedef struct pli_dw_range { uint64_t low, high, reach; size_t owner; } pli_dw_range;

/* The debug information of a module: what stays, once somebody has asked. No units: there is none.
   The file is open only while a question is answered. */
typedef struct pli_debug {
    const pli_module *module;
    pli_image image; /* fd: -1 when it is closed, -2 when it could not be opened again */
    pli_dw_section section[PLI_DW_SECTIONS];
    pli_dw_unit *unit;
    pli_dw_range *range; /* of the units, sorted */
    size_t units, ranges;
} pli_debug;

/* The part of a section that was read last: what is wanted next is nearly always near. */
typedef struct pli_dw_window {
    uint64_t at;
    size_t size;
    uint8_t bytes[PLI_DW_WINDOW];
} pli_dw_window;

/* What is being read. Under the lock; here, since handlers have little stack. */
static struct {
    uint8_t entry[4096];    /* the entry that is being read */
    pli_dw_window *windows; /* one for each section, of the file that is open */
    char text[PLI_DW_TEXT];
    pli_bytes specs;        /* the attributes of its form */
    size_t fuel;            /* steps in lists that a question may still take */
    pli_debug *open;        /* whose file is open */
} pli_dw;

/* Notes where the sections are. Those of a debug file that have no bytes there (NOBITS) count as
   missing. */
static void pli_debug_sections(pli_dw_section *section, const pli_elf *elf)
{
    static const char *const names[] = {
        ".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_line_str",
        ".debug_ranges", ".debug_rnglists", ".debug_addr", ".debug_str_offsets"};
    char name[24];
    memset(section, 0, PLI_DW_SECTIONS * sizeof *section);
    for (size_t i = 0; i < elf->sections; i++) {
        const ElfW(Shdr) *s = &elf->section[i];
        if (s->sh_type == SHT_NOBITS || !pli_elf_section_name(elf, i, name, sizeof name))
            continue;
        for (int k = 0; k < PLI_DW_SECTIONS; k++)
            if (strcmp(name, names[k]) == 0 &&
                pli_image_holds(&elf->image, s->sh_offset, s->sh_size))
                section[k] = (pli_dw_section){s->sh_offset, s->sh_size, NULL};
    }
}

/* Opens the file that has lines: the module's own, or else its debug file. */
static bool pli_debug_file(pli_elf *elf, pli_dw_section *section, const pli_module *m)
{
    bool own = pli_elf_of_module(elf, m);
    for (int i = 0; i < 2; i++) {
        if (own)
            pli_debug_sections(section, elf);
        if (own && section[PLI_DW_INFO].size && section[PLI_DW_LINE].size)
            return true;
        if (i == 0 && !pli_elf_take_debug(elf, own, m))
            break;
        own = true;
    }
    if (own)
        pli_elf_close(elf);
    return false;
}

/* Takes the open file over from its table of sections. */
static void pli_debug_keep_open(pli_debug *d, pli_elf *elf)
{
    d->image = elf->image;
    elf->image.fd = -1;
    pli_elf_close(elf);
    pli_dw.open = d;
}

/* At the end of a question. */
static void pli_debug_close(void)
{
    pli_debug *d = pli_dw.open;
    if (d && d->image.fd >= 0)
        close(d->image.fd);
    if (d)
        d->image.fd = -1;
    if (pli_dw.windows)
        munmap(pli_dw.windows, PLI_DW_SECTIONS * sizeof *pli_dw.windows);
    pli_dw.windows = NULL;
    pli_dw.open = NULL;
    pli_bytes_free(&pli_dw.specs);
}

/* Opens the file again. It has to be the same: another one with the same build id (stripped since,
   for instance) has its sections elsewhere. */
static bool pli_debug_reopen(pli_debug *d)
{
    pli_dw_section section[PLI_DW_SECTIONS];
    pli_elf elf;
    if (d->image.fd == -2 || !pli_debug_file(&elf, section, d->module))
        return d->image.fd = -2, pli_dw.open = d, false;
    bool same = elf.image.size == d->image.size;
    for (int i = 0; i < PLI_DW_SECTIONS; i++)
        same &= section[i].offset == d->section[i].offset &&
                (section[i].size == d->section[i].size || d->section[i].inflated);
    pli_debug_keep_open(d, &elf);
    if (!same)
        close(d->image.fd), d->image.fd = -2;
    return same;
}

/* Reads what lies around a part of a section, so that the next part need not be asked of the
   system; false when it cannot be read, or is too large for that. */
static bool pli_debug_look(pli_debug *d, int section, uint64_t at, size_t size)
{
    const pli_dw_section *s = &d->section[section];
    uint64_t from = at - at % (PLI_DW_WINDOW / 2), left = s->size - from;
    size_t more = left < PLI_DW_WINDOW ? (size_t)left : PLI_DW_WINDOW;
    if (!pli_dw.windows)
        pli_dw.windows = pli_os_map(PLI_DW_SECTIONS * sizeof *pli_dw.windows);
    pli_dw_window *w = pli_dw.windows ? &pli_dw.windows[section] : NULL;
    if (!w || size > PLI_DW_WINDOW / 2 ||
        !pli_image_read(&d->image, s->offset + from, w->bytes, more))
        return false;
    w->at = from, w->size = more;
    return true;
}

/* Reads a part of a section. */
static bool pli_debug_read(pli_debug *d, int section, uint64_t at, void *to, size_t size)
{
    const pli_dw_section *s = &d->section[section];
    if (at > s->size || size > s->size - at)
        return false;
    if (s->inflated) {
        memcpy(to, s->inflated + at, size);
        return true;
    }
    if (d->image.fd < 0 && !pli_debug_reopen(d))
        return false;
    const pli_dw_window *w = pli_dw.windows ? &pli_dw.windows[section] : NULL;
    if (!w || at < w->at || at + size > w->at + w->size) {
        if (!pli_debug_look(d, section, at, size))
            return pli_image_read(&d->image, s->offset + at, to, size);
        w = &pli_dw.windows[section];
    }
    memcpy(to, w->bytes + (at - w->at), size);
    return true;
}

/* A copy of a part, as pli_image_take makes it; *copied says whether it is one, to be given back
   by pli_image_give, or the section's own bytes. NULL when that is not possible. */
static uint8_t *pli_debug_take(pli_debug *d, int section, uint64_t at, uint64_t size, bool *copied)
{
    const pli_dw_section *s = &d->section[section];
    *copied = !s->inflated;
    if (at > s->size || size > s->size - at)
        return NULL;
    if (s->inflated)
        return s->inflated + at;
    return d->image.fd >= 0 || pli_debug_reopen(d)
               ? pli_image_take(&d->image, s->offset + at, size) : NULL;
}

/* Unpacks a section that is compressed: a header says how, and how large it is then. False when it
   cannot be unpacked. */
static bool pli_debug_unpack(pli_debug *d, pli_dw_section *s, const ElfW(Shdr) *header)
{
    ElfW(Chdr) packed;
    if (!(header->sh_flags & SHF_COMPRESSED))
        return true;
    uint64_t bytes = s->size - sizeof packed;
    if (s->size < sizeof packed || !pli_image_read(&d->image, s->offset, &packed, sizeof packed) ||
        packed.ch_type != ELFCOMPRESS_ZLIB || packed.ch_size > PLI_DW_INFLATED_MOST)
        return false;
    unsigned char *in = pli_image_take(&d->image, s->offset + sizeof packed, bytes);
    unsigned char *out = in ? pli_os_reserve((size_t)packed.ch_size + 1) : NULL;
    bool good = out && pli_unzip(in, (size_t)bytes, out, (size_t)packed.ch_size);
    pli_image_give(in, bytes);
    if (!good)
        pli_image_give(out, packed.ch_size);
    else
        s->size = packed.ch_size, s->inflated = out;
    return good;
}

/* The same for all sections. One that cannot be unpacked counts as missing. */
static void pli_debug_unpack_all(pli_debug *d, const pli_elf *elf)
{
    for (int k = 0; k < PLI_DW_SECTIONS; k++) {
        pli_dw_section *s = &d->section[k];
        for (size_t i = 0; i < elf->sections && s->size && !s->inflated; i++)
            if (elf->section[i].sh_offset == s->offset && elf->section[i].sh_size == s->size &&
                !pli_debug_unpack(d, s, &elf->section[i]))
                s->size = 0;
    }
}

/* A text that begins somewhere in a section, in pli_dw.text; false when it has no end there. */
static bool pli_debug_text(pli_debug *d, int section, uint64_t at)
{
    uint64_t size = d->section[section].size;
    for (uint64_t bytes = 128; at < size; bytes = PLI_DW_TEXT) {
        uint64_t most = size - at < bytes ? size - at : bytes;
        if (!pli_debug_read(d, section, at, pli_dw.text, (size_t)most))
            return false;
        if (memchr(pli_dw.text, 0, (size_t)most))
            return true;
        if (bytes == PLI_DW_TEXT)
            break;
    }
    return false;
}

/* A number in a table. */
static bool pli_debug_number(pli_debug *d, int section, uint64_t at, size_t size, uint64_t *out)
{
    *out = 0;
    return size <= 8 && pli_debug_read(d, section, at, out, size);
}

/* -- Streams: parts whose end is not known before they were read -- */

/* A reader of the next bytes of a section. */
typedef struct pli_stream {
    pli_debug *debug;
    int section;
    uint64_t next; /* the place behind what the reader has */
    pli_reader r;
    uint8_t bytes[512];
} pli_stream;

/* The bytes that an item takes at most: a form of an attribute, an entry of a list. */
#define PLI_STREAM_ITEM 64

/* Has the next item in the reader, or all that is left. Before each. */
static void pli_stream_fill(pli_stream *s)
{
    size_t left = (size_t)(s->r.end - s->r.at), room = sizeof s->bytes - left;
    uint64_t rest = s->debug->section[s->section].size - s->next;
    size_t more = rest < room ? (size_t)rest : room;
    if (s->r.bad || left >= PLI_STREAM_ITEM || more == 0)
        return;
    memmove(s->bytes, s->r.at, left);
    s->r.bad = !pli_debug_read(s->debug, s->section, s->next, s->bytes + left, more);
    s->r.at = s->bytes, s->r.end = s->bytes + left + more;
    s->next += more;
}

/* Begins at a place in a section. */
static void pli_stream_open(pli_stream *s, pli_debug *d, int section, uint64_t at)
{
    s->debug = d, s->section = section, s->next = at;
    s->r = (pli_reader){s->bytes, s->bytes, at > d->section[section].size};
    pli_stream_fill(s);
}

/* -- Attributes and their values -- */

/* The attributes that are understood, in the order in which an entry keeps them. */
enum { PLI_DW_AT_NAME, PLI_DW_AT_LINKAGE, PLI_DW_AT_LINES, PLI_DW_AT_LOW,
       PLI_DW_AT_HIGH, PLI_DW_AT_FOLDER, PLI_DW_AT_ORIGIN, PLI_DW_AT_RANGES, PLI_DW_AT_CALL_FILE,
       PLI_DW_AT_CALL_LINE, PLI_DW_AT_STRING_BASE, PLI_DW_AT_ADDRESS_BASE, PLI_DW_AT_LIST_BASE,
       PLI_DW_AT_ELSEWHERE, PLI_DW_ATS };

/* Their numbers in the format. Two numbers may mean the same: those above 0x2000 are older, and
   GNU's. A copy of a function, and a declaration that its definition completes, are both where to
   look for what an entry does not say itself: its origin. */
static uint8_t pli_dw_attribute(uint64_t number)
{
    switch (number) {
    case 0x03: return PLI_DW_AT_NAME;
    case 0x10: return PLI_DW_AT_LINES;
    case 0x11: return PLI_DW_AT_LOW;
    case 0x12: return PLI_DW_AT_HIGH;
    case 0x1b: return PLI_DW_AT_FOLDER;
    case 0x31: case 0x47: return PLI_DW_AT_ORIGIN;
    case 0x55: return PLI_DW_AT_RANGES;
    case 0x58: return PLI_DW_AT_CALL_FILE;
    case 0x59: return PLI_DW_AT_CALL_LINE;
    case 0x6e: case 0x2007: return PLI_DW_AT_LINKAGE;
    case 0x72: return PLI_DW_AT_STRING_BASE;
    case 0x73: case 0x2133: return PLI_DW_AT_ADDRESS_BASE;
    case 0x74: return PLI_DW_AT_LIST_BASE;
    case 0x76: case 0x2130: return PLI_DW_AT_ELSEWHERE;
    default: return PLI_DW_ATS;
    }
}

/* How many bytes a value has: 0 to 16, or what decides. */
enum { PLI_DW_BY_UNIT = 32, PLI_DW_BY_ADDRESS, PLI_DW_BY_VERSION, PLI_DW_ULEB, PLI_DW_SLEB,
       PLI_DW_TO_ZERO, PLI_DW_BLOCK, PLI_DW_BLOCK1, PLI_DW_BLOCK2, PLI_DW_BLOCK4, PLI_DW_IMPLIED,
       PLI_DW_INDIRECT, PLI_DW_UNKNOWN };
typedef struct pli_dw_form { uint8_t size, kind; } pli_dw_form;

/* An attribute in the form of an entry. Those of all entries with one form have the value
   `implied`, where the size says so. */
typedef struct pli_dw_spec { pli_dw_form form; uint8_t attribute; int64_t implied; } pli_dw_spec;

/* DW_FORM_..., by number. */
static pli_dw_form pli_dw_form_of(uint64_t number)
{
    static const pli_dw_form forms[] = {
        {PLI_DW_UNKNOWN, 0}, {PLI_DW_BY_ADDRESS, PLI_DW_ADDRESS}, {PLI_DW_UNKNOWN, 0},
        {PLI_DW_BLOCK2, PLI_DW_OTHER}, {PLI_DW_BLOCK4, PLI_DW_OTHER}, {2, PLI_DW_NUMBER},
        {4, PLI_DW_NUMBER}, {8, PLI_DW_NUMBER}, {PLI_DW_TO_ZERO, PLI_DW_STRING}, /* 08: string */
        {PLI_DW_BLOCK, PLI_DW_OTHER}, {PLI_DW_BLOCK1, PLI_DW_OTHER}, {1, PLI_DW_NUMBER},
        {1, PLI_DW_NUMBER}, {PLI_DW_SLEB, PLI_DW_NUMBER}, {PLI_DW_BY_UNIT, PLI_DW_STRP},
        {PLI_DW_ULEB, PLI_DW_NUMBER}, {PLI_DW_BY_VERSION, PLI_DW_INFO_REF}, /* 10: ref_addr */
        {1, PLI_DW_UNIT_REF}, {2, PLI_DW_UNIT_REF}, {4, PLI_DW_UNIT_REF}, {8, PLI_DW_UNIT_REF},
        {PLI_DW_ULEB, PLI_DW_UNIT_REF}, {PLI_DW_INDIRECT, PLI_DW_OTHER},
        {PLI_DW_BY_UNIT, PLI_DW_NUMBER}, {PLI_DW_BLOCK, PLI_DW_OTHER}, /* 18: exprloc */
        {0, PLI_DW_NUMBER}, {PLI_DW_ULEB, PLI_DW_STRING_INDEX},
        {PLI_DW_ULEB, PLI_DW_ADDRESS_INDEX}, {4, PLI_DW_OTHER}, {PLI_DW_BY_UNIT, PLI_DW_OTHER},
        {16, PLI_DW_OTHER}, {PLI_DW_BY_UNIT, PLI_DW_LINE_STRP}, {8, PLI_DW_OTHER}, /* 20 */
        {PLI_DW_IMPLIED, PLI_DW_NUMBER}, {PLI_DW_ULEB, PLI_DW_OTHER},
        {PLI_DW_ULEB, PLI_DW_LIST_INDEX}, {8, PLI_DW_OTHER}, {1, PLI_DW_STRING_INDEX},
        {2, PLI_DW_STRING_INDEX}, {3, PLI_DW_STRING_INDEX}, {4, PLI_DW_STRING_INDEX}, /* 28 */
        {1, PLI_DW_ADDRESS_INDEX}, {2, PLI_DW_ADDRESS_INDEX}, {3, PLI_DW_ADDRESS_INDEX},
        {4, PLI_DW_ADDRESS_INDEX}};
    static const pli_dw_form unknown = {PLI_DW_UNKNOWN, PLI_DW_ABSENT};
    if (number < sizeof forms / sizeof *forms)
        return forms[number];
    switch (number) { /* GNU's, before version 5; the last two are places in a file of dwz's */
    case 0x1f01: return (pli_dw_form){PLI_DW_ULEB, PLI_DW_ADDRESS_INDEX};
    case 0x1f02: return (pli_dw_form){PLI_DW_ULEB, PLI_DW_STRING_INDEX};
    case 0x1f20: case 0x1f21: return (pli_dw_form){PLI_DW_BY_UNIT, PLI_DW_OTHER};
    default: return unknown;
    }
}

/* The same in a unit: what its header decides is a number of bytes. */
static pli_dw_form pli_dw_form_in(const pli_dw_unit *u, uint64_t number)
{
    pli_dw_form form = pli_dw_form_of(number);
    uint8_t reference = u->version < 3 ? u->address_size : u->offset_size;
    form.size = form.size == PLI_DW_BY_UNIT ? u->offset_size :
                form.size == PLI_DW_BY_ADDRESS ? u->address_size :
                form.size == PLI_DW_BY_VERSION ? reference : form.size;
    return form;
}

/* Reads past text and its end. */
static void pli_dw_skip_text(pli_reader *r)
{
    const uint8_t *end = r->bad ? NULL : memchr(r->at, 0, (size_t)(r->end - r->at));
    pli_skip_sig(r, end ? (uint64_t)(end - r->at) + 1 : UINT64_MAX);
}

/* Reads a value; what has no number is skipped. */
static uint64_t pli_dw_value_read(pli_reader *r, const pli_dw_spec *spec)
{
    switch (spec->form.size) {
    case 0: return 0;
    case 1: return pli_read_sig(r, 1);
    case 2: return pli_read_sig(r, 2);
    case 3: return pli_read_sig(r, 3);
    case 4: return pli_read_sig(r, 4);
    case 8: return pli_read_sig(r, 8);
    case 16: pli_skip_sig(r, 16); break;
    case PLI_DW_ULEB: return pli_read_uleb_sig(r);
    case PLI_DW_SLEB: return (uint64_t)pli_read_sleb_sig(r);
    case PLI_DW_TO_ZERO: pli_dw_skip_text(r); break;
    case PLI_DW_BLOCK: pli_skip_sig(r, pli_read_uleb_sig(r)); break;
    case PLI_DW_BLOCK1: pli_skip_sig(r, pli_read_sig(r, 1)); break;
    case PLI_DW_BLOCK2: pli_skip_sig(r, pli_read_sig(r, 2)); break;
    case PLI_DW_BLOCK4: pli_skip_sig(r, pli_read_sig(r, 4)); break;
    case PLI_DW_IMPLIED: return (uint64_t)spec->implied;
    default: r->bad = true; break;
    }
    return 0;
}

/* Reads one that may say its form itself. `end` is the place in .debug_info where the reader ends:
   the value of text that stands here is its place. */
static pli_dw_value pli_dw_value_take(pli_reader *r, uint64_t end, const pli_dw_unit *u,
                                      pli_dw_spec spec)
{
    if (spec.form.size == PLI_DW_INDIRECT)
        spec.form = pli_dw_form_in(u, pli_read_uleb_sig(r));
    uint64_t here = end - (uint64_t)(r->end - r->at), number = pli_dw_value_read(r, &spec);
    bool text = spec.form.kind == PLI_DW_STRING;
    return (pli_dw_value){text ? here : number, spec.form.kind};
}

/* The section and the place of a text; false for what is no text, or is in another file. */
static bool pli_dw_text_at(pli_debug *d, const pli_dw_unit *u, pli_dw_value v, int *section,
                           uint64_t *at)
{
    *at = v.number;
    *section = v.kind == PLI_DW_STRING ? PLI_DW_INFO :
               v.kind == PLI_DW_LINE_STRP ? PLI_DW_LINE_STR : PLI_DW_STR;
    if (v.kind != PLI_DW_STRING_INDEX)
        return v.kind == PLI_DW_STRING || v.kind == PLI_DW_STRP || v.kind == PLI_DW_LINE_STRP;
    return pli_debug_number(d, PLI_DW_STR_OFFSETS, u->string_base + v.number * u->offset_size,
                            u->offset_size, at);
}

/* The address that a value stands for; 0, which is no code's, when there is none. */
static uint64_t pli_dw_address(pli_debug *d, const pli_dw_unit *u, pli_dw_value v)
{
    uint64_t address = 0;
    if (v.kind == PLI_DW_ADDRESS)
        return v.number;
    if (v.kind == PLI_DW_ADDRESS_INDEX)
        pli_debug_number(d, PLI_DW_ADDR, u->address_base + v.number * u->address_size,
                         u->address_size, &address);
    return address;
}

/* The place of an entry that a value refers to; 0, which is a header's, for what is elsewhere. */
static uint64_t pli_dw_reference(const pli_dw_unit *u, pli_dw_value v)
{
    return v.kind == PLI_DW_UNIT_REF ? u->start + v.number :
           v.kind == PLI_DW_INFO_REF ? v.number : 0;
}

/* -- Forms and entries -- */

/* The tags that are understood, as the format numbers them. */
enum { PLI_DW_TAG_INLINED = 0x1d, PLI_DW_TAG_FUNCTION = 0x2e };

/* The form of entries: what they are, and their attributes, which lie in an array of pli_dw_spec.
   `fixed` is how many bytes all of them take; -1 when that differs. `placed`: they tell where their
   code is. */
typedef struct pli_abbrev {
    uint64_t code;
    uint32_t tag, first, count;
    int fixed;
    bool children, placed;
} pli_abbrev;

/* An entry: the values of the attributes that are understood, and at the end one of the others. */
typedef struct pli_dw_entry {
    uint64_t tag;
    bool children;
    pli_dw_value value[PLI_DW_ATS + 1];
} pli_dw_entry;

/* Reads the next form, and adds its attributes to specs. False at the end of the table. */
static bool pli_abbrev_read(pli_stream *s, const pli_dw_unit *u, pli_abbrev *a, pli_bytes *specs)
{
    pli_stream_fill(s);
    a->code = pli_read_uleb_sig(&s->r);
    if (a->code == 0 || s->r.bad)
        return false;
    a->tag = (uint32_t)pli_read_uleb_sig(&s->r), a->children = pli_read_sig(&s->r, 1) != 0;
    a->first = (uint32_t)(specs->size / sizeof(pli_dw_spec)), a->count = 0, a->fixed = 0;
    a->placed = false;
    for (;; a->count++) {
        pli_stream_fill(s);
        uint64_t attribute = pli_read_uleb_sig(&s->r), form = pli_read_uleb_sig(&s->r);
        pli_dw_spec spec = {pli_dw_form_in(u, form), pli_dw_attribute(attribute), 0};
        if (spec.form.size == PLI_DW_IMPLIED)
            spec.implied = pli_read_sleb_sig(&s->r);
        if ((attribute == 0 && form == 0) || s->r.bad)
            return !s->r.bad && !specs->failed;
        int size = spec.form.size == PLI_DW_IMPLIED ? 0 : spec.form.size;
        a->fixed = size > 16 || a->fixed < 0 || a->fixed > INT16_MAX ? -1 : a->fixed + size;
        a->placed |= spec.attribute == PLI_DW_AT_LOW || spec.attribute == PLI_DW_AT_RANGES;
        pli_bytes_add(specs, &spec, sizeof spec);
    }
}

/* Reads an entry, whose form is known. `end` as above. */
static void pli_dw_entry_read(pli_dw_entry *e, pli_reader *r, uint64_t end, const pli_dw_unit *u,
                              const pli_abbrev *a, const pli_bytes *specs)
{
    const pli_dw_spec *spec = (const pli_dw_spec *)(const void *)specs->data + a->first;
    memset(e, 0, sizeof *e);
    e->tag = a->tag, e->children = a->children;
    for (uint32_t i = 0; i < a->count; i++)
        e->value[spec[i].attribute] = pli_dw_value_take(r, end, u, spec[i]);
}

/* Reads a single entry, wherever it is: its form is looked for from the first one on. */
static bool pli_dw_entry_at(pli_debug *d, const pli_dw_unit *u, uint64_t at, pli_dw_entry *e)
{
    static pli_stream forms;
    pli_abbrev a;
    uint64_t rest = u->end - at, size = rest < sizeof pli_dw.entry ? rest : sizeof pli_dw.entry;
    if (at < u->entries || at >= u->end ||
        !pli_debug_read(d, PLI_DW_INFO, at, pli_dw.entry, (size_t)size))
        return false;
    pli_reader r = {pli_dw.entry, pli_dw.entry + size, false};
    uint64_t code = pli_read_uleb_sig(&r);
    pli_bytes *specs = &pli_dw.specs;
    pli_stream_open(&forms, d, PLI_DW_ABBREV, u->abbrevs);
    bool found = false;
    for (specs->size = 0; !found && pli_abbrev_read(&forms, u, &a, specs);) {
        found = a.code == code;
        specs->size = found ? specs->size : 0;
    }
    if (found)
        pli_dw_entry_read(e, &r, at + size, u, &a, specs);
    return found && !r.bad;
}

/* -- Ranges -- */

/* Notes a range. Functions that the linker left out have address 0, or -1, or are empty. */
static void pli_dw_range_add(pli_bytes *ranges, uint64_t low, uint64_t high, size_t owner)
{
    pli_dw_range range = {low, high, 0, owner};
    if (low == 0 || low >= high)
        return;
    if (ranges->size / sizeof range >= PLI_DW_RANGES_MOST)
        ranges->failed = true;
    pli_bytes_add(ranges, &range, sizeof range);
}

/* A list of version 5. Each item says what it is:

       0 end                 1 base: index              2 start, end: indexes
       3 start: index, size  4 start, end from base     5 base    6 start, end    7 start, size */
static void pli_dw_list5(pli_debug *d, const pli_dw_unit *u, pli_stream *s, pli_bytes *ranges,
                         size_t owner)
{
    uint64_t base = u->low;
    for (; !s->r.bad && pli_dw.fuel > 0; pli_dw.fuel--) {
        pli_stream_fill(s);
        uint64_t kind = pli_read_sig(&s->r, 1), low = 0, high;
        if (kind == 0 || kind > 7)
            return;
        low = kind <= 4 ? pli_read_uleb_sig(&s->r) : pli_read_sig(&s->r, u->address_size);
        if (kind <= 3)
            low = pli_dw_address(d, u, (pli_dw_value){low, PLI_DW_ADDRESS_INDEX});
        if (kind == 1 || kind == 5) {
            base = low;
            continue;
        }
        high = kind == 6 ? pli_read_sig(&s->r, u->address_size) : pli_read_uleb_sig(&s->r);
        if (kind == 2)
            high = pli_dw_address(d, u, (pli_dw_value){high, PLI_DW_ADDRESS_INDEX});
        low += kind == 4 ? base : 0;
        high += kind == 4 ? base : kind == 3 || kind == 7 ? low : 0;
        if (!s->r.bad)
            pli_dw_range_add(ranges, low, high, owner);
    }
}

/* A list of before: pairs that count from base, a new base behind -1, and two zeros at the end. */
static void pli_dw_list4(const pli_dw_unit *u, pli_stream *s, pli_bytes *ranges, size_t owner)
{
    uint64_t base = u->low, none = u->address_size == 8 ? UINT64_MAX : UINT32_MAX;
    for (; !s->r.bad && pli_dw.fuel > 0; pli_dw.fuel--) {
        pli_stream_fill(s);
        uint64_t low = pli_read_sig(&s->r, u->address_size);
        uint64_t high = pli_read_sig(&s->r, u->address_size);
        if (low == 0 && high == 0)
            return;
        if (low == none)
            base = high;
        else
            pli_dw_range_add(ranges, base + low, base + high, owner);
    }
}

/* Notes where the code of an entry lies: a list, or from low_pc to high_pc, which is an address or
   a size. */
static void pli_dw_ranges_of(pli_debug *d, const pli_dw_unit *u, const pli_dw_entry *e,
                             pli_bytes *ranges, size_t owner)
{
    static pli_stream list;
    pli_dw_value at = e->value[PLI_DW_AT_RANGES], high = e->value[PLI_DW_AT_HIGH];
    if (at.kind == PLI_DW_ABSENT) {
        uint64_t low = pli_dw_address(d, u, e->value[PLI_DW_AT_LOW]);
        if (high.kind == PLI_DW_NUMBER)
            pli_dw_range_add(ranges, low, low + high.number, owner);
        else
            pli_dw_range_add(ranges, low, pli_dw_address(d, u, high), owner);
        return;
    }
    uint64_t place = at.number;
    if (at.kind == PLI_DW_LIST_INDEX &&
        pli_debug_number(d, PLI_DW_RNGLISTS, u->list_base + at.number * u->offset_size,
                         u->offset_size, &place))
        place += u->list_base;
    pli_stream_open(&list, d, u->version >= 5 ? PLI_DW_RNGLISTS : PLI_DW_RANGES, place);
    if (u->version >= 5)
        pli_dw_list5(d, u, &list, ranges, owner);
    else
        pli_dw_list4(u, &list, ranges, owner);
}

/* Sorts by address, and fills in how far all reach; false when there is no memory. */
static bool pli_dw_ranges_sort(pli_dw_range *range, size_t count)
{
    size_t bytes = count * (2 * sizeof(pli_pair) + sizeof *range);
    pli_pair *pairs = count ? pli_os_map(bytes) : NULL;
    if (!pairs)
        return count == 0;
    pli_dw_range *copy = (pli_dw_range *)(void *)(pairs + 2 * count);
    memcpy(copy, range, count * sizeof *range);
    for (size_t i = 0; i < count; i++)
        pairs[i] = (pli_pair){range[i].low, i};
    pli_sort(pairs, pairs + count, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t reach = i > 0 ? range[i - 1].reach : 0;
        range[i] = copy[pairs[i].value];
        range[i].reach = range[i].high > reach ? range[i].high : reach;
    }
    munmap(pairs, bytes);
    return true;
}

/* The owner of the last range that begins at or before an address and contains it; count when
   there is none. */
static size_t pli_dw_ranges_find(const pli_dw_range *range, size_t count, uint64_t address)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (range[middle].low <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low > 0 && range[low - 1].reach > address; low--)
        if (range[low - 1].high > address)
            return range[low - 1].owner;
    return SIZE_MAX;
}

/* -- Units -- */

/* Reads the header of the unit that begins at `at`; false when there is none. A unit that is not
   understood has version 0, and an end.

       length | version | kind, address size, forms             since version 5
       length | version | forms, address size                   before

   The length is 4 bytes, or ff ff ff ff and 8 bytes: then places have 8 bytes, too. Units of types,
   skeletons and parts of split DWARF have more fields. They have no code of their own. */
static bool pli_dw_unit_read(pli_debug *d, uint64_t at, pli_dw_unit *u)
{
    uint8_t bytes[48] = {0};
    uint64_t left = d->section[PLI_DW_INFO].size - at, kind = 1;
    size_t size = left < sizeof bytes ? (size_t)left : sizeof bytes;
    pli_reader r = {bytes, bytes + size, !pli_debug_read(d, PLI_DW_INFO, at, bytes, size)};
    memset(u, 0, sizeof *u);
    uint64_t length = pli_read_sig(&r, 4);
    u->offset_size = length == 0xffffffff ? 8 : 4;
    if (u->offset_size == 8)
        length = pli_read_sig(&r, 8);
    uint64_t head = (uint64_t)(r.at - bytes);
    u->start = at, u->end = at + head + length, u->lines = PLI_DW_NONE;
    if (r.bad || length == 0 || head > left || length > left - head)
        return false;
    uint64_t version = pli_read_sig(&r, 2);
    if (version >= 5)
        kind = pli_read_sig(&r, 1), u->address_size = (uint8_t)pli_read_sig(&r, 1);
    u->abbrevs = pli_read_sig(&r, u->offset_size);
    if (version < 5)
        u->address_size = (uint8_t)pli_read_sig(&r, 1);
    u->entries = at + (uint64_t)(r.at - bytes);
    bool known = !r.bad && version >= 2 && version <= 5 && (kind == 1 || kind == 3) &&
                 (u->address_size == 4 || u->address_size == 8);
    u->version = known ? (uint8_t)version : 0;
    return true;
}

/* Reads the first entry of a unit: what all others in it depend on. */
static void pli_dw_unit_root(pli_debug *d, pli_dw_unit *u, pli_bytes *ranges, size_t number)
{
    pli_dw_entry e;
    if (u->version == 0 || !pli_dw_entry_at(d, u, u->entries, &e))
        return;
    if (e.value[PLI_DW_AT_LINES].kind == PLI_DW_NUMBER)
        u->lines = e.value[PLI_DW_AT_LINES].number;
    if (e.value[PLI_DW_AT_ELSEWHERE].kind != PLI_DW_ABSENT)
        u->lines = PLI_DW_NONE;
    u->string_base = e.value[PLI_DW_AT_STRING_BASE].number;
    u->address_base = e.value[PLI_DW_AT_ADDRESS_BASE].number;
    u->list_base = e.value[PLI_DW_AT_LIST_BASE].number;
    u->folder = e.value[PLI_DW_AT_FOLDER];
    u->low = pli_dw_address(d, u, e.value[PLI_DW_AT_LOW]);
    if (u->lines != PLI_DW_NONE)
        pli_dw_ranges_of(d, u, &e, ranges, number);
}

/* Moves what was gathered into memory of its own, or NULL; the buffer is empty then. */
static void *pli_dw_settle(pli_bytes *b)
{
    void *memory = b->failed || b->size == 0 ? NULL : pli_os_map(b->size);
    if (memory)
        memcpy(memory, b->data, b->size);
    pli_bytes_free(b);
    return memory;
}

/* Goes over all units. When there are too many, or memory is short, the module has no lines. */
static void pli_debug_index(pli_debug *d)
{
    pli_bytes units = {NULL, 0, 0, false}, ranges = {NULL, 0, 0, false};
    pli_dw_unit u;
    pli_dw.fuel = 4 * PLI_DW_RANGES_MOST;
    for (uint64_t at = 0; pli_dw_unit_read(d, at, &u) && !ranges.failed; at = u.end) {
        size_t number = units.size / sizeof u;
        ranges.failed |= number >= PLI_DW_UNITS_MOST;
        pli_dw_unit_root(d, &u, &ranges, number);
        pli_bytes_add(&units, &u, sizeof u);
    }
    size_t unit_count = units.size / sizeof u, range_count = ranges.size / sizeof(pli_dw_range);
    d->unit = pli_dw_settle(&units);
    d->range = pli_dw_settle(&ranges);
    if (d->unit && d->range && pli_dw_ranges_sort(d->range, range_count))
        d->units = unit_count, d->ranges = range_count;
}

/* The debug information of a module, found now if need be. NULL when there is no memory. */
static pli_debug *pli_debug_of(const pli_module *m)
{
    pli_debug **place = (pli_debug **)(uintptr_t)&m->debug;
    pli_elf elf;
    if (*place)
        return *place;
    pli_debug *d = pli_keep(sizeof *d);
    if (!d)
        return NULL;
    d->module = m, d->image.fd = -1;
    if (pli_debug_file(&elf, d->section, m)) {
        d->image = elf.image;
        pli_debug_unpack_all(d, &elf);
        pli_debug_keep_open(d, &elf);
        pli_debug_index(d);
    }
    return *place = d;
}

/* The unit that an entry is in, or NULL. */
static const pli_dw_unit *pli_debug_unit_of(const pli_debug *d, uint64_t entry)
{
    size_t low = 0, high = d->units;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->unit[middle].end <= entry)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->units && d->unit[low].version && d->unit[low].start <= entry ? &d->unit[low]
                                                                                 : NULL;
}

#endif /* PLI_LINUX */

/* ==== >>line =====================================================================================
   Source lines for addresses, and the calls that compilers inlined. What >>dwarf can read, kept in
   a form that answers questions:

       address ──► ranges of the units ──► the unit's source, made at the first question about it

       rows      0x1139 parse.c:10 │ 0x1140 blank.h:5 │ 0x1158 parse.c:12 │ 0x1160 (end)
       function  0x1139 ─────────── parse ──────────────────────────────── 0x1160
       pieces            0x1140 ─── skip_blanks, called at parse.c:11 ─ 0x1158
                             0x1144 ─ is_blank, called at blank.h:5 ─ 0x1150

   0x1146 is in is_blank, at the line of its row; in skip_blanks, at the line where that calls
   is_blank; and in parse, at the line where that calls skip_blanks. Inlined calls that are not
   named in the debug information (gcc -g1) are taken for code of the function around them.

   Rows are what a small program in .debug_line makes; pieces come from a walk over all entries of
   the unit. Of both only the result is kept, and names and paths are read when they are needed.
   When all sources together take more than 32 MB, all are forgotten; answers, which repeat, are
   kept longer, in a table of a fixed size. Names and paths stay for ever: they have been handed
   out.

   One lock is over this and >>dwarf. In an emergency it may be held by who was interrupted: then
   there are no lines, for the rest of the program's life, which is short. */

#if PLI_LINUX

#define PLI_INLINED_MAX 48                      /* functions at one address; the ones in the middle
                                                   of a longer chain are left out */
#define PLI_SOURCES_MOST ((size_t)32 << 20)     /* bytes of all sources */
#define PLI_ROWS_MOST ((size_t)4 << 20)
#define PLI_SCAN_DEPTH 256                      /* of entries in entries */
#define PLI_FORMS_MOST 65536
#define PLI_ANSWERS 4096                        /* addresses whose lines are known */
#define PLI_ANSWER_LINES (4 * PLI_ANSWERS)
#define PLI_NO_CALL UINT32_MAX

/* A name or a path that stays. shown: as people write it, once somebody asked; atomic. */
typedef struct pli_string { struct pli_string *next; const char *shown; char text[]; } pli_string;

/* A function at an address, and the line in it. The one that the code was compiled into has no
   function here: the table of symbols names it. */
typedef struct pli_line { pli_string *function; const char *file; int line; } pli_line;

/* An inlined call, or (outer is PLI_NO_CALL) a function: the place of the entry that has its name,
   and from where it was called. */
typedef struct pli_call {
    uint64_t entry;
    pli_string *name; /* once it was read */
    uint32_t outer, file, line;
} pli_call;

/* The pieces of a function and of all calls in it: part of the array of pieces. */
typedef struct pli_body { size_t first, end; } pli_body;

/* A file or folder of a line table: where its name is, in which folder it lies; a file's whole path
   once it was asked for. */
typedef struct pli_path {
    uint64_t at;
    const char *text;
    uint64_t folder;
    int section; /* -1: it has no name */
} pli_path;

/* What is kept of a unit, in one block of memory. Never changes, but for names and texts. */
typedef struct pli_source {
    struct pli_source *next;
    const pli_dw_unit *unit;
    size_t bytes;
    pli_pair *row;       /* sorted by address: see pli_program_row */
    pli_dw_range *range; /* of functions, sorted; owner: which body */
    pli_body *body;
    pli_dw_range *piece; /* in the order of the entries: an inner one behind its outer one */
    pli_call *call;      /* owners of pieces */
    pli_path *file, *folder;
    size_t rows, ranges, bodies, pieces, calls, files, folders;
} pli_source;

/* The lines of an address that was asked for: `count` from `first` on. 0 is an answer, too. */
typedef struct pli_answer {
    const pli_module *module;
    uintptr_t pc;
    uint32_t first, count;
} pli_answer;

/* The table of answers, and the lines that they refer to. When those are full, all are forgotten:
   so nothing has to be given back one by one. */
typedef struct pli_answers {
    pli_answer answer[PLI_ANSWERS];
    pli_line line[PLI_ANSWER_LINES];
    uint32_t used;
} pli_answers;

#define PLI_STRING_BUCKETS 4096
#define PLI_SOURCE_BUCKETS 64

static struct {
    pli_lock lock;
    uint32_t given_up; /* 1: in an emergency, the lock could not be had; atomic */
    pli_answers *answers;
    pli_string *name[PLI_STRING_BUCKETS];
    char *name_room;   /* for the next names */
    size_t name_left;
    pli_source *source[PLI_SOURCE_BUCKETS];
    size_t source_bytes;
} pli_lines;

/* -- Names and paths -- */

/* A copy that stays; the same text always gives the same one. Not from pli_keep, whose lock may be
   held for ever in an emergency. NULL when there is no memory. */
static pli_string *pli_string_of(const char *text)
{
    size_t size = (sizeof(pli_string) + strlen(text) + 1 + 15) & ~(size_t)15;
    uint64_t hash = 0;
    for (const char *s = text; *s; s++)
        hash = pli_mix_sig(hash, (unsigned char)*s);
    pli_string **bucket = &pli_lines.name[hash % PLI_STRING_BUCKETS];
    for (pli_string *n = *bucket; n; n = n->next)
        if (strcmp(n->text, text) == 0)
            return n;
    if (size > pli_lines.name_left) {
        pli_lines.name_room = pli_os_map(PLI_KEEP_CHUNK); /* names have PLI_DW_TEXT letters */
        pli_lines.name_left = pli_lines.name_room ? PLI_KEEP_CHUNK : 0;
    }
    if (size > pli_lines.name_left)
        return NULL;
    pli_string *name = (pli_string *)(void *)pli_lines.name_room;
    pli_lines.name_room += size, pli_lines.name_left -= size;
    strcpy(name->text, text);
    name->next = *bucket;
    return *bucket = name;
}

/* As people write it: see pli_symbol_shown. Outside of the lock: this may call malloc. */
static const char *pli_string_shown(pli_string *name, bool emergency)
{
    if (name->text[0] != '_' || name->text[1] != 'Z')
        return name->text;
    const char *shown = PLI_LOAD_ACQUIRE(name->shown);
    if (!shown && !emergency) {
        shown = pli_demangle(name->text);
        PLI_STORE_RELEASE(name->shown, shown);
    }
    return shown ? shown : name->text;
}

/* The name of the function whose entry, or that of a call of it, begins at `at`. A copy refers to
   its origin, a definition to its declaration: somewhere on the way is the linker's name, or else
   the plain one. NULL when there is none, or part of the way is in another file. */
static pli_string *pli_function_name(pli_debug *d, uint64_t at)
{
    pli_string *plain = NULL;
    pli_dw_entry e;
    int section;
    uint64_t text;
    for (int hop = 0; hop < 8 && at; hop++) {
        const pli_dw_unit *u = pli_debug_unit_of(d, at);
        if (!u || !pli_dw_entry_at(d, u, at, &e))
            return NULL;
        if (pli_dw_text_at(d, u, e.value[PLI_DW_AT_LINKAGE], &section, &text) &&
            pli_debug_text(d, section, text))
            return pli_string_of(pli_dw.text);
        if (!plain && pli_dw_text_at(d, u, e.value[PLI_DW_AT_NAME], &section, &text) &&
            pli_debug_text(d, section, text))
            plain = pli_string_of(pli_dw.text);
        at = pli_dw_reference(u, e.value[PLI_DW_AT_ORIGIN]);
    }
    return plain;
}

/* Puts a text of a section in front of a path that ends at `end`; *begin is where it begins now.
   False when there is no such text, or no room. */
static bool pli_path_prepend(pli_debug *d, int section, uint64_t at, char *path, size_t *begin)
{
    if (section < 0 || !pli_debug_text(d, section, at))
        return false;
    size_t size = strlen(pli_dw.text), slash = path[*begin] != '\0' && size > 0;
    if (size + slash > *begin)
        return false;
    *begin -= size + slash;
    memcpy(path + *begin, pli_dw.text, size);
    if (slash)
        path[*begin + size] = '/';
    return true;
}

/* The whole path of a file of a line table: its name, in front of it its folder, and in front of
   that the folder where the compiler was started, until it begins with a slash. */
static const char *pli_source_path(pli_debug *d, pli_source *s, uint64_t number)
{
    static char path[PLI_DW_TEXT]; /* under the lock */
    size_t begin = sizeof path - 1;
    if (number >= s->files)
        return NULL;
    pli_path *file = &s->file[number];
    if (file->text)
        return file->text;
    path[begin] = '\0';
    if (!pli_path_prepend(d, file->section, file->at, path, &begin))
        return NULL;
    if (path[begin] != '/') {
        const pli_path *folder = file->folder < s->folders ? &s->folder[file->folder] : NULL;
        if (!folder || !pli_path_prepend(d, folder->section, folder->at, path, &begin))
            return NULL;
    }
    int section;
    uint64_t at;
    if (path[begin] != '/' && file->folder != 0 &&
        pli_dw_text_at(d, s->unit, s->unit->folder, &section, &at))
        pli_path_prepend(d, section, at, path, &begin);
    pli_string *name = pli_string_of(path + begin);
    return file->text = name ? name->text : NULL;
}

/* -- Rows: the line number program --

   A table of rows (address, file, line) would be larger than the code. So .debug_line has a program
   that makes it. Most of its instructions are one byte that moves address and line on and adds a
   row; what a byte means is computed from a few numbers in the header:

       operation = byte - opcode_base
       address  += operation / line_range * minimum
       line     += line_base + operation % line_range

   Rows of one function after the other; between them gaps, which a row without a line begins. */

typedef struct pli_program {
    pli_debug *debug;
    pli_dw_unit unit;          /* with version and sizes of this table */
    pli_reader r;
    uint64_t end;              /* the place of r.end in .debug_line */
    pli_bytes rows, files, folders;
    const uint8_t *arguments;  /* of the instructions below opcode_base: how many */
    uint64_t minimum, line_range, opcode_base;
    int64_t line_base;
    uint64_t address, file, line; /* the registers */
    bool live;                 /* the address is one of this module */
} pli_program;

/* Adds a name to a table of files or folders. Text that stands in the table itself counts as text
   of .debug_line. */
static void pli_program_path(pli_program *p, pli_bytes *table, pli_dw_value name, uint64_t folder)
{
    pli_path path = {0, NULL, folder, -1};
    int section;
    if (pli_dw_text_at(p->debug, &p->unit, name, &section, &path.at))
        path.section = name.kind == PLI_DW_STRING ? PLI_DW_LINE : section;
    pli_bytes_add(table, &path, sizeof path);
}

/* A table of files or folders of version 5: which fields they have, in which forms; then all. Of
   the fields only the name (1) and the number of the folder (2) matter. */
static void pli_program_table5(pli_program *p, pli_bytes *table)
{
    struct { uint64_t content; pli_dw_spec spec; } field[16];
    size_t fields = (size_t)pli_read_sig(&p->r, 1);
    p->r.bad |= fields > sizeof field / sizeof *field;
    for (size_t i = 0; i < fields && !p->r.bad; i++) {
        field[i].content = pli_read_uleb_sig(&p->r);
        field[i].spec = (pli_dw_spec){pli_dw_form_in(&p->unit, pli_read_uleb_sig(&p->r)), 0, 0};
    }
    uint64_t count = pli_read_uleb_sig(&p->r);
    for (uint64_t i = 0; i < count && !p->r.bad; i++) {
        const uint8_t *before = p->r.at;
        pli_dw_value name = {0, PLI_DW_ABSENT};
        uint64_t folder = 0;
        for (size_t k = 0; k < fields; k++) {
            pli_dw_value v = pli_dw_value_take(&p->r, p->end, &p->unit, field[k].spec);
            if (field[k].content == 1)
                name = v;
            else if (field[k].content == 2)
                folder = v.number;
        }
        p->r.bad |= p->r.at == before; /* or a false count would take for ever */
        pli_program_path(p, table, name, folder);
    }
}

/* Text at the reader, as a value. */
static pli_dw_value pli_program_text(pli_program *p)
{
    static const pli_dw_spec text = {{PLI_DW_TO_ZERO, PLI_DW_STRING}, 0, 0}; /* as it stands */
    return pli_dw_value_take(&p->r, p->end, &p->unit, text);
}

/* The tables of before: text, and an empty one at the end. Files count from 1, and folder 0 is
   where the compiler was started. */
static void pli_program_tables4(pli_program *p)
{
    pli_path none = {0, NULL, 0, -1};
    pli_program_path(p, &p->folders, p->unit.folder, 0);
    pli_bytes_add(&p->files, &none, sizeof none);
    while (!p->r.bad && p->r.at < p->r.end && *p->r.at)
        pli_program_path(p, &p->folders, pli_program_text(p), 0);
    pli_skip_sig(&p->r, 1);
    while (!p->r.bad && p->r.at < p->r.end && *p->r.at) {
        pli_dw_value name = pli_program_text(p);
        uint64_t folder = pli_read_uleb_sig(&p->r);
        pli_read_uleb_sig(&p->r); /* time */
        pli_read_uleb_sig(&p->r); /* size */
        pli_program_path(p, &p->files, name, folder);
    }
}

/* Reads the header, whose length has been read; the reader is at the program then. */
static bool pli_program_head(pli_program *p)
{
    uint64_t version = pli_read_sig(&p->r, 2);
    if (version < 2 || version > 5)
        return false;
    p->unit.version = (uint8_t)version;
    if (version >= 5) {
        p->unit.address_size = (uint8_t)pli_read_sig(&p->r, 1);
        pli_read_sig(&p->r, 1); /* the size of segments: none */
    }
    uint64_t bytes = pli_read_sig(&p->r, p->unit.offset_size);
    pli_reader program = p->r;
    pli_skip_sig(&program, bytes);
    p->minimum = pli_read_sig(&p->r, 1);
    if (version >= 4)
        pli_read_sig(&p->r, 1); /* operations of an instruction: 1 on all processors here */
    pli_read_sig(&p->r, 1);     /* whether rows are statements at first: all count here */
    p->line_base = pli_read_signed_sig(&p->r, 1);
    p->line_range = pli_read_sig(&p->r, 1), p->opcode_base = pli_read_sig(&p->r, 1);
    p->arguments = p->r.at;
    pli_skip_sig(&p->r, p->opcode_base - 1);
    if (version >= 5) {
        pli_program_table5(p, &p->folders);
        pli_program_table5(p, &p->files);
    } else {
        pli_program_tables4(p);
    }
    bool good = !p->r.bad && !program.bad && p->line_range && p->opcode_base &&
                (p->unit.address_size == 4 || p->unit.address_size == 8);
    p->r = program;
    return good;
}

/* Adds a row: the address and whether it is one (1) or the end of some (0), so that where one
   function ends and another begins, the end comes first; file and line. Rows that say the same as
   the one before are left out, about half of all. */
static void pli_program_row(pli_program *p, bool end)
{
    pli_pair row = {p->address << 1 | !end, p->file << 32 | (uint32_t)p->line};
    const pli_pair *last = (const pli_pair *)(const void *)p->rows.data;
    if (last)
        last += p->rows.size / sizeof row;
    if (!p->live || (!end && p->rows.size && (last[-1].key & 1) && last[-1].value == row.value))
        return;
    if (p->rows.size / sizeof row >= PLI_ROWS_MOST)
        p->rows.failed = true;
    pli_bytes_add(&p->rows, &row, sizeof row);
}

/* As every sequence of rows begins. */
static void pli_program_reset(pli_program *p)
{
    p->address = 0, p->file = 1, p->line = 1, p->live = false;
}

/* An instruction with a length: the end of a sequence, or an address. Functions that the linker
   left out are at 0, or at -1. */
static void pli_program_extended(pli_program *p)
{
    const pli_module *m = p->debug->module;
    pli_reader sub = pli_sub_reader_sig(&p->r, pli_read_uleb_sig(&p->r));
    uint64_t operation = pli_read_sig(&sub, 1), size = (uint64_t)(sub.end - sub.at);
    if (operation == 1) {
        pli_program_row(p, true);
        pli_program_reset(p);
    } else if (operation == 2 && size <= 8) {
        p->address = pli_read_sig(&sub, (size_t)size);
        p->live = p->address != 0 && p->address < m->end - m->bias;
    }
}

/* One of the instructions that have a number of their own. */
static void pli_program_standard(pli_program *p, uint64_t operation)
{
    switch (operation) {
    case 1: pli_program_row(p, false); break;
    case 2: p->address += pli_read_uleb_sig(&p->r) * p->minimum; break;
    case 3: p->line += (uint64_t)pli_read_sleb_sig(&p->r); break;
    case 4: p->file = pli_read_uleb_sig(&p->r) & INT32_MAX; break;
    case 8: p->address += (255 - p->opcode_base) / p->line_range * p->minimum; break;
    case 9: p->address += pli_read_sig(&p->r, 2); break;
    default: /* columns, and what debuggers need */
        for (int i = p->arguments[operation - 1]; i > 0 && !p->r.bad; i--)
            pli_read_uleb_sig(&p->r);
    }
}

/* Runs the program to its end. */
static void pli_program_run(pli_program *p)
{
    pli_program_reset(p);
    while (p->r.at < p->r.end && !p->r.bad && !p->rows.failed) {
        uint64_t byte = *p->r.at++;
        if (byte >= p->opcode_base) {
            uint64_t operation = byte - p->opcode_base;
            p->address += operation / p->line_range * p->minimum;
            p->line += (uint64_t)p->line_base + operation % p->line_range;
            pli_program_row(p, false);
        } else if (byte == 0) {
            pli_program_extended(p);
        } else {
            pli_program_standard(p, byte);
        }
    }
}

/* Sorts the rows; false when there is no memory. Most compilers write them in the right order. */
static bool pli_program_sort(pli_program *p)
{
    size_t bytes = p->rows.size, count = bytes / sizeof(pli_pair), sorted = 1;
    pli_pair *row = (pli_pair *)(void *)p->rows.data;
    while (sorted < count && row[sorted - 1].key <= row[sorted].key)
        sorted++;
    pli_pair *scratch = sorted < count ? pli_os_map(bytes) : NULL;
    if (!scratch)
        return sorted >= count;
    pli_sort(row, scratch, count);
    munmap(scratch, bytes);
    return true;
}

/* Makes the rows of the program's unit: its part of .debug_line begins with its length. */
static bool pli_program_read(pli_program *p)
{
    pli_debug *d = p->debug;
    uint64_t at = p->unit.lines, length;
    bool copied, good = pli_debug_number(d, PLI_DW_LINE, at, 4, &length);
    p->unit.offset_size = length == 0xffffffff ? 8 : 4;
    at += 4;
    if (good && p->unit.offset_size == 8) {
        good = pli_debug_number(d, PLI_DW_LINE, at, 8, &length);
        at += 8;
    }
    uint8_t *part = good ? pli_debug_take(d, PLI_DW_LINE, at, length, &copied) : NULL;
    if (!part)
        return false;
    p->r = (pli_reader){part, part + length, false};
    p->end = at + length;
    pli_bytes_expect(&p->rows, 4 * (size_t)length); /* a row of 16 bytes is made of 5 or more */
    good = pli_program_head(p);
    if (good)
        pli_program_run(p);
    if (copied)
        pli_image_give(part, length);
    return good && !p->rows.failed && !p->files.failed && !p->folders.failed &&
           pli_program_sort(p);
}

/* -- Pieces: a walk over the entries of a unit -- */

/* A walk, and what it gathers. A level is an entry whose children are being read: the call or
   function that their code belongs to, and the body that ends with them. */
typedef struct pli_scan {
    pli_debug *debug;
    const pli_dw_unit *unit;
    pli_reader r;
    pli_bytes forms, specs;   /* by number */
    pli_bytes calls, pieces, bodies, ranges;
    int depth;
    struct { uint32_t call, body; } level[PLI_SCAN_DEPTH];
} pli_scan;

/* Reads the forms of all entries of the unit. Compilers number them from 1 on. */
static bool pli_scan_forms(pli_scan *w)
{
    static pli_stream stream;
    pli_abbrev a;
    pli_stream_open(&stream, w->debug, PLI_DW_ABBREV, w->unit->abbrevs);
    while (pli_abbrev_read(&stream, w->unit, &a, &w->specs)) {
        size_t needed = (size_t)(a.code + 1) * sizeof a, had = w->forms.size;
        if (a.code >= PLI_FORMS_MOST || w->specs.size > PLI_DW_SPECS_MOST)
            return false;
        unsigned char *more = had < needed ? pli_bytes_extend(&w->forms, needed - had) : NULL;
        if (more)
            memset(more, 0, needed - had);
        if (w->forms.failed)
            return false;
        ((pli_abbrev *)(void *)w->forms.data)[a.code] = a;
    }
    return !stream.r.bad;
}

/* Counts elements of a buffer. */
#define PLI_COUNT(bytes, type) ((bytes).size / sizeof(type))

/* The body is complete. */
static void pli_scan_end_body(pli_scan *w, uint32_t body)
{
    if (body != PLI_NO_CALL && !w->bodies.failed)
        ((pli_body *)(void *)w->bodies.data)[body].end = PLI_COUNT(w->pieces, pli_dw_range);
}

/* Notes a function that has code; which call it is, and in *body its body. Those without are
   declarations, and originals of which there are only copies. */
static uint32_t pli_scan_function(pli_scan *w, const pli_dw_entry *e, uint32_t *body)
{
    size_t call = PLI_COUNT(w->calls, pli_call), first = PLI_COUNT(w->pieces, pli_dw_range);
    size_t number = PLI_COUNT(w->bodies, pli_body);
    pli_call function = {0, NULL, PLI_NO_CALL, 0, 0};
    pli_body made = {first, first};
    pli_dw_ranges_of(w->debug, w->unit, e, &w->pieces, call);
    if (PLI_COUNT(w->pieces, pli_dw_range) == first || w->pieces.failed)
        return PLI_NO_CALL;
    for (size_t i = first; i < PLI_COUNT(w->pieces, pli_dw_range); i++) {
        pli_dw_range range = ((pli_dw_range *)(void *)w->pieces.data)[i];
        range.owner = number;
        pli_bytes_add(&w->ranges, &range, sizeof range);
    }
    pli_bytes_add(&w->calls, &function, sizeof function);
    pli_bytes_add(&w->bodies, &made, sizeof made);
    *body = (uint32_t)number;
    return (uint32_t)call;
}

/* Notes an inlined call, which is part of a call or function. It may have no code of its own, but
   calls in it that have. */
static uint32_t pli_scan_inlined(pli_scan *w, const pli_dw_entry *e, uint32_t outer)
{
    size_t number = PLI_COUNT(w->calls, pli_call);
    pli_call call = {pli_dw_reference(w->unit, e->value[PLI_DW_AT_ORIGIN]), NULL, outer,
                     (uint32_t)e->value[PLI_DW_AT_CALL_FILE].number,
                     (uint32_t)e->value[PLI_DW_AT_CALL_LINE].number};
    pli_dw_ranges_of(w->debug, w->unit, e, &w->pieces, number);
    pli_bytes_add(&w->calls, &call, sizeof call);
    return (uint32_t)number;
}

/* Skips the values of an entry that tells nothing here, as nearly all do. */
static void pli_scan_skip(pli_scan *w, const pli_abbrev *a)
{
    const pli_dw_spec *spec = (const pli_dw_spec *)(const void *)w->specs.data + a->first;
    if (a->fixed >= 0)
        pli_skip_sig(&w->r, (uint64_t)a->fixed);
    else
        for (uint32_t i = 0; i < a->count && !w->r.bad; i++)
            if (spec[i].form.size == PLI_DW_INDIRECT)
                pli_dw_value_take(&w->r, 0, w->unit, spec[i]);
            else
                pli_dw_value_read(&w->r, &spec[i]);
}

/* One entry; its children are next, if it has some: those of types, too, since a class in a function
   may have its functions in it. */
static void pli_scan_entry(pli_scan *w, const pli_abbrev *a)
{
    static pli_dw_entry e; /* under the lock */
    uint32_t call = w->depth ? w->level[w->depth - 1].call : PLI_NO_CALL, body = PLI_NO_CALL;
    bool function = a->tag == PLI_DW_TAG_FUNCTION, inlined = a->tag == PLI_DW_TAG_INLINED;
    if ((function && a->placed) || (inlined && call != PLI_NO_CALL)) {
        pli_dw_entry_read(&e, &w->r, 0, w->unit, a, &w->specs);
        call = function ? pli_scan_function(w, &e, &body) : pli_scan_inlined(w, &e, call);
    } else {
        pli_scan_skip(w, a);
        call = function ? PLI_NO_CALL : call;
    }
    if (!a->children)
        pli_scan_end_body(w, body);
    else if (w->depth < PLI_SCAN_DEPTH)
        w->level[w->depth].call = call, w->level[w->depth++].body = body;
    else
        w->r.bad = true;
}

/* All entries. A 0 ends the children of one; the unit's first entry is a level, too. */
static bool pli_scan_entries(pli_scan *w)
{
    const pli_abbrev *form = (const pli_abbrev *)(const void *)w->forms.data;
    size_t forms = PLI_COUNT(w->forms, pli_abbrev);
    while (w->r.at < w->r.end && !w->r.bad && !w->pieces.failed) {
        uint64_t code = pli_read_uleb_sig(&w->r);
        if (code >= forms || (code && !form[code].code))
            return false;
        if (code) {
            pli_scan_entry(w, &form[code]);
            continue;
        }
        if (w->depth > 0)
            pli_scan_end_body(w, w->level[--w->depth].body);
        if (w->depth == 0)
            break;
    }
    return !w->r.bad && !w->pieces.failed && !w->calls.failed && !w->bodies.failed &&
           pli_dw_ranges_sort((pli_dw_range *)(void *)w->ranges.data,
                              PLI_COUNT(w->ranges, pli_dw_range));
}

/* Walks over the unit. */
static bool pli_scan_unit(pli_scan *w)
{
    const pli_dw_unit *u = w->unit;
    bool copied;
    uint8_t *part = pli_debug_take(w->debug, PLI_DW_INFO, u->entries, u->end - u->entries, &copied);
    if (!part)
        return false;
    w->r = (pli_reader){part, part + (u->end - u->entries), false};
    pli_bytes_expect(&w->calls, (size_t)(u->end - u->entries) / 2);
    pli_bytes_expect(&w->pieces, (size_t)(u->end - u->entries) / 2);
    bool good = pli_scan_forms(w) && pli_scan_entries(w);
    if (copied)
        pli_image_give(part, u->end - u->entries);
    return good && !w->ranges.failed;
}

/* -- Sources -- */

/* Moves an array into the block of a source. */
static void *pli_source_pack(char **room, const pli_bytes *b, size_t size, size_t *count)
{
    void *at = *room;
    if (b->size)
        memcpy(at, b->data, b->size);
    *room += (b->size + 15) & ~(size_t)15;
    *count = b->size / size;
    return at;
}

/* Makes one block of what was gathered; NULL when there is no memory. */
static pli_source *pli_source_make(const pli_scan *w, const pli_program *p)
{
    const pli_bytes *parts[] = {&p->rows, &p->files, &p->folders, &w->calls, &w->pieces,
                                &w->bodies, &w->ranges};
    size_t bytes = (sizeof(pli_source) + 15) & ~(size_t)15;
    char *room;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        bytes += (parts[i]->size + 15) & ~(size_t)15;
    pli_source *s = pli_os_map(bytes);
    if (!s)
        return NULL;
    s->unit = w->unit, s->bytes = bytes;
    room = (char *)s + ((sizeof *s + 15) & ~(size_t)15);
    s->row = pli_source_pack(&room, &p->rows, sizeof *s->row, &s->rows);
    s->file = pli_source_pack(&room, &p->files, sizeof *s->file, &s->files);
    s->folder = pli_source_pack(&room, &p->folders, sizeof *s->folder, &s->folders);
    s->call = pli_source_pack(&room, &w->calls, sizeof *s->call, &s->calls);
    s->piece = pli_source_pack(&room, &w->pieces, sizeof *s->piece, &s->pieces);
    s->body = pli_source_pack(&room, &w->bodies, sizeof *s->body, &s->bodies);
    s->range = pli_source_pack(&room, &w->ranges, sizeof *s->range, &s->ranges);
    return s;
}

/* Reads a unit. NULL when it cannot be understood, or there is no memory. */
static pli_source *pli_source_read(pli_debug *d, const pli_dw_unit *u)
{
    static pli_scan walk; /* under the lock; larger than a handler's stack may be */
    static pli_program program;
    memset(&walk, 0, sizeof walk);
    memset(&program, 0, sizeof program);
    walk.debug = program.debug = d;
    walk.unit = u, program.unit = *u;
    pli_dw.fuel = 4 * PLI_DW_RANGES_MOST;
    bool good = pli_scan_unit(&walk) && pli_program_read(&program);
    pli_source *s = good ? pli_source_make(&walk, &program) : NULL;
    pli_bytes *all[] = {&walk.forms, &walk.specs, &walk.calls, &walk.pieces, &walk.bodies,
                        &walk.ranges, &program.rows, &program.files, &program.folders};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        pli_bytes_free(all[i]);
    return s;
}

/* Gives all sources back. Answers keep what they need of them. */
static void pli_sources_forget(void)
{
    for (int i = 0; i < PLI_SOURCE_BUCKETS; i++) {
        for (pli_source *s = pli_lines.source[i], *next; s; s = next) {
            next = s->next;
            munmap(s, s->bytes);
        }
        pli_lines.source[i] = NULL;
    }
    pli_lines.source_bytes = 0;
}

/* The source of a unit, made now if need be. One that could not be made is not tried again. */
static pli_source *pli_source_of(pli_debug *d, pli_dw_unit *u)
{
    pli_source **bucket = &pli_lines.source[(u - d->unit) % PLI_SOURCE_BUCKETS];
    for (pli_source *s = *bucket; s; s = s->next)
        if (s->unit == u)
            return s;
    pli_source *made = u->lines != PLI_DW_NONE ? pli_source_read(d, u) : NULL;
    if (!made) {
        u->lines = PLI_DW_NONE;
        return NULL;
    }
    if (pli_lines.source_bytes + made->bytes > PLI_SOURCES_MOST)
        pli_sources_forget();
    pli_lines.source_bytes += made->bytes;
    made->next = *bucket;
    return *bucket = made;
}

#endif /* PLI_LINUX */

/* ==== >>frame ====================================================================================
   What a program is told of an address: function, file and line, with the inlined calls. The table
   of symbols (>>symbol) names the function that the code was compiled into, as everywhere else;
   debug information (>>line) adds the lines, and the names of what was inlined into it.

   Answers are kept: an address that was asked for before costs a hash and a copy. */

#if PLI_LINUX

/* -- Questions. Under the lock -- */

/* The row that an address belongs to: the last one that does not begin behind it. NULL when that is
   an end. */
static const pli_pair *pli_source_row(const pli_source *s, uint64_t address)
{
    size_t low = 0, high = s->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->row[middle].key <= (address << 1 | 1))
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && (s->row[low - 1].key & 1) ? &s->row[low - 1] : NULL;
}

/* The innermost call at an address: the last of its function's pieces that contains it, since
   entries stand behind those that they are in. PLI_NO_CALL: none, as in assembler code. */
static uint32_t pli_source_call(const pli_source *s, uint64_t address)
{
    uint32_t found = PLI_NO_CALL;
    size_t body = pli_dw_ranges_find(s->range, s->ranges, address);
    for (size_t i = body == SIZE_MAX ? 0 : s->body[body].first;
         body != SIZE_MAX && i < s->body[body].end; i++)
        if (s->piece[i].low <= address && address < s->piece[i].high)
            found = (uint32_t)s->piece[i].owner;
    return found;
}

/* A function at a place of a source. Code that the compiler added may have a file and no line. */
static pli_line pli_source_line(pli_debug *d, pli_source *s, pli_string *function, uint64_t file,
                                uint64_t line)
{
    const char *path = pli_source_path(d, s, file);
    return (pli_line){function, path, path && line <= INT32_MAX ? (int)line : 0};
}

/* All functions at an address, the innermost first; how many, 0 when nothing is known. Where a unit
   has functions, what is outside of them (assembler code among C) is not of the row before it. A
   call whose function has no name here would make lines of others its own: then nothing is known.
   */
static int pli_source_ask(pli_debug *d, pli_source *s, uint64_t address, pli_line *out)
{
    const pli_pair *row = pli_source_row(s, address);
    uint32_t at = pli_source_call(s, address);
    int count = 0;
    if (!row || (at == PLI_NO_CALL && s->ranges > 0))
        return 0;
    uint64_t file = row->value >> 32, line = (uint32_t)row->value;
    for (; at != PLI_NO_CALL && s->call[at].outer != PLI_NO_CALL; at = s->call[at].outer) {
        pli_call *call = &s->call[at];
        call->name = call->name ? call->name : pli_function_name(d, call->entry);
        if (!call->name)
            return 0;
        if (count < PLI_INLINED_MAX - 1)
            out[count++] = pli_source_line(d, s, call->name, file, line);
        file = call->file, line = call->line;
    }
    out[count++] = pli_source_line(d, s, NULL, file, line);
    return count;
}

/* The same for an address of a module, as the files tell it. */
static int pli_lines_read(const pli_module *m, uintptr_t pc, pli_line *out)
{
    pli_debug *d = pli_debug_of(m);
    uint64_t address = pc - m->bias;
    size_t unit = d ? pli_dw_ranges_find(d->range, d->ranges, address) : SIZE_MAX;
    pli_source *s = unit != SIZE_MAX ? pli_source_of(d, &d->unit[unit]) : NULL;
    int count = s ? pli_source_ask(d, s, address, out) : 0;
    pli_debug_close();
    return count;
}

/* The answer to a question, new or known; NULL when there is no memory. */
static const pli_answer *pli_lines_answer(const pli_module *m, uintptr_t pc)
{
    if (!pli_lines.answers)
        pli_lines.answers = pli_os_map(sizeof *pli_lines.answers);
    pli_answers *all = pli_lines.answers;
    pli_answer *a = all ? &all->answer[pli_mix_sig(pc, 0) % PLI_ANSWERS] : NULL;
    if (!a || (a->pc == pc && a->module == m))
        return a;
    if (all->used > PLI_ANSWER_LINES - PLI_INLINED_MAX) {
        memset(all->answer, 0, sizeof all->answer);
        all->used = 0;
    }
    uint32_t count = (uint32_t)pli_lines_read(m, pc, &all->line[all->used]);
    *a = (pli_answer){m, pc, all->used, count};
    all->used += count;
    return a;
}

/* The lines of an address of a module, the innermost function first; the last one is the function
   that the code was compiled into. How many, at most `max`: the outer ones in the middle are left
   out then. 0: not known. In an emergency: without malloc, and without waiting for long. */
static int pli_lines_at(const pli_module *m, uintptr_t pc, bool emergency, pli_line *out, int max)
{
    if (emergency && PLI_LOAD(pli_lines.given_up))
        return 0;
    if (!pli_lock_take_or_try(&pli_lines.lock, emergency)) {
        PLI_STORE(pli_lines.given_up, 1);
        return 0;
    }
    const pli_answer *a = pli_lines_answer(m, pc);
    int count = a ? (int)a->count : 0, given = count < max ? count : max;
    for (int i = 0; i < given; i++)
        out[i] = pli_lines.answers->line[a->first + (uint32_t)(i < given - 1 ? i : count - 1)];
    pli_lock_give(&pli_lines.lock);
    return given;
}

/* A fork's child: another thread may have been in the middle of it. What was being made is given
   up; what is complete hangs in the modules. */
static void pli_lines_fork_child(pli_thread *t)
{
    (void)t;
    pli_debug_close();
    memset(&pli_lines, 0, sizeof pli_lines);
    memset(&pli_dw, 0, sizeof pli_dw);
}

static const pli_thread_hooks pli_lines_hooks = {NULL, NULL, NULL, NULL, pli_lines_fork_child};

/* Not at the first question, which may come in an emergency. */
__attribute__((constructor)) static void pli_lines_watch_fork(void)
{
    pli_collector_add(&pli_lines_hooks);
}

/* -- Frames -- */

/* What is known of the function that an address of an epoch was compiled into, without lines. */
static pl_result pli_frame_at(uintptr_t pc, uint32_t epoch, pli_place *found, pl_frame *out)
{
    *out = (pl_frame){(const void *)pc, "[unknown]", NULL, 0, 0, ""};
    *found = pli_place_at(pc, epoch, false);
    if (!found->module)
        return PL_INVALID;
    const char *name = found->shown ? found->shown : pli_unnamed_keep(found->module, found->start);
    if (!name)
        return PL_NOMEM;
    out->function = name;
    out->module = found->module->path;
    out->offset = pc - found->start;
    return PL_OK;
}

/* pl_symbolize for an address that was seen in an epoch. */
static pl_result pli_symbolize(uintptr_t pc, uint32_t epoch, pl_frame *out)
{
    pli_place found;
    pli_line line;
    pl_result result = pli_frame_at(pc, epoch, &found, out);
    if (result == PL_OK && pli_lines_at(found.module, pc, false, &line, 1))
        out->file = line.file, out->line = line.line;
    return result;
}

/* pl_symbolize_inlined for such an address; max is at least 1. */
static int pli_symbolize_inlined(uintptr_t pc, uint32_t epoch, pl_frame *out, int max)
{
    pli_place found;
    pl_frame whole;
    pli_line line[PLI_INLINED_MAX];
    pl_result result = pli_frame_at(pc, epoch, &found, &whole);
    int most = max < PLI_INLINED_MAX ? max : PLI_INLINED_MAX;
    int count = result == PL_OK ? pli_lines_at(found.module, pc, false, line, most) : 0;
    out[0] = whole;
    for (int i = 0; i < count; i++) {
        out[i] = whole;
        out[i].file = line[i].file, out[i].line = line[i].line;
        if (line[i].function)
            out[i].function = pli_string_shown(line[i].function, false), out[i].offset = 0;
    }
    return count ? count : 1;
}

#endif /* PLI_LINUX */

/* Names come from tables that are read once and kept, so that a second call costs a search only.
   What has no name is shown as module+offset, which finds the place again in a debugger, and in
   `addr2line -e module`. Fields that are not known have values that print well. */
pl_result pl_symbolize(const void *pc, pl_frame *out)
{
    if (!out)
        return PL_INVALID;
#if PLI_LINUX
    pl_result prepared = pli_unwind_prepare();
    pl_result result = pli_symbolize((uintptr_t)pc, pli_modules_epoch_sig(), out);
    return result == PL_INVALID && prepared != PL_OK ? prepared : result;
#else
    *out = (pl_frame){pc, "[unknown]", NULL, 0, 0, ""};
    return PL_UNSUPPORTED;
#endif
}

/* One question for both, so that all frames of an address are of the same table. */
int pl_symbolize_inlined(const void *pc, pl_frame *out, int max)
{
    if (!out || max <= 0)
        return 0;
#if PLI_LINUX
    pli_unwind_prepare();
    return pli_symbolize_inlined((uintptr_t)pc, pli_modules_epoch_sig(), out, max);
#else
    *out = (pl_frame){pc, "[unknown]", NULL, 0, 0, ""};
    return 1;
#endif
}

/* ==== >>profile ==================================================================================
   Every profile leaves through here. A view says which numbers of a site table are meant; the
   writer turns it into one of two forms:

       debug 0   the protobuf of github.com/google/pprof (profile.proto), compressed by gzip
       debug 1   text as Go's net/http/pprof prints it, which pprof reads as well

   The protobuf is a list of fields, each a number (field << 3 | kind) and then a varint or a
   length with that many bytes. A profile has:

       sample_type(1)        type, unit                 sample(2)    location ids, values, labels
       mapping(3)            a segment of a module      location(4)  mapping, address, function
       function(5)           name, linker's name        string_table(6)   all text, "" first

   A function with id 3 whose name is string 7, for linkers and for people, is these eight bytes:

       2a 06         field 5 of the profile, 6 bytes long: a function
          08 03      its field 1, id: 3
          10 07      its field 2, name: string 7
          18 07      its field 3, the linker's name: string 7

   All that refers to something refers by number: ids count from 1 in the order in which things are
   met, so they are the places in their lists. Samples are met from the largest to the smallest; the
   lists grow beside them, in buffers of their own, and are put behind them at the end.

   pprof replaces names by what it finds in the files, unless the mapping says has_functions. For
   code without debug symbols it would find the exported function nearest below, often a wrong one:
   so has_functions is set where there was nothing better than exported names, and for the vdso,
   which is no file. Where every address of a mapping had lines, all that there is to know is in the
   profile, and has_filenames, has_line_numbers and has_inline_frames are set, too.

   Memory comes from the system, not from malloc, so that all of this can run in the handler of a
   deadly signal. */

#if PLI_LINUX

/* -- A map that grows -- */

/* From two words to a number that is not 0. */
typedef struct pli_map_entry { uint64_t a, b, id; } pli_map_entry;
/* Open addressing; capacity is a power of two, or 0. */
typedef struct pli_map { pli_map_entry *entry; size_t capacity, count; } pli_map;

/* The entry of a key, or the free one where it belongs. Less than half of all are in use, so that
   there is a free one, and near. */
static pli_map_entry *pli_map_probe(pli_map_entry *entry, size_t capacity, uint64_t a, uint64_t b)
{
    size_t at = (size_t)pli_mix_sig(a, b) & (capacity - 1);
    while (entry[at].id && (entry[at].a != a || entry[at].b != b))
        at = (at + 1) & (capacity - 1);
    return &entry[at];
}

/* Twice as large; as it was when there is no memory. */
static void pli_map_grow(pli_map *map)
{
    size_t capacity = map->capacity ? 2 * map->capacity : 1024;
    pli_map_entry *entry = pli_os_map(capacity * sizeof *entry);
    if (!entry)
        return;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entry[i].id)
            *pli_map_probe(entry, capacity, map->entry[i].a, map->entry[i].b) = map->entry[i];
    if (map->entry)
        munmap(map->entry, map->capacity * sizeof *entry);
    map->entry = entry, map->capacity = capacity;
}

/* Where the number of a key is kept. 0: the key is new, and the caller gives it one at once. NULL:
   no memory. */
static uint64_t *pli_map_at(pli_map *map, uint64_t a, uint64_t b)
{
    if (2 * map->count >= map->capacity)
        pli_map_grow(map);
    if (2 * map->count >= map->capacity)
        return NULL;
    pli_map_entry *entry = pli_map_probe(map->entry, map->capacity, a, b);
    if (entry->id == 0) {
        map->count++;
        entry->a = a, entry->b = b;
    }
    return &entry->id;
}

/* Not to be used any more. */
static void pli_map_free(pli_map *map)
{
    if (map->entry)
        munmap(map->entry, map->capacity * sizeof *map->entry);
}

/* -- Protobuf -- */

/* Seven bits a byte, the lowest first; the eighth says that more follow: 300 is ac 02. Negative
   numbers take ten bytes. */
static void pli_put_varint(pli_bytes *b, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        pli_bytes_byte(b, (unsigned)(value & 127) | 128);
    pli_bytes_byte(b, (unsigned)value);
}

/* A field that is a number. 0 is the default, which readers put in by themselves. */
static void pli_put_number(pli_bytes *b, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    pli_put_varint(b, field << 3);
    pli_put_varint(b, value);
}

/* Text, or a message: its length goes before it. */
static void pli_put_bytes(pli_bytes *b, unsigned field, const void *bytes, size_t size)
{
    pli_put_varint(b, field << 3 | 2);
    pli_put_varint(b, size);
    pli_bytes_add(b, bytes, size);
}

/* Puts a message that is complete, and empties its buffer. */
static void pli_put_message(pli_bytes *b, unsigned field, pli_bytes *message)
{
    pli_put_bytes(b, field, message->data, message->size);
    b->failed |= message->failed;
    message->size = 0;
}

/* -- The lists of a profile -- */

/* A segment that has samples, or is the program's. */
typedef struct pli_mapping {
    const pli_module *module;
    int text;
    bool unnamed; /* a function of it has no name */
    bool lined;   /* an address of it has lines */
    bool unlined; /* and one has none */
} pli_mapping;

/* A profile while it is written. */
typedef struct pli_writer {
    const pli_profile_view *view;
    bool emergency;
    pli_bytes out;                           /* samples, then everything */
    pli_bytes mappings;                      /* pli_mapping, since they are written last */
    pli_bytes locations, functions, strings; /* as they will stand in the file */
    pli_bytes message, part, line, numbers;  /* being put together: one inside the other */
    pli_map mapping_ids;                     /* by module and number of its segment */
    pli_map location_ids;                    /* by address and module */
    pli_map function_ids;                    /* by the ids of both names and of the file */
    pli_map string_ids;                      /* by two hashes */
    uint64_t location_count, function_count, string_count;
    const pli_module *last;                  /* that an address was in */
} pli_writer;

/* The number of a string in the table; "" and NULL are number 0. Two hashes of 64 bits tell strings
   apart: to compare them too would need to find them again among the bytes that were written. */
static uint64_t pli_writer_string(pli_writer *w, const char *text)
{
    uint64_t a = 0, b = 0xcbf29ce484222325u;
    if (!text || !*text)
        return 0;
    for (const char *s = text; *s; s++) {
        a = pli_mix_sig(a, (unsigned char)*s);
        b = (b ^ (unsigned char)*s) * 0x100000001b3u;
    }
    uint64_t *id = pli_map_at(&w->string_ids, a, b);
    if (!id)
        return w->out.failed = true, 0;
    if (*id == 0) {
        *id = ++w->string_count;
        pli_put_bytes(&w->strings, 6, text, strlen(text));
    }
    return *id;
}

/* Functions are told apart by both names and the file, not by address: what is called the same in
   two libraries is one line in a table, as pprof would make it anyway. */
static uint64_t pli_writer_function(pli_writer *w, const char *shown, const char *name,
                                    const char *file)
{
    uint64_t shown_id = pli_writer_string(w, shown), name_id = pli_writer_string(w, name);
    uint64_t file_id = pli_writer_string(w, file);
    uint64_t *id = pli_map_at(&w->function_ids, shown_id, name_id << 32 | file_id);
    if (!id)
        return w->out.failed = true, 0;
    if (*id == 0) {
        *id = ++w->function_count;
        pli_put_number(&w->part, 1, *id);
        pli_put_number(&w->part, 2, shown_id);
        pli_put_number(&w->part, 3, name_id);
        pli_put_number(&w->part, 4, file_id);
        pli_put_message(&w->functions, 5, &w->part);
    }
    return *id;
}

/* The number of a module's segment; each gets one when it is first met. */
static uint64_t pli_writer_mapping(pli_writer *w, const pli_module *m, int text)
{
    uint64_t *id = pli_map_at(&w->mapping_ids, (uintptr_t)m, (uint64_t)text);
    pli_mapping mapping = {m, text, false, false, false};
    if (!id)
        return w->out.failed = true, 0;
    if (*id == 0) {
        pli_bytes_add(&w->mappings, &mapping, sizeof mapping);
        *id = w->mappings.size / sizeof mapping;
    }
    return w->mappings.failed ? 0 : *id;
}

/* The mapping that an address is in, 0 for none; notes whether all its functions have names, and
   all its addresses lines. */
static uint64_t pli_writer_mapping_at(pli_writer *w, const pli_place *name, uintptr_t pc,
                                      bool lined)
{
    const pli_module *m = name->module;
    for (int i = 0; m && i < m->texts; i++) {
        if (pc < m->text[i].start || pc >= m->text[i].end)
            continue;
        uint64_t id = pli_writer_mapping(w, m, i);
        pli_mapping *mapping = (pli_mapping *)(void *)w->mappings.data + (id ? id - 1 : 0);
        if (id) {
            mapping->unnamed |= !name->name;
            mapping->lined |= lined, mapping->unlined |= !lined;
        }
        return id;
    }
    return 0;
}

/* What an address is called, marks included. Names that have to be made are made in `made`. */
static void pli_place_text(pli_place *name, uintptr_t pc, char *made, size_t size)
{
    if (pc == PLI_PC_LOST || pc == PLI_PC_TRUNCATED)
        name->name = name->shown = pc == PLI_PC_LOST ? "lostProfileEvent" : "[truncated]";
    else if (!name->module)
        name->name = name->shown = "[unknown]";
    if (name->shown)
        return;
    pli_unnamed_text(made, size, name->module, name->start);
    name->shown = made;
}

/* Marks, and nobody's addresses, have no module. */
static pli_place pli_place_of_mark(uintptr_t pc)
{
    return (pli_place){NULL, NULL, NULL, pc};
}

/* The lines of an address, the innermost function first; 0: none are known. The whole path of one
   file is enough for the reader to find it: without, the address counts as one without lines. */
static int pli_writer_lines(const pli_writer *w, const pli_place *name, uintptr_t pc,
                            pli_line *line)
{
    int count = name->module ? pli_lines_at(name->module, pc, w->emergency, line, PLI_INLINED_MAX)
                             : 0;
    for (int i = 0; i < count; i++)
        if (!line[i].file)
            return 0;
    return count;
}

/* The number of the function that stands at a place of an address's lines. The last one is the one
   that the table of symbols names. */
static uint64_t pli_writer_line(pli_writer *w, const pli_place *name, const pli_line *line)
{
    const char *linked = name->name ? name->name : name->shown;
    if (!line->function)
        return pli_writer_function(w, name->shown, linked, line->file);
    return pli_writer_function(w, pli_string_shown(line->function, w->emergency),
                               line->function->text, line->file);
}

/* A location: an address of a module, and the functions there, those that were inlined first. Marks
   have no address. */
static void pli_writer_add_location(pli_writer *w, uint64_t id, pli_place *name, uintptr_t pc)
{
    char made[PLI_UNNAMED_MAX];
    uint64_t function[PLI_INLINED_MAX];
    pli_line line[PLI_INLINED_MAX];
    int count = pli_writer_lines(w, name, pc, line);
    uint64_t mapping = pli_writer_mapping_at(w, name, pc, count > 0);
    pli_place_text(name, pc, made, sizeof made);
    if (count == 0)
        line[count++] = (pli_line){NULL, NULL, 0};
    for (int i = 0; i < count; i++) /* first, since functions are put together in `part`, too */
        function[i] = pli_writer_line(w, name, &line[i]);
    pli_put_number(&w->part, 1, id);
    pli_put_number(&w->part, 2, mapping);
    pli_put_number(&w->part, 3, pc < PLI_PC_MARKS ? 0 : pc);
    for (int i = 0; i < count; i++) {
        pli_put_number(&w->line, 1, function[i]);
        pli_put_number(&w->line, 2, (uint64_t)line[i].line);
        pli_put_message(&w->part, 4, &w->line);
    }
    pli_put_message(&w->locations, 4, &w->part);
}

/* The module of an address: mostly that of the address before. */
static const pli_module *pli_writer_module(pli_writer *w, uintptr_t pc, uint32_t epoch)
{
    const pli_module *m = w->last;
    if (pc < PLI_PC_MARKS)
        return NULL;
    if (!m || pc < m->start || pc >= m->end || epoch < m->first_epoch || epoch > m->last_epoch)
        w->last = m = pli_module_at(pc, epoch);
    return m;
}

/* The same address may be two modules', in two epochs. */
static uint64_t pli_writer_location(pli_writer *w, uintptr_t pc, uint32_t epoch)
{
    const pli_module *m = pli_writer_module(w, pc, epoch);
    uint64_t *id = pli_map_at(&w->location_ids, pc, (uintptr_t)m);
    if (!id)
        return w->out.failed = true, 0;
    if (*id == 0) {
        *id = ++w->location_count;
        pli_place name = m ? pli_place_at(pc, epoch, w->emergency) : pli_place_of_mark(pc);
        pli_writer_add_location(w, *id, &name, pc);
    }
    return *id;
}

/* -- Samples -- */

/* Sites change while they are read, when the profile is still being taken. */
static int64_t pli_view_value(const pli_profile_view *view, int type, const int64_t *values)
{
    const pli_sample_type *t = &view->type[type];
    return PLI_LOAD(values[t->index]) * t->factor;
}

/* Of text and number one is missing: NULL, or 0. */
static void pli_writer_label(pli_writer *w, const char *key, const char *text, uint64_t number)
{
    pli_put_number(&w->part, 1, pli_writer_string(w, key));
    pli_put_number(&w->part, 2, pli_writer_string(w, text));
    pli_put_number(&w->part, 3, number);
    pli_put_message(&w->message, 3, &w->part);
}

/* A label without a value would be no label to readers: an empty one is left out. */
static void pli_writer_labels(pli_writer *w, const pli_site *site)
{
    const pli_labels *labels = site->labels;
    for (int i = 0; labels && i < labels->count; i++)
        if (labels->pair[2 * i][0] && labels->pair[2 * i + 1][0])
            pli_writer_label(w, labels->pair[2 * i], labels->pair[2 * i + 1], 0);
    if (w->view->size_label && site->size)
        pli_writer_label(w, w->view->size_label, NULL, site->size);
}

/* One stack with its values and labels. */
static void pli_writer_sample(pli_writer *w, const pli_site *site)
{
    for (int i = 0; i < site->depth; i++)
        pli_put_varint(&w->numbers, pli_writer_location(w, site->pcs[i], site->epoch));
    pli_put_message(&w->message, 1, &w->numbers);
    for (int i = 0; i < w->view->types; i++)
        pli_put_varint(&w->numbers, (uint64_t)pli_view_value(w->view, i, site->value));
    pli_put_message(&w->message, 2, &w->numbers);
    pli_writer_labels(w, site);
    pli_put_message(&w->out, 2, &w->message);
}

/* The sites that have a value, largest first, as pairs whose value is the site. Then an array of as
   many for sorting. Largest first, so that the head of a text is what matters, and that readers who
   stop early have seen it. */
static pli_pair *pli_view_sort(const pli_profile_view *view, size_t *count, size_t *bytes)
{
    size_t capacity = view->sites->slots ? view->sites->slot_mask + 1 : 1, at = 0, n = 0;
    *bytes = 2 * capacity * sizeof(pli_pair);
    pli_pair *pairs = pli_os_reserve(*bytes);
    for (pli_site *site; pairs && (site = pli_sites_next(view->sites, &at)) != NULL;) {
        int64_t value = pli_view_value(view, 0, site->value);
        bool any = value != 0;
        for (int i = 1; i < view->types; i++)
            any |= pli_view_value(view, i, site->value) != 0;
        if (any)
            pairs[n++] = (pli_pair){(uint64_t)INT64_MAX - (uint64_t)value, (uintptr_t)site};
    }
    *count = n;
    if (pairs)
        pli_sort(pairs, pairs + capacity, n);
    return pairs;
}

/* What could not be kept has no stack: it is a function of its own. */
typedef union pli_lost_site {
    pli_site site;
    char room[sizeof(pli_site) + sizeof(uintptr_t)];
} pli_lost_site;

/* Fills in that sample; returns how much was lost, in units of the first value. */
static int64_t pli_view_lost(const pli_profile_view *view, pli_lost_site *lost)
{
    memset(lost, 0, sizeof *lost);
    lost->site.depth = 1;
    lost->site.value[0] = view->lost + PLI_LOAD(view->sites->lost);
    lost->site.pcs[0] = PLI_PC_LOST;
    return lost->site.value[0];
}

/* All samples, and with them all that they refer to. */
static void pli_writer_samples(pli_writer *w)
{
    size_t count, bytes;
    pli_lost_site lost;
    pli_pair *pairs = pli_view_sort(w->view, &count, &bytes);
    for (size_t i = 0; pairs && i < count; i++)
        pli_writer_sample(w, (const pli_site *)(uintptr_t)pairs[i].value);
    if (pli_view_lost(w->view, &lost))
        pli_writer_sample(w, &lost.site);
    w->out.failed |= !pairs;
    if (pairs)
        munmap(pairs, bytes);
}

/* -- The whole -- */

/* In hexadecimal, as every tool shows it. Room for 2 * PLI_BUILD_ID_MAX + 1. */
static void pli_build_id_text(const pli_module *m, char *out)
{
    out[0] = '\0';
    for (int i = 0; i < m->build_id_size; i++)
        snprintf(out + 2 * i, 3, "%02x", m->build_id[i]);
}

/* Whether pprof had better take the names as they are (see above). The program itself is left to it
   when a function had no name: a copy that was not stripped may be at hand. */
static bool pli_mapping_is_named(const pli_writer *w, const pli_mapping *mapping)
{
    const pli_module *m = mapping->module;
    const pli_symbols *symbols = pli_symbols_of(m, w->emergency);
    bool best = symbols && symbols->kind == PLI_NAMES_EXPORTED;
    return m->path[0] == '[' || (best && (!mapping->unnamed || !m->is_main));
}

/* As late as this, since only now it is known which have functions without names, or addresses
   without lines. Where all have lines, nobody need look for more. */
static void pli_writer_mappings(pli_writer *w)
{
    const pli_mapping *mapping = (const pli_mapping *)(const void *)w->mappings.data;
    char id[2 * PLI_BUILD_ID_MAX + 1];
    for (size_t i = 0; i < w->mappings.size / sizeof *mapping; i++) {
        const pli_module *m = mapping[i].module;
        const pli_text *text = &m->text[mapping[i].text];
        pli_build_id_text(m, id);
        pli_put_number(&w->message, 1, i + 1);
        pli_put_number(&w->message, 2, text->start);
        pli_put_number(&w->message, 3, text->end);
        pli_put_number(&w->message, 4, text->offset);
        pli_put_number(&w->message, 5, pli_writer_string(w, m->path));
        pli_put_number(&w->message, 6, pli_writer_string(w, id));
        bool lined = mapping[i].lined && !mapping[i].unlined;
        pli_put_number(&w->message, 7, lined || pli_mapping_is_named(w, &mapping[i]));
        for (unsigned field = 8; field <= 10; field++) /* files, lines, inlined calls */
            pli_put_number(&w->message, field, lined);
        pli_put_message(&w->out, 3, &w->message);
    }
}

/* Field `field`: a pair of strings. */
static void pli_writer_type(pli_writer *w, unsigned field, const char *type, const char *unit)
{
    pli_put_number(&w->message, 1, pli_writer_string(w, type));
    pli_put_number(&w->message, 2, pli_writer_string(w, unit));
    pli_put_message(&w->out, field, &w->message);
}

/* What is said once: time, period, notes. */
static void pli_writer_facts(pli_writer *w)
{
    const pli_profile_view *view = w->view;
    pli_put_number(&w->out, 7, pli_writer_string(w, view->drop_frames));
    pli_put_number(&w->out, 8, pli_writer_string(w, view->keep_frames));
    pli_put_number(&w->out, 9, (uint64_t)view->time_ns);
    pli_put_number(&w->out, 10, (uint64_t)view->duration_ns);
    if (view->period_type)
        pli_writer_type(w, 11, view->period_type, view->period_unit);
    pli_put_number(&w->out, 12, (uint64_t)view->period);
    for (int i = 0; i < view->notes; i++)
        pli_put_number(&w->out, 13, pli_writer_string(w, view->note[i]));
    pli_put_number(&w->out, 14, pli_writer_string(w, view->default_type));
}

/* The program stands first: readers take the first mapping for it, and `go tool pprof program FILE`
   puts that file in its place. "" is string 0. */
static void pli_writer_begin(pli_writer *w)
{
    const pli_module *program = PLI_LOAD_ACQUIRE(pli_modules.all);
    pli_put_bytes(&w->strings, 6, "", 0);
    for (int i = 0; program && i < program->texts; i++)
        pli_writer_mapping(w, program, i);
    for (int i = 0; i < w->view->types; i++)
        pli_writer_type(w, 1, w->view->type[i].type, w->view->type[i].unit);
}

/* Puts the lists behind the samples. Fields may come in any order. A buffer that failed makes the
   whole fail: no profile is better than one with holes. */
static void pli_writer_join(pli_writer *w)
{
    const pli_bytes *lists[] = {&w->locations, &w->functions, &w->strings};
    for (int i = 0; i < 3; i++) {
        pli_bytes_add(&w->out, lists[i]->data, lists[i]->size);
        w->out.failed |= lists[i]->failed;
    }
    w->out.failed |= w->mappings.failed || w->message.failed;
}

/* Gives all memory back. */
static void pli_writer_free(pli_writer *w)
{
    pli_bytes *bytes[] = {&w->out, &w->mappings, &w->locations, &w->functions, &w->strings,
                          &w->message, &w->part, &w->line, &w->numbers};
    pli_map *maps[] = {&w->mapping_ids, &w->location_ids, &w->function_ids, &w->string_ids};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        pli_bytes_free(bytes[i]);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        pli_map_free(maps[i]);
}

/* Appends a view as a compressed protobuf. */
static void pli_view_protobuf(const pli_profile_view *view, bool emergency, pli_bytes *out)
{
    pli_writer w;
    memset(&w, 0, sizeof w);
    w.view = view, w.emergency = emergency;
    pli_writer_begin(&w);
    pli_writer_samples(&w);
    pli_writer_mappings(&w);
    pli_writer_facts(&w);
    pli_writer_join(&w);
    if (!w.out.failed)
        pli_gzip(out, w.out.data, w.out.size);
    out->failed |= w.out.failed;
    pli_writer_free(&w);
}

/* -- Text --

       cpu profile: total 120
       100 @ 0x401137 0x40115a
       # labels: {"handler":"search"}
       #       0x401136        skip_blanks+0x0         /home/me/blank.h:7
       #       0x401136        parse+0x16              /home/me/parse.c:12
       #       0x401159        main+0x9                /home/me/search

   skip_blanks was inlined into parse; of main no line is known, and so its module stands there.

   The addresses behind the @ are one more than ours: those who read them take one off, since they
   expect return addresses. */

/* Appends what printf would print, up to 127 bytes. */
__attribute__((format(printf, 2, 3)))
static void pli_bytes_format(pli_bytes *b, const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pli_bytes_text(b, text);
}

/* A JSON string, as Go prints labels; what would break its line or is not UTF-8 is written as a
   number. */
static void pli_bytes_json(pli_bytes *b, const char *text)
{
    pli_bytes_byte(b, '"');
    for (int size; *text; text += size) {
        uint32_t rune;
        size = pli_utf8_decode(text, &rune);
        if (rune < 0x20 || rune == '"' || rune == '\\' || rune == 0x7f || rune == 0xfffd)
            pli_bytes_format(b, "\\u%04x", (unsigned)rune);
        else
            pli_bytes_add(b, text, (size_t)size);
    }
    pli_bytes_byte(b, '"');
}

/* A comment to pprof, as in Go's own text. */
static void pli_text_labels(pli_bytes *out, const pli_labels *labels)
{
    if (!labels || labels->count == 0)
        return;
    pli_bytes_text(out, "# labels: {");
    for (int i = 0; i < labels->count; i++) {
        pli_bytes_text(out, i ? "," : "");
        pli_bytes_json(out, labels->pair[2 * i]);
        pli_bytes_byte(out, ':');
        pli_bytes_json(out, labels->pair[2 * i + 1]);
    }
    pli_bytes_text(out, "}\n");
}

/* A line of text for a function at an address: "#", the address, the function and how far in it,
   the file and line, or else the module. */
static void pli_text_line(pli_bytes *out, uintptr_t pc, const char *function, uintptr_t offset,
                          const pli_line *line, const char *module)
{
    pli_bytes_format(out, "#\t0x%" PRIxPTR "\t", pc);
    pli_bytes_text(out, function);
    pli_bytes_format(out, "+0x%" PRIxPTR "\t", offset);
    pli_bytes_text(out, line->file ? line->file : module);
    if (line->file)
        pli_bytes_format(out, ":%d", line->line);
    pli_bytes_byte(out, '\n');
}

/* All functions at an address. */
static void pli_text_frame(pli_bytes *out, uintptr_t pc, uint32_t epoch, bool emergency)
{
    char made[PLI_UNNAMED_MAX];
    pli_line line[PLI_INLINED_MAX] = {{NULL, NULL, 0}};
    pli_place name = pc < PLI_PC_MARKS ? pli_place_of_mark(pc) : pli_place_at(pc, epoch, emergency);
    const char *module = name.module ? name.module->path : "";
    int count = name.module ? pli_lines_at(name.module, pc, emergency, line, PLI_INLINED_MAX) : 0;
    pli_place_text(&name, pc, made, sizeof made);
    for (int i = 0; i < count - 1; i++)
        pli_text_line(out, pc, pli_string_shown(line[i].function, emergency), 0, &line[i], module);
    pli_text_line(out, pc, name.shown, pc - name.start, &line[count ? count - 1 : 0], module);
}

/* A sample: its value, its addresses for programs, its functions for people. */
static void pli_text_site(pli_bytes *out, const pli_profile_view *view, const pli_site *site,
                          bool emergency)
{
    if (view->contention)
        pli_bytes_format(out, "%lld ", (long long)pli_view_value(view, 1, site->value));
    pli_bytes_format(out, "%lld @", (long long)pli_view_value(view, 0, site->value));
    for (int i = 0; i < site->depth; i++)
        pli_bytes_format(out, " 0x%" PRIxPTR, site->pcs[i] + 1);
    pli_bytes_byte(out, '\n');
    pli_text_labels(out, site->labels);
    for (int i = 0; i < site->depth; i++)
        pli_text_frame(out, site->pcs[i], site->epoch, emergency);
    pli_bytes_byte(out, '\n');
}

/* So that pprof finds the files: as /proc/self/maps has it. Go's text does without, since pprof
   knows one program only; here most functions may be in libraries. */
static void pli_text_modules(pli_bytes *out)
{
    pli_bytes_text(out, "--- Memory map: ---\n");
    for (const pli_module *m = PLI_LOAD_ACQUIRE(pli_modules.all); m;
         m = PLI_LOAD_ACQUIRE(m->next)) {
        for (int i = 0; i < m->texts && m->last_epoch == PLI_EPOCH_NOW; i++) {
            pli_bytes_format(out, "%" PRIxPTR "-%" PRIxPTR " r-xp %08" PRIx64 " 00:00 0 ",
                             m->text[i].start, m->text[i].end, m->text[i].offset);
            pli_bytes_text(out, m->path);
            pli_bytes_byte(out, '\n');
        }
    }
}

/* The first line or lines: pprof knows by them what follows. */
static void pli_text_title(pli_bytes *out, const pli_profile_view *view, int64_t total)
{
    if (!view->contention) {
        pli_bytes_text(out, view->name);
        pli_bytes_format(out, " profile: total %lld\n", (long long)total);
        return;
    }
    pli_bytes_format(out, "--- %s:\ncycles/second=1000000000\n", view->contention);
    if (view->sampling)
        pli_bytes_format(out, "sampling period=%lld\n", (long long)view->sampling);
}

/* Appends a view as text: its first sample type; of contentions both, the second one first. */
static void pli_view_text(const pli_profile_view *view, bool emergency, pli_bytes *out)
{
    size_t count, bytes;
    pli_lost_site lost;
    pli_pair *pairs = pli_view_sort(view, &count, &bytes);
    int64_t total = pli_view_lost(view, &lost);
    for (size_t i = 0; pairs && i < count; i++)
        total += pli_view_value(view, 0, ((pli_site *)(uintptr_t)pairs[i].value)->value);
    pli_text_title(out, view, total);
    for (int i = 0; i < view->notes; i++)
        pli_bytes_format(out, "# %.120s\n", view->note[i]);
    for (size_t i = 0; pairs && i < count; i++)
        pli_text_site(out, view, (const pli_site *)(uintptr_t)pairs[i].value, emergency);
    if (lost.site.value[0])
        pli_text_site(out, view, &lost.site, emergency);
    pli_text_modules(out);
    out->failed |= !pairs;
    if (pairs)
        munmap(pairs, bytes);
}

/* -- One after the other: debug=2 --

   The threads' rings still have their newest events, with their times: what was going on at the
   end, which sums do not tell. */

/* Copies the events of all rings that belong to this view; sorted by time they are in `order`, as
   pairs of ticks and index. Returns how many there are. */
static size_t pli_view_events(const pli_profile_view *view, pli_event *events, pli_pair *order,
                              size_t room)
{
    size_t count = 0;
    for (const pli_thread *t = PLI_LOAD_ACQUIRE(pli_threads.all); t; t = t->next) {
        pli_ring *ring = PLI_LOAD_ACQUIRE(t->ring);
        uint64_t head = ring ? PLI_LOAD_ACQUIRE(ring->head) : 0;
        uint64_t at = head > PLI_RING_EVENTS ? head - PLI_RING_EVENTS : 0;
        for (; at < head && count < room; at++) {
            pli_event *e = &events[count];
            if (!pli_ring_read(ring, at, e) || e->kind != PLI_EVENT_SAMPLE ||
                e->ticks < view->events_since)
                continue;
            order[count] = (pli_pair){e->ticks, count};
            count++;
        }
    }
    pli_sort(order, order + room, count);
    return count;
}

static size_t pli_view_event_room(void)
{
    size_t room = 0;
    for (const pli_thread *t = PLI_LOAD_ACQUIRE(pli_threads.all); t; t = t->next)
        room += PLI_LOAD_ACQUIRE(t->ring) ? PLI_RING_EVENTS : 0;
    return room;
}

/* Appends the events, a time and a stack each; the last one is at 0. */
static void pli_view_timeline(const pli_profile_view *view, bool emergency, pli_bytes *out)
{
    size_t room = pli_view_event_room(), bytes = room * (sizeof(pli_event) + 2 * sizeof(pli_pair));
    char *memory = view->events_since && room ? pli_os_map(bytes) : NULL;
    pli_event *events = (pli_event *)(void *)memory;
    pli_pair *order = (pli_pair *)(void *)(memory + room * sizeof *events);
    size_t count = memory ? pli_view_events(view, events, order, room) : 0;
    pli_bytes_text(out, view->name);
    pli_bytes_format(out, " profile: the newest %zu samples, at most %d a thread\n\n", count,
                     PLI_RING_EVENTS);
    for (size_t i = 0; i < count; i++) {
        const pli_event *e = &events[order[i].value];
        const pli_site *site = e->what;
        uint64_t ago = events[order[count - 1].value].ticks - e->ticks;
        pli_bytes_format(out, "-%.6f s, thread %d, weight %u\n", (double)pl_ticks_to_ns(ago) / 1e9,
                         (int)e->tid, (unsigned)e->weight);
        pli_text_labels(out, site->labels);
        for (int k = 0; k < site->depth; k++)
            pli_text_frame(out, site->pcs[k], site->epoch, emergency);
        pli_bytes_byte(out, '\n');
    }
    if (memory)
        munmap(memory, bytes);
}

/* -- Writing -- */

/* Signals may interrupt, and pipes take less than they are offered. */
static pl_result pli_write_all(int fd, const unsigned char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return PL_IO;
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return PL_OK;
}

/* Puts the whole file together in memory: while others may be waiting for the collector, nothing
   waits for a slow disk or pipe. Modules that were loaded since the last look are met here. */
static pl_result pli_profile_encode(const pli_profile_view *view, int debug, bool emergency,
                                    pli_bytes *out)
{
    if (debug < 0 || debug > 2 || (debug == 2 && !view->events_since))
        return PL_INVALID;
    if (!emergency)
        pli_modules_refresh();
    if (debug == 2)
        pli_view_timeline(view, emergency, out);
    else if (debug == 1)
        pli_view_text(view, emergency, out);
    else
        pli_view_protobuf(view, emergency, out);
    return out->failed ? PL_NOMEM : PL_OK;
}

/* Writes a view to a descriptor. In an emergency: without malloc, and with the names that can be
   had so. */
static pl_result pli_profile_write_fd(const pli_profile_view *view, int fd, bool emergency)
{
    pli_bytes bytes = {NULL, 0, 0, false};
    pl_result result = pli_profile_encode(view, 0, emergency, &bytes);
    if (result == PL_OK)
        result = pli_write_all(fd, bytes.data, bytes.size);
    pli_bytes_free(&bytes);
    return result;
}

/* NULL when no collector has added such a profile. */
static const pli_profile_source *pli_profile_find(const char *name)
{
    const pli_profile_source *source = PLI_LOAD_ACQUIRE(pli_profile_sources);
    while (source && name && strcmp(source->name, name) != 0)
        source = source->next;
    return name ? source : NULL;
}

/* A file beside `path` that takes its place when it is complete: whoever reads meanwhile sees the
   old one, and an end in between leaves it. Where something other than a plain file stands at path
   (a pipe, /dev/null, a link), that is written to, since to replace it would be no favour: out is
   then "". */
static int pli_profile_create(const char *path, char *out, size_t size)
{
    static uint32_t created; /* two threads may save to one place */
    struct stat status;
    out[0] = '\0';
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return pli_os_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    int used = snprintf(out, size, "%s.%d.%u.tmp", path, (int)getpid(), PLI_ADD(created, 1));
    if (used < 0 || (size_t)used >= size)
        return -1;
    unlink(out); /* of an earlier process with the same number */
    return pli_os_open(out, O_WRONLY | O_CREAT | O_EXCL);
}

/* What saving needs room for; not on the stack, which may be a small thread's. */
typedef struct pli_saving { pli_profile_view view; char beside[4096]; } pli_saving;

/* Writes the view to the file, whole or not at all. close may be the first to tell that a disk on
   the network is full. */
static pl_result pli_view_save(pli_saving *s, const char *path, bool emergency)
{
    int fd = pli_profile_create(path, s->beside, sizeof s->beside);
    if (fd < 0)
        return PL_IO;
    pl_result result = pli_profile_write_fd(&s->view, fd, emergency);
    if (close(fd) != 0 && result == PL_OK)
        result = PL_IO;
    if (s->beside[0] && result == PL_OK && rename(s->beside, path) != 0)
        result = PL_IO;
    if (s->beside[0] && result != PL_OK)
        unlink(s->beside);
    return result;
}

/* pl_profile_save, also for emergencies. */
static pl_result pli_profile_save(const char *name, const char *path, bool emergency)
{
    const pli_profile_source *source = pli_profile_find(name);
    pli_saving *s = source && path ? pli_os_map(sizeof *s) : NULL;
    if (!s)
        return source && path ? PL_NOMEM : PL_INVALID;
    s->view.name = source->name;
    pl_result result = source->fill(&s->view, emergency);
    if (result == PL_OK) {
        result = pli_view_save(s, path, emergency);
        if (source->done)
            source->done();
    }
    munmap(s, sizeof *s);
    return result;
}

#endif /* PLI_LINUX */

/* The whole profile is encoded in memory first: either all of it is written or nothing, and the
   collector's lock is not held while a slow reader at the other end of `out` takes its time. */
pl_result pl_profile_write(const char *name, FILE *out, int debug)
{
#if PLI_LINUX
    pli_bytes bytes = {NULL, 0, 0, false};
    const pli_profile_source *source = pli_profile_find(name);
    if (!source || !out)
        return PL_INVALID;
    pli_profile_view view;
    memset(&view, 0, sizeof view);
    view.name = source->name;
    pl_result result = source->fill(&view, false);
    if (result != PL_OK)
        return result;
    result = pli_profile_encode(&view, debug, false, &bytes);
    if (source->done)
        source->done();
    if (result == PL_OK && (fwrite(bytes.data, 1, bytes.size, out) != bytes.size || fflush(out)))
        result = PL_IO;
    pli_bytes_free(&bytes);
    return result;
#else
    (void)name, (void)out, (void)debug;
    return PL_UNSUPPORTED;
#endif
}

/* By way of a temporary file beside `path`, renamed at the end: who reads sees a whole profile. */
pl_result pl_profile_save(const char *name, const char *path)
{
#if PLI_LINUX
    return pli_profile_save(name, path, false);
#else
    (void)name, (void)path;
    return PL_UNSUPPORTED;
#endif
}

/* ==== >>stack ====================================================================================
   The calling thread's own stack, by the walker that profiles use too: pl_callers takes its own
   registers, and leaves out the first function that the walk finds, which is itself.

   Addresses inside calls, not behind them, since a call that never returns may be the last
   instruction of its function: what lies behind it is another one. */

/* What pl_stack_write prints at most: enough for all but runaway recursion, where the outermost
   functions matter less. */

#define PLI_STACK_WRITE_MAX 128
#define PLI_STACK_WRITE_INLINED 32 /* functions at one address; the middle ones are left out */

#if PLI_LINUX

/* Stacks up to this depth need no memory from the system. */
#define PLI_STACK_LOCAL 64

/* Writes the stack from regs to pcs, without the first `skip` addresses, and without the mark of a
   cut one, which is no address. */
static int pli_callers_from(const pli_regs *regs, int skip, void **pcs, int max)
{
    uintptr_t local[PLI_STACK_LOCAL], *all = local;
    size_t room = (size_t)skip + (size_t)max + 1; /* one for the mark */
    if (room > PLI_STACK_LOCAL)
        all = pli_os_map(room * sizeof *all);
    if (!all)
        return 0;
    int depth = pli_unwind_sig(regs, all, (int)room), count = 0;
    for (int i = skip; i < depth && count < max && all[i] >= PLI_PC_MARKS; i++)
        pcs[count++] = (void *)all[i];
    if (all != local)
        munmap(all, room * sizeof *all);
    return count;
}

#endif /* PLI_LINUX */

/* Not inlined, so that there is exactly one frame of perflab's to leave out. */
PL_NOINLINE int pl_callers(int skip, void **pcs, int max)
{
#if PLI_LINUX
    if (skip < 0 || !pcs || max <= 0 || skip > INT32_MAX - 2 - max)
        return 0;
    pli_unwind_prepare(); /* or a library that was just loaded would end the walk */
    pli_regs here = pli_regs_here();
    return pli_callers_from(&here, skip + 1, pcs, max);
#else
    (void)skip, (void)pcs, (void)max;
    return 0;
#endif
}

/* One line a frame: number, address, function+offset, file and line, module; innermost first, as
   debuggers do it. The offset is in bytes from the function's start. */
static void pli_frame_write(FILE *out, const char *indent, int number, const pl_frame *f)
{
    fprintf(out, "%s#%-3d 0x%012" PRIxPTR "  %s+0x%zx  ", indent, number, (uintptr_t)f->pc,
            f->function, f->offset);
    if (f->file)
        fprintf(out, "%s:%d  ", f->file, f->line);
    fprintf(out, "%s\n", f->module);
}

/* The same for all functions at an address: inlined ones have no offset. Returns the next number.
   */
static int pli_frames_write(FILE *out, const char *indent, int number, const pl_frame *f, int count)
{
    for (int i = 0; i < count - 1; i++)
        fprintf(out, "%s#%-3d 0x%012" PRIxPTR "  %s (inlined)  %s:%d  %s\n", indent, number + i,
                (uintptr_t)f[i].pc, f[i].function, f[i].file ? f[i].file : "?", f[i].line,
                f[i].module);
    pli_frame_write(out, indent, number + count - 1, &f[count - 1]);
    return number + count;
}

PL_NOINLINE pl_result pl_stack_write(FILE *out)
{
    void *pcs[PLI_STACK_WRITE_MAX];
    pl_frame frames[PLI_STACK_WRITE_INLINED];
    if (!out)
        return PL_INVALID;
    int depth = pl_callers(1, pcs, PLI_STACK_WRITE_MAX);
    for (int i = 0, number = 0; i < depth; i++) {
        int count = pl_symbolize_inlined(pcs[i], frames, PLI_STACK_WRITE_INLINED);
        number = pli_frames_write(out, "", number, frames, count);
    }
    if (depth == PLI_STACK_WRITE_MAX)
        fprintf(out, "... and more\n");
    if (depth == 0)
        return PL_UNSUPPORTED;
    return ferror(out) ? PL_IO : PL_OK;
}

/* ==== >>leak =====================================================================================
   What was made since a mark and is still there. A mark is a generation: a number that all that is
   made carries with it (see >>live), and that the next mark counts up.

       generation      0          1                2
                       │ before   │ mark A         │ mark B
       a block              #1 ────────────────────────────────►
       a descriptor                    #1 ──────►                    closed
       a thread                                        #2 ─────►     a leak for A and for B

   Blocks are in the table of live ones. Threads have their word in their block, from the hook of
   pthread_create; those that were started without it are met at each mark and at each check. For
   descriptors there is an array, by number, which the hooks of open and the like fill; it also says
   which file it was (device and inode), so that a number which was closed and opened again, where
   no hook looks, is not taken for the one before. What is open is what /proc/self/fd says.

   Lost or reachable: a search for pointers, as garbage collectors do it. A word in memory that
   looks like the address of a block, or of a byte inside it, keeps that block:

       the C library's own data: FILEs, buffers of stdout ──► block ──► block       no leak
       program's data, stacks, arguments of system calls  ──► block ──► block       reachable
       heap that is no block since the mark, free or not  ──► block ──► block       unclear
       nothing                                                block ──► block       lost

   Threads are not stopped, since that would disturb what they wait for. So a pointer that is only
   in a register of another thread is not seen. Of a stack only what is in use is searched: of a
   thread that waits, the kernel tells where that begins; of one that runs it does not, and then all
   of it is. */

#if PLI_LINUX

#define PLI_LEAK_FDS ((size_t)1 << 20)     /* descriptors above have no stack */
#define PLI_LEAK_NUMBERS ((size_t)64 << 10) /* threads, or descriptors, at one time */
#define PLI_LEAK_WAIT_MS 500 /* as long as goleak waits */
#define PLI_LEAK_SHOWN 50    /* stacks in a report */
#define PLI_LEAK_NO_SITE ((uint64_t)UINT32_MAX << 32)

/* Both atomic; zero: not known. */
typedef struct pli_leak_fd { uint64_t made, file; } pli_leak_fd;

static struct {
    pli_lock lock;
    uint32_t on;    /* atomic */
    uint32_t first; /* the first mark since the last stop */
    int pid;
    bool prepared, blocks; /* blocks: they are seen */
    pli_leak_fd *fd;
} pli_leak;

/* -- Recording -- */

/* pli_live_maker for what has no size; one without room for its stack still has a generation. */
static uint64_t pli_leak_maker(const void *ra)
{
    uint64_t made = pli_live_maker(0, ra);
    return made ? made : PLI_LEAK_NO_SITE | PLI_LOAD(pli_live.generation);
}

/* Where it was made, or NULL. */
static const pli_site *pli_leak_site(uint64_t made)
{
    return made >= PLI_LEAK_NO_SITE || made >> 32 == 0 ? NULL : pli_live_site(made);
}

/* Which file a descriptor stands for; 0: none. */
static uint64_t pli_leak_file(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 ? pli_mix_sig((uint64_t)s.st_dev, (uint64_t)s.st_ino) | 1 : 0;
}

/* A thread begins: since when is known, and pli_start_run may know who started it. */
static void pli_leak_birth(pli_thread *t)
{
    PLI_STORE(t->made, PLI_LEAK_NO_SITE | PLI_LOAD(pli_live.generation));
}

/* The child has the marks of its parent, and may set its own. */
static void pli_leak_fork_child(pli_thread *t)
{
    (void)t;
    pli_leak.lock.state = 0;
    PLI_STORE(pli_leak.pid, getpid());
}

/* Nothing to do at the death of a thread: what ends is no leak. */
static const pli_thread_hooks pli_leak_hooks = {
    pli_leak_birth, NULL, NULL, NULL, pli_leak_fork_child};

/* Has all that is there now carry the generation before the next mark. The kernel lists descriptors
   in order; what was known of the numbers between them is over. */
static pl_result pli_leak_meet(void)
{
    int *fds = pli_os_map(PLI_LEAK_NUMBERS * sizeof *fds);
    if (!fds)
        return PL_NOMEM;
    pli_threads_meet(); /* those without a block get one now, and with it their generation */
    int count = pli_os_numbers("/proc/self/fd", fds, (int)PLI_LEAK_NUMBERS);
    for (int i = 0, fd = 0; i < count && i < (int)PLI_LEAK_NUMBERS; i++, fd++) {
        uint64_t file = pli_leak_file(fds[i]);
        pli_leak_fd *f = &pli_leak.fd[(size_t)fds[i] % PLI_LEAK_FDS];
        for (; fd < fds[i] && fd < (int)PLI_LEAK_FDS; fd++)
            PLI_STORE(pli_leak.fd[fd].file, 0);
        if (PLI_LOAD(f->file) != file) { /* else it is known already, maybe with its stack */
            PLI_STORE(f->made, PLI_LEAK_NO_SITE | PLI_LOAD(pli_live.generation));
            PLI_STORE(f->file, file);
        }
    }
    munmap(fds, PLI_LEAK_NUMBERS * sizeof *fds);
    return PL_OK;
}

/* Begins to record. The first place in the arena is given up: a site there would be number 0. */
static pl_result pli_leak_watch(void)
{
    static const uintptr_t nowhere[1];
    static const pli_site_key nobody = {NULL, 0, 0, 0, nowhere};
    if (!pli_leak.fd && !(pli_leak.fd = pli_os_reserve(PLI_LEAK_FDS * sizeof *pli_leak.fd)))
        return PL_NOMEM;
    if (!pli_live.sites.slots && pli_sites_open(&pli_live.sites, PLI_LIVE_ARENA) != PL_OK)
        return PL_NOMEM;
    pli_site_find_sig(&pli_live.sites, &nobody);
    pl_result result = pli_unwind_prepare();
    if (result != PL_OK)
        return result;
    pli_threads_meet(); /* those before have no generation */
    if (!pli_leak.prepared)
        pli_collector_add(&pli_leak_hooks);
    pli_leak.prepared = true;
    pli_leak.pid = getpid();
    pli_leak.first = PLI_LOAD(pli_live.generation) + 1;
    /* From here on others record, each as soon as it sees its flag. What is made meanwhile may be
       missing; it has the generation before the mark in any case. */
    PLI_STORE(pli_threads.maker, pli_leak_maker);
    pli_threads_want(PLI_WANT_LEAK, true);
    pli_leak.blocks = pli_malloc_watch(true);
    PLI_STORE(pli_leak.on, 1);
    return PL_OK;
}

/* Counting up is the last step: what is made while it is under way is older than the mark, and so
   are threads and descriptors that no hook has seen. */
pl_result pl_leak_mark(pl_leak_baseline *mark)
{
    if (!mark)
        return PL_INVALID;
    pli_lock_take(&pli_leak.lock);
    pl_result result = PLI_LOAD(pli_leak.on) ? PL_OK : pli_leak_watch();
    if (result == PL_OK)
        result = pli_leak_meet();
    if (result == PL_OK)
        mark->generation = PLI_ADD(pli_live.generation, 1);
    pli_lock_give(&pli_leak.lock);
    return result;
}

/* Generations go on from where they are, so that whatever comes late is old. Sites stay: another
   thread may be writing one. */
void pl_leak_stop(void)
{
    pli_lock_take(&pli_leak.lock);
    if (PLI_LOAD(pli_leak.on)) {
        PLI_STORE(pli_leak.on, 0);
        PLI_STORE(pli_threads.maker, NULL);
        pli_threads_want(PLI_WANT_LEAK, false);
        pli_malloc_watch(false);
        pli_live_clear();
    }
    pli_lock_give(&pli_leak.lock);
}

/* -- A check -- */

/* What is known of a block. All begin as lost; kept is by the C library, and no leak. */
enum { PLI_LEAK_LOST, PLI_LEAK_UNCLEAR, PLI_LEAK_REACHABLE, PLI_LEAK_KEPT };

/* What was made at one stack, and is in one state. */
typedef struct pli_leak_group {
    const pli_site *site;
    uint64_t bytes, count;
    int state;
} pli_leak_group;

/* A thread, and where it is in a system call; 0: it runs. */
typedef struct pli_leak_thread { int tid; uintptr_t sp, pc; } pli_leak_thread;

/* One look at all there is. The arrays, in one piece of address space:

       block     | order     | scratch   | group  | thread | number | todo   | state
       sorted by   for sorting             made               descriptors      a byte a block
       address     groups                  of order                                          */
typedef struct pli_leaks {
    const pl_leak_desc *desc;
    uint32_t since;        /* the generation of the mark */
    size_t bytes, room;    /* of all arrays, which lie in one piece; blocks that fit */
    pli_pair *block;       /* address and word of each, sorted; the first array */
    pli_pair *order, *scratch; /* for what else has to be sorted */
    uint8_t *state;        /* PLI_LEAK_LOST and so on */
    uint32_t *todo;        /* blocks that were found, and not searched yet */
    size_t count, todos, groups; /* of block, todo, group */
    pli_leak_group *group; /* what is reported of blocks */
    pli_leak_thread *thread; /* all there are, the caller too */
    int *number;           /* descriptors that are leaks; before that, all numbers */
    int threads, running;  /* running: of these, without a known sp */
    /* of the search */
    uintptr_t low, high;   /* of all blocks together */
    uintptr_t sp;          /* of the caller of the check */
    int found, pagemap;    /* the state that found blocks get; descriptor */
    size_t cursor;         /* blocks that end before what is searched now */
    uintptr_t map_end;     /* of the line of maps before */
    bool map_guard;        /* that line was of a page that nobody may touch */
    uint64_t page[512];    /* what pagemap says of the pages from first_page on */
    uintptr_t first_page;
    /* the result */
    int64_t leaked_blocks, leaked_bytes, leaked_fds, leaked_threads, spared_blocks, spared_bytes;
} pli_leaks;

/* Room for all that is live now, and for some that comes meanwhile. */
static bool pli_leaks_open(pli_leaks *l)
{
    size_t position = 0, room = 1024;
    uintptr_t address;
    for (uint64_t made; pli_live_next(&position, &address, &made);)
        room += made != 0;
    l->room = room;
    l->bytes = room * (3 * sizeof *l->block + sizeof *l->group + sizeof *l->todo + 1) +
               PLI_LEAK_NUMBERS * (sizeof *l->thread + sizeof *l->number);
    if (!(l->block = pli_os_reserve(l->bytes)))
        return false;
    l->order = l->block + room;
    l->scratch = l->order + room;
    l->group = (pli_leak_group *)(void *)(l->scratch + room);
    l->thread = (pli_leak_thread *)(void *)(l->group + room);
    l->number = (int *)(void *)(l->thread + PLI_LEAK_NUMBERS);
    l->todo = (uint32_t *)(void *)(l->number + PLI_LEAK_NUMBERS);
    l->state = (uint8_t *)(l->todo + room);
    return true;
}

/* Usable bytes. */
static size_t pli_leak_size(const pli_leaks *l, size_t i)
{
    return pli_live_site(l->block[i].value)->size;
}

/* Copies the table. Blocks from before the mark are in it too: they may keep younger ones. */
static void pli_leaks_fill(pli_leaks *l)
{
    size_t position = 0;
    pli_pair b;
    for (uintptr_t address; l->count < l->room && pli_live_next(&position, &address, &b.value);) {
        b.key = address;
        if (b.value && (uint32_t)b.value >= pli_leak.first) /* not of before a stop */
            l->block[l->count++] = b;
    }
    pli_sort(l->block, l->scratch, l->count);
    if (l->count > 0) {
        l->low = l->block[0].key;
        l->high = l->block[l->count - 1].key + pli_leak_size(l, l->count - 1);
    }
}

/* -- The search for pointers -- */

/* How many blocks begin at or before an address. */
static size_t pli_leak_before(const pli_leaks *l, uintptr_t address)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->block[middle].key <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A word was seen that may be a pointer. glibc's own lists point to the last word of the block in
   front of the one they mean: such pointers keep nothing. */
static void pli_leak_see(pli_leaks *l, uintptr_t word)
{
    if (word < l->low || word >= l->high)
        return;
    size_t i = pli_leak_before(l, word) - 1; /* the last that begins at or before it */
    if (l->state[i] != PLI_LEAK_LOST)
        return;
    size_t size = pli_leak_size(l, i);
    if (word - l->block[i].key < (size > 8 ? size - 8 : 1)) {
        l->state[i] = (uint8_t)l->found;
        l->todo[l->todos++] = (uint32_t)i;
    }
}

/* Whether a page was ever written: reading others would make the kernel find memory for them. */
static bool pli_leak_page_used(pli_leaks *l, uintptr_t address)
{
    const size_t pages = sizeof l->page / sizeof *l->page;
    uintptr_t page = address / (uintptr_t)sysconf(_SC_PAGESIZE);
    if (page - l->first_page >= pages) {
        l->first_page = page;
        memset(l->page, 0xff, sizeof l->page); /* what the kernel does not tell is read */
        ssize_t n = pread(l->pagemap, l->page, sizeof l->page, (off_t)(page * sizeof *l->page));
        (void)n;
    }
    return l->page[page - l->first_page] >> 62 != 0; /* in memory, or swapped out */
}

/* Whether an address lies in a block; for addresses that only grow, from a cursor of 0 on. */
static bool pli_leak_in_block(pli_leaks *l, uintptr_t address)
{
    while (l->cursor < l->count &&
           l->block[l->cursor].key + pli_leak_size(l, l->cursor) <= address)
        l->cursor++;
    return l->cursor < l->count && l->block[l->cursor].key <= address;
}

/* Looks at all words of a range that is still there; with gaps, only at those in no block. */
static void pli_leak_search(pli_leaks *l, uintptr_t from, uintptr_t to, bool gaps)
{
    uintptr_t words[PLI_PAGE / sizeof(uintptr_t)], end;
    bool large = to - from > 16 * PLI_PAGE; /* of small ranges all pages are in use */
    for (uintptr_t at = (from + 7) & ~(uintptr_t)7; at < to; at = end) {
        end = (at | (PLI_PAGE - 1)) + 1;
        size_t bytes = ((end < to ? end : to) - at) & ~(size_t)7;
        /* The check's own arrays have the addresses of all blocks. What is copied may be gone: by
           page, since memory comes and goes by pages. */
        bool own = at - (uintptr_t)l->block < l->bytes || at - (uintptr_t)l < sizeof *l;
        if (own || (large && !pli_leak_page_used(l, at)) || !pli_os_copy(words, at, bytes))
            continue;
        for (size_t i = 0; i < bytes / sizeof *words; i++)
            if (!gaps || !pli_leak_in_block(l, at + i * sizeof *words))
                pli_leak_see(l, words[i]);
    }
}

/* Blocks that were found are searched in turn, until there are no new ones. */
static void pli_leak_trace(pli_leaks *l)
{
    while (l->todos > 0) {
        size_t i = l->todo[--l->todos];
        pli_leak_search(l, l->block[i].key, l->block[i].key + pli_leak_size(l, i), false);
    }
}

/* Notes where each thread is. /proc/self/task/TID/syscall says of one that waits:

       202 0x55f0 0x80 0 0 0 0 0x7ffc10 0x7f3c36      number, six arguments, sp, pc
       -1 0x7ffc10 0x7f3c36                           in no system call: sp, pc

   and "running" of one that runs. The arguments may be pointers that are nowhere else. */
static void pli_leak_meet_threads(pli_leaks *l)
{
    int self = pli_os_tid_sig();
    int count = pli_os_numbers("/proc/self/task", l->number, (int)PLI_LEAK_NUMBERS);
    l->threads = l->running = 0;
    for (int i = 0; i < count && i < (int)PLI_LEAK_NUMBERS; i++) {
        char path[64], text[256], *at = text, *end;
        pli_leak_thread *t = &l->thread[l->threads++];
        *t = (pli_leak_thread){l->number[i], l->number[i] == self ? l->sp : 0, 0};
        snprintf(path, sizeof path, "/proc/self/task/%d/syscall", t->tid);
        if (t->sp || pli_os_read_file(path, text, sizeof text) != PL_OK)
            text[0] = '\0';
        bool ends = strtoll(text, &at, 10) == SYS_exit && at > text;
        for (uintptr_t word; (word = strtoull(at, &end, 16)), end > at; at = end) {
            t->sp = t->pc, t->pc = word; /* the last two that were read */
            pli_leak_see(l, word);
        }
        l->running += t->sp == 0;
        l->threads -= ends; /* its stack is not in use any more */
    }
}

/* From where on a stack is in use: the lowest sp in it, with what leaf functions use below. The
   stack of a thread that has ended, which libc keeps for the next one, is not. */
static uintptr_t pli_leak_stack(const pli_leaks *l, uintptr_t start, uintptr_t end)
{
    uintptr_t from = l->running ? start : end;
    for (int i = 0; i < l->threads; i++)
        if (l->thread[i].sp >= start + 128 && l->thread[i].sp - 128 < from)
            from = l->thread[i].sp - 128;
    return from;
}

/* Whether heap lies in a mapping: blocks that are not a mapping of their own, as large ones are (16
   bytes behind its begin). Arenas of glibc begin at multiples of 64 MiB. */
static bool pli_leak_is_heap(const pli_leaks *l, uintptr_t start, uintptr_t end, const char *name)
{
    for (size_t i = pli_leak_before(l, start); i < l->count && l->block[i].key < end; i++)
        if (l->block[i].key % PLI_PAGE != 16)
            return true;
    return strcmp(name, "[heap]") == 0 || start % ((uintptr_t)64 << 20) == 0;
}

/* Where the data of the C library ends, if it begins at start; else start. */
static uintptr_t pli_leak_libc_end(uintptr_t start, uintptr_t end)
{
    const pli_module *m = pli_module_at(start, pli_modules_epoch_sig());
    const char *name = m ? strrchr(m->path, '/') : NULL;
    if (!name || (strncmp(name, "/libc.", 6) && strncmp(name, "/libc-", 6) &&
                  strncmp(name, "/ld-", 4)))
        return start;
    return m->end < end ? m->end : end;
}

/* A line of /proc/self/maps: searches what belongs to this pass. A stack has a page in front that
   nobody may touch. */
static bool pli_leak_visit(char *line, void *arg)
{
    pli_leaks *l = arg;
    uintptr_t start, end;
    char mode[8];
    int name = 0;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s %*s %*s %*s %n", &start, &end, mode,
               &name) != 3)
        return false;
    bool guarded = l->map_guard && l->map_end == start;
    l->map_end = end, l->map_guard = strcmp(mode, "---p") == 0;
    if (strncmp(mode, "rw", 2) != 0 || mode[3] != 'p')
        return false;
    /* Free memory in a heap has old pointers in it: hence a pass of its own, the last. */
    if (pli_leak_is_heap(l, start, end, line + name)) {
        if (l->found == PLI_LEAK_UNCLEAR)
            pli_leak_search(l, start, end, true);
        return false;
    }
    /* The kernel joins neighbours: behind the C library's data there may be somebody else's. */
    uintptr_t middle = pli_leak_libc_end(start, end);
    if (l->found == PLI_LEAK_KEPT)
        pli_leak_search(l, start, middle, false);
    if (guarded || strcmp(line + name, "[stack]") == 0)
        middle = pli_leak_stack(l, start, end);
    if (l->found == PLI_LEAK_REACHABLE)
        pli_leak_search(l, middle, end, false);
    return false;
}

/* The three passes: whoever finds a block first has it. */
static void pli_leak_search_all(pli_leaks *l)
{
    /* The C library first: a FILE that is also in a variable of the program is reported once, by
       its descriptor. Heap last: whatever is there says least, since free memory keeps the pointers
       that were in it. */
    static const int passes[] = {PLI_LEAK_KEPT, PLI_LEAK_REACHABLE, PLI_LEAK_UNCLEAR};
    l->first_page = UINTPTR_MAX;
    l->pagemap = pli_os_open("/proc/self/pagemap", O_RDONLY); /* -1: then every page is read */
    for (int i = 0; i < 3; i++) {
        l->found = passes[i];
        l->cursor = 0;
        l->map_guard = false;
        /* One that runs may be about to end: then the next look does not find it. */
        for (int tries = 0; l->found == PLI_LEAK_REACHABLE && tries < 100; tries++) {
            pli_leak_meet_threads(l);
            if (!l->running)
                break;
            pli_os_nap();
        }
        if (l->count > 0)
            pli_os_each_map(pli_leak_visit, l);
        pli_leak_trace(l);
    }
    close(l->pagemap);
}

/* -- What counts -- */

/* Whether a name is of a pattern, in which '*' stands for any letters. */
static bool pli_leak_matches(const char *pattern, const char *name)
{
    for (; *pattern != '*'; pattern++, name++) /* at the end both are NUL, or they differ */
        if (*pattern != *name || !*name)
            return *pattern == *name;
    do
        if (pli_leak_matches(pattern + 1, name))
            return true;
    while (*name++);
    return false;
}

/* Whether a function, or the library that it is in, is to be ignored. glibc keeps the memory for
   the thread-local variables of a thread that has ended with its stack, for the next one. */
static bool pli_leak_ignores(const pli_leaks *l, uintptr_t pc, uint32_t epoch)
{
    static const char *const always[] = {"_dl_allocate_tls", NULL};
    pli_place place = pli_place_at(pc, epoch, false);
    const char *path = place.module ? place.module->path : "", *slash = strrchr(path, '/');
    for (int own = 0; own < 2; own++) {
        const char *const *list = own ? always : l->desc->ignore;
        for (; list && *list; list++)
            if (pli_leak_matches(*list, slash ? slash + 1 : path) ||
                (place.shown && pli_leak_matches(*list, place.shown)))
                return true;
    }
    return false;
}

/* Whether any frame of a stack is to be ignored; what has no stack is not. */
static bool pli_leak_ignored(const pli_leaks *l, const pli_site *site)
{
    for (int i = 0; site && i < site->depth; i++)
        if (site->pcs[i] >= PLI_PC_MARKS && pli_leak_ignores(l, site->pcs[i], site->epoch))
            return true;
    return false;
}

/* Puts blocks of the same stack and state next to each other: order[].value is the block. */
static size_t pli_leak_sort(pli_leaks *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++) {
        const pli_site *site = pli_live_site(l->block[i].value);
        uint64_t hash = site->epoch; /* of the stack alone: sizes of one place belong together */
        for (int k = 0; k < site->depth; k++)
            hash = pli_mix_sig(hash, site->pcs[k]);
        if ((uint32_t)l->block[i].value >= l->since && l->state[i] != PLI_LEAK_KEPT)
            l->order[n++] = (pli_pair){(hash & ~(uint64_t)3) | l->state[i], i};
    }
    pli_sort(l->order, l->scratch, n);
    return n;
}

/* Adds a group up: its blocks are order[from] and those behind with the same key. Returns where the
   next group begins. */
static size_t pli_leak_group_at(pli_leaks *l, size_t from, size_t n)
{
    size_t first = l->order[from].value, to = from;
    pli_leak_group g = {pli_live_site(l->block[first].value), 0, 0, l->state[first]};
    for (; to < n && l->order[to].key == l->order[from].key; to++)
        g.bytes += pli_leak_size(l, l->order[to].value);
    g.count = to - from;
    if (pli_leak_ignored(l, g.site))
        return to;
    if (g.state == PLI_LEAK_REACHABLE && l->desc->lost_only) {
        l->spared_blocks += (int64_t)g.count, l->spared_bytes += (int64_t)g.bytes;
        return to;
    }
    l->leaked_blocks += (int64_t)g.count, l->leaked_bytes += (int64_t)g.bytes;
    l->group[l->groups++] = g;
    return to;
}

/* The word of a descriptor that is open now. One that nobody knows was opened since the last mark,
   where no hook looks. */
static uint64_t pli_leak_fd_made(int fd)
{
    pli_leak_fd *f = &pli_leak.fd[(size_t)fd % PLI_LEAK_FDS];
    return (size_t)fd < PLI_LEAK_FDS && PLI_LOAD(f->file) == pli_leak_file(fd) ? PLI_LOAD(f->made) :
           PLI_LEAK_NO_SITE | PLI_LOAD(pli_live.generation);
}

/* Keeps in number[] the descriptors that are leaks. */
static void pli_leak_count_fds(pli_leaks *l, FILE *report)
{
    int count = pli_os_numbers("/proc/self/fd", l->number, (int)PLI_LEAK_NUMBERS);
    int own = report ? fileno(report) : -1; /* it may have been opened for this */
    for (int i = 0; i < count && i < (int)PLI_LEAK_NUMBERS; i++) {
        int fd = l->number[i];
        uint64_t made = pli_leak_fd_made(fd);
        if (fd > 2 && fd != own && (uint32_t)made >= l->since &&
            !pli_leak_ignored(l, pli_leak_site(made)))
            l->number[l->leaked_fds++] = fd;
    }
}

/* Whether a thread is a leak. It may end at any time: then its block says so, or is another's. */
static bool pli_leak_is_thread(const pli_leaks *l, pli_thread *t)
{
    uint64_t made = PLI_LOAD(t->made);
    uintptr_t start = PLI_LOAD(t->start);
    return PLI_LOAD(t->state) == PLI_THREAD_USED && t != pli_self && (uint32_t)made >= l->since &&
           !pli_leak_ignored(l, pli_leak_site(made)) &&
           !(start && pli_leak_ignores(l, start, pli_modules_epoch_sig()));
}

/* Takes stock once. False when there is no memory. */
static bool pli_leak_take(pli_leaks *l, FILE *report)
{
    if (!pli_leaks_open(l))
        return false;
    pli_threads_meet();    /* also those that were started past the hook, or have ended */
    pli_modules_refresh(); /* names, and where the C library's data is */
    pli_leaks_fill(l);
    pli_leak_search_all(l);
    size_t n = pli_leak_sort(l);
    for (size_t at = 0; at < n;)
        at = pli_leak_group_at(l, at, n);
    pli_leak_count_fds(l, report);
    for (pli_thread *t = PLI_LOAD_ACQUIRE(pli_threads.all); t; t = t->next)
        l->leaked_threads += pli_leak_is_thread(l, t);
    return true;
}

/* -- The report -- */

#define PLI_S(count) ((count) == 1 ? "" : "s")

/* A stack. The functions of operator new are left out at its begin. */
static void pli_leak_write_stack(FILE *out, const uintptr_t *pcs, int depth, uint32_t epoch)
{
    int number = 0;
    for (int i = 0; i < depth; i++) {
        pl_frame f[PLI_STACK_WRITE_INLINED];
        if (pcs[i] < PLI_PC_MARKS) {
            fprintf(out, "      ... and more\n");
            break;
        }
        int count = pli_symbolize_inlined(pcs[i], epoch, f, PLI_STACK_WRITE_INLINED);
        if (number > 0 || strncmp(f[count - 1].function, "operator new", 12) != 0)
            number = pli_frames_write(out, "      ", number, f, count);
    }
}

/* Ends a line that says what was made, and tells where. */
static void pli_leak_write_site(FILE *out, const char *verb, const pli_site *site)
{
    fprintf(out, site ? "%s at\n" : "%s where perflab does not look\n", verb);
    if (site)
        pli_leak_write_stack(out, site->pcs, site->depth, site->epoch);
}

/* The largest groups first: they matter most, and the rest may be cut. */
static void pli_leak_write_blocks(const pli_leaks *l, FILE *out)
{
    static const char *const states[] = {"lost", "unclear", "reachable", ""};
    for (size_t i = 0; i < l->groups; i++)
        l->order[i] = (pli_pair){~l->group[i].bytes, i};
    pli_sort(l->order, l->scratch, l->groups);
    for (size_t i = 0; i < l->groups && i < PLI_LEAK_SHOWN; i++) {
        const pli_leak_group *g = &l->group[l->order[i].value];
        fprintf(out, "  %s: %" PRIu64 " bytes in %" PRIu64 " block%s", states[g->state], g->bytes,
                g->count, PLI_S(g->count));
        pli_leak_write_site(out, ", allocated", g->site);
    }
    if (l->groups > PLI_LEAK_SHOWN)
        fprintf(out, "  and %zu more stacks\n", l->groups - PLI_LEAK_SHOWN);
}

/* Descriptors that were opened at one place are told of once, by the first of them. What it stands
   for is what the kernel calls it: a path, socket:[123], pipe:[123]. */
static void pli_leak_write_fds(const pli_leaks *l, FILE *out)
{
    for (int i = 0, shown = 0; i < l->leaked_fds && shown < PLI_LEAK_SHOWN; i++) {
        const pli_site *site = pli_leak_site(pli_leak_fd_made(l->number[i]));
        char path[64], file[256];
        int before = 0, same = 0;
        for (int k = 0; site && k < l->leaked_fds; k++)
            if (pli_leak_site(pli_leak_fd_made(l->number[k])) == site)
                before += k < i, same++;
        if (before)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", l->number[i]);
        ssize_t size = readlink(path, file, sizeof file - 1);
        file[size > 0 ? size : 0] = '\0';
        fprintf(out, "  descriptor %d (%s)", l->number[i], file);
        if (same > 1)
            fprintf(out, " and %d more", same - 1);
        pli_leak_write_site(out, ", opened", site);
        shown++;
    }
}

/* Where a thread waits, seen from outside: from its sp and pc. */
static void pli_leak_write_wait(const pli_leaks *l, int tid, FILE *out)
{
    uintptr_t pcs[PLI_LIVE_DEPTH];
    for (int i = 0; i < l->threads; i++) {
        if (l->thread[i].tid != tid || !l->thread[i].pc || PLI_SANITIZER)
            continue; /* to sanitizers it is a fault to look at another thread's stack */
        pli_regs regs = {l->thread[i].pc, l->thread[i].sp, 0, 0, 0};
        fprintf(out, "    and waits at\n");
        pli_leak_write_stack(out, pcs, pli_unwind_sig(&regs, pcs, PLI_LIVE_DEPTH),
                             pli_modules_epoch_sig());
    }
}

/* Who runs, who started it, and what it waits for: the last is often the answer. */
static void pli_leak_write_threads(const pli_leaks *l, FILE *out)
{
    for (pli_thread *t = PLI_LOAD_ACQUIRE(pli_threads.all); t; t = t->next) {
        char path[64], name[32];
        pl_frame f = {NULL, "an unknown function", NULL, 0, 0, ""};
        if (!pli_leak_is_thread(l, t))
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/comm", t->tid);
        pli_os_read_file(path, name, sizeof name);
        if (t->start)
            pli_symbolize(t->start, pli_modules_epoch_sig(), &f);
        fprintf(out, "  thread %d (%s) runs %s", t->tid, name, f.function);
        pli_leak_write_site(out, ", started", pli_leak_site(PLI_LOAD(t->made)));
        pli_leak_write_wait(l, t->tid, out);
    }
}

/* What a reader has to know to trust it. */
static void pli_leak_write_notes(const pli_leaks *l, FILE *out)
{
    if (l->spared_blocks)
        fprintf(out, "  # not counted, since still reachable: %" PRId64 " bytes in %" PRId64
                " blocks\n", l->spared_bytes, l->spared_blocks);
    if (l->groups)
        fprintf(out, "  # lost: no pointer to it was found; unclear: only older or freed memory "
                "has one\n");
    if (PLI_LOAD(pli_live.lost))
        fprintf(out, "  # missed, since the table was full: %" PRId64 " blocks\n",
                PLI_LOAD(pli_live.lost));
    if (!pli_leak.blocks)
        fprintf(out, "  # watched blocks: %s\n", pli_memstats_remark(&(pl_memstats){0}));
}

/* The first line stands alone in a log; the others are indented. */
static void pli_leak_write(const pli_leaks *l, FILE *out)
{
    int64_t leaks = l->leaked_blocks + l->leaked_fds + l->leaked_threads;
    fprintf(out, "perflab: %" PRId64 " leak%s: %" PRId64 " bytes in %" PRId64 " block%s, %" PRId64
            " descriptor%s, %" PRId64 " thread%s\n", leaks, PLI_S(leaks), l->leaked_bytes,
            l->leaked_blocks, PLI_S(l->leaked_blocks), l->leaked_fds, PLI_S(l->leaked_fds),
            l->leaked_threads, PLI_S(l->leaked_threads));
    pli_leak_write_blocks(l, out);
    pli_leak_write_fds(l, out);
    pli_leak_write_threads(l, out);
    pli_leak_write_notes(l, out);
}

/* Looks until there are no leaks or the time is up, a little later each time. Alone, nothing will
   change. */
static int64_t pli_leak_find(pli_leaks *l, FILE *report)
{
    int left = l->desc->wait_ms ? l->desc->wait_ms : PLI_LEAK_WAIT_MS;
    const pli_leaks blank = *l;
    for (int pause = 1;; pause *= 2) {
        if (!pli_leak_take(l, report))
            return -PL_NOMEM;
        int64_t leaks = l->leaked_blocks + l->leaked_fds + l->leaked_threads;
        if (leaks == 0 || left <= 0 || l->threads < 2) /* threads: the caller is one */
            return leaks;
        pause = pause < left ? pause : left;
        left -= pause;
        nanosleep(&(struct timespec){pause / 1000, pause % 1000 * 1000000L}, NULL);
        munmap(l->block, l->bytes); /* the next look may need more */
        *l = blank;
    }
}

/* Registers that the caller has in use are saved below the frame of this function, and so are seen
   by the search. */
int64_t pl_leak_check(const pl_leak_baseline *mark, const pl_leak_desc *desc, FILE *report)
{
    static const pl_leak_desc defaults;
    __builtin_unwind_init();
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0) - 128;
    int64_t leaks = -PL_INVALID;
    pli_lock_take(&pli_leak.lock);
    pli_leaks *l = pli_os_map(sizeof *l); /* too large for the stack of a small thread */
    if (mark && l && PLI_LOAD(pli_leak.on) && mark->generation >= pli_leak.first &&
        mark->generation <= PLI_LOAD(pli_live.generation)) {
        l->desc = desc ? desc : &defaults, l->since = mark->generation, l->sp = sp;
        leaks = pli_leak_find(l, report);
        if (report && leaks >= 0)
            pli_leak_write(l, report);
        if (report && (fflush(report) != 0 || ferror(report)))
            leaks = -PL_IO;
        if (l->block)
            munmap(l->block, l->bytes);
    }
    if (l)
        munmap(l, sizeof *l);
    pli_lock_give(&pli_leak.lock);
    return l ? leaks : -PL_NOMEM;
}

#if PLI_INTERPOSE

/* -- Interposed: what makes descriptors. While nobody watches they only hand on -- */

/* A call that returns to ra has returned a descriptor, or two; or has failed. A vfork's child has
   descriptors of its own, and its parent's memory. */
static PLI_COLD void pli_leak_note(int result, const int *pair, const void *ra)
{
    int saved_errno = errno;
    for (int i = 0; i < 1 + (pair != NULL); i++) {
        int fd = pair && result == 0 ? pair[i] : result;
        if ((size_t)fd >= PLI_LEAK_FDS || PLI_LOAD(pli_leak.pid) != getpid())
            continue;
        PLI_STORE(pli_leak.fd[fd].made, pli_leak_maker(ra));
        PLI_STORE(pli_leak.fd[fd].file, pli_leak_file(fd));
    }
    errno = saved_errno;
}

/* Each row: name, parameters, arguments, NULL or where it puts two descriptors, and the system call
   that does the same in a static program, where there is no next definition. What is variable in
   the headers is passed like what is fixed. */
#define PLI_FD_CALLS(X)                                                                            \
    X(open, (const char *p, int f, mode_t m), (p, f, m), NULL, SYS_openat, AT_FDCWD, p, f, m)      \
    X(open64, (const char *p, int f, mode_t m), (p, f, m), NULL, SYS_openat, AT_FDCWD, p, f, m)    \
    X(__open_2, (const char *p, int f), (p, f), NULL, SYS_openat, AT_FDCWD, p, f)                  \
    X(__open64_2, (const char *p, int f), (p, f), NULL, SYS_openat, AT_FDCWD, p, f)                \
    X(openat, (int d, const char *p, int f, mode_t m), (d, p, f, m), NULL, SYS_openat, d, p, f, m) \
    X(openat64, (int d, const char *p, int f, mode_t m), (d, p, f, m), NULL,                       \
      SYS_openat, d, p, f, m)                                                                      \
    X(creat, (const char *p, mode_t m), (p, m), NULL,                                              \
      SYS_openat, AT_FDCWD, p, O_WRONLY | O_CREAT | O_TRUNC, m)                                    \
    X(dup, (int fd), (fd), NULL, SYS_dup, fd)                                                      \
    X(dup2, (int from, int to), (from, to), NULL, SYS_dup3, from, to, 0)                           \
    X(dup3, (int from, int to, int f), (from, to, f), NULL, SYS_dup3, from, to, f)                 \
    X(socket, (int d, int type, int p), (d, type, p), NULL, SYS_socket, d, type, p)                \
    X(accept, (int fd, void *a, void *n), (fd, a, n), NULL, SYS_accept4, fd, a, n, 0)              \
    X(accept4, (int fd, void *a, void *n, int f), (fd, a, n, f), NULL, SYS_accept4, fd, a, n, f)   \
    X(eventfd, (unsigned n, int f), (n, f), NULL, SYS_eventfd2, n, f)                              \
    X(epoll_create, (int n), (n), NULL, SYS_epoll_create1, 0)                                      \
    X(epoll_create1, (int f), (f), NULL, SYS_epoll_create1, f)                                     \
    X(timerfd_create, (int clock, int f), (clock, f), NULL, SYS_timerfd_create, clock, f)          \
    X(memfd_create, (const char *name, unsigned f), (name, f), NULL, SYS_memfd_create, name, f)    \
    X(inotify_init1, (int f), (f), NULL, SYS_inotify_init1, f)                                     \
    X(pipe, (int *fds), (fds), fds, SYS_pipe2, fds, 0)                                             \
    X(pipe2, (int *fds, int f), (fds, f), fds, SYS_pipe2, fds, f)                                  \
    X(socketpair, (int d, int type, int p, int *fds), (d, type, p, fds), fds,                      \
      SYS_socketpair, d, type, p, fds)

#define PLI_DEFINE_FD_CALL(name, parameters, arguments, pair, ...)                                 \
    PLI_HOOK int pli_fd_##name parameters __asm__(#name);                                          \
    int pli_fd_##name parameters                                                                   \
    {                                                                                              \
        static void *found;                                                                        \
        int(*next) parameters;                                                                     \
        *(void **)&next = pli_next_of(&found, #name);                                              \
        int result = next ? next arguments : (int)syscall(__VA_ARGS__);                            \
        if (PLI_UNLIKELY(PLI_LOAD(pli_leak.on)))                                                   \
            pli_leak_note(result, pair, __builtin_return_address(0));                              \
        return result;                                                                             \
    }

PLI_FD_CALLS(PLI_DEFINE_FD_CALL)

/* fopen calls open inside the C library, where no hook is. It is open and fdopen, and is made of
   these where there is no other. */
static FILE *pli_fopen_static(const char *path, const char *mode)
{
    int flags = *mode == 'w' ? O_CREAT | O_TRUNC : *mode == 'a' ? O_CREAT | O_APPEND : 0;
    flags |= strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
    flags |= (strchr(mode, 'x') ? O_EXCL : 0) | (strchr(mode, 'e') ? O_CLOEXEC : 0);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, mode) : NULL;
    if (fd >= 0 && !file)
        close(fd);
    return file;
}

#define PLI_DEFINE_FOPEN(name)                                                                     \
    PLI_HOOK FILE *pli_fd_##name(const char *path, const char *mode) __asm__(#name);               \
    FILE *pli_fd_##name(const char *path, const char *mode)                                        \
    {                                                                                              \
        static void *found;                                                                        \
        FILE *(*next)(const char *, const char *);                                                 \
        *(void **)&next = pli_next_of(&found, #name);                                              \
        FILE *file = (next ? next : pli_fopen_static)(path, mode);                                 \
        if (PLI_UNLIKELY(PLI_LOAD(pli_leak.on)))                                                   \
            pli_leak_note(file ? fileno(file) : -1, NULL, __builtin_return_address(0));            \
        return file;                                                                               \
    }

PLI_DEFINE_FOPEN(fopen)
PLI_DEFINE_FOPEN(fopen64)

#endif /* PLI_INTERPOSE */

#else /* !PLI_LINUX */

pl_result pl_leak_mark(pl_leak_baseline *mark)
{
    (void)mark;
    return PL_UNSUPPORTED;
}

int64_t pl_leak_check(const pl_leak_baseline *mark, const pl_leak_desc *desc, FILE *report)
{
    (void)mark, (void)desc, (void)report;
    return -PL_UNSUPPORTED;
}

void pl_leak_stop(void)
{
}

#endif /* PLI_LINUX */

/* ==== >>machine ==================================================================================
   What explains a measurement: facts about the machine, and warnings that name the command that
   mends what makes it noisy. Facts vary from run to run, so in benchmark text they are comments: a
   "key: value" line that differs would make benchstat put two files into two tables.

       # governor: powersave                     "governor":"powersave",
       # warning: governor is ...; mend: ...     "governor_warning":"governor is ...; mend: ..."

   All is read from files, as words; where there is no such file, the fact is "unknown". */

typedef struct pli_machine {
    FILE *out;
    bool json;               /* the right form: members of an object that is open */
    double baseline_ns;      /* at the start, as are the next two */
    int64_t cpu_time, steal; /* ticks of all processors; those that the host took away */
} pli_machine;

/* One fact or warning in the form that is asked for; longer ones are cut. */
static void pli_fact_write(const pli_machine *m, const char *key, bool warning, const char *fmt,
                           va_list ap)
{
    char text[320];
    vsnprintf(text, sizeof text, fmt, ap);
    if (m->json) {
        fprintf(m->out, ",\"%s%s\":", key, warning ? "_warning" : "");
        pli_json_string(m->out, text);
    } else {
        fprintf(m->out, "# %s: %s\n", warning ? "warning" : key, text);
    }
}

/* Writes a fact. The key is one word, the same in both forms. */
PLI_PRINTF(3, 4)
static void pli_fact(const pli_machine *m, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_fact_write(m, key, false, fmt, ap);
    va_end(ap);
}

/* Adds a warning to the fact of that key. Its text ends with what mends it. */
PLI_PRINTF(3, 4)
static void pli_warn(const pli_machine *m, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_fact_write(m, key, true, fmt, ap);
    va_end(ap);
}

/* Reads the first word of a file; "unknown" where there is none. */
static void pli_machine_word(const char *path, char word[64])
{
    if (pli_os_read_file(path, word, 64) != PL_OK || strcspn(word, " \n") == 0)
        strcpy(word, "unknown");
    word[strcspn(word, " \n")] = '\0';
}

/* Writes a fact that is one word in a file, with a warning when it is among the `bad` ones, which
   stand between spaces. */
static void pli_machine_setting(const pli_machine *m, const char *key, const char *path,
                                const char *bad, const char *mend)
{
    char word[64], spaced[66];
    pli_machine_word(path, word);
    snprintf(spaced, sizeof spaced, " %s ", word); /* so that no part of a word is found */
    pli_fact(m, key, "%s", word);
    if (strstr(bad, spaced))
        pli_warn(m, key, "%s is %s, which makes times vary; mend: %s", key, word, mend);
}

/* Two drivers, two switches: Intel's says "no turbo", the common one says "boost". */
static void pli_machine_turbo(const pli_machine *m)
{
    static const char *const path[] = {"/sys/devices/system/cpu/intel_pstate/no_turbo",
                                       "/sys/devices/system/cpu/cpufreq/boost"};
    char no_turbo[64], boost[64];
    pli_machine_word(path[0], no_turbo);
    pli_machine_word(path[1], boost);
    bool intel_on = strcmp(no_turbo, "0") == 0, on = intel_on || strcmp(boost, "1") == 0;
    bool known = strcmp(no_turbo, "unknown") != 0 || strcmp(boost, "unknown") != 0;
    pli_fact(m, "turbo", "%s", on ? "on" : known ? "off" : "unknown");
    if (on)
        pli_warn(m, "turbo", "turbo lets the clock rate follow heat and neighbours; mend: "
                 "echo %d | sudo tee %s", intel_on, path[!intel_on]);
}

/* The load is an average of a minute, this program's last run included: so it is a warning only
   when somebody else wants to run at this moment too ("2/345": two of 345 threads, this one among
   them). Half the processors busy is where others begin to share caches and clock rate. */
static void pli_machine_load(const pli_machine *m)
{
    char text[64], load[64];
    long running = 0;
    int cpus = pli_os_cpu_count();
    pli_machine_word("/proc/loadavg", load);
    pli_fact(m, "load", "%s", load);
    if (pli_os_read_file("/proc/loadavg", text, sizeof text) == PL_OK)
        sscanf(text, "%*s %*s %*s %ld", &running);
    if (running > 1 && strtod(load, NULL) > 0.5 * cpus)
        pli_warn(m, "load", "load %s on %d processors: other work runs beside this; mend: end it, "
                 "or keep to a quiet processor: taskset -c %d PROGRAM", load, cpus, cpus - 1);
}

/* Random layout is right for measuring, since runs then average over layouts; off is a fact to
   know when two results are compared. */
static void pli_machine_aslr(const pli_machine *m)
{
    char level[64], persona[64];
    pli_machine_word("/proc/sys/kernel/randomize_va_space", level);
    pli_machine_word("/proc/self/personality", persona);
    bool off_here = strtoul(persona, NULL, 16) & 0x40000; /* ADDR_NO_RANDOMIZE, by setarch -R */
    bool off = off_here || strcmp(level, "0") == 0;
    pli_fact(m, "aslr", "%s", off ? "off" : strcmp(level, "unknown") == 0 ? level : "on");
}

/* Returns the time of one step of a chain of multiplications in registers, in nanoseconds. It
   depends neither on the program nor on its layout or memory: when it differs between two runs, it
   was the machine that changed, not the code. */
static double pli_baseline_pass(uint64_t x)
{
    enum { PLI_STEPS = 400000 }; /* about 0.5 ms: long for the clock, short for the scheduler */
    uint64_t start = pl_now_ns();
    for (int i = 0; i < PLI_STEPS; i++) {
        x = x * 6364136223846793005u + 1;
        PL_HIDE(x);
    }
    return (double)(pl_now_ns() - start) / PLI_STEPS;
}

/* Returns the fastest of some passes, the one that nobody disturbed.
   *spread: how much slower the median pass was, in per cent. */
static double pli_baseline(double *spread)
{
    enum { PLI_PASSES = 15 }; /* 8 ms in all: nobody waits for it */
    double pass[PLI_PASSES]; /* sorted as they come */
    for (int i = 0; i < PLI_PASSES; i++) {
        double ns = pli_baseline_pass((uint64_t)i);
        int at = i;
        for (; at > 0 && pass[at - 1] > ns; at--)
            pass[at] = pass[at - 1];
        pass[at] = ns;
    }
    *spread = 100 * (pass[PLI_PASSES / 2] / pass[0] - 1);
    return pass[0];
}

/* Reads the machine's processor time and what the host took of it; 0 and 0 where nothing tells. */
static void pli_machine_ticks(int64_t *total, int64_t *steal)
{
    char text[256];
    *total = *steal = 0;
    if (pli_os_read_file("/proc/stat", text, sizeof text) != PL_OK)
        return;
    char *at = text + strcspn(text, " ");
    /* user nice system idle iowait irq softirq steal; the columns behind are part of user */
    for (int column = 0; column < 8; column++) {
        *steal = strtoll(at, &at, 10);
        *total += *steal;
    }
}

/* Writes the facts before a measurement and keeps what pli_machine_end compares with. */
static void pli_machine_start(pli_machine *m)
{
    char model[64];
    double spread;
    pli_os_cpu_model(model);
    pli_fact(m, "processor", "%s, %d usable", model[0] ? model : "unknown", pli_os_cpu_count());
    pli_machine_setting(m, "clock",
                        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                        " hpet acpi_pm jiffies ", "boot with clocksource=tsc");
    pli_machine_setting(m, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                        " powersave ondemand conservative schedutil userspace ",
                        "sudo cpupower frequency-set -g performance");
    pli_machine_turbo(m);
    pli_machine_load(m);
    pli_machine_aslr(m);
    m->baseline_ns = pli_baseline(&spread);
    pli_fact(m, "baseline", "%.3f ns a multiplication, spread %.1f %%", m->baseline_ns, spread);
    if (spread > 5)
        pli_warn(m, "baseline", "the baseline spreads by %.0f %%: something disturbs this machine; "
                 "mend: end other work, taskset -c N PROGRAM, more of -count", spread);
    pli_machine_ticks(&m->cpu_time, &m->steal);
}

/* Writes what has changed since pli_machine_start. */
static void pli_machine_end(const pli_machine *m)
{
    double spread, baseline_ns = pli_baseline(&spread);
    double moved = 100 * (baseline_ns / m->baseline_ns - 1);
    int64_t total, steal;
    pli_fact(m, "baseline", "%.3f ns a multiplication, %+.1f %% since the start", baseline_ns,
             moved);
    if (__builtin_fabs(moved) > 5)
        pli_warn(m, "baseline", "the machine changed its speed by %+.1f %% in this run; mend: fix "
                 "the clock rate (cpupower, no_turbo), or run again when it is idle", moved);
    pli_machine_ticks(&total, &steal);
    int64_t passed = total > m->cpu_time ? total - m->cpu_time : 1; /* a short run has no tick */
    double share = 100.0 * (double)(steal - m->steal) / (double)passed; /* of all processors */
    pli_fact(m, "steal", "%.1f %%", share);
    if (share > 1)
        pli_warn(m, "steal", "the host took %.1f %% of the processor time away; mend: a machine of "
                 "its own, or more of -count", share);
}

/* ==== >>flags ====================================================================================
   The command line of a benchmark program: Go's flags, the matching of -bench and the naming of
   sub-benchmarks. Flags are a table: adding one takes a member, a row and perhaps a parser. A fault
   is one line on stderr that names the thing and the fix; nothing has been printed or run by then.
   */

enum { PLI_FLAG_CPUS = 64 }; /* values of -cpu: powers of two up to any machine, and some */

/* The values of the flags; the strings belong to argv. */
typedef struct pli_flags {
    const char *bench, *list, *run; /* list: NULL when not given */
    const char *cpuprofile;         /* NULL: none */
    int64_t count, timeout_ns;      /* timeout: 0 is never */
    struct {
        int64_t n, ns;
    } time; /* -benchtime: one of the two is not 0 */
    struct {
        bool on;
        int64_t seed; /* the same seed, the same order, on every machine */
    } shuffle;
    struct {
        int count, value[PLI_FLAG_CPUS];
    } cpu;
    bool benchmem, verbose, json, help; /* switches */
} pli_flags;

/* One flag: `parse` reads the value into the member at `offset`, or says false; the message then
   ends in `expected`. */
typedef struct pli_flag {
    const char *name;
    const char *argument; /* what -help calls the value; NULL: a switch, which needs none */
    size_t offset;        /* of the member of pli_flags */
    bool (*parse)(const char *value, void *member);
    const char *expected; /* "give ..." */
    const char *help;     /* one line; the default stands behind the semicolon */
} pli_flag;

/* -- Parsers: each writes *member and says whether the value was one -- */

/* Regular expressions are judged when they are compiled. */
static bool pli_flag_text(const char *value, void *member)
{
    *(const char **)member = value;
    return true;
}

/* A switch without a value comes as "true". */
static bool pli_flag_switch(const char *value, void *member)
{
    bool on = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    *(bool *)member = on;
    return on || strcmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

/* Not 0: a run that measures nothing is more likely a mistake than a wish. */
static bool pli_flag_count(const char *value, void *member)
{
    return pli_parse_int64(value, 1, INT64_MAX, member);
}

/* 0 is never, as is no -timeout at all. */
static bool pli_flag_timeout(const char *value, void *member)
{
    return pli_parse_duration(value, member);
}

/* 100x is a number of iterations, everything else a time. *member is the struct of both. */
static bool pli_flag_benchtime(const char *value, void *member)
{
    int64_t *n = member, *ns = n + 1; /* the members of flags.time */
    char digits[24];
    size_t size = strlen(value);
    *n = *ns = 0;
    if (size > 0 && size < sizeof digits && value[size - 1] == 'x') {
        snprintf(digits, size, "%s", value);
        return pli_parse_int64(digits, 1, INT64_MAX, n);
    }
    return pli_parse_duration(value, ns) && *ns > 0;
}

/* Numbers with commas between; *member is their count, the numbers follow. */
static bool pli_flag_cpu(const char *value, void *member)
{
    int *count = member, *cpus = count + 1;
    bool good = true;
    *count = 0;
    for (const char *s = value; good && s; s = strchr(s, ','), s = s ? s + 1 : NULL) {
        char item[12]; /* a longer item is cut, and still too big a number */
        int64_t n = 0;
        snprintf(item, sizeof item, "%.*s", (int)strcspn(s, ","), s);
        good = *count < PLI_FLAG_CPUS && pli_parse_int64(item, 1, 1 << 16, &n);
        cpus[good ? (*count)++ : 0] = (int)n;
    }
    return good;
}

/* "on" takes a seed from the clock, which is printed: given as a number it repeats the order. */
static bool pli_flag_shuffle(const char *value, void *member)
{
    pli_flags *f = (pli_flags *)(void *)((char *)member - offsetof(pli_flags, shuffle));
    f->shuffle.on = strcmp(value, "off") != 0;
    f->shuffle.seed = (int64_t)pl_now_ns();
    return !f->shuffle.on || strcmp(value, "on") == 0 ||
           pli_parse_int64(value, INT64_MIN, INT64_MAX, &f->shuffle.seed);
}

#define PLI_FLAG(member) offsetof(pli_flags, member)
static const pli_flag pli_flag_table[] = {
    /* in the order of -help: name, argument, member, parser, expected, help */
    {"bench", "REGEX", PLI_FLAG(bench), pli_flag_text, "",
     "run what matches, part by part between slashes; everything"},
    {"benchmem", NULL, PLI_FLAG(benchmem), pli_flag_switch, "true or false",
     "print bytes and allocations per operation"},
    {"benchtime", "T", PLI_FLAG(time), pli_flag_benchtime,
     "a time with its unit or a number of iterations, such as 2s, 100ms or 100x",
     "measure each for this time, or 100x for iterations; 1s"},
    {"count", "N", PLI_FLAG(count), pli_flag_count, "a whole number from 1",
     "measure each N times (benchstat likes 10); 1"},
    {"cpu", "LIST", PLI_FLAG(cpu), pli_flag_cpu, "up to 64 numbers of threads, such as 1,2,4",
     "threads of parallel benchmarks; the usable processors"},
    {"cpuprofile", "FILE", PLI_FLAG(cpuprofile), pli_flag_text, "",
     "write a CPU profile of what is timed, for pprof; none"},
    {"json", NULL, PLI_FLAG(json), pli_flag_switch, "true or false",
     "write JSON, an object a line"},
    {"list", "REGEX", PLI_FLAG(list), pli_flag_text, "",
     "print the names that match and stop; all without REGEX"},
    {"run", "REGEX", PLI_FLAG(run), pli_flag_text, "",
     "accepted for Go's -run='^$'; there are no tests here"},
    {"shuffle", "on|off|N", PLI_FLAG(shuffle), pli_flag_shuffle, "on, off or a number",
     "random order; the number repeats one; off"},
    {"timeout", "T", PLI_FLAG(timeout_ns), pli_flag_timeout,
     "a time with its unit, such as 90s or 10m",
     "give up after this time, and say what ran; never"},
    {"v", NULL, PLI_FLAG(verbose), pli_flag_switch, "true or false",
     "print names when they start and logs at once"},
    {"help", NULL, PLI_FLAG(help), pli_flag_switch, "true or false", "print this"},
};
#undef PLI_FLAG
enum { PLI_FLAG_COUNT = sizeof pli_flag_table / sizeof *pli_flag_table };

/* -help: one line a flag, from the table. */
static void pli_flags_usage(void)
{
    printf("Runs the benchmarks of this program. One dash or two; -flag=value or -flag value.\n"
           "The default stands last.\n");
    for (int i = 0; i < PLI_FLAG_COUNT; i++) {
        const pli_flag *f = &pli_flag_table[i];
        int width = 19 - (int)strlen(f->name);
        printf("  -%s %-*s %s\n", f->name, width, f->argument ? f->argument : "", f->help);
    }
}

/* Finds a flag by its name without dashes; NULL when there is none. */
static const pli_flag *pli_flag_find(const char *name, size_t size)
{
    for (int i = 0; i < PLI_FLAG_COUNT; i++) {
        const char *known = pli_flag_table[i].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0)
            return &pli_flag_table[i];
    }
    return NULL;
}

/* Returns the value: what follows '=', or the next word, on which *word then stands. NULL: there is
   none. A switch takes a value behind '=' alone, so that "-v Name" is a mistake that is seen. */
static const char *pli_flag_value(const pli_flag *flag, const char *equals, char ***word)
{
    const char *next = (*word)[1];
    if (equals || !flag->argument)
        return equals ? equals + 1 : "true";
    if (strcmp(flag->name, "list") == 0 && (!next || *next == '-'))
        return ""; /* a bare -list is what one tries first */
    *word += next != NULL;
    return next;
}

/* Reads the words behind argv[0]; false when it has reported a fault:

       perflab: unexpected argument "First"; -bench REGEX chooses benchmarks, -help lists the flags
       perflab: unknown flag -benchtme; -help lists the flags
       perflab: bad value "2" for -benchtime; give a time with its unit ...

   A word is -name, --name, and either with =value. */
static bool pli_flags_parse(pli_flags *flags, char **argv)
{
    for (char **word = argv; *word && *++word;) {
        size_t dashes = strspn(*word, "-"); /* "-", "--" and "---v" are no flags */
        const char *name = *word + dashes, *equals = strchr(name, '=');
        int size = (int)(equals ? (size_t)(equals - name) : strlen(name));
        if (dashes < 1 || dashes > 2 || size == 0) {
            fprintf(stderr, "perflab: unexpected argument \"%s\"; -bench REGEX chooses benchmarks, "
                            "-help lists the flags\n", *word);
            return false;
        }
        const pli_flag *flag = pli_flag_find(name, (size_t)size);
        if (!flag) {
            fprintf(stderr, "perflab: unknown flag -%.*s; -help lists the flags\n", size, name);
            return false;
        }
        const char *value = pli_flag_value(flag, equals, &word);
        if (!value || !flag->parse(value, (char *)flags + flag->offset)) {
            fprintf(stderr, "perflab: bad value \"%s\" for -%s; give %s\n", value ? value : "",
                    flag->name, value ? flag->expected : "one");
            return false;
        }
    }
    return true;
}

/* -- Filters --

   As in Go, a pattern is alternatives of parts, each part a regular expression (POSIX extended)
   that is searched in the same part of the name:

       -bench 'Parse/small|Sort'     part[0] Parse  }  Parse is run for its children, of which
                                     part[1] small  }  those with "small" in their names count
                                     part[2] Sort      Sort, MergeSort, and all their children */
typedef struct pli_pattern {
    regex_t regex;
    bool any;  /* an empty expression: matches everything, regex is not set */
    bool last; /* the next part begins another alternative */
} pli_pattern;

typedef struct pli_filter {
    pli_pattern *part; /* those of all alternatives, one behind the other */
    int count;
} pli_filter;

/* Returns name as one field of text: white space (all that benchstat takes for it) is _, control
   characters are escaped. NULL when out of memory; the caller frees it. */
static char *pli_name_clean(const char *name)
{
    char *out = malloc(4 * strlen(name) + 1), *at = out; /* one byte becomes \x1b at most */
    for (int size; out && *name; name += size) {
        uint32_t r;
        size = pli_utf8_decode(name, &r);
        if ((r >= '\t' && r <= '\r') || r == ' ' || r == 0x85 || r == 0xa0 || r == 0x1680 ||
            (r >= 0x2000 && r <= 0x200a) || r == 0x2028 || r == 0x2029 || r == 0x202f ||
            r == 0x205f || r == 0x3000) {
            *at++ = '_';
        } else if (r < 0x20 || r == 0x7f) {
            at += snprintf(at, 5, "\\x%02x", (unsigned)r);
        } else {
            memcpy(at, name, (size_t)size);
            at += size;
        }
    }
    if (out)
        *at = '\0';
    return out;
}

/* Returns the end of the first part of a pattern: a / or | outside of brackets, or the end of the
   text. So a/(b|c) has two parts, and [a/b] one. */
static const char *pli_filter_part_end(const char *s)
{
    int square = 0, round = 0;
    for (; *s && !(strchr("/|", *s) && square == 0 && round == 0); s++) {
        if (*s == '\\' && s[1])
            s++;
        else if (*s == '[' || *s == ']')
            square += *s == '[' ? 1 : square > 0 ? -1 : 0; /* a lone ] is an ordinary character */
        else if (square == 0)
            round += (*s == '(') - (*s == ')');
    }
    return s;
}

/* Compiles one part; false when it has reported a fault. */
static bool pli_filter_compile(pli_pattern *part, const char *flag, const char *text, size_t size)
{
    char why[128];
    /* Names are cleaned before they are matched, so "a b" must find "a_b". */
    char *copy = strndup(text, size), *clean = copy ? pli_name_clean(copy) : NULL;
    part->any = size == 0; /* some systems take an empty expression for an error */
    int code = !clean ? REG_ESPACE
               : part->any ? 0 : regcomp(&part->regex, clean, REG_EXTENDED | REG_NOSUB);
    free(clean);
    free(copy);
    if (code != 0) {
        regerror(code, &part->regex, why, sizeof why);
        fprintf(stderr, "perflab: bad regular expression \"%.*s\" for -%s: %s; write \\( for a "
                        "bracket that is meant as itself\n", (int)size, text, flag, why);
    }
    return code == 0;
}

/* Leaves an empty filter behind, which may be freed again. */
static void pli_filter_free(pli_filter *f)
{
    for (int i = 0; i < f->count; i++) {
        if (!f->part[i].any)
            regfree(&f->part[i].regex);
    }
    free(f->part);
    *f = (pli_filter){NULL, 0};
}

/* Compiles the value of a flag; false when it has reported a fault. */
static bool pli_filter_init(pli_filter *f, const char *flag, const char *text)
{
    /* There are never more parts than characters, but for the empty text, which has one. */
    *f = (pli_filter){calloc(strlen(text) + 1, sizeof *f->part), 0};
    if (!f->part) {
        fprintf(stderr, "perflab: out of memory for -%s\n", flag);
        return false;
    }
    for (bool more = true; more; f->count++) {
        pli_pattern *part = &f->part[f->count];
        const char *end = pli_filter_part_end(text);
        if (!pli_filter_compile(part, flag, text, (size_t)(end - text))) {
            pli_filter_free(f);
            return false;
        }
        part->last = *end != '/'; /* '|' and the end of the text end an alternative */
        more = *end != '\0';
        text = end + 1;
    }
    return true;
}

/* Whether one part of a name matches. It is copied to end there, as regexec wants: onto the stack,
   since a match that failed for want of memory would leave a benchmark out in silence. */
static bool pli_filter_part(const pli_pattern *part, const char *text, size_t size)
{
    char copy[size + 1];
    memcpy(copy, text, size);
    copy[size] = '\0';
    return part->any || regexec(&part->regex, copy, 0, NULL, 0) == 0;
}

/* Matches name against the alternative that begins at `part`. *partial: name has fewer parts, so
   that only sub-benchmarks of it can match in full. A name with more parts than the pattern
   matches. */
static bool pli_filter_alternative(const pli_pattern *part, const char *name, bool *partial)
{
    for (;; part++, name++) {
        size_t size = strcspn(name, "/");
        if (!pli_filter_part(part, name, size))
            return false;
        name += size;
        *partial = !part->last;
        if (part->last || !*name)
            return true;
    }
}

/* Whether one of the alternatives matches; *partial is set when so. */
static bool pli_filter_match(const pli_filter *f, const char *name, bool *partial)
{
    for (int i = 0; i < f->count; i++) {
        bool first = i == 0 || f->part[i - 1].last;
        if (first && pli_filter_alternative(&f->part[i], name, partial))
            return true;
    }
    return false;
}

/* -- Names of sub-benchmarks: those that were given, so that none is given twice -- */

typedef struct pli_name {
    struct pli_name *next;
    char text[];
} pli_name;

/* Adds "parent/name" to the list and returns it, with #01, #02 ... behind it when it was there; an
   empty name is #00. The first that is free is taken, whoever has the others: a benchmark may be
   called "x#01" by its author. NULL when out of memory; the list owns the name, which lives as long
   as the run. */
static const char *pli_name_unique(pli_name **list, const char *parent, const char *name)
{
    size_t size = strlen(parent) + strlen(name) + 16;
    pli_name *new = malloc(sizeof *new + size), *same = new;
    for (int repeat = 0; same; repeat++) {
        int end = snprintf(new->text, size, "%s/%s", parent, name);
        if (repeat > 0 || !*name)
            snprintf(new->text + end, size - (size_t)end, "#%02d", repeat);
        same = *list;
        while (same && strcmp(same->text, new->text) != 0)
            same = same->next;
    }
    if (new) {
        new->next = *list;
        *list = new;
    }
    return new ? new->text : NULL;
}

/* Forgets all names; the next run may give them again. */
static void pli_name_free(pli_name **list)
{
    while (*list) {
        pli_name *next = (*list)->next;
        free(*list);
        *list = next;
    }
}

/* ==== >>bench ====================================================================================
   One benchmark: its timer, what is measured with it, how n grows, and threads. A run is one call
   of the body with some n:

       b->n      set-up loop(1)   set-up loop(100)   set-up loop(10,000)   set-up loop(1,200,000)
                                                                                  └── the result ──┘
       PL_LOOP   set-up loop(1 + 99 + 9,900 + 1,190,000)
                        └────────── the result ────────┘

   The next n is predicted from the time so far, by Go's rule, until a run lasts -benchtime.
   Nothing in here allocates while a timer runs, so B/op and allocs/op are the body's alone. */

enum {
    PLI_BENCH_METRICS = 32,      /* what a body may report: fixed sizes, so that reporting ... */
    PLI_BENCH_UNIT = 48,         /* ... does not allocate while the timer runs */
    PLI_BENCH_LOG = 65536,       /* the same for its log */
    PLI_BENCH_MAX_N = 1000000000 /* Go's limit of iterations in one run */
};

/* What pl_bench_report_metric was given. */
typedef struct pli_metric {
    char unit[PLI_BENCH_UNIT];
    double value;
} pli_metric;

/* Allocations so far, as MemStats counts them. */
typedef struct pli_bench_mem {
    int64_t mallocs, bytes;
} pli_bench_mem;

/* One benchmark. All of it belongs to the thread that runs the body, but for `failed` and what
   `lock` guards; pl_bench_parallel hands the timer to its threads at the barriers. */
typedef struct pli_bench {
    /* immutable while the body runs */
    pl_bench api;             /* first, so that the body's pl_bench * is this */
    struct pli_bench *parent; /* NULL for those of PL_BENCH */
    const char *name;         /* in full, without -P */
    void (*fn)(pl_bench *b, void *arg);
    void *arg;

    /* the run */
    bool timer_on;
    uint64_t start_ns, elapsed_ns;   /* of the running interval; of all before */
    pli_bench_mem mem_start, mem;    /* the same for allocations */
    int64_t previous_n, previous_ns; /* the run before, for the grain of parallel work */
    int parallelism;                 /* threads a processor */
    uint64_t loop_n;                 /* iterations that PL_LOOP aims at; 0: no PL_LOOP so far */
    uint64_t loop_start_ns;          /* by the clock on the wall, pauses included */
    bool loop_done;                  /* PL_LOOP came to its end: nobody broke out of it */

    /* what the body said */
    bool has_sub; /* it called pl_bench_run: no result of its own */
    bool show_allocs;
    int64_t bytes;
    int metric_count;
    pli_metric metrics[PLI_BENCH_METRICS]; /* sorted by unit, which is Go's order of printing */
    uint32_t failed;                       /* atomic */
    pli_lock lock;                         /* guards the log */
    size_t log_size;
    char log[PLI_BENCH_LOG];
} pli_bench;

/* One call of pl_bench_main. */
typedef struct pli_session {
    pli_flags flags;
    pli_filter filter;   /* -bench, or -list */
    pli_name *names;     /* of sub-benchmarks so far */
    pli_machine machine; /* as it was at the start */
    int name_width, suffix_width; /* Go's columns: the widest name, the widest -P */
    bool labelled;                /* the lines above the first result are printed */
    bool no_allocs;               /* this build cannot count allocations */
    int results, exit_code;       /* 2 ends everything */

    pli_lock lock;       /* guards current, which the -timeout thread reads */
    const char *current; /* the benchmark whose body runs; NULL outside */
    pid_t pid;           /* a child made by fork may exit as it likes */
} pli_session;

static pli_session pli_run;                /* there is one at a time */
static pli_bench_entry *pli_bench_entries; /* what PL_BENCH has registered */

/* Adds a benchmark in order of appearance; by line within a file, since link-time optimisation may
   run the constructors of a file in another order. */
void pli_bench_register(pli_bench_entry *entry)
{
    pli_bench_entry **at = &pli_bench_entries;
    while (*at && !(strcmp((*at)->file, entry->file) == 0 && (*at)->line > entry->line))
        at = &(*at)->next;
    entry->next = *at;
    *at = entry;
}

/* The benchmark behind what the body has. */
static pli_bench *pli_bench_of(const pl_bench *b)
{
    return (pli_bench *)(uintptr_t)b;
}

/* Sends what was printed on its way; the first failure ends the run. */
static void pli_bench_flush(void)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && pli_run.exit_code != 2) {
        fprintf(stderr, "perflab: cannot write results to standard output: %s; make room there or "
                        "redirect it elsewhere\n", strerror(errno));
        pli_run.exit_code = 2;
    }
}

/* -- Log and failure -- */

/* Adds text to the log; what there is no room for is cut. Under the lock. */
static void pli_bench_log_add(pli_bench *b, const char *text, size_t size)
{
    size_t room = sizeof b->log - 1 - b->log_size;
    size = size < room ? size : room;
    memcpy(b->log + b->log_size, text, size);
    b->log_size += size;
    b->log[b->log_size] = '\0';
}

/* Prints the log, or so many lines of it, as Go does: indented. */
static void pli_bench_log_print(const pli_bench *b, int lines)
{
    for (const char *s = b->log; *s; lines--) {
        int size = (int)strcspn(s, "\n");
        printf("    %.*s\n", size, s);
        s += size + (s[size] == '\n');
        if (lines == 1) {
            printf("\t... [output truncated]\n");
            return;
        }
    }
}

/* Adds a message: a line, and further lines of it indented. With -v it is printed at once. */
static void pli_bench_say(pli_bench *b, const char *fmt, va_list ap)
{
    char text[4096];
    vsnprintf(text, sizeof text, fmt, ap);
    pli_lock_take(&b->lock);
    for (const char *s = text, *end = s; end; s = end + 1) {
        size_t size = strcspn(s, "\n");
        pli_bench_log_add(b, s, size);
        end = s[size] && s[size + 1] ? s + size : NULL; /* a newline at the end makes no line */
        pli_bench_log_add(b, "\n    ", end ? 5 : 1);
    }
    if (pli_run.flags.verbose && !pli_run.flags.json) {
        pli_bench_log_print(b, 0);
        pli_bench_flush();
        b->log[b->log_size = 0] = '\0';
    }
    pli_lock_give(&b->lock);
}

/* -- What the body may call: see the API -- */

void pl_bench_log(pl_bench *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_bench_say(pli_bench_of(b), fmt, ap);
    va_end(ap);
}

void pl_bench_fail(pl_bench *bench, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_bench_say(pli_bench_of(bench), fmt, ap);
    va_end(ap);
    for (pli_bench *b = pli_bench_of(bench); b; b = b->parent)
        PLI_STORE(b->failed, 1); /* a benchmark fails with each of its sub-benchmarks */
}

/* -- Timer and what is measured with it -- */

/* The sums over all threads, read without going into the allocator as pl_memstats_read does. */
static pli_bench_mem pli_bench_mem_now(void)
{
    pl_memstats m;
    pli_heap_sum(&m);
    return (pli_bench_mem){m.mallocs, m.total_alloc};
}

/* Begins an interval. Counters are read outside of the time: before the clock starts, and by
   pl_bench_stop_timer after it has stopped. */
static void pli_bench_timer_mark(pli_bench *b)
{
    b->mem_start = pli_bench_mem_now();
    b->start_ns = pl_now_ns();
}

/* Starting twice is starting once: a body may not know whether its caller has. */
void pl_bench_start_timer(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    if (!b->timer_on) {
        b->timer_on = true;
        pli_cpu_gate(true);
        pli_bench_timer_mark(b);
    }
}

/* Adds the interval to what was measured. PL_LOOP notices at its next question that the timer is
   off. */
void pl_bench_stop_timer(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    if (b->timer_on) {
        b->elapsed_ns += pl_now_ns() - b->start_ns; /* first of all: the rest is not timed */
        pli_cpu_gate(false);
        pli_bench_mem now = pli_bench_mem_now();
        b->mem.mallocs += now.mallocs - b->mem_start.mallocs;
        b->mem.bytes += now.bytes - b->mem_start.bytes;
        b->timer_on = false;
    }
}

/* Forgets what was measured, metrics included: those that were reported so far are about set-up. */
void pl_bench_reset_timer(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    b->metric_count = 0;
    b->elapsed_ns = 0;
    b->mem = (pli_bench_mem){0, 0};
    pli_cpu_settle(false);
    if (b->timer_on)
        pli_bench_timer_mark(b);
}

/* The running interval is included, so that a body can look while it is timed. */
uint64_t pl_bench_elapsed_ns(const pl_bench *bench)
{
    const pli_bench *b = pli_bench_of(bench);
    return b->elapsed_ns + (b->timer_on ? pl_now_ns() - b->start_ns : 0);
}

/* The next three are wishes that hold for this run of the body; the next run says them again. */
void pl_bench_report_allocs(pl_bench *b)
{
    pli_bench_of(b)->show_allocs = true;
}

void pl_bench_set_bytes(pl_bench *b, int64_t n)
{
    pli_bench_of(b)->bytes = n;
}

void pl_bench_set_parallelism(pl_bench *b, int p)
{
    if (p >= 1)
        pli_bench_of(b)->parallelism = p;
}

/* Returns the metric of that unit; NULL when the body reported none. */
static const pli_metric *pli_metric_find(const pli_bench *b, const char *unit)
{
    for (int i = 0; i < b->metric_count; i++) {
        if (strcmp(b->metrics[i].unit, unit) == 0)
            return &b->metrics[i];
    }
    return NULL;
}

/* What is wrong with a new unit, as the end of a sentence; NULL when nothing is. */
static const char *pli_metric_fault(const pli_bench *b, const char *unit)
{
    return unit[0] == '\0'                        ? "is empty; name what is counted"
           : unit[strcspn(unit, " \t\n\v\f\r")]   ? "has white space in it; leave it out"
           : strlen(unit) >= PLI_BENCH_UNIT       ? "is longer than 47 bytes; shorten it"
           : b->metric_count == PLI_BENCH_METRICS ? "is the 33rd; report fewer"
                                                  : NULL;
}

/* Keeps the metrics sorted by inserting: there are few. A wrong unit makes the benchmark fail,
   since a result with one could not be read. */
void pl_bench_report_metric(pl_bench *bench, double value, const char *unit)
{
    pli_bench *b = pli_bench_of(bench);
    pli_metric *m = (pli_metric *)(uintptr_t)pli_metric_find(b, unit); /* const until here */
    const char *fault = m ? NULL : pli_metric_fault(b, unit);
    if (fault) {
        pl_bench_fail(&b->api, "pl_bench_report_metric: unit \"%s\" %s", unit, fault);
        return;
    }
    if (!m) { /* its place in the order is found from the end */
        m = b->metrics + b->metric_count++;
        while (m > b->metrics && strcmp(m[-1].unit, unit) > 0) {
            *m = m[-1];
            m--;
        }
        strcpy(m->unit, unit);
    }
    m->value = value;
}

/* -- Growth of n -- */

/* Returns the next n by Go's rule: what the goal needs at the last speed and a fifth more, at most
   100 times the last n, at least one more, at most PLI_BENCH_MAX_N. For 1 s and a body of 5 us:

       n = 1      took 9,000 ns (cold)     1 s would take 111,111, a fifth more 133,333; but 100 x 1
       n = 100    took 510,000 ns          196,078, a fifth more 235,293; but 100 x 100
       n = 10,000 took 50,100,000 ns       199,600, a fifth more 239,520: the last run, 1.2 s */
static int64_t pli_bench_predict(int64_t goal_ns, int64_t n, int64_t ns, int64_t last)
{
    int64_t next; /* multiplied first: for short bodies n and ns are alike, and n / ns is 0 or 1 */
    if (__builtin_mul_overflow(goal_ns, n, &next))
        next = INT64_MAX;
    next /= ns > 0 ? ns : 1;
    next = next > PLI_BENCH_MAX_N ? PLI_BENCH_MAX_N : next;
    next += next / 5;
    next = next > 100 * last ? 100 * last : next;
    next = next < last + 1 ? last + 1 : next;
    return next > PLI_BENCH_MAX_N ? PLI_BENCH_MAX_N : next;
}

/* Returns how many iterations PL_LOOP runs before it asks again, 0 for the end.
   Pauses of the timer do not count for -benchtime, yet somebody waits for them: the loop ends
   when it would take ten times as long by the clock on the wall. */
static uint64_t pli_loop_more(pli_bench *b)
{
    int64_t done = (int64_t)b->loop_n, goal = pli_run.flags.time.ns;
    int64_t ns = (int64_t)pl_bench_elapsed_ns(&b->api);
    double wall = (double)(pl_now_ns() - b->loop_start_ns) + 1; /* never 0 */
    double most = 10.0 * (double)goal / wall * (double)done;    /* iterations in ten goals */
    if (pli_run.flags.time.n > 0 || ns >= goal) /* 100x, all done at once; or long enough */
        return 0;
    int64_t next = pli_bench_predict(goal, done, ns, done);
    next = (double)next > most ? (int64_t)most : next;
    b->loop_n = (uint64_t)(next > done ? next : done);
    return b->loop_n - (uint64_t)done;
}

/* What PL_LOOP asks when it has counted down: how many more? 0 ends it. The first call is where
   set-up ends, the last where the timer stops. */
uint64_t pli_loop_next(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    if (!b->timer_on) {
        b->loop_done = true; /* one message is enough */
        pl_bench_fail(bench, "PL_LOOP reached with the timer stopped; call "
                             "pl_bench_start_timer(b) before it, and loop only once");
        return 0;
    }
    if (b->loop_n == 0) { /* the first call */
        b->loop_n = pli_run.flags.time.n > 0 ? (uint64_t)pli_run.flags.time.n : 1;
        b->api.n = 0; /* a body has PL_LOOP or b->n, not both */
        b->loop_start_ns = pl_now_ns();
        pl_bench_reset_timer(bench);
        return b->loop_n;
    }
    uint64_t more = pli_loop_more(b);
    if (more == 0) {
        pl_bench_stop_timer(bench);
        b->api.n = (int64_t)b->loop_n;
        b->loop_done = true;
    }
    return more;
}

/* Notes the benchmark whose body runs, for -timeout and for an exit() in it, and returns the one
   before: a parent goes on when its sub-benchmark has ended. */
static const char *pli_bench_current(const char *name)
{
    pli_lock_take(&pli_run.lock);
    const char *before = pli_run.current;
    pli_run.current = name;
    pli_lock_give(&pli_run.lock);
    return before;
}

/* Calls the body once for n iterations. The timer runs from the call on; it is up to the body to
   stop or reset it for its set-up. */
static void pli_bench_run_n(pli_bench *b, int64_t n)
{
    const char *outer = pli_bench_current(b->name);
    b->api.n = n;
    b->loop_n = 0;
    b->loop_done = false;
    b->parallelism = 1;
    pl_bench_reset_timer(&b->api);
    pl_bench_start_timer(&b->api);
    b->fn(&b->api, b->arg);
    pl_bench_stop_timer(&b->api);
    pli_cpu_settle(!b->has_sub);
    b->previous_n = n;
    b->previous_ns = (int64_t)b->elapsed_ns;
    /* Of a loop that was left the time is known, but not for how many iterations. */
    if (b->loop_n > 0 && !b->loop_done && !PLI_LOAD(b->failed)) {
        pl_bench_fail(&b->api, "benchmark function returned before PL_LOOP had ended (break or "
                               "return in the loop?)");
    }
    pli_bench_current(outer);
}

/* Runs the body with growing n until a run is as long as -benchtime says; n = 1 has been run. */
static void pli_bench_grow(pli_bench *b)
{
    if (b->loop_n > 0)
        return; /* PL_LOOP has done so by itself */
    if (pli_run.flags.time.n > 0) {
        if (pli_run.flags.time.n > 1)
            pli_bench_run_n(b, pli_run.flags.time.n);
        return;
    }
    for (int64_t n = 1; !PLI_LOAD(b->failed) && n < PLI_BENCH_MAX_N &&
                        b->elapsed_ns < (uint64_t)pli_run.flags.time.ns;) {
        n = pli_bench_predict(pli_run.flags.time.ns, b->api.n, (int64_t)b->elapsed_ns, n);
        pli_bench_run_n(b, n);
    }
}

/* -- Parallel benchmarks --

       create   set-up     barrier   PL_NEXT PL_NEXT ...          join
       ───────► ─────────► │ ══════════════════════════► │ ────►
       ───────► ───► waits │ ════════════════════► waits │ ────►
                           └ the last to arrive          └ the last to finish
                             starts the timer              stops it

   The barrier is in the first PL_NEXT. Iterations are taken from `left`, a grain at a time, so that
   the common counter is not what is measured; who leaves early gives the rest of his grain back. */
typedef struct pli_parallel_job {
    /* immutable */
    pli_bench *bench;
    void (*fn)(pl_parallel *pb, void *arg);
    void *arg;
    int threads;
    bool timed;    /* the timer ran when the body called */
    int64_t grain; /* iterations taken at once */
    /* atomic */
    int started, arrived, finished; /* threads */
    uint32_t open;                  /* the barrier; release */
    int64_t left;                   /* iterations that nobody has taken */
} pli_parallel_job;

/* Counts threads at the barrier; the last one opens it. What the threads did before is visible to
   the one that starts the timer, and the started timer to all that pass. */
static void pli_parallel_arrive(pli_parallel_job *job, int count)
{
    if (__atomic_add_fetch(&job->arrived, count, __ATOMIC_ACQ_REL) == job->threads) {
        if (job->timed)
            pl_bench_start_timer(&job->bench->api);
        PLI_STORE_RELEASE(job->open, 1);
    }
}

/* Counts threads that are done; the last one stops the timer. */
static void pli_parallel_finish(pli_parallel_job *job, int count)
{
    if (__atomic_add_fetch(&job->finished, count, __ATOMIC_ACQ_REL) == job->threads)
        pl_bench_stop_timer(&job->bench->api);
}

/* Waits for the barrier to open. Spins, so that all start within a microsecond; yields after 10 us,
   since there may be more threads than processors. */
static void pli_parallel_wait(pli_parallel_job *job)
{
    uint64_t until = pl_now_ns() + 10000;
    while (!PLI_LOAD_ACQUIRE(job->open)) {
        pli_os_relax();
        if (pl_now_ns() > until)
            pli_os_yield();
    }
}

/* What PL_NEXT asks when its grain is used up: takes another. False: all are taken. */
int pli_parallel_refill(pl_parallel *pb)
{
    pli_parallel_job *job = pb->job;
    if (!pb->started) {
        pb->started = 1;
        pli_parallel_arrive(job, 1);
        pli_parallel_wait(job);
    }
    int64_t left = PLI_LOAD(job->left), take; /* never below 0: exactly n are given out */
    do {
        take = left < job->grain ? left : job->grain;
    } while (take > 0 && !__atomic_compare_exchange_n(&job->left, &left, left - take, 1,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    pb->taken = take;
    return take > 0;
}

/* One thread. Its pl_parallel is on its own stack: no cache line is shared. */
static void *pli_parallel_thread(void *arg)
{
    pli_parallel_job *job = arg;
    pl_parallel pb = {.thread = PLI_ADD(job->started, 1) - 1, .threads = job->threads,
                      .job = job};
    job->fn(&pb, job->arg);
    if (!pb.started) /* it never asked: the others must not wait for it */
        pli_parallel_arrive(job, 1);
    PLI_ADD(job->left, pb.taken); /* not 0 when the body left its loop */
    pli_parallel_finish(job, 1);
    return NULL;
}

/* Returns how many iterations a thread takes at once: what lasted 100 us in the run before, at most
   10,000, as in Go. That is long enough to forget the common counter, for which threads may have to
   fight, and short enough to leave no thread idle at the end. */
static int64_t pli_parallel_grain(const pli_bench *b)
{
    int64_t grain = b->previous_ns > 0 ? 100000 * b->previous_n / b->previous_ns : 1;
    return grain < 1 ? 1 : grain > 10000 ? 10000 : grain;
}

/* Runs the threads of a job to their end. Where one cannot be started, the
   others get no iterations and the benchmark fails. */
static void pli_parallel_go(pli_parallel_job *job, pthread_t *thread)
{
    int made = 0, code = 0;
    while (made < job->threads &&
           (code = pthread_create(&thread[made], NULL, pli_parallel_thread, job)) == 0)
        made++;
    if (made < job->threads) {
        PLI_STORE(job->left, 0);
        pli_parallel_arrive(job, job->threads - made);
        pli_parallel_finish(job, job->threads - made);
        pl_bench_fail(&job->bench->api,
                      "pl_bench_parallel: thread %d of %d cannot be started: %s; lower -cpu or "
                      "raise ulimit -u", made + 1, job->threads, strerror(code));
    }
    for (int i = 0; i < made; i++)
        pthread_join(thread[i], NULL);
}

/* The caller's thread does not take part: it waits in pthread_join and uses no processor. */
void pl_bench_parallel(pl_bench *bench, void (*fn)(pl_parallel *pb, void *arg), void *arg)
{
    pli_bench *b = pli_bench_of(bench);
    bool timed = b->timer_on;
    int threads = b->parallelism * bench->procs;
    pl_bench_stop_timer(bench); /* until the barrier opens */
    pthread_t *thread = calloc((size_t)threads, sizeof *thread);
    if (!thread || bench->n < 1) {
        pl_bench_fail(&b->api, "pl_bench_parallel: %s",
                      thread ? "called inside PL_LOOP; leave PL_LOOP out" : "out of memory");
    } else {
        pli_parallel_job job = {.bench = b, .fn = fn, .arg = arg, .threads = threads,
                                .timed = timed, .grain = pli_parallel_grain(b),
                                .left = bench->n};
        pli_parallel_go(&job, thread);
        if (PLI_LOAD(job.left) > 0 && !PLI_LOAD(b->failed)) {
            pl_bench_fail(bench, "pl_bench_parallel: the body returned before PL_NEXT was false "
                                 "(break or return in the loop?)");
        }
    }
    free(thread);
    if (timed)
        pl_bench_start_timer(bench); /* as the body left it */
}

/* ==== >>benchmain ================================================================================
   pl_bench_main: which benchmarks run, in which order, and what is printed of them. A benchmark is
   run with n = 1 to see whether it works and whether it has sub-benchmarks; if not, it is measured,
   for each value of -cpu, -count times:

       pl_bench_main ──► pli_bench_child ──► pli_bench_try      n = 1
                              ▲      │
       pl_bench_run ──────────┘      └─────► pli_bench_measure  n grows; one line of output

   Text is Go's to the byte. JSON is one object a line; names and meaning stay, members may be
   added:

     {"type":"environment","format":1,"goos":"linux","goarch":"amd64","pkg":"","cpu":"...",
      "processor":"...","clock":"tsc","governor":"powersave","governor_warning":"...", ...}
     {"type":"benchmark","name":"BenchmarkSum/n=10","procs":2,"failed":false,"n":1000,
      "ns_per_op":12.5,"mb_per_s":null,"bytes_per_op":null,"allocs_per_op":null,
      "metrics":{"rows/op":3},"log":""}
     {"type":"benchmark","name":"BenchmarkWrong","procs":2,"failed":true,"log":"got 4, want 5\\n"}
     {"type":"end","passed":false,"results":2,"baseline":"...","steal":"0.0 %"}

   null is "not measured", or a value that JSON cannot say. "environment" comes before the first
   result and only when there is one; its facts, and those of "end", are the comments of the text.
   */

/* -- Results -- */

/* The values that the harness measures; a metric with such a unit takes the place of its own. */
enum { PLI_NS, PLI_MB, PLI_BYTES, PLI_ALLOCS, PLI_BUILTINS }; /* indexes of the next two */
static const char *const pli_builtin_unit[] = {"ns/op", "MB/s", "B/op", "allocs/op"};
/* Their names in JSON, where a "/" would be in the way of many a query. */
static const char *const pli_builtin_key[] = {"ns_per_op", "mb_per_s", "bytes_per_op",
                                              "allocs_per_op"};

/* Whether a unit is one of those: then it does not stand among the metrics. */
static bool pli_builtin_is(const char *unit)
{
    bool is = false;
    for (int i = 0; i < PLI_BUILTINS; i++)
        is = is || strcmp(unit, pli_builtin_unit[i]) == 0;
    return is;
}

/* Returns a value as Go computes it; NaN when there is none to print. */
static double pli_builtin_value(const pli_bench *b, int which)
{
    const pli_metric *own = pli_metric_find(b, pli_builtin_unit[which]);
    double n = (double)b->api.n, ns = (double)b->elapsed_ns, nan = __builtin_nan("");
    if (which >= PLI_BYTES && !pli_run.flags.benchmem && !b->show_allocs)
        return nan;
    if (own)
        return own->value;
    if (which >= PLI_BYTES && pli_run.no_allocs)
        return nan;
    switch (which) {
    case PLI_NS:
        return ns / n;
    case PLI_MB:
        return b->bytes > 0 && ns > 0 ? (double)b->bytes * n / 1e6 / (ns / 1e9) : nan;
    case PLI_BYTES: /* whole numbers, rounded down */
        return (double)(b->mem.bytes / b->api.n);
    default:
        return (double)(b->mem.mallocs / b->api.n);
    }
}

/* Prints B/op or allocs/op: whole, also when the body has reported a fraction. */
static void pli_text_count(double x, const char *unit)
{
    int64_t whole = __builtin_fabs(x) < 9e18 ? (int64_t)x : 0;
    printf("\t%8" PRId64 " %s", whole, unit);
}

/* Formats a value with four significant digits, in the width that puts the decimal points of all
   sizes below each other. Room for 352: the largest double has 309 digits.

          1234567 ns/op        from 999.95 on
              123.5 ns/op      from 99.995
               12.35 ns/op     from 9.9995
                1.235 ns/op    and so on, down to seven decimals */
static void pli_value_format(char *out, double x)
{
    static const double least[] = {999.95, 99.995, 9.9995, 0.99995, 0.099995, 0.0099995,
                                   0.00099995};
    int digits = 0;
    while (x != 0 && digits < 7 && !(__builtin_fabs(x) >= least[digits]))
        digits++;
    pli_format_double(out, 352, digits == 0 ? 10 : 11 + digits, digits, x);
}

/* One value and its unit, behind a tab. */
static void pli_text_value(double x, const char *unit)
{
    char text[352];
    pli_value_format(text, x);
    printf("\t%s %s", text, unit);
}

/* Returns what -cpu adds to the name: nothing for one processor. */
static const char *pli_bench_suffix(const pli_bench *b, char out[16])
{
    out[0] = '\0';
    if (b->api.procs != 1)
        snprintf(out, 16, "-%d", b->api.procs);
    return out;
}

/* The name in its column. Go counts characters for the width, bytes for the column. */
static void pli_text_name(const pli_bench *b)
{
    char text[16];
    const char *suffix = pli_bench_suffix(b, text);
    int pad = pli_run.name_width - (int)strlen(suffix);
    for (const char *s = b->name; *s; s++)
        pad -= (*s & 0xc0) != 0x80; /* characters, not bytes */
    printf("%s%s%*s\t", b->name, suffix, pad > 0 ? pad : 0, "");
}

/* The values, in Go's order; what is 0 or not measured is left out. */
static void pli_text_result(const pli_bench *b)
{
    char text[352];
    double ns = pli_builtin_value(b, PLI_NS), mb = pli_builtin_value(b, PLI_MB);
    printf("%8" PRId64, b->api.n);
    if (ns != 0)
        pli_text_value(ns, "ns/op");
    if (mb != 0 && !__builtin_isnan(mb)) {
        pli_format_double(text, sizeof text, 7, 2, mb);
        printf("\t%s MB/s", text);
    }
    for (int i = 0; i < b->metric_count; i++) {
        if (!pli_builtin_is(b->metrics[i].unit))
            pli_text_value(b->metrics[i].value, b->metrics[i].unit);
    }
    for (int i = PLI_BYTES; i <= PLI_ALLOCS; i++) {
        double x = pli_builtin_value(b, i);
        if (!__builtin_isnan(x))
            pli_text_count(x, pli_builtin_unit[i]);
    }
    printf("\n");
}

/* Prints what follows the name: the result, or that it failed; then the log. */
static void pli_text_end(const pli_bench *b)
{
    bool failed = PLI_LOAD(b->failed);
    char suffix[16];
    if (pli_run.flags.verbose && !failed)
        pli_text_name(b); /* otherwise it stands there since before the run */
    if (!failed)
        pli_text_result(b);
    if (failed || b->log_size > 0) {
        printf("--- %s: %s%s\n", failed ? "FAIL" : "BENCH", b->name, pli_bench_suffix(b, suffix));
        pli_bench_log_print(b, failed ? 0 : 10);
    }
}

/* The members of a benchmark that has passed. */
static void pli_json_values(const pli_bench *b)
{
    printf(",\"n\":%" PRId64, b->api.n);
    for (int i = 0; i < PLI_BUILTINS; i++) {
        printf(",\"%s\":", pli_builtin_key[i]);
        pli_json_number(stdout, pli_builtin_value(b, i));
    }
    const char *comma = ",\"metrics\":{"; /* stands before the first, a comma before the others */
    for (int i = 0; i < b->metric_count; i++) {
        if (!pli_builtin_is(b->metrics[i].unit)) {
            printf("%s", comma);
            pli_json_string(stdout, b->metrics[i].unit);
            printf(":");
            pli_json_number(stdout, b->metrics[i].value);
            comma = ",";
        }
    }
    printf("%s}", comma[1] ? comma : ""); /* there was no first */
}

/* One benchmark as an object. */
static void pli_json_end(const pli_bench *b)
{
    bool failed = PLI_LOAD(b->failed);
    printf("{\"type\":\"benchmark\",\"name\":");
    pli_json_string(stdout, b->name);
    printf(",\"procs\":%d,\"failed\":%s", b->api.procs, failed ? "true" : "false");
    if (!failed)
        pli_json_values(b);
    printf(",\"log\":");
    pli_json_string(stdout, b->log);
    printf("}\n");
}

/* Prints one result or failure, counts it, and sends it on its way: a crash of the next benchmark
   must not take it along. */
static void pli_bench_end(const pli_bench *b)
{
    (pli_run.flags.json ? pli_json_end : pli_text_end)(b);
    pli_run.results++;
    if (PLI_LOAD(b->failed) && pli_run.exit_code == 0)
        pli_run.exit_code = 1;
    pli_bench_flush();
}

/* Adds the compiler of the benchmarks to the facts: not the one of this file. */
static void pli_bench_compiler(const pli_machine *m, const pli_bench_entry *entry)
{
    pli_fact(m, "compiler", "%s%s%s", entry->compiler, entry->flags[0] ? ", flags " : "",
             entry->flags);
    while (entry && entry->optimised)
        entry = entry->next; /* one bad file is enough */
    if (entry) {
        pli_warn(m, "compiler", "%s was compiled without optimisation, so that its times say "
                 "little; mend: add -O2", entry->file);
    }
}

/* Prints, once, the lines above the first result. */
static void pli_bench_labels(void)
{
    static const char *const key[] = {"goos", "goarch", "pkg", "cpu"};
    pli_machine *m = &pli_run.machine;
    char cpu[64];
    if (pli_run.labelled)
        return;
    pli_run.labelled = true;
    pli_os_cpu_model(cpu);
    const char *value[] = {pli_os_name(), pli_os_arch(), pli_bench_entries->pkg, cpu};
    printf("%s", m->json ? "{\"type\":\"environment\",\"format\":1" : "");
    for (int i = 0; i < 4; i++) {
        if (m->json) {
            printf(",\"%s\":", key[i]);
            pli_json_string(stdout, value[i]);
        } else if (value[i][0]) { /* as Go does: no line where nothing is known */
            printf("%s: %s\n", key[i], value[i]);
        }
    }
    pli_machine_start(m);
    pli_bench_compiler(m, pli_bench_entries);
    if (pli_run.flags.shuffle.on)
        pli_fact(m, "shuffle", "%" PRId64, pli_run.flags.shuffle.seed);
    if (pli_run.no_allocs)
        pli_fact(m, "allocs", "not counted in this build (static, sanitizer or "
                 "PERFLAB_NO_INTERPOSE): no B/op, no allocs/op");
    printf("%s", m->json ? "}\n" : "");
    pli_bench_flush();
}

/* -- Running -- */

/* Measures one benchmark for one value of -cpu, one of -count times. The name is printed before, so
   that one sees what takes its time, or what crashed. */
static void pli_bench_step(pli_bench *b, int procs, bool first)
{
    b->api.procs = procs;
    if (!pli_run.flags.json && !pli_run.flags.verbose) {
        pli_text_name(b);
        pli_bench_flush();
    }
    if (!first) { /* as new: the first run alone has been made by pli_bench_try */
        b->show_allocs = false;
        b->bytes = 0;
        b->log_size = 0;
        b->log[0] = '\0';
        PLI_STORE(b->failed, 0);
        pli_bench_run_n(b, 1);
    }
    if (!PLI_LOAD(b->failed))
        pli_bench_grow(b);
    pli_bench_end(b);
}

/* All measurements of one benchmark, in Go's order: -cpu outside, -count inside. */
static void pli_bench_measure(pli_bench *b)
{
    pli_bench_labels();
    for (int i = 0; i < pli_run.flags.cpu.count; i++) {
        for (int64_t j = 0; j < pli_run.flags.count && pli_run.exit_code != 2; j++)
            pli_bench_step(b, pli_run.flags.cpu.value[i], i == 0 && j == 0);
    }
}

/* Makes the column of names fit. Names of sub-benchmarks are not known before they run: the column
   grows, with room to spare, as Go's does. */
static void pli_bench_widen(const char *name)
{
    int width = (int)strlen(name) + pli_run.suffix_width + 1;
    if (width > pli_run.name_width)
        pli_run.name_width = width + 8;
}

/* Runs the body with n = 1. Returns whether there is anything more to measure. */
static bool pli_bench_try(pli_bench *b)
{
    pli_bench_widen(b->name);
    pli_bench_run_n(b, 1);
    bool failed = PLI_LOAD(b->failed);
    if (failed) {
        int procs = b->api.procs;
        b->api.procs = 1; /* Go prints this one without -P */
        pli_bench_end(b);
        b->api.procs = procs;
    }
    return !failed && !b->has_sub;
}

/* Runs fn as a benchmark of that name, when the filter lets it; name outlives the run. False: out
   of memory. */
static bool pli_bench_child(pli_bench *parent, const char *name,
                            void (*fn)(pl_bench *b, void *arg), void *arg)
{
    bool partial = false;
    if (pli_run.exit_code == 2 || !pli_filter_match(&pli_run.filter, name, &partial))
        return true;
    pli_bench *b = calloc(1, sizeof *b);
    if (!b)
        return false;
    b->parent = parent;
    b->name = name;
    b->fn = fn;
    b->arg = arg;
    b->api.procs = pli_run.flags.cpu.value[0];
    b->has_sub = partial; /* only sub-benchmarks can match: it is run to find them */
    if (pli_run.flags.verbose && !pli_run.flags.json) {
        pli_bench_labels();
        printf("%s\n", name);
    }
    if (pli_bench_try(b))
        pli_bench_measure(b);
    free(b);
    return true;
}

/* A sub-benchmark runs here and now, inside of its parent's body, whose own run is not measured. */
void pl_bench_run(pl_bench *bench, const char *name, void (*fn)(pl_bench *b, void *arg), void *arg)
{
    pli_bench *b = pli_bench_of(bench);
    char *clean = pli_name_clean(name);
    const char *full = clean ? pli_name_unique(&pli_run.names, b->name, clean) : NULL;
    b->has_sub = true; /* also when the filter leaves it out */
    free(clean);
    if (!full || !pli_bench_child(b, full, fn, arg))
        pl_bench_fail(&b->api, "pl_bench_run: out of memory for \"%s\"", name);
}

/* -- pl_bench_main -- */

/* Says on stderr what went wrong in the benchmark that runs. The line that waits for its result
   is ended first, past stdio: the body may be inside a printf. */
static void pli_bench_broken(const char *name, const char *what)
{
    if (!pli_run.flags.json && write(STDOUT_FILENO, "\n", 1) < 0)
        pli_run.exit_code = 2;
    fprintf(stderr, "perflab: %s %s\n", name ? name : "the harness", what);
}

/* Runs at exit(). One inside a benchmark, or a longjmp out of it to a main that returns, must not
   look like success. */
static void pli_bench_exiting(void)
{
    if (pli_run.current && pli_run.pid == getpid()) {
        fflush(NULL); /* _exit leaves what other handlers would do; the code is worth more */
        pli_bench_broken(pli_run.current, "ended the program (exit, longjmp or pthread_exit); let "
                         "it return, and report faults with pl_bench_fail");
        _exit(1);
    }
}

/* The thread of -timeout sleeps until the time is over or pli_watch.done is set. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
} pli_watch = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

/* pthread_cond_timedwait knows the clock on the wall alone, which may be set: so the time that is
   left is computed anew after each wake-up. */
static void *pli_bench_watch(void *unused)
{
    uint64_t end = pl_now_ns() + (uint64_t)pli_run.flags.timeout_ns, now;
    (void)unused;
    pthread_mutex_lock(&pli_watch.lock);
    while (!pli_watch.done && (now = pl_now_ns()) < end) {
        uint64_t until = pli_os_clock_ns_sig(CLOCK_REALTIME) + (end - now);
        struct timespec t = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_cond_timedwait(&pli_watch.changed, &pli_watch.lock, &t);
    }
    bool late = !pli_watch.done;
    pthread_mutex_unlock(&pli_watch.lock);
    if (late) {
        pli_lock_take(&pli_run.lock); /* for good: the name must not go away */
        pli_bench_broken(pli_run.current, "was running when -timeout was over; raise it, or lower "
                         "-benchtime or -count");
        _exit(2);
    }
    return NULL;
}

/* Returns the registered benchmarks that can match, shuffled when asked for, with
   NULL at the end; NULL when out of memory. */
static pli_bench_entry **pli_bench_order(void)
{
    size_t count = 0;
    for (pli_bench_entry *e = pli_bench_entries; e; e = e->next)
        count++;
    pli_bench_entry **order = calloc(count + 1, sizeof *order);
    uint64_t random = (uint64_t)pli_run.flags.shuffle.seed;
    count = 0;
    for (pli_bench_entry *e = pli_bench_entries; order && e; e = e->next) {
        bool partial;
        if (pli_filter_match(&pli_run.filter, e->name, &partial)) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t at = pli_run.flags.shuffle.on ? (size_t)(random >> 33) % (count + 1) : count;
            order[count++] = order[at]; /* what stood there moves to the end, where there ... */
            order[at] = e;              /* ... was nothing; all orders are equally likely */
        }
    }
    return order;
}

/* Sets the width of the column of names, by Go's rule: as if each had a sub-benchmark whose name is
   as long as the widest -P. */
static void pli_bench_columns(pli_bench_entry **order)
{
    char suffix[16];
    int most = 1;
    for (int i = 0; i < pli_run.flags.cpu.count; i++) {
        int procs = pli_run.flags.cpu.value[i];
        most = procs > most ? procs : most;
    }
    pli_run.suffix_width = most == 1 ? 0 : snprintf(suffix, sizeof suffix, "-%d", most);
    for (; *order; order++) {
        int width = (int)strlen((*order)->name) + 2 * pli_run.suffix_width + 1;
        pli_run.name_width = width > pli_run.name_width ? width : pli_run.name_width;
    }
}

/* Runs every benchmark that matches; false when out of memory. */
static bool pli_bench_all(void)
{
    pli_bench_entry **order = pli_bench_order();
    bool enough = order != NULL;
    if (enough)
        pli_bench_columns(order);
    for (int i = 0; enough && order[i]; i++)
        enough = pli_bench_child(NULL, order[i]->name, order[i]->fn, NULL);
    free(order);
    return enough;
}

/* Prints the last lines, and a warning when nothing was run. */
static void pli_bench_finish(void)
{
    const pli_machine *m = &pli_run.machine;
    const char *pass = pli_run.exit_code == 0 ? "true" : "false";
    bool nothing = pli_run.results == 0 && pli_run.exit_code == 0;
    if (nothing && pli_bench_entries)
        fprintf(stderr, "perflab: warning: no benchmarks to run: none matches -bench \"%s\"; -list "
                        "prints their names\n", pli_run.flags.bench);
    else if (nothing)
        fprintf(stderr, "perflab: warning: no benchmarks to run: the program has none; write one "
                        "with PL_BENCH(Name)\n");
    if (m->json)
        printf("{\"type\":\"end\",\"passed\":%s,\"results\":%d", pass, pli_run.results);
    if (pli_run.labelled)
        pli_machine_end(m);
    printf("%s\n", m->json ? "}" : pli_run.exit_code == 0 ? "PASS" : "FAIL");
    pli_bench_flush();
}

/* Prints the names that match -list. */
static void pli_bench_list(void)
{
    for (pli_bench_entry *e = pli_bench_entries; e; e = e->next) {
        bool partial;
        if (pli_filter_match(&pli_run.filter, e->name, &partial))
            printf("%s\n", e->name);
    }
    pli_bench_flush();
}

/* Starts what -cpuprofile asks for; false when it has reported a fault. */
static bool pli_bench_profile_start(void)
{
    const char *path = pli_run.flags.cpuprofile;
    pl_result result = path ? pl_cpu_start(&(pl_cpu_desc){.path = path, .gated = 1}) : PL_OK;
    if (result != PL_OK) {
        fprintf(stderr, "perflab: -cpuprofile %s: %s; %s\n", path, pl_result_str(result),
                result == PL_BUSY ? "leave cpu= out of PERFLAB" :
                result == PL_IO ? "name a file in a folder that can be written to" :
                "run without it");
        pli_run.exit_code = 2;
    }
    return result == PL_OK;
}

/* Writes the profile, if there is one. */
static void pli_bench_profile_stop(void)
{
    const char *path = pli_run.flags.cpuprofile;
    pl_result result = path ? pl_cpu_stop() : PL_OK;
    if (result != PL_OK) {
        fprintf(stderr, "perflab: -cpuprofile %s: %s\n", path, pl_result_str(result));
        pli_run.exit_code = 2;
    }
}

/* Runs all under the eye of -timeout. */
static void pli_bench_guarded(void)
{
    pthread_t watch;
    bool watched = pli_run.flags.timeout_ns > 0;
    pli_watch.done = false;
    if (watched && pthread_create(&watch, NULL, pli_bench_watch, NULL) != 0) {
        fprintf(stderr, "perflab: no thread can be started for -timeout; raise ulimit -u\n");
        pli_run.exit_code = 2;
        return;
    }
    if (!pli_bench_profile_start())
        return;
    if (!pli_bench_all()) {
        fprintf(stderr, "perflab: out of memory for the benchmarks; raise ulimit -v\n");
        pli_run.exit_code = 2;
    }
    pli_bench_profile_stop();
    if (watched) {
        pthread_mutex_lock(&pli_watch.lock);
        pli_watch.done = true;
        pthread_cond_signal(&pli_watch.changed);
        pthread_mutex_unlock(&pli_watch.lock);
        pthread_join(watch, NULL);
    }
    pli_bench_finish();
}

/* Compiles the expressions; false when it has reported a fault. */
static bool pli_bench_filters(void)
{
    const pli_flags *f = &pli_run.flags;
    bool good = pli_filter_init(&pli_run.filter, "run", f->run); /* checked, not used */
    pli_filter_free(&pli_run.filter);
    return good && pli_filter_init(&pli_run.filter, f->list ? "list" : "bench",
                                   f->list ? f->list : f->bench);
}

/* Reads the flags and does what they ask for. */
static void pli_bench_session(char **argv)
{
    pli_run.flags = (pli_flags){.bench = "", .run = "", .count = 1, .time.ns = 1000000000,
                                .cpu = {1, {pli_os_cpu_count()}}};
    pli_run.no_allocs = !pli_malloc_in_charge();
    pli_run.pid = getpid();
    if (!pli_flags_parse(&pli_run.flags, argv) || !pli_bench_filters()) {
        pli_run.exit_code = 2;
        return;
    }
    pli_run.machine = (pli_machine){.out = stdout, .json = pli_run.flags.json};
    if (pli_run.flags.help) {
        pli_flags_usage();
        pli_bench_flush();
    } else if (pli_run.flags.list) {
        pli_bench_list();
    } else {
        pli_bench_guarded();
    }
    pli_filter_free(&pli_run.filter);
    pli_name_free(&pli_run.names);
}

/* argv ends with NULL: argc says nothing more. */
int pl_bench_main(int argc, char **argv)
{
    static bool guarded;
    (void)argc;
    memset(&pli_run, 0, sizeof pli_run); /* it may be called more than once */
    if (!guarded)
        guarded = atexit(pli_bench_exiting) == 0;
    pli_bench_session(argv);
    return pli_run.exit_code;
}

/* ==== >>env ======================================================================================
   Any program that has perflab in it, linked or preloaded, does what PERFLAB says:

       PERFLAB=cpu=cpu.pb.gz,hz=1000 ./program

   key=value, separated by commas. What is collected is written when the program ends: by exit, by
   _exit, or by SIGTERM, SIGINT or SIGHUP if it does not handle them itself. The last ways may come
   from within anything, malloc included; writing then does without malloc and without waiting for
   locks.

   The first process writes to the file as named. Its children, forked or executed, write to
   FILE.PID, if they used any time; %p in the name is the process's number, for all. So that an
   executed child knows that it is one, its parent adds `,parent=PID` to PERFLAB. */

/* How programs end, and who writes then:

       return from main, exit      the destructor below, after the program's own exit handlers
       _exit, _Exit, quick_exit's  the hook of _exit: may be inside a signal handler, so it takes
       last step                   the way for emergencies
       SIGTERM, SIGINT, SIGHUP     a handler, if the program has none; then the signal again, so
                                   that the parent sees what it would have seen
       exec                        nobody: the new program begins its own profile, in the same file
       SIGKILL, a crash            nobody

   Children come in three kinds. A fork's child has a copy of everything: it forgets the samples,
   and starts again under a name with its number. A child that was executed starts as any program
   does, finds parent= in PERFLAB with a number that is not its own, and so knows that the first
   name is taken; a program that only replaced itself (exec without fork) finds its own number
   there, and may use it. A vfork's child shares its parent's memory until it executes something:
   whatever it calls here must leave that memory alone, which comparing process numbers makes sure
   of. */

#if PLI_LINUX && !defined(PERFLAB_NO_ENV)

#define PLI_ENV_IGNORE 32

static struct {
    char cpu[4096];    /* as given, but absolute; "": no profile */
    int64_t hz, parent;
    int64_t leakcheck, leakexit;            /* 1: lost blocks, 2: all; the exit code, 0: as it is */
    const char *ignore[PLI_ENV_IGNORE + 1]; /* for the leak check */
    pl_leak_baseline mark;
    bool started, child;
    uint32_t finish;   /* PLI_FINISH_...; atomic */
    int finisher;      /* the thread that writes */
    int fatal;         /* a signal that came meanwhile and is to end the program; atomic */
} pli_env;

enum { PLI_FINISH_NOT, PLI_FINISH_WRITING, PLI_FINISH_DONE };

/* Says on descriptor 2 what is wrong with PERFLAB, in one line. */
static void pli_env_complain(const char *what, const char *detail, const char *more)
{
    char line[512];
    int size = snprintf(line, sizeof line, "perflab: PERFLAB: %s%.400s%s\n", what, detail, more);
    ssize_t n = write(2, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
    (void)n;
}

/* A number within its range. What is wrong is said with the range, so that one look mends it; the
   key's default stays then. */
static bool pli_env_number(const char *key, const char *value, int64_t least, int64_t most,
                           int64_t *out)
{
    if (pli_parse_int64(value, least, most, out))
        return true;
    char range[80];
    snprintf(range, sizeof range, "' is not a number from %lld to %lld", (long long)least,
             (long long)most);
    pli_env_complain(key, value, range);
    return false;
}

/* Adds a name to those whose leaks are none. */
static bool pli_env_ignore(const char *name)
{
    int count = 0;
    while (pli_env.ignore[count])
        count++;
    const char *kept = count < PLI_ENV_IGNORE ? pli_keep_text(name) : NULL;
    if (!kept)
        pli_env_complain("leakignore=", name, ": too many names");
    pli_env.ignore[count] = kept;
    return kept != NULL;
}

/* One key and its value; false when something is wrong, which has been said. */
static bool pli_env_set(const char *key, const char *value)
{
    if (strcmp(key, "hz") == 0)
        return pli_env_number("hz='", value, 1, PLI_CPU_HZ_MAX, &pli_env.hz);
    if (strcmp(key, "parent") == 0)
        return pli_env_number("parent='", value, 1, INT32_MAX, &pli_env.parent);
    if (strcmp(key, "leakcheck") == 0)
        return pli_env_number("leakcheck='", value, 0, 2, &pli_env.leakcheck);
    if (strcmp(key, "leakexit") == 0)
        return pli_env_number("leakexit='", value, 0, 255, &pli_env.leakexit);
    if (strcmp(key, "leakignore") == 0)
        return pli_env_ignore(value);
    if (strcmp(key, "cpu") != 0) {
        pli_env_complain("unknown key '", key, "'; known are: cpu hz leakcheck leakexit "
                         "leakignore");
        return false;
    }
    pl_result result = *value ? pli_path_absolute(pli_env.cpu, sizeof pli_env.cpu, value) :
                       PL_INVALID;
    if (result != PL_OK) {
        pli_env_complain("cpu=", value, result == PL_IO ? ": its folder cannot be written to" :
                         ": write cpu=FILE");
        pli_env.cpu[0] = '\0';
    }
    return result == PL_OK;
}

/* Reads key=value,key=value; goes on after an error. */
static void pli_env_parse(const char *text)
{
    char pair[4096];
    while (*text) {
        size_t size = strcspn(text, ",");
        snprintf(pair, sizeof pair, "%.*s", (int)size, text);
        char *value = strchr(pair, '=');
        if (value)
            *value++ = '\0';
        if (*pair)
            pli_env_set(pair, value ? value : "");
        text += size + (text[size] == ',');
    }
}

/* The file of this process: %p is its number, and a child without %p appends it. */
static void pli_env_path(char *out, size_t size)
{
    const char *mark = strstr(pli_env.cpu, "%p");
    if (mark)
        snprintf(out, size, "%.*s%d%s", (int)(mark - pli_env.cpu), pli_env.cpu, (int)getpid(),
                 mark + 2);
    else if (pli_env.child)
        snprintf(out, size, "%s.%d", pli_env.cpu, (int)getpid());
    else
        snprintf(out, size, "%s", pli_env.cpu);
}

/* Stops and writes. In an emergency without malloc. */
static void pli_env_write(bool emergency)
{
    if (!pli_cpu_end_at_exit(emergency) || (pli_env.child && pli_cpu.ticks == 0))
        return;
    pl_result result = pli_profile_save("cpu", pli_cpu.path, emergency);
    if (result != PL_OK)
        pli_env_complain(pli_cpu.path, ": ", pl_result_str(result));
}

/* Ends the program by a signal, as if perflab had not held it up. */
static void pli_env_die(int number)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    pli_libc_action(number, &action, NULL);
    pli_os_unblock(number);
    raise(number);
}

/* Has this thread write, if none does yet. A child that shares its parent's memory (vfork) has
   nothing to write. */
static bool pli_env_claim(void)
{
    uint32_t expected = PLI_FINISH_NOT;
    if (!pli_env.started || PLI_LOAD(pli_cpu.pid) != getpid() ||
        !__atomic_compare_exchange_n(&pli_env.finish, &expected, PLI_FINISH_WRITING, 0,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    PLI_STORE(pli_env.finisher, pli_os_tid_sig());
    return true;
}

/* A signal that meant to end the program while the file was written does so now. */
static void pli_env_finish(bool emergency)
{
    pli_env_write(emergency);
    __atomic_store_n(&pli_env.finish, PLI_FINISH_DONE, __ATOMIC_SEQ_CST);
    int fatal = __atomic_load_n(&pli_env.fatal, __ATOMIC_SEQ_CST);
    if (fatal)
        pli_env_die(fatal);
}

/* The program ends in this thread: once it does, the file would stay half written. Another thread
   that writes is waited for, at most ten seconds, since this one may hold what it needs. */
static void pli_env_end(bool emergency)
{
    if (pli_env_claim()) {
        pli_env_finish(emergency);
        return;
    }
    if (PLI_LOAD(pli_cpu.pid) != getpid() || PLI_LOAD(pli_env.finisher) == pli_os_tid_sig())
        return;
    for (int i = 0; i < 100000 && PLI_LOAD(pli_env.finish) == PLI_FINISH_WRITING; i++)
        pli_os_nap();
}

/* Ends the program at once when it has leaks and that is asked for: what other destructors would
   still do is left out, but for writing what stdio has. */
static void pli_env_check_leaks(void)
{
    /* What a program still can reach at its end is usually meant to be there. */
    pl_leak_desc desc = {.ignore = pli_env.ignore, .lost_only = pli_env.leakcheck == 1};
    if (pli_env.leakcheck == 0)
        return;
    int64_t leaks = pl_leak_check(&pli_env.mark, &desc, stderr);
    if (leaks < 0)
        pli_env_complain("leakcheck: ", pl_result_str((pl_result)-leaks), "");
    if (leaks > 0 && pli_env.leakexit > 0) {
        fflush(NULL);
        _exit((int)pli_env.leakexit);
    }
}

/* Destructors run after what the program has registered with atexit, whose time counts too. */
__attribute__((destructor)) static void pli_env_at_exit(void)
{
    pli_env_end(false);
    pli_env_check_leaks();
}

/* Ends the program by the same signal, after the profile is written. If somebody is at that
   already, maybe what this handler has interrupted, he is left to do both. */
static void pli_env_on_signal(int number)
{
    if (pli_env_claim())
        pli_env_finish(true);
    if (PLI_LOAD(pli_cpu.pid) == getpid()) /* else the memory is the parent's */
        __atomic_store_n(&pli_env.fatal, number, __ATOMIC_SEQ_CST);
    if (PLI_LOAD(pli_cpu.pid) != getpid() ||
        __atomic_load_n(&pli_env.finish, __ATOMIC_SEQ_CST) != PLI_FINISH_WRITING)
        pli_env_die(number);
}

/* Only where the program has no handler, and nobody has it ignored (nohup). */
static void pli_env_handle(int number)
{
    struct sigaction now;
    if (pli_libc_action(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        pli_libc_action(number, &pli_farewell, NULL);
}

/* From now on the program's calls of sigaction are seen through pli_farewell. */
static void pli_env_handle_all(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = pli_env_on_signal;
    sigfillset(&action.sa_mask);
    pli_farewell = action;
    pli_env_handle(SIGTERM);
    pli_env_handle(SIGINT);
    pli_env_handle(SIGHUP);
}

/* PERFLAB's place in the environment, or NULL. Some programs have a setenv and a getenv of their
   own, which cannot be called before main has begun (bash). */
static char **pli_env_place(void)
{
    for (char **place = environ; place && *place; place++)
        if (strncmp(*place, "PERFLAB=", 8) == 0)
            return place;
    return NULL;
}

/* Leaves a note for the programs that this one will execute: PERFLAB as it was understood, with the
   file's whole path, since they may run elsewhere. Written into the environment's own array, not by
   setenv: shells pass on what main was given. */
static void pli_env_mark(char **place)
{
    size_t size = strlen(pli_env.cpu) + strlen(*place) + 80;
    char *note = pli_keep(size);
    if (!note)
        return;
    int used = snprintf(note, size, "PERFLAB=cpu=%s,hz=%d,parent=%d", pli_env.cpu, pli_cpu.hz,
                        (int)getpid());
    /* What else was asked for holds for those programs too. */
    for (const char *pair = *place + strlen("PERFLAB="); pair; pair = strchr(pair, ',')) {
        pair += *pair == ',';
        if (strncmp(pair, "leak", 4) == 0)
            used += snprintf(note + used, size - (size_t)used, ",%.*s", (int)strcspn(pair, ","),
                             pair);
    }
    *place = note;
}

/* A fork's child goes on with a profile of its own. The modules are the parent's. */
static void pli_env_fork_child(pli_thread *t)
{
    (void)t;
    if (pli_env.leakcheck)
        pl_leak_mark(&pli_env.mark); /* what the parent has made is not the child's */
    if (!pli_env.started)
        return;
    pli_env.child = true;
    pli_env.finish = PLI_FINISH_NOT;
    pli_env.finisher = pli_env.fatal = 0;
    pli_env_path(pli_cpu.path, sizeof pli_cpu.path);
    if (pli_sites_open(&pli_cpu.sites, PLI_CPU_BUFFER) == PL_OK)
        pli_cpu_begin();
}

static const pli_thread_hooks pli_env_hooks = {NULL, NULL, NULL, NULL, pli_env_fork_child};

/* Starts the profile that PERFLAB asks for. Handlers and the note to children come after it has
   worked: a program whose profile cannot be taken runs as if PERFLAB were not there. */
static void pli_env_start_cpu(char **place)
{
    char path[4096 + 16];
    pli_env.child = pli_env.parent != 0 && pli_env.parent != getpid();
    pli_env_path(path, sizeof path);
    pl_result result = pl_cpu_start(&(pl_cpu_desc){.hz = (int)pli_env.hz, .path = path});
    if (result != PL_OK) {
        pli_env_complain("cpu=", path, pl_result_str(result));
        return;
    }
    pli_env.started = true;
    if (pli_env.parent == 0)
        pli_env_mark(place);
    pli_env_handle_all();
}

/* As early as constructors run: blocks from before are not recorded. */
static void pli_env_start_leaks(void)
{
    pl_result result = pl_leak_mark(&pli_env.mark);
    if (result == PL_OK)
        return;
    pli_env_complain("leakcheck: ", pl_result_str(result), "");
    pli_env.leakcheck = 0;
}

/* Programs that run with more rights than their user ignore the user's wishes. */
__attribute__((constructor)) static void pli_env_start(void)
{
    char **place = getauxval(AT_SECURE) ? NULL : pli_env_place();
    if (!place)
        return;
    pli_env_parse(*place + strlen("PERFLAB="));
    if (pli_env.leakcheck)
        pli_env_start_leaks();
    if (pli_env.cpu[0])
        pli_env_start_cpu(place);
    if (pli_env.leakcheck || pli_env.started)
        pli_collector_add(&pli_env_hooks);
}

#if PLI_INTERPOSE

/* The end of a program that skips its exit handlers. */
PLI_HOOK __attribute__((noreturn)) void _exit(int status)
{
    pli_env_end(true);
    for (;;)
        syscall(SYS_exit_group, status);
}

PLI_HOOK __attribute__((noreturn)) void _Exit(int status)
{
    _exit(status);
}

#endif /* PLI_INTERPOSE */
#endif /* PLI_LINUX && !PERFLAB_NO_ENV */

#endif /* PERFLAB_IMPL_DONE */
#endif /* PERFLAB_IMPL */
