#include "dsp/judge.h"

void judge_run(const judge *j, const float *x, float *out)
{
    float sum[JUDGE_HIDDEN_MAX] = { 0 };
    for (int h = 0; h < j->hidden; h++)
        sum[h] = j->b1[h];
    for (int i = 0; i < j->features; i++) {
        const float v = (x[i] - j->mean[i]) * j->scale[i];
        for (int h = 0; h < j->hidden; h++)
            sum[h] += v * j->w1[i * j->hidden + h];
    }
    for (int o = 0; o < j->outputs; o++) {
        out[o] = j->b2[o];
        for (int h = 0; h < j->hidden; h++)
            out[o] += tanhf(sum[h]) * j->w2[o * j->hidden + h];
    }
}

void judge_softmax(float *scores, size_t n)
{
    float most = -INFINITY, total = 0;
    for (size_t i = 0; i < n; i++)
        most = SM_MAX(most, scores[i]);
    for (size_t i = 0; i < n; i++)
        total += scores[i] = expf(scores[i] - most);
    for (size_t i = 0; i < n; i++)
        scores[i] /= total;
}
