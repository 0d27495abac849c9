/* Unpacks zlib's format from standard input with perflab's own reader: `unpack BYTES`, where BYTES
   is how many it has to be. Exit status 3 when it is refused. */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

int main(int argc, char **argv)
{
    pli_bytes in = {NULL, 0, 0, false};
    unsigned char part[65536];
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    for (size_t n; (n = fread(part, 1, sizeof part, stdin)) > 0;)
        pli_bytes_add(&in, part, n);
    unsigned char *packed = malloc(in.size + 1), *out = malloc(size + 1); /* for the sanitizer */
    memcpy(packed, in.data ? (void *)in.data : (void *)part, in.size);
    bool good = pli_unzip(packed, in.size, out, size);
    bool written = good && fwrite(out, 1, size, stdout) == size;
    free(packed);
    free(out);
    return written ? 0 : good ? 1 : 3;
}
