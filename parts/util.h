/* -- Numbers and text as other programs write and read them -- */

/* Reads a whole decimal number in [least, most]; false for anything else. */
static bool pli_parse_int64(const char *text, int64_t least, int64_t most, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end > text && *end == '\0' && errno == 0 && *out >= least && *out <= most;
}

/* Returns how many nanoseconds the unit at *text has and moves *text behind it; 0 when there is
   none. A unit ends where the next number begins: "1m30s". */
static double pli_parse_unit(const char **text)
{
    static const struct {
        const char *name;
        double ns;
    } unit[] = {{"ns", 1}, {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"ms", 1e6}, /* C2 B5: the micro sign */
                {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    size_t size = strcspn(*text, ".0123456789");
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
        if (strlen(unit[i].name) == size && strncmp(unit[i].name, *text, size) == 0) {
            *text += size;
            return unit[i].ns;
        }
    }
    return 0;
}

/* Reads a time in Go's form (1h30m, 1.5s, 100ms; 0 alone needs no unit) as nanoseconds; false for
   anything else. By hand, since strtod takes 1e3, 0x10, inf and the locale's decimal point. */
static bool pli_parse_duration(const char *text, int64_t *ns)
{
    double sum = 0, unit = 1;
    bool zero = strcmp(text, "0") == 0;
    for (const char *s = text; !zero && unit > 0 && (*s || s == text);) {
        double value = 0, place = 1;
        int digits = 0;
        for (; *s >= '0' && *s <= '9'; s++, digits++)
            value = 10 * value + (*s - '0');
        for (s += *s == '.'; *s >= '0' && *s <= '9'; s++, digits++)
            value += (*s - '0') * (place /= 10);
        unit = digits > 0 ? pli_parse_unit(&s) : 0;
        sum += value * unit;
    }
    bool good = unit > 0 && sum < 9e18; /* 292 years are 2^63 ns */
    *ns = good ? (int64_t)(sum + 1e-3) : 0; /* down, but for what tenths lose in binary */
    return good;
}

/* Turns the decimal point of the program's locale into a '.': benchmark text and JSON know no
   other, and the program may have called setlocale. */
static void pli_format_point(char *number)
{
    char *point = number + strspn(number, " -0123456789");
    size_t size = strcspn(point, "0123456789");
    if (size > 0 && *point != 'e' && point[size]) {
        memmove(point + 1, point + size, strlen(point + size) + 1);
        *point = '.';
    }
}

/* %*.*f in any locale, with NaN and Inf as Go spells them. */
static void pli_format_double(char *out, size_t size, int width, int digits, double x)
{
    if (__builtin_isfinite(x)) {
        snprintf(out, size, "%*.*f", width, digits, x);
        pli_format_point(out);
    } else {
        snprintf(out, size, "%*s", width, __builtin_isnan(x) ? "NaN" : x > 0 ? "+Inf" : "-Inf");
    }
}

/* Reads one character and returns its length in bytes. What is not UTF-8 (a stray or missing byte,
   a form longer than need be, a surrogate) is U+FFFD, a byte at a time. */
static int pli_utf8_decode(const char *text, uint32_t *rune)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    int size = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;
    uint32_t r = size == 1 ? *s : *s & (0x7fu >> size);
    for (int i = 1; i < size; i++) {
        r = r << 6 | (s[i] & 0x3f);
        size = (s[i] & 0xc0) == 0x80 ? size : 0;
    }
    bool good = size > 0 && r >= least[size] && r <= 0x10ffff && (r < 0xd800 || r > 0xdfff);
    *rune = good ? r : 0xfffd;
    return good ? size : 1;
}

/* Writes text as a JSON string: valid whatever the bytes. */
static void pli_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (int size; *text; text += size) {
        uint32_t rune;
        size = pli_utf8_decode(text, &rune);
        if (rune < 0x20 || rune == '"' || rune == '\\' || rune == 0x7f || rune == 0xfffd)
            fprintf(out, "\\u%04x", (unsigned)rune);
        else
            fwrite(text, 1, (size_t)size, out);
    }
    fputc('"', out);
}

/* Writes the fewest digits that read back as x; null for NaN and Inf, which JSON does not know. */
static void pli_json_number(FILE *out, double x)
{
    char text[40] = "null";
    for (int digits = 15; __builtin_isfinite(x) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    pli_format_point(text);
    fputs(text, out);
}

