/* Wrong: one region for the whole server, which begins again at its start whenever a request
   closes, whoever else is open. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

enum { REGION = 16 << 20, ALIGNMENT = _Alignof(max_align_t) };

struct server {
    size_t used;
    max_align_t region[REGION / sizeof(max_align_t)];
};

struct server *server_start(void)
{
    return calloc(1, sizeof(struct server));
}

static void *take(struct server *server, size_t size)
{
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > REGION - server->used)
        return NULL;
    void *piece = (char *)server->region + server->used;
    server->used += size;
    return piece;
}

struct request *request_open(struct server *server)
{
    struct request *request = take(server, sizeof *request);
    if (request != NULL)
        memset(request, 0, sizeof *request);
    return request;
}

int request_add(struct server *server, struct request *request, struct text name,
                struct text value)
{
    struct header *header = take(server, sizeof *header);
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
    (void)request;
    return take(server, size);
}

void request_close(struct server *server, struct request *request)
{
    (void)request;
    server->used = 0;
}

void server_stop(struct server *server)
{
    free(server);
}
