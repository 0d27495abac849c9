/* Crash reports from the inside: what is left of one that crashes itself. */
/* run: upto=crash without=asan,tsan flags=-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <sys/wait.h>

static char report[1 << 20];
static int status; /* how the child ended */

/* Runs one of these in a child that reports crashes, and keeps its report. */
static void crash_by(void (*run)(void))
{
    int ends[2];
    size_t size = 0;
    fflush(stdout);
    if (pipe(ends) != 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], 2);
        pl_crash_install();
        run();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], report + size, sizeof report - 1 - size)) > 0;)
        size += (size_t)n;
    report[size] = '\0';
    close(ends[0]);
    waitpid(pid, &status, 0);
}

static int says(const char *text)
{
    if (strstr(report, text))
        return 1;
    diag("not said: %s; in:\n%.1500s", text, report);
    return 0;
}

static int ended_by(int number)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

PL_NOINLINE static void write_to_nothing(void)
{
    char *volatile nothing = NULL;
    *nothing = 1;
    PL_CLOBBER();
}

/* The list of modules is broken: whatever names an address falls over it. */
PL_NOINLINE static void with_broken_modules(void)
{
    pli_modules.all->next = (pli_module *)(uintptr_t)0x10;
    write_to_nothing();
}

/* Somebody has the lock, and will not give it back. */
PL_NOINLINE static void with_the_lock_held(void)
{
    pli_lock_take(&pli_stacks.lock);
    write_to_nothing();
}

PL_NOINLINE static void in_a_forks_child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        write_to_nothing();
    waitpid(pid, &status, 0);
    _exit(ended_by(SIGSEGV) ? 7 : 1);
}

PL_NOINLINE static void install_and_take_back(void)
{
    pli_crash_install(PLI_CRASH_NONE);
    write_to_nothing();
}

/* A child that shares memory and crashes must not speak for its parent. */
PL_NOINLINE static void after_a_vforks_child(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        kill(getpid(), SIGSEGV);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (!ended_by(SIGSEGV))
        _exit(1);
    PLI_STORE(pli_crash.level, PLI_CRASH_SINGLE);
    raise(SIGFPE);
}

int main(void)
{
    crash_by(write_to_nothing);
    ok(ended_by(SIGSEGV) && says("#0 ") && says("  write_to_nothing+0x") && says("\nmodules:\n"),
       "a report, and the same end");
    crash_by(with_broken_modules);
    ok(ended_by(SIGSEGV), "a report that crashes itself ends as the program would have");
    ok(says("perflab: the program crashed: SIGSEGV") && says("\nthread "),
       "what stood before is there");
    ok(says("(what should stand here cannot be read: SIGSEGV)"), "it says what is missing");
    const char *stack = strstr(report, "[crashed]:\n");
    const char *address = stack ? strstr(stack, "\n#") : NULL;
    ok(address && strstr(address, " 0x") && strcspn(address + 1, "\n") < 30,
       "and what can be given: addresses without names");
    crash_by(with_the_lock_held);
    ok(ended_by(SIGSEGV) && says("the other threads cannot be shown") && says("\nmodules:\n"),
       "a lock that is held costs only what it guards");
    crash_by(in_a_forks_child);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 7 && says("  write_to_nothing+0x"),
       "a fork's child reports, too");
    crash_by(install_and_take_back);
    ok(ended_by(SIGSEGV) && report[0] == '\0', "level none gives the signals back");
    crash_by(after_a_vforks_child);
    ok(ended_by(SIGFPE) && says("SIGFPE, raised by the program") && !strstr(report, "SIGSEGV"),
       "a vfork's child does not speak for its parent");
    return done();
}
