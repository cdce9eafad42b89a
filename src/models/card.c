/* The metadata .json that Essentia publishes beside each model (ESSENTIA spec, section 8). */
#include <jansson.h>
#include <string.h>

#include "models/model.h"

enum { CARD_LIMIT = 4 << 20, CLASS_LIMIT = 65536 };

static const char *text_of(sm_arena *a, const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? sm_arena_strdup(a, s) : NULL;
}

static int read_classes(sm_card *c, const json_t *list, const char *label)
{
    const size_t n = json_array_size(list);
    const char **names;
    if (n == 0)
        return 0;
    if (n > CLASS_LIMIT)
        return sm_fail(SM_EFORMAT, "%s: %zu classes", label, n);
    names = sm_arena_get(c->arena, n, sizeof *names, sizeof(void *));
    for (size_t i = 0; names && i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s)
            return sm_fail(SM_EFORMAT, "%s: class %zu is not a text", label, i);
        names[i] = sm_arena_strdup(c->arena, s);
        if (!names[i])
            return SM_ENOMEM;
    }
    if (!names)
        return SM_ENOMEM;
    c->n_classes = n;
    c->classes = names;
    return 0;
}

static void read_schema(sm_card *c, const json_t *schema)
{
    const json_t *in = json_array_get(json_object_get(schema, "inputs"), 0);
    size_t i;
    json_t *out;
    c->input = text_of(c->arena, in, "name");
    json_array_foreach(json_object_get(schema, "outputs"), i, out)
    {
        const char *purpose = json_string_value(json_object_get(out, "output_purpose"));
        if (purpose && !strcmp(purpose, "predictions") && !c->predictions)
            c->predictions = text_of(c->arena, out, "name");
        if (purpose && !strcmp(purpose, "embeddings") && !c->embeddings)
            c->embeddings = text_of(c->arena, out, "name");
    }
}

static int fill(sm_card *c, const json_t *root, const char *label)
{
    const json_t *inference = json_object_get(root, "inference");
    const json_t *embedding = json_object_get(inference, "embedding_model");
    c->name = text_of(c->arena, root, "name");
    c->link = text_of(c->arena, root, "link");
    c->type = text_of(c->arena, root, "type");
    c->version = text_of(c->arena, root, "version");
    c->framework = text_of(c->arena, root, "framework");
    c->algorithm = text_of(c->arena, inference, "algorithm");
    c->backbone = text_of(c->arena, embedding, "model_name");
    c->backbone_algorithm = text_of(c->arena, embedding, "algorithm");
    c->rate_hz = (int)SM_CLAMP(json_integer_value(json_object_get(inference, "sample_rate")), 0, 1000000);
    read_schema(c, json_object_get(root, "schema"));
    return read_classes(c, json_object_get(root, "classes"), label);
}

int sm_card_parse(const char *json, size_t length, const char *label, sm_card **out)
{
    json_error_t problem;
    json_t *root = NULL;
    sm_card *c = NULL;
    int err = 0;

    *out = NULL;
    root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(root) || !(json_object_get(root, "schema") || json_object_get(root, "classes"))) {
        err = root ? sm_fail(SM_EFORMAT, "%s: no model metadata (\"schema\" or \"classes\" is expected)", label)
                   : sm_fail(SM_EFORMAT, "%s:%d: %s", label, problem.line, problem.text);
        goto out;
    }
    c = sm_alloc_zero(1, sizeof *c);
    if (!c || !(c->arena = sm_arena_new()) || !(c->json = sm_strndup(json, length))) {
        err = SM_ENOMEM;
        goto out;
    }
    err = fill(c, root, label);
out:
    json_decref(root);
    if (err < 0)
        sm_card_free(c);
    else
        *out = c;
    return err;
}

int sm_card_read(const char *path, sm_card **out)
{
    sm_buffer text = { 0 };
    int err;
    *out = NULL;
    err = sm_file_read(path, CARD_LIMIT, &text);
    if (err == 0)
        err = sm_card_parse(text.data ? text.data : "", text.length, path, out);
    sm_buffer_free(&text);
    return err;
}

void sm_card_free(sm_card *c)
{
    if (!c)
        return;
    sm_arena_free(c->arena);
    sm_free(c->json);
    sm_free(c);
}

/* `path` up to `keep` bytes, then ".json", if such a file is there. */
static char *beside(const char *path, size_t keep)
{
    char *name = sm_printf_new("%.*s.json", (int)keep, path);
    FILE *f = name ? fopen(name, "rb") : NULL;
    if (f) {
        fclose(f);
        return name;
    }
    sm_free(name);
    return NULL;
}

char *sm_card_path(const char *model_path)
{
    const char *name = sm_path_name(model_path);
    const char *dot = strrchr(name, '.');
    size_t folder;
    if (strcmp(name, "model.json"))
        return dot ? beside(model_path, (size_t)(dot - model_path)) : NULL;
    /* tfjs: "x/model.json" is the graph; its card is "x.json" or "x/x.json" */
    folder = (size_t)(name - model_path);
    if (folder > 1) {
        size_t start = folder - 1;
        char *inside, *card;
        while (start > 0 && model_path[start - 1] != '/')
            start--;
        if ((card = beside(model_path, folder - 1)))
            return card;
        inside = sm_printf_new("%.*s%.*s.x", (int)folder, model_path, (int)(folder - 1 - start), model_path + start);
        card = inside ? beside(inside, strlen(inside) - 2) : NULL;
        sm_free(inside);
        return card;
    }
    return NULL;
}
