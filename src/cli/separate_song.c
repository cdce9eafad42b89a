/* One song of `separate`: where its stems go, the way from the separator to the files, what is printed about it. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/separate.h"
#include "cli/stem_names.h"

struct separation_song {
    const char *path;
    sm_strings stems, paths; /* side by side */
    sm_stem_files *files;
    sm_progress *bar; /* NULL: none, or the run's */
    double done_s;    /* as last reported */
    int64_t frames;
    double seconds, peak, scale;
    bool finished, skipped;
    int err;
    char *reason;
};

/* ---- names ---- */

static int tempo_and_key(separation_run *run, const char *path, char bpm[16], char key[32])
{
    sm_record *r = NULL;
    int err = 0;
    bpm[0] = key[0] = 0;
    pthread_mutex_lock(&run->lock); /* an engine is for one thread at a time */
    if (!run->analyser) {
        sm_options o;
        sm_options_init(&o);
        o.models = "";
        err = sm_engine_open(&o, &run->analyser);
    }
    if (err == 0)
        err = sm_analyze_file(run->analyser, path, &r);
    pthread_mutex_unlock(&run->lock);
    if (err == 0) {
        const sm_summary *s = sm_record_summary(r);
        if (isfinite(s->bpm))
            snprintf(bpm, 16, "%.0f", s->bpm);
        snprintf(key, 32, "%s", s->key ? s->key : "");
    }
    sm_record_free(r);
    return err;
}

static int name_stems(separation_run *run, const separation_song *song, sm_strings *stems, sm_strings *paths)
{
    char bpm[16] = "", key[32] = "";
    const char *pattern = run->args->pattern;
    int err = 0;
    if (sm_stem_pattern_has(pattern, "bpm") || sm_stem_pattern_has(pattern, "key"))
        err = tempo_and_key(run, song->path, bpm, key);
    for (size_t i = 0; err == 0 && i < sm_separator_stems(run->separator); i++) {
        const sm_stem_words words = { .track_path = song->path,
                                      .stem = sm_separator_stem(run->separator, i),
                                      .ext = run->args->ext,
                                      .model = run->model,
                                      .index = (size_t)(song - run->songs) + 1,
                                      .bpm = *bpm ? bpm : NULL,
                                      .key = *key ? key : NULL };
        char *path = sm_stem_path(run->args->out, pattern, &words);
        err = path ? sm_strings_add(stems, words.stem) : SM_ENOMEM;
        if (err == 0)
            err = sm_strings_add(paths, path);
        sm_free(path);
    }
    return err;
}

/* Gives the song its names, unless another has them: two songs of one name would overwrite each other's stems. */
static int claim_names(separation_run *run, separation_song *song, sm_strings *stems, sm_strings *paths)
{
    int err = 0;
    pthread_mutex_lock(&run->lock);
    for (size_t i = 0; i < run->n_songs && err == 0; i++) {
        const sm_strings *taken = &run->songs[i].paths;
        if (taken->length > 0 && !strcmp(taken->items[0], paths->items[0]))
            err = sm_fail(SM_EUSAGE, "%s: its stems would overwrite those of %s; give --filename an {index}",
                          song->path, run->songs[i].path);
    }
    if (err == 0) {
        song->stems = *stems;
        song->paths = *paths;
        *stems = *paths = (sm_strings){ 0 };
    }
    pthread_mutex_unlock(&run->lock);
    return err;
}

static bool all_there(const separation_song *song)
{
    for (size_t i = 0; i < song->paths.length; i++)
        if (access(song->paths.items[i], F_OK) != 0)
            return false;
    return true;
}

/* ---- the work ---- */

static int take_stems(void *user, const float *const *stems, size_t frames)
{
    separation_song *song = user;
    song->frames += (int64_t)frames;
    return sm_stem_files_write(song->files, stems, frames);
}

int separation_progress(void *user, const sm_progress_info *p)
{
    separation_run *run = user;
    for (size_t i = 0; i < run->n_songs; i++) {
        separation_song *song = &run->songs[i];
        if (song->path != p->what)
            continue;
        sm_progress_set_total(song->bar, p->total);
        sm_progress_set(song->bar, p->done);
        sm_progress_file(song->bar, song->path, p->done, p->total);
    }
    return sm_cancelled();
}

static int write_stems(separation_run *run, separation_song *song)
{
    char comment[160];
    snprintf(comment, sizeof comment, "separated by %s, SampleMind %s", run->model, sm_version());
    const sm_stem_format format = { .paths = (const char *const *)song->paths.items,
                                    .n = song->paths.length,
                                    .rate_hz = sm_separator_rate(run->separator),
                                    .format = run->format,
                                    .mp3_bitrate_kbps = (int)run->args->mp3_bitrate,
                                    .clip = run->clip,
                                    .comment = comment };
    int err = sm_stem_files_open(&format, &song->files);
    if (err == 0)
        err = sm_separate_file(run->separator, song->path, take_stems, song);
    if (err == 0)
        return sm_stem_files_commit(song->files, &song->peak, &song->scale);
    char *reason = sm_strdup(sm_last_error()); /* closing may fail too, which is of no interest */
    sm_stem_files_abandon(song->files);
    sm_fail(err, "%s", reason ? reason : "no memory");
    sm_free(reason);
    return err;
}

static int separate_song(separation_run *run, separation_song *song)
{
    sm_strings stems = { 0 }, paths = { 0 };
    int err = name_stems(run, song, &stems, &paths);
    if (err == 0)
        err = claim_names(run, song, &stems, &paths);
    sm_strings_free(&stems);
    sm_strings_free(&paths);
    if (err < 0)
        return err;
    if (!strcmp(run->args->overwrite, "skip") && all_there(song)) {
        song->skipped = true;
        return 0;
    }
    return write_stems(run, song);
}

/* ---- what is printed ---- */

static void print_json(FILE *out, const separation_run *run, const separation_song *song)
{
    const double duration = (double)song->frames / sm_separator_rate(run->separator);
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "path"), sm_json_string(&j, song->path);
    sm_json_key(&j, "model"), sm_json_string(&j, run->model);
    if (song->err < 0) {
        sm_json_key(&j, "failed"), sm_json_string(&j, song->reason);
    } else if (song->skipped) {
        sm_json_key(&j, "skipped"), sm_json_bool(&j, true);
    } else {
        sm_json_key(&j, "duration_s"), sm_json_f32(&j, duration);
        sm_json_key(&j, "seconds"), sm_json_f32(&j, song->seconds);
        sm_json_key(&j, "speed_x"), sm_json_f32(&j, duration / song->seconds);
        sm_json_key(&j, "peak"), sm_json_f32(&j, song->peak);
        sm_json_key(&j, "scale"), sm_json_f32(&j, song->scale);
    }
    sm_json_key(&j, "stems");
    sm_json_begin_object(&j);
    for (size_t i = 0; song->err == 0 && i < song->paths.length; i++)
        sm_json_key(&j, song->stems.items[i]), sm_json_string(&j, song->paths.items[i]);
    sm_json_end_object(&j);
    sm_json_end_object(&j);
    if (!text.failed)
        fputs(text.data, out);
    sm_buffer_free(&text);
}

/* "separated/htdemucs/song/{drums,bass}.wav" would be clever; a line a stem is what people copy from. */
static void print_text(FILE *out, const separation_run *run, const separation_song *song)
{
    const double duration = (double)song->frames / sm_separator_rate(run->separator);
    if (song->skipped)
        fprintf(out, "%s: stems are there already\n", song->path);
    else
        fprintf(out, "%s: %.1f s of audio in %.1f s, %.2f times real time%s\n", song->path, duration, song->seconds,
                duration / song->seconds, song->scale < 1 ? ", scaled to full scale" : "");
    for (size_t i = 0; i < song->paths.length; i++)
        fprintf(out, "  %-10s %s\n", song->stems.items[i], song->paths.items[i]);
}

static void print_csv(FILE *out, const separation_song *song)
{
    for (size_t i = 0; song->err == 0 && i < song->paths.length; i++)
        fprintf(out, "\"%s\",%s,\"%s\"\n", song->path, song->stems.items[i], song->paths.items[i]);
}

static int print_song(separation_run *run, const separation_song *song)
{
    const char *format = run->cli->common.format;
    FILE *out = run->cli->out;
    sm_progress_clear(run->all);
    if (song->err < 0)
        sm_cli_error(run->cli, "%s", song->reason);
    if (!strcmp(format, "json"))
        fputs(run->n_songs == 1 ? "" : run->printed == 0 ? "[\n" : ",\n", out), print_json(out, run, song);
    else if (!strcmp(format, "jsonl"))
        print_json(out, run, song), fputc('\n', out);
    else if (!strcmp(format, "csv"))
        fputs(run->printed == 0 ? "path,stem,file\n" : "", out), print_csv(out, song);
    else if (song->err == 0)
        print_text(out, run, song);
    return sm_cli_flush(run->cli);
}

/* Prints what is finished, in the order of the operands. */
static int print_finished(separation_run *run)
{
    int err = 0;
    while (err == 0 && run->printed < run->n_songs && run->songs[run->printed].finished) {
        err = print_song(run, &run->songs[run->printed]);
        run->printed++;
    }
    return err;
}

/* ---- many ---- */

static int one_song(void *user, size_t i, int worker)
{
    separation_run *run = user;
    separation_song *song = &run->songs[i];
    (void)worker;
    if (sm_cancelled())
        return sm_fail(SM_ECANCELLED, "stopped at the caller's wish");
    int err = run->all ? 0 : sm_progress_new(run->cli, sm_path_name(song->path), 0, "s of audio", &song->bar);
    if (err < 0)
        return err;
    const double began = sm_now_s();
    sm_progress_start(song->bar, song->path, -1);
    song->err = separate_song(run, song);
    song->seconds = sm_now_s() - began;
    if (song->err < 0)
        song->reason = sm_strdup(sm_last_error());
    sm_progress_finish(song->bar, song->path, song->err < 0 ? song->reason : NULL);
    sm_progress_free(song->bar);
    song->bar = NULL;
    if (song->err == SM_ECANCELLED || song->err == SM_ENOMEM)
        return song->err;
    pthread_mutex_lock(&run->lock);
    song->finished = true;
    run->n_done += song->err == 0;
    run->n_failed += song->err < 0;
    sm_progress_set(run->all, (double)(run->n_done + run->n_failed));
    err = print_finished(run);
    pthread_mutex_unlock(&run->lock);
    return err;
}

static int all_songs(separation_run *run, int jobs)
{
    const bool events = run->cli->common.progress && !strcmp(run->cli->common.progress, "json");
    sm_pool *pool = NULL;
    int err = sm_pool_new(jobs, &pool);
    if (err == 0 && jobs > 1 && !events)
        err = sm_progress_new(run->cli, "separate", (double)run->n_songs, "songs", &run->all);
    if (err == 0)
        err = sm_pool_run(pool, run->n_songs, one_song, run);
    sm_progress_free(run->all);
    run->all = NULL;
    sm_pool_free(pool);
    return err;
}

int separation_all(separation_run *run, sm_separator *separator, const sm_strings *files)
{
    const int jobs = (int)SM_MIN((size_t)run->args->jobs, files->length);
    run->separator = separator;
    run->songs = sm_alloc_zero(files->length, sizeof *run->songs);
    if (!run->songs)
        return SM_ENOMEM;
    pthread_mutex_init(&run->lock, NULL);
    for (size_t i = 0; i < files->length; i++)
        run->songs[i].path = files->items[i];
    const int err = all_songs(run, SM_MAX(jobs, 1));
    if (!strcmp(run->cli->common.format, "json") && run->printed > 0)
        fputs(run->n_songs > 1 ? "\n]\n" : "\n", run->cli->out);
    for (size_t i = 0; i < files->length; i++) {
        sm_strings_free(&run->songs[i].stems);
        sm_strings_free(&run->songs[i].paths);
        sm_free(run->songs[i].reason);
    }
    sm_free(run->songs);
    sm_engine_close(run->analyser);
    pthread_mutex_destroy(&run->lock);
    return err;
}
