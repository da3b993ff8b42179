/* tests/tools/vectors_check.h -- one function per family of test vectors */
#ifndef SERIN_TESTS_TOOLS_VECTORS_CHECK_H
#define SERIN_TESTS_TOOLS_VECTORS_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct check {
    const char *family, *section;
    size_t item, step; /* what is being looked at */
    unsigned passed, failed;
};

/** |got - want| <= abs + rel |want|; infinities must be equal; NaN never passes. */
void check_near(struct check *c, const char *what, double got, double want, double abs,
                double rel);
void check_that(struct check *c, const char *what, bool ok);
void check_count(struct check *c, const char *what, int64_t got, int64_t want);

/* A missing or mistyped field fails the check and gives NaN or 0. */
double field_real(struct check *c, const json_t *o,
                  const char *key); /* "inf", "-inf" too */
uint64_t field_count(struct check *c, const json_t *o, const char *key);
double field_ratio(struct check *c, const json_t *o, const char *key); /* "3/2" */
const json_t *field_list(struct check *c, const json_t *o, const char *key);
uint64_t item_count(struct check *c, const json_t *list, size_t i);
double item_real(struct check *c, const json_t *list, size_t i);

typedef void (*check_family)(struct check *c, const json_t *root);
/* vectors_counts.c */
void check_fnch(struct check *c, const json_t *root);
void check_fnch_window(struct check *c, const json_t *root);
void check_walk(struct check *c, const json_t *root);
void check_floor(struct check *c, const json_t *root);
void check_poisson(struct check *c, const json_t *root);
/* vectors_rules.c */
void check_srm(struct check *c, const json_t *root);
void check_combine(struct check *c, const json_t *root);
void check_forecast(struct check *c, const json_t *root);
void check_dispersion(struct check *c, const json_t *root);
/* vectors_latency.c */
void check_exp_histogram(struct check *c, const json_t *root);
void check_mann_whitney(struct check *c, const json_t *root);
void check_exceedance(struct check *c, const json_t *root);
void check_gauge(struct check *c, const json_t *root);
void check_random_effect(struct check *c, const json_t *root);
void check_quantile(struct check *c, const json_t *root);

#endif
