/* judge.c: makes inputs and knows the right outputs. It is linked with workload.c and slow.c only,
   so that no process that runs a student's code ever holds an expected output.

   It reads lines "make SEED N" on descriptor 0. It answers on descriptor 1 with two little-endian
   64-bit sizes, the input's bytes and the expected output's bytes; or with 2^64-1, the length of
   a message, and the message. It ends at the end of its input. */
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_size(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) putchar((int)(value >> shift & 0xff));
}

static void put_error(const char *message) {
    put_size(UINT64_MAX);
    put_size(strlen(message));
    fputs(message, stdout);
}

static void put_case(const workload_buffer *input, const workload_buffer *output) {
    put_size(input->size);
    put_size(output->size);
    fwrite(input->data, 1, input->size, stdout);
    fwrite(output->data, 1, output->size, stdout);
}

static void answer(uint64_t seed, uint64_t n) {
    workload_buffer input = {0}, output = {0};
    if (workload_make(seed, n, &input) != 0)
        put_error("workload_make failed");
    else if (workload_expect(&input, &output) != 0)
        put_error("workload_expect failed");
    else
        put_case(&input, &output);
    free(input.data);
    free(output.data);
}

int main(void) {
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        uint64_t seed, n;
        if (sscanf(line, "make %" SCNu64 " %" SCNu64, &seed, &n) == 2)
            answer(seed, n);
        else
            put_error("the judge takes lines 'make SEED N'");
        if (fflush(stdout) != 0) return 1;
    }
    return 0;
}
