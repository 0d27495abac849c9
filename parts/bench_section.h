/* ==== >>bench ========================================================================================
   One benchmark: its timer, what is measured with it, how n grows, and threads. A run is one call of the
   body with some n:

       body written with b->n     n = 1 | 100 | 10,000 | 1,200,000         a call each, from set-up on; the
                                                                           last is the result
       body written with PL_LOOP  n = 1 + 99 + 9,900 + 1,190,000           one call, no set-up between; the
                                                                           timer runs on, all are the result

   The next n is predicted from the time so far, by Go's rule, until a run lasts -benchtime.
   Nothing in here allocates while a timer runs, so B/op and allocs/op are the body's alone. */

enum {
    PLI_BENCH_METRICS = 32,      /* what a body may report: fixed sizes, so that reporting ... */
    PLI_BENCH_UNIT = 48,         /* ... does not allocate while the timer runs */
    PLI_BENCH_LOG = 65536,       /* the same for its log */
    PLI_BENCH_MAX_N = 1000000000 /* Go's limit of iterations in one run */
};

/* What pl_bench_report_metric was given. */
typedef struct pli_metric {
    char unit[PLI_BENCH_UNIT];
    double value;
} pli_metric;

/* Allocations so far, as MemStats counts them. */
typedef struct pli_bench_mem {
    int64_t mallocs, bytes;
} pli_bench_mem;

/* One benchmark. All of it belongs to the thread that runs the body, but for `failed` and what `lock`
   guards; pl_bench_parallel hands the timer to its threads at the barriers. */
typedef struct pli_bench {
    /* immutable while the body runs */
    pl_bench api;             /* first, so that the body's pl_bench * is this */
    struct pli_bench *parent; /* NULL for those of PL_BENCH */
    const char *name;         /* in full, without -P */
    void (*fn)(pl_bench *b, void *arg);
    void *arg;

    /* the run */
    bool timer_on;
    uint64_t start_ns, elapsed_ns;   /* of the running interval; of all before */
    pli_bench_mem mem_start, mem;    /* the same for allocations */
    int64_t previous_n, previous_ns; /* the run before, for the grain of parallel work */
    int parallelism;                 /* threads a processor */
    uint64_t loop_n;                 /* iterations that PL_LOOP aims at; 0: no PL_LOOP so far */
    uint64_t loop_start_ns;          /* by the clock on the wall, pauses included */
    bool loop_done;                  /* PL_LOOP came to its end: nobody broke out of it */

    /* what the body said */
    bool has_sub; /* it called pl_bench_run: no result of its own */
    bool show_allocs;
    int64_t bytes;
    int metric_count;
    pli_metric metrics[PLI_BENCH_METRICS]; /* sorted by unit, which is Go's order of printing */
    uint32_t failed;                       /* atomic */
    pli_lock lock;                         /* guards the log */
    size_t log_size;
    char log[PLI_BENCH_LOG];
} pli_bench;

/* One call of pl_bench_main. */
typedef struct pli_session {
    pli_flags flags;
    pli_filter filter;   /* -bench, or -list */
    pli_name *names;     /* of sub-benchmarks so far */
    pli_machine machine; /* as it was at the start */
    int name_width, suffix_width; /* Go's columns: the widest name, the widest -P */
    bool labelled;                /* the lines above the first result are printed */
    bool no_allocs;               /* this build cannot count allocations */
    int results, exit_code;       /* 2 ends everything */

    pli_lock lock;       /* guards current, which the -timeout thread reads */
    const char *current; /* the benchmark whose body runs; NULL outside */
    pid_t pid;           /* a child made by fork may exit as it likes */
} pli_session;

static pli_session pli_run;                /* there is one at a time */
static pli_bench_entry *pli_bench_entries; /* what PL_BENCH has registered */

/* Adds a benchmark in order of appearance; by line within a file, since link-time optimisation may run
   the constructors of a file in another order. */
void pli_bench_register(pli_bench_entry *entry)
{
    pli_bench_entry **at = &pli_bench_entries;
    while (*at && !(strcmp((*at)->file, entry->file) == 0 && (*at)->line > entry->line))
        at = &(*at)->next;
    entry->next = *at;
    *at = entry;
}

/* The benchmark behind what the body has. */
static pli_bench *pli_bench_of(const pl_bench *b)
{
    return (pli_bench *)(uintptr_t)b;
}

/* Sends what was printed on its way; the first failure ends the run. */
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

/* -- Timer and what is measured with it -- */

/* The sums over all threads, read without going into the allocator as pl_memstats_read does. */
static pli_bench_mem pli_bench_mem_now(void)
{
    pl_memstats m;
    pli_heap_sum(&m);
    return (pli_bench_mem){m.mallocs, m.total_alloc};
}

/* Begins an interval. Counters are read outside of the time: before the clock starts, and by
   pl_bench_stop_timer after it has stopped. */
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

/* Returns the metric of that unit; NULL when the body reported none. */
static const pli_metric *pli_metric_find(const pli_bench *b, const char *unit)
{
    for (int i = 0; i < b->metric_count; i++) {
        if (strcmp(b->metrics[i].unit, unit) == 0)
            return &b->metrics[i];
    }
    return NULL;
}

/* What is wrong with a new unit, as the end of a sentence; NULL when nothing is. */
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
    if (!m) { /* its place in the order is found from the end */
        m = b->metrics + b->metric_count++;
        while (m > b->metrics && strcmp(m[-1].unit, unit) > 0) {
            *m = m[-1];
            m--;
        }
        strcpy(m->unit, unit);
    }
    m->value = value;
}

/* -- Growth of n -- */

/* Returns the next n by Go's rule: what the goal needs at the last speed and a
   fifth more, at most 100 times the last n, at least one more, at most PLI_BENCH_MAX_N. */
static int64_t pli_bench_predict(int64_t goal_ns, int64_t n, int64_t ns, int64_t last)
{
    int64_t next; /* multiplied first: for short bodies n and ns are alike, and n / ns is 0 or 1 */
    if (__builtin_mul_overflow(goal_ns, n, &next))
        next = INT64_MAX;
    next /= ns > 0 ? ns : 1;
    next = next > PLI_BENCH_MAX_N ? PLI_BENCH_MAX_N : next;
    next += next / 5;
    next = next > 100 * last ? 100 * last : next;
    next = next < last + 1 ? last + 1 : next;
    return next > PLI_BENCH_MAX_N ? PLI_BENCH_MAX_N : next;
}

/* Returns how many iterations PL_LOOP runs before it asks again, 0 for the end.
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

/* What PL_LOOP asks when it has counted down: how many more? 0 ends it. The first call is where set-up
   ends, the last where the timer stops. */
uint64_t pli_loop_next(pl_bench *bench)
{
    pli_bench *b = pli_bench_of(bench);
    if (!b->timer_on) {
        b->loop_done = true; /* one message is enough */
        pl_bench_fail(bench, "PL_LOOP reached with the timer stopped; call "
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

/* Notes the benchmark whose body runs, for -timeout and for an exit() in it, and returns the one
   before: a parent goes on when its sub-benchmark has ended. */
static const char *pli_bench_current(const char *name)
{
    pli_lock_take(&pli_run.lock);
    const char *before = pli_run.current;
    pli_run.current = name;
    pli_lock_give(&pli_run.lock);
    return before;
}

/* Calls the body once for n iterations. */
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
        pl_bench_fail(&b->api, "benchmark function returned before PL_LOOP had ended (break or "
                               "return in the loop?)");
    }
    pli_bench_current(outer);
}

/* Runs the body with growing n for as long as -benchtime says. */
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

/* -- Parallel benchmarks --

       create   set-up     barrier   PL_NEXT PL_NEXT ...          join
       ───────► ─────────► │ ══════════════════════════► │ ────►
       ───────► ───► waits │ ════════════════════► waits │ ────►
                           └ the last to arrive          └ the last to finish
                             starts the timer              stops it

   The barrier is in the first PL_NEXT. Iterations are taken from `left`, a grain at a time, so that the
   common counter is not what is measured; who leaves early gives the rest of his grain back. */
typedef struct pli_parallel_job {
    /* immutable */
    pli_bench *bench;
    void (*fn)(pl_parallel *pb, void *arg);
    void *arg;
    int threads;
    bool timed;    /* the timer ran when the body called */
    int64_t grain; /* iterations taken at once */
    /* atomic */
    int started, arrived, finished; /* threads */
    uint32_t open;                  /* the barrier; release */
    int64_t left;                   /* iterations that nobody has taken */
} pli_parallel_job;

/* Counts threads at the barrier; the last one opens it. */
static void pli_parallel_arrive(pli_parallel_job *job, int count)
{
    if (__atomic_add_fetch(&job->arrived, count, __ATOMIC_ACQ_REL) == job->threads) {
        if (job->timed)
            pl_bench_start_timer(&job->bench->api);
        PLI_STORE_RELEASE(job->open, 1);
    }
}

/* Counts threads that are done; the last one stops the timer. */
static void pli_parallel_finish(pli_parallel_job *job, int count)
{
    if (__atomic_add_fetch(&job->finished, count, __ATOMIC_ACQ_REL) == job->threads)
        pl_bench_stop_timer(&job->bench->api);
}

/* Waits for the barrier to open. Spins, so that all start within a microsecond; yields after 10 us,
   since there may be more threads than processors. */
static void pli_parallel_wait(pli_parallel_job *job)
{
    uint64_t until = pl_now_ns() + 10000;
    while (!PLI_LOAD_ACQUIRE(job->open)) {
        pli_os_relax();
        if (pl_now_ns() > until)
            pli_os_yield();
    }
}

/* What PL_NEXT asks when its grain is used up: takes another. False: all are taken. */
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

/* One thread. Its pl_parallel is on its own stack: no cache line is shared. */
static void *pli_parallel_thread(void *arg)
{
    pli_parallel_job *job = arg;
    pl_parallel pb = {.thread = PLI_ADD(job->started, 1) - 1, .threads = job->threads,
                      .job = job};
    job->fn(&pb, job->arg);
    if (!pb.started) /* it never asked: the others must not wait for it */
        pli_parallel_arrive(job, 1);
    PLI_ADD(job->left, pb.taken);
    pli_parallel_finish(job, 1);
    return NULL;
}

/* Returns how many iterations a thread takes at once: what lasted 100 us in
   the run before, at most 10,000. */
static int64_t pli_parallel_grain(const pli_bench *b)
{
    int64_t grain = b->previous_ns > 0 ? 100000 * b->previous_n / b->previous_ns : 1;
    return grain < 1 ? 1 : grain > 10000 ? 10000 : grain;
}

/* Runs the threads of a job to their end. Where one cannot be started, the
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
        pl_bench_fail(&job->bench->api,
                      "pl_bench_parallel: thread %d of %d cannot be started: %s; lower -cpu or "
                      "raise ulimit -u", made + 1, job->threads, strerror(code));
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
            pl_bench_fail(bench, "pl_bench_parallel: the body returned before PL_NEXT was false "
                                 "(break or return in the loop?)");
        }
    }
    free(thread);
    if (timed)
        pl_bench_start_timer(bench);
}

