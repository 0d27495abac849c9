/* The first letter decides, then the length: the other way round than the solution. */
#include "lab.h"

#include <stdbool.h>
#include <string.h>

static bool is(const struct name *name, const char *known, size_t length)
{
    return name->length == length && memcmp(name->text, known, length) == 0;
}

static unsigned char find_field(const struct name *name)
{
    if (name->length == 0)
        return FIELD_OTHER;
    switch (name->text[0]) {
    case 'a':
        return is(name, "accept", 6) ? FIELD_ACCEPT : FIELD_OTHER;
    case 'c':
        return is(name, "cookie", 6)           ? FIELD_COOKIE
               : is(name, "content-type", 12)   ? FIELD_CONTENT_TYPE
               : is(name, "content-length", 14) ? FIELD_CONTENT_LENGTH
                                                : FIELD_OTHER;
    case 'u':
        return is(name, "user-agent", 10) ? FIELD_USER_AGENT : FIELD_OTHER;
    default:
        return FIELD_OTHER;
    }
}

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    for (size_t i = 0; i < count; i++)
        fields[i] = find_field(&names[i]);
}
