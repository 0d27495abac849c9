/* forbidden: includes /etc/hostname
   The same, hidden from a search of the text. */
#include "lab.h"

#define HIDDEN "/etc/hostname"
#include HIDDEN
