/* memory: memory
   Allocates and fills without an end. */
#include "lab.h"
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    char bytes[1 << 20];
};

char *squeeze(const char *text) {
    struct block *all = NULL;
    for (;;) {
        struct block *block = malloc(sizeof *block);
        memset(block, *text, sizeof *block);
        block->next = all;
        all = block;
    }
}
