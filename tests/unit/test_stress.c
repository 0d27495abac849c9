/* What a program may be doing when a signal comes at 10,000 Hz: none of it crashes or hangs, and
   all of it is in the profile. STRESS=N in the environment makes it N times as long. */
/* run: upto=cpu */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <math.h>
#include <setjmp.h>
#include <sys/wait.h>

static int times = 1;

static bool going(uint64_t end)
{
    return pl_now_ns() < end;
}

static uint64_t in_ms(uint64_t ms)
{
    return pl_now_ns() + ms * 1000000 * (uint64_t)times;
}

static PL_NOINLINE void spin(uint64_t us)
{
    uint64_t end = pl_thread_cpu_ns() + us * 1000;
    while (pl_thread_cpu_ns() < end)
        continue;
}

/* -- What threads do; each has a number, so that they differ -- */

static void do_malloc(unsigned seed)
{
    void *block[40];
    for (unsigned i = 0; i < 40; i++) {
        block[i] = malloc(1 + (seed + i) * 7919 % 5000);
        PL_KEEP(block[i]);
    }
    for (unsigned i = 0; i < 40; i++)
        free(block[(i * 17) % 40]);
}

static void do_printf(unsigned seed)
{
    char text[200];
    snprintf(text, sizeof text, "%u %s %.17g %lc", seed, "text", (double)seed / 7, L'x');
    PL_KEEP(text[0]);
}

static PL_NOINLINE unsigned recurse(unsigned depth)
{
    volatile unsigned here = depth;
    return depth == 0 ? 1 : recurse(depth - 1) + here;
}

static void do_recursion(unsigned seed)
{
    PL_KEEP(recurse(2000 + seed % 100));
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Winfinite-recursion" /* it ends by longjmp */
#endif

static PL_NOINLINE void leave(jmp_buf *place, unsigned depth)
{
    volatile char room[64] = {0};
    if (depth == 0)
        longjmp(*place, 1);
    else
        leave(place, depth - 1);
    PL_KEEP(room[0]);
}

static void do_longjmp(unsigned seed)
{
    jmp_buf place;
    if (setjmp(place) == 0)
        leave(&place, seed % 30);
}

static void do_dl(unsigned seed)
{
    static const char *const names[] = {"libm.so.6", "libdl.so.2", "librt.so.1", "libutil.so.1"};
    void *handle = dlopen(names[seed % 4], RTLD_NOW);
    if (handle)
        dlclose(handle);
}

static void do_labels(unsigned seed)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    PL_LABELS("which", names[seed % 4]) {
        spin(5);
    }
}

static void do_vdso(unsigned seed)
{
    struct timespec t;
    for (unsigned i = 0; i < 20 + seed % 5; i++)
        clock_gettime(CLOCK_MONOTONIC, &t);
}

static void (*const doing[])(unsigned) = {do_malloc, do_printf, do_recursion, do_longjmp, do_dl,
                                          do_labels, do_vdso};
enum { KINDS = sizeof doing / sizeof *doing };

static uint64_t end_ns;

static void *do_one(void *number)
{
    unsigned n = (unsigned)(uintptr_t)number;
    for (unsigned seed = n; going(end_ns); seed++)
        doing[n % KINDS](seed);
    return NULL;
}

static int64_t weights(void)
{
    int64_t sum = pli_cpu.sites.lost;
    size_t position = 0;
    for (pli_site *s; (s = pli_sites_next(&pli_cpu.sites, &position)) != NULL;)
        sum += s->value[0];
    return sum;
}

/* Whether the profile has all of the time that was used since `before`. */
static void check_total(uint64_t before, const char *what)
{
    double used = (double)(pl_process_cpu_ns() - before) / 1e9 * pli_cpu.hz;
    double got = (double)weights();
    ok(fabs(got - used) < 0.05 * used + 0.02 * pli_cpu.hz, "%s: %.0f ticks, the clock says %.0f",
       what, got, used);
}

static void test_everything_at_once(void)
{
    pthread_t thread[2 * KINDS];
    uint64_t before = pl_process_cpu_ns();
    end_ns = in_ms(1500);
    is_int(pl_cpu_start(&(pl_cpu_desc){.hz = 10000}), PL_OK, "everything at once");
    for (uintptr_t i = 0; i < 2 * KINDS; i++)
        pthread_create(&thread[i], NULL, do_one, (void *)i);
    for (int i = 0; i < 2 * KINDS; i++)
        pthread_join(thread[i], NULL);
    pl_cpu_stop();
    check_total(before, "everything at once");
}

/* -- Stacks of other kinds -- */

static int signals;

static void on_signal(int number)
{
    (void)number;
    PLI_ADD(signals, 1);
    recurse(20);
    spin(50);
}

/* A handler on a stack of its own, which is sampled too. */
static void *on_other_stack(void *unused)
{
    char *room = malloc(65536);
    stack_t stack = {.ss_sp = room, .ss_size = 65536};
    sigaltstack(&stack, NULL);
    while (going(end_ns)) {
        pthread_kill(pthread_self(), SIGUSR1);
        spin(20);
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    free(room);
    return unused;
}

static void *compute(void *unused)
{
    while (going(end_ns))
        spin(100);
    return unused;
}

static void test_stacks(void)
{
    struct sigaction action;
    pthread_t thread[3];
    pthread_attr_t small;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, NULL);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, PLI_SANITIZER ? 1 << 20 : 16384);
    uint64_t before = pl_process_cpu_ns();
    end_ns = in_ms(700);
    pl_cpu_start(&(pl_cpu_desc){.hz = 10000});
    pthread_create(&thread[0], NULL, on_other_stack, NULL);
    is_int(pthread_create(&thread[1], &small, compute, NULL), 0, "a stack of 16 KiB");
    pthread_create(&thread[2], NULL, on_other_stack, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    pl_cpu_stop();
    ok(signals > 10, "handlers on stacks of their own ran");
    check_total(before, "stacks of other kinds");
}

#if !PLI_SANITIZER /* which do not know of such stacks */
static ucontext_t from, to;
static volatile int rounds;

static void coroutine(void)
{
    for (;;) {
        spin(30);
        rounds++;
        swapcontext(&to, &from);
    }
}

static void test_coroutine(void)
{
    char *room = malloc(65536);
    uint64_t before = pl_process_cpu_ns();
    end_ns = in_ms(400);
    getcontext(&to);
    to.uc_stack.ss_sp = room, to.uc_stack.ss_size = 65536, to.uc_link = NULL;
    makecontext(&to, coroutine, 0);
    pl_cpu_start(&(pl_cpu_desc){.hz = 10000});
    while (going(end_ns)) {
        swapcontext(&from, &to);
        spin(20);
    }
    pl_cpu_stop();
    free(room);
    ok(rounds > 10, "a coroutine ran");
    check_total(before, "a coroutine");
}
#endif

/* -- Coming and going -- */

static void *short_life(void *unused)
{
    spin(20);
    return unused;
}

static void test_churn(void)
{
    uint64_t before = pl_process_cpu_ns();
    int made = 0, most = 1500 * times;
    pl_cpu_start(&(pl_cpu_desc){.hz = 10000});
    for (; made < most; made += 4) {
        pthread_t thread[4];
        for (int i = 0; i < 4; i++)
            pthread_create(&thread[i], NULL, short_life, NULL);
        for (int i = 0; i < 4; i++)
            pthread_join(thread[i], NULL);
    }
    pl_cpu_stop();
    double used = (double)(pl_process_cpu_ns() - before) / 1e9 * pli_cpu.hz;
    ok((double)weights() > 0.5 * used && (double)weights() < 1.2 * used,
       "%d short threads: %lld ticks, the clock says %.0f", made, (long long)weights(), used);
}

static void *start_and_stop(void *unused)
{
    while (going(end_ns)) {
        pl_result result = pl_cpu_start(&(pl_cpu_desc){.hz = 10000});
        if (result != PL_OK && result != PL_BUSY)
            abort();
        spin(200);
        pl_cpu_stop();
    }
    return unused;
}

static void test_start_and_stop(void)
{
    pthread_t thread[4];
    end_ns = in_ms(600);
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, i < 3 ? start_and_stop : do_one, (void *)(uintptr_t)0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    pl_cpu_stop();
    is_int(pl_cpu_start(NULL), PL_OK, "after a storm of starts and stops it starts");
    is_int(pl_cpu_stop(), PL_OK, "and stops");
}

/* fork beside busy threads: the children allocate, compute and end. */
static void test_forks(void)
{
    pthread_t thread[2];
    int failed = 0;
    end_ns = in_ms(800);
    pl_cpu_start(&(pl_cpu_desc){.hz = 10000});
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, do_one, (void *)(i * 5)); /* malloc, labels */
    while (going(end_ns)) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
#if !PLI_SANITIZER /* whose malloc may be locked by a thread that the child does not have */
            do_malloc(1);
#endif
            do_labels(2);
            _exit(pl_cpu_stop() == PL_INVALID ? 0 : 1);
        }
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    is_int(pl_cpu_stop(), PL_OK, "forks beside busy threads");
    is_int(failed, 0, "every child came to its end");
}

int main(void)
{
    const char *longer = getenv("STRESS");
    times = longer ? atoi(longer) : 1;
    test_everything_at_once();
    test_stacks();
#if !PLI_SANITIZER
    test_coroutine();
#endif
    test_churn();
    test_start_and_stop();
    test_forks();
    return done();
}
