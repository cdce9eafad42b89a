/* separate: songs into stems, with demucs's options and files. The work on one song is in separate_song.c. */
#include <string.h>

#include "cli/separate.h"
#include "cli/stem_names.h"
#include "engine/engine.h"

static const sm_option separate_options[] = {
    { 'n', "name", SM_OPT_STRING, offsetof(separate_args, model), "MODEL|MODEL=FILE",
      "htdemucs, htdemucs_ft (four networks, best, four times the work) or htdemucs_6s (default: htdemucs)", 0 },
    { 'o', "out", SM_OPT_PATH, offsetof(separate_args, out), "DIR", "files go to DIR/MODEL/... (default: separated)",
      0 },
    { 0, "filename", SM_OPT_STRING, offsetof(separate_args, pattern), "PATTERN",
      "of {track} {trackext} {stem} {ext} {model} {index} {bpm} {key} (default: {track}/{stem}.{ext})", 0 },
    { 0, "stems", SM_OPT_STRING, offsetof(separate_args, stems), "A,B,..", "write only these stems", 0 },
    { 0, "two-stems", SM_OPT_STRING, offsetof(separate_args, two_stems), "STEM",
      "write STEM and what is left without it, no_STEM", 0 },
    { 0, "other-method", SM_OPT_CHOICE, offsetof(separate_args, other_method), "add|minus|none",
      "what is left: the others' sum, the song less the stem (minus_STEM), or nothing (default: add)", 0 },
    { 0, "shifts", SM_OPT_INT, offsetof(separate_args, shifts), "0..100",
      "average so many passes at seeded random shifts; 0: one pass, not shifted (default: 1)", 0 },
    { 0, "overlap", SM_OPT_NUMBER, offsetof(separate_args, overlap), "0..0.99",
      "of neighbouring segments (default: 0.25)", 0 },
    { 0, "segment", SM_OPT_NUMBER, offsetof(separate_args, segment_s), "0.1..",
      "length of a segment in seconds, at most the model's own, 7.8 (default: that)", 0 },
    { 0, "no-split", SM_OPT_FLAG, offsetof(separate_args, no_split), NULL,
      "the whole song in one segment; it must be that short", 0 },
    { 0, "int16", SM_OPT_SET, offsetof(separate_args, sample), "int16", "16-bit samples", 0 },
    { 0, "int24", SM_OPT_SET, offsetof(separate_args, sample), "int24", "24-bit samples (default of flac)", 0 },
    { 0, "float32", SM_OPT_SET, offsetof(separate_args, sample), "float32", "32-bit float samples (default of wav)",
      0 },
    { 0, "clip-mode", SM_OPT_CHOICE, offsetof(separate_args, clip_mode), "none|clamp|rescale|rescale-stem",
      "above full scale; rescale: one factor for all stems (default: none for floats, else rescale)", 0 },
    { 0, "flac", SM_OPT_SET, offsetof(separate_args, ext), "flac", "write FLAC", 0 },
    { 0, "mp3", SM_OPT_SET, offsetof(separate_args, ext), "mp3", "write MP3", 0 },
    { 0, "opus", SM_OPT_SET, offsetof(separate_args, ext), "opus", "write Opus, at 48 kHz", 0 },
    { 0, "mp3-bitrate", SM_OPT_INT, offsetof(separate_args, mp3_bitrate), "32..320", "kbit/s, constant (default: 320)",
      0 },
    { 0, "mp3-preset", SM_OPT_INT, offsetof(separate_args, mp3_preset), "2..7",
      "accepted for scripts made for demucs; the encoder keeps its own quality setting", 0 },
    { 0, "compat", SM_OPT_CHOICE, offsetof(separate_args, compat), "none|demucs",
      "demucs: the original's defaults, 16 bits and each stem rescaled by itself (default: none)", 0 },
    { 'j', "jobs", SM_OPT_INT, offsetof(separate_args, jobs), "1..256",
      "songs at once; each needs its own memory (default: 1)", 0 },
    { 0, "threads", SM_OPT_INT, offsetof(separate_args, threads), "0..256",
      "inside one song; 0: all cores, shared by the songs at once (default: 0)", 0 },
    { 0, "max-mem", SM_OPT_NUMBER, offsetof(separate_args, max_memory_mb), "1..",
      "MB; stop before starting if more would be needed (default: no limit)", 0 },
    { 0, "overwrite", SM_OPT_CHOICE, offsetof(separate_args, overwrite), "skip|yes",
      "songs whose stems are all there: leave them out, or do them again (default: yes)", 0 },
    { 0, "list-models", SM_OPT_FLAG, offsetof(separate_args, list_models), NULL,
      "show the models that separate, and which are installed", 0 },
    { 0 }
};

/* ---- what the options come to ---- */

static sm_sample_format sample_format(const separate_args *a)
{
    const bool compat = !strcmp(a->compat, "demucs");
    if (a->sample && !strcmp(a->sample, "int16"))
        return SM_SAMPLE_S16;
    if (a->sample && !strcmp(a->sample, "int24"))
        return SM_SAMPLE_S24;
    if (!strcmp(a->ext, "flac"))
        return compat ? SM_SAMPLE_S16 : SM_SAMPLE_S24;
    return compat && !a->sample ? SM_SAMPLE_S16 : SM_SAMPLE_F32;
}

static sm_clip_mode clip_mode(const separate_args *a)
{
    static const char *const names[SM_CLIP_MODES] = { "none", "clamp", "rescale", "rescale-stem" };
    const bool compat = !strcmp(a->compat, "demucs");
    for (int i = 0; a->clip_mode && i < SM_CLIP_MODES; i++)
        if (!strcmp(a->clip_mode, names[i]))
            return compat && i == SM_CLIP_RESCALE ? SM_CLIP_RESCALE_STEM : (sm_clip_mode)i;
    if (compat)
        return SM_CLIP_RESCALE_STEM;
    return !strcmp(a->ext, "wav") && sample_format(a) == SM_SAMPLE_F32 ? SM_CLIP_NONE : SM_CLIP_RESCALE;
}

static int check(const sm_cli *cli, const separate_args *a)
{
    if (a->stems && a->two_stems)
        return sm_cli_usage(cli, "--stems and --two-stems do not go together");
    if (a->no_split && a->segment_s > 0)
        return sm_cli_usage(cli, "--no-split and --segment do not go together");
    if (sm_stem_pattern_check(a->pattern) < 0)
        return sm_cli_usage(cli, "%s", sm_last_error());
    return 0;
}

/* "htdemucs=FILE" -> "htdemucs" */
static void model_name(const char *model, char out[64])
{
    snprintf(out, 64, "%.*s", (int)SM_MIN(strcspn(model, "="), 63), model);
}

static int list_models(sm_cli *cli)
{
    size_t n = 0;
    const sm_model *const *all = sm_models(&n);
    for (size_t i = 0; i < n; i++) {
        sm_installed installed = { 0 };
        if (all[i]->task != SM_TASK_STEMS)
            continue;
        const bool here = sm_installed_read(NULL, all[i], &installed) == 0;
        fprintf(cli->out, "%-14s %-14s %s\n", all[i]->name, here ? "installed" : "not installed", all[i]->summary);
        sm_installed_free(&installed);
    }
    return 0;
}

static int open_separator(sm_cli *cli, const separate_args *a, separation_run *run, sm_separator **out)
{
    sm_separate_options o;
    sm_separate_options_init(&o);
    const int share = sm_cpu_count() / (int)SM_MIN(a->jobs, (int64_t)SM_MAX(run->n_songs, 1));
    o.model = a->model;
    o.precision = cli->common.precision;
    o.stems = a->stems;
    o.two_stems = a->two_stems;
    o.other_method = a->other_method;
    o.shifts = (int)a->shifts;
    o.overlap = a->overlap;
    o.segment_s = a->segment_s;
    o.no_split = a->no_split;
    o.seed = (uint64_t)cli->common.seed;
    o.threads = a->threads > 0 ? (int)a->threads : SM_MAX(share, 1);
    o.max_memory_mb = a->max_memory_mb / (double)SM_MAX(a->jobs, 1);
    o.progress = separation_progress;
    o.user = run;
    const int err = sm_cli_no_model(cli, sm_separator_open(&o, out));
    if (err == 0 && cli->err_is_terminal && !cli->common.quiet)
        fprintf(cli->err, "%s: about %.0f MB for a song%s\n", run->model, sm_separator_memory_mb(*out),
                a->jobs > 1 ? ", for each at once" : "");
    return err;
}

/* ---- the run ---- */

static int separate_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const separate_args *a = args;
    sm_strings files = { 0 };
    sm_separator *separator = NULL;
    separation_run run = { .cli = cli, .args = a, .format = sample_format(a), .clip = clip_mode(a) };
    size_t n_problems = 0;
    int err = check(cli, a);
    if (err == 0 && a->list_models)
        return list_models(cli);
    if (err == 0 && n == 0)
        err = sm_cli_usage(cli, "which songs? FILE|DIR... is missing");
    model_name(a->model, run.model);
    if (err == 0)
        err = sm_cli_sounds(cli, operands, n, NULL, &files, &n_problems);
    run.n_songs = files.length;
    if (err == 0 && files.length > 0)
        err = open_separator(cli, a, &run, &separator);
    if (err == 0 && files.length > 0) {
        sm_cancel_install();
        err = separation_all(&run, separator, &files);
    }
    if (err == 0)
        err = sm_exit_of_batch(run.n_done, run.n_failed + n_problems);
    sm_separator_close(separator);
    sm_strings_free(&files);
    return err;
}

const sm_command sm_cmd_separate = {
    .name = "separate",
    .summary = "split songs into stems: drums, bass, other, vocals",
    .description =
        "Writes one file a stem, by default separated/htdemucs/TRACK/STEM.wav, 32-bit float and unscaled, so that the "
        "stems add up to the song.\n"
        "Models and options are those of Demucs v4. Memory does not grow with the length of a song.",
    .operands = "FILE|DIR|@LIST|-...",
    .paths = true,
    .options = separate_options,
    .common = SM_COMMON_DEVICE | SM_COMMON_SEED | SM_COMMON_FORMAT | SM_COMMON_PROGRESS,
    .examples =
        (const sm_example[]){
            { "samplemind separate song.mp3", "separated/htdemucs/song/drums.wav, bass.wav, other.wav, vocals.wav" },
            { "samplemind separate song.wav --two-stems vocals --mp3", "vocals.mp3 and no_vocals.mp3, for karaoke" },
            { "samplemind separate album/ -n htdemucs_ft --stems drums --flac",
              "only the drums, by their own network" },
            { "samplemind separate a.wav --filename '{track}_{stem}_{bpm}.{ext}' -o .",
              "./htdemucs/a_drums_128.wav ..." },
            { "samplemind separate *.flac --json", "what was written where, as JSON" },
            { 0 } },
    .args_size = sizeof(separate_args),
    .defaults = &(const separate_args){ .model = "htdemucs",
                                        .out = "separated",
                                        .pattern = "{track}/{stem}.{ext}",
                                        .other_method = "add",
                                        .ext = "wav",
                                        .compat = "none",
                                        .overwrite = "yes",
                                        .shifts = 1,
                                        .overlap = 0.25,
                                        .mp3_bitrate = 320,
                                        .mp3_preset = 2,
                                        .jobs = 1 },
    .run = separate_run,
};
