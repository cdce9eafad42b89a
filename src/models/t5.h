/* T5: the text encoder of MusicGen and Stable Audio, and its tokenizer.
 *
 *     sm_t5_tokens_open("spiece.model", &tokens);
 *     sm_t5_tokens_encode(tokens, "warm house loop", &ids);          // ends in </s>
 *     sm_t5_open(weights, NULL, &options, &t5);                      // sizes follow from the tensors' shapes
 *     sm_t5_encode(t5, ids.ids, ids.n, states);                      // [ids.n, sm_t5_width(t5)]
 *     sm_t5_ids_free(&ids);
 *
 * Texts are encoded one by one, without padding: what the originals do with padded batches is the same for the real tokens, since padding
 * is masked in every layer. Rows of padding are the caller's business (both families set them to zero). */
#ifndef SM_MODELS_T5_H
#define SM_MODELS_T5_H

#include "models/model.h"

/* ---- tokenizer: a SentencePiece unigram model (t5_tokens.c) ---- */
typedef struct sm_t5_tokens sm_t5_tokens;
enum { SM_T5_PAD = 0, SM_T5_END = 1 };

/* SM_EFORMAT: not a unigram model, or a damaged one. */
int sm_t5_tokens_open(const char *path, sm_t5_tokens **out);
int sm_t5_tokens_open_memory(const void *data, size_t size, const char *label, sm_t5_tokens **out); /* data copied */
/* The tokenizer that a converted file of T5's weights carries: tensor SM_T5_TOKENIZER, U8. SM_ENOTFOUND: it carries none. */
#define SM_T5_TOKENIZER "tokenizer.model"
int sm_t5_tokens_of(sm_weights *w, sm_t5_tokens **out);
void sm_t5_tokens_free(sm_t5_tokens *t);
size_t sm_t5_tokens_count(const sm_t5_tokens *t);                  /* pieces */
const char *sm_t5_tokens_piece(const sm_t5_tokens *t, int32_t id); /* NULL: no such id; valid until free */

typedef struct {
    int32_t *ids;
    size_t n;
} sm_t5_ids;
/* Ids of a text, SM_T5_END last; an empty text (or one of spaces only) is SM_T5_END alone. Bytes that are not UTF-8 count as U+FFFD. Any
 * length: T5 has no limit. Thread-safe. out is emptied first. */
int sm_t5_tokens_encode(const sm_t5_tokens *t, const char *text, sm_t5_ids *out);
void sm_t5_ids_free(sm_t5_ids *ids); /* leaves it empty */

/* ---- encoder (t5.c) ---- */
typedef struct {
    int width, key, heads, hidden, layers; /* d_model, d_kv, heads, d_ff */
    int64_t vocabulary;
} sm_t5_size;
/* Sizes from the tensors' shapes; prefix as for sm_t5_open. heads come from the position bias. SM_ENOTFOUND: no T5 encoder. */
int sm_t5_size_of(sm_weights *w, const char *prefix, sm_t5_size *out);

/* Buckets of relative positions: distance = key - query. 0..31. */
int sm_t5_bucket(int64_t distance);

typedef struct {
    const char *backend;    /* NULL: "onednn" */
    int threads;            /* 0: 1 */
    bool taps;              /* keep "block.N" and "final" for sm_t5_tap */
    const sm_t5_size *size; /* NULL: from the shapes (made-up weights have none) */
} sm_t5_options;

/* The encoder for n tokens: input "x" [1, n, width] (rows of shared.weight), output "final". */
int sm_t5_graph(nn_graph *g, const nn_source *w, const sm_t5_size *s, int64_t n);

typedef struct sm_t5 sm_t5;
/* `prefix` stands in front of the tensors' names ("text_encoder."); NULL: none. w borrowed. options NULL: defaults. */
int sm_t5_open(sm_weights *w, const char *prefix, const sm_t5_options *options, sm_t5 **out);
void sm_t5_free(sm_t5 *t);
int sm_t5_width(const sm_t5 *t);
/* out [n, width]. An id outside of the vocabulary: SM_EUSAGE. Not for two threads at once. Compiles a plan for each new n. */
int sm_t5_encode(sm_t5 *t, const int32_t *ids, size_t n, float *out);
/* After an encode with taps: tensor i by name, [1, n, width]; SM_EUSAGE when there is none. Borrowed until the next call. */
int sm_t5_tap(sm_t5 *t, int i, const char **name, nn_tensor *out);

#endif
