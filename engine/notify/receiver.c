/* engine/notify/receiver.c */
#include "engine/notify/receiver.h"

#include <fnmatch.h>
#include <string.h>

#include "engine/notify/message.h"

#define X(name, text) text,
static const char *const severities[] = {RECEIVER_SEVERITIES(X) NULL};
static const char *const kinds[] = {RECEIVER_KINDS(X) NULL};
#undef X

const char *receiver_severity(enum severity s)
{
    return s < SEVERITY_N ? severities[s] : "unknown";
}

const char *receiver_kind(enum receiver_kind k)
{
    return k < RECEIVER_KIND_N ? kinds[k] : "unknown";
}

#define AT(field) offsetof(struct receiver, field)
#define SECOND 1e3
#define HOUR 3.6e6
static const struct keys_key receiver_keys[] = {
    KEYS_KEY("name", KEYS_ID, AT(name), NULL, 0, 0, NULL,
             "of the receiver; also of its consumer group, so that it goes on where it "
             "stopped",
             .required = true),
    KEYS_KEY("kind", KEYS_ENUM, AT(kind), NULL, 0, 0, NULL, "what speaks there",
             .required = true, .choices = kinds),
    KEYS_KEY("url", KEYS_TEXT, AT(url), NULL, 1, 2048, NULL,
             "http(s)://… of a webhook, Slack, Alertmanager (its root) or another than "
             "PagerDuty's; smtp(s)://host:port of email"),
    KEYS_KEY("url_file", KEYS_TEXT, AT(url_file), NULL, 1, 4096, NULL,
             "file with the url, where that is itself a secret; never logged"),
    KEYS_KEY("secret_file", KEYS_TEXT, AT(secret_file), NULL, 1, 4096, NULL,
             "webhook: key of the HMAC; pagerduty: routing key; alertmanager: bearer "
             "token; email: password"),
    KEYS_KEY("ca_file", KEYS_TEXT, AT(ca_file), NULL, 1, 4096, NULL,
             "certificates that TLS trusts, instead of the system's"),
    KEYS_KEY("from", KEYS_TEXT, AT(from), NULL, 3, 254, NULL, "email: the sender"),
    KEYS_KEY("to", KEYS_TEXTS, AT(to), NULL, 1, 32, NULL, "email: the recipients",
             .count_at = AT(n_to)),
    KEYS_KEY("user", KEYS_TEXT, AT(user), NULL, 1, 254, NULL,
             "email: log in as; needs secret_file, and TLS"),
    KEYS_KEY("severity", KEYS_ENUM, AT(severity), "warning", 0, 0, NULL,
             "this and above", .choices = severities),
    KEYS_KEY("rollouts", KEYS_TEXTS, AT(rollouts), NULL, 1, 100, NULL,
             "only these rollouts; * and ? stand for any", .count_at = AT(n_rollouts)),
    KEYS_KEY("services", KEYS_TEXTS, AT(services), NULL, 1, 100, NULL,
             "only rollouts of these services", .count_at = AT(n_services)),
    KEYS_KEY("template", KEYS_TEXT, AT(template_), NULL, 1, 4096, NULL,
             "the text, with placeholders such as {rollout} and {message}"),
    KEYS_KEY("timeout", KEYS_DURATION, AT(timeout_ms), "10s", 100, 6e4, NULL,
             "of one attempt"),
    KEYS_KEY("give_up", KEYS_DURATION, AT(give_up_ms), "6h", SECOND, 168 * HOUR, NULL,
             "an alert older than this gets one attempt only"),
};
static const struct keys_table receiver_table = KEYS_OF(receiver_keys, struct receiver);
#undef AT

#define AT(field) offsetof(struct receiver_list, field)
static const struct keys_key list_keys[] = {
    KEYS_KEY("silence", KEYS_DURATION, AT(silence_ms), "30s", 5 * SECOND, HOUR, NULL,
             "live rollouts not refreshed for so long: the engine is dead"),
    KEYS_KEY("receivers", KEYS_LIST, AT(items), NULL, 1, RECEIVER_MAX, NULL,
             "who is told", .required = true, .count_at = AT(n),
             .sub = &receiver_table),
};
static const struct keys_table list_table = KEYS_OF(list_keys, struct receiver_list);
const char receiver_schema[] = "\"type\":\"object\"";

/* What each kind needs and may have beside what all have. */
enum { URL = 1, SECRET = 2, MAIL = 4, CA = 8, NEEDS_URL = 16, NEEDS_SECRET = 32 };
static const unsigned parts[RECEIVER_KIND_N] = {
    [RECEIVER_WEBHOOK] = URL | NEEDS_URL | SECRET | CA,
    [RECEIVER_SLACK] = URL | NEEDS_URL | CA,
    [RECEIVER_PAGERDUTY] = URL | SECRET | NEEDS_SECRET | CA,
    [RECEIVER_ALERTMANAGER] = URL | NEEDS_URL | SECRET | CA,
    [RECEIVER_EMAIL] = URL | NEEDS_URL | SECRET | MAIL | CA,
};

static void check_absent(const struct receiver *r, const struct doc_node *at,
                         struct doc_errors *errors)
{
    static const struct {
        const char *key;
        unsigned part;
    } keys[] = {{"secret_file", SECRET}, {"from", MAIL}, {"to", MAIL}, {"user", MAIL}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (doc_get(at, keys[i].key) != NULL && (parts[r->kind] & keys[i].part) == 0)
            doc_error_add(errors, doc_get(at, keys[i].key), "%s: kind %s has none",
                          keys[i].key, kinds[r->kind]);
}

static void check_url(const struct receiver *r, const struct doc_node *at,
                      struct doc_errors *errors)
{
    bool mail = r->kind == RECEIVER_EMAIL;
    if (r->url != NULL && r->url_file != NULL)
        doc_error_add(errors, at, "url and url_file: give one of them");
    if (r->url == NULL && r->url_file == NULL && (parts[r->kind] & NEEDS_URL) != 0)
        doc_error_add(errors, at, "kind %s needs url, or url_file", kinds[r->kind]);
    if (r->url == NULL) return;
    const char *const begins[2] = {mail ? "smtp://" : "http://",
                                   mail ? "smtps://" : "https://"};
    for (int i = 0; i < 2; i++)
        if (strncmp(r->url, begins[i], strlen(begins[i])) == 0) return;
    doc_error_add(errors, doc_get(at, "url"), "url: expected %shost… or %shost…",
                  begins[0], begins[1]);
}

static bool is_address(const char *text)
{
    const char *sign = strchr(text, '@');
    return sign != NULL && sign != text && sign[1] != '\0' &&
           strpbrk(text, "<>\" \t\r\n,;") == NULL;
}

static void check_mail(const struct receiver *r, const struct doc_node *at,
                       struct doc_errors *errors)
{
    if (r->kind != RECEIVER_EMAIL) return;
    if (r->from == NULL || r->n_to == 0)
        doc_error_add(errors, at, "kind email needs from and to");
    if (r->from != NULL && !is_address(r->from))
        doc_error_add(errors, doc_get(at, "from"), "from: expected name@host");
    for (size_t i = 0; i < r->n_to; i++)
        if (!is_address(r->to[i]))
            doc_error_add(errors, doc_get(at, "to"),
                          "to: \"%.60s\": expected name@host", r->to[i]);
    if ((r->user == NULL) != (r->secret_file == NULL))
        doc_error_add(errors, at, "user and secret_file go together");
}

static void check(const struct receiver_list *l, size_t i, const struct doc_node *at,
                  struct doc_errors *errors)
{
    const struct receiver *r = &l->items[i];
    char why[MESSAGE_WHY];
    if (r->name == NULL || doc_get(at, "kind") == NULL ||
        doc_error_at(errors, doc_get(at, "kind")))
        return;
    check_absent(r, at, errors);
    check_url(r, at, errors);
    check_mail(r, at, errors);
    if (r->secret_file == NULL && (parts[r->kind] & NEEDS_SECRET) != 0)
        doc_error_add(errors, at, "kind %s needs secret_file", kinds[r->kind]);
    if (r->template_ != NULL && !message_template_ok(r->template_, why))
        doc_error_add(errors, doc_get(at, "template"), "template: %s", why);
    for (size_t k = 0; k < i; k++)
        if (l->items[k].name != NULL && strcmp(l->items[k].name, r->name) == 0)
            doc_error_add(errors, doc_get(at, "name"), "name \"%s\" is used twice",
                          r->name);
}

enum serin_status receiver_read(struct arena *a, const struct doc_node *map,
                                struct receiver_list *out, struct doc_errors *errors)
{
    *out = (struct receiver_list){0};
    if (map == NULL) return SERIN_OK;
    enum serin_status rc = keys_read(a, &list_table, map, out, errors);
    const struct doc_node *list = doc_get(map, "receivers");
    if (rc != SERIN_OK || list == NULL || list->n != out->n) return rc;
    for (size_t i = 0; i < out->n; i++)
        check(out, i, list->items[i], errors);
    return SERIN_OK;
}

static bool matches(const char *const *patterns, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (fnmatch(patterns[i], text, 0) == 0) return true;
    return n == 0;
}

bool receiver_wants(const struct receiver *r, enum severity severity,
                    const char *rollout, const char *service)
{
    return (int)severity >= r->severity &&
           matches(r->rollouts, r->n_rollouts, rollout) &&
           matches(r->services, r->n_services, service);
}

const struct receiver *receiver_find(const struct receiver_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].name, name) == 0) return &l->items[i];
    return NULL;
}
