/* A pool of threads. Runs may be short (a part of one operator), so neither side sleeps at once: whoever has nothing to do looks
 * for work a while before it waits on a condition, from which waking up takes longer than many an operator. A helper that
 * comes too late for a run is not waited for: the run's number and how many are inside it are one atomic word, the gate.
 * No OpenMP of our own: the thread sanitizer does not understand it. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

typedef int (*item_fn)(void *user, size_t i, int worker);

/* The gate: helpers inside | open | number of the run. */
#define INSIDE    ((uint64_t)0xffffff)
#define OPEN      ((uint64_t)1 << 24)
#define RUN_SHIFT 25
#define SPIN_S    100e-6 /* longer than the pauses between operators, shorter than anyone minds */

typedef struct {
    sm_pool *pool;
    pthread_t thread;
    int number; /* 1..threads-1; the caller of sm_pool_run is 0 */
} helper;

struct sm_pool {
    int threads;
    int helpers_started;
    helper *helpers;
    bool spins; /* every thread may have a core to itself */

    atomic_uint_fast64_t gate;
    atomic_bool running, stop;
    atomic_int sleepers;       /* helpers that wait on `work` */
    atomic_bool caller_sleeps; /* ... and the caller on `done` */
    pthread_mutex_t lock;      /* for sleeping, and guards the failure */
    pthread_cond_t work;       /* a run began, or stop */
    pthread_cond_t done;       /* the last helper left a run */

    item_fn fn; /* of this run: written before the gate opens */
    void *user;
    size_t n;
    atomic_size_t next;
    atomic_bool failed;
    int err;         /* first failure of this run */
    size_t err_item; /* of several, the one with the smallest index is told */
    char message[1024];
};

/* ---- waiting ---- */

static bool is_open(const sm_pool *p, uint64_t seen)
{
    const uint64_t gate = atomic_load(&p->gate);
    return atomic_load(&p->stop) || ((gate & OPEN) && gate >> RUN_SHIFT != seen);
}

static bool is_empty(const sm_pool *p, uint64_t unused)
{
    (void)unused;
    return (atomic_load(&p->gate) & INSIDE) == 0;
}

static inline void rest(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Looks for a while; false: in vain. */
static bool spin_until(const sm_pool *p, bool (*met)(const sm_pool *p, uint64_t arg), uint64_t arg)
{
    if (met(p, arg))
        return true;
    if (!p->spins)
        return false;
    const double end = sm_now_s() + SPIN_S;
    do {
        for (int i = 0; i < 16; i++) {
            rest();
            if (met(p, arg))
                return true;
        }
    } while (sm_now_s() < end);
    return false;
}

/* ---- helpers ---- */

static void note_failure(sm_pool *p, int err, size_t item)
{
    pthread_mutex_lock(&p->lock);
    if (p->err == 0 || item < p->err_item) {
        p->err = err;
        p->err_item = item;
        snprintf(p->message, sizeof p->message, "%s", sm_last_error());
    }
    atomic_store(&p->failed, true);
    pthread_mutex_unlock(&p->lock);
}

/* Takes items until none is left or one has failed. */
static void work_through(sm_pool *p, int worker)
{
    while (!atomic_load(&p->failed)) {
        const size_t i = atomic_fetch_add(&p->next, 1);
        if (i >= p->n)
            break;
        const int err = p->fn(p->user, i, worker);
        if (err < 0)
            note_failure(p, err, i);
    }
}

/* Into an open run that this helper has not seen; *seen becomes its number. */
static bool enter(sm_pool *p, uint64_t *seen)
{
    uint64_t gate = atomic_load(&p->gate);
    while ((gate & OPEN) && gate >> RUN_SHIFT != *seen)
        if (atomic_compare_exchange_weak(&p->gate, &gate, gate + 1)) {
            *seen = gate >> RUN_SHIFT;
            return true;
        }
    return false;
}

static void leave(sm_pool *p)
{
    atomic_fetch_sub(&p->gate, 1);
    if (!atomic_load(&p->caller_sleeps))
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static void *helper_main(void *user)
{
    helper *self = user;
    sm_pool *p = self->pool;
    uint64_t seen = 0;

    while (!atomic_load(&p->stop)) {
        if (!spin_until(p, is_open, seen)) {
            pthread_mutex_lock(&p->lock);
            atomic_fetch_add(&p->sleepers,
                             1); /* before looking once more: who opens the gate looks for sleepers after it */
            while (!is_open(p, seen))
                pthread_cond_wait(&p->work, &p->lock);
            atomic_fetch_sub(&p->sleepers, 1);
            pthread_mutex_unlock(&p->lock);
        }
        if (enter(p, &seen)) {
            work_through(p, self->number);
            leave(p);
        }
    }
    return NULL;
}

/* Signals are for the program's own threads. */
static int start_helpers(sm_pool *p)
{
    sigset_t all, old;
    int failed = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int i = 0; i < p->threads - 1 && failed == 0; i++) {
        p->helpers[i] = (helper){ .pool = p, .number = i + 1 };
        failed = pthread_create(&p->helpers[i].thread, NULL, helper_main, &p->helpers[i]);
        if (failed == 0)
            p->helpers_started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed ? sm_fail(SM_ENOMEM, "no memory for %d threads: %s", p->threads, strerror(failed)) : 0;
}

int sm_pool_new(int threads, sm_pool **out)
{
    sm_pool *p = NULL;
    int err = 0;

    *out = NULL;
    if (threads < 1)
        return sm_fail(SM_EUSAGE, "a pool of %d threads; at least 1 is needed", threads);
    p = sm_alloc_zero(1, sizeof *p);
    if (!p)
        return SM_ENOMEM;
    p->threads = threads;
    p->spins = threads <= sm_cpu_count();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    p->helpers = sm_alloc_zero((size_t)threads - 1, sizeof *p->helpers);
    err = p->helpers ? start_helpers(p) : SM_ENOMEM;
    if (err < 0)
        sm_pool_free(p);
    else
        *out = p;
    return err;
}

static void wake_helpers(sm_pool *p)
{
    if (atomic_load(&p->sleepers) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

void sm_pool_free(sm_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    wake_helpers(p);
    for (int i = 0; i < p->helpers_started; i++)
        pthread_join(p->helpers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    sm_free(p->helpers);
    sm_free(p);
}

int sm_pool_threads(const sm_pool *p)
{
    return p->threads;
}

/* Nobody comes in any more; those inside are waited for. */
static void close_gate(sm_pool *p)
{
    atomic_fetch_and(&p->gate, ~OPEN);
    if (spin_until(p, is_empty, 0))
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true); /* before looking once more: who leaves looks for it after leaving */
    while (!is_empty(p, 0))
        pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->caller_sleeps, false);
    pthread_mutex_unlock(&p->lock);
}

int sm_pool_run(sm_pool *p, size_t n, int (*fn)(void *user, size_t i, int worker), void *user)
{
    if (atomic_exchange(&p->running, true))
        return sm_fail(SM_EINTERNAL, "a thread pool was asked to run while it runs");
    p->fn = fn;
    p->user = user;
    p->n = n;
    p->err = 0;
    atomic_store(&p->next, 0);
    atomic_store(&p->failed, false);
    const bool helped = n > 1 && p->threads > 1; /* one item needs no help */
    if (helped) {
        atomic_store(&p->gate, ((atomic_load(&p->gate) >> RUN_SHIFT) + 1) << RUN_SHIFT | OPEN);
        wake_helpers(p);
    }
    work_through(p, 0);
    if (helped)
        close_gate(p);
    const int err = p->err;
    if (err < 0)
        sm_fail(err, "%s", p->message);
    atomic_store(&p->running, false);
    return err;
}

/* The share of the machine that a container was given: "max 100000" or "150000 100000" (cgroup v2), else no limit. */
static int cgroup_limit(void)
{
    long quota = 0, period = 0;
    int limit = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0)
        limit = (int)SM_MAX((quota + period / 2) / period, 1);
    fclose(f);
    return limit;
}

int sm_cpu_count(void)
{
    const int limit = cgroup_limit();
    cpu_set_t set;
    long n;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    else
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (limit > 0)
        n = SM_MIN(n, limit);
    return (int)SM_MAX(n, 1);
}
