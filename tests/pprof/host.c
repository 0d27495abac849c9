/* A program with a profile of its own making, so that every number in it is known beforehand:

       host OUT TEXT [GONE]     the profile "fixture" as protobuf to OUT and as text to TEXT;
                                removes the file GONE before anything was looked up

   work.c and work.cc call record() from functions with known names. Compiled with perflab inside;
   whether functions inline, have frame pointers or symbols is up to the build. */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "record.h"

static pli_sites sites;

PL_NOINLINE void record(int weight)
{
    void *stack[32];
    uintptr_t pcs[32];
    int depth = pl_callers(1, stack, 32);
    for (int i = 0; i < depth; i++)
        pcs[i] = (uintptr_t)stack[i];
    pli_site_key key = {NULL, 0, pli_modules_epoch_sig(), depth, pcs};
    pli_sites_count_sig(&sites, &key, 0, weight, 0);
}

/* As if a sample had hit the inside of a function. */
void record_inside(const void *function, int offset, int weight)
{
    uintptr_t pcs[2] = {(uintptr_t)function + (uintptr_t)offset, (uintptr_t)record + 1};
    pli_site_key key = {NULL, 0, pli_modules_epoch_sig(), 2, pcs};
    pli_sites_count_sig(&sites, &key, 0, weight, 0);
}

static pl_result open_fixture(pli_profile_view *view, bool emergency)
{
    (void)emergency;
    view->sites = &sites;
    view->types = 2;
    view->type[0] = (pli_sample_type){"samples", "count", 0, 1};
    view->type[1] = (pli_sample_type){"cpu", "nanoseconds", 0, 10000000};
    view->period_type = "cpu", view->period_unit = "nanoseconds", view->period = 10000000;
    view->time_ns = 1700000000000000000, view->duration_ns = 2000000000;
    view->lost = 3;
    view->size_label = "bytes";
    pli_view_note(view, "engine: by hand");
    return PL_OK;
}

static pli_profile_source fixture = {"fixture", open_fixture, NULL, NULL};

static int fail(const char *what, pl_result result)
{
    fprintf(stderr, "host: %s: %s\n", what, pl_result_str(result));
    return 1;
}

/* A stack that was cut, with labels and a size. */
static void record_marks(void)
{
    static union {
        pli_labels labels;
        const char *room[16];
    } set = {.labels = {.count = 2}};
    set.labels.pair[0] = "handler", set.labels.pair[1] = "search";
    set.labels.pair[2] = "tenant", set.labels.pair[3] = "";
    uintptr_t pcs[2] = {(uintptr_t)record_marks + 1, PLI_PC_TRUNCATED};
    pli_site_key key = {&set.labels, 48, pli_modules_epoch_sig(), 2, pcs};
    pli_sites_count_sig(&sites, &key, 0, 5, 0);
}

int main(int argc, char **argv)
{
    pl_result result = pli_unwind_prepare();
    if (argc < 3 || result != PL_OK || pli_sites_open(&sites, 1 << 20) != PL_OK)
        return fail("host OUT TEXT", result);
    pli_profile_source_add(&fixture);
    if (argc > 3 && unlink(argv[3]) != 0)
        return fail(argv[3], PL_IO);
    work();
    record_marks();
    result = pl_profile_save("fixture", argv[1]);
    if (result != PL_OK)
        return fail(argv[1], result);
    FILE *text = fopen(argv[2], "w");
    result = text ? pl_profile_write("fixture", text, 1) : PL_IO;
    if (result != PL_OK || fclose(text) != 0)
        return fail(argv[2], result);
    return 0;
}
