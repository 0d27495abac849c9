/* forbidden: includes /etc/hostname
   The compiler would quote it in its messages. */
#include "lab.h"

#include "/etc/hostname"
