/* live.c: lab 06's service under a steady load: how much is in use after so many requests? Build
   it with a version of the service: python3 -m slides program THIS labs/06_leaks/slow.c
   labs/06_leaks/workload.c graders/buffer.c */
#include "lab.h"
#include "perflab.h"

#include <dirent.h>
#include <stdio.h>

enum { REQUESTS = 10000, STEP = 500, USERS = 7, KEYS = 5000 };

static unsigned below(unsigned *random, unsigned limit)
{
    *random = *random * 1664525u + 1013904223u;
    return (*random >> 8) % limit;
}

/* ask writes one request: mostly pages, now and then an upload or a robot. */
static void ask(unsigned *random, char *line, size_t size)
{
    unsigned kind = below(random, 100), key = below(random, KEYS);
    if (kind < 80)
        snprintf(line, size, "user%u GET page%u", key % USERS, key % (1 + key % 97 * 50));
    else if (kind < 90)
        snprintf(line, size, "bot-%u GET page%u", key % USERS, key);
    else        /* one checksum in eight is right: 294 is that of "abc" */
        snprintf(line, size, "user%u PUT file%u %u abc", key % USERS, key, 294 + key % 8);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count - 3;       /* two dots, and the folder itself */
}

static void report(const char *name, int requests, int64_t heap, int descriptors)
{
    pl_memstats now;
    pl_memstats_read(&now);
    printf("Benchmark%s/requests=%d 1 %lld live-B %d descriptors\n", name, requests,
           (long long)(now.alloc - heap), open_descriptors() - descriptors);
}

int main(void)
{
    pl_memstats start;
    char line[128], reply[REPLY_SIZE];
    unsigned random = 1;
    struct summary summary;
    static char output[BUFSIZ];     /* so that printing takes nothing from the heap */
    setvbuf(stdout, output, _IOFBF, sizeof output);
    int descriptors = open_descriptors();
    pl_memstats_read(&start);
    struct service *service = service_open();
    for (int i = 0; i <= REQUESTS && service != NULL; i++) {
        if (i % STEP == 0)
            report("Live", i, start.alloc, descriptors);
        ask(&random, line, sizeof line);
        if (service_handle(service, line, reply) != 0)
            return 1;
    }
    if (service == NULL)
        return 1;
    service_close(service, &summary);
    report("Closed", REQUESTS, start.alloc, descriptors);
    return 0;
}
