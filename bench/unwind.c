/* What a walk over 32 frames costs that have no frame pointers, and what the whole handler of the
   CPU profile does. Built with -fomit-frame-pointer.

       unwind warm              ns a frame, the same stack again and again; a line a round: here,
                                and libgcc's _Unwind_Backtrace
       unwind warm libunwind    the same, and libunwind's unw_backtrace
       unwind thread            ns a frame, in another thread than the main one
       unwind cold              ns a frame, when each row has to be made from .eh_frame
       unwind handler           us a sample */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include <unwind.h>

#define ROUNDS 21
#define WALKS 2000
#define COLD_WALKS 200

static uintptr_t pcs[256];
static int (*unw_backtrace)(void **out, int max);
static ucontext_t context; /* of the deepest function, as a handler gets it */
static siginfo_t info;

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *frame, void *count)
{
    pcs[(*(int *)count)++ & 255] = _Unwind_GetIP(frame);
    return _URC_NO_REASON;
}

static int walk_other(void)
{
    int count = 0;
    if (unw_backtrace)
        return unw_backtrace((void **)pcs, 256);
    _Unwind_Backtrace(count_frame, &count);
    return count;
}

static int walk_here(void)
{
    pli_regs here = pli_regs_here_sig();
    return pli_unwind_sig(&here, pcs, 256);
}

static double ns_a_frame(int (*walk)(void))
{
    int frames = 0;
    uint64_t start = pl_now_ns();
    for (int i = 0; i < WALKS; i++)
        frames += walk();
    return (double)(pl_now_ns() - start) / frames;
}

static double ns_a_frame_cold(void)
{
    uint64_t ns = 0;
    int frames = 0;
    for (int i = 0; i < COLD_WALKS; i++) {
        memset(pli_rows, 0, sizeof pli_rows);
        uint64_t start = pl_now_ns();
        frames += walk_here();
        ns += pl_now_ns() - start;
    }
    return (double)ns / frames;
}

static double us_a_sample(void)
{
    uint64_t start = pl_now_ns();
    for (int i = 0; i < WALKS; i++)
        pli_cpu_handler_sig(SIGPROF, &info, &context);
    return (double)(pl_now_ns() - start) / WALKS / 1000;
}

static void measure(const char *what)
{
    for (int i = 0; i <= ROUNDS; i++) {
        double ours = *what == 'h' ? us_a_sample() : *what == 'c' ? ns_a_frame_cold() :
                      ns_a_frame(walk_here);
        double other = *what == 'w' ? ns_a_frame(walk_other) : 0;
        if (i > 0) /* the first round warms up */
            printf(*what == 'w' ? "%f %f\n" : "%f\n", ours, other);
    }
}

/* A signal of this thread's own timer, as the kernel would send it. */
static int prepare_handler(void)
{
    pl_cpu_desc desc = {.hz = 1};
    pl_result result = pl_cpu_start(&desc);
    pli_thread *t = pli_thread_of_sig(pli_os_tid_sig());
    if (result != PL_OK || !t || t->cpu.timer == 0) {
        fprintf(stderr, "unwind: no profile: %s\n", pl_result_str(result));
        return 1;
    }
    memset(&info, 0, sizeof info);
    info.si_code = SI_TIMER;
    info.si_timerid = t->cpu.timer - 1;
    info.si_value.sival_ptr = (void *)(PLI_CPU_COOKIE | (uintptr_t)t);
    return 0;
}

/* Functions of their own, since each address has a row of its own. */
typedef void descent(const char *what);
static volatile int sink;

__attribute__((noinline)) static void frame_0(const char *what)
{
    getcontext(&context);
    measure(what);
    sink++;
}

#define FRAME(n, callee)                                                                           \
    __attribute__((noinline)) static void frame_##n(const char *what)                              \
    {                                                                                              \
        volatile char room[8 + 8 * (n) % 56];                                                      \
        room[0] = n;                                                                               \
        frame_##callee(what);                                                                      \
        sink += room[0];                                                                           \
    }

FRAME(1, 0) FRAME(2, 1) FRAME(3, 2) FRAME(4, 3) FRAME(5, 4) FRAME(6, 5) FRAME(7, 6) FRAME(8, 7)
FRAME(9, 8) FRAME(10, 9) FRAME(11, 10) FRAME(12, 11) FRAME(13, 12) FRAME(14, 13) FRAME(15, 14)
FRAME(16, 15) FRAME(17, 16) FRAME(18, 17) FRAME(19, 18) FRAME(20, 19) FRAME(21, 20) FRAME(22, 21)
FRAME(23, 22) FRAME(24, 23) FRAME(25, 24) FRAME(26, 25) FRAME(27, 26) FRAME(28, 27)

static void *in_thread(void *what)
{
    frame_28(what);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "warm";
    pthread_t thread;
    if (argc > 2) {
        void *library = dlopen("libunwind.so.8", RTLD_NOW);
        *(void **)&unw_backtrace = library ? dlsym(library, "unw_backtrace") : NULL;
        if (!unw_backtrace) {
            fprintf(stderr, "unwind: error: libunwind.so.8 is not here\n");
            return 1;
        }
    }
    pli_unwind_prepare();
    if (what[0] == 'h' && prepare_handler() != 0)
        return 1;
    if (what[0] != 't')
        frame_26(what); /* and main, its callers, and what measures */
    else if (pthread_create(&thread, NULL, in_thread, (void *)(uintptr_t)what) == 0)
        pthread_join(thread, NULL);
    return 0;
}
