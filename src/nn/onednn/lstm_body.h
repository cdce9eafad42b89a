/* The kernel of lstm.h for one instruction set. Included behind simd_*.h and vmath_body.h. */
#include "nn/onednn/lstm.h"

/* Two sums a gate: eight chains of multiply-adds keep both units of a core busy. */
static void units(const nn_lstm_units *u)
{
    const float *w = u->weights;
    vec a[NN_LSTM_GATES], b[NN_LSTM_GATES];
    int64_t k = 0;

    for (int i = 0; i < NN_LSTM_GATES; i++) {
        a[i] = v_load(u->given[i]);
        b[i] = v_zero();
    }
    for (; k + 2 <= u->depth; k += 2, w += 2 * NN_LSTM_GATES * LANES) {
        const vec x = v_set1(u->last[k]), y = v_set1(u->last[k + 1]);
        for (int i = 0; i < NN_LSTM_GATES; i++) {
            a[i] = v_fma(x, v_load(w + i * LANES), a[i]);
            b[i] = v_fma(y, v_load(w + (NN_LSTM_GATES + i) * LANES), b[i]);
        }
    }
    if (k < u->depth)
        for (int i = 0; i < NN_LSTM_GATES; i++)
            a[i] = v_fma(v_set1(u->last[k]), v_load(w + i * LANES), a[i]);
    const vec in = v_sigmoid(a[0] + b[0]), forget = v_sigmoid(a[1] + b[1]), fresh = v_tanh(a[2] + b[2]);
    const vec cell = v_fma(forget, v_load(u->cell), in * fresh);
    v_store(u->cell, cell);
    v_store(u->output, v_sigmoid(a[3] + b[3]) * v_tanh(cell));
}

const nn_lstm_kernel SIMD(nn_lstm) = { .name = SIMD_TEXT, .lanes = LANES, .units = units };
