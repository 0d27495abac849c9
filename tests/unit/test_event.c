/* The pool of records: what is overwritten, what a reader sees meanwhile, what handlers put aside,
   names and long texts; and samples one after the other. */
/* run: upto=profile */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#define CHUNK 1024
#define CHUNKS 16
#define SLOTS 64
#define TEXTS 256

static pli_pool pool = {.life = PLI_POOL_CLOSED};
static uint64_t lost, texts_used;
static pli_name_slot slots[SLOTS];
static char memory[CHUNK * CHUNKS] __attribute__((aligned(64))), texts[TEXTS];
static pli_thread thread[2]; /* blocks of the test's own */

/* A pool that is new, of so many chunks, and threads that it does not know. */
static void open_pool(size_t chunk_bytes, size_t chunks)
{
    memset(memory, 0, sizeof memory);
    memset(slots, 0, sizeof slots);
    memset(thread, 0, sizeof thread);
    lost = texts_used = 0;
    pool.names = (pli_names){slots, SLOTS - 1, texts, TEXTS, &texts_used};
    pli_pool_open(&pool, memory, chunk_bytes * chunks, chunk_bytes, &lost);
    for (int i = 0; i < 2; i++)
        thread[i].state = PLI_THREAD_USED, thread[i].instance = (uint32_t)i + 1;
}

static pli_target target(int which)
{
    return (pli_target){&pool, &thread[which], &thread[which].trace};
}

static void write_words(int which, uint64_t first, uint64_t second)
{
    pli_note note = {.ticks = first, .kind = PLI_RECORD_SAMPLE, .words = 2,
                     .word = {first, second}};
    pli_note_write_sig(target(which), &note);
}

static void write_text(int which, const char *literal, const char *text, size_t size)
{
    pli_note note = {.ticks = pl_ticks(), .kind = PLI_RECORD_BEGIN, .literal = literal,
                     .text = text, .text_bytes = size};
    pli_note_write_sig(target(which), &note);
}

static pli_chunks chunks(void)
{
    return (pli_chunks){memory, pool.chunk_bytes, pool.chunks};
}

/* Counts the records of a kind; 0: of all. */
static long long count(int kind)
{
    pli_records r;
    const pli_record *record;
    long long found = 0;
    if (!pli_records_open(&r, chunks()))
        return -1;
    while (pli_records_thread(&r))
        while ((record = pli_records_next(&r)) != NULL)
            found += kind == 0 || record->kind == kind;
    pli_records_close(&r);
    return found;
}

/* What all chunks together say was overwritten. */
static long long dropped(void)
{
    long long sum = 0;
    for (size_t i = 0; i < pool.chunks; i++)
        sum += pli_chunks_at(chunks(), i)->dropped;
    return sum;
}

/* The newest stay, in their order, and each one that is gone is counted. */
static void test_wrap(void)
{
    pli_records r;
    const pli_record *record;
    uint64_t next = 0, last = 0, orderly = 1, turns;
    open_pool(CHUNK, CHUNKS);
    for (uint64_t i = 1; i <= 10000; i++)
        write_words(0, i, ~i);
    turns = pool.taken; /* each has begun with a THREAD */
    is_int(count(0) + dropped(), 10000 + (long long)turns, "what is there and what is gone is all");
    pli_records_open(&r, chunks());
    const pli_piece *first = pli_records_thread(&r);
    ok(first && first->before, "the thread's first chunk is gone, and that is said");
    while ((record = pli_records_next(&r)) != NULL) {
        const uint64_t *word = (const uint64_t *)(const void *)(record + 1);
        if (record->kind != PLI_RECORD_SAMPLE)
            continue;
        orderly &= (next == 0 || word[0] == next) && word[1] == ~word[0];
        last = word[0], next = last + 1;
    }
    ok(orderly, "those that are left are whole, in their order, and none is missing");
    is_int((long long)last, 10000, "up to the last one");
    pli_records_close(&r);
    is_int((long long)lost, 0, "none was lost");
}

/* One of a thread's chunks is gone and an older one is not: what is older than the gap is left out,
   and counts as overwritten. The other thread has nothing to do with that. */
static void test_gap(void)
{
    pli_records r;
    const pli_record *record;
    uint64_t first = 0, others = 0;
    open_pool(CHUNK, CHUNKS);
    write_words(1, 1, 1);
    for (uint64_t i = 1; pool.taken < CHUNKS; i++)
        write_words(0, i, ~i);
    pli_chunk *gone = pli_pool_chunk_sig(&pool, CHUNKS / 2);
    const pli_record *behind = pli_record_at(pli_chunks_at(chunks(), CHUNKS / 2 + 1), 0);
    uint64_t all = (uint64_t)count(0) - gone->records;
    gone->serial = pool.taken + 1, gone->used = 0;
    pli_records_open(&r, chunks());
    while (pli_records_thread(&r))
        while ((record = pli_records_next(&r)) != NULL) {
            first = first || r.instance != 1 ? first : record->ticks;
            others += r.instance == 2 && record->kind == PLI_RECORD_SAMPLE;
            all--;
        }
    ok(first == behind->ticks, "a thread's records begin behind the last gap");
    is_int((long long)all, (long long)r.skipped, "what is left out is counted");
    ok(r.skipped > 0 && others == 1, "and the other thread is complete");
    pli_records_close(&r);
}

/* A thread's chunk is nobody else's, also when it writes little. */
static void test_two_threads(void)
{
    open_pool(CHUNK, CHUNKS);
    write_words(1, 7, 7);
    for (uint64_t i = 1; i <= 10000; i++)
        write_words(0, i, i);
    pli_records r;
    long long of[3] = {0, 0, 0};
    pli_records_open(&r, chunks());
    for (const pli_piece *p; (p = pli_records_thread(&r)) != NULL;)
        for (const pli_record *record; (record = pli_records_next(&r)) != NULL;)
            of[p->thread->instance] += record->kind == PLI_RECORD_SAMPLE;
    pli_records_close(&r);
    is_int(of[2], 1, "a quiet thread keeps its record while another goes round the pool");
    ok(of[1] > 100, "and the other has the rest");
    open_pool(CHUNK, 1);
    write_words(0, 1, 1);
    write_words(1, 2, 2);
    write_words(1, 3, 3);
    is_int((long long)lost, 2, "without a chunk a record is lost, and counted");
    pli_chunk_give_sig(thread[0].trace.chunk);
    write_words(1, 4, 4);
    is_int(count(PLI_RECORD_LOST), 1, "and the thread says so when there is one again");
    is_int(dropped(), 2, "what the other had written is gone: THREAD and one more");
}

/* The block of a thread that has ended serves another one, in the same chunk. */
static void test_same_chunk(void)
{
    open_pool(CHUNK, CHUNKS);
    for (uint32_t i = 1; i <= 5; i++) {
        thread[0].instance = i;
        thread[0].trace.life = thread[0].trace.began = 0;
        write_words(0, i, i);
    }
    is_int((long long)pool.taken, 1, "five threads after each other share a chunk");
    pli_records r;
    bool right = true;
    uint32_t met = 0;
    pli_records_open(&r, chunks());
    for (const pli_piece *p; (p = pli_records_thread(&r)) != NULL; met++)
        for (const pli_record *record; (record = pli_records_next(&r)) != NULL;)
            right &= record->kind == PLI_RECORD_THREAD ||
                     *(const uint64_t *)(const void *)(record + 1) == p->thread->instance;
    ok(right && met == 5, "and each has its own record");
    pli_records_close(&r);
}

/* Puts a text together again, and tells how many records it takes. */
static int read_text(char *out, size_t *size)
{
    pli_records r;
    const pli_record *record;
    int pieces = 0;
    bool more = false;
    *size = 0;
    pli_records_open(&r, chunks());
    while (pli_records_thread(&r)) {
        while ((record = pli_records_next(&r)) != NULL) {
            if (record->kind != PLI_RECORD_BEGIN && !(more && record->kind == PLI_RECORD_TEXT))
                continue;
            memcpy(out + *size, record + 1, record->bytes);
            *size += record->bytes, pieces++;
            more = record->flags & PLI_RECORD_MORE;
        }
    }
    pli_records_close(&r);
    return pieces;
}

/* Texts of all sizes around the ends of pieces come back byte by byte. */
static void test_long_texts(void)
{
    static char text[70000], back[70000];
    static char large[(size_t)PLI_CHUNK_BYTES * 8] __attribute__((aligned(64)));
    static const size_t sizes[] = {0, 1, 7, 8, 15, 16, 4079, 4080, 4081, 8160, 8161, 65536};
    size_t size;
    bool right = true;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open_pool(CHUNK, CHUNKS);
        memset(large, 0, sizeof large);
        pli_pool_open(&pool, large, sizeof large, PLI_CHUNK_BYTES, &lost);
        write_text(0, NULL, text, sizes[i]);
        pli_records r;
        pli_chunks all = {large, PLI_CHUNK_BYTES, 8};
        const pli_record *record;
        size = 0;
        pli_records_open(&r, all);
        while (pli_records_thread(&r))
            while ((record = pli_records_next(&r)) != NULL)
                if (record->kind != PLI_RECORD_THREAD) {
                    memcpy(back + size, record + 1, record->bytes);
                    size += record->bytes;
                }
        pli_records_close(&r);
        right &= size == sizes[i] && memcmp(back, text, size) == 0;
    }
    ok(right, "texts of up to 64 KiB come back as they were");
}

/* Literals have numbers, as long as there is room; then they are copied. */
static void test_names(void)
{
    static char many[100][24], back[100];
    size_t size;
    open_pool(CHUNK, CHUNKS);
    uint32_t first = pli_name_find_sig(&pool.names, "alpha");
    ok(first > 0 && pli_name_find_sig(&pool.names, "alpha") == first, "a literal has a number");
    is_int(slots[first].size, 5, "and its text is in the table");
    ok(memcmp(texts + slots[first].text, "alpha", 5) == 0, "which outlives it");
    PLI_ADD(pli_modules.unloads, 1);
    ok(pli_name_find_sig(&pool.names, "alpha") != first,
       "after a dlclose the same address may be another name");
    int given = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(many[i], sizeof many[i], "name %d", i);
        given += pli_name_find_sig(&pool.names, many[i]) > 0;
    }
    ok(given > 10 && given < 60, "a full table gives no more numbers (%d)", given);
    write_text(0, many[99], NULL, 0);
    is_int(read_text(back, &size), 1, "what has no number is written");
    ok(size == 7 && memcmp(back, "name 99", 7) == 0, "with its text");
    is_int(pli_name_find_sig(&pool.names, ""), 0, "an empty name has no number");
}

/* Writes some as far down the stack as a handler would be. */
static PL_NOINLINE void write_in_handler(uint64_t first, uint64_t last)
{
    volatile char frame[2 * PLI_SIGNAL_FRAME];
    frame[0] = 0;
    for (uint64_t i = first; i <= last; i++)
        write_words(0, i, i);
    PL_KEEP(&frame);
}

/* A handler that has interrupted a writer, as the writer would see it. */
static void test_aside(void)
{
    open_pool(CHUNK, CHUNKS);
    write_words(0, 1, 1);
    pli_recorder_enter_sig(&pool, &thread[0].trace);
    write_in_handler(2, 3);
    is_int(count(PLI_RECORD_SAMPLE), 1, "a handler does not write between a writer's words");
    pli_recorder_leave_sig(target(0));
    is_int(count(PLI_RECORD_SAMPLE), 3, "the writer appends what was put aside");
    is_int((long long)pool.taken, 1, "to its own chunk");

    pli_recorder_enter_sig(&pool, &thread[0].trace);
    pli_chunk *interrupted = thread[0].trace.chunk;
    write_in_handler(4, 103);
    is_int(count(PLI_RECORD_SAMPLE), 103, "a handler that writes much takes over");
    ok(thread[0].trace.chunk != interrupted && interrupted->state == PLI_CHUNK_OPEN,
       "in another chunk: the writer may come back to its own");
    ok(!thread[0].trace.busy, "and if it does not, the thread goes on");
    write_words(0, 104, 104);
    is_int(count(PLI_RECORD_SAMPLE), 104, "as before");

    pli_recorder_enter_sig(&pool, &thread[0].trace);
    write_words(0, 105, 105);
    is_int(count(PLI_RECORD_SAMPLE), 105, "a writer whose place on the stack is gone is, too");
    ok(!thread[0].trace.busy, "and is waited for no longer");
    is_int((long long)lost, 0, "nothing was lost");
}

/* Closed is closed, whatever a thread still has of the opening before. */
static void test_lives(void)
{
    open_pool(CHUNK, CHUNKS);
    write_words(0, 1, 1);
    pool.life = PLI_POOL_CLOSED;
    write_words(0, 2, 2);
    is_int(count(PLI_RECORD_SAMPLE), 1, "nothing is written to a closed pool");
    memset(memory, 0, sizeof memory);
    pli_pool_open(&pool, memory, sizeof memory, CHUNK, &lost);
    write_words(0, 3, 3);
    is_int(count(PLI_RECORD_SAMPLE), 1, "and a new opening begins with a chunk of its own");
    is_int(count(PLI_RECORD_THREAD), 1, "and with who it is");
}

static uint32_t stop;

/* Writes records whose parts all say the same number. */
static void *write_records(void *unused)
{
    for (uint64_t i = 1; !PLI_LOAD(stop); i++)
        write_words(0, i, i * 0x9e3779b97f4a7c15u);
    return unused;
}

/* A copy that is made beside the writer has no half of one record and half of another, and no two
   times of a chunk. */
static void test_torn(void)
{
    static char copy[sizeof memory] __attribute__((aligned(64)));
    pthread_t writer;
    long long read = 0, torn = 0, jumps = 0;
    open_pool(CHUNK, CHUNKS);
    pthread_create(&writer, NULL, write_records, NULL);
    while (PLI_LOAD(pool.taken) < 2 * CHUNKS)
        pli_os_yield();
    for (int i = 0; i < 2000; i++) {
        pli_chunks now = pli_pool_copy(&pool, copy);
        for (size_t k = 0; k < now.count; k++) {
            const pli_chunk *c = pli_chunks_at(now, k);
            uint64_t before = 0;
            for (uint32_t at = 0; at < c->used;) {
                const pli_record *record = pli_record_at(c, at);
                const uint64_t *word = (const uint64_t *)(const void *)(record + 1);
                at += (uint32_t)pli_record_bytes_sig(record->bytes);
                if (record->kind == PLI_RECORD_THREAD)
                    continue;
                read++;
                torn += record->kind != PLI_RECORD_SAMPLE || record->ticks != word[0] ||
                        word[1] != word[0] * 0x9e3779b97f4a7c15u;
                jumps += before && word[0] != before + 1;
                before = word[0];
            }
        }
    }
    PLI_STORE(stop, 1);
    pthread_join(writer, NULL);
    ok(read > 0, "records were read beside the writer (%lld)", read);
    is_int(torn, 0, "none of them was torn");
    is_int(jumps, 0, "and no chunk was of two times");
}

static PL_NOINLINE void spin(uint64_t ms)
{
    uint64_t end = pl_thread_cpu_ns() + ms * 1000000;
    while (pl_thread_cpu_ns() < end)
        continue;
}

/* Adds up the weights of the samples in `text`, which stand after "weight "; *orderly: the times
   before them only come nearer. */
static long long weights(char *text, bool *orderly)
{
    long long sum = 0;
    double last = -1e9;
    *orderly = true;
    for (char *at = text; (at = strstr(at, " s, thread ")) != NULL; at++) {
        char *line = at;
        while (line[-1] != '\n')
            line--;
        double when = strtod(line, NULL);
        *orderly &= when >= last;
        last = when;
        sum += atoll(strstr(at, "weight ") + 7);
    }
    return sum;
}

/* What debug 2 shows is what debug 0 counts, as long as the pool is not full. */
static void test_timeline(void)
{
    char *text;
    size_t size;
    bool orderly;
    is_int(pl_cpu_start(&(pl_cpu_desc){.hz = 250}), PL_OK, "a profile starts");
    PL_LABELS("phase", "one") { spin(400); }
    PL_LABELS("phase", "two") { spin(400); }
    is_int(pl_cpu_stop(), PL_OK, "and stops");
    FILE *out = open_memstream(&text, &size);
    is_int(pl_profile_write("cpu", out, 2), PL_OK, "it is written one by one");
    fclose(out);
    is_int(weights(text, &orderly), (long long)(pli_cpu.ticks - pli_cpu.missing),
           "the weights add up to what was counted with a stack");
    ok(orderly, "in the order of time");
    const char *one = strstr(text, "\"phase\":\"one\""), *two = strstr(text, "\"phase\":\"two\"");
    ok(one && two && one < two, "with their labels");
    free(text);
    ok(pl_profile_write("cpu", stderr, 3) == PL_INVALID, "there is no debug 3");
}

int main(void)
{
    test_wrap();
    test_gap();
    test_two_threads();
    test_same_chunk();
    test_long_texts();
    test_names();
    test_aside();
    test_lives();
    test_torn();
    test_timeline();
    return done();
}
