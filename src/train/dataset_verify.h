/* Verifying: the sounds that are most in doubt, one after the other, with what is known of each, and what a person may say to
 * them. Knows no screen: the terminal shows it, and a web page can by the same functions. */
#ifndef SM_TRAIN_DATASET_VERIFY_H
#define SM_TRAIN_DATASET_VERIFY_H

#include "train/dataset.h"

typedef struct sm_verify sm_verify;

/* Queues what the filter chooses and nobody has verified, most doubtful first. Doubt, 0..1 and more: 1 - confidence of the label;
 * a model's proposal of another class adds its confidence, one of the same class takes half of its confidence away ("all", the
 * common answer of several models, does not count again). Ties: by id. The dataset stays open until sm_verify_close. */
int sm_verify_open(sm_dataset *d, const sm_dataset_filter *f, sm_verify **out);
void sm_verify_close(sm_verify *v);

/* One sound of the queue. Valid until the next call that moves or decides. */
typedef struct {
    sm_item item;
    char *file;
    double doubt;
    const sm_proposal *proposals;
    size_t n_proposals;
} sm_verify_view;
size_t sm_verify_count(const sm_verify *v);
size_t sm_verify_place(const sm_verify *v); /* 0.. ; = count: at the end */
size_t sm_verify_decided(const sm_verify *v);
/* SM_ENOTFOUND: at the end. */
int sm_verify_look(sm_verify *v, const sm_verify_view **out);

/* What a person says; each moves on to the next. accept: the present label, or without one the best proposal (SM_EUSAGE: there is
 * none); change: another class (of sm_instruments, or any with own_classes). */
int sm_verify_accept(sm_verify *v);
int sm_verify_reject(sm_verify *v);
int sm_verify_change(sm_verify *v, const char *label, bool own_classes);
void sm_verify_next(sm_verify *v);
void sm_verify_back(sm_verify *v);
/* Takes the last decision of this session back and returns to its sound. SM_ENOTFOUND: nothing to take back. */
int sm_verify_undo(sm_verify *v);
/* The class that what was typed means: the only one that begins so, or a producer's word ("bd", "hat"). NULL: none, or several. */
const char *sm_verify_class(sm_verify *v, const char *typed);

/* ---- a sound drawn in characters, for a screen without a picture ---- */
/* `rows` lines of at most `columns` cells of UTF-8: the waveform's extent over time. */
int sm_draw_wave(const float *mono, size_t n, int columns, int rows, sm_buffer *out);
/* Time to the right, 60 Hz to 16 kHz upwards in mel, 60 dB in five greys. */
int sm_draw_spectrogram(const float *mono, size_t n, int rate_hz, int columns, int rows, sm_buffer *out);

#endif
