/* Small models that make sound, as files in the originals' layouts: made-up weights, seconds to run. */
#ifndef SM_TEST_SOUND_MODELS_H
#define SM_TEST_SOUND_MODELS_H

#include "support/support.h"

/* In `folder`: model.safetensors and model_config.json of a Stable Audio (flow: like Small, else like 1.0) with a canvas of 4096 samples of
 * 8 kHz, and t5.safetensors with its spiece.model. */
void test_small_stable_audio(const char *folder, bool flow);
/* The same model.safetensors as diffusers keeps it: folder/transformer, vae, projection_model with a file each. */
void test_diffusers_folder(const char *from, const char *folder);

#endif
