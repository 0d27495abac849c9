/* lab.h: what classify has to do, and the map that slow.c does it with. Every version of the lab
   keeps this contract. */
#ifndef LAB07_H
#define LAB07_H

#include <stddef.h>

/* The header fields of a request that this server looks at, and what all others count as. */
enum field {
    FIELD_ACCEPT, FIELD_COOKIE, FIELD_USER_AGENT, FIELD_CONTENT_TYPE, FIELD_CONTENT_LENGTH,
    FIELD_OTHER
};

/* The name of one header field, as a parser found it in the text of a request: `length` bytes,
   any number and any bytes, with no NUL behind them. What follows belongs to something else, or is
   not there at all: it may not be read. */
struct name {
    const char *text;
    size_t length;
};

/* classify finds out which field each name is, and writes it to fields[0] to fields[count - 1].
   Known are accept, cookie, user-agent, content-type and content-length, in small letters (as
   HTTP/2 sends all names) and spelled exactly so. Every other name is FIELD_OTHER, the empty one
   too. */
void classify(const struct name *names, size_t count, unsigned char *fields);

/* ---- a map from words to numbers, as a library offers it ---- */

struct word_map;

/* word_map_new makes an empty map; NULL means out of memory. */
struct word_map *word_map_new(void);

/* word_map_put gives a word its value. The map keeps a copy of the word. Returns 0, or -1 when
   there is no memory. */
int word_map_put(struct word_map *map, const char *word, size_t length, int value);

/* word_map_get returns the value of a word, or `missing` when the map does not have it. */
int word_map_get(const struct word_map *map, const char *word, size_t length, int missing);

/* word_map_free frees the map and all that it keeps; NULL is no map, and nothing happens. */
void word_map_free(struct word_map *map);

#endif
