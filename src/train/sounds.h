/* Inside of a collection of sounds. Private to the train room. */
#ifndef SM_TRAIN_SOUNDS_H
#define SM_TRAIN_SOUNDS_H

#include "train/train.h"

struct sm_sounds {
    sm_arena *arena; /* all texts */
    sm_sound *items;
    size_t n, capacity;
    int rate_hz;
    size_t lone; /* classes whose sounds are all of one source */
};

#endif
