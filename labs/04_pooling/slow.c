/* slow.c: the frozen baseline of lab 04, kept to compare with. Edit student.c, not this file. */
#include "lab.h"
#include "perflab.h"

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

struct server {
    size_t open;
};

struct server *server_start(void)
{
    return calloc(1, sizeof(struct server));
}

struct request *request_open(struct server *server)
{
    struct open_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    server->open++;
    return &request->seen;
}

/* new_header makes one header line.
   PL_NOINLINE keeps it a function of its own, so that a profile has a name for it. */
static PL_NOINLINE struct header *new_header(struct text name, struct text value)
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

void *request_buffer(struct server *server, struct request *request, size_t size)
{
    (void)server;
    struct open_request *own = (struct open_request *)request;
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
        free(header);
        header = next;
    }
    for (struct buffer *buffer = own->buffers; buffer != NULL; ) {
        struct buffer *next = buffer->next;
        free(buffer);
        buffer = next;
    }
    free(own);
    server->open--;
}

void server_stop(struct server *server)
{
    free(server);
}
