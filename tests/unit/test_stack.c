/* The calling thread's own stack: pl_callers, pl_stack_write. */
/* run: upto=stack flags=-fno-optimize-sibling-calls,-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

static void *pcs[300];
static int depth;
static uintptr_t returns_to; /* from leaf */

static const char *name_of(int i)
{
    pl_frame f;
    pl_symbolize(pcs[i], &f);
    return f.function;
}

/* Named as a stack shows them, the innermost first. */
PL_NOINLINE static void leaf(int skip, int max)
{
    returns_to = (uintptr_t)__builtin_return_address(0);
    memset(pcs, 0, sizeof pcs);
    depth = pl_callers(skip, pcs, max);
    PL_CLOBBER();
}

PL_NOINLINE static void middle(int skip, int max)
{
    leaf(skip, max);
    PL_CLOBBER();
}

PL_NOINLINE static void again(int times)
{
    if (times > 1)
        again(times - 1);
    else
        leaf(0, 300);
    PL_CLOBBER();
}

PL_NOINLINE static void test_callers(void)
{
    middle(0, 30);
    ok(depth >= 4, "a stack (%d deep)", depth);
    is_str(name_of(0), "leaf", "begins with the function that asks");
    is_str(name_of(1), "middle", "goes on with its caller");
    is_str(name_of(2), "test_callers", "and on");
    is_str(name_of(3), "main", "to main");
}

PL_NOINLINE static void test_inside_the_call(void)
{
    middle(0, 30);
    pl_frame f;
    pl_symbolize(pcs[1], &f);
    ok(f.offset > 0 && (uintptr_t)f.pc == returns_to - 1, "an address is one less than where the "
       "call returns to");
}

PL_NOINLINE static void test_skip(void)
{
    middle(0, 30);
    int whole = depth;
    middle(2, 30);
    is_int(depth, whole - 2, "skip leaves the innermost out");
    ok(strcmp(name_of(0), "test_skip") == 0, "and begins further out");
    middle(1000, 30);
    is_int(depth, 0, "skipping everything leaves nothing");
}

PL_NOINLINE static void test_max(void)
{
    middle(0, 2);
    is_int(depth, 2, "at most max");
    is_str(name_of(1), "middle", "all of them real");
    ok(pcs[2] == NULL, "nothing is written behind");
    again(200);
    ok(depth > 200 && depth < 220, "a deep stack is whole (%d)", depth);
    is_str(name_of(200), "again", "to its other end");
    is_str(name_of(202), "main", "and main");
}

PL_NOINLINE static void test_arguments(void)
{
    is_int(pl_callers(0, NULL, 4), 0, "nowhere to write to");
    is_int(pl_callers(-1, pcs, 4), 0, "a negative skip");
    is_int(pl_callers(0, pcs, 0), 0, "no room");
    is_int(pl_stack_write(NULL), PL_INVALID, "no file");
}

PL_NOINLINE static pl_result write_here(FILE *out)
{
    pl_result result = pl_stack_write(out);
    PL_CLOBBER();
    return result;
}

PL_NOINLINE static void test_write(void)
{
    char *text = NULL, line[300] = "";
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    is_int(write_here(out), PL_OK, "a stack is written");
    fclose(out);
    ok(strncmp(text, "#0 ", 3) == 0 && strstr(text, "write_here+0x") != NULL, "as a list: %.60s",
       text);
    snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    unsigned frame;
    uintptr_t pc;
    char function[100], module[200];
    is_int(sscanf(line, "#%u 0x%" SCNxPTR " %99s %199s", &frame, &pc, function, module), 4,
           "number, address, function, module");
    ok(strstr(text, "\n#1 ") && strstr(text, "test_write+0x"), "then the caller");
    free(text);
    FILE *full = fopen("/dev/full", "w");
    setvbuf(full, NULL, _IONBF, 0);
    is_int(write_here(full), PL_IO, "a full device is said");
    fclose(full);
}

int main(void)
{
    test_callers();
    test_inside_the_call();
    test_skip();
    test_max();
    test_arguments();
    test_write();
    return done();
}
