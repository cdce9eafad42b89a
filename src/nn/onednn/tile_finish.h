/* What stands behind a product in tiles: bias, gate, posts, and where the numbers go. */
#ifndef SM_NN_ONEDNN_TILE_FINISH_H
#define SM_NN_ONEDNN_TILE_FINISH_H

#include "nn/onednn/onednn.h"
#include "nn/onednn/tiles.h"
#include "nn/onednn/vmath.h"

/* Columns of a product come in groups of `lanes` channels. Gated: groups in pairs, the value's and its gate's channels. A transposed
 * convolution has its channels once for each phase: the groups of phase 0, then those of phase 1, ... */
typedef struct {
    const nn_tiles *tiles;
    const nn_vmath *vmath;
    int filters; /* channels of the result */
    int groups;  /* of lanes, of one phase */
    int phases;
    bool gated;
    const float *bias; /* as the columns are; NULL: none */
    int n_posts;
    struct {
        nn_post_kind kind;
        nn_unary_kind unary;
        const float *scale, *offset; /* AFFINE: [groups][lanes] */
        int in;                      /* BINARY: index of the step's input, which lies as the result does */
    } post[NN_MAX_POSTS];
} nn_tile_finish;

/* For a node with bias as input 2 (or NN_NONE) and any posts; notes operands as the step's reads. 1: a post that cannot be done. */
int nn_tile_finish_make(nn_compiler *c, nn_id node, int phases, bool gated, nn_step *out, nn_tile_finish *f);
int nn_tile_panels(const nn_tile_finish *f);
/* Columns of a panel, and the group of its first. */
int nn_tile_panel(const nn_tile_finish *f, int panel, int *group);
/* Finishes a block of one panel [columns][ldc] of `rows` rows. at: of each phase's rows in the result, [phases][NN_TILE_BLOCK]. */
void nn_tile_finish_panel(const nn_tile_finish *f, int panel, float *block, int64_t ldc, int rows, const int64_t *at,
                          const nn_step *step, const nn_exec *x);

#endif
