/* From samples to the picture that the network sees, by the same front end as `analyze`; augmented or not. Private to the train room. */
#ifndef SM_TRAIN_PICTURES_H
#define SM_TRAIN_PICTURES_H

#include "train/network.h"

typedef struct train_eye train_eye; /* of one thread */
int train_eye_new(const sm_augment *a, const dsp_mel_spec *front_end, const sm_classifier_arch *arch, train_eye **out);
void train_eye_free(train_eye *e);
/* picture [frames, bands of the architecture], from the beginning of the sound. */
int train_eye_plain(train_eye *e, const sm_sound *s, float *picture);
/* As the `place`-th sound of this epoch. other: what "other" may mix in. */
int train_eye_augmented(train_eye *e, const sm_sound *s, const sm_sound *other, uint64_t seed, uint64_t epoch,
                        uint64_t place, float *picture);

#endif
