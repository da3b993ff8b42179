/* engine/cli/output.h -- tables for people, JSON and YAML for programs */
#ifndef SERIN_ENGINE_CLI_OUTPUT_H
#define SERIN_ENGINE_CLI_OUTPUT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/cli/cli.h"

#define OUTPUT_OPTIONS                                                                 \
    {                                                                                  \
        "output", 'o', "FORMAT", "table (default), json, jsonl or yaml"                \
    }

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL, OUTPUT_YAML };

/** What -o asks for; CLI_USAGE (told on stderr) for another word. */
int output_format(const struct cli_verb *v, enum output_format *out);
/**
 * Print j (reference taken). jsonl prints every element of the array `list` of j on a
 * line of its own (NULL: j itself is the only line). Returns CLI_OK.
 */
int output_json(enum output_format f, json_t *j, const char *list);

/* A table: cells row by row, n columns; columns fit their widest cell. */
struct output_table; /* opaque */
struct output_table *output_table_open(size_t columns, const char *const *heads);
/** printf one cell; control characters are shown as '?'. */
void output_cell(struct output_table *t, const char *fmt, ...) SERIN_PRINTF(2, 3);
/** As output_cell, coloured by the state it shows. */
void output_state_cell(struct output_table *t, const char *state);
/** Print to stdout and free. */
void output_table_close(struct output_table *t);

/** Print text with control characters (also those of a terminal) replaced. */
void output_clean(FILE *out, const char *text);
/** Start and end of a state's colour; "" when stdout wants none. */
const char *output_colour(const char *state);
const char *output_plain(void);
/** "47s", "12m", "3h 20m", "5d"; negative: "-". */
const char *output_duration(char out[32], int64_t ms);
/** "2026-12-01 09:00:00Z"; 0: "-". */
const char *output_time(char out[32], int64_t ms);
/** "5 %" of basis points. */
const char *output_weight(char out[32], double bp);

/* Members of a JSON object with a default for what is absent. */
const char *output_text(const json_t *o, const char *key);
int64_t output_int(const json_t *o, const char *key);
double output_real(const json_t *o, const char *key); /* "inf", "-inf"; NAN for null */

#endif
