#include "weights/fixture.h"

#include <bzlib.h>
#include <zlib.h>

static void packed_files_open_like_plain_ones(void **state)
{
    static const char *const names[] = { "small.safetensors.gz", "small.safetensors.bz2" };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        sm_weights *w = fixture_open(names[i]);
        assert_string_equal(sm_weights_format(w), "safetensors");
        expect_unit(w, "w", NN_SHAPE(2, 2), "w", EXACT);
        sm_weights_close(w);
    }
}

static uint8_t *gzip(const void *data, size_t n, size_t *length)
{
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t room = deflateBound(&z, (uLong)n) + 64;
    uint8_t *out = malloc(room);
    assert_non_null(out);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *length = z.total_out;
    deflateEnd(&z);
    return out;
}

/* 64 MiB of zeros are 64 KiB packed: a thousandfold. */
static void bombs_are_cut_off(void **state)
{
    const size_t n = (size_t)64 << 20;
    uint8_t *zeros = calloc(n, 1);
    unsigned packed = 1 << 20;
    size_t length;
    (void)state;
    assert_non_null(zeros);
    uint8_t *gz = gzip(zeros, n, &length);
    expect_refused(gz, length, SM_ELIMIT, "unpack to more than");
    free(gz);
    char *bz = malloc(packed);
    assert_int_equal(BZ2_bzBuffToBuffCompress(bz, &packed, (char *)zeros, (unsigned)n, 9, 0, 0), BZ_OK);
    expect_refused(bz, packed, SM_ELIMIT, "unpack to more than");
    free(bz);
    free(zeros);
}

static void wrappings_within_wrappings_are_refused(void **state)
{
    sm_buffer b = { 0 };
    size_t length;
    (void)state;
    test_ok(sm_file_read(fixture_path("small.safetensors.bz2"), 1 << 20, &b));
    uint8_t *gz = gzip(b.data, b.length, &length);
    expect_refused(gz, length, SM_EUNSUPPORTED, "packed twice");
    free(gz);
    gz = gzip("", 0, &length);
    expect_refused(gz, length, SM_EFORMAT, "empty");
    free(gz);
    sm_buffer_free(&b);
}

static void cut_and_damaged_streams_are_refused(void **state)
{
    static const char *const names[] = { "small.safetensors.gz", "small.safetensors.bz2" };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(names); i++) {
        sm_buffer b = { 0 };
        test_ok(sm_file_read(fixture_path(names[i]), 1 << 20, &b));
        expect_refused(b.data, b.length - 1, SM_EFORMAT, "cut short");
        expect_refused(b.data, b.length / 2, SM_EFORMAT, "cut short");
        b.data[b.length / 2] ^= 0x10;
        expect_refused(b.data, b.length, SM_EFORMAT, "");
        sm_buffer_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_files_open_like_plain_ones),
        cmocka_unit_test(bombs_are_cut_off),
        cmocka_unit_test(wrappings_within_wrappings_are_refused),
        cmocka_unit_test(cut_and_damaged_streams_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
