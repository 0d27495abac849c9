/* lab.h: six functions that are given, and six benchmarks of them that are yours. The functions are
   right and stay as they are; what the benchmarks say about them has to become true. */
#ifndef LAB00_H
#define LAB00_H

#include <stddef.h>
#include <stdint.h>

/* ---- given: the functions, and what to give them ---- */

/* PURE tells the compiler that a function does nothing but return its result. Compilers see that by
   themselves when function and caller stand in one file. */
#define PURE __attribute__((__pure__))

enum { LETTER_BYTES = 3600, SCORES = 80, CODE_BYTES = LETTER_BYTES / 3 * 4 };

extern const char letter[LETTER_BYTES + 1];     /* a text, ended by a NUL */
extern const int scores[SCORES];                /* numbers in no order */

/* checksum returns the FNV-1a checksum of a text. */
uint32_t checksum(const char *text, size_t size) PURE;

/* count_words returns how many words a text has. */
size_t count_words(const char *text) PURE;

/* sort_numbers sorts them in place. It goes over them again and again, until nothing changes. */
void sort_numbers(int *numbers, size_t count);

/* A dictionary knows words. dictionary_new makes one of the words of a text; spell_check returns
   how many words of a text it does not know. NULL means out of memory. */
struct dictionary;
struct dictionary *dictionary_new(const char *text);
size_t spell_check(const struct dictionary *d, const char *text) PURE;
void dictionary_free(struct dictionary *d);

/* An encoder writes bytes as letters (base64): four for each three. It makes its tables when it is
   used for the first time. encode returns how many letters it wrote. NULL means out of memory. */
struct encoder;
struct encoder *encoder_new(void);
size_t encode(struct encoder *e, const char *bytes, size_t size, char code[CODE_BYTES]);
void encoder_free(struct encoder *e);

/* A tally counts letters, words and sentences. Only one thread at a time may use it. NULL means out
   of memory. */
struct tally;
struct tally *tally_new(void);
void tally_add(struct tally *t, const char *text);
void tally_free(struct tally *t);

/* ---- yours: the benchmarks ----

   In a program of your own, a benchmark is written PL_BENCH(Checksum) { ... }. Here workload.c does
   that, and calls your functions. Each has to report, as ns/op, what its operation costs when it is
   called again and again: that, and nothing else. */

struct pl_bench;

void bench_checksum(struct pl_bench *b);    /* checksum of the whole letter */
void bench_spell(struct pl_bench *b);       /* spell_check of the letter; the dictionary is ready */
void bench_words(struct pl_bench *b);       /* count_words of the letter */
void bench_sort(struct pl_bench *b);        /* sort_numbers of the scores, as given: in no order */
void bench_encode(struct pl_bench *b);      /* encode of the letter, by an encoder in use */
void bench_tally(struct pl_bench *b);       /* tally_add of the letter, on all processors at once,
                                               where no thread has to wait for another */

#endif
