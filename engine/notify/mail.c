/* engine/notify/mail.c */
#include "engine/notify/mail.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/hash.h"
#include "engine/base/http.h"
#include "engine/notify/message.h"

struct mail {
    CURL *curl;
    curl_mime *mime;
    struct curl_slist *headers, *to;
    struct text text;
    char why[CURL_ERROR_SIZE];
};

static bool add(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer == NULL) return false;
    *list = longer;
    return true;
}

static bool safe(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Encoded words of RFC 2047, of at most 75 characters, that split no UTF-8 one. */
static void encoded(const char *text, struct text *out)
{
    size_t used = 0;
    text_add(out, "=?UTF-8?Q?");
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c & 0xc0) != 0x80 && used > 45) {
            text_add(out, "?=\r\n =?UTF-8?Q?");
            used = 0;
        }
        if (safe(c))
            text_bytes(out, p, 1);
        else
            text_add(out, "=%02X", c);
        used += safe(c) ? 1 : 3;
    }
    text_add(out, "?=");
}

static void subject(const char *title, struct text *out)
{
    bool plain = true;
    for (const char *p = title; *p != '\0'; p++)
        plain = plain && (unsigned char)*p < 0x80;
    text_add(out, "Subject: [serin] ");
    if (plain)
        text_add(out, "%s", title);
    else
        encoded(title, out);
}

/* The same alert has the same id whenever it is sent, and its end answers it. */
static void message_id(const struct incident_event *e, bool firing, char out[64])
{
    char text[INCIDENT_KEY + 64];
    snprintf(text, sizeof text, "%s/%" PRIu64 "/%s", e->what.key, e->what.seq,
             firing ? "firing" : "resolved");
    snprintf(out, 64, "<%016" PRIx64 ".serin@serin.invalid>",
             hash_bytes(text, strlen(text), 1));
}

static bool headers(struct mail *m, const struct receiver *r,
                    const struct incident_event *e, int64_t now_ms)
{
    char line[512], id[64], title[MESSAGE_TITLE];
    struct text t = {0};
    time_t s = (time_t)(now_ms / 1000);
    struct tm tm;
    bool ok =
        gmtime_r(&s, &tm) != NULL &&
        strftime(line, sizeof line, "Date: %a, %d %b %Y %H:%M:%S +0000", &tm) != 0;
    ok = ok && add(&m->headers, line);
    snprintf(line, sizeof line, "From: <%s>", r->from);
    ok = ok && add(&m->headers, line);
    text_add(&t, "To: ");
    for (size_t i = 0; i < r->n_to; i++)
        text_add(&t, "%s<%s>", i != 0 ? ",\r\n " : "", r->to[i]);
    ok = ok && !t.failed && add(&m->headers, t.p);
    text_free(&t);
    t = (struct text){0};
    subject(message_title(e, title), &t);
    ok = ok && !t.failed && add(&m->headers, t.p);
    text_free(&t);
    message_id(e, e->firing, id);
    snprintf(line, sizeof line, "Message-ID: %s", id);
    ok = ok && add(&m->headers, line);
    message_id(e, true, id);
    snprintf(line, sizeof line, "In-Reply-To: %s", id);
    if (!e->firing) ok = ok && add(&m->headers, line);
    return ok && add(&m->headers, "Auto-Submitted: auto-generated");
}

static bool body(struct mail *m, const struct receiver *r,
                 const struct incident_event *e)
{
    message_text(e, r->template_, &m->text);
    curl_mimepart *part = curl_mime_addpart(m->mime);
    return !m->text.failed && m->text.p != NULL && part != NULL &&
           curl_mime_data(part, m->text.p, m->text.n) == CURLE_OK &&
           curl_mime_type(part, "text/plain; charset=utf-8") == CURLE_OK &&
           curl_mime_encoder(part, "quoted-printable") == CURLE_OK;
}

static enum serin_status options(struct mail *m, const struct receiver *r,
                                 const char *url, struct fault *f)
{
    char password[HTTP_SECRET], from[300];
    CURL *c = m->curl;
    snprintf(from, sizeof from, "<%s>", r->from);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(c, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(c, CURLOPT_MAIL_RCPT, m->to);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, m->headers);
    curl_easy_setopt(c, CURLOPT_MIMEPOST, m->mime);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, m->why);
    curl_easy_setopt(c, CURLOPT_USE_SSL,
                     r->user != NULL ? CURLUSESSL_ALL : CURLUSESSL_TRY);
    if (r->ca_file != NULL) curl_easy_setopt(c, CURLOPT_CAINFO, r->ca_file);
    if (r->user == NULL) return SERIN_OK;
    enum serin_status rc = http_secret(r->secret_file, password, f);
    if (rc != SERIN_OK) return rc;
    curl_easy_setopt(c, CURLOPT_USERNAME, r->user); /* both are copied */
    curl_easy_setopt(c, CURLOPT_PASSWORD, password);
    memset(password, 0, sizeof password);
    return SERIN_OK;
}

static enum serin_status perform(struct mail *m, const struct receiver *r,
                                 struct fault *f)
{
    CURLcode code = curl_easy_perform(m->curl);
    long answer = 0;
    curl_easy_getinfo(m->curl, CURLINFO_RESPONSE_CODE, &answer);
    if (code == CURLE_OK) return SERIN_OK;
    fault_set(f, code == CURLE_OPERATION_TIMEDOUT ? SERIN_ETIME : SERIN_EIO,
              "%s: the mail server took no mail: %.200s (last answer %ld)", r->name,
              *m->why != '\0' ? m->why : curl_easy_strerror(code), answer);
    /* After the data 5xx means this very mail; before, somebody may mend it. */
    f->retriable = !(code == CURLE_WEIRD_SERVER_REPLY && answer == 554);
    return f->code;
}

enum serin_status mail_send(const struct receiver *r, const struct incident_event *e,
                            const char *url, int64_t now_ms, struct fault *f)
{
    struct mail m = {0};
    char recipient[300];
    http_begin();
    m.curl = curl_easy_init();
    m.mime = m.curl != NULL ? curl_mime_init(m.curl) : NULL;
    bool ok = m.mime != NULL && headers(&m, r, e, now_ms) && body(&m, r, e);
    for (size_t i = 0; ok && i < r->n_to; i++) {
        snprintf(recipient, sizeof recipient, "<%s>", r->to[i]);
        ok = add(&m.to, recipient);
    }
    enum serin_status rc = ok ? options(&m, r, url, f)
                              : fault_set(f, SERIN_ENOMEM, "out of memory for a mail");
    f->retriable = true;
    if (rc == SERIN_OK) rc = perform(&m, r, f);
    curl_slist_free_all(m.headers);
    curl_slist_free_all(m.to);
    curl_mime_free(m.mime);
    curl_easy_cleanup(m.curl);
    text_free(&m.text);
    return rc;
}
