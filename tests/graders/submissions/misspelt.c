/* link: does not define 'squeeze'
   The name of lab.h is not there. */
#include "lab.h"
#include <string.h>

char *sqeeze(const char *text) { return strdup(text); }
