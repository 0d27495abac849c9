/* Takes capitals for small letters. */
#include "lab.h"

#include <string.h>
#include <strings.h>

static const char *const known[FIELD_OTHER] = {
    "accept", "cookie", "user-agent", "content-type", "content-length"
};

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    for (size_t i = 0; i < count; i++) {
        fields[i] = FIELD_OTHER;
        for (int f = 0; f < FIELD_OTHER; f++) {
            if (strlen(known[f]) == names[i].length &&
                strncasecmp(known[f], names[i].text, names[i].length) == 0)
                fields[i] = (unsigned char)f;
        }
    }
}
