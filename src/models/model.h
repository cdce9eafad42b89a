/* models: the official networks. What a model's files are called, what its graph is, what it hears, what its answers mean.
 * Knows nothing of the command line or of where weights are kept.
 *
 *     const sm_model *m = sm_model_find("yamnet");
 *     sm_model_open(m, weights, &options, &handle);              // immutable: any number of threads share it
 *     sm_model_worker_new(handle, &worker);                      // one a thread
 *     sm_stream_new(handle, &stream_options, &stream);           // one a file
 *     while (front end gives rows) {
 *         sm_stream_push(stream, rows, n);
 *         if (sm_stream_ready(stream) >= sm_model_batch(handle))
 *             sm_streams_run(worker, &stream, 1, false);
 *     }
 *     sm_stream_end(stream);
 *     sm_streams_run(worker, streams_of_many_files, n, true);    // what is left, batched over files
 *     sm_stream_finish(stream, &result);                         // pooled answer
 *
 * A row is what the front end emits per hop: `bands` floats of a mel front end, one sample of raw audio, or one embedding. */
#ifndef SM_MODELS_MODEL_H
#define SM_MODELS_MODEL_H

#include "dsp/dsp.h"
#include "weights/weights.h"

typedef enum {
    SM_TASK_TAGS,
    SM_TASK_PITCH,
    SM_TASK_TEMPO,
    SM_TASK_EMBEDDING,
    SM_TASK_FRONT_END,
    SM_TASK_STEMS, /* from here on not a stream of patches, and nothing that analyze runs: separation.h */
    SM_TASK_SOUND  /* makes sound from words, or is a part of what does */
} sm_task;

typedef struct sm_model sm_model;
typedef struct sm_model_handle sm_model_handle;
typedef struct sm_model_worker sm_model_worker;
typedef struct sm_stream sm_stream;
typedef struct sm_view sm_view;
typedef struct sm_model_result sm_model_result;

/* ---- what a model wants to hear ---- */
typedef enum {
    SM_SHORT_REPEAT, /* a sound with fewer rows than a patch is tiled from its own beginning (Essentia's "repeat") */
    SM_SHORT_ZERO,   /* rows of zeros follow */
    SM_SHORT_NONE    /* no answer: SM_EUNSUPPORTED from sm_stream_finish, with the length it needs */
} sm_short_rule;

typedef struct {
    int rate_hz;               /* of the mono audio; 0 for heads */
    sm_resample_kind resample; /* how the original gets to that rate */
    const char *front_end; /* dsp_mel's name; NULL: rows are samples (bands 1), or embeddings when `backbone` is set */
    const char *backbone;  /* sm_model name whose embedding rows are this head's input; NULL: none */
    int bands;             /* floats a row */
    int patch, hop;        /* rows a patch, rows between patch starts */
    int pad_before, pad_after; /* rows of zeros around the sound (CREPE's centring: 512, 512) */
    int drop_last;             /* rows at the end that complete no patch (EffNet's frame count is one short) */
    sm_short_rule when_short;
    float
        skip_below; /* rows at the beginning whose largest value is smaller are silence before the sound; 0: all count */
    int batch;      /* most patches in one run; a power of two */
} sm_needs;

/* Sizes of a build. `text` holds "k=v,k=v" from --config (NULL: official); every key must be one the model names. */
typedef struct {
    int batch;
    const char *variant; /* what recognise found: "full", "deeptemp-k4"; NULL or "": the model's default */
    const char *text;
} sm_model_config;
/* The value of `key`, or `standard`; *err becomes SM_EUSAGE when it is there and not an integer in low..high. err may be NULL. */
int64_t sm_config_int(const sm_model_config *c, const char *key, int64_t standard, int64_t low, int64_t high, int *err);
/* The value of `key` copied to out, or `standard`. */
const char *sm_config_text(const sm_model_config *c, const char *key, const char *standard, char out[64]);
/* 0, or SM_EUSAGE naming the key that is not in `known` (NULL-ended). */
int sm_config_check(const sm_model_config *c, const char *const *known);

/* ---- class lists ---- */
typedef struct {
    size_t n;
    const char *const *names;
    const char *const *ids; /* AudioSet mids of YAMNet; NULL: none */
    const char *from;       /* "metadata", "class map", "documentation": how sure the order is */
} sm_classes;

/* The .json that Essentia publishes beside a model. Everything a file does not say is NULL or 0. */
typedef struct sm_card {
    char *json; /* the whole text, as kept in a converted file */
    const char *name, *link, *type, *version, *algorithm, *backbone, *backbone_algorithm, *framework;
    int rate_hz;
    size_t n_classes;
    const char *const *classes;
    const char *input, *predictions, *embeddings; /* node names by output_purpose */
    sm_arena *arena;
} sm_card;
int sm_card_read(const char *path, sm_card **out); /* SM_EFORMAT: not such a JSON */
int sm_card_parse(const char *json, size_t length, const char *label, sm_card **out);
void sm_card_free(sm_card *c);
/* The path of the .json that belongs to a model file ("x.pb" -> "x.json"), if one is there; the caller's, or NULL. */
char *sm_card_path(const char *model_path);

/* ---- weights seen under the model's own (canonical) names and layouts ---- */
/* A model's adapter gives the tensor `name` from whatever official container `w` is: transposed, dequantised, folded. What it
 * makes lives in the view's arena. Canonical files are read directly, without it. */
typedef int (*sm_adapt)(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out);
int sm_view_open(const sm_model *m, sm_weights *w, const char *variant, sm_view **out); /* w borrowed */
void sm_view_close(sm_view *v);
nn_source sm_view_source(sm_view *v);
sm_weights *sm_view_weights(sm_view *v);
const sm_model *sm_view_model(const sm_view *v); /* NULL: a bare graph */
/* The foreign graph of an ONNX or TensorFlow file, or what a converted file keeps of it; NULL: none. */
const sm_foreign_graph *sm_view_graph(sm_view *v);
const char *sm_view_variant(const sm_view *v);

/* ---- a model ---- */
typedef struct {
    const char *url; /* without a mirror's base */
    int64_t bytes;   /* of the download; 0: not known */
    const char *
        sha256; /* of the download; NULL: not known, checked by its tensors and pinned at first import. Of 40 digits: instead
                           the SHA-1 of it as git's blob, where only that is known */
    const char *card; /* URL of the metadata .json; NULL: none */
} sm_model_source_file;

typedef struct {
    int patches;        /* patches (frames for CREPE) in 10 s of audio */
    double audio_s;     /* 10 */
    const char *config; /* of the part that is timed; NULL: none */
} sm_bench_case;

/* A front end that sees whole patches of samples and makes the network's input of each (OpenL3: decibels below the loudest place
 * of the window, so that neighbours share nothing). One object a handle, immutable; any number of threads call make. */
typedef struct {
    int (*open)(const sm_model *m, const sm_model_config *c, void **front);
    void (*close)(void *front);
    /* patch [needs.patch][needs.bands] -> input. 1; 0: the patch is silence and counts in no mean; negative: failed. */
    int (*make)(const void *front, const float *patch, float *input);
} sm_patch_front;

struct sm_model {
    const char *name;     /* "yamnet" */
    const char *official; /* the publisher's name of the file without ending; NULL: the same */
    sm_task task;
    const char *field; /* the key of its answer in a record: "yamnet", "danceability" */
    const char *summary, *licence, *page;
    sm_needs needs;
    const sm_classes *classes; /* when the weights name none; NULL: none, or class_list */
    const char *class_list;    /* likewise, by name */
    const sm_model_source_file *sources;
    size_t n_sources;
    sm_bench_case bench;
    const char *const *config_keys; /* NULL-ended; NULL: none */
    const char *activation;         /* "sigmoid", "softmax", "linear": what the scores are */
    bool embedding;                 /* output "embedding" exists */
    const char *space;              /* the embedding's space with its version; NULL: NAME "/1" */
    const void *binding;            /* the model file's own constant */
    /* True when these weights are this model's (by content: tensors, shapes, graph; the card may tell twins apart). Fills variant. */
    bool (*recognise)(const sm_model *m, sm_weights *w, const sm_card *card, const char *name_hint, char variant[32]);
    sm_adapt adapt;            /* NULL: canonical names only */
    sm_weights_rule generated; /* of made-up weights; NULL: default rules */
    /* Builds the network: inputs "x" etc. as nn_input, outputs "scores", "embedding", "activation" ... Batch and sizes by c. */
    int (*build)(nn_graph *g, const sm_model *m, sm_view *v, const sm_model_config *c);
    /* What a converted file must keep beside tensors (as its metadata "kwargs"): configuration that stands in a file of its own. The
     * caller's, sm_free; NULL: nothing (or no memory). NULL: what the weights' own "kwargs" say. */
    char *(*keep)(sm_weights *w);
    /* Writes the canonical tensors itself, as they are stored; NULL: what build() asks for is written, in f32. */
    int (*write)(const sm_model *m, sm_weights *w, sm_safetensors_writer *out);
    /* In place, before the network; torch: torchcrepe's way. NULL: none */
    void (*prepare)(const sm_model *m, float *patch, size_t rows, size_t bands, bool torch);
    /* What this file wants to hear where it differs from `needs` (its front end); NULL: never. */
    void (*hear)(const sm_model *m, const sm_weights *w, const char *variant, sm_needs *needs);
    const sm_patch_front *patch_front; /* NULL: rows are what the network takes */
    /* What becomes of each patch's answer; NULL: scores are pooled (mean and maximum). */
    const struct sm_pooling *pooling;
};

/* All models, in the order of models.def; n receives how many. */
const sm_model *const *sm_models(size_t *n);
const sm_model *sm_model_find(const char *name); /* also by official name; NULL: unknown */
const char *sm_task_name(sm_task t);             /* "tags" */

/* Whose weights these are. path gives the name's hint and may be NULL; card may be NULL. SM_ENOTFOUND when nobody's. */
int sm_model_recognise(sm_weights *w, const char *path, const sm_card *card, const sm_model **model, char variant[32]);
/* Weights that are part of the program (a safetensors file in memory, for ever); NULL: this model has none. */
const void *sm_model_shipped(const char *name, size_t *size);
#define SM_BUILT_IN "built-in:" /* in front of a model's name: the path of its shipped weights */
/* Opens weights of any official container, with its card when one lies beside it (or inside, in a converted file); also
 * SM_BUILT_IN "NAME". */
int sm_model_open_file(const char *path, sm_weights **w, sm_card **card, const sm_model **model, char variant[32]);
/* Writes one canonical safetensors file: metadata model, variant, source_format, source_sha256 (given), classes, card, and for
 * imported graphs `graph`. path is replaced when whole. */
int sm_model_convert(const sm_model *m, sm_weights *w, const char *variant, const sm_card *card,
                     const char *source_sha256, const char *path);

/* ---- opening and running ---- */
typedef struct {
    const char *backend;    /* NULL: "onednn" */
    nn_precision precision; /* NN_PRECISION_AUTO: f32 unless the model's page says otherwise */
    int threads;            /* that share the patches of a run; 0: 1. A worker has so many of its own */
    const char *variant;    /* NULL: recognised */
    const char *config;     /* "k=v,..", NULL: official sizes */
    const sm_card *card;    /* NULL: none, or what the weights' metadata holds. Copied where needed */
    bool emulate;
} sm_model_options;

/* w borrowed: it must outlive the handle. options NULL: defaults. Plans are compiled at first use of a batch size. */
int sm_model_open(const sm_model *m, sm_weights *w, const sm_model_options *options, sm_model_handle **out);
void sm_model_close(sm_model_handle *h);
const sm_model *sm_model_of(const sm_model_handle *h);
const sm_classes *sm_model_classes(const sm_model_handle *h); /* NULL: none */
const sm_needs *sm_model_needs(const sm_model_handle *h);
int sm_model_batch(const sm_model_handle *h); /* the largest batch worth waiting for */
const char *sm_model_variant(const sm_model_handle *h);
const char *sm_model_precision(const sm_model_handle *h); /* "f32", "bf16": what runs */
size_t sm_model_weight_bytes(const sm_model_handle *h);   /* packed, shared by all batch sizes */

int sm_model_worker_new(sm_model_handle *h, sm_model_worker **out); /* activations and scratch of one thread */
void sm_model_worker_free(sm_model_worker *w);
/* The worker's threads, for its owner's own use between runs; NULL when it has only the caller's. */
sm_pool *sm_model_worker_pool(sm_model_worker *w);

/* ---- a file's way through a model ---- */
/* Decoders of CREPE's activation; the first three are crepe's, the others torchcrepe's. */
typedef enum {
    SM_PITCH_LOCAL_AVERAGE, /* crepe's default */
    SM_PITCH_VITERBI,       /* crepe --viterbi */
    SM_PITCH_ARGMAX,        /* torchcrepe argmax */
    SM_PITCH_WEIGHTED,      /* torchcrepe weighted_argmax */
    SM_PITCH_TORCH_VITERBI, /* torchcrepe viterbi */
    SM_PITCH_DECODERS
} sm_pitch_decoder;
const char *
sm_pitch_decoder_name(sm_pitch_decoder d); /* "crepe", "viterbi", "argmax", "weighted", "torchcrepe-viterbi" */
bool sm_pitch_decoder_find(const char *name, sm_pitch_decoder *out);

typedef struct {
    bool curve;      /* keep every patch's scores (and embeddings) */
    bool activation; /* CREPE: keep [frames, 360] */
    int hop;         /* rows between patches; 0: the model's own (CREPE: 160 = 10 ms) */
    bool no_padding; /* CREPE --no-centering */
    sm_pitch_decoder decoder;
    double f_min, f_max; /* torchcrepe decoders; 0: 50 and 2006 */
    bool torch_frames;   /* normalise frames as torchcrepe does (deviation over 1023) */
    int lead;            /* rows of zeros in front of the sound, besides the model's own */
    bool whole;          /* nothing is left out: silence before the sound counts, and zeros fill the last patch */
} sm_stream_options;

int sm_stream_new(sm_model_handle *h, const sm_stream_options *o, sm_stream **out); /* o NULL: defaults */
void sm_stream_free(sm_stream *s);
/* From now on each embedding that `backbone` computes is pushed into `head` (which outlives it, or is detached by its end). */
int sm_stream_feed(sm_stream *backbone, sm_stream *head);
/* Appends n rows (needs.bands floats each). Memory is what is pushed and not yet run: call sm_streams_run when ready. */
int sm_stream_push(sm_stream *s, const float *rows, size_t n);
int sm_stream_end(sm_stream *s);            /* no more rows: padding and the rule for short sounds apply */
size_t sm_stream_ready(const sm_stream *s); /* patches that could run now */
/* Runs ready patches of n streams of the worker's model in common batches. all false: only full batches are run, the rest waits. */
int sm_streams_run(sm_model_worker *w, sm_stream *const *streams, size_t n, bool all);

struct sm_model_result {
    const sm_model *model;
    size_t patches, n_classes, n_embedding;
    double hop_s;                    /* between patches */
    float *mean, *max;               /* [n_classes]; NULL: no patches or no classes */
    float *curve;                    /* [patches, n_classes] when asked for */
    size_t heard;                    /* patches that are not silence; of models with a patch_front, else all */
    float *embedding;                /* mean [n_embedding] over these; NULL: none */
    float *embeddings;               /* [patches, n_embedding] when asked for */
    float *time_s, *hz, *confidence; /* [patches], pitch; hz 0: none; NAN: excluded */
    int32_t *bins;                   /* [patches], pitch: the decoder's bin */
    float *activation;               /* [patches, 360] when asked for */
    double bpm, bpm_confidence;      /* tempo: majority vote of the patches, mean probability; NAN: none */
    float *distribution;             /* tempo: mean [256], class i = i + 30 BPM */
    int32_t *local_bpm;              /* [patches] */
};
/* The pooled answer; the stream stays and is empty afterwards. Before sm_stream_end + a run with all = true: SM_EUSAGE. */
int sm_stream_finish(sm_stream *s, sm_model_result *out);
void sm_model_result_free(sm_model_result *r); /* leaves it empty */
/* Writes the answer's keys and values into an object that the caller has begun. Tags: "top" [[name, score], ...] (top: how many
 * classes, 0: all), of two classes "value", "probability", "all"; pitch: medians, with `curve` all frames; tempo: "bpm" ... */
void sm_model_result_fields(const sm_model_result *r, const sm_classes *classes, int top, bool curve, sm_json *j);
/* Indices of the `top` largest of mean, best first (ties: smaller index first); gives how many. */
size_t sm_model_result_top(const sm_model_result *r, size_t top, size_t *indices);

/* ---- pitch tools (crepe_decode.c, crepe_filter.c); frames = time steps, NAN = unvoiced ---- */
typedef struct {
    float threshold_lower, threshold_upper, width, stds; /* .19 .31 .2 1.7 */
} sm_pitch_hysteresis;
/* activation [frames, 360]; outputs [frames], bins may be NULL. */
int sm_pitch_decode(sm_pitch_decoder d, const float *activation, size_t frames, double f_min, double f_max, float *hz,
                    float *confidence, int32_t *bins);
int sm_pitch_median(const float *x, size_t n, int width, float *out); /* out [n], or [n + 1] for an even width */
int sm_pitch_mean(const float *x, size_t n, int width, float *out);
void sm_pitch_threshold(const float *hz, const float *periodicity, size_t n, float at, float *out);
/* thresholds may be NULL; else the threshold of each frame. */
int sm_pitch_hysteresis_threshold(const float *hz, const float *periodicity, size_t n, const sm_pitch_hysteresis *o,
                                  float *out, float *thresholds);
/* periodicity becomes 0 where the A-weighted loudness of 16 kHz audio, hop samples a frame, is below db. */
int sm_pitch_silence(const float *audio, size_t samples, int hop, double db, float *periodicity, size_t frames);

/* ---- from YAMNet's classes to a producer's instruments ---- */
typedef struct {
    int yamnet_index;
    const char *instrument;
    float weight;
} sm_yamnet_evidence;
const sm_yamnet_evidence *sm_yamnet_evidence_rows(size_t *n);
enum { SM_INSTRUMENTS = 25 };
extern const char *const sm_instruments[SM_INSTRUMENTS]; /* labels.csv's classes, sorted */
/* evidence[c] = max over rows of class c of score * weight. scores [521]. */
void sm_yamnet_instruments(const float *scores, float evidence[SM_INSTRUMENTS]);

/* ---- the bare network ---- */
typedef struct {
    const char *backend, *config, *variant;
    nn_precision precision;
    int threads;
    bool taps, emulate;
} sm_run_options;
/* Runs a model (or, when m is NULL, whatever graph the weights hold) on the tensors of in_path: each of the network's inputs by
 * name, "in.NAME", or the only tensor there is; the batch is its first dimension. Writes out.NAME and, with taps, each traced
 * layer under its own name, to out_path (safetensors). */
int sm_model_run_bare(const sm_model *m, sm_weights *w, const sm_run_options *o, const char *in_path,
                      const char *out_path);
/* Same on tensors in memory, for tests and bench. Given and got by name. */
typedef struct {
    char name[128];
    nn_tensor tensor; /* f32, owned: sm_named_free */
} sm_named;
int sm_model_run_tensors(const sm_model *m, sm_weights *w, const sm_run_options *o, const sm_named *in, size_t n_in,
                         sm_named **out, size_t *n_out);
void sm_named_free(sm_named *list, size_t n);
/* The network compiled for one batch (c->batch), for timing. The view (sm_view_open) must outlive the plan. */
int sm_model_compile(sm_view *v, const sm_model_config *c, const nn_compile_options *o, nn_plan **out);

/* ---- foreign graphs ---- */
/* Adds a foreign graph's nodes to g. `batch` replaces an unknown first dimension of inputs; `values` of shape arithmetic are
 * computed here. Output names as in the file; rename (may be NULL) maps them. SM_EUNSUPPORTED names the operator and the node. */
typedef struct {
    int batch;
    const char *const *outputs;   /* value names to give out, NULL-ended; NULL: the graph's own */
    const char *const *names;     /* what they are called in g; NULL: as in the file */
    bool tap_all;                 /* every node's output is a tap of its name */
    const nn_shape *input_shapes; /* by graph input; NULL: as the file says, with batch */
} sm_import_options;
int sm_import_graph(nn_graph *g, const sm_foreign_graph *f, const nn_source *w, const sm_import_options *o);
/* True when `name` is a value of the graph, also one that a fused node hides ("model/dense/BiasAdd" of "model/dense/Relu"). */
bool sm_import_has(const sm_foreign_graph *f, const char *name);

#endif
