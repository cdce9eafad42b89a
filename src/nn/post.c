/* Posts: what passes have fused behind a node, as ref applies it. */
#include "nn/graph.h"

static void affine(float *y, const nn_shape *s, int axis, const float *scale, const float *offset)
{
    const int64_t inner = nn_product(s, axis + 1, s->rank), channels = s->dim[axis], n = nn_elements(s);
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = i / inner % channels;
        y[i] = (float)((double)y[i] * (double)scale[k] + (double)offset[k]);
    }
}

void nn_apply_posts(const nn_post *posts, int n, const nn_operand *in, nn_operand out)
{
    const int64_t elements = nn_elements(&out.shape);
    float *y = out.data;
    for (int p = 0; p < n; p++) {
        const nn_post *post = &posts[p];
        const float *other = post->kind == NN_POST_BINARY ? in[post->input].data : NULL;
        if (post->kind == NN_POST_AFFINE)
            affine(y, &out.shape, post->axis, in[post->input].data, in[post->input + 1].data);
        for (int64_t i = 0; i < elements && post->kind != NN_POST_AFFINE; i++)
            y[i] = (float)(other ? nn_binary_value(post->binary, (double)y[i], (double)other[i])
                                 : nn_unary_value(post->unary, (double)y[i], (double)post->alpha, (double)post->beta));
    }
}
