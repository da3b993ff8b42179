/* engine/base/keys_value.c */
#include "engine/base/keys_value.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/strview.h"

static bool refuse(char *why, const char *fmt, ...) SERIN_PRINTF(2, 3);

static bool refuse(char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, KEYS_WHY, fmt, ap);
    va_end(ap);
    return false;
}

/* Decimal digits with a point and an exponent; nothing of strtod's inf, nan and 0x. */
static bool number(const char *text, size_t n, double *out)
{
    char copy[48];
    if (n == 0 || n >= sizeof copy) return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (strspn(copy, "0123456789.eE+-") != n) return false;
    char *end;
    double v = strtod(copy, &end);
    if (end != copy + n || !isfinite(v)) return false;
    *out = v;
    return true;
}

static bool percent(const char *text, double *out)
{
    size_t n = strlen(text);
    return n > 1 && text[n - 1] == '%' && number(text, n - 1, out);
}

/* ---- what may have been meant */
static void guess_weight(const char *text, char out[64])
{
    double v;
    if (!number(text, strlen(text), &v) || v < 0) return;
    if (v < 1)
        snprintf(out, 64, "; did you mean %.9g%% or %.9g%%?", v, 100 * v);
    else
        snprintf(out, 64, "; did you mean %.9g%%?", v);
}

static void guess_duration(const char *text, char out[64])
{
    static const char *const words[][2] = {{"ms", "ms"}, {"mil", "ms"}, {"s", "s"},
                                           {"m", "m"},   {"h", "h"},    {"d", "d"}};
    size_t n = strspn(text, "0123456789.");
    const char *unit = text + n + strspn(text + n, " ");
    if (n == 0 || n > 12) return;
    if (*unit == '\0')
        snprintf(out, 64, "; it has no unit: write %.*ss, %.*sm or %.*sh", (int)n, text,
                 (int)n, text, (int)n, text);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strncmp(unit, words[i][0], strlen(words[i][0])) != 0) continue;
        snprintf(out, 64, "; did you mean %.*s%s?", (int)n, text, words[i][1]);
        return;
    }
}

static void guess_bool(const char *text, char out[64])
{
    static const char *const yes[] = {"yes", "Yes", "YES", "y", "on", "True", "TRUE"};
    static const char *const no[] = {"no", "No", "NO", "n", "off", "False", "FALSE"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(text, yes[i]) == 0) snprintf(out, 64, "; did you mean true?");
        if (strcmp(text, no[i]) == 0) snprintf(out, 64, "; did you mean false?");
    }
}

/* Lower case, and dashes for what a name cannot hold. */
static void guess_id(const char *text, char out[64])
{
    char name[41];
    size_t n = 0;
    for (; *text != '\0' && n + 1 < sizeof name; text++) {
        bool upper = *text >= 'A' && *text <= 'Z';
        char c = upper ? (char)(*text - 'A' + 'a') : *text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (n == 0 || strchr("._-", c) == NULL)) c = '-';
        if (n != 0 || plain) name[n++] = c;
    }
    name[n] = '\0';
    if (n != 0 && *text == '\0') snprintf(out, 64, "; did you mean \"%s\"?", name);
}

static const char *guess(const struct keys_key *k, const char *text, char out[64])
{
    *out = '\0';
    if (k->type == KEYS_WEIGHT) guess_weight(text, out);
    if (k->type == KEYS_DURATION) guess_duration(text, out);
    if (k->type == KEYS_BOOL) guess_bool(text, out);
    if (k->type == KEYS_ID) guess_id(text, out);
    const char *comment = strstr(text, " //");
    if (comment == NULL) comment = strchr(text, '#');
    if (comment != NULL && *out == '\0')
        snprintf(out, 64, "; a comment begins with \" #\"");
    return out;
}

static bool mismatch(const struct keys_key *k, const char *text, char *why)
{
    char hint[64];
    return refuse(why, "\"%.40s\" is not %s%s%s%s", text, keys_value_expects(k->type),
                  k->word != NULL ? " or the word " : "",
                  k->word != NULL ? k->word : "", guess(k, text, hint));
}

static void duration_text(double ms, char out[32])
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"d", 8.64e7}, {"h", 3.6e6}, {"m", 6e4}, {"s", 1e3}, {"ms", 1}};
    size_t i = 0;
    while (i < 4 && (ms < units[i].ms || fmod(ms, units[i].ms) != 0))
        i++;
    snprintf(out, 32, "%.17g%s", ms / units[i].ms, units[i].unit);
}

void keys_value_bound(const struct keys_key *k, double bound, char out[32])
{
    if (k->type == KEYS_DURATION)
        duration_text(bound, out);
    else if (k->type == KEYS_WEIGHT)
        snprintf(out, 32, "%g%%", bound / 100);
    else
        snprintf(out, 32, "%.15g", bound);
}

/* A percentage without its sign, or the surplus where the ratio is meant. */
static void guess_percent(const struct keys_key *k, const char *text, double v,
                          char out[64])
{
    double percents = k->type == KEYS_ODDS ? 1 + v / 100 : v / 100;
    bool plain = strchr(text, '%') == NULL;
    *out = '\0';
    if (k->type == KEYS_ODDS && plain && v > 0 && v <= 0.5)
        snprintf(out, 64, "; did you mean %.9g or %.9g%%?", 1 + v, 100 * v);
    else if ((k->type == KEYS_SHARE || k->type == KEYS_ODDS) && plain && v > k->max &&
             percents <= k->max)
        snprintf(out, 64, "; did you mean %.9g%%?", v);
}

static bool within(const struct keys_key *k, const char *text, double v, char *why)
{
    if (v >= k->min && v <= k->max) return true;
    char bound[32], hint[64];
    keys_value_bound(k, v < k->min ? k->min : k->max, bound);
    guess_percent(k, text, v, hint);
    return refuse(why, "%.60s is %s %s%s", text,
                  v < k->min ? "below the minimum of" : "above the maximum of", bound,
                  hint);
}

static bool read_text(const struct keys_key *k, const char *text, bool quoted, void *at,
                      char *why)
{
    (void)quoted;
    double n = (double)strlen(text);
    if (n < k->min || n > k->max)
        return refuse(why, "%.0f bytes long; %.0f to %.0f are expected", n, k->min,
                      k->max);
    memcpy(at, &text, sizeof text);
    return true;
}

static bool read_id(const struct keys_key *k, const char *text, bool quoted, void *at,
                    char *why)
{
    (void)quoted;
    const char *first = "abcdefghijklmnopqrstuvwxyz0123456789";
    const char *rest = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(text);
    if (n > 128) return refuse(why, "%zu characters long; at most 128 are expected", n);
    if (n == 0 || strchr(first, *text) == NULL || strspn(text, rest) != n)
        return mismatch(k, text, why);
    memcpy(at, &text, sizeof text);
    return true;
}

static bool read_count(const struct keys_key *k, const char *text, bool quoted,
                       void *at, char *why)
{
    size_t n = strlen(text);
    if (quoted || n == 0 || n > 20 || strspn(text, "0123456789") != n)
        return mismatch(k, text, why);
    errno = 0;
    uint64_t v = strtoull(text, NULL, 10);
    if (errno != 0) return mismatch(k, text, why);
    if (!within(k, text, (double)v, why)) return false;
    memcpy(at, &v, sizeof v);
    return true;
}

/* NUMBER, SHARE and ODDS: a plain number, or for the latter two a percentage. */
static bool read_number(const struct keys_key *k, const char *text, bool quoted,
                        void *at, char *why)
{
    double v;
    if (k->type != KEYS_NUMBER && percent(text, &v))
        v = (k->type == KEYS_ODDS ? 1 : 0) + v / 100;
    else if (quoted || !number(text, strlen(text), &v))
        return mismatch(k, text, why);
    if (!within(k, text, v, why)) return false;
    memcpy(at, &v, sizeof v);
    return true;
}

static bool read_weight(const struct keys_key *k, const char *text, bool quoted,
                        void *at, char *why)
{
    (void)quoted;
    double v;
    if (!percent(text, &v)) return mismatch(k, text, why);
    v *= 100;
    if (!within(k, text, v, why)) return false;
    if (fabs(v - nearbyint(v)) > 1e-6)
        return refuse(why, "%.60s is finer than 0.01%%, the smallest step of a weight",
                      text);
    uint32_t bp = (uint32_t)lrint(v);
    memcpy(at, &bp, sizeof bp);
    return true;
}

static bool read_duration(const struct keys_key *k, const char *text, bool quoted,
                          void *at, char *why)
{
    (void)quoted;
    int64_t ms = 0;
    bool word = k->word != NULL && strcmp(text, k->word) == 0;
    if (!word && !strview_duration_ms(strview_of(text), &ms))
        return mismatch(k, text, why);
    if (!word && !within(k, text, (double)ms, why)) return false;
    memcpy(at, &ms, sizeof ms);
    return true;
}

static bool read_bytes(const struct keys_key *k, const char *text, bool quoted,
                       void *at, char *why)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t n = strspn(text, "0123456789"), unit = 0;
    while (unit < 4 && strcmp(text + n, units[unit]) != 0)
        unit++;
    if (n == 0 || n > 15 || unit == 4 || (quoted && unit == 0))
        return mismatch(k, text, why);
    double v = (double)strtoull(text, NULL, 10) * ldexp(1, 10 * (int)unit);
    if (!within(k, text, v, why)) return false;
    uint64_t bytes = (uint64_t)v;
    memcpy(at, &bytes, sizeof bytes);
    return true;
}

/* n decimal digits at *p, which moves past them. */
static bool digits(const char **p, unsigned n, int *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++, ++*p) {
        if (**p < '0' || **p > '9') return false;
        *out = *out * 10 + (**p - '0');
    }
    return true;
}

static bool literal(const char **p, const char *set)
{
    if (**p == '\0' || strchr(set, **p) == NULL) return false;
    ++*p;
    return true;
}

/* Days since 1970-01-01 in the Gregorian calendar (years begin in March here, so that
 * the leap day is the last one). */
static int64_t days_from_date(int y, int m, int d)
{
    y -= m <= 2;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool date(const char **p, int64_t *ms)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    if (!digits(p, 4, &y) || !literal(p, "-") || !digits(p, 2, &m) ||
        !literal(p, "-") || !digits(p, 2, &d))
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 1970 || m < 1 || m > 12 || d < 1 || d > length[m - 1] + (m == 2 && leap))
        return false;
    *ms = days_from_date(y, m, d) * 86400000;
    return true;
}

static bool hour_minute(const char **p, int64_t *ms)
{
    int h, m;
    if (!digits(p, 2, &h) || !literal(p, ":") || !digits(p, 2, &m) || h > 23 || m > 59)
        return false;
    *ms = h * INT64_C(3600000) + m * INT64_C(60000);
    return true;
}

/* ":SS" and a fraction, both optional; a leap second is refused, no clock here has it.
 */
static bool seconds(const char **p, int64_t *ms)
{
    int s, digit;
    *ms = 0;
    if (!literal(p, ":")) return true;
    if (!digits(p, 2, &s) || s > 59) return false;
    *ms = s * INT64_C(1000);
    if (!literal(p, ".")) return true;
    if (!digits(p, 1, &digit)) return false;
    int64_t unit = 100;
    for (*ms += digit * unit; **p >= '0' && **p <= '9'; ++*p)
        *ms += (**p - '0') * (unit /= 10);
    return true;
}

static bool zone(const char **p, int64_t *ms)
{
    *ms = 0;
    if (literal(p, "Zz")) return true;
    int64_t sign = **p == '-' ? -1 : 1;
    if (!literal(p, "+-") || !hour_minute(p, ms)) return false;
    *ms *= sign;
    return true;
}

static bool read_time(const struct keys_key *k, const char *text, bool quoted, void *at,
                      char *why)
{
    (void)quoted;
    int64_t day, hm = 0, s = 0, offset = 0;
    const char *p = text;
    bool ok = date(&p, &day);
    if (ok && *p != '\0') {
        ok = literal(&p, "Tt ") && hour_minute(&p, &hm) && seconds(&p, &s);
        if (ok && *p == '\0')
            return refuse(
                why,
                "\"%.40s\" has no time zone; add Z for UTC, or an offset such "
                "as +01:00",
                text);
        ok = ok && zone(&p, &offset) && *p == '\0';
    }
    if (!ok) return mismatch(k, text, why);
    int64_t ms = day + hm + s - offset;
    memcpy(at, &ms, sizeof ms);
    return true;
}

static bool read_bool(const struct keys_key *k, const char *text, bool quoted, void *at,
                      char *why)
{
    bool yes = strcmp(text, "true") == 0;
    if (quoted || (!yes && strcmp(text, "false") != 0)) return mismatch(k, text, why);
    memcpy(at, &yes, sizeof yes);
    return true;
}

static bool read_enum(const struct keys_key *k, const char *text, bool quoted, void *at,
                      char *why)
{
    (void)quoted;
    for (int i = 0; k->choices[i] != NULL; i++) {
        if (strcmp(k->choices[i], text) != 0) continue;
        memcpy(at, &i, sizeof i);
        return true;
    }
    char all[100] = "";
    for (int i = 0, n = 0; k->choices[i] != NULL && n < (int)sizeof all; i++)
        n += snprintf(all + n, sizeof all - (size_t)n, "%s%s", i != 0 ? ", " : "",
                      k->choices[i]);
    char hint[KEYS_HINT];
    return refuse(why, "\"%.60s\" is none of %s%s", text, all,
                  keys_hint(text, k->choices, hint));
}

static const struct {
    bool (*read)(const struct keys_key *k, const char *text, bool quoted, void *at,
                 char *why);
    const char *expects;
} types[KEYS_NTYPES] = {
    [KEYS_TEXT] = {read_text, "a text"},
    [KEYS_ID] = {read_id, "a name of lower-case letters, digits, '.', '_' and '-' "
                          "that begins with a letter or a digit"},
    [KEYS_COUNT] = {read_count, "a whole number"},
    [KEYS_NUMBER] = {read_number, "a number"},
    [KEYS_SHARE] = {read_number, "a share such as 0.05 or 5%"},
    [KEYS_WEIGHT] = {read_weight, "a percentage such as 5%"},
    [KEYS_ODDS] = {read_number, "a ratio such as 1.2 or a percentage such as 5%"},
    [KEYS_DURATION] = {read_duration, "a duration such as 200ms, 30s, 5m or 2h"},
    [KEYS_BYTES] = {read_bytes, "a size such as 65536, 64KiB or 4MiB"},
    [KEYS_TIME] = {read_time, "a time such as 2026-12-01T09:00Z or 2026-12-01"},
    [KEYS_BOOL] = {read_bool, "true or false"},
    [KEYS_ENUM] = {read_enum, "one of a set of words"},
    [KEYS_TEXTS] = {NULL, "a list of texts"},
    [KEYS_PAIRS] = {NULL, "a map of names to values"},
    [KEYS_SECTION] = {NULL, "a map"},
    [KEYS_LIST] = {NULL, "a list of maps, each behind a \"- \","},
    [KEYS_TABLE] = {NULL, "a map of names to maps"},
    [KEYS_ANY] = {NULL, "anything"},
};

const char *keys_value_expects(enum keys_type type)
{
    return types[type].expects;
}

bool keys_value_read(const struct keys_key *k, const char *text, bool quoted, void *at,
                     char why[KEYS_WHY])
{
    return types[k->type].read(k, text, quoted, at, why);
}
