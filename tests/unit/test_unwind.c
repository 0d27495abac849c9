/* The unwinder: every instruction of many functions is stepped through, and at each the walk has to
   find exactly the calls that are under way. */
/* run: upto=frame without=asan,tsan flags=-ldl,-fno-inline,-fno-builtin */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"
#include <alloca.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <ucontext.h>

#define DEEP 300
#ifdef __GLIBC__
#define LIBC_HAS_TABLES 1
#else
#define LIBC_HAS_TABLES 0
#endif

static uintptr_t pcs[DEEP];
static volatile long sink;
static sigjmp_buf back;

/* -- The oracle, for any processor: functions note where they were called from -- */

static uintptr_t calls[DEEP]; /* return addresses, outermost first */
static int call_count;

#define ENTER() (calls[call_count++] = (uintptr_t)__builtin_return_address(0))
#define LEAVE() do { call_count--; PL_CLOBBER(); } while (0)

static const char *name_of(uintptr_t pc)
{
    static char text[200];
    pl_frame f;
    pl_symbolize((void *)pc, &f);
    snprintf(text, sizeof text, "%s+0x%zx", f.function ? f.function : "?", (size_t)f.offset);
    return text;
}

/* The noted return addresses stand in this order in a walk; others may stand between (handlers'
   frames). Says the first that is missing. */
static bool has_calls(int n)
{
    int at = 0;
    for (int i = call_count - 1; i >= 0; i--, at++) {
        while (at < n && pcs[at] != calls[i] - 1)
            at++;
        if (at == n) {
            diag("missing: %s", name_of(calls[i] - 1));
            for (int k = 0; k < n && k < 20; k++)
                diag("  #%d %s", k, name_of(pcs[k]));
            return false;
        }
    }
    return true;
}

static bool ends_at_root(int n)
{
    return n > 2 && pcs[n - 1] > PLI_PC_MARKS;
}

/* Walks from here, which has been ENTERed. */
PL_NOINLINE static int walk_here(void)
{
    pli_regs here = pli_regs_here_sig();
    int n = pli_unwind_sig(&here, pcs, DEEP);
    PL_CLOBBER();
    return n;
}

/* -- Stepping: the processor traps after each instruction. A call is seen by what it pushes, a
      return by where it goes -- */

#if defined(__x86_64__)

typedef struct step_frame { uintptr_t slot, pc; } step_frame; /* pc as a walk shows it */

static struct {
    step_frame stack[DEEP]; /* outermost first */
    int depth;
    uintptr_t pc, sp;       /* before the instruction */
    long steps, wrong;
    uintptr_t got[DEEP], want[DEEP]; /* the first wrong one */
    int got_count, want_count;
    bool on, guessed;
    bool jumping;           /* longjmp has the new stack and not yet the new pc */
} step;

/* Follows the instruction that was just executed. */
static void step_follow(uintptr_t pc, uintptr_t sp)
{
    uintptr_t top = *(uintptr_t *)sp, returned = 0;
    if (sp == step.sp - 8 && top - step.pc >= 2 && top - step.pc <= 7 && pc != top)
        step.stack[step.depth++] = (step_frame){sp, top - 1};
    while (step.depth > 0 && sp > step.stack[step.depth - 1].slot)
        returned = step.stack[--step.depth].pc + 1;
    step.jumping = (returned && pc - step.pc < 16) || (step.jumping && pc - step.pc < 16);
    step.pc = pc, step.sp = sp;
}

/* Writes what a walk has to find and returns how much that is. */
static int step_expect(uintptr_t *want)
{
    int n = 0;
    want[n++] = step.pc;
    for (int i = step.depth - 1; i >= 0; i--)
        want[n++] = step.stack[i].pc;
    return n;
}

static void step_check(const uintptr_t *got, int n)
{
    uintptr_t want[DEEP];
    int count = step_expect(want);
    step.steps++;
    if (step.jumping)
        return;
    bool same = n == count && memcmp(got, want, (size_t)n * sizeof *got) == 0;
    bool ends = got[n - 1] == PLI_PC_TRUNCATED || got[n - 1] == want[count - 1];
    if (same || (step.guessed && ends) || step.wrong++ > 0)
        return;
    memcpy(step.want, want, (size_t)count * sizeof *want);
    memcpy(step.got, got, (size_t)n * sizeof *got);
    step.want_count = count, step.got_count = n;
}

static void step_trap(int number, siginfo_t *info, void *context)
{
    uintptr_t got[DEEP];
    ucontext_t *u = context;
    (void)number, (void)info;
    pli_regs regs = pli_regs_of_signal_sig(context);
    if (!step.on) {
        u->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
        return;
    }
    step_follow(regs.pc, regs.sp);
    step_check(got, pli_unwind_sig(&regs, got, DEEP));
}

static void step_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = step_trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, NULL);
}

/* Takes over a walk of n addresses, whose second is where the caller of this function's caller
   goes on; slot is where that return address lies. */
static void step_begin(int n, uintptr_t slot)
{
    step.depth = 0;
    step.steps = step.wrong = 0;
    step.guessed = false;
    for (int i = n - 1; i >= 1; i--)
        step.stack[step.depth++] = (step_frame){UINTPTR_MAX, pcs[i]};
    step.stack[step.depth - 1].slot = slot;
    step.sp = 0;
    step.on = true;
}

#define STEP_ON() \
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop" ::: "memory", "cc")

static void step_report(const char *name)
{
    step.on = false;
    PL_CLOBBER();
    if (ok(step.steps > 5 && step.wrong == 0, "%s: every instruction", name))
        return;
    diag("%ld of %ld steps are wrong; the first, and what is right:", step.wrong, step.steps);
    for (int i = 0; i < step.got_count && i < 12; i++)
        diag("  got  %s", step.got[i] > PLI_PC_MARKS ? name_of(step.got[i]) : "CUT");
    for (int i = 0; i < step.want_count && i < 12; i++)
        diag("  want %s", name_of(step.want[i]));
}

/* Runs a function one instruction at a time. guessed: through a C library without unwind tables
   (musl), where it is enough that a walk ends at the root or says that it does not. */
PL_NOINLINE static void step_through(const char *name, void (*function)(void), bool guessed)
{
    int n = walk_here() - 1;
    memmove(pcs, pcs + 1, (size_t)n * sizeof *pcs); /* without walk_here */
    if (!ok(ends_at_root(n), "%s: the walk before reaches the root", name))
        return;
    step_begin(n, (uintptr_t)__builtin_frame_address(0) + 8);
    step.guessed = guessed;
    STEP_ON();
    function();
    step_report(name);
}

/* -- What is stepped through -- */

PL_NOINLINE static long add(long a, long b)
{
    return a + b;
}

PL_NOINLINE static long leaf_with_locals(long a)
{
    volatile long room[100];
    for (int i = 0; i < 100; i++)
        room[i] = a * i;
    return room[a & 63];
}

static void leaves(void)
{
    sink += add(sink, 2);
    sink += leaf_with_locals(7);
}

/* So many values alive across calls that all registers are saved. */
PL_NOINLINE static long pushes(long a, long b, long c, long d, long e, long f, long g)
{
    long x = add(a, b), y = add(c, d), z = add(e, f), u = add(g, a), v = add(b, c), w = add(d, e);
    for (int i = 0; i < 3; i++)
        x += add(y, z) * add(u, v) * w + (a ^ b ^ c ^ d ^ e ^ f ^ g);
    return x + y + z + u + v + w;
}

static void many_pushes(void)
{
    sink += pushes(1, 2, 3, 4, 5, 6, 7);
}

PL_NOINLINE static long dynamic(size_t size)
{
    char *p = alloca(size);
    memset(p, 3, size);
    char rest[size + 5];
    memset(rest, 4, sizeof rest);
    return p[size / 2] + rest[size];
}

static void dynamic_stack(void)
{
    sink += dynamic(77) + dynamic(1000);
}

PL_NOINLINE static long aligned_local(long a)
{
    _Alignas(64) volatile long room[16];
    for (int i = 0; i < 16; i++)
        room[i] = add(a, i);
    return room[a & 15];
}

PL_NOINLINE static long aligned_dynamic(long a, size_t size)
{
    _Alignas(64) volatile long room[16];
    char *p = alloca(size);
    memset(p, (int)a, size);
    for (int i = 0; i < 16; i++)
        room[i] = add(a, p[i]);
    return room[a & 15];
}

static void realignment(void)
{
    sink += aligned_local(5) + aligned_dynamic(5, 333);
}

PL_NOINLINE static long tail(long a)
{
    return add(a, a + 1);
}

PL_NOINLINE static long tail_of_large(long a)
{
    volatile char room[500];
    room[a & 255] = 1;
    long b = pushes(a, a, a, a, a, a, room[a & 255]);
    return tail(b);
}

static void tail_calls(void)
{
    sink += tail(4) + tail_of_large(9);
}

PL_NOINLINE static long recursion(int n)
{
    return n == 0 ? 1 : recursion(n - 1) + n;
}

static void recursive(void)
{
    sink += recursion(60);
}

static void library_calls(void)
{
    char text[64], *end;
    snprintf(text, sizeof text, "%d %s %.3f", 42, "text", 2.5);
    sink += (long)strlen(text) + strtol("123", &end, 10) + (long)strtod("1.5e3", &end);
    sink += strcmp(text, "42") + memcmp(text, "42", 2) + (strchr(text, 't') != NULL);
    sink += (long)(sin(1.0) * 100 + pow(2.0, 0.5));
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void callbacks(void)
{
    int numbers[] = {4, 1, 3, 9, 5, 8, 7};
    qsort(numbers, 7, sizeof *numbers, compare);
    sink += numbers[0];
}

static void allocation(void)
{
    void *p = malloc(100), *q = calloc(10, 10);
    p = realloc(p, 100000);
    free(p);
    free(q);
}

static void system_calls(void)
{
    struct timespec now;
    sigset_t set;
    clock_gettime(CLOCK_MONOTONIC, &now); /* the vdso */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    sink += getppid() + (long)time(NULL);
    sigprocmask(SIG_BLOCK, NULL, &set);
    sched_yield();
}

PL_NOINLINE __attribute__((noreturn)) static void jump(void)
{
    siglongjmp(back, 1);
}

/* The call of a function that does not return may be the last instruction here: the address behind
   it belongs to another function. */
PL_NOINLINE __attribute__((noreturn)) static void never_returns(void)
{
    sink += add(1, 2);
    jump();
}

static void noreturn_at_the_end(void)
{
    if (sigsetjmp(back, 0) == 0)
        never_returns();
}

__asm__(".text\n"
        ".type by_hand, @function\n"
        "by_hand:\n"
        "    .cfi_startproc\n"
        "    push %rbx\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_remember_state\n"
        "    push $5\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    push %rbp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_offset %rbp, -32\n"
        "    mov $77, %ebp\n"
        "    call 1f\n"
        "    pop %rbp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore %rbp\n"
        "    pop %rbx\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    jmp 2f\n"
        "    .cfi_restore_state\n"
        "    nop\n"
        "2:  pop %rbx\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        "1:  .cfi_startproc\n"
        "    nop\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size by_hand, .-by_hand\n");
void by_hand(void);

static void *thread_steps(void *function)
{
    step_through("in a thread", (void (*)(void))function, false);
    return NULL;
}

static void test_steps(void)
{
    static const struct { const char *name; void (*function)(void); bool libc; } cases[] = {
        {"leaves", leaves, false}, {"pushes", many_pushes, false},
        {"alloca", dynamic_stack, false}, {"aligned stack", realignment, false},
        {"tail calls", tail_calls, false}, {"recursion", recursive, false},
        {"library calls", library_calls, true}, {"callbacks", callbacks, true},
        {"malloc", allocation, true}, {"system calls and vdso", system_calls, true},
        {"noreturn", noreturn_at_the_end, true}, {"assembler", by_hand, false},
    };
    char first[64];
    step_install();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(first, sizeof first, "%s for the first time", cases[i].name);
        bool guessed = cases[i].libc && !LIBC_HAS_TABLES;
        step_through(first, cases[i].function, guessed); /* the dynamic linker looks calls up */
        step_through(cases[i].name, cases[i].function, guessed);
    }
}

static void test_thread_steps(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, thread_steps, (void *)many_pushes);
    pthread_join(thread, NULL);
}

/* From a handler on through the code that returns from it. */
static void step_out_of_handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    int n = walk_here() - 1;
    memmove(pcs, pcs + 1, (size_t)n * sizeof *pcs);
    step_begin(n, (uintptr_t)__builtin_frame_address(0) + 8);
    STEP_ON();
    sink += add(1, 1);
}

PL_NOINLINE static void interrupted(void)
{
    raise(SIGUSR2);
    step_report("out of a handler");
}

static void test_return_from_handler(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = step_out_of_handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR2, &action, NULL);
    interrupted();
}

#else

static void test_steps(void)
{
    skip("every instruction", "stepping is written for x86-64");
}

static void test_thread_steps(void) {}
static void test_return_from_handler(void) {}

#endif

/* -- Signal frames -- */

static int in_handler; /* what the walk of a handler found */
static int nested;     /* how many handlers interrupt each other */

static void handle(int number, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    if (nested-- > 0)
        raise(number == SIGUSR1 ? SIGUSR2 : SIGUSR1);
    else
        in_handler = walk_here();
    PL_CLOBBER();
}

static void install(int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | flags;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

PL_NOINLINE static void signalled(int handlers)
{
    ENTER();
    nested = handlers - 1;
    raise(SIGUSR1);
    LEAVE();
}

PL_NOINLINE static int occurrences(void (*function)(int, siginfo_t *, void *), int n)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        pl_frame f;
        pl_symbolize((void *)pcs[i], &f);
        found += (uintptr_t)pcs[i] - (uintptr_t)f.offset == (uintptr_t)function;
    }
    return found;
}

static void test_handlers(void)
{
    static char room[64 << 10];
    stack_t other = {.ss_sp = room, .ss_size = sizeof room};
    ENTER();
    for (int handlers = 1; handlers <= 4; handlers++) {
        install(0);
        signalled(handlers);
        ok(ends_at_root(in_handler), "%d handlers: to the root", handlers);
        ok(has_calls(in_handler), "%d handlers: over all callers", handlers);
        is_int(occurrences(handle, in_handler), handlers, "%d handlers: each is there", handlers);
    }
    sigaltstack(&other, NULL);
    install(SA_ONSTACK);
    signalled(1);
    ok(ends_at_root(in_handler) && has_calls(in_handler), "a handler on its own stack");
    signalled(3);
    ok(ends_at_root(in_handler) && has_calls(in_handler), "nested handlers there");
    other.ss_flags = SS_DISABLE;
    sigaltstack(&other, NULL);
    LEAVE();
}

/* A fault: the address that was interrupted stands in the walk as it is. */
static uintptr_t fault_pc, fault_seen;

static void handle_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    fault_pc = pli_regs_of_signal_sig(context).pc;
    in_handler = walk_here();
    for (int i = 0; i < in_handler; i++)
        if (pcs[i] == fault_pc)
            fault_seen = pcs[i];
    siglongjmp(back, 1);
}

PL_NOINLINE static void test_fault(void)
{
    struct sigaction action;
    ENTER();
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    volatile int *volatile nowhere = NULL;
    if (sigsetjmp(back, 1) == 0)
        *nowhere = 1;
    ok(fault_seen != 0 && fault_seen == fault_pc, "the address of a fault is exact");
    ok(ends_at_root(in_handler) && has_calls(in_handler), "with its callers");
    if (sigsetjmp(back, 1) == 0)
        ((void (*)(void))(uintptr_t)24)(); /* no code there */
    ok(ends_at_root(in_handler) && has_calls(in_handler), "a call to nowhere has callers, too");
    action.sa_handler = SIG_DFL;
    action.sa_flags = 0;
    sigaction(SIGSEGV, &action, NULL);
    LEAVE();
}

/* -- Depth, coroutines, threads -- */

PL_NOINLINE static int deep(int n)
{
    int found = n > 1 ? deep(n - 1) : walk_here();
    PL_CLOBBER();
    return found;
}

static void test_depth(void)
{
    int n = deep(1500);
    is_int(n, DEEP, "a stack that is deeper than max has max addresses");
    ok(pcs[n - 1] == PLI_PC_TRUNCATED, "the last says that it was cut");
    ok(pcs[n - 2] > PLI_PC_MARKS, "and only the last");
    n = deep(200);
    ok(ends_at_root(n) && n > 202 && n < 215, "one that fits is whole (%d)", n);
    pli_regs here = pli_regs_here_sig();
    ok(pli_unwind_sig(&here, pcs, 1) == 1 && pcs[0] == here.pc, "max 1 is the address itself");
    int whole = pli_unwind_sig(&here, pcs, DEEP);
    is_int(pli_unwind_sig(&here, pcs, whole), whole, "a stack of exactly max addresses");
    ok(ends_at_root(whole), "is whole");
}

#ifdef __GLIBC__

static ucontext_t outside, inside;
static int coroutine_walk;

static void coroutine(void)
{
    coroutine_walk = walk_here();
    PL_CLOBBER();
    swapcontext(&inside, &outside);
    coroutine_walk = deep(20);
    PL_CLOBBER();
}

static void test_coroutine(void)
{
    static char room[64 << 10];
    getcontext(&inside);
    inside.uc_stack.ss_sp = room;
    inside.uc_stack.ss_size = sizeof room;
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    swapcontext(&outside, &inside);
    ok(coroutine_walk >= 2 && coroutine_walk < 6, "a coroutine has its own root (%d)",
       coroutine_walk);
    ok(pcs[coroutine_walk - 1] > PLI_PC_MARKS, "which is known as such");
    swapcontext(&outside, &inside);
    ok(coroutine_walk >= 22 && coroutine_walk < 26, "also when it has gone on (%d)",
       coroutine_walk);
}

#else

static void test_coroutine(void)
{
    skip("coroutines", "this C library has no makecontext");
}

#endif

static int thread_walk;

static void *small_thread(void *unused)
{
    (void)unused;
    thread_walk = deep(20);
    return NULL;
}

static void *signalled_thread(void *unused)
{
    install(0);
    signalled(1);
    thread_walk = in_handler;
    return unused;
}

static void in_thread(size_t stack, void *(*run)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    is_int(pthread_attr_setstacksize(&attributes, stack), 0, "a stack of %zu KiB", stack >> 10);
    int failed = pthread_create(&thread, &attributes, run, NULL);
    pthread_attr_destroy(&attributes);
    if (failed == 0)
        pthread_join(thread, NULL);
}

static void test_threads(void)
{
    size_t small = PTHREAD_STACK_MIN > 16384 ? (size_t)PTHREAD_STACK_MIN : 16384;
    in_thread(small, small_thread);
    ok(ends_at_root(thread_walk) && thread_walk >= 22 && thread_walk < 27,
       "a small thread is walked to its root (%d)", thread_walk);
    in_thread(small * 2, signalled_thread);
    ok(ends_at_root(thread_walk), "and over a handler");
}

/* -- Memory that is not there -- */

static void test_bad_registers(void)
{
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages, 4096, PROT_NONE);
    munmap(pages + 2 * 4096, 4096);
    ok(!pli_os_readable_sig((uintptr_t)pages), "a page without rights");
    ok(pli_os_readable_sig((uintptr_t)pages + 4096), "a page");
    ok(!pli_os_readable_sig((uintptr_t)pages + 2 * 4096), "no page");
    uintptr_t places[] = {0, 8, 4095, (uintptr_t)pages, (uintptr_t)pages + 4096 + 8,
                          (uintptr_t)pages + 2 * 4096 - 8, (uintptr_t)pages + 2 * 4096,
                          UINTPTR_MAX - 7, UINTPTR_MAX, (uintptr_t)1 << 63,
                          (uintptr_t)pages + 4099};
    uintptr_t codes[] = {0, (uintptr_t)deep, (uintptr_t)strlen, (uintptr_t)pages, UINTPTR_MAX};
    int count = sizeof places / sizeof *places, kept = 0, walks = 0;
    for (int c = 0; c < 5; c++)
        for (int s = 0; s < count; s++)
            for (int f = 0; f < count; f++) {
                pli_regs regs = {codes[c], places[s], places[f], places[f], places[f]};
                int n = pli_unwind_sig(&regs, pcs, DEEP);
                walks++;
                kept += n >= 1 && n <= DEEP && pcs[0] == codes[c];
            }
    is_int(kept, walks, "registers that point nowhere end the walk, not the program");
    munmap(pages, 2 * 4096);
}

static void test_function_bounds(void)
{
    uintptr_t start = 0, end = 0, pc = (uintptr_t)deep;
    const pli_module *m = pli_module_at(pc, pli_modules_epoch_sig());
    ok(m != NULL && m->is_main, "the program is a module");
    ok(pli_unwind_function(m, pc + 3, &start, &end) && start == pc && end > pc + 8,
       "a function's bounds");
    ok(!pli_unwind_function(m, m->start, &start, &end), "no function, no bounds");
}

int main(void)
{
    pli_unwind_prepare();
    test_steps();
    test_thread_steps();
    test_return_from_handler();
    test_handlers();
    test_fault();
    test_depth();
    test_coroutine();
    test_threads();
    test_bad_registers();
    test_function_bounds();
    return done();
}
