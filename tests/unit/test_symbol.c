/* Names for addresses: ranges, aliases, labels, IFUNCs, the vdso, C++, hostile tables. */
/* run: upto=frame flags=-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

/* Functions whose bounds and names are known to the byte:

       sized_code   10 bytes and a gap of 30 that belongs to nobody
       plain_label  a label without type and size, which reaches to the next symbol
       outer_code   30 bytes with a label in the middle
       open_code    a function of size 0, whose FDE ends before the next symbol
       two names    at one address, in all the ways in which one is better than the other
       _ZN4shop4sellEi   a C++ name, cut and whole */
__asm__(".pushsection .text, \"ax\"\n"
        ".globl sized_code\n.type sized_code, %function\n"
        "sized_code: .skip 10, 0x90\n.size sized_code, 10\n.skip 30, 0xcc\n"
        ".globl fence_code\n.type fence_code, %function\n"
        "fence_code: .skip 8, 0x90\n.size fence_code, 8\n"
        "plain_label: .skip 20, 0x90\n"
        ".globl outer_code\n.type outer_code, %function\n"
        "outer_code: .skip 10, 0x90\n"
        "inner_label: .skip 20, 0x90\n.size outer_code, 30\n"
        ".globl __hidden_thing\n.type __hidden_thing, %function\n"
        ".globl thing_longer\n.type thing_longer, %function\n"
        ".globl thing\n.type thing, %function\n"
        ".type a, %function\n"
        "__hidden_thing: thing_longer: thing: a: .skip 16, 0x90\n"
        ".size thing, 16\n.size __hidden_thing, 16\n.size thing_longer, 16\n.size a, 16\n"
        ".weak bthing\n.type bthing, %function\n"
        ".globl strong_thing\n.type strong_thing, %function\n"
        "bthing: strong_thing: .skip 16, 0x90\n.size bthing, 16\n.size strong_thing, 16\n"
        ".type local_copy.constprop.0, %function\n"
        "local_copy.constprop.0: .skip 16, 0x90\n.size local_copy.constprop.0, 16\n"
        ".globl _ZN4shop4sellEi\n.type _ZN4shop4sellEi, %function\n"
        "_ZN4shop4sellEi: .skip 16, 0x90\n.size _ZN4shop4sellEi, 16\n"
        ".globl open_code\n.type open_code, %function\n"
        "open_code: .cfi_startproc\n.skip 12, 0x90\n.cfi_endproc\n.skip 20, 0xcc\n"
        ".globl last_code\n.type last_code, %function\n"
        "last_code: .skip 16, 0x90\n.size last_code, 16\n"
        ".popsection\n");

extern const char sized_code[], fence_code[], outer_code[], thing[], strong_thing[], last_code[];
extern const char mangled_code[] __asm__("_ZN4shop4sellEi");
extern const char open_code[];

/* Stands in for the C++ runtime's. */
static int demangled;
char *__cxa_demangle(const char *name, char *out, size_t *size, int *status);
char *__cxa_demangle(const char *name, char *out, size_t *size, int *status)
{
    (void)out, (void)size;
    demangled++;
    *status = strcmp(name, "_ZN4shop4sellEi") == 0 ? 0 : -2;
    return *status == 0 ? strdup("shop::sell(int)") : NULL;
}

static pl_frame at(const void *pc)
{
    pl_frame f;
    pl_symbolize(pc, &f);
    return f;
}

static void test_ranges(void)
{
    pl_frame f = at(sized_code + 9);
    is_str(f.function, "sized_code", "the last byte of a function is its own");
    is_int((long long)f.offset, 9, "with its offset");
    f = at(sized_code + 10);
    ok(f.function[0] == '[', "the byte behind it is not (%s)", f.function);
    ok(strcmp(f.function, at(sized_code + 39).function) == 0, "and a gap has one name");
    is_str(at(fence_code).function, "fence_code", "the first byte of the next function");
    f = at(fence_code + 8 + 19);
    is_str(f.function, "plain_label", "a label reaches to the next symbol");
    is_int((long long)f.offset, 19, "and is where offsets count from");
    f = at(outer_code + 25);
    is_str(f.function, "outer_code", "a label inside a function does not divide it");
    is_int((long long)f.offset, 25, "nor change offsets");
}

static void test_open(void)
{
    is_str(at(open_code + 11).function, "open_code", "a function without size is its FDE's");
    ok(strcmp(at(open_code + 12).function, "open_code") != 0, "and no more than that (%s)",
       at(open_code + 12).function);
    is_str(at(last_code).function, "last_code", "then the next function begins");
}

static void test_aliases(void)
{
    is_str(at(thing + 3).function, "thing",
           "of several names the exported, short one without underscores is shown");
    is_str(at(strong_thing).function, "strong_thing", "a strong name goes before a weak one");
    is_str(at(strong_thing + 16).function, "local_copy", "what compilers append is cut off");
}

static void test_cxx(void)
{
    pl_frame f = at(mangled_code + 1);
    is_str(f.function, "shop::sell(int)", "C++ names are shown as people write them");
    int before = demangled;
    ok(at(mangled_code).function == f.function, "the same text each time");
    is_int(demangled, before, "made only once");
}

static void test_refusals(void)
{
    pl_frame f;
    is_int(pl_symbolize((const void *)16, &f), PL_INVALID, "an address of nobody is refused");
    is_str(f.function, "[unknown]", "and has a name to print");
    is_str(f.module, "", "but no module");
    is_int(pl_symbolize(thing, NULL), PL_INVALID, "nowhere to write to");
    is_int(pl_symbolize(thing, &f), PL_OK, "a known address is not refused");
    ok(f.file == NULL && f.line == 0 && f.pc == thing, "source lines are not known");
}

static void test_modules(void)
{
    char path[4096] = "";
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    ok(size > 0 && strcmp(at(thing).module, path) == 0, "the module is the program");
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    if (!libc) {
        skip("names of libc", "another libc");
        return;
    }
    static const char *const names[] = {"printf", "strlen", "memcpy", "memcmp", "strchr", "memset",
                                        "write", "fopen", "strtol"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        is_str(at((const char *)dlsym(libc, names[i]) + 1).function, names[i],
               "libc's %s is called so, whichever variant it is", names[i]);
    ok(strstr(at(dlsym(libc, "write")).module, "/libc.so") != NULL, "its module is libc");
}

static void test_vdso(void)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    const void *time_code = libc ? dlsym(libc, "time") : NULL;
    pl_frame f = at(time_code);
    if (strcmp(f.module, "[vdso]") != 0) {
        skip("names of the vdso", "libc does not hand its addresses out here");
        return;
    }
    is_str(f.function, "time", "a function of the vdso has its name");
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    ok(at(base + 1).function[0] == '[', "a place in it without function says so");
}

#if !PLI_SANITIZER
static int chosen(int x)
{
    PL_CLOBBER();
    return x + 1;
}

typedef int variant(int x);
__attribute__((used)) static variant *choose(void)
{
    return chosen;
}

__attribute__((ifunc("choose"))) int variant_of(int x);

static void test_ifunc(void)
{
    ok(variant_of(1) == 2, "an IFUNC of the program");
    is_str(at((const char *)chosen + 1).function, "variant_of", "names what it stands for");
}

/* In an emergency nothing may be allocated: the tables are read as for the first time. */
static void test_emergency(void)
{
    pl_memstats before, after;
    for (pli_module *m = pli_modules.all; m; m = m->next)
        m->symbols = NULL;
    pl_memstats_read(&before);
    uint32_t epoch = pli_modules_epoch_sig();
    pli_place mine = pli_place_at((uintptr_t)thing, epoch, true);
    pli_place cxx = pli_place_at((uintptr_t)mangled_code, epoch, true);
    pli_place libc = pli_place_at((uintptr_t)dlsym(RTLD_NEXT, "strlen"), epoch, true);
    pl_memstats_read(&after);
    is_int(after.mallocs - before.mallocs, 0, "in an emergency nothing is allocated");
    is_str(mine.shown, "thing", "names are found");
    is_str(cxx.shown, "_ZN4shop4sellEi", "C++'s as the linker knows them");
    is_str(libc.shown, "strlen", "and libc's as at other times");
    is_str(pli_place_at((uintptr_t)chosen + 1, epoch, true).shown, "chosen",
           "no code of others is asked");
    is_str(at(mangled_code).function, "shop::sell(int)", "later C++ names are read");
    is_str(at((const char *)chosen + 1).function, "variant_of", "and IFUNCs asked");
}
#else
static void test_ifunc(void)
{
    skip("IFUNC", "its resolver runs before the sanitizer does");
}

static void test_emergency(void)
{
    skip("emergency", "allocations are not counted beside a sanitizer");
}
#endif

/* -- Files that are not what they should be -- */

static int elf_copy(const void *bytes, size_t size)
{
    int fd = (int)syscall(SYS_memfd_create, "elf", 0);
    if (write(fd, bytes, size) != (ssize_t)size)
        return -1;
    return fd;
}

static bool elf_taken(const void *bytes, size_t size)
{
    pli_elf elf;
    bool taken = pli_elf_use(&elf, elf_copy(bytes, size));
    pli_elf_close(&elf);
    return taken;
}

static void test_foreign_files(void)
{
    static unsigned char file[1 << 22];
    int fd = open("/proc/self/exe", O_RDONLY);
    ssize_t size = read(fd, file, sizeof file);
    close(fd);
    ok(size > 1000 && elf_taken(file, (size_t)size), "this program's file is read");
    ElfW(Ehdr) *head = (ElfW(Ehdr) *)(void *)file, saved = *head;
    head->e_ident[EI_CLASS] = 3 - head->e_ident[EI_CLASS];
    ok(!elf_taken(file, (size_t)size), "one of other width is not");
    *head = saved;
    head->e_ident[EI_DATA] = 3 - head->e_ident[EI_DATA];
    ok(!elf_taken(file, (size_t)size), "nor one of the other byte order");
    *head = saved;
    head->e_machine = EM_S390;
    ok(!elf_taken(file, (size_t)size), "nor one for another processor");
    *head = saved;
    head->e_shoff = (uint64_t)size - 8;
    ok(!elf_taken(file, (size_t)size), "nor one whose sections lie outside");
    ok(!elf_taken(file, 40), "nor half a header");
    ok(!elf_taken("#!/bin/sh\n", 10), "nor a script");
}

static void test_sort(void)
{
    static pli_pair pairs[5000], scratch[5000];
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < 5000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        pairs[i] = (pli_pair){random % 1000 << (i % 3 ? 40 : 0), i};
    }
    pli_sort(pairs, scratch, 5000);
    int wrong = 0;
    for (size_t i = 1; i < 5000; i++)
        wrong += pairs[i - 1].key > pairs[i].key ||
                 (pairs[i - 1].key == pairs[i].key && pairs[i - 1].value > pairs[i].value);
    is_int(wrong, 0, "5000 pairs in order, equal ones as they were");
    pli_sort(pairs, scratch, 0);
    ok(1, "and none at all");
}

static void *symbolize_all(void *unused)
{
    for (int i = 0; i < 200; i++)
        if (strcmp(at(thing + i % 16).function, "thing") != 0)
            return (void *)1;
    return unused;
}

/* Each of them may find the tables missing. */
static void test_threads(void)
{
    pthread_t threads[8];
    intptr_t wrong = 0;
    for (pli_module *m = pli_modules.all; m; m = m->next)
        m->symbols = NULL;
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, symbolize_all, NULL);
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (intptr_t)result;
    }
    is_int(wrong, 0, "threads that ask at once get the same answer");
}

int main(void)
{
    test_ranges();
    test_open();
    test_aliases();
    test_cxx();
    test_refusals();
    test_modules();
    test_vdso();
    test_ifunc();
    test_emergency();
    test_foreign_files();
    test_sort();
    test_threads();
    return done();
}
