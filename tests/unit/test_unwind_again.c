/* Walks helped by the last one give what a walk of their own gives, wherever they begin. */
/* run: upto=cpu flags=-fno-optimize-sibling-calls */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <signal.h>

#if PLI_LINUX

static pli_memo memo;
static uint32_t state = 1;
static int walks, repeated, different, deepest;
static int max_frames = 40;

static uint32_t any(uint32_t below)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

/* Both walks from the same registers. */
static PL_NOINLINE void compare(void)
{
    uintptr_t pcs[PLI_TRAIL_FRAMES];
    int max = max_frames < PLI_TRAIL_FRAMES ? max_frames : PLI_TRAIL_FRAMES;
    pli_regs here = pli_regs_here_sig();
    bool same;
    pli_memo_way *way = &memo.way[any(8) * any(8) / 8];
    int depth = pli_unwind_sig(&here, pcs, max);
    const pli_trail *trail = pli_unwind_again_sig(&here, max_frames, &memo, way, &same);
    walks++, repeated += same;
    deepest = depth > deepest ? depth : deepest;
    if (trail->frames != depth || memcmp(trail->pcs, pcs, (size_t)depth * sizeof *pcs) != 0) {
        if (different++ == 0)
            diag("walk %d: %d frames, want %d", walks, trail->frames, depth);
    }
}

static void tree(int depth);

static PL_NOINLINE void plain(int depth)
{
    tree(depth);
    PL_CLOBBER();
}

/* A frame that only its frame pointer can find. */
static PL_NOINLINE void sized(int depth)
{
    volatile char room[any(300) + 1];
    room[0] = 1;
    PL_KEEP(room[0]);
    tree(depth);
    PL_CLOBBER();
}

static PL_NOINLINE void aligned(int depth)
{
    volatile double wide[4] __attribute__((aligned(64))) = {0};
    tree(depth);
    wide[0] = 1;
    PL_KEEP(wide[0]);
    PL_CLOBBER();
}

static PL_NOINLINE void twice(int depth)
{
    compare();
    tree(depth);
    compare();
    tree(depth);
    PL_CLOBBER();
}

/* One of a few ways further in, or a walk. */
static PL_NOINLINE void tree(int depth)
{
    if (depth <= 0 || any(8) == 0) {
        for (uint32_t i = any(3); i < 3; i++)
            compare();
        return;
    }
    switch (any(4)) {
    case 0: plain(depth - 1); break;
    case 1: sized(depth - 1); break;
    case 2: aligned(depth - 1); break;
    default: twice(depth - 2); break;
    }
    PL_CLOBBER();
}

static void on_signal(int number)
{
    (void)number;
    tree(3);
}

int main(void)
{
    ok(pli_unwind_prepare() == PL_OK, "tables");
    for (int i = 0; i < 1000; i++)
        tree(12);
    is_int(different, 0, "%d walks over a tree of calls", walks);
    ok(repeated > walks / 20, "%d of them were the last one again", repeated);
    max_frames = 10;
    memset(&memo, 0, sizeof memo);
    for (int i = 0; i < 1000; i++)
        tree(20);
    is_int(different, 0, "stacks that are cut");
    max_frames = 40;
    memset(&memo, 0, sizeof memo);
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < 1000; i++) {
        tree(4);
        raise(SIGUSR1);
    }
    is_int(different, 0, "through a handler's frame");
    max_frames = 1000; /* more than there is room for */
    memset(&memo, 0, sizeof memo);
    for (int i = 0; i < 300; i++)
        tree(12);
    is_int(different, 0, "without a limit of the caller's");
    return done();
}

#else

int main(void)
{
    ok(1, "not on this system");
    return done();
}

#endif
