#include "support/support.h"

#include <string.h>

static void fnv1a_has_the_published_values(void **state)
{
    (void)state; /* from the table of draft-eastlake-fnv, appendix C */
    assert_true(sm_fnv1a64("", 0) == 0xcbf29ce484222325u);
    assert_true(sm_fnv1a64("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(sm_fnv1a64("foobar", 6) == 0x85944171f73967e8u);
}

/* The values that the Python form of the generator prints for seed 0, and a few for seed 7. */
static void made_up_numbers_are_those_of_the_goldens(void **state)
{
    static const double a[] = { -0.25653815269470215, 0.9962445497512817, 0.9842129945755005, 0.37188172340393066 };
    const uint64_t h = sm_unit_hash("a", 0);
    float weights[6];
    static const float expected[] = { -0.6222629547119141f, 0.32015979290008545f, 0.7282387018203735f,
                                      0.21104979515075684f, 0.5667673349380493f,  0.8234832286834717f };
    (void)state;

    for (size_t i = 0; i < SM_LENGTH(a); i++)
        assert_true(sm_unit(h, i) == a[i]);        /* exact: 24 bits */
    test_fill(weights, 6, "conv.weight", 0, 0, 1); /* rank 2, fan_in 3: scale sqrt(3 / 3) */
    assert_memory_equal(weights, expected, sizeof expected);
    assert_true(sm_unit_hash("a", 7) != h);
    assert_true(sm_unit_hash("a", 7) == (sm_fnv1a64("a", 1) ^ (7 * 0x9E3779B97F4A7C15u)));
}

static void made_up_numbers_fill_their_range_evenly(void **state)
{
    const uint64_t h = sm_unit_hash("range", 3);
    double sum = 0, squares = 0, low = 1, high = -1;
    enum { N = 100000 };
    (void)state;

    for (uint64_t i = 0; i < N; i++) {
        const double v = sm_unit(h, i);
        sum += v;
        squares += v * v;
        low = SM_MIN(low, v);
        high = SM_MAX(high, v);
    }
    assert_true(low >= -1 && low < -0.999 && high < 1 && high > 0.999);
    /* mean 0 with deviation sqrt(1 / 3 / N) = 0.0018; five of them. Mean square 1/3, deviation sqrt(4 / 45 / N) = 0.00094 */
    assert_true(sum / N > -0.0091 && sum / N < 0.0091);
    assert_true(squares / N > 1.0 / 3 - 0.0047 && squares / N < 1.0 / 3 + 0.0047);
}

static const struct {
    sm_hash_kind kind;
    const char *text, *hex;
} vectors[] = {
    /* FIPS 180-4 examples, RFC 1321 A.5; XXH3: xxhsum -H2 of xxHash 0.8.1 */
    { SM_HASH_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { SM_HASH_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { SM_HASH_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { SM_HASH_MD5, "", "d41d8cd98f00b204e9800998ecf8427e" },
    { SM_HASH_MD5, "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
    { SM_HASH_XXH128, "", "99aa06d3014798d86001c324468d497f" },
    { SM_HASH_XXH128, "abc", "06b05ab6733a618578af5f94892f3950" },
};

static void digests_have_the_published_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(vectors); i++) {
        sm_hasher *h = NULL;
        char hex[65];
        test_ok(sm_hasher_new(vectors[i].kind, &h));
        for (const char *c = vectors[i].text; *c; c++) /* in pieces: it is a stream */
            sm_hasher_add(h, c, 1);
        sm_hasher_hex(h, hex);
        sm_hasher_free(h);
        assert_string_equal(hex, vectors[i].hex);
    }
}

static void a_file_has_the_digest_of_its_bytes(void **state)
{
    const char *folder = test_folder_new();
    char path[100], hex[65];
    (void)state;

    snprintf(path, sizeof path, "%s/million", folder);
    char *million = sm_alloc(1000000, 1);
    memset(million, 'a', 1000000);
    test_write_file(path, million, 1000000);
    sm_free(million);
    test_ok(sm_hash_file(SM_HASH_SHA256, path, hex)); /* FIPS 180-4: a million a's */
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    test_fails(sm_hash_file(SM_HASH_SHA1, folder, hex), SM_EIO, "directory");
    assert_string_equal(hex, "");
    snprintf(path, sizeof path, "%s/none", folder);
    test_fails(sm_hash_file(SM_HASH_SHA1, path, hex), SM_ENOTFOUND, path);
    test_folder_remove(folder);
}

static int hash_this_file(void *user)
{
    char hex[65];

    (void)user;
    return sm_hash_file(SM_HASH_XXH128, "/proc/self/stat", hex);
}

static void any_allocation_of_a_hash_may_fail(void **state)
{
    (void)state;
    sm_hasher_free(NULL);
    test_every_allocation_may_fail(hash_this_file, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fnv1a_has_the_published_values),
        cmocka_unit_test(made_up_numbers_are_those_of_the_goldens),
        cmocka_unit_test(made_up_numbers_fill_their_range_evenly),
        cmocka_unit_test(digests_have_the_published_values),
        cmocka_unit_test(a_file_has_the_digest_of_its_bytes),
        cmocka_unit_test(any_allocation_of_a_hash_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
