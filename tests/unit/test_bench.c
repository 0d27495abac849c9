/* What is inside of >>util, >>flags, >>bench and >>benchmain; whole programs are tested from
   outside in tests/bench. The golden files are Go's own answers: tests/bench/golden/make.py. */
/* run: upto=benchmain */
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#define GOLDEN "tests/bench/golden/"

/* The benchmark that a test drives by hand, as pl_bench_main would. */
static pli_bench *make(void (*fn)(pl_bench *b, void *arg), void *arg)
{
    pli_bench *b = calloc(1, sizeof *b);
    b->name = "BenchmarkTest";
    b->fn = fn;
    b->arg = arg;
    b->api.procs = 1;
    return b;
}

/* -- util -- */

/* A line of a golden file without its end; NULL behind the last. */
static char *line_of(FILE *f, char *line, int size)
{
    if (!fgets(line, size, f))
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static void test_durations(void)
{
    char line[200];
    FILE *f = fopen(GOLDEN "durations.txt", "r");
    while (f && line_of(f, line, sizeof line)) {
        char *bar = strchr(line, '|');
        int64_t want = strtoll(bar + 1, NULL, 10), got = -1;
        *bar = '\0';
        bool good = pli_parse_duration(line, &got);
        is_int(good ? got : -1, want, "duration \"%s\" as Go reads it", line);
    }
    if (ok(f != NULL, "golden durations are there"))
        fclose(f);
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"1", true}, {"100", true}, {"0", false}, {"101", false}, {"", false},
                 {"1x", false}, {"x", false}, {"1.5", false}, {"99999999999999999999", false},
                 {"-1", false}, {"1 ", false}};
    int64_t n;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        is_int(pli_parse_int64(cases[i].text, 1, 100, &n), cases[i].good, "number \"%s\"",
               cases[i].text);
}

static void test_decimal_points(void)
{
    static const char *const cases[][2] = {
        {"1,5", "1.5"}, {"  -12,25", "  -12.25"}, {"7", "7"}, {"1e+300", "1e+300"},
        {"1,5e-07", "1.5e-07"}, {"3\xd9\xab" "14", "3.14"}, {"null", "null"},
        {"   +Inf", "   +Inf"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        strcpy(text, cases[i][0]);
        pli_format_point(text);
        is_str(text, cases[i][1], "point of \"%s\"", cases[i][0]);
    }
}

static void test_utf8(void)
{
    static const struct {
        const char *text;
        uint32_t rune;
        int size;
    } cases[] = {{"a", 'a', 1}, {"\xc3\xa9", 0xe9, 2}, {"\xe2\x82\xac", 0x20ac, 3},
                 {"\xf0\x9f\x98\x80", 0x1f600, 4}, {"\x80", 0xfffd, 1}, {"\xc3", 0xfffd, 1},
                 {"\xc0\x80", 0xfffd, 1}, {"\xe0\x80\x80", 0xfffd, 1}, {"\xed\xa0\x80", 0xfffd, 1},
                 {"\xf4\x90\x80\x80", 0xfffd, 1}, {"\xe2\x82", 0xfffd, 1}, {"\xff", 0xfffd, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t rune;
        int size = pli_utf8_decode(cases[i].text, &rune);
        ok(rune == cases[i].rune && size == cases[i].size, "UTF-8 case %d: U+%04X, %d bytes",
           (int)i, (unsigned)rune, size);
    }
}

/* What a writer of JSON writes for a string (text) or a number. */
static char *json(const char *text, double x)
{
    static char out[200];
    FILE *f = fmemopen(out, sizeof out, "w");
    if (text)
        pli_json_string(f, text);
    else
        pli_json_number(f, x);
    fclose(f);
    return out;
}

static void test_json(void)
{
    is_str(json("a\"b\\c\n\x01\x1f\x7f\xff\xc3\xa9", 0),
           "\"a\\u0022b\\u005cc\\u000a\\u0001\\u001f\\u007f\\ufffd\xc3\xa9\"",
           "a string of odd bytes");
    is_str(json(NULL, 0.1), "0.1", "0.1 stays 0.1");
    is_str(json(NULL, 1.0 / 3), "0.3333333333333333", "a third has as many digits as it needs");
    is_str(json(NULL, 1e300), "1e+300", "a big number");
    is_str(json(NULL, __builtin_nan("")), "null", "NaN is null");
    is_str(json(NULL, -__builtin_inf()), "null", "an infinity is null");
}

/* -- Go's numbers -- */

static uint64_t state;

/* splitmix64, as in golden/tables.go. */
static uint64_t next_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int64_t magnitude(uint64_t digits)
{
    uint64_t limit = 1;
    for (uint64_t i = next_random() % (digits + 1); i > 0; i--)
        limit *= 10;
    return (int64_t)(next_random() % limit);
}

static void test_prediction(void)
{
    char line[64];
    int same = 0, count = 0;
    FILE *f = fopen(GOLDEN "predict.txt", "r");
    state = 2;
    while (f && line_of(f, line, sizeof line)) {
        int64_t goal = 1 + magnitude(10), n = 1 + magnitude(8);
        int64_t ns = magnitude(11), last = 1 + magnitude(9);
        int64_t got = pli_bench_predict(goal, n, ns, last), want = strtoll(line, NULL, 10);
        if (got != want && count - same < 5)
            diag("goal %lld, n %lld, ns %lld, last %lld: got %lld, want %lld", (long long)goal,
                 (long long)n, (long long)ns, (long long)last, (long long)got, (long long)want);
        same += got == want;
        count++;
    }
    if (ok(count == 10000 && same == count, "the next n is Go's in %d of %d cases", same, count))
        fclose(f);
    is_int(pli_bench_predict(INT64_MAX, 1000, 1, 1000), 100000, "a product that overflows");
    is_int(pli_bench_predict(1, 1, INT64_MAX, 1000000000), 1000000000, "never above the limit");
}

static void test_values(void)
{
    char line[500], text[352];
    int same = 0, count = 0;
    FILE *f = fopen(GOLDEN "values.txt", "r");
    while (f && line_of(f, line, sizeof line)) {
        char *bar = strchr(line, '|');
        uint64_t bits = strtoull(line, NULL, 16);
        double x;
        memcpy(&x, &bits, sizeof x);
        pli_value_format(text, x);
        strcat(text, " unit");
        if (strcmp(text, bar + 1) != 0)
            diag("%.17g: got \"%s\", want \"%s\"", x, text, bar + 1);
        same += strcmp(text, bar + 1) == 0;
        count++;
    }
    if (ok(count > 1000 && same == count, "values are printed as Go does: %d of %d", same, count))
        fclose(f);
}

/* -- flags, filters, names -- */

/* Parses a command line of up to three words; its faults go to stderr. */
static bool parse(pli_flags *flags, char *a, char *b, char *c)
{
    char *words[] = {(char *)(uintptr_t)"program", a, b, c, NULL};
    *flags = (pli_flags){.bench = "", .run = "", .count = 1, .time.ns = 1, .cpu = {1, {1}}};
    return pli_flags_parse(flags, words);
}

#define WORD(text) ((char *)(uintptr_t)(text))

static void test_flags(void)
{
    pli_flags f;
    ok(parse(&f, WORD("-bench=A"), WORD("--count"), WORD("7")) && strcmp(f.bench, "A") == 0 &&
           f.count == 7, "-flag=value and --flag value");
    ok(parse(&f, WORD("-v"), WORD("-benchmem=false"), WORD("--json=true")) && f.verbose &&
           !f.benchmem && f.json, "switches");
    ok(parse(&f, WORD("-benchtime"), WORD("100x"), NULL) && f.time.n == 100 && f.time.ns == 0,
       "-benchtime in iterations");
    ok(parse(&f, WORD("-benchtime"), WORD("1.5ms"), NULL) && f.time.n == 0 &&
           f.time.ns == 1500000, "-benchtime as a time");
    ok(parse(&f, WORD("-cpu"), WORD("1,2,16"), NULL) && f.cpu.count == 3 && f.cpu.value[2] == 16,
       "-cpu takes a list");
    ok(parse(&f, WORD("-shuffle"), WORD("-42"), NULL) && f.shuffle.on && f.shuffle.seed == -42,
       "-shuffle takes a number, also a negative one");
    ok(parse(&f, WORD("-shuffle=off"), NULL, NULL) && !f.shuffle.on, "-shuffle=off");
    ok(parse(&f, WORD("-list"), WORD("-v"), NULL) && f.list && f.verbose, "-list without a value");
    ok(parse(&f, WORD("-list"), WORD("A"), NULL) && strcmp(f.list, "A") == 0, "-list REGEX");
    ok(parse(&f, WORD("-bench="), NULL, NULL) && strcmp(f.bench, "") == 0, "an empty value");
    static const char *const bad[][2] = {
        {"-nope", NULL}, {"-benchtime", "2"}, {"-benchtime", "0x"}, {"-benchtime", "0s"},
        {"-benchtime", "x"}, {"-benchtime", "1e3x"}, {"-benchtime", NULL}, {"-count", "0"},
        {"-count", "many"}, {"-cpu", "1,,2"}, {"-cpu", "0"}, {"-cpu", ""}, {"-cpu", "1,"},
        {"-shuffle", "maybe"}, {"-timeout", "soon"}, {"-v=perhaps", NULL}, {"stray", NULL},
        {"-", NULL}, {"--", NULL}, {"---v", NULL}, {"-=1", NULL}, {"-tracer", "x"},
        {"-memprofilerate", "0"}, {"-mutexprofilefraction", "4294967296"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!parse(&f, WORD(bad[i][0]), WORD(bad[i][1]), NULL), "refused: %s %s", bad[i][0],
           bad[i][1] ? bad[i][1] : "");
}

static void test_filters(void)
{
    static const struct {
        const char *pattern, *name;
        int matches, partial;
    } cases[] = {
        {"", "BenchmarkA", 1, 0}, {"A", "BenchmarkA", 1, 0}, {"^A", "BenchmarkA", 0, 0},
        {"A/x", "BenchmarkA", 1, 1}, {"A/x", "BenchmarkA/x", 1, 0}, {"A/x", "BenchmarkA/y", 0, 0},
        {"A", "BenchmarkA/x", 1, 0}, {"A/x/y", "BenchmarkA/x", 1, 1},
        {"A|B/x", "BenchmarkA/q", 1, 0},
        {"A|B/x", "BenchmarkB/q", 0, 0}, {"A|B/x", "BenchmarkB", 1, 1},
        {"(A|B)/x", "BenchmarkB/x", 1, 0},
        {"[A/]B", "BenchmarkAB", 1, 0}, {"A/", "BenchmarkA/x", 1, 0}, {"/x", "BenchmarkQ/x", 1, 0},
        {"A/x y", "BenchmarkA/x_y", 1, 0}, {"A\\|B", "BenchmarkA", 0, 0},
        {"A+$", "BenchmarkAAA", 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pli_filter f;
        bool partial = false;
        bool matches = pli_filter_init(&f, "bench", cases[i].pattern) &&
                       pli_filter_match(&f, cases[i].name, &partial);
        ok(matches == cases[i].matches && (!matches || partial == cases[i].partial),
           "-bench '%s' and %s", cases[i].pattern, cases[i].name);
        pli_filter_free(&f);
    }
    static const char *const bad[] = {"(", "A/[", "A|(", "*"};
    for (size_t i = 0; i < 3; i++) {
        pli_filter f;
        ok(!pli_filter_init(&f, "bench", bad[i]) && f.part == NULL, "no filter: '%s'", bad[i]);
    }
}

static void test_names(void)
{
    static const char *const cases[][2] = {
        {"a", "P/a"}, {"a", "P/a#01"}, {"a", "P/a#02"}, {"a#02", "P/a#02#01"}, {"", "P/#00"},
        {"", "P/#01"}, {"b c\t\n", "P/b_c__"}, {"\xc2\xa0x\xe2\x80\x83", "P/_x_"},
        {"\x1b[0m", "P/\\x1b[0m"}};
    pli_name *list = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *clean = pli_name_clean(cases[i][0]);
        is_str(pli_name_unique(&list, "P", clean), cases[i][1], "name %d", (int)i);
        free(clean);
    }
    pli_name_free(&list);
    ok(list == NULL, "the list of names is empty in the end");
}

/* -- the engine -- */

typedef struct tally {
    int64_t calls, iterations, first_n;
    uint64_t inside_ns, paused_ns;
} tally;

static void body_loop(pl_bench *b, void *arg)
{
    tally *t = arg;
    t->calls++;
    PL_LOOP(b) {
        t->iterations++;
    }
}

static void body_count(pl_bench *b, void *arg)
{
    tally *t = arg;
    t->calls++;
    t->first_n = t->first_n ? t->first_n : b->n;
    for (int64_t i = 0; i < b->n; i++) {
        t->iterations++;
        PL_CLOBBER();
    }
}

static void test_loop(void)
{
    tally t = {0};
    pli_bench *b = make(body_loop, &t);
    pli_run.flags.time.n = 100;
    pli_bench_run_n(b, 1);
    pli_bench_grow(b);
    ok(t.calls == 1 && t.iterations == 100 && b->api.n == 100, "PL_LOOP runs 100x in one call");
    t = (tally){0};
    pli_run.flags.time.n = 1;
    pli_bench_run_n(b, 1);
    ok(t.iterations == 1 && b->api.n == 1, "PL_LOOP with 1x");
    t = (tally){0};
    pli_run.flags.time.n = 0;
    pli_run.flags.time.ns = 3000000;
    pli_bench_run_n(b, 1);
    pli_bench_grow(b);
    ok(t.calls == 1 && t.iterations == b->api.n && b->elapsed_ns >= 3000000,
       "PL_LOOP runs for a time: %lld iterations, n the same", (long long)t.iterations);
    ok(!b->timer_on && !b->failed, "and stops the timer");
    free(b);
}

static void test_count(void)
{
    tally t = {0};
    pli_bench *b = make(body_count, &t);
    pli_run.flags.time.n = 100;
    pli_bench_run_n(b, 1);
    pli_bench_grow(b);
    ok(t.calls == 2 && t.iterations == 101, "b->n with 100x: 1 + 100");
    t = (tally){0};
    pli_run.flags.time.n = 1;
    pli_bench_run_n(b, 1);
    pli_bench_grow(b);
    ok(t.calls == 1 && t.iterations == 1, "b->n with 1x: once");
    t = (tally){0};
    pli_run.flags.time.n = 0;
    pli_run.flags.time.ns = 3000000;
    pli_bench_run_n(b, 1);
    pli_bench_grow(b);
    ok(t.first_n == 1 && t.calls > 2 && b->elapsed_ns >= 3000000, "b->n grows from 1 for a time");
    free(b);
}

static void body_break(pl_bench *b, void *arg)
{
    (void)arg;
    PL_LOOP(b) {
        break;
    }
}

static void body_return(pl_bench *b, void *arg)
{
    int64_t *done = arg;
    PL_LOOP(b) {
        if (++*done == 50)
            return;
    }
}

static void body_continue(pl_bench *b, void *arg)
{
    int64_t *done = arg;
    PL_LOOP(b) {
        if (++*done % 2)
            continue;
        PL_CLOBBER();
    }
}

static void body_stopped(pl_bench *b, void *arg)
{
    (void)arg;
    pl_bench_stop_timer(b);
    PL_LOOP(b) {
    }
}

static void body_twice(pl_bench *b, void *arg)
{
    (void)arg;
    PL_LOOP(b) {
    }
    PL_LOOP(b) {
    }
}

static void body_leaves_off(pl_bench *b, void *arg)
{
    int64_t *done = arg;
    PL_LOOP(b) {
        if (++*done == 3)
            pl_bench_stop_timer(b);
    }
}

static void test_misuse(void)
{
    static const struct {
        const char *name;
        void (*fn)(pl_bench *b, void *arg);
        const char *says;
    } cases[] = {{"break", body_break, "break or return"},
                 {"return", body_return, "break or return"},
                 {"continue", body_continue, NULL},
                 {"a stopped timer", body_stopped, "timer stopped"},
                 {"a second loop", body_twice, "timer stopped"},
                 {"a timer left off", body_leaves_off, "timer stopped"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t done = 0;
        pli_bench *b = make(cases[i].fn, &done);
        pli_run.flags.time.n = 0;
        pli_run.flags.time.ns = 100000;
        pli_bench_run_n(b, 1);
        is_int(b->failed, cases[i].says != NULL, "PL_LOOP and %s", cases[i].name);
        ok(!cases[i].says || strstr(b->log, cases[i].says), "which is said");
        free(b);
    }
}

/* Waits by the clock and returns how long that was. */
static uint64_t spin(uint64_t ns)
{
    uint64_t start = pl_now_ns(), now = start;
    while (now - start < ns)
        now = pl_now_ns();
    return now - start;
}

static void body_pauses(pl_bench *b, void *arg)
{
    tally *t = arg;
    PL_LOOP(b) {
        t->inside_ns += spin(50000);
        pl_bench_stop_timer(b);
        t->paused_ns += spin(1000000);
        pl_bench_start_timer(b);
    }
}

static void body_spins(pl_bench *b, void *arg)
{
    tally *t = arg;
    t->inside_ns = 0;
    for (int64_t i = 0; i < b->n; i++)
        t->inside_ns += spin((uint64_t)t->first_n);
}

static void body_elapsed(pl_bench *b, void *arg)
{
    uint64_t *seen = arg;
    spin(100000);
    seen[0] = pl_bench_elapsed_ns(b);
    pl_bench_reset_timer(b);
    seen[1] = pl_bench_elapsed_ns(b);
    pl_bench_stop_timer(b);
    seen[2] = pl_bench_elapsed_ns(b);
    spin(100000);
    seen[3] = pl_bench_elapsed_ns(b);
    pl_bench_start_timer(b);
}

/* What the timer says against what the body has measured itself: never less, little more. */
static void test_time(void)
{
    tally t = {0};
    pli_bench *b = make(body_pauses, &t);
    pli_run.flags.time.n = 40;
    pli_bench_run_n(b, 1);
    ok(b->elapsed_ns >= t.inside_ns && b->elapsed_ns < t.inside_ns + t.paused_ns / 10,
       "pauses are left out: %llu ns, of which the body %llu, beside %llu paused",
       (unsigned long long)b->elapsed_ns, (unsigned long long)t.inside_ns,
       (unsigned long long)t.paused_ns);
    b->fn = body_spins;
    for (t.first_n = 1000; t.first_n <= 10000000; t.first_n *= 100) {
        pli_run.flags.time.n = 0;
        pli_run.flags.time.ns = 5000000;
        pli_bench_run_n(b, 1);
        pli_bench_grow(b);
        ok(b->elapsed_ns >= t.inside_ns &&
               (double)b->elapsed_ns < 1.2 * (double)t.inside_ns + 1000.0 * (double)b->api.n,
           "%lld ns are measured as %.0f", (long long)t.first_n,
           (double)b->elapsed_ns / (double)b->api.n);
    }
    uint64_t seen[4];
    b->fn = body_elapsed;
    b->arg = seen;
    pli_bench_run_n(b, 1);
    ok(seen[0] >= 100000 && seen[1] < seen[0] && seen[2] == seen[3], "elapsed, reset, stop");
    free(b);
}

/* A pause that is long beside the body must not make -benchtime last for ever. */
static void body_waits(pl_bench *b, void *arg)
{
    tally *t = arg;
    PL_LOOP(b) {
        pl_bench_stop_timer(b);
        t->paused_ns += spin(200000);
        t->iterations++;
        pl_bench_start_timer(b);
    }
}

static void test_patience(void)
{
    tally t = {0};
    pli_bench *b = make(body_waits, &t);
    pli_run.flags.time.n = 0;
    pli_run.flags.time.ns = 2000000;
    pli_bench_run_n(b, 1);
    ok(t.iterations == b->api.n && t.iterations <= 10 * 2000000 / 200000 + 1 && !b->failed,
       "pauses end a run after ten times -benchtime: n %lld", (long long)b->api.n);
    free(b);
}

static void body_metrics(pl_bench *b, void *arg)
{
    (void)arg;
    pl_bench_report_metric(b, 1, "z");
    pl_bench_report_metric(b, 2, "a");
    pl_bench_report_metric(b, 3, "m");
    pl_bench_report_metric(b, 4, "z");
}

static void body_reset(pl_bench *b, void *arg)
{
    body_metrics(b, arg);
    void *p = malloc(100);
    PL_KEEP(p);
    free(p);
    pl_bench_reset_timer(b);
}

static void test_metrics(void)
{
    pli_bench *b = make(body_metrics, NULL);
    pli_bench_run_n(b, 1);
    is_int(b->metric_count, 3, "one metric a unit");
    ok(strcmp(b->metrics[0].unit, "a") == 0 && strcmp(b->metrics[1].unit, "m") == 0 &&
           strcmp(b->metrics[2].unit, "z") == 0 && b->metrics[2].value == 4,
       "metrics are sorted, the last value counts");
    b->fn = body_reset;
    pli_bench_run_n(b, 1);
    ok(b->metric_count == 0 && b->mem.mallocs == 0, "a reset forgets metrics and allocations");
    static const char *const bad[] = {"", "a b", "tab\t", "nl\n",
                                      "a-unit-of-forty-eight-characters-is-one-too-long"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        b->failed = 0;
        pl_bench_report_metric(&b->api, 1, bad[i]);
        ok(b->failed && b->metric_count == 0, "no unit: \"%s\"", i == 3 ? "nl" : bad[i]);
    }
    b->failed = 0;
    for (int i = 0; i < 40; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "u%d", i);
        pl_bench_report_metric(&b->api, i, unit);
    }
    ok(b->failed && b->metric_count == PLI_BENCH_METRICS, "too many metrics are refused");
    free(b);
}

static void test_log(void)
{
    pli_bench *parent = make(body_count, NULL), *b = make(body_count, NULL);
    b->parent = parent;
    pl_bench_log(&b->api, "one %d", 1);
    pl_bench_log(&b->api, "two\nlines\n");
    pl_bench_log(&b->api, "%s", "");
    is_str(b->log, "one 1\ntwo\n    lines\n\n", "log lines");
    ok(!b->failed && !parent->failed, "a log is no failure");
    pl_bench_fail(&b->api, "bad");
    ok(b->failed && parent->failed, "a failure is the parent's too");
    for (int i = 0; i < 100; i++)
        pl_bench_log(&b->api, "%01000d", i);
    is_int((long long)strlen(b->log), PLI_BENCH_LOG - 1, "a log that is full is cut");
    free(b);
    free(parent);
}

/* -- allocations -- */

static void body_quiet(pl_bench *b, void *arg)
{
    (void)arg;
    PL_LOOP(b) {
        pl_bench_stop_timer(b);
        void *p = malloc(10);
        PL_KEEP(p);
        free(p);
        pl_bench_start_timer(b);
        pl_bench_report_metric(b, 1, "unit");
        pl_bench_log(b, "text");
    }
}

static void parallel_quiet(pl_parallel *pb, void *arg)
{
    void *p = malloc(1000); /* set-up: not counted */
    PL_KEEP(p);
    int64_t *total = arg;
    while (PL_NEXT(pb))
        PLI_ADD(*total, 1);
    free(p);
}

static void body_parallel_quiet(pl_bench *b, void *arg)
{
    pl_bench_parallel(b, parallel_quiet, arg);
}

/* Six blocks each time: 5 allocations and a realloc, which is one more. */
static void allocate(void)
{
    char *p[5] = {malloc(10), calloc(2, 10), strdup("text"), NULL, NULL};
    p[3] = aligned_alloc(64, 64);
    if (posix_memalign((void **)&p[4], 64, 64) != 0)
        p[4] = NULL;
    p[0] = realloc(p[0], 5000);
    for (int i = 0; i < 5; i++) {
        PL_KEEP(p[i]);
        free(p[i]);
    }
}

static void *thread_allocates(void *unused)
{
    allocate();
    return unused;
}

static void body_allocates(pl_bench *b, void *arg)
{
    (void)arg;
    PL_LOOP(b) {
        allocate();
    }
}

static void parallel_allocates(pl_parallel *pb, void *arg)
{
    (void)arg;
    while (PL_NEXT(pb))
        allocate();
}

static void body_parallel_allocates(pl_bench *b, void *arg)
{
    pl_bench_parallel(b, parallel_allocates, arg);
}

/* Threads that are gone before the timer stops. */
static void body_threads(pl_bench *b, void *arg)
{
    pthread_t id;
    (void)arg;
    pl_bench_stop_timer(b);
    for (int64_t i = 0; i < b->n; i++) {
        pli_bench_mem before = pli_bench_mem_now();
        pthread_create(&id, NULL, thread_allocates, NULL);
        pthread_join(id, NULL);
        pli_bench_mem after = pli_bench_mem_now();
        pli_bench_of(b)->mem.mallocs += after.mallocs - before.mallocs;
    }
}

static void *thread_idles(void *unused)
{
    return unused;
}

/* What a thread that does nothing costs: libc's own blocks for it, none when it is reused. */
static int64_t thread_blocks(void)
{
    pthread_t id;
    pli_bench_mem before = pli_bench_mem_now();
    pthread_create(&id, NULL, thread_idles, NULL);
    pthread_join(id, NULL);
    return pli_bench_mem_now().mallocs - before.mallocs;
}

static void test_allocations(void)
{
    int64_t total = 0;
    pli_run.flags.time.n = 1000;
    pli_bench *b = make(body_allocates, &total);
    if (!pli_malloc_in_charge()) {
        pli_bench_run_n(b, 1);
        is_int(b->mem.mallocs, 0, "a build that cannot count makes nothing up");
        free(b);
        return;
    }
    b->fn = body_quiet;
    pli_bench_run_n(b, 1);
    is_int(b->mem.mallocs, 0, "timer, metrics and log allocate nothing");
    is_int(b->mem.bytes, 0, "nor any bytes");
    b->api.procs = 4;
    b->fn = body_parallel_quiet;
    pli_bench_run_n(b, 10000);
    ok(b->mem.mallocs == 0 && total == 10000, "threads, barrier and their set-up neither");
    b->fn = body_allocates;
    pli_bench_run_n(b, 1);
    is_int(b->mem.mallocs, 6 * b->api.n, "each kind of allocation is one");
    b->api.procs = 8;
    b->fn = body_parallel_allocates;
    pli_bench_run_n(b, 999);
    is_int(b->mem.mallocs, 6 * 999, "and so in 8 threads");
    thread_blocks();
    int64_t each = thread_blocks();
    b->fn = body_threads;
    pli_bench_run_n(b, 50);
    is_int(b->mem.mallocs, (6 + each) * 50, "and in threads that have ended");
    free(b);
}

/* -- threads -- */

typedef struct crew {
    int64_t run;               /* iterations */
    int entered, gone, mode;   /* threads; those that left early; what the body does */
    uint64_t slow_setup_ns;
} crew;

enum { PLAIN, ONE_LEAVES, ALL_LEAVE, ONE_NEVER_ASKS, SLOW_SETUP };

static void work(pl_parallel *pb, void *arg)
{
    crew *c = arg;
    int64_t mine = 0;
    PLI_ADD(c->entered, 1);
    if (c->mode == ONE_NEVER_ASKS && pb->thread == 0)
        return;
    if (c->mode == SLOW_SETUP && pb->thread == 0)
        c->slow_setup_ns = spin(20000000);
    while (PL_NEXT(pb)) {
        mine++;
        if (c->mode == ALL_LEAVE || (c->mode == ONE_LEAVES && pb->thread == 0))
            break;
        while (c->mode == ONE_LEAVES && !PLI_LOAD(c->gone))
            pli_os_yield(); /* the rest is for those who stay */
    }
    PLI_ADD(c->run, mine);
    if (c->mode == ONE_LEAVES && pb->thread == 0)
        PLI_STORE(c->gone, 1);
}

static void body_crew(pl_bench *b, void *arg)
{
    pl_bench_parallel(b, work, arg);
}

static void test_parallel_counts(void)
{
    static const int threads[] = {1, 2, 3, 8, 64};
    static const int64_t counts[] = {1, 7, 1000, 123457};
    for (size_t i = 0; i < 5; i++) {
        int wrong = 0;
        for (size_t j = 0; j < 4; j++) {
            for (int64_t previous_ns = 0; previous_ns <= 1000000; previous_ns += 500000) {
                crew c = {0};
                pli_bench *b = make(body_crew, &c);
                b->api.procs = threads[i];
                b->previous_n = 1000; /* for the grain */
                b->previous_ns = previous_ns;
                pli_bench_run_n(b, counts[j]);
                wrong += c.run != counts[j] || c.entered != threads[i] || b->failed;
                free(b);
            }
        }
        is_int(wrong, 0, "%d threads run exactly n iterations", threads[i]);
    }
}

static void test_parallel_ends(void)
{
    crew c = {.mode = ONE_LEAVES};
    pli_bench *b = make(body_crew, &c);
    b->api.procs = 4;
    b->previous_n = 1000;
    b->previous_ns = 1000000;
    int given_back = 0;
    for (int i = 0; i < 5; i++) {
        c = (crew){.mode = ONE_LEAVES};
        b->failed = 0;
        pli_bench_run_n(b, 100000);
        given_back += c.run == 100000 && !b->failed;
        /* All others may be done when it gives the rest of its grain back: then it is a failure. */
        ok(b->failed ? c.run < 100000 : c.run == 100000, "a thread that leaves: %lld of 100000%s",
           (long long)c.run, b->failed ? ", a failure" : "");
    }
    ok(given_back > 0, "mostly the others run what it has left");
    c = (crew){.mode = ALL_LEAVE};
    b->failed = 0;
    pli_bench_run_n(b, 100000);
    ok(b->failed && strstr(b->log, "before PL_NEXT was false"), "all leaving early is a failure");
    c = (crew){.mode = ONE_NEVER_ASKS};
    b->failed = 0;
    pli_bench_run_n(b, 1000);
    ok(c.run == 1000 && !b->failed, "a thread that never asks holds nobody up");
    c = (crew){.mode = SLOW_SETUP};
    pli_bench_run_n(b, 100);
    ok(b->elapsed_ns < c.slow_setup_ns, "set-up before PL_NEXT is not timed");
    b->api.procs = 2;
    free(b);
}

static void body_set_parallelism(pl_bench *b, void *arg)
{
    pl_bench_set_parallelism(b, 3);
    pl_bench_set_parallelism(b, 0);
    pl_bench_parallel(b, work, arg);
}

static void body_parallel_in_loop(pl_bench *b, void *arg)
{
    PL_LOOP(b) {
        pl_bench_parallel(b, work, arg);
    }
}

static void body_parallel_stopped(pl_bench *b, void *arg)
{
    pl_bench_stop_timer(b);
    pl_bench_parallel(b, work, arg);
}

static void test_parallel_use(void)
{
    crew c = {0};
    pli_bench *b = make(body_set_parallelism, &c);
    b->api.procs = 2;
    pli_bench_run_n(b, 1000);
    ok(c.entered == 6 && c.run == 1000, "three threads a processor");
    b->fn = body_parallel_stopped;
    pli_bench_run_n(b, 1000);
    spin(1000);
    uint64_t before = b->elapsed_ns;
    c = (crew){.mode = SLOW_SETUP};
    pli_bench_run_n(b, 1000);
    ok(b->elapsed_ns < c.slow_setup_ns && before < c.slow_setup_ns,
       "a timer that was stopped stays so");
    b->fn = body_parallel_in_loop;
    pli_run.flags.time.n = 5;
    pli_bench_run_n(b, 1);
    ok(b->failed && strstr(b->log, "inside PL_LOOP"), "not inside PL_LOOP");
    is_int(pli_parallel_grain(&(pli_bench){.previous_n = 1000, .previous_ns = 100000}), 1000,
           "a grain is what takes 100 us");
    is_int(pli_parallel_grain(&(pli_bench){.previous_n = 1000000, .previous_ns = 1}), 10000,
           "at most 10,000");
    is_int(pli_parallel_grain(&(pli_bench){.previous_n = 1, .previous_ns = 1000000000}), 1,
           "at least 1");
    free(b);
}

/* -- the cost of PL_LOOP -- */

static void body_empty(pl_bench *b, void *arg)
{
    (void)arg;
    PL_LOOP(b) {
    }
}

static void next_counts(pl_parallel *pb, void *arg)
{
    int64_t count = 0;
    while (PL_NEXT(pb))
        count++;
    *(int64_t *)arg = count;
}

__attribute__((unused)) static void body_next(pl_bench *b, void *arg)
{
    pl_bench_parallel(b, next_counts, arg);
}

/* Seconds do not matter here, the ratio does: the best of several tries of each, in turn. */
static void test_empty_loop(void)
{
    double best = 1e9, bare = 1e9;
    pli_bench *b = make(body_empty, NULL);
    pli_run.flags.time.n = 2000000;
    for (int i = 0; i < 15; i++) {
        uint64_t left = 2000000, start = pl_now_ns();
        do
            __asm__ volatile("" : "+r"(left));
        while (--left);
        double ns = (double)(pl_now_ns() - start);
        bare = ns < bare ? ns : bare;
        pli_bench_run_n(b, 1);
        best = (double)b->elapsed_ns < best ? (double)b->elapsed_ns : best;
    }
    ok(best > 0, "an empty body takes time: %.3f ns", best / 2e6);
#if PLI_OPTIMISED && !PLI_SANITIZER
    ok(best < 2 * bare, "little more than counting down: %.3f ns beside %.3f", best / 2e6,
       bare / 2e6);
    int64_t count = 0;
    b->fn = body_next;
    b->arg = &count;
    pli_bench_run_n(b, 2000000);
    ok(count == 2000000 && (double)b->elapsed_ns > bare / 4, "PL_NEXT is not summed up: %.3f ns",
       (double)b->elapsed_ns / 2e6);
#endif
    free(b);
}

/* -- registration -- */

static void test_registration(void)
{
    static pli_bench_entry a1 = {.name = "A1", .file = "a.c", .line = 10},
                           a2 = {.name = "A2", .file = "a.c", .line = 20},
                           b1 = {.name = "B1", .file = "b.c", .line = 5};
    pli_bench_entry *saved = pli_bench_entries;
    pli_bench_entries = NULL;
    pli_bench_register(&a2);
    pli_bench_register(&b1);
    pli_bench_register(&a1);
    ok(pli_bench_entries == &a1 && a1.next == &a2 && a2.next == &b1 && !b1.next,
       "by line within a file, in order of appearance between files");
    pli_bench_entries = saved;
}

int main(void)
{
    test_durations();
    test_numbers();
    test_decimal_points();
    test_utf8();
    test_json();
    test_prediction();
    test_values();
    test_flags();
    test_filters();
    test_names();
    test_loop();
    test_count();
    test_misuse();
    test_time();
    test_patience();
    test_metrics();
    test_log();
    test_allocations();
    test_parallel_counts();
    test_parallel_ends();
    test_parallel_use();
    test_empty_loop();
    test_registration();
    return done();
}
