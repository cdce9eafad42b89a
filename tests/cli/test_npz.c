/* .npz files, read back by the rules of zip and of NumPy's format. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/npz.h"

static uint32_t number(const uint8_t *p, int bytes)
{
    uint32_t x = 0;
    for (int i = 0; i < bytes; i++)
        x |= (uint32_t)p[i] << (8 * i);
    return x;
}

/* The data of an entry, found by the central directory; its header's text is compared. */
static const uint8_t *entry(const uint8_t *file, size_t size, int k, const char *name, const char *text, size_t bytes)
{
    const uint8_t *end = file + size - 22, *p = file + number(end + 16, 4);
    assert_memory_equal(end, "PK\5\6", 4);
    assert_int_equal(number(end + 10, 2), 2);
    assert_int_equal((size_t)(end - file), number(end + 16, 4) + number(end + 12, 4));
    for (; k > 0; k--)
        p += 46 + number(p + 28, 2);
    assert_memory_equal(p, "PK\1\2", 4);
    assert_int_equal(number(p + 10, 2), 0); /* stored */
    assert_int_equal(number(p + 24, 4), bytes + 128);
    assert_int_equal(number(p + 28, 2), strlen(name));
    assert_memory_equal(p + 46, name, strlen(name));
    const uint8_t *local = file + number(p + 42, 4), *data = local + 30 + strlen(name);
    assert_memory_equal(local, "PK\3\4", 4);
    assert_memory_equal(local + 30, name, strlen(name));
    assert_int_equal(number(local + 14, 4), number(p + 16, 4));
    assert_int_equal(number(local + 22, 4), bytes + 128);
    assert_int_equal(crc32(0, data, (uInt)(bytes + 128)), number(p + 16, 4));
    assert_memory_equal(data, "\x93NUMPY\1\0", 8);
    assert_int_equal(number(data + 8, 2), 118);
    assert_memory_equal(data + 10, text, strlen(text));
    assert_int_equal(data[127], '\n');
    return data + 128;
}

static void arrays_come_back(void **state)
{
    const test_place *place = *state;
    const float values[6] = { 1, -2, 3.5f, 0, 1e-30f, 7 };
    const double times[2] = { 0, 0.1 };
    const sm_npz_array arrays[] = { { "embedding", "<f4", 2, { 2, 3 }, values, sizeof values },
                                    { "timestamps", "<f8", 1, { 2 }, times, sizeof times } };
    sm_map *map;
    test_ok(sm_npz_write(place->path, arrays, 2));
    test_ok(sm_map_open(place->path, &map));
    const uint8_t *file = sm_map_data(map);
    assert_memory_equal(entry(file, sm_map_size(map), 0, "embedding.npy",
                              "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", sizeof values),
                        values, sizeof values);
    assert_memory_equal(entry(file, sm_map_size(map), 1, "timestamps.npy",
                              "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", sizeof times),
                        times, sizeof times);
    sm_map_close(map);
}

static void what_does_not_fit_is_refused(void **state)
{
    const test_place *place = *state;
    const sm_npz_array huge = { "embedding", "<f4", 1, { 1u << 30 }, NULL, (size_t)1 << 32 };
    test_fails(sm_npz_write(place->path, &huge, 1), SM_ELIMIT, "larger hop");
    assert_int_not_equal(access(place->path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arrays_come_back, test_place_make, test_place_remove),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, test_place_make, test_place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
