/* Hashes (libcrypto, xxHash) and the generator of made-up numbers. */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <xxhash.h>

#include "base/base.h"

uint64_t sm_fnv1a64(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    uint64_t h = 0xCBF29CE484222325u;

    for (size_t i = 0; i < length; i++)
        h = (h ^ bytes[i]) * 0x100000001B3u;
    return h;
}

#define GOLDEN_GAMMA 0x9E3779B97F4A7C15u /* 2^64 / golden ratio, odd: Steele, Lea, Flood 2014, "SplitMix" */

uint64_t sm_unit_hash(const char *name, uint64_t seed)
{
    return sm_fnv1a64(name, strlen(name)) ^ (seed * GOLDEN_GAMMA);
}

double sm_unit(uint64_t name_hash_with_seed, uint64_t i)
{
    uint64_t x = name_hash_with_seed + (i + 1) * GOLDEN_GAMMA;

    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    x = x ^ (x >> 31);
    return 2.0 * (double)(x >> 40) / 16777216.0 - 1.0;
}

struct sm_hasher {
    EVP_MD_CTX *evp; /* one of the two */
    XXH3_state_t *xxh;
    bool failed;
};

int sm_hasher_new(sm_hash_kind kind, sm_hasher **out)
{
    const EVP_MD *const digests[] = {
        [SM_HASH_SHA256] = EVP_sha256(), [SM_HASH_SHA1] = EVP_sha1(), [SM_HASH_MD5] = EVP_md5(), [SM_HASH_XXH128] = NULL
    };
    sm_hasher *h = NULL;
    int err = 0;

    *out = NULL;
    h = sm_alloc_zero(1, sizeof *h);
    if (!h)
        return SM_ENOMEM;
    if (kind == SM_HASH_XXH128) {
        h->xxh = XXH3_createState();
        if (!h->xxh || XXH3_128bits_reset(h->xxh) != XXH_OK)
            err = sm_fail(SM_ENOMEM, "no memory for a hash");
    } else {
        h->evp = EVP_MD_CTX_new();
        if (!h->evp)
            err = sm_fail(SM_ENOMEM, "no memory for a hash");
        else if (EVP_DigestInit_ex(h->evp, digests[kind], NULL) != 1)
            err = sm_fail(SM_EUNSUPPORTED, "libcrypto does not offer %s here", EVP_MD_get0_name(digests[kind]));
    }
    if (err < 0)
        sm_hasher_free(h);
    else
        *out = h;
    return err;
}

void sm_hasher_add(sm_hasher *h, const void *data, size_t length)
{
    if (length == 0)
        return;
    if (h->xxh ? XXH3_128bits_update(h->xxh, data, length) != XXH_OK : EVP_DigestUpdate(h->evp, data, length) != 1)
        h->failed = true;
}

void sm_hasher_hex(sm_hasher *h, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
    unsigned length = 0;

    if (h->xxh) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(h->xxh));
        length = sizeof canonical.digest;
        memcpy(digest, canonical.digest, length);
    } else if (EVP_DigestFinal_ex(h->evp, digest, &length) != 1) {
        h->failed = true;
    }
    if (h->failed)
        length = 0;
    for (unsigned i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    out[2 * length] = 0;
}

void sm_hasher_free(sm_hasher *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->evp);
    XXH3_freeState(h->xxh);
    sm_free(h);
}

int sm_hash_file(sm_hash_kind kind, const char *path, char out[65])
{
    enum { PIECE = 1 << 18 };
    sm_hasher *h = NULL;
    char *piece = NULL;
    FILE *f = NULL;
    size_t n;
    int err = 0;

    out[0] = 0;
    f = fopen(path, "rb");
    if (!f)
        return sm_fail(errno == ENOENT ? SM_ENOTFOUND : SM_EIO, "%s: %s", path, strerror(errno));
    piece = sm_alloc(PIECE, 1);
    if (!piece) {
        err = SM_ENOMEM;
        goto out;
    }
    if ((err = sm_hasher_new(kind, &h)) < 0)
        goto out;
    while ((n = fread(piece, 1, PIECE, f)) > 0)
        sm_hasher_add(h, piece, n);
    if (ferror(f))
        err = sm_fail(SM_EIO, "%s: %s", path, strerror(errno));
    else
        sm_hasher_hex(h, out);

out:
    fclose(f);
    sm_free(piece);
    sm_hasher_free(h);
    return err;
}
