// Counts are exact at every moment of a program's and a thread's life: in constructors before main,
// in destructors of thread_local objects and of keys, in detached threads, after fork, beside vfork
// and posix_spawn, after exec, in atexit handlers and in destructors after main. Says "exact".
#include "perflab.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

extern char **environ;

static int wrong, moments;

// A hundred blocks, freed at once, are what the statistics must see between two readings.
static void moment(const char *when) {
    pl_memstats before, after;
    pl_memstats_read(&before);
    for (int i = 1; i <= 50; i++) {
        void *p = std::malloc(100);
        PL_KEEP(p);
        std::free(p);
        PL_KEEP(new std::string(static_cast<std::size_t>(i * 20), 'x'));
    }
    pl_memstats_read(&after);
    pl_memstats d = pl_memstats_diff(&after, &before);
    // Texts of more than 15 characters have a block of their own: here all of them.
    if (d.mallocs != 150 || d.frees != 50 || !after.counted) {
        std::printf("%s: %lld mallocs, %lld frees\n", when, (long long)d.mallocs,
                    (long long)d.frees);
        wrong = 1;
    }
    moments++;
}

__attribute__((constructor(101))) static void earliest() { moment("first constructor"); }

struct Static {
    Static() { moment("static object"); }
    ~Static() {
        moment("destructor after main");
        if (moments == 15 && !wrong)
            std::puts("exact");
        else
            std::printf("%d moments, %d wrong\n", moments, wrong);
    }
} lives_longest;

struct PerThread {
    const char *when = "thread_local object";
    PerThread() { moment(when); }
    ~PerThread() { moment("destructor of a thread_local object"); }
};
static thread_local PerThread per_thread;

static pthread_key_t key;

static void end_of_key(void *round) {
    moment("destructor of a key");
    if (round == static_cast<void *>(&moments))
        pthread_setspecific(key, &wrong);
}

static void *thread(void *) {
    PL_KEEP(per_thread.when);
    pthread_setspecific(key, &moments);
    moment("thread");
    return nullptr;
}

static pthread_barrier_t detached_done;

static void *detached(void *) {
    moment("detached thread");
    pthread_barrier_wait(&detached_done);
    return nullptr;
}

static void run_threads() {
    pthread_t id;
    pthread_key_create(&key, end_of_key);
    pthread_create(&id, nullptr, thread, nullptr);
    pthread_join(id, nullptr);
    pthread_barrier_init(&detached_done, nullptr, 2);
    pthread_create(&id, nullptr, detached, nullptr);
    pthread_detach(id);
    pthread_barrier_wait(&detached_done);
}

static int ended_well(pid_t child) {
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void run_processes(char **argv) {
    char quick[] = "quick";
    char *arguments[] = {argv[0], quick, nullptr};
    pid_t child = fork();
    if (child == 0) {
        moment("child of fork");
        std::thread([] { moment("thread of a child"); }).join();
        _exit(wrong);
    }
    wrong |= !ended_well(child);
    moment("after fork");
    child = vfork();
    if (child == 0) {
        execv(argv[0], arguments);
        _exit(9);
    }
    wrong |= !ended_well(child);
    moment("after vfork and exec");
    wrong |= posix_spawn(&child, argv[0], nullptr, nullptr, arguments, environ) != 0;
    wrong |= !ended_well(child);
    moment("after posix_spawn");
    wrong |= std::system("exit 0") != 0;
    moment("after system");
}

int main(int argc, char **argv) {
    if (argc > 1) { // what fork's relatives start
        moment("started program");
        _exit(wrong);
    }
    std::atexit([] { moment("atexit"); });
    moment("main");
    run_threads();
    run_processes(argv);
    std::fflush(stdout);
    return wrong;
}
