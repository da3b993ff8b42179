/* tests/unit/base/test_sign.c -- keys in files, signatures of digests */
#include "engine/base/sign.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"

static char folder[64], path[96], public_path[104];

static void in_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/serin-sign-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/key", folder);
    snprintf(public_path, sizeof public_path, "%s.pub", path);
}

static void away(void)
{
    unlink(path);
    unlink(public_path);
    rmdir(folder);
}

static void write_text(const char *at, const char *text, mode_t mode)
{
    FILE *out = fopen(at, "w");
    cr_assert(out != NULL);
    fputs(text, out);
    fclose(out);
    chmod(at, mode);
}

TestSuite(sign, .init = in_folder, .fini = away);

Test(sign, a_created_key_signs_and_its_public_half_knows_it)
{
    struct fault f = {0};
    struct sign_key k;
    struct sign_public p, q;
    struct stat st;
    uint8_t digest[HASH_DIGEST] = {5}, sig[SIGN_BYTES];
    cr_assert(eq(int, sign_create(path, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, stat(path, &st), 0));
    cr_assert(eq(int, st.st_mode & 0777, 0600));
    cr_assert(eq(int, sign_load(path, &k, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, sign_load_public(public_path, &p, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, sign_load_public(path, &q, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, memcmp(&p, &q, sizeof p), 0));
    cr_assert(eq(int, sign_digest(&k, digest, sig), SERIN_OK));
    cr_assert(sign_holds(&p, digest, sig, sizeof sig));
    for (size_t i = 0; i < sizeof sig; i++) {
        sig[i] ^= 1;
        cr_assert(not(sign_holds(&p, digest, sig, sizeof sig)), "byte %zu", i);
        sig[i] ^= 1;
    }
    digest[31] ^= 128;
    cr_assert(not(sign_holds(&p, digest, sig, sizeof sig)));
    cr_assert(not(sign_holds(&p, digest, sig, sizeof sig - 1)));
}

Test(sign, a_key_is_never_written_over)
{
    struct fault f = {0};
    cr_assert(eq(int, sign_create(path, &f), SERIN_OK));
    cr_assert(eq(int, sign_create(path, &f), SERIN_EIO));
    cr_assert(strstr(f.text, "never written over") != NULL, "%s", f.text);
}

Test(sign, refuses_keys_that_others_may_read_and_files_that_are_none)
{
    struct fault f = {0};
    struct sign_key k;
    cr_assert(eq(int, sign_load(path, &k, &f), SERIN_EIO));
    cr_assert(strstr(f.text, "audit keygen") != NULL, "%s", f.text);
    cr_assert(eq(int, sign_create(path, &f), SERIN_OK));
    chmod(path, 0640);
    cr_assert(eq(int, sign_load(path, &k, &f), SERIN_EDOM));
    cr_assert(strstr(f.text, "0640") != NULL || strstr(f.text, "640") != NULL);
    cr_assert(eq(int, sign_load(public_path, &k, &f), SERIN_EDOM));
    static const char *const bad[] = {
        "",
        "serin-ed25519-secret ",
        "serin-ed25519-secret AAAA\n",
        "serin-ed25519-secret !!!!\n",
        "ssh-ed25519 AAAA\n",
        "serin-ed25519-secret AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= more\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(path, bad[i], 0600);
        cr_assert(eq(int, sign_load(path, &k, &f), SERIN_EDOM), "%s", bad[i]);
    }
}

/* RFC 8032, section 7.1, test 1: the key; the message here is a digest. */
Test(sign, the_public_half_is_that_of_the_rfc)
{
    struct fault f = {0};
    struct sign_public p;
    char name[SIGN_NAME], hex[65];
    write_text(path,
               "serin-ed25519-secret "
               "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n",
               0600);
    cr_assert(eq(int, sign_load_public(path, &p, &f), SERIN_OK), "%s", f.text);
    hash_hex(p.point, sizeof p.point, hex);
    cr_assert(eq(str, hex,
                 (char *)"d75a980182b10ab7d54bfed3c964073a"
                         "0ee172f3daa62325af021a68f707511a"));
    sign_name(&p, name);
    cr_assert(eq(sz, strlen(name), 16));
}
