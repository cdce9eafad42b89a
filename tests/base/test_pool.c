#include "support/support.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS = 5000 };

typedef struct {
    sm_pool *pool;
    int counts[ITEMS]; /* each item by one worker: no atomics needed, and the thread sanitizer checks that */
    long by_worker[16];
    atomic_int started;
    size_t fail_at;
    int threads;
} work;

static int count_item(void *user, size_t i, int worker)
{
    work *w = user;

    if (worker < 0 || worker >= w->threads)
        return sm_fail(SM_EINTERNAL, "worker %d of %d", worker, w->threads);
    atomic_fetch_add(&w->started, 1);
    w->counts[i]++;
    w->by_worker[worker]++;
    if (i > w->fail_at)
        usleep(
            100); /* the thread that is about to fail may have lost its core: the others do not run through meanwhile */
    return i == w->fail_at ? sm_fail(SM_EFORMAT, "item %zu is bad", i) : 0;
}

static const int thread_counts[] = { 1, 2, 3, 8 };

static void every_item_runs_once(void **state)
{
    (void)state;
    for (size_t k = 0; k < SM_LENGTH(thread_counts); k++) {
        work w = { .threads = thread_counts[k], .fail_at = SIZE_MAX };
        long sum = 0;
        test_ok(sm_pool_new(w.threads, &w.pool));
        assert_int_equal(sm_pool_threads(w.pool), w.threads);
        for (int round = 1; round <= 20; round++) {
            test_ok(sm_pool_run(w.pool, ITEMS, count_item, &w));
            for (size_t i = 0; i < ITEMS; i++)
                assert_int_equal(w.counts[i], round);
        }
        for (int i = 0; i < w.threads; i++)
            sum += w.by_worker[i];
        assert_int_equal(sum, 20 * ITEMS);
        test_ok(sm_pool_run(w.pool, 0, count_item, &w));
        test_ok(sm_pool_run(w.pool, 1, count_item, &w));
        assert_int_equal(w.counts[0], 21);
        sm_pool_free(w.pool);
    }
    sm_pool_free(NULL);
}

static void short_runs_follow_each_other(void **state)
{
    work w = { .threads = 4, .fail_at = SIZE_MAX };
    (void)state;

    test_ok(sm_pool_new(w.threads, &w.pool));
    for (size_t round = 0; round < 3000; round++)
        test_ok(sm_pool_run(w.pool, round % 6, count_item, &w));
    assert_int_equal(atomic_load(&w.started), 3000 / 6 * (0 + 1 + 2 + 3 + 4 + 5));
    sm_pool_free(w.pool);
}

static void a_failure_comes_to_the_caller_and_stops_the_rest(void **state)
{
    (void)state;
    for (size_t k = 0; k < SM_LENGTH(thread_counts); k++) {
        work w = { .threads = thread_counts[k], .fail_at = 10 };
        test_ok(sm_pool_new(w.threads, &w.pool));
        sm_clear_error();
        test_fails(sm_pool_run(w.pool, ITEMS, count_item, &w), SM_EFORMAT, "item 10 is bad");
        assert_true(atomic_load(&w.started) < ITEMS);
        w.fail_at = SIZE_MAX; /* and the pool goes on */
        test_ok(sm_pool_run(w.pool, ITEMS, count_item, &w));
        sm_pool_free(w.pool);
    }
}

static int wait_for_both(void *user, size_t i, int worker)
{
    work *w = user;

    (void)i;
    (void)worker;
    atomic_fetch_add(&w->started, 1);
    for (int spin = 0; atomic_load(&w->started) < 2; spin++) {
        if (spin > 20000)
            return sm_fail(SM_EINTERNAL, "the other item did not start");
        usleep(1000);
    }
    return 0;
}

static void two_threads_work_at_the_same_time(void **state)
{
    work w = { .threads = 2 };
    (void)state;

    test_ok(sm_pool_new(2, &w.pool));
    test_ok(sm_pool_run(w.pool, 2, wait_for_both, &w));
    sm_pool_free(w.pool);
}

static int run_inside(void *user, size_t i, int worker)
{
    work *w = user;

    (void)i;
    (void)worker;
    return sm_pool_run(w->pool, 1, count_item, w);
}

static void running_inside_a_run_is_refused(void **state)
{
    work w = { .threads = 2 };
    (void)state;

    test_ok(sm_pool_new(2, &w.pool));
    test_fails(sm_pool_run(w.pool, 4, run_inside, &w), SM_EINTERNAL, "while it runs");
    sm_pool_free(w.pool);
}

static int make_pool(void *user)
{
    sm_pool *p = NULL;
    const int err = sm_pool_new(3, &p);

    (void)user;
    sm_pool_free(p);
    return err;
}

static void any_allocation_of_a_pool_may_fail(void **state)
{
    sm_pool *p = NULL;
    (void)state;

    test_every_allocation_may_fail(make_pool, NULL);
    test_fails(sm_pool_new(0, &p), SM_EUSAGE, "0 threads");
}

static void this_machine_has_a_processor(void **state)
{
    (void)state;
    assert_in_range(sm_cpu_count(), 1, sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_once),
        cmocka_unit_test(short_runs_follow_each_other),
        cmocka_unit_test(a_failure_comes_to_the_caller_and_stops_the_rest),
        cmocka_unit_test(two_threads_work_at_the_same_time),
        cmocka_unit_test(running_inside_a_run_is_refused),
        cmocka_unit_test(any_allocation_of_a_pool_may_fail),
        cmocka_unit_test(this_machine_has_a_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
