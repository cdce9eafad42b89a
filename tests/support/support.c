#include "support/support.h"

#include <dirent.h>
#include <errno.h>
#include <float.h>
#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *test_shared(const char *name)
{
    static char path[4096];
    const char *root = getenv("SM_SHARED");

    snprintf(path, sizeof path, "%s/%s", root && root[0] ? root : "../shared", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

void test_float_equal(double a, double b, double epsilon, const char *what, const char *file, int line)
{
    const double rounding = (double)FLT_EPSILON * SM_MAX(fabs(a), fabs(b));
    if (a == b || fabs(a - b) <= SM_MAX(epsilon, rounding)) /* false for NaN */
        return;
    print_error("%s: %.9g and %.9g differ by more than %g\n", what, a, b, epsilon);
    _fail(file, line);
}

const char *test_program(void)
{
    const char *program = getenv("SM_PROGRAM");

    return program && access(program, X_OK) == 0 ? program : NULL;
}

const char *test_folder_new(void)
{
    static char path[64];

    snprintf(path, sizeof path, "/tmp/samplemind-test.XXXXXX");
    if (!mkdtemp(path))
        fail_msg("%s: %s", path, strerror(errno));
    return path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void test_folder_remove(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int test_place_make(void **state)
{
    static test_place place;

    snprintf(place.folder, sizeof place.folder, "%s", test_folder_new());
    snprintf(place.path, sizeof place.path, "%s/file", place.folder);
    *state = &place;
    return 0;
}

int test_place_remove(void **state)
{
    test_folder_remove(((test_place *)*state)->folder);
    return 0;
}

void test_write_file(const char *path, const void *data, size_t length)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(data, 1, length, f) != length || fclose(f) != 0)
        fail_msg("%s: %s", path, strerror(errno));
}

double test_normalised_error(const float *ours, const float *golden, size_t n)
{
    double difference = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = (double)ours[i] - golden[i];
        difference += d * d;
        size += (double)golden[i] * golden[i];
    }
    if (size == 0)
        return n ? sqrt(difference / (double)n) : 0;
    return sqrt(difference / size);
}

void test_fill(float *out, size_t n, const char *name, uint64_t seed, double offset, double scale)
{
    const uint64_t h = sm_unit_hash(name, seed);

    for (size_t i = 0; i < n; i++)
        out[i] = (float)(offset + scale * sm_unit(h, i));
}

void test_every_allocation_may_fail(int (*operation)(void *user), void *user)
{
    const long before = sm_test_allocations_alive();

    for (long k = 0;; k++) {
        int err;
        bool failed;

        sm_test_fail_allocation(k);
        err = operation(user);
        failed = sm_test_allocation_failed();
        sm_test_fail_allocation(-1);
        if (sm_test_allocations_alive() != before)
            fail_msg("allocation %ld failed: %ld blocks are left", k, sm_test_allocations_alive() - before);
        if (!failed) {
            if (err != 0)
                fail_msg("without a failed allocation: %s: %s", sm_code_name(err), sm_last_error());
            return;
        }
        if (err != SM_ENOMEM || !strstr(sm_last_error(), "memory"))
            fail_msg("allocation %ld failed: %s \"%s\"; expected SM_ENOMEM and a word about memory", k,
                     sm_code_name(err), sm_last_error());
    }
}
