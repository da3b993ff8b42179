/* engine/cli/output.c */
#include "engine/cli/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yaml.h>

#include "engine/base/mem.h"
#include "engine/serve/view.h"

int output_format(const struct cli_verb *v, enum output_format *out)
{
    static const char *const names[] = {"table", "json", "jsonl", "yaml"};
    const char *given = cli_get("output");
    *out = OUTPUT_TABLE;
    if (given == NULL) return CLI_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], given) != 0) continue;
        *out = (enum output_format)i;
        return CLI_OK;
    }
    return cli_usage(v, "-o %s: expected table, json, jsonl or yaml", given);
}

static bool yaml_scalar(yaml_emitter_t *e, const char *text, bool quoted)
{
    yaml_event_t event;
    return yaml_scalar_event_initialize(
               &event, NULL, NULL, (yaml_char_t *)text, (int)strlen(text), 1, 1,
               quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE) &&
           yaml_emitter_emit(e, &event);
}

static bool yaml_value(yaml_emitter_t *e, json_t *j);

static bool yaml_object(yaml_emitter_t *e, json_t *j)
{
    yaml_event_t event;
    const char *key;
    json_t *value;
    if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                             YAML_BLOCK_MAPPING_STYLE) ||
        !yaml_emitter_emit(e, &event))
        return false;
    json_object_foreach(j, key, value)
    {
        if (!yaml_scalar(e, key, false) || !yaml_value(e, value)) return false;
    }
    return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(e, &event);
}

static bool yaml_array(yaml_emitter_t *e, json_t *j)
{
    yaml_event_t event;
    if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                              YAML_BLOCK_SEQUENCE_STYLE) ||
        !yaml_emitter_emit(e, &event))
        return false;
    for (size_t i = 0; i < json_array_size(j); i++)
        if (!yaml_value(e, json_array_get(j, i))) return false;
    return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(e, &event);
}

static bool yaml_value(yaml_emitter_t *e, json_t *j)
{
    if (json_is_object(j)) return yaml_object(e, j);
    if (json_is_array(j)) return yaml_array(e, j);
    if (json_is_string(j)) return yaml_scalar(e, json_string_value(j), true);
    char *text = json_dumps(j, VIEW_DUMP | JSON_ENCODE_ANY);
    bool ok = text != NULL && yaml_scalar(e, text, false);
    free(text);
    return ok;
}

static bool yaml_print(json_t *j)
{
    yaml_emitter_t e;
    yaml_event_t event;
    if (!yaml_emitter_initialize(&e)) return false;
    yaml_emitter_set_output_file(&e, stdout);
    yaml_emitter_set_unicode(&e, 1);
    yaml_emitter_set_width(&e, -1);
    bool ok = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
              yaml_emitter_emit(&e, &event) &&
              yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
              yaml_emitter_emit(&e, &event) && yaml_value(&e, j) &&
              yaml_document_end_event_initialize(&event, 1) &&
              yaml_emitter_emit(&e, &event) &&
              yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(&e, &event);
    yaml_emitter_delete(&e);
    return ok;
}

static bool dump(json_t *j, size_t flags)
{
    bool ok = json_dumpf(j, stdout, flags | JSON_ENCODE_ANY) == 0;
    putchar('\n');
    return ok;
}

int output_json(enum output_format f, json_t *j, const char *list)
{
    bool ok = true;
    json_t *items = list != NULL ? json_object_get(j, list) : NULL;
    if (f == OUTPUT_YAML) {
        ok = yaml_print(j);
    } else if (f == OUTPUT_JSON) {
        ok = dump(j, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    } else if (list == NULL) {
        ok = dump(j, VIEW_DUMP);
    } else {
        for (size_t i = 0; i < json_array_size(items); i++)
            ok &= dump(json_array_get(items, i), VIEW_DUMP);
    }
    json_decref(j);
    fflush(stdout);
    return ok ? CLI_OK : cli_fail(CLI_UNREACHABLE, "cannot write to standard output");
}

struct cell {
    char *text;
    const char *colour;
};

struct output_table {
    size_t columns, n, room;
    struct cell *cells;
};

static void push(struct output_table *t, char *text, const char *colour)
{
    if (t->n == t->room) {
        size_t room = t->room != 0 ? 2 * t->room : 64;
        struct cell *more = mem_realloc(t->cells, room, sizeof *more);
        if (more == NULL)
            abort(); /* a table of what was just parsed: nothing to save */
        t->cells = more;
        t->room = room;
    }
    t->cells[t->n++] = (struct cell){text, colour};
}

struct output_table *output_table_open(size_t columns, const char *const *heads)
{
    struct output_table *t = mem_calloc(1, sizeof *t);
    if (t == NULL) abort();
    t->columns = columns;
    for (size_t i = 0; i < columns; i++)
        output_cell(t, "%s", heads[i]);
    return t;
}

void output_cell(struct output_table *t, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) abort();
    va_end(ap);
    push(t, text, "");
}

void output_state_cell(struct output_table *t, const char *state)
{
    char *text = NULL;
    if (asprintf(&text, "%s", state) < 0) abort();
    push(t, text, output_colour(state));
}

/* Characters, not bytes: the continuation bytes of UTF-8 take no room. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void output_table_close(struct output_table *t)
{
    size_t *widths = mem_calloc(t->columns, sizeof *widths);
    if (widths == NULL) abort();
    for (size_t i = 0; i < t->n; i++) {
        size_t w = width(t->cells[i].text), c = i % t->columns;
        if (w > widths[c]) widths[c] = w;
    }
    for (size_t i = 0; i < t->n; i++) {
        size_t c = i % t->columns;
        const struct cell *cell = &t->cells[i];
        fputs(cell->colour, stdout);
        output_clean(stdout, cell->text);
        if (*cell->colour != '\0') fputs(output_plain(), stdout);
        if (c + 1 == t->columns)
            putchar('\n');
        else
            printf("%*s", (int)(widths[c] - width(cell->text) + 2), "");
        free(cell->text);
    }
    mem_free(widths);
    mem_free(t->cells);
    mem_free(t);
}

void output_clean(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool c1 = c == 0xc2 && ((unsigned char)text[1] & 0xe0) == 0x80;
        if (c1) text++; /* U+0080 to U+009F steer a terminal too */
        fputc(c < 0x20 || c == 0x7f || c1 ? '?' : c, out);
    }
}

const char *output_colour(const char *state)
{
    static const char *const by_state[][2] = {
        {"PROMOTED", "\033[32m"}, {"PROMOTE", "\033[32m"},   {"ABORTED", "\033[31m"},
        {"ABORT", "\033[31m"},    {"CANCELLED", "\033[31m"}, {"HELD", "\033[33m"},
        {"HOLD", "\033[33m"},     {"GATED", "\033[33m"},     {"CONCLUDED", "\033[36m"},
        {"RESULT", "\033[36m"},
    };
    if (!cli_colour()) return "";
    for (size_t i = 0; i < sizeof by_state / sizeof *by_state; i++)
        if (strcmp(by_state[i][0], state) == 0) return by_state[i][1];
    return "";
}

const char *output_plain(void)
{
    return cli_colour() ? "\033[0m" : "";
}

const char *output_duration(char out[32], int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 0)
        snprintf(out, 32, "-");
    else if (s < 120)
        snprintf(out, 32, "%" PRId64 "s", s);
    else if (s < 7200)
        snprintf(out, 32, "%" PRId64 "m", s / 60);
    else if (s < 172800)
        snprintf(out, 32, "%" PRId64 "h %" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%" PRId64 "d", s / 86400);
    return out;
}

const char *output_time(char out[32], int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (ms <= 0 || gmtime_r(&seconds, &utc) == NULL)
        snprintf(out, 32, "-");
    else
        strftime(out, 32, "%Y-%m-%d %H:%M:%SZ", &utc);
    return out;
}

const char *output_weight(char out[32], double bp)
{
    if (isnan(bp))
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.4g %%", bp / 100);
    return out;
}

const char *output_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

int64_t output_int(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

double output_real(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (json_is_number(value)) return json_number_value(value);
    const char *text = json_string_value(value);
    if (text == NULL) return NAN;
    if (strcmp(text, "inf") == 0) return INFINITY;
    return strcmp(text, "-inf") == 0 ? -INFINITY : NAN;
}
