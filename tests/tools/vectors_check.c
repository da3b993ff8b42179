/* tests/tools/vectors_check.c -- run every vector file of a directory
 *
 *   vectors_check DIR
 *
 * Prints each failure and "N passed, N failed, N skipped"; exits 1 on a failure, or
 * when nothing was run. A family it does not know counts as one skipped. */
#include "tests/tools/vectors_check.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    check_family run;
} families[] = {
    {"fnch", check_fnch},
    {"fnch_window", check_fnch_window},
    {"walk", check_walk},
    {"floor", check_floor},
    {"poisson", check_poisson},
    {"srm", check_srm},
    {"combine", check_combine},
    {"forecast", check_forecast},
    {"dispersion", check_dispersion},
    {"exp_histogram", check_exp_histogram},
    {"mann_whitney", check_mann_whitney},
    {"exceedance", check_exceedance},
    {"gauge", check_gauge},
    {"random_effect", check_random_effect},
    {"quantile", check_quantile},
};
enum { FAMILIES = sizeof families / sizeof *families };

void check_that(struct check *c, const char *what, bool ok)
{
    if (ok) {
        c->passed++;
        return;
    }
    c->failed++;
    printf("%s: %s %zu, step %zu: %s does not hold\n", c->family, c->section, c->item,
           c->step, what);
}

void check_near(struct check *c, const char *what, double got, double want, double abs,
                double rel)
{
    if (got == want || fabs(got - want) <= abs + rel * fabs(want)) {
        c->passed++;
        return;
    }
    c->failed++;
    printf("%s: %s %zu, step %zu: %s is %.17g, expected %.17g (off by %.3g)\n",
           c->family, c->section, c->item, c->step, what, got, want, got - want);
}

void check_count(struct check *c, const char *what, int64_t got, int64_t want)
{
    if (got == want) {
        c->passed++;
        return;
    }
    c->failed++;
    printf("%s: %s %zu, step %zu: %s is %lld, expected %lld\n", c->family, c->section,
           c->item, c->step, what, (long long)got, (long long)want);
}

static double real_of(struct check *c, const json_t *v, const char *key)
{
    const char *text = json_string_value(v);
    if (json_is_number(v)) return json_number_value(v);
    if (text != NULL && strcmp(text, "inf") == 0) return HUGE_VAL;
    if (text != NULL && strcmp(text, "-inf") == 0) return -HUGE_VAL;
    check_that(c, key, false);
    return NAN;
}

static uint64_t count_of(struct check *c, const json_t *v, const char *key)
{
    if (json_is_integer(v) && json_integer_value(v) >= 0)
        return (uint64_t)json_integer_value(v);
    check_that(c, key, false);
    return 0;
}

double field_real(struct check *c, const json_t *o, const char *key)
{
    return real_of(c, json_object_get(o, key), key);
}

uint64_t field_count(struct check *c, const json_t *o, const char *key)
{
    return count_of(c, json_object_get(o, key), key);
}

double field_ratio(struct check *c, const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    char *end;
    if (text == NULL) return field_real(c, o, key);
    double num = strtod(text, &end);
    return *end == '/' ? num / strtod(end + 1, NULL) : num;
}

const json_t *field_list(struct check *c, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_array(v)) check_that(c, key, false);
    return v;
}

uint64_t item_count(struct check *c, const json_t *list, size_t i)
{
    return count_of(c, json_array_get(list, i), "list item");
}

double item_real(struct check *c, const json_t *list, size_t i)
{
    return real_of(c, json_array_get(list, i), "list item");
}

/* False when the family is not known. */
static bool check_file(struct check *c, const json_t *root)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i].name, c->family) != 0) continue;
        unsigned before = c->passed + c->failed;
        families[i].run(c, root);
        if (c->passed + c->failed == before) check_that(c, "any vector", false);
        return true;
    }
    return false;
}

static void check_path(struct check *total, const char *path, unsigned *skipped)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    const char *family = json_string_value(json_object_get(root, "family"));
    if (family == NULL) {
        printf("%s:%d: %s\n", path, error.line,
               root == NULL ? error.text : "no family");
        total->failed++;
    } else {
        struct check c = {.family = family, .section = "file"};
        if (!check_file(&c, root)) {
            printf("%s: family %s is not known: skipped\n", path, family);
            ++*skipped;
        }
        total->passed += c.passed;
        total->failed += c.failed;
    }
    json_decref(root);
}

static int is_json(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0;
}

int main(int argc, char **argv)
{
    struct check total = {0};
    unsigned skipped = 0;
    struct dirent **entries;
    if (argc != 2) {
        fprintf(stderr, "usage: vectors_check DIR\n");
        return 2;
    }
    int n = scandir(argv[1], &entries, is_json, alphasort);
    if (n < 0) {
        fprintf(stderr, "vectors_check: %s: not a directory that can be read\n",
                argv[1]);
        return 2;
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        check_path(&total, path, &skipped);
        free(entries[i]);
    }
    free(entries);
    printf("%u passed, %u failed, %u skipped\n", total.passed, total.failed, skipped);
    return total.failed > 0 || total.passed == 0;
}
