// The same with names that a linker knows in another way than people do.
#include <string>

#include "record.h"

namespace shop {

template <class T> struct Basket {
    __attribute__((noinline)) void add(const T &)
    {
        record(70);
        __asm__ volatile("" : : : "memory");
    }
};

__attribute__((noinline)) static void sell(int)
{
    Basket<std::string> basket;
    basket.add("apple");
    record(30);
    __asm__ volatile("" : : : "memory");
}

} // namespace shop

__attribute__((noinline)) void work(void)
{
    shop::sell(1);
    __asm__ volatile("" : : : "memory");
}
