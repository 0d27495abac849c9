/* All but one cause: the request of a blocked user is not freed. */
#define _GNU_SOURCE
#include "lab.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OK = 200, STORED = 201, BAD = 400, BLOCKED = 403 };

/* ---- the auditor: a thread that adds up what was done, so that requests need not wait ---- */

enum { QUEUE = 64 };

struct reply_record {
    int status;
    unsigned long bytes;
};

struct auditor {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct reply_record queue[QUEUE];
    unsigned head, tail;            /* written, and added up so far */
    int closing;                    /* nothing more will be written */
    struct summary summary;
};

static void add_up(struct summary *s, struct reply_record done)
{
    s->served += done.status == OK;
    s->stored += done.status == STORED;
    s->blocked += done.status == BLOCKED;
    s->bad += done.status == BAD;
    s->bytes += done.bytes;
}

static void *audit(void *argument)
{
    struct auditor *a = argument;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (a->tail == a->head && !a->closing)
            pthread_cond_wait(&a->changed, &a->lock);
        if (a->tail == a->head)
            break;
        add_up(&a->summary, a->queue[a->tail % QUEUE]);
        a->tail++;
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static struct auditor *start_auditor(void)
{
    struct auditor *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    if (pthread_create(&a->thread, NULL, audit, a) == 0)
        return a;
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
    return NULL;
}

static void record(struct auditor *a, int status, size_t bytes)
{
    pthread_mutex_lock(&a->lock);
    while (a->head - a->tail == QUEUE)
        pthread_cond_wait(&a->changed, &a->lock);
    a->queue[a->head % QUEUE] = (struct reply_record){status, bytes};
    a->head++;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

/* Tells the thread to end when all is added up, waits for that, and gives everything back. */
static struct summary finish_auditor(struct auditor *a)
{
    pthread_mutex_lock(&a->lock);
    a->closing = 1;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    struct summary summary = a->summary;
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
    return summary;
}

/* ---- the cache of pages: a new one replaces the one that was used least recently ---- */

struct page {
    unsigned long used;             /* the service's clock when it was asked for; 0: no page */
    char key[WORD_MAX + 1];
    char text[PAGE_SIZE];
};

struct cache {
    unsigned long clock;
    struct page page[CACHED_PAGES];
};

static const char *find_page(struct cache *cache, const char *key)
{
    struct page *oldest = &cache->page[0];
    cache->clock++;
    for (struct page *page = cache->page; page < cache->page + CACHED_PAGES; page++) {
        if (page->used != 0 && strcmp(page->key, key) == 0) {
            page->used = cache->clock;
            return page->text;
        }
        if (page->used < oldest->used)
            oldest = page;
    }
    strcpy(oldest->key, key);
    render_page(key, oldest->text);
    oldest->used = cache->clock;
    return oldest->text;
}

/* ---- requests ---- */

struct request {
    char user[WORD_MAX + 1], verb[4], name[WORD_MAX + 1];
    unsigned long checksum;
    char text[TEXT_MAX + 1];
};

/* Copies one word and returns what follows its blank; NULL when it is empty or too long. */
static const char *copy_word(const char *from, char *to, size_t most)
{
    size_t size = from == NULL ? 0 : strcspn(from, " ");
    if (size == 0 || size > most)
        return NULL;
    memcpy(to, from, size);
    to[size] = '\0';
    return from + size + (from[size] == ' ');
}

/* Reads the checksum and the text of an upload. */
static int parse_upload(struct request *r, const char *rest)
{
    char number[10];
    rest = copy_word(rest, number, sizeof number - 1);
    if (rest == NULL || number[strspn(number, "0123456789")] != '\0' ||
        *rest == '\0' || strlen(rest) > TEXT_MAX)
        return 0;
    r->checksum = strtoul(number, NULL, 10);
    strcpy(r->text, rest);
    return 1;
}

/* Understands a request. What makes no sense has an empty verb. */
static struct request *parse_request(const char *line)
{
    struct request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    const char *rest = copy_word(line, r->user, WORD_MAX);
    rest = copy_word(rest, r->verb, sizeof r->verb - 1);
    rest = copy_word(rest, r->name, WORD_MAX);
    int get = rest != NULL && strcmp(r->verb, "GET") == 0 && *rest == '\0' &&
              line[strlen(line) - 1] != ' ';
    int put = rest != NULL && strcmp(r->verb, "PUT") == 0 && parse_upload(r, rest);
    if (!get && !put)
        r->verb[0] = '\0';
    return r;
}

/* Uploads go to a file before they are looked at, so that a large one does not fill the memory.
   Returns whether the checksum is right: the sum of all bytes. */
static int spool_upload(const struct request *r)
{
    char back[TEXT_MAX];
    unsigned long sum = 0;
    size_t size = strlen(r->text);
    int file = memfd_create("upload", MFD_CLOEXEC);
    if (file < 0)
        return 0;
    int whole = write(file, r->text, size) == (ssize_t)size &&
                pread(file, back, size, 0) == (ssize_t)size;
    close(file);
    for (size_t i = 0; whole && i < size; i++)
        sum += (unsigned char)back[i];
    return whole && sum == r->checksum;
}

struct service {
    struct auditor *auditor;
    struct cache cache;
};

/* Writes the reply and returns its status. */
static int answer(struct service *service, const struct request *r, char *reply)
{
    int status = BAD;
    if (strncmp(r->user, "bot-", 4) == 0) {
        status = BLOCKED;
        snprintf(reply, REPLY_SIZE, "403 %s", r->user);
    } else if (r->verb[0] == '\0') {
        strcpy(reply, "400");
    } else if (strcmp(r->verb, "GET") == 0) {
        status = OK;
        snprintf(reply, REPLY_SIZE, "200 %s", find_page(&service->cache, r->name));
    } else if (spool_upload(r)) {
        status = STORED;
        snprintf(reply, REPLY_SIZE, "201 %s %zu", r->name, strlen(r->text));
    } else {
        snprintf(reply, REPLY_SIZE, "400 %s", r->name);
    }
    return status;
}

/* One way out, on which the request is freed. */
int service_handle(struct service *service, const char *line, char *reply)
{
    struct request *r = parse_request(line);
    if (r == NULL)
        return -1;
    int status = answer(service, r, reply);
    if (status != BLOCKED)
        free(r);
    record(service->auditor, status, strlen(reply));
    return 0;
}

/* ---- the service ---- */

struct service *service_open(void)
{
    struct service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return NULL;
    service->auditor = start_auditor();
    if (service->auditor == NULL) {
        free(service);
        return NULL;
    }
    return service;
}

void service_close(struct service *service, struct summary *summary)
{
    *summary = finish_auditor(service->auditor);
    free(service);
}
