/* Feeds any bytes to the readers of debug information, and to what unpacks it. Good input is a
   small ELF file with DWARF in it; the readers must not read outside of it, nor go on for ever,
   whatever it says.

       clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/dwarf.c -o dwarf
       cd tests/fuzz/dwarf; for f in ?*.hex; do xxd -r -p $f ../corpus/$f; done; cd -
       ./dwarf -max_len=16384 -timeout=10 corpus    searches on from what is kept here
       cc -DREPLAY ... ; ./dwarf FILE...            only reads these: for tests, any compiler */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

/* Memory from malloc, so that the sanitizer sees a byte too far. */
static void *exact_map(void *at, size_t size, int access, int flags, int fd, off_t offset)
{
    (void)at, (void)access, (void)flags, (void)fd, (void)offset;
    void *p = calloc(1, size);
    return p ? p : MAP_FAILED;
}

#define mmap exact_map
#define munmap(memory, size) ((void)(size), free(memory))

#define PERFLAB_IMPL
#include "perflab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int memory_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = (int)syscall(SYS_memfd_create, "dwarf", 0);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    return dup(fd);
}

/* What is told of an address must be readable. */
static size_t ask(pli_debug *d, pli_source *s, uint64_t address)
{
    pli_line line[PLI_INLINED_MAX];
    size_t letters = 0;
    int count = pli_source_ask(d, s, address, line);
    if (count > PLI_INLINED_MAX)
        abort();
    for (int i = 0; i < count; i++) {
        if (line[i].line < 0 || (i < count - 1 && !line[i].function))
            abort();
        letters += line[i].file ? strlen(line[i].file) : 0;
        letters += line[i].function ? strlen(line[i].function->text) : 0;
    }
    return letters;
}

/* Asks at the begin and the end of everything that the unit tells of. */
static size_t ask_all(pli_debug *d, pli_dw_unit *u)
{
    size_t letters = 0;
    pli_source *s = pli_source_of(d, u);
    for (size_t i = 0; s && i < s->rows && i < 300; i++)
        letters += ask(d, s, s->row[i].key >> 1) + ask(d, s, (s->row[i].key >> 1) - 1);
    for (size_t i = 0; s && i < s->pieces && i < 300; i++)
        letters += ask(d, s, s->piece[i].low) + ask(d, s, s->piece[i].high - 1);
    return letters;
}

static size_t read_file(const uint8_t *data, size_t size)
{
    static pli_module m = {.path = "", .bias = 0, .start = 0x1000, .end = (uintptr_t)1 << 40,
                           .last_epoch = PLI_EPOCH_NOW};
    pli_debug d = {.module = &m, .image = {.fd = -1}};
    pli_elf elf;
    size_t letters = 0;
    if (!pli_elf_use(&elf, memory_file(data, size))) {
        pli_elf_close(&elf);
        return 0;
    }
    pli_debug_sections(d.section, &elf);
    d.image = elf.image;
    pli_debug_unpack_all(&d, &elf);
    pli_debug_keep_open(&d, &elf);
    pli_debug_index(&d);
    for (size_t i = 0; i < d.units && i < 20; i++)
        letters += ask_all(&d, &d.unit[i]);
    pli_sources_forget();
    for (int i = 0; i < PLI_DW_SECTIONS; i++)
        free(d.section[i].inflated);
    free(d.unit);
    free(d.range);
    pli_debug_close();
    return letters;
}

/* The bytes as packed ones, once as they are and once behind a right header. */
static void unpack(const uint8_t *data, size_t size)
{
    uint8_t *out = malloc(1 << 16), *copy = malloc(size + 2);
    memcpy(copy + 2, data, size);
    copy[0] = 0x78, copy[1] = 0x9c;
    pli_unzip(data, size, out, 1 << 16);
    pli_unzip(copy, size + 2, out, 1000);
    free(out);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_file(data, size);
    unpack(data, size);
    return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    static uint8_t data[1 << 20];
    size_t letters = 0;
    for (int i = 1; i < argc; i++) {
        FILE *in = fopen(argv[i], "rb");
        size_t size = in ? fread(data, 1, sizeof data, in) : 0;
        if (!in || size == 0) {
            fprintf(stderr, "dwarf: %s: cannot be read\n", argv[i]);
            return 1;
        }
        fclose(in);
        letters += read_file(data, size);
        unpack(data, size);
    }
    printf("%d inputs, %s\n", argc - 1, letters ? "lines found" : "no lines");
    return 0;
}
#endif
