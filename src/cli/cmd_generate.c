/* generate: sound from words. What comes out carries in its comment all that is needed to make it again. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "engine/generate.h"

typedef struct {
    const char *model, *negative, *sampler, *init, *keep, *level, *canvas, *out, *t5, *overwrite, *sample, *melody,
        *key, *like;
    bool show_prompt;
    double duration_s, bars, bpm, cfg, rescale, init_noise, max_memory_mb, top_p, temperature, extend_stride_s;
    int64_t n, steps, threads, seed, top_k;
} generate_args;

#define UNSET (-1e9) /* of numbers whose default is the model's */

static const sm_option generate_options[] = {
    { 'n', "name", SM_OPT_STRING, offsetof(generate_args, model), "MODEL|MODEL=FILE",
      "a MusicGen or Stable Audio by its name in models list (default: stable-audio-small)", 0 },
    { 'o', "out", SM_OPT_PATH, offsetof(generate_args, out), "FILE|DIR",
      "name of the file, or the folder of NAME_SEED.wav (default: here)", 0 },
    { 0, "n", SM_OPT_INT, offsetof(generate_args, n), "0..100",
      "so many, with seeds one after the other; 0: 1, with --like 3 (default: 0)", 0 },
    { 0, "seed", SM_OPT_INT, offsetof(generate_args, seed), "-1..4294967295", "-1: by chance, and told (default: 0)",
      0 },
    { 0, "duration", SM_OPT_NUMBER, offsetof(generate_args, duration_s), "0.1..",
      "seconds (default: what the model fills at once)", 0 },
    { 0, "bars", SM_OPT_NUMBER, offsetof(generate_args, bars), "0.25..",
      "instead: bars of four beats, as a loop; with --bpm", 0 },
    { 0, "bpm", SM_OPT_NUMBER, offsetof(generate_args, bpm), "20..400",
      "tempo of the bars; also added to the prompt when it names none", 0 },
    { 0, "negative", SM_OPT_STRING, offsetof(generate_args, negative), "WORDS",
      "what it should not be (needs guidance)", 0 },
    { 0, "steps", SM_OPT_INT, offsetof(generate_args, steps), "0..1000", "0: the model's own, 100 or 8 (default: 0)",
      0 },
    { 0, "cfg", SM_OPT_NUMBER, offsetof(generate_args, cfg), "-100..100",
      "guidance; 1: none (default: the model's own, 7 or 1)", 0 },
    { 0, "cfg-rescale", SM_OPT_NUMBER, offsetof(generate_args, rescale), "0..1",
      "hold the guided network to its own spread (default: 0)", 0 },
    { 0, "sampler", SM_OPT_STRING, offsetof(generate_args, sampler), "NAME",
      "open: dpmpp-3m-sde, dpmpp-2m-sde, dpmpp-2m, k-heun, v-ddim; small: pingpong, euler, dpmpp, rk4", 0 },
    { 0, "init", SM_OPT_PATH, offsetof(generate_args, init), "FILE", "vary this sound instead of starting from noise",
      0 },
    { 0, "init-noise", SM_OPT_NUMBER, offsetof(generate_args, init_noise), "0..1000",
      "how far from it: small 0..1 (default: 0.6), open 0.5 near, 5, 50 free (default: 5)", 0 },
    { 0, "continue", SM_OPT_PATH, offsetof(generate_args, keep), "FILE", "begin with this sound and go on from it", 0 },
    { 0, "melody", SM_OPT_PATH, offsetof(generate_args, melody), "FILE",
      "follow its melody (musicgen-melody), without its drums and bass where htdemucs is installed", 0 },
    { 0, "key", SM_OPT_STRING, offsetof(generate_args, key), "KEY", "added to the prompt: \"A minor\"", 0 },
    { 0, "like", SM_OPT_PATH, offsetof(generate_args, like), "LOOP",
      "fits this loop: its tempo, key and style join the prompt, MusicGen hears its end; three", 0 },
    { 0, "show-prompt", SM_OPT_FLAG, offsetof(generate_args, show_prompt), NULL,
      "print the prompt as the model would read it, and stop", 0 },
    { 0, "top-k", SM_OPT_INT, offsetof(generate_args, top_k), "0..2048",
      "MusicGen: of the so many most likely; 0: of all (default: 250)", 0 },
    { 0, "top-p", SM_OPT_NUMBER, offsetof(generate_args, top_p), "0..1",
      "MusicGen: of the most likely that make up this share, instead of --top-k (default: 0, off)", 0 },
    { 0, "temperature", SM_OPT_NUMBER, offsetof(generate_args, temperature), "0..100",
      "MusicGen: 0: always the most likely (default: 1)", 0 },
    { 0, "extend-stride", SM_OPT_NUMBER, offsetof(generate_args, extend_stride_s), "0..29",
      "MusicGen: beyond 30 s, seconds of each window that are new; 0: 18 (default: 0)", 0 },
    { 0, "level", SM_OPT_CHOICE, offsetof(generate_args, level), "auto|peak|none",
      "auto: divide by the peak if it is above full scale; peak: always (default: auto)", 0 },
    { 0, "canvas", SM_OPT_CHOICE, offsetof(generate_args, canvas), "full|fast",
      "fast: no longer than the piece; other sound for the same seed, sooner (default: full)", 0 },
    { 0, "int16", SM_OPT_SET, offsetof(generate_args, sample), "int16", "16-bit samples", 0 },
    { 0, "int24", SM_OPT_SET, offsetof(generate_args, sample), "int24", "24-bit samples", 0 },
    { 0, "t5", SM_OPT_PATH, offsetof(generate_args, t5), "FILE",
      "weights of the text encoder, spiece.model beside them (default: the installed t5-base)", 0 },
    { 0, "threads", SM_OPT_INT, offsetof(generate_args, threads), "0..256", "0: all cores (default: 0)", 0 },
    { 0, "max-mem", SM_OPT_NUMBER, offsetof(generate_args, max_memory_mb), "1..",
      "MB; stop before starting if more would be needed (default: no limit)", 0 },
    { 0, "overwrite", SM_OPT_CHOICE, offsetof(generate_args, overwrite), "skip|yes",
      "files that are there: leave them, or make them again (default: yes)", 0 },
    { 0 }
};

/* ---- names ---- */

/* "Warm house loop, 124 BPM" -> "warm_house_loop_124_bpm" */
static void slug_of(const char *prompt, char out[49])
{
    size_t n = 0;
    for (const char *p = prompt; *p && n < 48; p++) {
        const unsigned char c = (unsigned char)*p;
        if (c >= 0x80 || isalnum(c))
            out[n++] = (char)tolower(c);
        else if (n > 0 && out[n - 1] != '_')
            out[n++] = '_';
    }
    while (n > 0 && (out[n - 1] == '_' || ((unsigned char)out[n - 1] >= 0x80 && !sm_utf8_valid(out, n))))
        n--;
    out[n] = 0;
    if (n == 0)
        snprintf(out, 49, "sound");
}

/* The caller's. -o FILE.wav is the name itself; of several, with the seed in front of the ending. */
static char *path_of(const generate_args *a, const char *prompt, uint64_t seed)
{
    char slug[49];
    const char *out = a->out ? a->out : ".", *name = sm_path_name(out), *dot = strrchr(name, '.');
    slug_of(prompt, slug);
    if (sm_is_directory(out) || !dot || dot == name)
        return !strcmp(out, ".") ? sm_printf_new("%s_%llu.wav", slug, (unsigned long long)seed)
                                 : sm_printf_new("%s/%s_%llu.wav", out, slug, (unsigned long long)seed);
    if (a->n == 1)
        return sm_strdup(out);
    return sm_printf_new("%.*s_%llu%s", (int)(dot - out), out, (unsigned long long)seed, dot);
}

/* Tempo and key in the words help: training saw them there. */
static char *with_tempo(const char *prompt, double bpm, const char *key)
{
    const char *comma = key && *key ? ", " : "";
    key = key ? key : "";
    for (const char *p = prompt; bpm > 0 && *p; p++)
        if ((p[0] | 32) == 'b' && (p[1] | 32) == 'p' && (p[2] | 32) == 'm')
            bpm = 0;
    return bpm > 0 ? sm_printf_new("%s, %g BPM%s%s", prompt, bpm, comma, key)
                   : sm_printf_new("%s%s%s", prompt, comma, key);
}

/* ---- one sound ---- */

typedef struct {
    sm_cli *cli;
    sm_progress *bar;
    double total;
} watch;

static int moved(void *user, double done, double total)
{
    watch *w = user;
    if (w->total != total)
        sm_progress_set_total(w->bar, w->total = total);
    sm_progress_set(w->bar, done);
    return sm_cancelled();
}

static void tell(sm_cli *cli, const sm_sound *s, const char *path)
{
    if (strcmp(cli->common.format, "table")) {
        sm_buffer text = { 0 };
        sm_json j;
        sm_json_init(&j, &text, false);
        sm_json_begin_object(&j);
        sm_json_key(&j, "path"), sm_json_string(&j, path);
        sm_json_key(&j, "seconds"), sm_json_f64(&j, (double)s->frames / s->rate_hz);
        sm_json_key(&j, "frames"), sm_json_int(&j, s->frames);
        sm_json_key(&j, "recipe"), sm_json_raw(&j, s->recipe);
        sm_json_end_object(&j);
        if (!text.failed)
            fprintf(cli->out, "%s\n", text.data);
        sm_buffer_free(&text);
        return;
    }
    fprintf(cli->out, "%s  %.2f s, peak %.2f", path, (double)s->frames / s->rate_hz, s->peak);
    if (isfinite(s->bpm))
        fprintf(cli->out, ", %.1f BPM", s->bpm);
    if (isfinite(s->bpm) && isfinite(s->wanted_bpm) && fabs(s->bpm / s->wanted_bpm - 1) > 0.01)
        fprintf(cli->out, " (wanted %g: try another --seed)", s->wanted_bpm);
    for (size_t i = 0; i < s->n_seams; i++)
        fprintf(cli->out, "; seam at %.1f s: %.1f x, %+.1f dB", s->seams[i].at_s, s->seams[i].jump,
                s->seams[i].level_db);
    fputc('\n', cli->out);
}

static sm_sample_format format_of(const generate_args *a)
{
    return !a->sample ? SM_SAMPLE_F32 : !strcmp(a->sample, "int16") ? SM_SAMPLE_S16 : SM_SAMPLE_S24;
}

static int make_one(sm_cli *cli, const generate_args *a, sm_generator *g, sm_sound_request *r, const char *prompt)
{
    watch w = { .cli = cli };
    sm_sound s = { 0 };
    char *path = path_of(a, prompt, r->seed);
    int err = path ? 0 : SM_ENOMEM;
    if (err == 0 && !strcmp(a->overwrite, "skip") && access(path, F_OK) == 0) {
        sm_cli_warn(cli, "%s is there: left as it is", path);
        sm_free(path);
        return 0;
    }
    if (err == 0)
        err = sm_progress_new(cli, sm_path_name(path), 0, "steps", &w.bar);
    r->progress = moved;
    r->user = &w;
    if (err == 0)
        err = sm_generator_run(g, r, &s);
    sm_progress_free(w.bar);
    if (err == 0)
        err = sm_sound_write(&s, path, format_of(a));
    if (err == 0) {
        tell(cli, &s, path);
        err = sm_cli_flush(cli);
    }
    sm_sound_free(&s);
    sm_free(path);
    return err;
}

/* ---- the run ---- */

static int state_memory(sm_cli *cli, const generate_args *a, sm_generator *g, const sm_sound_request *r)
{
    size_t bytes;
    const int err = sm_generator_memory(g, r, &bytes);
    if (err < 0)
        return err;
    const double mb = (double)bytes / 1e6;
    if (a->max_memory_mb > 0 && mb > a->max_memory_mb)
        return sm_fail(SM_ELIMIT, "about %.0f MB would be needed, and %.0f MB is the limit (--max-mem)", mb,
                       a->max_memory_mb);
    if (!cli->common.quiet)
        fprintf(cli->err, "%s: about %.0f MB; %s\n", sm_generator_model(g)->name, mb, sm_generator_model(g)->licence);
    return 0;
}

static uint64_t first_seed(sm_cli *cli, int64_t asked)
{
    if (asked >= 0)
        return (uint64_t)asked;
    const uint64_t seed =
        sm_unit_hash("seed by chance", (uint64_t)(sm_now_s() * 1e9) ^ (uint64_t)getpid()) & 0xffffffff;
    sm_cli_warn(cli, "seed %llu", (unsigned long long)seed);
    return seed;
}

static int make_all(sm_cli *cli, const generate_args *a, sm_generator *g, sm_sound_request *r, const char *prompt)
{
    const uint64_t seed = first_seed(cli, a->seed);
    int err = state_memory(cli, a, g, r);
    if (err == 0 && a->out && !strchr(sm_path_name(a->out), '.'))
        err = sm_make_directories(a->out);
    for (int64_t i = 0; i < a->n && err == 0; i++) {
        r->seed = seed + (uint64_t)i;
        err = make_one(cli, a, g, r, prompt);
    }
    return err;
}

/* The loop's words, bars and tempo into the request; MusicGen also hears its end. */
static int go_with(const generate_args *a, const char *words, sm_sound_request *r, sm_like *l)
{
    const int err = sm_like_read(NULL, a->like, words, l);
    if (err < 0)
        return err;
    r->prompt = l->prompt;
    if (!(a->duration_s > 0)) {
        r->bars = a->bars > 0 ? a->bars : l->bars;
        r->bpm = l->bpm;
    }
    if (!strncmp(a->model, "musicgen", 8) && !a->melody) {
        r->keep = a->like;
        r->only_new = true;
    }
    return 0;
}

static int generate_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    generate_args own = *(const generate_args *)args;
    const generate_args *a = &own;
    sm_like like = { 0 };
    const sm_generator_options o = { .model = a->model,
                                     .t5 = a->t5,
                                     .precision = cli->common.precision,
                                     .threads = a->threads > 0 ? (int)a->threads : sm_cpu_count() };
    sm_sound_request r = sm_sound_request_defaults;
    sm_generator *g = NULL;
    (void)n;
    char *prompt = with_tempo(operands[0], a->bpm, a->key);
    if (!prompt)
        return SM_ENOMEM;
    r.prompt = operands[0][strspn(operands[0], " \t\n")] ? prompt : "";
    r.negative = a->negative;
    r.seconds = a->duration_s;
    r.bars = a->bars;
    r.bpm = a->bars > 0 ? a->bpm : 0;
    r.cfg = a->cfg > UNSET ? a->cfg : NAN;
    r.level = a->level;
    r.steps = (int)a->steps;
    r.sampler = a->sampler;
    r.rescale = a->rescale;
    r.init = a->init;
    r.init_noise = a->init_noise > UNSET ? a->init_noise : NAN;
    r.keep = a->keep;
    r.melody = a->melody;
    r.top_k = (int)a->top_k;
    r.top_p = a->top_p;
    r.temperature = a->temperature;
    r.extend_stride_s = a->extend_stride_s;
    r.fast_canvas = !strcmp(a->canvas, "fast");
    sm_cancel_install();
    own.n = own.n > 0 ? own.n : a->like ? 3 : 1;
    int err = a->like ? go_with(a, operands[0], &r, &like) : 0;
    if (err == 0 && a->show_prompt) {
        fprintf(cli->out, "%s\n", r.prompt);
        goto out;
    }
    if (err == 0)
        err = sm_generator_open(&o, &g);
    if (err == SM_ENOTFOUND) {
        sm_cli_error(cli, "%s", sm_last_error());
        err = SM_EXIT_NO_MODEL;
    }
    if (err == 0)
        err = make_all(cli, a, g, &r, operands[0]);
    sm_generator_close(g);
out:
    sm_like_free(&like);
    sm_free(prompt);
    return err;
}

const sm_command sm_cmd_generate = {
    .name = "generate",
    .summary = "make sounds and loops from words",
    .description = "Writes NAME_SEED.wav, 32-bit float stereo, with model, weights, prompt, seed and options as JSON "
                   "in its comment: the "
                   "same options make the same sound again, on any number of threads.\n"
                   "With --bars and --bpm the file is cut to exactly so many samples, and its end runs into its "
                   "beginning. What is longer "
                   "than the model's canvas (47.5 or 11.9 s) is made of canvases that go on from each other's last "
                   "seconds; how well is "
                   "told for each seam.",
    .operands = "PROMPT",
    .least_operands = 1,
    .most_operands = 1,
    .options = generate_options,
    .common = SM_COMMON_DEVICE | SM_COMMON_FORMAT | SM_COMMON_PROGRESS,
    .examples =
        (const sm_example[]){
            { "samplemind generate 'tech house drum loop' --bars 8 --bpm 128", "a loop of exactly 661,500 samples" },
            { "samplemind generate 'vinyl crackle, rain' --duration 10 --n 3 -o out/", "three of them, seeds 0 to 2" },
            { "samplemind generate 'the same on a marimba' --init loop.wav --init-noise 0.5",
              "a variation of a sound" },
            { "samplemind generate 'dub techno chords' -n stable-audio-open --negative 'drums, vocals' --duration 80",
              "two canvases, the second going on from the first" },
            { "samplemind generate 'fill for this drum pattern' --like loop.wav -n musicgen-small",
              "three fills that fit" },
            { "samplemind generate 'warm pads' --like loop.wav --show-prompt", "only what would be asked" },
            { 0 } },
    .args_size = sizeof(generate_args),
    .defaults = &(const generate_args){ .model = "stable-audio-small",
                                        .level = "auto",
                                        .canvas = "full",
                                        .overwrite = "yes",
                                        .cfg = UNSET,
                                        .top_k = 250,
                                        .temperature = 1,
                                        .init_noise = UNSET,
                                        .n = 0 },
    .run = generate_run,
};
