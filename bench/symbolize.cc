/* What function, file and line of an address cost, in a program with some MB of debug information:
   that of the templates below.

       symbolize cold           ms for the first address of a process; a line a round
       symbolize known          us for an address of a unit that was asked about before, on average
       symbolize warm           us for an address that was asked about before, on average
       symbolize where          prints the address, as addr2line takes it */
#include "perflab.h"

#include <link.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

static const int rounds = 21;

/* Where the addresses are. */
PL_NOINLINE static size_t work(const std::string &text)
{
    std::map<std::string, std::vector<std::string>> words;
    std::unordered_map<std::string, std::function<size_t()>> sizes;
    std::regex word("[a-z]+"), number("[0-9]+(\\.[0-9]+)?");
    for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at)
        words[at->str()].push_back(std::regex_replace(at->str(), number, "N"));
    for (auto &entry : words) {
        std::sort(entry.second.begin(), entry.second.end());
        sizes[entry.first] = [&entry] { return entry.second.size(); };
    }
    size_t sum = 0;
    for (auto &entry : sizes)
        sum += entry.second();
    return sum;
}

static const char *code(size_t offset)
{
    return reinterpret_cast<const char *>(reinterpret_cast<uintptr_t>(&work)) + offset;
}

static double ns_to_ask(size_t first, size_t step, int count)
{
    pl_frame frame;
    uint64_t start = pl_now_ns();
    for (int i = 0; i < count; i++)
        pl_symbolize(code(first + step * static_cast<size_t>(i)), &frame);
    return static_cast<double>(pl_now_ns() - start) / count;
}

/* Each in a process of its own, which has asked nothing yet. */
static void cold()
{
    for (int i = 0; i < rounds; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            printf("%.6f\n", ns_to_ask(17, 0, 1) / 1e6);
            fflush(stdout);
            _exit(0);
        }
        waitpid(child, nullptr, 0);
    }
}

static int take_bias(struct dl_phdr_info *info, size_t, void *bias)
{
    *static_cast<uintptr_t *>(bias) = info->dlpi_addr;
    return 1;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "cold";
    uintptr_t bias = 0;
    dl_iterate_phdr(take_bias, &bias);
    if (argc > 2)
        printf("%zu\n", work(argv[2]));
    if (strcmp(mode, "where") == 0)
        printf("0x%lx\n", static_cast<unsigned long>(reinterpret_cast<uintptr_t>(code(17)) - bias));
    else if (strcmp(mode, "cold") == 0)
        cold();
    for (int i = 0; i < rounds && strcmp(mode, "known") == 0; i++)
        printf("%.6f\n", ns_to_ask(static_cast<size_t>(18 + i), 21, 30) / 1e3);
    for (int i = 0; i < rounds && strcmp(mode, "warm") == 0; i++)
        printf("%.6f\n", ns_to_ask(17, 0, 10000) / 1e3);
    return 0;
}
