/* generate: sound from words, by the functions of samplemind.h. What comes out carries in its comment all that is needed to make it again; its
 * files are written in generate_sounds.c. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/generate.h"

#define UNSET (-1e9) /* of numbers whose default is the model's */

static const sm_option generate_options[] = {
    { 'n', "name", SM_OPT_STRING, offsetof(generate_args, model), "MODEL|MODEL=FILE",
      "a MusicGen or Stable Audio by its name in models list (default: stable-audio-small)", 0 },
    { 'o', "out", SM_OPT_PATH, offsetof(generate_args, out), "FILE|DIR",
      "name of the file, or the folder of NAME_SEED.wav (default: here)", 0 },
    { 0, "n", SM_OPT_INT, offsetof(generate_args, n), "0..100",
      "so many, with seeds one after the other; 0: 1, with --like 3 (default: 0)", 0 },
    { 0, "tries", SM_OPT_INT, offsetof(generate_args, tries), "1..100",
      "for sounds that miss the tempo or the key: further seeds, so many rounds in all (default: 1)", 0 },
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
    { 0, "keep-part", SM_OPT_FLAG, offsetof(generate_args, keep_part), NULL,
      "MusicGen: on Ctrl-C also write what there is of the sounds in hand, NAME_SEED_part.wav", 0 },
    { 0, "one-by-one", SM_OPT_FLAG, offsetof(generate_args, one_by_one), NULL,
      "MusicGen: never several sounds side by side; less memory, more time", 0 },
    { 0, "threads", SM_OPT_INT, offsetof(generate_args, threads), "0..256", "0: all cores (default: 0)", 0 },
    { 0, "max-mem", SM_OPT_NUMBER, offsetof(generate_args, max_memory_mb), "1..",
      "MB; stop before starting if more would be needed (default: no limit)", 0 },
    { 0, "overwrite", SM_OPT_CHOICE, offsetof(generate_args, overwrite), "skip|yes",
      "files that are there: leave them, or make them again (default: yes)", 0 },
    { 0 }
};

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

/* ---- what is asked for ---- */

static void translate(const generate_args *a, sm_generate_request *r)
{
    sm_generate_request_init(r);
    r->negative = a->negative;
    r->n = a->n > 0 ? (int)a->n : a->like ? 3 : 1;
    r->seconds = a->duration_s;
    r->bars = a->bars;
    r->bpm = a->bpm;
    r->key = a->key;
    r->guidance = a->cfg > UNSET ? a->cfg : NAN;
    r->level = a->level;
    r->steps = (int)a->steps;
    r->sampler = a->sampler;
    r->rescale = a->rescale;
    r->init_file = a->init;
    r->init_noise = a->init_noise > UNSET ? a->init_noise : NAN;
    r->continue_file = a->keep;
    r->melody_file = a->melody;
    r->top_k = (int)a->top_k;
    r->top_p = a->top_p;
    r->temperature = a->temperature;
    r->extend_stride_s = a->extend_stride_s;
    r->fast_canvas = !strcmp(a->canvas, "fast");
    r->one_by_one = a->one_by_one;
    r->keep_part = a->keep_part;
    r->max_memory_mb = a->max_memory_mb;
}

/* What can be said before weights of gigabytes are opened. */
static int check(sm_cli *cli, const generate_args *a, const sm_generate_request *r)
{
    const char *const files[] = { a->init, a->keep, a->melody, a->like };
    int err = 0;
    if (a->like && a->bpm > 0)
        return sm_cli_usage(cli, "--like takes the tempo from the loop: --bpm does not go with it");
    if (a->like && a->keep)
        return sm_cli_usage(cli, "--like and --continue do not go together: MusicGen hears one sound");
    for (size_t i = 0; i < SM_LENGTH(files) && err == 0; i++) {
        sm_audio *sound = NULL;
        if (files[i])
            err = sm_audio_open(files[i], &sound);
        sm_audio_close(sound);
    }
    return err < 0 ? err : sm_generator_check(NULL, r);
}

/* The loop's words, bars, tempo and key into the request; MusicGen also hears its end. */
static int go_with(const generate_args *a, const char *words, sm_generate_request *r, sm_loop_words **l)
{
    const int err = sm_loop_words_read(NULL, a->like, words, l);
    if (err < 0)
        return err;
    r->prompt = (*l)->prompt;
    r->bpm = (*l)->bpm;
    r->key = a->key ? a->key : (*l)->key;
    if (!(a->duration_s > 0) && !(a->bars > 0))
        r->bars = (*l)->bars;
    if (!strncmp(a->model, "musicgen", 8) && !a->melody) {
        r->continue_file = a->like;
        r->only_new = true;
    }
    return 0;
}

/* ---- the run ---- */

static int state_memory(sm_cli *cli, sm_generator *g, const sm_generate_request *r)
{
    char how_many[64] = "";
    double mb;
    int at_once;
    const int err = sm_generator_memory_mb(g, r, &mb, &at_once);
    if (err < 0)
        return err;
    if (r->max_memory_mb > 0 && mb > r->max_memory_mb)
        return sm_fail(SM_ELIMIT, "about %.0f MB would be needed, and %.0f MB is the limit (--max-mem)", mb,
                       r->max_memory_mb);
    if (at_once > 1)
        snprintf(how_many, sizeof how_many, " for %d sounds side by side", at_once);
    if (!cli->common.quiet)
        fprintf(cli->err, "%s: about %.0f MB%s; %s\n", sm_generator_model(g), mb, how_many, sm_generator_licence(g));
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

static int open_and_make(sm_cli *cli, const generate_args *a, sm_generate_request *r, const char *words)
{
    sm_generate_options o;
    sm_generator *g = NULL;
    sm_generate_options_init(&o);
    o.model = a->model;
    o.text_encoder = a->t5;
    o.precision = cli->common.precision;
    o.threads = (int)a->threads;
    int err = sm_cli_no_model(cli, sm_generator_open(&o, &g));
    if (err == 0)
        err = state_memory(cli, g, r);
    if (err == 0) {
        r->seed = first_seed(cli, a->seed);
        err = generate_sounds(cli, a, g, r, words);
    }
    sm_generator_close(g);
    return err;
}

static int generate_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const generate_args *a = args;
    sm_loop_words *loop = NULL;
    sm_generate_request r;
    (void)n;
    char *prompt = with_tempo(operands[0], a->bpm, a->key);
    if (!prompt)
        return SM_ENOMEM;
    translate(a, &r);
    r.prompt = operands[0][strspn(operands[0], " \t\r\n")] ? prompt : "";
    sm_cancel_install();
    int err = check(cli, a, &r);
    if (err == 0 && a->like)
        err = go_with(a, prompt, &r, &loop);
    if (err == 0 && a->show_prompt)
        fprintf(cli->out, "%s\n", r.prompt);
    else if (err == 0)
        err = open_and_make(cli, a, &r, operands[0]);
    sm_loop_words_free(loop);
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
    .common = SM_COMMON_DEVICE | SM_COMMON_INT8 | SM_COMMON_FORMAT | SM_COMMON_PROGRESS,
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
                                        .tries = 1 },
    .run = generate_run,
};
