// Every form of operator new and delete, 100 times each: 1,000 blocks of which every other one lives.
#include <cstddef>
#include <cstdlib>
#include <new>

void *kept[2000];

struct alignas(64) wide { char bytes[256]; };

__attribute__((noinline)) void make_all(int &n)
{
    for (int i = 0; i < 100; i++) {
        kept[n++] = ::operator new(40);
        kept[n++] = ::operator new[](41);
        kept[n++] = ::operator new(42, std::nothrow);
        kept[n++] = ::operator new[](43, std::nothrow);
        kept[n++] = ::operator new(128, std::align_val_t(64));
        kept[n++] = ::operator new[](128, std::align_val_t(64));
        kept[n++] = ::operator new(128, std::align_val_t(64), std::nothrow);
        kept[n++] = ::operator new[](128, std::align_val_t(64), std::nothrow);
        kept[n++] = new int(i);
        kept[n++] = new wide;
    }
}

__attribute__((noinline)) void fail(void)
{
    try {
        kept[1999] = ::operator new((std::size_t)1 << 62);
    } catch (const std::bad_alloc &) {
        kept[1999] = ::operator new((std::size_t)1 << 62, std::nothrow);
    }
}

int main(int argc, char **)
{
    int n = 0;
    make_all(n);
    if (argc > 1) // not every allocator throws
        fail();
    for (int i = 0; i < 1000; i += 10) {
        ::operator delete(kept[i]);
        ::operator delete[](kept[i + 1], (std::size_t)41);
        ::operator delete(kept[i + 4], std::align_val_t(64));
        ::operator delete[](kept[i + 5], (std::size_t)128, std::align_val_t(64));
        delete (wide *)kept[i + 9];
    }
    return kept[1999] != nullptr;
}
