/* engine/core/kind.h -- what a kind of metric has to be able to do; one file a kind
 *
 * Everything that differs between kinds is behind this table, so that evidence, judge,
 * figures, explain and snapshot treat all metrics alike. */
#ifndef SERIN_ENGINE_CORE_KIND_H
#define SERIN_ENGINE_CORE_KIND_H

#include "engine/core/latency.h"
#include "engine/core/turn.h"
#include "engine/core/unitsum.h"

/* What a cell of the metric carries beside its counts. */
enum kind_content { KIND_COUNTS, KIND_EVENTS, KIND_HISTOGRAM, KIND_UNITS };

/* One metric in one closed window, strata by name; the buckets are someone else's. */
struct kind_window {
    const struct count_table *tables;    /* n; not of KIND_EVENTS */
    const struct event_table *events;    /* n; of KIND_EVENTS only */
    const struct latency_stratum *hists; /* n; of KIND_HISTOGRAM only */
    const struct unitsum_view *units;    /* n; of KIND_UNITS only */
    size_t n;
    struct count_table sum;    /* units and bad ones; of events exposure and events */
    struct count_table spread; /* the same where the dispersion is measured */
    int64_t start_ms, end_ms;
};

/* What a window brought; starts as its sums. */
struct kind_news {
    struct count_table counted; /* for people: joins the counts of the step */
    struct count_table watched; /* what the dispersion watch follows */
    bool informed;              /* there was evidence in it */
};

struct kind {
    enum kind_content content;
    bool requests;      /* its units follow the weight: the sample ratio is checked */
    size_t size;        /* of evidence->own, zeroed before open */
    const char *effect; /* what estimate and limits are about: "odds ratio" */

    /** Errors: SERIN_EDOM (why names the metric and what to do). */
    enum serin_status (*open)(struct evidence *e, struct fault *why);
    /** Forget all evidence; keep what the past baseline was like. */
    void (*reset)(struct evidence *e);
    /** A new step begins. */
    void (*step)(struct evidence *e);
    /** Fold one closed window, also an empty one. Errors: SERIN_EDOM: a defect. */
    enum serin_status (*window)(struct evidence *e, const struct horizon *h,
                                const struct kind_window *w, struct kind_news *news);

    /* Natural logarithms of e-values. */
    double (*harm)(const struct evidence *e);     /* relative to the baseline */
    double (*too_good)(const struct evidence *e); /* suspiciously better; or NULL */
    /** As evidence_onset, in seconds; NULL: it is that of evidence->all. */
    double (*onset)(const struct evidence *e, uint32_t *s);
    bool (*limited)(const struct evidence *e); /* has an absolute limit; if not, … */
    double (*limit)(const struct evidence *e); /* … these three are not called */
    bool (*within)(const struct evidence *e);  /* this step's canary is within it */
    double (*promote)(const struct evidence *e, size_t s); /* at tolerance s of grid */
    double (*restart)(const struct evidence *e, size_t s); /* from this step alone */
    double (*estimate)(const struct evidence *e); /* of the effect, over the run */
    void (*limits)(const struct evidence *e, double alpha, double beta, double *lower,
                   double *upper);
    /** What speaks for harm is that the canary's are lower; NULL: as direction says. */
    bool (*lower)(const struct evidence *e);
    /** What estimate and limits are read from; NULL: the kind cannot be asked about in
     * an experiment. */
    const struct profile *(*profile)(const struct evidence *e);

    /**
     * Seconds until the evidence suffices for the step's tolerance w_s (s of the grid)
     * at level beta, when the canary is healthy and the traffic of this step, seen for
     * span_s, goes on; +inf: cannot be told yet. NULL: never can.
     */
    double (*left)(const struct evidence *e, size_t s, double w_s, double beta,
                   double span_s);

    /** Learn from a baseline window before the first weight, beyond its sum; or NULL.
     * Errors: SERIN_EDOM. */
    enum serin_status (*calibrate)(struct evidence *e, int64_t fixed_ms,
                                   const struct kind_window *w);
    /** As calibrate_phi; c has the sums. */
    bool (*phi)(const struct evidence *e, const struct calibrate *c, int64_t fixed_ms,
                int64_t length_ms, bool settle_for, double *phi);

    /** What that phi is measured from; NULL: c. */
    struct dispersion_pool (*pool)(const struct evidence *e, const struct calibrate *c,
                                   int64_t fixed_ms, int64_t length_ms);

    /** What later rates are compared with: before, and above where values are split.
     * False: this metric has no such rates. NULL: none of its kind has. */
    bool (*reference)(const struct evidence *e, struct aftermath *out);

    /** Add to a metric's figures; false when memory is out. NULL: nothing to add. */
    bool (*figures)(const struct evidence *e, struct arena *a, pb_metric_verdict *m);
    /* Pieces of a sentence after "errors at 25 %: ". */
    void (*cohorts)(const struct evidence *e, struct turn *t); /* both, in this step */
    void (*beyond)(const struct evidence *e, struct turn *t);  /* its limit */
    void (*worse)(const struct evidence *e, struct turn *t);   /* in what way */
    void (*better)(const struct evidence *e, struct turn *t);  /* with too_good only */

    /** What is in `own`, as a message; or NULL. */
    void (*save)(const struct evidence *e, struct arena *a, bool calibrating,
                 Serin__V1__MetricState *m, bool *bad);
    /** False when it does not fit the plan or cannot be. */
    bool (*load)(struct evidence *e, const Serin__V1__MetricState *m);
};

extern const struct kind kind_ratio, kind_latency, kind_events, kind_gauge,
    kind_saturation;

/** The metric's kind; never NULL. */
const struct kind *kind_of(const struct plan_metric *m);

#endif
