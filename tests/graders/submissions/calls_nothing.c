/* link: 'squish', which is defined nowhere
   A helper was declared and never written. */
#include "lab.h"

char *squish(const char *text);

char *squeeze(const char *text) { return squish(text); }
