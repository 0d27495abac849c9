/* Files and lines of addresses, and inlined calls, as the program itself sees them: what is kept,
   in an emergency, after fork. tests/lines compares every address with another reader. */
/* run: upto=stack flags=-fno-optimize-sibling-calls,-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <sys/wait.h>

static void *pcs[64];
static int inner_line, middle_line, outer_line;

/* The line of a call is where it begins: each stands on one line with the note of its number. */
#define NOTE(line) ((line) = __LINE__)

__attribute__((always_inline)) static inline int inner(void)
{
    int depth = (NOTE(inner_line), pl_callers(0, pcs, 64));
    PL_CLOBBER();
    return depth;
}

__attribute__((always_inline)) static inline int middle(void)
{
    int depth = (NOTE(middle_line), inner());
    PL_CLOBBER();
    return depth;
}

PL_NOINLINE static int outer(void)
{
    int depth = (NOTE(outer_line), middle());
    PL_CLOBBER();
    return depth;
}

/* Assembler code in the middle of C: in no function, and between two rows of the line table. */
__asm__(".pushsection .text, \"ax\"\n"
        ".globl foreign_code\n.type foreign_code, %function\n"
        "foreign_code: .skip 16, 0x90\n.size foreign_code, 16\n"
        ".popsection\n");
extern const char foreign_code[];

static bool is_here(const pl_frame *f)
{
    const char *slash = f->file ? strrchr(f->file, '/') : NULL;
    return f->file && f->file[0] == '/' && slash && strcmp(slash, "/test_line.c") == 0;
}

static bool same(const pl_frame *a, const pl_frame *b)
{
    return a->pc == b->pc && a->function == b->function && a->file == b->file &&
           a->line == b->line && a->offset == b->offset && a->module == b->module;
}

static void test_inlined(void)
{
    pl_frame f[8], one;
    ok(outer() > 1, "a stack");
    is_int(pl_symbolize_inlined(pcs[0], f, 8), 3, "an address is in three functions");
    is_str(f[0].function, "inner", "the innermost first");
    is_int(f[0].line, inner_line, "with the line in it");
    is_str(f[1].function, "middle", "then its caller");
    is_int(f[1].line, middle_line, "with the line of the call");
    is_str(f[2].function, "outer", "last the function that the code was compiled into");
    is_int(f[2].line, outer_line, "with its line");
    ok(is_here(&f[0]) && is_here(&f[1]) && is_here(&f[2]), "and whole paths (%s)",
       f[0].file ? f[0].file : "none");
    ok(f[0].offset == 0 && f[2].offset > 0, "only the last one has an offset");
    is_int(pl_symbolize(pcs[0], &one), PL_OK, "pl_symbolize");
    ok(strcmp(one.function, "outer") == 0 && one.line == outer_line && one.offset == f[2].offset,
       "tells of the last one");
}

static void test_room(void)
{
    pl_frame f[8];
    memset(f, 0, sizeof f);
    outer();
    is_int(pl_symbolize_inlined(pcs[0], f, 2), 2, "two of three");
    ok(strcmp(f[0].function, "inner") == 0 && strcmp(f[1].function, "outer") == 0,
       "are the innermost and the last");
    ok(f[2].function == NULL, "nothing is written behind");
    is_int(pl_symbolize_inlined(pcs[0], f, 1), 1, "one of three");
    is_str(f[0].function, "outer", "is the last");
    is_int(pl_symbolize_inlined(pcs[0], f, 0), 0, "no room");
    is_int(pl_symbolize_inlined(pcs[0], NULL, 8), 0, "nowhere to write to");
    is_int(pl_symbolize_inlined((const void *)16, f, 8), 1, "nobody's address is one frame");
    ok(strcmp(f[0].function, "[unknown]") == 0 && !f[0].file && f[0].line == 0, "of nobody");
}

static void test_foreign(void)
{
    pl_frame f;
    is_int(pl_symbolize(foreign_code + 5, &f), PL_OK, "assembler code has a name");
    is_str(f.function, "foreign_code", "its own");
    ok(f.file == NULL && f.line == 0, "but not the line of the C code before it");
}

/* The same answers when they come from the table of answers, and when sources are read again. */
static void test_forgetting(void)
{
    pl_frame first[8], second[8];
    outer();
    pl_symbolize_inlined(pcs[0], first, 8);
    ok(pli_lines.source_bytes > 0, "something is kept");
    pli_lock_take(&pli_lines.lock);
    pli_sources_forget();
    memset(pli_lines.answers, 0, sizeof *pli_lines.answers);
    pli_lock_give(&pli_lines.lock);
    is_int((long long)pli_lines.source_bytes, 0, "and can be forgotten");
    pl_symbolize_inlined(pcs[0], second, 8);
    ok(same(&first[0], &second[0]) && same(&first[1], &second[1]) && same(&first[2], &second[2]),
       "then the answer is the same, texts included");
}

/* More addresses than the table of answers has lines. */
static void test_many(void)
{
    pl_frame before, after;
    const pli_module *m = pli_module_at((uintptr_t)outer, pli_modules_epoch_sig());
    int lines = 0;
    pl_symbolize((const void *)outer, &before);
    for (uintptr_t pc = m->text[0].start; pc < m->text[0].end; pc++) {
        pl_frame f[8];
        int count = pl_symbolize_inlined((const void *)pc, f, 8);
        lines += f[count - 1].line > 0 ? count : 0;
    }
    ok(lines > PLI_ANSWER_LINES, "all addresses of the program (%d lines)", lines);
    ok(pli_lines.answers->used <= PLI_ANSWER_LINES, "the table has its size");
    pl_symbolize((const void *)outer, &after);
    ok(same(&before, &after), "and the answers stay");
}

static void forget_module(const void *pc)
{
    ((pli_module *)(uintptr_t)pli_module_at((uintptr_t)pc, pli_modules_epoch_sig()))->debug = NULL;
    memset(pli_lines.answers, 0, sizeof *pli_lines.answers);
    pli_sources_forget();
}

/* In an emergency: without malloc, and not behind a lock that is not given back. */
static void test_emergency(void)
{
    pl_memstats before, after;
    pli_line line[8];
    outer();
    uintptr_t pc = (uintptr_t)pcs[0];
    const pli_module *m = pli_module_at(pc, pli_modules_epoch_sig());
    forget_module(pcs[0]);
    pl_memstats_read(&before);
    int count = pli_lines_at(m, pc, true, line, 8);
    pl_memstats_read(&after);
    is_int(count, 3, "lines are read in an emergency");
    ok(line[0].line == inner_line && strcmp(line[0].function->text, "inner") == 0, "the same ones");
    is_int(after.mallocs - before.mallocs, 0, "nothing is allocated");
    pli_lock_take(&pli_lines.lock);
    is_int(pli_lines_at(m, pc, true, line, 8), 0, "when somebody else is at it, there are none");
    pli_lock_give(&pli_lines.lock);
    is_int(pli_lines_at(m, pc, true, line, 8), 0, "and nobody waits again");
    is_int(pli_lines_at(m, pc, false, line, 8), 3, "others are not affected");
    pli_lines.given_up = 0;
}

/* A child that was forked while another thread had the lock. */
static void test_fork(void)
{
    pl_frame f[8];
    outer();
    pli_lock_take(&pli_lines.lock);
    pid_t child = fork();
    if (child == 0)
        _exit(pl_symbolize_inlined(pcs[0], f, 8) == 3 && f[0].line == inner_line ? 0 : 1);
    pli_lock_give(&pli_lines.lock);
    int status = -1;
    waitpid(child, &status, 0);
    is_int(status, 0, "a fork's child has lines");
}

/* A file that was replaced since it was read the first time. */
static void test_another_file(void)
{
    pli_line line[8];
    outer();
    pli_debug *d = pli_module_at((uintptr_t)pcs[0], pli_modules_epoch_sig())->debug;
    uint64_t size = d->image.size;
    pli_sources_forget();
    memset(pli_lines.answers, 0, sizeof *pli_lines.answers);
    d->image.size = size + 1;
    is_int(pli_lines_at(d->module, (uintptr_t)pcs[0], false, line, 8), 0,
           "another file is not read");
    forget_module(pcs[0]);
    is_int(pli_lines_at(d->module, (uintptr_t)pcs[0], false, line, 8), 3, "the right one is");
}

static void test_stack_text(void)
{
    char *text = NULL, wanted[500];
    size_t size = 0;
    outer();
    pl_frame f[8];
    int count = pl_symbolize_inlined(pcs[0], f, 8);
    FILE *out = open_memstream(&text, &size);
    is_int(pli_frames_write(out, "", 5, f, count), 8, "a stack goes on counting");
    fclose(out);
    snprintf(wanted, sizeof wanted, "  inner (inlined)  %s:%d  ", f[0].file, inner_line);
    ok(strncmp(text, "#5 ", 3) == 0 && strstr(text, wanted), "inlined calls are said to be: %s",
       text);
    snprintf(wanted, sizeof wanted, "  outer+0x%zx  %s:%d  ", f[2].offset, f[2].file, outer_line);
    ok(strstr(text, "\n#7 ") && strstr(text, wanted), "functions have offset, file and line");
    free(text);
}

int main(void)
{
    test_inlined();
    test_room();
    test_foreign();
    test_forgetting();
    test_many();
    test_emergency();
    test_fork();
    test_another_file();
    test_stack_text();
    return done();
}
