/* Sends any bytes over a connection of the server, in one go or in pieces, and looks at what comes
   back: nothing, or whole answers with lengths that agree. The connection is a pair of sockets, so
   that no port is needed; the server's own functions move it.

       clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/http.c -o http -ldl -pthread
       ./http -max_len=20000 tests/fuzz/http      searches on from what is kept here
       cc -DREPLAY ... ; ./http FILE...           only runs these; ./http N: N made by chance */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

enum { HTTP_ANSWER = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pli_http_server server;
static char answer[HTTP_ANSWER + 1];
static long answered;

/* Has the server's end go on until it wants nothing but more bytes; what is due later is due now.
   Returns how much has come back at the other end. */
static size_t move(pli_http_conn *c, int client, size_t used)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        if (c->state != PLI_HTTP_FREE)
            pli_http_step(&server, c, c->state == PLI_HTTP_WAIT ? 0 : POLLIN);
        if (c->state == PLI_HTTP_WAIT)
            c->deadline_ns = 0;
        ssize_t n = recv(client, answer + used, HTTP_ANSWER - used, MSG_DONTWAIT);
        used += n > 0 ? (size_t)n : 0;
        if (n > 0)
            quiet = -1;
    }
    return used;
}

/* Whether a text is a sequence of whole answers; HEAD's have no body, whatever they say. */
static bool is_answers(const char *text, size_t size, bool head)
{
    const char *end = text + size;
    while (text < end) {
        const char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "\r\nContent-Length: ");
        if (strncmp(text, "HTTP/1.1 ", 9) != 0 || !body)
            return false;
        bool go_on = strncmp(text + 9, "100 ", 4) == 0;
        if (!go_on && (!length || length > body))
            return false;
        answered += !go_on;
        text = body + 4 + (go_on || head ? 0 : strtoul(length + 18, NULL, 10));
        if (head)
            return true;
    }
    return text == end;
}

/* The first byte says into how many pieces the rest is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    size_t used = 0, pieces = size ? 1 + data[0] % 4u : 1, at = size ? 1 : 0;
    pli_http_conn *c = &server.conn[0];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return 0;
    pli_http_prepare();
    strcpy(server.guard.hosts, "name.example");
    server.guard.token[0] = size > 1 && data[0] & 4 ? 't' : '\0';
    memset(c, 0, sizeof *c);
    c->fd = pair[0];
    pli_http_turn(c, PLI_HTTP_READ, PLI_HTTP_READ_NS);
    for (size_t i = 1; i <= pieces; i++) {
        size_t until = i == pieces ? size : at + (size - at) / 2;
        while (at < until && c->state != PLI_HTTP_FREE) {
            ssize_t n = send(pair[1], data + at, until - at, MSG_NOSIGNAL);
            at += n > 0 ? (size_t)n : 0;
            used = move(c, pair[1], used);
            if (n <= 0)
                break;
        }
    }
    shutdown(pair[1], SHUT_WR);
    used = move(c, pair[1], used);
    answer[used] = '\0';
    if (used < HTTP_ANSWER && !is_answers(answer, used, memmem(data, size, "HEAD", 4) != NULL))
        abort();
    if (c->state != PLI_HTTP_FREE)
        pli_http_drop(c);
    if (c->in.data || c->job.body.data || c->fd >= 0 || pli_cpu.running || pli_trace.users)
        abort();
    close(pair[1]);
    return 0;
}

#ifdef REPLAY

/* Words that requests are made of: strung together by chance, they are often nearly right. */
static const char *const words[] = {
    "GET ", "POST ", "HEAD ", "get ", "/debug/pprof/", "symbol", "mutex", "heap", "cmdline",
    "memstats", "trace", "nothing", "block?debug=1", "?debug=2", "&gc=1", "?seconds=x",
    "goroutine?debug=2", "0x401000+0x402000", "+", "%41", "%", "%zz", "%00", " HTTP/1.1\r\n",
    " HTTP/1.0\r\n", " HTTP/9.9\r\n", "Host: localhost\r\n", "Host: evil.example\r\n",
    "Host: [::1]:1", "Content-Length: 5\r\n", "Content-Length: 99999999\r\n",
    "Content-Length: ", "Connection: close", "mutex?seconds=1", "profile?seconds=1",
    "Authorization: Bearer t\r\n", "Authorization: Basic eDp0\r\n", "Expect: 100-continue\r\n",
    "Transfer-Encoding: chunked\r\n", "Name: value\r\n", ": ", " ", "\r\n", "\n", "\r", "\r\n\r\n",
    "\r\n\r\n", "12345", "GET /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n\r\n"};

static uint64_t chance(uint64_t below)
{
    static uint64_t state = 1;
    state = pli_mix_sig(state, 0x2545f4914f6cdd1du);
    return state % below;
}

/* One request by chance. */
static size_t make(uint8_t *out, size_t room)
{
    size_t used = 0;
    out[used++] = (uint8_t)chance(256);
    for (uint64_t n = 1 + chance(24); n > 0; n--) {
        const char *word = words[chance(sizeof words / sizeof *words)];
        size_t size = strlen(word);
        if (chance(40) == 0)
            size = chance(size + 1);
        if (used + size + 1 >= room)
            break;
        memcpy(out + used, word, size);
        used += size;
        if (chance(60) == 0)
            out[used++] = (uint8_t)chance(256);
    }
    if (chance(3))
        memcpy(out + used - (used > 4 ? 4 : 0), "\r\n\r\n", 4);
    return used;
}

int main(int argc, char **argv)
{
    static uint8_t data[100000];
    long count = argc == 2 ? atol(argv[1]) : 0;
    for (long i = 0; i < count; i++)
        LLVMFuzzerTestOneInput(data, make(data, 4096));
    for (int i = 1; i < argc && count == 0; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file)
            return 1;
        LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof data, file));
        fclose(file);
    }
    printf("%ld inputs, %s\n", count ? count : argc - 1, answered ? "some answered" : "none");
    return 0;
}

#endif
