/* engine/replay/source/csv.h -- a table with a header line, row by row as samples in
 * JSON
 *
 * RFC 4180, parsed by libcsv: quoted cells, doubled quotes, line breaks inside quotes.
 * Cells are separated by commas or, where the header has none, by ';' or tabs. */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_CSV_H
#define SERIN_ENGINE_REPLAY_SOURCE_CSV_H

#include "engine/replay/source/columns.h"
#include "engine/replay/source/lines.h"
#include "ingest/quarantine.h"

enum { CSV_TABLE_MAPS = 8, CSV_TABLE_COLUMNS = 512 };

struct csv_table; /* opaque; thread: one */

/**
 * Read the header. Each map makes one sample of a row where any of its number cells is
 * filled. n_maps 0: columns that are called as fields are ("t_ms", "ts" and
 * "timestamp" are "time", too). l and the maps' text must outlive the table.
 * Errors: SERIN_EPARSE (no header, a column that is not there, no time, no number),
 * SERIN_ENOMEM, those of lines_next; SERIN_AGAIN: an empty file.
 */
SERIN_MUST_USE
enum serin_status csv_table_open(struct csv_table **out, struct lines *l,
                                 const struct columns *maps, size_t n_maps,
                                 struct fault *f);
void csv_table_close(struct csv_table *c);
/**
 * The samples of the next row, lines of JSON as format `json` takes them; they live
 * until the next call. json->n == 0: the row was refused, *why says why.
 * SERIN_AGAIN: this was all. Errors: as lines_next; SERIN_EPARSE: a quote that is not
 * closed.
 */
SERIN_MUST_USE
enum serin_status csv_table_next(struct csv_table *c, struct strview *json,
                                 struct reject *why, struct fault *f);
/** Line of the row given last, from 1. */
uint64_t csv_table_line(const struct csv_table *c);

#endif
