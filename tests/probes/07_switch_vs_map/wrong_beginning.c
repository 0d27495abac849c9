/* Takes the beginning of a known name for the whole of it. */
#include "lab.h"

#include <string.h>

static const char *const known[FIELD_OTHER] = {
    "accept", "cookie", "user-agent", "content-type", "content-length"
};

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    for (size_t i = 0; i < count; i++) {
        fields[i] = FIELD_OTHER;
        for (int f = 0; f < FIELD_OTHER; f++) {
            if (strncmp(known[f], names[i].text, names[i].length) == 0)
                fields[i] = (unsigned char)f;
        }
    }
}
