/* tap.h - the smallest harness that prints TAP. Include it in one C file a program:

       int main(void)
       {
           ok(1 + 1 == 2, "addition");
           is_int(strlen("abc"), 3, "length");
           is_str(name, "abc", "name");
           return done();
       }
*/
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

/* Prints a line of diagnosis, which belongs to the test before it. */
__attribute__((format(printf, 1, 2), unused)) static void diag(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("# ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
}

static int tap_result(int good, const char *name, va_list ap)
{
    tap_count++;
    tap_failed += !good;
    printf("%sok %d - ", good ? "" : "not ", tap_count);
    vprintf(name, ap);
    printf("\n");
    fflush(stdout);
    return good;
}

/* One test, named by a printf format. Returns whether it passed. */
__attribute__((format(printf, 2, 3), unused)) static int ok(int good, const char *name, ...)
{
    va_list ap;
    va_start(ap, name);
    tap_result(good, name, ap);
    va_end(ap);
    return good;
}

__attribute__((format(printf, 3, 4), unused)) static int is_int(long long got, long long want,
                                                               const char *name, ...)
{
    va_list ap;
    va_start(ap, name);
    tap_result(got == want, name, ap);
    va_end(ap);
    if (got != want)
        diag("got %lld, want %lld", got, want);
    return got == want;
}

__attribute__((format(printf, 3, 4), unused)) static int is_str(const char *got, const char *want,
                                                               const char *name, ...)
{
    int good = strcmp(got, want) == 0;
    va_list ap;
    va_start(ap, name);
    tap_result(good, name, ap);
    va_end(ap);
    if (!good)
        diag("got \"%s\", want \"%s\"", got, want);
    return good;
}

/* A test that cannot be made here, and why. */
__attribute__((unused)) static void skip(const char *name, const char *why)
{
    printf("ok %d - %s # skip %s\n", ++tap_count, name, why);
}

/* Prints the plan; main returns what this returns. */
__attribute__((unused)) static int done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed != 0;
}

#endif
