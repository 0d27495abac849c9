/* compile: too much
   Sixteen gigabytes of data in two lines. */
#include "lab.h"
#include <stdlib.h>

char big[16000000000] = {1};

char *squeeze(const char *text) { return text ? big : NULL; }
