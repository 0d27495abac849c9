/* perflab.h - performance tools for C and C++ programs, in one header.

   A timer, exact heap statistics and benchmarks in the manner of Go's testing package. No
   dependency but libc and the kernel.

   DO THIS
       cc -O2 -DPERFLAB_IMPL -x c -c perflab.h -o perflab.o      once: the implementation as an
       object cc -O2 main.c perflab.o -o main                           then link it; main.c
       includes "perflab.h"
   or write, in exactly one C file, before any other include:
       #define _GNU_SOURCE
       #define PERFLAB_IMPL
       #include "perflab.h"
   The API is C99 and C++11; the implementation is C11 with GNU extensions (gcc, clang).

   CONTENTS (search for the tag)
       >>api         everything a program may use; readable alone
       >>platform    the operating system and the processor, behind a small contract
       >>util        atomics, a lock, bounded text
       >>results     the names of the results
       >>clock       time, ticks, timers
       >>thread      one block per thread: birth, death, fork
       >>heap        exact counts of the heap, per thread and summed up
       >>malloc      the interposed entry points: malloc and its family, operator new and delete

   EXAMPLES
       Timer:          pl_timer t = {0};
                       pl_timer_start(&t);  work();  pl_timer_stop(&t);
                       printf("%llu ns\n", (unsigned long long)pl_timer_ns(&t));

       Heap:           pl_memstats before, after;
                       pl_memstats_read(&before);  work();  pl_memstats_read(&after);
                       pl_memstats change = pl_memstats_diff(&after, &before);
                       pl_memstats_write(&change, stdout);

   CONFIGURATION (define where the implementation is compiled; none is defined by default)
       PERFLAB_NO_INTERPOSE   leaves malloc, free, operator new, ... alone: pl_memstats counts
       nothing then

   THREADS AND SIGNALS
       Every public function says in its comment which threads may call it and whether a signal
       handler may. What is kept per thread is written by that thread alone; readers sum up. After
       fork, the child goes on with the heap it inherited and one thread.

   ERRORS
       Every call that can fail returns a pl_result; PL_OK is 0; pl_result_str names it. There is no
       global last error. When memory for perflab's own use runs out, counting goes on, more slowly.

   COST
       Measured side by side in bench/README.md: what a malloc and free pair costs with exact
       statistics, what pl_ticks costs beside the bare instruction.

   INTERPOSED SYMBOLS (all weak; each goes on to the next definition in line, so that jemalloc,
   tcmalloc or mimalloc stay in charge where they are linked or preloaded)
       malloc calloc realloc reallocarray free posix_memalign aligned_alloc memalign valloc pvalloc
       free_sized free_aligned_sized, and the 20 forms of C++'s operator new and delete
   In a statically linked program, and in one built with a sanitizer, the C library's or the
   sanitizer's own definitions stay in place; pl_memstats_write says so.

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
   cannot do a thing says so in the return value, and the caller says it to the user. */

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
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#define PLI_LINUX 1
#else
#define PLI_LINUX 0
#endif
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#include <malloc.h>
#define PLI_GLIBC 1
#else
#define PLI_GLIBC 0
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

__extension__ typedef unsigned __int128 pli_wide;

/* Thread-local variables of a preloaded library must not be allocated on first use: that would call
   malloc from within malloc. */
#define PLI_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#define PLI_SOMETIMES __attribute__((unused)) /* some configurations have no caller */
#define PLI_CACHE_LINE 128 /* two lines: processors fetch them in pairs */

static uint64_t pli_os_clock_ns(clockid_t clock)
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

/* Reads the first bytes of a small file such as those in /proc and /sys into text, NUL-terminated,
   without a final newline. Uses no memory of its own, so that it may run inside malloc. */
static pl_result pli_os_read_file(const char *path, char *text, size_t capacity)
{
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
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

PLI_SOMETIMES static void *pli_os_map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

PLI_SOMETIMES static void pli_os_yield(void)
{
    sched_yield();
}

/* Sleeps while *word is value, or shortly where the system has no such call. */
static void pli_os_wait(uint32_t *word, uint32_t value)
{
#if PLI_LINUX
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    (void)word, (void)value;
    sched_yield();
#endif
}

static void pli_os_wake(uint32_t *word)
{
#if PLI_LINUX
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
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

static pli_os_heap pli_os_heap_read(void)
{
    pli_os_heap h = {0, 0, 0};
#if PLI_GLIBC && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 m = mallinfo2();
    h.sys = (int64_t)(m.arena + m.hblkhd);
    h.inuse = (int64_t)(m.uordblks + m.hblkhd);
    h.releasable = (int64_t)m.keepcost;
#endif
    return h;
}

/* ==== >>util =====================================================================================
   Words that are written by one thread and read by others are plain uint64_t with relaxed atomic
   access: on every supported processor that is an ordinary load and store, so that the owner pays
   nothing for them. */

#define PLI_LIKELY(x) __builtin_expect(!!(x), 1)
#define PLI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PLI_COLD __attribute__((noinline, cold))
#define PLI_LOAD(object) __atomic_load_n(&(object), __ATOMIC_RELAXED)
#define PLI_STORE(object, value) __atomic_store_n(&(object), (value), __ATOMIC_RELAXED)
#define PLI_ADD(object, value) __atomic_add_fetch(&(object), (value), __ATOMIC_RELAXED)
#define PLI_LOAD_ACQUIRE(object) __atomic_load_n(&(object), __ATOMIC_ACQUIRE)
#define PLI_STORE_RELEASE(object, value) __atomic_store_n(&(object), (value), __ATOMIC_RELEASE)

/* A lock that works inside malloc and before constructors: 0 free, 1 held, 2 held and somebody
   waits. */
typedef struct pli_lock { uint32_t state; } pli_lock;

static void pli_lock_take(pli_lock *lock)
{
    uint32_t expected = 0;
    if (__atomic_compare_exchange_n(&lock->state, &expected, 1, 0, __ATOMIC_ACQUIRE,
    __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0)
        pli_os_wait(&lock->state, 2);
}

static void pli_lock_give(pli_lock *lock)
{
    if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2)
        pli_os_wake(&lock->state);
}

/* Raises *peak to value if that is higher. */
PLI_SOMETIMES static void pli_raise(int64_t *peak, int64_t value)
{
    int64_t seen = PLI_LOAD(*peak);
    while (value > seen &&
           !__atomic_compare_exchange_n(peak, &seen, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
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
   whenever the program has run twice as long as at the last conversion. An anchor reads the clock
   between two reads of the counter and keeps the tightest of several tries; the error is half that
   gap. */

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

static pli_anchor pli_anchor_take_sig(void)
{
    pli_anchor best = {0, 0, UINT64_MAX};
    for (int i = 0; i < 8; i++) {
        uint64_t before = pli_os_ticks_sig();
        uint64_t ns = pli_os_clock_ns(CLOCK_MONOTONIC);
        uint64_t gap = pli_os_ticks_sig() - before;
        if (gap < best.gap)
            best = (pli_anchor){before + gap / 2, ns, gap};
    }
    return best;
}

static PLI_COLD uint32_t pli_clock_init_sig(void)
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
        pli_clock_init_sig();
}

uint64_t pl_now_ns(void)
{
    return pli_os_clock_ns(CLOCK_MONOTONIC);
}

uint64_t pl_ticks(void)
{
    uint32_t source = PLI_LOAD(pli_clock.source);
    if (PLI_LIKELY(source == PLI_TICKS_COUNTER))
        return pli_os_ticks_sig();
    if (source == PLI_TICKS_UNKNOWN && pli_clock_init_sig() == PLI_TICKS_COUNTER)
        return pli_os_ticks_sig();
    return pl_now_ns();
}

/* Places the second anchor and returns the rate. Two threads may do so at once: both results are
   right. */
static PLI_COLD uint64_t pli_clock_measure_sig(void)
{
    pli_anchor now = pli_anchor_take_sig();
    while (now.ns - pli_clock.first.ns < PLI_RATE_SPAN_NS)
        now = pli_anchor_take_sig();
    uint64_t ticks = now.ticks - pli_clock.first.ticks, ns = now.ns - pli_clock.first.ns;
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

uint64_t pl_thread_cpu_ns(void)
{
    return pli_os_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t pl_process_cpu_ns(void)
{
    return pli_os_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

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

void pl_timer_reset(pl_timer *t)
{
    t->total_ticks = 0;
    t->started_ticks = pl_ticks();
}

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

   Invariant: a block in state USED belongs to one live thread, and only that thread writes its
   counters. Birth, death and fork happen under pli_threads.lock. Collectors register hooks for the
   three moments. */

typedef struct pli_counts {
    /* written by the owner, read by anyone: see >>heap */
    uint64_t born, died, top;
    /* written by the owner in an odd epoch, read by anyone who sees the same even epoch before and
       after */
    uint64_t epoch, mallocs, frees, bytes;
    int64_t base_live;
} pli_counts;

enum { PLI_THREAD_FREE, PLI_THREAD_USED };

typedef struct pli_thread {
    pli_counts heap;
    struct pli_thread *next; /* immutable once in the list */
    uint32_t state;          /* under the lock */
} __attribute__((aligned(PLI_CACHE_LINE))) pli_thread;

/* What a collector does at the three moments; any may be NULL. All run under pli_threads.lock and
   may neither allocate nor lock. */
typedef struct pli_thread_hooks {
    void (*birth)(pli_thread *t);
    void (*death)(pli_thread *t);      /* in the dying thread, or in a fork's child for the threads
    it lost */
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
    int collectors;
    const pli_thread_hooks *hooks[PLI_COLLECTORS_MAX];
} pli_threads;

#if PLI_INTERPOSE

static void pli_thread_death(pli_thread *t)
{
    for (int i = 0; i < pli_threads.collectors; i++)
        if (pli_threads.hooks[i]->death)
            pli_threads.hooks[i]->death(t);
    t->state = PLI_THREAD_FREE;
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

static void pli_fork_prepare(void)
{
    pli_lock_take(&pli_threads.lock);
}

static void pli_fork_parent(void)
{
    pli_lock_give(&pli_threads.lock);
}

/* In the child only the calling thread is left; the blocks of the others die here. */
static void pli_fork_child(void)
{
    for (pli_thread *t = pli_threads.all; t; t = t->next)
        if (t->state == PLI_THREAD_USED && t != pli_self)
            pli_thread_death(t);
    for (int i = 0; i < pli_threads.collectors; i++)
        if (pli_threads.hooks[i]->fork_child)
            pli_threads.hooks[i]->fork_child(pli_self);
    pli_threads.lock.state = 0;
}

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

static void pli_collector_add(const pli_thread_hooks *hooks)
{
    pli_lock_take(&pli_threads.lock);
    if (pli_threads.collectors < PLI_COLLECTORS_MAX)
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
        chunk[i].next = pli_threads.all;
        PLI_STORE_RELEASE(pli_threads.all, &chunk[i]);
    }
    return pli_threads.all;
}

static pli_thread *pli_thread_birth(void)
{
    pli_lock_take(&pli_threads.lock);
    pli_threads_prepare();
    pli_thread *t = pli_threads.prepared == 1 ? pli_thread_find_block() : NULL;
    if (t) {
        t->state = PLI_THREAD_USED;
        pli_threads.seen++;
        for (int i = 0; i < pli_threads.collectors; i++)
            if (pli_threads.hooks[i]->birth)
                pli_threads.hooks[i]->birth(t);
    }
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

#endif /* PLI_INTERPOSE */

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

   Settling moves the counts into full 64-bit totals and the live bytes into the one sum of all
   threads, and starts again in the middle. It happens when the thread's live bytes moved by WINDOW either way,
   so that the common sum is never further off than that, and when born or died overflow, that is
   before the blocks can reach 2^28: a block has 8 bytes at least.

   Invariant: mallocs + blocks of born, frees + blocks of died, and the same for bytes, are exact at
   any moment at which no settling is under way (epoch even); pli_heap.live + the windows of all
   threads = live bytes. The blocks of UNBORN, ORPHAN and NESTED hold zeros: every comparison sends
   them to the slow path. */

#define PLI_BLOCK_BITS 28
#define PLI_WINDOW ((uint64_t)64 << 10)
#define PLI_COUNT_START ((uint64_t)0 - ((uint64_t)1 << (30 + PLI_BLOCK_BITS)))
#define PLI_ONE_BLOCK(bytes) (((uint64_t)(bytes) << PLI_BLOCK_BITS) + 1)
#define PLI_BYTES_OF(word) ((word) >> PLI_BLOCK_BITS)
#define PLI_BLOCKS_OF(word) ((word) & (((uint64_t)1 << PLI_BLOCK_BITS) - 1))
#define PLI_BIG_BLOCK ((size_t)1 << 20) /* does not go through the words */

typedef struct pli_totals { int64_t mallocs, frees, bytes; } pli_totals;

static struct {
    pli_totals gone;   /* of threads that ended, under pli_threads.lock; of orphans, atomically */
    int64_t live;      /* settled live bytes of all threads, atomic */
    int64_t peak;      /* atomic */
    uint32_t ready;
} pli_heap;

/* What the two words hold now. */
static pli_totals pli_counts_window(const pli_counts *c, int64_t *live, int64_t *high)
{
    uint64_t born = PLI_LOAD(c->born) - PLI_COUNT_START - (PLI_WINDOW << PLI_BLOCK_BITS);
    uint64_t died = PLI_LOAD(c->died) - PLI_COUNT_START;
    *live = (int64_t)(PLI_BYTES_OF(born) - PLI_BYTES_OF(died));
    /* The blocks' part of top may be below zero and have borrowed from the bytes: round. */
    uint64_t top = PLI_LOAD(c->top) + ((uint64_t)1 << (PLI_BLOCK_BITS - 1));
    *high = (int64_t)PLI_BYTES_OF(top) - (int64_t)PLI_WINDOW;
    return (pli_totals){(int64_t)PLI_BLOCKS_OF(born), (int64_t)PLI_BLOCKS_OF(died),
                        (int64_t)PLI_BYTES_OF(born)};
}

#if PLI_INTERPOSE

static void pli_counts_restart(pli_counts *c)
{
    PLI_STORE(c->died, PLI_COUNT_START);
    PLI_STORE(c->born, PLI_COUNT_START + (PLI_WINDOW << PLI_BLOCK_BITS));
    PLI_STORE(c->top, PLI_WINDOW << PLI_BLOCK_BITS);
}

/* Called by the owner, or for a thread that is gone. */
static void pli_counts_settle(pli_counts *c)
{
    int64_t live, high;
    pli_totals window = pli_counts_window(c, &live, &high);
    PLI_STORE(c->epoch, c->epoch + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    PLI_STORE(c->mallocs, c->mallocs + (uint64_t)window.mallocs);
    PLI_STORE(c->frees, c->frees + (uint64_t)window.frees);
    PLI_STORE(c->bytes, c->bytes + (uint64_t)window.bytes);
    pli_counts_restart(c);
    pli_raise(&pli_heap.peak, PLI_LOAD(pli_heap.live) + high);
    PLI_ADD(pli_heap.live, live);
    PLI_STORE_RELEASE(c->epoch, c->epoch + 1);
}

static void pli_heap_birth(pli_thread *t)
{
    t->heap.mallocs = t->heap.frees = t->heap.bytes = 0;
    pli_counts_restart(&t->heap);
}

static void pli_heap_death(pli_thread *t)
{
    pli_counts_settle(&t->heap);
    PLI_ADD(pli_heap.gone.mallocs, (int64_t)t->heap.mallocs);
    PLI_ADD(pli_heap.gone.frees, (int64_t)t->heap.frees);
    PLI_ADD(pli_heap.gone.bytes, (int64_t)t->heap.bytes);
}

static const pli_thread_hooks pli_heap_hooks = {pli_heap_birth, pli_heap_death, NULL};

static PLI_COLD void pli_heap_prepare(void)
{
    if (__atomic_exchange_n(&pli_heap.ready, 1, __ATOMIC_ACQ_REL) == 0)
        pli_collector_add(&pli_heap_hooks);
}

/* Counts a block beside the words: big ones, and those of orphans. */
static void pli_heap_count_direct(pli_totals *t, int64_t bytes, int born)
{
    int64_t live = PLI_ADD(pli_heap.live, born ? bytes : -bytes);
    PLI_ADD(*(born ? &t->mallocs : &t->frees), 1);
    if (born)
        PLI_ADD(t->bytes, bytes);
    pli_raise(&pli_heap.peak, live);
}

/* The slow path of both counting functions: no thread block yet, window left, new peak, or a big
   block. */
static PLI_COLD void pli_heap_count_slow(size_t bytes, int born)
{
    if (pli_self == &pli_nested)
        return;
    int saved_errno = errno;
    if (!PLI_LOAD(pli_heap.ready))
        pli_heap_prepare();
    pli_thread *t = pli_thread_join();
    if (t == &pli_orphan) {
        pli_heap_count_direct(&pli_heap.gone, (int64_t)bytes, born);
    } else if (bytes >= PLI_BIG_BLOCK) {
        pli_counts_settle(&t->heap);
        pli_heap_count_direct(&pli_heap.gone, (int64_t)bytes, born);
    } else {
        uint64_t *word = born ? &t->heap.born : &t->heap.died;
        uint64_t next = *word + PLI_ONE_BLOCK(bytes);
        uint64_t live = (born ? next : t->heap.born) - (born ? t->heap.died : next);
        if (next < *word || live > 2 * (PLI_WINDOW << PLI_BLOCK_BITS)) {
            pli_counts_settle(&t->heap);
            pli_heap_count_direct(&pli_heap.gone, (int64_t)bytes, born);
        } else {
            PLI_STORE(*word, next);
            if (live > t->heap.top)
                PLI_STORE(t->heap.top, live);
        }
    }
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

/* One thread's totals, by anyone. *live is its window, not settled yet, and *high the top of it. */
static pli_totals pli_counts_read(const pli_counts *c, int64_t *live, int64_t *high)
{
    for (;;) {
        uint64_t epoch = PLI_LOAD_ACQUIRE(c->epoch);
        pli_totals t = pli_counts_window(c, live, high);
        t.mallocs += (int64_t)PLI_LOAD(c->mallocs);
        t.frees += (int64_t)PLI_LOAD(c->frees);
        t.bytes += (int64_t)PLI_LOAD(c->bytes);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(epoch & 1) && PLI_LOAD(c->epoch) == epoch)
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
                      PLI_LOAD(pli_heap.gone.bytes)};
    int64_t settled = PLI_LOAD(pli_heap.live), live = settled, peak = PLI_LOAD(pli_heap.peak);
    for (pli_thread *t = pli_threads.all; t; t = t->next) {
        if (t->state != PLI_THREAD_USED)
            continue;
        int64_t window, high;
        pli_totals one = pli_counts_read(&t->heap, &window, &high);
        sum.mallocs += one.mallocs, sum.frees += one.frees, sum.bytes += one.bytes;
        live += window;
        if (settled + high > peak)
            peak = settled + high;
    }
    out->mallocs = sum.mallocs, out->frees = sum.frees, out->total_alloc = sum.bytes;
    out->alloc = live;
    out->peak_alloc = live > peak ? live : peak;
    out->threads_seen = pli_threads.seen;
    pli_lock_give(&pli_threads.lock);
}

/* ==== >>malloc ===================================================================================
   The entry points of the heap. Each calls the next definition in line, found with RTLD_NEXT, and
   counts:

       program ──► malloc here ──► next malloc (libc's, jemalloc's, tcmalloc's ...)
                       │
                   pli_heap_born(usable bytes)

   A block is counted after it was allocated and before it is freed, so that no thread can be handed
   memory that is still counted as somebody else's. Where the next malloc is glibc's, the size
   stands in the word before the block and is read from there; elsewhere malloc_usable_size is
   asked.

   Finding the next definitions takes dlsym, which may itself allocate: while it is at work, blocks
   come from a small arena, are never reused, and are not counted. */

enum { PLI_NEXT_UNKNOWN, PLI_NEXT_GLIBC, PLI_NEXT_OTHER, PLI_NEXT_DORMANT };

#if PLI_INTERPOSE

#define PLI_HOOK __attribute__((weak, visibility("default"), noinline))
#define PLI_PUBLIC __attribute__((visibility("default")))

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

#define PLI_NEXT_FIELD(type, name, parameters) type(*name) parameters;

typedef struct pli_next_table {
    PLI_NEXT(PLI_NEXT_FIELD)
    uint32_t mode;    /* PLI_NEXT_...; written last, with release */
    uint32_t finding; /* 1: a thread has begun to look */
    uint32_t counts_new; /* operator new comes from the allocator itself and does not pass malloc */
} pli_next_table;

static pli_next_table pli_next; /* tentative: malloc and free start at pli_boot_..., see below */

/* -- The arena: blocks that dlsym asks for while it looks for malloc -- */

#define PLI_ARENA_SIZE ((size_t)64 << 10)
#define PLI_ARENA_MARK 2 /* as glibc marks mmapped chunks: sends free and realloc to their slow
paths */

static struct { size_t used; char bytes[PLI_ARENA_SIZE] __attribute__((aligned(64))); } pli_arena;

static int pli_arena_holds(const void *p)
{
    return (const char *)p >= pli_arena.bytes && (const char *)p < pli_arena.bytes + PLI_ARENA_SIZE;
}

/* In front of each block stands its size, in the place and form of glibc's. */
static void *pli_arena_alloc(size_t alignment, size_t size)
{
    size_t step = (alignment < 16 ? 16 : alignment) + ((size + 31) & ~(size_t)15);
    size_t end = PLI_ADD(pli_arena.used, step);
    if (size >= PLI_ARENA_SIZE || alignment >= PLI_ARENA_SIZE || end > PLI_ARENA_SIZE) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t mask = (alignment < 16 ? 16 : alignment) - 1;
    uintptr_t p = ((uintptr_t)pli_arena.bytes + end - step + 16 + mask) & ~mask;
    ((size_t *)p)[-1] = ((size + 15) & ~(size_t)15) | PLI_ARENA_MARK;
    return (void *)p;
}

static size_t pli_arena_size(const void *p)
{
    return ((const size_t *)p)[-1] & ~(size_t)15;
}

/* -- Finding the next definitions -- */

/* Aliases are this copy's own, whatever symbol lookup makes of the names. */
PLI_HOOK void *malloc(size_t size);
static void *pli_own_malloc(size_t size)
    __attribute__((malloc, nothrow, alloc_size(1), alias("malloc"), used));

/* glibc's own names for its allocator. The reference also makes a static link take in libc's
   malloc, whose definitions then replace the weak ones here: perflab steps aside. */
#if PLI_GLIBC
extern void *__libc_malloc(size_t size);
static void *(*const pli_libc_malloc)(size_t) __attribute__((used)) = __libc_malloc;
#endif

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

static inline size_t pli_chunk_bytes_plain(size_t word)
{
    return (word & ~(size_t)7) - sizeof(size_t);
}

static inline size_t pli_chunk_bytes(size_t word)
{
    return pli_chunk_bytes_plain(word) - (word & 2 ? sizeof(size_t) : 0);
}

/* Whether blocks of the next malloc look as pli_chunk_bytes takes it. */
static int pli_next_is_glibc(void)
{
#if PLI_GLIBC
    if (!pli_same_object((const void *)(uintptr_t)pli_next.malloc,
                         (const void *)(uintptr_t)gnu_get_libc_version))
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

static void pli_next_look_up(void)
{
#define PLI_NEXT_LOOK_UP(type, name, parameters)                                                   \
    *(void **)&found.name = dlsym(RTLD_NEXT, #name);
    pli_next_table found = pli_next;
    PLI_NEXT(PLI_NEXT_LOOK_UP)
    found.mode = PLI_NEXT_UNKNOWN;
    pli_next = found;
}

/* Another copy of perflab further down the line would count everything twice. */
static void pli_next_silence_copies(void)
{
    void (*step_aside)(void);
    *(void **)&step_aside = dlsym(RTLD_NEXT, "pl_step_aside");
    if (step_aside)
        step_aside();
}

static void pli_fatal(const char *text)
{
    ssize_t n = write(2, text, strlen(text));
    (void)n;
    abort();
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
        pli_fatal("perflab: no malloc to forward to: compile with -DPERFLAB_NO_INTERPOSE\n");
    void *new_function = dlsym(RTLD_NEXT, "_Znw" PLI_MANGLED_SIZE);
    pli_next.counts_new = pli_same_object(new_function, *(void **)&pli_next.malloc);
    uint32_t mode = pli_next_is_glibc() ? PLI_NEXT_GLIBC : PLI_NEXT_OTHER;
    pli_next_silence_copies();
    PLI_STORE_RELEASE(pli_next.mode, mode);
    pli_self = self;
    errno = saved_errno;
    return mode;
}

static inline uint32_t pli_next_mode(void)
{
    uint32_t mode = PLI_LOAD_ACQUIRE(pli_next.mode);
    return PLI_LIKELY(mode != PLI_NEXT_UNKNOWN) ? mode : pli_next_find();
}

PLI_PUBLIC void pl_step_aside(void)
{
    pli_next_mode();
    PLI_STORE(pli_next.mode, PLI_NEXT_DORMANT);
}

/* The first malloc and free of the program go through these. */
static PLI_COLD void *pli_boot_malloc(size_t size)
{
    if (pli_next_find() == PLI_NEXT_UNKNOWN)
        return pli_next.malloc == pli_boot_malloc ? pli_arena_alloc(0, size) :
        pli_next.malloc(size);
    return pli_next.malloc(size);
}

static PLI_COLD void pli_boot_free(void *p)
{
    if (pli_next_find() != PLI_NEXT_UNKNOWN && !pli_arena_holds(p))
        pli_next.free(p);
}

static pli_next_table pli_next = {.malloc = pli_boot_malloc, .free = pli_boot_free};

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

static size_t pli_block_bytes(const void *p)
{
    if (PLI_LOAD(pli_next.mode) == PLI_NEXT_GLIBC)
        return pli_chunk_bytes(pli_chunk_word(p));
    return pli_next.malloc_usable_size ? pli_next.malloc_usable_size((void *)(uintptr_t)p) : 0;
}

static PLI_COLD void *pli_block_born_slow(void *p)
{
    uint32_t mode = PLI_LOAD(pli_next.mode);
    if (!p || mode == PLI_NEXT_UNKNOWN || mode == PLI_NEXT_DORMANT)
        return p;
    size_t bytes = pli_block_bytes(p);
    if (bytes >= PLI_BIG_BLOCK || !pli_heap_born(bytes))
        pli_heap_count_slow(bytes, 1);
    return p;
}

/* Counts p and returns it. */
static inline void *pli_block_born(void *p)
{
    if (PLI_UNLIKELY(!p) || PLI_UNLIKELY(pli_next.mode != PLI_NEXT_GLIBC))
        return pli_block_born_slow(p);
    size_t word = pli_chunk_word(p);
    if (PLI_UNLIKELY(word & 2) || PLI_UNLIKELY(!pli_heap_born(pli_chunk_bytes_plain(word))))
        return pli_block_born_slow(p);
    return p;
}

/* Counts bytes as freed. */
static void pli_block_died(size_t bytes)
{
    if (PLI_LOAD(pli_next.mode) == PLI_NEXT_DORMANT)
        return;
    if (bytes >= PLI_BIG_BLOCK || !pli_heap_died(bytes))
        pli_heap_count_slow(bytes, 0);
}

/* -- The C entry points -- */

PLI_HOOK void *malloc(size_t size)
{
    return pli_block_born(pli_next.malloc(size));
}

static PLI_COLD void pli_free_slow(void *p)
{
    if (pli_arena_holds(p))
        return;
    if (pli_next_mode() != PLI_NEXT_UNKNOWN)
        pli_block_died(pli_block_bytes(p));
    pli_next.free(p);
}

PLI_HOOK void free(void *p)
{
    if (!p)
        return;
    if (PLI_UNLIKELY(pli_next.mode != PLI_NEXT_GLIBC) || PLI_UNLIKELY(pli_chunk_word(p) & 2) ||
        PLI_UNLIKELY(!pli_heap_died(pli_chunk_bytes_plain(pli_chunk_word(p)))))
        pli_free_slow(p);
    else
        pli_next.free(p);
}

PLI_HOOK void *calloc(size_t count, size_t size)
{
    uint32_t mode = pli_next_mode();
    if (PLI_LIKELY(mode == PLI_NEXT_GLIBC))
        return pli_block_born(pli_next.calloc(count, size));
    if (mode == PLI_NEXT_UNKNOWN) /* the arena is zero and never reused */
        return size && count > PLI_ARENA_SIZE / size ? NULL : pli_arena_alloc(0, count * size);
    return pli_block_born(PLI_NESTED(pli_next.calloc(count, size)));
}

static PLI_COLD void *pli_realloc_of_arena(void *p, size_t size)
{
    void *q = malloc(size);
    size_t old = pli_arena_size(p);
    if (q)
        memcpy(q, p, old < size ? old : size);
    return q;
}

PLI_HOOK void *realloc(void *p, size_t size)
{
    if (!p)
        return malloc(size);
    if (PLI_UNLIKELY(pli_arena_holds(p) || pli_next_mode() == PLI_NEXT_UNKNOWN))
        return pli_realloc_of_arena(p, size);
    size_t old = pli_block_bytes(p);
    void *q = PLI_NESTED(pli_next.realloc(p, size));
    if (q || size == 0)
        pli_block_died(old);
    return pli_block_born(q);
}

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
    int error = PLI_NESTED(pli_next.posix_memalign(out, alignment, size));
    if (error == 0)
        pli_block_born(*out);
    return error;
}

PLI_HOOK void *aligned_alloc(size_t alignment, size_t size)
{
    if (pli_next_mode() == PLI_NEXT_UNKNOWN)
        return pli_arena_alloc(alignment, size);
    return pli_block_born(PLI_NESTED(pli_next.aligned_alloc(alignment, size)));
}

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
    pli_block_died(pli_block_bytes(p));
    pli_next.free_sized(p, size);
}

PLI_HOOK void free_aligned_sized(void *p, size_t alignment, size_t size)
{
    if (!p || pli_arena_holds(p) || pli_next_mode() == PLI_NEXT_UNKNOWN ||
        !pli_next.free_aligned_sized) {
        free(p);
        return;
    }
    pli_block_died(pli_block_bytes(p));
    pli_next.free_aligned_sized(p, alignment, size);
}

/* -- C++: operator new and delete --
   libstdc++'s call malloc and free, which count. jemalloc, tcmalloc and mimalloc bring operators of
   their own that do not; then the counting is done here. Each row: name here, linker name,
   parameters, arguments, size, alignment (0: the usual one), whether failure is NULL instead of an
   exception. */

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

/* Without a C++ runtime behind: a C program that loads a C++ library privately. */
static PLI_COLD void *pli_new_without_runtime(size_t size, size_t alignment, int may_fail)
{
    size_t rounded = alignment ? (size + alignment - 1) & ~(alignment - 1) : size ? size : 1;
    void *p = alignment ? aligned_alloc(alignment, rounded) : malloc(rounded);
    if (!p && !may_fail)
        pli_fatal("perflab: operator new: out of memory, and no C++ runtime to throw bad_alloc\n");
    return p;
}

#define PLI_DEFINE_NEW(name, symbol, parameters, arguments, size, alignment, may_fail)             \
    PLI_HOOK void *pli_##name parameters __asm__(symbol);                                          \
    void *pli_##name parameters                                                                    \
    {                                                                                              \
        static void *(*next) parameters;                                                           \
        if (PLI_UNLIKELY(!next))                                                                   \
            *(void **)&next = dlsym(RTLD_NEXT, symbol);                                            \
        if (!next)                                                                                 \
            return pli_new_without_runtime(size, alignment, may_fail);                             \
        void *p = next arguments;                                                                  \
        return pli_next.counts_new ? pli_block_born(p) : p;                                        \
    }

#define PLI_DEFINE_DELETE(name, symbol, parameters, arguments)                                     \
    PLI_HOOK void pli_##name parameters __asm__(symbol);                                           \
    void pli_##name parameters                                                                     \
    {                                                                                              \
        static void (*next) parameters;                                                            \
        if (PLI_UNLIKELY(!next))                                                                   \
            *(void **)&next = dlsym(RTLD_NEXT, symbol);                                            \
        if (!next) {                                                                               \
            free(p);                                                                               \
            return;                                                                                \
        }                                                                                          \
        if (p && pli_next.counts_new)                                                              \
            pli_block_died(pli_block_bytes(p));                                                    \
        next arguments;                                                                            \
    }

PLI_CPP_NEW(PLI_DEFINE_NEW)
PLI_CPP_DELETE(PLI_DEFINE_DELETE)

/* Whether malloc in this program is the one above, and counts. */
static int pli_malloc_in_charge(void)
{
    void *(*in_charge)(size_t) = malloc;
    __asm__("" : "+r"(in_charge)); /* compilers take it that two names are two functions, or one */
    return in_charge == pli_own_malloc && pli_next_mode() != PLI_NEXT_DORMANT;
}

static int pli_malloc_is_libc(void)
{
    return !pli_malloc_in_charge() || pli_next_mode() == PLI_NEXT_GLIBC;
}

#else /* !PLI_INTERPOSE */

void pl_step_aside(void)
{
}

static int pli_malloc_in_charge(void)
{
    return 0;
}

static int pli_malloc_is_libc(void)
{
    return PLI_GLIBC && !PLI_SANITIZER;
}

#endif

/* -- The statistics -- */

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

pl_memstats pl_memstats_diff(const pl_memstats *after, const pl_memstats *before)
{
#define PLI_DIFF_TOTAL(name) after->name - before->name
#define PLI_DIFF_LEVEL(name) after->name - before->name
#define PLI_DIFF_KEEP(name) after->name
#define PLI_DIFF(name, kind, meaning) PLI_DIFF_##kind(name),
    return (pl_memstats){PL_MEMSTATS(PLI_DIFF)};
}

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

#endif /* PERFLAB_IMPL_DONE */
#endif /* PERFLAB_IMPL */
