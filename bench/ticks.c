/* What a read of pl_ticks costs beside the bare instruction.

   Prints a line a round, "OURS BESIDE" in nanoseconds a read, the two measured one after the
   other, with the order turned each time. perflab.h is a separate object, as a program has it. */
#include "perflab.h"

#define READS 200000
#define ROUNDS 41

static inline uint64_t bare_read(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return pl_now_ns();
#endif
}

/* Processor time, so that another program's turn does not count. */
static double time_of(uint64_t start) {
    return (double)(pl_thread_cpu_ns() - start) / READS;
}

static double ours(void) {
    uint64_t start = pl_thread_cpu_ns(), sum = 0;
    for (int i = 0; i < READS; i++) {
        sum += pl_ticks();
    }
    __asm__ volatile("" : : "r"(sum));
    return time_of(start);
}

static double bare(void) {
    uint64_t start = pl_thread_cpu_ns(), sum = 0;
    for (int i = 0; i < READS; i++) {
        sum += bare_read();
    }
    __asm__ volatile("" : : "r"(sum));
    return time_of(start);
}

int main(void) {
    for (int round = 0; round < ROUNDS; round++) {
        double first = round % 2 ? ours() : bare();
        double second = round % 2 ? bare() : ours();
        printf("%.4f %.4f\n", round % 2 ? first : second, round % 2 ? second : first);
    }
    return 0;
}
