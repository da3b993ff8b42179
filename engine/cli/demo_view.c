/* engine/cli/demo_view.c */
#include "engine/cli/demo_view.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { BAR = 20 };

static const char *const kinds[] = {"?",    "PROMOTE", "ABORT",
                                    "HOLD", "RESUME",  "RESULT"};

static const char *kind_name(int kind)
{
    size_t n = sizeof kinds / sizeof *kinds;
    return kind > 0 && (size_t)kind < n ? kinds[kind] : kinds[0];
}

static void sentence_of(char *text, size_t room, const pb_verdict *v)
{
    int n = snprintf(text, room, "%s", kind_name((int)v->kind));
    if (n > 0 && (size_t)n < room && v->from_bp != v->to_bp)
        n += snprintf(text + n, room - (size_t)n, " %g %% -> %g %%", v->from_bp / 100.0,
                      v->to_bp / 100.0);
    if (n > 0 && (size_t)n < room)
        snprintf(text + n, room - (size_t)n, ": %s", v->message);
}

/* The metric with the most against it; NULL when there is none. */
static const pb_metric_verdict *foremost(pb_metric_verdict *const *items, size_t n)
{
    const pb_metric_verdict *most = NULL;
    for (size_t i = 0; i < n; i++)
        if (most == NULL || items[i]->abort_log_e > most->abort_log_e) most = items[i];
    return most;
}

void demo_view_take(struct demo_line *l, const pb_verdict *v)
{
    sentence_of(l->sentence, sizeof l->sentence, v);
    const pb_metric_verdict *m = foremost(v->metrics, v->n_metrics);
    if (m == NULL || v->windows == 0) return;
    l->judged = true;
    l->estimate = m->estimate;
    l->lower = m->lower;
    l->upper = m->upper;
}

void demo_view_verdict(FILE *out, const pb_verdict *v, double seconds)
{
    char sentence[240];
    sentence_of(sentence, sizeof sentence, v);
    fprintf(out, "%6.1f s  %-18s %-12s %s\n", seconds, v->id, v->reason, sentence);
    fflush(out);
}

/* Evidence against its threshold, both in nats. */
static void bar(FILE *out, const char *label, double log_e, double threshold)
{
    double share = threshold > 0 ? fmax(0, fmin(1, log_e / threshold)) : 0;
    int full = (int)(share * BAR);
    fprintf(out, "%s [%.*s%.*s] %3.0f %%", label, full, "####################",
            BAR - full, "....................", 100 * share);
}

static const char *state_colour(const char *state, bool colour)
{
    if (!colour) return "";
    if (strcmp(state, "PROMOTED") == 0) return "\033[1;32m";
    if (strcmp(state, "ABORTED") == 0) return "\033[1;31m";
    if (strcmp(state, "HELD") == 0) return "\033[1;33m";
    return "\033[1;36m";
}

static void rates(FILE *out, const pb_metric_verdict *m)
{
    if (m->canary == NULL || m->baseline == NULL || m->canary->n == 0 ||
        m->baseline->n == 0)
        fputs("no requests judged in this step yet", out);
    else if (m->canary->n_quantiles == 3 && m->baseline->n_quantiles == 3)
        fprintf(out, "%s: p99 canary %.3g ms, baseline %.3g ms", m->name,
                m->canary->quantiles[2], m->baseline->quantiles[2]);
    else
        fprintf(out, "errors: canary %.2f %%, baseline %.2f %%", 100 * m->canary->rate,
                100 * m->baseline->rate);
}

/* Two lines: what was seen, and how far the evidence is. */
static void metric(FILE *out, const pb_status *st, const struct demo_line *l)
{
    fputs("      ", out);
    const pb_metric_verdict *m = foremost(st->metrics, st->n_metrics);
    if (m != NULL) {
        rates(out, m);
        if (isfinite(m->estimate) && isfinite(m->upper))
            fprintf(out, "; odds ratio %.2f, surely within %.2f to %.2f", m->estimate,
                    m->lower, m->upper);
        fputs("\033[K\n      ", out);
        bar(out, "promote", m->promote_log_e, m->promote_threshold);
        bar(out, "   abort", m->abort_log_e, m->abort_threshold);
    } else if (l->judged) {
        fprintf(out, "odds ratio %.2f, surely within %.2f to %.2f\033[K\n", l->estimate,
                l->lower, l->upper);
    } else {
        fputs("\033[K\n", out);
    }
    fputs("\033[K\n", out);
}

static void service(FILE *out, const struct demo_service *s, const struct demo_line *l,
                    bool colour)
{
    const char *state = l->row != NULL ? l->row->status->state : "PENDING";
    const char *off = colour ? "\033[0m" : "";
    fprintf(out, "  %s%-10s%s %-24s %s%-10s%s", colour ? "\033[1m" : "", s->name, off,
            s->story, state_colour(state, colour), state, off);
    if (l->row == NULL) {
        fputs("\033[K\n\033[K\n\033[K\n\033[K\n\033[K\n", out);
        return;
    }
    const pb_status *st = l->row->status;
    fprintf(out, " canary gets %g %%, step %u of %u%s\033[K\n", st->weight_bp / 100.0,
            st->step, st->steps, l->proxy);
    metric(out, st, l);
    fprintf(out, "      %.*s\033[K\n\033[K\n", 150, l->sentence);
}

void demo_view_screen(FILE *out, const struct demo_line lines[DEMO_SERVICES],
                      double seconds, bool colour)
{
    fprintf(out,
            "\033[H  serin demo, %.0f s: %d releases, each judged against the version "
            "before it\033[K\n\033[K\n",
            seconds, DEMO_SERVICES);
    for (size_t i = 0; i < DEMO_SERVICES; i++)
        service(out, &demo_services[i], &lines[i], colour);
    fputs("\033[J", out);
    fflush(out);
}

void demo_view_table(FILE *out, const struct demo_line lines[DEMO_SERVICES])
{
    fprintf(out, "\n%-16s %-24s %-10s %8s %9s  %s\n", "rollout", "story", "state",
            "weight", "verdicts", "odds ratio");
    for (size_t i = 0; i < DEMO_SERVICES; i++) {
        const struct demo_service *s = &demo_services[i];
        if (lines[i].row == NULL) {
            fprintf(out, "%-16s %-24s %-10s\n", s->rollout, s->story, "(unknown)");
            continue;
        }
        const pb_status *st = lines[i].row->status;
        fprintf(out, "%-16s %-24s %-10s %6g %% %9" PRIu64 "  ", s->rollout, s->story,
                st->state, st->weight_bp / 100.0, st->seq);
        if (lines[i].judged)
            fprintf(out, "%.2f (%.2f to %.2f)", lines[i].estimate, lines[i].lower,
                    lines[i].upper);
        fputc('\n', out);
    }
    fflush(out);
}
