/* Reads everything first, makes all lines in memory, and writes them with one call. */
#include "lab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
    char *data;
    size_t size, capacity;
};

static int reserve(struct bytes *b, size_t more)
{
    size_t capacity = b->capacity != 0 ? b->capacity : 1 << 16;
    while (capacity - b->size < more)
        capacity *= 2;
    if (capacity == b->capacity)
        return 0;
    char *data = realloc(b->data, capacity);
    if (data == NULL)
        return -1;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

static int read_everything(int in, struct bytes *b)
{
    for (;;) {
        if (reserve(b, 1 << 15) != 0)
            return -1;
        ssize_t got = read(in, b->data + b->size, b->capacity - b->size);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -1;
        b->size += got > 0 ? (size_t)got : 0;
    }
}

static void add(struct bytes *b, const char *from, size_t size)
{
    memcpy(b->data + b->size, from, size);
    b->size += size;
}

/* add_line returns where the next message begins, or NULL when this one is malformed. */
static const char *add_line(struct bytes *lines, const char *at, const char *end)
{
    size_t size = 0;
    const char *p = at;
    while (p < end && *p != ' ' && *p != '\n')
        p++;
    size_t host = (size_t)(p - at);
    if (p == end || *p != ' ' || host == 0 || host > HOST_MAX || ++p == end || *p == '\n')
        return NULL;
    for (; p < end && *p >= '0' && *p <= '9' && size <= MESSAGE_MAX; p++)
        size = 10 * size + (size_t)(*p - '0');
    if (p == end || *p++ != '\n' || size > MESSAGE_MAX || size > (size_t)(end - p))
        return NULL;
    add(lines, at, host);
    add(lines, ": ", 2);
    add(lines, p, size);
    add(lines, "\n", 1);
    return p + size;
}

static int write_everything(int out, const struct bytes *b)
{
    for (size_t done = 0; done < b->size; ) {
        ssize_t put = write(out, b->data + done, b->size - done);
        if (put < 0 && errno != EINTR)
            return -1;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static long convert(int out, const struct bytes *input, struct bytes *lines)
{
    long count = 0;
    const char *at = input->data;
    const char *end = input->data + input->size;
    if (reserve(lines, 2 * input->size + 1) != 0)   /* a line is shorter than its message */
        return -1;
    for (; at != NULL && at < end; count++)
        at = add_line(lines, at, end);
    if (write_everything(out, lines) != 0)
        return -1;
    if (at != NULL)
        return count;
    errno = EPROTO;
    return -1;
}

long log_collect(int in, int out)
{
    struct bytes input = {NULL, 0, 0}, lines = {NULL, 0, 0};
    long count = read_everything(in, &input) != 0 ? -1 : convert(out, &input, &lines);
    int error = errno;
    free(input.data);
    free(lines.data);
    errno = error;
    return count;
}
