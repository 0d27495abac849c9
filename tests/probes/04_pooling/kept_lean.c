/* Everything but the allocations is leaner: nothing is set twice, buffers stand in an array instead
   of a list. Still one malloc and one free for each piece. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 16 };

/* A request with what the handler does not see. `seen` is first, so that both have one address. */
struct open_request {
    struct request seen;
    size_t buffers, room;
    void **buffer;          /* `few`, until there are more */
    void *few[FEW];
};

struct server {
    size_t open;
};

struct server *server_start(void)
{
    return calloc(1, sizeof(struct server));
}

struct request *request_open(struct server *server)
{
    struct open_request *request = malloc(sizeof *request);
    if (request == NULL)
        return NULL;
    memset(&request->seen, 0, sizeof request->seen);
    request->buffers = 0;
    request->room = FEW;
    request->buffer = request->few;
    server->open++;
    return &request->seen;
}

/* new_header makes one header line. */
static struct header *new_header(struct text name, struct text value)
{
    struct header *header = malloc(sizeof *header);
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
    (void)server;
    struct header *header = new_header(name, value);
    if (header == NULL)
        return -1;
    append_header(request, header);
    return 0;
}

static int more_room(struct open_request *own)
{
    void **buffer = malloc(2 * own->room * sizeof *buffer);
    if (buffer == NULL)
        return -1;
    memcpy(buffer, own->buffer, own->buffers * sizeof *buffer);
    if (own->buffer != own->few)
        free(own->buffer);
    own->buffer = buffer;
    own->room *= 2;
    return 0;
}

void *request_buffer(struct server *server, struct request *request, size_t size)
{
    (void)server;
    struct open_request *own = (struct open_request *)request;
    if (own->buffers == own->room && more_room(own) != 0)
        return NULL;
    void *buffer = malloc(size != 0 ? size : 1);
    if (buffer != NULL)
        own->buffer[own->buffers++] = buffer;
    return buffer;
}

void request_close(struct server *server, struct request *request)
{
    struct open_request *own = (struct open_request *)request;
    for (struct header *header = request->first; header != NULL; ) {
        struct header *next = header->next;
        free(header);
        header = next;
    }
    for (size_t i = 0; i < own->buffers; i++)
        free(own->buffer[i]);
    if (own->buffer != own->few)
        free(own->buffer);
    free(own);
    server->open--;
}

void server_stop(struct server *server)
{
    free(server);
}
