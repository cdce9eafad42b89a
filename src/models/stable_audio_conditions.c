/* What the network is told beside the prompt: numbers of seconds as tokens; and how its prompt's padding is told in one token. */
#include <math.h>
#include <string.h>

#include "models/stable_audio.h"

int sa_number(const sa_size *s, const nn_source *w, const char *name, double seconds, float *out)
{
    enum { WAVES = SA_NUMBER_FEATURES / 2 };
    const nn_shape wave_shape = NN_SHAPE(WAVES), matrix_shape = NN_SHAPE(s->cond_width, SA_NUMBER_FEATURES),
                   bias_shape = NN_SHAPE(s->cond_width);
    const double u =
        (SM_CLAMP(seconds, s->number_min, s->number_max) - s->number_min) / (s->number_max - s->number_min);
    char tensor[SA_NAME];
    nn_tensor waves, matrix, bias;
    double f[SA_NUMBER_FEATURES];
    int err;

    snprintf(tensor, sizeof tensor, SA_NUMBER_PREFIX "%s.embedder.embedding.0.weights", name);
    if ((err = w->get(w->user, tensor, &wave_shape, &waves)) < 0)
        return err;
    snprintf(tensor, sizeof tensor, SA_NUMBER_PREFIX "%s.embedder.embedding.1.weight", name);
    if ((err = w->get(w->user, tensor, &matrix_shape, &matrix)) < 0)
        return err;
    snprintf(tensor, sizeof tensor, SA_NUMBER_PREFIX "%s.embedder.embedding.1.bias", name);
    if ((err = w->get(w->user, tensor, &bias_shape, &bias)) < 0)
        return err;
    f[0] = u; /* the plain value first */
    for (int i = 0; i < WAVES; i++) {
        const double a = 6.28318530717958647693 * u * (double)((const float *)waves.data)[i];
        f[1 + i] = sin(a);
        f[1 + WAVES + i] = cos(a);
    }
    for (int i = 0; i < s->cond_width; i++) {
        const float *row = (const float *)matrix.data + (size_t)i * SA_NUMBER_FEATURES;
        double sum = (double)((const float *)bias.data)[i];
        for (int k = 0; k < SA_NUMBER_FEATURES; k++)
            sum += (double)row[k] * f[k];
        out[i] = (float)sum;
    }
    return 0;
}

static bool is_zero(const float *x, int n)
{
    for (int i = 0; i < n; i++)
        if (x[i] != 0)
            return false;
    return true;
}

int sa_merge_zero_rows(const float *cross, int n, int width, float *keys, float *mask)
{
    int used = 0, zeros = 0, at = -1;
    for (int i = 0; i < n; i++) {
        const float *row = cross + (size_t)i * (size_t)width;
        if (is_zero(row, width) && zeros++ > 0)
            continue;
        if (zeros == 1 && at < 0)
            at = used;
        memcpy(keys + (size_t)used * (size_t)width, row, (size_t)width * sizeof *keys);
        mask[used++] = 0;
    }
    if (at >= 0)
        mask[at] = (float)log((double)zeros);
    return used;
}
