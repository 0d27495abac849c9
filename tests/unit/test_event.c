/* Rings: what is overwritten, what a reader sees meanwhile, and samples one after the other. */
/* run: upto=profile */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

static pli_ring ring;

/* The newest stay, in their order, and the oldest are told from them. */
static void test_wrap(void)
{
    pli_event e;
    bool right = true;
    for (uint64_t i = 0; i < 3 * PLI_RING_EVENTS + 7; i++)
        pli_ring_write_sig(&ring, (pli_event){i, NULL, 1, PLI_EVENT_SAMPLE, 1});
    uint64_t head = ring.head, first = head - PLI_RING_EVENTS;
    is_int((long long)head, 3 * PLI_RING_EVENTS + 7, "every event is counted");
    for (uint64_t i = first + 1; i < head; i++)
        right &= pli_ring_read(&ring, i, &e) && e.ticks == i;
    ok(right, "the newest are read as they were written");
    ok(!pli_ring_read(&ring, first, &e), "the place that is next to be overwritten is not trusted");
    ok(!pli_ring_read(&ring, head, &e), "an event that is not there yet is not read");
}

#if !PLI_SANITIZER /* which would call the copy of a word that is being written a race */

static uint32_t stop;

/* Writes events whose parts all say the same number. */
static void *write_events(void *unused)
{
    for (uint64_t i = 0; !PLI_LOAD(stop); i++)
        pli_ring_write_sig(&ring, (pli_event){i, (void *)(uintptr_t)i, (int32_t)i,
                                              PLI_EVENT_SAMPLE, (uint32_t)i & 0xfffffff});
    return unused;
}

/* A reader beside the writer never sees half of one event and half of another. */
static void test_torn(void)
{
    pthread_t writer;
    pli_event e;
    int64_t read = 0, torn = 0;
    memset(&ring, 0, sizeof ring);
    pthread_create(&writer, NULL, write_events, NULL);
    while (PLI_LOAD(ring.head) < PLI_RING_EVENTS)
        pli_os_yield();
    for (int i = 0; i < 2000000; i++) {
        uint64_t head = PLI_LOAD_ACQUIRE(ring.head);
        if (!pli_ring_read(&ring, head - 1 - (uint64_t)i % 500, &e))
            continue;
        read++;
        torn += (uint64_t)(uintptr_t)e.what != e.ticks || (uint32_t)e.tid != (uint32_t)e.ticks ||
                e.weight != (e.ticks & 0xfffffff);
    }
    PLI_STORE(stop, 1);
    pthread_join(writer, NULL);
    ok(read > 0, "events were read beside the writer");
    is_int((long long)torn, 0, "none of them was torn");
}
#endif

static PL_NOINLINE void spin(uint64_t ms)
{
    uint64_t end = pl_thread_cpu_ns() + ms * 1000000;
    while (pl_thread_cpu_ns() < end)
        continue;
}

/* Adds up the weights of the samples in `text`, which stand after "weight "; *orderly: the times
   before them only come nearer. */
static long long weights(char *text, bool *orderly)
{
    long long sum = 0;
    double last = -1e9;
    *orderly = true;
    for (char *at = text; (at = strstr(at, " s, thread ")) != NULL; at++) {
        char *line = at;
        while (line[-1] != '\n')
            line--;
        double when = strtod(line, NULL);
        *orderly &= when >= last;
        last = when;
        sum += atoll(strstr(at, "weight ") + 7);
    }
    return sum;
}

/* What debug 2 shows is what debug 0 counts, as long as no ring is full. */
static void test_timeline(void)
{
    char *text;
    size_t size;
    bool orderly;
    is_int(pl_cpu_start(&(pl_cpu_desc){.hz = 250}), PL_OK, "a profile starts");
    PL_LABELS("phase", "one") { spin(400); }
    PL_LABELS("phase", "two") { spin(400); }
    is_int(pl_cpu_stop(), PL_OK, "and stops");
    FILE *out = open_memstream(&text, &size);
    is_int(pl_profile_write("cpu", out, 2), PL_OK, "it is written one by one");
    fclose(out);
    is_int(weights(text, &orderly), (long long)(pli_cpu.ticks - pli_cpu.missing),
           "the weights add up to what was counted with a stack");
    ok(orderly, "in the order of time");
    const char *one = strstr(text, "\"phase\":\"one\""), *two = strstr(text, "\"phase\":\"two\"");
    ok(one && two && one < two, "with their labels");
    free(text);
    ok(pl_profile_write("cpu", stderr, 3) == PL_INVALID, "there is no debug 3");
}

int main(void)
{
    test_wrap();
#if !PLI_SANITIZER
    test_torn();
#endif
    test_timeline();
    return done();
}
