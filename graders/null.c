/* null.c: an operation that does nothing. What a worker takes for it is the least that can be
   measured at all: the floor of the CPU clock. */
#include "workload.h"

void *workload_load(const unsigned char *data, size_t size) {
    (void)size;
    return (void *)data;
}

void workload_run(void *state) {
    (void)state;
}

int workload_store(void *state, workload_buffer *output) {
    (void)state;
    return workload_append(output, "", 0);
}

void workload_unload(void *state) {
    (void)state;
}
