/* student.c: the one C file of lab 00 to edit. It begins as a copy of slow.c: six benchmarks, and
   each tells something else than the truth. Repair them, so that they report what lab.h says. You
   may change everything below, add functions and include headers. Then run: make lab00 */
#include "lab.h"
#include "perflab.h"

#include <pthread.h>
#include <string.h>

void bench_checksum(pl_bench *b)
{
    uint32_t sum;
    PL_LOOP(b) {
        sum = checksum(letter, LETTER_BYTES);
        (void)sum;
    }
}

void bench_spell(pl_bench *b)
{
    PL_LOOP(b) {
        struct dictionary *d = dictionary_new(letter);
        PL_KEEP(spell_check(d, letter));
        dictionary_free(d);
    }
}

void bench_words(pl_bench *b)
{
    size_t words = count_words(letter);
    PL_LOOP(b) {
        PL_KEEP(words);
    }
}

void bench_sort(pl_bench *b)
{
    int numbers[SCORES];
    memcpy(numbers, scores, sizeof numbers);
    PL_LOOP(b) {
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

struct counting {
    pthread_mutex_t lock;       /* since only one thread at a time may use the tally */
    struct tally *tally;
};

/* count_letters is run by several threads at once, and each does its part of the iterations. */
static void count_letters(pl_parallel *pb, void *arg)
{
    struct counting *c = arg;
    while (PL_NEXT(pb)) {
        pthread_mutex_lock(&c->lock);
        tally_add(c->tally, letter);
        pthread_mutex_unlock(&c->lock);
    }
}

void bench_tally(pl_bench *b)
{
    struct counting c = {PTHREAD_MUTEX_INITIALIZER, tally_new()};
    pl_bench_parallel(b, count_letters, &c);
    tally_free(c.tally);
}
