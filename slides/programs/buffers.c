/* buffers.c: writes 1 MiB to a file in memory, with pieces of many sizes. The bytes are the same;
   the number of calls is not. */
#define _GNU_SOURCE
#include "perflab.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALL = 1 << 20, SMALLEST = 16, LARGEST = 1 << 18 };

static int write_all(int file, const char *data, size_t piece)
{
    for (size_t at = 0; at < ALL; at += piece) {
        if (write(file, data + at, piece) != (ssize_t)piece)
            return -1;
    }
    return 0;
}

static void in_pieces(pl_bench *b, void *arg)
{
    size_t piece = *(const size_t *)arg;
    int file = memfd_create("buffers", MFD_CLOEXEC);
    char *data = calloc(1, ALL);
    if (file < 0 || data == NULL) {
        pl_bench_fail(b, "no file or no memory");
        return;
    }
    PL_LOOP(b) {
        if (lseek(file, 0, SEEK_SET) != 0 || write_all(file, data, piece) != 0)
            pl_bench_fail(b, "a write failed");
    }
    pl_bench_report_metric(b, (double)ALL / (double)piece, "calls/MiB");
    free(data);
    close(file);
}

PL_BENCH(Write)
{
    for (size_t piece = SMALLEST; piece <= LARGEST; piece *= 4) {
        char name[32];
        snprintf(name, sizeof name, "bytes=%zu", piece);
        pl_bench_run(b, name, in_pieces, &piece);
    }
}

PL_BENCH_MAIN()
