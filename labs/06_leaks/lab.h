/* lab.h: what the service has to do. Every version of the lab keeps this contract. */
#ifndef LAB06_H
#define LAB06_H

#include <stddef.h>

/* A small web service, as a library. A request is one line of text, without its newline:

       USER GET KEY                    the page called KEY            200 and the page
       USER PUT NAME CHECKSUM TEXT     an upload                      201 NAME SIZE
                                       ... whose checksum is wrong    400 NAME
       anything of a user whose name begins with "bot-"               403 USER
       anything else                                                  400

   USER, KEY and NAME have 1 to WORD_MAX letters without blanks, CHECKSUM is a decimal number of 1
   to 9 digits, and TEXT is the rest of the line: 1 to TEXT_MAX bytes, blanks too. One blank stands
   between two parts. */
enum { WORD_MAX = 31, TEXT_MAX = 160, PAGE_SIZE = 200, REPLY_SIZE = 256 };

/* A service keeps at most so many pages. */
enum { CACHED_PAGES = 64 };

/* What a service has done. */
struct summary {
    unsigned long served, stored, blocked, bad;     /* replies with 200, 201, 403, 400 */
    unsigned long bytes;                            /* of all replies together */
};

struct service;

/* service_open makes a service; NULL when memory, or what else it needs, has run out. */
struct service *service_open(void);

/* service_handle answers one request: it writes the reply to `reply`, which has room for REPLY_SIZE
   bytes, as text that ends with NUL. Returns 0, or -1 when out of memory. */
int service_handle(struct service *service, const char *request, char *reply);

/* service_close ends the service and writes its summary, in which every reply counts. Afterwards
   nothing is left of it: no memory, no open descriptor, no thread. */
void service_close(struct service *service, struct summary *summary);

/* render_page makes the text of a page, which is what pages cost: look it up in the cache first.
   page has room for PAGE_SIZE bytes. Given; implemented in workload.c. */
void render_page(const char *key, char *page);

#endif
