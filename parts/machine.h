/* ==== >>machine ======================================================================================
   What explains a measurement: facts about the machine, and warnings that name the command that mends
   what makes it noisy. Facts vary from run to run, so in benchmark text they are comments: a
   "key: value" line that differs would make benchstat put two files into two tables.

       # governor: powersave                          "governor":"powersave",
       # warning: governor is powersave, ...; mend:   "governor_warning":"governor is ...; mend: ..."

   All is read from files, as words; where there is no such file, the fact is "unknown". */

typedef struct pli_machine {
    FILE *out;
    bool json;               /* the right form: members of an object that is open */
    double baseline_ns;      /* at the start, as are the next two */
    int64_t cpu_time, steal; /* ticks of all processors; those that the host took away */
} pli_machine;

static void pli_fact_write(const pli_machine *m, const char *key, bool warning, const char *fmt,
                           va_list ap)
{
    char text[320];
    vsnprintf(text, sizeof text, fmt, ap);
    if (m->json) {
        fprintf(m->out, ",\"%s%s\":", key, warning ? "_warning" : "");
        pli_json_string(m->out, text);
    } else {
        fprintf(m->out, "# %s: %s\n", warning ? "warning" : key, text);
    }
}

/* Writes a fact. The key is one word, the same in both forms. */
PLI_PRINTF(3, 4)
static void pli_fact(const pli_machine *m, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_fact_write(m, key, false, fmt, ap);
    va_end(ap);
}

/* Adds a warning to the fact of that key. Its text ends with what mends it. */
PLI_PRINTF(3, 4)
static void pli_warn(const pli_machine *m, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pli_fact_write(m, key, true, fmt, ap);
    va_end(ap);
}

/* Reads the first word of a file; "unknown" where there is none. */
static void pli_machine_word(const char *path, char word[64])
{
    if (pli_os_read_file(path, word, 64) != PL_OK || strcspn(word, " \n") == 0)
        strcpy(word, "unknown");
    word[strcspn(word, " \n")] = '\0';
}

/* Writes a fact that is one word in a file, with a warning when it is among the `bad` ones, which
   stand between spaces. */
static void pli_machine_setting(const pli_machine *m, const char *key, const char *path,
                                const char *bad, const char *mend)
{
    char word[64], spaced[66];
    pli_machine_word(path, word);
    snprintf(spaced, sizeof spaced, " %s ", word);
    pli_fact(m, key, "%s", word);
    if (strstr(bad, spaced))
        pli_warn(m, key, "%s is %s, which makes times vary; mend: %s", key, word, mend);
}

/* Two drivers, two switches: Intel's says "no turbo", the common one says "boost". */
static void pli_machine_turbo(const pli_machine *m)
{
    static const char *const path[] = {"/sys/devices/system/cpu/intel_pstate/no_turbo",
                                       "/sys/devices/system/cpu/cpufreq/boost"};
    char no_turbo[64], boost[64];
    pli_machine_word(path[0], no_turbo);
    pli_machine_word(path[1], boost);
    bool intel_on = strcmp(no_turbo, "0") == 0, on = intel_on || strcmp(boost, "1") == 0;
    bool known = strcmp(no_turbo, "unknown") != 0 || strcmp(boost, "unknown") != 0;
    pli_fact(m, "turbo", "%s", on ? "on" : known ? "off" : "unknown");
    if (on)
        pli_warn(m, "turbo", "turbo lets the clock rate follow heat and neighbours; mend: "
                 "echo %d | sudo tee %s", intel_on, path[!intel_on]);
}

/* The load counts who wants to run, this process too: half the processors busy is where others
   begin to share caches and clock rate with it. */
static void pli_machine_load(const pli_machine *m)
{
    char load[64];
    int cpus = pli_os_cpu_count();
    pli_machine_word("/proc/loadavg", load);
    pli_fact(m, "load", "%s", load);
    if (strtod(load, NULL) > 0.5 * cpus) /* "unknown" reads as 0 */
        pli_warn(m, "load", "load %s on %d processors: other work runs beside this; mend: end it, "
                 "or keep to a quiet processor: taskset -c %d PROGRAM", load, cpus, cpus - 1);
}

/* Random layout is right for measuring, since runs then average over layouts; off is a fact to
   know when two results are compared. */
static void pli_machine_aslr(const pli_machine *m)
{
    char level[64], persona[64];
    pli_machine_word("/proc/sys/kernel/randomize_va_space", level);
    pli_machine_word("/proc/self/personality", persona);
    bool off_here = strtoul(persona, NULL, 16) & 0x40000; /* ADDR_NO_RANDOMIZE, by setarch -R */
    bool off = off_here || strcmp(level, "0") == 0;
    pli_fact(m, "aslr", "%s", off ? "off" : strcmp(level, "unknown") == 0 ? level : "on");
}

/* Returns the time of one step of a chain of multiplications in registers, in nanoseconds. It
   depends neither on the program nor on its layout or memory: when it differs between two runs, it
   was the machine that changed, not the code. */
static double pli_baseline_pass(uint64_t x)
{
    enum { PLI_STEPS = 400000 }; /* about 0.5 ms: long for the clock, short for the scheduler */
    uint64_t start = pl_now_ns();
    for (int i = 0; i < PLI_STEPS; i++) {
        x = x * 6364136223846793005u + 1;
        PL_HIDE(x);
    }
    return (double)(pl_now_ns() - start) / PLI_STEPS;
}

/* Returns the fastest of some passes, the one that nobody disturbed.
   *spread: how much slower the median pass was, in per cent. */
static double pli_baseline(double *spread)
{
    enum { PLI_PASSES = 15 };
    double pass[PLI_PASSES]; /* sorted as they come */
    for (int i = 0; i < PLI_PASSES; i++) {
        double ns = pli_baseline_pass((uint64_t)i);
        int at = i;
        for (; at > 0 && pass[at - 1] > ns; at--)
            pass[at] = pass[at - 1];
        pass[at] = ns;
    }
    *spread = 100 * (pass[PLI_PASSES / 2] / pass[0] - 1);
    return pass[0];
}

/* Reads the machine's processor time and what the host took of it; 0 and 0 where nothing tells. */
static void pli_machine_ticks(int64_t *total, int64_t *steal)
{
    char text[256];
    *total = *steal = 0;
    if (pli_os_read_file("/proc/stat", text, sizeof text) != PL_OK)
        return;
    char *at = text + strcspn(text, " ");
    /* user nice system idle iowait irq softirq steal; the columns behind are part of user */
    for (int column = 0; column < 8; column++) {
        *steal = strtoll(at, &at, 10);
        *total += *steal;
    }
}

/* Writes the facts before a measurement and keeps what pli_machine_end compares with. */
static void pli_machine_start(pli_machine *m)
{
    char model[64];
    double spread;
    pli_os_cpu_model(model);
    pli_fact(m, "processor", "%s, %d usable", model[0] ? model : "unknown", pli_os_cpu_count());
    pli_machine_setting(m, "clock",
                        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
                        " hpet acpi_pm jiffies ", "boot with clocksource=tsc");
    pli_machine_setting(m, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                        " powersave ondemand conservative schedutil userspace ",
                        "sudo cpupower frequency-set -g performance");
    pli_machine_turbo(m);
    pli_machine_load(m);
    pli_machine_aslr(m);
    m->baseline_ns = pli_baseline(&spread);
    pli_fact(m, "baseline", "%.3f ns a multiplication, spread %.1f %%", m->baseline_ns, spread);
    if (spread > 5)
        pli_warn(m, "baseline", "the baseline spreads by %.0f %%: something disturbs this machine; "
                 "mend: end other work, taskset -c N PROGRAM, more of -count", spread);
    pli_machine_ticks(&m->cpu_time, &m->steal);
}

/* Writes what has changed since pli_machine_start. */
static void pli_machine_end(const pli_machine *m)
{
    double spread, baseline_ns = pli_baseline(&spread);
    double moved = 100 * (baseline_ns / m->baseline_ns - 1);
    int64_t total, steal;
    pli_machine_load(m);
    pli_fact(m, "baseline", "%.3f ns a multiplication, %+.1f %% since the start", baseline_ns,
             moved);
    if (__builtin_fabs(moved) > 5)
        pli_warn(m, "baseline", "the machine changed its speed by %+.1f %% in this run; mend: fix "
                 "the clock rate (cpupower, no_turbo), or run again when it is idle", moved);
    pli_machine_ticks(&total, &steal);
    int64_t passed = total > m->cpu_time ? total - m->cpu_time : 1; /* a short run has no tick */
    double share = 100.0 * (double)(steal - m->steal) / (double)passed;
    pli_fact(m, "steal", "%.1f %%", share);
    if (share > 1)
        pli_warn(m, "steal", "the host took %.1f %% of the processor time away; mend: a machine of "
                 "its own, or more of -count", share);
}

