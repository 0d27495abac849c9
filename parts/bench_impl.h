/* ---- >>bench ----
   Go's benchmark runner. A benchmark is run with n = 1 to see whether it works and whether it
   has sub-benchmarks; if not, n grows until a run lasts -benchtime. Order: benchmark, then the
   list of -cpu, then -count. With PL_LOOP the growth happens inside one call of the body.

       pl_bench_main ──► pli_bench_child ──► pli_bench_try      n = 1
                              ▲      │
       pl_bench_run ──────────┘      └─────► pli_bench_measure  n grows, one line of output

   Nothing in here allocates while a timer runs, so B/op and allocs/op are the body's alone. */

enum {
    PLI_BENCH_METRICS = 32,
    PLI_BENCH_UNIT = 48,
    PLI_BENCH_LOG = 65536,
    PLI_BENCH_MAX_N = 1000000000 /* Go's limit of iterations in one run */
};

typedef struct pli_metric {
    char unit[PLI_BENCH_UNIT];
    double value;
} pli_metric;

/* Allocations so far, as MemStats counts them. */
typedef struct pli_bench_mem {
    int64_t mallocs, bytes;
} pli_bench_mem;

/* One benchmark. All of it belongs to the thread that runs the body, but for `failed` and what
   `lock` guards; pl_bench_parallel hands the timer to its threads at the barriers. */
typedef struct pli_bench {
    pl_bench api; /* first, so that the body's pl_bench * is this */
    struct pli_bench *parent;
    const char *name;
    void (*fn)(pl_bench *b, void *arg);
    void *arg;
    bool has_sub; /* it has sub-benchmarks: no result of its own */

    bool timer_on;
    uint64_t start_ns, elapsed_ns;
    pli_bench_mem mem_start, mem;
    int64_t previous_n, previous_ns; /* the run before, for the grain of parallel work */
    int parallelism;
    uint64_t loop_n; /* iterations that PL_LOOP aims at; 0: there was no PL_LOOP so far */
    uint64_t loop_start_ns;
    bool loop_done;

    bool show_allocs;
    int64_t bytes;
    int metric_count;
    pli_metric metrics[PLI_BENCH_METRICS]; /* sorted by unit, which is Go's order of printing */

    uint32_t failed; /* atomic */
    pli_lock lock;   /* guards log and log_size */
    size_t log_size;
    char log[PLI_BENCH_LOG];
} pli_bench;

/* One call of pl_bench_main. */
typedef struct pli_session {
    pli_flags flags;
    pli_filter filter;
    pli_name *names;
    pli_machine machine;
    int name_width, suffix_width; /* Go's columns: the widest name, the widest -P */
    bool labelled;                /* the lines above the first result are printed */
    bool no_allocs;               /* this build cannot count allocations */
    int results, exit_code;       /* 2 ends everything */

    pli_lock lock;       /* guards current, which the -timeout thread reads */
    const char *current; /* the benchmark whose body runs; NULL outside */
    pid_t pid;           /* a child made by fork may exit as it likes */
} pli_session;

static pli_session pli_run;
static pli_bench_entry *pli_bench_entries;

void pli_bench_register(pli_bench_entry *entry)
{
    pli_bench_entry **at = &pli_bench_entries;
    /* In order of appearance; by line within a file, as with link-time optimisation the
       constructors of a file may run in another order. */
    while (*at && !(strcmp((*at)->file, entry->file) == 0 && (*at)->line > entry->line))
        at = &(*at)->next;
    entry->next = *at;
    *at = entry;
}

static pli_bench *pli_bench_of(const pl_bench *b)
{
    return (pli_bench *)(uintptr_t)b;
}

/* pli_bench_flush sends what was printed on its way; the first failure ends the run. */
static void pli_bench_flush(void)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && pli_run.exit_code != 2) {
        fprintf(stderr, "perflab: cannot write results to standard output: %s; make room there or "
                        "redirect it elsewhere\n", strerror(errno));
        pli_run.exit_code = 2;
    }
}

/* -- Log and failure -- */

/* Adds text to the log; what there is no room for is cut. */
static void pli_bench_log_add(pli_bench *b, const char *text, size_t size)
{
    size_t room = sizeof b->log - 1 - b->log_size;
    size = size < room ? size : room;
    memcpy(b->log + b->log_size, text, size);
    b->log_size += size;
    b->log[b->log_size] = '\0';
}

/* Prints the log, or so many lines of it, as Go does: indented. */
static void pli_bench_log_print(const pli_bench *b, int lines)
{
    for (const char *s = b->log; *s; lines--) {
        int size = (int)strcspn(s, "\n");
        printf("    %.*s\n", size, s);
        s += size + (s[size] == '\n');
        if (lines == 1) {
            printf("\t... [output truncated]\n");
            return;
        }
    }
}

/* Adds a message: a line, and further lines of it indented. With -v it is printed at once. */
static void pli_bench_say(pli_bench *b, const char *fmt, va_list ap)
{
    char text[4096];
    vsnprintf(text, sizeof text, fmt, ap);
    pli_lock_take(&b->lock);
    for (const char *s = text, *end = s; end; s = end + 1) {
        size_t size = strcspn(s, "\n");
        pli_bench_log_add(b, s, size);
        end = s[size] && s[size + 1] ? s + size : NULL; /* a newline at the end makes no line */
        pli_bench_log_add(b, "\n    ", end ? 5 : 1);
    }
    if (pli_run.flags.verbose && !pli_run.flags.json) {
        pli_bench_log_print(b, 0);
        pli_bench_flush();
        b->log[b->log_size = 0] = '\0';
    }
    pli_lock_give(&b->lock);
}

void pl_bench_log(pl_bench *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_bench_say(pli_bench_of(b), fmt, ap);
    va_end(ap);
}

void pl_bench_fail(pl_bench *bench, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_bench_say(pli_bench_of(bench), fmt, ap);
    va_end(ap);
    for (pli_bench *b = pli_bench_of(bench); b; b = b->parent)
        PLI_STORE(b->failed, 1); /* a benchmark fails with each of its sub-benchmarks */
}

/* ---- Timer and what is measured with it -------------------------------------------------- */

static pli_bench_mem pli_bench_mem_now(void)
{
    pl_memstats m;
    pli_heap_sum(&m);
    return (pli_bench_mem){m.mallocs, m.total_alloc};
}

/* Counters are read outside of the time: before the clock starts, after it has stopped. */
static void pli_bench_timer_mark(pli_bench *b)
{
    b->mem_start = pli_bench_mem_now();
    b->start_ns = pl_now_ns();
}

void pl_bench_start_timer(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    if (!b->timer_on) {
        b->timer_on = true;
        pli_bench_timer_mark(b);
    }
}

void pl_bench_stop_timer(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    if (b->timer_on) {
        b->elapsed_ns += pl_now_ns() - b->start_ns;
        pli_bench_mem now = pli_bench_mem_now();
        b->mem.mallocs += now.mallocs - b->mem_start.mallocs;
        b->mem.bytes += now.bytes - b->mem_start.bytes;
        b->timer_on = false;
    }
}

void pl_bench_reset_timer(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    b->metric_count = 0;
    b->elapsed_ns = 0;
    b->mem = (pli_bench_mem){0, 0};
    if (b->timer_on)
        pli_bench_timer_mark(b);
}

uint64_t pl_bench_elapsed_ns(const pl_bench *bench)
{
    const pli_bench *b = pli_bench_of(bench);
    return b->elapsed_ns + (b->timer_on ? pl_now_ns() - b->start_ns : 0);
}

void pl_bench_report_allocs(pl_bench *b)
{
    pli_bench_of(b)->show_allocs = true;
}

void pl_bench_set_bytes(pl_bench *b, int64_t n)
{
    pli_bench_of(b)->bytes = n;
}

void pl_bench_set_parallelism(pl_bench *b, int p)
{
    if (p >= 1)
        pli_bench_of(b)->parallelism = p;
}

/* pli_metric_find returns the metric of that unit; NULL when the body reported none. */
static const pli_metric *pli_metric_find(const pli_bench *b, const char *unit)
{
    for (int i = 0; i < b->metric_count; i++) {
        if (strcmp(b->metrics[i].unit, unit) == 0)
            return &b->metrics[i];
    }
    return NULL;
}

static const char *pli_metric_fault(const pli_bench *b, const char *unit)
{
    return unit[0] == '\0'                        ? "is empty; name what is counted"
           : unit[strcspn(unit, " \t\n\v\f\r")]   ? "has white space in it; leave it out"
           : strlen(unit) >= PLI_BENCH_UNIT       ? "is longer than 47 bytes; shorten it"
           : b->metric_count == PLI_BENCH_METRICS ? "is the 33rd; report fewer"
                                                  : NULL;
}

void pl_bench_report_metric(pl_bench *bench, double value, const char *unit)
{
    pli_bench *b = pli_bench_of(bench);
    pli_metric *m = (pli_metric *)(uintptr_t)pli_metric_find(b, unit);
    const char *fault = m ? NULL : pli_metric_fault(b, unit);
    if (fault) {
        pl_bench_fail(&b->api, "pl_bench_report_metric: unit \"%s\" %s", unit, fault);
        return;
    }
    if (!m) {
        m = b->metrics + b->metric_count++;
        while (m > b->metrics && strcmp(m[-1].unit, unit) > 0) {
            *m = m[-1];
            m--;
        }
        strcpy(m->unit, unit);
    }
    m->value = value;
}

/* ---- Growth of n ------------------------------------------------------------------------- */

/* pli_bench_predict returns the next n by Go's rule: what the goal needs at the last speed and a
   fifth more, at most 100 times the last n, at least one more, at most PLI_BENCH_MAX_N. */
static int64_t pli_bench_predict(int64_t goal_ns, int64_t n, int64_t ns, int64_t last)
{
    int64_t next;
    if (__builtin_mul_overflow(goal_ns, n, &next))
        next = INT64_MAX;
    next /= ns > 0 ? ns : 1;
    next = next > PLI_BENCH_MAX_N ? PLI_BENCH_MAX_N : next;
    next += next / 5;
    next = next > 100 * last ? 100 * last : next;
    next = next < last + 1 ? last + 1 : next;
    return next > PLI_BENCH_MAX_N ? PLI_BENCH_MAX_N : next;
}

/* pli_loop_more returns how many iterations PL_LOOP runs before it asks again, 0 for the end.
   Pauses of the timer do not count for -benchtime, yet somebody waits for them: the loop ends
   when it would take ten times as long by the clock on the wall. */
static uint64_t pli_loop_more(pli_bench *b)
{
    int64_t done = (int64_t)b->loop_n, goal = pli_run.flags.time.ns;
    int64_t ns = (int64_t)pl_bench_elapsed_ns(&b->api);
    double wall = (double)(pl_now_ns() - b->loop_start_ns) + 1;
    double most = 10.0 * (double)goal / wall * (double)done;
    if (pli_run.flags.time.n > 0 || ns >= goal)
        return 0;
    int64_t next = pli_bench_predict(goal, done, ns, done);
    next = (double)next > most ? (int64_t)most : next;
    b->loop_n = (uint64_t)(next > done ? next : done);
    return b->loop_n - (uint64_t)done;
}

uint64_t pli_loop_next(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    if (!b->timer_on) {
        b->loop_done = true; /* one message is enough */
        pl_bench_fail(&b->api, "PL_LOOP reached with the timer stopped; call "
                                         "pl_bench_start_timer(b) before it, and loop only once");
        return 0;
    }
    if (b->loop_n == 0) {
        b->loop_n = pli_run.flags.time.n > 0 ? (uint64_t)pli_run.flags.time.n : 1;
        b->api.n = 0;
        b->loop_start_ns = pl_now_ns();
        pl_bench_reset_timer(bench);
        return b->loop_n;
    }
    uint64_t more = pli_loop_more(b);
    if (more == 0) {
        pl_bench_stop_timer(bench);
        b->api.n = (int64_t)b->loop_n;
        b->loop_done = true;
    }
    return more;
}

/* pli_bench_current names the benchmark whose body runs, for -timeout and for an exit(). */
static const char *pli_bench_current(const char *name)
{
    pli_lock_take(&pli_run.lock);
    const char *before = pli_run.current;
    pli_run.current = name;
    pli_lock_give(&pli_run.lock);
    return before;
}

/* pli_bench_run_n calls the body once for n iterations. */
static void pli_bench_run_n(pli_bench *b, int64_t n)
{
    const char *outer = pli_bench_current(b->name);
    b->api.n = n;
    b->loop_n = 0;
    b->loop_done = false;
    b->parallelism = 1;
    pl_bench_reset_timer(&b->api);
    pl_bench_start_timer(&b->api);
    b->fn(&b->api, b->arg);
    pl_bench_stop_timer(&b->api);
    b->previous_n = n;
    b->previous_ns = (int64_t)b->elapsed_ns;
    if (b->loop_n > 0 && !b->loop_done && !PLI_LOAD(b->failed)) {
        pl_bench_fail(&b->api, "benchmark function returned before PL_LOOP had ended "
                                           "(break or return in the loop?)");
    }
    pli_bench_current(outer);
}

/* pli_bench_grow runs the body with growing n for as long as -benchtime says. */
static void pli_bench_grow(pli_bench *b)
{
    if (b->loop_n > 0)
        return; /* PL_LOOP has done so by itself */
    if (pli_run.flags.time.n > 0) {
        if (pli_run.flags.time.n > 1) { /* n = 1 has been run */
            pli_bench_run_n(b, pli_run.flags.time.n);
        }
        return;
    }
    for (int64_t n = 1; !PLI_LOAD(b->failed) && n < PLI_BENCH_MAX_N &&
                        b->elapsed_ns < (uint64_t)pli_run.flags.time.ns;) {
        n = pli_bench_predict(pli_run.flags.time.ns, b->api.n, (int64_t)b->elapsed_ns, n);
        pli_bench_run_n(b, n);
    }
}

/* ---- Results ----

   Text is Go's. JSON is one object a line; names and meaning stay, members may be added:
     {"type":"environment","format":1,"goos":"","goarch":"","pkg":"","cpu":"", and the facts}
     {"type":"benchmark","name":"","procs":2,"failed":false,"n":1,"ns_per_op":1,"mb_per_s":null,
      "bytes_per_op":null,"allocs_per_op":null,"metrics":{"unit":1},"log":""}
     {"type":"benchmark","name":"","procs":2,"failed":true,"log":""}
     {"type":"end","passed":true,"results":1, and the facts}
   null is "not measured". A fact is "key":"value", with a "key_warning" where it is a bad one. */

/* The values that the harness measures; a metric with such a unit takes the place of its own. */
enum { PLI_NS, PLI_MB, PLI_BYTES, PLI_ALLOCS, PLI_BUILTINS };
static const char *const pli_builtin_unit[] = {"ns/op", "MB/s", "B/op", "allocs/op"};
static const char *const pli_builtin_key[] = {"ns_per_op", "mb_per_s", "bytes_per_op",
                                              "allocs_per_op"};

static bool pli_builtin_is(const char *unit)
{
    bool is = false;
    for (int i = 0; i < PLI_BUILTINS; i++)
        is = is || strcmp(unit, pli_builtin_unit[i]) == 0;
    return is;
}

static double pli_whole(double x)
{
    return __builtin_fabs(x) < 9e15 ? (double)(int64_t)x : x; /* from 2^53 on all are whole */
}

/* pli_builtin_value returns a value as Go computes it; NaN when there is none to print. */
static double pli_builtin_value(const pli_bench *b, int which)
{
    const pli_metric *own = pli_metric_find(b, pli_builtin_unit[which]);
    double n = (double)b->api.n, ns = (double)b->elapsed_ns;
    bool allocs = (pli_run.flags.benchmem || b->show_allocs) && !pli_run.no_allocs;
    switch (which) {
    case PLI_NS:
        return own ? own->value : ns / n;
    case PLI_MB:
        return own ? own->value : b->bytes > 0 ? (double)b->bytes * n / 1e6 / (ns / 1e9) : __builtin_nan("");
    case PLI_BYTES: /* whole numbers, rounded down */
        return !allocs ? __builtin_nan("") : own ? pli_whole(own->value) : (double)(b->mem.bytes / b->api.n);
    default:
        return !allocs ? __builtin_nan("") : own ? pli_whole(own->value) : (double)(b->mem.mallocs / b->api.n);
    }
}

/* pli_text_value prints a value with four significant digits in the width that puts the decimal
   points of all sizes below each other. */
static void pli_text_value(double x, const char *unit)
{
    static const double least[] = {999.95, 99.995, 9.9995, 0.99995, 0.099995, 0.0099995,
                                   0.00099995};
    char text[352]; /* the largest double has 309 digits */
    int digits = 0;
    while (x != 0 && digits < 7 && !(__builtin_fabs(x) >= least[digits]))
        digits++;
    pli_format_double(text, sizeof text, digits == 0 ? 10 : 11 + digits, digits, x);
    printf("\t%s %s", text, unit);
}

/* pli_bench_suffix returns what -cpu adds to the name: nothing for one processor. */
static const char *pli_bench_suffix(const pli_bench *b, char out[16])
{
    out[0] = '\0';
    if (b->api.procs != 1)
        snprintf(out, 16, "-%d", b->api.procs);
    return out;
}

static void pli_text_name(const pli_bench *b)
{
    char text[16];
    const char *suffix = pli_bench_suffix(b, text);
    int pad = pli_run.name_width - (int)(strlen(b->name) + strlen(suffix));
    printf("%s%s%*s\t", b->name, suffix, pad > 0 ? pad : 0, "");
}

static void pli_text_result(const pli_bench *b)
{
    char text[352];
    double ns = pli_builtin_value(b, PLI_NS), mb = pli_builtin_value(b, PLI_MB);
    printf("%8" PRId64, b->api.n);
    if (ns != 0)
        pli_text_value(ns, "ns/op");
    if (mb != 0 && !__builtin_isnan(mb)) {
        pli_format_double(text, sizeof text, 7, 2, mb);
        printf("\t%s MB/s", text);
    }
    for (int i = 0; i < b->metric_count; i++) {
        if (!pli_builtin_is(b->metrics[i].unit))
            pli_text_value(b->metrics[i].value, b->metrics[i].unit);
    }
    if (!__builtin_isnan(pli_builtin_value(b, PLI_BYTES))) {
        printf("\t%8.0f B/op\t%8.0f allocs/op", pli_builtin_value(b, PLI_BYTES),
               pli_builtin_value(b, PLI_ALLOCS));
    }
    printf("\n");
}

/* pli_text_end prints what follows the name: the result, or that it failed; then the log. */
static void pli_text_end(const pli_bench *b)
{
    bool failed = PLI_LOAD(b->failed);
    char suffix[16];
    if (pli_run.flags.verbose && !failed)
        pli_text_name(b); /* otherwise it stands there since before the run */
    if (!failed)
        pli_text_result(b);
    if (failed || b->log_size > 0) {
        printf("--- %s: %s%s\n", failed ? "FAIL" : "BENCH", b->name, pli_bench_suffix(b, suffix));
        pli_bench_log_print(b, failed ? 0 : 10);
    }
}

static void pli_json_values(const pli_bench *b)
{
    printf(",\"n\":%" PRId64, b->api.n);
    for (int i = 0; i < PLI_BUILTINS; i++) {
        printf(",\"%s\":", pli_builtin_key[i]);
        pli_json_number(stdout, pli_builtin_value(b, i));
    }
    const char *comma = ",\"metrics\":{";
    for (int i = 0; i < b->metric_count; i++) {
        if (!pli_builtin_is(b->metrics[i].unit)) {
            printf("%s", comma);
            pli_json_string(stdout, b->metrics[i].unit);
            printf(":");
            pli_json_number(stdout, b->metrics[i].value);
            comma = ",";
        }
    }
    printf("%s}", comma[1] ? comma : "");
}

static void pli_json_end(const pli_bench *b)
{
    bool failed = PLI_LOAD(b->failed);
    printf("{\"type\":\"benchmark\",\"name\":");
    pli_json_string(stdout, b->name);
    printf(",\"procs\":%d,\"failed\":%s", b->api.procs, failed ? "true" : "false");
    if (!failed)
        pli_json_values(b);
    printf(",\"log\":");
    pli_json_string(stdout, b->log);
    printf("}\n");
}

/* pli_bench_end prints one result or failure and counts it. */
static void pli_bench_end(const pli_bench *b)
{
    (pli_run.flags.json ? pli_json_end : pli_text_end)(b);
    pli_run.results++;
    if (PLI_LOAD(b->failed) && pli_run.exit_code == 0)
        pli_run.exit_code = 1;
    pli_bench_flush();
}

/* pli_bench_compiler adds the compiler of the benchmarks to the facts: not the one of this file. */
static void pli_bench_compiler(const pli_machine *m, const pli_bench_entry *entry)
{
    pli_fact(m, "compiler", "%s%s%s", entry->compiler, entry->flags[0] ? ", flags " : "",
             entry->flags);
    while (entry && entry->optimised)
        entry = entry->next;
    if (entry) {
        pli_warn(m, "compiler", "%s was compiled without optimisation, so that its times say "
                 "little; mend: add -O2", entry->file);
    }
}

/* pli_bench_labels prints, once, the lines above the first result. */
static void pli_bench_labels(void)
{
    static const char *const key[] = {"goos", "goarch", "pkg", "cpu"};
    pli_machine *m = &pli_run.machine;
    char cpu[128];
    if (pli_run.labelled)
        return;
    pli_run.labelled = true;
    pli_os_cpu_model(cpu, sizeof cpu);
    const char *value[] = {pli_os_name(), pli_os_arch(), pli_bench_entries->pkg, cpu};
    printf("%s", m->json ? "{\"type\":\"environment\",\"format\":1" : "");
    for (int i = 0; i < 4; i++) {
        if (m->json) {
            printf(",\"%s\":", key[i]);
            pli_json_string(stdout, value[i]);
        } else if (value[i][0]) {
            printf("%s: %s\n", key[i], value[i]);
        }
    }
    pli_machine_start(m);
    pli_bench_compiler(m, pli_bench_entries);
    if (pli_run.no_allocs) {
        pli_warn(m, "allocs", "this build counts no allocations, so B/op and allocs/op are left "
                 "out; mend: compile perflab.h without PERFLAB_NO_INTERPOSE");
    }
    printf("%s", m->json ? "}\n" : "");
    pli_bench_flush();
}

/* ---- Running ----------------------------------------------------------------------------- */

/* pli_bench_step measures one benchmark for one value of -cpu, one of -count times. */
static void pli_bench_step(pli_bench *b, int procs, bool first)
{
    b->api.procs = procs;
    if (!pli_run.flags.json && !pli_run.flags.verbose) {
        pli_text_name(b);
        pli_bench_flush();
    }
    if (!first) { /* as new: the first run alone has been made by pli_bench_try */
        b->show_allocs = false;
        b->bytes = 0;
        b->log_size = 0;
        b->log[0] = '\0';
        PLI_STORE(b->failed, 0);
        pli_bench_run_n(b, 1);
    }
    if (!PLI_LOAD(b->failed))
        pli_bench_grow(b);
    pli_bench_end(b);
}

static void pli_bench_measure(pli_bench *b)
{
    pli_bench_labels();
    for (int i = 0; i < pli_run.flags.cpu.count; i++) {
        for (int64_t j = 0; j < pli_run.flags.count && pli_run.exit_code != 2; j++)
            pli_bench_step(b, pli_run.flags.cpu.value[i], i == 0 && j == 0);
    }
}

/* pli_bench_widen makes the column of names fit, with room to spare, so that it seldom grows. */
static void pli_bench_widen(const char *name)
{
    int width = (int)strlen(name) + pli_run.suffix_width + 1;
    if (width > pli_run.name_width)
        pli_run.name_width = width + 8;
}

/* pli_bench_try runs the body with n = 1. Returns whether there is anything more to measure. */
static bool pli_bench_try(pli_bench *b)
{
    pli_bench_widen(b->name);
    pli_bench_run_n(b, 1);
    bool failed = PLI_LOAD(b->failed);
    if (failed) {
        int procs = b->api.procs;
        b->api.procs = 1; /* Go prints this one without -P */
        pli_bench_end(b);
        b->api.procs = procs;
    }
    return !failed && !b->has_sub;
}

/* pli_bench_child runs fn as a benchmark of that name, when the filter lets it. False: out of
   memory. */
static bool pli_bench_child(pli_bench *parent, const char *name,
                            void (*fn)(pl_bench *b, void *arg), void *arg)
{
    bool partial = false;
    if (pli_run.exit_code == 2 || !pli_filter_match(&pli_run.filter, name, &partial))
        return true;
    pli_bench *b = calloc(1, sizeof *b);
    if (!b)
        return false;
    b->parent = parent;
    b->name = name;
    b->fn = fn;
    b->arg = arg;
    b->api.procs = pli_run.flags.cpu.value[0];
    b->has_sub = partial; /* only sub-benchmarks can match: it is run to find them */
    if (pli_run.flags.verbose && !pli_run.flags.json) {
        pli_bench_labels();
        printf("%s\n", name);
    }
    if (pli_bench_try(b))
        pli_bench_measure(b);
    free(b);
    return true;
}

void pl_bench_run(pl_bench *bench, const char *name, void (*fn)(pl_bench *b, void *arg), void *arg)
{
    pli_bench *b = pli_bench_of(bench);
    char *clean = pli_name_clean(name);
    const char *full = clean ? pli_name_unique(&pli_run.names, b->name, clean) : NULL;
    b->has_sub = true;
    free(clean);
    if (!full || !pli_bench_child(b, full, fn, arg))
        pl_bench_fail(&b->api, "pl_bench_run: out of memory for \"%s\"", name);
}

/* ---- Parallel benchmarks -----------------------------------------------------------------

   The threads meet at a barrier in their first PL_NEXT; the last to arrive starts the timer and
   opens it, the last to finish stops the timer. Starting and joining threads is not timed.
   Iterations are taken from `left` some at a time; who leaves early gives the rest back. */
typedef struct pli_parallel_job {
    pli_bench *bench;
    void (*fn)(pl_parallel *pb, void *arg);
    void *arg;
    int threads;
    bool timed; /* the timer ran when the body called */
    int64_t grain;
    int arrived, finished, started; /* atomic, as are the next two */
    uint32_t open;
    int64_t left;
} pli_parallel_job;

/* pli_parallel_arrive counts threads at the barrier; the last one opens it. */
static void pli_parallel_arrive(pli_parallel_job *job, int count)
{
    if (__atomic_add_fetch(&job->arrived, count, __ATOMIC_ACQ_REL) == job->threads) {
        if (job->timed)
            pl_bench_start_timer(&job->bench->api);
        PLI_STORE_RELEASE(job->open, 1);
    }
}

static void pli_parallel_finish(pli_parallel_job *job, int count)
{
    if (__atomic_add_fetch(&job->finished, count, __ATOMIC_ACQ_REL) == job->threads)
        pl_bench_stop_timer(&job->bench->api);
}

/* pli_parallel_wait spins, then yields, since there may be more threads than processors.
   10 us of spinning: a start on an idle machine takes less than that. */
static void pli_parallel_wait(pli_parallel_job *job)
{
    uint64_t until = pl_now_ns() + 10000;
    while (!PLI_LOAD_ACQUIRE(job->open)) {
        pli_os_relax();
        if (pl_now_ns() > until)
            pli_os_yield();
    }
}

int pli_parallel_refill(pl_parallel *pb)
{
    pli_parallel_job *job = pb->job;
    if (!pb->started) {
        pb->started = 1;
        pli_parallel_arrive(job, 1);
        pli_parallel_wait(job);
    }
    int64_t left = PLI_LOAD(job->left), take;
    do {
        take = left < job->grain ? left : job->grain;
    } while (take > 0 && !__atomic_compare_exchange_n(&job->left, &left, left - take, 1,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    pb->taken = take;
    return take > 0;
}

static void *pli_parallel_thread(void *arg)
{
    pli_parallel_job *job = arg;
    pl_parallel pb = {.thread = PLI_ADD(job->started, 1) - 1, .threads = job->threads,
                      .job = job};
    job->fn(&pb, job->arg);
    if (!pb.started)
        pli_parallel_arrive(job, 1);
    PLI_ADD(job->left, pb.taken);
    pli_parallel_finish(job, 1);
    return NULL;
}

/* pli_parallel_grain returns how many iterations a thread takes at once: what lasted 100 us in
   the run before, at most 10,000. */
static int64_t pli_parallel_grain(const pli_bench *b)
{
    int64_t grain = b->previous_ns > 0 ? 100000 * b->previous_n / b->previous_ns : 1;
    return grain < 1 ? 1 : grain > 10000 ? 10000 : grain;
}

/* pli_parallel_go runs the threads of a job to their end. Where one cannot be started, the
   others get no iterations and the benchmark fails. */
static void pli_parallel_go(pli_parallel_job *job, pthread_t *thread)
{
    int made = 0, code = 0;
    while (made < job->threads &&
           (code = pthread_create(&thread[made], NULL, pli_parallel_thread, job)) == 0)
        made++;
    if (made < job->threads) {
        PLI_STORE(job->left, 0);
        pli_parallel_arrive(job, job->threads - made);
        pli_parallel_finish(job, job->threads - made);
        pl_bench_fail(&job->bench->api, "pl_bench_parallel: thread %d of %d cannot be started: %s; lower -cpu or raise "
                      "ulimit -u", made + 1, job->threads, strerror(code));
    }
    for (int i = 0; i < made; i++)
        pthread_join(thread[i], NULL);
}

void pl_bench_parallel(pl_bench *bench, void (*fn)(pl_parallel *pb, void *arg), void *arg)
{
    pli_bench *b = pli_bench_of(bench);
    bool timed = b->timer_on;
    int threads = b->parallelism * bench->procs;
    pl_bench_stop_timer(bench);
    pthread_t *thread = calloc((size_t)threads, sizeof *thread);
    if (!thread || bench->n < 1) {
        pl_bench_fail(&b->api, "pl_bench_parallel: %s",
                      thread ? "called inside PL_LOOP; leave PL_LOOP out" : "out of memory");
    } else {
        pli_parallel_job job = {.bench = b, .fn = fn, .arg = arg, .threads = threads,
                                .timed = timed, .grain = pli_parallel_grain(b),
                                .left = bench->n};
        pli_parallel_go(&job, thread);
        if (PLI_LOAD(job.left) > 0 && !PLI_LOAD(b->failed)) {
            pl_bench_fail(&b->api, "pl_bench_parallel: the body returned before PL_NEXT "
                                             "was false (break or return in the loop?)");
        }
    }
    free(thread);
    if (timed)
        pl_bench_start_timer(bench);
}

/* ---- pl_bench_main ---- */

/* pli_bench_exiting runs at exit(). One inside a benchmark, or a longjmp out of it to a main that
   returns, must not look like success. */
static void pli_bench_exiting(void)
{
    const char *name = pli_run.current;
    if (name && pli_run.pid == getpid()) {
        fprintf(stderr, "\nperflab: %s ended the program (exit, longjmp or pthread_exit); let it "
                        "return, and report faults with pl_bench_fail\n", name);
        fflush(NULL);
        _exit(1);
    }
}

/* pli_bench_watch is the thread of -timeout; it is cancelled when all is done in time. */
static void *pli_bench_watch(void *unused)
{
    int64_t ns = pli_run.flags.timeout_ns;
    struct timespec left = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    (void)unused;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    pli_lock_take(&pli_run.lock);
    fprintf(stderr, "\nperflab: -timeout %gs is over, and %s was running; raise it, or lower "
                    "-benchtime or -count\n", (double)ns / 1e9,
            pli_run.current ? pli_run.current : "nothing");
    _exit(2);
}

/* pli_bench_order returns the registered benchmarks that can match, shuffled when asked for, with
   NULL at the end; NULL when out of memory. */
static pli_bench_entry **pli_bench_order(void)
{
    size_t count = 0;
    for (pli_bench_entry *e = pli_bench_entries; e; e = e->next)
        count++;
    pli_bench_entry **order = calloc(count + 1, sizeof *order);
    uint64_t random = (uint64_t)pli_run.flags.shuffle.seed;
    count = 0;
    for (pli_bench_entry *e = pli_bench_entries; order && e; e = e->next) {
        bool partial;
        if (pli_filter_match(&pli_run.filter, e->name, &partial)) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t at = pli_run.flags.shuffle.on ? (size_t)(random >> 33) % (count + 1) : count;
            order[count++] = order[at]; /* what stood there moves to the end */
            order[at] = e;
        }
    }
    return order;
}

/* pli_bench_columns sets the width of the names, by Go's rule. */
static void pli_bench_columns(pli_bench_entry **order)
{
    char suffix[16];
    int most = 1;
    for (int i = 0; i < pli_run.flags.cpu.count; i++) {
        int procs = pli_run.flags.cpu.value[i];
        most = procs > most ? procs : most;
    }
    pli_run.suffix_width = most == 1 ? 0 : snprintf(suffix, sizeof suffix, "-%d", most);
    for (; *order; order++) {
        int width = (int)strlen((*order)->name) + 2 * pli_run.suffix_width + 1;
        pli_run.name_width = width > pli_run.name_width ? width : pli_run.name_width;
    }
}

/* pli_bench_all runs every benchmark that matches; false when out of memory. */
static bool pli_bench_all(void)
{
    pli_bench_entry **order = pli_bench_order();
    bool enough = order != NULL;
    if (enough)
        pli_bench_columns(order);
    if (pli_run.flags.shuffle.on && !pli_run.flags.json)
        printf("# -shuffle %" PRId64 "\n", pli_run.flags.shuffle.seed);
    for (int i = 0; enough && order[i]; i++)
        enough = pli_bench_child(NULL, order[i]->name, order[i]->fn, NULL);
    free(order);
    return enough;
}

/* pli_bench_finish prints the last lines, and a warning when nothing was run. */
static void pli_bench_finish(void)
{
    const pli_machine *m = &pli_run.machine;
    const char *pass = pli_run.exit_code == 0 ? "true" : "false";
    if (pli_run.results == 0 && pli_run.exit_code == 0) {
        fprintf(stderr, "perflab: warning: no benchmarks to run: %s\"%s\"; %s\n",
                pli_bench_entries ? "none matches -bench " : "the program has none, whatever -bench ",
                pli_run.flags.bench, pli_bench_entries ? "-list prints their names"
                                                       : "write one with PL_BENCH(Name)");
    }
    if (m->json) {
        printf("{\"type\":\"end\",\"passed\":%s,\"results\":%d", pass, pli_run.results);
    }
    if (pli_run.labelled)
        pli_machine_end(m);
    printf("%s\n", m->json ? "}" : pli_run.exit_code == 0 ? "PASS" : "FAIL");
    pli_bench_flush();
}

/* pli_bench_list prints the names that match -list. */
static void pli_bench_list(void)
{
    for (pli_bench_entry *e = pli_bench_entries; e; e = e->next) {
        bool partial;
        if (pli_filter_match(&pli_run.filter, e->name, &partial))
            printf("%s\n", e->name);
    }
    pli_bench_flush();
}

static void pli_bench_measure_all(void)
{
    pthread_t watch;
    bool watched = pli_run.flags.timeout_ns > 0 &&
                   pthread_create(&watch, NULL, pli_bench_watch, NULL) == 0;
    if (!pli_bench_all()) {
        fprintf(stderr, "perflab: out of memory for the benchmarks; free some\n");
        pli_run.exit_code = 2;
    }
    if (watched) {
        pthread_cancel(watch);
        pthread_join(watch, NULL);
    }
    pli_bench_finish();
}

/* pli_bench_filters compiles the expressions; false when it has reported a fault. */
static bool pli_bench_filters(void)
{
    const pli_flags *f = &pli_run.flags;
    bool good = pli_filter_init(&pli_run.filter, "run", f->run);
    pli_filter_free(&pli_run.filter);
    return good && pli_filter_init(&pli_run.filter, f->list ? "list" : "bench",
                                   f->list ? f->list : f->bench);
}

static void pli_bench_session(char **argv)
{
    pl_memstats probe;
    pli_run.flags = (pli_flags){.bench = "", .run = "", .count = 1, .time.ns = 1000000000,
                                .cpu = {1, {pli_os_cpu_count()}}};
    pli_run.no_allocs = pl_memstats_read(&probe) != PL_OK || !probe.counted;
    pli_run.pid = getpid();
    if (!pli_flags_parse(&pli_run.flags, argv) || !pli_bench_filters()) {
        pli_run.exit_code = 2;
        return;
    }
    pli_run.machine = (pli_machine){.out = stdout, .json = pli_run.flags.json};
    if (pli_run.flags.help) {
        pli_flags_usage();
        pli_bench_flush();
    } else if (pli_run.flags.list) {
        pli_bench_list();
    } else {
        pli_bench_measure_all();
    }
    pli_filter_free(&pli_run.filter);
    pli_name_free(&pli_run.names);
}

int pl_bench_main(int argc, char **argv)
{
    static bool guarded;
    (void)argc;
    memset(&pli_run, 0, sizeof pli_run);
    if (!guarded)
        guarded = atexit(pli_bench_exiting) == 0;
    pli_bench_session(argv);
    return pli_run.exit_code;
}
