/* The pages and the server from inside the program: answers by pl_http_handle, what is given back,
   several threads at once. What clients see over the wire is tested in tests/http. */
#define _GNU_SOURCE
#define PERFLAB_IMPL
#include "perflab.h"

#include "tap.h"

/* The value of a header; "" when it is not there. */
static const char *header(const pl_http_response *r, const char *name)
{
    for (int i = 0; r->header[i]; i += 2)
        if (strcasecmp(r->header[i], name) == 0)
            return r->header[i + 1];
    return "";
}

/* Whether a body has these words; bodies are no strings. */
static int has(const pl_http_response *r, const char *words)
{
    return memmem(r->body, r->size, words, strlen(words)) != NULL;
}

static pl_http_response get(const char *target)
{
    pl_http_request request = {.target = target};
    pl_http_response response;
    pl_result result = pl_http_handle(&request, &response);
    if (result != PL_OK) {
        diag("%s: %s", target, pl_result_str(result));
        memset(&response, 0, sizeof response);
    }
    return response;
}

static void test_arguments(void)
{
    pl_http_request none = {.method = "GET"}, some = {.target = "/"};
    pl_http_response r;
    is_int(pl_http_handle(NULL, &r), PL_INVALID, "no request");
    is_int(pl_http_handle(&some, NULL), PL_INVALID, "no room for the answer");
    is_int(pl_http_handle(&none, &r), PL_INVALID, "no target");
    memset(&r, 0, sizeof r);
    pl_http_response_free(&r);
    pl_http_response_free(&r);
    ok(r.job == NULL, "an empty answer can be given back twice");
}

static void test_own_profile(void)
{
    int key;
    pl_profile *p = pl_profile_new("sockets");
    ok(p != NULL && pl_profile_add(p, &key, 0) == PL_OK, "a profile of the program's own");
    pl_http_response page = get("/debug/pprof/"), file = get("/debug/pprof/sockets"),
                     delta = get("/debug/pprof/sockets?seconds=1");
    ok(has(&page, "<td class=n>1</td><td><a href=\"sockets?debug=1\">sockets</a>"),
       "is on the page, with its count");
    is_str(header(&file, "Content-Disposition"), "attachment; filename=\"sockets\"", "can be had");
    is_int(delta.status, 400, "but no difference of it, as in Go");
    pl_http_response_free(&page);
    pl_http_response_free(&file);
    pl_http_response_free(&delta);
}

static int asked;

/* A client that goes away after the third question. */
static int gone(void *user)
{
    return ++asked == *(int *)user;
}

static void test_gone(void)
{
    int third = 3;
    pl_http_request request = {.target = "/debug/pprof/profile?seconds=1000000", .gone = gone,
                               .user = &third};
    pl_http_response response;
    is_int(pl_http_handle(&request, &response), PL_OK, "a profile of eleven days");
    is_int(asked, 3, "ends when the client has gone");
    is_int(response.status, 500, "and says so");
    pl_http_response_free(&response);
    is_int(pl_cpu_start(NULL), PL_OK, "the sampler is free again");
    pl_http_response busy = get("/debug/pprof/profile?seconds=1");
    is_int(busy.status, 500, "and the program's own profile is nobody else's");
    is_int(pl_cpu_stop(), PL_OK, "which goes on meanwhile");
    pl_http_response_free(&busy);
}

/* A profile over HTTP that the program ends, to begin one of its own, is not ended twice. */
static int take_over(void *user)
{
    int *state = user;
    if (*state == 0) {
        *state = 1;
        pl_cpu_stop();
        *state = pl_cpu_start(NULL) == PL_OK ? 1 : -1;
    }
    return 0;
}

static void test_taken_over(void)
{
    int state = 0;
    pl_http_request request = {.target = "/debug/pprof/profile?seconds=1", .gone = take_over,
                               .user = &state};
    pl_http_response response;
    is_int(pl_http_handle(&request, &response), PL_OK, "a profile that the program takes over");
    is_int(response.status, 200, "is answered");
    ok(state == 1 && pl_cpu_stop() == PL_OK, "and the program's own goes on");
    pl_http_response_free(&response);
}

static uint32_t stop;
static int wrong;

/* Asks for everything, over and over. */
static void *ask(void *unused)
{
    static const char *const targets[] = {
        "/debug/pprof/", "/debug/pprof/mutex", "/debug/pprof/block?debug=1", "/debug/pprof/heap",
        "/debug/pprof/goroutine?debug=2", "/debug/pprof/threadcreate", "/debug/pprof/memstats"};
    for (size_t i = 0; !PLI_LOAD(stop); i++) {
        pl_http_response r = get(targets[i % (sizeof targets / sizeof *targets)]);
        if (r.status != 200)
            PLI_STORE(wrong, r.status ? r.status : -1);
        pl_http_response_free(&r);
    }
    return unused;
}

static void test_threads(void)
{
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, ask, NULL);
    int bad = 0;
    for (int i = 0; i < 20; i++) {
        bad += pl_http_start(&(pl_http_desc){.address = "127.0.0.1:0"}) != PL_OK;
        bad += pl_http_port() == 0;
        pl_http_stop();
        bad += pl_http_port() != 0;
    }
    PLI_STORE(stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    is_int(bad, 0, "a server that starts and stops");
    is_int(PLI_LOAD(wrong), 0, "while three threads ask for everything");
}

int main(void)
{
    test_arguments();
    test_own_profile();
    test_gone();
    test_taken_over();
    test_threads();
    return done();
}
