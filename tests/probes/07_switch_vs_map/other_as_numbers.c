/* A name of 6 to 14 bytes as two numbers, its first and its last bytes: compared without a loop. */
#include "lab.h"

#include <stdint.h>
#include <string.h>

static uint64_t eight(const char *text)
{
    uint64_t number;
    memcpy(&number, text, sizeof number);
    return number;
}

/* Both ends of a text of at least eight bytes: together all of it, when it has at most sixteen. */
static unsigned char match(const struct name *name, const char *known, unsigned char field)
{
    size_t end = name->length - 8;
    return (eight(name->text) ^ eight(known)) | (eight(name->text + end) ^ eight(known + end))
               ? FIELD_OTHER : field;
}

static unsigned char short_field(const char *text)
{
    uint64_t number = 0, accept = 0, cookie = 0;
    memcpy(&number, text, 6);
    memcpy(&accept, "accept", 6);
    memcpy(&cookie, "cookie", 6);
    return number == accept ? FIELD_ACCEPT : number == cookie ? FIELD_COOKIE : FIELD_OTHER;
}

static unsigned char find_field(const struct name *name)
{
    if (name->length == 6)
        return short_field(name->text);
    if (name->length == 10)
        return match(name, "user-agent", FIELD_USER_AGENT);
    if (name->length == 12)
        return match(name, "content-type", FIELD_CONTENT_TYPE);
    if (name->length == 14)
        return match(name, "content-length", FIELD_CONTENT_LENGTH);
    return FIELD_OTHER;
}

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    for (size_t i = 0; i < count; i++)
        fields[i] = find_field(&names[i]);
}
