/* Slabs: requests with room for the usual number of headers and buffers, and buffers of two fixed
   sizes, each kind cut from chunks of many. The server gives all chunks back when it is idle and
   they are more than it may keep. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

enum { HEADERS = 16, BUFFERS = 20, SMALL = 1536, LARGE = 4352, CHUNK = 64 * 1024 };

/* Free pieces of one size, and the chunks that they were cut from. */
struct piece {
    struct piece *next;
};

struct slab {
    size_t size;
    struct piece *free, *chunks;
};

/* The usual request needs nothing beside its own piece and its buffers. */
struct own {
    struct request seen;
    struct piece *others;               /* headers and buffers beyond the usual number, or size */
    int headers, buffers;
    struct header header[HEADERS];
    void *buffer[BUFFERS];
    unsigned char large[BUFFERS];
};

struct server {
    size_t open, chunks;
    struct slab request, small, large;
};

struct server *server_start(void)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->request.size = (sizeof(struct own) + 63) / 64 * 64;
    server->small.size = SMALL;
    server->large.size = LARGE;
    return server;
}

/* cut makes a new chunk; its first bytes link it to the others. */
static int cut(struct server *server, struct slab *slab)
{
    struct piece *chunk = malloc(CHUNK);
    if (chunk == NULL)
        return -1;
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    server->chunks++;
    char *end = (char *)chunk + CHUNK;
    for (char *at = (char *)chunk + 64; at + slab->size <= end; at += slab->size) {
        struct piece *piece = (struct piece *)at;
        piece->next = slab->free;
        slab->free = piece;
    }
    return 0;
}

static void *get(struct server *server, struct slab *slab)
{
    if (slab->free == NULL && cut(server, slab) != 0)
        return NULL;
    struct piece *piece = slab->free;
    slab->free = piece->next;
    return piece;
}

static void put(struct slab *slab, void *memory)
{
    struct piece *piece = memory;
    piece->next = slab->free;
    slab->free = piece;
}

static void *get_other(struct own *own, size_t size)
{
    struct piece *piece = malloc(16 + size);
    if (piece == NULL)
        return NULL;
    piece->next = own->others;
    own->others = piece;
    return (char *)piece + 16;
}

struct request *request_open(struct server *server)
{
    struct own *own = get(server, &server->request);
    if (own == NULL)
        return NULL;
    memset(own, 0, offsetof(struct own, header));
    server->open++;
    return &own->seen;
}

int request_add(struct server *server, struct request *request, struct text name,
                struct text value)
{
    struct own *own = (struct own *)request;
    (void)server;
    struct header *header = own->headers < HEADERS ? &own->header[own->headers++]
                                                   : get_other(own, sizeof *header);
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
    struct own *own = (struct own *)request;
    if (size > LARGE || own->buffers == BUFFERS)
        return get_other(own, size);
    void *buffer = get(server, size > SMALL ? &server->large : &server->small);
    if (buffer == NULL)
        return NULL;
    own->large[own->buffers] = size > SMALL;
    own->buffer[own->buffers++] = buffer;
    return buffer;
}

static void free_chunks(struct slab *slab)
{
    while (slab->chunks != NULL) {
        struct piece *chunk = slab->chunks;
        slab->chunks = chunk->next;
        free(chunk);
    }
    slab->free = NULL;
}

static void free_all(struct server *server)
{
    free_chunks(&server->request);
    free_chunks(&server->small);
    free_chunks(&server->large);
    server->chunks = 0;
}

void request_close(struct server *server, struct request *request)
{
    struct own *own = (struct own *)request;
    while (own->others != NULL) {
        struct piece *piece = own->others;
        own->others = piece->next;
        free(piece);
    }
    while (own->buffers > 0) {
        int i = --own->buffers;
        put(own->large[i] ? &server->large : &server->small, own->buffer[i]);
    }
    put(&server->request, own);
    if (--server->open == 0 && server->chunks * CHUNK > SERVER_IDLE_BYTES * 3 / 4)
        free_all(server);
}

void server_stop(struct server *server)
{
    free_all(server);
    free(server);
}
