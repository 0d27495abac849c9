/* Tells what perflab knows of its own addresses. Reads addresses as the file has them, a line each;
   prints for each "0xADDRESS" and then, for each function, its name and FILE:LINE. */
#define _GNU_SOURCE
#include "perflab.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

static int take_bias(struct dl_phdr_info *info, size_t size, void *bias)
{
    (void)size;
    *(uintptr_t *)bias = info->dlpi_addr;
    return 1; /* the program is the first */
}

int main(void)
{
    char line[64];
    uintptr_t bias = 0;
    dl_iterate_phdr(take_bias, &bias);
    while (fgets(line, sizeof line, stdin)) {
        pl_frame frames[64];
        uintptr_t address = (uintptr_t)strtoull(line, NULL, 16);
        int count = pl_symbolize_inlined((const void *)(bias + address), frames, 64);
        printf("0x%lx\n", (unsigned long)address);
        for (int i = 0; i < count; i++)
            printf("%s\n%s:%d\n", frames[i].function, frames[i].file ? frames[i].file : "??",
                   frames[i].line);
    }
    return 0;
}
