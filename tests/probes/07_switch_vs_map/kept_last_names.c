/* Remembers the last four names, as a cache would. Every other name is hashed. */
#include "lab.h"
#include "perflab.h"

#include <string.h>

static const char *const known[FIELD_OTHER] = {
    [FIELD_ACCEPT] = "accept",
    [FIELD_COOKIE] = "cookie",
    [FIELD_USER_AGENT] = "user-agent",
    [FIELD_CONTENT_TYPE] = "content-type",
    [FIELD_CONTENT_LENGTH] = "content-length",
};

/* field_table makes a map of the known names; NULL when there is no memory. */
static struct word_map *field_table(void)
{
    struct word_map *table = word_map_new();
    for (int i = 0; table != NULL && i < FIELD_OTHER; i++) {
        if (word_map_put(table, known[i], strlen(known[i]), i) != 0) {
            word_map_free(table);
            table = NULL;
        }
    }
    return table;
}

/* find_field tells which field a name is. PL_NOINLINE keeps it a function of its own, so that a
   profile has a name for it. */
static PL_NOINLINE unsigned char find_field(const struct word_map *table, const struct name *name)
{
    return (unsigned char)word_map_get(table, name->text, name->length, FIELD_OTHER);
}

/* same tells whether two names are equal. */
static int same(const struct name *a, const struct name *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    enum { REMEMBERED = 4 };
    struct word_map *table = field_table();
    for (size_t i = 0; table != NULL && i < count; i++) {
        size_t back = 1;
        while (back <= REMEMBERED && back <= i && !same(&names[i], &names[i - back]))
            back++;
        if (back <= REMEMBERED && back <= i)
            fields[i] = fields[i - back];
        else
            fields[i] = find_field(table, &names[i]);
    }
    word_map_free(table);
}
