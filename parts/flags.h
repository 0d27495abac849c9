/* ==== >>flags ========================================================================================
   The command line of a benchmark program: Go's flags, the matching of -bench and the naming of
   sub-benchmarks. Flags are a table: adding one takes a member, a row and perhaps a parser. A fault is
   one line on stderr that names the thing and the fix; nothing has been printed or run by then. */

enum { PLI_FLAG_CPUS = 64 }; /* values of -cpu: powers of two up to any machine, and some */

/* The values of the flags; the strings belong to argv. */
typedef struct pli_flags {
    const char *bench, *list, *run; /* list: NULL when not given */
    int64_t count, timeout_ns;      /* timeout: 0 is never */
    struct {
        int64_t n, ns;
    } time; /* -benchtime: one of the two is not 0 */
    struct {
        bool on;
        int64_t seed;
    } shuffle;
    struct {
        int count, value[PLI_FLAG_CPUS];
    } cpu;
    bool benchmem, verbose, json, help;
} pli_flags;

/* One flag: `parse` reads the value into the member at `offset`, or says false; the message then ends
   in `expected`. */
typedef struct pli_flag {
    const char *name, *argument; /* NULL: a switch */
    size_t offset;
    bool (*parse)(const char *value, void *member);
    const char *expected, *help;
} pli_flag;

/* -- Parsers: each writes *member and says whether the value was one -- */

/* Regular expressions are judged when they are compiled. */
static bool pli_flag_text(const char *value, void *member)
{
    *(const char **)member = value;
    return true;
}

/* A switch without a value comes as "true". */
static bool pli_flag_switch(const char *value, void *member)
{
    bool on = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    *(bool *)member = on;
    return on || strcmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

/* Not 0: a run that measures nothing is more likely a mistake than a wish. */
static bool pli_flag_count(const char *value, void *member)
{
    return pli_parse_int64(value, 1, INT64_MAX, member);
}

static bool pli_flag_timeout(const char *value, void *member)
{
    return pli_parse_duration(value, member);
}

/* 100x is a number of iterations, everything else a time. *member is the struct of both. */
static bool pli_flag_benchtime(const char *value, void *member)
{
    int64_t *n = member, *ns = n + 1;
    char digits[24];
    size_t size = strlen(value);
    *n = *ns = 0;
    if (size > 0 && size < sizeof digits && value[size - 1] == 'x') {
        snprintf(digits, size, "%s", value);
        return pli_parse_int64(digits, 1, INT64_MAX, n);
    }
    return pli_parse_duration(value, ns) && *ns > 0;
}

/* Numbers with commas between; *member is their count, the numbers follow. */
static bool pli_flag_cpu(const char *value, void *member)
{
    int *count = member, *cpus = count + 1;
    bool good = true;
    *count = 0;
    for (const char *s = value; good && s; s = strchr(s, ','), s = s ? s + 1 : NULL) {
        char item[12];
        int64_t n = 0;
        snprintf(item, sizeof item, "%.*s", (int)strcspn(s, ","), s);
        good = *count < PLI_FLAG_CPUS && pli_parse_int64(item, 1, 1 << 16, &n);
        cpus[good ? (*count)++ : 0] = (int)n;
    }
    return good;
}

/* "on" takes a seed from the clock, which is printed: given as a number it repeats the order. */
static bool pli_flag_shuffle(const char *value, void *member)
{
    pli_flags *f = (pli_flags *)(void *)((char *)member - offsetof(pli_flags, shuffle));
    f->shuffle.on = strcmp(value, "off") != 0;
    f->shuffle.seed = (int64_t)pl_now_ns();
    return !f->shuffle.on || strcmp(value, "on") == 0 ||
           pli_parse_int64(value, INT64_MIN, INT64_MAX, &f->shuffle.seed);
}

#define PLI_FLAG(member) offsetof(pli_flags, member)
static const pli_flag pli_flag_table[] = {
    {"bench", "REGEX", PLI_FLAG(bench), pli_flag_text, "",
     "run what matches, part by part between slashes; everything"},
    {"benchmem", NULL, PLI_FLAG(benchmem), pli_flag_switch, "true or false",
     "print bytes and allocations per operation"},
    {"benchtime", "T", PLI_FLAG(time), pli_flag_benchtime,
     "a time with its unit or a number of iterations, such as 2s, 100ms or 100x",
     "measure each for this time, or 100x for iterations; 1s"},
    {"count", "N", PLI_FLAG(count), pli_flag_count, "a whole number from 1",
     "measure each N times (benchstat likes 10); 1"},
    {"cpu", "LIST", PLI_FLAG(cpu), pli_flag_cpu, "up to 64 numbers of threads, such as 1,2,4",
     "threads of parallel benchmarks; the usable processors"},
    {"json", NULL, PLI_FLAG(json), pli_flag_switch, "true or false",
     "write JSON, an object a line"},
    {"list", "REGEX", PLI_FLAG(list), pli_flag_text, "",
     "print the names that match and stop; all without REGEX"},
    {"run", "REGEX", PLI_FLAG(run), pli_flag_text, "",
     "accepted for Go's -run='^$'; there are no tests here"},
    {"shuffle", "on|off|N", PLI_FLAG(shuffle), pli_flag_shuffle, "on, off or a number",
     "random order; the number repeats one; off"},
    {"timeout", "T", PLI_FLAG(timeout_ns), pli_flag_timeout,
     "a time with its unit, such as 90s or 10m",
     "give up after this time, and say what ran; never"},
    {"v", NULL, PLI_FLAG(verbose), pli_flag_switch, "true or false",
     "print names when they start and logs at once"},
    {"help", NULL, PLI_FLAG(help), pli_flag_switch, "true or false", "print this"},
};
#undef PLI_FLAG
enum { PLI_FLAG_COUNT = sizeof pli_flag_table / sizeof *pli_flag_table };

/* -help: one line a flag, from the table. */
static void pli_flags_usage(void)
{
    printf("Runs the benchmarks of this program. One dash or two; -flag=value or -flag value.\n"
           "The default stands last.\n");
    for (int i = 0; i < PLI_FLAG_COUNT; i++) {
        const pli_flag *f = &pli_flag_table[i];
        int width = 10 - (int)strlen(f->name);
        printf("  -%s %-*s %s\n", f->name, width + 8, f->argument ? f->argument : "", f->help);
    }
}

/* Finds a flag by its name without dashes; NULL when there is none. */
static const pli_flag *pli_flag_find(const char *name, size_t size)
{
    for (int i = 0; i < PLI_FLAG_COUNT; i++) {
        const char *known = pli_flag_table[i].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0)
            return &pli_flag_table[i];
    }
    return NULL;
}

/* Returns the value: what follows '=', or the next word. NULL: there is none. */
static const char *pli_flag_value(const pli_flag *flag, const char *equals, char ***word)
{
    const char *next = (*word)[1];
    if (equals || !flag->argument)
        return equals ? equals + 1 : "true";
    if (strcmp(flag->name, "list") == 0 && (!next || *next == '-'))
        return ""; /* a bare -list is what one tries first */
    *word += next != NULL;
    return next;
}

/* Reads the words behind argv[0]; false when it has reported a fault. */
static bool pli_flags_parse(pli_flags *flags, char **argv)
{
    for (char **word = argv; *word && *++word;) {
        size_t dashes = strspn(*word, "-");
        const char *name = *word + dashes, *equals = strchr(name, '=');
        int size = (int)(equals ? (size_t)(equals - name) : strlen(name));
        if (dashes < 1 || dashes > 2 || size == 0) {
            fprintf(stderr, "perflab: unexpected argument \"%s\"; -bench REGEX chooses benchmarks, "
                            "-help lists the flags\n", *word);
            return false;
        }
        const pli_flag *flag = pli_flag_find(name, (size_t)size);
        if (!flag) {
            fprintf(stderr, "perflab: unknown flag -%.*s; -help lists the flags\n", size, name);
            return false;
        }
        const char *value = pli_flag_value(flag, equals, &word);
        if (!value || !flag->parse(value, (char *)flags + flag->offset)) {
            fprintf(stderr, "perflab: bad value \"%s\" for -%s; give %s\n", value ? value : "",
                    flag->name, value ? flag->expected : "one");
            return false;
        }
    }
    return true;
}

/* -- Filters --

   As in Go, a pattern is alternatives of parts, each part a regular expression (POSIX extended) that is
   searched in the same part of the name:

       -bench 'Parse/small|Sort'       Parse/small      Parse matches in part, so it is run to find its
                                       part[0] part[1]  children; of those, what contains "small"
                                       Sort             Sort, MergeSort, and all children of them
                                       part[2]
*/
typedef struct pli_pattern {
    regex_t regex;
    bool any;  /* an empty expression: matches everything, regex is not set */
    bool last; /* the next part begins another alternative */
} pli_pattern;

typedef struct pli_filter {
    pli_pattern *part;
    int count;
} pli_filter;

/* Returns name as one field of text: white space (all that benchstat takes for it) is _, control
   characters are escaped. NULL when out of memory; the caller frees it. */
static char *pli_name_clean(const char *name)
{
    char *out = malloc(4 * strlen(name) + 1), *at = out;
    for (int size; out && *name; name += size) {
        uint32_t r;
        size = pli_utf8_decode(name, &r);
        if ((r >= '\t' && r <= '\r') || r == ' ' || r == 0x85 || r == 0xa0 || r == 0x1680 ||
            (r >= 0x2000 && r <= 0x200a) || r == 0x2028 || r == 0x2029 || r == 0x202f ||
            r == 0x205f || r == 0x3000) {
            *at++ = '_';
        } else if (r < 0x20 || r == 0x7f) {
            at += snprintf(at, 5, "\\x%02x", (unsigned)r);
        } else {
            memcpy(at, name, (size_t)size);
            at += size;
        }
    }
    if (out)
        *at = '\0';
    return out;
}

/* Returns the end of the first part of a pattern: a / or | outside of brackets, or the end of the text.
   So a/(b|c) has two parts, and [a/b] one. */
static const char *pli_filter_part_end(const char *s)
{
    int square = 0, round = 0;
    for (; *s && !(strchr("/|", *s) && square == 0 && round == 0); s++) {
        if (*s == '\\' && s[1])
            s++;
        else if (*s == '[' || *s == ']')
            square += *s == '[' ? 1 : square > 0 ? -1 : 0; /* a lone ] is an ordinary character */
        else if (square == 0)
            round += (*s == '(') - (*s == ')');
    }
    return s;
}

/* Compiles one part; false when it has reported a fault. */
static bool pli_filter_compile(pli_pattern *part, const char *flag, const char *text, size_t size)
{
    char why[128];
    /* Names are cleaned before they are matched, so "a b" must find "a_b". */
    char *copy = strndup(text, size), *clean = copy ? pli_name_clean(copy) : NULL;
    part->any = size == 0; /* some systems take an empty expression for an error */
    int code = !clean ? REG_ESPACE
               : part->any ? 0 : regcomp(&part->regex, clean, REG_EXTENDED | REG_NOSUB);
    free(clean);
    free(copy);
    if (code != 0) {
        regerror(code, &part->regex, why, sizeof why);
        fprintf(stderr, "perflab: bad regular expression \"%.*s\" for -%s: %s; write \\( for a "
                        "bracket that is meant as itself\n", (int)size, text, flag, why);
    }
    return code == 0;
}

/* Leaves an empty filter behind, which may be freed again. */
static void pli_filter_free(pli_filter *f)
{
    for (int i = 0; i < f->count; i++) {
        if (!f->part[i].any)
            regfree(&f->part[i].regex);
    }
    free(f->part);
    *f = (pli_filter){NULL, 0};
}

/* Compiles the value of a flag; false when it has reported a fault. */
static bool pli_filter_init(pli_filter *f, const char *flag, const char *text)
{
    *f = (pli_filter){calloc(strlen(text) + 1, sizeof *f->part), 0};
    if (!f->part) {
        fprintf(stderr, "perflab: out of memory for -%s\n", flag);
        return false;
    }
    for (bool more = true; more; f->count++) {
        pli_pattern *part = &f->part[f->count];
        const char *end = pli_filter_part_end(text);
        if (!pli_filter_compile(part, flag, text, (size_t)(end - text))) {
            pli_filter_free(f);
            return false;
        }
        part->last = *end != '/';
        more = *end != '\0';
        text = end + 1;
    }
    return true;
}

/* Whether one part of a name matches: copied, as regexec wants it to end. */
static bool pli_filter_part(const pli_pattern *part, const char *text, size_t size)
{
    char *copy = part->any ? NULL : strndup(text, size);
    bool matches = part->any || (copy && regexec(&part->regex, copy, 0, NULL, 0) == 0);
    free(copy);
    return matches;
}

/* Matches name against the alternative that begins at `part`. *partial: name has fewer parts, so that
   only sub-benchmarks of it can match in full. A name with more parts than the pattern matches. */
static bool pli_filter_alternative(const pli_pattern *part, const char *name, bool *partial)
{
    for (;; part++, name++) {
        size_t size = strcspn(name, "/");
        if (!pli_filter_part(part, name, size))
            return false;
        name += size;
        *partial = !part->last;
        if (part->last || !*name)
            return true;
    }
}

/* Whether one of the alternatives matches; *partial is set when so. */
static bool pli_filter_match(const pli_filter *f, const char *name, bool *partial)
{
    for (int i = 0; i < f->count; i++) {
        bool first = i == 0 || f->part[i - 1].last;
        if (first && pli_filter_alternative(&f->part[i], name, partial))
            return true;
    }
    return false;
}

/* -- Names of sub-benchmarks: those that were given, so that none is given twice -- */

typedef struct pli_name {
    struct pli_name *next;
    char text[];
} pli_name;

/* Adds "parent/name" to the list and returns it, with #01, #02 ... behind it when it was there; an empty
   name is #00. The first that is free is taken, whoever has the others: a benchmark may be called "x#01"
   by its author. NULL when out of memory; the list owns the name, which lives as long as the run. */
static const char *pli_name_unique(pli_name **list, const char *parent, const char *name)
{
    size_t size = strlen(parent) + strlen(name) + 16;
    pli_name *new = malloc(sizeof *new + size), *same = new;
    for (int repeat = 0; same; repeat++) {
        int end = snprintf(new->text, size, "%s/%s", parent, name);
        if (repeat > 0 || !*name)
            snprintf(new->text + end, size - (size_t)end, "#%02d", repeat);
        same = *list;
        while (same && strcmp(same->text, new->text) != 0)
            same = same->next;
    }
    if (new) {
        new->next = *list;
        *list = new;
    }
    return new ? new->text : NULL;
}

static void pli_name_free(pli_name **list)
{
    while (*list) {
        pli_name *next = (*list)->next;
        free(*list);
        *list = next;
    }
}
