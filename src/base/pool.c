/* A pool of threads that waits on a condition. No OpenMP of our own: the thread sanitizer does not understand it. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

typedef int (*item_fn)(void *user, size_t i, int worker);

typedef struct {
    sm_pool *pool;
    pthread_t thread;
    int number; /* 1..threads-1; the caller of sm_pool_run is 0 */
} helper;

struct sm_pool {
    int threads;
    int helpers_started;
    helper *helpers;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;  /* a run began, or stop */
    pthread_cond_t done;  /* the last helper left a run */
    bool stop;
    bool running;
    uint64_t run; /* counts runs, so that a helper takes part in each once */
    int busy;     /* helpers inside this run */
    item_fn fn;
    void *user;
    size_t next, n;
    int err;         /* first failure of this run */
    size_t err_item; /* of several, the one with the smallest index is told */
    char message[1024];
};

/* Takes items until none is left or one has failed. Called and left with the lock held. */
static void work_through(sm_pool *p, int worker)
{
    while (p->err == 0 && p->next < p->n) {
        const size_t i = p->next++;
        int err;

        pthread_mutex_unlock(&p->lock);
        err = p->fn(p->user, i, worker);
        pthread_mutex_lock(&p->lock);
        if (err < 0 && (p->err == 0 || i < p->err_item)) {
            p->err = err;
            p->err_item = i;
            snprintf(p->message, sizeof p->message, "%s", sm_last_error());
        }
    }
}

static void *helper_main(void *user)
{
    helper *self = user;
    sm_pool *p = self->pool;
    uint64_t seen = 0;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && p->run == seen)
            pthread_cond_wait(&p->work, &p->lock);
        if (p->stop)
            break;
        seen = p->run;
        work_through(p, self->number);
        if (--p->busy == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
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

void sm_pool_free(sm_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
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

int sm_pool_run(sm_pool *p, size_t n, int (*fn)(void *user, size_t i, int worker), void *user)
{
    int err;

    pthread_mutex_lock(&p->lock);
    if (p->running) {
        pthread_mutex_unlock(&p->lock);
        return sm_fail(SM_EINTERNAL, "a thread pool was asked to run while it runs");
    }
    p->running = true;
    p->fn = fn;
    p->user = user;
    p->next = 0;
    p->n = n;
    p->err = 0;
    if (n > 1 && p->threads > 1) { /* one item needs no help */
        p->busy = p->threads - 1;
        p->run++;
        pthread_cond_broadcast(&p->work);
    }
    work_through(p, 0);
    while (p->busy > 0)
        pthread_cond_wait(&p->done, &p->lock);
    err = p->err;
    if (err < 0)
        sm_fail(err, "%s", p->message);
    p->running = false;
    pthread_mutex_unlock(&p->lock);
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
