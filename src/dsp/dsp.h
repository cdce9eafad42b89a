/* dsp: spectra, mel front ends, and everything that is known about a sound without a neural network.
 *
 * Analysers take audio in pieces of any size (new, push..., finish) and keep bounded state, so that a 3-hour file needs no more
 * memory than what its answer takes. Results do not depend on how the audio was cut. Silence and very short sounds are valid
 * input: what does not apply is NAN (or an empty list), never an error. */
#ifndef SM_DSP_H
#define SM_DSP_H

#include <math.h>

#include "audio/audio.h"

enum {
    DSP_RATE = 44100
}; /* mono rate at which our own analysis works, so that answers do not depend on a file's rate */

/* ---- STFT (stft.c) ----  Real FFT of even length; window applied by the caller's choice. */
typedef struct dsp_fft dsp_fft;
int dsp_fft_new(int n, dsp_fft **out);
void dsp_fft_free(dsp_fft *f);
void dsp_fft_forward(dsp_fft *f, const float *x, float *re_im); /* n samples -> n/2+1 pairs */
void dsp_fft_inverse(dsp_fft *f, const float *re_im, float *x); /* scaled by 1/n: inverse(forward(x)) = x */
typedef enum { DSP_WINDOW_HANN_PERIODIC, DSP_WINDOW_HANN_SYMMETRIC, DSP_WINDOW_BLACKMAN_HARRIS } dsp_window_kind;
void dsp_window(dsp_window_kind kind, int n, float *out);
void dsp_power(const float *re_im, int bins, float *out); /* squared magnitudes */
void dsp_magnitude(const float *re_im, int bins, float *out);

/* ---- two waveforms (correlate.c) ----
 * The largest absolute normalised cross-correlation within most_lag samples: at lag l, a[i + l] meets b[i], and only what overlaps
 * counts (at least half of the energy of both must). between: also at sixteenths of a sample, for copies that were resampled. */
typedef struct {
    double correlation; /* -1..1; negative: one is upside down. 0: silence, or nothing overlaps enough */
    double lag;         /* samples by which things happen later in a than in b */
    double gain;        /* factor that makes b as loud as a; negative: upside down */
} dsp_correlation;
/* 0, SM_ENOMEM, or SM_ELIMIT (more than 2^22 samples). */
int dsp_correlate(const float *a, size_t na, const float *b, size_t nb, int most_lag, bool between,
                  dsp_correlation *out);

/* ---- spectra of a whole chunk and back (chunk_stft.c): what networks over complex spectra take ----
 * Periodic Hann window of n_fft samples, hop n_fft / 4, divided by sqrt(n_fft) (torch.stft's "normalized"), without the Nyquist
 * bin. The chunk is continued by reflection; frame t covers samples t hop - 3/2 hop .. t hop + 5/2 hop, so that `samples` of it
 * have ceil(samples / hop) frames. Spectra are two planes [bins = n_fft / 2][frames]. A chunk is immutable; any number of
 * threads use it, each with a workspace of its own. */
typedef struct dsp_chunk dsp_chunk;
typedef struct dsp_chunk_work dsp_chunk_work;
/* SM_EUSAGE: n_fft no multiple of 8 from 64 to 65536, or a chunk too short to be reflected. */
int dsp_chunk_new(int n_fft, int64_t samples, dsp_chunk **out);
void dsp_chunk_free(dsp_chunk *c);
int dsp_chunk_work_new(const dsp_chunk *c, dsp_chunk_work **out);
void dsp_chunk_work_free(dsp_chunk_work *w);
int dsp_chunk_frames(const dsp_chunk *c);
/* The work is cut into parts that threads may share, forward and inverse likewise: part 0 .. dsp_chunk_parts - 1. */
int dsp_chunk_parts(const dsp_chunk *c);
/* x [samples]; writes the part's frames of both planes, and adds their sums to sum[0] (values) and sum[1] (squares). */
void dsp_chunk_forward(const dsp_chunk *c, dsp_chunk_work *w, int part, const float *x, float *re, float *im,
                       double sum[2]);
/* Adds the inverse of the spectrum re * scale + offset, im * scale + offset (bin 0 counts as real, frames beyond the ends as zero)
 * to the part's samples of y [samples]: those from dsp_chunk_part to before that of the next part. */
int64_t dsp_chunk_part(const dsp_chunk *c, int part);
void dsp_chunk_inverse(const dsp_chunk *c, dsp_chunk_work *w, int part, const float *re, const float *im, float scale,
                       float offset, float *y);

/* ---- plain frames (frames.c): what CREPE's front end wants, at the rate that it is given ----
 * Frames of `frame` samples every `hop` (also hop > frame); centred: frame t has its middle at sample t * hop, zeros outside the
 * signal. Incomplete frames at the end are dropped. */
typedef enum {
    DSP_FRAME_AS_IT_IS,
    DSP_FRAME_CREPE,     /* mean 0, population deviation 1 (at least 1e-8 is divided by) */
    DSP_FRAME_TORCHCREPE /* mean 0, sample deviation 1 (at least 1e-10) */
} dsp_frame_norm;
typedef struct dsp_frames dsp_frames;
int dsp_frames_new(int frame, int hop, bool centred, dsp_frame_norm norm, dsp_frames **out);
int dsp_frames_push(dsp_frames *f, const float *mono, size_t n,
                    sm_floats *frames);                  /* appends [frames][frame] that are whole */
int dsp_frames_finish(dsp_frames *f, sm_floats *frames); /* the rest; f is then as new */
void dsp_frames_free(dsp_frames *f);
int64_t dsp_frames_count(int frame, int hop, bool centred, int64_t n);            /* of n samples in all */
void dsp_frame_normalise(const float *x, int n, dsp_frame_norm norm, float *out); /* one frame; out may be x */

/* ---- mel front ends of the models (mel.c): one row of a table each ----
 * A front end that is not in the table (an OpenL3 variant) is a spec that the model fills itself. */
enum { DSP_MEL_HTK, DSP_MEL_SLANEY }; /* mel_scale */
enum {
    DSP_FILTER_LINEAR_IN_HZ,
    DSP_FILTER_LINEAR_IN_MEL
};                                             /* filter_shape: the unit in which a triangle's sides are straight */
enum { DSP_FILTER_PEAK_1, DSP_FILTER_AREA_1 }; /* filter_norm: height 1, or divided by half the width in Hz */
enum { DSP_SPECTRUM_MAGNITUDE, DSP_SPECTRUM_POWER }; /* spectrum */
enum { DSP_LOG_NONE, DSP_LOG_E, DSP_LOG_10 };        /* log_kind: log(log_scale * x + log_offset) */
enum {
    DSP_FRAMING_CENTRED, /* Essentia: from -(frame+1)/2 until a frame's middle has left the signal; `dsp_mel_frames` */
    DSP_FRAMING_PATCHES, /* YAMNet: from 0; zeros at the end up to patch_samples + a whole number of patch_hop */
    DSP_FRAMING_MIRROR /* torch.stft, centred: the middle of frame i is sample i * hop, i <= n / hop; beyond its ends the signal
                            is mirrored at the outermost sample (zeros where it has too few of them) */
};
typedef struct {
    const char *name;        /* "yamnet", "musicnn", "vggish", "tempocnn" */
    int rate_hz, frame, hop; /* Hz, samples, samples */
    int fft, bands;          /* length of the DFT (frame, then zeros), mel bands */
    double f_min, f_max;     /* Hz, outer edges of the first and the last filter */
    int mel_scale, filter_shape, filter_norm, spectrum, log_kind, framing;
    double log_offset, log_scale;
    dsp_window_kind window;
    double pre_emphasis; /* a: the signal is y[i] = x[i + 1] - a x[i], a sample shorter; 0: as it is */
    int patch_samples,
        patch_hop; /* for DSP_FRAMING_PATCHES; YAMNet's hop is 7680 (48 frames) unless the user chose another */
} dsp_mel_spec;
const dsp_mel_spec *dsp_mel_find(const char *name); /* NULL: unknown */
typedef struct dsp_mel dsp_mel;
int dsp_mel_new(const dsp_mel_spec *spec,
                dsp_mel **out); /* spec is copied; SM_EUSAGE: sizes that do not fit together */
/* From now on frames are shared out among the pool's threads (borrowed; NULL: none), which must not be running at a push. */
int dsp_mel_share(dsp_mel *m, sm_pool *pool);
int dsp_mel_push(dsp_mel *m, const float *mono, size_t n,
                 sm_floats *frames);               /* appends [frames][bands] that are final */
int dsp_mel_finish(dsp_mel *m, sm_floats *frames); /* the original's end padding; m is then as new, for another sound */
void dsp_mel_free(dsp_mel *m);
int64_t dsp_mel_frames(const dsp_mel_spec *spec, int64_t n); /* frames that n samples give in all, finish included */

/* ---- pictures of one window of sound (picture.c): decibels below the window's loudest place, OpenL3's front ends ----
 * S = |X|, M |X| or sqrt(M |X|^2) of a Hann-windowed DFT in double (the range of 160 dB reaches below what single precision
 * resolves), L = 10 log10(max(S, 1e-10)), picture = max(L - max L, -80). Silence is a picture of zeros. Immutable; any number of
 * threads. */
typedef struct {
    const char *name;     /* for messages */
    int rate_hz, samples; /* of the window */
    int fft, hop, frames; /* fft: 64 to 65536, a power of two */
    int pad_left;         /* frame t begins at sample t hop - pad_left */
    bool reflect;         /* beyond its ends the window is mirrored rather than 0 */
    int bands;            /* mel bands up to rate_hz / 2, of area 1; 0: the fft / 2 + 1 bins themselves */
    int mel_scale;        /* DSP_MEL_HTK, DSP_MEL_SLANEY */
    bool power;           /* filters see powers, and the root is taken behind them */
} dsp_picture_spec;
typedef struct dsp_picture dsp_picture;
int dsp_picture_new(const dsp_picture_spec *spec, dsp_picture **out); /* SM_EUSAGE: sizes that do not fit together */
void dsp_picture_free(dsp_picture *p);
int dsp_picture_rows(const dsp_picture *p); /* bands, or bins */
int dsp_picture_make(const dsp_picture *p, const float *samples,
                     float *out);                                  /* out [rows][frames], low frequencies first */
float dsp_picture_weight(const dsp_picture *p, int band, int bin); /* of the mel matrix */

/* ---- results ---- */
typedef struct {
    double loudness_lufs, loudness_range_lu, true_peak_dbtp, sample_peak_dbfs, rms_dbfs; /* NAN: silence or too short */
    double dynamic_range_db;                                                             /* defined in docs */
    double dc_offset, silence_ratio, start_time_s, duration_effective_s;
    int64_t clipped_samples;
} dsp_levels;

typedef struct {
    double bpm, confidence; /* NAN, 0: no tempo */
    size_t n_candidates;
    struct {
        double bpm, weight;
    } candidates[4]; /* best first; [0] is bpm; the second is the best other octave */
    bool stable;
    double beats_in_file;                /* duration * bpm / 60 */
    double phase_s;                      /* time of the first beat */
    const char *method;                  /* "loop length", "onsets", "acid", ... what decided */
    double bpm_from_name, bpm_from_acid; /* NAN: none */
    size_t n_beats;
    double *beat_times_s; /* owned by the result */
} dsp_tempo;

typedef struct {
    int tonic; /* 0 = C .. 11 = B; -1: atonal or unknown */
    bool minor;
    double confidence, strength, tuning_hz;
    int second_tonic;
    bool second_minor;
} dsp_key;

typedef struct {
    double pitch_hz, pitch_min_hz, pitch_max_hz, confidence, salience; /* NAN: unpitched */
    int note_midi;                                                     /* -1: none */
    double note_cents;                                                 /* -50..50 from that note */
    double note_confidence; /* NAN: no note; 0..1, also by how much of the sound stays on it */
} dsp_pitch;

typedef enum { DSP_KIND_ONE_SHOT, DSP_KIND_LOOP, DSP_KIND_SONG, DSP_KIND_SPEECH, DSP_KIND_SILENCE } dsp_kind;
typedef struct {
    dsp_kind kind;
    double kind_confidence;
    bool loopable, single_event, reverberant;
    double log_attack_time, attack_s, decay_s, temporal_centroid_s;
    double spectral_centroid_hz, spectral_rolloff_hz, spectral_flatness, spectral_entropy, zero_crossing_rate,
        spectral_spread_hz;
    double brightness, hardness, depth, roughness, boominess, warmth, sharpness; /* 0..100 */
    double energy;                                                               /* 0..10 */
    size_t n_onsets;
    double *onset_times_s; /* owned by the result */
} dsp_timbre;

typedef struct {
    double duration_s;
    dsp_levels levels;
    dsp_tempo tempo;
    dsp_key key;
    dsp_pitch pitch;
    dsp_timbre timbre;
} dsp_result;
void dsp_result_free(dsp_result *r);

/* What is known about the sound besides the audio. */
typedef struct {
    const char *file_name; /* for "128bpm", "Am"; or NULL */
    double acid_tempo;     /* 0: none */
    int acid_beats;        /* 0: none */
    bool acid_one_shot, has_loop_points;
} dsp_evidence;

typedef struct {
    double bpm_min, bpm_max;                /* 0: defaults 40..240 */
    bool levels, tempo, key, pitch, timbre; /* what to compute */
} dsp_options;
extern const dsp_options dsp_options_all;

/* Everything model-free about one sound. */
typedef struct dsp_analysis dsp_analysis;
int dsp_analysis_new(const dsp_options *o, int rate_hz, int channels, dsp_analysis **out);
int dsp_analysis_push(dsp_analysis *a, const float *interleaved, size_t frames);
int dsp_analysis_finish(dsp_analysis *a, const dsp_evidence *evidence, dsp_result *out); /* out: dsp_result_free */
void dsp_analysis_free(dsp_analysis *a);

/* Parts, for those who want one only; same life cycle. Mono at DSP_RATE. */
typedef struct dsp_tempo_state dsp_tempo_state; /* tempo.c, beats.c */
int dsp_tempo_new(const dsp_options *o, dsp_tempo_state **out);
int dsp_tempo_push(dsp_tempo_state *t, const float *mono, size_t n);
int dsp_tempo_finish(dsp_tempo_state *t, const dsp_evidence *evidence, dsp_tempo *out);
void dsp_tempo_free(dsp_tempo_state *t);
typedef struct dsp_key_state dsp_key_state; /* key.c */
int dsp_key_new(const dsp_options *o, dsp_key_state **out);
int dsp_key_push(dsp_key_state *k, const float *mono, size_t n);
int dsp_key_finish(dsp_key_state *k, dsp_key *out);
void dsp_key_free(dsp_key_state *k);

/* YIN-family frame pitch: times every hop, Hz (0: unvoiced) and confidence. Used by `samplemind pitch --model yin`. */
int dsp_yin_track(const float *mono, size_t n, int rate_hz, double f_min, double f_max, int hop, sm_floats *hz,
                  sm_floats *confidence);

/* Names. notation: "musical" ("F# minor"), "camelot" ("11A"), "openkey" ("4m"). */
const char *dsp_key_text(const dsp_key *k, const char *notation, char out[16]);
/* "F#m", "A minor", "Bb", "8A", "1m" -> tonic 0..11, minor; false: no key. */
bool dsp_key_read(const char *text, int *tonic, int *minor);
const char *dsp_tonic_read(const char *text, int *tonic); /* at the start of text; gives what follows; NULL: none */
void dsp_note_text(int midi, char out[8]);                /* "A#2" */

/* ---- descriptors.def: field name, unit, range, one sentence; JSON, docs, store and query language read it ---- */
typedef enum { DSP_FIELD_NUMBER, DSP_FIELD_INT, DSP_FIELD_BOOL, DSP_FIELD_TEXT, DSP_FIELD_LIST } dsp_field_type;
typedef struct {
    const char *name, *alias; /* "loudness_lufs", "loudness" or NULL */
    const char *unit;         /* "LUFS", "Hz", "s", "0..1", "0..100" */
    dsp_field_type type;
    double low, high;  /* range; NAN: open */
    const char *group; /* "level", "tempo", "key", "pitch", "envelope", "spectrum", "timbre" */
    const char *sentence;
    /* Writes the value as JSON (null when it does not apply). */
    void (*write)(const dsp_result *r, sm_json *j);
} dsp_field;
size_t dsp_fields(const dsp_field **out);
const char *dsp_kind_name(dsp_kind kind); /* "one_shot", ... */
void dsp_fields_markdown(sm_buffer *out); /* docs/fields.md */

#endif
