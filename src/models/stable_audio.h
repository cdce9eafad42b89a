/* Stable Audio Open's network and what it is told: sizes, names of its weights, graphs. Private to the models room; stable_audio_run.h
 * makes sound with it. */
#ifndef SM_MODELS_STABLE_AUDIO_H
#define SM_MODELS_STABLE_AUDIO_H

#include "models/model.h"
#include "models/oobleck.h"

enum { SA_NAME = 192, SA_MAX_DEPTH = 128, SA_NUMBER_FEATURES = 257 };
#define SA_DIT_PREFIX    "model.model."
#define SA_NUMBER_PREFIX "conditioner.conditioners."

typedef struct {
    /* the diffusion transformer */
    int io; /* channels of latents: 64 */
    int width, depth, heads;
    int cond_width;   /* of a token of the prompt: 768 */
    int cond_inner;   /* of it behind to_cond_embed: 768 or the width */
    int global_width; /* of the global condition: as many cond_widths as there are numbers in it */
    bool qk_norm;
    bool flow;  /* rectified flow; else the v objective */
    bool shift; /* rk4's times are shifted */
    /* what it is told */
    int prompt_tokens;             /* 128, 64 */
    bool has_start;                /* seconds_start beside seconds_total */
    double number_min, number_max; /* 0, 512 */
    /* the sound */
    int rate_hz;
    int64_t canvas; /* samples: 2,097,152 */
    double latent_scale;
    oobleck_size vae;
} sa_size;

/* Sizes of weights w: their model_config (metadata "kwargs", or model_config.json beside the file), their shapes, else the
 * official ones of m; then what config says. SM_EUNSUPPORTED names what is not here; SM_EFORMAT, SM_EUSAGE. */
int sa_size_read(const sm_model *m, sm_weights *w, const sm_model_config *c, sa_size *out);
extern const char *const sa_config_keys[];
/* What is kept of model_config.json: the caller's, sm_free; NULL: there is none (or no memory). */
char *sa_config_json(sm_weights *w);
static inline int sa_head(const sa_size *s)
{
    return s->width / s->heads;
}

/* What a file calls our tensor `name`; false: it has none of it (out is then the name itself). Made-up weights have any. */
bool sa_official(sm_weights *w, const char *name, char out[SA_NAME]);
/* diffusers' name of a canonical tensor; false: it has none of that name (stacked ones are cut there: sa_adapt). */
bool sa_diffusers_name(const char *name, char out[SA_NAME]);
int sa_adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out);

/* ---- graphs (stable_audio_dit.c) ---- */
/* Everything from its plain inputs, any batch: x [B, io, T], t [B], cross [B, L, cond_width], global [B, global_width] -> v [B, io, T].
 * For `models run`, conversion and goldens. */
int sa_graph_plain(nn_graph *g, const sa_size *s, const nn_source *w, int batch, int latents, int tokens);
/* What stays the same for all steps: cross [branches, keys, cond_width], global [1, global_width] -> "global" [1, width],
 * "k.i", "v.i" [branches, kv heads, keys, head]. */
int sa_graph_conditions(nn_graph *g, const sa_size *s, const nn_source *w, int branches, int keys);
/* One evaluation: x [1, io, T], t [1], "global", "mask" [branches with keys, 1, 1, keys] (added to the scores), "k.i", "v.i" ->
 * v [rows, io, T]. rows 2: with guidance, the second without condition (crossed 1: cross attention would add 0 there) or with a
 * condition of its own (crossed 2). */
typedef struct {
    int latents, rows, crossed, keys;
} sa_form;
int sa_graph_step(nn_graph *g, const sa_size *s, const nn_source *w, const sa_form *f);

/* ---- conditions (stable_audio_conditions.c) ---- */
/* The embedding of a number of seconds; name: "seconds_start" or "seconds_total"; out [cond_width]. */
int sa_number(const sa_size *s, const nn_source *w, const char *name, double seconds, float *out);
/* Rows of zeros of cross [n][width] count as one key with ln(how many) added to its score: fills keys [..][width] and mask [..], gives how
 * many; at most n. At least one. */
int sa_merge_zero_rows(const float *cross, int n, int width, float *keys, float *mask);
/* Guidance: v = negative + scale (condition - negative), all [channels, length]; phi 0..1: so much of it with the condition's spread over
 * the channels. v may be none of the others. */
void sa_guide(const float *condition, const float *negative, int channels, int64_t length, double scale, double phi,
              float *v);

#endif
