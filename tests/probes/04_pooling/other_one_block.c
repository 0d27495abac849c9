/* One block of 32 KiB a request, used from its beginning to its end and then again. What does not
   fit is malloc's. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32 * 1024, KEPT = 40, ALIGNMENT = _Alignof(max_align_t) };

struct extra {
    struct extra *next;
    max_align_t data[];
};

struct block {
    struct request seen;
    struct block *next;
    struct extra *extras;
    char *free;
    max_align_t data[(BLOCK - 128) / sizeof(max_align_t)];
};

struct server {
    struct block *free;
    int kept;
};

struct server *server_start(void)
{
    return calloc(1, sizeof(struct server));
}

struct request *request_open(struct server *server)
{
    struct block *block = server->free;
    if (block != NULL) {
        server->free = block->next;
        server->kept--;
    } else {
        block = malloc(sizeof *block);
    }
    if (block == NULL)
        return NULL;
    memset(block, 0, offsetof(struct block, data));
    block->free = (char *)block->data;
    return &block->seen;
}

static void *take(struct request *request, size_t size)
{
    struct block *block = (struct block *)request;
    size_t left = (size_t)((char *)(block + 1) - block->free);
    if (size <= left) {
        void *piece = block->free;
        size_t whole = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        block->free += whole < left ? whole : left;
        return piece;
    }
    struct extra *extra = malloc(sizeof *extra + size);
    if (extra == NULL)
        return NULL;
    extra->next = block->extras;
    block->extras = extra;
    return extra->data;
}

int request_add(struct server *server, struct request *request, struct text name,
                struct text value)
{
    struct header *header = take(request, sizeof *header);
    (void)server;
    if (header == NULL)
        return -1;
    *header = (struct header){name, value, NULL};
    if (request->last != NULL)
        request->last->next = header;
    else
        request->first = header;
    request->last = header;
    request->headers++;
    return 0;
}

void *request_buffer(struct server *server, struct request *request, size_t size)
{
    (void)server;
    return take(request, size);
}

void request_close(struct server *server, struct request *request)
{
    struct block *block = (struct block *)request;
    while (block->extras != NULL) {
        struct extra *extra = block->extras;
        block->extras = extra->next;
        free(extra);
    }
    if (server->kept == KEPT) {
        free(block);
        return;
    }
    block->next = server->free;
    server->free = block;
    server->kept++;
}

void server_stop(struct server *server)
{
    while (server->free != NULL) {
        struct block *block = server->free;
        server->free = block->next;
        free(block);
    }
    free(server);
}
