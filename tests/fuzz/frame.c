/* Feeds any bytes to the reader of unwind tables. An input is two numbers of four bytes, where
   .eh_frame_hdr begins and how far from there the address lies whose row is wanted, and then the
   segment that holds .eh_frame_hdr and .eh_frame. Nothing outside of the segment may be read.

       clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/frame.c -o frame -ldl
       ./frame -max_len=4096 tests/fuzz/frame        searches on from what is kept here
       cc -DREPLAY ... ; ./frame FILE...             only runs these: for tests */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

enum { FRAME_HEAD = 8, FRAME_ENTRIES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int rows; /* found so far */

/* The row of one address. What it says must survive being packed. */
static void look_up(const pli_tables *t, uintptr_t pc)
{
    pli_module m = {.path = "/fuzz", .last_epoch = PLI_EPOCH_NOW, .tables = *t};
    uintptr_t start, end;
    uint64_t word = pli_row_make_sig(t, pc);
    if (pli_unwind_function(&m, pc, &start, &end) && (pc < start || pc >= end))
        abort();
    if (word == PLI_CFA_UNKNOWN)
        return;
    rows++;
    pli_row row = pli_row_unpack_sig(word);
    if (row.cfa > PLI_CFA_PLT)
        return; /* no more than a word for it */
    if (pli_row_pack_sig(&row) != word)
        abort();
}

/* Addresses all over the functions that the header lists. */
static void look_up_listed(const pli_tables *t)
{
    const uint8_t *pair = (const uint8_t *)t->hdr + 12; /* behind the header, as linkers write it */
    for (int i = 0; i < FRAME_ENTRIES && (uintptr_t)pair + 8 <= t->end; i++, pair += 8) {
        int32_t distance;
        memcpy(&distance, pair, sizeof distance);
        for (int at = 0; at < 64; at = at * 2 + 1)
            look_up(t, t->hdr + (uintptr_t)(intptr_t)distance + (uintptr_t)at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t hdr;
    int32_t distance;
    if (size <= FRAME_HEAD)
        return 0;
    memcpy(&hdr, data, sizeof hdr);
    memcpy(&distance, data + 4, sizeof distance);
    size -= FRAME_HEAD;
    uint8_t *segment = malloc(size); /* of its own, so that the sanitizer sees a byte too far */
    memcpy(segment, data + FRAME_HEAD, size);
    uintptr_t start = (uintptr_t)segment;
    pli_tables t = {start + hdr % size, start, start + size};
    look_up(&t, t.hdr + (uintptr_t)(intptr_t)distance);
    look_up_listed(&t);
    free(segment);
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
            fprintf(stderr, "frame: %s: cannot be read\n", argv[i]);
            return 1;
        }
        fclose(in);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%d inputs, %s\n", argc - 1, rows > 0 ? "rows found" : "no rows");
    return 0;
}
#endif
