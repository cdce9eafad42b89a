/* Paths and bytes in the journal's JSON, whatever bytes they have. */
#include <jansson.h>
#include <string.h>

#include "library/moves.h"

void sm_json_bytes(sm_json *j, const char *key, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    char name[64];
    char *hex = sm_alloc(2 * n + 1, 1);
    if (!hex) {
        j->out->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[p[i] >> 4];
        hex[2 * i + 1] = digits[p[i] & 15];
    }
    hex[2 * n] = 0;
    snprintf(name, sizeof name, "%s_hex", key);
    sm_json_key(j, name);
    sm_json_string(j, hex);
    sm_free(hex);
}

void sm_json_path(sm_json *j, const char *key, const char *path)
{
    if (!sm_utf8_valid(path, strlen(path))) {
        sm_json_bytes(j, key, path, strlen(path));
        return;
    }
    sm_json_key(j, key);
    sm_json_string(j, path);
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sm_json_bytes_in(const void *object, const char *key, sm_buffer *out)
{
    char name[64];
    const char *text = json_string_value(json_object_get(object, key));
    if (text) {
        sm_buffer_text(out, text);
        return true;
    }
    snprintf(name, sizeof name, "%s_hex", key);
    text = json_string_value(json_object_get(object, name));
    const size_t n = text ? strlen(text) : 1;
    for (size_t i = 0; n % 2 == 0 && i < n; i += 2) {
        const int high = nibble(text[i]), low = nibble(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        const char byte = (char)(high << 4 | low);
        sm_buffer_add(out, &byte, 1);
    }
    return n % 2 == 0;
}
