/* A program that knows nothing of perflab: two threads that compute behind one lock, and make and
   keep blocks, until their input ends. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int add_up(unsigned n);
void *take_turns(void *unused);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned sum;
static char *volatile kept[1024];

__attribute__((noinline)) int add_up(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sum += i;
    return 1;
}

__attribute__((noinline)) void *take_turns(void *unused)
{
    for (unsigned i = 0; add_up(1000); i++) {
        pthread_mutex_lock(&lock);
        free(kept[i % 1024]);
        kept[i % 1024] = malloc(16384);
        add_up(200000);
        pthread_mutex_unlock(&lock);
        usleep(100);
    }
    return unused;
}

int main(void)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, take_turns, NULL);
    return getchar() == EOF ? 0 : 1;
}
