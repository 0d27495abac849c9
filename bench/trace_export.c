/* How fast a trace is written in the Perfetto form, and how large it is.

   Records a million events: regions in regions mostly, and of every 100 events a log, a counter,
   an instant and a task's begin and end. Then they are written, over and over, to memory. Prints a
   line a round: nanoseconds of CPU time and bytes, an event. The implementation is part of this
   file, as writing alone is no call of the API. */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#define EVENTS 1000000
#define ROUNDS 11

static void hundred(int i)
{
    pl_task task = pl_task_begin("request", PL_NO_TASK);
    pl_trace_log("phase", "step %d", i);
    pl_trace_counter("queue", i);
    pl_trace_instant("mark");
    for (int k = 0; k < 24; k++) {
        PL_REGION("outer") {
            PL_REGION("inner") {
                PL_CLOBBER();
            }
        }
    }
    pl_task_end(task);
}

int main(void)
{
    pl_trace_desc desc = {"/tmp/bench.pftrace", (size_t)128 << 20,
                          PL_TRACE_NO_STATES | PL_TRACE_NO_COUNTERS};
    if (pl_trace_start(&desc) != PL_OK)
        return 1;
    for (int i = 0; i < EVENTS / 101; i++)
        hundred(i);
    uint64_t end = pl_ticks();
    for (int i = 0; i < ROUNDS; i++) {
        pli_bytes out = {NULL, 0, 0, false};
        uint64_t start = pl_thread_cpu_ns();
        if (pli_trace_export(0, end, &out, false) != PL_OK)
            return 1;
        double ns = (double)(pl_thread_cpu_ns() - start);
        printf("%.2f %.2f\n", ns / EVENTS, (double)out.size / EVENTS);
        pli_bytes_free(&out);
    }
    return pl_trace_stop() != PL_OK;
}
