/* Pictures of sounds. */
#include <string.h>

#include "train/pictures.h"

struct train_eye {
    sm_augment table;
    sm_augmenter *augmenter;
    dsp_mel *mel;
    dsp_mel_spec spec;
    const sm_classifier_arch *arch;
    sm_floats samples, changed, rows;
};

int train_eye_new(const sm_augment *a, const dsp_mel_spec *front_end, const sm_classifier_arch *arch, train_eye **out)
{
    train_eye *e = sm_alloc_zero(1, sizeof *e);
    int err = e ? dsp_mel_new(front_end, &e->mel) : SM_ENOMEM;
    *out = e;
    if (err == 0) {
        e->table = *a;
        e->spec = *front_end;
        e->arch = arch;
        err = sm_augmenter_new(a, front_end->rate_hz, &e->augmenter);
    }
    if (err < 0) {
        train_eye_free(e);
        *out = NULL;
    }
    return err;
}

void train_eye_free(train_eye *e)
{
    if (!e)
        return;
    sm_augmenter_free(e->augmenter);
    dsp_mel_free(e->mel);
    sm_floats_free(&e->samples);
    sm_floats_free(&e->changed);
    sm_floats_free(&e->rows);
    sm_free(e);
}

static int take_samples(train_eye *e, const sm_sound *s, size_t most)
{
    const size_t n = SM_MIN(s->length, most);
    e->samples.length = 0;
    int err = sm_floats_add(&e->samples, NULL, n);
    for (size_t i = 0; i < n && err == 0; i++)
        e->samples.data[i] = s->scale * s->samples[i];
    return err;
}

/* Samples that a picture reaches. */
static size_t reach_of(const train_eye *e)
{
    return (size_t)(sm_classifier_frames(e->arch) * e->spec.hop + e->spec.frame);
}

/* Zeros (silence) after a short sound. */
static int draw_picture(train_eye *e, const sm_floats *samples, float *picture)
{
    const size_t size = (size_t)(sm_classifier_frames(e->arch) * sm_classifier_bands(e->arch));
    e->rows.length = 0;
    int err = dsp_mel_push(e->mel, samples->data, SM_MIN(samples->length, reach_of(e)), &e->rows);
    if (err == 0)
        err = dsp_mel_finish(e->mel, &e->rows);
    if (err < 0)
        return err;
    const size_t have = SM_MIN(e->rows.length, size);
    memcpy(picture, e->rows.data, have * sizeof *picture);
    memset(picture + have, 0, (size - have) * sizeof *picture);
    sm_classifier_draw(e->arch, picture, size);
    return 0;
}

int train_eye_plain(train_eye *e, const sm_sound *s, float *picture)
{
    const int err = take_samples(e, s, reach_of(e));
    return err < 0 ? err : draw_picture(e, &e->samples, picture);
}

int train_eye_augmented(train_eye *e, const sm_sound *s, const sm_sound *other, uint64_t seed, uint64_t epoch,
                        uint64_t place, float *picture)
{
    int err = take_samples(e, s, s->length);
    if (err == 0)
        err =
            sm_augment_sound(e->augmenter, seed, epoch, place, e->samples.data, e->samples.length, other, &e->changed);
    if (err == 0)
        err = draw_picture(e, &e->changed, picture);
    if (err == 0)
        sm_augment_picture(&e->table, seed, epoch, place, picture, (size_t)sm_classifier_frames(e->arch),
                           (size_t)sm_classifier_bands(e->arch), sm_classifier_silence(e->arch));
    return err;
}
