/* engine/serve/tls.c */
#include "engine/serve/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/mem.h"

/* RFC 9325: nothing older than TLS 1.2. */
static char priorities[] = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static enum serin_status read_file(const char *what, const char *file, mode_t not_for,
                                   char **out, struct fault *f)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    char *text = mem_calloc(1, TLS_MAX_FILE + 1);
    enum serin_status s = SERIN_OK;
    ssize_t n = -1;
    if (text == NULL)
        s = fault_set(f, SERIN_ENOMEM, "out of memory");
    else if (fd < 0 || fstat(fd, &st) != 0 || (n = read(fd, text, TLS_MAX_FILE)) < 0)
        s = fault_set(f, SERIN_EDOM, "http.tls.%s %s: %s", what, file, strerror(errno));
    else if ((st.st_mode & not_for) != 0)
        s = fault_set(f, SERIN_EDOM,
                      "http.tls.%s %s has mode %04o, so others can read or change it; "
                      "chmod 600 (or 640) it, and replace the key if they may have",
                      what, file, (unsigned)(st.st_mode & 07777));
    else if (n == 0 || n == TLS_MAX_FILE)
        s = fault_set(f, SERIN_EDOM, "http.tls.%s %s: expected PEM, has %zd bytes",
                      what, file, n);
    if (fd >= 0) close(fd);
    if (s == SERIN_OK)
        *out = text;
    else
        mem_free(text);
    return s;
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

/* As the daemon will take them: it would say nothing but that it cannot start. */
static enum serin_status check(const struct tls *t, const struct serve_tls *files,
                               struct fault *f)
{
    gnutls_certificate_credentials_t c;
    if (gnutls_certificate_allocate_credentials(&c) != GNUTLS_E_SUCCESS)
        return fault_set(f, SERIN_ENOMEM, "out of memory");
    gnutls_datum_t cert = datum(t->cert), key = datum(t->key);
    int rc = gnutls_certificate_set_x509_key_mem(c, &cert, &key, GNUTLS_X509_FMT_PEM);
    enum serin_status s = SERIN_OK;
    if (rc < 0)
        s = fault_set(f, SERIN_EDOM,
                      "http.tls: %s and %s are no certificate in PEM and its key: %s",
                      files->cert_file, files->key_file, gnutls_strerror(rc));
    if (s == SERIN_OK && t->client_ca != NULL) {
        gnutls_datum_t ca = datum(t->client_ca);
        rc = gnutls_certificate_set_x509_trust_mem(c, &ca, GNUTLS_X509_FMT_PEM);
        if (rc <= 0)
            s = fault_set(
                f, SERIN_EDOM,
                "http.tls.client_ca_file %s: expected certificates in PEM%s%s",
                files->client_ca_file, rc < 0 ? ": " : "",
                rc < 0 ? gnutls_strerror(rc) : "");
    }
    gnutls_certificate_free_credentials(c);
    return s;
}

enum serin_status tls_load(struct tls *t, const struct serve_tls *files,
                           struct fault *f)
{
    if ((files->cert_file == NULL) != (files->key_file == NULL) ||
        (files->client_ca_file != NULL && files->cert_file == NULL))
        return fault_set(
            f, SERIN_EDOM,
            "http.tls: expected cert_file and key_file, and client_ca_file "
            "only beside them");
    if (files->cert_file == NULL) return SERIN_OK;
    enum serin_status s = read_file("cert_file", files->cert_file, 0, &t->cert, f);
    if (s == SERIN_OK)
        s = read_file("key_file", files->key_file, S_IWGRP | S_IRWXO, &t->key, f);
    if (s == SERIN_OK && files->client_ca_file != NULL)
        s = read_file("client_ca_file", files->client_ca_file, 0, &t->client_ca, f);
    if (s == SERIN_OK) s = check(t, files, f);
    if (s != SERIN_OK) tls_free(t);
    return s;
}

void tls_free(struct tls *t)
{
    if (t->key != NULL) sodium_memzero(t->key, strlen(t->key));
    mem_free(t->cert);
    mem_free(t->key);
    mem_free(t->client_ca);
    *t = (struct tls){0};
}

void tls_options(const struct tls *t, struct MHD_OptionItem out[TLS_MAX_OPTIONS])
{
    size_t n = 0;
    if (t->cert != NULL) {
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, t->cert};
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, t->key};
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, priorities};
    }
    if (t->client_ca != NULL)
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, t->client_ca};
    out[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

/* The subject's common name, or "?"; never NULL. */
static void common_name(gnutls_session_t session, char name[64])
{
    unsigned n = 0;
    char cn[58] = "?";
    size_t size = sizeof cn;
    gnutls_x509_crt_t crt;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    if (n > 0 && gnutls_x509_crt_init(&crt) == GNUTLS_E_SUCCESS) {
        if (gnutls_x509_crt_import(crt, chain, GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS)
            (void)gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0,
                                                cn, &size);
        gnutls_x509_crt_deinit(crt);
    }
    for (char *p = cn; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    snprintf(name, 64, "cert:%s", cn);
}

bool tls_client(const struct tls *t, struct MHD_Connection *c, char name[64])
{
    unsigned status = 0;
    if (t->client_ca == NULL) return false;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = info != NULL ? info->tls_session : NULL;
    if (session == NULL ||
        gnutls_certificate_verify_peers2(session, &status) != GNUTLS_E_SUCCESS ||
        status != 0)
        return false;
    common_name(session, name);
    return true;
}
