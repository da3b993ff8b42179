/* engine/base/pattern.c */
#include "engine/base/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "engine/base/mem.h"

static void *take(size_t n, void *unused)
{
    (void)unused;
    return mem_calloc(n, 1);
}

static void give(void *p, void *unused)
{
    (void)unused;
    mem_free(p);
}

enum serin_status pattern_open(struct pattern *p, struct fault *f)
{
    int error;
    PCRE2_SIZE at;
    p->code = NULL;
    if (p->kind != PATTERN_REGEX) return SERIN_OK;
    struct strview text = p->values[0];
    if (text.n > PATTERN_MAX_REGEX)
        return fault_set(f, SERIN_EPARSE,
                         "the pattern has %zu bytes; at most %d are taken", text.n,
                         PATTERN_MAX_REGEX);
    pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
    pcre2_compile_context *how =
        memory != NULL ? pcre2_compile_context_create(memory) : NULL;
    if (how != NULL)
        p->code = pcre2_compile((PCRE2_SPTR)text.p, text.n,
                                PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
                                    PCRE2_NEVER_BACKSLASH_C | PCRE2_DOTALL,
                                &error, &at, how);
    pcre2_compile_context_free(how);
    pcre2_general_context_free(memory);
    if (p->code != NULL) return SERIN_OK;
    if (how == NULL || error == PCRE2_ERROR_HEAP_FAILED)
        return fault_set(f, SERIN_ENOMEM, "out of memory");
    PCRE2_UCHAR why[160];
    pcre2_get_error_message(error, why, sizeof why);
    return fault_set(f, SERIN_EPARSE, "%s at character %zu of the pattern", (char *)why,
                     (size_t)at + 1);
}

void pattern_close(struct pattern *p)
{
    pcre2_code_free(p->code);
    p->code = NULL;
}

static bool regex_matches(const struct pattern *p, struct strview v)
{
    const char *text = v.p != NULL ? v.p : "";
    pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
    if (p->code == NULL || memory == NULL) {
        pcre2_general_context_free(memory);
        return false;
    }
    pcre2_match_context *limits = pcre2_match_context_create(memory);
    pcre2_match_data *found = pcre2_match_data_create(1, memory);
    bool yes = false;
    if (limits != NULL && found != NULL) {
        pcre2_set_match_limit(limits, PATTERN_STEPS);
        pcre2_set_depth_limit(limits, PATTERN_DEPTH);
        pcre2_set_heap_limit(limits, PATTERN_KIB);
        /* 0: it matched, and the groups did not fit, which nobody asks for. */
        yes = pcre2_match(p->code, (PCRE2_SPTR)text, v.n, 0, 0, found, limits) >= 0;
    }
    pcre2_match_data_free(found);
    pcre2_match_context_free(limits);
    pcre2_general_context_free(memory);
    return yes;
}

bool pattern_matches(const struct pattern *p, struct strview value)
{
    switch (p->kind) {
    case PATTERN_EQUAL:
    case PATTERN_IN:
        for (size_t i = 0; i < p->n; i++)
            if (strview_eq(p->values[i], value)) return true;
        return false;
    case PATTERN_PREFIX:
        return value.n >= p->values[0].n &&
               memcmp(value.p, p->values[0].p, p->values[0].n) == 0;
    case PATTERN_REGEX:
        return regex_matches(p, value);
    }
    return false;
}
