/* Leaves the loop as soon as the first pass is done. */
#include "lab.h"
#include "perflab.h"

#include <string.h>

/* The result is kept: otherwise nobody would use it, and the compiler could leave the call out. */
void bench_checksum(pl_bench *b)
{
    PL_LOOP(b) {
        PL_KEEP(checksum(letter, LETTER_BYTES));
    }
}

/* The dictionary is made before the loop, where no time is measured. */
void bench_spell(pl_bench *b)
{
    struct dictionary *d = dictionary_new(letter);
    PL_LOOP(b) {
        PL_KEEP(spell_check(d, letter));
    }
    dictionary_free(d);
}

/* What is to be measured stands inside the loop. */
void bench_words(pl_bench *b)
{
    PL_LOOP(b) {
        PL_KEEP(count_words(letter));
        break;
    }
}

/* Each pass sorts the same disorder. Copying 320 bytes is on the clock too: it takes a few
   nanoseconds, and sorting takes microseconds. */
void bench_sort(pl_bench *b)
{
    int numbers[SCORES];
    PL_LOOP(b) {
        memcpy(numbers, scores, sizeof numbers);
        sort_numbers(numbers, SCORES);
        PL_KEEP(&numbers);
    }
}

/* Many runs: what the first one does once hardly counts, and what disturbs one run is averaged. */
void bench_encode(pl_bench *b)
{
    char code[CODE_BYTES];
    struct encoder *e = encoder_new();
    PL_LOOP(b) {
        PL_KEEP(encode(e, letter, LETTER_BYTES, code));
    }
    encoder_free(e);
}

/* Each thread has a tally of its own: nothing is shared, so nobody waits. */
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
