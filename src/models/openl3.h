/* OpenL3 and its small relatives EdgeL3: what their files share. */
#ifndef SM_MODELS_OPENL3_H
#define SM_MODELS_OPENL3_H

#include "models/view.h"

enum { OPENL3_CONVS = 8 };

/* What a window is to a variant. */
typedef struct {
    const char *repr;     /* "mel256" */
    const char *file;     /* how the official file's name begins */
    int rate_hz, samples; /* of a window */
    int fft, hop, bands;  /* bands 0: linear */
    int frames;           /* of the picture */
    int pad_left[3];      /* by openl3_front */
    bool sea;             /* EdgeL3's form: channels by the file, and a norm and ReLU before the last pool */
} openl3_kind;

typedef enum { OPENL3_KAPRE01, OPENL3_KAPRE, OPENL3_LIBROSA, OPENL3_FRONTS } openl3_front;

int64_t openl3_rows(const openl3_kind *k); /* of the picture */
/* Config "front=kapre01|kapre|librosa". */
int openl3_front_of(const sm_model_config *c, openl3_front *out);
extern const sm_patch_front openl3_patch_front; /* binding: an openl3_kind */

/* ---- openl3_files.c: the Keras files, whose layers are told by their order ---- */
bool openl3_recognise(const sm_model *m, sm_weights *w, const sm_card *card, const char *hint, char variant[32]);
int openl3_adapt(sm_view *v, const char *name, const nn_shape *expected, nn_tensor *out);
bool openl3_generated(const char *name, const nn_shape *shape, double *offset, double *scale);
/* 0, or why files of this variant (as recognised) are refused. */
int openl3_refused(const sm_view *v, const char *variant);

#endif
