/* Profiles as files: registry, text, gzip's checksum, saving whole or not at all, emergencies. */
/* run: upto=profile flags=-ldl */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"
#include "tap.h"

#include <sys/resource.h>

static pli_sites sites;
static int opened, closed; /* atomic */
static pl_result answer = PL_OK;

static pl_result open_own(pli_profile_view *view, bool emergency)
{
    (void)emergency;
    if (answer != PL_OK)
        return answer;
    PLI_ADD(opened, 1);
    view->sites = &sites;
    view->types = 1;
    view->type[0] = (pli_sample_type){"events", "count", 0, 1, NULL};
    view->period_type = "events", view->period_unit = "count", view->period = 1;
    pli_view_note(view, "made by %s", "hand");
    return PL_OK;
}

static void close_own(void)
{
    PLI_ADD(closed, 1);
}

static pli_profile_source own = {"own", open_own, close_own, NULL};

static void count(const uintptr_t *pcs, int depth, const pli_labels *labels, int64_t weight)
{
    pli_site_key key = {labels, 0, pli_modules_epoch_sig(), depth, pcs};
    pli_sites_count_sig(&sites, &key, 0, weight, 0);
}

static char *text_of(pl_result want)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    is_int(pl_profile_write("own", out, 1), want, "writing text: %s", pl_result_str(want));
    fclose(out);
    return text;
}

static void test_registry(void)
{
    is_int(pl_profile_write("nothing", stdout, 0), PL_INVALID, "an unknown profile");
    is_int(pl_profile_write(NULL, stdout, 0), PL_INVALID, "no name");
    is_int(pl_profile_write("own", NULL, 0), PL_INVALID, "no file");
    is_int(pl_profile_save("own", NULL), PL_INVALID, "no path");
    is_int(pl_profile_write("own", stdout, 2), PL_INVALID, "a form that does not exist");
    is_int(closed, opened, "what was opened is closed, also after an error");
    answer = PL_BUSY;
    is_int(pl_profile_write("own", stdout, 0), PL_BUSY, "the collector's answer is handed on");
    is_int(closed, opened, "and nothing is closed then");
    answer = PL_OK;
}

/* Marks need no addresses, so that the whole text is known. */
static void test_text(void)
{
    const uintptr_t lost[] = {PLI_PC_LOST}, cut[] = {PLI_PC_LOST, PLI_PC_TRUNCATED};
    static union {
        pli_labels labels;
        const char *room[8];
    } set;
    set.labels.count = 1;
    set.labels.pair[0] = "user", set.labels.pair[1] = "a \"b\"\n";
    count(lost, 1, NULL, 7);
    count(cut, 2, &set.labels, 30);
    sites.lost = 5;
    char *text = text_of(PL_OK), *map = strstr(text, "--- Memory map: ---\n");
    ok(map != NULL && strstr(map, " r-xp ") != NULL, "text ends with the modules");
    if (map)
        *map = '\0';
    is_str(text, "own profile: total 42\n"
           "# made by hand\n"
           "30 @ 0x2 0x3\n"
           "# labels: {\"user\":\"a \\u0022b\\u0022\\u000a\"}\n"
           "#\t0x1\tlostProfileEvent+0x0\t\n"
           "#\t0x2\t[truncated]+0x0\t\n\n"
           "7 @ 0x2\n"
           "#\t0x1\tlostProfileEvent+0x0\t\n\n"
           "5 @ 0x2\n"
           "#\t0x1\tlostProfileEvent+0x0\t\n\n",
           "largest first, labels, marks, what was lost");
    free(text);
    sites.lost = 0;
}

static void test_many(void)
{
    for (uintptr_t i = 0; i < 5000; i++) {
        uintptr_t pcs[] = {(uintptr_t)test_text + i % 3, 0x1000 + i};
        count(pcs, 2, NULL, (int64_t)(i * 7919 % 5003) + 1);
    }
    char *text = text_of(PL_OK);
    long long total = 0, sum = 0, last = INT64_MAX, value;
    int samples = 0, disorder = 0;
    sscanf(text, "own profile: total %lld", &total);
    char *line = text;
    while ((line = strchr(line, '\n')) != NULL && strncmp(++line, "---", 3) != 0) {
        if (*line < '0' || *line > '9' || sscanf(line, "%lld @", &value) != 1)
            continue;
        disorder += value > last;
        samples++, sum += value, last = value;
    }
    is_int(samples, 5002, "all of many stacks are there");
    is_int(disorder, 0, "from large to small");
    is_int(sum, total, "the total is their sum");
    ok(strstr(text, "\ttest_text+0x1\t") != NULL, "functions have names");
    ok(strstr(text, "\t[unknown]+0x0\t") != NULL, "nobody's addresses say so");
    free(text);
}

static void test_checksum(void)
{
    ok(pli_crc32((const unsigned char *)"123456789", 9) == 0xcbf43926, "gzip's checksum");
    ok(pli_crc32(NULL, 0) == 0, "of nothing");
}

static void test_map(void)
{
    pli_map map = {NULL, 0, 0};
    int wrong = 0;
    for (uint64_t i = 0; i < 10000; i++)
        *pli_map_at(&map, i, i * i) = i + 1;
    for (uint64_t i = 0; i < 10000; i++)
        wrong += *pli_map_at(&map, i, i * i) != i + 1;
    is_int(wrong, 0, "a map that grew finds everything");
    is_int((long long)*pli_map_at(&map, 1, 2), 0, "and nothing else");
    pli_map_free(&map);
}

/* -- Saving -- */

static char folder[] = "/tmp/perflab-test-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static long long size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (long long)status.st_size : -1;
}

static int files_in_folder(void)
{
    char command[100], answer_text[20] = "";
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    char *line = fgets(answer_text, sizeof answer_text, pipe);
    pclose(pipe);
    return line ? atoi(line) : -1;
}

static void test_save(void)
{
    mode_t before = umask(027);
    const char *path = in_folder("a.pb.gz");
    is_int(pl_profile_save("own", path), PL_OK, "a profile is saved");
    umask(before);
    struct stat status;
    ok(stat(path, &status) == 0 && (status.st_mode & 0777) == 0640, "with the mode of the umask");
    long long size = size_of(path);
    ok(size > 100, "and has %lld bytes", size);
    FILE *old = fopen(path, "w");
    fputs("something longer or shorter", old);
    fclose(old);
    is_int(pl_profile_save("own", path), PL_OK, "over an old one");
    is_int(size_of(path), size, "which is gone");
    is_int(files_in_folder(), 1, "nothing else is left behind");
    is_int(closed, opened, "what was opened is closed");
}

static void test_save_elsewhere(void)
{
    char target[200];
    snprintf(target, sizeof target, "%s", in_folder("target"));
    ok(symlink(target, in_folder("link")) == 0, "a link to a file");
    is_int(pl_profile_save("own", in_folder("link")), PL_OK, "is written through");
    ok(size_of(target) > 100, "to where it points");
    is_int(pl_profile_save("own", "/dev/null"), PL_OK, "a device is written to");
    struct stat status;
    ok(stat("/dev/null", &status) == 0 && S_ISCHR(status.st_mode), "and stays one");
    is_int(pl_profile_save("own", "/dev/full"), PL_IO, "a full one is said");
    is_int(pl_profile_save("own", in_folder("no/such/folder")), PL_IO, "no folder");
    is_int(pl_profile_save("own", folder), PL_IO, "a folder is no file");
    is_int(files_in_folder(), 3, "nothing half-written is left");
}

/* The folder's room ends in the middle of the file. */
static void test_save_full(void)
{
    struct rlimit none = {50, 50}, before;
    int left = files_in_folder();
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &none);
    is_int(pl_profile_save("own", in_folder("b.pb.gz")), PL_IO, "a write that ends half way");
    setrlimit(RLIMIT_FSIZE, &before);
    is_int(files_in_folder(), left, "leaves nothing behind");
}

#if !PLI_SANITIZER
/* Written without malloc, also what was never looked up before. */
static void test_emergency(void)
{
    pl_memstats before, after;
    for (pli_module *m = pli_modules.all; m; m = m->next)
        m->symbols = NULL;
    pl_memstats_read(&before);
    pl_result result = pli_profile_save("own", in_folder("c.pb.gz"), true);
    pl_memstats_read(&after);
    is_int(result, PL_OK, "an emergency");
    is_int(after.mallocs - before.mallocs, 0, "allocates nothing");
    ok(size_of(in_folder("c.pb.gz")) > 100, "and writes the profile");
}

static void test_no_memory(void)
{
    struct rlimit before, none;
    FILE *out = fopen("/dev/null", "w");
    getrlimit(RLIMIT_AS, &before);
    none = before;
    none.rlim_cur = 1;
    setrlimit(RLIMIT_AS, &none);
    pl_result result = pl_profile_write("own", out, 0);
    pl_result text = pl_profile_write("own", out, 1);
    setrlimit(RLIMIT_AS, &before);
    is_int(result, PL_NOMEM, "without memory there is no profile");
    is_int(text, PL_NOMEM, "nor text");
    is_int(pl_profile_write("own", out, 0), PL_OK, "and later there is");
    fclose(out);
}
#else
static void test_emergency(void)
{
    skip("emergency", "allocations are not counted beside a sanitizer");
}

static void test_no_memory(void)
{
    skip("no memory", "a sanitizer needs it");
}
#endif

/* Whether a compressed file is whole: its last four bytes are the length of what it holds, and the
   header and that are more than nothing. */
static bool is_whole(const char *path)
{
    unsigned char head[2] = {0, 0}, length[4] = {0, 0, 0, 0};
    FILE *in = fopen(path, "rb");
    bool read = in && fread(head, 1, 2, in) == 2 && fseek(in, -4, SEEK_END) == 0 &&
                fread(length, 1, 4, in) == 4;
    if (in)
        fclose(in);
    return read && head[0] == 0x1f && length[2] < 0x40 && length[3] == 0;
}

static void *write_often(void *unused)
{
    char path[200];
    FILE *out = fopen("/dev/null", "w");
    intptr_t wrong = 0;
    snprintf(path, sizeof path, "%s/same.pb.gz", folder);
    for (int i = 0; i < 5; i++) {
        wrong += pl_profile_write("own", out, i % 2) != PL_OK;
        wrong += pl_profile_save("own", path) != PL_OK || !is_whole(path);
    }
    fclose(out);
    return unused ? unused : (void *)wrong;
}

/* While sites are added. */
static void test_threads(void)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, write_often, NULL);
    for (uintptr_t i = 0; i < 20000; i++) {
        uintptr_t pcs[] = {(uintptr_t)test_many + i % 100};
        count(pcs, 1, NULL, 1);
    }
    intptr_t wrong = 0;
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (intptr_t)result;
    }
    is_int(wrong, 0, "profiles are written and saved while they grow");
}

int main(void)
{
    if (pli_modules_refresh() != PL_OK || pli_sites_open(&sites, 4 << 20) != PL_OK ||
        !mkdtemp(folder))
        return 1;
    pli_profile_source_add(&own);
    test_registry();
    test_text();
    test_many();
    test_checksum();
    test_map();
    test_save();
    test_save_elsewhere();
    test_save_full();
    test_emergency();
    test_no_memory();
    test_threads();
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ok(system(command) == 0, "cleaned up");
    return done();
}
