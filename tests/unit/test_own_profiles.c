/* Profiles that a program makes of things of its own. */
/* run: upto=own */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

#include <pthread.h>

static char text[1 << 20];

static long long total(const char *name)
{
    long long n = -1;
    FILE *out = tmpfile();
    if (!out || pl_profile_write(name, out, 1) != PL_OK)
        abort();
    rewind(out);
    text[fread(text, 1, sizeof text - 1, out)] = '\0';
    fclose(out);
    char *number = strstr(text, " profile: total ");
    return number && sscanf(number, " profile: total %lld", &n) == 1 ? n : -1;
}

static PL_NOINLINE void inner(pl_profile *p, const void *key, int skip)
{
    pl_profile_add(p, key, skip);
    PL_CLOBBER();
}

static PL_NOINLINE void outer(pl_profile *p, const void *key, int skip)
{
    inner(p, key, skip);
    PL_CLOBBER();
}

/* The first stack's first function is this one. */
static int first_is(const char *function)
{
    const char *frame = strstr(text, "#\t");
    char name[80];
    snprintf(name, sizeof name, "\t%s+0x", function);
    return frame && strcspn(frame, "\n") > (size_t)(strstr(frame, name) - frame);
}

static void test_names(void)
{
    char longest[64], longer[65];
    memset(longest, 'a', 63), longest[63] = '\0';
    memset(longer, 'b', 64), longer[64] = '\0';
    ok(!pl_profile_new(NULL) && !pl_profile_new("") && !pl_profile_new("a b") &&
           !pl_profile_new("a/b") && !pl_profile_new(longer), "names that are none");
    ok(!pl_profile_new("heap") && !pl_profile_new("cpu") && !pl_profile_new("cmdline"),
       "names that are perflab's");
    ok(pl_profile_new(longest) != NULL, "63 bytes are a name");
    ok(pl_profile_new("net.conns_2-x") && !pl_profile_new("net.conns_2-x"), "each once");
}

static void test_keys(void)
{
    int things[3];
    pl_profile *p = pl_profile_new("things");
    is_int(total("things"), 0, "an empty profile");
    inner(p, &things[0], 0);
    is_int(total("things"), 1, "one thing");
    ok(strstr(text, "things profile: total 1\n") == text, "its name stands in the title");
    ok(first_is("inner"), "at the function that added it");
    is_int(pl_profile_add(p, &things[0], 0), PL_INVALID, "a key that is in");
    outer(p, &things[1], 1);
    pl_profile_remove(p, &things[0]);
    pl_profile_remove(p, &things[0]);
    pl_profile_remove(p, &things[2]);
    is_int(total("things"), 1, "one was removed, others were not there");
    ok(first_is("outer"), "skip leaves a function out");
    ok(pl_profile_add(p, &things[0], 0) == PL_OK && total("things") == 2, "a key comes back");
    ok(pl_profile_add(p, NULL, 0) == PL_OK && total("things") == 3, "NULL is a key, too");
    is_int(pl_profile_add(p, &p, -1), PL_INVALID, "a negative skip");
    is_int(pl_profile_add(NULL, &p, 0), PL_INVALID, "no profile");
    pl_profile_remove(NULL, &p);
}

/* A pool of keys that come and go for long must not grow. */
static void test_churn(void)
{
    pl_profile *p = pl_profile_new("churn");
    for (uintptr_t i = 1; i <= 200000; i++) {
        pl_profile_add(p, (void *)i, 0);
        if (i > 100)
            pl_profile_remove(p, (void *)(i - 100));
    }
    is_int(total("churn"), 100, "100 of 200,000 keys are in");
    ok(p->keys.capacity <= 4096, "in a table for about as many");
}

static pl_profile *common;

static void *work(void *arg)
{
    for (uintptr_t i = 0; i < 20000; i++) {
        const void *key = (const char *)arg + i % 50;
        if (pl_profile_add(common, key, 0) != PL_OK)
            pl_profile_remove(common, key);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t thread[4];
    common = pl_profile_new("common");
    for (uintptr_t i = 0; i < 4; i++)
        if (pthread_create(&thread[i], NULL, work, (void *)(i * 1000 + 1)))
            abort();
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    is_int(total("common"), 0, "four threads put in and took out as often");
}

int main(void)
{
    if (!PLI_LINUX) {
        ok(!pl_profile_new("things"), "not on this system");
        return done();
    }
    test_names();
    test_keys();
    test_churn();
    test_threads();
    return done();
}
