/* A list of chunks that never move, joined once at the end. */
#include "lab.h"

#include <stdlib.h>
#include <string.h>

struct chunk {
    struct chunk *next;
    size_t used;
    char text[16 * 1024];
};

static struct chunk *new_chunk(struct chunk **list)
{
    struct chunk *c = malloc(sizeof *c);
    if (c != NULL) {
        c->next = NULL;
        c->used = 0;
        *list = c;
    }
    return c;
}

/* append copies the bytes behind chunk c, in parts where they cross a border. */
static struct chunk *append(struct chunk *c, const char *bytes, size_t size)
{
    while (c != NULL && size > 0) {
        size_t part = sizeof c->text - c->used;
        if (part > size)
            part = size;
        memcpy(c->text + c->used, bytes, part);
        c->used += part;
        bytes += part;
        size -= part;
        if (c->used == sizeof c->text)
            c = new_chunk(&c->next);
    }
    return c;
}

static char *join(const struct chunk *first)
{
    size_t total = 0;
    for (const struct chunk *c = first; c != NULL; c = c->next)
        total += c->used;
    char *out = malloc(total + 1);
    char *end = out;
    for (const struct chunk *c = first; c != NULL && out != NULL; c = c->next) {
        memcpy(end, c->text, c->used);
        end += c->used;
    }
    if (out != NULL)
        *end = '\0';
    return out;
}

static void free_chunks(struct chunk *c)
{
    while (c != NULL) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
}

char *log_export(const struct log_record *records, size_t count)
{
    struct chunk *first = NULL;
    struct chunk *last = new_chunk(&first);
    for (size_t r = 0; r < count; r++) {
        for (size_t f = 0; f < LOG_FIELDS; f++) {
            const char *field = records[r].field[f];
            last = append(last, field, strlen(field));
            last = append(last, f + 1 < LOG_FIELDS ? "\t" : "\n", 1);
        }
    }
    char *out = last != NULL ? join(first) : NULL;
    free_chunks(first);
    return out;
}
