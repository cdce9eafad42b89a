/* version: what this program is, and what it can use of this machine. */
#include "cli/command.h"
#include "nn/nn.h"

static void print_cpu(FILE *out)
{
    sm_cpu_info cpu;

    sm_cpu_detect(&cpu);
    const struct {
        bool has;
        const char *name;
    } features[] = {
        { cpu.avx2, "avx2" },
        { cpu.fma, "fma" },
        { cpu.f16c, "f16c" },
        { cpu.avx512, "avx512" },
        { cpu.avx512_vnni, "avx512_vnni" },
        { cpu.avx512_bf16, "avx512_bf16" },
        { cpu.amx_bf16, "amx_bf16" },
        { cpu.amx_int8, "amx_int8" },
    };
    fprintf(out, "cpu        %s, %d cores:", cpu.name, sm_cpu_count());
    for (size_t i = 0; i < SM_LENGTH(features); i++)
        if (features[i].has)
            fprintf(out, " %s", features[i].name);
    fputc('\n', out);
}

static int version_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    char text[128];

    (void)args;
    (void)operands;
    (void)n;
    fprintf(cli->out, "samplemind %s\n", sm_version());
    fprintf(cli->out, "backend    %s\n", nn_backend_text(text));
    print_cpu(cli->out);
    fprintf(cli->out, "precision  f32%s\n", nn_precision_native(NN_PRECISION_BF16) ? " bf16" : "");
    return 0;
}

const sm_command sm_cmd_version = {
    .name = "version",
    .summary = "print the version, the backend and what this machine offers",
    .run = version_run,
};
