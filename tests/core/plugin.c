/* A library that host.c loads. */
#include <stdlib.h>

void plugin_work(int blocks);

void plugin_work(int blocks)
{
    for (int i = 0; i < blocks; i++) {
        void *volatile p = malloc(100 + (size_t)i);
        free(p);
    }
}
