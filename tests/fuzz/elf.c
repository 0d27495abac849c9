/* Feeds any bytes to the readers of ELF files, and of modules in memory. Good input is a small ELF
   file; the readers must not read outside of it, whatever it says.

       clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/elf.c -o elf
       for f in tests/fuzz/elf/*.hex; do xxd -r -p $f corpus/$(basename $f .hex); done
       ./elf -max_len=8192 corpus          searches on from what is kept here
       cc -DREPLAY ... ; ./elf FILE...     only reads these: for tests, with any compiler */
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

/* Asks for names all over the module; they must be readable. */
static void look_up(const pli_module *m, const pli_symbols *symbols)
{
    for (uintptr_t pc = m->start; pc < m->start + 4096 && pc < m->end; pc += 7) {
        ptrdiff_t i = pli_symbols_find(symbols, m, pc);
        const char *name = i < 0 ? "" : symbols->strings + symbols->symbol[i].name;
        if (i >= 0 && strlen(name) == 0)
            abort();
        pli_unnamed_start(symbols, m, pc);
    }
}

/* What its table holds, if it has one. No code of it may be called. */
static void read_table(const pli_module *m, pli_table *table, bool taken)
{
    pli_symbols *symbols = taken ? pli_symbols_sort(m, table, true) : NULL;
    if (!symbols)
        return;
    look_up(m, symbols);
    pli_symbols_free(symbols);
}

static int memory_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = (int)syscall(SYS_memfd_create, "elf", 0);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    return dup(fd);
}

static void read_file(const uint8_t *data, size_t size)
{
    pli_module m = {.path = "/fuzz", .bias = 0x10000, .start = 0x10000, .end = 0x10000 + (1 << 24),
                    .last_epoch = PLI_EPOCH_NOW};
    pli_elf elf, debug;
    pli_table table;
    if (pli_elf_use(&elf, memory_file(data, size))) {
        m.build_id_size = pli_elf_build_id(&elf, m.build_id);
        pli_elf_is(&elf, &m);
        read_table(&m, &table, pli_table_of_file(&table, &elf, SHT_SYMTAB));
        read_table(&m, &table, pli_table_of_file(&table, &elf, SHT_DYNSYM));
        if (pli_debug_by_link(&debug, &elf, &m))
            pli_elf_close(&debug);
    }
    pli_elf_close(&elf);
}

/* As if the file had been loaded as one piece. */
static void read_memory(const uint8_t *data, size_t size)
{
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)(const void *)data;
    if (size < sizeof *head || head->e_phoff % 8 != 0 || head->e_phoff > size ||
        head->e_phnum > (size - head->e_phoff) / sizeof(ElfW(Phdr)))
        return;
    pli_module m = {.path = "/fuzz", .bias = (uintptr_t)data, .start = (uintptr_t)data,
                    .end = (uintptr_t)data + size, .last_epoch = PLI_EPOCH_NOW,
                    .phdrs = (const ElfW(Phdr) *)(const void *)(data + head->e_phoff),
                    .phdr_count = head->e_phnum};
    pli_table table;
    bool taken = pli_table_of_memory(&table, &m);
    m.phdr_count = 0; /* its unwind tables are another reader's */
    read_table(&m, &table, taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *copy = aligned_alloc(16, (size + 16) & ~(size_t)15); /* so that reading on is seen */
    memcpy(copy, data, size);
    read_file(copy, size);
    read_memory(copy, size);
    free(copy);
    return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    static uint8_t data[1 << 20];
    for (int i = 1; i < argc; i++) {
        FILE *in = fopen(argv[i], "rb");
        size_t size = in ? fread(data, 1, sizeof data, in) : 0;
        if (!in || size == 0) {
            fprintf(stderr, "elf: %s: cannot be read\n", argv[i]);
            return 1;
        }
        fclose(in);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
#endif
