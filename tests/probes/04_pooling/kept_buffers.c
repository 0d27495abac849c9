/* Requests and headers come from the pool; buffers, half of all pieces, still come from malloc. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

/* The memory that request_buffer gave out, so that request_close finds it again. */
struct buffer {
    struct buffer *next;
    max_align_t data[];
};

/* A request with what the handler does not see. `seen` is first, so that both have one address. */
struct open_request {
    struct request seen;
    struct buffer *buffers;
};

/* Free pieces by size: 64 bytes, 128 and so on up to 8192. */
enum { CLASSES = 8, LARGEST = 64 << (CLASSES - 1) };

struct piece {
    struct piece *next;
};

struct server {
    size_t open, held;
    struct piece *free[CLASSES];
};

static int class_of(size_t size)
{
    int class = 0;
    while ((size_t)64 << class < size)
        class++;
    return class;
}

/* get takes the place of malloc. */
static void *get(struct server *server, size_t size)
{
    if (size > LARGEST)
        return malloc(size);
    int class = class_of(size);
    struct piece *piece = server->free[class];
    if (piece == NULL)
        return malloc((size_t)64 << class);
    server->free[class] = piece->next;
    server->held -= (size_t)64 << class;
    return piece;
}

/* put takes the place of free. It keeps no more than the server may. */
static void put(struct server *server, void *memory, size_t size)
{
    int class = size > LARGEST ? 0 : class_of(size);
    if (size > LARGEST || server->held + ((size_t)64 << class) > SERVER_IDLE_BYTES * 3 / 4) {
        free(memory);
        return;
    }
    struct piece *piece = memory;
    piece->next = server->free[class];
    server->free[class] = piece;
    server->held += (size_t)64 << class;
}

struct server *server_start(void)
{
    return calloc(1, sizeof(struct server));
}

struct request *request_open(struct server *server)
{
    struct open_request *request = get(server, sizeof *request);
    if (request == NULL)
        return NULL;
    memset(request, 0, sizeof *request);
    server->open++;
    return &request->seen;
}

/* new_header makes one header line. */
static struct header *new_header(struct server *server, struct text name, struct text value)
{
    struct header *header = get(server, sizeof *header);
    if (header == NULL)
        return NULL;
    header->name = name;
    header->value = value;
    header->next = NULL;
    return header;
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
    struct header *header = new_header(server, name, value);
    if (header == NULL)
        return -1;
    append_header(request, header);
    return 0;
}

void *request_buffer(struct server *server, struct request *request, size_t size)
{
    struct open_request *own = (struct open_request *)request;
    (void)server;
    struct buffer *buffer = malloc(sizeof *buffer + size);
    if (buffer == NULL)
        return NULL;
    buffer->next = own->buffers;
    own->buffers = buffer;
    return buffer->data;
}

void request_close(struct server *server, struct request *request)
{
    struct open_request *own = (struct open_request *)request;
    for (struct header *header = request->first; header != NULL; ) {
        struct header *next = header->next;
        put(server, header, sizeof *header);
        header = next;
    }
    for (struct buffer *buffer = own->buffers; buffer != NULL; ) {
        struct buffer *next = buffer->next;
        free(buffer);
        buffer = next;
    }
    put(server, own, sizeof *own);
    server->open--;
}

void server_stop(struct server *server)
{
    for (int class = 0; class < CLASSES; class++) {
        while (server->free[class] != NULL) {
            struct piece *piece = server->free[class];
            server->free[class] = piece->next;
            free(piece);
        }
    }
    free(server);
}
