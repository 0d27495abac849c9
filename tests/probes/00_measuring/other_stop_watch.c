/* A stop watch of one's own: as many passes as the harness asks for, warmed up, and their mean
   reported in place of the harness's. The tallies are made before the threads, one for each. */
#include "lab.h"
#include "perflab.h"

#include <string.h>

enum { MOST_THREADS = 64 };

static struct dictionary *dictionary;
static struct encoder *encoder;
static char code[CODE_BYTES];

static void sum_once(void)
{
    PL_KEEP(checksum(letter, LETTER_BYTES));
}

static void check_once(void)
{
    PL_KEEP(spell_check(dictionary, letter));
}

static void count_once(void)
{
    PL_KEEP(count_words(letter));
}

static void sort_once(void)
{
    int numbers[SCORES];
    memcpy(numbers, scores, sizeof numbers);
    sort_numbers(numbers, SCORES);
    PL_KEEP(&numbers);
}

static void encode_once(void)
{
    PL_KEEP(encode(encoder, letter, LETTER_BYTES, code));
}

static void report_mean(pl_bench *b, void (*once)(void))
{
    once();
    uint64_t start = pl_now_ns();
    for (int64_t i = 0; i < b->n; i++)
        once();
    uint64_t taken = pl_now_ns() - start;
    pl_bench_report_metric(b, (double)taken / (double)b->n, "ns/op");
}

void bench_checksum(pl_bench *b)
{
    report_mean(b, sum_once);
}

void bench_spell(pl_bench *b)
{
    dictionary = dictionary_new(letter);
    report_mean(b, check_once);
    dictionary_free(dictionary);
}

void bench_words(pl_bench *b)
{
    report_mean(b, count_once);
}

void bench_sort(pl_bench *b)
{
    report_mean(b, sort_once);
}

void bench_encode(pl_bench *b)
{
    encoder = encoder_new();
    report_mean(b, encode_once);
    encoder_free(encoder);
}

static void count_letters(pl_parallel *pb, void *tallies)
{
    struct tally *own = ((struct tally **)tallies)[pb->thread % MOST_THREADS];
    while (PL_NEXT(pb)) {
        tally_add(own, letter);
    }
}

void bench_tally(pl_bench *b)
{
    struct tally *tallies[MOST_THREADS];
    for (int i = 0; i < MOST_THREADS; i++)
        tallies[i] = tally_new();
    pl_bench_parallel(b, count_letters, tallies);
    for (int i = 0; i < MOST_THREADS; i++)
        tally_free(tallies[i]);
}
