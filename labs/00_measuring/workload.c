/* workload.c: the given functions of lab 00, their true costs, and the run of the benchmarks
   (contract: docs/internals.md).

   One operation runs the six benchmarks of slow.c or student.c, REPEATS times each, in a process
   of its own. Before it, the true costs are measured here, without a benchmark. The cost of each
   given function is varied by a number of extra steps that stands in the input: what a benchmark
   reports has to follow, and a number that was written down cannot.

   An input is a uint64_t of microseconds for each measurement, and a uint32_t of extra steps for
   each function. An output is a line for each benchmark: that it gave REPEATS results. How long
   they say it takes is asked with workload_count. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "workload.h"
#include "lab.h"
#include "perflab.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- what is given: data ---- */

#define PAGE \
    "Dear reader, this is a letter about clocks. A clock tells how long something took, and " \
    "never why. Whoever asks it once gets an answer; whoever asks it twice gets two, and they" \
    " differ. That is no fault of the clock. Other programs run beside yours, memory is cold " \
    "or warm, the processor changes its speed, and a compiler leaves out what nobody needs. " \
    "So measure often, look at how much the answers differ, and doubt what is too good to be " \
    "true: a thousand bytes are not read in less than a nanosecond. Keep the result of what " \
    "you measure, give it the same work each time, and let the watch run for that work alone." \
    " Write down which machine it was, which compiler, and which version of the code. Then " \
    "change one thing, and only one, and measure again. If the difference is smaller than " \
    "what two equal runs differ by, you have learnt nothing yet, which is a very good thing " \
    "to know. Yours, a stopwatch. "

enum { PAGES = 4 };

const char letter[LETTER_BYTES + 1] = PAGE PAGE PAGE PAGE;
_Static_assert(sizeof(PAGE) - 1 == LETTER_BYTES / PAGES, "the letter is filled to its end");

const int scores[SCORES] = {
    637, 261, 759, 367, 814, 707, 965, 861, 757, 667, 944, 542, 29, 860, 476, 794, 965, 255,
    664, 53, 922, 160, 115, 380, 480, 889, 252, 389, 556, 104, 587, 255, 13, 748, 221, 417,
    286, 186, 938, 888, 784, 398, 163, 780, 816, 73, 142, 632, 632, 455, 129, 135, 1, 995,
    892, 5, 214, 792, 220, 983, 169, 893, 170, 296, 321, 984, 203, 552, 897, 694, 640, 209,
    186, 963, 991, 707, 201, 989, 988, 915,
};

/* ---- what is given: functions ---- */

enum { CHECKSUM, SPELL, WORDS, SORT, ENCODE, TALLY, GIVEN };

static uint32_t extra[GIVEN];       /* steps that each function takes in addition */

/* take_steps costs about a nanosecond a step, and the compiler cannot shorten it. */
static void take_steps(uint32_t steps)
{
    uint64_t x = steps;
    for (uint32_t i = 0; i < steps; i++) {
        x = x * 6364136223846793005u + 1;
        PL_HIDE(x);
    }
}

PL_NOINLINE uint32_t checksum(const char *text, size_t size)
{
    uint32_t sum = 2166136261u;
    take_steps(extra[CHECKSUM]);
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (unsigned char)text[i]) * 16777619u;
    return sum;
}

PL_NOINLINE size_t count_words(const char *text)
{
    size_t words = 0;
    take_steps(extra[WORDS]);
    for (int inside = 0; *text != '\0'; text++) {
        int blank = *text == ' ' || *text == '\n';
        words += !blank & !inside;
        inside = !blank;
    }
    return words;
}

/* Each pass carries the largest number so far along. There is no branch on the numbers, which the
   processor could guess rightly or wrongly: a pass takes the same time whatever the order is. */
PL_NOINLINE void sort_numbers(int *numbers, size_t count)
{
    int changed = count > 0;
    take_steps(extra[SORT]);
    while (changed) {
        int largest = numbers[0];
        changed = 0;
        for (size_t i = 1; i < count; i++) {
            int next = numbers[i], less = -(next < largest);
            int difference = (next ^ largest) & less;
            numbers[i - 1] = largest ^ difference;
            largest = next ^ difference;
            changed |= less;
        }
        numbers[count - 1] = largest;
    }
}

enum { PLACES = 8192 };

/* A dictionary knows words by their hashes alone. */
struct dictionary {
    unsigned char known[PLACES];
};

/* next_hash is the hash of a word with one more letter, or 0 between words: computed without a
   branch, since where words end cannot be guessed. */
static uint32_t next_hash(uint32_t hash, char c)
{
    uint32_t letter = -(uint32_t)(((unsigned)c | 32) - 'a' < 26);
    return (hash ^ (unsigned char)c) * 16777619u & letter;
}

PL_NOINLINE struct dictionary *dictionary_new(const char *text)
{
    struct dictionary *d = calloc(1, sizeof *d);
    for (uint32_t hash = 0; d != NULL && *text != '\0'; text++) {
        uint32_t next = next_hash(hash, *text);
        if (next == 0)
            d->known[hash % PLACES] = 1;
        hash = next;
    }
    return d;
}

PL_NOINLINE size_t spell_check(const struct dictionary *d, const char *text)
{
    size_t unknown = 0;
    take_steps(extra[SPELL]);
    for (uint32_t hash = 0; *text != '\0'; text++) {
        uint32_t next = next_hash(hash, *text);
        unknown += (next == 0) & (hash != 0) & !d->known[hash % PLACES];
        hash = next;
    }
    return unknown;
}

void dictionary_free(struct dictionary *d)
{
    free(d);
}

enum { PAIRS = 4096 };      /* of two letters of base64: what twelve bits can say */

struct encoder {
    int ready;
    char pair[PAIRS][2];
};

struct encoder *encoder_new(void)
{
    return calloc(1, sizeof(struct encoder));
}

static void make_pairs(struct encoder *e)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned i = 0; i < PAIRS; i++) {
        e->pair[i][0] = digits[i / 64];
        e->pair[i][1] = digits[i % 64];
    }
    e->ready = 1;
}

PL_NOINLINE size_t encode(struct encoder *e, const char *bytes, size_t size, char code[CODE_BYTES])
{
    char *to = code;
    take_steps(extra[ENCODE]);
    if (!e->ready)
        make_pairs(e);
    for (size_t i = 0; i + 3 <= size; i += 3, to += 4) {
        unsigned bits = (unsigned)(unsigned char)bytes[i] << 16 |
                        (unsigned)(unsigned char)bytes[i + 1] << 8 | (unsigned char)bytes[i + 2];
        memcpy(to, e->pair[bits >> 12], 2);
        memcpy(to + 2, e->pair[bits & (PAIRS - 1)], 2);
    }
    return (size_t)(to - code);
}

void encoder_free(struct encoder *e)
{
    free(e);
}

struct tally {
    uint64_t letters, words, sentences;
    unsigned serial;            /* no two tallies have the same */
};

static void note_use(const struct tally *t);

struct tally *tally_new(void)
{
    static unsigned made;
    struct tally *t = calloc(1, sizeof *t);
    if (t != NULL)
        t->serial = __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    return t;
}

PL_NOINLINE void tally_add(struct tally *t, const char *text)
{
    uint64_t letters = 0, words = 0, sentences = 0;
    note_use(t);
    take_steps(extra[TALLY]);
    for (unsigned before = 0, letter; *text != '\0'; text++, before = letter) {
        letter = ((unsigned char)*text | 32u) - 'a' < 26;
        letters += letter;
        words += letter & !before;
        sentences += (*text == '.') & before;
    }
    t->letters += letters;
    t->words += words;
    t->sentences += sentences;
}

void tally_free(struct tally *t)
{
    free(t);
}

/* ---- which threads use which tallies ----

   While `watching`, tally_add notes who uses what. A thread's first use waits for a moment until
   all threads have come, so that none has done all the work before the others begin. */

enum { THREADS = 4, USES = 64, TRIES = 3, NAPS = 50 };

static struct use { unsigned thread, tally; } uses[USES];
static unsigned use_count, come, watching;     /* atomic; watching: 0, or the number of the watch */

static void nap(void)
{
    const struct timespec moment = {0, 200000};
    nanosleep(&moment, NULL);
}

static void note_use(const struct tally *t)
{
    static __thread unsigned watch, me;
    unsigned now = __atomic_load_n(&watching, __ATOMIC_RELAXED);
    if (now == 0)
        return;
    if (watch != now) {
        watch = now;
        me = __atomic_add_fetch(&come, 1, __ATOMIC_RELAXED);
        for (int i = 0; i < NAPS && __atomic_load_n(&come, __ATOMIC_RELAXED) < THREADS; i++)
            nap();
    }
    unsigned at = __atomic_fetch_add(&use_count, 1, __ATOMIC_RELAXED);
    if (at < USES)
        uses[at] = (struct use){me, t->serial};
}

/* own_tallies returns how many threads came and used a tally, or 0 when any two used the same. */
static unsigned own_tallies(void)
{
    unsigned count = use_count < USES ? use_count : USES;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (uses[i].tally == uses[j].tally && uses[i].thread != uses[j].thread)
                return 0;
        }
    }
    return come;
}

/* ---- the true costs ---- */

struct given {
    struct dictionary *dictionary;
    struct encoder *encoder;
    struct tally *tally;
    int numbers[SCORES];
    char code[CODE_BYTES];
};

static void once_checksum(struct given *g)
{
    (void)g;
    PL_KEEP(checksum(letter, LETTER_BYTES));
}

static void once_spell(struct given *g)
{
    PL_KEEP(spell_check(g->dictionary, letter));
}

static void once_words(struct given *g)
{
    (void)g;
    PL_KEEP(count_words(letter));
}

static void once_sort(struct given *g)
{
    memcpy(g->numbers, scores, sizeof g->numbers);
    sort_numbers(g->numbers, SCORES);
    PL_KEEP(&g->numbers);
}

static void once_encode(struct given *g)
{
    PL_KEEP(encode(g->encoder, letter, LETTER_BYTES, g->code));
}

static void once_tally(struct given *g)
{
    tally_add(g->tally, letter);
}

static const struct {
    const char *name;                   /* of its benchmark */
    void (*once)(struct given *g);
} given[GIVEN] = {
    [CHECKSUM] = {"Checksum", once_checksum}, [SPELL] = {"Spell", once_spell},
    [WORDS] = {"Words", once_words},          [SORT] = {"Sort", once_sort},
    [ENCODE] = {"Encode", once_encode},       [TALLY] = {"Tally", once_tally},
};

enum { REPEATS = 3, BATCH = 8 };

/* mean_ns is the mean time of an operation that is repeated for at least so long. */
static double mean_ns(void (*once)(struct given *g), struct given *g, uint64_t least_ns)
{
    uint64_t start = pl_now_ns(), taken = 0, count = 0;
    while (taken < least_ns) {
        for (int i = 0; i < BATCH; i++)
            once(g);
        count += BATCH;
        taken = pl_now_ns() - start;
    }
    return (double)taken / (double)count;
}

/* true_ns is the least of several means, as it is the least report of a benchmark that counts:
   what else runs on the machine only ever adds time. */
static double true_ns(void (*once)(struct given *g), struct given *g, uint64_t least_ns)
{
    double least = 0;
    once(g);                            /* what only the first use costs is not meant */
    for (int i = 0; i < REPEATS; i++) {
        double mean = mean_ns(once, g, least_ns);
        least = i == 0 || mean < least ? mean : least;
    }
    return least;
}

/* ---- one operation ---- */

enum { REPORT_BYTES = 1 << 16 };

struct state {
    uint64_t microseconds;
    uint32_t extra[GIVEN];
    struct given given;
    double truth[GIVEN];
    char report[REPORT_BYTES];          /* what the benchmarks printed, as JSON, line by line */
};

int workload_make(uint64_t seed, uint64_t n, workload_buffer *input)
{
    uint64_t rng = seed;
    if (workload_append(input, &n, sizeof n))
        return -1;
    for (int i = 0; i < GIVEN; i++) {
        rng = rng * 6364136223846793005u + 1442695040888963407u;
        uint32_t steps = (uint32_t)(rng >> 33) % 4096;
        if (workload_append(input, &steps, sizeof steps))
            return -1;
    }
    return 0;
}

int workload_expect(const workload_buffer *input, workload_buffer *output)
{
    (void)input;
    static const char right[] = "Checksum gave 3 results\nSpell gave 3 results\n"
                                "Words gave 3 results\nSort gave 3 results\n"
                                "Encode gave 3 results\nTally gave 3 results\n";
    return workload_append(output, right, sizeof right - 1);
}

void *workload_load(const unsigned char *data, size_t size)
{
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL || size != sizeof s->microseconds + sizeof s->extra)
        return s;
    memcpy(&s->microseconds, data, sizeof s->microseconds);
    memcpy(s->extra, data + sizeof s->microseconds, sizeof s->extra);
    s->given.dictionary = dictionary_new(letter);
    s->given.encoder = encoder_new();
    s->given.tally = tally_new();
    if (s->given.dictionary == NULL || s->given.encoder == NULL || s->given.tally == NULL) {
        workload_unload(s);
        return NULL;
    }
    return s;
}

/* run_benchmarks has pl_bench_main run them; what it prints goes to a file in memory, and from
   there to s->report. */
static void run_benchmarks(struct state *s, const char *which, const char *time, const char *count,
                           const char *threads)
{
    const char *argv[] = {"bench", "-json", "-timeout", "0", "-bench", which, "-benchtime", time,
                          "-count", count, "-cpu", threads, NULL};
    int memory = memfd_create("report", 0), before = dup(STDOUT_FILENO);
    fflush(stdout);
    dup2(memory, STDOUT_FILENO);
    pl_bench_main(sizeof argv / sizeof *argv - 1, (char **)argv);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    ssize_t size = pread(memory, s->report, REPORT_BYTES - 1, 0);
    s->report[size > 0 ? size : 0] = '\0';
    close(before);
    close(memory);
}

/* The names in `given`. */
static const char all[] = "Checksum|Spell|Words|Sort|Encode|Tally";

void workload_run(void *state)
{
    struct state *s = state;
    char time[32];
    memcpy(extra, s->extra, sizeof extra);
    for (int i = 0; i < GIVEN; i++)
        s->truth[i] = true_ns(given[i].once, &s->given, 1000 * s->microseconds);
    snprintf(time, sizeof time, "%lluus", (unsigned long long)s->microseconds);
    run_benchmarks(s, all, time, "3", "1");
}

/* next_result finds the next line about a benchmark of that name, from *at on, and moves *at behind
   the name; false at the end. */
static bool next_result(const char **at, const char *name)
{
    char begin[64];
    snprintf(begin, sizeof begin, "{\"type\":\"benchmark\",\"name\":\"Benchmark%s\",", name);
    const char *line = strstr(*at, begin);
    if (line != NULL)
        *at = line + strlen(begin);
    return line != NULL;
}

/* member returns what follows a key in the line, "" when the line does not have it. */
static const char *member(const char *line, const char *key)
{
    size_t length = strcspn(line, "\n");
    const char *found = strstr(line, key);
    return found != NULL && found < line + length ? found + strlen(key) : "";
}

/* append_outcome says of one benchmark how many results it gave, or why it failed. */
static int append_outcome(const struct state *s, const char *name, workload_buffer *output)
{
    char text[256];
    const char *at = s->report;
    int results = 0, size = 0;
    for (; size == 0 && next_result(&at, name); results++) {
        const char *log = member(at, "\"log\":\"");
        if (*member(at, "\"failed\":true"))
            size = snprintf(text, sizeof text, "%s failed: %.*s\n", name,
                            (int)strcspn(log, "\\\"") % 200, log);
    }
    if (size == 0)
        size = snprintf(text, sizeof text, "%s gave %d results\n", name, results);
    return workload_append(output, text, (size_t)size);
}

int workload_store(void *state, workload_buffer *output)
{
    for (int i = 0; i < GIVEN; i++) {
        if (append_outcome(state, given[i].name, output))
            return -1;
    }
    return 0;
}

void workload_unload(void *state)
{
    struct state *s = state;
    dictionary_free(s->given.dictionary);
    encoder_free(s->given.encoder);
    tally_free(s->given.tally);
    free(s);
}

/* ---- what the grader asks: NAME and NAME.true in nanoseconds, own_tallies ---- */

/* reported_ns is the least time that a benchmark reported, 0 when it reported none. */
static double reported_ns(const struct state *s, const char *name)
{
    double least = 0;
    const char *at = s->report;
    while (next_result(&at, name)) {
        double ns = strtod(member(at, "\"ns_per_op\":"), NULL);
        least = least == 0 || ns < least ? ns : least;
    }
    return least;
}

/* watch_tallies runs the parallel benchmark with several threads, once more when they did not all
   come, and counts those that have a tally of their own. */
static double watch_tallies(struct state *s)
{
    come = 0;
    memset(extra, 0, sizeof extra);
    for (unsigned try = 1; try <= TRIES && come < THREADS; try++) {
        use_count = come = 0;
        watching = try;
        run_benchmarks(s, "Tally", "16x", "1", "4");
        watching = 0;
    }
    return own_tallies();
}

int workload_count(void *state, const char *name, double *value)
{
    struct state *s = state;
    size_t length = strcspn(name, ".");
    if (strcmp(name, "own_tallies") == 0) {
        *value = watch_tallies(s);
        return 0;
    }
    for (int i = 0; i < GIVEN; i++) {
        if (strlen(given[i].name) == length && strncmp(given[i].name, name, length) == 0) {
            *value = name[length] == '.' ? s->truth[i] : reported_ns(s, given[i].name);
            return 0;
        }
    }
    return -1;
}

/* ---- benchmarks: make lab00-bench ---- */

PL_BENCH(Checksum) { bench_checksum(b); }
PL_BENCH(Spell)    { bench_spell(b); }
PL_BENCH(Words)    { bench_words(b); }
PL_BENCH(Sort)     { bench_sort(b); }
PL_BENCH(Encode)   { bench_encode(b); }
PL_BENCH(Tally)    { bench_tally(b); }

static void bench_same(pl_bench *b, void *unused)
{
    (void)unused;
    PL_LOOP(b) {
        take_steps(2000);
    }
}

/* The same code, five times: what differs is noise. */
PL_BENCH(Noise)
{
    for (int i = 1; i <= 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "run=%d", i);
        pl_bench_run(b, name, bench_same, NULL);
    }
}
