/* forbidden: use the network
   Asks somebody else. */
#include "lab.h"
#include <string.h>
#include <sys/socket.h>

char *squeeze(const char *text) {
    if (socket(AF_INET, SOCK_STREAM, 0) < 0) return strdup("");
    return strdup(text);
}
