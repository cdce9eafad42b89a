/* "k=v,k=v": sizes of a build that the command line may change. */
#include <string.h>

#include "models/model.h"

/* The text of `key`'s value, or NULL; length to *n. */
static const char *find(const sm_model_config *c, const char *key, size_t *n)
{
    const size_t key_length = strlen(key);
    for (const char *at = c && c->text ? c->text : ""; *at;) {
        const size_t item = strcspn(at, ",");
        if (item > key_length && !strncmp(at, key, key_length) && at[key_length] == '=') {
            *n = item - key_length - 1;
            return at + key_length + 1;
        }
        at += item + (at[item] == ',');
    }
    return NULL;
}

const char *sm_config_text(const sm_model_config *c, const char *key, const char *standard, char out[64])
{
    size_t n = 0;
    const char *text = find(c, key, &n);
    if (!text || n > 63)
        snprintf(out, 64, "%s", standard);
    else
        snprintf(out, 64, "%.*s", (int)n, text);
    return out;
}

int64_t sm_config_int(const sm_model_config *c, const char *key, int64_t standard, int64_t low, int64_t high, int *err)
{
    char text[64];
    size_t n;
    int64_t value;
    if (!find(c, key, &n))
        return standard;
    if (sm_parse_int(sm_config_text(c, key, "", text), &value) && value >= low && value <= high)
        return value;
    if (err)
        *err = sm_fail(SM_EUSAGE, "config %s=%s: a whole number from %lld to %lld is expected", key, text,
                       (long long)low, (long long)high);
    return standard;
}

int sm_config_check(const sm_model_config *c, const char *const *known)
{
    for (const char *at = c && c->text ? c->text : ""; *at;) {
        const size_t item = strcspn(at, ",");
        const size_t key = strcspn(at, "=,");
        bool found = false;
        for (const char *const *k = known; k && *k && !found; k++)
            found = strlen(*k) == key && !strncmp(*k, at, key);
        if (!found || key == item)
            return sm_fail(SM_EUSAGE, "config \"%.*s\": %s", (int)SM_MIN(item, 100), at,
                           found ? "KEY=VALUE is expected" : "this model has no such key");
        at += item + (at[item] == ',');
    }
    return 0;
}
