/* ==== >>benchmain ====================================================================================
   pl_bench_main: which benchmarks run, in which order, and what is printed of them. A benchmark is run with
   n = 1 to see whether it works and whether it has sub-benchmarks; if not, it is measured, for each value
   of -cpu, -count times:

       pl_bench_main ──► pli_bench_child ──► pli_bench_try      n = 1
                              ▲      │
       pl_bench_run ──────────┘      └─────► pli_bench_measure  n grows; a line of output, sent at once

   Text is Go's to the byte. JSON is one object a line; names and meaning stay, members may be added:
     {"type":"environment","format":1,"goos":"","goarch":"","pkg":"","cpu":"", and the facts}
     {"type":"benchmark","name":"","procs":2,"failed":false,"n":1,"ns_per_op":1,"mb_per_s":null,
      "bytes_per_op":null,"allocs_per_op":null,"metrics":{"unit":1},"log":""}
     {"type":"benchmark","name":"","procs":2,"failed":true,"log":""}
     {"type":"end","passed":true,"results":1, and the facts}
   null is "not measured". A fact is "key":"value", with a "key_warning" where it is a bad one. */

/* -- Results -- */

/* The values that the harness measures; a metric with such a unit takes the place of its own. */
enum { PLI_NS, PLI_MB, PLI_BYTES, PLI_ALLOCS, PLI_BUILTINS };
static const char *const pli_builtin_unit[] = {"ns/op", "MB/s", "B/op", "allocs/op"};
static const char *const pli_builtin_key[] = {"ns_per_op", "mb_per_s", "bytes_per_op",
                                              "allocs_per_op"};

/* Whether a unit is one of those: then it does not stand among the metrics. */
static bool pli_builtin_is(const char *unit)
{
    bool is = false;
    for (int i = 0; i < PLI_BUILTINS; i++)
        is = is || strcmp(unit, pli_builtin_unit[i]) == 0;
    return is;
}

/* Returns a value as Go computes it; NaN when there is none to print. */
static double pli_builtin_value(const pli_bench *b, int which)
{
    const pli_metric *own = pli_metric_find(b, pli_builtin_unit[which]);
    double n = (double)b->api.n, ns = (double)b->elapsed_ns, nan = __builtin_nan("");
    bool allocs = (pli_run.flags.benchmem || b->show_allocs) && !pli_run.no_allocs;
    if (which >= PLI_BYTES && !allocs)
        return nan;
    if (own)
        return own->value;
    switch (which) {
    case PLI_NS:
        return ns / n;
    case PLI_MB:
        return b->bytes > 0 && ns > 0 ? (double)b->bytes * n / 1e6 / (ns / 1e9) : nan;
    case PLI_BYTES: /* whole numbers, rounded down */
        return (double)(b->mem.bytes / b->api.n);
    default:
        return (double)(b->mem.mallocs / b->api.n);
    }
}

/* Prints B/op or allocs/op: whole, also when the body has reported a fraction. */
static void pli_text_count(double x, const char *unit)
{
    int64_t whole = __builtin_fabs(x) < 9e18 ? (int64_t)x : 0;
    printf("\t%8" PRId64 " %s", whole, unit);
}

/* Prints a value with four significant digits in the width that puts the decimal
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

/* Returns what -cpu adds to the name: nothing for one processor. */
static const char *pli_bench_suffix(const pli_bench *b, char out[16])
{
    out[0] = '\0';
    if (b->api.procs != 1)
        snprintf(out, 16, "-%d", b->api.procs);
    return out;
}

/* The name in its column. Go counts characters for the width, bytes for the column. */
static void pli_text_name(const pli_bench *b)
{
    char text[16];
    const char *suffix = pli_bench_suffix(b, text);
    int pad = pli_run.name_width - (int)strlen(suffix);
    for (const char *s = b->name; *s; s++)
        pad -= (*s & 0xc0) != 0x80; /* characters, not bytes */
    printf("%s%s%*s\t", b->name, suffix, pad > 0 ? pad : 0, "");
}

/* The values, in Go's order; what is 0 or not measured is left out. */
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
    for (int i = PLI_BYTES; i <= PLI_ALLOCS; i++) {
        double x = pli_builtin_value(b, i);
        if (!__builtin_isnan(x))
            pli_text_count(x, pli_builtin_unit[i]);
    }
    printf("\n");
}

/* Prints what follows the name: the result, or that it failed; then the log. */
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

/* The members of a benchmark that has passed. */
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

/* One benchmark as an object. */
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

/* Prints one result or failure and counts it. */
static void pli_bench_end(const pli_bench *b)
{
    (pli_run.flags.json ? pli_json_end : pli_text_end)(b);
    pli_run.results++;
    if (PLI_LOAD(b->failed) && pli_run.exit_code == 0)
        pli_run.exit_code = 1;
    pli_bench_flush();
}

/* Adds the compiler of the benchmarks to the facts: not the one of this file. */
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

/* Prints, once, the lines above the first result. */
static void pli_bench_labels(void)
{
    static const char *const key[] = {"goos", "goarch", "pkg", "cpu"};
    pli_machine *m = &pli_run.machine;
    char cpu[64];
    if (pli_run.labelled)
        return;
    pli_run.labelled = true;
    pli_os_cpu_model(cpu);
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
    if (pli_run.flags.shuffle.on)
        pli_fact(m, "shuffle", "%" PRId64, pli_run.flags.shuffle.seed);
    if (pli_run.no_allocs)
        pli_fact(m, "allocs", "not counted in this build (static, sanitizer or "
                 "PERFLAB_NO_INTERPOSE): no B/op, no allocs/op");
    printf("%s", m->json ? "}\n" : "");
    pli_bench_flush();
}

/* -- Running -- */

/* Measures one benchmark for one value of -cpu, one of -count times. */
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

/* All measurements of one benchmark, in Go's order: -cpu outside, -count inside. */
static void pli_bench_measure(pli_bench *b)
{
    pli_bench_labels();
    for (int i = 0; i < pli_run.flags.cpu.count; i++) {
        for (int64_t j = 0; j < pli_run.flags.count && pli_run.exit_code != 2; j++)
            pli_bench_step(b, pli_run.flags.cpu.value[i], i == 0 && j == 0);
    }
}

/* Makes the column of names fit, with room to spare, so that it seldom grows. */
static void pli_bench_widen(const char *name)
{
    int width = (int)strlen(name) + pli_run.suffix_width + 1;
    if (width > pli_run.name_width)
        pli_run.name_width = width + 8;
}

/* Runs the body with n = 1. Returns whether there is anything more to measure. */
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

/* Runs fn as a benchmark of that name, when the filter lets it. False: out of
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

/* -- pl_bench_main -- */

/* Says on stderr what went wrong in the benchmark that runs. The line that waits for its result
   is ended first, past stdio: the body may be inside a printf. */
static void pli_bench_broken(const char *name, const char *what)
{
    if (!pli_run.flags.json && write(STDOUT_FILENO, "\n", 1) < 0)
        pli_run.exit_code = 2;
    fprintf(stderr, "perflab: %s %s\n", name ? name : "the harness", what);
}

/* Runs at exit(). One inside a benchmark, or a longjmp out of it to a main that returns, must not
   look like success. */
static void pli_bench_exiting(void)
{
    if (pli_run.current && pli_run.pid == getpid()) {
        fflush(NULL);
        pli_bench_broken(pli_run.current, "ended the program (exit, longjmp or pthread_exit); let "
                         "it return, and report faults with pl_bench_fail");
        _exit(1);
    }
}

/* The thread of -timeout sleeps until the time is over or pli_watch.done is set. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
} pli_watch = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

/* pthread_cond_timedwait knows the clock on the wall alone, which may be set: so the time that is left is
   computed anew after each wake-up. */
static void *pli_bench_watch(void *unused)
{
    uint64_t end = pl_now_ns() + (uint64_t)pli_run.flags.timeout_ns, now;
    (void)unused;
    pthread_mutex_lock(&pli_watch.lock);
    while (!pli_watch.done && (now = pl_now_ns()) < end) {
        uint64_t until = pli_os_clock_ns(CLOCK_REALTIME) + (end - now);
        struct timespec t = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_cond_timedwait(&pli_watch.changed, &pli_watch.lock, &t);
    }
    bool late = !pli_watch.done;
    pthread_mutex_unlock(&pli_watch.lock);
    if (late) {
        pli_lock_take(&pli_run.lock);
        pli_bench_broken(pli_run.current, "was running when -timeout was over; raise it, or lower "
                         "-benchtime or -count");
        _exit(2);
    }
    return NULL;
}

/* Returns the registered benchmarks that can match, shuffled when asked for, with
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

/* Sets the width of the names, by Go's rule. */
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

/* Runs every benchmark that matches; false when out of memory. */
static bool pli_bench_all(void)
{
    pli_bench_entry **order = pli_bench_order();
    bool enough = order != NULL;
    if (enough)
        pli_bench_columns(order);
    for (int i = 0; enough && order[i]; i++)
        enough = pli_bench_child(NULL, order[i]->name, order[i]->fn, NULL);
    free(order);
    return enough;
}

/* Prints the last lines, and a warning when nothing was run. */
static void pli_bench_finish(void)
{
    const pli_machine *m = &pli_run.machine;
    const char *pass = pli_run.exit_code == 0 ? "true" : "false";
    bool nothing = pli_run.results == 0 && pli_run.exit_code == 0;
    if (nothing && pli_bench_entries)
        fprintf(stderr, "perflab: warning: no benchmarks to run: none matches -bench \"%s\"; -list "
                        "prints their names\n", pli_run.flags.bench);
    else if (nothing)
        fprintf(stderr, "perflab: warning: no benchmarks to run: the program has none; write one "
                        "with PL_BENCH(Name)\n");
    if (m->json)
        printf("{\"type\":\"end\",\"passed\":%s,\"results\":%d", pass, pli_run.results);
    if (pli_run.labelled)
        pli_machine_end(m);
    printf("%s\n", m->json ? "}" : pli_run.exit_code == 0 ? "PASS" : "FAIL");
    pli_bench_flush();
}

/* Prints the names that match -list. */
static void pli_bench_list(void)
{
    for (pli_bench_entry *e = pli_bench_entries; e; e = e->next) {
        bool partial;
        if (pli_filter_match(&pli_run.filter, e->name, &partial))
            printf("%s\n", e->name);
    }
    pli_bench_flush();
}

/* Runs all under the eye of -timeout. */
static void pli_bench_guarded(void)
{
    pthread_t watch;
    bool watched = pli_run.flags.timeout_ns > 0;
    pli_watch.done = false;
    if (watched && pthread_create(&watch, NULL, pli_bench_watch, NULL) != 0) {
        fprintf(stderr, "perflab: no thread can be started for -timeout; raise ulimit -u\n");
        pli_run.exit_code = 2;
        return;
    }
    if (!pli_bench_all()) {
        fprintf(stderr, "perflab: out of memory for the benchmarks; raise ulimit -v\n");
        pli_run.exit_code = 2;
    }
    if (watched) {
        pthread_mutex_lock(&pli_watch.lock);
        pli_watch.done = true;
        pthread_cond_signal(&pli_watch.changed);
        pthread_mutex_unlock(&pli_watch.lock);
        pthread_join(watch, NULL);
    }
    pli_bench_finish();
}

/* Compiles the expressions; false when it has reported a fault. */
static bool pli_bench_filters(void)
{
    const pli_flags *f = &pli_run.flags;
    bool good = pli_filter_init(&pli_run.filter, "run", f->run); /* checked, not used */
    pli_filter_free(&pli_run.filter);
    return good && pli_filter_init(&pli_run.filter, f->list ? "list" : "bench",
                                   f->list ? f->list : f->bench);
}

/* Reads the flags and does what they ask for. */
static void pli_bench_session(char **argv)
{
    pli_run.flags = (pli_flags){.bench = "", .run = "", .count = 1, .time.ns = 1000000000,
                                .cpu = {1, {pli_os_cpu_count()}}};
    pli_run.no_allocs = !pli_malloc_in_charge();
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
        pli_bench_guarded();
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
