/* Code of all kinds for the tests of lines: inlined calls in inlined calls, cold parts, loops. */
#include <stdlib.h>
#include <string.h>
#include "work.h"

int parse(const char *text, int *out);
int checked(const char *text);
int table(const int *values, int count);

static int digit(int c)
{
    if (c < '0' || c > '9')
        abort();
    return c - '0';
}

static int number(const char **text)
{
    int value = 0;
    while (**text && !is_blank(**text)) {
        value = 10 * value + digit(**text);
        ++*text;
    }
    return value;
}

int parse(const char *text, int *out)
{
    int count = 0;
    for (text = skip_blanks(text); *text; text = skip_blanks(text))
        out[count++] = number(&text);
    return count;
}

static int largest(const int *values, int count)
{
    int most = 0;
    for (int i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

int table(const int *values, int count)
{
    switch (largest(values, count)) {
    case 1: return values[0] * 3;
    case 2: return values[0] + 17;
    case 3: return values[count - 1] / 7;
    case 4: return values[count / 2] ^ 5;
    default: return count;
    }
}

int checked(const char *text)
{
    int values[64];
    if (strlen(text) > 64)
        abort();
    return table(values, parse(text, values));
}
