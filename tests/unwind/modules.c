/* Libraries that come and go, by their paths: A, B (as long as A), and one with holes.

       modules A.so B.so holes.so */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

typedef int plugin(int (*then)(void));

static uintptr_t pcs[16];
static int depth;

__attribute__((noinline)) static int look(void)
{
    pli_regs here = pli_regs_here_sig();
    depth = pli_unwind_sig(&here, pcs, 16);
    return depth;
}

/* Calls the library's function, whose caller is then in pcs. */
static void *run(const char *path, const char *name, uintptr_t *function)
{
    void *library = dlopen(path, RTLD_NOW);
    *function = (uintptr_t)(library ? dlsym(library, name) : NULL);
    if (*function)
        ((plugin *)*function)(look);
    return library;
}

static bool sampled_in(uintptr_t function)
{
    for (int i = 0; i < depth; i++)
        if (pcs[i] >= function && pcs[i] < function + 256)
            return true;
    return false;
}

static const char *path_at(uintptr_t pc, uint32_t epoch)
{
    const pli_module *m = pli_module_at(pc, epoch);
    return m ? m->path : "none";
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcmp(text + size - tail, end) == 0;
}

/* How libc itself unloads: past any hook. */
static int unload_quietly(void *library)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    int (*close)(void *);
    *(void **)&close = libc ? dlsym(libc, "dlclose") : NULL;
    return close ? close(library) : -1;
}

/* Loaded after the list was made, and gone before the next one is. */
static void test_between_refreshes(char **paths)
{
    uintptr_t function;
    void *library = run(paths[1], "plugin_a", &function);
    uint32_t epoch = pli_modules_epoch_sig();
    ok(sampled_in(function) && depth >= 4, "a new library is walked through (%d deep)", depth);
    dlclose(library);
    pli_modules_refresh();
    ok(ends_with(path_at(function, epoch), "/a.so"), "what was sampled in it keeps its name: %s",
       path_at(function, epoch));
    ok(path_at(function, epoch)[0] == '/', "by an absolute path");
}

static void test_same_address(char **paths)
{
    uintptr_t a, b;
    void *library = run(paths[1], "plugin_a", &a);
    uint32_t first = pli_modules_epoch_sig();
    dlclose(library);
    library = run(paths[2], "plugin_b", &b);
    uint32_t second = pli_modules_epoch_sig();
    pli_modules_refresh();
    if (a != b)
        skip("two libraries at one address", "they were put elsewhere");
    else
        ok(ends_with(path_at(a, first), "/a.so") && ends_with(path_at(b, second), "/b.so"),
           "each keeps its name: %s, %s", path_at(a, first), path_at(b, second));
    dlclose(library);
}

static void test_coming_back(char **paths)
{
    uintptr_t function;
    size_t before = pli_modules.count;
    for (int i = 0; i < 1000; i++)
        dlclose(run(paths[1], "plugin_a", &function));
    ok(pli_modules.count <= before + 1, "a library that comes back is the same one (%zu, then %zu)",
       before, pli_modules.count);
}

/* Puts b in the place of a, noticed only afterwards. Returns whether the place was the same. */
static bool replace_quietly(char **paths, uintptr_t *function, uint32_t *first, uint32_t *second)
{
    uintptr_t b;
    void *library = run(paths[1], "plugin_a", function);
    pli_modules_refresh();
    ((plugin *)*function)(look);
    *first = pli_modules_epoch_sig();
    if (unload_quietly(library) != 0)
        return false;
    library = run(paths[2], "plugin_b", &b);
    pli_modules_refresh();
    *second = pli_modules_epoch_sig();
    dlclose(library);
    return *function == b;
}

static void test_replaced_quietly(char **paths)
{
    uintptr_t pc;
    uint32_t first, second;
    for (int i = 0; i < 20; i++) {
        if (!replace_quietly(paths, &pc, &first, &second))
            continue;
        ok(ends_with(path_at(pc, first), "/a.so") && ends_with(path_at(pc, second), "/b.so"),
           "replaced without a word: %s, %s", path_at(pc, first), path_at(pc, second));
        return;
    }
    skip("replaced without a word", "they were never put at one place");
}

/* Two libraries that take turns at one place, each sampled: lists and epochs stay bounded. */
static void test_taking_turns(char **paths)
{
    uintptr_t a, b;
    for (int i = 0; i < 2 * PLI_EPOCHS_MAX; i++) {
        dlclose(run(paths[1], "plugin_a", &a));
        dlclose(run(paths[2], "plugin_b", &b));
    }
    ok(pli_modules.count <= PLI_EPOCHS_MAX + 16, "the list ends (%zu)", pli_modules.count);
    ok(pli_modules.epoch <= PLI_EPOCHS_MAX, "and so do epochs (%u)", pli_modules.epoch);
    void *library = run(paths[1], "plugin_a", &a);
    is_int(pli_modules_refresh(), PL_OK, "libraries are still listed");
    ok(sampled_in(a) && depth >= 4, "and walked through (%d deep)", depth);
    dlclose(library);
}

/* A stack whose words point to `word` and into its neighbourhood, from where nothing is known. */
static int walk_words(uintptr_t word)
{
    uintptr_t words[PLI_GUESS_WORDS + 8];
    pli_regs lost = {64, (uintptr_t)words, 0, word};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = word + 64 * i;
    return pli_unwind_sig(&lost, pcs, 16);
}

/* Words that look like code. */
static void test_stale_words(char **paths)
{
    uintptr_t function;
    void *library = run(paths[1], "plugin_a", &function);
    pli_modules_refresh();
    if (unload_quietly(library) != 0)
        return skip("gone without a word", "this libc cannot");
    ok(walk_words(function) >= 1, "a library that has gone without a word is not read");
}

static void test_holes(char **paths)
{
    uintptr_t function;
    void *library = run(paths[3], "plugin_holes", &function);
    Dl_info info;
    ok(library && dladdr((void *)function, &info) != 0, "a library with holes");
    for (uintptr_t at = (uintptr_t)info.dli_fbase; at < function + 0x10000; at += 0x10000)
        walk_words(at);
    ok(true, "its holes are not read");
    dlclose(library);
}

/* The bounds of a function of a library that is going away. */
static void test_bounds(char **paths)
{
    uintptr_t function, start = 0, end = 0;
    void *library = run(paths[1], "plugin_a", &function);
    pli_modules_refresh();
    const pli_module *m = pli_module_at(function, pli_modules_epoch_sig());
    ok(m && pli_unwind_function(m, function + 3, &start, &end) && start == function && end > start,
       "bounds of a function");
    dlclose(library);
    pli_modules_refresh();
    ok(m && !pli_unwind_function(m, function + 3, &start, &end), "none when its library is gone");
}

static void test_main(void)
{
    const pli_module *m = pli_module_at((uintptr_t)test_main, pli_modules_epoch_sig());
    char path[4096];
    ok(m && m->is_main && realpath(m->path, path) && ends_with(path, "/modules"),
       "the program: %s", m ? m->path : "none");
    int vdsos = 0;
    for (m = pli_modules.all; m; m = m->next)
        vdsos += strcmp(m->path, "[vdso]") == 0;
    is_int(vdsos, getauxval(AT_SYSINFO_EHDR) != 0, "the kernel's library is listed once");
}

int main(int argc, char **argv)
{
    if (argc != 4 || pli_modules_refresh() != PL_OK)
        return 2;
    test_main();
    test_replaced_quietly(argv);
    if (PLI_INTERPOSE) { /* else nobody sees them go */
        test_between_refreshes(argv);
        test_same_address(argv);
        test_taking_turns(argv);
    }
    test_coming_back(argv);
    test_bounds(argv);
    test_holes(argv);
    test_stale_words(argv);
    return done();
}
