/* Growing bytes. The first failure is remembered and everything after it ignored, so that writers check once. */
#include <string.h>

#include "base/base.h"

/* Room for `more` bytes and the zero after them. */
static bool make_room(sm_buffer *b, size_t more)
{
    size_t need = 0;

    if (b->failed)
        return false;
    if (sm_add_overflow(b->length, more, &need) || sm_add_overflow(need, 1, &need)) {
        sm_fail(SM_ENOMEM, "no memory for %zu more bytes", more);
        b->failed = true;
    } else {
        b->failed = sm_grow(&b->data, &b->capacity, need, 1) < 0;
    }
    return !b->failed;
}

void sm_buffer_add(sm_buffer *b, const void *data, size_t length)
{
    if (!make_room(b, length))
        return;
    if (length > 0)
        memcpy(b->data + b->length, data, length);
    b->length += length;
    b->data[b->length] = 0;
}

void sm_buffer_text(sm_buffer *b, const char *text)
{
    sm_buffer_add(b, text, strlen(text));
}

void sm_buffer_printf(sm_buffer *b, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        sm_fail(SM_EINTERNAL, "cannot format \"%s\"", format);
        b->failed = true;
    }
    if (length < 0 || !make_room(b, (size_t)length))
        return;
    va_start(args, format);
    vsnprintf(b->data + b->length, (size_t)length + 1, format, args);
    va_end(args);
    b->length += (size_t)length;
}

void sm_buffer_free(sm_buffer *b)
{
    sm_free(b->data);
    *b = (sm_buffer){ 0 };
}
