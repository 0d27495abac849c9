/* What Go calls the operating system: the value of `goos:` in benchmark text. */
static const char *pli_os_name(void)
{
#if defined(__linux__)
    return "linux";
#elif defined(__APPLE__)
    return "darwin";
#elif defined(__FreeBSD__)
    return "freebsd";
#else
    return "unix";
#endif
}

/* What Go calls the processor: the value of `goarch:`. */
static const char *pli_os_arch(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__i386__)
    return "386";
#elif defined(__arm__)
    return "arm";
#elif defined(__riscv)
    return "riscv64";
#else
    return "unknown";
#endif
}

/* Processors that this process may run on: fewer than there are under taskset or in a container. */
static int pli_os_cpu_count(void)
{
#if PLI_LINUX
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

/* The name of the processor as it tells itself, for `cpu:`; "" where it does not. Room for 64. */
static void pli_os_cpu_model(char *name)
{
    name[0] = '\0';
#if defined(__x86_64__) || defined(__i386__)
    unsigned words[13] = {0}, *w = words;
    for (unsigned leaf = 0x80000002u; leaf <= 0x80000004u; leaf++, w += 4)
        __asm__ volatile("cpuid" : "=a"(w[0]), "=b"(w[1]), "=c"(w[2]), "=d"(w[3]) : "a"(leaf), "c"(0));
    const char *text = (const char *)words;
    snprintf(name, 64, "%s", text + strspn(text, " "));
#elif defined(__APPLE__)
    size_t size = 64;
    if (sysctlbyname("machdep.cpu.brand_string", name, &size, NULL, 0) != 0)
        name[0] = '\0';
#elif PLI_LINUX
    char text[512];
    pli_os_read_file("/proc/cpuinfo", text, sizeof text);
    const char *line = strstr(text, "model name");
    const char *value = line ? strstr(line, ": ") : NULL;
    if (value)
        snprintf(name, 64, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
#endif
}

/* Tells the processor that this is a waiting loop: its other thread gets the units. */
static void pli_os_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

