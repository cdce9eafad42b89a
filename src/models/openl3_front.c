/* OpenL3's front ends: samples of a window to decibels below its loudest place. The weights were trained with kapre 0.1's, `kapre01`;
 * openl3 0.4 changed mel scale, order of filter and root, and padding, and kept the weights. */
#include <math.h>
#include <string.h>

#include "models/openl3.h"

/* A window whose largest sample is 80 dB below full scale is silence: its picture would show what a converter's noise looks like at
 * full level. */
static const float silence = 1e-4f;

int64_t openl3_rows(const openl3_kind *k)
{
    return k->bands > 0 ? k->bands : k->fft / 2 + 1;
}

int openl3_front_of(const sm_model_config *c, openl3_front *out)
{
    static const char *const names[OPENL3_FRONTS] = { "kapre01", "kapre", "librosa" };
    char text[64];
    sm_config_text(c, "front", names[0], text);
    for (int i = 0; i < OPENL3_FRONTS; i++)
        if (!strcmp(text, names[i])) {
            *out = (openl3_front)i;
            return 0;
        }
    return sm_fail(SM_EUSAGE, "config front=%s: kapre01, kapre or librosa is expected", text);
}

typedef struct {
    dsp_picture *picture;
    int samples;
} front_end;

static void front_close(void *front)
{
    front_end *f = front;
    dsp_picture_free(f->picture);
    sm_free(f);
}

static int front_open(const sm_model *m, const sm_model_config *c, void **out)
{
    const openl3_kind *k = m->binding;
    openl3_front which = OPENL3_KAPRE01;
    int err = openl3_front_of(c, &which);
    *out = NULL;
    if (err < 0)
        return err;
    const dsp_picture_spec spec = { .name = m->name,
                                    .rate_hz = k->rate_hz,
                                    .samples = k->samples,
                                    .fft = k->fft,
                                    .hop = k->hop,
                                    .frames = k->frames,
                                    .pad_left = k->pad_left[which],
                                    .reflect = which == OPENL3_LIBROSA && k->bands > 0,
                                    .bands = k->bands,
                                    .mel_scale = which == OPENL3_KAPRE01 ? DSP_MEL_HTK : DSP_MEL_SLANEY,
                                    .power = which == OPENL3_KAPRE01 };
    front_end *f = sm_alloc_zero(1, sizeof *f);
    if (!f)
        return SM_ENOMEM;
    f->samples = k->samples;
    if ((err = dsp_picture_new(&spec, &f->picture)) < 0)
        front_close(f);
    else
        *out = f;
    return err;
}

static int front_make(const void *front, const float *samples, float *picture)
{
    const front_end *f = front;
    const int err = dsp_picture_make(f->picture, samples, picture);
    if (err < 0)
        return err;
    for (int i = 0; i < f->samples; i++)
        if (fabsf(samples[i]) >= silence)
            return 1;
    return 0;
}

const sm_patch_front openl3_patch_front = { front_open, front_close, front_make };
