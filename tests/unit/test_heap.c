/* Exact heap statistics against a ledger, over every entry point of libc. The ledger asks
   malloc_usable_size, which perflab does not define. In a sanitizer build nothing is counted; then
   only that is checked. */
/* run: upto=malloc flags=-fno-builtin,-Wno-use-after-free,-Wno-unknown-warning-option */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <malloc.h>

typedef struct ledger { long long mallocs, frees, bytes, live, peak; } ledger;

static ledger book;

static void *enter(void *p)
{
    if (!p)
        return p;
    long long bytes = (long long)malloc_usable_size(p);
    book.mallocs++, book.bytes += bytes, book.live += bytes;
    if (book.live > book.peak)
        book.peak = book.live;
    return p;
}

static void leave(void *p)
{
    if (p)
        book.frees++, book.live -= (long long)malloc_usable_size(p);
}

static void release(void *p)
{
    leave(p);
    free(p);
}

static unsigned random_state = 12345;

static unsigned draw(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (unsigned)(((unsigned long long)random_state * below) >> 32);
}

/* Mostly small, sometimes nothing, sometimes large enough for glibc to map it alone. */
static size_t draw_size(void)
{
    switch (draw(40)) {
    case 0: return 0;
    case 1: return 100000 + draw(300000);
    case 2: return 1000000 + draw(3000000);
    default: return 1 + draw(draw(4) ? 300 : 9000);
    }
}

static void *any_of_the_entries(size_t n)
{
    void *p = NULL;
    switch (draw(10)) {
    case 0: return calloc(n, 1);
    case 1: return calloc(7, n / 7 + 1);
    case 2: return realloc(NULL, n);
    case 3: return reallocarray(NULL, n, 1);
    case 4: return posix_memalign(&p, 64, n) == 0 ? p : NULL;
    case 5: return aligned_alloc(32, (n + 31) & ~(size_t)31);
    case 6: return memalign(256, n);
    case 7: return valloc(n);
    case 8: return pvalloc(n + 1);
    default: return malloc(n);
    }
}

static void *resize(void *p, size_t n)
{
    ledger before = book;
    leave(p);
    void *q = draw(2) ? realloc(p, n + 1) : reallocarray(p, n + 1, 1);
    if (!q)
        book = before;
    return enter(q);
}

static void compare(const pl_memstats *start, long long slack, const char *what)
{
    pl_memstats now;
    pl_memstats_read(&now);
    is_int(now.mallocs - start->mallocs, book.mallocs, "%s: mallocs", what);
    is_int(now.frees - start->frees, book.frees, "%s: frees", what);
    is_int(now.total_alloc - start->total_alloc, book.bytes, "%s: total_alloc", what);
    is_int(now.alloc - start->alloc, book.live, "%s: alloc", what);
    is_int(now.heap_objects - start->heap_objects, book.mallocs - book.frees, "%s: objects", what);
    if (slack >= 0)
        ok(llabs(now.peak_alloc - start->alloc - book.peak) <= slack, "%s: peak_alloc", what);
}

/* The ledger starts anew. The peak is that of the whole run, so only the first test looks at it. */
static pl_memstats begin(void)
{
    pl_memstats m;
    memset(&book, 0, sizeof book);
    pl_memstats_read(&m);
    return m;
}

static void test_random(void)
{
    static void *kept[500];
    pl_memstats start = begin();
    for (int i = 0; i < 200000; i++) {
        void **slot = &kept[draw(500)];
        if (*slot && draw(3) == 0) {
            *slot = resize(*slot, draw_size());
        } else {
            release(*slot);
            *slot = enter(any_of_the_entries(draw_size()));
        }
    }
    compare(&start, 0, "200,000 random operations");
    for (int i = 0; i < 500; i++)
        release(kept[i]);
    compare(&start, 0, "and all freed");
}

static void test_libc_callers(void)
{
    pl_memstats start = begin();
    char *text = NULL, *line = NULL;
    size_t capacity = 0;
    release(enter(strdup("counted in libc")));
    ok(asprintf(&text, "%d %s", 42, "formatted") > 0, "asprintf works");
    enter(text);
    release(text);
    FILE *f = fmemopen((char[]){"a line\nanother\n"}, 15, "r");
    ungetc(fgetc(f), f); /* now it has its buffer */
    start = begin();
    ok(getline(&line, &capacity, f) == 7, "getline works");
    enter(line);
    compare(&start, -1, "a line read by libc");
    release(line);
    compare(&start, -1, "and freed");
    fclose(f);
}

static volatile size_t huge = (size_t)1 << 46;

static void test_failures(void)
{
    pl_memstats start = begin();
    void *p = NULL, *kept = enter(malloc(100));
    ok(!malloc(huge), "64 TiB cannot be had");
    ok(!calloc(huge, huge), "an overflowing calloc fails");
    errno = 0;
    ok(!reallocarray(kept, huge, huge) && errno == ENOMEM, "an overflowing reallocarray fails");
    ok(!realloc(kept, huge), "a failing realloc keeps the block");
    ok(posix_memalign(&p, 3, 10) == EINVAL, "a bad alignment is refused");
    compare(&start, -1, "failures count nothing");
    release(kept);
    free(NULL);
    compare(&start, -1, "free(NULL) counts nothing");
    p = enter(malloc(10));
    leave(p);
    enter(realloc(p, 0));
    compare(&start, -1, "realloc to 0 frees");
}

static void test_errno(void)
{
    errno = 4711;
    void *p = malloc(100), *q = malloc(3 << 20);
    free(p), free(q);
    is_int(errno, 4711, "counting leaves errno alone");
}

/* Blocks that only grow cross the window again and again; so do blocks that only go. */
static void test_long_run(void)
{
    static void *kept[20000];
    pl_memstats start = begin();
    for (int i = 0; i < 20000; i++)
        kept[i] = enter(malloc(900));
    compare(&start, -1, "18 MB in small blocks");
    for (int i = 0; i < 20000; i++)
        release(kept[i]);
    compare(&start, -1, "and gone again");
    for (int i = 0; i < 3000000; i++)
        release(enter(malloc(1000)));
    compare(&start, -1, "3 GB through one block: the words overflow on the way");
}

#if PLI_INTERPOSE

/* C23's functions; perflab brings them where libc has none. */
static void test_sized_free(void)
{
    pl_memstats start = begin();
    for (size_t n = 0; n < 300000; n = n * 3 + 1) {
        void *p = enter(malloc(n)), *q = enter(aligned_alloc(64, (n + 63) & ~(size_t)63));
        leave(p), leave(q);
        free_sized(p, n);
        free_aligned_sized(q, 64, (n + 63) & ~(size_t)63);
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 16, 16);
    compare(&start, -1, "free_sized and free_aligned_sized");
}

static size_t usable_size_0(void *p)
{
    (void)p;
    return 0;
}

/* musl's blocks may have no bytes at all: their number, not their bytes, must not overflow the
   words. The next malloc is made to look so, and the words are moved close to their end. */
static void test_empty_blocks(void)
{
    uint64_t almost = PLI_BLOCKS_OF(UINT64_MAX) - PLI_BLOCKS_OF(pli_self->heap.born) - 3;
    pli_self->heap.born += almost, pli_self->heap.died += almost;
    size_t (*its_usable_size)(void *) = pli_next.malloc_usable_size;
    pl_memstats start = begin(), now;
    pli_next.malloc_usable_size = usable_size_0;
    PLI_STORE(pli_next.mode, PLI_NEXT_OTHER);
    PLI_STORE(pli_next.slow_below, UINTPTR_MAX);
    PLI_STORE(pli_next.watched_below, UINTPTR_MAX);
    for (int i = 0; i < 10; i++)
        free(malloc(0));
    PLI_STORE(pli_next.mode, PLI_NEXT_GLIBC);
    PLI_STORE(pli_next.slow_below, 0);
    PLI_STORE(pli_next.watched_below, 0);
    pli_next.malloc_usable_size = its_usable_size;
    pl_memstats_read(&now);
    is_int(now.mallocs - start.mallocs, 10, "10 blocks without bytes");
    is_int(now.frees - start.frees, 10, "and gone");
    is_int(now.total_alloc - start.total_alloc, 0, "had no bytes");
}

/* The arena that serves dlsym while it looks for malloc. Its blocks are handed out as malloc's. */
static void test_arena(void)
{
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        char *p = pli_arena_alloc(alignment, 40), *end = p + 40;
        ok(p && (uintptr_t)p % alignment == 0 && (uintptr_t)p % 16 == 0 && pli_arena_holds(p) &&
               pli_arena_holds(end - 1), "a block aligned to %d", (int)alignment);
        memset(p, 1, 40);
        ok(pli_arena_size(p) >= 40, "keeps its size while it is written");
    }
    pl_memstats start = begin();
    char *text = strcpy(pli_arena_alloc(0, 10), "moves out"), *moved = realloc(text, 20000);
    ok(!pli_arena_holds(moved) && strcmp(moved, "moves out") == 0, "a block that grows moves out");
    free(text);
    enter(moved);
    release(moved);
    compare(&start, -1, "and only the new one is counted");
    ok(!pli_arena_alloc(0, PLI_ARENA_SIZE), "more than there is cannot be had");
    ok(pli_arena_alloc(0, 100) != NULL, "and leaves the rest to others");
    while (pli_arena_alloc(0, 1000))
        continue;
    ok(!pli_arena_alloc(0, 1000) && errno == ENOMEM, "an arena used up stays so");
}

static void test_inside(void)
{
    test_sized_free();
    test_empty_blocks();
    test_arena();
}

#else

static void test_inside(void)
{
}

#endif

/* The allocator holds what is live, and more. */
static void test_system_fields(void)
{
    pl_memstats m;
    void *p = malloc(5000000);
    pl_memstats_read(&m);
    ok(m.alloc >= 5000000 && m.peak_alloc >= m.alloc, "alloc has the block, the peak has alloc");
    ok(m.heap_inuse >= m.alloc && m.heap_sys >= m.heap_inuse, "sys >= inuse >= alloc");
    is_int(m.heap_idle, m.heap_sys - m.heap_inuse, "idle is what sys has beyond inuse");
    ok(m.sys >= m.heap_sys / 2 && m.heap_alloc == m.alloc, "and the process has the heap");
    free(p);
}

static void test_text(void)
{
    pl_memstats m, zero = {0}, d;
    pl_memstats_read(&m);
    d = pl_memstats_diff(&m, &zero);
    ok(d.alloc == m.alloc && d.peak_alloc == m.peak_alloc && d.mallocs == m.mallocs, "diff to 0");
    d = pl_memstats_diff(&m, &m);
    ok(d.alloc == 0 && d.total_alloc == 0 && d.peak_alloc == m.peak_alloc, "diff to itself");
    char text[4096];
    FILE *out = fmemopen(text, sizeof text, "w");
    is_int(pl_memstats_write(&m, out), PL_OK, "the text is written");
    fclose(out);
    ok(strstr(text, "total_alloc    = ") && strstr(text, "# counted: "), "fields and cover");
    FILE *full = fopen("/dev/full", "w");
    is_int(pl_memstats_write(&m, full), PL_IO, "a full disk is told");
    fclose(full);
    is_int(pl_memstats_read(NULL), PL_INVALID, "no place to write to");
    is_int(pl_memstats_write(NULL, stdout), PL_INVALID, "nothing to write");
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    pl_memstats m;
    pl_memstats_read(&m);
    if (PLI_SANITIZER) {
        is_int(m.counted, 0, "a sanitizer build says that nothing is counted");
        test_text();
        return done();
    }
    is_int(m.counted, 1, "perflab's malloc is in charge");
    test_random();
    test_libc_callers();
    test_failures();
    test_errno();
    test_long_run();
    test_inside();
    test_system_fields();
    test_text();
    return done();
}
