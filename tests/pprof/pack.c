/* Compresses standard input to standard output with perflab's own gzip. */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

int main(void)
{
    pli_bytes in = {NULL, 0, 0, false}, out = {NULL, 0, 0, false};
    unsigned char part[65536];
    for (size_t n; (n = fread(part, 1, sizeof part, stdin)) > 0;)
        pli_bytes_add(&in, part, n);
    pli_gzip(&out, in.data, in.size);
    return out.failed || fwrite(out.data, 1, out.size, stdout) != out.size;
}
