/* What `analyze` says of the instrument, judged: all models together, as they are combined for the user. */
#include <jansson.h>
#include <string.h>

#include "engine/engine.h"
#include "train/trainer.h"

typedef struct {
    sm_sounds *sounds;
    const sm_evaluate_options *o;
    const char **classes; /* of the sounds; the list is ours */
    size_t n_classes;
    size_t *sound, *truth, *family, n; /* who is asked */
    const char **paths;
    float *probability; /* [n, n_classes] */
} judging;

/* The scores that a record shows; what is left goes to the other classes alike. Without a verdict nothing is known. */
static int take_record(judging *j, size_t i, const char *json)
{
    float *to = j->probability + i * j->n_classes;
    json_t *root = json_loads(json, 0, NULL), *x;
    const char *name;
    double left = 1;
    size_t known = 0;
    if (!root)
        return sm_fail(SM_EINTERNAL, "%s: its record is no JSON", j->paths[i]);
    for (size_t c = 0; c < j->n_classes; c++)
        to[c] = -1;
    json_object_foreach(json_object_get(root, "instrument_scores"), name, x)
    {
        for (size_t c = 0; c < j->n_classes; c++)
            if (!strcmp(j->classes[c], name)) {
                to[c] = (float)json_number_value(x);
                known++;
            }
        left -= json_number_value(x);
    }
    for (size_t c = 0; c < j->n_classes; c++)
        if (to[c] < 0)
            to[c] = (float)(SM_MAX(left, 0) / (double)(j->n_classes - known));
    json_decref(root);
    return 0;
}

static int on_record(void *user, size_t index, sm_record *record, int err)
{
    judging *j = user;
    if (err == 0)
        err = take_record(j, index, sm_record_json(record));
    sm_record_free(record);
    return err == SM_EINTERNAL ? err : 0;
}

static bool is_asked(const judging *j, const sm_sound *s)
{
    const sm_side side = j->o->random_split ? s->random_side : s->side;
    if (!s->label[0])
        return false;
    return j->o->side == SM_SIDE_NONE ||
           (side == j->o->side &&
            (!(j->o->held_out > 0) ||
             trainer_is_held(j->o->random_split ? sm_path_name(s->path) : s->family, j->o->held_out, j->o->fold)));
}

static int choose(judging *j)
{
    const size_t n = sm_sounds_count(j->sounds);
    j->sound = sm_alloc(n, sizeof *j->sound);
    j->truth = sm_alloc(n, sizeof *j->truth);
    j->family = sm_alloc(n, sizeof *j->family);
    j->paths = sm_alloc(n, sizeof *j->paths);
    if (!j->sound || !j->truth || !j->family || !j->paths)
        return SM_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const sm_sound *s = sm_sounds_at(j->sounds, i);
        size_t c = 0;
        if (!is_asked(j, s))
            continue;
        while (strcmp(j->classes[c], s->label[0]) != 0)
            c++;
        j->sound[j->n] = i;
        j->truth[j->n] = c;
        j->family[j->n] = (size_t)sm_fnv1a64(s->family, strlen(s->family));
        j->paths[j->n++] = s->path;
    }
    j->probability = sm_alloc_zero(j->n * j->n_classes + 1, sizeof *j->probability);
    if (!j->probability)
        return SM_ENOMEM;
    return j->n > 0 ? 0 : sm_fail(SM_EUSAGE, "no sound is on this side of the split");
}

/* 1: it is there; 0: it is not; or SM_ENOMEM. */
static int add_model(sm_buffer *list, const char *name)
{
    bool there = false;
    char *path = sm_model_path(NULL, name, &there);
    if (!path)
        return SM_ENOMEM;
    sm_free(path);
    if (there)
        sm_buffer_printf(list, "%s%s", list->length ? "," : "", name);
    return list->failed ? SM_ENOMEM : there;
}

int trainer_instrument_models(sm_buffer *list)
{
    int err = 0;
    for (size_t i = 0; sm_meaning_expert(i) && err >= 0; i++)
        err = add_model(list, sm_meaning_expert(i));
    if (err >= 0)
        err = add_model(list, "yamnet");
    if (err > 0) /* it stands on YAMNet */
        err = add_model(list, "samplemind-yamnet");
    return err < 0 ? err : 0;
}

static int hear(judging *j, const char *models)
{
    sm_buffer list = { 0 };
    sm_engine *e = NULL;
    sm_options o;
    sm_options_init(&o);
    int err = models ? 0 : trainer_instrument_models(&list);
    o.models = models ? models : list.data;
    o.jobs = j->o->threads;
    o.progress = j->o->progress;
    o.user = j->o->user;
    if (err == 0)
        err = sm_engine_open(&o, &e);
    if (err == 0 && sm_engine_missing(e) > 0) {
        const char *why = NULL, *name = sm_engine_missing_model(e, 0, &why);
        err = sm_fail(SM_ENOTFOUND, "%s: %s", name, why ? why : "is not installed");
    }
    if (err == 0)
        err = sm_analyze_files(e, j->paths, j->n, on_record, j, NULL);
    sm_engine_close(e);
    sm_buffer_free(&list);
    return err;
}

int sm_evaluate_analyze(sm_sounds *s, const char *models, const sm_evaluate_options *o, sm_scores *out)
{
    judging j = { .sounds = s, .o = o };
    *out = (sm_scores){ 0 };
    int err = sm_sounds_classes(s, SM_HEAD_INSTRUMENT, &j.classes, &j.n_classes);
    if (err == 0 && j.n_classes == 0)
        err = sm_fail(SM_EUSAGE, "no sound has a label");
    if (err == 0)
        err = choose(&j);
    if (err == 0)
        err = hear(&j, models);
    if (err == 0)
        err = sm_scores_make(j.probability, j.truth, j.family, j.n, j.n_classes, j.classes, 1, out);
    if (err == 0) {
        out->single_ms = out->batch_ms = (double)NAN;
        out->sound = j.sound;
        j.sound = NULL;
    }
    sm_free(j.classes);
    sm_free(j.sound);
    sm_free(j.truth);
    sm_free(j.family);
    sm_free(j.paths);
    sm_free(j.probability);
    return err;
}
