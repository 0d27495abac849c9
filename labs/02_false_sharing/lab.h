/* lab.h: what the counters have to do. Every version of the lab keeps this contract. */
#ifndef LAB02_H
#define LAB02_H

#include <stddef.h>
#include <stdint.h>

enum { STATS_THREADS = 64 };    /* threads are numbered from 0, at most so many */

/* What a server counts. */
struct stats_total {
    uint64_t requests;
    uint64_t bytes;
};

struct stats;                   /* each version of the lab has its own */

/* stats_new makes counters for threads 0 to threads - 1, all at 0. Several may exist side by side.
   NULL: out of memory. */
struct stats *stats_new(unsigned threads);

/* stats_add counts one request that was answered with `bytes` bytes. Threads call it at the same
   time, each with its own number. */
void stats_add(struct stats *stats, unsigned thread, uint64_t bytes);

/* stats_read adds all threads up. Any thread may call it at any time, also after others have
   ended: what a thread has added before is in it. */
struct stats_total stats_read(const struct stats *stats);

/* Where the two counters lie to which a thread adds. */
struct stats_place {
    const uint64_t *requests;
    const uint64_t *bytes;
};

/* stats_where gives the addresses of the two counters of `thread`. Only that thread asks, after its
   first stats_add; they hold what it has added so far, and stay until stats_free. */
struct stats_place stats_where(const struct stats *stats, unsigned thread);

/* stats_free is called when no thread uses the counters any more. */
void stats_free(struct stats *stats);

/* machine_line is there for you: how many bytes this machine's processors pass to each other when
   they share memory. It is read from the system and is a power of two, mostly 64. */
size_t machine_line(void);

#endif
