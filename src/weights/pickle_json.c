/* What a pickle holds beside tensors, as JSON. */
#include <math.h>

#include "weights/pickle.h"

enum { MAX_DEPTH = 32 };

static int text(sm_json *j, const p_value *v)
{
    char *s = sm_strndup(v->text.s, v->text.n);
    if (!s)
        return w_no_memory();
    sm_json_string(j, s);
    sm_free(s);
    return 0;
}

static int write(const p_value *v, sm_json *j, size_t *budget, int depth);

static int write_items(const p_value *v, sm_json *j, size_t *budget, int depth)
{
    int err = 0;
    sm_json_begin_array(j);
    for (size_t i = 0; v && i < v->list.n && err == 0; i++)
        err = write(v->list.items[i], j, budget, depth);
    if (err == 0)
        sm_json_end_array(j);
    return err;
}

static int write_dict(const p_value *v, sm_json *j, size_t *budget, int depth)
{
    int err = 0;
    sm_json_begin_object(j);
    for (size_t i = 0; i + 1 < v->list.n && err == 0; i += 2) {
        const p_value *key = v->list.items[i];
        char number[32];
        char *name = NULL;
        if (key->kind == P_TEXT || key->kind == P_GLOBAL) {
            name = sm_strndup(key->text.s, key->text.n);
        } else if (key->kind == P_INT || key->kind == P_BOOL) {
            snprintf(number, sizeof number, "%lld", (long long)key->i);
            name = sm_strdup(number);
        } else {
            continue; /* JSON has no other keys */
        }
        if (!name)
            return w_no_memory();
        sm_json_key(j, name);
        sm_free(name);
        err = write(v->list.items[i + 1], j, budget, depth);
    }
    if (err == 0)
        sm_json_end_object(j);
    return err;
}

/* Fraction("39/5") and Fraction(39, 5), in the form that Demucs's own safetensors use */
static bool write_fraction(const p_value *v, sm_json *j)
{
    const p_value *args = v->object.args, *a = p_item(args, 0, P_INT), *b = p_item(args, 1, P_INT),
                  *s = p_item(args, 0, P_TEXT);
    int64_t up = 0, down = 1;
    if (!p_is(v->object.class, "fractions.Fraction"))
        return false;
    if (a) {
        up = a->i;
        down = b ? b->i : 1;
    } else if (s && s->text.n < 64) {
        char copy[64];
        memcpy(copy, s->text.s, s->text.n);
        copy[s->text.n] = 0;
        char *slash = strchr(copy, '/');
        if (slash)
            *slash = 0;
        if (!sm_parse_int(copy, &up) || (slash && !sm_parse_int(slash + 1, &down)))
            return false;
    } else {
        return false;
    }
    sm_json_begin_object(j);
    sm_json_key(j, "_type");
    sm_json_string(j, "fraction");
    sm_json_key(j, "numerator");
    sm_json_int(j, up);
    sm_json_key(j, "denominator");
    sm_json_int(j, down);
    sm_json_end_object(j);
    return true;
}

static int write_object(const p_value *v, sm_json *j, size_t *budget, int depth)
{
    int err = 0;
    if (write_fraction(v, j))
        return 0;
    sm_json_begin_object(j);
    sm_json_key(j, "_type");
    err = text(j, v->object.class);
    if (err == 0 && v->object.args->list.n) {
        sm_json_key(j, "args");
        err = write(v->object.args, j, budget, depth);
    }
    if (err == 0 && v->object.state) {
        sm_json_key(j, "state");
        err = write(v->object.state, j, budget, depth);
    }
    if (err == 0 && v->object.items) {
        sm_json_key(j, "items");
        err = write(v->object.items, j, budget, depth);
    }
    if (err == 0)
        sm_json_end_object(j);
    return err;
}

static int write(const p_value *v, sm_json *j, size_t *budget, int depth)
{
    if (depth > MAX_DEPTH || *budget == 0)
        return sm_fail(SM_ELIMIT, "a value of the pickle is too large or too deep");
    --*budget;
    switch (v->kind) {
    case P_BOOL:
        sm_json_bool(j, v->i != 0);
        return 0;
    case P_INT:
        sm_json_int(j, v->i);
        return 0;
    case P_FLOAT:
        if (isfinite(v->f))
            sm_json_f64(j, v->f);
        else
            sm_json_string(j, isnan(v->f) ? "nan" : v->f > 0 ? "inf" : "-inf");
        return 0;
    case P_TEXT:
    case P_GLOBAL:
        return text(j, v);
    case P_LIST:
    case P_TUPLE:
    case P_SET:
        return write_items(v, j, budget, depth + 1);
    case P_DICT:
        return write_dict(v, j, budget, depth + 1);
    case P_OBJECT:
        return write_object(v, j, budget, depth + 1);
    default: /* None; bytes and tensors have no JSON */
        sm_json_null(j);
        return 0;
    }
}

int p_json(const p_value *v, sm_json *j, size_t *budget)
{
    return write(v, j, budget, 0);
}
