/* The error text of each thread. */
#include <string.h>

#include "base/base.h"

#define TEXT_SIZE 1024

static _Thread_local char last_error[TEXT_SIZE];

/* Cuts a full buffer at a whole UTF-8 character and shows that something is missing. */
static void end_with_dots(char text[TEXT_SIZE])
{
    size_t end = TEXT_SIZE - 4;

    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

/* The arguments may point into last_error itself: format beside it, then copy. */
static void keep(const char *prefix_separator, const char *format, va_list args)
{
    char text[TEXT_SIZE];
    int length = vsnprintf(text, sizeof text, format, args);

    if (length < 0)
        text[0] = 0;
    if (length >= 0 && length < TEXT_SIZE && prefix_separator)
        length += snprintf(text + length, sizeof text - (size_t)length, "%s%s", prefix_separator, last_error);
    if (length >= TEXT_SIZE)
        end_with_dots(text);
    memcpy(last_error, text, sizeof text);
}

int sm_fail(int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    keep(NULL, format, args);
    va_end(args);
    return code;
}

int sm_fail_prefix(int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    keep(last_error[0] ? ": " : "", format, args);
    va_end(args);
    return code;
}

void sm_clear_error(void)
{
    last_error[0] = 0;
}

const char *sm_last_error(void)
{
    return last_error;
}

const char *sm_code_name(int code)
{
    static const char *const names[] = {
        "0",         "SM_ENOMEM",     "SM_EIO",    "SM_ENOTFOUND", "SM_EFORMAT", "SM_EUNSUPPORTED",
        "SM_EUSAGE", "SM_ECANCELLED", "SM_ELIMIT", "SM_EINTERNAL",
    };

    return code <= 0 && code > -(int)SM_LENGTH(names) ? names[-code] : "?";
}
