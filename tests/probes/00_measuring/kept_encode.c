/* Everything is repaired but one: one run, the first one. */
#include "lab.h"
#include "perflab.h"

#include <string.h>

void bench_checksum(pl_bench *b)
{
    uint32_t sum;
    PL_LOOP(b) {
        sum = checksum(letter, LETTER_BYTES);
        PL_KEEP(sum);
    }
}

void bench_spell(pl_bench *b)
{
    struct dictionary *d = dictionary_new(letter);
    PL_LOOP(b) {
        PL_KEEP(spell_check(d, letter));
    }
    dictionary_free(d);
}

void bench_words(pl_bench *b)
{
    PL_LOOP(b) {
        size_t words = count_words(letter);
        PL_KEEP(words);
    }
}

void bench_sort(pl_bench *b)
{
    int numbers[SCORES];
    PL_LOOP(b) {
        memcpy(numbers, scores, sizeof numbers);
        sort_numbers(numbers, SCORES);
        PL_KEEP(&numbers);
    }
}

void bench_encode(pl_bench *b)
{
    char code[CODE_BYTES];
    struct encoder *e = encoder_new();
    uint64_t start = pl_now_ns();
    PL_KEEP(encode(e, letter, LETTER_BYTES, code));
    uint64_t taken = pl_now_ns() - start;
    pl_bench_report_metric(b, (double)taken, "ns/op");
    encoder_free(e);
}

/* count_letters is run by several threads at once, and each does its part of the iterations. */
static void count_letters(pl_parallel *pb, void *arg)
{
    struct tally *tally = tally_new();
    (void)arg;
    while (PL_NEXT(pb)) {
        tally_add(tally, letter);
    }
    tally_free(tally);
}

void bench_tally(pl_bench *b)
{
    pl_bench_parallel(b, count_letters, NULL);
}
