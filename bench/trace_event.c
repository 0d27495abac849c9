/* What an event of a trace costs. Prints a line a round, "OURS BESIDE" in nanoseconds:

       event       an event of a region            a read of pl_ticks
       off         a region while nothing is on    the loop alone
       spall       an event, as spall.h does it    a read of pl_ticks
       minitrace   an event, as minitrace does it  a read of pl_ticks
       load N      a microsecond of work in each of N threads with an event in it    without

   The two others are models of how those libraries write, after their descriptions: the same clock
   reads, locks and bytes, and nothing of their code. Time is processor time, so that another
   program's turn does not count. perflab.h is a separate object, as a program has it. */
#define _GNU_SOURCE
#include "perflab.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define EVENTS 400000
#define ROUNDS 31
#define UNITS 150000 /* of work in a round */

typedef double measured(void);

static char path[] = "/tmp/perflab-bench-XXXXXX";

static double per(uint64_t start, int count) {
    return (double)(pl_thread_cpu_ns() - start) / count;
}

static double ticks(void) {
    uint64_t start = pl_thread_cpu_ns(), sum = 0;
    for (int i = 0; i < EVENTS; i++) {
        sum += pl_ticks();
    }
    PL_KEEP(sum);
    return per(start, EVENTS);
}

static double regions(void) {
    uint64_t start = pl_thread_cpu_ns();
    for (int i = 0; i < EVENTS / 2; i++) {
        PL_REGION("round") { PL_CLOBBER(); }
    }
    return per(start, EVENTS);
}

static double regions_off(void) {
    uint64_t start = pl_thread_cpu_ns();
    for (int i = 0; i < 10 * EVENTS; i++) {
        PL_REGION("round") { PL_CLOBBER(); }
    }
    return per(start, 10 * EVENTS);
}

static double empty(void) {
    uint64_t start = pl_thread_cpu_ns();
    for (int i = 0; i < 10 * EVENTS; i++) {
        PL_CLOBBER();
    }
    return per(start, 10 * EVENTS);
}

/* -- A buffer a thread, packed records, written to a file when it is full -- */

static struct { unsigned char data[1 << 20]; size_t used; FILE *file; } packed;

static unsigned char *packed_room(size_t size) {
    if (packed.used + size > sizeof packed.data) {
        fwrite(packed.data, 1, packed.used, packed.file);
        packed.used = 0;
    }
    packed.used += size;
    return packed.data + packed.used - size;
}

static PL_NOINLINE void packed_begin(const char *name, size_t length) {
    uint64_t now = pl_ticks();
    unsigned char *to = packed_room(11 + length);
    to[0] = 3;
    memcpy(to + 1, &now, 8);
    to[9] = (unsigned char)length, to[10] = 0;
    memcpy(to + 11, name, length);
}

static PL_NOINLINE void packed_end(void) {
    uint64_t now = pl_ticks();
    unsigned char *to = packed_room(9);
    to[0] = 4;
    memcpy(to + 1, &now, 8);
}

static double spall(void) {
    uint64_t start = pl_thread_cpu_ns();
    rewind(packed.file);
    for (int i = 0; i < EVENTS / 2; i++) {
        packed_begin("round", 5);
        packed_end();
    }
    return per(start, EVENTS);
}

/* -- One array for all threads, behind locks -- */

typedef struct shared_event {
    const char *name, *category;
    void *id;
    int64_t ts;
    uint32_t pid, tid;
    char phase;
    double argument;
} shared_event;

static struct { pthread_mutex_t lock, flush; shared_event *event; int used; } shared = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, NULL, 0};

static PL_NOINLINE void shared_add(const char *name, char phase) {
    struct timeval now;
    gettimeofday(&now, NULL);
    pthread_mutex_lock(&shared.flush);
    pthread_mutex_unlock(&shared.flush);
    pthread_mutex_lock(&shared.lock);
    shared_event *e = &shared.event[shared.used++ % EVENTS];
    pthread_mutex_unlock(&shared.lock);
    *e = (shared_event){name, "c", NULL, now.tv_sec * 1000000 + now.tv_usec, 1, 1, phase, 0};
}

static double minitrace(void) {
    uint64_t start = pl_thread_cpu_ns();
    for (int i = 0; i < EVENTS / 2; i++) {
        shared_add("round", 'B');
        shared_add("round", 'E');
    }
    return per(start, EVENTS);
}

/* -- A program with a million events a second in each thread -- */

static int threads = 1, work = 100;

/* About a microsecond, once `work` is set so. */
static PL_NOINLINE uint64_t unit(uint64_t x) {
    for (int i = 0; i < work; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
    }
    return x;
}

/* Every second unit begins a region, and the others end it. */
static void *units(void *result) {
    uint64_t start = pl_thread_cpu_ns(), x = 1;
    for (int i = 0; i < UNITS; i += 2) {
        PL_REGION("two units") {
            x = unit(x);
            x = unit(x);
        }
    }
    PL_KEEP(x);
    *(double *)result = per(start, UNITS);
    return NULL;
}

static double load(void) {
    pthread_t thread[64];
    double ns[64], sum = 0;
    for (int i = 0; i < threads; i++) {
        pthread_create(&thread[i], NULL, units, &ns[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        sum += ns[i];
    }
    return sum / threads;
}

/* -- Rounds -- */

static int on(void) {
    pl_trace_desc desc = {path, 0, PL_TRACE_NO_WAITS};
    return pl_trace_start(&desc) == PL_OK;
}

/* Both, one after the other, the order turned each round; `traced` is the one with a trace on. */
static void compare(measured *ours, measured *beside, measured *traced) {
    for (int round = 0; round < ROUNDS; round++) {
        double value[2];
        for (int i = 0; i < 2; i++) {
            int which = (i + round) % 2;
            measured *m = which ? beside : ours;
            int begun = traced && which == 0 && on();
            if (traced && which == 0 && !begun) {
                exit(2);
            }
            m(); /* what is met for the first time */
            value[which] = m();
            if (begun) {
                pl_trace_stop();
            }
        }
        printf("%.4f %.4f\n", value[0], value[1]);
    }
}

static void calibrate(void) {
    for (double ns = load(); ns < 950 || ns > 1050; ns = load()) {
        work = (int)(work * 1000 / ns) + 1;
    }
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "event";
    int fd = mkstemp(path);
    if (fd < 0 || (packed.file = tmpfile()) == NULL ||
        (shared.event = calloc(EVENTS, sizeof *shared.event)) == NULL) {
        return 2;
    }
    threads = argc > 2 ? atoi(argv[2]) : 1;
    if (strcmp(mode, "event") == 0) {
        compare(regions, ticks, regions);
    } else if (strcmp(mode, "off") == 0) {
        compare(regions_off, empty, NULL);
    } else if (strcmp(mode, "spall") == 0) {
        compare(spall, ticks, NULL);
    } else if (strcmp(mode, "minitrace") == 0) {
        compare(minitrace, ticks, NULL);
    } else {
        calibrate();
        compare(load, load, load);
    }
    close(fd);
    unlink(path);
    return 0;
}
