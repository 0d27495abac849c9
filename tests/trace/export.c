/* Writes the trace of a ring file that a test has made: export FILE.ring FROM TO [emergency].

   Stacks cannot be made by a test, since they are addresses of this process. So a site 1 in a
   record stands for the stack of a call of leaf, inlined in middle, in this program. */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

static uintptr_t where[8];
static int depth;

static inline __attribute__((always_inline)) void leaf(void)
{
    void *pcs[8];
    depth = pl_callers(0, pcs, 8);
    for (int i = 0; i < depth; i++)
        where[i] = (uintptr_t)pcs[i] - 1;
}

__attribute__((noinline)) static void middle(void)
{
    leaf();
    __asm__ volatile("");
}

static void *load(const char *path)
{
    int fd = open(path, O_RDONLY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return NULL;
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Puts the real site in the place of 1: which of a payload's words it is depends on the kind. */
static void set_sites(pli_chunks chunks, uint64_t site)
{
    static const int word[PLI_RECORD_TEXT + 1] = {
        [PLI_RECORD_WAIT_BEGIN] = 2, [PLI_RECORD_WAIT_END] = 1, [PLI_RECORD_SAMPLE] = 1};
    for (size_t i = 0; i < chunks.count; i++) {
        pli_chunk *c = (pli_chunk *)(uintptr_t)pli_chunks_at(chunks, i);
        c->wait_site = c->wait_site ? site : 0;
        for (uint32_t at = 0; at < c->used;) {
            pli_record *r = (pli_record *)(void *)(c->data + at);
            uint64_t *payload = (uint64_t *)(void *)(r + 1);
            if (word[r->kind] && payload[word[r->kind] - 1] == 1)
                payload[word[r->kind] - 1] = site;
            at += (uint32_t)pli_record_bytes_sig(r->bytes);
        }
    }
}

int main(int argc, char **argv)
{
    static pli_sites sites;
    pli_bytes out = {NULL, 0, 0, false};
    pli_ring *ring = argc > 3 ? load(argv[1]) : NULL;
    if (!ring || pli_sites_open(&sites, 1 << 20) != PL_OK || pli_unwind_prepare() != PL_OK)
        return 2;
    middle();
    pli_site_key key = {NULL, 0, pli_modules_epoch_sig(), depth, where};
    pli_chunks chunks = {(char *)ring + ring->chunks_at, ring->chunk_bytes, ring->chunks};
    set_sites(chunks, (uintptr_t)pli_site_find_sig(&sites, &key));
    pli_trace_view view = {ring, chunks, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
                           argc > 4, false};
    pli_perfetto_write(&view, &out);
    if (out.failed || pli_write_all(1, out.data, out.size) != PL_OK)
        return 1;
    pli_bytes_free(&out);
    return 0;
}
