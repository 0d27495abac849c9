/* Loops of one's own over b->n, and the timer set back after the set-up: what PL_LOOP does by
   itself. */
#include "lab.h"
#include "perflab.h"

#include <string.h>

void bench_checksum(pl_bench *b)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        sum ^= checksum(letter, LETTER_BYTES);
        PL_CLOBBER();
    }
    PL_KEEP(sum);
}

void bench_spell(pl_bench *b)
{
    struct dictionary *d = dictionary_new(letter);
    pl_bench_reset_timer(b);
    for (int64_t i = 0; i < b->n; i++)
        PL_KEEP(spell_check(d, letter));
    pl_bench_stop_timer(b);
    dictionary_free(d);
}

void bench_words(pl_bench *b)
{
    for (int64_t i = 0; i < b->n; i++)
        PL_KEEP(count_words(letter));
}

void bench_sort(pl_bench *b)
{
    int numbers[SCORES];
    for (int64_t i = 0; i < b->n; i++) {
        memcpy(numbers, scores, sizeof numbers);
        sort_numbers(numbers, SCORES);
        PL_KEEP(&numbers);
    }
}

void bench_encode(pl_bench *b)
{
    char code[CODE_BYTES];
    struct encoder *e = encoder_new();
    PL_KEEP(encode(e, letter, LETTER_BYTES, code));
    pl_bench_reset_timer(b);
    for (int64_t i = 0; i < b->n; i++)
        PL_KEEP(encode(e, letter, LETTER_BYTES, code));
    pl_bench_stop_timer(b);
    encoder_free(e);
}

static void count_letters(pl_parallel *pb, void *arg)
{
    struct tally *tally = tally_new();
    (void)arg;
    while (PL_NEXT(pb))
        tally_add(tally, letter);
    tally_free(tally);
}

void bench_tally(pl_bench *b)
{
    pl_bench_parallel(b, count_letters, NULL);
}
