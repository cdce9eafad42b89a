/* Attention in blocks: every instruction set of this CPU against the definition in double, at sizes around its blocks; heads read
 * where they lie in the tokens; threads. */
#include "support/nn_support.h"

#include "nn/onednn/attention.h"

#include <math.h>
#include <string.h>

static size_t kernels_here(const nn_attention_kernel *out[4])
{
    sm_cpu_info cpu;
    size_t n = 0;
    sm_cpu_detect(&cpu);
    out[n++] = &nn_attention_base;
    if (cpu.avx2 && cpu.fma)
        out[n++] = &nn_attention_avx2;
    if (cpu.avx512)
        out[n++] = &nn_attention_avx512;
    if (cpu.avx512 && cpu.avx512_bf16)
        out[n++] = &nn_attention_avx512_bf16;
    return n;
}

/* One query by the definition. */
static void defined(const nn_attention_head *h, int64_t i, double *score, double *y)
{
    const int64_t seen = h->causal ? SM_CLAMP(i + h->visible - h->tq + 1, 0, h->visible) : h->visible;
    double top = -INFINITY, total = 0;
    for (int64_t j = 0; j < seen; j++) {
        score[j] = h->mask ? (double)h->mask[i * h->mask_row + j * h->mask_key] : 0;
        for (int64_t e = 0; e < h->d; e++)
            score[j] += (double)h->q[i * h->q_row + e] * (double)h->k[j * h->k_row + e] * (double)h->scale;
        top = fmax(top, score[j]);
    }
    memset(y, 0, (size_t)h->dv * sizeof *y);
    for (int64_t j = 0; j < seen && top > -INFINITY; j++) {
        const double p = exp(score[j] - top);
        total += p;
        for (int64_t e = 0; e < h->dv; e++)
            y[e] += p * (double)h->v[j * h->v_row + e];
    }
    for (int64_t e = 0; e < h->dv; e++)
        y[e] = total > 0 ? y[e] / total : 0;
}

/* Largest error, and whether anything was written between the rows of the result. */
static double head_error(const nn_attention_kernel *k, nn_attention_head *h, bool rows)
{
    float *keys = sm_alloc_aligned(k->packed_keys(h->tk, h->d) + 1, sizeof *keys),
          *values = sm_alloc_aligned(k->packed_values(h->tk, h->dv) + 1, sizeof *values),
          *work = sm_alloc_aligned(k->block_work(h->d, h->dv) + (size_t)h->tk + 64, sizeof *work);
    double *score = sm_alloc((size_t)h->tk, sizeof *score), *y = sm_alloc((size_t)h->dv, sizeof *y), worst = 0;
    float *out = sm_alloc((size_t)(h->tq * h->out_row), sizeof *out);
    assert_true(keys && values && work && score && y && out);
    for (int64_t i = 0; i < h->tq * h->out_row; i++)
        out[i] = 77;
    h->out = out;
    for (int64_t j = 0; j < h->tk && !rows; j += 64)
        k->pack(h, j, j + 64, keys, values);
    for (int64_t i = 0; i < h->tq; i += rows ? 1 : NN_ATTENTION_BLOCK)
        if (rows)
            k->row(h, i, work);
        else
            k->block(h, keys, values, i, SM_MIN(h->tq - i, NN_ATTENTION_BLOCK), work);
    for (int64_t i = 0; i < h->tq; i++) {
        defined(h, i, score, y);
        for (int64_t e = 0; e < h->out_row; e++) {
            const double truth = e < h->dv ? y[e] : 77, error = fabs((double)out[i * h->out_row + e] - truth);
            worst = error <= worst ? worst : error != error ? INFINITY : error;
        }
    }
    sm_free(keys);
    sm_free(values);
    sm_free(work);
    sm_free(score);
    sm_free(y);
    sm_free(out);
    return worst;
}

/* Values are of size 1 and weights sum to 1: sums of a few hundred terms in f32 stay within some 1e-6. In bf16 each value and weight is
 * off by 2^-9 at most, and a score by 2^-8 of its terms' sizes. */
static void blocks_and_rows_agree_with_the_definition(void **state)
{
    static const struct {
        int tq, tk, d, dv, visible;
        bool causal, mask;
        double size; /* of scores: large ones move the maximum about */
    } rows[] = {
        { 1, 1, 1, 1, 1, false, false, 1 },         { 9, 31, 5, 3, 31, false, false, 1 },
        { 24, 32, 16, 16, 32, false, false, 1 },    { 96, 256, 64, 64, 256, false, false, 1 },
        { 97, 257, 48, 48, 257, false, false, 3 },  { 193, 300, 64, 64, 300, true, false, 1 },
        { 100, 530, 33, 65, 530, true, true, 3 },   { 50, 700, 64, 130, 511, true, true, 9 },
        { 25, 40, 8, 8, 0, false, false, 1 },       { 40, 513, 20, 31, 20, true, false, 1 },
        { 70, 600, 17, 100, 600, false, true, 30 },
    };
    const nn_attention_kernel *kernels[4];
    const size_t n = kernels_here(kernels);
    enum { ROOM = 800 * 200 };
    float *data[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        data[i] = sm_alloc(ROOM, sizeof(float));
        assert_non_null(data[i]);
    }
    for (size_t k = 0; k < n; k++)
        for (size_t r = 0; r < SM_LENGTH(rows); r++) {
            test_fill(data[0], ROOM, "q", r, 0, rows[r].size);
            test_fill(data[1], ROOM, "k", r, 0, 1);
            test_fill(data[2], ROOM, "v", r, 0, 1);
            test_fill(data[3], ROOM, "mask", r, 0, 2);
            for (int i = 0; i < ROOM; i += 7) /* some keys are forbidden, and all of one query's */
                data[3][i] = -INFINITY;
            for (int j = 0; j < rows[r].tk; j++)
                data[3][3 * rows[r].tk + j] = -INFINITY;
            nn_attention_head h = { .q = data[0], .k = data[1], .v = data[2], .mask = rows[r].mask ? data[3] : NULL };
            h.q_row = rows[r].d + 5;
            h.k_row = rows[r].d + 3;
            h.v_row = rows[r].dv + 1;
            h.out_row = rows[r].dv + 2;
            h.mask_row = rows[r].tk;
            h.mask_key = 1;
            h.tq = rows[r].tq;
            h.tk = rows[r].tk;
            h.d = rows[r].d;
            h.dv = rows[r].dv;
            h.visible = rows[r].visible;
            h.causal = rows[r].causal;
            h.scale = (float)(1 / sqrt((double)h.d));
            for (int single = 0; single < 2; single++) {
                const double e = head_error(kernels[k], &h, single);
                const bool rounds = kernels[k] == &nn_attention_avx512_bf16 && !single;
                if (!(e <= (rounds ? 0.004 + 0.006 * rows[r].size : 4e-6)))
                    fail_msg("%s, row %zu, %s: error %g", kernels[k]->name, r, single ? "single" : "blocks", e);
            }
        }
    for (int i = 0; i < 4; i++)
        sm_free(data[i]);
}

/* ---- heads in tokens ---- */

typedef enum { SEPARATE, FUSED, STACKED, FORMS } form;

static nn_id heads_of(nn_graph *g, nn_id x, int heads)
{
    const nn_shape s = nn_shape_of(g, x);
    return nn_permute(g, nn_reshape(g, x, NN_SHAPE(s.dim[0], s.dim[1], heads, s.dim[2] / heads)),
                      (const int[]){ 0, 2, 1, 3 });
}

/* Self attention of a transformer: projections in one of the ways in which models spell them. */
static nn_graph *self_attention(form f, int batch, int tokens, int heads, int d, test_nn_weights *w)
{
    const nn_source *from = test_nn_source(w);
    const int width = heads * d;
    nn_graph *g = nn_graph_new();
    nn_id x = nn_input(g, "x", NN_SHAPE(batch, tokens, width)), part[3];
    if (f == SEPARATE)
        for (int i = 0; i < 3; i++)
            part[i] =
                heads_of(g, nn_linear(g, x, nn_weight(g, from, nn_name(g, "w%d", i), NN_SHAPE(width, width)), NN_NONE),
                         heads);
    else {
        const nn_id all = nn_linear(g, x, nn_weight(g, from, "w", NN_SHAPE(3 * width, width)),
                                    nn_weight(g, from, "b", NN_SHAPE(3 * width)));
        const nn_id stack =
            nn_permute(g, nn_reshape(g, all, NN_SHAPE(batch, tokens, 3, heads, d)), (const int[]){ 2, 0, 3, 1, 4 });
        for (int i = 0; i < 3; i++)
            part[i] = f == FUSED ? heads_of(g, nn_slice(g, all, 2, i * width, (i + 1) * width, 1), heads)
                                 : nn_reshape(g, nn_slice(g, stack, 0, i, i + 1, 1), NN_SHAPE(batch, heads, tokens, d));
    }
    const nn_attention_attrs a = { .scale = (float)(1 / sqrt((double)d)) };
    nn_id y = nn_attention(g, part[0], part[1], part[2], NN_NONE, NN_NONE, &a);
    y = nn_reshape(g, nn_permute(g, y, (const int[]){ 0, 2, 1, 3 }), NN_SHAPE(batch, tokens, width));
    nn_output(g, "y", nn_linear(g, y, nn_weight(g, from, "out", NN_SHAPE(width, width)), NN_NONE));
    return g;
}

static void heads_are_read_where_they_lie(void **state)
{
    test_nn_weights *w = test_nn_weights_new();
    (void)state;
    for (form f = SEPARATE; f < FORMS; f++) {
        nn_graph *g = self_attention(f, 2, 110, 3, 20, w);
        const nn_profile_row *rows;
        nn_run_state *run = NULL;
        nn_plan *p = NULL;
        test_nn_same(g, "onednn", NULL, 5, 2e-6, "self attention");
        test_ok(nn_compile(g, &(nn_compile_options){ .precision = NN_PRECISION_F32 }, &p));
        test_ok(nn_run_state_new(p, &run));
        const size_t n = nn_run_profile_rows(run, &rows);
        for (size_t i = 0; i < n; i++)
            if (strcmp(rows[i].op, "linear") != 0 && strcmp(rows[i].op, "attention") != 0)
                fail_msg("form %d: %s (%s) is left", (int)f, rows[i].op, rows[i].kernel);
        nn_run_state_free(run);
        nn_plan_free(p);
        nn_graph_free(g);
    }
    test_nn_weights_free(w);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    nn_graph *g = nn_graph_new();
    test_nn_ports one, more;
    (void)state;
    const nn_id q = nn_input(g, "q", NN_SHAPE(2, 4, 210, 24)), k = nn_input(g, "k", NN_SHAPE(2, 2, 700, 24));
    const nn_id v = nn_input(g, "v", NN_SHAPE(2, 2, 700, 40));
    const nn_attention_attrs a = { .scale = 1, .causal = true };
    nn_output(g, "y", nn_attention(g, q, k, v, NN_NONE, NN_NONE, &a));
    test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32 }, NULL, 1, &one);
    for (int threads = 2; threads <= 3; threads++) {
        test_nn_run(g, &(nn_compile_options){ .precision = NN_PRECISION_F32, .threads = threads }, NULL, 1, &more);
        assert_memory_equal(one.out[0], more.out[0], one.length[0] * sizeof(float));
        test_nn_ports_free(&more);
    }
    test_nn_ports_free(&one);
    nn_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_and_rows_agree_with_the_definition),
        cmocka_unit_test(heads_are_read_where_they_lie),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
