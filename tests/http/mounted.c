/* A program with a server of its own, which has perflab's pages under /debug/pprof/: the example of
   perflab.h in full. One request a connection; it prints its port and serves until its end. */
#define _GNU_SOURCE
#include "perflab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void write_all(int client, const void *data, size_t size)
{
    const char *bytes = data;
    for (ssize_t n; size > 0 && (n = write(client, bytes, size)) > 0; size -= (size_t)n)
        bytes += n;
}

/* Whether the client has closed its connection. */
static int client_gone(void *user)
{
    struct pollfd p = {*(int *)user, POLLRDHUP, 0};
    return poll(&p, 1, 0) > 0;
}

static void send_response(int client, const pl_http_response *response)
{
    dprintf(client, "HTTP/1.1 %d -\r\nConnection: close\r\nContent-Length: %zu\r\n",
            response->status, response->size);
    for (int i = 0; response->header[i]; i += 2)
        dprintf(client, "%s: %s\r\n", response->header[i], response->header[i + 1]);
    dprintf(client, "\r\n");
    write_all(client, response->body, response->size);
}

/* A request as it came, small as the ones of this test are. */
static void serve(int client)
{
    char text[4096], method[16], target[512];
    ssize_t size = read(client, text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    if (sscanf(text, "%15s %511s", method, target) != 2)
        return;
    char *body = strstr(text, "\r\n\r\n");
    pl_http_request request = {.method = method, .target = target, .gone = client_gone,
                               .user = &client, .host = "profiles.example"};
    pl_http_response response;
    if (strcmp(method, "POST") == 0 && body)
        request.body = body + 4, request.body_size = strlen(body + 4);
    if (pl_http_handle(&request, &response) != PL_OK)
        return;
    send_response(client, &response);
    pl_http_response_free(&response);
    pl_http_response_free(&response);
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGPIPE, SIG_IGN);
    if (bind(server, (struct sockaddr *)&address, size) || listen(server, 8) ||
        getsockname(server, (struct sockaddr *)&address, &size))
        return 1;
    printf("0 %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept(server, NULL, NULL);
        serve(client);
        close(client);
    }
}
