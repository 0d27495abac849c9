/* Records until it is killed, in several threads, and notes for each in a file that is shared how
   far it has come: what was noted has to be in the ring.

       endless TRACE BYTES NOTES THREADS */
#define _GNU_SOURCE
#include "perflab.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct note { uint64_t done, padding[7]; } note;

/* Round i: a region, in it a counter with the value i, and a text of i % 300 letters that begins
   with i. */
static void *record(void *argument)
{
    note *mine = argument;
    char text[400];
    for (uint64_t i = 1;; i++) {
        PL_REGION("round") {
            pl_trace_counter("i", (double)i);
            int used = snprintf(text, sizeof text, "%llu ", (unsigned long long)i);
            for (uint64_t k = 0; k < i % 300; k++)
                text[used++] = (char)('a' + i % 26);
            text[used] = '\0';
            pl_trace_log("text", "%s", text);
        }
        __atomic_store_n(&mine->done, i, __ATOMIC_RELEASE);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc == 5 ? atoi(argv[4]) : 0, fd = argc == 5 ? open(argv[3], O_RDWR) : -1;
    size_t size = sizeof(note) * (size_t)threads;
    note *notes = fd < 0 ? MAP_FAILED :
                  mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pl_trace_desc desc = {argc == 5 ? argv[1] : NULL, 0, PL_TRACE_NO_COUNTERS};
    if (notes == MAP_FAILED)
        return 2;
    desc.buffer_bytes = (size_t)atol(argv[2]);
    if (pl_trace_start(&desc) != PL_OK)
        return 3;
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, record, &notes[i]) != 0)
            return 4;
    }
    for (;;)
        pause();
}
