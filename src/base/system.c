/* What the processor can do, and the clocks. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

#if defined(__x86_64__)
#include <cpuid.h>

static bool bit(unsigned word, int n)
{
    return word >> n & 1;
}

/* Which register files the operating system saves (Intel SDM vol. 1, 13.3): without it the instructions fault. */
static uint64_t enabled_state(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void brand_name(char name[64])
{
    unsigned words[12] = { 0 };
    char raw[sizeof words + 1] = "";
    const char *start = raw;

    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]))
            return;
    memcpy(raw, words, sizeof words);
    start += strspn(start, " ");
    snprintf(name, 64, "%s", start);
    for (size_t n = strlen(name); n > 0 && name[n - 1] == ' '; n--)
        name[n - 1] = 0;
}

static void detect(sm_cpu_info *out)
{
    unsigned a, b, c, d, c1 = 0, b7 = 0, c7 = 0, d7 = 0, a71 = 0;
    uint64_t state = 0;

    *out = (sm_cpu_info){ .name = "unknown" };
    brand_name(out->name);
    if (__get_cpuid(1, &a, &b, &c1, &d) && bit(c1, 27))
        state = enabled_state();
    if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    if ((state & 0x06) == 0x06) { /* xmm, ymm */
        out->fma = bit(c1, 12);
        out->f16c = bit(c1, 29);
        out->avx2 = bit(b7, 5);
    }
    if ((state & 0xE6) == 0xE6) {                                                              /* and k0-7, zmm */
        out->avx512 = bit(b7, 16) && bit(b7, 17) && bit(b7, 28) && bit(b7, 30) && bit(b7, 31); /* F DQ CD BW VL */
        out->avx512_vnni = out->avx512 && bit(c7, 11);
        out->avx512_bf16 = out->avx512 && bit(a71, 5);
    }
    if ((state & 0x60000) == 0x60000 && bit(d7, 24)) { /* tiles */
        out->amx_bf16 = bit(d7, 22);
        out->amx_int8 = bit(d7, 25);
    }
}

#else

static void detect(sm_cpu_info *out)
{
    *out = (sm_cpu_info){ .name = "unknown" };
}

#endif

/* Kept, since it cannot change: in a virtual machine all these CPUID instructions take 50 us, and opening a network asks a hundred times. */
static sm_cpu_info this_cpu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void detect_this(void)
{
    detect(&this_cpu);
}

void sm_cpu_detect(sm_cpu_info *out)
{
    pthread_once(&once, detect_this);
    *out = this_cpu;
}

static double clock_s(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double sm_now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

double sm_cpu_time_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

/* ---- memory ---- */

/* The number behind `key` in a file of the kernel's; negative: there is none ("max" is none). */
static double number_in(const char *path, const char *key)
{
    char line[128];
    double value = -1;
    FILE *f = fopen(path, "re");
    const size_t n = strlen(key);
    while (f && value < 0 && fgets(line, sizeof line, f))
        if (!strncmp(line, key, n) && sscanf(line + n, "%lf", &value) != 1)
            break;
    if (f)
        fclose(f);
    return value;
}

double sm_free_memory(void)
{
    const double kilobytes = number_in("/proc/meminfo", "MemAvailable:");
    const double limit = number_in("/sys/fs/cgroup/memory.max", ""),
                 taken = number_in("/sys/fs/cgroup/memory.current", "");
    const double machine = kilobytes > 0 ? kilobytes * 1024 : 0;
    if (limit <= 0 || taken < 0)
        return machine;
    const double group = limit > taken ? limit - taken : 0;
    return machine > 0 && machine < group ? machine : group;
}
