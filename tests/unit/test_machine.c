/* >>machine on machines that a test makes up: files of /proc and /sys come from a table. */
/* run: upto=machine */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct fake_file {
    const char *path, *text;
} fake_file;

static const fake_file *fake_files;

/* Opens the file of the table; everything else is not there. */
static int fake_open(const char *path)
{
    for (const fake_file *f = fake_files; f && f->path; f++) {
        if (strcmp(f->path, path) == 0) {
            int fd = memfd_create("fake", 0);
            if (fd < 0 || write(fd, f->text, strlen(f->text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                abort();
            return fd;
        }
    }
    return -1;
}

/* perflab opens its own files by system call. */
static long fake_syscall(long number, ...)
{
    long a[6];
    va_list more;
    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long);
    va_end(more);
    return number == SYS_openat ? fake_open((const char *)a[1]) :
           syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define syscall fake_syscall
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#define CLOCK "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define GOVERNOR "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
#define NO_TURBO "/sys/devices/system/cpu/intel_pstate/no_turbo"
#define BOOST "/sys/devices/system/cpu/cpufreq/boost"
#define ASLR "/proc/sys/kernel/randomize_va_space"
#define PERSONA "/proc/self/personality"
#define STAT "cpu  100 0 100 700 0 0 0 %d 9 9\ncpu0 1 2 3\n"

/* What is said of a machine at the start, or at the end of a run. */
static const char *facts(const fake_file *files, bool json, const pli_machine *end)
{
    static char out[4096];
    pli_machine m = {.json = json};
    fake_files = files;
    memset(out, 0, sizeof out);
    m.out = fmemopen(out, sizeof out, "w");
    if (end) {
        m.baseline_ns = end->baseline_ns;
        m.cpu_time = end->cpu_time;
        m.steal = end->steal;
        pli_machine_end(&m);
    } else {
        pli_machine_start(&m);
    }
    fclose(m.out);
    return out;
}

static void says(const char *text, const char *part, const char *name)
{
    if (!ok(strstr(text, part) != NULL, "%s: \"%.*s\"", name, (int)strcspn(part, "\n"), part))
        diag("it says: %s", text);
}

static void says_not(const char *text, const char *part, const char *name)
{
    if (!ok(strstr(text, part) == NULL, "%s: no \"%s\"", name, part))
        diag("it says: %s", text);
}

static void test_quiet(void)
{
    static const fake_file quiet[] = {
        {CLOCK, "tsc\n"}, {GOVERNOR, "performance\n"}, {NO_TURBO, "1\n"},
        {"/proc/loadavg", "0.00 0.01 0.05 1/234 5678\n"}, {ASLR, "2\n"}, {PERSONA, "00000000\n"},
        {0}};
    const char *text = facts(quiet, false, NULL);
    says(text, "# clock: tsc\n", "quiet");
    says(text, "# governor: performance\n", "quiet");
    says(text, "# turbo: off\n", "quiet");
    says(text, "# load: 0.00\n", "quiet");
    says(text, "# aslr: on\n", "quiet");
    says(text, "# baseline: ", "quiet");
    says_not(text, "mend: sudo", "quiet");
    says_not(text, "other work runs beside", "quiet");
}

static void test_noisy(void)
{
    static const fake_file noisy[] = {
        {CLOCK, "hpet\n"}, {GOVERNOR, "powersave\n"}, {NO_TURBO, "0\n"},
        {"/proc/loadavg", "99999.00 9 9 2/345 3\n"}, {ASLR, "2\n"}, {PERSONA, "00040000\n"}, {0}};
    const char *text = facts(noisy, false, NULL);
    says(text, "# warning: clock is hpet", "noisy");
    says(text, "# warning: governor is powersave", "noisy");
    says(text, "sudo cpupower frequency-set -g performance\n", "noisy");
    says(text, "echo 1 | sudo tee " NO_TURBO "\n", "noisy");
    says(text, "load 99999.00 on", "noisy");
    says(text, "PROGRAM\n", "noisy");
    says(text, "# aslr: off\n", "noisy");
    static const fake_file alone[] = {{"/proc/loadavg", "99999.00 9 9 1/345 3\n"}, {0}};
    says_not(facts(alone, false, NULL), "other work runs beside", "a load of its own making");
    static const fake_file boost[] = {{BOOST, "1\n"}, {ASLR, "0\n"}, {0}};
    text = facts(boost, false, NULL);
    says(text, "# turbo: on\n", "another driver");
    says(text, "echo 0 | sudo tee " BOOST "\n", "another driver");
    says(text, "# aslr: off\n", "no ASLR at all");
    static const fake_file no_boost[] = {{BOOST, "0\n"}, {0}};
    says(facts(no_boost, false, NULL), "# turbo: off\n", "no boost");
}

static void test_unknown(void)
{
    const char *text = facts(NULL, false, NULL);
    says(text, "# clock: unknown\n", "nothing to read");
    says(text, "# governor: unknown\n", "nothing to read");
    says(text, "# turbo: unknown\n", "nothing to read");
    says(text, "# load: unknown\n", "nothing to read");
    says(text, "# aslr: unknown\n", "nothing to read");
    static const fake_file empty[] = {{GOVERNOR, "\n"}, {0}};
    says(facts(empty, false, NULL), "# governor: unknown\n", "an empty file");
}

static void test_json(void)
{
    static const fake_file noisy[] = {{GOVERNOR, "powersave\n"}, {0}};
    const char *text = facts(noisy, true, NULL);
    says(text, ",\"governor\":\"powersave\",\"governor_warning\":\"governor is powersave", "JSON");
    ok(text[0] == ',' && strchr(text, '\n') == NULL, "JSON: members of one line");
}

static void test_end(void)
{
    static const fake_file before[] = {{"/proc/stat", "cpu  100 0 100 700 0 0 0 100 9 9\n"}, {0}};
    static const fake_file after[] = {{"/proc/stat", "cpu  150 0 100 700 0 0 0 150 9 9\n"}, {0}};
    double spread;
    pli_machine m = {.baseline_ns = pli_baseline(&spread)};
    fake_files = before;
    pli_machine_ticks(&m.cpu_time, &m.steal);
    ok(m.cpu_time == 1000 && m.steal == 100, "eight columns of /proc/stat");
    const char *text = facts(after, false, &m);
    says(text, "# steal: 50.0 %\n", "a host that takes half");
    says(text, "the host took 50.0 % of the processor time away; mend:", "a host that takes half");
    says(facts(before, false, &m), "# steal: 0.0 %\n", "a host that takes nothing");
    m.baseline_ns /= 2;
    says(facts(before, false, &m), "# warning: the machine changed its speed by +", "slower now");
}

static void test_baseline(void)
{
    double spread = -1, ns = pli_baseline(&spread);
    ok(ns > 0 && spread >= 0, "baseline: %.3f ns, spread %.1f %%", ns, spread);
}

int main(void)
{
    test_quiet();
    test_noisy();
    test_unknown();
    test_json();
    test_end();
    test_baseline();
    return done();
}
