/* Reads into one large buffer, and writes from there: writev gathers the parts of many lines, and
   nothing is copied in between. */
#include "lab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PARTS = 1024, BUFFER_BYTES = 1 << 17, HEADER_MAX = HOST_MAX + 9 };

/* The parts of the waiting lines point into `data`: they are written before it moves. */
struct state {
    int in, out, ended, parts;
    char *data;
    size_t start, end, capacity;
    struct iovec part[PARTS];
};

/* skip takes away what a short write has written. */
static void skip(struct iovec **part, int *count, size_t put)
{
    while (*count > 0 && put >= (*part)->iov_len) {
        put -= (*part)->iov_len;
        ++*part;
        --*count;
    }
    if (*count > 0) {
        (*part)->iov_base = (char *)(*part)->iov_base + put;
        (*part)->iov_len -= put;
    }
}

static int flush(struct state *s)
{
    struct iovec *part = s->part;
    int count = s->parts;
    s->parts = 0;
    while (count > 0) {
        ssize_t put = writev(s->out, part, count);
        if (put < 0 && errno != EINTR)
            return -1;
        if (put >= 0)
            skip(&part, &count, (size_t)put);
    }
    return 0;
}

static int refill(struct state *s, size_t size)
{
    if (flush(s) != 0)
        return -1;
    memmove(s->data, s->data + s->start, s->end - s->start);
    s->end -= s->start;
    s->start = 0;
    if (size > s->capacity) {
        char *data = realloc(s->data, size);
        if (data == NULL)
            return -1;
        s->data = data;
        s->capacity = size;
    }
    while (s->end < size && !s->ended) {
        ssize_t got = read(s->in, s->data + s->end, s->capacity - s->end);
        if (got < 0 && errno != EINTR)
            return -1;
        s->ended = got == 0;
        s->end += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int need(struct state *s, size_t size)
{
    return s->end - s->start >= size || s->ended ? 0 : refill(s, size);
}

static void gather(struct state *s, const char *from, size_t size)
{
    s->part[s->parts++] = (struct iovec){(char *)from, size};
}

static int malformed(void)
{
    errno = EPROTO;
    return -1;
}

/* parse returns the length of the header, or -1. */
static long parse(const char *at, size_t length, size_t *host, size_t *size)
{
    const char *blank = memchr(at, ' ', length);
    const char *newline = memchr(at, '\n', length);
    if (blank == NULL || newline == NULL || blank == at || blank - at > HOST_MAX ||
        newline - blank < 2 || newline - blank > 8)
        return malformed();
    *host = (size_t)(blank - at);
    *size = 0;
    for (const char *p = blank + 1; p < newline; p++) {
        if (*p < '0' || *p > '9')
            return malformed();
        *size = 10 * *size + (size_t)(*p - '0');
    }
    return *size <= MESSAGE_MAX ? newline + 1 - at : malformed();
}

static int copy_message(struct state *s)
{
    size_t host, size;
    if (need(s, HEADER_MAX) != 0)
        return -1;
    size_t length = s->end - s->start;
    if (length == 0)
        return 0;
    length = length < HEADER_MAX ? length : HEADER_MAX;
    long header = parse(s->data + s->start, length, &host, &size);
    if (header < 0 || need(s, (size_t)header + size) != 0)
        return -1;
    if (s->end - s->start < (size_t)header + size)
        return malformed();
    if (s->parts + 4 > PARTS && flush(s) != 0)
        return -1;
    gather(s, s->data + s->start, host);
    gather(s, ": ", 2);
    gather(s, s->data + s->start + header, size);
    gather(s, "\n", 1);
    s->start += (size_t)header + size;
    return 1;
}

long log_collect(int in, int out)
{
    struct state *s = calloc(1, sizeof *s);
    long count = 0;
    int found = -1;
    if (s == NULL)
        return -1;
    s->in = in;
    s->out = out;
    s->capacity = BUFFER_BYTES;
    s->data = malloc(BUFFER_BYTES);
    while (s->data != NULL && (found = copy_message(s)) > 0)
        count++;
    int error = errno;
    if (flush(s) != 0) {
        error = errno;
        found = -1;
    }
    free(s->data);
    free(s);
    errno = error;
    return found < 0 ? -1 : count;
}
