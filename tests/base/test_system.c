#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The truth: the kernel's own reading of the flags. */
static void the_processor_can_what_the_kernel_says(void **state)
{
    sm_cpu_info cpu;
    sm_buffer text = { 0 };
    const char *preload = getenv("LD_PRELOAD");
    (void)state;

    if (preload && strstr(preload, "vgpreload"))
        test_skip("valgrind's processor is not the machine's");
    sm_cpu_detect(&cpu);
    assert_true(cpu.name[0] != 0);
    if (sm_file_read("/proc/cpuinfo", 1 << 24, &text) < 0 || !strstr(text.data, "flags"))
        test_skip("no /proc/cpuinfo with flags");
    char *flags = strstr(text.data, "flags"), *end = strchr(flags, '\n');
    *end = ' ';
    end[1] = 0;
    const struct {
        bool ours;
        const char *name;
    } rows[] = {
        { cpu.avx2, " avx2 " },
        { cpu.fma, " fma " },
        { cpu.f16c, " f16c " },
        { cpu.avx512, " avx512bw " },
        { cpu.avx512_vnni, " avx512_vnni " },
        { cpu.avx512_bf16, " avx512_bf16 " },
        { cpu.amx_bf16, " amx_bf16 " },
        { cpu.amx_int8, " amx_int8 " },
    };
    for (size_t i = 0; i < SM_LENGTH(rows); i++)
        if (rows[i].ours != (strstr(flags, rows[i].name) != NULL))
            fail_msg("%s: %s here, not so in /proc/cpuinfo", rows[i].name, rows[i].ours ? "yes" : "no");
    sm_buffer_free(&text);
}

static void the_clocks_go_forward(void **state)
{
    const double wall = sm_now_s(), cpu = sm_cpu_time_s();
    (void)state;

    usleep(20000);
    assert_true(sm_now_s() - wall >= 0.02);
    assert_true(sm_cpu_time_s() >= cpu);
    assert_true(sm_cpu_time_s() - cpu < 10 * (sm_now_s() - wall));
}

static void the_version_is_three_numbers(void **state)
{
    int a, b, c, end = 0;
    (void)state;

    assert_int_equal(sscanf(sm_version(), "%d.%d.%d%n", &a, &b, &c, &end), 3);
    assert_int_equal(end, strlen(sm_version()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_processor_can_what_the_kernel_says),
        cmocka_unit_test(the_clocks_go_forward),
        cmocka_unit_test(the_version_is_three_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
