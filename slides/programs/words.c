/* words.c: the program of the opening deck. It counts how often each word comes in a text, with
   two ways to find a word's place in the table. Run it: python3 -m slides program FILE -bench . */
#include "perflab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256, SLOTS = 1024, WORDS = 20000, LONGEST = 16 };

struct table {
    char word[MOST][LONGEST];
    int count[MOST];
    int known;
    int slot[SLOTS];        /* of find_hash: 1 + the place of a word, 0 for none */
};

typedef int find_function(struct table *t, const char *word);

static char text[WORDS * LONGEST];

/* make_text writes words as a text has them: a few of them often, most of them seldom. */
static void make_text(void)
{
    uint32_t random = 1;
    size_t at = 0;
    for (int i = 0; i < WORDS; i++) {
        random = random * 1664525u + 1013904223u;
        unsigned a = random >> 22, b = random >> 12 & 1023;
        at += (size_t)snprintf(text + at, LONGEST, "Word%u ", a * b / 12000);
    }
}

static int add(struct table *t, const char *word)
{
    strcpy(t->word[t->known], word);
    return t->known++;
}

static PL_NOINLINE int find_scan(struct table *t, const char *word)
{
    for (int i = 0; i < t->known; i++) {
        if (strcmp(t->word[i], word) == 0)
            return i;
    }
    return add(t, word);
}

static PL_NOINLINE unsigned hash(const char *word)
{
    unsigned h = 2166136261u;
    for (; *word != '\0'; word++)
        h = (h ^ (unsigned char)*word) * 16777619u;
    return h;
}

static PL_NOINLINE int find_hash(struct table *t, const char *word)
{
    unsigned i = hash(word) % SLOTS;
    while (t->slot[i] != 0) {
        if (strcmp(t->word[t->slot[i] - 1], word) == 0)
            return t->slot[i] - 1;
        i = (i + 1) % SLOTS;
    }
    t->slot[i] = t->known + 1;
    return add(t, word);
}

/* next_word copies the next word in small letters; it returns what follows, NULL at the end. */
static PL_NOINLINE const char *next_word(const char *from, char *word)
{
    int length = 0;
    while (*from == ' ')
        from++;
    for (; *from != ' ' && *from != '\0'; from++) {
        if (length < LONGEST - 1)
            word[length++] = *from >= 'A' && *from <= 'Z' ? (char)(*from + 32) : *from;
    }
    word[length] = '\0';
    return length > 0 ? from : NULL;
}

static PL_NOINLINE void count_words(struct table *t, const char *from, find_function *find)
{
    char word[LONGEST];
    while ((from = next_word(from, word)) != NULL)
        t->count[find(t, word)]++;
}

static void bench(pl_bench *b, find_function *find)
{
    struct table *t = malloc(sizeof *t);
    if (t == NULL) {
        pl_bench_fail(b, "out of memory");
        return;
    }
    make_text();
    pl_bench_report_allocs(b);
    PL_LOOP(b) {
        memset(t, 0, sizeof *t);
        count_words(t, text, find);
        PL_KEEP(t);
    }
    free(t);
}

PL_BENCH(Scan)
{
    bench(b, find_scan);
}

PL_BENCH(Hash)
{
    bench(b, find_hash);
}

PL_BENCH_MAIN()
