/* What the network is told beside the prompt: numbers of seconds as tokens; and how its prompt's padding is told in one token; guidance. */
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

/* Standard deviation over the channels at one latent, over n - 1. */
static double deviation(const float *v, int channels, int64_t stride)
{
    double sum = 0, squares = 0;
    for (int c = 0; c < channels; c++)
        sum += (double)v[c * stride];
    for (int c = 0; c < channels; c++) {
        const double d = (double)v[c * stride] - sum / channels;
        squares += d * d;
    }
    return sqrt(squares / SM_MAX(channels - 1, 1));
}

/* Lin and others 2023 for the rescaling. */
void sa_guide(const float *condition, const float *negative, int channels, int64_t length, double scale, double phi,
              float *v)
{
    for (int64_t i = 0; i < channels * length; i++)
        v[i] = (float)((double)negative[i] + scale * ((double)condition[i] - (double)negative[i]));
    for (int64_t k = 0; k < length && phi > 0; k++) {
        const double own = deviation(v + k, channels, length), wanted = deviation(condition + k, channels, length);
        const double by = own > 0 ? phi * wanted / own + 1 - phi : 1;
        for (int c = 0; c < channels; c++)
            v[c * length + k] = (float)(by * (double)v[c * length + k]);
    }
}
