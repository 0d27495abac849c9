/* ---- Values the optimiser may not touch ------------------------------------------------

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

/* PL_NOINLINE before a function keeps it a real call, with no copy of it made for a caller. */
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
   0 in memory. Written out, as <type_traits> would double the time to include this file. */
template <class T> struct pli_kind { enum { value = __is_enum(T) ? 1 : 0 }; };
template <class T> struct pli_kind<T *> { enum { value = 1 }; };
#define PLI_KIND(T, kind) \
    template <> struct pli_kind<T> { enum { value = sizeof(T) <= sizeof(void *) ? kind : 0 }; }
PLI_KIND(bool, 1);
PLI_KIND(char, 1);
PLI_KIND(signed char, 1);
PLI_KIND(unsigned char, 1);
PLI_KIND(wchar_t, 1);
PLI_KIND(short, 1);
PLI_KIND(unsigned short, 1);
PLI_KIND(int, 1);
PLI_KIND(unsigned, 1);
PLI_KIND(long, 1);
PLI_KIND(unsigned long, 1);
PLI_KIND(long long, 1);
PLI_KIND(unsigned long long, 1);
PLI_KIND(float, 2);
PLI_KIND(double, 2);
template <int kind> struct pli_opaque {
    template <class T> static void keep(const T &v) { __asm__ volatile("" : : "r"(&v) : "memory"); }
    template <class T> static void hide(T &v) { __asm__ volatile("" : : "r"(&v) : "memory"); }
};
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
template <class T> inline void pli_keep(const T &v) { pli_opaque<pli_kind<T>::value>::keep(v); }
template <class T> inline void pli_hide(T &v) { pli_opaque<pli_kind<T>::value>::hide(v); }
}
#define PL_KEEP(value) pli_keep(value)
#define PL_HIDE(lvalue) pli_hide(lvalue)
#else
/* In C the same choice is made by the compiler's own classes of types: 1 integer, 5 pointer.
   The branches not taken must compile as well, hence an operand of a fitting type in them. */
#define PLI_IN_REG(v) \
    ((__builtin_classify_type(v) == 1 || __builtin_classify_type(v) == 5) && \
     sizeof(v) <= sizeof(void *))
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

/* ---- Benchmarks ------------------------------------------------------------------------

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

/* pl_bench_run runs fn as the sub-benchmark "Parent/name": spaces become _, repeats get #01.
   A benchmark that calls it is run once and has no result of its own.
   Errors: out of memory makes the parent fail. Threads: the benchmark's own. Signal-safe: no. */
void pl_bench_run(pl_bench *b, const char *name, void (*fn)(pl_bench *b, void *arg), void *arg);

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
__attribute__((always_inline)) static inline uint64_t pli_loop_count(uint64_t left)
{
    __asm__ volatile("" : "+r"(left) : : "memory");
    return left - 1;
}

__attribute__((always_inline)) static inline int pli_parallel_step(pl_parallel *pb)
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
