/* The list of loaded modules: libraries that come and go, also while signals pour in. */
/* run: upto=cpu flags=-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"
#include <sys/wait.h>

static char folder[64];

/* The path of a file in the test's folder; two at a time. */
static const char *in_folder(const char *name)
{
    static char paths[2][128];
    static int turn;
    turn = !turn;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", folder, name);
    return paths[turn];
}

/* Builds a library whose function `spin` runs for a while and returns `number`. */
static bool build(const char *name, int number)
{
    char command[400];
    snprintf(command, sizeof command,
             "echo 'int spin(int n) { for (volatile int i = 0; i < n; i++) "
             "{} return %d; }' | ${CC:-cc} -O1 -shared -fPIC -x c - -o %s/%s.so", number, folder,
             name);
    return system(command) == 0;
}

/* A library that is loaded: its function and its module. */
typedef struct loaded { void *handle; int (*spin)(int n); uintptr_t pc; } loaded;

static loaded load(const char *name)
{
    loaded l = {dlopen(in_folder(name), RTLD_NOW | RTLD_LOCAL), NULL, 0};
    if (l.handle)
        *(void **)&l.spin = dlsym(l.handle, "spin");
    l.pc = (uintptr_t)l.spin;
    pli_modules_refresh();
    return l;
}

static void unload(loaded *l)
{
    dlclose(l->handle);
    pli_modules_refresh(); /* beside a sanitizer, dlclose is not hooked */
}

static const pli_module *module_of(const loaded *l)
{
    return pli_module_at(l->pc, pli_modules_epoch_sig());
}

/* As a handler does that meets the module in a stack. */
static void sample(const loaded *l)
{
    uintptr_t pcs[4];
    pli_regs regs;
    memset(&regs, 0, sizeof regs);
    regs.pc = l->pc;
    pli_unwind_sig(&regs, pcs, 4);
}

static bool is_path(const pli_module *m, const char *name)
{
    return m && strcmp(m->path, in_folder(name)) == 0;
}

/* -- What is loaded -- */

static void test_listed(void)
{
    int vdso = 0, mains = 0;
    for (const pli_module *m = pli_modules.all; m; m = m->next) {
        vdso += strcmp(m->path, "[vdso]") == 0;
        mains += m->is_main;
    }
    is_int(vdso, getauxval(AT_SYSINFO_EHDR) != 0, "the vdso is listed once");
    is_int(mains, 1, "one module is the program");
    ok(pli_modules.all->is_main, "the first");
    char self[300] = "";
    ok(readlink("/proc/self/exe", self, sizeof self - 1) > 0, "the program has a path");
    is_str(pli_modules.all->path, self, "which is its module's");
    const pli_module *libc = pli_module_at((uintptr_t)&getppid, 0);
    ok(libc && libc->texts >= 1 && libc->tables.hdr > libc->start && libc->tables.hdr < libc->end,
       "a module's code and tables");
    ok(libc && libc->build_id_size > 0, "and its build id");
    ok(pli_module_at(8, 0) == NULL, "no module where nothing is");
}

static void test_refresh_is_idle(void)
{
    const pli_code_map *map = pli_modules.map;
    uint32_t generation = pli_modules.generation;
    is_int(pli_modules_refresh(), PL_OK, "a refresh");
    ok(pli_modules.map == map && pli_modules.generation == generation,
       "does nothing when nothing was loaded");
}

/* -- Epochs -- */

static void test_same_address(void)
{
    loaded a = load("a.so");
    uint32_t before = pli_modules_epoch_sig();
    ok(is_path(module_of(&a), "a.so"), "a library is found by its code");
    sample(&a);
    unload(&a);
    uint32_t between = pli_modules_epoch_sig();
    is_int(between, before + 1, "unloading what was sampled ends an epoch");
    loaded b = load("b.so");
    if (b.pc != a.pc)
        return skip("another library at the same address", "it was loaded elsewhere");
    ok(is_path(module_of(&b), "b.so"), "the library that took its place is found there now");
    ok(is_path(pli_module_at(a.pc, before), "a.so"), "and the old one in the old epoch");
    sample(&b);
    unload(&b);
    ok(is_path(pli_module_at(a.pc, between), "b.so"), "both are known when both are gone");
    ok(is_path(pli_module_at(a.pc, before), "a.so"), "each in its epoch");
}

static void test_not_sampled(void)
{
    loaded c = load("c.so");
    uint32_t epoch = pli_modules_epoch_sig();
    unload(&c);
    is_int(pli_modules_epoch_sig(), epoch, "unloading what was not sampled ends no epoch");
    loaded d = load("d.so");
    ok(is_path(module_of(&d), "d.so"), "the next one is found");
    unload(&d);
}

static void test_comes_back(void)
{
    loaded e = load("e.so");
    const pli_module *first = module_of(&e);
    sample(&e);
    uint32_t epoch = pli_modules_epoch_sig();
    size_t count = pli_modules.count;
    bool same = first != NULL;
    for (int i = 0; i < 20; i++) {
        uintptr_t pc = e.pc;
        unload(&e);
        e = load("e.so");
        same = same && (e.pc != pc || module_of(&e) == first);
        sample(&e);
    }
    ok(same, "a library that comes back is the same module");
    ok(pli_modules.count == count, "and not listed again");
    ok(pli_module_at(e.pc, epoch) == first, "found in every epoch");
    unload(&e);
}

/* -- Paths -- */

static void test_deleted_library(void)
{
    loaded f = load("f.so");
    unlink(in_folder("f.so"));
    pli_modules_refresh();
    ok(is_path(module_of(&f), "f.so"), "a deleted library keeps its name");
    unload(&f);
}

/* What a child prints that is started in one way or another. */
static const char *said_by(const char *program, const char *const *arguments)
{
    static char said[300];
    int ends[2];
    memset(said, 0, sizeof said);
    if (pipe(ends) != 0)
        return "no pipe";
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execv(program, (char *const *)arguments);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t n, used = 0; (n = read(ends[0], said + used, sizeof said - 1 - (size_t)used)) > 0;)
        used += n;
    close(ends[0]);
    waitpid(pid, NULL, 0);
    return said;
}

/* The child: where the program's own code comes from. */
static int say_main(const char *delete)
{
    if (delete)
        unlink(delete);
    pli_modules_refresh();
    printf("%s\n", pli_module_at((uintptr_t)say_main, 0)->path);
    return 0;
}

static void test_main_path(const char *self)
{
    char want[400], copy[100], command[500];
    const pli_module *loader = NULL;
    for (const pli_module *m = pli_modules.all; m; m = m->next)
        if (strstr(m->path, "/ld-"))
            loader = m;
    snprintf(want, sizeof want, "%s\n", self);
    const char *by_loader[] = {"ld.so", self, "say", NULL};
    if (loader)
        is_str(said_by(loader->path, by_loader), want, "the program's path, started by the loader");
    else
        skip("the program's path, started by the loader", "there is no loader");
    snprintf(copy, sizeof copy, "%s", in_folder("copy"));
    snprintf(command, sizeof command, "cp '%s' '%s'", self, copy);
    snprintf(want, sizeof want, "%s\n", copy);
    const char *deleted[] = {copy, "say", copy, NULL};
    if (ok(system(command) == 0, "a copy of the program"))
        is_str(said_by(copy, deleted), want, "a deleted program keeps its name");
}

/* -- A storm -- */

#define ROUNDS 10000

static void test_storm(void)
{
    pl_cpu_desc desc = {.hz = 10000};
    loaded a = load("a.so"), b = load("b.so");
    unload(&a);
    unload(&b);
    size_t count = 0;
    int wrong = 0, result = pl_cpu_start(&desc);
    for (int i = 0; i < ROUNDS; i++) {
        void *handle = dlopen(in_folder("a.so"), RTLD_NOW);
        int (*spin)(int n);
        *(void **)&spin = handle ? dlsym(handle, "spin") : NULL;
        wrong += !spin || spin(3000) != 1;
        wrong += !handle || dlclose(handle) != 0;
        if (i == ROUNDS / 10)
            count = pli_modules.count;
    }
    is_int(result, PL_OK, "profiling %d times loading and unloading", ROUNDS);
    is_int(pl_cpu_stop(), PL_OK, "came to its end");
    is_int(wrong, 0, "each time the library worked");
    ok(pli_modules.count == count, "the list did not grow (%zu)", pli_modules.count);
    ok(pli_modules.frozen == 0 && pli_modules.readers == 0, "nothing is left under way");
}

/* Two threads at once: each unloads while handlers of the other are in its library. */
static void *come_and_go(void *name)
{
    long wrong = 0;
    for (int i = 0; i < ROUNDS / 10; i++) {
        void *handle = dlopen((const char *)name, RTLD_NOW);
        int (*spin)(int n);
        *(void **)&spin = handle ? dlsym(handle, "spin") : NULL;
        wrong += !spin || spin(3000) <= 0;
        wrong += !handle || dlclose(handle) != 0;
    }
    return (void *)wrong;
}

static void test_storm_of_threads(void)
{
    pl_cpu_desc desc = {.hz = 10000};
    pthread_t threads[3];
    char names[3][128];
    void *wrong;
    long all = 0;
    is_int(pl_cpu_start(&desc), PL_OK, "profiling threads that load and unload");
    for (int i = 0; i < 3; i++) {
        snprintf(names[i], sizeof names[i], "%s", in_folder(i == 0 ? "a.so" : i == 1 ? "b.so" :
                                                            "c.so"));
        pthread_create(&threads[i], NULL, come_and_go, names[i]);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &wrong);
        all += (long)wrong;
    }
    is_int(pl_cpu_stop(), PL_OK, "came to its end");
    is_int(all, 0, "each time the libraries worked");
}

static void clean_up(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        diag("%s is left behind", folder);
}

int main(int argc, char **argv)
{
    char self[300] = "";
    if (argc > 1)
        return say_main(argc > 2 ? argv[2] : NULL);
    snprintf(folder, sizeof folder, "/tmp/perflab-module-XXXXXX");
    if (!mkdtemp(folder) || readlink("/proc/self/exe", self, sizeof self - 1) < 0 ||
        !build("a", 1) || !build("b", 2) || !build("c", 3) || !build("d", 4) || !build("e", 5) ||
        !build("f", 6)) {
        ok(0, "libraries to load");
        return done();
    }
    pli_modules_refresh();
    test_listed();
    test_refresh_is_idle();
    test_same_address();
    test_not_sampled();
    test_comes_back();
    test_deleted_library();
    test_main_path(self);
    test_storm();
    test_storm_of_threads();
    clean_up();
    return done();
}
