/* slow.c with its last function first, and data between it and the others. */
#include "lab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One message; `text` has room for the longest so far. */
struct message {
    char host[HOST_MAX + 1];
    size_t size, capacity;
    char *text;
};

static int copy_message(int in, int out, struct message *m);

long log_collect(int in, int out)
{
    struct message m = {.text = NULL};
    long count = 0;
    int found;
    while ((found = copy_message(in, out, &m)) > 0)
        count++;
    int error = errno;
    free(m.text);
    errno = error;
    return found < 0 ? -1 : count;
}

const char moved_filler[3001] = {1};

/* read_all reads `size` bytes, or as many as there are before the end. Returns how many, or -1. */
__attribute__((noinline))
static ssize_t read_all(int in, char *to, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(in, to + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

__attribute__((noinline))
static int write_all(int out, const char *from, size_t size)
{
    while (size > 0) {
        ssize_t put = write(out, from, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        from += put;
        size -= (size_t)put;
    }
    return 0;
}

static int malformed(void)
{
    errno = EPROTO;
    return -1;
}

/* read_word reads up to `end`, one byte at a time: what comes after it belongs to the next reader.
   Returns 1, 0 when there is nothing at all to read, or -1. */
__attribute__((noinline))
static int read_word(int in, char *word, size_t longest, char end)
{
    for (size_t i = 0; i <= longest; i++) {
        ssize_t got = read_all(in, &word[i], 1);
        if (got < 0)
            return -1;
        if (got == 0)
            return i == 0 ? 0 : malformed();
        if (word[i] == end) {
            word[i] = '\0';
            return i > 0 ? 1 : malformed();
        }
    }
    return malformed();
}

static int to_size(const char *digits, size_t *size)
{
    *size = 0;
    for (; *digits != '\0'; digits++) {
        if (*digits < '0' || *digits > '9')
            return malformed();
        *size = 10 * *size + (size_t)(*digits - '0');
    }
    return *size <= MESSAGE_MAX ? 0 : malformed();
}

/* read_header returns 1, 0 at the end of the input, or -1. */
static int read_header(int in, struct message *m)
{
    char digits[8];
    int found = read_word(in, m->host, HOST_MAX, ' ');
    if (found <= 0)
        return found;
    found = read_word(in, digits, sizeof digits - 1, '\n');
    if (found <= 0)
        return found < 0 ? -1 : malformed();
    return to_size(digits, &m->size) != 0 ? -1 : 1;
}

static int reserve(struct message *m, size_t size)
{
    if (size <= m->capacity)
        return 0;
    char *text = realloc(m->text, size);
    if (text == NULL)
        return -1;
    m->text = text;
    m->capacity = size;
    return 0;
}

/* copy_message makes a line of the next message. Returns 1, 0 at the end of the input, or -1. */
static int copy_message(int in, int out, struct message *m)
{
    int found = read_header(in, m);
    if (found <= 0)
        return found;
    size_t start = strlen(m->host) + 2;
    if (reserve(m, start + m->size + 1) != 0)
        return -1;
    memcpy(m->text, m->host, start - 2);
    memcpy(m->text + start - 2, ": ", 2);
    ssize_t got = read_all(in, m->text + start, m->size);
    if (got < 0)
        return -1;
    if ((size_t)got < m->size)
        return malformed();
    m->text[start + m->size] = '\n';
    return write_all(out, m->text, start + m->size + 1) != 0 ? -1 : 1;
}
