/* The fingerprint by which near twins are found, and the comparison that confirms them. */
#ifndef SM_TRAIN_DATASET_PRINT_H
#define SM_TRAIN_DATASET_PRINT_H

#include "dsp/dsp.h"

enum {
    PRINT_VERSION = 1,
    PRINT_RATE = 16000,
    PRINT_FRAMES = 34, /* 256 samples apart: .55 s */
    PRINT_BANDS = 40,
    PRINT_SIZE = PRINT_FRAMES * PRINT_BANDS,
    PRINT_WAVE = 8800 /* .55 s */
};
/* The beginning of a sound, leading silence left out (46 dB below the peak), zeros behind it, peak 1. All zeros: silence. */
int print_wave(const char *file, float wave[PRINT_WAVE]);
/* Log-mel of it: mean 0, floor 60 dB below its loudest value, scaled to fit a byte. */
int print_of_wave(const float wave[PRINT_WAVE], int8_t print[PRINT_SIZE]);
/* Largest absolute normalised cross-correlation of two beginnings within 32 ms of each other, 0..1. */
int print_correlation(const float a[PRINT_WAVE], const float b[PRINT_WAVE], double *out);

#endif
