/* Open addressing, at most half full. */
#include "weights/names.h"

#include <string.h>

#include "base/base.h"

static struct w_name *slot_of(const w_names *m, const char *name)
{
    size_t i = (size_t)sm_fnv1a64(name, strlen(name)) & (m->n_slots - 1);
    while (m->slots[i].name && strcmp(m->slots[i].name, name) != 0)
        i = (i + 1) & (m->n_slots - 1);
    return &m->slots[i];
}

static int grow(w_names *m)
{
    w_names bigger = { .n_slots = m->n_slots ? m->n_slots * 2 : 64, .n = m->n };
    bigger.slots = sm_alloc_zero(bigger.n_slots, sizeof *bigger.slots);
    if (!bigger.slots)
        return SM_ENOMEM;
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].name)
            *slot_of(&bigger, m->slots[i].name) = m->slots[i];
    sm_free(m->slots);
    *m = bigger;
    return 0;
}

int w_names_put(w_names *m, const char *name, size_t value)
{
    if ((m->n + 1) * 2 > m->n_slots && grow(m) < 0)
        return SM_ENOMEM;
    struct w_name *s = slot_of(m, name);
    m->n += !s->name;
    *s = (struct w_name){ name, value };
    return 0;
}

bool w_names_get(const w_names *m, const char *name, size_t *value)
{
    if (!m->n_slots || !slot_of(m, name)->name)
        return false;
    *value = slot_of(m, name)->value;
    return true;
}

void w_names_clear(w_names *m)
{
    sm_free(m->slots);
    *m = (w_names){ 0 };
}
