/* engine/base/doc.c -- libyaml's events become a tree; libyaml stops at the first
 * syntax error, everything found by us is collected */
#include "engine/base/doc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "engine/base/doc_syntax.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"

struct builder {
    yaml_parser_t parser;
    struct arena *arena;
    struct doc_errors *errors;
    const char *text;
    size_t size;
    struct doc_node **stack; /* children whose parent is still open */
    size_t n, room;
    enum serin_status rc; /* why reading stopped */
};

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static void note(struct doc_errors *e, unsigned line, unsigned column, const char *fmt,
                 va_list ap) __attribute__((format(printf, 4, 0)));

static void note(struct doc_errors *e, unsigned line, unsigned column, const char *fmt,
                 va_list ap)
{
    e->total++;
    if (e->n == DOC_MAX_ERRORS) return;
    if (e->items == NULL)
        e->items = arena_alloc(e->arena, DOC_MAX_ERRORS * sizeof *e->items);
    if (e->items == NULL) return;
    size_t i = e->n;
    for (; i > 0; i--) {
        const struct doc_error *before = &e->items[i - 1];
        if (before->line < line || (before->line == line && before->column <= column))
            break;
        e->items[i] = e->items[i - 1];
    }
    e->items[i].line = line;
    e->items[i].column = column;
    char *out = e->items[i].text;
    size_t room = sizeof e->items[i].text;
    int n = vsnprintf(out, room, fmt, ap);
    if (n >= (int)room) { /* cut before a character, not inside */
        size_t end = room - 1;
        while (end > 0 && !starts_character(out[end - 1]))
            end--;
        out[end > 0 ? end - 1 : 0] = '\0';
    }
    e->n++;
}

static void note_at(struct doc_errors *e, unsigned line, unsigned column,
                    const char *fmt, ...) SERIN_PRINTF(4, 5);

static void note_at(struct doc_errors *e, unsigned line, unsigned column,
                    const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(e, line, column, fmt, ap);
    va_end(ap);
}

void doc_error_add(struct doc_errors *e, const struct doc_node *at, const char *fmt,
                   ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(e, at != NULL ? at->line : 1, at != NULL ? at->column : 1, fmt, ap);
    va_end(ap);
}

bool doc_error_at(const struct doc_errors *e, const struct doc_node *at)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->items[i].line == at->line && e->items[i].column == at->column)
            return true;
    return false;
}

struct doc_node *doc_get(const struct doc_node *map, const char *key)
{
    if (map == NULL || map->type != DOC_MAP) return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0) return map->items[i];
    return NULL;
}

/* Bytes of the line break at p (YAML 1.1 has five kinds), 0 when there is none. */
static size_t break_at(const char *p, size_t n)
{
    if (n == 0) return 0;
    if (*p == '\n') return 1;
    if (*p == '\r') return n > 1 && p[1] == '\n' ? 2 : 1;
    if (n > 1 && memcmp(p, "\xc2\x85", 2) == 0) return 2;
    if (n > 2 &&
        (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0))
        return 3;
    return 0;
}

/* libyaml's reader gives only a byte offset. */
static void place_of(const struct builder *b, size_t offset, unsigned *line,
                     unsigned *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < b->size;) {
        size_t len = break_at(b->text + i, b->size - i);
        if (len != 0) {
            ++*line;
            *column = 1;
            i += len;
        } else {
            *column += starts_character(b->text[i]);
            i++;
        }
    }
}

static const char *line_of(const char *text, size_t size, unsigned line, size_t *n)
{
    size_t i = 0;
    while (line > 1 && i < size) {
        size_t len = break_at(text + i, size - i);
        line -= len != 0;
        i += len != 0 ? len : 1;
    }
    *n = 0;
    if (line > 1) return NULL;
    while (i + *n < size && break_at(text + i + *n, size - i - *n) == 0)
        ++*n;
    return text + i;
}

static bool fail(struct builder *b, enum serin_status rc)
{
    if (b->rc == SERIN_OK) b->rc = rc;
    return false;
}

/* The byte of a line at a column, in characters from 1; n when it has none. */
static size_t byte_at(const char *line, size_t n, unsigned column)
{
    size_t i = 0;
    for (unsigned at = 0; i < n; i++) {
        at += starts_character(line[i]);
        if (at == column) break;
    }
    return i;
}

static void describe(struct builder *b, unsigned line, unsigned column)
{
    const yaml_parser_t *p = &b->parser;
    unsigned began = (unsigned)p->context_mark.line + 1;
    size_t n, lead = 0; /* the text need not end with a NUL */
    const char *source = line_of(b->text, b->size, line, &n);
    while (lead < n && source[lead] == ' ')
        lead++;
    if (lead < n && source[lead] == '\t') {
        note_at(b->errors, line, (unsigned)lead + 1,
                "a tab cannot indent YAML; use spaces");
        return;
    }
    size_t at = n > 0 ? byte_at(source, n, column) : 0;
    const struct doc_syntax *known = doc_syntax_find(p->problem, p->context, at <= lead,
                                                     n > 0 ? source + at : "", n - at);
    if (known == NULL)
        note_at(b->errors, line, column, "not valid YAML: %s%s%s",
                p->problem != NULL ? p->problem : "unreadable",
                p->context != NULL ? " " : "", p->context != NULL ? p->context : "");
    else if (known->opened)
        note_at(b->errors, line, column, "%s it belongs to is in line %u", known->text,
                began);
    else if (known->at_context)
        note_at(b->errors, began, (unsigned)p->context_mark.column + 1, "%s",
                known->text);
    else
        note_at(b->errors, line, column, "%s", known->text);
}

static bool syntax(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR) return fail(b, SERIN_ENOMEM);
    unsigned line = (unsigned)p->problem_mark.line + 1;
    unsigned column = (unsigned)p->problem_mark.column + 1;
    if (p->error == YAML_READER_ERROR) place_of(b, p->problem_offset, &line, &column);
    describe(b, line, column);
    return fail(b, SERIN_EPARSE);
}

static bool next(struct builder *b, yaml_event_t *event)
{
    return yaml_parser_parse(&b->parser, event) ? true : syntax(b);
}

static struct doc_node *node_new(struct builder *b, enum doc_type type,
                                 yaml_mark_t mark)
{
    struct doc_node *node = arena_alloc(b->arena, sizeof *node);
    if (node == NULL) {
        fail(b, SERIN_ENOMEM);
        return NULL;
    }
    node->type = type;
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    node->text = "";
    return node;
}

static bool push(struct builder *b, struct doc_node *node)
{
    if (b->n == b->room) {
        size_t room = b->room != 0 ? 2 * b->room : 64;
        struct doc_node **stack = mem_realloc(b->stack, room, sizeof *stack);
        if (stack == NULL) return fail(b, SERIN_ENOMEM);
        b->stack = stack;
        b->room = room;
    }
    b->stack[b->n++] = node;
    return true;
}

static void refuse_decoration(struct builder *b, const struct doc_node *at,
                              const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        doc_error_add(b->errors, at,
                      "anchors (&%s) are not supported; write the value out",
                      (const char *)anchor);
    if (tag != NULL)
        doc_error_add(b->errors, at, "tags (%s) are not supported; leave the tag out",
                      (const char *)tag);
}

/* Begins with one of the quotes that word processors put for \" and '. */
static bool typographic(const char *text, size_t n)
{
    static const char *const quotes[] = {"\xe2\x80\x98", "\xe2\x80\x99",
                                         "\xe2\x80\x9a", "\xe2\x80\x9c",
                                         "\xe2\x80\x9d", "\xe2\x80\x9e"};
    for (size_t i = 0; n >= 3 && i < sizeof quotes / sizeof *quotes; i++)
        if (memcmp(text, quotes[i], 3) == 0) return true;
    return false;
}

static struct doc_node *scalar(struct builder *b, const yaml_event_t *event)
{
    struct doc_node *node = node_new(b, DOC_SCALAR, event->start_mark);
    if (node == NULL) return NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        doc_error_add(b->errors, node,
                      "aliases (*%s) are not supported; write the value out",
                      (const char *)event->data.alias.anchor);
        return node;
    }
    const char *value = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    refuse_decoration(b, node, event->data.scalar.anchor, event->data.scalar.tag);
    if (memchr(value, '\0', n) != NULL) {
        doc_error_add(b->errors, node, "a text cannot hold the character \\0");
        return node;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!node->quoted && typographic(value, n))
        doc_error_add(b->errors, node,
                      "these quotes are not YAML's and would belong to the text; use "
                      "\" or '");
    node->text = arena_copy(b->arena, value, n);
    if (node->text != NULL) return node;
    fail(b, SERIN_ENOMEM);
    return NULL;
}

static struct doc_node *node_read(struct builder *b, const yaml_event_t *event,
                                  unsigned depth);

/* Read one event and what it starts; NULL: the end event came, or b->rc says why. */
static struct doc_node *child_read(struct builder *b, yaml_event_type_t end,
                                   unsigned depth)
{
    yaml_event_t event;
    struct doc_node *node = NULL;
    if (!next(b, &event)) return NULL;
    if (event.type != end) node = node_read(b, &event, depth);
    yaml_event_delete(&event);
    return node;
}

static bool key_usable(struct builder *b, const struct doc_node *key, size_t from)
{
    if (key->type != DOC_SCALAR) {
        doc_error_add(b->errors, key,
                      "a key must be a plain text, not a list or a map; templates such "
                      "as {{ x }} must be filled in before");
        return false;
    }
    for (size_t i = from; i < b->n; i += 2) {
        if (strcmp(b->stack[i]->text, key->text) != 0) continue;
        doc_error_add(b->errors, key,
                      "key \"%s\" is written twice; the first is in line %u", key->text,
                      b->stack[i]->line);
        return false;
    }
    if ((b->n - from) / 2 < DOC_MAX_KEYS) return true;
    doc_error_add(b->errors, key, "a map of more than %d keys", DOC_MAX_KEYS);
    fail(b, SERIN_EPARSE);
    return false;
}

/* Children pushed since `from` become the node's; maps pushed key, value, key, value.
 */
static bool adopt(struct builder *b, struct doc_node *node, size_t from)
{
    size_t each = node->type == DOC_MAP ? 2 : 1;
    node->n = (b->n - from) / each;
    node->items = arena_alloc(b->arena, node->n * sizeof *node->items);
    if (node->items == NULL) return fail(b, SERIN_ENOMEM);
    if (node->type == DOC_MAP) {
        node->keys = arena_alloc(b->arena, node->n * sizeof *node->keys);
        if (node->keys == NULL) return fail(b, SERIN_ENOMEM);
    }
    for (size_t i = 0; i < node->n; i++) {
        if (node->type == DOC_MAP) node->keys[i] = b->stack[from + 2 * i];
        node->items[i] = b->stack[from + each * i + each - 1];
    }
    b->n = from;
    return true;
}

static bool list_read(struct builder *b, struct doc_node *list, unsigned depth)
{
    size_t from = b->n;
    struct doc_node *item;
    while ((item = child_read(b, YAML_SEQUENCE_END_EVENT, depth)) != NULL)
        if (!push(b, item)) return false;
    return b->rc == SERIN_OK && adopt(b, list, from);
}

static bool map_read(struct builder *b, struct doc_node *map, unsigned depth)
{
    size_t from = b->n;
    struct doc_node *key;
    while ((key = child_read(b, YAML_MAPPING_END_EVENT, depth)) != NULL) {
        bool usable = key_usable(b, key, from);
        struct doc_node *value = child_read(b, YAML_NO_EVENT, depth);
        if (value == NULL || b->rc != SERIN_OK) return false;
        if (usable && !(push(b, key) && push(b, value))) return false;
    }
    return b->rc == SERIN_OK && adopt(b, map, from);
}

static struct doc_node *node_read(struct builder *b, const yaml_event_t *event,
                                  unsigned depth)
{
    if (event->type == YAML_SCALAR_EVENT || event->type == YAML_ALIAS_EVENT)
        return scalar(b, event);
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    struct doc_node *node = node_new(b, is_map ? DOC_MAP : DOC_LIST, event->start_mark);
    if (node == NULL) return NULL;
    if (depth == DOC_MAX_DEPTH) {
        doc_error_add(b->errors, node, "nested deeper than %d levels", DOC_MAX_DEPTH);
        fail(b, SERIN_EPARSE);
        return NULL;
    }
    if (is_map)
        refuse_decoration(b, node, event->data.mapping_start.anchor,
                          event->data.mapping_start.tag);
    else
        refuse_decoration(b, node, event->data.sequence_start.anchor,
                          event->data.sequence_start.tag);
    bool ok = is_map ? map_read(b, node, depth + 1) : list_read(b, node, depth + 1);
    return ok ? node : NULL;
}

/* The stream: start, one document (start, node, end), end. */
static struct doc_node *stream_read(struct builder *b)
{
    yaml_event_t event;
    struct doc_node *root = NULL;
    for (bool more = true; more && b->rc == SERIN_OK;) {
        if (!next(b, &event)) return NULL;
        more = event.type != YAML_STREAM_END_EVENT;
        bool starts = event.type == YAML_DOCUMENT_START_EVENT;
        if (starts && root != NULL) {
            note_at(b->errors, (unsigned)event.start_mark.line + 1,
                    (unsigned)event.start_mark.column + 1,
                    "a second document starts here; put one document into a file");
            more = false;
        } else if (starts) {
            root = child_read(b, YAML_NO_EVENT, 0);
        }
        yaml_event_delete(&event);
    }
    if (b->rc == SERIN_OK && root == NULL)
        note_at(b->errors, 1, 1, "the text is empty; a YAML or JSON map was expected");
    return b->rc == SERIN_OK ? root : NULL;
}

enum serin_status doc_parse(struct arena *a, const char *text, size_t n,
                            struct doc_node **out, struct doc_errors *errors)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors' first bytes */
    size_t skip = n >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    struct builder b = {
        .arena = a, .errors = errors, .text = text + skip, .size = n - skip};
    size_t before = errors->total;
    *out = NULL;
    if (errors->arena == NULL) errors->arena = a;
    if (n > DOC_MAX_BYTES) {
        note_at(errors, 1, 1, "the text has %zu bytes; at most %d are read", n,
                DOC_MAX_BYTES);
        return SERIN_EPARSE;
    }
    if (!yaml_parser_initialize(&b.parser)) return SERIN_ENOMEM;
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)b.text, b.size);
    *out = stream_read(&b);
    yaml_parser_delete(&b.parser);
    mem_free(b.stack);
    if (b.rc == SERIN_OK && errors->total != before) return SERIN_EPARSE;
    return b.rc;
}

/* The line of an error and a caret under its column. A long line (JSON) is cut to a
 * piece around the column; tabs and control characters must not move the caret. */
static void quote(struct text *t, const char *line, size_t n, unsigned column)
{
    enum { WIDTH = 100, BEFORE = 60 };
    unsigned first = column > WIDTH ? column - BEFORE : 1, at = 0;
    text_add(t, "    ");
    for (size_t i = 0; i < n; i++) {
        at += starts_character(line[i]);
        if (at < first) continue;
        if (at >= first + WIDTH) break;
        unsigned char c = (unsigned char)line[i];
        text_bytes(t, c == '\t' ? " " : c < 0x20 || c == 0x7f ? "?" : &line[i], 1);
    }
    text_add(t, "\n    %*s^\n", (int)(column - first), "");
}

const char *doc_errors_format(const struct doc_errors *e, const char *file,
                              const char *text, size_t n)
{
    struct text t = {0};
    for (size_t i = 0; i < e->n; i++) {
        const struct doc_error *error = &e->items[i];
        size_t len;
        const char *line = line_of(text, n, error->line, &len);
        text_add(&t, "%s:%u:%u: %s\n", file, error->line, error->column, error->text);
        if (line != NULL) quote(&t, line, len, error->column);
    }
    if (e->total > e->n) text_add(&t, "%s: %zu more errors\n", file, e->total - e->n);
    char *out = e->arena != NULL ? text_keep(&t, e->arena) : NULL;
    text_free(&t);
    return out != NULL ? out : "";
}
