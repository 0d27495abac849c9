/* Asks the map only about names as long as a known one: half of the work is gone, the cause is
   not. */
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
    static const char possible[16] = {[6] = 1, [10] = 1, [12] = 1, [14] = 1};
    if (name->length >= sizeof possible || !possible[name->length])
        return FIELD_OTHER;
    return (unsigned char)word_map_get(table, name->text, name->length, FIELD_OTHER);
}

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    struct word_map *table = field_table();
    for (size_t i = 0; table != NULL && i < count; i++)
        fields[i] = find_field(table, &names[i]);
    word_map_free(table);
}
