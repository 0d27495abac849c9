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
       >>event       records of what has a time, in chunks of a pool
       >>record      what a trace records, and where: regions, tasks, logs, counters, waits
       >>cpu         the sampler: one CPU clock timer a thread
       >>heap        exact counts of the heap, per thread and summed up
       >>live        which blocks are live, and who made them
       >>malloc      the interposed entry points: malloc and its family, operator new and delete
       >>allocs      the heap profile: what is live, what was made, and by whom
       >>limit       how much memory a program may have, and whether it grows
       >>sync        where threads wait for one another: block and mutex profiles
       >>elf         programs and libraries as files, and in memory: their tables of symbols
       >>symbol      names for addresses
       >>gzip        growing buffers, compression of what leaves, decompression of what is read
       >>dwarf       debug information: units, entries, ranges
       >>line        line tables and inlined calls
       >>frame       function, file and line of an address
       >>pprof       profiles as the protobuf that other tools read
       >>text        profiles as text
       >>profile     from a name to bytes and files; what happened since a snapshot
       >>own         profiles of what a program holds, made by itself
       >>stack       the calling thread's own stack
       >>stacks      where every thread is, without disturbing any
       >>waits       what threads wait for, and who waits for ever
       >>dump        the stacks of all threads, as text and as profiles
       >>crash       what a program says before it dies of a fault
       >>leak        what was made since a mark and is still there
       >>machine     facts that explain a measurement, and what mends a noisy machine
       >>flags       the command line of a benchmark program
       >>bench       one benchmark: timer, metrics, growth of n, threads
       >>benchmain   which benchmarks run, and what is printed of them
       >>http        /debug/pprof/: what is answered
       >>page        the same for people: one page
       >>request     what is asked for: addresses, the bytes of clients, and who may ask
       >>server      a small HTTP server
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

       Stack:          pl_stack_write(stderr);           all threads: pl_stacks_write(stderr);

       Crashes:        pl_crash_install();   or, without a call: PERFLAB=crash=all ./program

       Benchmarks:     PL_BENCH(Sum) { int x = 7; PL_HIDE(x);
                                       PL_LOOP(b) { PL_KEEP(sum(x)); } }
                       PL_BENCH_MAIN()
                       ./program -bench Sum -benchmem -count 10      (-help lists the flags)

       CPU profile:    pl_cpu_start(NULL);  work();  pl_cpu_stop();
                       pl_profile_save("cpu", "cpu.pb.gz");
                       go tool pprof -top program cpu.pb.gz

       Heap profile:   pl_heap_rate_set(524288);  work();
                       pl_profile_save("heap", "heap.pb.gz");       what is live, and who made it
                       go tool pprof -sample_index=alloc_space program heap.pb.gz

       Own profile:    pl_profile *open_files = pl_profile_new("files");
                       pl_profile_add(open_files, file, 0);  use(file);
                       pl_profile_remove(open_files, file);

       Memory limit:   pl_memlimit_set(800 << 20, empty_caches, NULL, 1 << 30);

       HTTP:           pl_http_start(NULL);                         (see OVER HTTP)

       Waiting:        pl_block_rate_set(1);  pl_mutex_fraction_set(1);  work();
                       pl_profile_save("mutex", "mutex.pb.gz");     who lets others wait
                       pl_profile_save("block", "block.pb.gz");     who waits

       Stacks:         void *pcs[32];  pl_frame f;
                       int depth = pl_callers(0, pcs, 32);
                       for (int i = 0; i < depth; i++) {
                           pl_symbolize(pcs[i], &f);
                           printf("%s+%zu %s:%d\n", f.function, f.offset,
                                  f.file ? f.file : "?", f.line);
                       }

   PROFILES
       Every program that has perflab.o in it, or runs with LD_PRELOAD=libperflab.so, takes a
       profile of itself when it is asked to:

           $ PERFLAB=cpu=cpu.pb.gz,hz=1000 ./program
           $ python3 -m graders top cpu.pb.gz            or: go tool pprof -http=: program cpu.pb.gz

       cpu=FILE         a CPU profile of all threads
       hz=N             samples a second of CPU time, 1 to 10,000; 100
       heap=FILE        who allocated what is live, and what was ever allocated
       heaprate=BYTES   one byte in so many is chosen, and its block; 524288; 1: every block
       block=FILE       where threads waited for one another
       blockrate=NS     waits from this length on, of shorter ones a sample; 1
       mutex=FILE       who held what others waited for
       mutexfraction=N  one in so many; 1
       signal=USR2      write the files now, when this signal comes, and go on
       heaptrace=N      every N seconds a line on stderr: what is live, is it growing
       crash=LEVEL      what is said of a crash: none, single (the thread), all (all threads), core
                        (all, and a core file as large as the system allows)
       http=ADDRESS     all of these over HTTP, while the program runs: see OVER HTTP. Children have
                        the port only where the address ends in :0, or is a socket with %p in it
       httptoken=TOKEN  only who sends it in Authorization: Bearer TOKEN is answered
       memlimit=N       malloc fails beyond so many bytes (k, m, g may follow), or those of the
                        control group: cgroup. Nine tenths are said on stderr
       Files are written when the program ends: by exit, by _exit, or by a SIGTERM, SIGINT or SIGHUP
       that it does not handle. %p in a name is the number of the process; children without it
       append .PID. The heap's rate may be given without a file: for the calls below.
       A file is a gzipped pprof profile (profile.proto), which Go's tools, Parca, Pyroscope and
       speedscope read. Functions, source lines and inlined calls are found by perflab itself, the
       latter two in the debug information of what was compiled with -g, or in separate debug files.
       -cpuprofile FILE does the same for what benchmarks time.

   OVER HTTP
       A program that calls pl_http_start(NULL), or runs with PERFLAB=http=127.0.0.1:6060 (add
       blockrate=1,mutexfraction=1 for waits), shows all its profiles while it runs, in a browser
       at http://127.0.0.1:6060/, and to whatever reads the profiles of Go programs:

           $ go tool pprof http://127.0.0.1:6060/debug/pprof/profile?seconds=10
           $ go tool pprof http://127.0.0.1:6060/debug/pprof/heap
           $ curl 'http://127.0.0.1:6060/debug/pprof/goroutine?debug=2'

       Only this machine may ask, under its own names, unless pl_http_desc says otherwise. The heap
       profile is switched on with it, at 512 KiB; block and mutex by their own calls.

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
       PERFLAB_NO_HTTP        no /debug/pprof/: pl_http_start says PL_UNSUPPORTED
       where benchmarks are compiled:
       PERFLAB_PKG            the name in the `pkg:` line of their output, a string; no line
       PERFLAB_FLAGS          the compiler's flags, a string, for the environment block; none

   THREADS AND SIGNALS
       Every public function says in its comment which threads may call it and whether a signal
       handler may. What is kept per thread is written by that thread alone; readers sum up. After
       fork, the child goes on with the heap it inherited and one thread. A CPU profile uses SIGPROF
       and one timer a thread; sleeping threads are not woken, and a handler of the program's own
       for SIGPROF keeps its signals. So do the stacks of all threads, for those that compute; the
       others are seen from outside. No wait ends with EINTR for either.

   ERRORS
       Every call that can fail returns a pl_result; PL_OK is 0; pl_result_str names it. There is no
       global last error. When memory for perflab's own use runs out, counting goes on, more slowly.

   COST
       Measured side by side in bench/README.md, here on one machine (AMD EPYC, gcc 12): pl_ticks
       1.00 times the bare instruction; an iteration of PL_LOOP 1.00 times a dec/jnz loop; exact
       statistics of a malloc and free pair 1.07 to 1.17 times plain glibc when linked, 1.11 to 1.37
       when preloaded, 1.4 ns more with the heap profile at 512 KiB, 67 ns with the exact one; an
       uncontended lock and unlock 0.3 ns more, 1.18 times with both profiles on; including the
       header 4 ms of compile time, implementing it 1 s. The CPU
       profile is within 0.3 % of the process's clock with 1 to 64 threads at 100 to 10,000 Hz; a
       sample of 32 frames takes 0.4 us in the handler; starting, stopping and writing 2 ms; the
       first source line of a program with 3 MB of debug information 4.6 ms, the same again 0.6 us;
       the program's own CPU time is 1.001 times at 100 and 1.002 times at 1000 Hz (noise: 0.998 to
       1.006).

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

   HOW IT FITS TOGETHER
       All profiles take the same way, and what is written here once holds for each of them:

           something happens      a tick of a thread's CPU clock, a malloc, a wait, a call of
              │                   pl_profile_add                >>cpu >>malloc >>sync >>own
              ▼
           a stack is walked      from registers and tables, without a lock and without memory:
              │                   a signal handler may do it    >>unwind on >>cfi on >>module
              ▼
           a site counts          one table a profile: stack, labels, size ──► up to four values;
              │                   lock-free, bounded, what does not fit is counted as lost
              ▼                                                 >>site
           a view                 which values are meant, what they are called, what they were at
              │                   a snapshot before             >>profile
              ▼
           names                  functions of addresses, long after the event, outside of any
              │                   hot path                      >>symbol on >>elf
              ▼
           a file or a text       protobuf for tools, lines for people   >>pprof >>text

       Exact counts of the heap need no stacks, and live in two words a thread (>>heap). Benchmarks
       read them, and open and close the gates of the profiles (>>bench). PERFLAB starts all this in
       a program that makes no call (>>env).

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

/* pl_heap_rate_set has the profiles "heap" and "allocs" keep one allocated byte in `bytes`, at
   random, and its block in place of all that were as likely; 1 keeps every block and is exact, 0
   keeps no further ones, as at first. 524288 is Go's rate, and costs 1.4 ns a block; 1 costs about
   70 ns where the same calls allocate again, 16 functions deep (bench/README.md). Stacks are kept
   128 functions deep. Rounded down to a power of two. What was kept before stays
   right. Blocks from before the first call are not known. Threads: any. Signal-safe: no. */
void pl_heap_rate_set(int64_t bytes);

/* pl_memlimit_set calls over_soft (NULL: nobody) when the live bytes of the heap come to be more
   than soft_bytes, in the thread that asks for them, before it gets them; again when they have gone
   down by an eighth in between. So a program can empty its caches. Beyond hard_bytes malloc and its
   family fail with ENOMEM: to try what a program does then. 0: no limit; both 0: none any more.
   PERFLAB=memlimit=64m sets a hard limit, and has it said on stderr when nine tenths are in use.
   Errors: PL_INVALID when a limit is negative, PL_UNSUPPORTED where blocks are not counted.
   Threads: any; over_soft may allocate and free. Signal-safe: no. */
pl_result pl_memlimit_set(int64_t soft_bytes, void (*over_soft)(int64_t live_bytes, void *user),
                          void *user, int64_t hard_bytes);

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

/* -- Execution trace ---------------------------------------------------------------------------

   When, not only where: regions of code, tasks that pass from thread to thread, logs and counters
   on one time line, with what each thread was doing in between. A trace is a file for Perfetto
   (https://ui.perfetto.dev) and for `python3 -m graders trace FILE`. While it is taken the newest
   events are kept in a fixed amount of memory, in FILE.ring: it is there even after kill -9, and
   `python3 -m graders trace --recover FILE.ring` makes a trace of it.

       pl_trace_start(NULL);
       PL_REGION("parse") { parse(input); }
       pl_trace_stop();                                       writes trace.pftrace

   Names that are called literals are kept by their address: give string literals, or what stays as
   it is for as long as the program runs. All other texts are copied. */

/* What a trace leaves out. */
#define PL_TRACE_NO_WAITS 1u    /* what threads wait for */
#define PL_TRACE_NO_STATES 2u   /* when they run, and wait for a processor */
#define PL_TRACE_NO_COUNTERS 4u /* the heap, and how many threads there are */

/* Options; zero is the default for each. */
typedef struct pl_trace_desc {
    const char *path;    /* of the trace; default "trace.pftrace". While it is taken: path.ring */
    size_t buffer_bytes; /* of path.ring, 256 KiB to 4 GiB; default 64 MiB */
    unsigned leave_out;  /* PL_TRACE_NO_..., or'ed */
} pl_trace_desc;

/* pl_trace_start begins a trace of all threads; NULL for the defaults. Room for all of it is taken
   now, on the disk and in memory. Errors: PL_BUSY when one is being taken, PL_INVALID for options
   out of range, PL_IO when path.ring cannot be written (the disk is full, no such folder),
   PL_NOMEM, PL_UNSUPPORTED outside Linux, on 32-bit machines, and with PERFLAB_NO_TRACE. Threads:
   any. Signal-safe: no. */
pl_result pl_trace_start(const pl_trace_desc *desc);

/* pl_trace_stop ends the trace and writes it. What was begun and has not ended then is in it, too,
   marked as unclosed. Errors: PL_INVALID when none is being taken; PL_IO, PL_NOMEM: path.ring is
   kept then. Threads: any. Signal-safe: no. */
pl_result pl_trace_stop(void);

/* pl_trace_on is not 0 while anything is traced. Not to be written to; what follows looks at it
   first, and costs no more while it is 0. */
extern uint32_t pl_trace_on;

/* PL_REGION("name") { ... } marks the time that this thread spends in the block. Regions nest.
   `return` out of the block is right; break and continue leave only the block. The name is a
   literal. Costs two clock reads and a few nanoseconds while a trace is taken.
   Threads: any. Signal-safe: yes. */
#define PL_REGION(name)                                                                            \
    for (PLI_REGION_VARIABLE(PLI_PASTE(pli_region_, __LINE__), name);                              \
         !PLI_PASTE(pli_region_, __LINE__).done; PLI_PASTE(pli_region_, __LINE__).done = 1)

/* PL_REGION_SCOPE("name"); does the same until the end of the enclosing block. */
#define PL_REGION_SCOPE(name) PLI_REGION_VARIABLE(PLI_PASTE(pli_region_, __LINE__), name)

/* A piece of work that takes many steps, in one thread or several: a request, a job. */
typedef struct pl_task { uint64_t id; } pl_task;

/* PL_NO_TASK is the parent of a task that is part of no other. */
#define PL_NO_TASK pli_task_of(0)

/* PL_TASK(t) { ... } says that this thread works for the task inside the block. As PL_REGION.
   Threads: any. Signal-safe: yes. */
#define PL_TASK(t)                                                                                 \
    for (pli_trace_scope PLI_PASTE(pli_task_, __LINE__)                                            \
             __attribute__((cleanup(pli_task_leave), unused)) = pli_task_enter(t);                 \
         !PLI_PASTE(pli_task_, __LINE__).done; PLI_PASTE(pli_task_, __LINE__).done = 1)

#define PLI_REGION_VARIABLE(variable, name)                                                        \
    pli_trace_scope variable __attribute__((cleanup(pli_region_leave), unused)) =                  \
        pli_region_enter(name)

/* What the macros and functions below expand to. Not to be called by hand. */
typedef struct pli_trace_scope { uint64_t id; int on, done; } pli_trace_scope;
void pli_region_begin(const char *literal);
void pli_region_begin_copy(const char *name);
void pli_region_end(void);
void pli_trace_instant(const char *name);
void pli_trace_counter(const char *name, double value);
void pli_flow(int out, const char *name, uint64_t id);
uint64_t pli_task_begin(const char *name, uint64_t parent);
void pli_task_end(uint64_t id);
void pli_task_work(int enter, uint64_t id);

#define PLI_TRACED() (__builtin_expect(__atomic_load_n(&pl_trace_on, __ATOMIC_RELAXED) != 0, 0))
#define PLI_INLINE __attribute__((unused)) static inline

PLI_INLINE pl_task pli_task_of(uint64_t id)
{
    pl_task t;
    t.id = id;
    return t;
}

/* A trace that starts inside of a region does not know it, and does not see it end. */
PLI_INLINE pli_trace_scope pli_region_enter(const char *name)
{
    pli_trace_scope scope = {0, 0, 0};
    if (PLI_TRACED()) {
        scope.on = 1;
        pli_region_begin(name);
    }
    return scope;
}

PLI_INLINE void pli_region_leave(pli_trace_scope *scope)
{
    if (scope->on)
        pli_region_end();
}

PLI_INLINE pli_trace_scope pli_task_enter(pl_task t)
{
    pli_trace_scope scope = {0, 0, 0};
    if (PLI_TRACED() && t.id) {
        scope.on = 1, scope.id = t.id;
        pli_task_work(1, t.id);
    }
    return scope;
}

PLI_INLINE void pli_task_leave(pli_trace_scope *scope)
{
    if (scope->on)
        pli_task_work(0, scope->id);
}

/* pl_region_begin begins a region where no block can; its name is a literal.
   Threads: any. Signal-safe: yes. */
PLI_INLINE void pl_region_begin(const char *literal)
{
    if (PLI_TRACED())
        pli_region_begin(literal);
}

/* pl_region_begin_copy does the same with a name of any kind, which is copied: at most some
   nanoseconds a byte more. Threads: any. Signal-safe: yes. */
PLI_INLINE void pl_region_begin_copy(const char *name)
{
    if (PLI_TRACED())
        pli_region_begin_copy(name);
}

/* pl_region_end ends the innermost region of this thread; without one it is nothing.
   Threads: any. Signal-safe: yes. */
PLI_INLINE void pl_region_end(void)
{
    if (PLI_TRACED())
        pli_region_end();
}

/* pl_task_begin begins a task, as part of another or of PL_NO_TASK; its name is copied. Without a
   trace it is PL_NO_TASK. Any thread may end it. Threads: any. Signal-safe: yes. */
PLI_INLINE pl_task pl_task_begin(const char *name, pl_task parent)
{
    return pli_task_of(PLI_TRACED() ? pli_task_begin(name, parent.id) : 0);
}

/* pl_task_end ends a task. Threads: any. Signal-safe: yes. */
PLI_INLINE void pl_task_end(pl_task t)
{
    if (PLI_TRACED() && t.id)
        pli_task_end(t.id);
}

/* pl_trace_log notes a text at this moment, formatted as by printf; key is a literal and says what
   kind it is. Threads: any. Signal-safe: no. */
void pl_trace_log(const char *key, const char *format, ...) PLI_PRINTF(2, 3);

/* pl_trace_counter notes what a figure is now: its course is a track of its own. The name is a
   literal. Threads: any. Signal-safe: yes. */
PLI_INLINE void pl_trace_counter(const char *name, double value)
{
    if (PLI_TRACED())
        pli_trace_counter(name, value);
}

/* pl_trace_instant notes that something has happened now. The name is a literal.
   Threads: any. Signal-safe: yes. */
PLI_INLINE void pl_trace_instant(const char *name)
{
    if (PLI_TRACED())
        pli_trace_instant(name);
}

/* pl_flow_out and pl_flow_in are the two ends of an arrow between threads: something numbered id is
   handed on here, and taken up there. The name is a literal. Threads: any. Signal-safe: yes. */
PLI_INLINE void pl_flow_out(const char *name, uint64_t id)
{
    if (PLI_TRACED())
        pli_flow(1, name, id);
}

PLI_INLINE void pl_flow_in(const char *name, uint64_t id)
{
    if (PLI_TRACED())
        pli_flow(0, name, id);
}

/* -- Profiles as files ---------------------------------------------------------------------------

   By name: cpu heap allocs block mutex, each once it is collected; those that a program makes with
   pl_profile_new; and three that tell of threads as they are, without anything to start:

       goroutine       how many threads are at each stack
       goroutineleak   those of them that wait for ever
       threadcreate    how many threads were started by each stack; those from before anything was
                       collected, and those that no hook has seen, at a place that says so

   In C nobody knows who could unlock, post or signal. What can be decided, and is: a thread that
   waits in pthreads without a limit of time is leaked when those who could help it have ended or
   are leaked themselves. A mutex is helped by its holder, a join by the thread that is joined; all
   other waits by any thread of the program, or a handler for one of its signals. So a deadlock is
   found with all who wait behind it, and a mutex whose holder has ended; a forgotten semaphore only
   when every thread of the program waits so. pthread_cancel is not thought of. Who holds a mutex is
   known with glibc; with musl, only of recursive and error checking ones.

   Read them with `python3 -m graders top FILE`, `go tool pprof`, or whatever else knows pprof's
   format. Functions have their names in the file, so that no other file is needed; source lines are
   found by the reader, in programs built with -g. What a C library without debug symbols does not
   tell is named by place: [libc.so.6+0x9f3c0]. Lost samples are there, as lostProfileEvent.
   go tool pprof prefers the names in DWARF to those in the file, and shows [program] for functions
   where it cannot follow DWARF (link-time optimisation): -symbolize=none has it take the file's. */

/* pl_profile_write writes a profile by name ("cpu") to out, then flushes it. debug 0: a protobuf,
   compressed. debug 1: text, as Go's net/http/pprof prints it. debug 2: the newest samples one by
   one with their times, as far back as 1 MiB holds them; of goroutine and goroutineleak, what pl_stacks_write
   writes. A profile that is being taken is written as it is now. Errors: PL_INVALID when there is
   no such profile, nothing was collected yet, or debug is something else; PL_IO, PL_NOMEM,
   PL_UNSUPPORTED outside Linux.
   Threads: any. Signal-safe: no. */
pl_result pl_profile_write(const char *name, FILE *out, int debug);

/* pl_profile_save writes the protobuf to a file. The file is made beside path and then takes its
   place, so that there is never half a profile; where path is a pipe, a device or a link, it is
   written to. Errors: as pl_profile_write. Threads: any. Signal-safe: no. */
pl_result pl_profile_save(const char *name, const char *path);

/* A profile of one's own: of whatever a program holds, and at which stacks it got it. */
typedef struct pl_profile pl_profile;

/* pl_profile_new makes an empty profile of that name, which pl_profile_write and the port know from
   then on; there is no end to it. NULL when the name is empty, longer than 63 bytes, has other
   characters than letters, digits, '_', '-' and '.', or is taken; when there is no memory; and
   outside Linux. Threads: any. Signal-safe: no. */
pl_profile *pl_profile_new(const char *name);

/* pl_profile_add counts `key`, any pointer, at the stack of the caller, or `skip` functions further
   out, until it is removed. Errors: PL_INVALID when it is in already, p is NULL or skip negative,
   PL_NOMEM. Threads: any. Signal-safe: no. */
pl_result pl_profile_add(pl_profile *p, const void *key, int skip);

/* pl_profile_remove takes the key out; one that is not in is none of its business.
   Threads: any. Signal-safe: no. */
void pl_profile_remove(pl_profile *p, const void *key);

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

/* All threads as pl_stacks_write prints them, with the modules that they run in:

       thread 4711 (server) [in epoll_wait]:
       #0   0x00007f21c5f0a1b3  epoll_wait+0x43  /lib/x86_64-linux-gnu/libc.so.6+0x1051b3
       #1   0x000055d0c8f3a20e  next_event (inlined)  /home/me/event.h:31  /home/me/server+0x120e
       #2   0x000055d0c8f3a20e  serve+0x2c  /home/me/server.c:77  /home/me/server+0x120e
       started by thread 4700 at
            0x000055d0c8f3a7a1  main+0x51  /home/me/server.c:140  /home/me/server+0x17a1

       modules:
       0x000055d0c8f39000-0x000055d0c8f3e000  /home/me/server  build id 5d0c...

   What stands in brackets: running; in a system call, and on which descriptor; or what it waits for
   in pthreads, and which thread it waits for. (leaked): it waits for ever, see "goroutineleak". The
   starter of a thread is known from the moment anything is collected. */

/* pl_stacks_write writes the stacks of all threads but perflab's own to out, then flushes it. The
   same is pl_profile_write("goroutine", out, 2). Threads that sleep are not woken: they are seen
   from outside. Threads that compute get a signal, SIGPROF; those that have it blocked are waited
   for 0.1 s, those that get no processor at most 1 s, and have no stack then. Errors: PL_INVALID
   when out is NULL; PL_IO, also when the system's list of threads cannot be read; PL_NOMEM,
   PL_UNSUPPORTED outside Linux. Threads: any. Signal-safe: no. */
pl_result pl_stacks_write(FILE *out);

/* pl_num_threads returns how many threads the program has, perflab's own not counted; 0 where the
   system does not tell. Threads: any. Signal-safe: no. */
int pl_num_threads(void);

/* -- Crashes -------------------------------------------------------------------------------------

   What a program says on stderr before it dies of a fault:

       perflab: the program crashed: SIGSEGV, there is no memory at the address: 0x0000000000000008
       signal 11, code 1, process 4711, thread 4712 (worker)

       rax    0x0000000000000000  rbx    0x00007ffd3a6f5e58 ...
       thread 4712 [crashed]:
       #0   0x000055d0c8f3a1b3  parse+0x1a  /home/me/search+0x11b3
       #1   0x000055d0c8f3a20e  main+0x2c  /home/me/search+0x120e

   then all other threads, and the modules with their build ids, as pl_stacks_write has them. Then
   the signal ends the program as it would have: same status, and a core where limits allow one.
   `python3 -m graders symbolize REPORT` adds source lines and inlined calls, also for a stripped
   program, from its separate debug file. */

/* pl_crash_install has SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP and SIGSYS reported. A
   signal that the program handles, now or later, stays its own. The calling thread and those that
   start from now on get a stack for signals, so that a full stack can be reported; of older threads
   it cannot, unless they have one. The report needs no malloc and no lock; a fault of its own costs
   a line of it. Call it early in main; or PERFLAB=crash=all ./program does. Errors: PL_NOMEM,
   PL_UNSUPPORTED outside Linux. Threads: any. Signal-safe: no. */
pl_result pl_crash_install(void);

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
   The first mark begins to record who makes what: about 70 ns a block where the same calls allocate
   again, more where a stack is a new one (bench/README.md, exact heap profile); pl_leak_stop ends
   that. Errors: PL_INVALID when mark is NULL, PL_NOMEM, PL_UNSUPPORTED outside Linux. Threads: any.
   Signal-safe: no. */
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

/* -- HTTP ----------------------------------------------------------------------------------------

   Every profile while the program runs, at the addresses of Go's net/http/pprof, which `go tool
   pprof`, Parca, Alloy and browsers know:

       pl_http_start(NULL);                         once, in main; or PERFLAB=http=127.0.0.1:6060

       go tool pprof http://127.0.0.1:6060/debug/pprof/profile?seconds=10      CPU
       go tool pprof http://127.0.0.1:6060/debug/pprof/heap                    or any other
       http://127.0.0.1:6060/                                                  in a browser

   A profile tells much about a program, and taking one costs it time. So only this machine may ask,
   unless the options say otherwise; from afar, use a token, or better a tunnel (ssh -L). */

/* Options; zero is the default for each. All is copied. */
typedef struct pl_http_desc {
    const char *address;      /* "127.0.0.1:6060", the default; ":6060" is the same. "[::1]:6060";
                                 port 0: any that is free (pl_http_port). "unix:/path": a socket
                                 that only this user may use. Any other address of this machine,
                                 "0.0.0.0:6060" for all, opens it to the network; without a token
                                 a line on stderr says so. */
    const char *token;        /* 1 to 255 bytes that requests have to bring: Authorization: Bearer,
                                 or as password: go tool pprof http://any:TOKEN@host:6060/... */
    const char *const *hosts; /* names by which it may be asked for, beside localhost and addresses,
                                 with NULL behind the last; "*": by any. A request for another name
                                 may come from a web site that abuses a browser on this machine. */
} pl_http_desc;

/* pl_http_start begins to serve /debug/pprof/ in a thread of its own, which costs nothing while
   nobody asks. The program may go on to use fork: the child has no server. Errors, each with a line
   on stderr that says what to do: PL_BUSY when the port is in use, or there is a server already;
   PL_INVALID for options that make no sense; PL_IO when the system refuses; PL_NOMEM;
   PL_UNSUPPORTED outside Linux, and with PERFLAB_NO_HTTP. Threads: any. Signal-safe: no. */
pl_result pl_http_start(const pl_http_desc *desc);

/* pl_http_stop ends the server; what is being answered is cut off, and a CPU profile that somebody
   was waiting for ends. Returns when the thread is gone; nothing happens when there is none.
   Threads: any. Signal-safe: no. */
void pl_http_stop(void);

/* pl_http_port returns the port of the server; 0 when there is none, or it has a Unix socket.
   Threads: any. Signal-safe: yes. */
int pl_http_port(void);

/* A program that has an HTTP server already gives it the same pages, with one function:

       pl_http_request request = {.method = "GET", .target = "/debug/pprof/heap?debug=1"};
       pl_http_response response;
       if (pl_http_handle(&request, &response) == PL_OK) {
           dprintf(client, "HTTP/1.1 %d -\r\nContent-Length: %zu\r\n", response.status,
                   response.size);
           for (int i = 0; response.header[i]; i += 2)
               dprintf(client, "%s: %s\r\n", response.header[i], response.header[i + 1]);
           dprintf(client, "\r\n");
           write_all(client, response.body, response.size);
           pl_http_response_free(&response);
       } */

/* What is asked for; zero is the default for all but target. */
typedef struct pl_http_request {
    const char *method;      /* "GET" */
    const char *target;      /* as in the first line of the request, from "/debug/pprof/" on, with
                                its query, and with its % signs as they came */
    const char *host;        /* for the commands on the page; "localhost:6060" */
    const char *body;        /* of a POST */
    size_t body_size;
    int (*gone)(void *user); /* asked now and then while a profile is taken: other than 0 when the
                                client is not there any more */
    void *user;
} pl_http_request;

/* The answer; all of it is valid until pl_http_response_free. */
typedef struct pl_http_response {
    int status;                /* 200, 404 and so on */
    const char *const *header; /* name, value, name, value, ..., NULL; without Content-Length */
    const void *body;          /* not to be sent in answer to HEAD */
    size_t size;
    void *job;                 /* private */
} pl_http_response;

/* pl_http_handle answers a request as pl_http_start's server would, in the calling thread; one for
   a CPU profile or a difference (seconds=) takes that long. Who may ask is the caller's decision.
   Errors: PL_INVALID for a NULL, PL_NOMEM, PL_UNSUPPORTED as pl_http_start. All else is an answer
   with a status. Threads: any. Signal-safe: no. */
pl_result pl_http_handle(const pl_http_request *request, pl_http_response *response);

/* pl_http_response_free gives back what an answer holds; twice does no harm.
   Threads: any. Signal-safe: no. */
void pl_http_response_free(pl_http_response *response);

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
#include <arpa/inet.h>
#include <elf.h>
#include <link.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
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
#if PLI_GLIBC
#define PLI_NOT_LAST() ((void)0)
#else /* musl has no unwind tables: who calls it must stay on the stack, and not jump there */
#define PLI_NOT_LAST() __asm__ volatile("")
#endif
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
static bool pli_os_copy_sig(void *to, uintptr_t from, size_t size)
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

/* Queues a signal for one thread of this process, with all that its handler is told. Returns 0 or
   errno. */
static int pli_os_queue_sig(int tid, int number, const siginfo_t *info)
{
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, number, info) == 0 ? 0 : errno;
}

/* Who holds the mutex for which a thread sleeps at this word; 0 when the C library does not note
   it: musl does so only for recursive and error checking ones. */
static int pli_os_mutex_owner(uintptr_t word)
{
    int owner = 0, type = 1;
#if PLI_GLIBC /* lock, count, owner */
    if (!pli_os_copy_sig(&owner, word + 8, sizeof owner))
        owner = 0;
#else /* type, lock: the owner and a bit that somebody waits */
    if (!pli_os_copy_sig(&type, word - 4, sizeof type) ||
        !pli_os_copy_sig(&owner, word, sizeof owner))
        type = 0;
#endif
    return type & 15 ? owner & 0x3fffffff : 0;
}

/* The thread that a join waits for, of which the kernel shows the second number it was given: that
   is the thread's own in glibc. 0: not known. */
static int pli_os_joined(uintptr_t expected)
{
    return PLI_GLIBC ? (int)expected : 0;
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

/* The name of the calling thread, as the kernel shows it. */
PLI_SOMETIMES static void pli_os_thread_name_sig(char name[16])
{
    syscall(SYS_prctl, (unsigned long)PR_GET_NAME, name, 0UL, 0UL, 0UL);
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

/* Register number i of what was interrupted, for people; false behind the last. */
static bool pli_os_register(const void *context, int i, const char **name, uint64_t *value)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
        "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags"};
    static const int at[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP, REG_EFL};
    if (i >= (int)(sizeof at / sizeof *at))
        return false;
    *name = names[i], *value = (uint64_t)u->uc_mcontext.gregs[at[i]];
    return true;
#elif defined(__aarch64__)
    static const char names[][4] = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9",
        "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22",
        "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp", "pc"};
    if (i >= (int)(sizeof names / sizeof *names))
        return false;
    *name = names[i];
    *value = i < 31 ? u->uc_mcontext.regs[i] : i == 31 ? u->uc_mcontext.sp : u->uc_mcontext.pc;
    return true;
#else
    (void)u, (void)i, (void)name, (void)value;
    return false;
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

/* Descriptors for perflab's own use, past the hooks that note what the program opens; programs that
   are executed do not inherit them, and nothing waits for them but poll. -1 and errno when there is
   none. */
PLI_SOMETIMES static int pli_os_socket(int family)
{
    return (int)syscall(SYS_socket, family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* The next one who has connected; EAGAIN when there is none. */
PLI_SOMETIMES static int pli_os_accept(int listener)
{
    return (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* A counter that can be waited for: eventfd, whose flags are those of open. */
PLI_SOMETIMES static int pli_os_event(void)
{
    return (int)syscall(SYS_eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
}

/* Has the allocator give back to the system what it does not need; nothing where it cannot. */
PLI_SOMETIMES static void pli_os_heap_trim(void)
{
#if PLI_GLIBC
    malloc_trim(0);
#endif
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
   nothing for them.

   Where perflab's own memory comes from, none of it from malloc, which would count itself:

       pli_os_map         buffers for a moment; given back by munmap
       pli_os_map_now     the same, for what is filled at once
       pli_os_reserve     tables that are rarely full: only what is touched becomes memory
       pli_keep           small things that stay: names, modules, labels

   Only the harness of benchmarks calls malloc itself, outside of what is measured. */

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
   NULL. PL_INVALID when it is too long, PL_IO when its folder cannot be written to.
   "prof/cpu.pb.gz" in /home/me becomes /home/me/prof/cpu.pb.gz, and /home/me/prof/ has to be a
   folder that can be written to: better said at the start than after an hour, when the file is to
   be made. */
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

/* Descriptors that are perflab's own, a bit each: a leak check does not blame the program for them,
   and a fork's child closes them. fork copies descriptors first and memory later: what came or went
   in between would be open and unknown in the child, or known and not open. So there is a lock for
   these moments, which who forks holds. Numbers above are not marked, and count as the program's.
   */
#define PLI_FDS_OWN 65536

static struct { pli_lock lock; uint64_t bits[PLI_FDS_OWN / 64]; } pli_fds;

/* Marks a descriptor that was just opened, or is about to be closed. Under the lock. */
PLI_SOMETIMES static void pli_fd_mark(int fd, bool own)
{
    uint64_t bit = (uint64_t)1 << fd % 64;
    if (fd < PLI_FDS_OWN && own)
        __atomic_fetch_or(&pli_fds.bits[fd / 64], bit, __ATOMIC_RELAXED);
    else if (fd < PLI_FDS_OWN)
        __atomic_fetch_and(&pli_fds.bits[fd / 64], ~bit, __ATOMIC_RELAXED);
}

/* Whether a descriptor is perflab's. */
PLI_SOMETIMES static bool pli_fd_is_own(int fd)
{
    return fd < PLI_FDS_OWN && (PLI_LOAD(pli_fds.bits[fd / 64]) >> fd % 64 & 1);
}

/* Closes one of perflab's own; -1 is none. It is nobody's own before it is free: the next to get
   its number may be the program. */
PLI_SOMETIMES static void pli_fd_close_own(int fd)
{
    if (fd < 0)
        return;
    pli_lock_take(&pli_fds.lock);
    pli_fd_mark(fd, false);
    close(fd);
    pli_lock_give(&pli_fds.lock);
}

/* In a fork's child: all of them. */
PLI_SOMETIMES static void pli_fds_fork_child(void)
{
    for (int fd = 0; fd < PLI_FDS_OWN; fd += pli_fds.bits[fd / 64] ? 1 : 64)
        if (pli_fd_is_own(fd))
            close(fd);
    memset(&pli_fds, 0, sizeof pli_fds);
}

/* Raises *peak to value if that is higher. */
PLI_SOMETIMES static void pli_raise(int64_t *peak, int64_t value)
{
    int64_t seen = PLI_LOAD(*peak);
    while (value > seen &&
           !__atomic_compare_exchange_n(peak, &seen, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

/* Multiply and fold: both halves of a 128-bit product, as wyhash and others mix. */
PLI_SOMETIMES static uint64_t pli_mix_sig(uint64_t a, uint64_t b)
{
    pli_wide product = (pli_wide)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The natural logarithm of a normal x > 0, to 1e-9: libm may not be linked. x = m * 2^e with m in
   [0.7, 1.4]; ln m = 2 (y + y^3/3 + y^5/5 + ...) with y = (m - 1) / (m + 1), which is below 0.18.
   (Abramowitz and Stegun, 4.1.27.) */
PLI_SOMETIMES static double pli_ln(double x)
{
    union { double value; uint64_t bits; } m = {x};
    int e = (int)(m.bits >> 52) - 1023;
    m.bits = (m.bits & 0xfffffffffffffu) | (uint64_t)1023 << 52;
    if (m.value > 1.4)
        m.value /= 2, e++;
    double y = (m.value - 1) / (m.value + 1), square = y * y, sum = 0;
    for (int k = 11; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return 2 * y * sum + e * 0.6931471805599453;
}

/* 1 - exp(-x) for x >= 0, to 1e-9: halved until the series x - x^2/2! + x^3/3! - ... is short, then
   doubled again by 1 - e^-2x = (1 - e^-x) (2 - (1 - e^-x)), where nothing cancels. */
PLI_SOMETIMES static double pli_one_less_exp(double x)
{
    int halved = 0;
    if (x > 40)
        return 1;
    for (; x > 0.25; halved++)
        x /= 2;
    double sum = 0;
    for (int k = 7; k >= 1; k--)
        sum = x / k * (1 - sum);
    while (halved-- > 0)
        sum *= 2 - sum;
    return sum;
}

typedef struct pli_pair { uint64_t key, value; } pli_pair;

/* Sorts by key; equal ones keep their order. scratch has room for as many. A pass for each byte in
   which the keys differ: without recursion, and without malloc, as qsort may call it.

       keys         0203  0102  0201
       by byte 0    0201  0102  0203
       by byte 1    0102  0201  0203      bytes 2 to 7 are 0 in all keys: no pass */
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

/* One list, PL_RESULTS in the API, makes the enum and these texts: neither can have a name that the
   other lacks. What is no result, as a number of leaks that was taken for one, has a text as well:
   it is printed in messages, where NULL would end the program. */
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
    uint64_t start;     /* where died began */
    int64_t until;      /* bytes from there to the next block that the heap profile chooses */
    uint32_t rates;     /* the setting of the rate that `until` was drawn for */
    /* written by whoever made the epoch odd, read by anyone who sees the same even epoch before and
       after */
    uint64_t epoch, mallocs, frees, bytes;
    int64_t live;
} pli_counts;

enum { PLI_THREAD_FREE, PLI_THREAD_USED };
enum { PLI_WANT_CPU = 1, PLI_WANT_LEAK = 2, PLI_WANT_STARTS = 4, PLI_WANT_CRASH = 8 };

/* What the recorder keeps of a thread: see >>event. The thread itself writes it, and handlers that
   interrupt the thread. */
#define PLI_ASIDE_BYTES 512

typedef struct pli_recorder {
    uint32_t busy;            /* 1: a record is being written; always in blocks of nobody's */
    uint32_t life;            /* the opening of the pool that knows whose records these are; 0 */
    uint32_t chunk_life;      /* that the chunks below are of */
    uint32_t began;           /* in which this thread has said before who it is; 0 */
    struct pli_chunk *chunk;  /* that is written to; NULL: none yet */
    struct pli_chunk *left;   /* open: who was writing to it may come back; NULL: none */
    uint32_t lost;            /* records, since the last that found room */
    uint32_t aside_used;      /* atomic */
    char aside[PLI_ASIDE_BYTES] __attribute__((aligned(16)));
} pli_recorder;

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
    const struct pli_site *started;  /* the stack that started it: see >>site; NULL: not met yet */
    int starter;                     /* the thread that did; 0: unknown */
    uint32_t own;                    /* 1: it works for perflab, and is none of the program's */
    void *signal_stack;              /* see >>crash; NULL: none */
    uint32_t instance;               /* unique among all threads there were */
    uintptr_t *stack;                /* for handlers: small stacks have no room for a walk; kept */
    struct pli_memo *memo;           /* its last walk: see >>unwind; kept, too */
    pli_cpu_thread cpu;
    pli_recorder trace, samples;       /* to the pools of >>record and >>cpu */
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

/* Who counts where threads are started: see >>site. */
typedef struct pli_start_hooks {
    const struct pli_site *(*site)(const void *ra); /* in pthread_create, which returns to ra */
    void (*count)(pli_thread *t, const struct pli_site *site); /* in the new thread */
} pli_start_hooks;

#define PLI_COLLECTORS_MAX 16
#define PLI_THREADS_CHUNK 64 /* blocks mapped at once */

#define PLI_NOBODY {.trace = {.busy = 1}, .samples = {.busy = 1}}
PLI_SOMETIMES static pli_thread pli_unborn = PLI_NOBODY, pli_orphan = PLI_NOBODY;
PLI_SOMETIMES static pli_thread pli_nested = PLI_NOBODY;
PLI_SOMETIMES static PLI_THREAD_LOCAL pli_thread *pli_self = &pli_unborn;
PLI_SOMETIMES static PLI_THREAD_LOCAL uint32_t pli_instance; /* of its block, also when it is dying */
uint32_t pl_trace_on;

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
    const pli_start_hooks *starts; /* who counts where threads are started; atomic */
    void (*enter)(struct pli_thread *t); /* what a new thread does first; may be NULL; atomic */
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
    const struct pli_site *started;
    int starter;
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
    PLI_STORE(pl_trace_on, 0); /* the trace is the parent's */
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
    PLI_STORE(t->started, (const struct pli_site *)NULL);
    PLI_STORE(t->starter, 0);
    PLI_STORE(t->own, 0);
    PLI_STORE(t->instance, (uint32_t)PLI_ADD(pli_threads.seen, 1));
    t->trace.life = t->trace.began = t->samples.life = t->samples.began = 0;
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
    pli_instance = t ? t->instance : 0;
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
    const pli_start_hooks *starts = PLI_LOAD(pli_threads.starts);
    const struct pli_site *started = starts ? starts->site(ra) : NULL;
    pli_lock_take(&pli_starts.lock);
    pli_start *start = pli_starts.free;
    if (start)
        pli_starts.free = start->next;
    pli_lock_give(&pli_starts.lock);
    if (!start)
        start = pli_keep(sizeof *start);
    if (start)
        *start = (pli_start){NULL, run, arg, pli_self->labels, made, started,
                             started ? pli_os_tid_sig() : 0};
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
        PLI_STORE(t->starter, start.starter);
        if (start.started)
            PLI_LOAD(pli_threads.starts)->count(t, start.started);
        void (*enter)(pli_thread *) = PLI_LOAD(pli_threads.enter);
        if (enter)
            enter(t);
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

/* libc's own, or whose turn it is. */
static int pli_create_next(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*run)(void *), void *arg)
{
    static void *found;
    pli_create_function *next;
    *(void **)&next = pli_next_of(&found, "pthread_create");
    return (next ? next : pli_libc_pthread_create)(thread, attributes, run, arg);
}

/* A thread that starts while nobody collects is not touched, except to inherit labels. Without
   memory for its start it runs as it would without perflab, and joins when it is first met. */
PLI_HOOK int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*run)(void *), void *arg)
{
    bool join = PLI_LOAD(pli_threads.wanted) || pli_self->labels;
    pli_start *start = join ? pli_start_take(run, arg, __builtin_return_address(0)) : NULL;
    if (!start)
        return pli_create_next(thread, attributes, run, arg);
    int error = pli_create_next(thread, attributes, pli_start_run, start);
    if (error)
        pli_start_give(start);
    return error;
}

#elif PLI_LINUX

PLI_SOMETIMES static int pli_create_next(pthread_t *thread, const pthread_attr_t *attributes,
                                         void *(*run)(void *), void *arg)
{
    return pthread_create(thread, attributes, run, arg);
}

#endif /* PLI_INTERPOSE */

#if PLI_LINUX

/* -- Threads of perflab's own -- */

#define PLI_OWN_STACK ((size_t)1 << 20) /* names in C++ are undone by recursion */

/* Starts one, past the hook: nobody is to ask who has started it. It gets none of the program's
   signals; SIGPROF it takes, so that its time is not missing in a CPU profile. Returns 0 or errno.
   */
PLI_SOMETIMES static int pli_thread_start_own(pthread_t *thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    sigdelset(&all, SIGPROF);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PLI_OWN_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pli_create_next(thread, &attributes, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

#endif /* PLI_LINUX */

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
    uint32_t own_lines;           /* its own file has lines: 1, or not: 2; 0: not known; atomic */
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
    uint32_t unloads;         /* calls of dlclose that are through; atomic */
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

#if PLI_FIND_OBJECT

/* In an emergency: has the library at an address in the list, if it was loaded since the last
   refresh. The dynamic linker's lock may be held for ever, and is not taken. The map stays as it
   is, since to change it one has to wait for handlers. */
static void pli_modules_meet_at(uintptr_t pc)
{
    struct dl_find_object object;
    struct dl_phdr_info info;
    bool failed = false, known = false;
    for (pli_module *m = PLI_LOAD_ACQUIRE(pli_modules.all); m; m = PLI_LOAD_ACQUIRE(m->next))
        known |= pc >= m->start && pc < m->end && m->last_epoch == PLI_EPOCH_NOW;
    if (known || _dl_find_object((void *)pc, &object) != 0)
        return;
    const ElfW(Ehdr) *elf = object.dlfo_map_start;
    if (!pli_os_readable_sig((uintptr_t)elf) || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
        !pli_lock_take_or_try(&pli_modules.lock, true))
        return;
    memset(&info, 0, sizeof info);
    info.dlpi_addr = object.dlfo_link_map->l_addr, info.dlpi_name = object.dlfo_link_map->l_name;
    info.dlpi_phdr = (const ElfW(Phdr) *)((uintptr_t)elf + elf->e_phoff);
    info.dlpi_phnum = elf->e_phnum;
    pli_module_meet(&info, 0, &failed);
    pli_lock_give(&pli_modules.lock);
}

#else

/* Nothing tells without a lock: what was loaded since the last refresh has no name. */
static void pli_modules_meet_at(uintptr_t pc)
{
    (void)pc;
}

#endif

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
    if (!next || !PLI_LOAD(pli_modules.map)) {
        int result = next ? next(handle) : -1;
        PLI_ADD(pli_modules.unloads, 1);
        return result;
    }
    /* A count, not a flag: destructors that dlclose runs may call dlclose again, and other
       threads may be in it at the same time. */
    __atomic_add_fetch(&pli_modules.frozen, 1, __ATOMIC_SEQ_CST);
    pli_modules_refresh();
    pli_modules_wait_for_readers();
    /* The lock is not held here: the library's destructors run inside, and may do anything. */
    int result = next(handle);
    PLI_ADD(pli_modules.unloads, 1);
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

/* Addresses that are no code but marks in a stack: time that is known of without its stack, the
   root of a stack that was cut, and the start of a thread that nobody has seen. */
enum { PLI_PC_LOST = 1, PLI_PC_TRUNCATED = 2, PLI_PC_UNSEEN = 3, PLI_PC_MARKS = 16 };

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
   that belong to different addresses gets another address out, and takes it for a miss:

       written for A      key: A ^ row of A      row: row of A       together: A
       half overwritten   key: A ^ row of A      row: row of B       together: neither A nor B

   When both rows are the same, nothing is wrong: the key gives A. */

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

/* -- What walks remember: see "walks that repeat" below -- */

#define PLI_TRAIL_FRAMES 48
#define PLI_TRAIL_WORDS (4 * PLI_TRAIL_FRAMES)

/* Where the value of a register came from: the number of a word that was read, or that the walk
   began with it. */
enum { PLI_FROM_START = -1, PLI_FROM_BEFORE = -2 };
enum { PLI_KEPT_FP, PLI_KEPT_BX, PLI_KEPT_LR, PLI_KEPT };

/* One walk: where it was, and which words of the stack led it. Words are kept inverted, and so are
   registers that may hold anything: who searches memory for pointers must not find them here. */
typedef struct pli_trail {
    int frames, words;                    /* frames: 0, none */
    bool cut;                             /* it ended for want of room */
    bool start_used[PLI_KEPT];            /* the walk used what was in the register when it began */
    uintptr_t pcs[PLI_TRAIL_FRAMES];      /* the result, marks included */
    struct { uintptr_t pc, sp, kept[PLI_KEPT]; } at[PLI_TRAIL_FRAMES];
    int16_t from[PLI_TRAIL_FRAMES][PLI_KEPT];
    int16_t first[PLI_TRAIL_FRAMES];      /* how many words had been read at this frame */
    struct { uintptr_t at, word; } read[PLI_TRAIL_WORDS];
    bool used[PLI_TRAIL_WORDS];           /* the walk went by this word */
} pli_trail;

/* What has been checked during one walk. */
typedef struct pli_walk {
    const pli_code_map *map;
    pli_regs regs;
    uintptr_t low, high; /* of the stack: readable */
    uintptr_t last_text_start, last_text_end; /* where the last address was found */
    bool exact;          /* pc was interrupted; else it is a return address */
    bool frozen;         /* modules must not be read during this walk */
    uintptr_t *window;   /* the stack is another thread's: a page of it is copied here. NULL: it is
                            read where it is */
    pli_trail *trail;    /* what was read is noted here; NULL: nowhere */
    int from[PLI_KEPT];  /* where fp and bx came from, for the trail */
} pli_walk;

/* A word was read. One that has no room makes the walk one that is not repeated. */
static void pli_trail_note_sig(pli_trail *trail, uintptr_t at, uintptr_t word)
{
    if (trail->words < PLI_TRAIL_WORDS) {
        trail->read[trail->words].at = ~at, trail->read[trail->words].word = ~word;
        trail->used[trail->words] = true;
    }
    trail->words++;
}

/* The walk goes by what a register holds. What it only saw being saved may be anything. */
static void pli_walk_use_sig(pli_walk *w, int which)
{
    int from = w->from[which];
    if (!w->trail)
        return;
    if (from == PLI_FROM_START)
        w->trail->start_used[which] = true;
    else if (from < PLI_TRAIL_WORDS)
        w->trail->used[from] = true;
}

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
    for (int i = 0; i < PLI_KEPT; i++)
        w.from[i] = PLI_FROM_START;
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
        if (w->window ? !pli_os_copy_sig(w->window, page, PLI_PAGE) : !pli_os_readable_sig(page))
            return false;
        if (page == w->high && !w->window)
            w->high += PLI_PAGE;
        else
            w->low = page, w->high = page + PLI_PAGE;
    }
    *word = w->window ? w->window[(at - w->low) / sizeof *word] : *(const uintptr_t *)at;
    if (w->trail)
        pli_trail_note_sig(w->trail, at, *word);
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
    if (!known && w->window) /* what is no code of ours may be gone before it was looked at */
        return PLI_CFA_UNKNOWN;
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

/* Where the frame of the caller begins; 0 when that is unknown.

       SP       sp + offset                  most functions
       FP       fp + offset                  those with a frame pointer
       PLT      sp + 8, and 8 more behind the push of a stub, which has 16 bytes
       AT_FP    the word at fp + offset      those that align their stack, and have saved it
       BX, LR   bx, lr + offset              the same ones, before or without saving it */
static uintptr_t pli_walk_cfa_sig(pli_walk *w, const pli_row *row)
{
    const pli_regs *r = &w->regs;
    uintptr_t offset = (uintptr_t)(intptr_t)row->cfa_offset, cfa = 0;
    if (row->cfa == PLI_CFA_FP || row->cfa == PLI_CFA_AT_FP)
        pli_walk_use_sig(w, PLI_KEPT_FP);
    if (row->cfa == PLI_CFA_BX)
        pli_walk_use_sig(w, PLI_KEPT_BX);
    if (row->cfa == PLI_CFA_LR || row->ra.at == PLI_AT_SAME)
        pli_walk_use_sig(w, PLI_KEPT_LR);
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
    if (rule.at == PLI_AT_FP)
        pli_walk_use_sig(w, PLI_KEPT_FP);
    if (rule.at == PLI_AT_FP && fp >= w->regs.sp && fp < cfa)
        return pli_load_sig(w, fp + offset, value);
    return true;
}

/* The same for one that calls keep: the word is noted as one that may never be used. */
static bool pli_walk_kept_sig(pli_walk *w, pli_rule rule, uintptr_t cfa, int which,
                              uintptr_t *value)
{
    int words = w->trail ? w->trail->words : 0;
    if (!pli_walk_saved_sig(w, rule, cfa, value))
        return false;
    if (w->trail && w->trail->words > words) {
        w->from[which] = words;
        if (words < PLI_TRAIL_WORDS)
            w->trail->used[words] = false;
    }
    return true;
}

/* By a row of the tables.

   A function of x86-64 behind push %rbp; mov %rsp, %rbp, with fp = 0x7ffd1000: the row says cfa =
   fp + 16, the return address at cfa - 8, the caller's fp at cfa - 16:

       0x7ffd1000   caller's fp       0x7ffd1008   return address       0x7ffd1010   cfa, next sp */
static bool pli_walk_row_sig(pli_walk *w, pli_row row)
{
    uintptr_t cfa = pli_walk_cfa_sig(w, &row), ra = w->regs.lr, fp = w->regs.fp;
    uintptr_t bx = row.bx.at == PLI_AT_UNKNOWN ? 0 : w->regs.bx;
    /* "The same" holds only in the frame that was interrupted, before it saves the link register.
       Further up that would be the frame's own address once more, without end. */
    if (row.ra.at == PLI_AT_SAME && (!PLI_RA_IN_REGISTER || !w->exact))
        return false;
    return cfa && pli_walk_saved_sig(w, row.ra, cfa, &ra) &&
           pli_walk_kept_sig(w, row.fp, cfa, PLI_KEPT_FP, &fp) &&
           pli_walk_kept_sig(w, row.bx, cfa, PLI_KEPT_BX, &bx) &&
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
    if (w->trail) /* the third and the last of these words; all five are compared */
        for (int i = 0; i < PLI_KEPT; i++)
            w->from[i] = w->trail->words - 3 + (i == PLI_KEPT_BX ? 2 : i == PLI_KEPT_LR);
    return true;
}

#define PLI_GUESS_STUB 12 /* bytes that tell a stub */
#define PLI_GUESS_FAR ((uintptr_t)16 << 10) /* a function does not reach that far */

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

   With pc 0x401510, three words of a stack:

       0x7ffd1040      no code
       0x40118a        code, but no call ends there
       0x401236        behind a call of 0x401500, and pc is 16 bytes further: this is the caller */
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

/* Whether a word that fits leads further: what is left of an earlier call looks like the one that
   is searched for, but where its caller would be there is something else by now. Asked for threads
   that wait in the system, whose stack holds still below their last call. A caller without tables,
   or whose fp is not known, is believed. */
static bool pli_guess_leads_sig(const pli_walk *w, uintptr_t cfa, uintptr_t ra)
{
    pli_walk next = *w;
    if (!pli_walk_to_sig(&next, cfa, ra, w->regs.fp, 0))
        return false;
    uint64_t row = pli_row_find_sig(&next);
    if (row == PLI_CFA_UNKNOWN || row == PLI_CFA_SIGNAL || row == PLI_CFA_OUTERMOST ||
        pli_row_unpack_sig(row).cfa != PLI_CFA_SP)
        return true;
    return pli_walk_row_sig(&next, pli_row_unpack_sig(row)) &&
           pli_text_known_sig(&next, next.regs.pc);
}

/* Without a row: the link register, or the nearest word of the stack that fits, which may be the
   one behind the frame pointer. That one alone would leave callers out: code without tables is
   often code that has no frame pointers either, and fp is then that of a caller further out. */
static bool pli_walk_guess_sig(pli_walk *w)
{
    uintptr_t pc = w->regs.pc, sp = w->regs.sp, fp = w->regs.fp, ra, up, fp_ra = 0, saved = 0;
    pli_walk_use_sig(w, PLI_KEPT_FP);
    pli_walk_use_sig(w, PLI_KEPT_LR);
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
        /* fp may have been saved and used for something else */
        if (pli_guess_fits_sig(w, pc, ra) &&
            (!w->window || pli_guess_leads_sig(w, sp + sizeof ra, ra)))
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

/* Goes on from where the walk is, up to max addresses, and returns how many; *cut: the root was not
   reached. */
static int pli_walk_all_sig(pli_walk *w, uintptr_t *pcs, int max, bool *cut)
{
    int n = 0;
    *cut = false;
    pcs[n++] = w->regs.pc - !w->exact;
    while (n < max && pli_walk_step_sig(w, cut))
        pcs[n++] = w->regs.pc - !w->exact;
    if (n == max && !*cut)
        *cut = pli_walk_step_sig(w, cut) || *cut; /* is there more? */
    return n;
}

/* Marks a stack that was cut, in place of its last address if there is no more room. */
static int pli_stack_mark_sig(uintptr_t *pcs, int n, int max)
{
    if (n == max && n > 1)
        n--;
    if (n < max)
        pcs[n++] = PLI_PC_TRUNCATED;
    return n;
}

/* Writes the stack from regs, leaf first, and returns how many addresses it has: at most max. The
   leaf is as it is, and so is what was interrupted by a signal; each other one lies inside the call
   that it is to return from (the return address less one), so that all can be looked up as they
   are. A stack that does not reach its root ends in PLI_PC_TRUNCATED.

   With room for three, on a stack of five:

       interrupted at 0x401136       pcs[0] = 0x401136
       returns to 0x40115a           pcs[1] = 0x401159     the call is the 5 bytes before 0x40115a
       and on                        pcs[2] = PLI_PC_TRUNCATED */
static int pli_unwind_sig(const pli_regs *regs, uintptr_t *pcs, int max)
{
    pli_walk w = pli_walk_begin_sig(regs, pli_modules_enter_sig());
    bool cut;
    int n = pli_walk_all_sig(&w, pcs, max, &cut);
    pli_modules_leave_sig();
    return cut ? pli_stack_mark_sig(pcs, n, max) : n;
}

/* -- Walks that repeat --

   A program that allocates does so again and again from the same places. Where a walk goes depends
   on three things: the registers it begins with, the words it reads from the stack, and the tables.
   So a thread keeps its last walk, with all words that it read. A walk that comes to a frame of the
   last one, with the same registers, and finds all words from there on unchanged, would go the same
   way again: the rest is copied.

       last walk   here ─► push ─► parse ─► main ─► libc       words read: a b c d e f g h
                                     ▲ same registers, and d ... h are what they were
       this walk   here ─► pop ──────┘ then main, libc

   To compare a word takes a tenth of what a frame costs. The words are compared from the inside
   out: as long as they are the same, so is the extent of the stack.

   Invariant: each way's trail is a whole walk, or has no frames. */

/* The last walk of the calls that return to one place, or to others that share this one. */
typedef struct pli_memo_way {
    uint32_t generation;   /* of the modules; 0: no walk yet */
    int trail;             /* its number */
    const void *ra;        /* where the call returned to, */
    uint64_t size;         /* for a block of this size: */
    const void *made_into; /* what the last walk was made into: see pli_live_maker */
    uint32_t epoch;
    int inner;
} pli_memo_way;

#define PLI_MEMO_WAYS 8

/* A program calls malloc from a few places in turn: each has its own last walk. One more walk is
   being made, and then takes the place of an old one. */
typedef struct pli_memo {
    uint32_t busy; /* a handler that allocates finds it so, and walks on its own */
    int spare;     /* the one that is being made; the others are the ways' */
    pli_memo_way way[PLI_MEMO_WAYS];
    pli_trail trail[PLI_MEMO_WAYS + 1];
} pli_memo;

/* The way of a return address. */
static pli_memo_way *pli_memo_way_of_sig(pli_memo *memo, const void *ra)
{
    uint64_t hash = (uint64_t)(uintptr_t)ra * 0x9e3779b97f4a7c15u;
    return &memo->way[hash >> 61];
}

/* The first word from `from` on that led the old walk and is another one now; words, if none is. */
static int pli_trail_changed_sig(const pli_trail *old, int from)
{
    for (; from < old->words; from++)
        if (old->used[from] && *(const uintptr_t *)~old->read[from].at != ~old->read[from].word)
            break;
    return from;
}

/* Whether the old walk went by what the register held at this frame. */
static bool pli_trail_uses_sig(const pli_trail *old, int frame, int which)
{
    int from = old->from[frame][which];
    return from == PLI_FROM_START ? old->start_used[which] : old->used[from];
}

/* Whether the rest of the old walk, from that frame on, would be the same now. *bad is the last
   word that is known to be another one: what begins before it need not be looked at. */
static bool pli_trail_holds_sig(const pli_trail *old, int frame, const pli_regs *regs, int *bad)
{
    if (old->first[frame] <= *bad || old->at[frame].pc != regs->pc ||
        old->at[frame].sp != regs->sp)
        return false;
    const uintptr_t kept[PLI_KEPT] = {regs->fp, regs->bx, regs->lr};
    for (int i = 0; i < PLI_KEPT; i++)
        if (old->at[frame].kept[i] != ~kept[i] && pli_trail_uses_sig(old, frame, i))
            return false;
    int changed = pli_trail_changed_sig(old, old->first[frame]);
    if (changed < old->words)
        *bad = changed;
    return changed == old->words;
}

/* Adds the frame where the walk is. */
static void pli_trail_add_sig(pli_trail *trail, const pli_walk *w)
{
    int frame = trail->frames++;
    trail->pcs[frame] = w->regs.pc - !w->exact;
    trail->at[frame].pc = w->regs.pc, trail->at[frame].sp = w->regs.sp;
    trail->at[frame].kept[PLI_KEPT_FP] = ~w->regs.fp;
    trail->at[frame].kept[PLI_KEPT_BX] = ~w->regs.bx;
    trail->at[frame].kept[PLI_KEPT_LR] = ~w->regs.lr;
    trail->first[frame] = (int16_t)trail->words;
    for (int i = 0; i < PLI_KEPT; i++)
        trail->from[frame][i] = (int16_t)w->from[i];
}

/* Copies frames and the words that belong to them to a place in another walk. */
static void pli_trail_copy_sig(pli_trail *to, int frame, int word, const pli_trail *from, int begin,
                               int end, int words_end)
{
    int first = begin < from->frames ? from->first[begin] : 0, moved = word - first;
    for (int i = begin; i < end; i++, frame++) {
        to->pcs[frame] = from->pcs[i], to->at[frame] = from->at[i];
        to->first[frame] = (int16_t)(from->first[i] + moved);
        for (int k = 0; k < PLI_KEPT; k++)
            to->from[frame][k] = (int16_t)(from->from[i][k] >= first ? from->from[i][k] + moved :
                                           begin > 0 ? PLI_FROM_BEFORE : from->from[i][k]);
    }
    memcpy(to->read + word, from->read + first, (size_t)(words_end - first) * sizeof *to->read);
    memcpy(to->used + word, from->used + first, (size_t)(words_end - first) * sizeof *to->used);
}

/* From this frame on, registers have what the new walk had in them there. Where the rest of the old
   one used that, it is used now. */
static void pli_trail_mend_sig(pli_trail *whole, int frame, const pli_walk *w,
                               const bool used[PLI_KEPT])
{
    const uintptr_t now[PLI_KEPT] = {w->regs.fp, w->regs.bx, w->regs.lr};
    for (int k = 0; k < PLI_KEPT; k++) {
        for (int i = frame; i < whole->frames && whole->from[i][k] == PLI_FROM_BEFORE; i++)
            whole->from[i][k] = (int16_t)w->from[k], whole->at[i].kept[k] = ~now[k];
        if (used[k] && w->from[k] == PLI_FROM_START)
            whole->start_used[k] = true;
        else if (used[k])
            whole->used[w->from[k]] = true;
    }
}

/* The whole walk of which trail is the begin, and the old one from that frame on the rest; NULL for
   want of room. Mostly only a call in the innermost functions is another one: then the begin goes
   into the old walk, so that the rest need not be copied. */
static pli_trail *pli_trail_join_sig(pli_trail *trail, pli_trail *old, int frame, int max,
                                     const pli_walk *w)
{
    int frames = old->frames - frame, words = old->words - old->first[frame];
    bool used[PLI_KEPT];
    for (int i = 0; i < PLI_KEPT; i++)
        used[i] = pli_trail_uses_sig(old, frame, i);
    int joint = trail->frames;
    if (joint + frames > max || trail->words + words > PLI_TRAIL_WORDS)
        return NULL;
    if (joint == frame && trail->words == old->first[frame]) {
        for (int i = frame; i < old->frames; i++)
            for (int k = 0; k < PLI_KEPT; k++)
                if (old->from[i][k] < old->first[frame])
                    old->from[i][k] = PLI_FROM_BEFORE;
        pli_trail_copy_sig(old, 0, 0, trail, 0, joint, trail->words);
        memcpy(old->start_used, trail->start_used, sizeof old->start_used);
        pli_trail_mend_sig(old, joint, w, used);
        return old;
    }
    pli_trail_copy_sig(trail, joint, trail->words, old, frame, old->frames, old->words);
    trail->frames += frames, trail->words += words, trail->cut = old->cut;
    pli_trail_mend_sig(trail, joint, w, used);
    return trail;
}

/* The end of a walk that met no old one: as pli_unwind_sig's. */
static void pli_trail_end_sig(pli_trail *trail, int max, bool cut, pli_walk *w)
{
    trail->cut = cut;
    w->regs.sp = UINTPTR_MAX; /* no walk meets this */
    if (cut && trail->frames < max)
        pli_trail_add_sig(trail, w);
    if (cut)
        trail->pcs[trail->frames - 1] = PLI_PC_TRUNCATED;
    if (w->frozen)
        trail->words = PLI_TRAIL_WORDS + 1; /* a guess, which is not to be repeated */
}

/* Walks from regs as pli_unwind_sig would, with the old walk's help, and returns the whole. max is
   the same each time. */
static pli_trail *pli_trail_make_sig(pli_trail *trail, pli_trail *old, const pli_regs *regs,
                                     int max)
{
    pli_walk w = pli_walk_begin_sig(regs, pli_modules_enter_sig());
    bool cut = false;
    int meets = 0, bad = -1;
    pli_trail *joined = NULL;
    memset(trail, 0, offsetof(pli_trail, pcs));
    w.trail = trail;
    do {
        /* Frames of the old walk further in than this one are passed by. An old walk that was cut
           can only go on in one that has as many frames. */
        while (meets < old->frames && old->at[meets].sp < w.regs.sp)
            meets++;
        if (!w.frozen && meets < old->frames && (!old->cut || meets == trail->frames) &&
            pli_trail_holds_sig(old, meets, &w.regs, &bad) &&
            (joined = pli_trail_join_sig(trail, old, meets, max, &w)) != NULL)
            break;
        pli_trail_add_sig(trail, &w);
    } while (trail->frames < max && pli_walk_step_sig(&w, &cut));
    if (!joined && trail->frames == max && !cut)
        cut = pli_walk_step_sig(&w, &cut) || cut;
    pli_modules_leave_sig();
    if (!joined)
        pli_trail_end_sig(trail, max, cut, &w);
    return joined ? joined : trail;
}

/* The stack from regs, as pli_unwind_sig gives it, but by the memo: what comes back points into it,
   until its next use. Only one that is not busy, and for the thread's own stack. *same: it is the
   stack of the last time. */
static const pli_trail *pli_unwind_again_sig(const pli_regs *regs, int max, pli_memo *memo,
                                             pli_memo_way *way, bool *same)
{
    uint32_t generation = PLI_LOAD_ACQUIRE(pli_modules.generation) + 1;
    int bad = -1;
    if (memo->spare == 0 && memo->way[1].trail == 0) { /* zeroes: never used */
        for (int i = 0; i < PLI_MEMO_WAYS; i++)
            memo->way[i].trail = i;
        memo->spare = PLI_MEMO_WAYS;
    }
    pli_trail *old = &memo->trail[way->trail];
    if (way->generation != generation || old->words > PLI_TRAIL_WORDS)
        old->frames = 0;
    way->generation = generation;
    *same = old->frames > 0 && pli_trail_holds_sig(old, 0, regs, &bad);
    if (*same)
        return old;
    pli_trail *whole = pli_trail_make_sig(&memo->trail[memo->spare], old, regs,
                                          max < PLI_TRAIL_FRAMES ? max : PLI_TRAIL_FRAMES);
    if (whole != old) {
        int spare = way->trail;
        way->trail = memo->spare, memo->spare = spare;
    }
    return whole;
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

/* Goes over .eh_frame and notes its FDEs, as far as there is room; returns how many there are.

       | length | 0: a CIE | ... | length | distance to its CIE: an FDE | ... | length 0: the end

   It is called twice: to count, then to fill memory of just that size. */
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

/* Adds to two values of the site with this key, from value[at] on: events, and how much they were.
   */
static void pli_sites_count_sig(pli_sites *s, const pli_site_key *key, int at, int64_t events,
                                int64_t much)
{
    pli_site *site = pli_site_find_sig(s, key);
    if (!site) {
        PLI_ADD(s->lost, events);
        return;
    }
    PLI_ADD(site->value[at], events);
    PLI_ADD(site->value[at + 1], much);
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

/* Moves what stands in one value of each site to another one, or drops it. */
PLI_SOMETIMES static void pli_sites_settle(const pli_sites *s, int from, int to, bool keep)
{
    size_t position = 0;
    for (pli_site *site; (site = pli_sites_next(s, &position)) != NULL;) {
        int64_t since = __atomic_exchange_n(&site->value[from], 0, __ATOMIC_RELAXED);
        PLI_ADD(site->value[to], keep ? since : 0);
    }
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

struct pli_bytes; /* see >>gzip */

#define PLI_VIEW_TYPES 4
#define PLI_VIEW_NOTES 8
#define PLI_VIEW_NOTE 120

/* One value of each sample: value[index] of its site, times a factor. */
typedef struct pli_sample_type {
    const char *type, *unit; /* "cpu", "nanoseconds" */
    int index;
    int64_t factor;
    int64_t (*of)(const pli_site *site, const int64_t *value); /* instead of these two, or NULL */
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
    /* debug=2 of what is about threads: appends it; NULL: the newest events, see below */
    void (*threads)(struct pli_bytes *out, bool emergency);
    bool heap;                             /* the heap's kind of text; sampling is the rate */
    const struct pli_pool *events;         /* has the newest one by one; NULL: nobody has */
    uint64_t events_since;                 /* in ticks: older ones belong to another profile */
    const struct pli_profile_source *source;
    const struct pli_snapshot *since;      /* what is to be taken off; NULL: nothing */
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

/* -- Who starts threads --

   From the moment anything is collected, each pthread_create notes the stack of its caller, and the
   new thread counts there. Threads that nobody has seen begin, since they are older or were started
   past the hook, count at a stack that consists of a mark: so all counts together are the threads
   that there are, and those that have ended since the recording began.

       [mark] 3      main+0x2c 1      grow_pool, main 8
                                            ▲
       thread block: started ───────────────┘      starter: the number of the thread that did it */

#define PLI_STARTED_DEPTH 32
#define PLI_STARTED_INNER 8 /* at most so many frames are perflab's own */
#define PLI_STARTED_BUFFER ((size_t)1 << 20)

/* Once open, the table stays: threads point into it. */
static struct { pli_lock lock; pli_sites sites; const pli_site *unseen; } pli_started;

/* The stack of a call that returns to ra: what lies before that address is perflab's own. */
static PLI_COLD const pli_site *pli_started_site(const void *ra)
{
    uintptr_t pcs[PLI_STARTED_DEPTH + PLI_STARTED_INNER];
    uintptr_t caller = pli_os_strip_sig((uintptr_t)ra) - 1;
    pli_regs here = pli_regs_here();
    int depth = pli_unwind_sig(&here, pcs, PLI_STARTED_DEPTH + PLI_STARTED_INNER), inner = 0;
    while (inner < PLI_STARTED_INNER && inner < depth && pcs[inner] != caller)
        inner++;
    inner = inner < PLI_STARTED_INNER && inner < depth ? inner : 0;
    depth = depth - inner < PLI_STARTED_DEPTH ? depth - inner : PLI_STARTED_DEPTH;
    pli_site_key key = {NULL, 0, pli_modules_epoch_sig(), depth, pcs + inner};
    return pli_site_find_sig(&pli_started.sites, &key);
}

/* Counts a thread where it was started. Somebody who looked a moment ago, when it had a block but
   had not come this far, has counted it as unseen: that is taken back. */
static void pli_started_count(pli_thread *t, const pli_site *site)
{
    const pli_site *other = __atomic_exchange_n(&t->started, site, __ATOMIC_ACQ_REL);
    PLI_ADD(((pli_site *)(uintptr_t)site)->value[0], 1);
    if (other)
        PLI_ADD(((pli_site *)(uintptr_t)other)->value[0], -1);
}

/* The calling thread works for perflab: it is left out where the program's threads are shown and
   counted. To be called first. */
PLI_SOMETIMES static void pli_thread_is_own(void)
{
    pli_thread *t = pli_thread_join();
    if (t == &pli_orphan)
        return;
    PLI_STORE(t->own, 1);
    const pli_site *site = __atomic_exchange_n(&t->started, NULL, __ATOMIC_ACQ_REL);
    if (site)
        PLI_ADD(((pli_site *)(uintptr_t)site)->value[0], -1);
}

/* The first thing that a thread of pli_thread_start_own's does. */
PLI_SOMETIMES static void pli_thread_make_own(const char *name)
{
    prctl(PR_SET_NAME, name, 0L, 0L, 0L);
    pli_thread_is_own();
}

/* In a fork's child there is one thread, which nobody has seen begin. */
static void pli_started_fork_child(pli_thread *t)
{
    size_t position = 0;
    pli_started.lock.state = 0;
    for (pli_site *site; (site = pli_sites_next(&pli_started.sites, &position)) != NULL;)
        PLI_STORE(site->value[0], 0);
    if (t->state == PLI_THREAD_USED)
        PLI_STORE(t->started, (const pli_site *)NULL);
}

static const pli_thread_hooks pli_started_thread_hooks = {
    NULL, NULL, NULL, NULL, pli_started_fork_child};
static const pli_start_hooks pli_started_hooks = {pli_started_site, pli_started_count};

/* Opens the table. Under the lock. */
static pl_result pli_started_open(void)
{
    static const uintptr_t mark[] = {PLI_PC_UNSEEN};
    static const pli_site_key key = {NULL, 0, 0, 1, mark};
    pl_result result = pli_unwind_prepare();
    if (result == PL_OK)
        result = pli_sites_open(&pli_started.sites, PLI_STARTED_BUFFER);
    if (result != PL_OK)
        return result;
    pli_started.unseen = pli_site_find_sig(&pli_started.sites, &key);
    pli_collector_add(&pli_started_thread_hooks);
    PLI_STORE_RELEASE(pli_threads.starts, &pli_started_hooks);
    pli_threads_want(PLI_WANT_STARTS, true);
    return PL_OK;
}

/* Begins to record who starts threads, for good; every collector calls this when it starts. */
PLI_SOMETIMES static pl_result pli_started_watch(void)
{
    pli_lock_take(&pli_started.lock);
    pl_result result = pli_started.unseen ? PL_OK : pli_started_open();
    pli_lock_give(&pli_started.lock);
    return result;
}

/* ==== >>event ====================================================================================
   What has a time is a record, and records are written to chunks of a pool: the CPU profile has a
   pool of its own, in memory; a trace has one in a file that is mapped (see >>record).

       pool     [ chunk ][ chunk ][ chunk ][ chunk ][ chunk ] ...     taken one after the other,
                   ▲ full    ▲ open    ▲ open    ▲ next                round and round
                             │         │
       thread blocks      thread 1   thread 2                          each writes to its own only

       chunk    header: serial, used, ...  [THREAD 7][BEGIN][BEGIN][END][COUNTER] ... free
                                                                           ▲ used

   A thread whose chunk is full takes the next one that nobody writes to, and what was in that is
   gone: the newest stay, memory is what was asked for, and what is overwritten is counted. When a
   thread ends, its chunk stays with the block, and the next thread of the block goes on in it.

   A record has 16 bytes, and a payload that is padded to 16:

       ticks, name, bytes of payload, kind, flags      name: a slot of the table of names, below

   One writer a chunk: it writes the record, and then moves `used`, with release. So whatever lies
   below `used` is whole, also in the file of a program that was killed.

   The writer marks its block as busy meanwhile. A signal handler that finds it busy has interrupted
   it, and puts its own records aside, in the block; the writer appends them when it is done:

       writer    busy = 1   record ...            ... used moved   appends aside   busy = 0
       handler                        aside += ...

   A handler may also leave by longjmp, and the writer never comes back. So when there is no room
   aside, the handler takes over: it leaves the chunk as it is, open, and goes on in another one.
   If the writer does come back, it finishes its record where nobody else writes.

   Closing is the rest of the agreement: `life` tells one opening of a pool from the next, and a
   writer looks at it after it is busy. Who closes sets it, has all processors see that, and waits
   until nobody is busy: then nobody looks at the chunks any more (see pli_pool_close). */

#if PLI_LINUX

#define PLI_CHUNK_BYTES 16384
#define PLI_PIECE_BYTES ((size_t)4080) /* of a payload; what is longer goes on in TEXT records */
#define PLI_POOL_TRIES 64              /* chunks looked at for one that is not open */
#define PLI_POOL_CLOSED UINT32_MAX     /* a life that no writer has */
#define PLI_NAME_PROBES 32

/* The numbers are part of the file: graders read them. */
enum {
    PLI_RECORD_THREAD = 1, /* first in a chunk, too: what follows is this thread's */
    PLI_RECORD_THREAD_END,
    PLI_RECORD_BEGIN,      /* of a region: name, or 0 and the text */
    PLI_RECORD_END,        /* of the innermost one */
    PLI_RECORD_INSTANT,    /* as BEGIN */
    PLI_RECORD_COUNTER,    /* {double value; text when name is 0} */
    PLI_RECORD_LOG,        /* name: the key; text. Name 0: key NUL text */
    PLI_RECORD_TASK_BEGIN, /* {u64 id; u64 parent; text} */
    PLI_RECORD_TASK_END,   /* {u64 id} */
    PLI_RECORD_TASK_ENTER, /* {u64 id}: this thread works for the task */
    PLI_RECORD_TASK_LEAVE, /* {u64 id} */
    PLI_RECORD_FLOW_OUT,   /* {u64 id; text when name is 0} */
    PLI_RECORD_FLOW_IN,    /* the same */
    PLI_RECORD_WAIT_BEGIN, /* name: PLI_CAUSE_...; {u64 object; u64 site} */
    PLI_RECORD_WAIT_END,   /* the same cause; {u64 site} */
    PLI_RECORD_SAMPLE,     /* {u64 site; u64 weight in ns} */
    PLI_RECORD_SCHED,      /* {u32 instance; i32 tid; u64 run_ns; u64 wait_ns} of that thread */
    PLI_RECORD_NAME,       /* {i32 tid; char name[16]} from now on */
    PLI_RECORD_LOST,       /* {u64 records} of this thread that found no room */
    PLI_RECORD_TEXT        /* what comes next of a long text */
};

/* flags of a record. CONTINUED, of THREAD: this thread had a chunk before, which may be gone. */
enum { PLI_RECORD_MORE = 1, PLI_RECORD_CONTINUED = 2 };

enum { PLI_CHUNK_FREE, PLI_CHUNK_OPEN, PLI_CHUNK_FULL };

typedef struct pli_record {
    uint64_t ticks;
    uint32_t name;
    uint16_t bytes; /* of the payload, without padding */
    uint8_t kind, flags;
} pli_record;

/* The payloads that have a form. */
typedef struct pli_payload_thread {
    uint32_t instance; /* unique among all threads of the program */
    int32_t tid;       /* as the kernel counts: used again */
    uint64_t start;    /* the function it runs; 0: unknown */
    char name[16];     /* may be "" */
} pli_payload_thread;

typedef struct pli_payload_sched {
    uint32_t instance;
    int32_t tid;
    uint64_t run_ns, wait_ns; /* since the thread began */
} pli_payload_sched;

typedef struct pli_payload_name { int32_t tid; char name[16]; } pli_payload_name;

/* Written by its owner; `used` is read by anyone. The wait is a call that may still last: see
   >>calls. */
typedef struct pli_chunk {
    uint64_t serial;      /* in the order of taking, from 1 on; 0: never, or it is being taken */
    uint32_t used;        /* bytes of whole records behind this header */
    uint32_t state;       /* PLI_CHUNK_...; atomic */
    uint32_t records;     /* in it */
    uint32_t dropped;     /* that were in it earlier, and were overwritten */
    uint64_t wait_ticks, wait_object;
    uint32_t wait_cause;  /* 0: none */
    uint32_t padding[5];
    char data[];
} pli_chunk;

_Static_assert(sizeof(pli_record) == 16 && sizeof(pli_chunk) == 64, "as in the file");

/* A slot of the table of names: 0 is none. Complete when size is set. */
typedef struct pli_name_slot { uint64_t key; uint32_t text, size; } pli_name_slot;

/* Literals by their address. The tables belong to whoever opens the pool. */
typedef struct pli_names {
    pli_name_slot *slots; /* NULL: none, all names are copied into their records */
    uint64_t mask;        /* a power of two of slots, less 1 */
    char *texts;
    uint64_t texts_bytes;
    uint64_t *texts_used; /* atomic */
} pli_names;

typedef struct pli_pool {
    uint32_t life;   /* which opening; PLI_POOL_CLOSED: closed; atomic */
    uint32_t lives;  /* openings so far */
    char *memory;    /* the chunks */
    uint32_t chunk_bytes, chunks;
    uint64_t taken;  /* chunks so far; atomic */
    uint32_t hand;   /* the chunk that is looked at next; atomic */
    int pid;         /* whose it is */
    uint64_t *lost;  /* records that found no room; atomic */
    pli_names names;
    pli_sites *sites;  /* of stacks in records; NULL: they have none */
    pli_lock common_lock;
    pli_recorder common; /* of threads without a block */
} pli_pool;

/* What is to be written. Name and site are found when the pool is known to be open. */
typedef struct pli_note {
    uint64_t ticks;
    uint8_t kind;
    uint32_t name;
    const char *literal;       /* becomes the name, if there is room for it; NULL: `name` is it */
    size_t words;              /* of word */
    uint64_t word[4];
    const pli_site_key *where; /* becomes the site in word[site_word]; NULL: none */
    int site_word;
    const char *text;
    size_t text_bytes;
    size_t key_bytes;          /* of a log: the literal stands before the text, too, with its NUL */
} pli_note;

/* -- Names -- */

/* A literal of a library that was unloaded may have another one's address: so the key also has how
   often that has happened. */
static inline uint64_t pli_name_key_sig(const char *literal)
{
    return (uintptr_t)literal ^ (uint64_t)PLI_LOAD(pli_modules.unloads) << 48;
}

static inline uint64_t pli_name_start_sig(const pli_names *n, uint64_t key)
{
    return key * 0x9e3779b97f4a7c15u >> 32 & n->mask;
}

/* The number of a literal that is where it is looked for first; 0: ask pli_name_find_sig. */
static inline uint32_t pli_name_known_sig(const pli_names *n, const char *literal)
{
    uint64_t key = pli_name_key_sig(literal), slot = pli_name_start_sig(n, key);
    return n->slots && PLI_LOAD(n->slots[slot].key) == key ? (uint32_t)slot : 0;
}

/* Copies a text to where it stays; its offset, or UINT64_MAX when there is no room. */
static uint64_t pli_name_text_sig(const pli_names *n, const char *text, size_t size)
{
    if (PLI_LOAD(*n->texts_used) + size > n->texts_bytes)
        return UINT64_MAX;
    uint64_t end = PLI_ADD(*n->texts_used, size);
    if (end > n->texts_bytes)
        return UINT64_MAX;
    memcpy(n->texts + end - size, text, size);
    return end - size;
}

/* Puts a literal into a slot that was free; false when another thread was faster, whose key is in
   *there then. */
static bool pli_name_put_sig(pli_name_slot *s, uint64_t key, uint64_t text, size_t size,
                             uint64_t *there)
{
    if (!__atomic_compare_exchange_n(&s->key, there, key, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return false;
    PLI_STORE(s->text, (uint32_t)text);
    PLI_STORE_RELEASE(s->size, (uint32_t)size);
    return true;
}

/* The number of a literal, new if need be; 0 when it is empty or there is no room. Two threads that
   meet a new one at once both copy it, and one copy stays unused. */
static PLI_COLD uint32_t pli_name_find_sig(const pli_names *n, const char *literal)
{
    uint64_t key = pli_name_key_sig(literal), text = UINT64_MAX;
    size_t size = n->slots ? strlen(literal) : 0;
    uint64_t slot = pli_name_start_sig(n, key);
    for (int i = 0; size && i < PLI_NAME_PROBES; i++, slot = (slot + 1) & n->mask) {
        pli_name_slot *s = &n->slots[slot];
        uint64_t there = slot == 0 ? 1 : PLI_LOAD(s->key); /* slot 0 is for those without a name */
        if (there == 0) {
            if (text == UINT64_MAX && (text = pli_name_text_sig(n, literal, size)) == UINT64_MAX)
                return 0;
            if (pli_name_put_sig(s, key, text, size, &there))
                return (uint32_t)slot;
        }
        if (there == key)
            return (uint32_t)slot;
    }
    return 0;
}

/* -- Chunks -- */

/* What a record takes. */
static inline size_t pli_record_bytes_sig(size_t payload)
{
    return sizeof(pli_record) + ((payload + 15) & ~(size_t)15);
}

/* Word by word, since others may be copying the chunk; the last word is filled up with zeros. */
static char *pli_words_sig(char *to, const void *from, size_t bytes)
{
    const char *at = from;
    for (uint64_t word; bytes > 0; at += 8, to += 8) {
        size_t now = bytes < 8 ? bytes : 8;
        word = 0;
        memcpy(&word, at, now);
        PLI_STORE(*(uint64_t *)(void *)to, word);
        bytes -= now;
    }
    return to;
}

/* Writes the head of a record; the half with its kind comes last. */
static inline char *pli_head_sig(char *to, pli_record r)
{
    uint64_t words[2];
    memcpy(words, &r, sizeof words);
    PLI_STORE(((uint64_t *)(void *)to)[0], words[0]);
    PLI_STORE_RELEASE(((uint64_t *)(void *)to)[1], words[1]);
    return to + sizeof r;
}

/* The record at the end of the chunk is whole: readers may see it. */
static inline void pli_chunk_move_sig(pli_chunk *c, uint32_t used, size_t bytes)
{
    PLI_STORE(c->records, c->records + 1);
    PLI_STORE_RELEASE(c->used, used + (uint32_t)bytes);
}

/* Appends a record whose payload is in one piece; there is room for it. */
static void pli_chunk_add_sig(pli_chunk *c, pli_record r, const void *payload)
{
    uint32_t used = c->used;
    size_t bytes = pli_record_bytes_sig(r.bytes);
    char *end = pli_words_sig(pli_head_sig(c->data + used, r), payload, r.bytes);
    if (end < c->data + used + bytes)
        PLI_STORE(*(uint64_t *)(void *)end, (uint64_t)0);
    pli_chunk_move_sig(c, used, bytes);
}

static pli_chunk *pli_pool_chunk_sig(const pli_pool *p, uint32_t i)
{
    return (pli_chunk *)(void *)(p->memory + (size_t)i * p->chunk_bytes);
}

/* Bytes of records in a chunk. */
static inline size_t pli_pool_room_sig(const pli_pool *p)
{
    return p->chunk_bytes - sizeof(pli_chunk);
}

/* An open chunk is emptied for its next life. serial goes first and comes last, so that a reader
   who sees the same one before and after has copied one life. */
static void pli_chunk_begin_sig(pli_pool *p, pli_chunk *c)
{
    uint32_t dropped = c->dropped + c->records;
    __atomic_exchange_n(&c->serial, 0, __ATOMIC_ACQ_REL); /* nothing below moves before this */
    PLI_STORE(c->used, 0);
    PLI_STORE(c->records, 0);
    PLI_STORE(c->dropped, dropped);
    PLI_STORE(c->wait_cause, 0);
    PLI_STORE_RELEASE(c->serial, PLI_ADD(p->taken, 1));
}

/* The next chunk round the pool that nobody writes to, or NULL. The look is bounded: the next
   record that needs a chunk looks on from there. */
static pli_chunk *pli_chunk_take_sig(pli_pool *p)
{
    for (int i = 0; i < PLI_POOL_TRIES; i++) {
        pli_chunk *c = pli_pool_chunk_sig(p, (PLI_ADD(p->hand, 1) - 1) % p->chunks);
        uint32_t state = PLI_LOAD(c->state);
        if (state == PLI_CHUNK_OPEN ||
            !__atomic_compare_exchange_n(&c->state, &state, PLI_CHUNK_OPEN, 0, __ATOMIC_ACQUIRE,
                                         __ATOMIC_RELAXED))
            continue;
        pli_chunk_begin_sig(p, c);
        return c;
    }
    return NULL;
}

/* Nobody writes to it any more. */
static void pli_chunk_give_sig(pli_chunk *c)
{
    if (c)
        PLI_STORE_RELEASE(c->state, PLI_CHUNK_FULL);
}

/* -- Writers. In what follows the writer is busy, and the pool was open since -- */

/* A thread, its writer and where that writes to. */
typedef struct pli_target { pli_pool *pool; const pli_thread *thread; pli_recorder *writer; } pli_target;

/* THREAD and LOST, which the writer may have to say before a record */
#define PLI_RECORDER_OWN (3 * sizeof(pli_record) + sizeof(pli_payload_thread))

/* Says whose records follow, and how many of them are missing. The name is known for the calling
   thread only. */
static void pli_recorder_say_sig(pli_target at, bool again)
{
    const pli_thread *t = at.thread;
    pli_recorder *w = at.writer;
    pli_payload_thread who = {t->instance, PLI_LOAD(t->tid), PLI_LOAD(t->start), ""};
    uint64_t now = pli_ticks_sig(), lost = w->lost;
    if (who.tid == pli_os_tid_sig())
        pli_os_thread_name_sig(who.name);
    pli_chunk_add_sig(w->chunk, (pli_record){now, 0, sizeof who, PLI_RECORD_THREAD,
                                             again ? PLI_RECORD_CONTINUED : 0}, &who);
    w->lost = 0;
    if (lost)
        pli_chunk_add_sig(w->chunk, (pli_record){now, 0, sizeof lost, PLI_RECORD_LOST, 0}, &lost);
}

/* A chunk with room for so many bytes; NULL: there is none. A handler may take over in between:
   then its chunk is the writer's. */
static pli_chunk *pli_recorder_turn_sig(pli_target at, size_t bytes)
{
    pli_chunk *old = at.writer->chunk, *there = old;
    if (old && old->used + bytes <= pli_pool_room_sig(at.pool))
        return old;
    pli_chunk *c = pli_chunk_take_sig(at.pool);
    if (c)
        pli_chunk_give_sig(__atomic_compare_exchange_n(&at.writer->chunk, &there, c, 0,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED) ?
                           old : c);
    return c ? at.writer->chunk : NULL;
}

/* The same in the cases that are not the usual one: the thread is not known to the pool yet, or its
   chunk is full. NULL: the record is lost. */
static PLI_COLD pli_chunk *pli_recorder_begin_sig(pli_target at, size_t bytes)
{
    pli_recorder *w = at.writer;
    uint32_t life = PLI_LOAD(at.pool->life);
    if (life == PLI_POOL_CLOSED)
        return NULL;
    if (w->chunk_life != life) { /* what it had is of another time */
        w->chunk_life = life, w->lost = w->began = 0;
        w->chunk = w->left = NULL;
    }
    pli_chunk *before = w->life == life ? w->chunk : NULL;
    pli_chunk *c = pli_recorder_turn_sig(at, bytes + PLI_RECORDER_OWN);
    if (!c || c->used + PLI_RECORDER_OWN + bytes > pli_pool_room_sig(at.pool)) {
        w->lost++;
        PLI_ADD(*at.pool->lost, 1);
        return NULL;
    }
    if (c != before || w->lost)
        pli_recorder_say_sig(at, w->began == life);
    w->life = w->began = life;
    return c;
}

/* The chunk to write so many bytes to, or NULL. */
static inline pli_chunk *pli_recorder_room_sig(pli_target at, size_t bytes)
{
    pli_chunk *c = at.writer->chunk;
    if (PLI_LIKELY(at.writer->life == PLI_LOAD(at.pool->life) &&
                   c->used + bytes <= pli_pool_room_sig(at.pool)))
        return c;
    return pli_recorder_begin_sig(at, bytes);
}

/* Name and site of a note. A name for which there is no room becomes text. */
static void pli_note_settle_sig(const pli_pool *p, pli_note *n)
{
    if (n->where)
        n->word[n->site_word] =
            (uintptr_t)(p->sites ? pli_site_find_sig(p->sites, n->where) : NULL);
    if (n->literal && (n->name = pli_name_find_sig(&p->names, n->literal)) == 0) {
        n->text = n->text ? n->text - n->key_bytes : n->literal;
        n->text_bytes = n->key_bytes ? n->text_bytes + n->key_bytes : strlen(n->literal);
    }
    n->where = NULL, n->literal = NULL;
}

/* How much of the text goes into the record itself. */
static size_t pli_note_first_sig(const pli_note *n)
{
    size_t room = PLI_PIECE_BYTES - n->words * sizeof *n->word;
    return n->text_bytes < room ? n->text_bytes : room;
}

/* What a note takes, all of its records together. */
static size_t pli_note_bytes_sig(const pli_note *n)
{
    size_t first = pli_note_first_sig(n), left = n->text_bytes - first;
    return pli_record_bytes_sig(n->words * sizeof *n->word + first) +
           left / PLI_PIECE_BYTES * pli_record_bytes_sig(PLI_PIECE_BYTES) +
           (left % PLI_PIECE_BYTES ? pli_record_bytes_sig(left % PLI_PIECE_BYTES) : 0);
}

/* Writes the first record of a note; the head comes last, so that what is aside shows by its kind
   whether it is whole. Returns its size. */
static size_t pli_note_head_sig(const pli_note *n, char *to)
{
    size_t words = n->words * sizeof *n->word, text = pli_note_first_sig(n);
    size_t bytes = pli_record_bytes_sig(words + text);
    char *end = pli_words_sig(to + sizeof(pli_record), n->word, words);
    end = pli_words_sig(end, n->text, text);
    if (end < to + bytes)
        PLI_STORE(*(uint64_t *)(void *)end, (uint64_t)0);
    pli_head_sig(to, (pli_record){n->ticks, n->name, (uint16_t)(words + text), n->kind,
                                  text < n->text_bytes ? PLI_RECORD_MORE : 0});
    return bytes;
}

/* Turns a note into what is left of it behind its first record, or behind a piece. */
static bool pli_note_rest_sig(pli_note *n)
{
    size_t first = pli_note_first_sig(n);
    n->kind = PLI_RECORD_TEXT, n->words = 0, n->name = 0;
    n->text += first, n->text_bytes -= first;
    return n->text_bytes > 0;
}

/* Appends a note to the thread's chunk; a long one in pieces. */
static void pli_note_append_sig(pli_target at, pli_note *n)
{
    do {
        PLI_STORE(at.writer->busy, 1); /* again, should a handler have taken over meanwhile */
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        pli_chunk *c = pli_recorder_room_sig(at, pli_record_bytes_sig(
            n->words * sizeof *n->word + pli_note_first_sig(n)));
        if (!c)
            return;
        uint32_t used = c->used;
        pli_chunk_move_sig(c, used, pli_note_head_sig(n, c->data + used));
    } while (n->text && pli_note_rest_sig(n));
}

/* Appends the records that handlers have put aside so far. One without a kind belongs to a handler
   that never came back: its size is not known, and what is behind it is lost, too. */
static void pli_aside_append_sig(pli_target at)
{
    pli_recorder *w = at.writer;
    uint32_t done = 0, there = PLI_LOAD(w->aside_used);
    do {
        while (done < there) {
            pli_record r;
            memcpy(&r, w->aside + done, sizeof r);
            size_t bytes = pli_record_bytes_sig(r.bytes);
            bool whole = r.kind != 0 && done + bytes <= there;
            pli_chunk *c = whole ? pli_recorder_room_sig(at, bytes) : NULL;
            if (c)
                pli_chunk_add_sig(c, r, w->aside + done + sizeof r);
            else if (!whole)
                w->lost++, PLI_ADD(*at.pool->lost, 1);
            done = whole ? done + (uint32_t)bytes : there;
        }
        memset(w->aside, 0, there);
    } while (!__atomic_compare_exchange_n(&w->aside_used, &there, 0, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
}

/* -- The way in and out -- */

/* The writer is busy from here on; false: it was so already, or the pool is closed. */
static inline bool pli_recorder_enter_sig(const pli_pool *p, pli_recorder *w)
{
    if (PLI_UNLIKELY(PLI_LOAD(w->busy)))
        return false;
    PLI_STORE(w->busy, 1);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* who closes has made this one for processors */
    if (PLI_LIKELY(PLI_LOAD(p->life) != PLI_POOL_CLOSED))
        return true;
    PLI_STORE_RELEASE(w->busy, 0);
    return false;
}

/* And from here on it is not. What a handler puts aside in between is seen, too. */
static inline void pli_recorder_leave_sig(pli_target at)
{
    pli_recorder *w = at.writer;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    for (;;) {
        if (PLI_UNLIKELY(PLI_LOAD(w->aside_used)))
            pli_aside_append_sig(at);
        PLI_STORE_RELEASE(w->busy, 0);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if (PLI_LIKELY(PLI_LOAD(w->aside_used) == 0))
            return;
        PLI_STORE(w->busy, 1);
    }
}

/* In a handler that has interrupted the writer: puts the note aside, or takes over. */
static PLI_COLD void pli_note_aside_sig(pli_target at, pli_note *n)
{
    pli_recorder *w = at.writer;
    uint32_t life = PLI_LOAD(at.pool->life);
    if (life == PLI_POOL_CLOSED)
        return;
    pli_note_settle_sig(at.pool, n);
    size_t bytes = pli_note_bytes_sig(n);
    if (bytes <= PLI_ASIDE_BYTES) {
        uint32_t end = PLI_ADD(w->aside_used, (uint32_t)bytes);
        if (end <= PLI_ASIDE_BYTES) {
            pli_note_head_sig(n, w->aside + end - bytes);
            return;
        }
        PLI_ADD(w->aside_used, -(uint32_t)bytes);
    }
    if (w->life == life) {
        pli_chunk_give_sig(w->left);
        w->left = w->chunk;
        w->chunk = NULL, w->life = 0;
    }
    pli_aside_append_sig(at);
    pli_note_append_sig(at, n);
    pli_recorder_leave_sig(at);
}

/* Writes a note of a thread with a block, which is the calling one. */
static void pli_note_write_sig(pli_target at, pli_note *n)
{
    if (PLI_LOAD(at.writer->busy)) {
        pli_note_aside_sig(at, n);
    } else if (pli_recorder_enter_sig(at.pool, at.writer)) {
        pli_note_settle_sig(at.pool, n);
        pli_note_append_sig(at, n);
        pli_recorder_leave_sig(at);
    }
}

/* Writes a note of a thread without a block: it is dying, or forking, or memory ran out. Such share
   a chunk, and each record says whose it is. Who cannot have it at once may have interrupted its
   holder: the record is lost then. A fork's child has no business there. */
PLI_SOMETIMES static PLI_COLD void pli_note_write_common_sig(pli_pool *p, uint32_t instance,
                                                             pli_note *n)
{
    static const pli_thread nobody;
    uint32_t expected = 0;
    int tries = 1000;
    if (PLI_LOAD(p->life) == PLI_POOL_CLOSED || p->pid != getpid())
        return;
    while (!__atomic_compare_exchange_n(&p->common_lock.state, &expected, 1, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED) && tries-- > 0)
        expected = 0;
    if (tries < 0)
        return;
    pli_thread self = nobody;
    self.instance = instance, self.tid = pli_os_tid_sig();
    if (PLI_LOAD(p->life) != PLI_POOL_CLOSED) {
        pli_note_settle_sig(p, n);
        p->common.life = p->common.began = 0; /* so that it says who it is */
        pli_note_append_sig((pli_target){p, &self, &p->common}, n);
    }
    PLI_STORE_RELEASE(p->common_lock.state, 0);
}

/* -- Open and read -- */

/* Makes a pool of fresh memory, all zeros. The tables of names and sites are there already. */
PLI_SOMETIMES static void pli_pool_open(pli_pool *p, char *memory, size_t bytes, size_t chunk_bytes,
                                        uint64_t *lost)
{
    p->memory = memory;
    p->chunk_bytes = (uint32_t)chunk_bytes, p->chunks = (uint32_t)(bytes / chunk_bytes);
    p->taken = 0, p->hand = 0;
    p->lost = lost;
    p->pid = getpid();
    memset(&p->common, 0, sizeof p->common);
    p->lives = p->lives + 1 == PLI_POOL_CLOSED ? 1 : p->lives + 1;
    __atomic_store_n(&p->life, p->lives, __ATOMIC_SEQ_CST);
}

/* Chunks as a reader has them: those of a pool that is closed, or a copy. */
typedef struct pli_chunks { const char *memory; size_t chunk_bytes, count; } pli_chunks;

/* Copies a pool that is being written to; `to` has room for all of it. A chunk that was taken anew
   meanwhile has no records in the copy: what was in it is gone. */
PLI_SOMETIMES static pli_chunks pli_pool_copy(const pli_pool *p, char *to)
{
    for (uint32_t i = 0; i < p->chunks; i++) {
        pli_chunk *from = pli_pool_chunk_sig(p, i);
        pli_chunk *copy = (pli_chunk *)(void *)(to + (size_t)i * p->chunk_bytes);
        uint64_t serial = PLI_LOAD_ACQUIRE(from->serial);
        uint32_t used = PLI_LOAD_ACQUIRE(from->used);
        *copy = (pli_chunk){serial, used, PLI_LOAD(from->state), PLI_LOAD(from->records),
                            PLI_LOAD(from->dropped), PLI_LOAD(from->wait_ticks),
                            PLI_LOAD(from->wait_object), PLI_LOAD(from->wait_cause), {0}};
        for (uint32_t at = 0; at < used; at += 8)
            *(uint64_t *)(void *)(copy->data + at) = PLI_LOAD(*(uint64_t *)(void *)(from->data + at));
        /* Adding 0, unlike a load, cannot be done before the loads above it. */
        if (__atomic_fetch_add(&from->serial, 0, __ATOMIC_ACQ_REL) != serial)
            copy->used = 0;
    }
    return (pli_chunks){to, p->chunk_bytes, p->chunks};
}

static inline const pli_chunk *pli_chunks_at(pli_chunks c, size_t i)
{
    return (const pli_chunk *)(const void *)(c.memory + i * c.chunk_bytes);
}

/* A stretch of a chunk that is one thread's, behind its THREAD. */
typedef struct pli_piece {
    uint64_t ticks;     /* of that record */
    const pli_payload_thread *thread;
    const pli_chunk *chunk;
    uint32_t from, to;  /* bytes in chunk->data */
    uint32_t continued; /* see PLI_RECORD_CONTINUED */
} pli_piece;

/* All pieces, thread by thread, and the records of one thread in their order:

       while ((first = pli_records_thread(&r)) != NULL)
           while ((record = pli_records_next(&r)) != NULL)

   The payload of a record is behind it. THREAD records are among what is read. */
typedef struct pli_records {
    pli_piece *piece;
    pli_pair *order;      /* key: the instance; value: which piece */
    size_t count, bytes;  /* pieces; of all memory */
    size_t next;          /* in order */
    uint32_t instance;    /* the thread that is read */
    const pli_record *at, *end;
} pli_records;

static inline const pli_record *pli_record_at(const pli_chunk *c, size_t at)
{
    return (const pli_record *)(const void *)(c->data + at);
}

/* Calls found(to, piece) for each piece of a chunk; returns how many there are. to may be NULL. */
static size_t pli_pieces_of(const pli_chunk *c, pli_piece *to)
{
    size_t count = 0;
    for (uint32_t at = 0; at < c->used; at += (uint32_t)pli_record_bytes_sig(
                                                 pli_record_at(c, at)->bytes)) {
        const pli_record *r = pli_record_at(c, at);
        if (r->kind != PLI_RECORD_THREAD)
            continue;
        if (to && count > 0)
            to[count - 1].to = at;
        if (to)
            to[count] = (pli_piece){r->ticks, (const pli_payload_thread *)(const void *)(r + 1), c,
                                    at, c->used, r->flags & PLI_RECORD_CONTINUED};
        count++;
    }
    return count;
}

/* Chunks by serial, so that pieces of the same tick keep their order; then pieces by time, and at
   last by thread. Under the order, its scratch. */
static void pli_records_sort(pli_records *r, pli_chunks c, pli_pair *chunks)
{
    for (size_t i = 0; i < c.count; i++)
        chunks[i] = (pli_pair){pli_chunks_at(c, i)->serial, i};
    pli_sort(chunks, chunks + c.count, c.count);
    size_t count = 0;
    for (size_t i = 0; i < c.count; i++)
        count += pli_pieces_of(pli_chunks_at(c, chunks[i].value), r->piece + count);
    for (size_t i = 0; i < count; i++)
        r->order[i] = (pli_pair){r->piece[i].ticks, i};
    pli_sort(r->order, r->order + count, count);
    for (size_t i = 0; i < count; i++)
        r->order[i].key = r->piece[r->order[i].value].thread->instance;
    pli_sort(r->order, r->order + count, count);
}

/* The chunks have to stay as they are meanwhile. False: no memory. */
PLI_SOMETIMES static bool pli_records_open(pli_records *r, pli_chunks c)
{
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < c.count; i++)
        r->count += pli_pieces_of(pli_chunks_at(c, i), NULL);
    size_t pairs = 2 * r->count + 2 * c.count;
    r->bytes = r->count * sizeof *r->piece + pairs * sizeof *r->order + 1;
    char *memory = pli_os_map(r->bytes);
    if (!memory)
        return false;
    r->order = (pli_pair *)(void *)memory;
    r->piece = (pli_piece *)(void *)(r->order + pairs);
    pli_records_sort(r, c, r->order + 2 * r->count);
    return true;
}

PLI_SOMETIMES static void pli_records_close(pli_records *r)
{
    munmap(r->order, r->bytes);
}

/* Turns to the next piece. */
static const pli_piece *pli_records_piece(pli_records *r)
{
    const pli_piece *p = &r->piece[r->order[r->next++].value];
    r->at = pli_record_at(p->chunk, p->from);
    r->end = pli_record_at(p->chunk, p->to);
    return p;
}

/* Turns to the next thread, and returns its first piece; NULL: that was the last. */
PLI_SOMETIMES static const pli_piece *pli_records_thread(pli_records *r)
{
    while (r->next < r->count && r->next > 0 && r->order[r->next].key == r->instance)
        r->next++;
    if (r->next == r->count)
        return NULL;
    r->instance = (uint32_t)r->order[r->next].key;
    return pli_records_piece(r);
}

/* The thread's next record; NULL: that was its last. */
PLI_SOMETIMES static const pli_record *pli_records_next(pli_records *r)
{
    while (r->at == r->end) {
        if (r->next == r->count || r->order[r->next].key != r->instance)
            return NULL;
        pli_records_piece(r);
    }
    const pli_record *now = r->at;
    r->at = (const pli_record *)(const void *)((const char *)now + pli_record_bytes_sig(now->bytes));
    return now;
}

#endif /* PLI_LINUX */

/* ==== >>record ===================================================================================
   What the tracer writes: regions, tasks, logs, counters, waits and samples of the CPU profile. A
   session is a pool (see >>event), tables of names and of stacks, and a head that says where all of
   this lies. It is one stretch of memory, and so one file, FILE.ring:

       0       head       1 KiB, below; padded to a page
               names      slots of 16 bytes; the number of a name is its slot
               texts      of these names
               modules    lines of text: EPOCH START END FILEOFFSET BUILDID PATH
               sites      stacks, one behind the other (see >>site)
               chunks     of the pool, to the end

   The file is mapped, and threads write to memory: what was written is in the file when the program
   is killed at any moment. Addresses in it less `base` are offsets in it. A trace is made of it
   when it ends, and then it is removed; graders make one of what a killed program has left.

   Whether anything is recorded stands in pl_trace_on, which the API looks at in the program's own
   code. Who finds it on may find the session closed an instant later: that is what `life` of the
   pool is for. */

#if PLI_LINUX && !defined(PERFLAB_NO_TRACE) && UINTPTR_MAX > 0xffffffffu
#define PLI_TRACE 1
#else
#define PLI_TRACE 0
#endif

/* What a thread waits for; the numbers are part of the file. */
enum {
    PLI_CAUSE_LOCK = 1, PLI_CAUSE_READ_LOCK, PLI_CAUSE_WRITE_LOCK, PLI_CAUSE_CONDITION,
    PLI_CAUSE_JOIN, PLI_CAUSE_SEMAPHORE, PLI_CAUSE_BARRIER, PLI_CAUSE_READ, PLI_CAUSE_WRITE,
    PLI_CAUSE_POLL, PLI_CAUSE_EPOLL, PLI_CAUSE_SELECT, PLI_CAUSE_ACCEPT, PLI_CAUSE_CONNECT,
    PLI_CAUSE_SEND, PLI_CAUSE_RECEIVE, PLI_CAUSE_SLEEP, PLI_CAUSE_CHILD
};

#if PLI_TRACE

#define PLI_RING_MAGIC "perflab ring 1\n"

/* The first KiB of the file. What moves while the program runs: the `used`, `now` and `lost`. */
typedef struct pli_ring {
    char magic[16];
    uint64_t base, bytes; /* where it is mapped; of the file */
    uint64_t names_at, names_slots;
    uint64_t texts_at, texts_bytes, texts_used;
    uint64_t modules_at, modules_bytes, modules_used;
    uint64_t sites_at, sites_bytes;
    uint64_t chunks_at;
    uint32_t chunk_bytes, chunks;
    uint64_t start_ticks, start_mono_ns, start_boot_ns, start_unix_ns;
    uint64_t now_ticks[2], now_mono_ns[2]; /* a later moment on both clocks: their rate */
    uint32_t now, padding;                 /* which of the two is complete */
    int32_t pid;
    uint32_t page_bytes;
    uint64_t lost;        /* records that found no room */
    char program[256];    /* its path */
    char command[552];    /* its arguments, a space in between */
} pli_ring;

_Static_assert(sizeof(pli_ring) == 1024 && offsetof(pli_ring, chunks_at) == 112 &&
               offsetof(pli_ring, now_ticks) == 160 && offsetof(pli_ring, lost) == 208, "as read");

/* The session. It has as many users as have opened it: a trace, the flight recorder. */
static struct {
    pli_lock lock;        /* opening and closing, and who reads meanwhile */
    int users;
    pli_pool pool;
    pli_sites sites;
    pli_ring *ring;       /* the start of its memory; NULL: closed */
    size_t bytes;
    char path[4096];      /* of the file; "": in memory */
    uint64_t tasks;       /* numbers given so far; atomic */
} pli_trace = {.pool = {.life = PLI_POOL_CLOSED}};

/* Where the calling thread's records go; it has a block. */
static inline pli_target pli_record_target_sig(pli_thread *t)
{
    return (pli_target){&pli_trace.pool, t, &t->trace};
}

/* Writes a note of the calling thread, whatever that is. A thread that has no block gets one,
   unless somebody holds the lock for that: it may be this thread, which a handler interrupted. */
static PLI_COLD void pli_note_record(pli_note *n)
{
    int saved_errno = errno;
    pli_thread *t = pli_self;
    if (t == &pli_unborn && PLI_LOAD(pli_threads.lock.state) == 0)
        t = pli_thread_join();
    if (PLI_LOAD(t->state) == PLI_THREAD_USED)
        pli_note_write_sig(pli_record_target_sig(t), n);
    else
        pli_note_write_common_sig(&pli_trace.pool, pli_instance ? pli_instance :
                                  (uint32_t)pli_os_tid_sig() | (uint32_t)1 << 31, n);
    errno = saved_errno;
}

/* What has no payload, in the usual case: the thread is known, its chunk has room, and the name was
   met before. literal may be NULL. */
static inline bool pli_record_bare_sig(pli_thread *t, int kind, const char *literal)
{
    pli_target at = pli_record_target_sig(t);
    if (PLI_UNLIKELY(!pli_recorder_enter_sig(at.pool, at.writer)))
        return false;
    uint32_t name = literal ? pli_name_known_sig(&at.pool->names, literal) : 0;
    pli_chunk *c = at.writer->chunk;
    bool usual = (name || !literal) && at.writer->life == PLI_LOAD(at.pool->life) &&
                 c->used + sizeof(pli_record) <= pli_pool_room_sig(at.pool);
    if (PLI_LIKELY(usual)) {
        uint32_t used = c->used;
        pli_head_sig(c->data + used, (pli_record){pli_ticks_sig(), name, 0, (uint8_t)kind, 0});
        pli_chunk_move_sig(c, used, sizeof(pli_record));
    }
    pli_recorder_leave_sig(at);
    return usual;
}

/* A name alone: a region, an instant. */
static inline void pli_record_name_only(int kind, const char *literal)
{
    if (PLI_LIKELY(pli_record_bare_sig(pli_self, kind, literal)))
        return;
    pli_note note = {.ticks = pl_ticks(), .kind = (uint8_t)kind, .literal = literal};
    pli_note_record(&note);
}

/* A word, and a name that may be NULL. */
static void pli_record_word(int kind, const char *literal, uint64_t word)
{
    pli_note note = {.ticks = pl_ticks(), .kind = (uint8_t)kind, .literal = literal,
                     .words = 1, .word = {word}};
    pli_note_record(&note);
}

/* -- For those who watch -- */

/* The thread begins to wait for `object`, at a stack (NULL: not known); ticks 0: now. */
PLI_SOMETIMES static void pli_record_wait_begin(uint64_t ticks, uint32_t cause, const void *object,
                                                const pli_site_key *where)
{
    pli_note note = {.ticks = ticks ? ticks : pl_ticks(), .kind = PLI_RECORD_WAIT_BEGIN,
                     .name = cause, .words = 2, .word = {(uintptr_t)object, 0},
                     .where = where, .site_word = 1};
    pli_note_record(&note);
}

/* And has ended waiting: the stack may be given only now. */
PLI_SOMETIMES static void pli_record_wait_end(uint64_t ticks, uint32_t cause,
                                              const pli_site_key *where)
{
    pli_note note = {.ticks = ticks ? ticks : pl_ticks(), .kind = PLI_RECORD_WAIT_END,
                     .name = cause, .words = 1, .where = where};
    pli_note_record(&note);
}

/* A tick of the CPU profile, in its handler. t is the calling thread, and has a block. */
static void pli_record_sample_sig(pli_thread *t, uint64_t ticks, const pli_site_key *where,
                                  uint64_t weight_ns)
{
    pli_site_key key = *where;
    key.labels = NULL; /* which a reader of the file could not follow */
    pli_note note = {.ticks = ticks, .kind = PLI_RECORD_SAMPLE, .words = 2,
                     .word = {0, weight_ns}, .where = &key};
    if (PLI_LOAD(pl_trace_on))
        pli_note_write_sig(pli_record_target_sig(t), &note);
}

/* How long a thread has computed, and waited for a processor, since it began. */
PLI_SOMETIMES static void pli_record_sched(uint64_t ticks, uint32_t instance, int tid,
                                           uint64_t run_ns, uint64_t wait_ns)
{
    pli_note note = {.ticks = ticks, .kind = PLI_RECORD_SCHED, .words = 3,
                     .word = {0, run_ns, wait_ns}};
    pli_payload_sched sched = {instance, tid, run_ns, wait_ns};
    memcpy(note.word, &sched, sizeof sched);
    pli_note_record(&note);
}

/* What a thread is called from now on. */
PLI_SOMETIMES static void pli_record_thread_name(uint64_t ticks, int tid, const char *name)
{
    pli_payload_name payload = {tid, ""};
    snprintf(payload.name, sizeof payload.name, "%.15s", name);
    pli_note note = {.ticks = ticks, .kind = PLI_RECORD_NAME, .text = (const char *)&payload,
                     .text_bytes = sizeof payload};
    pli_note_record(&note);
}

PLI_SOMETIMES static void pli_record_counter(uint64_t ticks, const char *literal, double value)
{
    pli_note note = {.ticks = ticks, .kind = PLI_RECORD_COUNTER, .literal = literal, .words = 1};
    memcpy(note.word, &value, sizeof value);
    pli_note_record(&note);
}

/* -- For the program. The API calls these when pl_trace_on says so -- */

void pli_region_begin(const char *literal)
{
    pli_record_name_only(PLI_RECORD_BEGIN, literal ? literal : "");
}

void pli_region_end(void)
{
    pli_record_name_only(PLI_RECORD_END, NULL);
}

void pli_region_begin_copy(const char *name)
{
    pli_note note = {.ticks = pl_ticks(), .kind = PLI_RECORD_BEGIN, .text = name ? name : "",
                     .text_bytes = name ? strlen(name) : 0};
    pli_note_record(&note);
}

void pli_trace_instant(const char *name)
{
    pli_record_name_only(PLI_RECORD_INSTANT, name ? name : "");
}

void pli_trace_counter(const char *name, double value)
{
    pli_record_counter(pl_ticks(), name ? name : "", value);
}

void pli_flow(int out, const char *name, uint64_t id)
{
    pli_record_word(out ? PLI_RECORD_FLOW_OUT : PLI_RECORD_FLOW_IN, name ? name : "", id);
}

/* Numbers are never given twice, so that a task of an earlier trace is no other one in this. */
uint64_t pli_task_begin(const char *name, uint64_t parent)
{
    uint64_t id = PLI_ADD(pli_trace.tasks, 1);
    pli_note note = {.ticks = pl_ticks(), .kind = PLI_RECORD_TASK_BEGIN, .words = 2,
                     .word = {id, parent}, .text = name ? name : "",
                     .text_bytes = name ? strlen(name) : 0};
    pli_note_record(&note);
    return id;
}

void pli_task_end(uint64_t id)
{
    pli_record_word(PLI_RECORD_TASK_END, NULL, id);
}

void pli_task_work(int enter, uint64_t id)
{
    pli_record_word(enter ? PLI_RECORD_TASK_ENTER : PLI_RECORD_TASK_LEAVE, NULL, id);
}

#define PLI_LOG_BYTES 1024 /* that need no memory of their own */

/* Key, NUL, text: the key may be needed in the record. A text that is longer is written anew, into
   memory that is large enough. Returns how much room it takes, or 0 for a wrong format. */
static size_t pli_log_format(char *out, size_t size, const char *key, const char *format,
                             va_list arguments)
{
    size_t used = strlen(key) + 1;
    if (used < size)
        memcpy(out, key, used);
    int n = vsnprintf(used < size ? out + used : NULL, used < size ? size - used : 0, format,
                      arguments);
    return n < 0 ? 0 : used + (size_t)n + 1;
}

static void pli_log_record(const char *key, const char *text, size_t size)
{
    size_t key_bytes = strlen(key) + 1;
    pli_note note = {.ticks = pl_ticks(), .kind = PLI_RECORD_LOG, .literal = key,
                     .text = text + key_bytes, .text_bytes = size - key_bytes - 1,
                     .key_bytes = key_bytes};
    pli_note_record(&note);
}

void pl_trace_log(const char *key, const char *format, ...)
{
    char text[PLI_LOG_BYTES], *large = NULL;
    va_list arguments;
    if (!PLI_LOAD(pl_trace_on) || !format)
        return;
    int saved_errno = errno;
    key = key ? key : "";
    va_start(arguments, format);
    size_t size = pli_log_format(text, sizeof text, key, format, arguments);
    va_end(arguments);
    if (size > sizeof text && (large = pli_os_map(size)) != NULL) {
        va_start(arguments, format);
        pli_log_format(large, size, key, format, arguments);
        va_end(arguments);
    }
    if (size && (large || size <= sizeof text))
        pli_log_record(key, large ? large : text, size);
    if (large)
        munmap(large, size);
    errno = saved_errno;
}

#else /* !PLI_TRACE: nothing is recorded, and pl_trace_on stays 0 */

void pli_region_begin(const char *literal)
{
    (void)literal;
}

void pli_region_end(void)
{
}

void pli_region_begin_copy(const char *name)
{
    (void)name;
}

void pli_trace_instant(const char *name)
{
    (void)name;
}

void pli_trace_counter(const char *name, double value)
{
    (void)name, (void)value;
}

void pli_flow(int out, const char *name, uint64_t id)
{
    (void)out, (void)name, (void)id;
}

uint64_t pli_task_begin(const char *name, uint64_t parent)
{
    (void)name, (void)parent;
    return 0;
}

void pli_task_end(uint64_t id)
{
    (void)id;
}

void pli_task_work(int enter, uint64_t id)
{
    (void)enter, (void)id;
}

void pl_trace_log(const char *key, const char *format, ...)
{
    (void)key, (void)format;
}

#if PLI_LINUX

static void pli_record_sample_sig(pli_thread *t, uint64_t ticks, const pli_site_key *where,
                                  uint64_t weight_ns)
{
    (void)t, (void)ticks, (void)where, (void)weight_ns;
}

#endif

#endif /* PLI_TRACE */

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
#define PLI_CPU_NEWEST ((size_t)1 << 20) /* bytes of samples one by one: some 29,000 */
#define PLI_CPU_CHUNK 1024               /* a thread has one for itself: 1,024 threads at once */

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
    pli_pool newest;         /* samples, one by one */
    uint64_t newest_lost;
    struct sigaction own[2]; /* the program's own action for SIGPROF: one of these */
    uint32_t own_now;        /* which; atomic */
    char path[4096];         /* where the stop writes to; "": nowhere */
} pli_cpu = {.newest = {.life = PLI_POOL_CLOSED}};

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
    pli_sites_count_sig(&pli_cpu.sites, &key, 0, weight, 0);
}

/* Counts the stack that was interrupted, and notes when that was. */
static void pli_cpu_sample_sig(pli_thread *t, const void *context, int64_t weight)
{
    uintptr_t *stack = PLI_LOAD_ACQUIRE(t->stack);
    if (!stack) {
        pli_cpu_count_missing_sig(t, weight);
        return;
    }
    pli_regs regs = pli_regs_of_signal_sig(context);
    int depth = pli_unwind_sig(&regs, stack, pli_cpu.depth);
    pli_site_key key = {PLI_LOAD(t->labels), 0, pli_modules_epoch_sig(), depth, stack};
    pli_site *site = pli_site_find_sig(&pli_cpu.sites, &key);
    if (!site) {
        PLI_ADD(pli_cpu.sites.lost, weight);
        return;
    }
    PLI_ADD(site->value[pli_cpu.gated], weight);
    uint64_t ns = (uint64_t)weight * pli_cpu.period_ns, now = pli_ticks_sig();
    pli_note note = {.ticks = now, .kind = PLI_RECORD_SAMPLE, .words = 2,
                     .word = {(uintptr_t)site, ns}};
    pli_note_write_sig((pli_target){&pli_cpu.newest, t, &t->samples}, &note);
    pli_record_sample_sig(t, now, &key, ns);
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
    pli_thread *t = pli_self->stack ? pli_self : pli_thread_of_sig(pli_os_tid_sig());
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

/* -- Asked by another thread: where are you? See >>stacks --

   A slot for each thread that is asked at one time. Its word has the number of the question too, so
   that a signal which comes too late finds another one there, and does nothing:

       asker      IDLE ──► ASKED n                                  ──► reads the stack
       handler               └─────► WALKING n ──► ANSWERED n
       asker                 └─► IDLE, gives up                                             */

#define PLI_ASK_COOKIE ((uintptr_t)0x701c << 48)
#define PLI_ASK_SLOTS ((size_t)16 << 10) /* 34 MiB of addresses; memory is what is used of it */
#define PLI_ASK_STATE(number, phase) ((uint32_t)(number) << 2 | (phase))

enum { PLI_ASK_IDLE, PLI_ASK_ASKED, PLI_ASK_WALKING, PLI_ASK_ANSWERED };

typedef struct pli_ask_slot {
    uint32_t state;  /* atomic */
    int depth;
    uintptr_t pcs[PLI_STACK_MAX];
} pli_ask_slot;

static pli_ask_slot *pli_ask_slots; /* once mapped, they stay; atomic */

/* The value of a signal: cookie, number of the question (16 bits), slot (32 bits). */
static void pli_ask_answer_sig(uintptr_t value, const void *context)
{
    pli_ask_slot *slots = PLI_LOAD_ACQUIRE(pli_ask_slots);
    uint32_t number = (uint32_t)(value >> 32) & 0xffff;
    uint32_t asked = PLI_ASK_STATE(number, PLI_ASK_ASKED);
    pli_ask_slot *slot = slots ? &slots[(uint32_t)value % PLI_ASK_SLOTS] : NULL;
    if (!slot || !__atomic_compare_exchange_n(&slot->state, &asked,
                                              PLI_ASK_STATE(number, PLI_ASK_WALKING), 0,
                                              __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    pli_regs regs = pli_regs_of_signal_sig(context);
    slot->depth = pli_unwind_sig(&regs, slot->pcs, PLI_STACK_MAX);
    PLI_STORE_RELEASE(slot->state, PLI_ASK_STATE(number, PLI_ASK_ANSWERED));
}

/* SIGPROF. The engine is looked at after busy was raised: whoever switches it off and then finds
   nobody busy may free what handlers use. */
static void pli_cpu_handler_sig(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uintptr_t value = (uintptr_t)info->si_value.sival_ptr;
    bool own = info->si_code == SI_TIMER && value - PLI_CPU_BLOCK(value) == PLI_CPU_COOKIE;
    bool asked = (info->si_code == SI_TIMER || info->si_code == SI_QUEUE) &&
                 value - PLI_CPU_BLOCK(value) == PLI_ASK_COOKIE;
    __atomic_add_fetch(&pli_cpu.busy, 1, __ATOMIC_SEQ_CST);
    uint32_t engine = __atomic_load_n(&pli_cpu.engine, __ATOMIC_SEQ_CST);
    bool process = engine == PLI_CPU_ITIMER && info->si_code == SI_KERNEL;
    if (own && engine == PLI_CPU_TIMERS)
        pli_cpu_thread_tick_sig(info, context);
    if (process)
        pli_cpu_process_tick_sig(context);
    __atomic_sub_fetch(&pli_cpu.busy, 1, __ATOMIC_RELEASE);
    if (asked)
        pli_ask_answer_sig(value, context);
    if (!own && !process && !asked)
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

/* Room for the handler's walks; without memory there is none, and its ticks have no stack. */
static void pli_thread_stack(pli_thread *t)
{
    if (!t->stack)
        PLI_STORE_RELEASE(t->stack,
                          (uintptr_t *)pli_os_reserve(PLI_STACK_MAX * sizeof *t->stack));
}

/* Starts the timer of a thread. Returns 0, or why the kernel refused; a thread that has just ended
   is no refusal. */
static int pli_cpu_arm(pli_thread *t)
{
    pli_thread_stack(t);
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
    } else if (engine == PLI_CPU_ITIMER) {
        pli_thread_stack(t);
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
    pli_thread_is_own();
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
    view->type[0] = (pli_sample_type){"samples", "count", 0, 1, NULL};
    view->type[1] = (pli_sample_type){"cpu", "nanoseconds", 0, (int64_t)pli_cpu.period_ns,
                                      NULL};
    view->period_type = "cpu", view->period_unit = "nanoseconds";
    view->period = (int64_t)pli_cpu.period_ns;
    view->time_ns = (int64_t)pli_cpu.start_unix_ns;
    view->duration_ns = (int64_t)(end - pli_cpu.start_ns);
    view->events = PLI_LOAD(pli_cpu.newest.life) != PLI_POOL_CLOSED ? &pli_cpu.newest : NULL;
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
    char *newest = pli_os_reserve(PLI_CPU_NEWEST);
    if (newest) /* else there is no list of them */
        pli_pool_open(&pli_cpu.newest, newest, PLI_CPU_NEWEST, PLI_CPU_CHUNK, &pli_cpu.newest_lost);
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
    pli_started_watch();
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
    if (pli_cpu.gated && pli_cpu.valid)
        pli_sites_settle(&pli_cpu.sites, 1, 0, keep);
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
   comparison and one store; so does a free. The words start below an overflow, and born starts
   PLI_WINDOW bytes above died:

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

   The heap profile chooses blocks by their bytes, as Go's does: one byte in `rate` is hit, at
   random, and its block is kept. Nothing is counted down for that. born starts so far below its
   overflow as there are bytes to the next hit: the addition that overflows is the hit.

       start                    born                                     2^64
         | WINDOW |  allocated   |   bytes that are left to the next hit  |

   At a rate of 512 KiB, with 700,000 bytes drawn and blocks of 100: the first 6,999 blocks take the
   hot path, as if there were no profile; the 7,000th overflows born, is the hit, and the next
   number is drawn. When a window ends before that, because 64 KiB more are live, what is left of
   the 700,000 goes into the next one.

   Invariant: mallocs + blocks of born, frees + blocks of died, and the same for bytes, are exact at
   any moment at which no settling is under way (epoch even); pli_heap.live + the windows of all
   threads = live bytes. The blocks of UNBORN, ORPHAN and NESTED hold zeros: every comparison sends
   them to the slow path.

   The epoch is a lock for settling alone: even, free; odd, held. Besides the owner only a forking
   thread takes it, so that no child begins with a thread that was half settled. */

#define PLI_BLOCK_BITS 28
#define PLI_WINDOW ((uint64_t)64 << 10)
#define PLI_COUNT_ROOM ((int64_t)1 << 30) /* bytes of the words from start to overflow, at most */
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
    int64_t rate;      /* bytes to a hit of the heap profile, on average; 0: none; atomic */
    uint32_t rates;    /* how often it was set; atomic */
    uint32_t shut;     /* 1: nothing is chosen now: a benchmark is not timing; atomic */
    bool gated;        /* shut moves */
} pli_heap;

/* What the two words hold now, and in *high the most that was live since the last settling. */
static pli_totals pli_counts_window(const pli_counts *c, int64_t *high)
{
    uint64_t start = PLI_LOAD(c->start);
    uint64_t born = PLI_LOAD(c->born) - start - (PLI_WINDOW << PLI_BLOCK_BITS);
    uint64_t died = PLI_LOAD_ACQUIRE(c->died) - start;
    /* The blocks' part of top may be below zero and have borrowed from the bytes: round. */
    uint64_t top = PLI_LOAD(c->top) + ((uint64_t)1 << (PLI_BLOCK_BITS - 1));
    *high = (int64_t)PLI_BYTES_OF(top) - (int64_t)PLI_WINDOW;
    return (pli_totals){(int64_t)PLI_BLOCKS_OF(born), (int64_t)PLI_BLOCKS_OF(died),
                        (int64_t)PLI_BYTES_OF(born),
                        (int64_t)(PLI_BYTES_OF(born) - PLI_BYTES_OF(died))};
}

#if PLI_INTERPOSE

/* Empties the window: nothing counted, live bytes in the middle. Four stores, so a reader between
   them would see half of each: the epoch tells it to try again. */
static void pli_counts_restart(pli_counts *c)
{
    int64_t room = PLI_COUNT_ROOM - (int64_t)PLI_WINDOW;
    room = c->until < room ? c->until : room;
    uint64_t start = (uint64_t)0 - (((uint64_t)room + PLI_WINDOW) << PLI_BLOCK_BITS);
    PLI_STORE(c->start, start);
    PLI_STORE(c->died, start);
    PLI_STORE(c->born, start + (PLI_WINDOW << PLI_BLOCK_BITS));
    PLI_STORE(c->top, PLI_WINDOW << PLI_BLOCK_BITS);
}

/* The bytes to the next hit: -ln(u) * rate with u uniform in (0, 1], that is, exponentially
   distributed with mean `rate`. So every byte has the same chance, whatever came before it, and a
   block of s bytes is kept with the probability 1 - exp(-s / rate). Rounded up: hits are whole
   bytes. Rates of 1 and 0 choose all and none elsewhere. */
static int64_t pli_heap_gap(int64_t rate)
{
    static uint64_t drawn;
    if (rate <= 1)
        return INT64_MAX / 2;
    uint64_t random = pli_mix_sig(pl_ticks(), PLI_ADD(drawn, 1));
    double u = (double)((random >> 11) + 1) / 9007199254740992.0; /* 2^53 */
    return (int64_t)(-pli_ln(u) * (double)rate) + 1;
}

/* Takes what was allocated off the way to the next hit. True when that has been reached: by the
   block that is being counted, since every hit ends a window. Under a new rate the way is drawn
   anew, which is fair: an exponential distribution has no memory. */
static bool pli_counts_draw(pli_counts *c, int64_t bytes)
{
    uint32_t rates = PLI_LOAD_ACQUIRE(pli_heap.rates);
    bool hit = c->rates == rates && c->until <= bytes;
    c->until -= bytes;
    if (c->rates != rates || hit)
        c->until = pli_heap_gap(PLI_LOAD(pli_heap.rate));
    c->rates = rates;
    return hit;
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
   of it goes in under one epoch: a reader, or a fork's child, sees the whole or nothing. True when
   the block in `beside` is one for the heap profile. */
static bool pli_counts_settle(pli_counts *c, pli_totals beside)
{
    int64_t high;
    pli_totals window = pli_counts_window(c, &high);
    pli_counts_hold(c);
    bool hit = pli_counts_draw(c, window.bytes + beside.bytes);
    PLI_STORE(c->mallocs, c->mallocs + (uint64_t)(window.mallocs + beside.mallocs));
    PLI_STORE(c->frees, c->frees + (uint64_t)(window.frees + beside.frees));
    PLI_STORE(c->bytes, c->bytes + (uint64_t)(window.bytes + beside.bytes));
    PLI_STORE(c->live, c->live + window.live + beside.live);
    pli_counts_restart(c);
    pli_raise(&pli_heap.peak, PLI_LOAD(pli_heap.live) + high);
    pli_raise(&pli_heap.peak, PLI_ADD(pli_heap.live, window.live + beside.live));
    pli_counts_release(c);
    return hit;
}

/* A block may have served another thread before: its totals went to pli_heap.gone at its death. */
static void pli_heap_birth(pli_thread *t)
{
    t->heap.mallocs = t->heap.frees = t->heap.bytes = 0;
    t->heap.live = 0;
    t->heap.rates = PLI_LOAD_ACQUIRE(pli_heap.rates);
    t->heap.until = pli_heap_gap(PLI_LOAD(pli_heap.rate));
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

/* Counts for a thread without a block of its own, whose bytes to the next hit are drawn anew each
   time: as likely to be hit as any. */
static bool pli_heap_count_orphan(pli_totals one)
{
    pli_totals *sum = &pli_heap.gone;
    PLI_ADD(sum->mallocs, one.mallocs);
    PLI_ADD(sum->frees, one.frees);
    PLI_ADD(sum->bytes, one.bytes);
    PLI_ADD(sum->live, one.live);
    pli_raise(&pli_heap.peak, PLI_ADD(pli_heap.live, one.live));
    return one.mallocs && pli_heap_gap(PLI_LOAD(pli_heap.rate)) <= one.bytes;
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

/* The slow path of both counting functions: no thread block yet, window left, new peak, a hit of
   the heap profile, or a block that does not go through the words. True for a hit. Who sets a rate
   makes `top` 0, and so leads the next block here: the rates are looked at after top was written,
   so that either this sees the new one, or that 0 stays. */
static PLI_COLD bool pli_heap_count_slow(size_t bytes, int born)
{
    static const pli_totals nothing;
    if (pli_self == &pli_nested)
        return false;
    bool hit = false;
    int saved_errno = errno;
    if (!PLI_LOAD_ACQUIRE(pli_heap.ready))
        pli_heap_prepare();
    int64_t n = (int64_t)bytes;
    pli_totals one = {born, !born, born ? n : 0, born ? n : -n};
    pli_thread *t = pli_thread_join();
    if (t == &pli_orphan)
        hit = pli_heap_count_orphan(one);
    else if (!pli_counts_fit(&t->heap, bytes, born))
        hit = pli_counts_settle(&t->heap, one);
    else if (PLI_LOAD(pli_heap.rates) != t->heap.rates)
        pli_counts_settle(&t->heap, nothing);
    errno = saved_errno;
    return hit;
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

/* Has all threads draw their way to the next hit anew, each at its next block. The nap is longer
   than any store stays unseen, so that no thread that missed the new rate writes its top later than
   this. What their windows have of a peak is kept first. */
static void pli_heap_rate_change(int64_t rate)
{
    int64_t high;
    PLI_STORE(pli_heap.rate, rate);
    PLI_STORE_RELEASE(pli_heap.rates, PLI_LOAD(pli_heap.rates) + 1);
    pli_os_nap();
    pli_lock_take(&pli_threads.lock);
    for (pli_thread *t = pli_threads.all; t; t = t->next) {
        if (t->state != PLI_THREAD_USED)
            continue;
        pli_counts_window(&t->heap, &high);
        pli_raise(&pli_heap.peak, PLI_LOAD(pli_heap.live) + high);
        PLI_STORE(t->heap.top, 0);
    }
    pli_lock_give(&pli_threads.lock);
}

#else

PLI_SOMETIMES static void pli_heap_rate_change(int64_t rate)
{
    PLI_STORE(pli_heap.rate, rate);
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
   costs nothing until somebody watches. >>leak has every block in it that is made from there on,
   until it is freed; the heap profile those that it has chosen.

       63                                 32 31      26 25  24                   0
       +------------------------------------+----------+---+---------------------+
       |  site: its place in the arena / 16 |  rate    | p |  generation         |    made
       +------------------------------------+----------+---+---------------------+

   The site (see >>site) has the stack, from the function that called malloc on, and as its size the
   usable bytes of the block. The rate is what the heap profile chose it by: 0, it did not, or k + 1
   for a rate of 2^k; p, that it is pending (see below). The generation is the number of marks that
   were set before. Descriptors and threads carry the same word, with a site of size 0.

   A free must find out whether its block is in the table. Mostly it is not, and that takes one
   look at a filter: how many blocks of the table have these bits in their address.

       address   ....  | 19 ... 4 | 3 2 1 0
                          └────► filter[65,536], 2 bytes each: 0, not in the table

   Neighbours have neighbouring places, so that a program which works on a few blocks touches few
   lines of it.

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
#define PLI_LIVE_DEPTH 128 /* frames of a stack, as Go's */
#define PLI_LIVE_INNER 8  /* at most so many of them are perflab's own, and left out */
#define PLI_LIVE_ARENA ((size_t)64 << 20) /* for sites: 200,000 stacks of 32 frames */
#define PLI_LIVE_BUSY 1   /* a key: somebody is filling the entry */
#define PLI_LIVE_GENERATION 0x1ffffffu
#define PLI_LIVE_PENDING 0x2000000u
#define PLI_LIVE_RATE(made) ((uint32_t)(made) >> 26)
#define PLI_LIVE_FILTER(address) ((address) >> 4 & 0xffff)
enum { PLI_LIVE_LEAK = 1, PLI_LIVE_HEAP = 2 }; /* who watches */

/* Both atomic; key is ~address, or 0: free. */
typedef struct pli_live_entry { uint64_t key, made; } pli_live_entry;

static struct {
    uint32_t users;      /* PLI_LIVE_...; 0: nothing is recorded; atomic */
    uint32_t generation; /* of what is made now; atomic */
    int64_t lost;        /* blocks without a place, or whose stack had none; atomic */
    pli_live_entry *level[PLI_LIVE_LEVELS]; /* atomic; NULL: not yet */
    pli_sites sites;     /* once open, it stays */
    uint16_t filter[0x10000]; /* atomic */
    pli_lock lock;       /* who changes the users */
    pli_lock rate_lock;  /* who changes the rate; taken first */
    bool prepared;
} pli_live;

/* Whoever held a lock stayed with the parent. */
static void pli_live_fork_child(pli_thread *t)
{
    (void)t;
    pli_live.lock.state = pli_live.rate_lock.state = 0;
}

static const pli_thread_hooks pli_live_hooks = {NULL, NULL, NULL, NULL, pli_live_fork_child};

/* Makes it ready to record, once. The first place in the arena is given up: a site there would be
   number 0. */
static pl_result pli_live_open(void)
{
    static const uintptr_t nowhere[1];
    static const pli_site_key nobody = {NULL, 0, 0, 0, nowhere};
    if (!pli_live.sites.slots && pli_sites_open(&pli_live.sites, PLI_LIVE_ARENA) != PL_OK)
        return PL_NOMEM;
    pli_site_find_sig(&pli_live.sites, &nobody);
    if (!pli_live.prepared)
        pli_collector_add(&pli_live_hooks);
    pli_live.prepared = true;
    return pli_unwind_prepare();
}

/* The site of what is made so. */
static const pli_site *pli_live_site(uint64_t made)
{
    return (const pli_site *)(void *)(pli_live.sites.arena + (made >> 32) * 16);
}

/* The calling thread's memo, when it may be used; give it back by busy = 0. */
static pli_memo *pli_live_memo(void)
{
    pli_thread *t = pli_self;
    if (t->state != PLI_THREAD_USED || (t->memo && PLI_LOAD(t->memo->busy)))
        return NULL;
    if (!t->memo)
        t->memo = pli_os_reserve(sizeof *t->memo);
    if (t->memo)
        PLI_STORE(t->memo->busy, 1);
    return t->memo;
}

/* Which frame of a stack is the first that is not perflab's own: the one a call of which returns to
   ra. Which frames those are depends on what the compiler inlined and which calls it made jumps.
   But the address to which the entry point returns is in the stack, whatever it did. */
static int pli_live_inner(const uintptr_t *pcs, int depth, const void *ra)
{
    uintptr_t caller = pli_os_strip_sig((uintptr_t)ra) - 1;
    int inner = 0;
    while (inner < PLI_LIVE_INNER && inner < depth && pcs[inner] != caller)
        inner++;
    return inner < PLI_LIVE_INNER && inner < depth ? inner : 0;
}

/* The site of a stack, without its inner frames. */
static const pli_site *pli_live_site_of(const uintptr_t *pcs, int depth, int inner, uint64_t size)
{
    pli_site_key key = {NULL, size, pli_modules_epoch_sig(), depth - inner, pcs + inner};
    return pli_site_find_sig(&pli_live.sites, &key);
}

/* By a walk of its own. One frame more than are kept tells that there were more. */
static PL_NOINLINE const pli_site *pli_live_site_walk(const pli_regs *here, uint64_t size,
                                                      const void *ra)
{
    uintptr_t pcs[PLI_LIVE_DEPTH + PLI_LIVE_INNER];
    int depth = pli_unwind_sig(here, pcs, PLI_LIVE_DEPTH + PLI_LIVE_INNER);
    int inner = pli_live_inner(pcs, depth, ra);
    if (depth - inner > PLI_LIVE_DEPTH) {
        depth = inner + PLI_LIVE_DEPTH;
        pcs[depth - 1] = PLI_PC_TRUNCATED;
    }
    return pli_live_site_of(pcs, depth, inner, size);
}

/* By the memo: when nothing has changed, not even the size, it is the site of the last time. NULL
   for a stack that is too deep for the memo. */
static const pli_site *pli_live_site_again(pli_memo *memo, const pli_regs *here, uint64_t size,
                                           const void *ra)
{
    bool same;
    uint32_t epoch = pli_modules_epoch_sig();
    pli_memo_way *way = pli_memo_way_of_sig(memo, ra);
    const pli_trail *trail = pli_unwind_again_sig(here, PLI_TRAIL_FRAMES, memo, way, &same);
    if (trail->cut)
        return NULL;
    same = same && way->epoch == epoch && way->ra == ra;
    if (!same)
        way->inner = pli_live_inner(trail->pcs, trail->frames, ra);
    if (!same || way->size != size || !way->made_into)
        way->made_into = pli_live_site_of(trail->pcs, trail->frames, way->inner, size);
    way->epoch = epoch, way->ra = ra, way->size = size;
    return way->made_into;
}

/* The word for something of this size that is made now, by a call that returns to ra: the frames
   inside are perflab's own. 0 when there is no room for another stack. Called inside malloc: takes
   no lock, no memory but pages from the system, and leaves errno alone. */
static PLI_COLD uint64_t pli_live_maker(uint64_t size, const void *ra)
{
    int saved_errno = errno;
    pli_regs here = pli_regs_here();
    pli_memo *memo = pli_live_memo();
    const pli_site *site = NULL;
    if (memo) {
        site = pli_live_site_again(memo, &here, size, ra);
        PLI_STORE(memo->busy, 0);
    }
    if (!site)
        site = pli_live_site_walk(&here, size, ra);
    errno = saved_errno;
    uint64_t place = site ? (uint64_t)((const char *)site - pli_live.sites.arena) / 16 : 0;
    return site ? place << 32 | (PLI_LOAD(pli_live.generation) & PLI_LIVE_GENERATION) : 0;
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

/* Puts a block in; false when there is no room, or its stack had none. If it is there already, it
   was freed where nobody saw it. */
PLI_SOMETIMES static bool pli_live_put(uintptr_t address, uint64_t made)
{
    bool known = made && PLI_LOAD(pli_live.filter[PLI_LIVE_FILTER(address)]);
    pli_live_entry *e = known ? pli_live_find(address) : NULL;
    bool fresh = !e;
    uint64_t free = 0;
    for (int way = 0; made && !e && (e = pli_live_way(address, way, true)) != NULL; way++, free = 0)
        if (PLI_LOAD(e->key) != 0 ||
            !__atomic_compare_exchange_n(&e->key, &free, PLI_LIVE_BUSY, 0, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
            e = NULL;
    if (!e) {
        PLI_ADD(pli_live.lost, 1);
        return false;
    }
    /* The key last: a reader who sees it sees the word too. */
    PLI_STORE(e->made, made);
    if (fresh)
        PLI_ADD(pli_live.filter[PLI_LIVE_FILTER(address)], 1);
    PLI_STORE_RELEASE(e->key, ~(uint64_t)address);
    return true;
}

/* Whether the block may be in the table. */
static inline bool pli_live_may_have(const void *p)
{
    return PLI_LOAD(pli_live.filter[PLI_LIVE_FILTER((uintptr_t)p)]) != 0;
}

/* Takes a block out, and returns what was known of it; 0 when it was not there. */
static uint64_t pli_live_take(const void *p)
{
    pli_live_entry *e = pli_live_may_have(p) ? pli_live_find((uintptr_t)p) : NULL;
    uint64_t key = ~(uint64_t)(uintptr_t)p, made = e ? PLI_LOAD(e->made) : 0;
    /* The sweep after a leak check may be faster. */
    if (!e || !__atomic_compare_exchange_n(&e->key, &key, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        return 0;
    PLI_ADD(pli_live.filter[PLI_LIVE_FILTER((uintptr_t)p)], -1);
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

/* Forgets the blocks that the heap profile has not chosen: the leak check has ended. What their
   owners free at this moment is taken out by whoever is faster. */
static void pli_live_sweep(void)
{
    for (int level = 0; level < PLI_LIVE_LEVELS && pli_live.level[level]; level++) {
        pli_live_entry *e = pli_live.level[level];
        for (size_t i = 0; i < PLI_LIVE_ENTRIES(level); i++) {
            uint64_t key = PLI_LOAD_ACQUIRE(e[i].key);
            if (key > PLI_LIVE_BUSY && PLI_LIVE_RATE(PLI_LOAD(e[i].made)) == 0)
                pli_live_take((const void *)(uintptr_t)~key);
        }
    }
}

/* -- The heap profile: what is counted of the chosen blocks --

   A chosen block stands for all that were as likely to be chosen: for 1 / (1 - exp(-size / rate))
   of its size (see pli_heap_gap). So that sums stay right when the rate changes, this weight is
   counted when the block is made, and taken off, the same, when it is freed: the rate stays with
   it, as a power of two. Weights are multiples of 1/1024; at rate 1 they are exactly 1.

       rate 2^19, a block of        16 bytes: chosen once in 32,768.5    counts as 32,768.5 blocks
                                512 KiB     : 63 times in a hundred      counts as      1.58
                                  4 MiB     : always, but for 1 in 3,000 counts as      1.0003

   To weigh each block, and not the sum of a stack, is what keeps mixed sizes right: one large block
   among many small ones would else make them all look rare.

       value of a site     [0] blocks made * 1024      [1] blocks freed * 1024
       while it is pending [2]                         [3]

   Benchmarks know only afterwards whether what was made is part of what is timed: until then it
   is pending, and then it is kept, or dropped with all that is left of it. */

#define PLI_LIVE_WEIGHT 1024

/* What a block of this size stands for; rate: k + 1 for 2^k. */
static int64_t pli_live_weight(uint64_t size, uint32_t rate)
{
    if (rate <= 1 || size == 0)
        return PLI_LIVE_WEIGHT;
    double share = pli_one_less_exp((double)size / (double)((uint64_t)1 << (rate - 1)));
    return (int64_t)(PLI_LIVE_WEIGHT / share + 0.5);
}

/* Adds a block to one of the two sums of its site. */
static void pli_live_count(uint64_t made, int value, int64_t sign)
{
    pli_site *site = (pli_site *)(uintptr_t)pli_live_site(made);
    if (made & PLI_LIVE_PENDING)
        value += 2;
    if (PLI_LIVE_RATE(made))
        PLI_ADD(site->value[value], sign * pli_live_weight(site->size, PLI_LIVE_RATE(made)));
}

/* A block was made by a call that returns to ra. Counted before it is in the table: nobody can
   have freed it yet. rate as in pli_live_weight, 0: not for the heap profile. */
PLI_SOMETIMES static void pli_live_born(const void *p, size_t bytes, uint32_t rate, const void *ra)
{
    uint64_t made = pli_live_maker(bytes, ra);
    made |= made ? (uint64_t)rate << 26 | (pli_heap.gated && rate ? PLI_LIVE_PENDING : 0) : 0;
    if (pli_live_put((uintptr_t)p, made))
        pli_live_count(made, 0, 1);
}

/* What is pending is kept, or dropped. Blocks first: who frees one of them meanwhile counts it
   where what it was made of is about to be. */
PLI_SOMETIMES static void pli_live_settle(bool keep)
{
    uint64_t drop = PLI_LIVE_PENDING | (uint64_t)63 << 26; /* it stays for the leak check */
    for (int level = 0; level < PLI_LIVE_LEVELS && pli_live.level[level]; level++)
        for (size_t i = 0; i < PLI_LIVE_ENTRIES(level); i++) {
            pli_live_entry *e = &pli_live.level[level][i];
            if (PLI_LOAD(e->made) & PLI_LIVE_PENDING)
                __atomic_fetch_and(&e->made, keep ? ~(uint64_t)PLI_LIVE_PENDING : ~drop,
                                   __ATOMIC_RELAXED);
        }
    if (!keep && !(PLI_LOAD(pli_live.users) & PLI_LIVE_LEAK))
        pli_live_sweep();
    pli_sites_settle(&pli_live.sites, 2, 0, keep);
    pli_sites_settle(&pli_live.sites, 3, 1, keep);
}

/* A block is about to be freed. Returns what was known of it, for who may have to put it back. */
PLI_SOMETIMES static uint64_t pli_live_died(const void *p)
{
    uint64_t made = PLI_LOAD(pli_live.users) ? pli_live_take(p) : 0;
    if (made)
        pli_live_count(made, 1, 1);
    return made;
}

/* It was not freed after all: realloc had no memory. */
PLI_SOMETIMES static void pli_live_again(const void *p, uint64_t made)
{
    if (made && pli_live_put((uintptr_t)p, made))
        pli_live_count(made, 1, -1);
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
    uintptr_t watched_below; /* the same for free: all, too, while blocks are recorded */
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
   alone.

   As glibc 2.36 has it on a 64-bit machine:

       malloc(100)       word 0x71      112 bytes with the word: 104 usable; 1: the chunk in front
                                        is in use
       malloc(1000000)   word 0xf5002   pages of its own (2): two words less, 1,003,504 usable

       p - 8: 0x71  |  p: 104 bytes ...  |  p + 104: the word of the next chunk

   The last 8 of the 104 are the next chunk's, for the size of a free neighbour: while p is live
   there is none, and they are p's. */
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
    PLI_STORE(pli_next.watched_below, mode == PLI_NEXT_GLIBC ? 0 : UINTPTR_MAX);
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
    PLI_STORE(pli_next.watched_below, UINTPTR_MAX);
}

/* The first malloc and free of the program go through these.

   The first malloc of a program, from the top down:

       malloc(100) ──► pli_next.malloc, which is pli_boot_malloc
                         └► pli_next_find: this thread is nested from here on
                              └► dlsym, which may calloc ──► UNKNOWN: from the arena
                            the table is complete; a few blocks tell what kind of malloc it is
                         └► pli_next.malloc(100): the real one
                       pli_block_born counts the block

   Another thread that comes to the same place meanwhile waits for the mode. The arena is only for
   the one that looks. */
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
    .malloc = pli_boot_malloc, .free = pli_boot_free, .slow_below = UINTPTR_MAX,
    .watched_below = UINTPTR_MAX};

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
    uint32_t mode = PLI_LOAD(pli_next.mode), users = PLI_LOAD(pli_live.users);
    bool hit = false;
    if (!p || mode == PLI_NEXT_UNKNOWN || mode == PLI_NEXT_DORMANT)
        return p;
    size_t bytes = pli_block_bytes(p);
    if (PLI_BESIDE_WORDS(bytes) || !pli_heap_born(bytes))
        hit = pli_heap_count_slow(bytes, 1);
    if (PLI_LIKELY(users == 0) || pli_self == &pli_nested)
        return p;
    int64_t rate = PLI_LOAD(pli_heap.rate);
    hit = (hit || rate == 1) && rate > 0 && users & PLI_LIVE_HEAP && !PLI_LOAD(pli_heap.shut);
    if (hit || users & PLI_LIVE_LEAK)
        pli_live_born(p, bytes, hit ? (uint32_t)__builtin_ctzll((uint64_t)rate) + 1 : 0, ra);
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

/* Which way blocks take, so that the hot paths need not ask:

       who watches                    malloc                   free
       nobody                         hot                      hot
       heap profile, sampled          hot, slow for a hit      hot, behind a look at the filter
       heap profile, exact; leaks     slow                     slow if the filter knows it: all
   */
static void pli_malloc_route(void)
{
    uint32_t users = PLI_LOAD(pli_live.users);
    bool all = users & PLI_LIVE_LEAK || PLI_LOAD(pli_heap.rate) == 1;
    if (PLI_LOAD(pli_next.mode) != PLI_NEXT_GLIBC)
        return;
    PLI_STORE(pli_next.slow_below, all ? UINTPTR_MAX : 0);
    PLI_STORE(pli_next.watched_below, users ? UINTPTR_MAX : 0);
}

/* Has blocks recorded for one user, or not any more. False where no block is seen. */
static bool pli_malloc_watch(uint32_t user, bool on)
{
    uint32_t mode = pli_next_mode();
    pli_lock_take(&pli_live.lock);
    /* First the flag, then the way to it: whoever still comes by the slow path after the end finds
       the flag down. */
    uint32_t users = PLI_LOAD(pli_live.users) & ~user;
    PLI_STORE(pli_live.users, on && mode != PLI_NEXT_DORMANT ? users | user : users);
    pli_malloc_route();
    pli_lock_give(&pli_live.lock);
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

/* While blocks are recorded: the hot path, with a look at the filter. */
static PL_NOINLINE void pli_free_watched(void *p)
{
    if (!p || PLI_LOAD(pli_next.mode) != PLI_NEXT_GLIBC || pli_live_may_have(p) ||
        pli_chunk_word(p) & 2 || !pli_heap_died(pli_chunk_bytes_plain(pli_chunk_word(p))))
        pli_free_slow(p);
    else
        pli_next.free(p);
}

/* The hot path is two comparisons and one addition, then the real free. Everything that is not an
   ordinary block of glibc's goes the slow way: NULL, the arena, blocks mapped one by one (bit 1 of
   the chunk's size), a thread's first block, an allocator whose sizes have to be asked for. */
PLI_HOOK void free(void *p)
{
    if (PLI_UNLIKELY((uintptr_t)p <= pli_next.watched_below))
        pli_free_watched(p);
    else if (PLI_UNLIKELY(pli_chunk_word(p) & 2) ||
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

       realloc(p, 200)   104 bytes ─► out of the table of live ones ─► the next realloc
         it moved                     104 died, 200 are born
         it failed                    back into the table, with its word; nothing counted
         size 0, NULL                 104 died, nothing is born */
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
    else
        pli_live_again(p, made); /* it is still there */
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
   just run out of memory.

       libstdc++'s                        counts_new is 0: malloc inside has counted it
       an allocator's, by way of malloc   born is one more: it is counted
       an allocator's own                 born is the same: counted here
       one that throws                    does not come here: there is no block */
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

PLI_SOMETIMES static bool pli_malloc_watch(uint32_t user, bool on)
{
    (void)user, (void)on;
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
   beyond their bytes; between heap_inuse and heap_sys, what fragmentation and caching keep.

   A program that has taken 1,000,000 bytes, freed them, and has 127 small blocks left, in bytes:

       sys            19,582,976   writable memory of the process, stacks and tables of its own too
       heap_sys          339,968   of that, what malloc holds
       heap_inuse         43,616   of that, in blocks that are live, with their words
       alloc              40,328   of that, what the program may use
       peak_alloc      1,007,608   the most that alloc ever was */

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

/* ==== >>allocs ===================================================================================
   Two profiles of the heap, which are one table (see >>live) under two names:

       heap      what is live now, and who made it         shows inuse_space first
       allocs    what was made so far, freed or not        shows alloc_space first

   Both have four values for each stack and size of blocks: blocks and bytes that were made, blocks
   and bytes that are live. Go has blocks freed become visible one garbage collection later; here
   there is none, and a profile shows what is.

   Values are in 1/1024 of a block (see >>live), since a block that was chosen stands for a fraction
   more than a whole number of blocks. At a rate of 512 KiB:

       size      chosen with     stands for        kept as
       1024      0.00195         512.5 blocks        524,800
       524,288   0.632             1.58 blocks         1,620
       at rate 1                   1 block             1,024 */

#if PLI_LINUX

/* From multiples of 1/1024 to whole blocks; and times their size, without overflow on the way. */
static int64_t pli_allocs_blocks(int64_t value)
{
    return (value + PLI_LIVE_WEIGHT / 2) >> 10;
}

static int64_t pli_allocs_bytes(int64_t value, uint64_t size)
{
    int64_t part = (value & (PLI_LIVE_WEIGHT - 1)) * (int64_t)(size & 0xffffffffffff);
    return (value >> 10) * (int64_t)size + ((part + PLI_LIVE_WEIGHT / 2) >> 10);
}

static int64_t pli_allocs_made(const pli_site *site, const int64_t *value)
{
    (void)site;
    return pli_allocs_blocks(value[0]);
}

static int64_t pli_allocs_made_bytes(const pli_site *site, const int64_t *value)
{
    return pli_allocs_bytes(value[0], site->size);
}

static int64_t pli_allocs_live(const pli_site *site, const int64_t *value)
{
    (void)site;
    return pli_allocs_blocks(value[0] - value[1]);
}

static int64_t pli_allocs_live_bytes(const pli_site *site, const int64_t *value)
{
    return pli_allocs_bytes(value[0] - value[1], site->size);
}

/* The rate in it is the one that holds now; what was kept under others is scaled already. */
static pl_result pli_allocs_view(pli_profile_view *view, bool emergency)
{
    (void)emergency;
    view->sites = &pli_live.sites;
    view->types = 4;
    view->type[0] = (pli_sample_type){"alloc_objects", "count", 0, 1, pli_allocs_made};
    view->type[1] = (pli_sample_type){"alloc_space", "bytes", 0, 1, pli_allocs_made_bytes};
    view->type[2] = (pli_sample_type){"inuse_objects", "count", 0, 1, pli_allocs_live};
    view->type[3] = (pli_sample_type){"inuse_space", "bytes", 0, 1, pli_allocs_live_bytes};
    view->default_type = strcmp(view->name, "allocs") == 0 ? "alloc_space" : NULL;
    view->period_type = "space", view->period_unit = "bytes";
    view->period = view->sampling = PLI_LOAD(pli_heap.rate);
    view->time_ns = (int64_t)pli_os_clock_ns_sig(CLOCK_REALTIME);
    view->lost = PLI_LOAD(pli_live.lost) * PLI_LIVE_WEIGHT;
    view->size_label = "bytes";
    view->heap = true;
    if (!pli_malloc_in_charge())
        pli_view_note(view, "blocks are not seen: %s", pli_memstats_remark(&(pl_memstats){0}));
    return PL_OK;
}

static pli_profile_source pli_heap_source = {"heap", pli_allocs_view, NULL, NULL};
static pli_profile_source pli_allocs_source = {"allocs", pli_allocs_view, NULL, NULL};

/* Once a rate was set, frees go on to be looked at, also after it is 0 again: the blocks that were
   chosen are still to be taken out. When there is no memory for the table, the rate stays as it is.

   Rates are powers of two, the next one down, since a block keeps its rate in six bits: 600,000 is
   524,288; 1 is every block. The profiles appear with the first rate, so that a program without one
   has no empty heap profile at its port. */
void pl_heap_rate_set(int64_t bytes)
{
    static bool added;
    int64_t rate = bytes > 0 ? (int64_t)1 << (63 - __builtin_clzll((uint64_t)bytes)) : 0;
    pli_lock_take(&pli_live.rate_lock);
    if ((rate > 0 || added) && pli_live_open() == PL_OK) {
        if (!added) {
            pli_started_watch();
            pli_profile_source_add(&pli_allocs_source);
            pli_profile_source_add(&pli_heap_source);
        }
        added = true;
        pli_heap_rate_change(rate);
        pli_malloc_watch(PLI_LIVE_HEAP, true); /* and takes the route that this rate needs */
    }
    pli_lock_give(&pli_live.rate_lock);
}

/* For benchmarks, whose loops open and close a gate: what is made while it is shut is not chosen.
   From the call without a gate on, which shuts it.

       set-up      PL_LOOP     the rest        next n: set-up
       shut        open        shut            shut         what is made while shut is not chosen
                                      ▲ settle: what was chosen is kept, or thrown away */
PLI_SOMETIMES static void pli_heap_gate_use(void)
{
    pli_heap.gated = true;
    PLI_STORE(pli_heap.shut, 1);
}

PLI_SOMETIMES static void pli_heap_gate(bool open)
{
    if (pli_heap.gated)
        PLI_STORE(pli_heap.shut, !open);
}

/* What was made since the last call is kept, or was set-up. */
PLI_SOMETIMES static void pli_heap_settle(bool keep)
{
    if (pli_heap.gated)
        pli_live_settle(keep);
}

#else

void pl_heap_rate_set(int64_t bytes)
{
    (void)bytes;
}

PLI_SOMETIMES static void pli_heap_gate_use(void)
{
}

PLI_SOMETIMES static void pli_heap_gate(bool open)
{
    (void)open;
}

PLI_SOMETIMES static void pli_heap_settle(bool keep)
{
    (void)keep;
}

#endif /* PLI_LINUX */

/* ==== >>limit ====================================================================================
   How much memory a program may have, and whether it goes on to want more.

   A limit costs nothing while there is none: to set one puts other functions into the table of the
   next malloc (see >>malloc), which ask first and then hand on.

       malloc here ──► pli_next.malloc = pli_limited_malloc ──► below hard: pli_limit.next.malloc
                                                           └──► else NULL, ENOMEM

   Live bytes are those that the threads have settled, and what the asking thread has on top: exact
   with one thread, else within 64 KiB a thread.

   soft is a bell, hard is a wall. With soft 800 and hard 1000:

       live     700 ─► 790 ─► 810 ─► 900 ─► 760 ─► 820 ─► 690 ─► 805 ─► 990 ─► malloc(20)
                               bell          (silent: not 700 yet)  bell          NULL, ENOMEM

   Without the eighth in between, a program that lives just below its limit would hear the bell at
   every other call. */

#if PLI_INTERPOSE

static struct {
    pli_lock lock;        /* who changes them */
    int64_t soft, hard;   /* bytes; 0: none; atomic */
    void (*over_soft)(int64_t live_bytes, void *user);
    void *user;
    uint32_t told;        /* over_soft was called, and live has not gone down since; atomic */
    pli_next_table next;  /* as it was without a limit */
    bool on;
} pli_limit;

/* Live bytes, as this thread knows them. Inside another entry point its own part is not looked at.
   */
static int64_t pli_limit_live(void)
{
    const pli_counts *c = &pli_self->heap;
    int64_t high, own = pli_self->state == PLI_THREAD_USED ? pli_counts_window(c, &high).live : 0;
    return PLI_LOAD(pli_heap.live) + own;
}

/* Calls over_soft when the limit is crossed; again only after live was an eighth below it. The
   callback may allocate and free: the note that it was told stands before. */
static void pli_limit_tell(int64_t before, int64_t live, int64_t soft)
{
    uint32_t untold = 0;
    if (before < soft - soft / 8 && PLI_LOAD(pli_limit.told))
        PLI_STORE(pli_limit.told, 0);
    if (live <= soft || !__atomic_compare_exchange_n(&pli_limit.told, &untold, 1, 0,
                                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    if (pli_limit.over_soft)
        pli_limit.over_soft(live, pli_limit.user);
}

/* Whether so many bytes more may be had. */
static bool pli_limit_allows(size_t size)
{
    int64_t soft = PLI_LOAD(pli_limit.soft), hard = PLI_LOAD(pli_limit.hard);
    int64_t live = pli_limit_live(), more = size < INT64_MAX / 4 ? (int64_t)size : INT64_MAX / 4;
    if (hard > 0 && live + more > hard) {
        errno = ENOMEM;
        return false;
    }
    if (soft > 0)
        pli_limit_tell(live, live + more, soft);
    return true;
}

/* The entry points that give memory: each asks, and goes on. */
static void *pli_limited_malloc(size_t size)
{
    return pli_limit_allows(size) ? pli_limit.next.malloc(size) : NULL;
}

static void *pli_limited_calloc(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        total = SIZE_MAX; /* is refused below, or by the next calloc */
    return pli_limit_allows(total) ? pli_limit.next.calloc(count, size) : NULL;
}

/* Only what it grows by is more. */
static void *pli_limited_realloc(void *p, size_t size)
{
    size_t old = pli_block_bytes(p);
    return pli_limit_allows(size > old ? size - old : 0) ? pli_limit.next.realloc(p, size) : NULL;
}

static int pli_limited_posix_memalign(void **out, size_t alignment, size_t size)
{
    return pli_limit_allows(size) ? pli_limit.next.posix_memalign(out, alignment, size) : ENOMEM;
}

static void *pli_limited_aligned_alloc(size_t alignment, size_t size)
{
    return pli_limit_allows(size) ? pli_limit.next.aligned_alloc(alignment, size) : NULL;
}

static void *pli_limited_memalign(size_t alignment, size_t size)
{
    return pli_limit_allows(size) ? pli_limit.next.memalign(alignment, size) : NULL;
}

static void *pli_limited_valloc(size_t size)
{
    return pli_limit_allows(size) ? pli_limit.next.valloc(size) : NULL;
}

static void *pli_limited_pvalloc(size_t size)
{
    return pli_limit_allows(size) ? pli_limit.next.pvalloc(size) : NULL;
}

/* Puts them into the table, or takes them out. What the next in line lacks stays missing. C++'s
   operators pass malloc, but where an allocator has its own: these are not limited. */
static void pli_limit_switch(bool on)
{
    pli_next_table *to = &pli_next;
    if (on == pli_limit.on)
        return;
    if (on)
        pli_limit.next = pli_next;
    /* Another thread may be in malloc at this moment. Whichever pointer it has read leads to the
       same allocator; and who reads the new one finds pli_limit.next complete. Switched off, that
       table stays as it is, for those who are still on their way through a limited function. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#define PLI_LIMIT(name)                                                                            \
    if (pli_limit.next.name)                                                                       \
        PLI_STORE_RELEASE(to->name, on ? pli_limited_##name : pli_limit.next.name);
    PLI_LIMIT(malloc)
    PLI_LIMIT(calloc)
    PLI_LIMIT(realloc)
    PLI_LIMIT(posix_memalign)
    PLI_LIMIT(aligned_alloc)
    PLI_LIMIT(memalign)
    PLI_LIMIT(valloc)
    PLI_LIMIT(pvalloc)
    pli_limit.on = on;
}

/* The callback is changed while nobody can be told: told is 1 first, so that who crosses the limit
   now stays silent; the release at the end pairs with the acquire in pli_limit_tell, so that who
   may call again sees the new function together with its `user`. Setting a limit that is crossed
   already rings at the next malloc. */
pl_result pl_memlimit_set(int64_t soft_bytes, void (*over_soft)(int64_t live_bytes, void *user),
                          void *user, int64_t hard_bytes)
{
    if (soft_bytes < 0 || hard_bytes < 0)
        return PL_INVALID;
    if (pli_next_mode() == PLI_NEXT_DORMANT)
        return PL_UNSUPPORTED;
    pli_lock_take(&pli_limit.lock);
    PLI_STORE(pli_limit.told, 1);
    PLI_STORE(pli_limit.soft, 0);
    pli_limit.over_soft = over_soft, pli_limit.user = user;
    PLI_STORE(pli_limit.hard, hard_bytes);
    PLI_STORE(pli_limit.soft, soft_bytes);
    __atomic_store_n(&pli_limit.told, 0, __ATOMIC_RELEASE);
    pli_limit_switch(soft_bytes > 0 || hard_bytes > 0);
    pli_lock_give(&pli_limit.lock);
    return PL_OK;
}

#else

pl_result pl_memlimit_set(int64_t soft_bytes, void (*over_soft)(int64_t live_bytes, void *user),
                          void *user, int64_t hard_bytes)
{
    (void)soft_bytes, (void)over_soft, (void)user, (void)hard_bytes;
    return PL_UNSUPPORTED;
}

#endif /* PLI_INTERPOSE */

/* -- Growth: a line an interval on stderr, as Go's gctrace --

       perflab: heap @3.0s: 4.2 -> 4.9 MiB live, 12034 mallocs, 11020 frees, 10.5 MiB held, growing
       0.7 MiB/s

   What is live at one moment says little, since programs take and give back. What the lowest live
   of each interval does over several of them says more, but asks for a look at every free. So the
   verdict takes the ends of the last intervals: most of them higher than the one before, and the
   last higher than the first, is growth:

       live, MiB     2.0   3.0   4.4   4.2   4.9        three of four steps go up, and more than 64
                         +     +     -     +            KiB in all: (4.9 - 2.0) / 4 s = 0.72 MiB/s

   Fewer than three steps are too early for a word. A cache that fills, or a program that warms up,
   is growth as well while it lasts: the line says what is, not whose fault it is. */

#if PLI_LINUX

#define PLI_GROWTH_INTERVALS 8

typedef struct pli_growth {
    int64_t live[PLI_GROWTH_INTERVALS + 1]; /* the newest first */
    int count;
    pl_memstats before;
    uint64_t began_ns, interval_ns;
} pli_growth;

/* Bytes a second over what is remembered; 0: steady, or not known yet. */
static double pli_growth_rate(const pli_growth *g)
{
    int up = 0, steps = g->count - 1;
    for (int i = 0; i < steps; i++)
        up += g->live[i] > g->live[i + 1];
    int64_t grown = g->live[0] - g->live[steps > 0 ? steps : 0];
    if (steps < 3 || 4 * up < 3 * steps || grown < (int64_t)64 << 10)
        return 0;
    return (double)grown / ((double)g->interval_ns / 1e9 * steps);
}

/* The line for an interval that ends now. */
static int pli_growth_line(pli_growth *g, char *out, size_t size)
{
    const double mib = 1 << 20;
    pl_memstats now;
    pl_memstats_read(&now);
    memmove(g->live + 1, g->live, sizeof g->live - sizeof *g->live);
    g->live[0] = now.alloc;
    g->count += g->count <= PLI_GROWTH_INTERVALS;
    double rate = pli_growth_rate(g);
    pl_memstats d = pl_memstats_diff(&now, &g->before);
    int used = snprintf(out, size, "perflab: heap @%.1fs: %.1f -> %.1f MiB live, %" PRId64
                        " mallocs, %" PRId64 " frees, %.1f MiB held",
                        (double)(pl_now_ns() - g->began_ns) / 1e9, (double)g->before.alloc / mib,
                        (double)now.alloc / mib, d.mallocs, d.frees, (double)now.heap_sys / mib);
    if (rate > 0)
        used += snprintf(out + used, size - (size_t)used, ", growing %.2f MiB/s", rate / mib);
    else if (g->count > 3) /* before that it is too early for a word */
        used += snprintf(out + used, size - (size_t)used, ", steady");
    out[used++] = '\n';
    g->before = now;
    return used;
}

/* A thread of perflab's own, which no signal of the program's may reach. Ends with the process. */
static void *pli_growth_run(void *interval)
{
    pli_growth g = {.began_ns = pl_now_ns(), .interval_ns = (uint64_t)(uintptr_t)interval};
    uint64_t next = g.began_ns;
    char line[256];
    pli_thread_make_own("pl_heaptrace");
    for (;;) {
        next += g.interval_ns;
        struct timespec until = {(time_t)(next / 1000000000), (long)(next % 1000000000)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
            continue;
        ssize_t n = write(2, line, (size_t)pli_growth_line(&g, line, sizeof line));
        (void)n;
    }
    return NULL;
}

/* Prints a line each interval from now on. */
PLI_SOMETIMES static pl_result pli_growth_start(int64_t seconds)
{
    pthread_t thread;
    int error = pli_thread_start_own(&thread, pli_growth_run,
                                     (void *)(uintptr_t)(seconds * 1000000000));
    return error == 0 && pthread_detach(thread) == 0 ? PL_OK : PL_NOMEM;
}

#endif /* PLI_LINUX */

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
#define PLI_SYNC_DEPTH 128 /* as Go's */
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
    uint32_t shut;     /* 1: nothing is counted now; atomic */
    bool gated;        /* shut moves */
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
    pli_sites_count_sig(sites, &key, pli_sync.gated ? 2 : 0, events, ns);
}

/* A number below `limit`, or at least 1, which is another one each time. */
static uint64_t pli_sync_random(uint64_t limit)
{
    return pli_mix_sig(pl_ticks(), (uintptr_t)&limit) % (limit ? limit : 1);
}

/* For benchmarks: what waits while the gate is shut is not counted. As pli_heap_gate. */
PLI_SOMETIMES static void pli_sync_gate_use(void)
{
    pli_sync.gated = true;
    PLI_STORE(pli_sync.shut, 1);
}

PLI_SOMETIMES static void pli_sync_gate(bool open)
{
    if (pli_sync.gated)
        PLI_STORE(pli_sync.shut, !open);
}

/* What was counted since the last call is kept, or was set-up: it stands in the values behind. */
PLI_SOMETIMES static void pli_sync_settle(bool keep)
{
    for (int i = 0; i < 2 && pli_sync.gated; i++) {
        pli_sites_settle(&pli_sync.blocked, 2 + i, i, keep);
        pli_sites_settle(&pli_sync.charged, 2 + i, i, keep);
    }
}

/* A wait has ended. One of the short ones stands for rate / ns of them: with a rate of 1 ms, of
   waits of 10 us one in a hundred is kept, and counts as a hundred waits and 1 ms, which is what a
   hundred of them take. The number of events is a whole one, above or below the true quotient by
   chance, so that it is right on average. After Go's blockevent.

   With a rate of 1 ms, a wait of 0.3 ms is kept three times in ten. It counts as 3 events, or in
   one case of three as 4, and as 1 ms: on average 0.3 * 3.33 = 1 event and 0.3 * 1 ms = 0.3 ms. */
static void pli_sync_blocked(uint64_t ticks, const void *caller)
{
    uint64_t ns = pl_ticks_to_ns(ticks), rate = (uint64_t)PLI_LOAD(pli_sync.rate), events = 1;
    if (!(PLI_LOAD(pli_sync.on) & PLI_SYNC_BLOCK) || PLI_LOAD(pli_sync.shut))
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

   Three ticks after waiter 1 came and one after waiter 2, an unlock is charged with 3 + 1; if the
   next one comes two ticks later, and neither has the lock yet, with 2 + 2. */
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
    if (fraction <= 0 || PLI_LOAD(pli_sync.shut))
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
    view->type[0] = (pli_sample_type){"contentions", "count", 0, 1, NULL};
    view->type[1] = (pli_sample_type){"delay", "nanoseconds", 1, 1, NULL};
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
    pli_started_watch();
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

/* Has both profiles be there before they are switched on: empty, as those of Go are. */
PLI_SOMETIMES static void pli_sync_offer(void)
{
    pli_lock_take(&pli_sync.lock);
    pli_sync_prepare();
    pli_lock_give(&pli_sync.lock);
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

PLI_SOMETIMES static void pli_sync_gate_use(void)
{
}

PLI_SOMETIMES static void pli_sync_gate(bool open)
{
    (void)open;
}

PLI_SOMETIMES static void pli_sync_settle(bool keep)
{
    (void)keep;
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
   hot path tests nothing. Two threads that come first both look, and find the same:

       before the first call     pli_sync_next.sem_wait = pli_first_sem_wait ──dlsym──► libc's
       from then on              pli_sync_next.sem_wait = libc's

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

/* libc's function, and what it returns. */
#define PLI_SYNC_HAND_ON(name, arguments)                                                          \
    do {                                                                                           \
        int handed_on = PLI_SYNC_NEXT(name) arguments;                                             \
        PLI_NOT_LAST();                                                                            \
        return handed_on;                                                                          \
    } while (0)

/* Off is off: a load, a test that the processor foretells, and a jump to libc's function; 0.3 ns
   more than glibc alone for a lock and unlock (bench/lock_pair.c). */
#define PLI_SYNC_NEXT(name) PLI_LOAD(pli_sync_next.name)
#define PLI_SYNC_OFF PLI_LIKELY(PLI_LOAD(pli_sync.on) == 0)
#define PLI_CALLER __builtin_return_address(0)

/* The ways through pthread_mutex_lock:

       off             libc's function, as if there were no hook
       trylock: 0      the lock was free: no look at the clock, nothing is counted
       trylock: EBUSY  into the list ─► libc's function ─► out of the list ─► counted, if it is kept
       other errors    go back to the program

   For locks: tries first, and waits with the thread in the list of those who wait for it. Errors of
   the attempt are errors of the call, but that the lock is taken. Trying first lets a thread take
   the lock that has just come, before those who wait: libc's own mutexes allow that as well, and
   locks that go by priority are given by the kernel in either case. The macro ends the function,
   since the caller's address can only be asked for there. */
#define PLI_SYNC_LOCK(attempt, lock, name, arguments)                                              \
    if (PLI_SYNC_OFF)                                                                              \
        PLI_SYNC_HAND_ON(name, arguments);                                                         \
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
        PLI_SYNC_HAND_ON(name, arguments);                                                         \
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
        PLI_SYNC_HAND_ON(pthread_barrier_wait, (b));
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
        PLI_SYNC_HAND_ON(pthread_join, (thread, result));
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
        PLI_SYNC_HAND_ON(name, arguments);                                                         \
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
        return pli_os_copy_sig(to, image->base + offset, size);
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(image->fd, (char *)to + done, size - done, (off_t)(offset + done));
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* A copy of a part in fresh memory, with a zero byte behind it, so that a last string without an
   end has one; NULL when that is not possible. Memory from the system is zero. A false size costs
   no more than the size of the file. */
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

   Names and contents are padded to four bytes.

       04 00 00 00  14 00 00 00  03 00 00 00  47 4e 55 00  8b 76 dd 66 60 21 f5 c5 ...
       name: 4      content: 20  type 3       "GNU"        the id */
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
               pli_os_copy_sig(&in_memory, (uintptr_t)&m->phdrs[i], sizeof in_memory) &&
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

       buckets, symoffset, bloom words, shift, bloom filter..., bucket..., chain...

   With symoffset 5, buckets 5, 7, 0, and the chain values of symbols 5 to 9:

       symbol   5      6      7      8      9
       value    even   odd    even   even   odd      the chain of 7 ends at 9: there are 10 symbols

   Symbols below symoffset are imports, which nobody looks for here; an empty bucket is 0. */
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
   (musl), and nobody does so in the vdso, which is read-only.

   For a library at 0x7f2a40000000 whose table is at 0x388:

       0x7f2a40000388   glibc's form: it lies in the module, and less its start it is 0x388
       0x388            musl's: plus bias, which is where the file's address 0 is, less the start */
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
        if (!pli_os_copy_sig(&header, (uintptr_t)&m->phdrs[i], sizeof header))
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

/* -- Where the tables are --

   For /usr/bin/server with build id 8b76dd66..., in this order:

       /usr/bin/server                                  itself, if it was not stripped
       /usr/lib/debug/.build-id/8b/76dd66....debug      by its build id
       /usr/bin/server.debug                            by .gnu_debuglink, which says server.debug
       /usr/bin/.debug/server.debug
       /usr/lib/debug/usr/bin/server.debug

   A file that is found counts only with the same build id: a debug file of last week's build would
   give wrong lines, which are worse than none. */

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
   person calls it. For three names at 0x1140 of the module:

       00001140 10000005        write           a function, exported, strong
       00001140 10021007        __write         two underscores, weak
       00001140 1102000c        __write_impl    local: behind all that is exported */
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
   backwards, until one contains it, or none further back can: almost always the first.

   In the picture above, where copy_loop is open and copy's FDE goes from 0x1040 to 0x10a0:

       0x1020    parse: the last to begin before it, and it ends behind it
       0x1078    copy_loop: the FDE around 0x1078 began before copy_loop, which goes on in it
       0x10a8    nobody's: behind that FDE, and no range before goes further than 0x10a0 */
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
    if (end && size) /* of nothing there is no address */
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
   quick enough for what is compressed once. The usual proof of such a function: the checksum of
   "123456789" is cbf43926. */
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
   every two distances; the rest of the number follows as it is. (13, 7): lengths 13 and 14 are
   class 266, and a bit tells which; distances 7 and 8 are class 5, and a bit tells which. Both bits
   are 0. */
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
   What lies inside a repetition is not entered, which saves time.

   "aaaaaabcabcabc" again, place by place:

       0        a           "aaaa" is new
       1        (5, 1)      "aaaa" stood at 0, and goes on so for five
       6 7 8    b c a       "bcab", "cabc" and "abca" are new: what begins at 2 to 5 is not entered
       9        (5, 3)      "bcab" stood at 6

       4b 04 83 a4 e4 44 30 02 00        3 bits of head, 63 of this, the end among them: 9 bytes */
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

/* Has at least 48 bits there, or all that are left. Eight bytes at once as long as there are so
   many: those that do not fit whole come again the next time, and are the same then. */
static inline void pli_inflate_fill(pli_inflate *f)
{
    uint64_t next;
    if (f->end - f->at >= (ptrdiff_t)sizeof next) {
        memcpy(&next, f->at, sizeof next);
        f->bits |= next << f->count;
        f->at += (63 - f->count) >> 3;
        f->count |= 56;
        return;
    }
    for (; f->count <= 48 && f->at < f->end; f->count += 8)
        f->bits |= (uint64_t)*f->at++ << f->count;
}

/* So many bits as a number. */
static inline unsigned pli_inflate_bits(pli_inflate *f, int count)
{
    if (f->count < count)
        pli_inflate_fill(f);
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
static inline unsigned pli_inflate_symbol(pli_inflate *f, const pli_huffman *code)
{
    if (f->count < 15)
        pli_inflate_fill(f);
    unsigned entry = code->entry[f->bits & ((1u << PLI_INFLATE_BITS) - 1)];
    entry = entry ? entry : pli_huffman_find(code, f->bits);
    int length = (int)(entry & 15);
    f->bad |= length == 0 || length > f->count;
    f->bits = f->bad ? 0 : f->bits >> length;
    f->count -= f->bad ? f->count : length;
    return entry >> 4;
}

/* Enters a code at all places of the table that begin with it. Since codes are entered reversed,
   these are as far apart as the code is long: a code of 3 bits has every eighth place, 128 in all.

       number 6, 110     reversed 011     places 3, 11, 19, 27 ... 1019 */
static void pli_huffman_enter(pli_huffman *code, unsigned number, unsigned length, unsigned symbol)
{
    unsigned reversed = 0;
    for (unsigned bit = 0; bit < length; bit++)
        reversed |= (number >> bit & 1) << (length - 1 - bit);
    for (unsigned at = reversed; at < 1u << PLI_INFLATE_BITS; at += 1u << length)
        code->entry[at] = (uint16_t)(symbol << 4 | length);
}

/* Makes a code from its lengths, of which 0 means that the symbol does not occur. More codes than
   there is room for are no code.

   Lengths 2, 1, 3, 3 of the symbols A, B, C, D: there is one code of 1 bit, one of 2 and two of 3.
   next is the first free number of each length, twice what comes behind the shorter ones:

       B  0      A  10      C  110      D  111

       next three bits of the input, the first one at the right:
       000 B    001 A    010 B    011 C    100 B    101 A    110 B    111 D */
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

/* The lengths of both codes in one row, as the third code tells them. Most symbols do not occur,
   and neighbours are often equally long, so that repetitions have symbols of their own:

       0 - 15     this length
       16         the last length again, 3 to 6 times    (two more bits say how often)
       17, 18     0, 3 to 10 times (three bits), 11 to 138 times (seven bits)

   A repetition may go on from the lengths of the first code into those of the second. */
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

/* Both codes of a block that brings its own:

       5 bits    symbols - 257         5 bits    distances - 1       4 bits    lengths - 4
       3 bits each: the lengths of the third code, as many as said, in this order:
                 those that are rarely used stand last, and may be left out
       symbols + distances lengths, in the third code

   The third code is made in the place of the first, which is not needed yet. */
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

/* A repetition whose length is of this class: the classes are those of the picture at the head of
   this section. It may reach into what it writes: a distance of 1 repeats the last byte. So it goes
   byte by byte, but for those that reach far enough back, and do not come near the end. */
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
    if (f->bad)
        return;
    unsigned char *to = f->out + f->size;
    const unsigned char *from = to - distance;
    f->size += length;
    if (distance < 8 || f->capacity - f->size < 8)
        for (size_t i = 0; i < length; i++)
            to[i] = from[i];
    else
        for (size_t i = 0; i < length; i += 8)
            memcpy(to + i, from + i, 8);
}

/* The data of a block with codes, up to its end, which is symbol 256. What is left out of the code
   has no entry, so that reading it is an error and not a wrong byte; and every turn writes
   something or ends, so that the size of the output bounds the time. */
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

/* A block without codes begins at a whole byte; the rest of the one before is filler. Packers make
   such blocks where nothing repeats:

       05 00   fa ff   68 65 6c 6c 6f     5 bytes, the complement of that, "hello" */
static void pli_inflate_stored(pli_inflate *f)
{
    pli_inflate_bits(f, f->count & 7);
    unsigned length = pli_inflate_bits(f, 16), complement = pli_inflate_bits(f, 16);
    f->bad |= (length ^ complement) != 0xffff || length > f->capacity - f->size;
    for (; length > 0 && !f->bad; length--)
        f->out[f->size++] = (unsigned char)pli_inflate_bits(f, 8);
}

/* All blocks. Three bits begin each: 1 for the last one, and two that say which kind it is. Behind
   a block nothing is aligned, the next one begins with the next bit; but repetitions reach back
   over its begin, so that nothing is forgotten between two. */
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
   have to be reduced. That of "abc" is 024d0127. */
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

       .debug_abbrev   07          form 7:
                       1d 01       an inlined call (DW_TAG_inlined_subroutine), has children
                       31 13       abstract_origin, ref4: 4 bytes, the place of the function
                       11 01       low_pc, addr: 8 bytes
                       12 07       high_pc, data8: 8 bytes, how much code it is
                       59 0b       call_line, data1
                       00 00       that was all
       .debug_info     07   2f 01 00 00   60 11 40 00 00 00 00 00   18 00 00 00 00 00 00 00   0b
                       ... children ...   00

   So all that lies before an entry has to be walked over to find it. That is done a unit at a time,
   and only for units that somebody asks about: at the first question about a module only the first
   entry of each unit is read, which tells where its code is. With 60 MB of debug information the
   first answer takes 10 ms (AMD EPYC, gcc 12 -O2).

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

/* Notes where the sections are; the names are in the order of the enumeration above. Sections of
   the older form of compression have other names (.zdebug_info), and so are not there. Those of a
   debug file that have no bytes there (NOBITS) count as missing. */
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

/* Opens the file that has lines: the module's own, or else its debug file. Both are asked for the
   same, so that a debug file with names but without lines is no better than none. */
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
   for instance) has its sections elsewhere.

   The life of image.fd, which lasts as long as the module:

       -1 closed ──first read──► open ─────────────────┬─ pli_debug_close, at the end ──► -1
           └──── the file is gone, or another ────► -2 ┘  of the question

   At -2 the other reads of the same question fail at once, and do not look for it again. */
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
   system; false when it cannot be read, or is too large for that. Windows begin at half their size,
   so that a part that begins at the end of one is whole in the next:

       0        8 KiB      16 KiB     24 KiB
       ├── window 0 ────────┤
                  ├── window 1 ────────┤ */
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

/* Unpacks a section that is compressed: a header says how, and how large it is then.

       01 00 00 00   zlib (2: zstd, which is refused)      00 00 00 00
       5f 33 12 00 00 00 00 00   the size                  01 00 ...   the alignment
       78 9c ...     what is packed

   False when it cannot be unpacked. It stays unpacked as long as the program runs, since any part
   of it may be asked for next; that takes memory only as far as the data goes. */
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

/* A text that begins somewhere in a section, in pli_dw.text; false when it has no end there. Most
   names are short: a second look is needed for those of C++ templates only. */
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

/* Has the next item in the reader, or all that is left. Before each:

       bytes   | read already | next items      |
                              ▲ r.at            ▲ r.end ──► next: its place in the section
       after   | next items      | more         |

   An item that is longer than expected makes the reader bad, as at the end of the section. */
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

/* How many bytes a value has: 0 to 16, or what decides: the unit's header, the value itself (a
   number of seven bits a byte, text, a block behind its length), or that it is the same in all
   entries of a form, and stands there. */
enum { PLI_DW_BY_UNIT = 32, PLI_DW_BY_ADDRESS, PLI_DW_BY_VERSION, PLI_DW_ULEB, PLI_DW_SLEB,
       PLI_DW_TO_ZERO, PLI_DW_BLOCK, PLI_DW_BLOCK1, PLI_DW_BLOCK2, PLI_DW_BLOCK4, PLI_DW_IMPLIED,
       PLI_DW_INDIRECT, PLI_DW_UNKNOWN };
typedef struct pli_dw_form { uint8_t size, kind; } pli_dw_form;

/* An attribute in the form of an entry. Those of all entries with one form have the value
   `implied`, where the size says so. */
typedef struct pli_dw_spec { pli_dw_form form; uint8_t attribute; int64_t implied; } pli_dw_spec;

/* DW_FORM_..., by number: as many bytes, and what they mean. Of version 5 are those from 1a on.
   What is not needed here (expressions, places in lists of locations, types by their hash) only has
   to be skipped; so an unknown form ends the reading of a unit, since it cannot be. */
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

/* The section and the place of a text; false for what is no text, or is in another file. An index
   counts into the unit's part of .debug_str_offsets, whose items are places in .debug_str: so the
   linker has one number to change for each text, however often it is used. */
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

/* An entry: the values of the attributes that are understood, and in one more place, which nobody
   reads, those of all others. */
typedef struct pli_dw_entry {
    uint64_t tag;
    bool children;
    pli_dw_value value[PLI_DW_ATS + 1];
} pli_dw_entry;

/* Reads the next form, and adds its attributes to specs. False at the end of the table. Some forms
   have no bytes in the entry: a flag that is always set, and a value that all entries with the form
   share (DW_FORM_implicit_const), which stands here:

       21 3a 21 02 ...     decl_file (3a), implicit_const (21): 2 */
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

/* Reads a single entry, wherever it is: its form is looked for from the first one on. For entries
   that are needed one by one, of whole units only the first, and functions that were inlined. */
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

/* Notes a range. Functions that the linker left out have address 0, or -1, or are empty: 0 is where
   the file's header lies, and no code. Too many make the whole fail: a list that is used a thousand
   times over takes little room in a file. */
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
       3 start: index, size  4 start, end from base     5 base    6 start, end    7 start, size

   Indexes count into .debug_addr. The two pieces of a function with a cold part, from base 1140:

       04 00 3a          1140 to 117a
       07 30 10 ... 09   1030 to 1039
       00                that was all */
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

/* A list of before: pairs that count from base, a new base behind -1, and two zeros at the end.
   Base is where the code of the unit begins; where that is in pieces itself, 0. */
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

/* Sorts by address, and fills in how far all reach; false when there is no memory.

       low     1000   1040   1050   10c0
       high    1040   1048   10a0   10d0
       reach   1040   1048   10a0   10d0    as nearly always: nothing overlaps

   Where ranges overlap, reach is how far one has to look back: not beyond where it is too low. */
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

/* The owner of the last range that begins at or before an address and contains it; SIZE_MAX when
   there is none. Ranges may lie inside others, and reach tells when to stop looking:

       range    A 10-90    B 20-30    C 40-50    D 95-99
       reach    90         90         90         99

       60       C ends before it, but something up to C goes as far as 90: not B, but A
       92       C ends before it, and nothing goes further than 90: nobody's */
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

       ac 00 00 00  05 00  01  08  00 00 00 00    172 bytes follow, version 5, kind 1 (of a file
                                                  that was compiled), forms at 0 of .debug_abbrev

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

/* Goes over all units: a header, the first entry, its form and its list of ranges. There is a
   section that lists the same (.debug_aranges), but not of all compilers. When there are too many,
   or memory is short, the module has no lines. */
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

/* The debug information of a module, found now if need be. NULL when there is no memory. A module
   without any has one with no units, so that its files are not looked for at each of its addresses.
   */
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

/* The unit that an entry is in, or NULL. Functions that were inlined may stand in another one than
   their caller: when the whole program is optimised at link time, and in files that dwz has made
   smaller. */
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

/* A name or a path that stays. shown: as people write it, once somebody asked; atomic. Everything
   else here is read and written under the lock. */
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

/* What is kept of a unit, in one block of memory. Never changes, but for names and texts.

       range ──► body ──► pieces from `first` to `end` ──► call ──► outer call ──► function
       (which function?)  (which of them contain the address? the last one)

   Invariant: an outer call stands before its inner ones, so that the way outwards has an end. */
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
   so nothing has to be given back one by one. A place is chosen by the hash of the address alone.
   An answer that another one needs the place of is overwritten, and its lines stay unused until the
   next time that all are forgotten. */
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

/* As people write it: see pli_symbol_shown. Outside of the lock: this may call malloc, and a malloc
   of the program's own may ask for its stack while it holds a lock of its own. Two threads at once
   may both do it; both texts are right, and one is forgotten. */
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

/* Paths are put together from behind, since only the parts that are read tell whether another one
   belongs in front:

       path      ................................/src/blank.h          name, and folder: relative
       path      ............/home/me/search/src/blank.h              where the compiler was started
                             ▲ begin

   The whole path of a file of a line table: its name, in front of it its folder, and in front of
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

   An example, with opcode_base 13, line_base -5 and line_range 14, as gcc has it:

       00 09 02 39 11 00 ...   DW_LNE_set_address: 0x1139
       03 09 01                line += 9, and a row: 0x1139, line 10
       75                      0x75 - 13 = 104 = 7 * 14 + 6: address += 7, line += 6 - 5
       04 02                   file 2: blank.h
       02 18 00 01 01          address += 0x18, and the end of the sequence

   Rows of one function after the other, each sequence with an end: what lies between two belongs to
   none of them. A sequence may begin anywhere; sorted, they are one table. */

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

/* A table of files or folders of version 5: which fields they have, in which forms; then all.

       02   01 1f   02 0b      two fields: the name, in .debug_line_str; the folder, one byte
       03                      three files:
            2a 00 00 00   00       main.c, in folder 0, where the compiler was started
            2a 00 00 00   00       again: numbers of version 5 begin at 0, and of others at 1
            31 00 00 00   01       blank.h, in folder 1

   Of the fields only the name (1) and the number of the folder (2) matter. */
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

/* Reads the header, whose length has been read; the reader is at the program then. Its fields:

       05 00            version               08 00       size of addresses, of segments (version 5)
       2a 00 00 00      bytes to the program  01 01 01    minimum, operations (4 and 5), statements
       fb 0e 0d         line_base -5, line_range 14, opcode_base 13
       00 01 01 01 01 00 00 00 01 00 00 01    how many numbers follow the instructions 1 to 12
       folders, files

   The bytes to the program are believed, not the end of the tables: there may be more in them. */
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
   function ends and another begins, the end comes first; file and line.

       key     63             1   0       value   63       32 31      0
              | address       | row |            | file      | line   |

   Rows that say the same as the one before are left out, about half of all. */
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

/* One of the instructions that have a number of their own, in the order of their numbers. 8 is what
   byte 255 would do, without its row: a step that is too far for one byte. 9 is for assemblers that
   cannot compute the others. */
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

/* Runs the program to its end. Every turn of the loop takes at least one byte, and adds at most one
   row: so no program takes longer, or makes more, than its size allows. */
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

/* Sorts the rows; false when there is no memory. Most compilers write them in the right order, and
   sorting moves 16 bytes a row up to 16 times: to look first is worth it. Rows with the same
   address keep their order, and the last one of them counts, as it does in debuggers. */
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

/* Makes the rows of the program's unit: its part of .debug_line begins with its length. Units may
   share a part (type units do): it is read for each of them, since only sources are kept. */
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

/* A walk, and what it gathers.

       entries              level   call              pieces
       unit                   1
         function parse       2     0                 0: 1139 - 1160
           inlined            3     1, in 0           1: 1140 - 1158
             inlined          4     2, in 1           2: 1144 - 1150
         function main        2     3                 3: 1170 - 1199

   A level is an entry whose children are being read: the call or function that their code belongs
   to, and the body that ends with them. Its pieces stand behind those of the levels around it, so
   that the last piece around an address is the innermost. */
typedef struct pli_scan {
    pli_debug *debug;
    const pli_dw_unit *unit;
    pli_reader r;
    pli_bytes forms, specs;   /* by number */
    pli_bytes calls, pieces, bodies, ranges;
    int depth;
    struct { uint32_t call, body; } level[PLI_SCAN_DEPTH];
} pli_scan;

/* Reads the forms of all entries of the unit into an array. Compilers number them from 1 on; a
   false number is refused before it makes the array large. What is missing has code 0. */
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

/* Notes an inlined call, which is part of a call or function. The entry has no name: it refers to
   the function that was inlined, and tells from where that was called:

       DW_TAG_inlined_subroutine   origin: skip_blanks   code: 1140 - 1158   call: parse.c, line 11
                                   └─► resolved only when somebody asks about 1140 - 1158

   It may have no code of its own, but calls in it that have. */
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

/* One entry; its children are next, if it has some: those of types, too, since a class in a
   function may have its functions in it. */
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

/* All entries. A 0 ends the children of one; the unit's first entry is a level, too, and where it
   ends, so does the unit. Every turn takes at least the byte of the number. */
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

/* Walks over the unit, in a copy of its entries: what is checked does not change meanwhile. Of the
   copy nothing is kept but numbers, and places in the file. */
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

/* Makes one block of what was gathered; NULL when there is no memory. One block, since there may be
   thousands of units, and memory from the system comes in pages:

       pli_source | rows | files | folders | calls | pieces | bodies | ranges */
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

/* Reads a unit. NULL when it cannot be understood, or there is no memory: half of a unit would name
   the wrong function where the other half has the right one. */
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

/* Gives all sources back. Answers need nothing of them: their names and paths are kept elsewhere.
   What is asked for next is read again, which costs as much as the first time. */
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

/* The source of a unit, made now if need be. One that could not be made is not tried again: what
   was wrong in the file still is, and a question that costs milliseconds each time would be felt.
   */
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

   Answers are kept: an address that was asked for before costs a hash and a copy. Of two addresses
   with the same hash only the younger one's is.

       answer    | pc, module, first 0, count 3 | ... | pc, module, first 3, count 1 | ...
       line      | is_blank | skip_blanks | parse | main | ...

   The way of a question, and what is missing in the answer when it ends early:

       pc ──► module ──► symbol ──► answers ──► unit ──► source ──► row, call
                 │          │                     │         └─ no line: code that the compiler added
                 │          │                     └─ no file, no line: no -g, or not understood
                 │          └─ [module+0x1234]: stripped, and not exported
                 └─ [unknown]: nobody's address, or its library had gone before perflab saw it

   What is found so far stands in the frame in each case. */

#if PLI_LINUX

/* -- Questions. Under the lock -- */

/* The row that an address belongs to: the last one that does not begin behind it. NULL when that is
   an end.

       1139 row | 1140 row | 1158 row | 1160 end | 1170 row
                   1146 ──► 1140        1164 ──► 1160: NULL */
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

/* A function at a place of a source. Code that the compiler added may have a file and no line: that
   is told as it is, since the file is right. */
static pli_line pli_source_line(pli_debug *d, pli_source *s, pli_string *function, uint64_t file,
                                uint64_t line)
{
    const char *path = pli_source_path(d, s, file);
    return (pli_line){function, path, path && line <= INT32_MAX ? (int)line : 0};
}

/* All functions at an address, the innermost first; how many, 0 when nothing is known. From the
   inside out, the line moves on: the row's is the innermost function's, and each call tells the
   line of the one around it. Where a unit has functions, what is outside of them (assembler code
   among C) is not of the row before it. A call whose function has no name here would make lines of
   others its own: then nothing is known.

   For 0x1146 in the picture of >>line, whose row is blank.h:5:

       out[0]   is_blank       blank.h:5      the row
       out[1]   skip_blanks    blank.h:5      where it calls is_blank
       out[2]   (NULL)         parse.c:11     where parse, which the table of symbols names, calls
                                              skip_blanks */
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

/* The same for an address of a module, as the files tell it. Files count addresses from where they
   were linked, memory from where they were loaded: between both lies the bias. */
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

/* The answer to a question, new or known; NULL when there is no memory. That nothing is known is
   kept as well: for code without debug information, as most libraries are, it is what is asked
   most. */
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

/* Whether the module's own file has lines. To read those of a library from its debug file, which
   distributions keep compressed, takes some ten milliseconds: too long for a profile that a program
   writes at its end, and whose reader can find that file as well. */
static bool pli_debug_is_own(const pli_module *m)
{
    uint32_t *known = (uint32_t *)(uintptr_t)&m->own_lines;
    pli_dw_section section[PLI_DW_SECTIONS];
    pli_elf elf;
    if (PLI_LOAD(*known) == 0) {
        memset(section, 0, sizeof section);
        bool own = pli_elf_of_module(&elf, m);
        if (own) {
            pli_debug_sections(section, &elf);
            pli_elf_close(&elf);
        }
        own = own && section[PLI_DW_INFO].size && section[PLI_DW_LINE].size;
        PLI_STORE(*known, own ? 1 : 2);
    }
    return PLI_LOAD(*known) == 1;
}

/* A fork's child: another thread may have been in the middle of it. So sources, answers and names
   are given up; their memory is lost in the child, which mostly is another program soon. What is
   complete hangs in the modules, and goes on to be used. */
static void pli_lines_fork_child(pli_thread *t)
{
    (void)t;
    pli_debug_close();
    memset(&pli_lines, 0, sizeof pli_lines);
    memset(&pli_dw, 0, sizeof pli_dw);
}

static const pli_thread_hooks pli_lines_hooks = {NULL, NULL, NULL, NULL, pli_lines_fork_child};

/* Not at the first question, which may come in an emergency: to add hooks takes the threads' lock,
   which the thread that was interrupted may hold. */
__attribute__((constructor)) static void pli_lines_watch_fork(void)
{
    pli_collector_add(&pli_lines_hooks);
}

/* -- Frames -- */

/* What is known of the function that an address of an epoch was compiled into, without lines: its
   name is that of >>symbol, whatever debug information calls it, so that it is the same in programs
   that were stripped and in those that were not. */
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

/* pl_symbolize for an address that was seen in an epoch. Of the functions there the last one is
   asked for, which is what room for one line means. */
static pl_result pli_symbolize(uintptr_t pc, uint32_t epoch, pl_frame *out)
{
    pli_place found;
    pli_line line;
    pl_result result = pli_frame_at(pc, epoch, &found, out);
    if (result == PL_OK && pli_lines_at(found.module, pc, false, &line, 1))
        out->file = line.file, out->line = line.line;
    return result;
}

/* pl_symbolize_inlined for such an address; max is at least 1. The frames differ in function and
   line only; offsets count from the begin of the function that the linker knows, so that an inlined
   one, which may be in several pieces, has none. */
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

/* ==== >>pprof ====================================================================================
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

/* -- A map that grows --

   Keys A and B belong at place 3, C at place 4. What comes later goes to the next free place, and
   is found by walking from its own place on, up to a free one:

       place       3        4        5      6
                   A        B        C      free      looking for C: B is not it, then C
       B goes      A     (removed)   C      free      C is found, since 4 does not count as free

   Removed ones are left out when the map grows, or is made anew at the same size. */

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

/* An id: the key was removed. Its entry stays, since others may lie behind it. */
#define PLI_MAP_REMOVED UINT64_MAX

/* Twice as large, unless half of what fills it was removed; as it was when there is no memory. */
static void pli_map_grow(pli_map *map)
{
    size_t capacity = map->capacity ? map->capacity : 512, count = 0;
    for (size_t i = 0; i < map->capacity; i++)
        count += map->entry[i].id && map->entry[i].id != PLI_MAP_REMOVED;
    if (4 * count >= map->capacity)
        capacity *= 2;
    pli_map_entry *entry = pli_os_map(capacity * sizeof *entry);
    if (!entry)
        return;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entry[i].id && map->entry[i].id != PLI_MAP_REMOVED)
            *pli_map_probe(entry, capacity, map->entry[i].a, map->entry[i].b) = map->entry[i];
    if (map->entry)
        munmap(map->entry, map->capacity * sizeof *entry);
    map->entry = entry, map->capacity = capacity, map->count = count;
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

/* A profile while it is written. A message stands behind its own length, so it has to be complete
   before its first byte can be written. Hence a buffer for each level, emptied into the next one:

       numbers ──► message ──► out         a sample: its locations, then its values
       part ─────► message                 each label of it
       line ─────► part ──► locations      a location, and a line for each function at it
       part ─────► functions               a function
       message ──► out                     a mapping, a type of samples

   `part` is needed twice: the functions of a location are put together before the location is. */
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
    static const char *const marks[] = {NULL, "lostProfileEvent", "[truncated]",
                                        "[started before anything was recorded]"};
    if (pc >= PLI_PC_LOST && pc <= PLI_PC_UNSEEN)
        name->name = name->shown = marks[pc];
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

/* The lines of an address, the innermost function first; 0: none are known, or they stand in the
   debug file of a library. The whole path of one file is enough for the reader to find it: without,
   the address counts as one without lines. */
static int pli_writer_lines(const pli_writer *w, const pli_place *name, uintptr_t pc,
                            pli_line *line)
{
    const pli_module *m = name->module;
    bool ask = m && (m->is_main || pli_debug_is_own(m));
    int count = ask ? pli_lines_at(m, pc, w->emergency, line, PLI_INLINED_MAX) : 0;
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

/* The same address may be two modules', in two epochs. A library that was unloaded, and another one
   loaded at its place, would else give their samples to one location, under the name of whichever
   was met first. */
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

/* The table of a profile as it was: the difference to it is what happened since. Since nothing ever
   moves in an arena, a copy of it has each site's values at the same place:

       arena now    [ site a: 9 ][ site b: 4 ][ site c: 2 ]
       copy         [ site a: 6 ][ site b: 4 ]               the difference: a 3, c 2

   b is left out, since readers drop what is zero. */
typedef struct pli_snapshot {
    const char *arena; /* the one it was copied from */
    char *copy;
    size_t size, bytes;
    int64_t lost;
    uint64_t taken_ns;
} pli_snapshot;

/* The values that a site had at the snapshot; NULL: it was not there. */
static const int64_t *pli_snapshot_values(const pli_snapshot *since, const pli_site *site)
{
    size_t at = since ? (size_t)((const char *)site - since->arena) : 0;
    if (!since || (const char *)site < since->arena || at >= since->size)
        return NULL;
    return ((const pli_site *)(const void *)(since->copy + at))->value;
}

/* Sites change while they are read, when the profile is still being taken. The last value first:
   of the heap's these are the frees, and none shall be seen before its block was made. */
static int64_t pli_view_value(const pli_profile_view *view, int type, const pli_site *site)
{
    const pli_sample_type *t = &view->type[type];
    const int64_t *before = pli_snapshot_values(view->since, site);
    int64_t value[PLI_SITE_VALUES];
    for (int i = PLI_SITE_VALUES - 1; i >= 0; i--)
        value[i] = __atomic_load_n(&site->value[i], __ATOMIC_ACQUIRE) - (before ? before[i] : 0);
    return t->of ? t->of(site, value) : value[t->index] * t->factor;
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

/* The first frame that is shown. What operator new calls to get memory is not worth a line, nor is
   it itself: a malloc has no line of its own either.

   C++'s `new T`, seen from malloc:

       malloc's caller   operator new(unsigned long)    left out
                         make_node                      the first frame that is shown */
static int pli_view_first(const pli_profile_view *view, const pli_site *site, bool emergency)
{
    int first = 0;
    for (; view->heap && first + 1 < site->depth && site->pcs[first] >= PLI_PC_MARKS; first++) {
        const char *name = pli_place_at(site->pcs[first], site->epoch, emergency).name;
        if (!name || (strncmp(name, "_Zn", 3) != 0 && strncmp(name, "operator new", 12) != 0))
            break;
    }
    return first;
}

/* One stack with its values and labels.

   Two frames, 100 samples, 1 s of time, and the label handler=search, whose strings are 9 and 10:

       12 12                          field 2 of the profile, 18 bytes: a sample
          0a 02 01 02                 locations 1 and 2, the innermost first
          12 06 64 80 94 eb dc 03     values 100 and 1,000,000,000
          1a 04 08 09 10 0a           a label: key 9, text 10

   Repeated numbers stand in one field without their own tags: so zeros are written, too, which
   pli_put_number would leave out. */
static void pli_writer_sample(pli_writer *w, const pli_site *site)
{
    for (int i = pli_view_first(w->view, site, w->emergency); i < site->depth; i++)
        pli_put_varint(&w->numbers, pli_writer_location(w, site->pcs[i], site->epoch));
    pli_put_message(&w->message, 1, &w->numbers);
    for (int i = 0; i < w->view->types; i++)
        pli_put_varint(&w->numbers, (uint64_t)pli_view_value(w->view, i, site));
    pli_put_message(&w->message, 2, &w->numbers);
    pli_writer_labels(w, site);
    pli_put_message(&w->out, 2, &w->message);
}

/* The sites that have a value, as pairs whose value is the site; then an array of as many for
   sorting. Those with the most of the last type, which is the one that readers show, come first, so
   that the head of a text is what matters, and that readers who stop early have seen it. pli_sort
   has the smallest first, so the key is how far a value is below the largest number that there is.
   A negative one, as a delta may have, is farther away than 0, and comes last. */
static pli_pair *pli_view_sort(const pli_profile_view *view, size_t *count, size_t *bytes)
{
    size_t capacity = view->sites->slots ? view->sites->slot_mask + 1 : 1, at = 0, n = 0;
    *bytes = 2 * capacity * sizeof(pli_pair);
    pli_pair *pairs = pli_os_reserve(*bytes);
    for (pli_site *site; pairs && (site = pli_sites_next(view->sites, &at)) != NULL;) {
        int64_t value = 0;
        bool any = false;
        for (int i = 0; i < view->types; i++)
            any |= (value = pli_view_value(view, i, site)) != 0;
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
    lost->site.value[0] = view->lost + PLI_LOAD(view->sites->lost) -
                          (view->since ? view->since->lost : 0);
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

/* Appends a view as a compressed protobuf. The order of the steps: samples make locations,
   functions and mappings; mappings are complete when all locations are; and all of them make
   strings, which are therefore put behind everything. */
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

#endif /* PLI_LINUX */

/* ==== >>text =====================================================================================
   Profiles for people, which pprof can read all the same, as Go's net/http/pprof prints them. There
   are three kinds, by what a profile counts:

       counts                          cpu, threads, profiles of one's own
       contentions and their delay     block, mutex
       live blocks [all blocks]        heap, allocs

       cpu profile: total 120
       100 @ 0x401137 0x40115a
       # labels: {"handler":"search"}
       #       0x401136        skip_blanks+0x0         /home/me/blank.h:7
       #       0x401136        parse+0x16              /home/me/parse.c:12
       #       0x401159        main+0x9                /home/me/search

   skip_blanks was inlined into parse; of main no line is known, and so its module stands there.

   The addresses behind the @ are one more than ours: those who read them take one off, since they
   expect return addresses.

   Contentions have, in place of a total, the clock in which they count:

       --- contention:
       cycles/second=1000000000
       1500000 3 @ 0x401137 0x40115a        three waits, 1.5 ms together

   Behind all stacks stands what is mapped where, so that a reader with the files finds more than is
   said here. */

#if PLI_LINUX

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

/* What the text of the heap says of a site, or of all:

       heap profile: 3: 3072 [10: 10240] @ heap/1048576
       3: 3072 [10: 10240] @ 0x401137 0x40115a
       #       0x401136        parse+0x16      /home/me/search

   Three blocks of 1024 bytes are live of ten that were made, as far as they were chosen: at the
   rate of half a MiB, of which the title says the double. */
typedef struct pli_heap_line { int64_t objects, bytes, all_objects, all_bytes; } pli_heap_line;

/* Blocks as they were met, which readers scale up by the rate that stands in the title. The values
   are scaled already (each block by the rate of its time), so that goes back here. With the picture
   above: a block of 1024 bytes is met with probability 1 - e^(-1024 / 524288), which is 0.00195.
   Three that were met stand in the table as 3 / 0.00195 = 1538 blocks; times 0.00195 they are three
   again. */
static pli_heap_line pli_text_heap_of(const pli_profile_view *view, const pli_site *site)
{
    double share = view->sampling > 1 && site->size > 0 ?
                   pli_one_less_exp((double)site->size / (double)view->sampling) : 1;
    int64_t live = (int64_t)((double)pli_view_value(view, 2, site) * share + 0.5);
    int64_t all = (int64_t)((double)pli_view_value(view, 0, site) * share + 0.5);
    return (pli_heap_line){live, live * (int64_t)site->size, all, all * (int64_t)site->size};
}

/* Live blocks and bytes, in brackets those that were ever made. */
static void pli_text_heap(pli_bytes *out, pli_heap_line l, const char *end)
{
    pli_bytes_format(out, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] %s", l.objects,
                     l.bytes, l.all_objects, l.all_bytes, end);
}

/* Behind the stacks, as Go has it: comments to pprof, figures to people. */
static void pli_text_memstats(pli_bytes *out)
{
    pl_memstats m;
    pl_memstats_read(&m);
    pli_bytes_text(out, "\n# runtime.MemStats\n");
#define PLI_TEXT_MEMSTATS(name, kind, meaning)                                                     \
    pli_bytes_format(out, "# %s = %" PRId64 "\n", #name, m.name);
    PL_MEMSTATS(PLI_TEXT_MEMSTATS)
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        pli_bytes_format(out, "# MaxRSS = %lld\n", (long long)usage.ru_maxrss * 1024);
}

/* A sample: its value, its addresses for programs, its functions for people. */
static void pli_text_site(pli_bytes *out, const pli_profile_view *view, const pli_site *site,
                          bool emergency)
{
    int first = pli_view_first(view, site, emergency);
    if (view->contention)
        pli_bytes_format(out, "%lld ", (long long)pli_view_value(view, 1, site));
    if (view->heap)
        pli_text_heap(out, pli_text_heap_of(view, site), "@");
    else
        pli_bytes_format(out, "%lld @", (long long)pli_view_value(view, 0, site));
    for (int i = first; i < site->depth; i++)
        pli_bytes_format(out, " 0x%" PRIxPTR, site->pcs[i] + 1);
    pli_bytes_byte(out, '\n');
    pli_text_labels(out, site->labels);
    for (int i = first; i < site->depth; i++)
        pli_text_frame(out, site->pcs[i], site->epoch, emergency);
    pli_bytes_byte(out, '\n');
}

/* So that pprof finds the files: as /proc/self/maps has it. Go's text does without, since pprof
   knows one program only; here most functions may be in libraries.

   A line, with neither device nor inode, which nobody looks at:

       401000-47c000 r-xp 00001000 00:00 0 /home/me/search */
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
static void pli_text_title(pli_bytes *out, const pli_profile_view *view, int64_t total,
                           pli_heap_line heap)
{
    if (view->heap) {
        /* Readers halve this rate: it was doubled in the format that pprof first knew. */
        pli_bytes_text(out, "heap profile: ");
        pli_text_heap(out, heap, "@ heap/");
        pli_bytes_format(out, "%" PRId64 "\n", 2 * view->sampling);
        return;
    }
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
    pli_heap_line heap = {0, 0, 0, 0};
    for (size_t i = 0; pairs && i < count; i++) {
        const pli_site *site = (const pli_site *)(uintptr_t)pairs[i].value;
        total += pli_view_value(view, 0, site);
        pli_heap_line l = view->heap ? pli_text_heap_of(view, site) : heap;
        heap.objects += l.objects, heap.bytes += l.bytes;
        heap.all_objects += l.all_objects, heap.all_bytes += l.all_bytes;
    }
    pli_text_title(out, view, total, heap);
    for (int i = 0; i < view->notes; i++)
        pli_bytes_format(out, "# %.120s\n", view->note[i]);
    for (size_t i = 0; pairs && i < count; i++)
        pli_text_site(out, view, (const pli_site *)(uintptr_t)pairs[i].value, emergency);
    if (lost.site.value[0])
        pli_text_site(out, view, &lost.site, emergency);
    if (view->heap && !emergency)
        pli_text_memstats(out);
    pli_text_modules(out);
    out->failed |= !pairs;
    if (pairs)
        munmap(pairs, bytes);
}

/* -- One after the other: debug=2 --

   The pool of the newest samples has them with their times: what was going on at the end, which
   sums do not tell. */

/* A sample of the list. */
typedef struct pli_view_event { const pli_record *record; int tid; } pli_view_event;

/* What is read of a copy of the pool. */
typedef struct pli_view_events {
    pli_records records;
    pli_view_event *event;
    pli_pair *order;      /* by time: ticks, index */
    size_t count, bytes;  /* samples; of all memory */
    char *memory;
} pli_view_events;

/* Those of this view. Returns how many there are; only counts without room for them. */
static size_t pli_view_events_find(const pli_profile_view *view, pli_view_events *v)
{
    size_t count = 0;
    const pli_record *r;
    v->records.next = 0, v->records.at = v->records.end;
    for (const pli_piece *p; (p = pli_records_thread(&v->records)) != NULL;) {
        while ((r = pli_records_next(&v->records)) != NULL) {
            if (r->kind != PLI_RECORD_SAMPLE || r->ticks < view->events_since)
                continue;
            if (v->event) {
                v->event[count] = (pli_view_event){r, p->thread->tid};
                v->order[count] = (pli_pair){r->ticks, count};
            }
            count++;
        }
    }
    return count;
}

/* Copies the pool, and puts the samples in order; without memory there are none. */
static void pli_view_events_open(const pli_profile_view *view, pli_view_events *v)
{
    const pli_pool *pool = view->events;
    size_t size = (size_t)pool->chunks * pool->chunk_bytes;
    size_t most = size / (pli_record_bytes_sig(16)); /* a site and a weight */
    memset(v, 0, sizeof *v);
    v->bytes = size + most * (sizeof *v->event + 2 * sizeof *v->order);
    v->memory = size ? pli_os_map(v->bytes) : NULL;
    if (!v->memory || !pli_records_open(&v->records, pli_pool_copy(pool, v->memory)))
        return;
    v->order = (pli_pair *)(void *)(v->memory + size);
    v->event = (pli_view_event *)(void *)(v->order + 2 * most);
    v->count = pli_view_events_find(view, v);
    pli_sort(v->order, v->order + v->count, v->count);
}

static void pli_view_events_close(pli_view_events *v)
{
    if (v->records.order)
        pli_records_close(&v->records);
    if (v->memory)
        munmap(v->memory, v->bytes);
}

/* Appends the samples, a time and a stack each; the last one is at 0.

   One sample; thread 4711 was sampled 10 ms before the newest sample of all:

       -0.009998 s, thread 4711, weight 1
       # labels: {"handler":"search"}
       #       0x401136        parse+0x16      /home/me/parse.c:12

   The samples of threads that have ended are in the list, too. */
static void pli_view_timeline(const pli_profile_view *view, bool emergency, pli_bytes *out)
{
    pli_view_events v;
    pli_view_events_open(view, &v);
    pli_bytes_text(out, view->name);
    pli_bytes_format(out, " profile: the newest %zu samples\n\n", v.count);
    for (size_t i = 0; i < v.count; i++) {
        const pli_view_event *e = &v.event[v.order[i].value];
        const uint64_t *what = (const uint64_t *)(const void *)(e->record + 1);
        const pli_site *site = (const pli_site *)(uintptr_t)what[0];
        uint64_t ago = v.order[v.count - 1].key - e->record->ticks;
        pli_bytes_format(out, "-%.6f s, thread %d, weight %" PRIu64 "\n",
                         (double)pl_ticks_to_ns(ago) / 1e9, e->tid, what[1] / (uint64_t)view->period);
        pli_text_labels(out, site->labels);
        for (int k = 0; k < site->depth; k++)
            pli_text_frame(out, site->pcs[k], site->epoch, emergency);
        pli_bytes_byte(out, '\n');
    }
    pli_view_events_close(&v);
}

#endif /* PLI_LINUX */

/* ==== >>profile ==================================================================================
   From a name to bytes or to a file:

       name ──► source ──fill──► view ──► >>pprof, or >>text ──► bytes ──► FILE, file, port
                                  ▲
                       snapshot ──┘ what it was before is taken off: a delta profile

   Whoever collects adds a source under its name once. Its fill says where the table is and what its
   values mean; it may take a lock, which done gives back. Everything is put together in memory
   first, so that nobody waits for a slow reader with that lock, and a file is whole or not there.

   What can go wrong, and what is left then:

       PL_INVALID   no such profile, or not in this form; a snapshot of one that was begun anew
       PL_NOMEM     nothing is written: no profile is better than one with holes
       PL_BUSY      in an emergency, the collector's lock could not be had
       PL_IO        the old file stays as it was; a FILE or a pipe may have a part */

#if PLI_LINUX

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
    if (debug < 0 || debug > 2 || (debug == 2 && !view->events && !view->threads))
        return PL_INVALID;
    if (!emergency)
        pli_modules_refresh();
    if (debug == 2 && view->threads)
        view->threads(out, emergency);
    else if (debug == 2)
        pli_view_timeline(view, emergency, out);
    else if (debug == 1)
        pli_view_text(view, emergency, out);
    else
        pli_view_protobuf(view, emergency, out);
    return out->failed ? PL_NOMEM : PL_OK;
}

/* NULL when no collector has added such a profile. */
static const pli_profile_source *pli_profile_find(const char *name)
{
    const pli_profile_source *source = PLI_LOAD_ACQUIRE(pli_profile_sources);
    while (source && name && strcmp(source->name, name) != 0)
        source = source->next;
    return name ? source : NULL;
}

/* Gives the profile of that name as bytes; what it was at the snapshot is taken off, unless that is
   NULL. For all who want a profile: pl_profile_write and _save, the port, and the end of the
   program. The lock that fill may take is held while the bytes are made, and given back before they
   are written. */
static pl_result pli_profile_bytes(const char *name, int debug, bool emergency,
                                   const pli_snapshot *since, pli_bytes *out)
{
    const pli_profile_source *source = pli_profile_find(name);
    pli_profile_view *view = source ? pli_os_map(sizeof *view) : NULL; /* large for small stacks */
    if (!view)
        return source ? PL_NOMEM : PL_INVALID;
    view->name = source->name, view->source = source;
    pl_result result = source->fill(view, emergency);
    if (result == PL_OK) {
        view->since = since;
        if (since)
            view->duration_ns = (int64_t)(pl_now_ns() - since->taken_ns);
        if (since && since->arena != view->sites->arena)
            result = PL_INVALID; /* the profile was begun anew */
        else
            result = pli_profile_encode(view, debug, emergency, out);
        if (source->done)
            source->done();
    }
    munmap(view, sizeof *view);
    return result;
}

/* Word by word, since others are adding to them. */
static void pli_snapshot_copy(pli_snapshot *s)
{
    const uint64_t *from = (const uint64_t *)(const void *)s->arena;
    uint64_t *to = (uint64_t *)(void *)s->copy;
    for (size_t i = 0; i < s->size / sizeof *from; i++)
        to[i] = PLI_LOAD(from[i]);
}

/* Gives a snapshot's memory back. */
PLI_SOMETIMES static void pli_snapshot_free(pli_snapshot *s)
{
    if (s->copy)
        munmap(s->copy, s->bytes);
    memset(s, 0, sizeof *s);
}

/* Copies the values of a profile as they are now. Sites that are being written at this moment have
   their values in a later copy, or not yet: nothing is counted in them before they are complete. A
   snapshot holds no reference to the profile: if that is begun anew its arena is another one, and
   the difference is refused, rather than computed from values that belong to other stacks. */
PLI_SOMETIMES static pl_result pli_snapshot_take(const char *name, pli_snapshot *out)
{
    const pli_profile_source *source = pli_profile_find(name);
    pli_profile_view *view = source ? pli_os_map(sizeof *view) : NULL;
    memset(out, 0, sizeof *out);
    if (!view)
        return source ? PL_NOMEM : PL_INVALID;
    view->name = source->name, view->source = source;
    pl_result result = source->fill(view, false);
    if (result == PL_OK) {
        const pli_sites *sites = view->sites;
        size_t used = PLI_LOAD_ACQUIRE(sites->used);
        out->size = used < sites->arena_bytes ? used : sites->arena_bytes;
        out->bytes = out->size + 1, out->arena = sites->arena;
        out->lost = view->lost + PLI_LOAD(sites->lost), out->taken_ns = pl_now_ns();
        if ((out->copy = pli_os_map(out->bytes)) != NULL)
            pli_snapshot_copy(out);
        result = out->copy ? PL_OK : PL_NOMEM;
        if (source->done)
            source->done();
    }
    munmap(view, sizeof *view);
    return result;
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

/* Writes the file, whole or not at all. close may be the first to tell that a disk on the network
   is full. `beside` has room for a path.

       open FILE.4711.1.tmp ──► write ──► close ──► rename to FILE
            │                     │         │         │
            └─ nothing was there  └─────────┴─────────┴─ the .tmp is removed, FILE is the old one

   A process that is killed in between leaves its .tmp; a later one with its number removes it. */
static pl_result pli_file_save(const char *path, const pli_bytes *bytes, char *beside, size_t size)
{
    int fd = pli_profile_create(path, beside, size);
    if (fd < 0)
        return PL_IO;
    pl_result result = pli_write_all(fd, bytes->data, bytes->size);
    if (close(fd) != 0 && result == PL_OK)
        result = PL_IO;
    if (beside[0] && result == PL_OK && rename(beside, path) != 0)
        result = PL_IO;
    if (beside[0] && result != PL_OK)
        unlink(beside);
    return result;
}

/* pl_profile_save, also for emergencies. The room for a path is not on the stack, which may be a
   small thread's. */
static pl_result pli_profile_save(const char *name, const char *path, bool emergency)
{
    pli_bytes bytes = {NULL, 0, 0, false};
    char *beside = path ? pli_os_map(4096) : NULL;
    if (!beside)
        return path ? PL_NOMEM : PL_INVALID;
    pl_result result = pli_profile_bytes(name, 0, emergency, NULL, &bytes);
    if (result == PL_OK)
        result = pli_file_save(path, &bytes, beside, 4096);
    pli_bytes_free(&bytes);
    munmap(beside, 4096);
    return result;
}

#endif /* PLI_LINUX */

/* The whole profile is encoded in memory first: either all of it is written or nothing, and the
   collector's lock is not held while a slow reader at the other end of `out` takes its time. */
pl_result pl_profile_write(const char *name, FILE *out, int debug)
{
#if PLI_LINUX
    pli_bytes bytes = {NULL, 0, 0, false};
    if (!out)
        return PL_INVALID;
    pl_result result = pli_profile_bytes(name, debug, false, NULL, &bytes);
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

/* ==== >>own ======================================================================================
   A profile of what a program holds: connections, locks, handles. Each thing is a key that is
   counted at the stack where it was got, until it is given back:

       keys    {conn 1} ──► site A      value 2
               {conn 2} ──► site A
               {conn 3} ──► site B      value 1

   The keys are a map under a lock, since to add one is rare beside what it stands for; the sites
   are those of every other profile.

   Invariant: the value of a site is the number of keys that lead to it.

   What a server with three connections open shows, asked with debug=1:

       conns profile: total 3
       2 @ 0x401286 0x4014f1
       #       0x401285        accept_one+0x45         /home/me/server.c:31
       #       0x4014f0        serve+0x60              /home/me/server.c:90

   and one more stack for the third. Nothing is sampled: it is all there is, so the number that
   grows from day to day is the leak, and its stack says whose.

   Only this program knows what a key is. It is compared, never followed: a pointer to what was
   freed does no harm, and a key that comes back later is a new one. */

#if PLI_LINUX

#define PLI_OWN_BUFFER ((size_t)8 << 20) /* for stacks */
#define PLI_OWN_DEPTH 128

struct pl_profile {
    pli_profile_source source;
    pl_profile *next;
    char name[64];
    pli_lock lock;
    pli_sites sites; /* value[0]: keys that are in now */
    pli_map keys;    /* to the address of the site */
};

static struct { pli_lock lock; pl_profile *all; } pli_own;

/* Without the lock: sites only ever come, and a count that changes while it is read is the one from
   before or the one from after. So those who add never wait for one who reads. */
static pl_result pli_own_view(pli_profile_view *view, bool emergency)
{
    (void)emergency;
    const pl_profile *p = (const pl_profile *)(const void *)view->source; /* its first member */
    view->sites = &p->sites;
    view->types = 1;
    view->type[0] = (pli_sample_type){p->name, "count", 0, 1, NULL};
    view->period_type = p->name, view->period_unit = "count";
    view->period = 1;
    view->time_ns = (int64_t)pli_os_clock_ns_sig(CLOCK_REALTIME);
    return PL_OK;
}

/* The names of perflab's own profiles are taken even before they are collected. */
static bool pli_own_name_fits(const char *name)
{
    static const char *const taken[] = {"cpu", "heap", "allocs", "block", "mutex", "goroutine",
                                        "threadcreate", "goroutineleak", "profile", "trace",
                                        "cmdline", "symbol"};
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t size = name ? strlen(name) : 0;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (size > 0 && strcmp(name, taken[i]) == 0)
            return false;
    return size > 0 && size < sizeof((pl_profile *)0)->name && strspn(name, plain) == size &&
           !pli_profile_find(name);
}

/* A fork's child has the keys of its parent, and nobody in the middle of adding one. */
static void pli_own_fork_child(pli_thread *t)
{
    (void)t;
    pli_own.lock.state = 0;
    for (pl_profile *p = pli_own.all; p; p = p->next)
        p->lock.state = 0;
}

static const pli_thread_hooks pli_own_hooks = {NULL, NULL, NULL, NULL, pli_own_fork_child};

pl_profile *pl_profile_new(const char *name)
{
    pli_lock_take(&pli_own.lock);
    pl_profile *p = pli_own_name_fits(name) ? pli_keep(sizeof *p) : NULL;
    if (p && pli_unwind_prepare() == PL_OK && pli_sites_open(&p->sites, PLI_OWN_BUFFER) == PL_OK) {
        if (!pli_own.all)
            pli_collector_add(&pli_own_hooks);
        memcpy(p->name, name, strlen(name) + 1);
        p->source.name = p->name, p->source.fill = pli_own_view;
        p->next = pli_own.all, pli_own.all = p;
        pli_profile_source_add(&p->source);
    } else {
        p = NULL;
    }
    pli_lock_give(&pli_own.lock);
    return p;
}

/* Not inlined, so that there is exactly one frame to leave out beside `skip`.

   The key's place in the map, and what each state means:

       0                  new: the site is looked for, and counted up
       a site             it is in already: PL_INVALID, nothing changes
       PLI_MAP_REMOVED    was in, or found no room for its stack: as new

   The stack is walked before the lock is taken: that takes the longest, and others may add theirs
   meanwhile. */
PL_NOINLINE pl_result pl_profile_add(pl_profile *p, const void *key, int skip)
{
    uintptr_t pcs[PLI_OWN_DEPTH];
    if (!p || skip < 0)
        return PL_INVALID;
    pli_regs here = pli_regs_here();
    int depth = pli_unwind_sig(&here, pcs, PLI_OWN_DEPTH), first = skip < depth - 1 ? skip + 1 : 0;
    pli_site_key place = {PLI_LOAD(pli_self->labels), 0, pli_modules_epoch_sig(), depth - first,
                          pcs + first};
    pli_lock_take(&p->lock);
    uint64_t *id = pli_map_at(&p->keys, (uintptr_t)key, 0);
    bool in = id && *id != 0 && *id != PLI_MAP_REMOVED;
    pli_site *site = id && !in ? pli_site_find_sig(&p->sites, &place) : NULL;
    if (id && !in)
        *id = site ? (uintptr_t)site : PLI_MAP_REMOVED;
    if (site)
        PLI_ADD(site->value[0], 1);
    else if (!in)
        PLI_ADD(p->sites.lost, 1);
    pli_lock_give(&p->lock);
    return in ? PL_INVALID : site ? PL_OK : PL_NOMEM;
}

/* A key that found no room when it was added is removed without having been there. */
void pl_profile_remove(pl_profile *p, const void *key)
{
    if (!p)
        return;
    pli_lock_take(&p->lock);
    pli_map_entry *e = p->keys.capacity ?
                       pli_map_probe(p->keys.entry, p->keys.capacity, (uintptr_t)key, 0) : NULL;
    if (e && e->id != 0 && e->id != PLI_MAP_REMOVED) {
        PLI_ADD(((pli_site *)(uintptr_t)e->id)->value[0], -1);
        e->id = PLI_MAP_REMOVED;
    }
    pli_lock_give(&p->lock);
}

#else

pl_profile *pl_profile_new(const char *name)
{
    (void)name;
    return NULL;
}

pl_result pl_profile_add(pl_profile *p, const void *key, int skip)
{
    (void)p, (void)key, (void)skip;
    return PL_UNSUPPORTED;
}

void pl_profile_remove(pl_profile *p, const void *key)
{
    (void)p, (void)key;
}

#endif

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

/* ==== >>stacks ===================================================================================
   Where every thread is, taken without disturbing any: what >>waits explains, >>dump writes, and a
   crash report shows.

   Nobody's sleep is disturbed. A signal would end it: poll, nanosleep and others return EINTR then,
   whatever SA_RESTART says. So each thread is looked at first:

       /proc/self/task/TID/syscall
         "running"                 computes, or waits for a processor ──► is asked
         "7 0x7ffe.. ... sp pc"    sleeps in system call 7 ──► is walked from outside

   A walk from outside is good if the thread has not run meanwhile: the line is the same afterwards,
   and so is the count of its turns on a processor (/proc/self/task/TID/schedstat). Else it is
   looked at again.

   Who computes is asked by a timer on its own CPU clock, which is set to the next moment and sends
   SIGPROF: the handler of >>cpu walks the thread's own stack into a slot. A thread that goes to
   sleep before that has its clock stand still, so the signal does not reach it there; the next look
   finds it asleep. Threads that have SIGPROF blocked are waited for PLI_STACKS_WAIT_NS, all
   together; those that get no processor, PLI_STACKS_PATIENCE_NS.

   How it goes on with one thread, look by look:

                  asleep, and the walk is good                        ┌────────► WALKED
       OPEN ──────────────────────────────────────────────────────────┤
        │ ▲       running, a third time: asked; has answered ─────────┘
        │ └────── has run meanwhile, or has not answered yet
        ├───────► asleep where the system does not show it,
        │         or deaf when the time is up ─────────────────────────────────► WITHOUT
        └───────► has ended ───────────────────────────────────────────────────► GONE

   The stacks are not all of one moment: each is true of the time when it was taken. Stopping the
   program instead would need a debugger's rights, and would be felt.

   A thread that sleeps costs 35 us, nearly all of it for reading /proc (1,000 threads on a busy
   machine of two processors: 38 ms); one that computes, up to a tick of the kernel's clock.

   Invariant: pli_stacks.lock guards all of this but the slots, which handlers write (see >>cpu). */

#if PLI_LINUX

/* For all threads together. Ten ticks of the slowest kernels' clocks (100 Hz): who computes all the
   time and is not deaf has answered by then, unless there are many more of them than processors. */
#define PLI_STACKS_WAIT_NS 100000000u

/* For those that would answer and get no processor: a busy machine has them wait for their turn. */
#define PLI_STACKS_PATIENCE_NS 1000000000u

/* Who is found running so often in a row does not only pass by on its way to sleep. A question
   costs two system calls and a signal; a further look is cheaper, and mostly finds it asleep. */
#define PLI_STACKS_LOOKS 3

#define PLI_STACKS_BUFFER ((size_t)16 << 20)

/* Where a thread was found. It is compared as a whole, byte by byte, so it is zeroed first. */
typedef struct pli_parked {
    long nr;          /* of its system call; -1: none, as in a page fault */
    uintptr_t arg[6]; /* of the call, as the program gave them */
    uintptr_t sp, pc; /* as they are on the way back to the program */
    uint64_t turns;   /* on a processor, so far; 0 where the kernel does not count them */
} pli_parked;

/* What a look gives. HIDDEN: it is there, but the system does not show where it sleeps. */

enum { PLI_LOOK_GONE, PLI_LOOK_HIDDEN, PLI_LOOK_RUNNING, PLI_LOOK_PARKED };

/* How far it is with a thread, as in the picture above. */
enum { PLI_TAKEN_OPEN, PLI_TAKEN_WALKED, PLI_TAKEN_WITHOUT, PLI_TAKEN_GONE };

/* What a thread waits for, as far as the functions of pthreads tell. */
enum { PLI_WAIT_OTHER, PLI_WAIT_MUTEX, PLI_WAIT_COND, PLI_WAIT_SEM, PLI_WAIT_JOIN, PLI_WAIT_BARRIER,
       PLI_WAIT_RWLOCK };

/* One thread. Its stack is in the slot with the same number. */
typedef struct pli_taken {
    int tid, how, looks;
    int timer;               /* the kernel's number + 1; 0: none */
    bool judged, deaf;       /* deaf: it has SIGPROF blocked; known once it was judged */
    bool self, own, insists; /* insists: it was sent a signal that may reach it while it sleeps */
    bool leaked;
    char letter;             /* the state as ps shows it: R, S, D, T, Z ...; 0: not asked */
    char name[16];
    int look, wait, holder;  /* holder: the thread that it waits for; 0: unknown, or any */
    pli_parked at;
    const pli_labels *labels;
    const pli_site *started;
    int starter;
    uintptr_t start;         /* the function it runs; 0: unknown */
} pli_taken;

static struct {
    pli_lock lock;
    pli_taken *taken;       /* PLI_ASK_SLOTS of them */
    int *tid;               /* as the system lists them */
    int count, missed;      /* missed: threads beyond that */
    uint32_t number;        /* of the question */
    bool may_ask, emergency;
    uintptr_t window[PLI_PAGE / sizeof(uintptr_t)];
    pli_sites sites;        /* their values are those of the last profile */
} pli_stacks;

/* -- Looking -- */

/* Reads a small file of a thread; false when it is not there. */
static bool pli_task_read(int tid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
    return pli_os_read_file(path, text, size) == PL_OK && text[0];
}

/* The letter behind the name in "4711 (a (b) c) S 1 ...": the last parenthesis ends the name. */
static char pli_task_letter(int tid)
{
    char text[256];
    const char *end = pli_task_read(tid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    return end && end[1] ? end[2] : '\0';
}

/* How often a thread had its turn on a processor: the third number of schedstat, 0 where the kernel
   does not count. */
static uint64_t pli_task_turns(int tid)
{
    char text[96], *last = NULL;
    if (pli_task_read(tid, "schedstat", text, sizeof text))
        last = strrchr(text, ' ');
    return last ? strtoull(last, NULL, 10) : 0;
}

/* Takes the line apart: number, six arguments, sp, pc; or -1, sp, pc. */
static bool pli_parked_parse(const char *text, pli_parked *p)
{
    char *at, *end;
    uintptr_t word[8] = {0};
    int count = 0;
    p->nr = strtol(text, &at, 10);
    if (at == text)
        return false; /* "running" */
    for (; count < 8 && (word[count] = strtoull(at, &end, 16), end > at); at = end)
        count++;
    memcpy(p->arg, word, sizeof p->arg);
    if (count == 2)
        memset(p->arg, 0, sizeof p->arg);
    p->sp = count >= 2 ? word[count - 2] : 0;
    p->pc = count >= 2 ? word[count - 1] : 0;
    return true;
}

/* Where a thread is now. The turns are read first: if it runs between the two reads, the next look
   finds another number. The kernel makes sure that what one line says is of one moment. */
static int pli_look(int tid, pli_parked *p)
{
    char text[256];
    memset(p, 0, sizeof *p);
    p->turns = pli_task_turns(tid);
    if (!pli_task_read(tid, "syscall", text, sizeof text))
        return pli_task_letter(tid) ? PLI_LOOK_HIDDEN : PLI_LOOK_GONE;
    if (!pli_parked_parse(text, p))
        return PLI_LOOK_RUNNING;
    return p->sp ? PLI_LOOK_PARKED : PLI_LOOK_GONE; /* one that has ended has no stack */
}

/* Whether it has slept in the same place since it was found there. */
static bool pli_slept(int tid, const pli_parked *found)
{
    pli_parked now;
    return pli_look(tid, &now) == PLI_LOOK_PARKED && memcmp(&now, found, sizeof now) == 0;
}

/* -- From outside: another thread's stack --

   Of a thread that sleeps in the kernel, /proc tells sp and pc, but not fp. That is enough as long
   as cfa counts from sp, as in all of glibc, and as soon as a function has saved fp it is known
   again. When a function needs it before that, it is looked for:

       sp ──► locals            of a function whose cfa = fp + 16
              ...
       fp ──► caller's fp       fp is where a return address follows, which stands behind a call of
              return address    this very function
              ...

   Several places may look so: what was called earlier has left its frames in the locals. So each
   is tried, and has to lead to the root of the stack. The best is the one on whose way most calls
   name the function that they return from: a frame from earlier leads to callers that have called
   something else by now.

   Other registers are not looked for: what needs them ends the walk, as truncated. */

#define PLI_LOST_FP_REACH ((uintptr_t)256 << 10) /* how large the frame may be */
#define PLI_LOST_FP_TRIES 64

/* How well a return address suits the function where the walk is: 2, its call names it; 1, its call
   does not tell, or names a function near by, which may have jumped on to this one; 0, neither. A
   handler returns to code that no call stands before. */
static int pli_call_suits_sig(pli_walk *w, uintptr_t start, uintptr_t pc, uintptr_t ra)
{
    uintptr_t target = 0;
    if (ra >= PLI_PC_MARKS && pli_text_known_sig(w, ra) &&
        pli_os_is_restorer_sig((const uint8_t *)ra, w->last_text_end))
        return 2;
    if (!pli_guess_fits_sig(w, pc, ra))
        return 0;
    pli_os_follows_call_sig((const uint8_t *)ra, &target);
    if (target && target < w->last_text_end)
        target = pli_guess_callee_sig(w, target);
    return target && target == start ? 2 : 1;
}

/* Where the function begins in which the walk is; 0 when its tables do not tell. */
static uintptr_t pli_walk_function_sig(pli_walk *w)
{
    pli_fde fde;
    uintptr_t pc = w->regs.pc - !w->exact;
    pli_code code = pli_code_at_sig(w->map, pc, w->frozen);
    return !w->frozen && pli_fde_find_sig(&code.tables, pc, &fde) ? fde.start : 0;
}

/* How many calls on the way to the root are of other functions than they lead to; INT32_MAX when
   the root is not reached, or the way leads out of all code. */
static int pli_walk_doubts_sig(pli_walk w, int max)
{
    bool cut = false;
    int doubts = 0;
    w.low = w.high = 0; /* the window has moved on since */
    for (int n = 0; n < max; n++) {
        uintptr_t start = pli_walk_function_sig(&w), pc = w.regs.pc;
        if (!pli_walk_step_sig(&w, &cut))
            break;
        if (!w.exact && !pli_text_known_sig(&w, w.regs.pc))
            return INT32_MAX;
        doubts += !w.exact && pli_call_suits_sig(&w, start, pc, w.regs.pc) == 0;
    }
    return cut ? INT32_MAX : doubts;
}

/* Finds the fp of the function where the walk is; 0 when no place suits. */
static uintptr_t pli_walk_lost_fp_sig(pli_walk *w, int max)
{
    uintptr_t start = pli_walk_function_sig(w), pc = w->regs.pc, best = 0, ra;
    uintptr_t at = (w->regs.sp + 15) & ~(uintptr_t)15, end = at + PLI_LOST_FP_REACH;
    int64_t least = INT32_MAX; /* the place with the fewest doubts; of such, one that is named */
    int tries = 0;
    for (; at < end && tries < PLI_LOST_FP_TRIES && pli_load_sig(w, at + 8, &ra); at += 16) {
        int suits = pli_call_suits_sig(w, start, pc, ra);
        if (suits == 0)
            continue;
        pli_walk further = *w;
        further.regs.fp = at;
        int64_t doubts = 2 * (int64_t)pli_walk_doubts_sig(further, max) + (suits == 1);
        w->low = w->high = 0;
        tries++;
        if (doubts < least)
            least = doubts, best = at;
        if (least == 0)
            break;
    }
    return best;
}

/* Whether the walk has stopped for want of fp. */
static bool pli_walk_wants_fp_sig(pli_walk *w)
{
    uint64_t row = pli_row_find_sig(w);
    if (row == PLI_CFA_UNKNOWN || row == PLI_CFA_SIGNAL || row == PLI_CFA_OUTERMOST)
        return false;
    int cfa = pli_row_unpack_sig(row).cfa;
    return cfa == PLI_CFA_FP || cfa == PLI_CFA_AT_FP;
}

/* pli_unwind_sig for a thread that sleeps at sp and pc. `window` has room for a page. Whether it
   has slept all the time is for the caller to find out. */
static int pli_unwind_outside_sig(uintptr_t sp, uintptr_t pc, uintptr_t *window, uintptr_t *pcs,
                                  int max)
{
    pli_regs regs = {pc, sp, 0, 0, 0};
    pli_walk w = pli_walk_begin_sig(&regs, pli_modules_enter_sig());
    bool cut, found = true;
    w.low = w.high = 0, w.window = window;
    int n = pli_walk_all_sig(&w, pcs, max, &cut);
    while (cut && n < max && found && pli_walk_wants_fp_sig(&w)) {
        uintptr_t fp = pli_walk_lost_fp_sig(&w, max - n);
        found = fp != 0 && fp != w.regs.fp;
        w.regs.fp = fp;
        if (found)
            n += pli_walk_all_sig(&w, pcs + n - 1, max - n + 1, &cut) - 1;
    }
    pli_modules_leave_sig();
    return cut ? pli_stack_mark_sig(pcs, n, max) : n;
}

/* Where the call went that stands before this address; 0 when its code does not tell. */
static uintptr_t pli_callee_sig(uintptr_t ra)
{
    uintptr_t target = 0;
    pli_walk w = pli_walk_begin_sig(&(pli_regs){ra, 0, 0, 0, 0}, pli_modules_enter_sig());
    if (!w.frozen && pli_text_known_sig(&w, ra) && ra - w.last_text_start >= 8 &&
        pli_os_follows_call_sig((const uint8_t *)ra, &target) && target < w.last_text_end)
        target = target ? pli_guess_callee_sig(&w, target) : 0;
    pli_modules_leave_sig();
    return target;
}

/* -- Asking -- */

/* Whether this is a futex wait without a limit; with one, it ends by itself. */
static bool pli_is_endless_futex(const pli_parked *p)
{
    int op = (int)p->arg[1] & 127; /* the command, without its flags */
    return p->nr == SYS_futex && p->arg[3] == 0 &&
           (op == 0 || op == 6 || op == 9 || op == 13); /* WAIT LOCK_PI WAIT_BITSET LOCK_PI2 */
}

/* Whether a system call goes on by itself after a handler that has SA_RESTART, so that nothing is
   lost by a signal. */
static bool pli_restarts(const pli_parked *p)
{
    return pli_is_endless_futex(p) || p->nr == SYS_wait4 || p->nr == SYS_waitid;
}

/* Whether SIGPROF comes to the handler of >>cpu. Where sigaction is not hooked, the program may
   have taken it away since. */
static bool pli_may_ask(void)
{
    struct sigaction now;
    return pli_cpu.prepared && pli_libc_action(SIGPROF, NULL, &now) == 0 &&
           (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == pli_cpu_handler_sig;
}

/* Opens the slot for an answer, and returns the value for the signal. A handler that is still at
   work there, for a question from before, keeps the slot: 0. */
static uintptr_t pli_ask_open(int slot)
{
    uint32_t state = PLI_LOAD_ACQUIRE(pli_ask_slots[slot].state), number = pli_stacks.number;
    if ((state & 3) == PLI_ASK_WALKING)
        return 0;
    PLI_STORE_RELEASE(pli_ask_slots[slot].state, PLI_ASK_STATE(number, PLI_ASK_ASKED));
    return PLI_ASK_COOKIE | (uintptr_t)number << 32 | (uintptr_t)(uint32_t)slot;
}

/* Sends the signal at once. As if by sigqueue, which lets the sender give a value; but that
   function knows only processes, and any of their threads might get it. */
static void pli_ask_now(pli_taken *t, uintptr_t value)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGPROF, info.si_code = SI_QUEUE;
    info.si_pid = getpid(), info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)value;
    pli_os_queue_sig(t->tid, SIGPROF, &info);
}

/* Has the thread's CPU clock send it. Where the kernel refuses a timer, it is sent at once: the
   thread was running a moment ago. */
static void pli_ask_when_running(pli_taken *t, uintptr_t value)
{
    int timer;
    if (pli_os_timer_make(pli_os_thread_clock(t->tid), t->tid, SIGPROF, value, &timer) != 0) {
        pli_ask_now(t, value);
        return;
    }
    t->timer = timer + 1;
    pli_os_timer_set(timer, 1, 0);
}

/* No answer is expected any more. False while the handler is at work, or when it is through. */
static bool pli_ask_withdraw(pli_taken *t, int slot)
{
    uint32_t asked = PLI_ASK_STATE(pli_stacks.number, PLI_ASK_ASKED);
    uint32_t state = PLI_LOAD_ACQUIRE(pli_ask_slots[slot].state);
    if (t->timer)
        pli_os_timer_end(t->timer - 1);
    t->timer = 0;
    return (state & 3) == PLI_ASK_IDLE || state >> 2 != pli_stacks.number ||
           __atomic_compare_exchange_n(&pli_ask_slots[slot].state, &asked, PLI_ASK_IDLE, 0,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* -- Taking all stacks -- */

/* Walks a sleeping thread. It stays open if it has run meanwhile; or if its root was not reached
   and it may be asked without harm: then it tells itself, with all its registers. */
static void pli_taken_walk(pli_taken *t, int slot, bool last)
{
    pli_ask_slot *s = &pli_ask_slots[slot];
    s->depth = pli_unwind_outside_sig(t->at.sp, t->at.pc, pli_stacks.window, s->pcs, PLI_STACK_MAX);
    if (!pli_slept(t->tid, &t->at))
        return;
    bool cut = s->pcs[s->depth - 1] == PLI_PC_TRUNCATED;
    if (cut && !last && pli_stacks.may_ask && pli_restarts(&t->at)) {
        uintptr_t value = pli_ask_open(slot);
        t->insists = true;
        if (value)
            pli_ask_now(t, value);
        return;
    }
    t->how = PLI_TAKEN_WALKED;
}

/* Asks a thread that was seen running some times in a row; or one of which nothing more is known
   than that it is not asleep. */
static void pli_taken_ask(pli_taken *t, int slot)
{
    if (!pli_stacks.may_ask)
        t->how = PLI_TAKEN_WITHOUT;
    else if (!t->timer && ++t->looks == PLI_STACKS_LOOKS) {
        uintptr_t value = pli_ask_open(slot);
        if (value)
            pli_ask_when_running(t, value);
    }
}

/* One look at a thread whose stack is not known yet. */
static void pli_taken_try(pli_taken *t, int slot, bool last)
{
    uint32_t answered = PLI_ASK_STATE(pli_stacks.number, PLI_ASK_ANSWERED);
    if (PLI_LOAD_ACQUIRE(pli_ask_slots[slot].state) == answered) {
        t->how = PLI_TAKEN_WALKED;
        return;
    }
    if (t->insists && !last)
        return;
    t->look = pli_look(t->tid, &t->at);
    if (t->look == PLI_LOOK_GONE)
        t->how = PLI_TAKEN_GONE;
    else if (t->look == PLI_LOOK_PARKED && pli_ask_withdraw(t, slot))
        pli_taken_walk(t, slot, last);
    else if (t->look == PLI_LOOK_RUNNING || (t->look == PLI_LOOK_HIDDEN &&
                                             (t->letter = pli_task_letter(t->tid)) == 'R'))
        pli_taken_ask(t, slot);
    else if (t->look == PLI_LOOK_HIDDEN)
        t->how = PLI_TAKEN_WITHOUT;
}

/* The time is up. A handler that is at work is through in a moment. */
static void pli_taken_give_up(pli_taken *t, int slot)
{
    pli_taken_try(t, slot, true);
    if (t->how != PLI_TAKEN_OPEN)
        return;
    for (int i = 0; !pli_ask_withdraw(t, slot) && t->how == PLI_TAKEN_OPEN && i < 20000; i++) {
        pli_os_nap();
        if ((PLI_LOAD_ACQUIRE(pli_ask_slots[slot].state) & 3) == PLI_ASK_ANSWERED)
            t->how = PLI_TAKEN_WALKED;
    }
    if (t->how == PLI_TAKEN_OPEN)
        t->how = PLI_TAKEN_WITHOUT;
}

/* Whether a thread is not waited for any longer. The kernel's set of blocked signals has bit n - 1
   for signal n; it is read once, and only of those that have not answered in good time. */
static bool pli_taken_is_late(pli_taken *t, uint64_t passed_ns)
{
    char text[2048];
    if (passed_ns < PLI_STACKS_WAIT_NS)
        return false;
    if (!t->judged) {
        bool read = pli_task_read(t->tid, "status", text, sizeof text);
        const char *line = read ? strstr(text, "\nSigBlk:") : NULL;
        t->deaf = line && (strtoull(line + strlen("\nSigBlk:"), NULL, 16) >> (SIGPROF - 1) & 1);
        t->judged = true;
    }
    return t->deaf || passed_ns > PLI_STACKS_PATIENCE_NS;
}

/* Looks until all have a stack, or the time is up. In rounds over all that are open, not thread by
   thread: their processor time passes side by side. What is left of the timers ends here, so that
   no thread is asked when nobody wants to know any more. */
static void pli_stacks_wait(void)
{
    uint64_t begin = pl_now_ns();
    for (int open = 1; open > 0;) {
        uint64_t passed = pl_now_ns() - begin;
        open = 0;
        for (int i = 0; i < pli_stacks.count; i++) {
            pli_taken *t = &pli_stacks.taken[i];
            if (t->how == PLI_TAKEN_OPEN)
                pli_taken_is_late(t, passed) ? pli_taken_give_up(t, i)
                                             : pli_taken_try(t, i, false);
            open += t->how == PLI_TAKEN_OPEN;
        }
        if (open > 0)
            pli_os_nap();
    }
    for (int i = 0; i < pli_stacks.count; i++)
        if (pli_stacks.taken[i].timer)
            pli_ask_withdraw(&pli_stacks.taken[i], i);
}

/* What its block knows of a thread; nothing of one that perflab has not met. Under
   pli_threads.lock, so that the block is not given to another thread meanwhile. */
static void pli_taken_know(pli_taken *t)
{
    const pli_thread *block = pli_thread_of_sig(t->tid);
    if (!block)
        return;
    t->own = PLI_LOAD(block->own);
    t->labels = PLI_LOAD(block->labels);
    t->started = PLI_LOAD(block->started);
    t->starter = PLI_LOAD(block->starter);
    t->start = PLI_LOAD(block->start);
}

/* A thread may have held the locks when fork copied them. */
static void pli_stacks_fork_child(pli_thread *t)
{
    (void)t;
    pli_stacks.lock.state = 0;
    if (pli_ask_slots)
        for (int i = 0; i < pli_stacks.count; i++)
            pli_ask_slots[i].state = PLI_ASK_IDLE;
}

static const pli_thread_hooks pli_stacks_hooks = {NULL, NULL, NULL, NULL, pli_stacks_fork_child};

/* Memory for the list, and the handler: once. In an emergency what is not there is done without:
   the modules are as they were at the last refresh, and the handler was installed by whoever
   installed the crash report. */
static pl_result pli_stacks_prepare(void)
{
    if (!pli_stacks.taken) {
        size_t each = sizeof *pli_stacks.taken + sizeof *pli_stacks.tid;
        char *memory = pli_os_reserve(PLI_ASK_SLOTS * each);
        pli_ask_slot *slots = pli_os_reserve(PLI_ASK_SLOTS * sizeof *slots);
        if (!memory || !slots)
            return PL_NOMEM;
        pli_stacks.tid = (int *)(void *)(memory + PLI_ASK_SLOTS * sizeof *pli_stacks.taken);
        PLI_STORE_RELEASE(pli_ask_slots, slots);
        pli_stacks.taken = (pli_taken *)(void *)memory;
        pli_collector_add(&pli_stacks_hooks);
    }
    if (!pli_cpu.prepared && pli_lock_take_or_try(&pli_cpu.lock, pli_stacks.emergency)) {
        pli_cpu_prepare();
        pli_lock_give(&pli_cpu.lock);
    }
    return pli_stacks.emergency ? PL_OK : pli_unwind_prepare();
}

/* Lists the threads. Those that start from now on are not in it; those that end are found to be
   gone. The number of the question counts up to 16 bits, since signals carry no more: a signal
   would have to be 65,536 questions late to be taken for an answer. */
static pl_result pli_stacks_list(void)
{
    int room = (int)PLI_ASK_SLOTS, self = pli_os_tid_sig();
    int count = pli_os_numbers("/proc/self/task", pli_stacks.tid, room);
    if (count <= 0)
        return PL_IO;
    pli_stacks.number = (pli_stacks.number + 1) & 0xffff;
    pli_stacks.count = count < room ? count : room;
    pli_stacks.missed = count - pli_stacks.count;
    pli_stacks.may_ask = pli_may_ask();
    bool locked = pli_lock_take_or_try(&pli_threads.lock, pli_stacks.emergency);
    for (int i = 0; i < pli_stacks.count; i++) {
        pli_taken *t = &pli_stacks.taken[i];
        memset(t, 0, sizeof *t);
        t->tid = pli_stacks.tid[i];
        t->self = t->tid == self;
        if (locked)
            pli_taken_know(t);
        pli_task_read(t->tid, "comm", t->name, sizeof t->name);
    }
    if (locked)
        pli_lock_give(&pli_threads.lock);
    return PL_OK;
}

/* The calling thread's own stack: from here, since to itself it always runs. perflab's functions
   are at its begin, as the runtime's are in Go's. */
static PL_NOINLINE void pli_stacks_take_self(void)
{
    pli_regs here = pli_regs_here();
    for (int i = 0; i < pli_stacks.count; i++) {
        pli_taken *t = &pli_stacks.taken[i];
        pli_ask_slot *slot = &pli_ask_slots[i];
        if (!t->self)
            continue;
        slot->depth = pli_unwind_sig(&here, slot->pcs, PLI_STACK_MAX);
        t->how = PLI_TAKEN_WALKED, t->look = PLI_LOOK_RUNNING;
    }
}

#endif /* PLI_LINUX */

/* ==== >>waits ====================================================================================
   What each thread waits for, and whether it can ever go on.

   The kernel knows a futex: an address, and nothing of what is there. What it belongs to is told by
   the functions on the stack, and who holds it by the C library's own notes inside the object:

       futex(0x55d0c8f3e040) ◄── __lll_lock_wait ◄── pthread_mutex_lock ◄── transfer
             │                                        a mutex, then
             └── word, count, owner: 4711             thread 4711 holds it (glibc)

   Such waits are arrows from thread to thread. Where they lead in a circle, or to nobody, those on
   the way wait for ever:

       4711 ──► 4712 ──► 4713 ──► 4711        a deadlock of three: leaked
                  ▲
       4714 ──────┘                           waits behind it: leaked, too
       4715 ──► (ended)                       whoever held its mutex did not unlock: leaked
       4716 ──► 4717, which computes          may go on: not leaked
*/

#if PLI_LINUX

/* -- What a thread waits for -- */

/* What a function of the C library waits for, by its name. */
static int pli_wait_of_name(const char *name)
{
    static const struct { const char *begin; int wait; } known[] = {
        {"pthread_mutex_", PLI_WAIT_MUTEX}, {"mtx_", PLI_WAIT_MUTEX},
        {"pthread_cond_", PLI_WAIT_COND}, {"cnd_", PLI_WAIT_COND}, {"sem_", PLI_WAIT_SEM},
        {"pthread_join", PLI_WAIT_JOIN}, {"pthread_clockjoin", PLI_WAIT_JOIN},
        {"pthread_timedjoin", PLI_WAIT_JOIN}, {"thrd_join", PLI_WAIT_JOIN},
        {"pthread_barrier_", PLI_WAIT_BARRIER}, {"pthread_rwlock_", PLI_WAIT_RWLOCK}};
    name += strspn(name, "_");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(name, known[i].begin, strlen(known[i].begin)) == 0)
            return known[i].wait;
    return PLI_WAIT_OTHER;
}

/* The same, of what is at an address. */
static int pli_wait_at(uintptr_t pc)
{
    pli_place place = pc < PLI_PC_MARKS ? pli_place_of_mark(pc) :
                      pli_place_at(pc, pli_modules_epoch_sig(), pli_stacks.emergency);
    return place.name ? pli_wait_of_name(place.name) : PLI_WAIT_OTHER;
}

#define PLI_WAIT_FRAMES 8 /* the C library's function is not further out */

/* Finds out what a thread sleeps for: the innermost function that has a known name tells. sem_wait
   and pthread_join jump on to functions that may have none; but who has called them knows. */
static void pli_taken_explain(pli_taken *t, const pli_ask_slot *slot)
{
    t->wait = PLI_WAIT_OTHER, t->holder = 0;
    if (t->how != PLI_TAKEN_WALKED || t->look != PLI_LOOK_PARKED || t->at.nr != SYS_futex)
        return;
    for (int i = 0; i < slot->depth && i < PLI_WAIT_FRAMES && t->wait == PLI_WAIT_OTHER; i++) {
        t->wait = pli_wait_at(slot->pcs[i]);
        if (i > 0 && t->wait == PLI_WAIT_OTHER)
            t->wait = pli_wait_at(pli_callee_sig(slot->pcs[i] + 1));
    }
    if (t->wait == PLI_WAIT_MUTEX)
        t->holder = pli_os_mutex_owner(t->at.arg[0]);
    else if (t->wait == PLI_WAIT_JOIN)
        t->holder = pli_os_joined(t->at.arg[2]);
}

/* -- Who waits for ever --

   In C nobody knows who could unlock, post or signal: any thread may have the address. What can be
   decided is this. A thread that waits without a limit of time, in pthreads, can go on only if one
   of certain threads acts:

       mutex                       the thread that holds it
       join                        the thread that is joined
       condition, semaphore,       any thread of the program, or a handler of its signals
       barrier, read-write lock

   It is leaked when all of these have ended or are leaked themselves: a deadlock, whoever waits
   behind one, a mutex whose holder has ended, and a program of which every thread waits so. It is
   found by taking all who wait so for leaked, and then letting go, again and again, of each whom
   somebody could help who is not.

   Stacks are taken one after the other, so a circle might be made of moments that never were at
   the same time. Those who are left are looked at again: if none of them has had a turn since, then
   they all waited together. */

/* Signals that tell of a fault of the thread itself: their handlers wake nobody. */
#define PLI_FAULTS ((uint64_t)1 << (SIGSEGV - 1) | (uint64_t)1 << (SIGBUS - 1) |                   \
                    (uint64_t)1 << (SIGFPE - 1) | (uint64_t)1 << (SIGILL - 1) |                    \
                    (uint64_t)1 << (SIGABRT - 1) | (uint64_t)1 << (SIGTRAP - 1) |                  \
                    (uint64_t)1 << (SIGSYS - 1))

/* Whether a handler of the program's might wake a thread. 32 to 34 are the C library's own. */
static bool pli_catches_signals(void)
{
    char text[2048];
    uint64_t others = PLI_FAULTS | (uint64_t)7 << 31;
    struct sigaction own = pli_cpu.own[PLI_LOAD_ACQUIRE(pli_cpu.own_now)];
    if (pli_may_ask() && (own.sa_handler == SIG_DFL || own.sa_handler == SIG_IGN))
        others |= (uint64_t)1 << (SIGPROF - 1);
    if (pli_farewell.sa_handler)
        others |= (uint64_t)1 << (SIGTERM - 1) | (uint64_t)1 << (SIGINT - 1) |
                  (uint64_t)1 << (SIGHUP - 1);
    bool read = pli_os_read_file("/proc/self/status", text, sizeof text) == PL_OK;
    const char *line = read ? strstr(text, "\nSigCgt:") : NULL;
    return !line || (strtoull(line + strlen("\nSigCgt:"), NULL, 16) & ~others) != 0;
}

/* Whether it might be leaked: private to this process (bit 7 of the command; joins do without). */
static bool pli_may_be_leaked(const pli_taken *t)
{
    bool private = ((int)t->at.arg[1] & 128) || t->wait == PLI_WAIT_JOIN;
    if (t->own || t->self || t->wait == PLI_WAIT_OTHER || !pli_is_endless_futex(&t->at) || !private)
        return false;
    return t->holder > 0 || (t->wait != PLI_WAIT_MUTEX && t->wait != PLI_WAIT_JOIN);
}

/* Whether one thread that is not leaked could help this one. `helper`: there is such a thread, or a
   handler of the program's. */
static bool pli_has_help(const pli_taken *t, bool helper)
{
    if (t->holder == 0)
        return helper;
    for (int i = 0; i < pli_stacks.count; i++)
        if (pli_stacks.taken[i].tid == t->holder && pli_stacks.taken[i].how != PLI_TAKEN_GONE)
            return !pli_stacks.taken[i].leaked;
    pli_parked holder; /* younger than the list, or ended */
    return pli_look(t->holder, &holder) != PLI_LOOK_GONE;
}

/* Lets go of those who could be helped, until nothing changes. */
static void pli_leaked_narrow(bool catches)
{
    for (bool changed = true; changed;) {
        bool helper = catches || pli_stacks.missed > 0;
        changed = false;
        for (int i = 0; i < pli_stacks.count; i++) {
            const pli_taken *t = &pli_stacks.taken[i];
            helper |= !t->leaked && !t->own && t->how != PLI_TAKEN_GONE;
        }
        for (int i = 0; i < pli_stacks.count; i++) {
            pli_taken *t = &pli_stacks.taken[i];
            if (t->leaked && pli_has_help(t, helper))
                t->leaked = false, changed = true;
        }
    }
}

/* Marks the threads that wait for ever. */
static void pli_leaked_find(void)
{
    bool catches = pli_catches_signals(), any = false;
    for (int i = 0; i < pli_stacks.count; i++)
        any |= pli_stacks.taken[i].leaked = pli_may_be_leaked(&pli_stacks.taken[i]);
    if (!any)
        return;
    pli_leaked_narrow(catches);
    for (int i = 0; i < pli_stacks.count; i++) {
        pli_taken *t = &pli_stacks.taken[i];
        int holder = t->wait == PLI_WAIT_MUTEX ? pli_os_mutex_owner(t->at.arg[0]) : t->holder;
        t->leaked = t->leaked && holder == t->holder && pli_slept(t->tid, &t->at);
    }
    pli_leaked_narrow(catches);
}

/* Takes all stacks. Under pli_stacks.lock. In an emergency: without malloc, and without waiting for
   other locks. */
static pl_result pli_stacks_take(bool emergency)
{
    int saved_errno = errno;
    pli_stacks.emergency = emergency;
    pl_result result = pli_stacks_prepare();
    if (result == PL_OK)
        result = pli_stacks_list();
    if (result == PL_OK) {
        pli_stacks_take_self();
        pli_stacks_wait();
        for (int i = 0; i < pli_stacks.count; i++)
            pli_taken_explain(&pli_stacks.taken[i], &pli_ask_slots[i]);
        pli_leaked_find();
    }
    errno = saved_errno;
    return result;
}

#endif /* PLI_LINUX */

/* ==== >>dump =====================================================================================
   The stacks of all threads as they are written: as text for people, and as the profiles goroutine,
   goroutineleak and threadcreate, whose names are Go's so that its tools and servers find them.

       goroutine       debug 0, 1    how many threads are at each stack
                       debug 2       each thread by itself: what pl_stacks_write writes
       goroutineleak   debug 0, 1    only those that wait for ever
                       debug 2       all, where these are marked (leaked)
       threadcreate                  how many threads were started by each stack, see >>site

   Of a thread without a stack there is still a line: who looks for 9 threads shall not find 8. In
   the profiles it stands under the mark of a stack that was cut, with the function it was started
   with, so that the sum is the number of threads.

   Text comes from the same table of taken threads in all cases, and in crash reports too. It is put
   together in memory, so that the lock is not held while somebody reads slowly. */

#if PLI_LINUX

/* -- As text --

   A thread is a paragraph: a line that names it, its frames, who started it, an empty line. So what
   is searched for with a text editor, and what a script cuts out, is a paragraph. The first words
   of a state do not depend on numbers: `grep -c 'waits for a mutex'` counts them.

       thread 4711 (server) [in epoll_wait]:
       #0   0x00007f21c5f0a1b3  epoll_wait+0x43  /lib/x86_64-linux-gnu/libc.so.6+0x1051b3
       #1   0x000055d0c8f3a20e  next_event (inlined)  /home/me/event.h:31  /home/me/server+0x120e
       #2   0x000055d0c8f3a20e  serve+0x2c  /home/me/server.c:77  /home/me/server+0x120e
       started by thread 4700 at
            0x000055d0c8f3a7a1  main+0x51  /home/me/server.c:140  /home/me/server+0x17a1

   The last column finds the place again in the file, with any debugger; the modules stand at the
   end with their build ids, so that the right file can be found: `python3 -m graders symbolize`
   does both. */

/* What is known of an address in a stack. A program that has jumped into data is in no function. */
static pli_place pli_place_in_stack(uintptr_t pc, bool emergency)
{
    bool code = false;
    pli_place place = pc < PLI_PC_MARKS ? pli_place_of_mark(pc) :
                      pli_place_at(pc, pli_modules_epoch_sig(), emergency);
    for (int i = 0; place.module && i < place.module->texts; i++)
        code |= pc >= place.module->text[i].start && pc < place.module->text[i].end;
    if (place.module && !code)
        place.name = place.shown = "[no code]", place.start = pc;
    return place;
}

/* One line for a function at an address: its number, if there is one, which counts on; the address.
   `function` is an inlined one, or NULL for the one of the place. */
static void pli_text_stack_line(pli_bytes *out, int *number, uintptr_t pc, const pli_place *place,
                                const char *function, const pli_line *line)
{
    if (number)
        pli_bytes_format(out, "#%-3d ", (*number)++);
    else
        pli_bytes_text(out, "     ");
    if (pc >= PLI_PC_MARKS || pc == 0)
        pli_bytes_format(out, "0x%016" PRIxPTR "  ", pc);
    pli_bytes_text(out, function ? function : place->shown);
    if (place->module) {
        if (function)
            pli_bytes_text(out, " (inlined)  ");
        else
            pli_bytes_format(out, "+0x%" PRIxPTR "  ", pc - place->start);
        if (line->file) {
            pli_bytes_text(out, line->file);
            pli_bytes_format(out, ":%d  ", line->line);
        }
        pli_bytes_text(out, place->module->path);
        pli_bytes_format(out, "+0x%" PRIxPTR, pc - place->module->bias);
    }
    pli_bytes_byte(out, '\n');
}

/* A frame: a line for each function at its address. */
static void pli_text_stack_frame(pli_bytes *out, int *number, uintptr_t pc, bool emergency)
{
    char made[PLI_UNNAMED_MAX];
    pli_line line[PLI_INLINED_MAX] = {{NULL, NULL, 0}};
    pli_place place = pli_place_in_stack(pc, emergency);
    int count = place.module ? pli_lines_at(place.module, pc, emergency, line, PLI_INLINED_MAX) : 0;
    pli_place_text(&place, pc, made, sizeof made);
    for (int i = 0; i < count - 1; i++)
        pli_text_stack_line(out, number, pc, &place,
                            pli_string_shown(line[i].function, emergency), &line[i]);
    pli_text_stack_line(out, number, pc, &place, NULL, &line[count ? count - 1 : 0]);
}

/* Each address has 16 digits, also on systems that need fewer: columns stay columns, and the reader
   of reports (graders/stacks.py) knows a frame by them. */

/* A stack, from the innermost function on; the same frame again and again, as in a recursion that
   has no end, is counted instead. Returns the place of the next frame to print.

   The count goes on, so that the number of a frame is its depth:

       #3   0x000055d0c8f3a20e  fact+0x1e  /home/me/fact.c:4  /home/me/fact+0x120e
            ... the same 96 times more
       #100 0x000055d0c8f3a25b  main+0x2b  /home/me/fact.c:9  /home/me/fact+0x125b

   Three in a row or fewer are written out: to count them would take as many lines. */
static int pli_text_stack_part(pli_bytes *out, int *number, const uintptr_t *pcs, int depth, int at,
                               bool emergency)
{
    int same = 0;
    pli_text_stack_frame(out, number, pcs[at], emergency);
    while (at + same + 1 < depth && pcs[at + same + 1] == pcs[at])
        same++;
    if (same < 3)
        return at + 1;
    pli_bytes_format(out, "     ... the same %d times more\n", same);
    *number += same;
    return at + same + 1;
}

/* What is loaded, and which builds these are: from the first to the last address of each, which is
   where it lay, not what of it can be executed. The program stands first. */
static void pli_text_builds(pli_bytes *out)
{
    char id[2 * PLI_BUILD_ID_MAX + 1];
    pli_bytes_text(out, "modules:\n");
    for (const pli_module *m = PLI_LOAD_ACQUIRE(pli_modules.all); m;
         m = PLI_LOAD_ACQUIRE(m->next)) {
        if (m->last_epoch != PLI_EPOCH_NOW)
            continue;
        pli_build_id_text(m, id);
        pli_bytes_format(out, "0x%016" PRIxPTR "-0x%016" PRIxPTR "  ", m->start, m->end);
        pli_bytes_text(out, m->path);
        pli_bytes_format(out, "  build id %s\n", *id ? id : "none");
    }
}

/* A system call's name; NULL for the rarer ones, whose number is shown. Those in which threads
   spend time are here; what answers at once is hardly ever met. The names are the kernel's, not
   libc's: select is pselect6 on some systems, and what a debugger or strace shows is the same. */
static const char *pli_syscall_name(long nr)
{
#define PLI_CALL(name) {SYS_##name, #name},
    static const struct { long nr; const char *name; } known[] = {
        PLI_CALL(read) PLI_CALL(write) PLI_CALL(readv) PLI_CALL(writev) PLI_CALL(pread64)
        PLI_CALL(pwrite64) PLI_CALL(openat) PLI_CALL(close) PLI_CALL(fsync) PLI_CALL(fdatasync)
        PLI_CALL(ppoll) PLI_CALL(pselect6) PLI_CALL(epoll_pwait) PLI_CALL(nanosleep)
        PLI_CALL(clock_nanosleep) PLI_CALL(futex) PLI_CALL(wait4) PLI_CALL(waitid) PLI_CALL(accept)
        PLI_CALL(accept4) PLI_CALL(connect) PLI_CALL(recvfrom) PLI_CALL(recvmsg) PLI_CALL(sendto)
        PLI_CALL(sendmsg) PLI_CALL(rt_sigtimedwait) PLI_CALL(rt_sigsuspend) PLI_CALL(flock)
        PLI_CALL(fcntl) PLI_CALL(ioctl) PLI_CALL(splice) PLI_CALL(msgrcv) PLI_CALL(semop)
        PLI_CALL(mmap) PLI_CALL(munmap) PLI_CALL(madvise) PLI_CALL(restart_syscall)
#ifdef SYS_poll /* younger processors have only the newer forms */
        PLI_CALL(poll) PLI_CALL(select) PLI_CALL(epoll_wait) PLI_CALL(pause) PLI_CALL(open)
#endif
        PLI_CALL(exit)};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].nr == nr)
            return known[i].name;
    return NULL;
}

/* Whether the first argument of a system call is a descriptor: /proc/PID/fd tells what that is. */
static bool pli_syscall_has_fd(long nr)
{
    return nr == SYS_read || nr == SYS_write || nr == SYS_readv || nr == SYS_writev ||
           nr == SYS_accept || nr == SYS_accept4 || nr == SYS_connect || nr == SYS_recvfrom ||
           nr == SYS_recvmsg || nr == SYS_sendto || nr == SYS_sendmsg || nr == SYS_flock;
}

/* What a thread that waits in pthreads waits for. With a holder there is more to say: which thread
   to look at next. */
static void pli_text_wait(pli_bytes *out, const pli_taken *t)
{
    static const char *const words[] = {"", "a mutex", "a condition", "a semaphore",
                                        "the end of a thread", "a barrier", "a read-write lock"};
    if (t->wait == PLI_WAIT_JOIN && t->holder)
        pli_bytes_format(out, "waits for the end of thread %d", t->holder);
    else if (t->holder)
        pli_bytes_format(out, "waits for a mutex that thread %d holds", t->holder);
    else
        pli_bytes_format(out, "waits for %s", words[t->wait]);
}

/* Why a thread has no stack. */
static const char *pli_taken_why(const pli_taken *t)
{
    return t->look == PLI_LOOK_HIDDEN ? "the system does not show where it sleeps" :
           !pli_stacks.may_ask ? "another handler has SIGPROF" :
           t->deaf ? "it has SIGPROF blocked" : "it has not answered in time";
}

/* What a thread does: the text in brackets. `running` is also who waits for a processor: the kernel
   makes no difference that can be seen without rights.

       [running]                                            it computes, or waits for a processor
       [in read, descriptor 5]                              /proc/PID/fd/5 tells which file
       [waits for a mutex that thread 4712 holds]           glibc's mutexes know their owner
       [waits for the end of thread 4713]                   pthread_join
       [waits for a condition (leaked)]                     nobody will ever wake it
       [in system call 451]                                 one without a name here
       [running; no stack: it has SIGPROF blocked]          it cannot be asked
       [sleeps; no stack: the system does not show where it sleeps] */
static void pli_text_state(pli_bytes *out, const pli_taken *t)
{
    const char *name = pli_syscall_name(t->at.nr);
    if (t->look != PLI_LOOK_PARKED)
        pli_bytes_text(out, t->look == PLI_LOOK_HIDDEN && t->letter != 'R' ? "sleeps" : "running");
    else if (t->wait != PLI_WAIT_OTHER)
        pli_text_wait(out, t);
    else if (t->at.nr < 0)
        pli_bytes_text(out, "stopped, or waits for memory");
    else if (name)
        pli_bytes_format(out, "in %s", name);
    else
        pli_bytes_format(out, "in system call %ld", t->at.nr);
    if (t->look == PLI_LOOK_PARKED && pli_syscall_has_fd(t->at.nr))
        pli_bytes_format(out, ", descriptor %d", (int)t->at.arg[0]);
    if (t->how == PLI_TAKEN_WITHOUT)
        pli_bytes_format(out, "; no stack: %s", pli_taken_why(t));
    pli_bytes_text(out, t->leaked ? " (leaked)" : "");
}

/* A thread with its stack. Of one without, the function that it runs is shown in its place, if that
   is known. Where it was started stands below: for a pool of threads with one function that is what
   tells them apart. */
static void pli_text_thread(pli_bytes *out, const pli_taken *t, const pli_ask_slot *slot)
{
    bool emergency = pli_stacks.emergency;
    int number = 0;
    pli_bytes_format(out, "thread %d (%s) [", t->tid, t->name);
    pli_text_state(out, t);
    pli_bytes_text(out, "]:\n");
    pli_text_labels(out, t->labels);
    for (int i = 0; t->how == PLI_TAKEN_WALKED && i < slot->depth;)
        i = pli_text_stack_part(out, &number, slot->pcs, slot->depth, i, emergency);
    if (t->how != PLI_TAKEN_WALKED && t->start)
        pli_text_stack_frame(out, &number, t->start, emergency);
    if (t->started && t->starter)
        pli_bytes_format(out, "started by thread %d at\n", t->starter);
    for (int i = 0; t->started && t->starter && i < t->started->depth; i++)
        pli_text_stack_frame(out, NULL, t->started->pcs[i], emergency);
    pli_bytes_byte(out, '\n');
}

/* The form of debug=2: what was taken last, but perflab's own threads. */
static void pli_stacks_text(pli_bytes *out, bool emergency)
{
    (void)emergency;
    for (int i = 0; i < pli_stacks.count; i++) {
        const pli_taken *t = &pli_stacks.taken[i];
        if (!t->own && t->how != PLI_TAKEN_GONE)
            pli_text_thread(out, t, &pli_ask_slots[i]);
    }
    if (pli_stacks.missed)
        pli_bytes_format(out, "and %d more threads\n\n", pli_stacks.missed);
    pli_text_builds(out);
}

/* -- As profiles -- */

/* Counts a thread at its stack; one without has the mark of a cut one, and its function. Threads
   with different labels count apart, as in the CPU profile. */
static void pli_stacks_count(const pli_taken *t, const pli_ask_slot *slot)
{
    uintptr_t none[2] = {PLI_PC_TRUNCATED, t->start};
    bool walked = t->how == PLI_TAKEN_WALKED;
    pli_site_key key = {t->labels, 0, pli_modules_epoch_sig(),
                        walked ? slot->depth : t->start ? 2 : 1, walked ? slot->pcs : none};
    pli_sites_count_sig(&pli_stacks.sites, &key, 0, 1, 0);
}

/* The table stays from profile to profile, with its values set anew: two of them can be compared
   site by site. Of a pool that grows by two threads while one other thread moves on:

       site               a worker waits   main in read   main in write
       first profile      8                1
       second profile     10               0              1
       difference         2                -1             1

   A site is kept for ever, also if no thread comes there again: 16 MiB hold 25,000 stacks, of which
   those of waiting threads are few and the same. What finds no room is counted as lost. */
static void pli_stacks_count_all(bool leaked)
{
    size_t position = 0;
    pli_stacks.sites.lost = 0;
    for (pli_site *site; (site = pli_sites_next(&pli_stacks.sites, &position)) != NULL;)
        PLI_STORE(site->value[0], 0);
    for (int i = 0; i < pli_stacks.count; i++) {
        const pli_taken *t = &pli_stacks.taken[i];
        if (!t->own && t->how != PLI_TAKEN_GONE && (!leaked || t->leaked))
            pli_stacks_count(t, &pli_ask_slots[i]);
    }
    pli_stacks.sites.lost += pli_stacks.missed;
}

/* One sample type, which counts, under the profile's own name: "goroutine/count" is what Go's tools
   ask for. The period of 1 is Go's as well. */
static void pli_count_view(pli_profile_view *view, const pli_sites *sites)
{
    view->sites = sites;
    view->types = 1;
    view->type[0] = (pli_sample_type){view->name, "count", 0, 1, NULL};
    view->period_type = view->name, view->period_unit = "count";
    view->period = 1;
    view->time_ns = (int64_t)pli_os_clock_ns_sig(CLOCK_REALTIME);
}

/* The lock is held until the profile is encoded: pli_stacks_done gives it back. So two that ask at
   once, such as two tools that scrape, come one after the other, each with stacks of its own time.
   In an emergency the lock is tried, since its owner may be what was interrupted. */
static pl_result pli_stacks_fill(pli_profile_view *view, bool emergency, bool leaked)
{
    if (!pli_lock_take_or_try(&pli_stacks.lock, emergency))
        return PL_BUSY;
    pl_result result = pli_stacks_take(emergency);
    if (result == PL_OK && !pli_stacks.sites.slots)
        result = pli_sites_open(&pli_stacks.sites, PLI_STACKS_BUFFER);
    if (result != PL_OK) {
        pli_lock_give(&pli_stacks.lock);
        return result;
    }
    pli_stacks_count_all(leaked);
    pli_count_view(view, &pli_stacks.sites);
    view->threads = pli_stacks_text;
    return PL_OK;
}

static pl_result pli_goroutine_fill(pli_profile_view *view, bool emergency)
{
    return pli_stacks_fill(view, emergency, false);
}

static pl_result pli_goroutineleak_fill(pli_profile_view *view, bool emergency)
{
    return pli_stacks_fill(view, emergency, true);
}

static void pli_stacks_done(void)
{
    pli_lock_give(&pli_stacks.lock);
}

/* Each thread that has no place yet counts as unseen. From the first call on this is for good, so
   the total only grows, and differences of two profiles are threads that were started between. */
static pl_result pli_threadcreate_fill(pli_profile_view *view, bool emergency)
{
    pl_result result = emergency ? PL_BUSY : pli_started_watch();
    if (result != PL_OK)
        return result;
    pli_threads_meet();
    for (pli_thread *t = PLI_LOAD_ACQUIRE(pli_threads.all); t; t = t->next) {
        const pli_site *none = NULL;
        if (PLI_LOAD(t->state) == PLI_THREAD_USED && !PLI_LOAD(t->own) &&
            __atomic_compare_exchange_n(&t->started, &none, pli_started.unseen, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            PLI_ADD(((pli_site *)(uintptr_t)pli_started.unseen)->value[0], 1);
    }
    pli_count_view(view, &pli_started.sites);
    return PL_OK;
}

static pli_profile_source pli_goroutine_source = {
    "goroutine", pli_goroutine_fill, pli_stacks_done, NULL};
static pli_profile_source pli_goroutineleak_source = {
    "goroutineleak", pli_goroutineleak_fill, pli_stacks_done, NULL};
static pli_profile_source pli_threadcreate_source = {
    "threadcreate", pli_threadcreate_fill, NULL, NULL};

/* These profiles need nobody to start them: they tell what is, not what was collected. */
__attribute__((constructor)) static void pli_stacks_register(void)
{
    pli_profile_source_add(&pli_goroutine_source);
    pli_profile_source_add(&pli_goroutineleak_source);
    pli_profile_source_add(&pli_threadcreate_source);
}

#endif /* PLI_LINUX */

/* Puts the text together first, so that a slow reader keeps nobody else waiting. */
pl_result pl_stacks_write(FILE *out)
{
#if PLI_LINUX
    pli_bytes text = {NULL, 0, 0, false};
    if (!out)
        return PL_INVALID;
    pli_lock_take(&pli_stacks.lock);
    pl_result result = pli_stacks_take(false);
    if (result == PL_OK)
        pli_stacks_text(&text, false);
    pli_lock_give(&pli_stacks.lock);
    if (result == PL_OK && text.failed)
        result = PL_NOMEM;
    if (result == PL_OK && (fwrite(text.data, 1, text.size, out) != text.size || fflush(out)))
        result = PL_IO;
    pli_bytes_free(&text);
    return result;
#else
    (void)out;
    return PL_UNSUPPORTED;
#endif
}

/* The system's list, without perflab's own threads. A main thread that has ended stays in the list
   until the program ends (state Z). One that was joined a moment ago may still be there:
   pthread_join returns before the kernel has done away with it. */
int pl_num_threads(void)
{
#if PLI_LINUX
    int none, count = pli_os_numbers("/proc/self/task", &none, 0);
    pli_lock_take(&pli_threads.lock);
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        count -= t->state == PLI_THREAD_USED && PLI_LOAD(t->own);
    pli_lock_give(&pli_threads.lock);
    return count - (count > 1 && pli_task_letter(getpid()) == 'Z');
#else
    return 0;
#endif
}

/* ==== >>crash ====================================================================================
   What a program says before it dies of a fault: the signal in words, the registers, the stack of
   the thread, the modules, and the stacks of all other threads. Then it dies of the same signal, as
   if nobody had looked: the parent sees the same status, and a core has the registers of the fault.

       fault ──► handler ──► head ──► registers ──► stack ──► modules ──► threads ──► the signal
                    ▲                                 │ a fault of the report's own      again
                    └─────────────────────────────────┘ goes on behind it

   The handler runs on a stack of its own, since the thread's may be what is full. Nothing is
   allocated and no lock is waited for: what was interrupted may be malloc, or hold any of them.
   Memory is believed nothing of: if the report itself faults, the handler is entered once more,
   and goes on with what comes next. So each line stands as soon as it is known.

   A second thread that crashes meanwhile waits for the first one's report, which has it in its list
   of threads, and dies with it.

   The parts, by what can go wrong in them:

       head, registers     from the handler's arguments: nothing can
       stack               the walk checks all memory; each frame is written before the next one
       threads             takes 1 s at most, when some do not answer
       modules             what was known at the last refresh, and met on the way

   How it ends, and why not simply by abort: the handler takes its leave (default action), blocks
   the signal, queues it again with all that the kernel told of it, and returns. The mask of what
   was interrupted comes back with the return, and with it the signal, before another instruction:

       registers of the fault ◄── return ◄── queued: SIGSEGV, code 1, address 0x8
       core, status: signal 11, not that of a handler

   A handler that the program has for one of these signals stays, whether it was there before or
   comes later: who handles faults knows why. A program that catches SIGSEGV to grow its heap, or a
   language's runtime, goes on as if there were no perflab.

   Invariant: but for `level` and `pid`, pli_crash is written by the reporter only, and there is one
   reporter. */

#if PLI_LINUX

/* What is told: nothing; the thread that crashed; all threads; the same, and the kernel is asked
   for a core as large as the limit allows. */
enum { PLI_CRASH_NONE, PLI_CRASH_SINGLE, PLI_CRASH_ALL, PLI_CRASH_CORE };

#define PLI_CRASH_STACK ((size_t)128 << 10) /* of addresses; memory is what the handler touches */

/* So many faults of its own end the report. Each leaves a frame of the kernel's and of the handler
   on the signal stack, some KiB, which has room for many more. */
#define PLI_CRASH_FAULTS 8

/* After so many, addresses have no names any more. */
#define PLI_CRASH_UNNAMED 2

/* Naps of 50 us and more: some ten seconds, in which others wait for the report. Who has waited so
   long dies by itself, without one. */
#define PLI_CRASH_WAIT 200000

static const int pli_crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
#define PLI_CRASH_SIGNALS ((int)(sizeof pli_crash_signals / sizeof *pli_crash_signals))

static struct {
    pli_lock lock;       /* who installs */
    int level, pid;
    int reporter;        /* the thread that reports; 0: none yet; atomic */
    siginfo_t info;      /* of the fault, as everything below */
    const void *context;
    int stage, unit;     /* what comes next */
    int faults;          /* of the report itself */
    bool locked;         /* pli_stacks.lock is ours */
    int depth;
    int number;          /* of the next frame */
    uintptr_t pcs[PLI_STACK_MAX];
    pli_bytes text;      /* not written yet */
} pli_crash;

/* The level that a person has named; -1: there is none of this name. */
PLI_SOMETIMES static int pli_crash_level(const char *name)
{
    static const char *const names[] = {"none", "single", "all", "core"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

/* -- In words -- */

/* What a signal is called (code 0), and what its codes mean. They are said as what happened, not as
   the manual has them: SEGV_ACCERR is a write to what is read-only, a jump into data, or a touch of
   a guard page, and the kernel does not tell which. SI_KERNEL with SIGSEGV is a general protection
   fault, which on x86-64 nearly always is an address that is none: a pointer that was overwritten.
   */
static const char *pli_crash_words(int number, int code)
{
    static const struct { int number, code; const char *text; } known[] = {
        {SIGSEGV, 0, "SIGSEGV"}, {SIGBUS, 0, "SIGBUS"}, {SIGFPE, 0, "SIGFPE"},
        {SIGILL, 0, "SIGILL"}, {SIGABRT, 0, "SIGABRT"}, {SIGTRAP, 0, "SIGTRAP"},
        {SIGSYS, 0, "SIGSYS"},
        {SIGSEGV, SEGV_MAPERR, "there is no memory at the address"},
        {SIGSEGV, SEGV_ACCERR, "this memory must not be used so"},
        {SIGSEGV, SI_KERNEL, "an address that no memory can have"},
        {SIGBUS, BUS_ADRALN, "the address is not aligned"},
        {SIGBUS, BUS_ADRERR, "behind the end of the file that is mapped there"},
        {SIGBUS, BUS_OBJERR, "the memory is broken"},
        {SIGFPE, FPE_INTDIV, "integer division by zero"},
        {SIGFPE, FPE_INTOVF, "integer overflow"},
        {SIGFPE, FPE_FLTDIV, "floating-point division by zero"},
        {SIGFPE, FPE_FLTOVF, "floating-point overflow"},
        {SIGFPE, FPE_FLTUND, "floating-point underflow"},
        {SIGFPE, FPE_FLTRES, "inexact floating-point result"},
        {SIGFPE, FPE_FLTINV, "invalid floating-point operation"},
        {SIGILL, ILL_ILLOPC, "not an instruction"},
        {SIGILL, ILL_ILLOPN, "not an instruction, or __builtin_trap"},
        {SIGILL, ILL_PRVOPC, "an instruction that only the system may use"},
        {SIGTRAP, TRAP_BRKPT, "a breakpoint"}, {SIGTRAP, SI_KERNEL, "a breakpoint"},
        {SIGTRAP, TRAP_TRACE, "a single step"},
        {SIGSYS, 1, "a system call that is not allowed here"},
        {SIGABRT, SI_TKILL, "abort was called, or an assertion failed"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == number && known[i].code == code)
            return known[i].text;
    return code == SI_TKILL ? "raised by the program" :
           code == SI_USER || code == SI_QUEUE ? "sent by process" : "for an unknown reason";
}

/* Whether the kernel says at which address it happened: only of faults (codes above 0), and not of
   those where the processor itself does not know. */
static bool pli_crash_has_address(const siginfo_t *info)
{
    int n = info->si_signo;
    return info->si_code > 0 && info->si_code != SI_KERNEL &&
           (n == SIGSEGV || n == SIGBUS || n == SIGFPE || n == SIGILL);
}

#define PLI_CRASH_NEAR ((uintptr_t)64 << 10) /* how far below sp a function writes */

/* A fault close to sp is one at the end of the stack: what is inside of it can be used. One
   comparison for both sides: what lies below sp - 64 KiB gives a difference below 0, which as an
   unsigned number is above all others. */
static bool pli_crash_is_overflow(const siginfo_t *info, const void *context)
{
    uintptr_t sp = pli_regs_of_signal_sig(context).sp, at = (uintptr_t)info->si_addr;
    return info->si_signo == SIGSEGV && pli_crash_has_address(info) &&
           at - (sp - PLI_CRASH_NEAR) < 2 * PLI_CRASH_NEAR;
}

/* -- The parts of the report. Each gives one unit of itself, and false behind the last -- */

/* The first lines, which a log may have room for when it has not for the rest:

       perflab: the program crashed: SIGSEGV, there is no memory at the address: 0x0000000000000008
       signal 11, code 1, process 4711, thread 4712 (worker)

   0x8 is a member of a struct that a NULL pointer pointed to: the address alone often tells. */
static bool pli_crash_head(int unit)
{
    const siginfo_t *info = &pli_crash.info;
    char name[16] = "";
    if (unit > 0)
        return false;
    pli_task_read(pli_crash.reporter, "comm", name, sizeof name);
    pli_bytes_format(&pli_crash.text, "perflab: the program crashed: %s, %s",
                     pli_crash_words(info->si_signo, 0),
                     pli_crash_words(info->si_signo, info->si_code));
    if (pli_crash_has_address(info))
        pli_bytes_format(&pli_crash.text, ": 0x%016" PRIxPTR, (uintptr_t)info->si_addr);
    if (info->si_code == SI_USER || info->si_code == SI_QUEUE)
        pli_bytes_format(&pli_crash.text, ": %d", (int)info->si_pid);
    if (pli_crash_is_overflow(info, pli_crash.context))
        pli_bytes_text(&pli_crash.text, ", at the end of the stack: it has overflowed");
    pli_bytes_format(&pli_crash.text, "\nsignal %d, code %d, process %d, thread %d (%s)\n\n",
                     info->si_signo, info->si_code, (int)getpid(), pli_crash.reporter, name);
    return true;
}

/* Three registers a line. */
static bool pli_crash_registers(int unit)
{
    const char *name;
    uint64_t value;
    int shown = 0;
    for (; shown < 3 && pli_os_register(pli_crash.context, 3 * unit + shown, &name, &value);
         shown++)
        pli_bytes_format(&pli_crash.text, "%s%-6s 0x%016" PRIx64, shown ? "  " : "", name, value);
    pli_bytes_byte(&pli_crash.text, '\n');
    return shown > 0;
}

/* The walk first, then frame by frame: names are read from files, which takes a moment. Should the
   walk itself fault, there is still the address where it began; and should names be what cannot be
   read, addresses stand alone from the second one on. A library that was loaded since the
   last refresh is met here, so that its frames have names, too. */
static bool pli_crash_stack(int unit)
{
    pli_regs regs = pli_regs_of_signal_sig(pli_crash.context);
    if (unit == 0) {
        pli_bytes_format(&pli_crash.text, "thread %d [crashed]:\n", pli_crash.reporter);
        pli_crash.depth = 1;
        pli_crash.pcs[0] = regs.pc;
        pli_crash.depth = pli_unwind_sig(&regs, pli_crash.pcs, PLI_STACK_MAX);
        return true;
    }
    if (unit <= pli_crash.depth && pli_crash.faults >= PLI_CRASH_UNNAMED) {
        pli_bytes_format(&pli_crash.text, "#%-3d 0x%016" PRIxPTR "\n", pli_crash.number++,
                         pli_crash.pcs[unit - 1]);
        return true;
    }
    if (unit <= pli_crash.depth) {
        pli_modules_meet_at(pli_crash.pcs[unit - 1]);
        pli_crash.unit = 1 + pli_text_stack_part(&pli_crash.text, &pli_crash.number, pli_crash.pcs,
                                                 pli_crash.depth, unit - 1, true);
        return true;
    }
    pli_bytes_byte(&pli_crash.text, '\n');
    return false;
}

/* Taking all stacks is unit 0; then one thread after the other. A crash from within the taking has
   the lock for ever: then the others are left out. The lock is not given back either: nobody shall
   take stacks any more. */
static bool pli_crash_threads(int unit)
{
    const pli_taken *t = &pli_stacks.taken[unit - 1];
    if (pli_crash.level == PLI_CRASH_SINGLE)
        return false;
    if (unit == 0) {
        pli_crash.locked = pli_lock_take_or_try(&pli_stacks.lock, true);
        if (!pli_crash.locked || pli_stacks_take(true) != PL_OK) {
            pli_bytes_text(&pli_crash.text, "the other threads cannot be shown\n\n");
            pli_crash.locked = false;
        }
        return pli_crash.locked;
    }
    if (!pli_crash.locked || unit > pli_stacks.count)
        return false;
    if (t->tid != pli_crash.reporter && t->how != PLI_TAKEN_GONE)
        pli_text_thread(&pli_crash.text, t, &pli_ask_slots[unit - 1]);
    return true;
}

/* Last, since libraries may have been met on the way. Each with its build id: with it the names can
   be found on another machine, next year. */
static bool pli_crash_modules(int unit)
{
    if (unit == 0)
        pli_text_builds(&pli_crash.text);
    return unit == 0;
}

/* Writes what there is so far, with one call: lines of several processes do not mix in a log.
   Nobody can be told that it failed. */
static void pli_crash_flush(void)
{
    pli_write_all(2, pli_crash.text.data, pli_crash.text.size);
    pli_crash.text.size = 0;
}

/* All of it; or the rest, after a fault of its own. The unit is counted up before it is tried:

       stage stack, unit 3 ──► faults ──► handler again ──► stage stack, unit 4 ──► ... the end

   so that the same step is never tried twice, and the report ends whatever is broken. */
static void pli_crash_report(void)
{
    static bool (*const stages[])(int) = {pli_crash_head, pli_crash_registers, pli_crash_stack,
                                          pli_crash_threads, pli_crash_modules};
    while (pli_crash.stage < (int)(sizeof stages / sizeof *stages)) {
        int unit = pli_crash.unit++;
        if (!stages[pli_crash.stage](unit))
            pli_crash.stage++, pli_crash.unit = 0;
        pli_crash_flush();
    }
}

/* -- The handler -- */

/* The signal comes again, with what the kernel told of it, as soon as this handler returns to what
   was interrupted; and then nobody handles it. */
static void pli_crash_die(const siginfo_t *info)
{
    struct sigaction none;
    sigset_t set;
    memset(&none, 0, sizeof none);
    pli_libc_action(info->si_signo, &none, NULL);
    sigemptyset(&set);
    sigaddset(&set, info->si_signo);
    pli_os_sigmask_sig(SIG_BLOCK, &set, NULL);
    if (pli_os_queue_sig(pli_os_tid_sig(), info->si_signo, info) == 0)
        return;
    pli_os_sigmask_sig(SIG_UNBLOCK, &set, NULL); /* a filter forbids it */
    raise(info->si_signo);
    syscall(SYS_exit_group, 128 + info->si_signo);
}

/* The report has failed at some point: it goes on behind it, from within this second handler. What
   the first one was doing is never taken up again: this one ends the program. */
static void pli_crash_again(const siginfo_t *info)
{
    pli_crash.text.size = 0;
    if (++pli_crash.faults > PLI_CRASH_FAULTS)
        return;
    pli_bytes_format(&pli_crash.text, "(what should stand here cannot be read: %s)\n",
                     pli_crash_words(info->si_signo, 0));
    pli_crash_flush();
    pli_crash_report();
}

/* For all of these signals. A vfork's child, which has its parent's memory, only dies. */
static void pli_crash_handler(int number, siginfo_t *info, void *context)
{
    int self = pli_os_tid_sig(), first = 0, saved_errno = errno;
    bool ours = PLI_LOAD(pli_crash.pid) == getpid();
    (void)number;
    if (!ours) {
        pli_crash_die(info);
    } else if (__atomic_compare_exchange_n(&pli_crash.reporter, &first, self, 0, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST)) {
        pli_crash.info = *info, pli_crash.context = context;
        pli_crash_report();
        pli_crash_die(&pli_crash.info);
    } else if (first == self) {
        pli_crash_again(info);
        pli_crash_die(&pli_crash.info);
    } else {
        for (int i = 0; i < PLI_CRASH_WAIT; i++)
            pli_os_nap();
        pli_crash_die(info);
    }
    errno = saved_errno;
}

/* -- Stacks for the handler --

   A thread whose stack is full has no room for a handler: the kernel would end the program without
   a word. So each thread has a small stack beside its own, with a page in front that nobody may
   touch, for the case that the report itself runs over:

       | guard page | 128 KiB: the handler ...      |        thread block: signal_stack
       ▲ may not be touched         ◄── grows       ▲ the kernel begins here

   Threads of the program get it as they start (pli_threads.enter) and give it back as they end; the
   one that installs, at once. Others that are there already cannot be given one from outside. */

/* A page that nobody may touch, then the stack. */
static size_t pli_crash_stack_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE) + PLI_CRASH_STACK;
}

/* Gives the calling thread a stack for signals, unless it has one of its own. A thread can do that
   only for itself; so it is what a thread does first. */
static void pli_crash_enter(pli_thread *t)
{
    stack_t now;
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
        return;
    char *memory = pli_os_map(pli_crash_stack_bytes());
    if (!memory)
        return;
    mprotect(memory, guard, PROT_NONE);
    sigaltstack(&(stack_t){.ss_sp = memory + guard, .ss_size = PLI_CRASH_STACK}, NULL);
    t->signal_stack = memory;
}

/* A thread ends: in it, or in a fork's child, where it is not. One that ends from within a handler
   still stands on it. */
static void pli_crash_death(pli_thread *t)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    if (t->signal_stack && (t->tid != pli_os_tid_sig() || sigaltstack(&none, NULL) == 0))
        munmap(t->signal_stack, pli_crash_stack_bytes());
    t->signal_stack = NULL;
}

/* The child may crash, too. */
static void pli_crash_fork_child(pli_thread *t)
{
    (void)t;
    pli_crash.lock.state = 0;
    PLI_STORE(pli_crash.pid, getpid());
}

static const pli_thread_hooks pli_crash_hooks = {
    NULL, pli_crash_death, NULL, NULL, pli_crash_fork_child};

/* -- Installing --

       level      handlers   the thread that crashed   the others   core
       none       no         -                         -            as limits are
       single     yes        yes                       no           as limits are
       all        yes        yes                       yes          as limits are
       core       yes        yes                       yes          as large as is allowed

   A second call changes the level. Only actions that are the default are taken, and only perflab's
   own are given back: what the program does in between stays. */

/* Takes the signals that the program does not handle, or gives them back. Not restarted, since
   nothing goes on afterwards; NODEFER, or a second fault would end all without a word. */
static void pli_crash_handle(bool on)
{
    struct sigaction ours, now;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = pli_crash_handler;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_NODEFER;
    sigfillset(&ours.sa_mask); /* but faults: those of the report come back to it */
    for (int i = 0; i < PLI_CRASH_SIGNALS; i++)
        sigdelset(&ours.sa_mask, pli_crash_signals[i]);
    for (int i = 0; i < PLI_CRASH_SIGNALS; i++) {
        bool known = pli_libc_action(pli_crash_signals[i], NULL, &now) == 0;
        if (known && on && now.sa_handler == SIG_DFL)
            pli_libc_action(pli_crash_signals[i], &ours, NULL);
        if (known && !on && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == pli_crash_handler) {
            memset(&now, 0, sizeof now);
            pli_libc_action(pli_crash_signals[i], &now, NULL);
        }
    }
}

/* What the report needs, before anything is broken: modules and their unwind tables, memory for the
   text and for the stacks of others, the handler that asks them. */
static pl_result pli_crash_prepare(void)
{
    pli_lock_take(&pli_stacks.lock);
    pli_stacks.emergency = false;
    pl_result result = pli_stacks_prepare();
    pli_lock_give(&pli_stacks.lock);
    if (result != PL_OK)
        return result;
    if (!pli_crash.text.capacity)
        pli_bytes_grow(&pli_crash.text, 1);
    if (pli_crash.text.failed)
        return PL_NOMEM;
    pli_thread *t = pli_thread_join();
    PLI_STORE(pli_crash.pid, getpid());
    pli_collector_add(&pli_crash_hooks);
    pli_started_watch();
    PLI_STORE(pli_threads.enter, pli_crash_enter);
    pli_threads_want(PLI_WANT_CRASH, true);
    if (t != &pli_orphan && !t->signal_stack)
        pli_crash_enter(t);
    return PL_OK;
}

/* pl_crash_install at a level. NONE gives the signals back. */
static pl_result pli_crash_install(int level)
{
    struct rlimit core;
    pli_lock_take(&pli_crash.lock);
    pl_result result = level == PLI_CRASH_NONE ? PL_OK : pli_crash_prepare();
    if (level == PLI_CRASH_CORE && getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = core.rlim_max;
        setrlimit(RLIMIT_CORE, &core);
    }
    if (result == PL_OK) {
        pli_crash.level = level;
        pli_crash_handle(level != PLI_CRASH_NONE);
    }
    pli_lock_give(&pli_crash.lock);
    return result;
}

#endif /* PLI_LINUX */

/* All threads are told of: which of them broke the memory that another one crashed on is not known
   beforehand. */
pl_result pl_crash_install(void)
{
#if PLI_LINUX
    return pli_crash_install(PLI_CRASH_ALL);
#else
    return PL_UNSUPPORTED;
#endif
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

/* Begins to record. */
static pl_result pli_leak_watch(void)
{
    if (!pli_leak.fd && !(pli_leak.fd = pli_os_reserve(PLI_LEAK_FDS * sizeof *pli_leak.fd)))
        return PL_NOMEM;
    pl_result result = pli_live_open();
    if (result != PL_OK)
        return result;
    pli_threads_meet(); /* those before have no generation */
    pli_started_watch();
    if (!pli_leak.prepared)
        pli_collector_add(&pli_leak_hooks);
    pli_leak.prepared = true;
    pli_leak.pid = getpid();
    pli_leak.first = PLI_LOAD(pli_live.generation) + 1;
    /* From here on others record, each as soon as it sees its flag. What is made meanwhile may be
       missing; it has the generation before the mark in any case. */
    PLI_STORE(pli_threads.maker, pli_leak_maker);
    pli_threads_want(PLI_WANT_LEAK, true);
    pli_leak.blocks = pli_malloc_watch(PLI_LIVE_LEAK, true);
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
    if (result == PL_OK && mark->generation >= PLI_LIVE_GENERATION)
        result = PL_NOMEM; /* after 33 million marks */
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
        pli_malloc_watch(PLI_LIVE_LEAK, false);
        pli_live_sweep();
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
        if (b.value && (b.value & PLI_LIVE_GENERATION) >= pli_leak.first) /* not of before a stop */
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
   front of the one they mean: such pointers keep nothing.

   For a block of 104 bytes at 0x1000, a word keeps it that is

       0x1000 to 0x105f     its begin, or inside: an iterator, a pointer with a tag
       0x1060               not any more: its last word */
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
        if (own || (large && !pli_leak_page_used(l, at)) || !pli_os_copy_sig(words, at, bytes))
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
   stack of a thread that has ended, which libc keeps for the next one, is not.

       start                          sp - 128     sp                              end
       |  not in use: old pointers    |  red zone  |  frames of the functions      |
                                      └──────────── searched ──────────────────────┘ */
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
        if ((l->block[i].value & PLI_LIVE_GENERATION) >= l->since && l->state[i] != PLI_LEAK_KEPT)
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
        if (fd > 2 && fd != own && !pli_fd_is_own(fd) &&
            (made & PLI_LIVE_GENERATION) >= l->since &&
            !pli_leak_ignored(l, pli_leak_site(made)))
            l->number[l->leaked_fds++] = fd;
    }
}

/* Whether a thread is a leak. It may end at any time: then its block says so, or is another's. */
static bool pli_leak_is_thread(const pli_leaks *l, pli_thread *t)
{
    uint64_t made = PLI_LOAD(t->made);
    uintptr_t start = PLI_LOAD(t->start);
    return PLI_LOAD(t->state) == PLI_THREAD_USED && t != pli_self && !PLI_LOAD(t->own) &&
           (made & PLI_LIVE_GENERATION) >= l->since &&
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

   All is read from files, as words; where there is no such file, the fact is "unknown".

   As it stands in the output of a virtual machine, which hides what its host decides:

       # processor: AMD EPYC, 2 usable
       # clock: tsc
       # governor: unknown
       # turbo: unknown
       # load: 3.31
       # warning: load 3.31 on 2 processors: other work runs beside this; mend: end it, or ...
       # aslr: on
       # baseline: 1.034 ns a multiplication, spread 1.3 %

   A warning does not change a result or an exit code. It is for the one who wonders, a week later,
   why two files differ. */

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
   was the machine that changed, not the code. Each step needs the result of the one before, and
   PL_HIDE forbids the compiler to see through it: so the time is the latency of a multiplication
   and an addition, some 4 cycles. */
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

/* Reads the machine's processor time and what the host took of it; 0 and 0 where nothing tells.

       cpu  4705 150 1120 16250 520 0 45 30 0 0      total 22,820 (the first eight), steal 30

   Only the first line is needed, which is the sum of all processors; 256 bytes hold it. */
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

       -benchtime 2s        ns = 2,000,000,000        -cpu 1,2,4      three runs of each
       -benchtime=100x      n = 100                   -cpu 2,         bad value: a number is missing
       --benchtime 1m30s    ns = 90,000,000,000       -v              a switch
       -benchtime 0         bad value: it would       -v=false        the same, off
                            measure nothing           -v false        unexpected argument "false"

   A flag that stands twice has the last value, as in Go. Words are never joined: -vbench is
   unknown. */

enum { PLI_FLAG_CPUS = 64 }; /* values of -cpu: powers of two up to any machine, and some */

/* The values of the flags; the strings belong to argv. */
typedef struct pli_flags {
    const char *bench, *list, *run; /* list: NULL when not given */
    const char *cpuprofile, *memprofile, *blockprofile, *mutexprofile; /* NULL: none */
    int64_t memprofilerate, blockprofilerate, mutexprofilefraction;
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

/* One in so many: more than an int is no number for that. */
static bool pli_flag_fraction(const char *value, void *member)
{
    return pli_parse_int64(value, 1, INT32_MAX, member);
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
    {"blockprofile", "FILE", PLI_FLAG(blockprofile), pli_flag_text, "",
     "write where threads wait while it is timed; none"},
    {"blockprofilerate", "NS", PLI_FLAG(blockprofilerate), pli_flag_count,
     "nanoseconds, from 1", "keep all waits of this length, of shorter ones a sample; 1"},
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
    {"memprofile", "FILE", PLI_FLAG(memprofile), pli_flag_text, "",
     "write who allocates while it is timed; none"},
    {"memprofilerate", "BYTES", PLI_FLAG(memprofilerate), pli_flag_count,
     "a number of bytes, from 1", "keep one byte in so many, and its block; 1: all; 524288"},
    {"mutexprofile", "FILE", PLI_FLAG(mutexprofile), pli_flag_text, "",
     "write who lets others wait while it is timed; none"},
    {"mutexprofilefraction", "N", PLI_FLAG(mutexprofilefraction), pli_flag_fraction,
     "a whole number from 1", "keep one in N of these; 1"},
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
        int width = 28 - (int)strlen(f->name);
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
                                     part[2] Sort      Sort, MergeSort, and all their children

       BenchmarkParse           matches in part: run once, n = 1, to meet its children
       BenchmarkParse/small     matches; and so does all below it, Parse/small/utf8
       BenchmarkParse/large     does not, though its parent was run
       BenchmarkMergeSort       matches: expressions are searched, not compared
       BenchmarkHash            does not, and its body is never called */
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
   as the run.

       pl_bench_run(b, "x", ...)       BenchmarkA/x
       pl_bench_run(b, "x", ...)       BenchmarkA/x#01
       pl_bench_run(b, "", ...)        BenchmarkA/#00
       pl_bench_run(b, "x#01", ...)    BenchmarkA/x#01#01: the name is somebody's already */
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

/* What is timed is what -cpuprofile and its like keep. */
static void pli_bench_gate(bool open)
{
    pli_cpu_gate(open);
    pli_heap_gate(open);
    pli_sync_gate(open);
}

/* What they have seen since the last call was timed, or set-up. */
static void pli_bench_settle(bool keep)
{
    pli_cpu_settle(keep);
    pli_heap_settle(keep);
    pli_sync_settle(keep);
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
        pli_bench_gate(true);
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
        pli_bench_gate(false);
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
    pli_bench_settle(false);
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
   when it would take ten times as long by the clock on the wall.

   A body that is timed for 1 us and paused for 1 ms, with -benchtime 1s: after 1,000 iterations
   the timer has 1 ms, and 100,000 would be next; the wall has 1 s, which allows 10,000. */
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
    pli_bench_settle(!b->has_sub);
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
   fight, and short enough to leave no thread idle at the end. 10,000 iterations in 50 ms are 5 us
   each: 20 are a grain. */
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

   Text, with the facts of the machine left out; here with -cpu 1,2, and one benchmark that fails:

       goos: linux
       goarch: amd64
       cpu: AMD EPYC
       BenchmarkSum             571078        61.05 ns/op
       BenchmarkSum-2           565405        66.38 ns/op
       BenchmarkAlloc          1960113        11.65 ns/op    5492.31 MB/s    72 B/op    1 allocs/op
       --- FAIL: BenchmarkWrong
           got 4, want 5
       FAIL

   What pl_bench_main returns, and what the program should exit with:

       0    every benchmark has passed, or there was none
       1    one has failed; or the program was ended from within one, which is seen at exit()
       2    anything else: a flag that is wrong, no memory, -timeout, a profile or results that
            could not be written */

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

/* The values, in Go's order; what is 0 or not measured is left out. A metric that the body reports
   as "ns/op" takes the place of the measured one; reported as 0, it takes the value out of the
   line. So a body that measures in its own way does not print two times. */
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

/* Prints what follows the name: the result, or that it failed; then the log. A failed benchmark
   shows its whole log, one that passed ten lines of it: that is Go's rule, and keeps a chatty one
   from hiding the results. */
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

/* The members of a benchmark that has passed. In JSON what was not measured is null and not left
   out, so that a query for a member finds one in every result. */
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

/* Prints, once, the lines above the first result. Not at the start: a program that fails at its
   flags, or has nothing to run, shall print no head of a table that does not come. */
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
   that one sees what takes its time, or what crashed.

   With -cpu 1,2 -count 2, the runs of one body, each pair of brackets a line of output:

       pli_bench_try     n = 1
       pli_bench_step    [n grows]           [n = 1, n grows]    one processor; goes on from the try
                         [n = 1, n grows]    [n = 1, n grows]    two */
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

/* Runs the body with n = 1. Returns whether there is anything more to measure.

   A run of one iteration is always made, also with -benchtime=100x: only the body knows whether it
   has sub-benchmarks, and one that fails shall do so at once and not after a second of looping. */
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
   of memory. Its pli_bench, with 64 KiB for the log, is not on the stack: sub-benchmarks nest. */
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
   look like success. Of a fork's child, which has a copy of this all, `pid` tells: it may end as it
   likes. */
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
   left is computed anew after each wake-up. When the time is over the benchmark cannot be stopped,
   only the program: what was printed so far stands, and the line on stderr names the one that ran.
   */
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
   NULL at the end; NULL when out of memory.

   Shuffling while the list is made, each at a random place of those so far:

       A           at 0 of 1     A
       B           at 0 of 2     B A        A has moved to the end
       C           at 1 of 3     B C A      A again

   Each of the 1 * 2 * 3 draws gives another of the 6 orders. The generator is written out here, so
   that a seed means the same order on every machine and with every C library. */
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
   as long as the widest -P. BenchmarkSum and BenchmarkAlloc with -cpu 1,2: the widest -P is "-2",
   so the column has 14 + 2 * 2 + 1 = 19 letters. */
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

/* Prints the last lines, and a warning when nothing was run. The facts of the machine come once
   more only if there was a result, since there is nothing else that they could explain. */
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

/* What -cpuprofile and its like ask for: the flag, its value, the profile that is written. That of
   the CPU comes last: what the others still have to do is not sampled. */
static const struct pli_bench_profile {
    const char *flag, *const *path, *name;
} pli_bench_profiles[] = {
    {"memprofile", &pli_run.flags.memprofile, "heap"},
    {"blockprofile", &pli_run.flags.blockprofile, "block"},
    {"mutexprofile", &pli_run.flags.mutexprofile, "mutex"},
    {"cpuprofile", &pli_run.flags.cpuprofile, "cpu"},
};
enum { PLI_BENCH_PROFILES = sizeof pli_bench_profiles / sizeof *pli_bench_profiles };

/* One line on stderr; the run ends with exit code 2. */
static void pli_bench_profile_fault(const struct pli_bench_profile *p, pl_result result)
{
    fprintf(stderr, "perflab: -%s %s: %s; %s\n", p->flag, *p->path, pl_result_str(result),
            result == PL_BUSY ? "leave cpu= out of PERFLAB" :
            result == PL_IO ? "name a file in a folder that can be written to" : "run without it");
    pli_run.exit_code = 2;
}

/* The collectors are opened with their gates shut: set-up is not what is asked for. */
static pl_result pli_bench_profile_open(const struct pli_bench_profile *p)
{
    char absolute[4096];
    const pli_flags *f = &pli_run.flags;
    pl_result result = pli_path_absolute(absolute, sizeof absolute, *p->path);
    if (result != PL_OK)
        return result;
    if (p->path == &f->cpuprofile)
        return pl_cpu_start(&(pl_cpu_desc){.path = *p->path, .gated = 1});
    if (p->path == &f->memprofile) {
        pli_heap_gate_use();
        pl_heap_rate_set(f->memprofilerate ? f->memprofilerate : 524288);
    } else {
        pli_sync_gate_use();
        if (p->path == &f->blockprofile)
            pl_block_rate_set(f->blockprofilerate ? f->blockprofilerate : 1);
        else
            pl_mutex_fraction_set(f->mutexprofilefraction ? (int)f->mutexprofilefraction : 1);
    }
    return PL_OK;
}

/* false when it has reported a fault: before anything has run. */
static bool pli_bench_profile_start(void)
{
    for (int i = 0; i < PLI_BENCH_PROFILES; i++) {
        const struct pli_bench_profile *p = &pli_bench_profiles[i];
        pl_result result = *p->path ? pli_bench_profile_open(p) : PL_OK;
        if (result != PL_OK) {
            pli_bench_profile_fault(p, result);
            return false;
        }
    }
    return true;
}

/* Writes the profiles that there are. From the last of the table to the first: the CPU profile ends
   before the others are written, and does not show the writing. */
static void pli_bench_profile_stop(void)
{
    for (int i = PLI_BENCH_PROFILES - 1; i >= 0; i--) {
        const struct pli_bench_profile *p = &pli_bench_profiles[i];
        pl_result result = !*p->path ? PL_OK : p->path == &pli_run.flags.cpuprofile ?
                           pl_cpu_stop() : pl_profile_save(p->name, *p->path);
        if (result != PL_OK)
            pli_bench_profile_fault(p, result);
    }
}

/* Runs all under the eye of -timeout. Nothing has been run when a profile cannot be begun: a
   measurement without the profile that was asked for would have to be made again. */
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

/* ==== >>http =====================================================================================
   What stands behind /debug/pprof/: which addresses there are, what they take and what they answer.
   Addresses, parameters, headers and the texts of errors are those of Go's net/http/pprof, so that
   whatever reads a Go program reads this one. How requests arrive is no business of this section:
   >>server has a server, and programs with one of their own call pl_http_handle.

       behind /debug/pprof/   parameters             what comes
       (nothing)                                     the page, for people
       profile                seconds=30, hz=100     a CPU profile, once the seconds are over
       NAME                   debug=0, gc=0          a profile from the list in >>profile
       NAME                   seconds=N              what was added to it in N seconds
       cmdline                                       the arguments, with a NUL between two
       symbol                 0x1f40+0x2a10          names for addresses; or in the body of a POST
       memstats                                      the figures of pl_memstats, a line each
       trace                                         501: there is no tracer

   What an answer says of itself decides what its reader does with it:

       Content-Type             application/octet-stream: scrapers refuse all else. Text is
                                text/plain; charset=utf-8
       Content-Disposition      the name under which a browser saves it; not for text
       X-Content-Type-Options   nosniff: it is what it says, and never a script
       X-Go-Pprof: 1            the body is a message; without it pprof shows the status alone

   Most answers are there at once. Two take their time: a CPU profile, and the difference of a
   profile over some seconds. So that one thread can serve all, a request is a job that is begun,
   and may ask to be finished later; nothing in here ever waits:

       begin ──► status: the answer is there
         │
         └─────► status 0: until due_ns ──► finish ──► the answer
                                │
                                └─────────► abandon: the client has gone

   Invariant: a job with status 0 owns what it has started (the one CPU profile, a copy of the
   values); finish and abandon give it back, and one of them always comes. */

#if PLI_LINUX && !defined(PERFLAB_NO_HTTP)

#define PLI_HTTP_PREFIX "/debug/pprof/"
#define PLI_HTTP_NAME 128               /* letters of a profile's name */
#define PLI_HTTP_HEADERS 14             /* names and values of an answer, and the NULL behind */
#define PLI_HTTP_SECONDS 30             /* of a CPU profile when nobody says; as Go */
#define PLI_HTTP_SECONDS_MAX 1000000000 /* what is longer would not fit into nanoseconds */
#define PLI_HTTP_SYMBOLS ((size_t)16 << 20) /* bytes of names in one answer */
#define PLI_HTTP_HEAP_RATE ((int64_t)512 << 10) /* bytes; Go's */

/* A request that is worked on, and its answer. */
typedef struct pli_http_job {
    int status;                   /* 0: to be finished at due_ns */
    const char *type;             /* of the body */
    const char *extra, *value;    /* one more header; NULL: none */
    bool error;                   /* the body is a message for people, and no profile */
    bool delta;                   /* a difference is being taken; the values are in before */
    uint64_t cpu_start;           /* when the CPU profile began that this job takes; 0: none */
    uint64_t due_ns;
    char name[PLI_HTTP_NAME];     /* of the profile */
    char attached[PLI_HTTP_NAME + 40]; /* how a browser is to call the file; "": shows it */
    const char *header[PLI_HTTP_HEADERS];
    pli_snapshot before;
    pli_bytes body;
} pli_http_job;

/* A handler's view of what was asked, which is gone when the handler returns: what a job needs
   later it keeps itself. `query` is what stands behind the '?', as it came. */
typedef struct pli_http_ask {
    const pl_http_request *request;
    const char *query; /* "" when there is none */
} pli_http_ask;

/* -- Reading addresses -- */

/* Copies text and turns %41 and the like into the bytes they stand for; in queries '+' is a blank:

       "my%20files+2"      in a path "my files+2", in a query "my files 2"
       "%4", "%zz", "%-1"  no byte: false
       "%00"               would end the text early for some and not for others: false

   False, too, when there is no room. */
static bool pli_http_decode(char *out, size_t room, const char *text, size_t size, bool query)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char hex[3] = {0}, *end = hex;
        unsigned char byte = (unsigned char)text[i];
        if (byte == '%' && size - i > 2) {
            memcpy(hex, text + i + 1, 2);
            byte = (unsigned char)strtoul(hex, &end, 16);
            i += 2;
        }
        /* strtoul also takes blanks and signs: the first digit has to be one. */
        bool wrong = hex[0] ? end != hex + 2 || !strchr("0123456789abcdefABCDEF", hex[0])
                            : byte == '%';
        if (wrong || byte == '\0' || used + 1 >= room)
            return false;
        out[used++] = query && text[i] == '+' && !hex[0] ? ' ' : (char)byte;
    }
    out[used] = '\0';
    return true;
}

/* The first value that a query gives a key; false when there is none, or nothing in it. What cannot
   be read is "?", which no parameter means anything by: so that "seconds=%zz" is refused as what it
   is, and not taken for a request without seconds, which would be answered at once. */
static bool pli_http_param(const char *query, const char *key, char *out, size_t room)
{
    out[0] = '\0';
    for (size_t size; *query; query += size + (query[size] == '&')) {
        size = strcspn(query, "&");
        size_t name = strcspn(query, "=&");
        if (name != strlen(key) || strncmp(query, key, name) != 0)
            continue;
        if (name < size && !pli_http_decode(out, room, query + name + 1, size - name - 1, true))
            strcpy(out, "?");
        break;
    }
    return out[0] != '\0';
}

/* A number from the query, 0 when it is none: as Go takes debug= and gc=. Programs that send
   nonsense there have been answered by Go's servers for years. */
static int64_t pli_http_number(const char *query, const char *key)
{
    char text[24];
    int64_t number;
    bool good = pli_http_param(query, key, text, sizeof text) &&
                pli_parse_int64(text, INT32_MIN, INT32_MAX, &number);
    return good ? number : 0;
}

/* -- Answers -- */

/* Ends the job with a message. The body so far is forgotten: it belonged to an answer that did not
   come about. Messages are plain text and end in a line end, so that they look right in a terminal,
   in a browser and below the line that pprof prints. */
static void pli_http_fail(pli_http_job *job, int status, const char *message)
{
    job->body.size = 0;
    job->status = status;
    job->error = true;
    job->attached[0] = '\0';
    job->type = "text/plain; charset=utf-8";
    pli_bytes_text(&job->body, message);
    pli_bytes_byte(&job->body, '\n');
}

/* Ends the job with what is in the body, to be shown as it is. */
static void pli_http_show(pli_http_job *job, const char *type)
{
    job->status = 200;
    job->type = type;
}

/* Ends the job with bytes to be saved under a profile's name: `attachment; filename="heap-delta"`.
   What could end the quoted name early, or the header, is replaced. Today's names have no such
   letters; this is the place that would suffer if they came to. */
static void pli_http_attach(pli_http_job *job, const char *suffix)
{
    snprintf(job->attached, sizeof job->attached, "attachment; filename=\"%s%s\"", job->name,
             suffix);
    char *name = strchr(job->attached, '"') + 1;
    for (char *s = name; s[0] && s[1]; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < ' ' || *s == 0x7f)
            *s = '_';
    job->status = 200;
    job->type = "application/octet-stream";
}

/* Lists what goes before the body, but for its length: names and values in turn, then NULL. The
   length is for whoever sends it to say, since only he knows how the answer is delimited. */
static void pli_http_list_headers(pli_http_job *job)
{
    const char *list[][2] = {
        {"Content-Type", job->type},
        {"X-Content-Type-Options", "nosniff"},
        {"Cache-Control", "no-store"}, /* a profile of a minute ago is no profile of now */
        /* Without it pprof does not show the message. */
        {"X-Go-Pprof", job->error ? "1" : NULL},
        {"Content-Disposition", job->attached[0] ? job->attached : NULL},
        {job->extra, job->value},
    };
    int used = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (int k = 0; k < 2 && list[i][1]; k++)
            job->header[used++] = list[i][k];
    job->header[used] = NULL;
}

/* Text that may hold anything, for a page:

       <b> & "x"      &#60;b&#62; &#38; &#34;x&#34;

   The command line comes from whoever started the program, the Host from whoever asks. As numbers,
   since that is right inside of tags and outside. */
static void pli_http_html(pli_bytes *b, const char *text)
{
    for (; *text; text++) {
        if (strchr("<>&\"'", *text))
            pli_bytes_format(b, "&#%d;", *text);
        else
            pli_bytes_byte(b, (unsigned char)*text);
    }
}

/* A name as part of an address: all that is not a letter, a digit or one of four signs is written
   as its number, as RFC 3986 has it. */
static void pli_http_url(pli_bytes *b, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     strchr("-._~", c);
        if (plain)
            pli_bytes_byte(b, c);
        else
            pli_bytes_format(b, "%%%02X", c);
    }
}

/* -- Profiles by name -- */

/* The profiles whose difference Go offers: of these all values only grow, or it is understood that
   they do not. */
static bool pli_http_has_delta(const char *name)
{
    static const char *const names[] = {"allocs", "block", "goroutine", "heap", "mutex",
                                        "threadcreate"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* What could not be written, in words. */
static void pli_http_fail_profile(pli_http_job *job, pl_result result)
{
    char text[160];
    snprintf(text, sizeof text, "the profile could not be written: %s%s", pl_result_str(result),
             result == PL_INVALID ? ": nothing was collected yet" : "");
    pli_http_fail(job, 500, text);
}

/* ?seconds=N: the values now are kept, and taken off those of N seconds later:

       0 s    snapshot     parse: 100     read: 40
       N s    profile      parse: 130     read: 40     write: 7
              answer       parse: 30                   write: 7      what did not change is left out

   The checks, their order and their texts are Go's. */
static void pli_http_begin_delta(pli_http_job *job, const pli_http_ask *ask, const char *seconds)
{
    int64_t n;
    if (!pli_parse_int64(seconds, 1, INT64_MAX, &n)) {
        pli_http_fail(job, 400, "invalid value for \"seconds\" - must be a positive integer");
        return;
    }
    if (!pli_http_has_delta(job->name)) {
        pli_http_fail(job, 400, "\"seconds\" parameter is not supported for this profile type");
        return;
    }
    if (pli_http_number(ask->query, "debug") != 0) {
        pli_http_fail(job, 400, "seconds and debug params are incompatible");
        return;
    }
    pl_result result = pli_snapshot_take(job->name, &job->before);
    if (result != PL_OK) {
        pli_http_fail_profile(job, result);
        return;
    }
    n = n < PLI_HTTP_SECONDS_MAX ? n : PLI_HTTP_SECONDS_MAX;
    job->delta = true;
    job->due_ns = pl_now_ns() + (uint64_t)n * 1000000000u;
}

/* debug=2 is one stack a thread, or one after the other; what has no such form is shown as with
   debug=1, as in Go. It says so by PL_INVALID, before anything is written. */
static pl_result pli_http_text(pli_http_job *job, int64_t debug)
{
    pli_bytes *body = &job->body;
    pl_result result = debug < 2 ? PL_INVALID : pli_profile_bytes(job->name, 2, false, NULL, body);
    return result == PL_INVALID ? pli_profile_bytes(job->name, 1, false, NULL, body) : result;
}

/* Any registered profile. The CPU profile has an address of its own, and takes its time: under its
   name there is nothing, as in Go. Both ways to ask for a difference and for a profile in one are
   refused further on: which of the two was meant? */
static void pli_http_named(pli_http_job *job, const pli_http_ask *ask)
{
    char seconds[24];
    int64_t debug = pli_http_number(ask->query, "debug");
    if (strcmp(job->name, "cpu") == 0 || !pli_profile_find(job->name)) {
        pli_http_fail(job, 404, "Unknown profile");
        return;
    }
    if (pli_http_param(ask->query, "seconds", seconds, sizeof seconds)) {
        pli_http_begin_delta(job, ask, seconds);
        return;
    }
    if (strcmp(job->name, "heap") == 0 && pli_http_number(ask->query, "gc") > 0)
        pli_os_heap_trim(); /* the nearest there is to a collection: memory goes back */
    pl_result result = debug != 0 ? pli_http_text(job, debug) :
                       pli_profile_bytes(job->name, 0, false, NULL, &job->body);
    if (result != PL_OK)
        pli_http_fail_profile(job, result);
    else if (debug != 0)
        pli_http_show(job, "text/plain; charset=utf-8");
    else
        pli_http_attach(job, "");
}

/* -- The CPU profile --

   There is one sampler, so there is one profile at a time. Whoever asks for a second is told so at
   once: to have him wait his turn would mean that he gets another time than he has asked for. The
   program itself may use the sampler as well, by pl_cpu_start or PERFLAB=cpu=; so each job knows
   its own profile by when that began, and ends no other. */

/* When the CPU profile began that is, or was last, taken; its number, so to say. */
static uint64_t pli_http_cpu_number(void)
{
    pli_lock_take(&pli_cpu.lock);
    uint64_t number = pli_cpu.start_ns;
    pli_lock_give(&pli_cpu.lock);
    return number;
}

/* Why none could be started; the first text is Go's. */
static void pli_http_fail_cpu(pli_http_job *job, pl_result result)
{
    pli_http_fail(job, result == PL_INVALID ? 400 : 500,
                  result == PL_BUSY ?
                  "Could not enable CPU profiling: cpu profiling already in use" :
                  result == PL_INVALID ? "invalid value for \"hz\": write 1 to 10000" :
                  "Could not enable CPU profiling: out of memory");
}

/* Absent, and whatever is no number of seconds, means 30 of them, as in Go. hz= is perflab's own:
   Go is asked for it time and again. */
static void pli_http_cpu(pli_http_job *job, const pli_http_ask *ask)
{
    char text[24];
    int64_t n = PLI_HTTP_SECONDS;
    pl_cpu_desc desc = {.hz = (int)pli_http_number(ask->query, "hz")};
    pli_http_param(ask->query, "seconds", text, sizeof text);
    if (!pli_parse_int64(text, 1, PLI_HTTP_SECONDS_MAX, &n))
        n = PLI_HTTP_SECONDS;
    pl_result result = pl_cpu_start(&desc);
    if (result != PL_OK) {
        pli_http_fail_cpu(job, result);
        return;
    }
    job->cpu_start = pli_http_cpu_number();
    job->due_ns = pl_now_ns() + (uint64_t)n * 1000000000u;
}

/* Ends the profile of this job. The program may have stopped it, and begun one of its own, which
   is left alone. */
static void pli_http_end_cpu(pli_http_job *job)
{
    if (job->cpu_start == pli_http_cpu_number())
        pl_cpu_stop();
    job->cpu_start = 0;
}

/* -- Other addresses -- */

/* Appends a file of unknown size, as those in /proc are. */
static void pli_http_read_file(pli_bytes *out, const char *path)
{
    const size_t step = 4096;
    int fd = pli_os_open(path, O_RDONLY);
    for (ssize_t n = fd >= 0; n > 0;) {
        unsigned char *room = pli_bytes_extend(out, step);
        n = room ? read(fd, room, step) : 0;
        if (room)
            out->size -= step - (n > 0 ? (size_t)n : 0);
    }
    if (fd >= 0)
        close(fd);
}

/* The arguments of the program, with a NUL between two of them: pprof shows them as the title. The
   kernel has one more at the end. */
static void pli_http_cmdline(pli_http_job *job, const pli_http_ask *ask)
{
    (void)ask;
    pli_http_read_file(&job->body, "/proc/self/cmdline");
    while (job->body.size > 0 && job->body.data[job->body.size - 1] == '\0')
        job->body.size--;
    pli_http_show(job, "text/plain; charset=utf-8");
}

/* One address and its name. What is in no module is left out: pprof then shows the number. */
static void pli_http_name(pli_bytes *out, uintptr_t pc)
{
    pl_frame frame;
    if (pl_symbolize((const void *)pc, &frame) != PL_OK)
        return;
    pli_bytes_format(out, "%#" PRIxPTR " ", pc);
    pli_bytes_text(out, frame.function);
    pli_bytes_byte(out, '\n');
}

/* Names for addresses, "0x401000+0x402000", from the query or from the body of a POST:

       num_symbols: 1
       0x401000 parse
       0x402000 main

   pprof sends this when a profile has addresses without names. Of the number it looks only whether
   it is 0, which would mean that there are no names to be had. What is no number is skipped, as are
   addresses that nothing is at. Answers are bounded: a megabyte of addresses in a function with a
   long C++ name would be a gigabyte. */
static void pli_http_symbol(pli_http_job *job, const pli_http_ask *ask)
{
    const pl_http_request *r = ask->request;
    const char *at = r->body ? r->body : ask->query;
    size_t left = r->body ? r->body_size : strlen(at);
    pli_bytes_text(&job->body, "num_symbols: 1\n");
    while (left > 0 && job->body.size < PLI_HTTP_SYMBOLS) {
        char number[32];
        const char *plus = memchr(at, '+', left);
        size_t size = plus ? (size_t)(plus - at) : left;
        snprintf(number, sizeof number, "%.*s", size < sizeof number ? (int)size : 0, at);
        uintptr_t pc = (uintptr_t)strtoull(number, NULL, 0);
        if (pc >= PLI_PC_MARKS)
            pli_http_name(&job->body, pc);
        at += size + (plus != NULL);
        left -= size + (plus != NULL);
    }
    pli_http_show(job, "text/plain; charset=utf-8");
    if (left > 0)
        pli_http_fail(job, 413, "too many addresses for one answer: ask for fewer at a time");
}

/* Nobody would be helped by an empty file of the right kind: the tools would open it, and show that
   nothing has happened. */
static void pli_http_trace(pli_http_job *job, const pli_http_ask *ask)
{
    (void)ask;
    pli_http_fail(job, 501, "execution traces are not available: this program has no tracer");
}

/* "name = value" for each figure, in bytes or numbers, as pl_memstats_write has it: the same list
   makes the struct, that text, this one and the page. */
static void pli_http_memstats(pli_http_job *job, const pli_http_ask *ask)
{
    pl_memstats m;
    (void)ask;
    pl_memstats_read(&m);
#define PLI_HTTP_FIGURE(name, kind, meaning)                                                       \
    pli_bytes_format(&job->body, #name " = %lld\n", (long long)m.name);
    PL_MEMSTATS(PLI_HTTP_FIGURE)
    pli_http_show(job, "text/plain; charset=utf-8");
}

#endif /* PLI_LINUX && !PERFLAB_NO_HTTP */

/* ==== >>page =====================================================================================
   For people: what profiles there are, how much is in them, and the commands to copy.

       ./server --port 80                                        which program this is
       process 4711, up 1:12:09 h, 9 threads ...                 which process of it

       Where the time goes in the next [ 30 ] seconds [take it]  the CPU profile

       Count  Profile                                            all others
          12  block    who waited for other threads ...          file   next 10 s
                       go tool pprof "http://..."                to be copied with one click

       Memory                                                    pl_memstats

   It needs nothing from elsewhere: no scripts, no fonts, no pictures, and the browser is told to
   refuse any (Content-Security-Policy), so that a name that was not escaped would still do nothing.
   Links are relative: they hold behind a proxy that has the page under another address. Colours
   follow the reader's choice of light or dark; on a telephone the columns become lines; and all is
   readable without any style at all.

   Like every page that shows what a program holds, it comes without being kept by anyone
   (Cache-Control: no-store), and may not be shown inside of another site's (frame-ancestors).

   What a reader's click leads to, seen from the page's own address:

       block            block?debug=1          text, in the browser
       file             block                  the protobuf, saved as "block"
       next 10 s        block?seconds=10       saved as "block-delta", when they are over
       take it          profile?seconds=30     a form that is a GET: an address to be kept
       Memory           memstats
       command line     cmdline

   Everything is put together in one buffer, in order, by pieces of text: there is one page, and a
   language for templates would be longer than it. Two things may come from outside, the command
   line and the Host; both go through pli_http_html. */

#if PLI_LINUX && !defined(PERFLAB_NO_HTTP)

/* What profiles are for, in a line: in the words of whoever looks for something, since the names
   are Go's, and a thread is no goroutine. */
static const char *pli_http_describe(const char *name)
{
    static const char *const text[][2] = {
        {"allocs", "who asked for memory, from the start on: the same samples as heap"},
        {"block", "who waited for other threads, and how long"},
        {"goroutine", "the stacks of all threads, as they are now"},
        {"goroutineleak", "threads that nobody will ever wake or join"},
        {"heap", "who holds memory now; add gc=1 to have the allocator tidy up first"},
        {"mutex", "who made others wait: where contended locks were given back"},
        {"threadcreate", "where threads were started"}};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (strcmp(text[i][0], name) == 0)
            return text[i][1];
    return "a profile of the program's own";
}

/* Profiles that collect nothing until they are told to, and how. NULL: it is on, or always is. An
   empty profile looks as if there were nothing to see; so the page says why it is empty. */
static const char *pli_http_off(const char *name)
{
    if (strcmp(name, "block") == 0 && PLI_LOAD(pli_sync.rate) <= 0)
        return "pl_block_rate_set(1)";
    if (strcmp(name, "mutex") == 0 && PLI_LOAD(pli_sync.fraction) <= 0)
        return "pl_mutex_fraction_set(1)";
    return NULL;
}

/* How many entries a profile has now: things where it counts things (threads, files of one's own),
   else stacks. -1: unknown. The view is the one of the profile's own writer, so that the number is
   what the reader will find in it. When a collector cannot be asked its cell is left empty, and the
   rest of the page is as always. */
static int64_t pli_http_count(const pli_profile_source *source)
{
    pli_profile_view view;
    int64_t count = 0;
    size_t at = 0;
    memset(&view, 0, sizeof view);
    view.name = source->name, view.source = source;
    if (source->fill(&view, false) != PL_OK)
        return -1;
    for (pli_site *site; (site = pli_sites_next(view.sites, &at)) != NULL;) {
        bool any = false;
        for (int i = 0; i < view.types; i++)
            any |= pli_view_value(&view, i, site) != 0;
        count += view.types == 1 ? pli_view_value(&view, 0, site) : any;
    }
    if (source->done)
        source->done();
    return count;
}

/* The sources in the order of their names, without the CPU profile; how many. Sorted by insertion:
   there are about ten, and the page is asked for by hand. */
static int pli_http_sort_sources(const pli_profile_source **out, int room)
{
    int count = 0;
    for (const pli_profile_source *s = PLI_LOAD_ACQUIRE(pli_profile_sources); s; s = s->next) {
        if (strcmp(s->name, "cpu") == 0 || count == room)
            continue;
        int at = count++;
        for (; at > 0 && strcmp(out[at - 1]->name, s->name) > 0; at--)
            out[at] = out[at - 1];
        out[at] = s;
    }
    return count;
}

/* A link to a profile in another form. The query is ours; name and text may hold anything. */
static void pli_http_link(pli_bytes *b, const char *name, const char *query, const char *text)
{
    pli_bytes_text(b, "<a href=\"");
    pli_http_url(b, name);
    pli_bytes_text(b, query);
    pli_bytes_text(b, "\">");
    pli_http_html(b, text);
    pli_bytes_text(b, "</a>\n");
}

/* The command for what a line of the page is about. The address is quoted, since shells take a '?'
   for any letter; one click marks all of it (user-select: all). The host is the one under which the
   reader has come, which is right behind a tunnel or a proxy as well. */
static void pli_http_command(pli_bytes *b, const char *host, const char *name, const char *query)
{
    pli_bytes_text(b, "<code>go tool pprof \"http://");
    pli_http_html(b, host);
    pli_bytes_text(b, PLI_HTTP_PREFIX);
    pli_http_url(b, name);
    pli_bytes_text(b, query);
    pli_bytes_text(b, "\"</code>\n");
}

/* A line of the table: count, name, what it is for, its forms, its command. The name leads to the
   text, which a browser can show, "file" to the bytes, which it saves. */
static void pli_http_row(pli_bytes *b, const pli_profile_source *source, const char *host)
{
    const char *name = source->name, *off = pli_http_off(name);
    int64_t count = pli_http_count(source);
    pli_bytes_text(b, "<tr><td class=n>");
    if (count >= 0)
        pli_bytes_format(b, "%lld", (long long)count);
    pli_bytes_text(b, "</td><td>");
    pli_http_link(b, name, "?debug=1", name);
    pli_bytes_text(b, "</td><td>");
    pli_bytes_text(b, pli_http_describe(name));
    if (off) {
        pli_bytes_text(b, "<br><em>off: switch it on with <b>");
        pli_bytes_text(b, off);
        pli_bytes_text(b, "</b></em>");
    }
    pli_bytes_text(b, "<br>");
    pli_http_command(b, host, name, "");
    pli_bytes_text(b, "</td><td>");
    pli_http_link(b, name, "", "file");
    if (pli_http_has_delta(name))
        pli_http_link(b, name, "?seconds=10", "next 10 s");
    pli_bytes_text(b, "</td></tr>\n");
}

/* How the page looks: one column, the colours of the reader's choice, figures under figures. Five
   colours have names, and are the only thing that light and dark differ in. */
static const char pli_http_style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--paper:#fff;--box:#f4f6f8;"
    "--line:#d5dbe1;--link:#0a58ca}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4af;--paper:#15181c;"
    "--box:#1f242a;--line:#343b43;--link:#7db4ff}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:2rem 0 .5rem}\n"
    "p{margin:.4rem 0}.soft,em,th{color:var(--soft);font-style:normal;font-weight:normal}\n"
    "a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}\n"
    "table{border-collapse:collapse;width:100%}th{text-align:left}\n"
    "td,th{padding:.5rem .7rem .5rem 0;border-bottom:1px solid var(--line);vertical-align:top}\n"
    "td:last-child{white-space:nowrap}a+a{margin-left:.7rem}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "code{font:12.5px/1.4 ui-monospace,monospace;background:var(--box);padding:.15rem .4rem;"
    "border-radius:4px;user-select:all;overflow-wrap:anywhere}\n"
    "form{background:var(--box);padding:.8rem;border-radius:6px}\n"
    "input,button{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--line);"
    "border-radius:4px;padding:.15rem .5rem}input{width:5rem}\n"
    ".m{columns:2;column-gap:3rem;list-style:none;padding:0}"
    ".m li{display:flex;justify-content:space-between;border-bottom:1px solid var(--line)}\n"
    "@media(max-width:40rem){tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}"
    "td,th{display:inline;border:0;padding-right:.4rem}.m{columns:1}}\n";

/* Seconds since the process was started; -1 where the kernel does not say. Its line in /proc has
   the name in brackets, and that may hold anything, brackets too: fields are counted from the last
   one on. The 20th behind it is the start, in ticks since the machine was started:

       4711 (a ) b) S 1 4711 ... 20 0 9 0 8812345 ...
                  └──────── 19 fields ────────┘ */
static int64_t pli_http_uptime(void)
{
    char text[1024];
    unsigned long long ticks;
    const char *after = pli_os_read_file("/proc/self/stat", text, sizeof text) == PL_OK ?
                        strrchr(text, ')') : NULL;
    if (!after || sscanf(after + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                         "%*s %*s %*s %*s %llu", &ticks) != 1)
        return -1;
    uint64_t boot = pli_os_clock_ns_sig(CLOCK_BOOTTIME) / 1000000000u;
    return (int64_t)boot - (int64_t)(ticks / (unsigned long long)sysconf(_SC_CLK_TCK));
}

/* What process this is: the command as it was given, and what a person asks first. Of several with
   the same command, number and age tell which one this is. */
static void pli_http_facts(pli_bytes *b)
{
    pli_bytes command = {NULL, 0, 0, false};
    int64_t up = pli_http_uptime();
    pli_http_read_file(&command, "/proc/self/cmdline");
    for (size_t i = 0; i + 1 < command.size; i++)
        command.data[i] = command.data[i] ? command.data[i] : ' ';
    pli_bytes_byte(&command, '\0');
    pli_bytes_text(b, "<h1>");
    pli_http_html(b, command.failed ? "" : (const char *)command.data);
    pli_bytes_format(b, "</h1>\n<p class=soft>process %d", (int)getpid());
    if (up >= 0)
        pli_bytes_format(b, ", up %lld:%02d:%02d h", (long long)(up / 3600), (int)(up / 60 % 60),
                         (int)(up % 60));
    pli_bytes_format(b, ", %d threads, %.2f s of CPU time, perflab %s</p>\n",
                     pli_os_numbers("/proc/self/task", NULL, 0),
                     (double)pl_process_cpu_ns() / 1e9, pl_version());
    pli_bytes_free(&command);
}

/* A number with a narrow gap after each three digits: bytes have nine and more. 1234567 is shown as
   1 234 567, and -1234 as -1 234. No comma or point: what these mean depends on who reads. */
static void pli_http_digits(pli_bytes *b, int64_t value)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long)value);
    for (int i = 0; i < size; i++) {
        bool gap = i > 0 && (size - i) % 3 == 0 && text[i - 1] != '-';
        pli_bytes_text(b, gap ? "&#8239;" : "");
        pli_bytes_byte(b, (unsigned char)text[i]);
    }
}

/* The figures of the heap; what each means is shown when the mouse rests on it. */
static void pli_http_list_memstats(pli_bytes *b)
{
    pl_memstats m;
    pl_memstats_read(&m);
    pli_bytes_text(b, "<h2><a href=memstats>Memory</a></h2>\n<ul class=m>\n");
#define PLI_HTTP_ITEM(name, kind, meaning)                                                         \
    pli_bytes_text(b, "<li title=\"" meaning "\"><span>" #name "</span>");                         \
    pli_bytes_text(b, "<span class=n>");                                                           \
    pli_http_digits(b, m.name);                                                                    \
    pli_bytes_text(b, "</span></li>\n");
    PL_MEMSTATS(PLI_HTTP_ITEM)
    pli_bytes_text(b, "</ul>\n");
}

/* The whole page, from top to bottom. "Types of profiles available:" is what Go's page says and
   what its own test looks for; scripts that look whether a page is this one do so, too. */
static void pli_http_index(pli_http_job *job, const pli_http_ask *ask)
{
    const pli_profile_source *sources[64];
    const char *host = ask->request->host ? ask->request->host : "localhost:6060";
    pli_bytes *b = &job->body;
    int count = pli_http_sort_sources(sources, 64);
    pli_bytes_text(b, "<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
                   "<meta name=viewport content=\"width=device-width\">\n"
                   "<title>" PLI_HTTP_PREFIX "</title>\n<style>\n");
    pli_bytes_text(b, pli_http_style);
    pli_bytes_text(b, "</style>\n</head>\n<body>\n");
    pli_http_facts(b);
    pli_bytes_text(b, "<h2>CPU profile</h2>\n<form action=profile>Where the time goes in the next "
                   "<input name=seconds type=number min=1 max=3600 value=30> seconds: "
                   "<button>take it</button>\n<br>");
    pli_http_command(b, host, "profile", "?seconds=30");
    pli_bytes_text(b, "</form>\n<h2>Types of profiles available:</h2>\n<table>\n<tr><th class=n>"
                   "Count</th><th>Profile</th><th></th><th></th></tr>\n");
    for (int i = 0; i < count; i++)
        pli_http_row(b, sources[i], host);
    pli_bytes_text(b, "</table>\n<p>");
    if (pli_profile_find("goroutine"))
        pli_http_link(b, "goroutine", "?debug=2", "full stacks of all threads");
    pli_http_link(b, "cmdline", "", "command line");
    pli_bytes_text(b, "</p>\n");
    pli_http_list_memstats(b);
    pli_bytes_text(b, "</body>\n</html>\n");
    pli_http_show(job, "text/html; charset=utf-8");
    job->extra = "Content-Security-Policy";
    job->value = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
                 "base-uri 'none'; frame-ancestors 'none'";
}

#endif /* PLI_LINUX && !PERFLAB_NO_HTTP */

/* ==== >>request ==================================================================================
   What a client sends, up to the moment at which it is known to be a request that may be answered.
   Whoever listens at a port gets everything: scanners, browsers, other protocols, and those who try
   what happens. So what is read here is checked to the letter, and what is not understood is
   refused with a line that says what would be.

       GET /debug/pprof/heap?debug=1 HTTP/1.1\r\n       method, target, version
       Host: localhost:6060\r\n                         who is asked: see below
       Authorization: Bearer k3yw0rd\r\n                who asks
       Content-Length: 0\r\n                            how much follows
       \r\n                                             the end of the head

   The head is copied into the connection, where it lies still, and cut into words in place: each
   line end, and each blank that matters, becomes a NUL. Nothing is allocated for it.

       400   no request, or one that two readers could understand differently: a blank before a
             colon, two lengths, two Hosts, control characters. Between a proxy that reads it one
             way and a server that reads it the other, a second request can be smuggled.
       401   the token is missing or wrong
       403   the Host is not ours
       411   a body without a length
       413   a body of more than 1 MiB: only lists of addresses have one
       431   a head of more than 8 KiB: those of browsers with many cookies have 4
       505   not HTTP/1

   Who may ask: the server listens on loopback unless told otherwise. But a page of any web site may
   have a browser on this machine ask it, under a name of that site's own which suddenly leads here
   (DNS rebinding):

       page of http://evil.example  ──► GET / Host: evil.example ──► 127.0.0.1:6060
                        ▲                                                 │
                        └── may read the answer: it has the page's name ──┘

   The only trace of that is the Host header, which pages cannot change. So it has to be an address,
   localhost, or a name that the program has listed. */

#if PLI_LINUX && !defined(PERFLAB_NO_HTTP)

#define PLI_HTTP_HEAD ((size_t)8 << 10) /* bytes of a request without its body */
#define PLI_HTTP_BODY ((size_t)1 << 20)
#define PLI_HTTP_TOKEN 256
#define PLI_HTTP_HOSTS 1024             /* bytes of all names together */

/* -- A request from its begin to its end --

       /debug/pprof/heap?debug=1
       └── prefix ──┘└┬─┘ └──┴─── query: as it came
                     └── name: a page of its own, else a profile from the list

   All that is decided here is decided for both ways in: the server's, and pl_http_handle's. */

/* The addresses behind the prefix that are no profile in the list. A further one is a line here and
   a function above. */
static const struct {
    const char *name;
    void (*begin)(pli_http_job *job, const pli_http_ask *ask);
} pli_http_pages[] = {
    {"", pli_http_index}, {"cmdline", pli_http_cmdline}, {"profile", pli_http_cpu},
    {"symbol", pli_http_symbol}, {"trace", pli_http_trace}, {"memstats", pli_http_memstats}};

/* Hands the request to who is named behind the prefix. These come before profiles: a profile of the
   program's own could have the name of one of them, and would still be in the list. */
static void pli_http_route(pli_http_job *job, const pli_http_ask *ask)
{
    for (size_t i = 0; i < sizeof pli_http_pages / sizeof *pli_http_pages; i++) {
        if (strcmp(pli_http_pages[i].name, job->name) == 0) {
            pli_http_pages[i].begin(job, ask);
            return;
        }
    }
    pli_http_named(job, ask);
}

/* Elsewhere. The prefix without its last slash would break the links on the page, which are
   relative. Go says 301 (for ever) there; "/" is perflab's own, and 302, since a program may put
   something of its own there one day. */
static void pli_http_redirect(pli_http_job *job, int status)
{
    pli_http_fail(job, status, "the profiles are at " PLI_HTTP_PREFIX);
    job->error = false;
    job->extra = "Location";
    job->value = PLI_HTTP_PREFIX;
}

/* Only lists of addresses may be posted: all else is asked for. HEAD is GET; who sends the answer
   leaves the body out. Methods are words in capitals: "get" is another one, which nobody knows. */
static bool pli_http_allows(pli_http_job *job, const char *method, const char *path)
{
    bool symbol = strcmp(path, PLI_HTTP_PREFIX "symbol") == 0;
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
        (symbol && strcmp(method, "POST") == 0))
        return true;
    pli_http_fail(job, 405, symbol ? "only GET, HEAD and POST are answered here" :
                  "only GET and HEAD are answered here");
    job->extra = "Allow";
    job->value = symbol ? "GET, HEAD, POST" : "GET, HEAD";
    return false;
}

/* Begins a zeroed job. The path is decoded before it is looked at, as clients may write any letter
   as its number; the query is not, since there a %26 is part of a value and a & ends one. */
static void pli_http_begin(pli_http_job *job, const pl_http_request *request)
{
    char path[sizeof PLI_HTTP_PREFIX - 1 + PLI_HTTP_NAME];
    const char *method = request->method ? request->method : "GET";
    size_t size = strcspn(request->target, "?"), prefix = strlen(PLI_HTTP_PREFIX);
    pli_http_ask ask = {request, request->target + size + (request->target[size] == '?')};
    if (request->target[0] != '/' ||
        !pli_http_decode(path, sizeof path, request->target, size, false)) {
        pli_http_fail(job, 400, "the address is too long, has a wrong % in it, or does not begin "
                      "with a slash");
    } else if (pli_http_allows(job, method, path)) {
        if (strncmp(path, PLI_HTTP_PREFIX, prefix) == 0) {
            snprintf(job->name, sizeof job->name, "%s", path + prefix);
            pli_http_route(job, &ask);
        } else if (strcmp(path, "/") == 0 || strcmp(path, "/debug/pprof") == 0) {
            pli_http_redirect(job, path[1] ? 301 : 302);
        } else {
            pli_http_fail(job, 404, "there is nothing here: the profiles are at " PLI_HTTP_PREFIX);
        }
    }
}

/* The time is over: what was begun is written. A CPU profile that the program itself has stopped
   meanwhile is still there, and is the right one; if the program has begun another, that one is
   shown as far as it has come, which its duration tells. */
static void pli_http_finish(pli_http_job *job)
{
    bool delta = job->delta;
    if (!delta)
        pli_http_end_cpu(job);
    pl_result result = pli_profile_bytes(delta ? job->name : "cpu", 0, false,
                                         delta ? &job->before : NULL, &job->body);
    if (delta)
        pli_snapshot_free(&job->before);
    job->delta = false;
    if (result == PL_OK)
        pli_http_attach(job, delta ? "-delta" : "");
    else
        pli_http_fail_profile(job, result);
}

/* Nobody waits for the answer any more. The sampler is free for the next one at once: somebody who
   interrupts pprof does so to ask for something else. */
static void pli_http_abandon(pli_http_job *job)
{
    if (job->cpu_start)
        pli_http_end_cpu(job);
    if (job->delta)
        pli_snapshot_free(&job->before);
    job->delta = false;
    pli_http_fail(job, 500, "the client has gone");
}

/* The last step to any answer. What could not be put together for want of memory is a message in
   its place, which needs one page. */
static void pli_http_complete(pli_http_job *job)
{
    if (job->body.failed) {
        pli_bytes_free(&job->body);
        pli_http_fail(job, 500, "out of memory");
    }
    pli_http_list_headers(job);
}

/* Go's programs have all their profiles from the start on. So what would register itself when it is
   first switched on does so now, and the heap's is switched on, as Go's is; once, so that a program
   can switch it off again. */
static void pli_http_prepare(void)
{
    static uint32_t prepared;
    if (__atomic_exchange_n(&prepared, 1, __ATOMIC_ACQ_REL))
        return;
    pli_sync_offer();
    if (PLI_LOAD(pli_heap.rate) == 0)
        pl_heap_rate_set(PLI_HTTP_HEAP_RATE);
}

/* Has the job finished when it is due, or abandoned when the client has gone: for servers that have
   a thread for each request. They can only be asked, so that is done ten times a second. */
static void pli_http_wait(pli_http_job *job, const pl_http_request *request)
{
    const uint64_t look_ns = 100000000;
    for (uint64_t now; (now = pl_now_ns()) < job->due_ns && job->status == 0;) {
        uint64_t ns = job->due_ns - now < look_ns ? job->due_ns - now : look_ns;
        struct timespec pause = {0, (long)ns};
        nanosleep(&pause, NULL);
        if (request->gone && request->gone(request->user))
            pli_http_abandon(job);
    }
    if (job->status == 0)
        pli_http_finish(job);
}

/* The job is the answer's memory: its headers point into it, so it stays until the answer is given
   back. From the system, not from malloc, which may be what is being looked into. */
pl_result pl_http_handle(const pl_http_request *request, pl_http_response *response)
{
    if (!request || !response || !request->target)
        return PL_INVALID;
    memset(response, 0, sizeof *response);
    pli_http_job *job = pli_os_map(sizeof *job);
    if (!job)
        return PL_NOMEM;
    pli_http_prepare();
    pli_http_begin(job, request);
    if (job->status == 0)
        pli_http_wait(job, request);
    pli_http_complete(job);
    *response = (pl_http_response){job->status, job->header, job->body.data, job->body.size, job};
    return PL_OK;
}

void pl_http_response_free(pl_http_response *response)
{
    pli_http_job *job = response->job;
    if (!job)
        return;
    pli_bytes_free(&job->body);
    munmap(job, sizeof *job);
    memset(response, 0, sizeof *response);
}

/* What the head of a request says; texts lie in the connection's copy of it. */
typedef struct pli_http_head {
    char *method, *target, *host, *authorization;
    size_t body_size;
    int minor, hosts;    /* HTTP/1.minor; how often Host was given */
    bool keep;           /* the connection stays */
    bool expects;        /* the client waits for a word before it sends the body */
    int wrong;           /* the status to refuse it with; 0: it is in order */
    const char *why;
} pli_http_head;

/* Who may ask; fixed when the server is started. */
typedef struct pli_http_guard {
    bool local;                 /* a Unix socket: no browser gets there */
    bool beyond;                /* listens on more than loopback */
    char token[PLI_HTTP_TOKEN]; /* "": none */
    char hosts[PLI_HTTP_HOSTS]; /* names, each with its NUL, and one more at the end */
} pli_http_guard;

/* -- Reading requests -- */

/* Notes what is wrong with a request; the first thing counts, since what comes after may only
   follow from it. The connection is closed then: where the next request begins is not certain any
   more. */
static void pli_http_refuse(pli_http_head *h, int status, const char *why)
{
    if (h->wrong)
        return;
    h->wrong = status;
    h->why = why;
    h->keep = false;
}

/* Where a head ends, behind its empty line; 0: not yet. Lines may end without the CR, as the RFC
   allows and as people type them. */
static size_t pli_http_head_size(const unsigned char *text, size_t size)
{
    const unsigned char *end = text + size;
    for (const unsigned char *at = text; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;) {
        at++;
        if (at < end && *at == '\n')
            return (size_t)(at + 1 - text);
        if (at + 1 < end && at[0] == '\r' && at[1] == '\n')
            return (size_t)(at + 2 - text);
    }
    return 0;
}

/* "GET /debug/pprof/ HTTP/1.1": three words with exactly one blank between two of them. On failure
   method and target are the empty text at the end, so that nobody has to ask whether there are any.
   HTTP/1.1 keeps the connection unless told otherwise, HTTP/1.0 closes it. */
static void pli_http_parse_first(pli_http_head *h, char *line)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    h->method = h->target = line + strlen(line);
    if (!version || target == line || version == target + 1 ||
        strncmp(version + 1, "HTTP/", 5) != 0) {
        pli_http_refuse(h, 400, "the first line has to be: METHOD /address HTTP/1.1");
        return;
    }
    *target++ = *version++ = '\0';
    h->method = line, h->target = target;
    bool one = strncmp(version, "HTTP/1.", 7) == 0 && version[7] >= '0' && version[7] <= '9';
    if (!one || version[8])
        pli_http_refuse(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    else
        h->minor = version[7] != '0'; /* 1.2, if it ever comes, is meant to be understood as 1.1 */
    h->keep = !h->wrong && h->minor == 1;
}

/* Whether a list such as "keep-alive, Upgrade" has the word, whatever its capitals. */
static bool pli_http_lists(const char *list, const char *word)
{
    for (size_t size; *list; list += size) {
        list += strspn(list, ", \t");
        size = strcspn(list, ", \t");
        if (size == strlen(word) && strncasecmp(list, word, size) == 0)
            return true;
    }
    return false;
}

/* How long the body is. Digits only: "+5", " 5" and "5, 5" are read as 5 by some and refused by
   others. Two lengths that differ would be two requests to one reader and one to the next. */
static void pli_http_parse_length(pli_http_head *h, const char *value)
{
    int64_t size;
    bool again = h->body_size > 0;
    if (!(*value >= '0' && *value <= '9') || !pli_parse_int64(value, 0, INT64_MAX, &size) ||
        (again && (uint64_t)size != h->body_size))
        pli_http_refuse(h, 400, "Content-Length has to be one number");
    else if ((uint64_t)size > PLI_HTTP_BODY)
        pli_http_refuse(h, 413, "the body is too long: at most 1048576 bytes are taken");
    else
        h->body_size = (size_t)size;
}

/* A header that matters here; all others are none of our business: browsers send a dozen. Bodies in
   chunks (Transfer-Encoding) are refused, as nobody who asks for profiles has to send one. */
static void pli_http_parse_field(pli_http_head *h, const char *name, char *value)
{
    if (strcasecmp(name, "Host") == 0) {
        h->host = value;
        h->hosts++;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        pli_http_parse_length(h, value);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        pli_http_refuse(h, 411, "Transfer-Encoding is not understood: send a Content-Length");
    } else if (strcasecmp(name, "Authorization") == 0) {
        h->authorization = value;
    } else if (strcasecmp(name, "Expect") == 0) {
        h->expects = strcasecmp(value, "100-continue") == 0;
    } else if (strcasecmp(name, "Connection") == 0) {
        if (pli_http_lists(value, "close"))
            h->keep = false;
        else if (pli_http_lists(value, "keep-alive"))
            h->keep = !h->wrong;
    }
}

/* "Name: value", without the blanks around the value. A blank before the colon, or at the front of
   a line (which once continued the line before), is how requests are smuggled: an error. */
static void pli_http_parse_line(pli_http_head *h, char *line)
{
    char *colon = strchr(line, ':');
    size_t name = strcspn(line, ": \t");
    if (!colon || name == 0 || line + name != colon) { /* the first of ':', ' ' and tab is ':' */
        pli_http_refuse(h, 400, "a header line has to be: Name: value");
        return;
    }
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t size = strlen(value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        value[--size] = '\0';
    pli_http_parse_field(h, line, value);
}

/* Reads a whole head, which it cuts into words:

       before   G E T   /   H T T P / 1 . 1 CR LF H o s t :   x CR LF CR LF
       after    G E T 0 / 0 H T T P / 1 . 1 0  LF H o s t 0   x 0  0  0  0

   Of its bytes only the ends of lines and tabs may be control characters. A NUL among them would
   end a word here that goes on elsewhere; others could play tricks with the terminal that shows
   them. */
static void pli_http_parse(pli_http_head *h, char *text, size_t size)
{
    bool first = true, control = memchr(text, '\0', size) != NULL; /* before it is cut */
    memset(h, 0, sizeof *h);
    text[size] = '\0';
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        for (const char *s = line; *s; s++)
            control |= ((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f;
        if (first)
            pli_http_parse_first(h, line);
        else if (*line)
            pli_http_parse_line(h, line);
        first = false;
    }
    if (control)
        pli_http_refuse(h, 400, "there is a control character in the request");
    if (h->hosts == 0 && h->minor == 1)
        pli_http_refuse(h, 400, "there has to be a Host header");
    if (h->hosts > 1)
        pli_http_refuse(h, 400, "there may be only one Host header");
}

/* -- Who may ask --

   In this order: is the Host ours, is the token right. A web site that has lured a browser here is
   not even told that there is a token. */

/* Copies the name or number from "name:port" or "[number]:port"; "" when it is neither. Numbers of
   IPv6 have colons in them, hence the brackets. The port is not compared: a tunnel or a container
   may have given it another one. */
static void pli_http_host_name(char *out, size_t room, const char *host)
{
    bool bracket = host[0] == '[';
    const char *begin = host + bracket;
    size_t size = strcspn(begin, bracket ? "]" : ":");
    out[0] = '\0';
    if (size >= room || (bracket && begin[size] != ']'))
        return; /* "" is none of the names that are allowed */
    const char *rest = begin + size + bracket;
    if (*rest && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")]))
        return;
    memcpy(out, begin, size);
    out[size] = '\0';
}

/* Whether a text is an address: 2 of loopback, 1 of anything else, 0 none.

       2   127.0.0.0/8   ::1   ::ffff:127.0.0.0/104 (IPv4, as IPv6 writes it)
       1   10.0.0.7   fe80::1   0.0.0.0, which means all of this machine's
       0   localhost   127.1 (some readers take it, browsers send it in full) */
static int pli_http_address_kind(const char *text)
{
    unsigned char b[16];
    static const unsigned char one[16] = {[15] = 1}, mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET, text, b) == 1)
        return b[0] == 127 ? 2 : 1;
    if (inet_pton(AF_INET6, text, b) != 1)
        return 0;
    bool local = memcmp(b, one, 16) == 0 || (memcmp(b, mapped, 12) == 0 && b[12] == 127);
    return local ? 2 : 1;
}

/* Whether the Host that was asked for is one of ours. An address is right by itself: a page that
   was loaded from an address can only be of whoever has it. But one of another machine is no name
   of a server that listens on loopback alone. Names are compared whole, so that
   localhost.evil.example is not localhost. */
static bool pli_http_host_allowed(const pli_http_guard *g, const char *host)
{
    char name[256];
    if (g->local || !host)
        return true; /* HTTP/1.0 may come without: browsers never do */
    pli_http_host_name(name, sizeof name, host);
    int kind = pli_http_address_kind(name);
    bool allowed = strcasecmp(name, "localhost") == 0 || kind == 2 || (kind == 1 && g->beyond);
    for (const char *each = g->hosts; *each && !allowed; each += strlen(each) + 1)
        allowed = strcasecmp(name, each) == 0 || strcmp(each, "*") == 0;
    return allowed;
}

/* Compares in a time that says nothing of how much was right: with an early end, somebody could
   find the token letter by letter, by which first letters take longest. It depends on the length of
   what was given alone, which whoever gave it knows. */
static bool pli_http_same_secret(const char *given, size_t size, const char *token)
{
    size_t length = strlen(token);
    unsigned different = size != length;
    for (size_t i = 0; i < size; i++)
        different |= (unsigned char)given[i] ^ (unsigned char)token[length ? i % length : 0];
    return different == 0;
}

/* Reads base64 up to its end or its padding; how many bytes, at most room. Four digits of 6 bits
   are three bytes: "b3Blbg==" is "open". What is no digit ends it: it can only make a token wrong.
   */
static size_t pli_http_base64(char *out, size_t room, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t used = 0;
    const char *digit;
    for (int count = 0; *text && (digit = strchr(digits, *text)) != NULL; text++) {
        bits = bits << 6 | (uint32_t)(digit - digits);
        count += 6;
        if (count >= 8 && used < room)
            out[used++] = (char)(bits >> (count - 8));
        count -= count >= 8 ? 8 : 0;
    }
    return used;
}

/* "Bearer TOKEN"; or "Basic" with the token as password, whatever the user:

       Authorization: Bearer open sesame
       Authorization: Basic YW55Om9wZW4gc2VzYW1l          any:open sesame

   The second one is what browsers send when they have asked their user, and the only one that
   `go tool pprof http://any:TOKEN@host/...` has. */
static bool pli_http_token_given(const char *authorization, const char *token)
{
    char pair[2 * PLI_HTTP_TOKEN];
    if (!authorization)
        return false;
    size_t scheme = strcspn(authorization, " ");
    const char *value = authorization + scheme + strspn(authorization + scheme, " ");
    if (scheme == 6 && strncasecmp(authorization, "Bearer", 6) == 0)
        return pli_http_same_secret(value, strlen(value), token);
    if (scheme != 5 || strncasecmp(authorization, "Basic", 5) != 0)
        return false;
    size_t size = pli_http_base64(pair, sizeof pair, value);
    const char *colon = memchr(pair, ':', size);
    return colon && pli_http_same_secret(colon + 1, (size_t)(pair + size - colon - 1), token);
}

#else /* !PLI_LINUX || PERFLAB_NO_HTTP */

pl_result pl_http_handle(const pl_http_request *request, pl_http_response *response)
{
    (void)request, (void)response;
    return PL_UNSUPPORTED;
}

void pl_http_response_free(pl_http_response *response)
{
    (void)response;
}

#endif /* PLI_LINUX && !PERFLAB_NO_HTTP */

/* ==== >>server ===================================================================================
   A small HTTP server for >>http: one thread, one poll, nothing that waits. It must never hold up
   the program, nor be held up by those who ask: whatever they send, memory, connections and time
   are bounded. A connection is in one of four states:

                 ┌─────────────── the answer is out; keep-alive ───────────────┐
                 ▼                                                             │
     accept ─► READ ── request complete, answer there ─────────────────────► WRITE
                 │                                                           ▲ │
                 └── answer due later ──► WAIT ── finished ──────────────────┘ │
                                           │                                   ▼
                                           └─ client gone: abandoned         DRAIN ─► closed

       READ    bytes come in; a request that is not complete after 10 s is given up
       WAIT    a profile is being taken; the client is watched, and may not send
       WRITE   bytes go out; a client that takes nothing for 30 s is given up
       DRAIN   the last answer is out. To close at once, with bytes unread, would have the kernel
               tell the client of an error, and it might never see the answer.

   Three clients, and what the thread does; it sleeps in between:

       time   A: profile?seconds=10      B: heap                 C: half a request, then nothing
       0 s    READ, sampler on, WAIT     -                       READ
       3 s    WAIT                       READ, answer, WRITE     READ
       10 s   sampler off, WRITE         READ (idle)             408, WRITE, DRAIN, closed

   What one client can take from the program:

       memory        8 KiB of head, 1 MiB of body, one answer; idle connections have none
       connections   32 for all; one more takes the place of the one idle longest, or, when all are
                     at work, is told to come again
       time          that of one answer at a time: a profile is encoded on this thread, in some ms
       requests      as many as it likes, one after the other; those that come before the last one
                     is answered (pipelining) stay in the buffer, then in the kernel's, and then
                     the client cannot send any more

   The thread is perflab's own: thread profiles and leak checks leave it out, as they do its
   descriptors. It takes no signals but SIGPROF, so that its own time is in a CPU profile: that is
   part of what the program costs, too. A fork's child has no server.

   Invariant: only the thread touches connections; start and stop, under pli_http.lock, touch them
   while it does not run. */

#if PLI_LINUX && !defined(PERFLAB_NO_HTTP)

/* Go's own clients wait for 1.5 times the seconds that they have asked for, and scrapers come every
   10 to 60 s, on a connection that they keep: so idle ones stay for two minutes. Nobody needs 10 s
   for a request of some 200 bytes. */
#define PLI_HTTP_CONNECTIONS 32
#define PLI_HTTP_HEAD_OUT 1024          /* of an answer: all of it is ours, and short */
#define PLI_HTTP_S ((uint64_t)1000000000)
#define PLI_HTTP_READ_NS (10 * PLI_HTTP_S)   /* for a request, from its first byte */
#define PLI_HTTP_IDLE_NS (120 * PLI_HTTP_S)  /* from an answer to the next request's first byte */
#define PLI_HTTP_WRITE_NS (30 * PLI_HTTP_S)  /* for any progress of an answer */
#define PLI_HTTP_DRAIN_NS (1 * PLI_HTTP_S)   /* for the client to close its end */
#define PLI_HTTP_PAUSE_NS (PLI_HTTP_S / 10) /* before accept is tried again when it has failed */

enum { PLI_HTTP_FREE, PLI_HTTP_READ, PLI_HTTP_WAIT, PLI_HTTP_WRITE, PLI_HTTP_DRAIN };

/* A place for a connection. It has room for a head each way, so that only bodies need memory of
   their own; pages that were never used cost nothing. */
typedef struct pli_http_conn {
    int fd;                         /* -1: none */
    int state;                      /* PLI_HTTP_FREE and so on */
    uint64_t deadline_ns, since_ns; /* given up at; its last change of state */
    bool fresh;                     /* there are bytes in `in` that nobody has looked at yet */
    bool parsed;                    /* the head is read, and the body awaited */
    pli_http_head head;             /* of the request that is worked on; points into text */
    size_t out_size;                /* of the answer's head */
    size_t sent;                    /* of head and body together */
    char text[PLI_HTTP_HEAD + 1];   /* the head of the request, cut into words */
    char out[PLI_HTTP_HEAD_OUT];    /* the head of the answer */
    pli_bytes in;                   /* what has come behind that head: a body, further requests */
    pli_http_job job;
} pli_http_conn;

/* A server that runs. */
typedef struct pli_http_server {
    int listener;                /* where clients come in */
    int waker;                   /* eventfd: has poll return when the server is to stop */
    uint64_t accept_ns;          /* not before then */
    pli_http_guard guard;
    pli_http_conn conn[PLI_HTTP_CONNECTIONS];
} pli_http_server;

/* What is known of it outside of its thread. */
static struct {
    pli_lock lock;
    pli_http_server *server; /* NULL: none runs */
    pthread_t thread;
    uint32_t stop;           /* atomic */
    int port;                /* 0: none, or a Unix socket; atomic */
    int pid;                 /* whose path it is: a fork's child removes nothing */
    bool watching;           /* forks */
    char path[108];          /* of a Unix socket; "": none */
    uint64_t path_file;      /* which file that was: it may be another's by now */
} pli_http;

/* -- Requests and answers -- */

/* Begins the job of a request that has arrived, unless it is to be refused. What is refused has its
   answer at once, so that the state is WRITE next in any case but one: a profile that takes time.
   */
static void pli_http_admit(const pli_http_server *s, pli_http_conn *c)
{
    const pli_http_head *h = &c->head;
    pl_http_request request = {.method = h->method, .target = h->target, .host = h->host,
                               .body = h->body_size ? (const char *)c->in.data : NULL,
                               .body_size = h->body_size};
    if (h->wrong) {
        pli_http_fail(&c->job, h->wrong, h->why);
    } else if (!pli_http_host_allowed(&s->guard, h->host)) {
        pli_http_fail(&c->job, 403, "this Host is not known here: ask for localhost or 127.0.0.1, "
                      "or have the program list the name in pl_http_desc.hosts");
    } else if (s->guard.token[0] && !pli_http_token_given(h->authorization, s->guard.token)) {
        pli_http_fail(&c->job, 401, "a token is needed: send Authorization: Bearer TOKEN");
        c->job.extra = "WWW-Authenticate";
        c->job.value = "Basic realm=\"perflab\", Bearer";
    } else {
        pli_http_begin(&c->job, &request);
    }
}

/* -- Connections -- */

/* Changes the state; it may last until `ns` from now. Every state has an end: there is no way for a
   connection to be forgotten. */
static void pli_http_turn(pli_http_conn *c, int state, uint64_t ns)
{
    c->state = state;
    c->since_ns = pl_now_ns();
    c->deadline_ns = c->since_ns + ns;
}

/* Ends a connection, whatever it was doing, and gives back all that it had. A CPU profile that it
   was waiting for ends with it. */
static void pli_http_drop(pli_http_conn *c)
{
    if (c->state == PLI_HTTP_WAIT)
        pli_http_abandon(&c->job); /* the sampler, or the copy of a profile */
    pli_bytes_free(&c->job.body);
    pli_bytes_free(&c->in);
    pli_fd_close_own(c->fd);
    c->fd = -1;
    c->state = PLI_HTTP_FREE;
}

/* What a status is called; programs look at the number only. */
static const char *pli_http_reason(int status)
{
    static const struct { int status; const char *reason; } list[] = {
        {200, "OK"}, {301, "Moved Permanently"}, {302, "Found"}, {400, "Bad Request"},
        {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
        {405, "Method Not Allowed"}, {408, "Request Timeout"}, {411, "Length Required"},
        {413, "Content Too Large"}, {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {501, "Not Implemented"}, {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].status == status)
            return list[i].reason;
    return "Unknown";
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", in English whatever the program's locale: by hand, since
   strftime would ask that. */
static void pli_http_date(char *out, size_t size)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    snprintf(out, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday,
             months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* Puts the head of the answer together:

       HTTP/1.1 200 OK\r\n
       Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n
       Content-Length: 1871\r\n
       ...                                        what the job has listed
       Connection: keep-alive\r\n
       \r\n

   All headers are texts of ours, 600 bytes at most: it fits. Content-Length always, and first, so
   that clients know where the answer ends without waiting for the connection's end. */
static void pli_http_head_out(pli_http_conn *c)
{
    char date[40];
    const pli_http_job *job = &c->job;
    size_t room = sizeof c->out;
    pli_http_date(date, sizeof date);
    int n = snprintf(c->out, room, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Length: %zu\r\n",
                     job->status, pli_http_reason(job->status), date, job->body.size);
    for (int i = 0; job->header[i]; i += 2)
        n += snprintf(c->out + n, room - (size_t)n, "%s: %s\r\n", job->header[i],
                      job->header[i + 1]);
    n += snprintf(c->out + n, room - (size_t)n, "Connection: %s\r\n\r\n",
                  c->head.keep ? "keep-alive" : "close");
    c->out_size = (size_t)n;
}

/* The answer is there: from now on it is sent. Of the body of a HEAD only the length is, which
   stands in the head already. */
static void pli_http_answer(pli_http_conn *c)
{
    pli_http_complete(&c->job);
    pli_http_head_out(c);
    if (c->head.method && strcmp(c->head.method, "HEAD") == 0)
        c->job.body.size = 0;
    c->sent = 0;
    pli_http_turn(c, PLI_HTTP_WRITE, PLI_HTTP_WRITE_NS);
}

/* The answer to a request that is not even one, or is not complete: there is nothing to be known of
   it, not even whether the client would keep the connection. */
static void pli_http_answer_error(pli_http_conn *c, int status, const char *why)
{
    memset(&c->head, 0, sizeof c->head);
    pli_http_fail(&c->job, status, why);
    pli_http_answer(c);
}

/* Takes bytes away from the front of what has come: at most 1 MiB is moved, and mostly nothing. */
static void pli_http_consume(pli_http_conn *c, size_t size)
{
    c->in.size -= size;
    if (c->in.size > 0)
        memmove(c->in.data, c->in.data + size, c->in.size);
    else
        pli_bytes_free(&c->in); /* idle connections hold no memory */
}

/* Looks for a head. Empty lines before it are allowed, since some clients send one too many behind
   a body. All methods are capitals: another first byte says that this is something else altogether,
   mostly TLS, whose client would wait for ten seconds to learn that nobody understands it. */
static void pli_http_look_for_head(pli_http_conn *c)
{
    size_t blank = 0;
    while (blank < c->in.size && (c->in.data[blank] == '\r' || c->in.data[blank] == '\n'))
        blank++;
    if (blank)
        pli_http_consume(c, blank);
    if (c->in.size == 0)
        return; /* nothing but empty lines */
    size_t size = pli_http_head_size(c->in.data, c->in.size);
    if (c->in.data[0] < 'A' || c->in.data[0] > 'Z') {
        pli_http_answer_error(c, 400, "this is no HTTP request: plain HTTP is spoken here, no TLS");
    } else if (size > PLI_HTTP_HEAD || (size == 0 && c->in.size > PLI_HTTP_HEAD)) {
        pli_http_answer_error(c, 431, "the request is too long: 8192 bytes without its body");
    } else if (size > 0) {
        memcpy(c->text, c->in.data, size); /* in moves when it grows: the words must not */
        pli_http_consume(c, size);
        pli_http_parse(&c->head, c->text, size);
        c->parsed = true;
    }
}

/* Goes on with what has arrived: to an answer when the request is complete. A client that has asked
   to be asked first (Expect) is told to send its body, once; the 25 bytes go into an empty buffer
   of the kernel's, so they need no state of their own. */
static void pli_http_look(const pli_http_server *s, pli_http_conn *c)
{
    c->fresh = false;
    if (!c->parsed)
        pli_http_look_for_head(c);
    if (!c->parsed || c->state != PLI_HTTP_READ)
        return; /* not complete, or answered by an error */
    if (c->in.size < c->head.body_size && !c->head.wrong) {
        if (c->head.expects && c->head.minor == 1)
            send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
        c->head.expects = false; /* once is enough */
        return;
    }
    c->parsed = false;
    pli_http_admit(s, c); /* reads the body where it lies; only then it is taken away */
    if (!c->head.wrong && c->head.body_size)
        pli_http_consume(c, c->head.body_size);
    if (c->job.status)
        pli_http_answer(c);
    else
        pli_http_turn(c, PLI_HTTP_WAIT, c->job.due_ns - pl_now_ns());
}

/* Bytes have come, or the end. 16 KiB are taken at once, and what they hold is looked at before
   more is: so the buffer never has more than a head, a body and this. */
static void pli_http_receive(pli_http_conn *c)
{
    size_t most = (size_t)16 << 10;
    unsigned char *room = pli_bytes_extend(&c->in, most); /* NULL: no memory; the client goes */
    ssize_t n = room ? recv(c->fd, room, most, 0) : 0;
    bool again = n < 0 && (errno == EAGAIN || errno == EINTR); /* not yet; else 0 is the end */
    if (room)
        c->in.size -= most - (n > 0 ? (size_t)n : 0); /* what did not come */
    if (n <= 0 && !again) {
        pli_http_drop(c);
        return;
    }
    /* The time for a request runs from its first byte; what drips in does not make it longer. */
    if (n > 0 && !c->fresh && c->in.size == (size_t)n && !c->parsed)
        pli_http_turn(c, PLI_HTTP_READ, PLI_HTTP_READ_NS);
    c->fresh = n > 0;
}

/* The answer is out. What has come meanwhile is the next request, or a part of it: poll would not
   tell of it again, so it is marked. */
static void pli_http_sent(pli_http_conn *c)
{
    bool keep = c->head.keep; /* a proxy's connection, say, serves many of its clients */
    pli_bytes_free(&c->job.body);
    memset(&c->job, 0, sizeof c->job);
    c->fresh = c->in.size > 0;
    if (keep) {
        pli_http_turn(c, PLI_HTTP_READ, c->fresh ? PLI_HTTP_READ_NS : PLI_HTTP_IDLE_NS);
        return;
    }
    shutdown(c->fd, SHUT_WR); /* the client sees the end, and may still send */
    pli_http_turn(c, PLI_HTTP_DRAIN, PLI_HTTP_DRAIN_NS);
}

/* Sends what the kernel takes: what is left of the head, and behind it the body, in one call, so
   that a short answer is one packet. MSG_NOSIGNAL: a client that has gone is an error here, no
   SIGPIPE that would end the program.

       out  [ head ........ ]      body  [ ............................ ]
                    ▲ sent                 then from here on
   */
static void pli_http_send(pli_http_conn *c)
{
    const pli_bytes *body = &c->job.body;
    size_t head = c->sent < c->out_size ? c->out_size - c->sent : 0;
    size_t done = head ? 0 : c->sent - c->out_size;
    struct iovec part[2] = {{c->out + c->sent, head}, {body->data + done, body->size - done}};
    struct msghdr message = {.msg_iov = head ? part : part + 1, .msg_iovlen = head ? 2 : 1};
    ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        pli_http_drop(c); /* the client has gone */
    } else if (n > 0) {
        c->sent += (size_t)n;
        c->deadline_ns = pl_now_ns() + PLI_HTTP_WRITE_NS; /* slow is not stuck */
        if (c->sent == c->out_size + body->size)
            pli_http_sent(c);
    }
}

/* Throws away what still comes, up to the client's end; a second of that is enough. */
static void pli_http_drain(pli_http_conn *c)
{
    char bytes[4096];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        pli_http_drop(c);
}

/* The time of a state is over: in WAIT that is what was waited for. An idle connection is closed
   without a word, since the client has not asked anything. */
static void pli_http_late(pli_http_conn *c)
{
    if (c->state == PLI_HTTP_WAIT) {
        pli_http_finish(&c->job);
        pli_http_answer(c);
    } else if (c->state == PLI_HTTP_READ && (c->parsed || c->in.size > 0)) {
        pli_http_answer_error(c, 408, "the request did not arrive within 10 s");
    } else {
        pli_http_drop(c);
    }
}

/* What poll is to wait for: one thing in each state. While an answer is awaited or sent, nothing is
   read, so that a client which sends without end fills its own buffers and nobody else's. */
static short pli_http_events(const pli_http_conn *c)
{
    switch (c->state) {
    case PLI_HTTP_WAIT:
        return POLLRDHUP; /* and the hang-up and errors, which always count */
    case PLI_HTTP_WRITE:
        return POLLOUT;
    default:
        return POLLIN;
    }
}

/* One step of one connection: what poll has seen, then what its clock says. At most one request a
   step, so that a client that sends hundreds at once does not keep the others waiting. Sending is
   tried without being asked for by poll: mostly there is room, and the answer is out at once. In
   WAIT every event means that the client has gone: nothing else was asked for. */
static void pli_http_step(const pli_http_server *s, pli_http_conn *c, short events)
{
    if (c->state == PLI_HTTP_READ && events)
        pli_http_receive(c);
    else if (c->state == PLI_HTTP_WAIT && events)
        pli_http_drop(c);
    else if (c->state == PLI_HTTP_DRAIN && events)
        pli_http_drain(c);
    if (c->state == PLI_HTTP_READ && c->fresh)
        pli_http_look(s, c);
    if (c->state != PLI_HTTP_FREE && pl_now_ns() >= c->deadline_ns)
        pli_http_late(c); /* after the events: what came in time counts */
    if (c->state == PLI_HTTP_WRITE)
        pli_http_send(c);
}

/* -- The thread -- */

/* Whether a connection waits for a request of which nothing has come, not even to the kernel: one
   that was just accepted may have its request there already. */
static bool pli_http_is_idle(const pli_http_conn *c)
{
    char byte;
    return c->state == PLI_HTTP_READ && !c->parsed && c->in.size == 0 &&
           recv(c->fd, &byte, 1, MSG_PEEK) < 0;
}

/* Closes the connection that has been idle longest; NULL: all are at work. */
static pli_http_conn *pli_http_drop_idle(pli_http_server *s)
{
    pli_http_conn *idle = NULL;
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++) {
        pli_http_conn *c = &s->conn[i];
        if ((!idle || c->since_ns < idle->since_ns) && pli_http_is_idle(c))
            idle = c;
    }
    if (idle)
        pli_http_drop(idle);
    return idle;
}

/* The place for one more connection; NULL: there is none. Scrapers reopen what was closed, and lose
   nothing but a few ms: so an idle connection is what is given up first. */
static pli_http_conn *pli_http_place(pli_http_server *s)
{
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++)
        if (s->conn[i].state == PLI_HTTP_FREE)
            return &s->conn[i];
    return pli_http_drop_idle(s);
}

/* Too many are at work. What the client has sent already is read, or the kernel would tell it of an
   error in place of this answer. */
static void pli_http_turn_away(int fd)
{
    static const char why[] = "too many connections at once: try again in a second\n";
    char bytes[4096], text[512];
    while (recv(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes)
        continue;
    int n = snprintf(text, sizeof text, "HTTP/1.1 503 Service Unavailable\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n"
                     "X-Content-Type-Options: nosniff\r\nX-Go-Pprof: 1\r\nRetry-After: 1\r\n"
                     "Content-Length: %zu\r\nConnection: close\r\n\r\n%s", sizeof why - 1, why);
    send(fd, text, (size_t)n, MSG_NOSIGNAL);
    pli_fd_close_own(fd);
}

/* Accepts one; -1 and errno when there is nobody, or no descriptor left. */
static int pli_http_accept_one(int listener)
{
    pli_lock_take(&pli_fds.lock);
    int fd = pli_os_accept(listener), error = errno;
    if (fd >= 0)
        pli_fd_mark(fd, true);
    pli_lock_give(&pli_fds.lock);
    errno = error;
    return fd;
}

/* Takes in who is waiting. Where there is no descriptor left, idle connections give way; then it is
   tried again after a pause, since poll would not stop saying that somebody waits. */
static void pli_http_accept(pli_http_server *s)
{
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++) {
        int fd = pli_http_accept_one(s->listener);
        bool full = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
        pli_http_conn *c = fd >= 0 ? pli_http_place(s) : full ? pli_http_drop_idle(s) : NULL;
        if (full && !c)
            s->accept_ns = pl_now_ns() + PLI_HTTP_PAUSE_NS;
        if (fd < 0 && !c)
            return;
        if (fd < 0)
            continue;
        if (!c) {
            pli_http_turn_away(fd);
            continue;
        }
        memset(c, 0, sizeof *c);
        c->fd = fd;
        pli_http_turn(c, PLI_HTTP_READ, PLI_HTTP_READ_NS);
    }
}

/* How long poll may sleep, in ms; -1: for ever, which is the usual case: a server that nobody asks
   costs nothing. Up to the next deadline, or not at all when there are bytes to be looked at. */
static int pli_http_patience(const pli_http_server *s)
{
    uint64_t now = pl_now_ns(), due = s->accept_ns > now ? s->accept_ns : UINT64_MAX;
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++) {
        const pli_http_conn *c = &s->conn[i];
        if (c->state != PLI_HTTP_FREE && c->deadline_ns < due)
            due = c->deadline_ns;
        if (c->state == PLI_HTTP_READ && c->fresh)
            due = 0; /* the next of several requests is there already */
    }
    if (due == UINT64_MAX)
        return -1;
    uint64_t ms = due > now ? (due - now + 999999) / 1000000 : 0; /* not a moment too early */
    return ms < INT32_MAX ? (int)ms : INT32_MAX; /* poll's limit: 24 days */
}

/* One round: sleeps until something happens, and lets each go on. Those who are there come before
   those who want to come in, so that places are free when they can be. */
static void pli_http_round(pli_http_server *s)
{
    struct pollfd p[PLI_HTTP_CONNECTIONS + 2];
    bool open = pl_now_ns() >= s->accept_ns; /* else accept has failed a moment ago */
    p[0] = (struct pollfd){s->waker, POLLIN, 0};
    p[1] = (struct pollfd){open ? s->listener : -1, POLLIN, 0};
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++)
        p[i + 2] = (struct pollfd){s->conn[i].fd, pli_http_events(&s->conn[i]), 0};
    int n = poll(p, PLI_HTTP_CONNECTIONS + 2, pli_http_patience(s));
    /* When poll failed (a signal, no memory), what it would have said is not known: only the
       clocks count. */
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++)
        if (s->conn[i].state != PLI_HTTP_FREE)
            pli_http_step(s, &s->conn[i], n > 0 ? p[i + 2].revents : 0);
    if (n > 0 && p[1].revents)
        pli_http_accept(s);
}

/* What the thread runs: rounds until it is told to stop; then every client is cut off, and what its
   job has started ends. */
static void *pli_http_run(void *argument)
{
    pli_http_server *s = argument;
    pli_thread_is_own();
    prctl(PR_SET_NAME, "pl_http", 0L, 0L, 0L); /* for top and debuggers */
    while (!PLI_LOAD_ACQUIRE(pli_http.stop))
        pli_http_round(s);
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++)
        if (s->conn[i].state != PLI_HTTP_FREE)
            pli_http_drop(&s->conn[i]);
    return NULL;
}

/* -- Start and stop -- */

/* Where to listen: the three kinds of addresses that the system has for it. */
typedef struct pli_http_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un path;
    } of;
    socklen_t size;
    int kind; /* as pli_http_address_kind has it; 0: a path */
} pli_http_address;

/* Says on descriptor 2 why there is no server, or what is to be known of it, in one line. */
static void pli_http_say(const char *address, const char *what)
{
    char line[512];
    int size = snprintf(line, sizeof line, "perflab: http: %.200s: %s\n", address, what);
    ssize_t n = write(2, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
    (void)n;
}

/* The path of a Unix socket, absolute, so that a later chdir does not move it. */
static pl_result pli_http_parse_path(pli_http_address *a, const char *path)
{
    const size_t room = sizeof a->of.path.sun_path;
    a->of.path.sun_family = AF_UNIX;
    a->size = sizeof a->of.path;
    pl_result result = *path ? pli_path_absolute(a->of.path.sun_path, room, path) : PL_INVALID;
    if (result != PL_OK)
        pli_http_say(path, result == PL_IO ? "the folder cannot be written to" :
                     "a path for unix: has 1 to 107 letters, its folders included");
    return result;
}

/* "127.0.0.1:6060", "[::1]:6060", "localhost:6060" and, which is the same, ":6060"; by number only:
   a name server would be asked before main, and might not answer. False for anything else.

       0.0.0.0:80       all of the machine's addresses: reachable from elsewhere
       127.0.0.1:0      any port that is free; pl_http_port tells which
       ::1:6060         none: the colons of IPv6 need their brackets
       example.org:80   none: a name */
static bool pli_http_parse_number(pli_http_address *a, const char *text)
{
    char name[64];
    int64_t port;
    const char *colon = strrchr(text, ':');
    if (!colon || !pli_parse_int64(colon + 1, 0, 65535, &port))
        return false;
    pli_http_host_name(name, sizeof name, text);
    if (text == colon || strcmp(name, "localhost") == 0)
        strcpy(name, "127.0.0.1"); /* Go would take ":6060" for all of the machine's */
    a->kind = pli_http_address_kind(name);
    if (text[0] != '[' && inet_pton(AF_INET, name, &a->of.v4.sin_addr) == 1) {
        a->of.v4.sin_family = AF_INET;
        a->of.v4.sin_port = htons((uint16_t)port);
        a->size = sizeof a->of.v4;
    } else if (text[0] == '[' && inet_pton(AF_INET6, name, &a->of.v6.sin6_addr) == 1) {
        a->of.v6.sin6_family = AF_INET6;
        a->of.v6.sin6_port = htons((uint16_t)port);
        a->size = sizeof a->of.v6;
    }
    return a->size > 0;
}

/* Says what is wrong with one that is none. */
static pl_result pli_http_parse_address(pli_http_address *a, const char *text)
{
    memset(a, 0, sizeof *a);
    if (strncmp(text, "unix:", 5) == 0)
        return pli_http_parse_path(a, text + 5);
    if (pli_http_parse_number(a, text))
        return PL_OK;
    pli_http_say(text, "is no address: write 127.0.0.1:6060, [::1]:6060, :6060 or "
                 "unix:/path/to/socket");
    return PL_INVALID;
}

/* Removes a socket that an earlier process has left: if it is one, and nobody answers. A file of
   another kind is never removed: its name was given by mistake. */
static bool pli_http_remove_stale(const pli_http_address *a)
{
    struct stat status;
    int fd = -1;
    bool stale = lstat(a->of.path.sun_path, &status) == 0 && S_ISSOCK(status.st_mode) &&
                 (fd = pli_os_socket(AF_UNIX)) >= 0 &&
                 connect(fd, &a->of.any, a->size) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return stale && unlink(a->of.path.sun_path) == 0;
}

/* A listening socket, or -1 and errno. Each step may fail, and errno of the first is what counts:
   so closing must not change it. */
static int pli_http_listen(const pli_http_address *a)
{
    const int yes = 1;
    int fd = pli_os_socket(a->of.any.sa_family);
    if (fd < 0)
        return -1;
    /* A port whose last connections are still winding down is free; one that is in use is not. */
    if (a->of.any.sa_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    else
        fchmod(fd, 0600); /* before bind makes the file: there is no moment when others may */
    bool bound = bind(fd, &a->of.any, a->size) == 0 ||
                 (errno == EADDRINUSE && a->of.any.sa_family == AF_UNIX &&
                  pli_http_remove_stale(a) && bind(fd, &a->of.any, a->size) == 0);
    if (bound && listen(fd, 64) == 0) /* so many may wait while a profile is put together */
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* What the system has refused, as a result and in words that say what to do about it. */
static pl_result pli_http_explain(const char *address, int error)
{
    switch (error) {
    case EADDRINUSE:
        pli_http_say(address, "in use already: choose another port, or port 0 for any");
        return PL_BUSY;
    case EADDRNOTAVAIL:
        pli_http_say(address, "this machine has no such address: 127.0.0.1:6060 is always there");
        return PL_INVALID;
    case EACCES:
        pli_http_say(address, "not permitted: choose a port above 1023, or another folder");
        return PL_IO;
    default:
        pli_http_say(address, strerror(error));
        return PL_IO;
    }
}

/* Keeps what is needed of the options beyond the call. An empty token is refused: it comes of an
   environment variable that is not set, and would leave the door open. */
static pl_result pli_http_keep(pli_http_guard *g, const pl_http_desc *desc, const char *address)
{
    size_t used = 0, size = desc->token ? strlen(desc->token) : 1; /* none is as good as one */
    if (size == 0 || size >= sizeof g->token) {
        pli_http_say(address, "the token has to have 1 to 255 bytes");
        return PL_INVALID;
    }
    if (desc->token)
        strcpy(g->token, desc->token);
    for (const char *const *host = desc->hosts; host && *host; host++) {
        size = strlen(*host) + 1;
        if (size == 1 || used + size >= sizeof g->hosts) {
            pli_http_say(address, "the names in hosts are empty, or longer than 1 KiB together");
            return PL_INVALID;
        }
        memcpy(g->hosts + used, *host, size);
        used += size;
    }
    return PL_OK;
}

/* Notes the port, or the file, that it has become: port 0 has turned into one that was free, and a
   file is known by its number, since another server may put its own in that place. */
static void pli_http_note_place(const pli_http_server *s, pli_http_address *a)
{
    struct stat status;
    pli_http.pid = getpid();
    PLI_STORE(pli_http.port, 0);
    pli_http.path[0] = '\0';
    if (s->guard.local) {
        memcpy(pli_http.path, a->of.path.sun_path, sizeof pli_http.path);
        bool there = lstat(pli_http.path, &status) == 0;
        pli_http.path_file = there ? pli_mix_sig(status.st_dev, status.st_ino) : 0;
        return;
    }
    getsockname(s->listener, &a->of.any, &a->size);
    bool v4 = a->of.any.sa_family == AF_INET;
    PLI_STORE(pli_http.port, ntohs(v4 ? a->of.v4.sin_port : a->of.v6.sin6_port));
}

/* Opens what the server needs; on failure all that was opened is there to be closed. Options before
   the network: a mistake in them is found without anything having been opened for it. */
static pl_result pli_http_open(pli_http_server *s, const pl_http_desc *desc, const char *address)
{
    pli_http_address a;
    s->listener = s->waker = -1;
    for (int i = 0; i < PLI_HTTP_CONNECTIONS; i++)
        s->conn[i].fd = -1;
    pl_result result = pli_http_keep(&s->guard, desc, address);
    if (result == PL_OK)
        result = pli_http_parse_address(&a, address);
    if (result != PL_OK)
        return result;
    s->guard.local = a.kind == 0, s->guard.beyond = a.kind == 1;
    pli_lock_take(&pli_fds.lock);
    s->waker = pli_os_event();
    s->listener = s->waker >= 0 ? pli_http_listen(&a) : -1;
    int error = errno;
    if (s->listener >= 0) {
        pli_fd_mark(s->waker, true);
        pli_fd_mark(s->listener, true);
        pli_http_note_place(s, &a);
    }
    pli_lock_give(&pli_fds.lock);
    return s->listener >= 0 ? PL_OK : pli_http_explain(address, error);
}

/* Gives all back. The file of a Unix socket goes too, unless another has taken its place; it goes
   first, so that nobody connects to a socket that will not answer. */
static void pli_http_close(pli_http_server *s)
{
    struct stat status;
    if (pli_http.path[0] && lstat(pli_http.path, &status) == 0 &&
        pli_mix_sig(status.st_dev, status.st_ino) == pli_http.path_file)
        unlink(pli_http.path);
    pli_http.path[0] = '\0';
    PLI_STORE(pli_http.port, 0);
    pli_fd_close_own(s->listener);
    pli_fd_close_own(s->waker);
    munmap(s, sizeof *s);
}

/* No descriptor comes or goes while a fork is under way. */
static void pli_http_fork_prepare(void)
{
    pli_lock_take(&pli_fds.lock);
}

static void pli_http_fork_parent(void)
{
    pli_lock_give(&pli_fds.lock);
}

/* In a fork's child there is no thread to serve, and the parent's clients are not the child's:
   while the child holds their connections, they would not see their end. What the buffers hold may
   be half written, so it is not touched: it stays, and is small. The file of a Unix socket is the
   parent's. */
static void pli_http_fork_child(void)
{
    pli_fds_fork_child();
    pli_http.lock.state = 0;
    pli_http.server = NULL;
    pli_http.path[0] = '\0';
    PLI_STORE(pli_http.port, 0);
}

/* Once: libc has no way to take it back. */
static void pli_http_watch_fork(void)
{
    if (!pli_http.watching)
        pthread_atfork(pli_http_fork_prepare, pli_http_fork_parent, pli_http_fork_child);
    pli_http.watching = true;
}

/* Starts a server, or leaves nothing behind. Everything that may fail comes before the thread.
   Under the lock. */
static pl_result pli_http_begin_serving(const pl_http_desc *desc, const char *address)
{
    pli_http_server *s = pli_os_map(sizeof *s);
    if (!s)
        return PL_NOMEM;
    pl_result result = pli_http_open(s, desc, address);
    if (result == PL_OK) {
        pli_http_prepare(); /* on this thread: the first answer is not kept waiting */
        pli_http.stop = 0;
        if (pli_thread_start_own(&pli_http.thread, pli_http_run, s) != 0)
            result = PL_NOMEM;
    }
    if (result != PL_OK) {
        pli_http_close(s);
        return result;
    }
    pli_http.server = s;
    if (s->guard.beyond && !s->guard.token[0])
        pli_http_say(address, "open to the network without a token: whoever reaches it can read "
                     "this program's profiles");
    return PL_OK;
}

/* One server a process: a second address would need nothing but a second listener, and nobody has
   asked for that. */
pl_result pl_http_start(const pl_http_desc *desc)
{
    static const pl_http_desc defaults;
    desc = desc ? desc : &defaults;
    const char *address = desc->address ? desc->address : "127.0.0.1:6060";
    pl_result result = PL_BUSY;
    pli_lock_take(&pli_http.lock);
    pli_http_watch_fork();
    if (pli_http.server)
        pli_http_say(address, "this program has its server already: pl_http_stop ends it");
    else
        result = pli_http_begin_serving(desc, address);
    pli_lock_give(&pli_http.lock);
    return result;
}

/* The thread is asked to end and waited for: when this returns, nothing of the server is there any
   more, and a library that has perflab in it may be unloaded. */
void pl_http_stop(void)
{
    const uint64_t one = 1;
    pli_lock_take(&pli_http.lock);
    pli_http_server *s = pli_http.server;
    if (s) {
        PLI_STORE_RELEASE(pli_http.stop, 1);
        ssize_t n = write(s->waker, &one, sizeof one); /* it fits: nobody else writes there */
        (void)n;
        pthread_join(pli_http.thread, NULL);
        pli_http_close(s);
        pli_http.server = NULL;
    }
    pli_lock_give(&pli_http.lock);
}

int pl_http_port(void)
{
    return PLI_LOAD(pli_http.port);
}

/* The server goes with its process; only the file of a Unix socket would stay. The thread is not
   waited for: the process may end while another holds what it needs. */
__attribute__((destructor)) static void pli_http_at_exit(void)
{
    if (PLI_LOAD(pli_http.path[0]) && pli_http.pid == getpid())
        unlink(pli_http.path);
}

#else /* !PLI_LINUX || PERFLAB_NO_HTTP */

pl_result pl_http_start(const pl_http_desc *desc)
{
    (void)desc;
    return PL_UNSUPPORTED;
}

void pl_http_stop(void)
{
}

int pl_http_port(void)
{
    return 0;
}

#endif /* PLI_LINUX && !PERFLAB_NO_HTTP */

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

/* Keys begin in this order, each a collector that goes on from there; a fault is one line on
   stderr, and the program runs on without:

       crash           before all else, since that may crash, too
       leakcheck       then, so that as much as possible is seen
       memlimit        before others take memory
       heap block mutex and their rates
       cpu             last of the collectors: their own start is not sampled
       heaptrace       a thread of its own, when all else stands

   What is written to a file: each is a key, and the name of a profile. */
enum { PLI_ENV_CPU, PLI_ENV_HEAP, PLI_ENV_BLOCK, PLI_ENV_MUTEX, PLI_ENV_FILES };
static const char *const pli_env_names[PLI_ENV_FILES] = {"cpu", "heap", "block", "mutex"};

static struct {
    char path[PLI_ENV_FILES][4096]; /* as given, but absolute; "": not this one */
    int64_t hz, heaprate, blockrate, mutexfraction, parent;
    int64_t leakcheck, leakexit;            /* 1: lost blocks, 2: all; the exit code, 0: as it is */
    int64_t heaptrace;                      /* seconds from line to line; 0: none */
    int64_t memlimit;                       /* bytes; 0: none */
    int crash;                              /* PLI_CRASH_...; less than 1: nothing */
    int64_t dump;                           /* the signal that has the files written now */
    const char *ignore[PLI_ENV_IGNORE + 1]; /* for the leak check */
    const char *http, *token;               /* NULL: no port; no token */
    pl_leak_baseline mark;
    bool cpu, started, child;
    int pid;           /* a vfork's child has another one; atomic */
    uint32_t finish;   /* PLI_FINISH_...; atomic */
    int finisher;      /* the thread that writes */
    int fatal;         /* a signal that came meanwhile and is to end the program; atomic */
    uint32_t dumping;  /* atomic */
} pli_env;

/* Who writes, and what becomes of those who come meanwhile:

       NOT ──the first to come──► WRITING ──files are written──► DONE
        ▲                          │ another thread in exit: waits, ten seconds at most
        └── in a fork's child      │ the same thread again, from a handler: goes on ending
                                   │ SIGTERM, SIGINT, SIGHUP: noted in `fatal`, and the writer
                                   ▼ dies of it when it is done

   So the files are written once, by one thread, and none of these signals leaves half a file. */
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

/* FILE of a key that names one: kept as an absolute path, since the program may go elsewhere.
   Whether the folder can be written to is asked at once: a mistake in a path shows when the program
   starts, and not when an hour of samples has nowhere to go. */
static bool pli_env_file(int which, const char *value)
{
    char *path = pli_env.path[which], key[16];
    pl_result result = *value ? pli_path_absolute(path, sizeof *pli_env.path, value) : PL_INVALID;
    if (result == PL_OK)
        return true;
    snprintf(key, sizeof key, "%s=", pli_env_names[which]);
    if (*value)
        pli_env_complain(key, value, result == PL_IO ? ": its folder cannot be written to" :
                         ": its path is too long");
    else
        pli_env_complain("write ", key, "FILE");
    path[0] = '\0';
    return false;
}

/* A signal by name, with or without SIG, or by number. SIGKILL and SIGSTOP cannot be handled, and
   SIGPROF is the sampler's own. */
static bool pli_env_signal(const char *value)
{
    static const struct { const char *name; int number; } known[] = {
        {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"HUP", SIGHUP}, {"QUIT", SIGQUIT},
        {"WINCH", SIGWINCH}, {"URG", SIGURG}};
    const char *name = strncmp(value, "SIG", 3) == 0 ? value + 3 : value;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            return pli_env.dump = known[i].number, true;
    if (pli_parse_int64(value, 1, SIGRTMAX, &pli_env.dump) && pli_env.dump != SIGKILL &&
        pli_env.dump != SIGSTOP && pli_env.dump != SIGPROF)
        return true;
    pli_env.dump = 0;
    pli_env_complain("signal=", value, ": write USR1, USR2, HUP, QUIT, WINCH, URG or a number");
    return false;
}

/* What a file of the system begins with, as a number; 0: no file, or "max". */
static int64_t pli_env_number_in(const char *path)
{
    char text[32] = "";
    int64_t value = 0;
    int fd = pli_os_open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    /* Without a limit, version 1 says a number close to 2^63. */
    return pli_parse_int64(text, 1, INT64_MAX / 2, &value) ? value : 0;
}

/* The limit of this process's control group: version 2's, of the group or one above it, else
   version 1's. In a container the group is the root of what is mounted.

   For `0::/user.slice/app.service` in /proc/self/cgroup, from the innermost group outwards; the
   smallest number holds, since each group lies inside the one above:

       /sys/fs/cgroup/user.slice/app.service/memory.max    max            no limit
       /sys/fs/cgroup/user.slice/memory.max                536870912      512 MiB: this one
       /sys/fs/cgroup/memory.max                           (no file) */
static int64_t pli_env_cgroup(void)
{
    char line[4096] = "", path[4096 + 64];
    int64_t least = 0;
    FILE *groups = fopen("/proc/self/cgroup", "re");
    while (groups && fgets(line, sizeof line, groups) && strncmp(line, "0::/", 4) != 0)
        line[0] = '\0';
    if (groups)
        fclose(groups);
    line[strcspn(line, "\n")] = '\0';
    for (char *group = line + (line[0] ? 3 : 0), *slash = group; slash;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        int64_t limit = pli_env_number_in(path);
        least = limit > 0 && (least == 0 || limit < least) ? limit : least;
        if ((slash = strrchr(group, '/')) != NULL)
            *slash = '\0';
    }
    return least ? least : pli_env_number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes");
}

/* Bytes, with k, m or g behind them for powers of 1024; or what the control group has.

       memlimit=500000000    bytes          memlimit=512m    536,870,912
       memlimit=2G           2^31           memlimit=1.5g    refused: whole numbers only

   over_soft is told at nine tenths of it, and malloc fails beyond (pli_env_start_limit). */
static bool pli_env_memlimit(const char *value)
{
    char digits[24];
    size_t size = strspn(value, "0123456789");
    const char *unit = size < sizeof digits ? strchr("kKmMgG", value[size]) : NULL;
    int shift = !unit || !*unit ? 0 : (*unit | 32) == 'k' ? 10 : (*unit | 32) == 'm' ? 20 : 30;
    if (size < sizeof digits)
        memcpy(digits, value, size), digits[size] = '\0';
    if (strcmp(value, "cgroup") == 0) {
        pli_env.memlimit = pli_env_cgroup();
        return true; /* a group without a limit sets none */
    }
    if (unit && value[size + (*unit != '\0')] == '\0' &&
        pli_parse_int64(digits, 1, INT64_MAX >> shift, &pli_env.memlimit))
        return pli_env.memlimit <<= shift, true;
    pli_env.memlimit = 0;
    pli_env_complain("memlimit=", value, ": write bytes (k, m and g may follow), or cgroup");
    return false;
}

/* What a crash tells: a level's name. */
static bool pli_env_crash(const char *value)
{
    pli_env.crash = pli_crash_level(value);
    if (pli_env.crash < 0)
        pli_env_complain("crash=", value, ": write none, single, all or core");
    return pli_env.crash >= 0;
}

/* Texts that are kept as they are. */
static bool pli_env_http(const char *value)
{
    pli_env.http = *value ? pli_keep_text(value) : NULL;
    if (!pli_env.http)
        pli_env_complain("http=", value, ": write an address, as in http=127.0.0.1:6060");
    return pli_env.http != NULL;
}

static bool pli_env_token(const char *value)
{
    pli_env.token = *value ? pli_keep_text(value) : NULL;
    if (!pli_env.token)
        pli_env_complain("httptoken=", value, ": write the token");
    return pli_env.token != NULL;
}

/* The keys whose value is a number, with their range. */
static const struct { const char *key; int64_t least, most, *out; } pli_env_numbers[] = {
    {"hz", 1, PLI_CPU_HZ_MAX, &pli_env.hz},
    {"heaprate", 1, INT64_MAX, &pli_env.heaprate},
    {"blockrate", 1, INT64_MAX, &pli_env.blockrate},
    {"mutexfraction", 1, INT32_MAX, &pli_env.mutexfraction},
    {"leakcheck", 0, 2, &pli_env.leakcheck},
    {"leakexit", 0, 255, &pli_env.leakexit},
    {"heaptrace", 0, 86400, &pli_env.heaptrace},
    {"parent", 1, INT32_MAX, &pli_env.parent},
};

/* And those with a text. */
static const struct { const char *key; bool (*set)(const char *value); } pli_env_texts[] = {
    {"crash", pli_env_crash},
    {"http", pli_env_http},
    {"httptoken", pli_env_token},
    {"leakignore", pli_env_ignore},
    {"memlimit", pli_env_memlimit},
    {"signal", pli_env_signal},
};

/* Names all keys: once, however many are unknown. */
static void pli_env_unknown(const char *key)
{
    static bool said;
    char list[400] = "'; known are:";
    if (said)
        return;
    said = true;
    for (int i = 0; i < PLI_ENV_FILES; i++)
        strcat(strcat(list, " "), pli_env_names[i]);
    for (size_t i = 0; i + 1 < sizeof pli_env_numbers / sizeof *pli_env_numbers; i++)
        strcat(strcat(list, " "), pli_env_numbers[i].key); /* all but parent, which is ours */
    for (size_t i = 0; i < sizeof pli_env_texts / sizeof *pli_env_texts; i++)
        strcat(strcat(list, " "), pli_env_texts[i].key);
    pli_env_complain("unknown key '", key, list);
}

/* One key and its value; false when something is wrong, which has been said. */
static bool pli_env_set(const char *key, const char *value)
{
    char quoted[40];
    for (int i = 0; i < PLI_ENV_FILES; i++)
        if (strcmp(key, pli_env_names[i]) == 0)
            return pli_env_file(i, value);
    snprintf(quoted, sizeof quoted, "%.30s='", key);
    for (size_t i = 0; i < sizeof pli_env_numbers / sizeof *pli_env_numbers; i++)
        if (strcmp(key, pli_env_numbers[i].key) == 0)
            return pli_env_number(quoted, value, pli_env_numbers[i].least,
                                  pli_env_numbers[i].most, pli_env_numbers[i].out);
    for (size_t i = 0; i < sizeof pli_env_texts / sizeof *pli_env_texts; i++)
        if (strcmp(key, pli_env_texts[i].key) == 0)
            return pli_env_texts[i].set(value);
    pli_env_unknown(key);
    return false;
}

/* Reads key=value,key=value; goes on after an error. An empty pair (two commas, or one at the end)
   is nothing; a pair without = has the value "", which most keys refuse. Values have no way to hold
   a comma: a path with one cannot be given here. */
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

/* The file of this process: %p is its number, and a child without %p appends it.

   For process 4711, and 4712, which it has forked:

       cpu=/tmp/c.pb.gz       /tmp/c.pb.gz         /tmp/c.pb.gz.4712
       cpu=/tmp/c.%p.pb.gz    /tmp/c.4711.pb.gz    /tmp/c.4712.pb.gz */
static void pli_env_path(int which, char *out, size_t size)
{
    const char *path = pli_env.path[which], *mark = strstr(path, "%p");
    if (mark)
        snprintf(out, size, "%.*s%d%s", (int)(mark - path), path, (int)getpid(), mark + 2);
    else if (pli_env.child)
        snprintf(out, size, "%s.%d", path, (int)getpid());
    else
        snprintf(out, size, "%s", path);
}

/* Writes one file. In an emergency without malloc, and with the paths in memory of its own: the
   stack may be a small thread's. */
static void pli_env_save(int which, bool emergency)
{
    static const size_t size = 4096 + 32;
    char *path = pli_os_map(size);
    if (!path)
        return;
    pli_env_path(which, path, size);
    pl_result result = pli_profile_save(pli_env_names[which], path, emergency);
    if (result != PL_OK)
        pli_env_complain(path, ": ", pl_result_str(result));
    munmap(path, size);
}

#define PLI_ENV_CHILD_NS 10000000 /* a tick at 100 Hz */

/* Stops and writes. A child that used next to no time has nothing worth a file: shells fork for
   everything. */
static void pli_env_write(bool emergency)
{
    bool running = pli_env.cpu && pli_cpu_end_at_exit(emergency);
    bool worth = !pli_env.child || pl_process_cpu_ns() >= PLI_ENV_CHILD_NS;
    if (running && (!pli_env.child || pli_cpu.ticks > 0))
        pli_env_save(PLI_ENV_CPU, emergency);
    for (int i = PLI_ENV_CPU + 1; i < PLI_ENV_FILES && worth; i++)
        if (pli_env.path[i][0])
            pli_env_save(i, emergency);
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
    if (!pli_env.started || PLI_LOAD(pli_env.pid) != getpid() ||
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
    if (PLI_LOAD(pli_env.pid) != getpid() || PLI_LOAD(pli_env.finisher) == pli_os_tid_sig())
        return;
    for (int i = 0; i < 100000 && PLI_LOAD(pli_env.finish) == PLI_FINISH_WRITING; i++)
        pli_os_nap();
}

/* Ends the program at once when it has leaks and that is asked for: what other destructors would
   still do is left out, but for writing what stdio has. After the files are written, so that what
   the check itself takes is not in them. */
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
    if (PLI_LOAD(pli_env.pid) == getpid()) /* else the memory is the parent's */
        __atomic_store_n(&pli_env.fatal, number, __ATOMIC_SEQ_CST);
    if (PLI_LOAD(pli_env.pid) != getpid() ||
        __atomic_load_n(&pli_env.finish, __ATOMIC_SEQ_CST) != PLI_FINISH_WRITING)
        pli_env_die(number);
}

/* Only where the program has no handler, and nobody has it ignored (nohup).

       default       ours: writes, and then the program dies of the same signal
       a handler     the program's: it knows better how it wants to end, and exit or _exit write
       ignored       stays ignored */
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

/* Whether key=value names a file. */
static bool pli_env_is_file(const char *pair)
{
    size_t size = strcspn(pair, "=,");
    for (int i = 0; i < PLI_ENV_FILES; i++)
        if (strlen(pli_env_names[i]) == size && strncmp(pair, pli_env_names[i], size) == 0)
            return true;
    return false;
}

/* The note, for `PERFLAB=heap=h.pb.gz,heaprate=1` in /home/me, by process 4711:

       PERFLAB=parent=4711,heap=/home/me/h.pb.gz,heaprate=1 */

/* Leaves a note for the programs that this one will execute: PERFLAB as it was understood, with the
   file's whole path, since they may run elsewhere. Written into the environment's own array, not by
   setenv: shells pass on what main was given. The text is kept for good, as everything in the
   environment is: nobody knows who holds a pointer to it. Without memory there is no note, and a
   child writes to its parent's file. */
static void pli_env_mark(char **place)
{
    size_t size = strlen(*place) + sizeof pli_env.path + 80;
    char *note = pli_keep(size);
    if (!note)
        return;
    int used = snprintf(note, size, "PERFLAB=parent=%d", (int)getpid());
    for (int i = 0; i < PLI_ENV_FILES; i++)
        if (pli_env.path[i][0])
            used += snprintf(note + used, size - (size_t)used, ",%s=%s", pli_env_names[i],
                             pli_env.path[i]);
    for (const char *pair = *place + strlen("PERFLAB="); pair; pair = strchr(pair, ',')) {
        pair += *pair == ',';
        if (!pli_env_is_file(pair))
            used += snprintf(note + used, size - (size_t)used, ",%.*s", (int)strcspn(pair, ","),
                             pair);
    }
    *place = note;
}

/* A fork's child goes on with a profile of its own. The modules are the parent's. The child of a
   multi-threaded program has this thread alone, so nobody is writing: whatever state the parent was
   in, finishing and dumping begin anew. */
static void pli_env_fork_child(pli_thread *t)
{
    (void)t;
    if (pli_env.leakcheck)
        pl_leak_mark(&pli_env.mark); /* what the parent has made is not the child's */
    if (!pli_env.started)
        return;
    pli_env.child = true;
    PLI_STORE(pli_env.pid, getpid());
    pli_env.finish = PLI_FINISH_NOT;
    pli_env.finisher = pli_env.fatal = 0;
    pli_env.dumping = 0;
    if (!pli_env.cpu)
        return;
    pli_env_path(PLI_ENV_CPU, pli_cpu.path, sizeof pli_cpu.path);
    if (pli_sites_open(&pli_cpu.sites, PLI_CPU_BUFFER) == PL_OK)
        pli_cpu_begin();
}

static const pli_thread_hooks pli_env_hooks = {NULL, NULL, NULL, NULL, pli_env_fork_child};

/* The CPU profile may be refused: the program then runs as if it had not been asked for. */
static void pli_env_start_cpu(void)
{
    char path[4096 + 32];
    pli_env_path(PLI_ENV_CPU, path, sizeof path);
    pl_result result = pl_cpu_start(&(pl_cpu_desc){.hz = (int)pli_env.hz, .path = path});
    pli_env.cpu = result == PL_OK;
    if (result != PL_OK) {
        pli_env_complain("cpu=", path, pl_result_str(result));
        pli_env.path[PLI_ENV_CPU][0] = '\0';
    }
}

/* Collectors that are asked for by a file or by a rate. */
static void pli_env_start_rates(void)
{
    if (pli_env.path[PLI_ENV_HEAP][0] || pli_env.heaprate)
        pl_heap_rate_set(pli_env.heaprate ? pli_env.heaprate : 524288);
    if (pli_env.path[PLI_ENV_BLOCK][0] || pli_env.blockrate)
        pl_block_rate_set(pli_env.blockrate ? pli_env.blockrate : 1);
    if (pli_env.path[PLI_ENV_MUTEX][0] || pli_env.mutexfraction)
        pl_mutex_fraction_set(pli_env.mutexfraction ? (int)pli_env.mutexfraction : 1);
}

/* Writes the files as they would be at the end; the program goes on.

   For a server that never ends: `kill -USR2 4711` writes what PERFLAB=heap=h.pb.gz,signal=USR2 has
   collected so far, and again, over the same file, at the next one. A second signal while the first
   is still written is dropped: the file that is being made is as new as it can be. */
static void pli_env_on_dump(int number)
{
    uint32_t idle = 0;
    int saved_errno = errno;
    (void)number;
    if (PLI_LOAD(pli_env.pid) == getpid() &&
        __atomic_compare_exchange_n(&pli_env.dumping, &idle, 1, 0, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
        for (int i = 0; i < PLI_ENV_FILES; i++)
            if (pli_env.path[i][0])
                pli_env_save(i, true);
        __atomic_store_n(&pli_env.dumping, 0, __ATOMIC_RELEASE);
    }
    errno = saved_errno;
}

/* A handler that the program installs later takes its place. */
static void pli_env_start_dump(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = pli_env_on_dump;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    pli_libc_action((int)pli_env.dump, &action, NULL);
}

/* The files, how they get written, and the note to children, which take the same keys. */
static void pli_env_start_files(char **place)
{
    pli_env.child = pli_env.parent != 0 && pli_env.parent != getpid();
    PLI_STORE(pli_env.pid, getpid());
    pli_env_start_rates();
    if (pli_env.path[PLI_ENV_CPU][0])
        pli_env_start_cpu();
    for (int i = 0; i < PLI_ENV_FILES; i++)
        pli_env.started |= pli_env.path[i][0] != '\0';
    if (pli_env.parent == 0 && (pli_env.started || pli_env.http))
        pli_env_mark(place);
    if (!pli_env.started)
        return;
    pli_env_handle_all();
    if (pli_env.dump)
        pli_env_start_dump();
}

/* Says once that little is left. */
static void pli_env_over_soft(int64_t live, void *user)
{
    char bytes[64];
    snprintf(bytes, sizeof bytes, "%" PRId64 " of %" PRId64, live, pli_env.memlimit);
    (void)user;
    pli_env_complain("memlimit: ", bytes, " bytes are live; beyond, malloc fails");
}

static void pli_env_start_limit(void)
{
    int64_t limit = pli_env.memlimit;
    pl_result result = pl_memlimit_set(limit - limit / 10, pli_env_over_soft, NULL, limit);
    if (result != PL_OK)
        pli_env_complain("memlimit: ", pl_result_str(result), ": blocks are not counted here");
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

/* Before all else: the other keys may crash, too. */
static void pli_env_start_crash(void)
{
    pl_result result = pli_crash_install(pli_env.crash);
    if (result != PL_OK)
        pli_env_complain("crash: ", pl_result_str(result), "");
}

/* The parent has the port. A child can only have one of its own: any (:0), or a socket with its
   number in the name. What goes wrong is said by pl_http_start. A child without a port of its own
   is no mistake, since most children are short commands: nothing is said about it. */
static void pli_env_start_http(void)
{
    char address[4096];
    const char *mark = strstr(pli_env.http, "%p");
    size_t size = strlen(pli_env.http);
    bool any = mark || (size > 1 && strcmp(pli_env.http + size - 2, ":0") == 0);
    if (pli_env.child && !any)
        return;
    if (mark)
        snprintf(address, sizeof address, "%.*s%d%s", (int)(mark - pli_env.http), pli_env.http,
                 (int)getpid(), mark + 2);
    pl_http_start(&(pl_http_desc){.address = mark ? address : pli_env.http,
                                  .token = pli_env.token});
}

/* Programs that run with more rights than their user ignore the user's wishes. What fails here is
   said and left out, and main begins as it would without: a profiler that keeps a program from
   starting would soon be taken out of it. */
__attribute__((constructor)) static void pli_env_start(void)
{
    char **place = getauxval(AT_SECURE) ? NULL : pli_env_place();
    if (!place)
        return;
    pli_env_parse(*place + strlen("PERFLAB="));
    if (pli_env.crash > 0)
        pli_env_start_crash();
    if (pli_env.leakcheck)
        pli_env_start_leaks();
    if (pli_env.memlimit)
        pli_env_start_limit();
    pli_env_start_files(place);
    if (pli_env.http)
        pli_env_start_http();
    if (pli_env.heaptrace && pli_growth_start(pli_env.heaptrace) != PL_OK)
        pli_env_complain("heaptrace: ", "no thread can be started", "; raise ulimit -u");
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
