/* Models propose: what those that are installed hear in unlabelled and doubtful sounds. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "train/dataset_parts.h"
#include "train/trainer.h"

enum { GROUP = 256 }; /* files to one call of the engine: a stop loses that many at most */

typedef struct {
    sm_dataset *d;
    const sm_dataset_autolabel_options *o;
    sm_dataset_autolabel_result *out;
    const sm_item *items; /* of this group */
    size_t done, total;
    int err;
} labelling;

/* The installed models among `names` (comma-separated), or among all that name instruments. */
static int choose_models(const char *names, sm_buffer *out)
{
    if (names)
        sm_buffer_text(out, names);
    else if (trainer_instrument_models(out) < 0)
        return SM_ENOMEM;
    if (out->failed)
        return SM_ENOMEM;
    return out->length ? 0
                       : sm_fail(SM_ENOTFOUND, "no model that names instruments is installed; get one with: samplemind "
                                               "models pull yamnet");
}

static int propose(labelling *l, const sm_item *item, const char *model, const char *label, double confidence,
                   const char *top)
{
    const sm_proposal p = {
        .item = item->id, .model = model, .label = label, .confidence = SM_CLAMP(confidence, 0, 1), .top = top
    };
    l->out->proposed++;
    return sm_dataset_propose(l->d, &p);
}

/* An unlabelled sound gets the answer for a label, if that was asked for; it can be told by label_from. */
static int maybe_take(labelling *l, const sm_item *item, const char *label, double confidence)
{
    if (item->label || item->verified || !(l->o->take > 0) || confidence < l->o->take)
        return 0;
    sm_item change;
    sm_item_init(&change);
    change.root = item->root;
    change.path = item->path;
    change.label = label;
    change.label_from = "model";
    change.confidence = SM_CLAMP(confidence, 0, 1);
    l->out->taken++;
    return sm_dataset_put(l->d, &change);
}

/* The record's own fields: instrument_votes (each model alone) and instrument with instrument_top (all together). */
static int read_record(labelling *l, const sm_item *item, const char *json)
{
    json_error_t why;
    json_t *root = json_loads(json, 0, &why), *vote;
    const char *best = root ? json_string_value(json_object_get(root, "instrument")) : NULL;
    const double confidence = root ? json_number_value(json_object_get(root, "instrument_confidence")) : 0;
    size_t i;
    int err = root ? 0 : sm_fail(SM_EINTERNAL, "a record that is no JSON: %s", why.text);
    char *top =
        root ? json_dumps(json_object_get(root, "instrument_top"), JSON_COMPACT | JSON_REAL_PRECISION(4)) : NULL;
    const bool alone = json_array_size(json_object_get(root, "instrument_votes")) == 1;
    json_array_foreach(json_object_get(root, "instrument_votes"), i, vote)
    {
        const char *model = json_string_value(json_object_get(vote, "model"));
        const char *label = json_string_value(json_object_get(vote, "class"));
        if (err == 0 && model && label)
            err = propose(l, item, model, label, json_number_value(json_object_get(vote, "confidence")),
                          alone ? top : NULL);
    }
    if (err == 0 && best && !alone)
        err = propose(l, item, "all", best, confidence, top);
    if (err == 0 && best) {
        l->out->agreed += item->label && !strcmp(best, item->label);
        err = maybe_take(l, item, best, confidence);
    }
    free(top);
    json_decref(root);
    return err;
}

static int on_record(void *user, size_t index, sm_record *record, int err)
{
    labelling *l = user;
    const sm_item *item = &l->items[index];
    if (err == 0)
        l->err = read_record(l, item, sm_record_json(record));
    else if (l->o->work.problem)
        l->o->work.problem(l->o->work.user, sm_record_path(record), "could not be heard");
    l->out->heard += err == 0;
    l->out->failed += err != 0;
    sm_record_free(record);
    return l->err;
}

static int on_progress(void *user, const sm_progress_info *p)
{
    labelling *l = user;
    return ds_progress(&l->o->work, p->what, (double)l->done + p->done, (double)l->total, "files") != 0;
}

static int hear_group(labelling *l, sm_engine *e, const sm_item *items, size_t n, sm_arena *a)
{
    const size_t mark = sm_arena_mark(a);
    const char **paths = sm_arena_get(a, n, sizeof *paths, 16);
    int err = paths ? 0 : SM_ENOMEM;
    for (size_t i = 0; i < n && err == 0; i++)
        err = (paths[i] = sm_arena_printf(a, "%s/%s", items[i].root, items[i].path)) ? 0 : SM_ENOMEM;
    l->items = items;
    l->err = 0;
    if (err == 0)
        err = sm_dataset_begin(l->d);
    if (err == 0) {
        err = sm_analyze_files(e, paths, n, on_record, l, NULL);
        if (err == 0)
            err = sm_dataset_commit(l->d);
        else
            sm_dataset_rollback(l->d);
    }
    sm_arena_back(a, mark);
    return err;
}

int sm_dataset_autolabel(sm_dataset *d, const sm_dataset_autolabel_options *o, sm_dataset_autolabel_result *out)
{
    const sm_dataset_filter f = { .verified = -1, .confidence_at_most = o->all ? 0 : o->below > 0 ? o->below : 0.8 };
    labelling l = { .d = d, .o = o, .out = out };
    sm_arena *a = sm_arena_new();
    sm_buffer models = { 0 };
    sm_engine *e = NULL;
    sm_item *items = NULL;
    size_t n = 0;
    int err = a ? ds_writable(d) : SM_ENOMEM;
    *out = (sm_dataset_autolabel_result){ 0 };
    if (err == 0)
        err = choose_models(o->models, &models);
    if (err == 0)
        err = sm_dataset_list(d, &f, a, &items, &n);
    if (err == 0) {
        sm_options options;
        sm_options_init(&options);
        options.models = models.data;
        options.jobs = o->work.jobs;
        options.max_seconds = 10; /* one-shots; of anything longer its beginning */
        options.progress = on_progress;
        options.user = &l;
        err = sm_engine_open(&options, &e);
    }
    if (err == 0 && sm_engine_models(e) == 0) {
        const char *reason = NULL;
        const char *missing = sm_engine_missing_model(e, 0, &reason);
        err = sm_fail(SM_ENOTFOUND, "%s: %s", missing ? missing : models.data, reason ? reason : "is not installed");
    }
    l.total = n;
    for (size_t at = 0; at < n && err == 0; at += GROUP) {
        l.done = at;
        err = hear_group(&l, e, items + at, SM_MIN(n - at, GROUP), a);
    }
    sm_engine_close(e);
    sm_buffer_free(&models);
    sm_arena_free(a);
    return err;
}
