// All 20 forms of operator new and delete, one block each, counted exactly: "exact" or what differs.
#include "perflab.h"

#include <cstdlib>
#include <new>
#include <string>
#include <vector>

static int wrong;

static void expect(const char *what, long long got, long long want) {
    if (got != want) {
        std::printf("%s: %lld, not %lld\n", what, got, want);
        wrong = 1;
    }
}

template <class Body> static void counted(const char *what, int blocks, Body body) {
    pl_memstats before, after;
    pl_memstats_read(&before);
    body();
    pl_memstats_read(&after);
    pl_memstats d = pl_memstats_diff(&after, &before);
    expect(what, d.mallocs, blocks);
    expect(what, d.frees, blocks);
    expect(what, d.alloc, 0);
}

static volatile std::size_t size = 100;

// An argument leaves out the failing new: mimalloc, built as C, aborts there by itself.
int main(int argc, char **) {
    const std::align_val_t wide = std::align_val_t(64);
    counted("new", 1, [] { ::operator delete(::operator new(size)); });
    counted("new[]", 1, [] { ::operator delete[](::operator new[](size)); });
    counted("sized", 1, [] { ::operator delete(::operator new(size), size); });
    counted("sized[]", 1, [] { ::operator delete[](::operator new[](size), size); });
    counted("nothrow", 1, [] {
        ::operator delete(::operator new(size, std::nothrow), std::nothrow);
    });
    counted("nothrow[]", 1, [] {
        ::operator delete[](::operator new[](size, std::nothrow), std::nothrow);
    });
    counted("aligned", 1, [=] { ::operator delete(::operator new(size, wide), wide); });
    counted("aligned[]", 1, [=] { ::operator delete[](::operator new[](size, wide), wide); });
    counted("sized aligned", 1, [=] {
        ::operator delete(::operator new(size, wide), size, wide);
    });
    counted("sized aligned[]", 1, [=] {
        ::operator delete[](::operator new[](size, wide), size, wide);
    });
    counted("nothrow aligned", 1, [=] {
        ::operator delete(::operator new(size, wide, std::nothrow), wide, std::nothrow);
    });
    counted("nothrow aligned[]", 1, [=] {
        ::operator delete[](::operator new[](size, wide, std::nothrow), wide, std::nothrow);
    });
    counted("vector", 1, [] {
        std::vector<int> v(size);
        PL_KEEP(v.data());
    });
    bool thrown = argc > 1;
    try {
        if (argc == 1)
            PL_KEEP(::operator new(size << 46));
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    expect("bad_alloc passes through the hooks", thrown, true);
    if (!wrong)
        std::puts("exact");
    return wrong;
}
