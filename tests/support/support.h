/* What tests of all rooms share. Include first: it brings cmocka and what cmocka needs. */
#ifndef SM_TEST_SUPPORT_H
#define SM_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* Ends the test as skipped; scripts/run-tests shows the reason. */
#define test_skip(...)                                                                                                 \
    do {                                                                                                               \
        print_message(__VA_ARGS__);                                                                                    \
        print_message("\n");                                                                                           \
        skip();                                                                                                        \
    } while (0)

/* $SM_SHARED/NAME if it is there, else NULL: then test_skip. Valid until the next call. */
const char *test_shared(const char *name);
/* The program under test, $SM_PROGRAM; NULL if it is not known. */
const char *test_program(void);

/* A new empty folder of this test's own, removed with all in it by test_folder_remove. Valid until the next call. */
const char *test_folder_new(void);
void test_folder_remove(const char *folder);
/* A folder and the name of a file in it, as a fixture: cmocka_unit_test_setup_teardown(.., test_place_make, test_place_remove);
 * *state is then a test_place. */
typedef struct {
    char folder[64], path[128];
} test_place;
int test_place_make(void **state);
int test_place_remove(void **state);
/* Writes a file whole, or fails the test. */
void test_write_file(const char *path, const void *data, size_t length);

/* rms(ours - golden) / rms(golden), in double; of a golden of zeros: rms(ours). NaN where ours is not finite. */
double test_normalised_error(const float *ours, const float *golden, size_t n);
/* value[i] = offset + scale * unit(name, i): the made-up tensors of the goldens. */
void test_fill(float *out, size_t n, const char *name, uint64_t seed, double offset, double scale);

/* Fails each allocation of `operation` once, in order, until one run sees no failure; that run must return 0 and the
 * others SM_ENOMEM with a message about memory, and none may leave a block behind. The operation frees what it made. */
void test_every_allocation_may_fail(int (*operation)(void *user), void *user);

/* cmocka's own lets NaN pass for any number. Like it, forgives the rounding of a float beside epsilon. */
#undef assert_float_equal
#define assert_float_equal(a, b, epsilon)                                                                              \
    test_float_equal((double)(a), (double)(b), (double)(epsilon), #a ", " #b, __FILE__, __LINE__)
void test_float_equal(double a, double b, double epsilon, const char *what, const char *file, int line);

/* assert_int_equal(0, ...) that prints the error text. */
#define test_ok(call)                                                                                                  \
    do {                                                                                                               \
        const int test_ok_code = (call);                                                                               \
        if (test_ok_code != 0)                                                                                         \
            fail_msg("%s: %s: %s", #call, sm_code_name(test_ok_code), sm_last_error());                                \
    } while (0)

/* The call fails with this code, and the error text has `part` in it. */
#define test_fails(call, code, part)                                                                                   \
    do {                                                                                                               \
        const int test_fails_code = (call);                                                                            \
        if (test_fails_code != (code) || !strstr(sm_last_error(), part))                                               \
            fail_msg("%s: %s \"%s\"; expected %s with \"%s\"", #call, sm_code_name(test_fails_code), sm_last_error(),  \
                     sm_code_name(code), part);                                                                        \
    } while (0)

#endif
