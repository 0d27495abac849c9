/* forbidden: includes ../
   Climbs out of its folder. */
#include "lab.h"

#include "../../../solutions/90_squeeze/student.c"
