/* Which fields a query may name: those of dsp/descriptors.def, and the rows of query_fields.def. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "dsp/dsp.h"
#include "library/query.h"

#define QUERY_FIELD(name, type, unit, low, high, sentence) { #name, type, unit, low, high, sentence },
#define QUERY_ALIAS(alias, name)
static const query_field own[] = {
#include "library/query_fields.def"
};
#undef QUERY_FIELD
#undef QUERY_ALIAS

#define QUERY_FIELD(name, type, unit, low, high, sentence)
#define QUERY_ALIAS(alias, name) { #alias, #name },
static const struct {
    const char *alias, *name;
} aliases[] = {
#include "library/query_fields.def"
};

static query_field of_descriptor(const dsp_field *d)
{
    static const query_type types[] = { [DSP_FIELD_NUMBER] = QUERY_NUMBER,
                                        [DSP_FIELD_INT] = QUERY_INTEGER,
                                        [DSP_FIELD_BOOL] = QUERY_BOOLEAN,
                                        [DSP_FIELD_TEXT] = QUERY_TEXT };
    query_field f = { d->name, types[d->type], d->unit, d->low, d->high, d->sentence };
    if (!strcmp(d->name, "key") || !strcmp(d->name, "key_second"))
        f.type = QUERY_KEY;
    return f;
}

/* Lists cannot be tested; a key in three notations and a note by name are one field each. */
static bool left_out(const dsp_field *d)
{
    static const char *const names[] = { "key_camelot", "key_openkey", "note_name" };
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        if (!strcmp(d->name, names[i]))
            return true;
    return d->type == DSP_FIELD_LIST;
}

bool query_field_at(size_t i, query_field *out)
{
    const dsp_field *fields;
    const size_t n = dsp_fields(&fields);
    for (size_t d = 0; d < n; d++)
        if (!left_out(&fields[d]) && i-- == 0) {
            *out = of_descriptor(&fields[d]);
            return true;
        }
    if (i >= SM_LENGTH(own))
        return false;
    *out = own[i];
    return true;
}

static const char *canonical(const char *name)
{
    const dsp_field *fields;
    const size_t n = dsp_fields(&fields);
    for (size_t i = 0; i < SM_LENGTH(own); i++)
        if (!strcasecmp(own[i].name, name))
            return own[i].name; /* before aliases of descriptors: loop */
    for (size_t i = 0; i < SM_LENGTH(aliases); i++)
        if (!strcasecmp(aliases[i].alias, name))
            return aliases[i].name;
    if (!strcasecmp(name, "key_camelot") || !strcasecmp(name, "key_openkey"))
        return "key";
    for (size_t i = 0; i < n; i++)
        if (!strcasecmp(fields[i].name, name) || (fields[i].alias && !strcasecmp(fields[i].alias, name)))
            return fields[i].name;
    return NULL;
}

bool query_field_find(const char *name, query_field *out)
{
    const char *wanted = canonical(name);
    for (size_t i = 0; wanted && query_field_at(i, out); i++)
        if (!strcmp(out->name, wanted))
            return true;
    return false;
}

int query_field_unknown(const char *name)
{
    const dsp_field *fields;
    const size_t n = dsp_fields(&fields);
    const char *names[512], *near;
    size_t count = 0;
    for (size_t i = 0; i < SM_LENGTH(own); i++)
        names[count++] = own[i].name;
    for (size_t i = 0; i < SM_LENGTH(aliases); i++)
        names[count++] = aliases[i].alias;
    for (size_t i = 0; i < n && count + 2 < SM_LENGTH(names); i++) {
        if (fields[i].type == DSP_FIELD_LIST) {
            if (!strcasecmp(fields[i].name, name))
                return sm_fail(SM_EUSAGE, "\"%s\" is a list and cannot be asked for", name);
            continue;
        }
        names[count++] = fields[i].name;
        if (fields[i].alias)
            names[count++] = fields[i].alias;
    }
    near = sm_text_nearest(name, names, count);
    if (near)
        return sm_fail(SM_EUSAGE, "there is no field \"%s\"; did you mean %s?", name, near);
    return sm_fail(SM_EUSAGE, "there is no field \"%s\"; a word with this sign in it is written in quotes", name);
}

size_t query_field_aliases(const char *name, const char **out, size_t most)
{
    const dsp_field *fields;
    const size_t n = dsp_fields(&fields);
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(fields[i].name, name) && fields[i].alias && strcmp(fields[i].alias, "loop") != 0 && count < most)
            out[count++] = fields[i].alias;
    for (size_t i = 0; i < SM_LENGTH(aliases); i++)
        if (!strcmp(aliases[i].name, name) && count < most)
            out[count++] = aliases[i].alias;
    return count;
}

bool query_field_sorts(const query_field *f)
{
    return f->type <= QUERY_NOTE;
}
