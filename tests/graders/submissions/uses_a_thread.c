/* ok:
   Threads are allowed, and no faster. */
#include "lab.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void *copy_letters(void *argument) {
    const char *text = argument;
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (; *text; text++)
        if (*text != ' ') *to++ = *text;
    *to = '\0';
    return copy;
}

char *squeeze(const char *text) {
    pthread_t thread;
    void *copy = NULL;
    if (pthread_create(&thread, NULL, copy_letters, (void *)text) != 0) return NULL;
    pthread_join(thread, &copy);
    return copy;
}
