/* lab.h: the memory of a server's requests. Every version of the lab keeps this contract. */
#ifndef LAB04_H
#define LAB04_H

#include <stddef.h>

/* The server keeps no more than this when no request is open: quiet hours come after busy ones. */
enum { SERVER_IDLE_BYTES = 1536 * 1024 };

/* A text without a NUL. It lies in the buffer of the connection, which outlives the request: nobody
   has to copy it. */
struct text {
    const char *at;
    size_t size;
};

/* One header line of a request. */
struct header {
    struct text name, value;
    struct header *next;
};

/* What a handler sees of an open request. */
struct request {
    struct header *first, *last;    /* its header lines, in the order in which they came */
    size_t headers;
    unsigned user;                  /* who is signed in; handlers set it when somebody is */
    int status;                     /* handlers set it when something goes wrong */
};

/* The server itself: what it holds is the business of slow.c and student.c. Only one thread uses
   it. Many requests are open at a time, and they close in any order. */
struct server;

/* server_start makes a server without requests. NULL means out of memory. */
struct server *server_start(void);

/* request_open begins a request, in which every member is 0 or NULL: without headers, with nobody
   signed in. Whatever an earlier request left behind must not be seen. NULL means out of memory. */
struct request *request_open(struct server *server);

/* request_add adds one header line at the end. Returns 0, or -1 when out of memory. */
int request_add(struct server *server, struct request *request, struct text name,
                struct text value);

/* request_buffer gives the request `size` bytes to work with, aligned for any type. What is in them
   does not matter: handlers write before they read. They belong to this request alone until it
   closes. Size 0 is allowed, and gives no NULL. NULL means out of memory. */
void *request_buffer(struct server *server, struct request *request, size_t size);

/* request_close ends the request: its headers and buffers are used no more. */
void request_close(struct server *server, struct request *request);

/* server_stop frees the server, which has no open requests. */
void server_stop(struct server *server);

#endif
