/* HTDemucs' sizes and its graph, for `models run` and for separation. Private to the models room. */
#ifndef SM_MODELS_HTDEMUCS_H
#define SM_MODELS_HTDEMUCS_H

#include "models/model.h"

enum {
    HTDEMUCS_DEPTH = 4,
    HTDEMUCS_KERNEL = 8,
    HTDEMUCS_STRIDE = 4,
    HTDEMUCS_CHANNELS = 2, /* stereo */
    HTDEMUCS_MAX_SOURCES = 16
};

typedef struct {
    int n_sources;
    char sources[HTDEMUCS_MAX_SOURCES][32];
    int rate_hz;
    int64_t segment;           /* samples of a chunk, the training length */
    int nfft, hop;             /* hop = nfft / 4 */
    int bins, frames;          /* of the spectrum that the network sees: nfft / 2 (no Nyquist), ceil(segment / hop) */
    int width[HTDEMUCS_DEPTH]; /* channels of the layers: 48, 96, 192, 384 */
    bool dconv_encoder, dconv_decoder;
    int dconv_depth, dconv_comp;
    double emb_weight, emb_scale; /* of the stored frequency embedding: x += 0.2 * (10 * e); 0: there is none */
    int bottom;                   /* width of the transformer's tokens when it has samplers in front; 0: width[3] */
    int t_layers, t_heads, t_hidden;
    double t_period, t_weight; /* of the position embeddings: 10000, 1 */
} htdemucs_size;

/* Sizes of weights w: their kwargs ("kwargs" metadata, JSON) and shapes, else the official ones of m; then what config says
 * (htdemucs_config_keys). Thread-safe. SM_EUNSUPPORTED: a kwarg with a value that is not here; SM_EFORMAT, SM_EUSAGE. */
int htdemucs_size_read(const sm_model *m, sm_weights *w, const sm_model_config *c, htdemucs_size *out);
extern const char *const htdemucs_config_keys[];
/* What a file calls our tensor `name`: a package keeps its state under "state."; in `out`, which is returned. */
const char *htdemucs_official(sm_weights *w, const char *name, char out[160]);

/* What the last layers give: rows[r][source] weigh the sources that are summed into row r (their transposed convolutions are
 * summed before they are applied). */
typedef struct {
    int n;
    float rows[HTDEMUCS_MAX_SOURCES][HTDEMUCS_MAX_SOURCES];
} htdemucs_rows;
void htdemucs_all_rows(const htdemucs_size *s, htdemucs_rows *out); /* each source */

/* Adds the network between the normalised branch inputs and the outputs before they are scaled back:
 *   freq [B, 4, bins, frames]: left re, left im, right re, right im;   time [B, 2, segment]
 *   out  freq [B, 4 n, bins, frames], channel 4 row + k;               time [B, 2 n, segment] */
int htdemucs_graph(nn_graph *g, const htdemucs_size *s, const nn_source *w, const htdemucs_rows *rows, int batch);

/* The cross-transformer (htdemucs_transformer.c): tokens of both branches through all layers, in place of *freq [B, frames * rows,
 * D] (frame outer) and *time [B, steps, D]. rows: frequency rows at the bottom. */
void htdemucs_transformer(nn_graph *g, const htdemucs_size *s, const nn_source *w, int64_t rows, nn_id *freq,
                          nn_id *time);

#endif
