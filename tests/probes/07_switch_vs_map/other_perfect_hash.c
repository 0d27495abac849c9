/* A perfect hash: for the five known names, the length and the first letter alone give five
   different slots. One comparison then makes sure. */
#include "lab.h"

#include <string.h>

enum { SLOTS = 32 };

static const struct slot {
    const char *text;
    size_t length;
    unsigned char field;
} slots[SLOTS] = {
    [(6 + 'a') % SLOTS] = {"accept", 6, FIELD_ACCEPT},
    [(6 + 'c') % SLOTS] = {"cookie", 6, FIELD_COOKIE},
    [(10 + 'u') % SLOTS] = {"user-agent", 10, FIELD_USER_AGENT},
    [(12 + 'c') % SLOTS] = {"content-type", 12, FIELD_CONTENT_TYPE},
    [(14 + 'c') % SLOTS] = {"content-length", 14, FIELD_CONTENT_LENGTH},
};

void classify(const struct name *names, size_t count, unsigned char *fields)
{
    for (size_t i = 0; i < count; i++) {
        fields[i] = FIELD_OTHER;
        if (names[i].length != 0) {
            const struct slot *s = &slots[(names[i].length + names[i].text[0]) % SLOTS];
            if (s->length == names[i].length && memcmp(s->text, names[i].text, s->length) == 0)
                fields[i] = s->field;
        }
    }
}
