/* slow.c, but that find_field looks at length and letter. The map is still made, and freed. */
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
static PL_NOINLINE unsigned char find_field(const struct name *name)
{
    const char *text = name->text;
    switch (name->length) {
    case 6:
        if (text[0] == 'a')
            return memcmp(text, "accept", 6) == 0 ? FIELD_ACCEPT : FIELD_OTHER;
        return memcmp(text, "cookie", 6) == 0 ? FIELD_COOKIE : FIELD_OTHER;
    case 10:
        return memcmp(text, "user-agent", 10) == 0 ? FIELD_USER_AGENT : FIELD_OTHER;
    case 12:
        return memcmp(text, "content-type", 12) == 0 ? FIELD_CONTENT_TYPE : FIELD_OTHER;
    case 14:
        return memcmp(text, "content-length", 14) == 0 ? FIELD_CONTENT_LENGTH : FIELD_OTHER;
    }
    return FIELD_OTHER;
}

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    struct word_map *table = field_table();
    for (size_t i = 0; table != NULL && i < count; i++)
        fields[i] = find_field(&names[i]);
    word_map_free(table);
}
