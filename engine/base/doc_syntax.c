/* engine/base/doc_syntax.c */
#include "engine/base/doc_syntax.h"

#include <stddef.h>
#include <string.h>

/* Where in its line a problem shows. */
enum place { ANYWHERE, STARTS, WITHIN, DASH, ITEM };

#define ENDED                                                                          \
    "the value has ended before this: a quote above may not be closed, a comment may " \
    "lack its \" #\", or a text with quotes in it needs the other kind around it"

static const struct {
    const char *problem, *context; /* the beginnings of libyaml's; NULL = any */
    enum place place;
    struct doc_syntax said;
} table[] = {
    {"could not find expected ':'",
     "while scanning a simple key",
     ANYWHERE,
     {"no \": \" here; write \"key: value\" with a space behind the colon", true,
      false}},
    {"mapping values are not allowed",
     NULL,
     ANYWHERE,
     {"a \":\" cannot stand here: the line above may lack its own, this line may be "
      "indented wrongly, or a text with \": \" may lack quotes",
      false, false}},
    {"did not find expected '-'",
     NULL,
     DASH,
     {"a list item needs a space behind its \"-\"", false, false}},
    {"did not find expected '-'",
     NULL,
     STARTS,
     {"the indentation fits no line above; the keys of a list item stand exactly under "
      "its first key",
      false, false}},
    {"did not find expected '-'", NULL, WITHIN, {ENDED, false, false}},
    {"did not find expected key",
     NULL,
     ITEM,
     {"a list item cannot stand between the keys of a map; remove the \"-\", or put it "
      "below its key",
      false, false}},
    {"did not find expected key",
     NULL,
     STARTS,
     {"the indentation fits no line above; keys of one map stand exactly under each "
      "other",
      false, false}},
    {"did not find expected key", NULL, WITHIN, {ENDED, false, false}},
    {"did not find expected ',' or '}'",
     NULL,
     ANYWHERE,
     {"a \",\" or \"}\" is missing before this; texts with {, }, [, ] or \",\" need "
      "quotes. The \"{\"",
      false, true}},
    {"did not find expected ',' or ']'",
     NULL,
     ANYWHERE,
     {"a \",\" or \"]\" is missing before this; texts with {, }, [, ] or \",\" need "
      "quotes. The \"[\"",
      false, true}},
    {"found unexpected end of stream",
     "while scanning a quoted scalar",
     ANYWHERE,
     {"this quote is never closed", true, false}},
    {"found character that cannot start any token",
     NULL,
     ANYWHERE,
     {"a text cannot begin with this character; put it in quotes", false, false}},
    {"did not find expected alphabetic or numeric character",
     NULL,
     ANYWHERE,
     {"a text that begins with * or & needs quotes", false, false}},
    {"did not find expected <document start>",
     NULL,
     ANYWHERE,
     {"the document has ended above this line; remove the \"...\"", false, false}},
};

static bool begins(const char *text, const char *with)
{
    if (with == NULL) return true;
    return text != NULL && strncmp(text, with, strlen(with)) == 0;
}

static bool fits(enum place place, bool starts, const char *rest, unsigned long n)
{
    if (place == STARTS) return starts;
    if (place == WITHIN) return !starts;
    if (place == DASH) return starts && n > 1 && rest[0] == '-' && rest[1] != ' ';
    if (place == ITEM) return starts && n > 1 && rest[0] == '-' && rest[1] == ' ';
    return true;
}

const struct doc_syntax *doc_syntax_find(const char *problem, const char *context,
                                         bool starts, const char *rest, unsigned long n)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (begins(problem, table[i].problem) && begins(context, table[i].context) &&
            fits(table[i].place, starts, rest, n))
            return &table[i].said;
    return NULL;
}
