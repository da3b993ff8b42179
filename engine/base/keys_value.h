/* engine/base/keys_value.h -- one scalar of a configuration file, read and checked */
#ifndef SERIN_ENGINE_BASE_KEYS_VALUE_H
#define SERIN_ENGINE_BASE_KEYS_VALUE_H

#include "engine/base/keys.h"

enum { KEYS_WHY = 200 };

/**
 * Read a scalar of one of the scalar types (KEYS_TEXT … KEYS_ENUM) into *at.
 * text    lives as long as *at, which may point to it
 * quoted  was written with quotes: refused where a plain number or bool is meant
 * False with a reason in why when it is not acceptable; *at unchanged then.
 */
bool keys_value_read(const struct keys_key *k, const char *text, bool quoted, void *at,
                     char why[KEYS_WHY]);
/** What a type expects, for messages: "a duration such as 30s, 5m or 2h". */
const char *keys_value_expects(enum keys_type type);
/** A bound of the key as one would write it: "5m", "0.5%", "1e-09". */
void keys_value_bound(const struct keys_key *k, double bound, char out[32]);

#endif
