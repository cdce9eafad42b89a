/* pitch: fundamental frequency over time, with crepe's options and files. */
#include <math.h>
#include <string.h>

#include "cli/command.h"
#include "engine/engine.h"
#include "engine/midi.h"

typedef struct {
    const char *capacity, *decoder, *model, *output;
    bool viterbi, no_centering, save_activation, extra, midi, json;
    int64_t step_ms;
    double f_min, f_max, silence_db, threshold;
} pitch_args;

static const sm_option pitch_options[] = {
    { 'c', "model-capacity", SM_OPT_CHOICE, offsetof(pitch_args, capacity), "tiny|small|medium|large|full",
      "CREPE's size (default: full)", 0 },
    { 0, "model", SM_OPT_STRING, offsetof(pitch_args, model), "NAME|NAME=FILE|yin",
      "another model; yin needs no weights", 0 },
    { 'V', "viterbi", SM_OPT_FLAG, offsetof(pitch_args, viterbi), NULL, "smooth the pitch curve (= --decoder viterbi)",
      0 },
    { 0, "decoder", SM_OPT_CHOICE, offsetof(pitch_args, decoder), "crepe|viterbi|argmax|weighted|torchcrepe-viterbi",
      "from activation to pitch; the last three are torchcrepe's (default: crepe)", 0 },
    { 's', "step-size", SM_OPT_INT, offsetof(pitch_args, step_ms), "1..1000",
      "milliseconds between frames (default: 10)", 0 },
    { 'n', "no-centering", SM_OPT_FLAG, offsetof(pitch_args, no_centering), NULL,
      "do not centre the first frame on the first sample", 0 },
    { 'a', "save-activation", SM_OPT_FLAG, offsetof(pitch_args, save_activation), NULL,
      "also write NAME.activation.npy, [frames, 360]", 0 },
    { 'o', "output", SM_OPT_PATH, offsetof(pitch_args, output), "DIR",
      "folder of the files written (default: beside the input)", 0 },
    { 0, "fmin", SM_OPT_NUMBER, offsetof(pitch_args, f_min), "1..",
      "lowest pitch in Hz, torchcrepe decoders and yin (default: 50)", 0 },
    { 0, "fmax", SM_OPT_NUMBER, offsetof(pitch_args, f_max), "1..", "highest pitch in Hz (default: 2006)", 0 },
    { 0, "silence-db", SM_OPT_NUMBER, offsetof(pitch_args, silence_db), "-200..0",
      "confidence 0 below this level (default: off)", 0 },
    { 0, "extra", SM_OPT_FLAG, offsetof(pitch_args, extra), NULL, "append the columns note_midi,voiced,rms_db", 0 },
    { 0, "midi", SM_OPT_FLAG, offsetof(pitch_args, midi), NULL, "also write the notes, NAME.mid", 0 },
    { 0, "threshold", SM_OPT_NUMBER, offsetof(pitch_args, threshold), "0..1",
      "least confidence of a note or of `voiced` (default: 0.5)", 0 },
    { 0, "json", SM_OPT_FLAG, offsetof(pitch_args, json), NULL, "write frames as JSON to standard output, no csv files",
      0 },
    { 0 }
};

/* Below this, the midi and voiced columns call a frame silent (unless --silence-db says otherwise). */
static const double quiet_db = -60;

static bool voiced(const pitch_args *a, const sm_pitch_result *r, size_t i)
{
    return r->hz[i] > 0 && r->confidence[i] >= a->threshold &&
           r->rms_db[i] > (a->silence_db < 0 ? a->silence_db : quiet_db);
}

/* "dir/kick.wav" -> DIR/kick + ending, or beside the input. */
static char *output_path(const pitch_args *a, const char *input, const char *ending)
{
    const char *name = sm_path_name(input), *dot = strrchr(name, '.');
    const int stem = (int)(dot && dot > name ? dot - name : (ptrdiff_t)strlen(name));
    if (a->output)
        return sm_printf_new("%s/%.*s%s", a->output, stem, name, ending);
    return sm_printf_new("%.*s%.*s%s", (int)(name - input), input, stem, name, ending);
}

static int write_csv(const pitch_args *a, const sm_pitch_result *r, const char *input)
{
    char *path = output_path(a, input, ".f0.csv");
    sm_outfile *out = NULL;
    int err = path ? sm_outfile_open(path, &out) : SM_ENOMEM;
    if (err == 0) {
        FILE *f = sm_outfile_stream(out);
        fprintf(f, "time,frequency,confidence%s\n", a->extra ? ",note_midi,voiced,rms_db" : "");
        for (size_t i = 0; i < r->frames; i++) {
            fprintf(f, "%.3f,%.3f,%.6f", r->time_s[i], (double)r->hz[i], (double)r->confidence[i]);
            if (a->extra && r->hz[i] > 0)
                fprintf(f, ",%.2f,%d,%.1f", 69 + 12 * log2((double)r->hz[i] / 440), voiced(a, r, i),
                        (double)r->rms_db[i]);
            else if (a->extra)
                fprintf(f, ",,0,%.1f", (double)r->rms_db[i]);
            fputc('\n', f);
        }
        err = sm_outfile_commit(out);
    }
    sm_free(path);
    return err;
}

/* NumPy's format 1.0: magic, version, header padded to 64 bytes, data. */
static int write_npy(const pitch_args *a, const sm_pitch_result *r, const char *input)
{
    char header[128];
    char *path = output_path(a, input, ".activation.npy");
    sm_outfile *out = NULL;
    int err = path ? sm_outfile_open(path, &out) : SM_ENOMEM;
    if (err == 0) {
        FILE *f = sm_outfile_stream(out);
        memset(header, ' ', sizeof header);
        memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
        const int n = snprintf(header + 10, sizeof header - 10,
                               "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, 360), }", r->frames);
        header[10 + n] = ' ';
        header[sizeof header - 1] = '\n';
        fwrite(header, 1, sizeof header, f);
        fwrite(r->activation, sizeof(float), r->frames * 360, f);
        err = sm_outfile_commit(out);
    }
    sm_free(path);
    return err;
}

static int write_midi(const pitch_args *a, sm_pitch_result *r, const char *input)
{
    char *path = output_path(a, input, ".mid");
    sm_note *notes = NULL;
    size_t n = 0;
    for (size_t i = 0; i < r->frames; i++)
        if (!voiced(a, r, i))
            r->confidence[i] = 0; /* what is silent or unsure is no note */
    int err = path ? sm_notes_of_pitch(r, a->threshold, &notes, &n) : SM_ENOMEM;
    if (err == 0)
        err = sm_midi_write(path, notes, n);
    sm_free(notes);
    sm_free(path);
    return err;
}

static void json_floats(sm_json *j, const char *key, const float *values, size_t n)
{
    sm_json_key(j, key);
    sm_json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        sm_json_f32(j, (double)values[i]);
    sm_json_end_array(j);
}

static int print_json(sm_cli *cli, const char *path, const sm_pitch_result *r)
{
    sm_buffer text = { 0 };
    sm_json j;
    sm_json_init(&j, &text, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "path");
    sm_json_string(&j, path);
    sm_json_key(&j, "time_s");
    sm_json_begin_array(&j);
    for (size_t i = 0; i < r->frames; i++)
        sm_json_f32(&j, r->time_s[i]);
    sm_json_end_array(&j);
    json_floats(&j, "pitch_hz", r->hz, r->frames);
    json_floats(&j, "confidence", r->confidence, r->frames);
    json_floats(&j, "rms_db", r->rms_db, r->frames);
    sm_json_end_object(&j);
    const int err = text.failed ? SM_ENOMEM : 0;
    if (err == 0)
        fprintf(cli->out, "%s\n", text.data);
    sm_buffer_free(&text);
    return err;
}

typedef struct {
    const pitch_args *args;
    sm_pitch_tracker *t;
} batch;

static int one_file(void *user, sm_cli *cli, const char *path)
{
    const batch *b = user;
    const pitch_args *a = b->args;
    sm_pitch_result r = { 0 };
    int err = sm_pitch_file(b->t, path, &r);
    if (err == 0 && a->json)
        err = print_json(cli, path, &r);
    if (err == 0 && !a->json)
        err = write_csv(a, &r, path);
    if (err == 0 && a->save_activation && r.activation)
        err = write_npy(a, &r, path);
    if (err == 0 && a->midi)
        err = write_midi(a, &r, path); /* last: it changes the confidence */
    sm_pitch_result_free(&r);
    return err;
}

static int bar_moves(void *user, const sm_progress_info *p)
{
    sm_progress_set_total(user, p->total);
    sm_progress_set(user, p->done);
    return sm_cancelled();
}

static int pitch_run(sm_cli *cli, const void *args, char *const *operands, size_t n)
{
    const pitch_args *a = args;
    sm_strings files = { 0 };
    size_t n_problems = 0;
    sm_pitch_tracker *t = NULL;
    sm_progress *bar = NULL;
    char name[32];
    int err = 0;
    if (a->output && !sm_is_directory(a->output))
        return sm_fail(SM_EIO, "%s: no such folder; --output names one that exists", a->output);
    err = sm_cli_sounds(cli, operands, n, NULL, &files, &n_problems);
    if (err == 0)
        err = sm_progress_new(cli, "pitch", 0, "s of audio", &bar);
    if (err == 0) {
        sm_pitch_options o;
        sm_pitch_options_init(&o);
        snprintf(name, sizeof name, "crepe-%s", a->capacity);
        o.model = a->model ? a->model : name;
        o.decoder = a->viterbi ? "viterbi" : a->decoder;
        o.step_ms = (double)a->step_ms;
        o.no_centering = a->no_centering;
        o.f_min = a->f_min;
        o.f_max = a->f_max;
        o.silence_db = a->silence_db;
        o.save_activation = a->save_activation;
        o.threads = (int)cli->common.threads;
        o.progress = bar_moves;
        o.user = bar;
        sm_cancel_install();
        err = sm_cli_no_model(cli, sm_pitch_open(&o, &t));
    }
    if (err == 0) {
        batch b = { a, t };
        err = sm_cli_each(cli, &files, n_problems, one_file, &b);
    }
    sm_progress_free(bar);
    sm_pitch_close(t);
    sm_strings_free(&files);
    return err;
}

const sm_command sm_cmd_pitch = {
    .name = "pitch",
    .summary = "track the pitch of monophonic sounds, frame by frame",
    .description = "Writes NAME.f0.csv beside each input: time in seconds, frequency in Hz, confidence 0..1, every 10 "
                   "ms. Options and files are\n"
                   "those of crepe. Confidence in silence means nothing: see --silence-db.",
    .operands = "FILE|DIR|@LIST|-...",
    .least_operands = 1,
    .paths = true,
    .options = pitch_options,
    .common = SM_COMMON_THREADS | SM_COMMON_PROGRESS,
    .examples =
        (const sm_example[]){
            { "samplemind pitch vocal.wav -c tiny", "vocal.f0.csv, by the smallest CREPE" },
            { "samplemind pitch lead.wav --viterbi --midi", "smoothed, and the notes as lead.mid" },
            { "samplemind pitch bass.wav --model yin --json", "without a network, to standard output" },
            { 0 } },
    .args_size = sizeof(pitch_args),
    .defaults = &(const pitch_args){ .capacity = "full", .decoder = "crepe", .step_ms = 10, .threshold = 0.5 },
    .run = pitch_run,
};
