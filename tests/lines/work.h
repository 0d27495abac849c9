/* Small functions that compilers inline, from another file than their callers. */
static inline int is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static inline const char *skip_blanks(const char *s)
{
    while (is_blank(*s))
        s++;
    return s;
}
