/* JSON out. */
#include <string.h>

#include "base/base.h"

#define DEEPEST 64 /* bits of has_items */

void sm_json_init(sm_json *j, sm_buffer *out, bool pretty)
{
    *j = (sm_json){ .out = out, .pretty = pretty };
}

static void new_line(sm_json *j)
{
    if (!j->pretty)
        return;
    sm_buffer_text(j->out, "\n");
    for (int i = 0; i < j->depth; i++)
        sm_buffer_text(j->out, "  ");
}

/* What stands before a value or a key: nothing after a key, else a comma and the line. */
static void before_item(sm_json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->depth == 0)
        return;
    if (j->has_items >> (j->depth - 1) & 1)
        sm_buffer_text(j->out, ",");
    j->has_items |= (uint64_t)1 << (j->depth - 1);
    new_line(j);
}

static void begin(sm_json *j, const char *bracket)
{
    before_item(j);
    if (j->depth == DEEPEST) {
        sm_fail(SM_EINTERNAL, "JSON nested deeper than %d", DEEPEST);
        j->out->failed = true;
        return;
    }
    sm_buffer_text(j->out, bracket);
    j->has_items &= ~((uint64_t)1 << j->depth);
    j->depth++;
}

static void end(sm_json *j, const char *bracket)
{
    bool had_items;

    if (j->depth == 0 || j->after_key) {
        sm_fail(SM_EINTERNAL, "JSON: \"%s\" without its beginning or after a key", bracket);
        j->out->failed = true;
        return;
    }
    j->depth--;
    had_items = j->has_items >> j->depth & 1;
    if (had_items)
        new_line(j);
    sm_buffer_text(j->out, bracket);
}

void sm_json_begin_object(sm_json *j)
{
    begin(j, "{");
}

void sm_json_end_object(sm_json *j)
{
    end(j, "}");
}

void sm_json_begin_array(sm_json *j)
{
    begin(j, "[");
}

void sm_json_end_array(sm_json *j)
{
    end(j, "]");
}

/* Writes what RFC 8259 wants escaped; bytes that are not UTF-8 become U+FFFD, one each. */
static void add_escaped(sm_buffer *out, const char *text)
{
    static const char short_forms[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const size_t length = strlen(text);
    size_t plain = 0; /* start of what has not been written yet */

    sm_buffer_text(out, "\"");
    for (size_t at = 0; at < length;) {
        const size_t bytes = sm_utf8_length(text + at, length - at);
        const char *form = strchr(short_forms, text[at]);
        if (bytes > 0 && !form && (unsigned char)text[at] >= 0x20) {
            at += bytes;
            continue;
        }
        sm_buffer_add(out, text + plain, at - plain);
        if (bytes == 0)
            sm_buffer_text(out, "\xEF\xBF\xBD");
        else if (form)
            sm_buffer_printf(out, "\\%c", letters[form - short_forms]);
        else
            sm_buffer_printf(out, "\\u%04x", (unsigned char)text[at]);
        plain = ++at;
    }
    sm_buffer_add(out, text + plain, length - plain);
    sm_buffer_text(out, "\"");
}

void sm_json_key(sm_json *j, const char *key)
{
    before_item(j);
    add_escaped(j->out, key);
    sm_buffer_text(j->out, j->pretty ? ": " : ":");
    j->after_key = true;
}

void sm_json_raw(sm_json *j, const char *json)
{
    before_item(j);
    sm_buffer_text(j->out, json);
}

void sm_json_string(sm_json *j, const char *text)
{
    if (!text) {
        sm_json_null(j);
        return;
    }
    before_item(j);
    add_escaped(j->out, text);
}

void sm_json_f32(sm_json *j, double value)
{
    char text[32];

    sm_format_f32((float)value, text);
    sm_json_raw(j, text);
}

void sm_json_f64(sm_json *j, double value)
{
    char text[32];

    sm_format_f64(value, text);
    sm_json_raw(j, text);
}

void sm_json_int(sm_json *j, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)value);
    sm_json_raw(j, text);
}

void sm_json_bool(sm_json *j, bool value)
{
    sm_json_raw(j, value ? "true" : "false");
}

void sm_json_null(sm_json *j)
{
    sm_json_raw(j, "null");
}
