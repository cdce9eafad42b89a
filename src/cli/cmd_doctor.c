/* doctor: whether everything that the program wants is here and works, each with what to do about it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/command.h"
#include "engine/engine.h"
#include "ext/ffmpeg.h"
#include "ext/fluidsynth.h"
#include "library/library.h"
#include "nn/nn.h"

typedef enum { GOOD, ABSENT, BAD } finding; /* ABSENT: optional and not here; the rest works without it */
static const char *const finding_name[] = { "ok", "absent", "bad" };

typedef struct {
    sm_cli *cli;
    sm_table *table;
    sm_buffer text;
    sm_json json;
    size_t bad;
} findings;

static void SM_PRINTF(4, 5) found(findings *f, finding what, const char *check, const char *format, ...)
{
    char text[600];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    f->bad += what == BAD;
    if (f->table) {
        sm_table_text(f->table, check);
        sm_table_text(f->table, finding_name[what]);
        sm_table_text(f->table, text);
        return;
    }
    sm_json_begin_object(&f->json);
    sm_json_key(&f->json, "check");
    sm_json_string(&f->json, check);
    sm_json_key(&f->json, "state");
    sm_json_string(&f->json, finding_name[what]);
    sm_json_key(&f->json, "text");
    sm_json_string(&f->json, text);
    sm_json_end_object(&f->json);
}

/* ---- the machine ---- */

static void check_machine(findings *f)
{
    sm_cpu_info cpu;
    char text[128];
    const double page = (double)sysconf(_SC_PAGESIZE) / 1e9;
    sm_cpu_detect(&cpu);
    found(f, GOOD, "processor", "%s, %d cores, %s", cpu.name, sm_cpu_count(),
          cpu.avx512            ? "AVX-512"
          : cpu.avx2 && cpu.fma ? "AVX2"
                                : "without AVX2: networks run several times slower than they could");
    found(f, GOOD, "memory", "%.1f GB, %.1f GB of it free", page * (double)sysconf(_SC_PHYS_PAGES),
          page * (double)sysconf(_SC_AVPHYS_PAGES));
    found(f, GOOD, "networks", "%s; precision f32%s", nn_backend_text(text),
          nn_precision_native(NN_PRECISION_BF16) ? " and bf16" : "");
}

/* ---- does the main job work: a second of 440 Hz, through the model that ships ---- */

static int analyse_tone(sm_record **out)
{
    enum { RATE = 44100 };
    sm_options options;
    sm_engine *engine = NULL;
    float *tone = sm_alloc(RATE, sizeof *tone);
    int err = tone ? 0 : SM_ENOMEM;
    sm_options_init(&options);
    options.models = "samplemind";
    options.jobs = 1;
    for (size_t i = 0; tone && i < RATE; i++)
        tone[i] = 0.5f * (float)sin(2 * 3.141592653589793 * 440 / RATE * (double)i);
    if (err == 0)
        err = sm_engine_open(&options, &engine);
    if (err == 0)
        err = sm_analyze_buffer(engine, tone, RATE, RATE, 1, "440 Hz", out);
    sm_engine_close(engine);
    sm_free(tone);
    return err;
}

static void check_analysis(findings *f)
{
    sm_record *r = NULL;
    const double start = sm_now_s();
    if (analyse_tone(&r) < 0) {
        found(f, BAD, "analysis", "a tone of 440 Hz cannot be analysed: %s", sm_last_error());
        return;
    }
    const sm_summary *s = sm_record_summary(r);
    const bool right = s->note_name && !strcmp(s->note_name, "A4") && s->instrument;
    found(f, right ? GOOD : BAD, "analysis", "a tone of 440 Hz is heard as %s (%s) in %.0f ms",
          s->note_name ? s->note_name : "no note", s->instrument ? s->instrument : "no class, though a model ships",
          1000 * (sm_now_s() - start));
    sm_record_free(r);
}

/* ---- libraries that are opened when they are needed ---- */

static void check_optional_libraries(findings *f)
{
    sm_ffmpeg ffmpeg;
    sm_fluidsynth fluidsynth;
    if (sm_ffmpeg_load(&ffmpeg) == 0)
        found(f, GOOD, "ffmpeg", "reads m4a, wma, webm, WavPack and Monkey's Audio, too");
    else
        found(f, ABSENT, "ffmpeg", "m4a, wma, webm, WavPack and Monkey's Audio cannot be read: %s", sm_last_error());
    if (sm_fluidsynth_load(&fluidsynth) == 0)
        found(f, GOOD, "fluidsynth", "renders SoundFonts for `dataset soundfont`");
    else
        found(f, ABSENT, "fluidsynth", "`dataset soundfont` cannot render: %s", sm_last_error());
}

/* ---- models ---- */

static void check_models(findings *f)
{
    size_t n = 0, installed = 0;
    double bytes = 0;
    const sm_model *const *all = sm_models(&n);
    for (size_t k = 0; k < n; k++) {
        sm_installed i = { 0 };
        const int err = sm_installed_read(NULL, all[k], &i);
        installed += err == 0;
        bytes += err == 0 ? (double)i.bytes : 0;
        if (err < 0 && err != SM_ENOTFOUND)
            found(f, BAD, "model", "%s: %s; get it again with: samplemind models pull %s", all[k]->name,
                  sm_last_error(), all[k]->name);
        sm_installed_free(&i);
    }
    found(f, GOOD, "models", "%zu of %zu installed, %.1f MB; `samplemind models verify` reads them whole", installed, n,
          bytes / 1e6);
}

/* ---- folders ---- */

/* The deepest folder of path that there is: what is not made yet will be made in it. */
static void existing_part(char *path)
{
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            break;
        *slash = 0;
    }
}

static void check_data_folder(findings *f)
{
    char *folder = sm_data_directory(), *part = folder ? sm_strdup(folder) : NULL;
    struct statvfs disk;
    if (!part) {
        found(f, BAD, "data", "no home folder is known: set SAMPLEMIND_HOME");
        sm_free(folder);
        return;
    }
    existing_part(part);
    if (access(part, W_OK) != 0 || statvfs(part, &disk) != 0)
        found(f, BAD, "data", "%s may not be written: models cannot be installed; set SAMPLEMIND_HOME", folder);
    else
        found(f, GOOD, "data", "%s, %.1f GB free", folder, (double)disk.f_bavail * (double)disk.f_frsize / 1e9);
    sm_free(part);
    sm_free(folder);
}

static void check_library(findings *f)
{
    sm_library *l = NULL;
    char *path = sm_library_path(f->cli->common.library);
    const int err = path ? sm_library_open(path, SM_LIBRARY_READ, &l) : SM_ENOTFOUND;
    if (err == 0)
        found(f, GOOD, "library", "%s; `samplemind stats` counts it, `samplemind stats --check` reads it whole", path);
    else if (err == SM_ENOTFOUND && !f->cli->common.library)
        found(f, ABSENT, "library", "none yet: samplemind scan FOLDER makes it");
    else
        found(f, BAD, "library", "%s", sm_last_error());
    sm_library_close(l);
    sm_free(path);
}

static int doctor_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    static const char *const headings[] = { "check", "state", "what was found" };
    findings f = { .cli = cli };
    int err = strcmp(cli->common.format, "table") ? 0 : sm_table_new(headings, SM_LENGTH(headings), &f.table);
    (void)args, (void)operands, (void)n;
    if (err < 0)
        return err;
    sm_json_init(&f.json, &f.text, false);
    sm_json_begin_array(&f.json);
    check_machine(&f);
    check_analysis(&f);
    check_optional_libraries(&f);
    check_data_folder(&f);
    check_models(&f);
    check_library(&f);
    sm_json_end_array(&f.json);
    if (f.table)
        err = sm_table_print(f.table, cli->out);
    else if (f.text.failed)
        err = SM_ENOMEM;
    else
        fprintf(cli->out, "%s\n", f.text.data);
    sm_table_free(f.table);
    sm_buffer_free(&f.text);
    return err < 0 ? err : f.bad > 0 ? SM_EXIT_FAILED : 0;
}

const sm_command sm_cmd_doctor = {
    .name = "doctor",
    .summary = "check that what the program needs is here and works",
    .description =
        "Looks at the processor, runs a tone through the model that ships, and asks whether FFmpeg's and FluidSynth's "
        "libraries, the folder of models and the library can be used. \"absent\" is something optional that is not "
        "here; \"bad\" says what is wrong and what helps, and the exit status is then 1.",
    .common = SM_COMMON_FORMAT | SM_COMMON_LIBRARY,
    .examples = (const sm_example[]){ { "samplemind doctor", "a line for each check" },
                                      { "samplemind doctor --json", "for a report of a fault" },
                                      { 0 } },
    .run = doctor_run,
};
