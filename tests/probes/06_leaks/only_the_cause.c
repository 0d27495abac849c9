/* slow.c, with the four things given back and nothing else changed. */
#define _GNU_SOURCE
#include "lab.h"
#include "perflab.h"

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
    int closing;
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

static PL_NOINLINE struct auditor *start_auditor(void)
{
    struct auditor *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    if (pthread_create(&a->thread, NULL, audit, a) != 0) {
        free(a);
        return NULL;
    }
    return a;
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

/* Waits until all is added up. */
static struct summary finish_auditor(struct auditor *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->tail != a->head)
        pthread_cond_wait(&a->changed, &a->lock);
    struct summary summary = a->summary;
    a->closing = 1;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    free(a);
    return summary;
}

/* ---- the cache of pages ---- */

struct page {
    struct page *next;
    char key[WORD_MAX + 1];
    char text[PAGE_SIZE];
};

static struct page *pages;
static int kept;

/* Empties the cache. */
static void drop_pages(void)
{
    while (pages != NULL) {
        struct page *next = pages->next;
        free(pages);
        pages = next;
    }
    kept = 0;
}

/* Renders a page and keeps it for the next time. */
static PL_NOINLINE const char *cache_page(const char *key)
{
    if (kept == CACHED_PAGES)
        drop_pages();
    kept++;
    struct page *page = malloc(sizeof *page);
    if (page == NULL)
        return NULL;
    strcpy(page->key, key);
    render_page(key, page->text);
    page->next = pages;
    pages = page;
    return page->text;
}

static const char *find_page(const char *key)
{
    for (struct page *page = pages; page != NULL; page = page->next)
        if (strcmp(page->key, key) == 0)
            return page->text;
    return cache_page(key);
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
static PL_NOINLINE struct request *parse_request(const char *line)
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
static PL_NOINLINE int spool_upload(const struct request *r)
{
    char back[TEXT_MAX];
    unsigned long sum = 0;
    size_t size = strlen(r->text);
    int file = memfd_create("upload", MFD_CLOEXEC);
    if (file < 0)
        return 0;
    if (write(file, r->text, size) != (ssize_t)size ||
        pread(file, back, size, 0) != (ssize_t)size) {
        close(file);
        return 0;
    }
    close(file);
    for (size_t i = 0; i < size; i++)
        sum += (unsigned char)back[i];
    return sum == r->checksum;
}

struct service {
    struct auditor *auditor;
};

/* Notes the reply, which is complete. */
static int answered(struct service *service, int status, const char *reply)
{
    record(service->auditor, status, strlen(reply));
    return 0;
}

int service_handle(struct service *service, const char *line, char *reply)
{
    struct request *r = parse_request(line);
    if (r == NULL)
        return -1;
    if (r->verb[0] == '\0' && strncmp(r->user, "bot-", 4) != 0) {
        free(r);
        return answered(service, BAD, strcpy(reply, "400"));
    }
    if (strncmp(r->user, "bot-", 4) == 0) {
        snprintf(reply, REPLY_SIZE, "403 %s", r->user);
        free(r);
        return answered(service, BLOCKED, reply);
    }
    int status = OK;
    if (strcmp(r->verb, "GET") == 0) {
        const char *page = find_page(r->name);
        if (page == NULL) {
            free(r);
            return -1;
        }
        snprintf(reply, REPLY_SIZE, "200 %s", page);
    } else if (spool_upload(r)) {
        status = STORED;
        snprintf(reply, REPLY_SIZE, "201 %s %zu", r->name, strlen(r->text));
    } else {
        status = BAD;
        snprintf(reply, REPLY_SIZE, "400 %s", r->name);
    }
    free(r);
    return answered(service, status, reply);
}

/* ---- the service ---- */

struct service *service_open(void)
{
    struct service *service = malloc(sizeof *service);
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
    drop_pages();
    free(service);
}
