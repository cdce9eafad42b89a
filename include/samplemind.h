/* samplemind: know, find, split and make sounds. The one public header; see docs/api.md for a walk through it.
 *
 * Rules that hold everywhere:
 *   - A function that can fail returns int: 0, or a negative SM_E... code; sm_last_error() then says why (per thread).
 *   - `**out` is the caller's to free or close; `const *` is borrowed; an out parameter is NULL after a failure.
 *   - Frames count per channel. Audio is f32, nominally -1..1, interleaved. Strings are UTF-8 except paths, which are bytes.
 */
#ifndef SAMPLEMIND_H
#define SAMPLEMIND_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SM_API __attribute__((visibility("default")))
#else
#define SM_API
#endif

enum {
    SM_ENOMEM = -1,       /* no memory */
    SM_EIO = -2,          /* reading or writing failed */
    SM_ENOTFOUND = -3,    /* no such file, model, tensor or name */
    SM_EFORMAT = -4,      /* the file is not what it says, or is damaged */
    SM_EUNSUPPORTED = -5, /* understood, but not something this program does */
    SM_EUSAGE = -6,       /* the caller asked for something that makes no sense */
    SM_ECANCELLED = -7,   /* a callback or a signal asked to stop */
    SM_ELIMIT = -8,       /* larger than a limit that was set */
    SM_EINTERNAL = -9     /* a fault of this program */
};

/* What the last failure on this thread was, as one sentence without a full stop; "" if there was none. Valid until the
 * next failure on this thread. */
SM_API const char *sm_last_error(void);

/* "0.1.0" */
SM_API const char *sm_version(void);

/* ---- an engine: the models that are installed, ready to run ----
 *
 *     sm_options options;
 *     sm_options_init(&options);
 *     sm_engine *engine = NULL;
 *     sm_record *record = NULL;
 *     if (sm_engine_open(&options, &engine) < 0 || sm_analyze_file(engine, "kick.wav", &record) < 0)
 *         fprintf(stderr, "%s\n", sm_last_error());
 *     else
 *         puts(sm_record_json(record));
 *     sm_record_free(record);
 *     sm_engine_close(engine);
 *
 * examples/analyze.c is the whole program. An engine may be used from one thread at a time; two engines are independent. */
typedef struct sm_engine sm_engine;

/* Where a piece of work stands. done of total: files for analyze, bytes for pull, 0 total: unknown. */
typedef struct {
    const char *what; /* the file or model in hand; valid during the call */
    double done, total;
    const char *unit; /* "files", "bytes", "s" */
    double audio_s;   /* seconds of audio finished so far, 0 where that means nothing */
} sm_progress_info;
/* Called from one thread at a time, at most some ten times a second. Not 0: stop; the function then returns SM_ECANCELLED. */
typedef int (*sm_progress_fn)(void *user, const sm_progress_info *p);

/* Start from sm_options_init; later versions add fields at the end. Strings are copied by sm_engine_open. */
typedef struct {
    size_t size; /* set by sm_options_init: which version of this struct the caller knows */
    const char
        *home; /* data folder; NULL: $SAMPLEMIND_HOME, else $XDG_DATA_HOME/samplemind, else ~/.local/share/samplemind */
    const char
        *models; /* "yamnet,crepe-tiny"; NULL: all that are installed; "": none. NAME=FILE takes this weights file */
    const char *precision;    /* "auto" (also NULL), "f32", "bf16" */
    const char *backend;      /* "onednn" (also NULL), "ref" */
    int jobs;                 /* threads in all, >= 1; 0: one for each core */
    double max_seconds;       /* of audio a file; 0: all of it. A record that was cut says "truncated": true */
    double time_limit_s;      /* of work a file; 0: none. Then the file is a failed one */
    double bpm_min, bpm_max;  /* 0: 40 and 240 */
    const char *key_notation; /* "musical" (also NULL), "camelot", "openkey" */
    int top;                  /* classes a model reports, 0: 5 */
    sm_progress_fn progress;  /* or NULL */
    void *user;
    double
        embed_hop_s; /* between windows of a model that embeds (OpenL3); 0: as long as a window, so that a one-shot costs one */
} sm_options;
SM_API void sm_options_init(sm_options *o);

/* Opens the models; a model that was asked for by name and is missing or broken is no failure here: see sm_engine_missing_model, and
 * each record names it in `failed`. Errors: SM_EUSAGE (an option outside its range, the name of no model), SM_ENOMEM. */
SM_API int sm_engine_open(const sm_options *options, sm_engine **out);
SM_API void sm_engine_close(sm_engine *e);
SM_API size_t sm_engine_models(const sm_engine *e);               /* how many are ready */
SM_API const char *sm_engine_model(const sm_engine *e, size_t i); /* its name; NULL past the end */
SM_API size_t sm_engine_missing(const sm_engine *e);              /* asked for by name and not to be had */
/* The name of the i-th of these and why, in one sentence; NULL past the end. */
SM_API const char *sm_engine_missing_model(const sm_engine *e, size_t i, const char **reason);

/* ---- one sound ---- */
typedef struct sm_record sm_record; /* what is known about one file; immutable */

/* Reads and analyses the file. Errors: those of reading it (SM_ENOTFOUND, SM_EIO, SM_EFORMAT, SM_EUNSUPPORTED), SM_ELIMIT
 * (time_limit_s), SM_ECANCELLED, SM_ENOMEM. A model that fails is no failure of this call but an entry of `failed`. */
SM_API int sm_analyze_file(sm_engine *e, const char *path, sm_record **out);
/* The same for audio in memory: frames interleaved frames, 1..8 channels, 8,000..192,000 Hz. name (or NULL) stands in the record
 * as `path` and may carry evidence such as "128bpm". */
SM_API int sm_analyze_buffer(sm_engine *e, const float *interleaved, size_t frames, int rate_hz, int channels,
                             const char *name, sm_record **out);
/* Many files on all threads. sink gets each record in the order of `paths`, one call at a time, on any thread; the record is
 * the sink's (sm_record_free). A file that failed has a record with `failed` and no values; err is its code, else 0. A
 * negative return of sink stops the work and is returned. n_failed (or NULL): how many files failed. */
typedef int (*sm_record_sink)(void *user, size_t index, sm_record *record, int err);
SM_API int sm_analyze_files(sm_engine *e, const char *const *paths, size_t n, sm_record_sink sink, void *user,
                            size_t *n_failed);

SM_API void sm_record_free(sm_record *r); /* accepts NULL */
/* One flat JSON object, UTF-8, without a newline; borrowed. docs/fields.md lists the names. */
SM_API const char *sm_record_json(const sm_record *r);
/* The form of Essentia's music extractor (nested lowlevel, rhythm, tonal, highlevel); borrowed. */
SM_API const char *sm_record_json_essentia(const sm_record *r);
SM_API const char *sm_record_path(const sm_record *r);

/* The values that most callers want. A number that does not apply is NAN, a text NULL; texts are borrowed from the record. */
typedef struct {
    double duration_s;
    int sample_rate_hz, channels;
    const char *kind; /* "one_shot", "loop", "song", "speech", "silence" */
    double kind_confidence;
    double loudness_lufs, loudness_range_lu, true_peak_dbtp, dynamic_range_db;
    double bpm, bpm_confidence;
    size_t n_beats;
    const double *beat_times_s;
    const char *key, *key_camelot; /* "A minor", "8A" */
    double key_confidence;
    double pitch_hz, pitch_confidence, note_cents;
    int note_midi;                         /* -1: none */
    const char *note_name;                 /* "A4" */
    double energy, brightness;             /* 0..10, 0..100 */
    const char *instrument, *genre, *mood; /* best class of the models that are there */
    double instrument_confidence, genre_confidence, mood_confidence;
} sm_summary;
SM_API const sm_summary *sm_record_summary(const sm_record *r);
/* Any number of the record by its field name ("spectral_centroid_hz"). SM_ENOTFOUND: no such field, or not a number there. */
SM_API int sm_record_number(const sm_record *r, const char *field, double *out);
SM_API size_t sm_record_failures(const sm_record *r);
SM_API void sm_record_failure(const sm_record *r, size_t i, const char **what,
                              const char **reason); /* NULL past the end */

/* A vector that stands for the whole sound, as one of the models hears it: near vectors are similar sounds. Only vectors of one
 * space made by the same weights may be compared. */
typedef struct {
    const char *model;   /* "samplemind" */
    const char *space;   /* "samplemind/1": front end, size and version of what the numbers mean */
    const char *weights; /* first 16 digits of the SHA-256 of the official weights file */
    size_t dims, windows;
    const float *values; /* [dims]: the mean over the windows of the sound, not normalised */
} sm_embedding;
SM_API size_t sm_record_embeddings(const sm_record *r);
/* The i-th, or the one of a model (by its name); borrowed from the record. NULL: there is none. */
SM_API const sm_embedding *sm_record_embedding(const sm_record *r, size_t i);
SM_API const sm_embedding *sm_record_embedding_of(const sm_record *r, const char *model);

/* ---- pitch over time ---- */

/* Start from sm_pitch_options_init. */
typedef struct {
    size_t size;
    const char *home;    /* as in sm_options */
    const char *model;   /* "crepe-tiny".."crepe-full" (also NULL: full), NAME=FILE, or "yin" (no network) */
    const char *decoder; /* "crepe" (also NULL: local average), "viterbi", "argmax", "weighted", "torchcrepe-viterbi" */
    double step_ms;      /* between frames; 0: 10. Whole milliseconds for CREPE */
    int no_centering;    /* 1: the first frame starts at the first sample, instead of being centred on it */
    double f_min, f_max; /* Hz, for the torchcrepe decoders and YIN; 0: 50 and 2006 */
    double silence_db;   /* confidence becomes 0 where the A-weighted level is below; 0 or above: off */
    int save_activation; /* 1: keep CREPE's [frames][360] activation */
    int threads;         /* 0: one for each core */
    sm_progress_fn progress;
    void *user;
} sm_pitch_options;
SM_API void sm_pitch_options_init(sm_pitch_options *o);

/* The frames of one sound; frame i is at time_s[i]. The caller's: sm_pitch_result_free. */
typedef struct {
    size_t frames;
    double *time_s;
    float *hz;         /* 0: no pitch */
    float *confidence; /* 0..1 */
    float *rms_db;     /* level of the 1024 samples at 16 kHz around the frame, dB re full scale; at least -120 */
    float *activation; /* [frames][360], or NULL */
} sm_pitch_result;

typedef struct sm_pitch_tracker sm_pitch_tracker; /* a model that is open; one thread at a time */
/* Errors: SM_EUSAGE (an option outside its range, no such model), SM_ENOTFOUND (no weights: the message says how to get them). */
SM_API int sm_pitch_open(const sm_pitch_options *options, sm_pitch_tracker **out);
SM_API void sm_pitch_close(sm_pitch_tracker *t);
SM_API int sm_pitch_file(sm_pitch_tracker *t, const char *path, sm_pitch_result *out);
SM_API void sm_pitch_result_free(sm_pitch_result *r); /* leaves it empty */

/* ---- vectors over time ---- */

/* Start from sm_embed_options_init. */
typedef struct {
    size_t size;
    const char *home;  /* as in sm_options */
    const char *model; /* "openl3-mel256-music" (also NULL) and its relatives, or NAME=FILE */
    const char
        *front_end;   /* "kapre01" (also NULL: what the weights were trained with), "kapre", "librosa" (openl3 0.4) */
    int dims;         /* 512 (also 0) or 6144; edgel3-sea has as many as its file */
    double hop_s;     /* between windows; 0: 0.1 */
    int no_centering; /* 1: window i begins at i hop_s, instead of being centred on it */
    const char *backend; /* "onednn" (also NULL), "ref" */
    int threads;         /* 0: one for each core */
    sm_progress_fn progress;
    void *user;
} sm_embed_options;
SM_API void sm_embed_options_init(sm_embed_options *o);

/* The windows of one sound, as openl3 has them. The caller's: sm_embed_result_free. */
typedef struct {
    size_t windows, dims;
    float *values;  /* [windows][dims], not normalised */
    double *time_s; /* [windows]: middles, or with no_centering beginnings */
    int silent;     /* 1: there is nothing but zeros: the vectors mean nothing */
} sm_embed_result;

typedef struct sm_embedder sm_embedder; /* a model that is open; one thread at a time */
/* Errors: SM_EUSAGE (an option outside its range, no such model), SM_ENOTFOUND (no weights: the message says how to get them). */
SM_API int sm_embed_open(const sm_embed_options *options, sm_embedder **out);
SM_API void sm_embed_close(sm_embedder *e);
SM_API int sm_embed_file(sm_embedder *e, const char *path, sm_embed_result *out);
SM_API void sm_embed_result_free(sm_embed_result *r); /* leaves it empty */

/* ---- stems ----
 *
 *     sm_separate_options options;
 *     sm_separate_options_init(&options);
 *     options.stems = "vocals,drums";
 *     sm_separator *separator = NULL;
 *     if (sm_separator_open(&options, &separator) < 0 || sm_separate_file(separator, "song.flac", sink, &my_files) < 0)
 *         fprintf(stderr, "%s\n", sm_last_error());
 *     sm_separator_close(separator);
 *
 * Memory does not grow with the length of the song: a file is read twice (first for its level, as the model wants it
 * normalised), and stems come out in blocks while it is being worked on. */

/* Start from sm_separate_options_init, which sets the defaults named here. Strings are copied by sm_separator_open. */
typedef struct {
    size_t size;
    const char *home;      /* as in sm_options */
    const char *model;     /* "htdemucs" (also NULL), "htdemucs_ft", "htdemucs_6s", or NAME=FILE */
    const char *precision; /* "auto" (also NULL), "f32", "bf16" */
    const char *backend;   /* "onednn" (also NULL), "ref" */
    const char *stems;     /* "vocals,drums": only these; NULL: all that the model knows */
    const char *two_stems; /* "vocals": this stem and what is left without it; NULL: no. Not together with `stems` */
    const char
        *other_method; /* of two_stems: "add" (also NULL: the sum of the other stems), "minus" (the song less the stem),
                                 "none" (only the stem) */
    int shifts;        /* passes at random shifts that are averaged, 0..100; default 1; 0: one pass, no shift */
    double overlap;    /* of neighbouring segments, 0..0.99; default 0.25 */
    double segment_s;  /* 0: what the model was trained with, which is also the most */
    int no_split;      /* 1: the song in one segment; an error when it is longer */
    uint64_t seed;     /* of the shifts; default 0 */
    int threads;       /* inside one song; 0: one for each core */
    double max_memory_mb;    /* refuse to open when a song needs more; 0: no limit */
    sm_progress_fn progress; /* done, total: seconds of the song in hand; total 0: not known */
    void *user;
} sm_separate_options;
SM_API void sm_separate_options_init(sm_separate_options *o);

typedef struct sm_separator
    sm_separator; /* opened models; several threads may separate songs with one at the same time */
/* Errors: SM_EUSAGE (an option outside its range, no such model or stem), SM_ENOTFOUND (no weights: the message says how to get
 * them), SM_EFORMAT (weights of another model), SM_ELIMIT (max_memory_mb). */
SM_API int sm_separator_open(const sm_separate_options *options, sm_separator **out);
SM_API void sm_separator_close(sm_separator *s);
SM_API size_t sm_separator_stems(const sm_separator *s);               /* how many come out */
SM_API const char *sm_separator_stem(const sm_separator *s, size_t i); /* "vocals", "no_vocals"; NULL past the end */
SM_API int sm_separator_rate(const sm_separator *s);                   /* of what comes out: 44100 */
SM_API double
sm_separator_memory_mb(const sm_separator *s); /* what it needs for one song at a time, weights included */

/* Receives `frames` frames of every stem, in order: stems[i] is interleaved stereo of sm_separator_stem(s, i); valid during the
 * call. Negative: stop, and that is what the separation returns. */
typedef int (*sm_stem_sink)(void *user, const float *const *stems, size_t frames);
/* Separates a file, or audio in memory (interleaved, 1..8 channels, 8,000..192,000 Hz): mono is heard as two equal channels, of
 * more than two the first two. In all, as many frames come out as the song has at the rate of the output. Errors: those of
 * reading, SM_ECANCELLED, SM_ENOMEM. */
SM_API int sm_separate_file(sm_separator *s, const char *path, sm_stem_sink sink, void *user);
SM_API int sm_separate_buffer(sm_separator *s, const float *interleaved, size_t frames, int rate_hz, int channels,
                              sm_stem_sink sink, void *user);

/* ---- sounds from words ----
 *
 *     sm_generate_options options;
 *     sm_generate_request request;
 *     sm_generator *generator = NULL;
 *     sm_generate_result *sound = NULL;
 *     sm_generate_options_init(&options);
 *     options.model = "musicgen-small";
 *     sm_generate_request_init(&request);
 *     request.prompt = "warm house loop, 124 BPM", request.bars = 8, request.bpm = 124;
 *     if (sm_generator_open(&options, &generator) < 0 || sm_generate_one(generator, &request, &sound) < 0 ||
 *         sm_generate_result_write(sound, "loop.wav", "float32") < 0)
 *         fprintf(stderr, "%s\n", sm_last_error());
 *     sm_generate_result_free(sound);
 *     sm_generator_close(generator);
 *
 * examples/generate.c is the whole program, with progress and sound that comes while it is being made; docs/generate.md is about the models,
 * of which several are not for commercial use (sm_generator_licence). */
/* Start from sm_generate_options_init. Strings are copied by sm_generator_open. */
typedef struct {
    size_t size;
    const char *home;         /* as in sm_options */
    const char *model;        /* "stable-audio-small" (also NULL), "musicgen-small", ..., or NAME=FILE */
    const char *text_encoder; /* T5's weights, spiece.model beside them or inside; NULL: the installed t5-base */
    const char *precision;    /* of the weights: "auto" (also NULL: as they are stored), "f32", "bf16", "int8" */
    const char *backend;      /* "onednn" (also NULL), "ref" */
    int threads;              /* 0: one for each core */
} sm_generate_options;
SM_API void sm_generate_options_init(sm_generate_options *o);
typedef struct sm_generator sm_generator; /* a model that is open; one thread at a time */
/* Errors: SM_EUSAGE (an option outside its range, no such model, or one that makes no sound), SM_ENOTFOUND (no weights, of the model or
 * of what it needs besides: the message says how to get them), SM_EFORMAT (damaged, or of another model). */
SM_API int sm_generator_open(const sm_generate_options *options, sm_generator **out);
SM_API void sm_generator_close(sm_generator *g);
SM_API const char *sm_generator_model(const sm_generator *g);   /* "musicgen-small" */
SM_API const char *sm_generator_licence(const sm_generator *g); /* of its weights, in a sentence */
SM_API int sm_generator_rate(const sm_generator *g);            /* of its sound, Hz */
SM_API int sm_generator_channels(const sm_generator *g);        /* 1 or 2 */

/* MusicGen: sound while it is being made. Frames of sound number `index` (0..n-1) that follow those of the call before, interleaved,
 * before they are cut to a loop and levelled. Stable Audio's come in one piece at the end. Negative: stop, and that is what the
 * generation returns. */
typedef int (*sm_generate_stream_fn)(void *user, size_t index, const float *interleaved, size_t frames);

/* Start from sm_generate_request_init, which sets the defaults named here. Strings are borrowed for the call. */
typedef struct {
    size_t size;
    const char *prompt;   /* must say something; at most 8192 bytes */
    const char *negative; /* what it should not be (Stable Audio, with guidance); NULL: nothing */
    int n;                /* sounds, of seeds seed, seed + 1, ...; default 1, at most 1000 */
    uint64_t seed;  /* default 0; the same seed and request give the same bytes on any number of threads; with AVX-512
                    * also alone and among others */
    double seconds; /* 0: as long as the model makes at once */
    double bars,
        bpm; /* bars > 0: instead, exactly so many bars of four beats at this tempo, as a loop. bpm alone: the tempo that
                           * results are held against */
    const char *key;   /* "A minor", "F#m", "8A": likewise the key; NULL: none. Neither is added to the prompt */
    double guidance;   /* how closely the prompt is followed; 1: not guided; NAN (default): the model's own */
    const char *level; /* "auto" (also NULL): divided by the peak when that is above 1; "peak": always; "none" */
    const char *continue_file; /* a sound file that the piece begins with and goes on from; NULL: none */
    int only_new;              /* 1: of that, only what is new comes out (MusicGen) */
    /* Stable Audio */
    int steps;             /* 0: the model's own */
    const char *sampler;   /* NULL: likewise */
    double rescale;        /* of guidance, 0..1 */
    const char *init_file; /* a sound file that is varied; NULL: noise to start from */
    double init_noise;     /* how far from it; NAN (default): the sampler's middle way */
    int fast_canvas;       /* 1: no longer a canvas than the piece: quicker, another sound for the same seed */
    /* MusicGen */
    const char *melody_file; /* a sound file whose melody is followed (models "...melody"); NULL: none */
    int top_k;               /* of the so many most likely codes; default 250; 0: of all */
    double top_p;            /* > 0: of those that make up this share, instead of top_k */
    double temperature;      /* default 1; 0: always the most likely */
    double extend_stride_s;  /* longer than a window: seconds of each further window that are new; 0: 18 */
    /* the work */
    int one_by_one; /* 1: never several sounds side by side (MusicGen, where memory allows) */
    int keep_part; /* 1: a run that is stopped still hands over what of its sounds is final (MusicGen), marked `partial` */
    double max_memory_mb;         /* SM_ELIMIT when even one sound at a time needs more; 0: no limit */
    sm_generate_stream_fn stream; /* or NULL */
    sm_progress_fn progress;      /* unit "steps", of all n sounds; `what` is the model */
    void *user;                   /* of stream and progress */
} sm_generate_request;
SM_API void sm_generate_request_init(sm_generate_request *r);
/* SM_EUSAGE says in a sentence what of the request cannot be; nothing is computed, no file opened. g NULL: what holds for all models. */
SM_API int sm_generator_check(sm_generator *g, const sm_generate_request *r);
/* Megabytes (1e6 bytes) of everything: weights as they are kept, and the largest working set, with as many sounds side by side as
 * sm_generate would take. side_by_side (or NULL): how many these are. */
SM_API int sm_generator_memory_mb(sm_generator *g, const sm_generate_request *r, double *mb, int *side_by_side);

enum { SM_MISSES_TEMPO = 1, SM_MISSES_KEY = 2 };
/* Where a canvas or a window goes on from the one before, of models that are told by it (Stable Audio). */
typedef struct {
    double at_s;
    double jump;     /* distance across it, in medians of neighbours' distances: 1 is ordinary */
    double level_db; /* loudness behind it over that in front, a quarter of a second each */
} sm_generate_seam;
typedef struct {
    size_t index; /* 0..n-1 of the request */
    uint64_t seed;
    const float *samples; /* interleaved [frames][channels] */
    size_t frames;
    int channels, sample_rate_hz;
    double peak;     /* before it was levelled */
    double bpm;      /* measured; NAN: none that is sure */
    const char *key; /* measured, "A minor"; NULL: none that is sure */
    double key_confidence;
    unsigned
        misses; /* what was wanted and is not heard: tempo by more than 1 % (half and double count as met), key (its relative
                               * counts as met). Not heard at all is no miss */
    double fade_s,
        loop_jump; /* of a loop's seam: its length; the step from the last sample to the first, in rms steps. 0: no loop */
    size_t n_seams;
    const sm_generate_seam *seams;
    int partial; /* 1: the run was stopped; this is its beginning */
    const char
        *recipe; /* JSON: model, weights, prompt, seed, every option, what was measured: what makes this sound again */
} sm_generate_result;
SM_API void sm_generate_result_free(sm_generate_result *r); /* accepts NULL */
/* By the name's ending (wav, flac, ...), with the recipe as comment; format "float32" (also NULL), "int24", "int16". Replaced when whole. */
SM_API int sm_generate_result_write(const sm_generate_result *r, const char *path, const char *format);

/* Gets each sound in the order of seeds as soon as it is whole; it is the sink's (sm_generate_result_free). Negative: stop, and that is
 * what the generation returns. */
typedef int (*sm_generate_sink)(void *user, sm_generate_result *sound);
/* Errors: SM_EUSAGE, those of reading files, SM_ELIMIT, SM_ECANCELLED, SM_ENOMEM. Sounds that were handed over are whole in any case. */
SM_API int sm_generate(sm_generator *g, const sm_generate_request *r, sm_generate_sink sink, void *user);
/* The sound of r->seed alone, whatever n is. */
SM_API int sm_generate_one(sm_generator *g, const sm_generate_request *r, sm_generate_result **out);

/* What goes with a loop: a prompt, and the tempo and number of bars that make it whole. */
typedef struct {
    double length_s, bpm;
    int bars;
    const char *key;    /* NULL: none that is sure */
    const char *prompt; /* "words, genre, instrument, energetic, 128 BPM, 4/4, A minor" */
} sm_loop_words;
/* Analyses the loop with all models that are installed in home (as in sm_options). SM_EUSAGE: silent or too short; those of reading. */
SM_API int sm_loop_words_read(const char *home, const char *path, const char *words, sm_loop_words **out);
SM_API void sm_loop_words_free(sm_loop_words *l);

/* ---- a library: a collection that is remembered ----
 *
 *     sm_library *library = NULL;
 *     sm_scan_options options;
 *     sm_scan_options_init(&options);
 *     const char *const folders[] = { "/home/me/Samples" };
 *     if (sm_library_open(NULL, SM_LIBRARY_CREATE, &library) < 0 || sm_library_scan(library, folders, 1, &options, NULL) < 0)
 *         fprintf(stderr, "%s\n", sm_last_error());
 *     sm_library_close(library);
 *
 * A library is a folder with a database in it; the sounds stay where they lie and are only read. One thread at a time may use
 * an sm_library; several programs may have the same library open, of which one at a time writes. */
typedef struct sm_library sm_library;
typedef enum { SM_LIBRARY_READ, SM_LIBRARY_WRITE, SM_LIBRARY_CREATE } sm_library_mode;
/* folder NULL: "library" in the data folder (see sm_options). Errors: SM_ENOTFOUND (no library there; not with CREATE), SM_EIO (may
 * not be read or written, the disk is full), SM_EFORMAT (damaged, or of a later version). */
SM_API int sm_library_open(const char *folder, sm_library_mode mode, sm_library **out);
SM_API void sm_library_close(sm_library *l); /* accepts NULL */
SM_API const char *sm_library_folder(const sm_library *l);

/* Start from sm_scan_options_init. */
typedef struct {
    size_t size;
    const char *home, *models, *precision, *backend; /* as in sm_options */
    int jobs;                                        /* threads in all; 0: one for each core */
    double time_limit_s;     /* of work a file, 0: none; a file that takes longer is a broken one */
    int list_only;           /* 1: names, sizes and times; sounds are not read */
    int again;               /* 1: also what was analysed before */
    int retry;               /* 1: also files that were found broken */
    sm_progress_fn progress; /* unit "files": `what` is the folder in hand while listing (total 0), then the file */
    /* A folder that cannot be read, or a file that is broken; or NULL. */
    void (*problem)(void *user, const char *path, const char *reason);
    void *user;
    double embed_hop_s; /* as in sm_options: of files that are analysed now; 0: a one-shot costs one window */
} sm_scan_options;
SM_API void sm_scan_options_init(sm_scan_options *o);

typedef struct {
    int64_t folders, files;                 /* seen now: folders, and sounds by the endings of their names */
    int64_t added, changed, gone, returned; /* files, as against the last scan */
    int64_t analysed, known, moved,
        refreshed; /* sounds analysed; files whose sound was known, of these: gone elsewhere; sounds
                                                * that got what a new model says */
    int64_t broken, unreadable_folders, waiting; /* waiting: files that are listed and not analysed yet */
    double list_s, analyse_s;                    /* seconds that it took */
} sm_scan_result;
/* Lists what is below the folders (of a file: the folder that it is in), then analyses what is new, small files first. Each result is kept as it
 * comes: after a stop of any kind the next scan goes on from there. paths NULL: all folders that were scanned before. result may be
 * NULL; it is filled also after SM_ECANCELLED. A broken file is no failure. Errors: SM_ENOTFOUND (no such folder), SM_EUSAGE, SM_EIO. */
SM_API int sm_library_scan(sm_library *l, const char *const *paths, size_t n, const sm_scan_options *options,
                           sm_scan_result *result);
/* Scans, and then follows what happens in these folders until the progress callback says stop (then 0). */
SM_API int sm_library_watch(sm_library *l, const char *const *paths, size_t n, const sm_scan_options *options);
/* The record of a file by its path, as sm_record_json gave it, the user's corrections in place; borrowed until the next call on l.
 * SM_ENOTFOUND: not in the library, or not analysed yet. */
SM_API int sm_library_record(sm_library *l, const char *path, const char **json);
/* Files that are broken, and why. A negative return of fn stops and is returned. */
typedef int (*sm_broken_fn)(void *user, const char *path, const char *reason);
SM_API int sm_library_each_broken(sm_library *l, sm_broken_fn fn, void *user);
/* What is in it, as a JSON object (docs/library.md); borrowed until the next call on l. */
SM_API int sm_library_stats(sm_library *l, const char **json);
/* Looks through the whole database: fn gets a sentence for each thing that does not hold. */
typedef int (*sm_sentence_fn)(void *user, const char *sentence);
SM_API int sm_library_check(sm_library *l, sm_sentence_fn fn, void *user);

/* The user's word. It belongs to the sound: copies have it too, it stays when the file is moved, tagged or analysed again, and it beats
 * what a model says. Errors: SM_ENOTFOUND (the file is not in the library, or not analysed yet), SM_EUSAGE, SM_EIO.
 * A field's value: "key" "8A", "instrument" "snare", "note" "C2"; "": there is none; NULL takes the word back. */
SM_API int sm_library_correct(sm_library *l, const char *path, const char *field, const char *value);
/* A word that searches find. in 0: takes it away, whoever gave it. */
SM_API int sm_library_tag(sm_library *l, const char *path, const char *word, int in);
SM_API int sm_library_favourite(sm_library *l, const char *path, int in);
/* Into a collection (which is made) or, in 0, out of it. Taking out of one that is not there: SM_ENOTFOUND. */
SM_API int sm_library_collect(sm_library *l, const char *collection, const char *path, int in);
SM_API int sm_library_collection_remove(sm_library *l, const char *collection); /* SM_ENOTFOUND. No file is touched */
typedef int (*sm_collection_name_fn)(void *user, const char *collection, int64_t sounds);
SM_API int sm_library_each_collection(sm_library *l, sm_collection_name_fn fn, void *user); /* by name */
typedef int (*sm_path_fn)(void *user, const char *path);
/* Every file of the sounds that a query finds (docs/search.md), the best first, its copies with it: "collection:\"Track 7\"". Errors
 * as of sm_library_search. */
SM_API int sm_library_each_found(sm_library *l, const char *query, sm_path_fn fn, void *user);
typedef int (*sm_corrected_fn)(void *user, const char *path, const char *field, const char *value);
/* What was corrected, one call a sound and field, with one of its files that are there. */
SM_API int sm_library_each_correction(sm_library *l, sm_corrected_fn fn, void *user);

/* ---- duplicates: files that are the same ---- */

/* How alike two files are; each level takes in those before it. */
typedef enum {
    SM_DUPES_BYTES,  /* the same bytes */
    SM_DUPES_AUDIO,  /* the same samples in another container, or with other tags */
    SM_DUPES_SOUND,  /* the same recording: another format, gain, rate, silence around it; proved by the waveform */
    SM_DUPES_VARIANT /* much alike, and not the same: another setting, take, or ending */
} sm_dupe_level;
/* Which file of a group is kept. Where a rule says nothing, and with SM_KEEP_BEST always: lossless before lossy, more channels, higher
 * rate, deeper, longer, more bits a second, older, then the shorter path. */
typedef enum {
    SM_KEEP_BEST,
    SM_KEEP_OLDEST,
    SM_KEEP_NEWEST,
    SM_KEEP_LARGEST,
    SM_KEEP_SMALLEST,
    SM_KEEP_SHORTEST_PATH
} sm_keep_rule;

/* Start from sm_dupes_options_init. */
typedef struct {
    size_t size;
    sm_dupe_level level; /* default SM_DUPES_SOUND */
    sm_keep_rule keep;   /* default SM_KEEP_BEST */
    const char *library; /* folder whose fingerprints are used where they are up to date; NULL: every file is read */
    double least_correlation; /* that proves a pair of SM_DUPES_SOUND; 0: 0.85 */
    int jobs;                 /* threads; 0: one for each core */
    sm_progress_fn progress;
    void *user;
} sm_dupes_options;
SM_API void sm_dupes_options_init(sm_dupes_options *o);

/* One file of a group. Texts are borrowed from the result. */
typedef struct {
    const char *path;
    int64_t bytes;
    double duration_s; /* NAN where the sound was not read (SM_DUPES_BYTES) */
    const char *container, *codec;
    int sample_rate_hz, channels, bit_depth; /* 0: not known; depth 0: lossy */
    /* Against the file that ties it to the group: the keeper where they are a pair, else the nearest. Nothing for the keeper. */
    const char *like; /* NULL for the keeper */
    sm_dupe_level level;
    double similarity;        /* of the fingerprints, 0..1 */
    double correlation;       /* of the waveforms, 0..1; NAN where bytes or audio are the same */
    double offset_s, gain_db; /* begins later by, is louder by; NAN likewise */
} sm_dupe_file;
typedef struct sm_dupes sm_dupes;
/* Finds groups of duplicates among files (paths to sounds, no folders), or, where n is 0, among all files of the library that are
 * there. Two names of one file (links) are one file. Never changes anything. Errors: SM_EUSAGE, SM_ENOTFOUND (no such library),
 * SM_ECANCELLED, SM_ENOMEM; files that cannot be read are left out and told by sm_dupes_problem. */
SM_API int sm_dupes_find(const sm_dupes_options *o, const char *const *paths, size_t n, sm_dupes **out);
SM_API void sm_dupes_free(sm_dupes *d);
SM_API size_t sm_dupes_files(const sm_dupes *d);  /* how many were compared */
SM_API size_t sm_dupes_groups(const sm_dupes *d); /* ordered by the keepers' paths */
/* The files of group i, *n >= 2 of them: the suggested keeper first, the others by path. NULL past the end. */
SM_API const sm_dupe_file *sm_dupes_group(const sm_dupes *d, size_t i, size_t *n);
SM_API const char *sm_dupes_problem(const sm_dupes *d, size_t i); /* one sentence a file; NULL past the end */

/* What was moved, or would be; one call a file, before it is done. from and to are absolute. */
typedef void (*sm_move_fn)(void *user, const char *from, const char *to);
typedef struct {
    size_t moved, failed;
    sm_move_fn told; /* or NULL */
    void (*problem)(void *user, const char *path,
                    const char *reason); /* or NULL: a file that stays where it is, and why */
    void *user;
} sm_moves;
/* Moves every file of the groups but the keepers into `folder` (below it as they lay below what they have in common), which is made.
 * Nothing is ever replaced or deleted. The library's journal keeps what was done; the library is made where there is none. plan:
 * only tells. Errors: SM_EIO (the folder cannot be made), those of opening the library. */
SM_API int sm_dupes_move(const sm_dupes *d, const char *library, const char *folder, int plan, sm_moves *m);
/* Takes back the last move of this kind that the journal has: "dupes" or "rename". SM_ENOTFOUND: there is none. */
SM_API int sm_moves_undo(const char *library, const char *what, sm_moves *m);

/* ---- sounds like a sound ----
 *
 * Compares with what a library holds: by the embedding of a model ("overall"), and by descriptors in four aspects. */

/* Start from sm_similar_options_init. */
typedef struct {
    size_t size;
    const char *library; /* its folder; NULL: the default one */
    const char *home;    /* of models, for a file that the library does not know; as in sm_options */
    const char *space;   /* whose embedding: "samplemind" (also NULL, where the library has it), "yamnet", .. */
    const char
        *by; /* "timbre=1,pitch=0.5": weights of overall, timbre, pitch, envelope, rhythm; NULL: overall=1. What is not
                          * named counts 0, or 1 where all that is named is 0 */
    const char *where; /* only sounds that this query finds (docs/search.md); NULL: all */
    int exact;         /* 1: compare with every sound, however many there are */
    size_t limit;      /* most answers; 0: 10 */
    int jobs;          /* threads; 0: one for each core */
} sm_similar_options;
SM_API void sm_similar_options_init(sm_similar_options *o);

typedef struct {
    const char *path;                                /* of several copies, the one that was listed first */
    int64_t id;                                      /* of this file, for a question by id */
    double similarity, distance;                     /* 0..1; 1 - cosine or weighted score, 0..2 */
    double overall, timbre, pitch, envelope, rhythm; /* each 0..1; NAN: not known */
} sm_similar_sound;

typedef struct sm_similar_list sm_similar_list;
/* The sounds of the library that are nearest to a file (of the library or not; by its path, or by the id of a listed one as text),
 * best first, never the sound itself or copies of it. Errors: SM_ENOTFOUND (no library, no such file, nothing to compare with),
 * SM_EUSAGE, and those of analysing the file. */
SM_API int sm_similar_find(const sm_similar_options *o, const char *path, sm_similar_list **out);
SM_API void sm_similar_list_free(sm_similar_list *l);
SM_API const sm_similar_sound *sm_similar_list_sounds(const sm_similar_list *l, size_t *n);
SM_API const char *sm_similar_list_space(const sm_similar_list *l); /* what was compared: "samplemind@WEIGHTS/1" */
SM_API int sm_similar_list_approximate(const sm_similar_list *l);   /* 1: some of the nearest may be missing */

/* ---- a map of a library ---- */

/* Start from sm_map_options_init. */
typedef struct {
    size_t size;
    const char *library; /* its folder; NULL: the default one */
    const char *space;   /* as in sm_similar_options */
    uint64_t seed;       /* of the layout; default 0 */
    int again;           /* 1: a new layout also where there is one; else known sounds stay where they are */
    int jobs;            /* threads; 0: one for each core */
    sm_progress_fn progress;
    void *user;
} sm_map_options;
SM_API void sm_map_options_init(sm_map_options *o);

typedef struct {
    const char *path, *instrument; /* instrument NULL: not known */
    int64_t id;
    float x, y;
} sm_map_point;
typedef struct sm_layout sm_layout;
/* Places every sound of the library, similar ones near each other, and keeps the places in it. Needs a library that may be written.
 * Errors: SM_ENOTFOUND, SM_EIO, SM_ECANCELLED. */
SM_API int sm_map_make(const sm_map_options *o, sm_layout **out);
SM_API void sm_layout_free(sm_layout *l);
SM_API const sm_map_point *sm_layout_points(const sm_layout *l, size_t *n); /* by path */
SM_API size_t sm_layout_placed(const sm_layout *l); /* how many of them were placed or moved now */
/* 0..1: of the nearest on the map, how few are far in truth (Venna and Kaski 2001; 15 neighbours, at most 2,000 sounds). */
SM_API double sm_layout_trustworthiness(const sm_layout *l);
/* As "html" (a page on its own, nothing is fetched), "svg" or "json", to be written by the caller; borrowed until the next call. */
SM_API int sm_layout_draw(sm_layout *l, const char *form, const char **text);
/* ---- tags: what is known, written into the files ----
 * Nothing of the audio changes: a new file is written beside the old one, its audio compared, the old bytes noted in the library's
 * journal, and only then it takes the old one's place. wav, RF64, Wave64, aiff, flac, Ogg (Vorbis, Opus, flac), mp3. docs/tags.md */

/* Start from sm_tagger_options_init. Lists and strings are to stay until close. */
typedef struct {
    size_t size;
    const char
        *library; /* folder: what it knows need not be analysed again; its journal takes tags back. Made when needed */
    const char *models; /* as in sm_options, for files that the library does not know */
    int measured;       /* 1 (default): write what was measured; 0: only `set` */
    const char *fields; /* "bpm,key,genre,mood,instrument,comment,keywords,acid,smpl,inst": only these; NULL: all */
    const char *const *
        set; /* "bpm=128": the user's word, which is written in any case and kept in the library. Fields that files have
                             * no place for ("kind=loop", "note=C2") are kept there alone */
    size_t n_set;
    const char *const *add, *const *remove; /* words of the library's tags, for files that it knows */
    size_t n_add, n_remove;
    double least_confidence;  /* of what is written; default 0.5 */
    int bpm_decimals;         /* default 0, as ID3 says */
    int overwrite;            /* 1: also fields that have a value */
    int dry_run;              /* 1: only tell */
    int keep_mtime;           /* 1: the file's time of change stays */
    const char *const *unset; /* fields whose correction is taken back */
    size_t n_unset;
    int in_library; /* 1: only what the library knows changes; no file is written */
} sm_tagger_options;
SM_API void sm_tagger_options_init(sm_tagger_options *o);
typedef struct {
    const char *field, *where;  /* "bpm", "id3 TBPM" */
    const char *before, *after; /* before NULL: nothing */
    int kept;                   /* 1: it has a value, which stays */
} sm_tag_told;
typedef void (*sm_tag_told_fn)(void *user, const char *path, const sm_tag_told *change);
typedef struct sm_tagger sm_tagger; /* one thread at a time */
/* SM_EUSAGE: no such field, a value that makes no sense. */
SM_API int sm_tagger_open(const sm_tagger_options *o, sm_tagger **out);
SM_API void sm_tagger_close(sm_tagger *t);
/* One file; told is called for each field that changes or stays against its will. Errors: those of reading; SM_EUNSUPPORTED (a kind
 * of file whose tags are not written); SM_EIO (read-only, disk full); SM_ELIMIT (4 GB). The file is then as it was. */
SM_API int sm_tagger_file(sm_tagger *t, const char *path, sm_tag_told_fn told, void *user);
/* Puts back the bytes of all files that the last tagger changed. m->moved: how many are as before. SM_ENOTFOUND: nothing to undo. */
SM_API int sm_tag_undo(const char *library, sm_moves *m);

/* ---- export: what is known, for spreadsheets, players and DJ programs ---- */
typedef enum {
    SM_EXPORT_CSV,       /* a table */
    SM_EXPORT_JSON,      /* an array of records */
    SM_EXPORT_JSONL,     /* a record a line */
    SM_EXPORT_M3U8,      /* a playlist */
    SM_EXPORT_REKORDBOX, /* Rekordbox's XML */
    SM_EXPORT_ABLETON    /* the XMP that Live keeps in a folder */
} sm_export_kind;

/* Start from sm_export_options_init. */
typedef struct {
    size_t size;
    const char *library;       /* folder, or NULL; what it knows need not be analysed again */
    const char *models;        /* as in sm_options, for files that it does not know */
    const char *const *fields; /* columns of CSV (NULL: the usual ones), fields of JSON (NULL: all); docs/fields.md */
    size_t n_fields;
    const char *name; /* of the playlist */
    int only_these;   /* 1: with n 0 nothing is written; else it means the whole library */
    sm_progress_fn progress;
    void (*problem)(void *user, const char *path, const char *reason); /* or NULL */
    void *user;
} sm_export_options;
SM_API void sm_export_options_init(sm_export_options *o);
/* Writes the files, or with n 0 all of the library, to `out`. A file that cannot be read is told and left out; failed: how many, or
 * NULL. Errors: SM_EUSAGE (no such kind), SM_ENOTFOUND (no library), SM_EIO, SM_ECANCELLED. */
SM_API int sm_export(sm_export_kind kind, const char *const *paths, size_t n, const sm_export_options *o, FILE *out,
                     size_t *failed);

/* New names by a pattern: "{bpm}_{key}_{instrument}_{name}". Fields of the record in braces, and name (the old one without its
 * ending). What is not known leaves its place empty, together with the separator beside it; the ending stays. What no file name can
 * have becomes "-". Nothing is ever replaced: a name that is taken, or that two would get, is a problem of that file. The library's
 * journal takes it back (sm_moves_undo "rename"). plan: only tells. SM_EUSAGE: a pattern with a brace that does not close. */
SM_API int sm_rename_files(const char *library, const char *models, const char *pattern, const char *const *paths,
                           size_t n, int plan, sm_moves *m);

/* ---- a library: searching ----
 *
 *     sm_search *found = NULL;
 *     if (sm_library_search(library, "dark aggressive basslines bpm:120..130", NULL, &found) == 0)
 *         for (size_t i = 0; i < sm_search_hits(found); i++)
 *             printf("%.2f %s\n", sm_search_score(found, i), sm_search_path(found, i));
 *     sm_search_free(found);
 *
 * docs/search.md is the manual of the language. A sound that lies in several places is one result. */

/* Start from sm_search_options_init. */
typedef struct {
    size_t size;
    size_t limit;       /* results a page; default 50; 0: all */
    const char *cursor; /* sm_search_cursor of the page before, with the same query and options; NULL: the first page */
    const char *sort;   /* as sort: in the query, "brightness-,bpm"; NULL: the best first */
    const char *like;   /* as like: a file, or "#ID" */
    const char *by;     /* as by: "timbre=1,pitch=0" */
    const char *fields; /* "path,score,bpm": what sm_search_json holds; NULL: the usual ones */
    int no_thesaurus;   /* 1: words are only looked for in names, tags and folders */
    int why;            /* 1: sm_search_json says why a result ranks where it does */
    int threads;        /* 0: one for each core */
} sm_search_options;
SM_API void sm_search_options_init(sm_search_options *o);

typedef struct sm_search sm_search; /* an answer; the library must stay open while it is used */
/* options may be NULL. Errors: SM_EUSAGE (the query or an option is wrong: the message says what, and names the nearest field), SM_ELIMIT
 * (a query of more than 256 words and tests), SM_ENOTFOUND (the file of like:), SM_EFORMAT (the user's thesaurus.csv), SM_EIO. */
SM_API int sm_library_search(sm_library *l, const char *query, const sm_search_options *options, sm_search **out);
SM_API void sm_search_free(sm_search *s);          /* accepts NULL */
SM_API size_t sm_search_count(const sm_search *s); /* sounds found, on all pages */
/* Files that are listed and not analysed yet are found by their names where a query asks for nothing else, and come behind all others: how
 * many on all pages (not in the count), and whether a hit is analysed. */
SM_API size_t sm_search_waiting(const sm_search *s);
SM_API int sm_search_analysed(const sm_search *s, size_t i);
SM_API size_t sm_search_hits(const sm_search *s);                 /* on this page, those not analysed among them */
SM_API const char *sm_search_path(const sm_search *s, size_t i);  /* NULL past the end */
SM_API double sm_search_score(const sm_search *s, size_t i);      /* 0..1; NAN past the end */
SM_API double sm_search_similarity(const sm_search *s, size_t i); /* 0..1; NAN without like: */
/* A field of a result: *number (NAN: not known or a text), *text (NULL: not known or a number; borrowed). Either may be
 * NULL. SM_EUSAGE: no such field. */
SM_API int sm_search_value(sm_search *s, size_t i, const char *field, double *number, const char **text);
SM_API int sm_search_json(sm_search *s, size_t i, const char **json); /* an object; borrowed until the next call */
/* Why it ranks there: each word and target of the query, how well it is met, and by what ("brightness 12th percentile of bass"). */
typedef int (*sm_search_why_fn)(void *user, const char *word, double score, const char *by);
SM_API int sm_search_each_why(sm_search *s, size_t i, sm_search_why_fn fn, void *user);
SM_API const char *sm_search_cursor(const sm_search *s); /* NULL: nothing follows */
SM_API const char *
sm_search_understood(const sm_search *s);                   /* the query as it was understood, in the language itself */
SM_API const char *sm_search_explained(const sm_search *s); /* the same in words, a line an item */
SM_API int sm_search_approximate(const sm_search *s);       /* 1: likeness was not compared with all sounds */

#ifdef __cplusplus
}
#endif
#endif
