/* T5's tokenizer: SentencePiece's unigram model (Kudo 2018, "Subword regularization"), from the protobuf file that T5 is published with.
 * A text is normalised by the model's own table (NFKC and some more, as a double array trie), then cut into the pieces whose scores have
 * the largest sum. */
#include <stdlib.h>
#include <string.h>

#include "models/t5.h"
#include "weights/protobuf.h"

enum { NORMAL = 1, UNKNOWN = 2, USER_DEFINED = 4 };
/* Fields of ModelProto, SentencePiece, TrainerSpec and NormalizerSpec (sentencepiece_model.proto). */
enum { PIECES = 1, TRAINER = 2, NORMALIZER = 3, PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3, MODEL_TYPE = 3 };
enum { CHARSMAP = 2, DUMMY_PREFIX = 3, EXTRA_WHITESPACE = 4, ESCAPE_WHITESPACE = 5 };
enum { UNIGRAM = 1, MOST_PIECES = 1 << 20, LONGEST_PIECE = 1 << 12 };
#define SPACE_MARK "\xE2\x96\x81" /* U+2581 */

typedef struct {
    const char *text;
    size_t length;
    float score;
    int32_t id, type;
} piece;

struct sm_t5_tokens {
    sm_arena *arena;
    const char *label;
    size_t n, n_sorted;
    piece *pieces;        /* by id */
    const piece **sorted; /* those that can match, by bytes */
    int32_t unknown;
    float lowest, highest; /* scores of normal pieces */
    const uint8_t *trie;   /* u32 units, little endian */
    size_t units;
    const char *texts; /* what matches are replaced by, each ending in a zero byte */
    size_t texts_size;
    bool dummy_prefix, trim, escape;
};

/* ---- reading the model ---- */

static float float_of(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return f;
}

static int read_piece(sm_t5_tokens *t, pb_bytes m, piece *p)
{
    pb_field f;
    int got;
    p->type = NORMAL;
    p->text = "";
    while ((got = pb_next(&m, &f)) > 0) {
        if (f.number == PIECE_TEXT && f.wire == PB_BYTES) {
            p->length = pb_size(f.bytes);
            if (p->length > LONGEST_PIECE)
                return sm_fail(SM_EFORMAT, "a piece of %zu bytes", p->length);
            if (!(p->text = sm_arena_strndup(t->arena, (const char *)f.bytes.p, p->length)))
                return SM_ENOMEM;
        } else if (f.number == PIECE_SCORE && f.wire == PB_FIXED32) {
            p->score = float_of(f.value);
        } else if (f.number == PIECE_TYPE && f.wire == PB_VARINT) {
            p->type = (int32_t)SM_MIN(f.value, 255);
        }
    }
    if (got == 0 && !(p->score >= -1e30f && p->score <= 1e30f))
        return sm_fail(SM_EFORMAT, "a piece with a score that is no number");
    return got;
}

static int read_pieces(sm_t5_tokens *t, pb_bytes model)
{
    pb_field f;
    int got = pb_count(model, PIECES, &t->n);
    if (got < 0)
        return got;
    if (t->n < 1 || t->n > MOST_PIECES)
        return sm_fail(SM_EFORMAT, "%zu pieces, expected 1 to %d: not a SentencePiece model", t->n, MOST_PIECES);
    t->pieces = sm_arena_zero(t->arena, t->n, sizeof *t->pieces);
    t->sorted = sm_arena_zero(t->arena, t->n, sizeof *t->sorted);
    if (!t->pieces || !t->sorted)
        return SM_ENOMEM;
    t->unknown = -1;
    for (int32_t id = 0; (got = pb_next(&model, &f)) > 0;) {
        if (f.number != PIECES || f.wire != PB_BYTES)
            continue;
        piece *p = &t->pieces[id];
        p->id = id++;
        if ((got = read_piece(t, f.bytes, p)) < 0)
            return got;
        if (p->type == UNKNOWN)
            t->unknown = p->id;
        if (p->type == NORMAL) {
            const bool first = t->lowest == 0 && t->highest == 0;
            t->lowest = first ? p->score : SM_MIN(t->lowest, p->score);
            t->highest = first ? p->score : SM_MAX(t->highest, p->score);
        }
        if ((p->type == NORMAL || p->type == USER_DEFINED) && p->length)
            t->sorted[t->n_sorted++] = p;
    }
    if (got == 0 && t->unknown < 0)
        return sm_fail(SM_EFORMAT, "no piece stands for what is unknown");
    return got;
}

static int take_charsmap(sm_t5_tokens *t, pb_bytes map)
{
    const size_t size = pb_size(map);
    if (size == 0)
        return 0;
    const size_t trie = size >= 4 ? w_u32(map.p) : 0;
    if (size < 4 || trie > size - 4 || trie % 4 || trie < 4)
        return sm_fail(SM_EFORMAT, "the table of normalisation has %zu bytes, of which %zu would be its trie", size,
                       trie);
    uint8_t *copy = sm_arena_get(t->arena, size - 4 + 1, 1, 8);
    if (!copy)
        return SM_ENOMEM;
    memcpy(copy, map.p + 4, size - 4);
    copy[size - 4] = 0; /* the last text ends in any case */
    t->trie = copy;
    t->units = trie / 4;
    t->texts = (const char *)copy + trie;
    t->texts_size = size - 4 - trie;
    return 0;
}

static int read_normalizer(sm_t5_tokens *t, pb_bytes m)
{
    pb_bytes map = { NULL, NULL };
    pb_field f;
    int got;
    t->dummy_prefix = t->trim = t->escape = true;
    while ((got = pb_next(&m, &f)) > 0) {
        if (f.number == CHARSMAP && f.wire == PB_BYTES)
            map = f.bytes;
        else if (f.number == DUMMY_PREFIX && f.wire == PB_VARINT)
            t->dummy_prefix = f.value != 0;
        else if (f.number == EXTRA_WHITESPACE && f.wire == PB_VARINT)
            t->trim = f.value != 0;
        else if (f.number == ESCAPE_WHITESPACE && f.wire == PB_VARINT)
            t->escape = f.value != 0;
    }
    return got < 0 ? got : take_charsmap(t, map);
}

static int check_kind(pb_bytes trainer)
{
    uint64_t kind = UNIGRAM;
    pb_field f;
    int got;
    while ((got = pb_next(&trainer, &f)) > 0)
        if (f.number == MODEL_TYPE && f.wire == PB_VARINT)
            kind = f.value;
    if (got == 0 && kind != UNIGRAM)
        return sm_fail(SM_EUNSUPPORTED, "a SentencePiece model that is not of the unigram kind");
    return got;
}

static int by_bytes(const void *a, const void *b)
{
    const piece *x = *(const piece *const *)a, *y = *(const piece *const *)b;
    const int order = memcmp(x->text, y->text, SM_MIN(x->length, y->length));
    if (order)
        return order;
    return x->length != y->length ? (x->length < y->length ? -1 : 1) : x->id < y->id ? -1 : x->id > y->id;
}

static int read_model(sm_t5_tokens *t, pb_bytes model)
{
    pb_bytes trainer, normalizer;
    int err;
    if ((err = pb_last(model, TRAINER, &trainer)) < 0 || (err = pb_last(model, NORMALIZER, &normalizer)) < 0 ||
        (err = check_kind(trainer)) < 0 || (err = read_pieces(t, model)) < 0 ||
        (err = read_normalizer(t, normalizer)) < 0)
        return err;
    qsort(t->sorted, t->n_sorted, sizeof *t->sorted, by_bytes);
    return 0;
}

int sm_t5_tokens_open_memory(const void *data, size_t size, const char *label, sm_t5_tokens **out)
{
    sm_t5_tokens *t = sm_alloc_zero(1, sizeof *t);
    int err = SM_ENOMEM;

    *out = NULL;
    if (t && (t->arena = sm_arena_new()) && (t->label = sm_arena_strdup(t->arena, label)))
        err = read_model(t, (pb_bytes){ data, (const uint8_t *)data + size });
    if (err < 0) {
        sm_t5_tokens_free(t);
        return err == SM_ENOMEM ? err : sm_fail_prefix(err, "%s", label);
    }
    *out = t;
    return 0;
}

int sm_t5_tokens_open(const char *path, sm_t5_tokens **out)
{
    sm_map *m;
    *out = NULL;
    int err = sm_map_open(path, &m);
    if (err < 0)
        return err;
    err = sm_t5_tokens_open_memory(sm_map_data(m), sm_map_size(m), path, out);
    sm_map_close(m);
    return err;
}

int sm_t5_tokens_of(sm_weights *w, sm_t5_tokens **out)
{
    nn_tensor t;
    *out = NULL;
    const int err = sm_weights_get(w, SM_T5_TOKENIZER, NULL, &t);
    if (err < 0)
        return err;
    if (t.type != NN_U8 || t.shape.rank != 1)
        return sm_fail(SM_EFORMAT, "%s: \"%s\" holds no bytes", sm_weights_label(w), SM_T5_TOKENIZER);
    return sm_t5_tokens_open_memory(t.data, (size_t)t.shape.dim[0], sm_weights_label(w), out);
}

void sm_t5_tokens_free(sm_t5_tokens *t)
{
    if (t)
        sm_arena_free(t->arena);
    sm_free(t);
}

size_t sm_t5_tokens_count(const sm_t5_tokens *t)
{
    return t->n;
}

const char *sm_t5_tokens_piece(const sm_t5_tokens *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->n ? t->pieces[id].text : NULL;
}

/* ---- normalising ---- */

/* A unit of the double array (Yata's darts-clone); 0, which matches nothing, outside. */
static uint32_t unit_at(const sm_t5_tokens *t, size_t i)
{
    return i < t->units ? w_u32(t->trie + 4 * i) : 0;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 0x200) >> 6);
}

typedef struct {
    const char *text; /* what stands for the first `taken` bytes */
    size_t length, taken;
} normal;

/* The longest match of the table at s; else one character as it is. */
static normal normal_prefix(const sm_t5_tokens *t, const char *s, size_t length)
{
    normal best = { s, 0, 0 };
    size_t at = t->units ? offset_of(unit_at(t, 0)) : 0;
    for (size_t i = 0; i < length && t->units; i++) {
        at ^= (uint8_t)s[i];
        const uint32_t u = unit_at(t, at);
        if (at >= t->units || (u & 0x800000FFu) != (uint8_t)s[i])
            break;
        at ^= offset_of(u);
        const size_t where = u >> 8 & 1 ? unit_at(t, at) & 0x7FFFFFFF : t->texts_size;
        if (where < t->texts_size)
            best = (normal){ t->texts + where, strlen(t->texts + where), i + 1 };
    }
    if (best.taken)
        return best;
    const size_t n = sm_utf8_length(s, length);
    return n ? (normal){ s, n, n } : (normal){ "\xEF\xBF\xBD", 3, 1 };
}

static void add_normal(const sm_t5_tokens *t, const char *s, size_t length, sm_buffer *out)
{
    for (size_t i = 0; i < length; i++)
        if (s[i] == ' ' && t->escape)
            sm_buffer_text(out, SPACE_MARK);
        else
            sm_buffer_add(out, &s[i], 1);
}

static void normalise(const sm_t5_tokens *t, const char *s, sm_buffer *out)
{
    size_t left = strlen(s);
    const char *mark = t->escape ? SPACE_MARK : " ";
    bool after_space = t->trim;
    normal p;
    for (; t->trim && left > 0; s += p.taken, left -= p.taken) {
        p = normal_prefix(t, s, left);
        if (p.length != 1 || *p.text != ' ')
            break;
    }
    if (left == 0)
        return;
    if (t->dummy_prefix)
        sm_buffer_text(out, mark);
    for (; left > 0; s += p.taken, left -= p.taken) {
        p = normal_prefix(t, s, left);
        while (after_space && p.length && *p.text == ' ')
            p.text++, p.length--;
        if (p.length) {
            add_normal(t, p.text, p.length, out);
            after_space = p.text[p.length - 1] == ' ';
        }
        after_space = after_space && t->trim;
    }
    const size_t n = strlen(mark);
    while (t->trim && !out->failed && out->length >= n && !memcmp(out->data + out->length - n, mark, n))
        out->length -= n;
}

/* ---- the best path ---- */

typedef struct {
    float score;   /* of the best way to here */
    int32_t from;  /* where its last piece starts; -1: none yet */
    int32_t piece; /* its id */
} node;

/* Narrows the sorted pieces first..last-1, equal in their first `at` bytes, to those that go on with `c`. */
static void narrow(const sm_t5_tokens *t, size_t at, uint8_t c, size_t *first, size_t *last)
{
    size_t low = *first, high = *last;
    while (low < high) { /* the first whose byte is not smaller */
        const size_t middle = low + (high - low) / 2;
        const piece *p = t->sorted[middle];
        if (p->length <= at || (uint8_t)p->text[at] < c)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    high = *last;
    while (low < high) { /* the first whose byte is larger */
        const size_t middle = low + (high - low) / 2;
        if ((uint8_t)t->sorted[middle]->text[at] <= c)
            low = middle + 1;
        else
            high = middle;
    }
    *last = low;
}

static void reach(node *to, float score, size_t from, int32_t id)
{
    if (to->from < 0 || score > to->score)
        *to = (node){ score, (int32_t)from, id };
}

/* All pieces that start at `at`; a character that is no piece by itself is also possible as unknown. */
static void extend(const sm_t5_tokens *t, const char *s, size_t length, size_t at, node *nodes)
{
    const size_t character = SM_MAX(sm_utf8_length(s + at, length - at), 1);
    const float so_far = nodes[at].score;
    size_t first = 0, last = t->n_sorted;
    bool single = false;
    for (size_t n = 1; at + n <= length; n++) {
        narrow(t, n - 1, (uint8_t)s[at + n - 1], &first, &last);
        if (first >= last)
            break;
        const piece *p = t->sorted[first];
        if (p->length != n)
            continue;
        const float score = p->type == USER_DEFINED ? (float)n * t->highest - 0.1f : p->score;
        reach(&nodes[at + n], score + so_far, at, p->id);
        single |= n == character;
    }
    if (!single)
        reach(&nodes[at + character], t->lowest - 10 + so_far, at, t->unknown);
}

/* Walks the best path back; unknowns side by side are one. */
static int collect(const sm_t5_tokens *t, const node *nodes, size_t length, sm_t5_ids *out)
{
    size_t n = 0;
    for (size_t at = length; at > 0; at = (size_t)nodes[at].from)
        n++;
    if (!(out->ids = sm_alloc(n + 1, sizeof *out->ids)))
        return SM_ENOMEM;
    size_t to = n;
    for (size_t at = length; at > 0; at = (size_t)nodes[at].from)
        out->ids[--to] = nodes[at].piece;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || out->ids[i] != t->unknown || out->ids[i - 1] != t->unknown)
            out->ids[to++] = out->ids[i];
    out->ids[to++] = SM_T5_END;
    out->n = to;
    return 0;
}

static int best_path(const sm_t5_tokens *t, const char *s, size_t length, sm_t5_ids *out)
{
    node *nodes = sm_alloc(length + 1, sizeof *nodes);
    if (!nodes)
        return SM_ENOMEM;
    for (size_t i = 0; i <= length; i++)
        nodes[i] = (node){ 0, -1, -1 };
    nodes[0].from = 0;
    for (size_t at = 0; at < length; at += SM_MAX(sm_utf8_length(s + at, length - at), 1))
        if (nodes[at].from >= 0)
            extend(t, s, length, at, nodes);
    const int err = nodes[length].from >= 0 ? collect(t, nodes, length, out)
                                            : sm_fail(SM_EFORMAT, "%s: no way through the text", t->label);
    sm_free(nodes);
    return err;
}

int sm_t5_tokens_encode(const sm_t5_tokens *t, const char *text, sm_t5_ids *out)
{
    sm_buffer s = { 0 };
    int err;

    *out = (sm_t5_ids){ 0 };
    if (strlen(text) > (size_t)INT32_MAX / 64)
        return sm_fail(SM_ELIMIT, "a text of %zu bytes", strlen(text));
    normalise(t, text, &s);
    err = s.failed ? SM_ENOMEM : best_path(t, s.data ? s.data : "", s.length, out);
    sm_buffer_free(&s);
    return err;
}

void sm_t5_ids_free(sm_t5_ids *ids)
{
    sm_free(ids->ids);
    *ids = (sm_t5_ids){ 0 };
}
