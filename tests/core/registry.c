/* Stands behind the sections up to >>heap: threads that are born, count and die while others read
   and fork hooks run. Built with the thread sanitizer, which has its own malloc: counts are made
   by hand here. */
#define ROUNDS 300
#define BUSY 4

static int finished;

static void count(size_t bytes)
{
    if (PLI_BESIDE_WORDS(bytes) || !pli_heap_born(bytes))
        pli_heap_count_slow(bytes, 1);
    if (PLI_BESIDE_WORDS(bytes) || !pli_heap_died(bytes))
        pli_heap_count_slow(bytes, 0);
}

static void *work(void *arg)
{
    for (size_t i = 0; i < 500; i++)
        count(i % 100 == 99 ? (size_t)2 << 20 : i % 10 == 9 ? 100000 : i);
    return arg;
}

static void *read_until_finished(void *arg)
{
    pl_memstats m;
    int64_t last = 0, back = 0;
    while (!PLI_LOAD(finished)) {
        pli_heap_sum(&m);
        back += m.mallocs < last || m.mallocs < m.frees;
        last = m.mallocs;
    }
    *(int64_t *)arg = back;
    return NULL;
}

static void *fork_until_finished(void *arg)
{
    while (!PLI_LOAD(finished)) {
        pli_fork_prepare();
        pli_fork_parent();
    }
    return arg;
}

int main(void)
{
    pthread_t reader, forker, busy[BUSY];
    int64_t back = 0;
    pl_memstats m;
    pthread_create(&reader, NULL, read_until_finished, &back);
    pthread_create(&forker, NULL, fork_until_finished, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BUSY; i++)
            pthread_create(&busy[i], NULL, work, NULL);
        for (int i = 0; i < BUSY; i++)
            pthread_join(busy[i], NULL);
    }
    PLI_STORE(finished, 1);
    pthread_join(reader, NULL);
    pthread_join(forker, NULL);
    pli_heap_sum(&m);
    int exact = m.mallocs == 500ll * ROUNDS * BUSY && m.frees == m.mallocs && m.alloc == 0 &&
                m.threads_seen == ROUNDS * BUSY && back == 0;
    puts(exact ? "exact" : "different");
    if (!exact)
        printf("%lld %lld %lld, back %lld\n", (long long)m.mallocs, (long long)m.frees,
               (long long)m.alloc, (long long)back);
    return 0;
}
