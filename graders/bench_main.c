/* bench_main.c: runs the PL_BENCH entries of a workload.c. */
#include "perflab.h"

PL_BENCH_MAIN()
