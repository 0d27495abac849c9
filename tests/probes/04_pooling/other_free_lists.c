/* A free list for each size: the next power of two. Every piece goes back to the list it came from,
   one by one. No list is bounded by itself: the server frees them all when it is idle and they hold
   more than they may. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 64, CLASSES = 8, LARGEST = SMALLEST << (CLASSES - 1) };   /* 64 to 8192 bytes */

/* Before each piece: the next one, in a request's chain or in a free list. */
struct piece {
    struct piece *next;
    size_t size;
    max_align_t data[];
};

struct own {
    struct request seen;
    struct piece *pieces;
};

struct server {
    size_t open, held;
    struct piece *free[CLASSES];
};

static int class_of(size_t size)
{
    int class = 0;
    while ((size_t)SMALLEST << class < size)
        class++;
    return class;
}

static struct piece *get(struct server *server, size_t size)
{
    if (size > LARGEST) {
        struct piece *piece = malloc(sizeof *piece + size);
        if (piece != NULL)
            piece->size = size;
        return piece;
    }
    int class = class_of(size);
    struct piece *piece = server->free[class];
    if (piece != NULL) {
        server->free[class] = piece->next;
        server->held -= piece->size;
        return piece;
    }
    piece = malloc(sizeof *piece + ((size_t)SMALLEST << class));
    if (piece != NULL)
        piece->size = (size_t)SMALLEST << class;
    return piece;
}

static void put(struct server *server, struct piece *piece)
{
    if (piece->size > LARGEST) {
        free(piece);
        return;
    }
    int class = class_of(piece->size);
    piece->next = server->free[class];
    server->free[class] = piece;
    server->held += piece->size;
}

static void *give(struct server *server, struct own *own, size_t size)
{
    struct piece *piece = get(server, size);
    if (piece == NULL)
        return NULL;
    piece->next = own->pieces;
    own->pieces = piece;
    return piece->data;
}

static void free_lists(struct server *server)
{
    for (int class = 0; class < CLASSES; class++) {
        while (server->free[class] != NULL) {
            struct piece *piece = server->free[class];
            server->free[class] = piece->next;
            free(piece);
        }
    }
    server->held = 0;
}

struct server *server_start(void)
{
    return calloc(1, sizeof(struct server));
}

struct request *request_open(struct server *server)
{
    struct own first = {.pieces = NULL};
    struct own *own = give(server, &first, sizeof first);
    if (own == NULL)
        return NULL;
    *own = first;
    server->open++;
    return &own->seen;
}

int request_add(struct server *server, struct request *request, struct text name,
                struct text value)
{
    struct header *header = give(server, (struct own *)request, sizeof *header);
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
    return give(server, (struct own *)request, size);
}

void request_close(struct server *server, struct request *request)
{
    struct piece *piece = ((struct own *)request)->pieces;
    while (piece != NULL) {
        struct piece *next = piece->next;
        put(server, piece);
        piece = next;
    }
    if (--server->open == 0 && server->held > SERVER_IDLE_BYTES * 3 / 4)
        free_lists(server);
}

void server_stop(struct server *server)
{
    free_lists(server);
    free(server);
}
