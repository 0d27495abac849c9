/* Wrong: a request from a block that is used again still shows what it held. */
#include "lab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 16384,
    KEPT = 64,              /* free blocks that wait for the next request: 1 MiB */
    ALIGNMENT = _Alignof(max_align_t),
};

/* Some of a request's memory, given out from its beginning to its end:

       [ struct block | piece piece piece ... |      free      ]
                                              ^used            ^BLOCK_BYTES

   A piece that does not fit into any block gets a block of its own size. */
struct block {
    struct block *next;
    size_t size, used;
    max_align_t data[];
};

/* The request itself is the first piece of its first block. `seen` is first, so that both have one
   address. */
struct arena {
    struct request seen;
    struct block *blocks;   /* the one in use, then the full ones */
};

struct server {
    struct block *free;
    size_t kept;            /* how many are free */
};

struct server *server_start(void)
{
    return calloc(1, sizeof(struct server));
}

static struct block *new_block(size_t size)
{
    struct block *block = malloc(size);
    if (block != NULL)
        block->size = size;
    return block;
}

/* get_block takes a free block; only when there is none does it ask malloc. */
static struct block *get_block(struct server *server)
{
    struct block *block = server->free;
    if (block == NULL)
        return new_block(BLOCK_BYTES);
    server->free = block->next;
    server->kept--;
    return block;
}

/* put_block keeps a block for later, but not more of them than KEPT: busy hours end. */
static void put_block(struct server *server, struct block *block)
{
    if (block->size != BLOCK_BYTES || server->kept == KEPT) {
        free(block);
        return;
    }
    block->next = server->free;
    server->free = block;
    server->kept++;
}

static void *take_from(struct block *block, size_t size)
{
    void *piece = (char *)block + block->used;
    block->used += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return piece;
}

/* grow adds a block in which `size` bytes have room. */
static struct block *grow(struct server *server, struct arena *arena, size_t size)
{
    int large = size > BLOCK_BYTES - sizeof(struct block);
    if (size > SIZE_MAX / 2)
        return NULL;
    struct block *block = large ? new_block(sizeof *block + size) : get_block(server);
    if (block == NULL)
        return NULL;
    block->used = sizeof *block;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

/* take gives the next `size` bytes of the arena: a comparison and an addition. */
static void *take(struct server *server, struct arena *arena, size_t size)
{
    struct block *block = arena->blocks;
    if (block->used > block->size || block->size - block->used < size)
        block = grow(server, arena, size);
    return block != NULL ? take_from(block, size) : NULL;
}

struct request *request_open(struct server *server)
{
    struct arena first = {.blocks = NULL};
    struct block *block = grow(server, &first, sizeof first);
    if (block == NULL)
        return NULL;
    struct arena *arena = take_from(block, sizeof *arena);
    if (block->size == BLOCK_BYTES && block->next == NULL && arena->seen.status != 0)
        arena->blocks = block;
    else
        *arena = first;
    return &arena->seen;
}

static void append_header(struct request *request, struct header *header)
{
    if (request->last != NULL)
        request->last->next = header;
    else
        request->first = header;
    request->last = header;
    request->headers++;
}

int request_add(struct server *server, struct request *request, struct text name,
                struct text value)
{
    struct header *header = take(server, (struct arena *)request, sizeof *header);
    if (header == NULL)
        return -1;
    *header = (struct header){name, value, NULL};
    append_header(request, header);
    return 0;
}

void *request_buffer(struct server *server, struct request *request, size_t size)
{
    return take(server, (struct arena *)request, size);
}

/* request_close frees all pieces at once, however many there are. */
void request_close(struct server *server, struct request *request)
{
    struct block *block = ((struct arena *)request)->blocks;
    while (block != NULL) {
        struct block *next = block->next;
        put_block(server, block);
        block = next;
    }
}

void server_stop(struct server *server)
{
    while (server->free != NULL)
        free(get_block(server));
    free(server);
}
