/* workload.c: inputs, right answers, benchmarks and the map of lab 07 (contract:
   docs/internals.md).

   An input is a uint64_t count of names, then each name: a uint16_t of length, and its bytes. An
   output is a line for each name, "cooker is other"; above READABLE names, where it is timed, it
   is the byte of each field.

   The oracle uses neither map nor switch: it compares each name with one known name after the
   other. */
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* next_random is splitmix64: small, and the same on every machine. */
static uint64_t next_random(uint64_t *rng)
{
    uint64_t z = (*rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- the map ---- */

enum { BUCKETS = 64 };

struct entry {
    struct entry *next;
    uint64_t hash;
    size_t length;
    int value;
    char word[];
};

struct word_map {
    uint64_t key[2];                /* of the hash: another one for each map */
    struct entry *bucket[BUCKETS];
};

static uint64_t hash_calls;         /* of this operation */

/* A round of SipHash. Four variables and not an array, so that every compiler keeps them in
   registers at every level, and slow.c is as slow with one as with the other. */
#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))
#define SIP_ROUND(a, b, c, d) \
    do { \
        a += b; b = ROTATE(b, 13) ^ a; a = ROTATE(a, 32); \
        c += d; d = ROTATE(d, 16) ^ c; \
        a += d; d = ROTATE(d, 21) ^ a; \
        c += b; b = ROTATE(b, 17) ^ c; c = ROTATE(c, 32); \
    } while (0)

/* hash_word is SipHash-2-4: who does not know the key cannot make words that collide. PL_NOINLINE
   keeps it a function of its own, so that a profile has a name for it. */
static PL_NOINLINE uint64_t hash_word(const uint64_t key[2], const char *word, size_t length)
{
    uint64_t a = key[0] ^ 0x736f6d6570736575u, b = key[1] ^ 0x646f72616e646f6du;
    uint64_t c = key[0] ^ 0x6c7967656e657261u, d = key[1] ^ 0x7465646279746573u;
    uint64_t block = 0;
    size_t left = length;
    hash_calls++;
    for (; left >= sizeof block; left -= sizeof block, word += sizeof block) {
        memcpy(&block, word, sizeof block);
        d ^= block;
        SIP_ROUND(a, b, c, d);
        SIP_ROUND(a, b, c, d);
        a ^= block;
    }
    block = (uint64_t)length << 56;
    for (size_t i = 0; i < left; i++)
        block |= (uint64_t)(unsigned char)word[i] << (8 * i);
    d ^= block;
    SIP_ROUND(a, b, c, d);
    SIP_ROUND(a, b, c, d);
    a ^= block;
    c ^= 0xff;
    SIP_ROUND(a, b, c, d);
    SIP_ROUND(a, b, c, d);
    SIP_ROUND(a, b, c, d);
    SIP_ROUND(a, b, c, d);
    return a ^ b ^ c ^ d;
}

struct word_map *word_map_new(void)
{
    struct word_map *map = calloc(1, sizeof *map);
    uint64_t rng = (uint64_t)(uintptr_t)map;
    if (map != NULL) {
        map->key[0] = next_random(&rng);
        map->key[1] = next_random(&rng);
    }
    return map;
}

static struct entry *find_entry(const struct word_map *map, uint64_t hash, const char *word,
                                size_t length)
{
    struct entry *e = map->bucket[hash % BUCKETS];
    while (e != NULL && (e->hash != hash || e->length != length ||
                         memcmp(e->word, word, length) != 0))
        e = e->next;
    return e;
}

int word_map_put(struct word_map *map, const char *word, size_t length, int value)
{
    uint64_t hash = hash_word(map->key, word, length);
    struct entry *e = find_entry(map, hash, word, length);
    if (e == NULL) {
        e = malloc(sizeof *e + length);
        if (e == NULL)
            return -1;
        e->next = map->bucket[hash % BUCKETS];
        e->hash = hash;
        e->length = length;
        memcpy(e->word, word, length);
        map->bucket[hash % BUCKETS] = e;
    }
    e->value = value;
    return 0;
}

int word_map_get(const struct word_map *map, const char *word, size_t length, int missing)
{
    const struct entry *e = find_entry(map, hash_word(map->key, word, length), word, length);
    return e != NULL ? e->value : missing;
}

void word_map_free(struct word_map *map)
{
    for (int i = 0; map != NULL && i < BUCKETS; i++) {
        for (struct entry *e = map->bucket[i], *next; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    }
    free(map);
}

/* ---- seeded input ---- */

enum { KNOWN = FIELD_OTHER, MOST_FIELDS = 14, ODD_EVERY = 61, LONGEST = 3000 };

static const char *const known[KNOWN] = {
    "accept", "cookie", "user-agent", "content-type", "content-length"
};

/* What clients send, always in the same order: a browser twice, a program, a crawler, a proxy. */
static const char *const clients[][MOST_FIELDS] = {
    {":method", ":authority", ":scheme", ":path", "user-agent", "accept", "accept-language",
     "accept-encoding", "referer", "cookie", "sec-fetch-dest", "te"},
    {":method", ":authority", ":scheme", ":path", "content-length", "user-agent", "content-type",
     "accept", "origin", "accept-encoding", "cookie", "priority"},
    {":method", ":path", ":scheme", ":authority", "authorization", "content-type",
     "content-length", "user-agent", "accept"},
    {":method", ":path", ":authority", "user-agent", "accept", "from", "if-modified-since"},
    {":method", ":path", ":authority", "via", "x-forwarded-for", "user-agent", "accept", "cookie",
     "content-type", "content-length", "max-forwards"},
};

/* Names that differ from a known one in a single place: in its length, its first or last letter,
   one in between, or in a capital. */
static const char *const alike[] = {
    "", "a", "accep", "accepts", "except", "access", "acuity", "Accept", "accept ", "cooki",
    "cookies", "rookie", "cooker", "cackle", "Cookie", "COOKIE", "user-agen", "user-agents",
    "uber-agent", "user-agenda", "set-cookie", "user-about", "user_agent", "User-Agent",
    "content-typ", "content-types", "content-base", "consent-type", "content-tape", "Content-Type",
    "content-lengt", "content-lengths", "content-digest", "consent-length", "content-langth",
    "Content-Length", "content_length", "content-", "\xff\xfe\xfd\xfc\xfb\xfa", "c\xc3\xb6okie",
};

enum { CLIENTS = sizeof clients / sizeof *clients, ALIKE = sizeof alike / sizeof *alike };

static int append_name(workload_buffer *input, const char *text, size_t length)
{
    uint16_t size = (uint16_t)length;
    return workload_append(input, &size, sizeof size) || workload_append(input, text, length);
}

/* long_name is a known one over and over, or once with NUL bytes behind it: what a scan for the end
   of a string, or a length kept in too few bits, takes for the known one. */
static size_t long_name(uint64_t *rng, char *text)
{
    const char *name = known[next_random(rng) % KNOWN];
    size_t step = strlen(name);
    size_t length = step + 256 * (1 + next_random(rng) % 8);   /* the same length in one byte */
    if (next_random(rng) % 2 == 0)
        length = step + 1 + next_random(rng) % (LONGEST - step);
    size_t filled = next_random(rng) % 2 == 0 ? step : length;
    memset(text, 0, length);
    for (size_t i = 0; i < filled; i++)
        text[i] = name[i % step];
    return length;
}

/* append_odd writes a name that no client should send: mostly one like a known name. */
static int append_odd(workload_buffer *input, uint64_t *rng)
{
    char text[LONGEST + 1];
    if (next_random(rng) % 16 == 0)
        return append_name(input, text, long_name(rng, text));
    const char *name = alike[next_random(rng) % ALIKE];
    return append_name(input, name, strlen(name));
}

int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    uint64_t rng = seed;
    const char *const *client = clients[0];
    int field = MOST_FIELDS, failed = workload_append(input, &n, sizeof n);
    for (uint64_t i = 0; i < n && !failed; i++) {
        if (field == MOST_FIELDS || client[field] == NULL) {
            client = clients[next_random(&rng) % CLIENTS];
            field = 0;
        }
        if (next_random(&rng) % ODD_EVERY == 0)
            failed = append_odd(input, &rng);
        else
            failed = append_name(input, client[field], strlen(client[field]));
        field++;
    }
    return failed ? -1 : 0;
}

/* ---- output ---- */

enum { READABLE = 20000, SHOWN = 16 };

/* append_line says of one name, cut when it is long, what it was taken for. */
static int append_line(workload_buffer *output, const struct name *name, unsigned char field)
{
    char text[64];
    const char *word = field < KNOWN ? known[field] : "other";
    size_t shown = name->length < SHOWN ? name->length : SHOWN;
    int size = field <= KNOWN ? snprintf(text, sizeof text, " is %s\n", word)
                              : snprintf(text, sizeof text, " is field %d\n", field);
    return workload_append(output, name->text, shown) ||
           workload_append(output, text, (size_t)size);
}

/* ---- oracle ---- */

/* next_name reads the name at *data and moves *data behind it. */
static struct name next_name(const unsigned char **data)
{
    uint16_t size;
    memcpy(&size, *data, sizeof size);
    struct name name = {(const char *)*data + sizeof size, size};
    *data += sizeof size + size;
    return name;
}

static unsigned char right_field(const struct name *name)
{
    unsigned char field = 0;
    while (field < KNOWN && (strlen(known[field]) != name->length ||
                             memcmp(known[field], name->text, name->length) != 0))
        field++;
    return field;
}

int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    uint64_t count;
    const unsigned char *data = input->data + sizeof count;
    memcpy(&count, input->data, sizeof count);
    while (data < input->data + input->size) {
        struct name name = next_name(&data);
        unsigned char field = right_field(&name);
        if (count > READABLE ? workload_append(output, &field, 1)
                             : append_line(output, &name, field))
            return -1;
    }
    return 0;
}

/* ---- one operation ---- */

struct state {
    size_t count;
    struct name *names;
    char *text;                 /* the names, one right after the other */
    unsigned char *fields;
};

/* place_names copies the names to a block that ends with the last of them: what reads on behind a
   name finds the next one, or the end of the block. */
static void place_names(struct state *s, const unsigned char *data)
{
    char *to = s->text;
    for (size_t i = 0; i < s->count; i++) {
        s->names[i] = next_name(&data);
        s->names[i].text = memcpy(to, s->names[i].text, s->names[i].length);
        to += s->names[i].length;
    }
}

void *workload_load(const unsigned char *data, size_t size)
{
    uint64_t count;
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    memcpy(&count, data, sizeof count);
    s->count = (size_t)count;
    s->names = malloc((s->count + 1) * sizeof *s->names);
    s->text = malloc(size);
    s->fields = malloc(s->count + 1);
    if (s->names == NULL || s->text == NULL || s->fields == NULL) {
        workload_unload(s);
        return NULL;
    }
    place_names(s, data + sizeof count);
    memset(s->fields, 0xff, s->count);
    return s;
}

void workload_run(void *state)
{
    struct state *s = state;
    hash_calls = 0;
    classify(s->names, s->count, s->fields);
}

int workload_store(void *state, workload_buffer *output)
{
    const struct state *s = state;
    int failed = s->count > READABLE && workload_append(output, s->fields, s->count);
    for (size_t i = 0; i < s->count && s->count <= READABLE && !failed; i++)
        failed = append_line(output, &s->names[i], s->fields[i]);
    return failed ? -1 : 0;
}

void workload_unload(void *state)
{
    struct state *s = state;
    free(s->fields);
    free(s->text);
    free(s->names);
    free(s);
}

/* ---- from how many words on is a map worth it? ----

   Two ways to look a word up, for 4 to 128 known words: in the map, and by comparing it with one
   known word after the other until one fits. */

enum { LEAST_WORDS = 4, MOST_WORDS = 128, LOOKUPS = 8192, REPEATS = 9 };

struct lexicon {
    size_t count;
    struct name words[MOST_WORDS];
    char text[MOST_WORDS][16];
    struct word_map *map;
    struct name lookups[LOOKUPS];       /* known words in random order */
};

/* lexicon_word makes the word of a number: 4 to 15 letters, different for each number. */
static void lexicon_word(uint64_t *rng, size_t number, char *text)
{
    size_t length = 4 + (size_t)(next_random(rng) % 12);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)('a' + next_random(rng) % 26);
    text[1] = (char)('a' + number % 26);
    text[2] = (char)('a' + number / 26);
    text[length] = '\0';
}

/* lexicon_new makes `count` words and the map of them; NULL when there is no memory. */
static struct lexicon *lexicon_new(size_t count)
{
    uint64_t rng = count;
    struct lexicon *x = calloc(1, sizeof *x);
    if (x == NULL || (x->map = word_map_new()) == NULL) {
        free(x);
        return NULL;
    }
    for (; x->count < count; x->count++) {
        char *text = x->text[x->count];
        lexicon_word(&rng, x->count, text);
        x->words[x->count] = (struct name){text, strlen(text)};
        if (word_map_put(x->map, text, strlen(text), (int)x->count) != 0)
            break;
    }
    for (size_t i = 0; i < LOOKUPS; i++)
        x->lookups[i] = x->words[next_random(&rng) % count];
    return x;
}

static void lexicon_free(struct lexicon *x)
{
    word_map_free(x->map);
    free(x);
}

static PL_NOINLINE int by_map(const struct lexicon *x, const struct name *name)
{
    return word_map_get(x->map, name->text, name->length, -1);
}

static PL_NOINLINE int by_comparing(const struct lexicon *x, const struct name *name)
{
    for (size_t i = 0; i < x->count; i++) {
        if (x->words[i].length == name->length &&
            memcmp(x->words[i].text, name->text, name->length) == 0)
            return (int)i;
    }
    return -1;
}

/* lookup_ns is the time of one lookup: the least of several rounds, since others only disturb. */
static double lookup_ns(const struct lexicon *x,
                        int (*find)(const struct lexicon *x, const struct name *name))
{
    uint64_t least = UINT64_MAX;
    for (int round = 0; round < REPEATS; round++) {
        uint64_t start = pl_now_ns();
        for (size_t i = 0; i < LOOKUPS; i++)
            PL_KEEP(find(x, &x->lookups[i]));
        uint64_t taken = pl_now_ns() - start;
        least = taken < least ? taken : least;
    }
    return (double)least / LOOKUPS;
}

/* advantage is the time of comparing divided by that of the map, for so many words: above 1 the map
   is faster. 0 when there is no memory. */
static double advantage(size_t words)
{
    struct lexicon *x = lexicon_new(words);
    if (x == NULL)
        return 0;
    double ratio = lookup_ns(x, by_comparing) / lookup_ns(x, by_map);
    lexicon_free(x);
    return ratio;
}

/* crossing is the number of words at which both take the same time: on the line between the last
   number at which comparing was faster and the first at which the map was. */
static double crossing(void)
{
    double before = 0, ratio = 0;
    size_t words = LEAST_WORDS / 2;
    while (words < MOST_WORDS && ratio < 1) {
        words *= 2;
        before = ratio;
        ratio = advantage(words);
    }
    if (ratio < 1 || words == LEAST_WORDS)
        return (double)words;
    return (double)words / 2 * (1 + (1 - before) / (ratio - before));
}

int workload_count(void *state, const char *name, double *value)
{
    (void)state;
    if (strcmp(name, "hash_calls") == 0)
        *value = (double)hash_calls;
    else if (strcmp(name, "crossing") == 0)
        *value = crossing();
    else
        return -1;
    return 0;
}

/* ---- benchmarks: make lab07-bench ---- */

PL_BENCH(Classify)
{
    enum { NAMES = 10000 };
    workload_buffer input = {0};
    struct state *s = NULL;
    if (workload_make(1, NAMES, &input) == 0)
        s = workload_load(input.data, input.size);
    free(input.data);
    if (s == NULL) {
        pl_bench_fail(b, "out of memory for %d names", NAMES);
        return;
    }
    PL_LOOP(b) {
        workload_run(s);
        PL_KEEP(s->fields);
    }
    pl_bench_report_metric(b, (double)pl_bench_elapsed_ns(b) / (double)b->n / NAMES, "ns/name");
    pl_bench_report_metric(b, (double)hash_calls / NAMES, "hashes/name");
    workload_unload(s);
}

/* One point of the curve. The harness's own timer stands still, so that a profile of the benchmarks
   shows classify alone; what is reported was measured by lookup_ns. */
static void bench_lookup(pl_bench *b, size_t words,
                         int (*find)(const struct lexicon *x, const struct name *name))
{
    pl_bench_stop_timer(b);
    struct lexicon *x = lexicon_new(words);
    if (x == NULL) {
        pl_bench_fail(b, "out of memory for %zu words", words);
        return;
    }
    pl_bench_report_metric(b, lookup_ns(x, find), "ns/op");
    lexicon_free(x);
}

static void bench_comparing(pl_bench *b, void *words)
{
    bench_lookup(b, *(const size_t *)words, by_comparing);
}

static void bench_map(pl_bench *b, void *words)
{
    bench_lookup(b, *(const size_t *)words, by_map);
}

PL_BENCH(Lookup)
{
    for (size_t words = LEAST_WORDS; words <= MOST_WORDS; words *= 2) {
        char name[32];
        snprintf(name, sizeof name, "words=%zu/compare", words);
        pl_bench_run(b, name, bench_comparing, &words);
        snprintf(name, sizeof name, "words=%zu/map", words);
        pl_bench_run(b, name, bench_map, &words);
    }
}
