/* The map is made once for all calls, and find_field can be inlined. Still every name is hashed. */
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

/* find_field tells which field a name is. */
static inline unsigned char find_field(const struct word_map *table, const struct name *name)
{
    return (unsigned char)word_map_get(table, name->text, name->length, FIELD_OTHER);
}

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    static struct word_map *table;
    if (table == NULL)
        table = field_table();
    for (size_t i = 0; table != NULL && i < count; i++)
        fields[i] = find_field(table, &names[i]);
}
