/* What was made since a mark and is still there: blocks, descriptors, threads. */
/* run: upto=leak flags=-fno-builtin,-fno-optimize-sibling-calls,-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What there is to count: in a sanitizer build no blocks, and no stacks. */
enum { WATCHED = PLI_INTERPOSE };

static char report[1 << 20];
static pl_leak_baseline mark;

/* Checks, keeps the text in report, and returns how many leaks there are. */
static long long check(const pl_leak_desc *desc)
{
    static FILE *out;
    if (!out && !(out = tmpfile()))
        abort();
    rewind(out);
    long long leaks = pl_leak_check(&mark, desc, out);
    size_t size = (size_t)ftell(out);
    rewind(out);
    report[fread(report, 1, size, out)] = '\0';
    return leaks;
}

/* The stack below a line of the report begins with this function. */
static int begins_with(const char *line, const char *function)
{
    const char *at = strstr(report, line), *first = at ? strstr(at, "#0 ") : NULL;
    char name[80];
    snprintf(name, sizeof name, "  %s+0x", function);
    return first && strcspn(first, "\n") > (size_t)(strstr(first, name) - first);
}

static int says(const char *text)
{
    if (strstr(report, text))
        return 1;
    diag("not said: %s; in:\n%.1500s", text, report);
    return 0;
}

/* Overwrites what earlier calls have left on the stack. */
PL_NOINLINE static void wipe_stack(void)
{
    volatile char old[32 << 10];
    for (size_t i = 0; i < sizeof old; i++)
        old[i] = 0;
}

/* -- blocks -- */

PL_NOINLINE static void *make(size_t size)
{
    void *p = malloc(size);
    memset(p, 7, size);
    PL_CLOBBER();
    return p;
}

/* Pointers that no search finds. */
static uintptr_t hidden[1000];

PL_NOINLINE static void lose(int i, size_t size)
{
    hidden[i] = ~(uintptr_t)make(size);
    PL_CLOBBER();
}

static void *found(int i)
{
    return (void *)~hidden[i];
}

PL_NOINLINE static void test_nothing(void)
{
    is_int(pl_leak_mark(&mark), PL_OK, "a mark");
    for (int i = 0; i < 1000; i++)
        free(realloc(make((size_t)i + 1), (size_t)i * 2 + 1));
    printf("# a line, for which stdout may need a buffer\n");
    is_int(check(NULL), 0, "what was freed is no leak");
    ok(says("perflab: 0 leaks: 0 bytes in 0 blocks, 0 descriptors, 0 threads\n"), "and it says so");
}

PL_NOINLINE static void test_lost(void)
{
    int ten = 10;
    PL_HIDE(ten); /* or the loop would become ten calls, which are ten stacks */
    pl_leak_mark(&mark);
    for (int i = 0; i < ten; i++)
        lose(i, 100);
    lose(10, 5000);
    wipe_stack();
    is_int(check(NULL), 11, "blocks without a pointer");
    ok(says("lost: 5000 bytes in 1 block, allocated at\n") ||
       says("lost: 5016 bytes in 1 block, allocated at\n"), "with their bytes");
    ok(begins_with("lost: 5", "make"), "and the stack that made them");
    /* Some old word may look like a pointer to one of them: that is how such a search errs. */
    const char *many = strstr(report, "lost: 5");
    long blocks = 0;
    while (many && blocks < 7 && (many = strstr(many + 1, "lost: ")) != NULL)
        sscanf(many, "lost: %*d bytes in %ld blocks", &blocks);
    ok(blocks >= 7, "those of one stack together, the most bytes first");
    for (int i = 0; i < 11; i++)
        free(found(i));
    is_int(check(NULL), 0, "once freed, they are none");
}

/* A cache that only grows. */
typedef struct node { struct node *next; char text[56]; } node;
static node *cache;
static _Thread_local node *own_cache;

PL_NOINLINE static void grow(node **head, int count)
{
    for (int i = 0; i < count; i++) {
        node *n = make(sizeof *n);
        n->next = *head;
        *head = n;
    }
    PL_CLOBBER();
}

static void drop(node **head)
{
    for (node *n = *head; n; n = *head) {
        *head = n->next;
        free(n);
    }
}

PL_NOINLINE static void test_reachable(void)
{
    const pl_leak_desc lost_only = {.lost_only = 1};
    pl_leak_mark(&mark);
    grow(&cache, 100);
    grow(&own_cache, 50);
    is_int(check(NULL), 150, "blocks that can be reached count");
    ok(says("reachable: ") && says(" 100 blocks, allocated at\n") &&
       says(" 50 blocks, allocated at\n"), "through a list that begins in data, or is a thread's");
    ok(!strstr(report, "lost: 7"), "none of them is called lost");
    is_int(check(&lost_only), 0, "and do not when only lost ones are asked for");
    ok(says("# not counted, since still reachable: "), "which is said");
    drop(&cache);
    drop(&own_cache);
}

/* Only memory from before the mark points to it. */
PL_NOINLINE static void test_unclear(void)
{
    node *volatile *box;
    pl_leak_stop();
    box = make(600);
    pl_leak_mark(&mark);
    lose(0, 300);
    box[30] = found(0);
    hidden[1] = ~(uintptr_t)box;
    box = NULL;
    wipe_stack();
    is_int(check(NULL), 1, "a block in an older one");
    ok(says("\n  unclear: 3"), "is called unclear");
    box = found(1);
    box[30] = NULL;
    free(found(0));
    free((void *)box);
}

static char *volatile inside;

PL_NOINLINE static void test_inner_pointers(void)
{
    pl_leak_mark(&mark);
    lose(0, 400);
    inside = (char *)found(0) + 200;
    wipe_stack();
    is_int(check(NULL), 1, "a pointer into a block");
    ok(says("reachable: "), "keeps it");
    ok(inside != NULL, "while it is there");
    inside = NULL;
    free(found(0));
}

/* Every way to get a block, and to give it back. */
PL_NOINLINE static void test_entry_points(void)
{
    void *p = NULL;
    pl_leak_mark(&mark);
    free(malloc(10));
    free(calloc(3, 10));
    free(realloc(NULL, 10));
    free(realloc(malloc(10), 100000));
    free(reallocarray(NULL, 3, 10));
    is_int(posix_memalign(&p, 64, 100), 0, "posix_memalign");
    free(p);
    free(aligned_alloc(64, 128));
    free(memalign(64, 128));
    free(valloc(10));
    free(malloc(1 << 20));
    is_int(check(NULL), 0, "each entry point is seen, and so is its end");
    p = malloc(50);
    ok(realloc(p, SIZE_MAX / 2) == NULL, "a realloc that fails");
    is_int(check(NULL), 1, "leaves its block");
    free(p);
    is_int(check(NULL), 0, "until it is freed");
}

/* Each leak of a random run is known, with its size. */
PL_NOINLINE static void test_ledger(void)
{
    uint64_t seed = 1;
    int live = 0;
    memset(hidden, 0, sizeof hidden);
    pl_leak_mark(&mark);
    for (int i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned at = (unsigned)(seed >> 33) % 1000;
        if (hidden[at])
            free(found((int)at)), hidden[at] = 0, live--;
        else
            lose((int)at, (size_t)(seed >> 45) % 3000), live++;
    }
    int64_t bytes = 0;
    char line[80];
    for (int i = 0; i < 1000; i++)
        bytes += hidden[i] ? (int64_t)malloc_usable_size(found(i)) : 0;
    is_int(check(NULL), live, "a random run leaves what its ledger says");
    snprintf(line, sizeof line, "%lld bytes in %d blocks,", (long long)bytes, live);
    ok(says(line), "to the byte");
    for (int i = 0; i < 1000; i++)
        free(hidden[i] ? found(i) : NULL);
    is_int(check(NULL), 0, "and none when it is over");
}

/* More blocks than the first level of the table has places. */
PL_NOINLINE static void test_many(void)
{
    enum { MANY = 60000 };
    void **all = calloc(MANY, sizeof *all);
    pl_leak_mark(&mark);
    for (int i = 0; i < MANY; i++)
        all[i] = malloc(24);
    is_int(check(NULL), MANY, "a table that grows");
    for (int i = 0; i < MANY; i++)
        free(all[i]);
    is_int(check(NULL), 0, "and forgets");
    free(all);
}

PL_NOINLINE static void *churn(void *arg)
{
    void *kept[64] = {0};
    for (int i = 0; i < 30000; i++) {
        free(kept[i % 64]);
        kept[i % 64] = malloc((size_t)i % 200 + 1);
    }
    for (int i = 0; i < 64; i++)
        free(kept[i]);
    return arg;
}

/* Nobody takes a lock: nothing is missed, and nothing is left over. */
PL_NOINLINE static void test_threads_allocate(void)
{
    pthread_t thread[4];
    pl_leak_mark(&mark);
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, churn, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    is_int(check(NULL), 0, "threads that allocate at once leave nothing");
}

/* -- descriptors -- */

PL_NOINLINE static void open_all(int *fds)
{
    int n = 0;
    fds[n++] = open("/etc/passwd", O_RDONLY);
    fds[n++] = openat(AT_FDCWD, "/etc/group", O_RDONLY);
    fds[n++] = dup(1);
    fds[n++] = socket(AF_UNIX, SOCK_STREAM, 0);
    fds[n++] = eventfd(0, 0);
    fds[n++] = epoll_create1(0);
    ok(pipe(fds + n) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fds + n + 2) == 0,
       "ten descriptors");
    PL_CLOBBER();
}

PL_NOINLINE static void test_descriptors(void)
{
    int before = open("/etc/hosts", O_RDONLY), fds[10];
    pl_leak_mark(&mark);
    close(open("/etc/hosts", O_RDONLY));
    open_all(fds);
    is_int(check(NULL), 10, "descriptors that are open and were not");
    ok(says("(/etc/passwd), opened") && says("(socket:[") && says("(pipe:["), "and what they are");
    for (int i = 0; WATCHED && i < 9; i += i < 6 ? 1 : 2) { /* a pair has one line */
        char line[32];
        snprintf(line, sizeof line, "  descriptor %d (", fds[i]);
        ok(begins_with(line, "open_all"), "opened by the function that did");
    }
    for (int i = 0; i < 10; i++)
        close(fds[i]);
    is_int(check(NULL), 0, "closed, they are none");
    close(before);
}

PL_NOINLINE static void test_stdio(void)
{
    pl_leak_mark(&mark);
    FILE *volatile f = fopen("/etc/passwd", "r");
    ok(f && fgetc(f) != EOF, "a file");
    is_int(check(NULL), 1, "a file that is open is one leak");
    ok(says(" 0 blocks, 1 descriptor,") && says("(/etc/passwd), opened"), "its descriptor");
    if (WATCHED)
        ok(begins_with("(/etc/passwd), opened", "test_stdio"), "for the function that called it");
    fclose(f);
    is_int(check(NULL), 0, "fclose closes it");
}

/* A number that was closed, and opened again where no hook looks: not for the stack before. */
PL_NOINLINE static void test_reused_number(void)
{
    pl_leak_mark(&mark);
    int fd = open("/etc/passwd", O_RDONLY);
    close(fd);
    int again = (int)syscall(SYS_openat, AT_FDCWD, "/etc/group", O_RDONLY);
    is_int(again, fd, "the same number");
    is_int(check(NULL), 1, "is a leak again");
    ok(says("(/etc/group), opened where perflab does not look\n"), "of somebody else's");
    close(again);
}

/* -- threads -- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go_on = PTHREAD_COND_INITIALIZER;
static int may_end;

PL_NOINLINE static void *wait_for_ever(void *arg)
{
    pthread_mutex_lock(&mutex);
    while (!may_end)
        pthread_cond_wait(&go_on, &mutex);
    pthread_mutex_unlock(&mutex);
    return arg;
}

PL_NOINLINE static pthread_t start_waiter(void *arg)
{
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, arg);
    PL_CLOBBER();
    return thread;
}

static void end_waiters(void)
{
    pthread_mutex_lock(&mutex);
    may_end = 1;
    pthread_cond_broadcast(&go_on);
    pthread_mutex_unlock(&mutex);
}

PL_NOINLINE static void *end_soon(void *arg)
{
    usleep(20000);
    return arg;
}

PL_NOINLINE static void test_threads(void)
{
    const pl_leak_desc at_once = {.wait_ms = -1};
    pthread_t thread = start_waiter(NULL), soon;
    pl_leak_mark(&mark);
    is_int(check(&at_once), 0, "a thread from before is none");
    pthread_t leaked = start_waiter(NULL);
    do
        usleep(1000);
    while (check(&at_once) != 1 || (WATCHED && !strstr(report, "and waits at\n")));
    ok(says(" 1 thread\n"), "a thread that goes on");
    if (WATCHED) {
        ok(says(" runs wait_for_ever, started at\n"), "and what it runs");
        ok(begins_with(" runs wait_for_ever", "start_waiter"), "and who started it");
        ok(says("    and waits at\n") && says("  wait_for_ever+0x"), "and where it waits");
    }
    end_waiters();
    pthread_join(leaked, NULL);
    pthread_join(thread, NULL);
    pthread_create(&soon, NULL, end_soon, NULL);
    pthread_detach(soon);
    is_int(check(&(pl_leak_desc){.wait_ms = 20000}), 0, "one that is about to end is waited for");
    may_end = 0;
}

/* What only a thread that waits points to, from its stack or as the argument of a system call. */
PL_NOINLINE static void *wait_with_block(void *arg)
{
    char *block = make(1000), *volatile kept = make(2000);
    ssize_t n = read(*(int *)arg, block, 1000);
    PL_KEEP(n);
    free(block);
    free(kept);
    return NULL;
}

PL_NOINLINE static void test_stack_of_a_thread(void)
{
    int fds[2];
    pthread_t thread;
    if (pipe(fds) != 0)
        return;
    pl_leak_mark(&mark);
    pthread_create(&thread, NULL, wait_with_block, fds);
    do /* until it is in read, where its registers hold nothing of its own */
        usleep(1000);
    while (check(&(pl_leak_desc){.wait_ms = -1}) < 3 || !strstr(report, "read+0x"));
    ok(says(" 2 blocks, 0 descriptors, 1 thread\n"), "a thread and its blocks");
    ok(says("\n  reachable: 1") && says("\n  reachable: 2"), "which it can reach");
    close(fds[1]);
    pthread_join(thread, NULL);
    close(fds[0]);
}

/* The stack of a thread that has ended is kept by the C library, with all that was in it. */
PL_NOINLINE static void *lose_one(void *arg)
{
    char *volatile block = make(2000);
    hidden[0] = ~(uintptr_t)block;
    return arg;
}

PL_NOINLINE static void test_stack_of_an_ended_thread(void)
{
    pthread_t thread;
    pl_leak_mark(&mark);
    pthread_create(&thread, NULL, lose_one, NULL);
    pthread_join(thread, NULL);
    wipe_stack();
    is_int(check(NULL), 1, "what a thread has left");
    ok(!strstr(report, "reachable: "), "cannot be reached when it has ended");
    free(found(0));
}

/* -- ignoring -- */

PL_NOINLINE static void test_ignore(void)
{
    const char *const function[] = {"nobody", "grow", NULL};
    const char *const pattern[] = {"t?st", "*row", NULL};
    const char *const library[] = {"test_leak*", NULL}, *const other[] = {"gro", "rows", NULL};
    pl_leak_mark(&mark);
    grow(&cache, 10);
    is_int(check(&(pl_leak_desc){.ignore = other}), 10, "names are whole names");
    is_int(check(&(pl_leak_desc){.ignore = function}), 0, "a function to ignore");
    is_int(check(&(pl_leak_desc){.ignore = pattern}), 0, "a pattern to ignore");
    is_int(check(&(pl_leak_desc){.ignore = library}), 0, "a program or library to ignore");
    int fd = open("/etc/passwd", O_RDONLY);
    const char *const here[] = {"test_ignore", NULL};
    is_int(check(&(pl_leak_desc){.ignore = here}), 0, "descriptors too");
    close(fd);
    drop(&cache);
}

/* -- marks -- */

PL_NOINLINE static void test_marks(void)
{
    pl_leak_baseline first, second;
    pl_leak_mark(&first);
    lose(0, 100);
    int fd = eventfd(0, 0);
    pl_leak_mark(&second);
    lose(1, 100);
    is_int(pl_leak_check(&first, NULL, NULL), 3 - !WATCHED * 2, "since the first mark");
    is_int(pl_leak_check(&second, NULL, NULL), WATCHED, "since the second");
    free(found(1));
    is_int(pl_leak_check(&second, NULL, NULL), 0, "which the older ones do not touch");
    free(found(0));
    close(fd);
}

PL_NOINLINE static void test_stop(void)
{
    pl_leak_mark(&mark);
    lose(0, 100);
    pl_leak_stop();
    is_int(pl_leak_check(&mark, NULL, NULL), -PL_INVALID, "after a stop marks are void");
    free(found(0));
    lose(0, 100);
    pl_leak_mark(&mark);
    is_int(pl_leak_check(&mark, NULL, NULL), 0, "a new mark begins anew");
    free(found(0));
    lose(1, 100);
    free(found(1));
    is_int(pl_leak_check(&mark, NULL, NULL), 0, "and goes on");
}

PL_NOINLINE static void test_wrong_use(void)
{
    pl_leak_baseline later = {UINT32_MAX}, never = {0};
    is_int(pl_leak_mark(NULL), PL_INVALID, "no mark to set");
    is_int(pl_leak_check(NULL, NULL, NULL), -PL_INVALID, "no mark to check");
    is_int(pl_leak_check(&later, NULL, NULL), -PL_INVALID, "a mark that never was");
    is_int(pl_leak_check(&never, NULL, NULL), -PL_INVALID, "a zeroed mark");
    pl_leak_mark(&mark);
    FILE *full = fopen("/dev/full", "w");
    is_int(pl_leak_check(&mark, NULL, full), -PL_IO, "a report that cannot be written");
    fclose(full);
}

/* -- fork -- */

/* In the child: what it inherits, and what it makes. */
static int in_child(void)
{
    int fd = eventfd(0, 0), good = 1;
    pl_leak_baseline own;
    good &= pl_leak_check(&mark, NULL, NULL) == 2 + WATCHED; /* both of the parent's, and fd */
    good &= pl_leak_mark(&own) == PL_OK && pl_leak_check(&own, NULL, NULL) == 0;
    lose(1, 100);
    good &= pl_leak_check(&own, NULL, NULL) == WATCHED;
    close(fd);
    return good ? 0 : 1;
}

PL_NOINLINE static void test_fork(void)
{
    int status = -1;
    pl_leak_mark(&mark);
    lose(0, 100);
    int fd = eventfd(0, 0);
    pid_t child = fork();
    if (child == 0)
        _exit(in_child());
    waitpid(child, &status, 0);
    is_int(status, 0, "a child has its parent's marks, and its own");
    is_int(check(NULL), 1 + WATCHED, "the parent does not see the child's");
    close(fd);
    free(found(0));
}

/* -- nothing is found that is not there -- */

PL_NOINLINE static void *use_much(void *arg)
{
    FILE *f = fopen("/etc/passwd", "r");
    char *line = NULL, text[100];
    size_t size = 0;
    while (f && getline(&line, &size, f) > 0)
        continue;
    snprintf(text, sizeof text, "%f %ls", 1.5, L"wide");
    free(line);
    fclose(f);
    free(make(5000));
    return arg;
}

PL_NOINLINE static void test_no_false_alarm(void)
{
    long long leaks = 0;
    pthread_t thread[3];
    for (int round = 0; round < 100; round++) {
        pl_leak_mark(&mark);
        for (int i = 0; i < 3; i++)
            pthread_create(&thread[i], NULL, use_much, NULL);
        use_much(NULL);
        for (int i = 0; i < 3; i++)
            pthread_join(thread[i], NULL);
        long long now = check(NULL);
        if (now && !leaks)
            diag("%s", report);
        leaks += now;
    }
    is_int(leaks, 0, "100 rounds of threads and files leave nothing");
}

int main(void)
{
    check(NULL); /* opens the file for reports */
    pthread_t thread; /* sanitizers start one of their own with the first */
    pthread_create(&thread, NULL, churn, NULL);
    pthread_join(thread, NULL);
    test_wrong_use();
    if (WATCHED) {
        test_nothing();
        test_lost();
        test_reachable();
        test_unclear();
        test_inner_pointers();
        test_entry_points();
        test_ledger();
        test_many();
        test_ignore();
        test_stop();
        test_stack_of_a_thread();
        test_stack_of_an_ended_thread();
        test_fork();
    }
    test_threads_allocate();
    test_descriptors();
    test_stdio();
    test_reused_number();
    test_threads();
    test_marks();
    test_no_false_alarm();
    pl_leak_stop();
    return done();
}
