/* Tables of text on a terminal. */
#include <math.h>
#include <string.h>

#include "cli/command.h"

struct sm_table {
    size_t columns;
    sm_strings cells;  /* row by row; the headings are the first row */
    uint8_t *to_right; /* per column: some cell is a number */
    int err;
};

/* Ranges of characters that take two cells (Unicode 15 East Asian Wide, emoji, coarsely) or none (combining marks). */
static const struct {
    uint32_t from, to;
    int cells;
} widths[] = {
    { 0x0300, 0x036F, 0 },   { 0x0483, 0x0489, 0 },   { 0x0591, 0x05BD, 0 },   { 0x0610, 0x061A, 0 },
    { 0x064B, 0x065F, 0 },   { 0x0E31, 0x0E31, 0 },   { 0x0E34, 0x0E3A, 0 },   { 0x1100, 0x115F, 2 },
    { 0x1AB0, 0x1AFF, 0 },   { 0x1DC0, 0x1DFF, 0 },   { 0x200B, 0x200F, 0 },   { 0x20D0, 0x20FF, 0 },
    { 0x2E80, 0x303E, 2 },   { 0x3041, 0xA4CF, 2 },   { 0xA960, 0xA97F, 2 },   { 0xAC00, 0xD7A3, 2 },
    { 0xF900, 0xFAFF, 2 },   { 0xFE00, 0xFE0F, 0 },   { 0xFE20, 0xFE2F, 0 },   { 0xFE30, 0xFE6F, 2 },
    { 0xFF00, 0xFF60, 2 },   { 0xFFE0, 0xFFE6, 2 },   { 0x1F300, 0x1F64F, 2 }, { 0x1F680, 0x1F6FF, 2 },
    { 0x1F900, 0x1F9FF, 2 }, { 0x20000, 0x3FFFD, 2 },
};

static uint32_t code_point(const unsigned char *s, size_t bytes)
{
    uint32_t c = bytes == 1 ? s[0] : s[0] & (0xFFu >> (bytes + 1));

    for (size_t k = 1; k < bytes; k++)
        c = c << 6 | (s[k] & 0x3F);
    return c;
}

size_t sm_text_columns(const char *text)
{
    const size_t length = strlen(text);
    size_t cells = 0;

    for (size_t at = 0; at < length;) {
        const size_t bytes = sm_utf8_length(text + at, length - at);
        int width = 1;
        if (bytes > 1) {
            const uint32_t c = code_point((const unsigned char *)text + at, bytes);
            for (size_t i = 0; i < SM_LENGTH(widths); i++)
                if (c >= widths[i].from && c <= widths[i].to)
                    width = widths[i].cells;
        }
        cells += (size_t)width;
        at += SM_MAX(bytes, 1);
    }
    return cells;
}

int sm_table_new(const char *const *headings, size_t columns, sm_table **out)
{
    sm_table *t = sm_alloc_zero(1, sizeof *t);

    *out = NULL;
    if (!t)
        return SM_ENOMEM;
    t->columns = columns;
    t->to_right = sm_alloc_zero(columns, 1);
    if (!t->to_right)
        t->err = SM_ENOMEM;
    for (size_t i = 0; t->err == 0 && i < columns; i++)
        sm_table_text(t, headings[i]);
    if (t->err < 0) {
        sm_table_free(t);
        return SM_ENOMEM;
    }
    *out = t;
    return 0;
}

void sm_table_free(sm_table *t)
{
    if (!t)
        return;
    sm_strings_free(&t->cells);
    sm_free(t->to_right);
    sm_free(t);
}

void sm_table_text(sm_table *t, const char *text)
{
    char *cell;

    if (t->err < 0)
        return;
    t->err = sm_strings_add(&t->cells, text ? text : "-");
    if (t->err < 0)
        return;
    /* a file's name may hold anything: a line break or an escape must not reach the terminal */
    for (cell = t->cells.items[t->cells.length - 1]; *cell; cell++)
        if ((unsigned char)*cell < 0x20 || *cell == 0x7F)
            *cell = '?';
}

void sm_table_number(sm_table *t, double value, int decimals)
{
    char text[400];

    if (!isfinite(value)) {
        sm_table_text(t, NULL);
        return;
    }
    if (t->err == 0)
        t->to_right[t->cells.length % t->columns] = 1;
    snprintf(text, sizeof text, "%.*f", decimals, value);
    sm_table_text(t, text);
}

static void print_cell(FILE *out, const char *text, size_t width, bool to_right, bool last)
{
    const size_t cells = sm_text_columns(text);
    const int gap = (int)(width - cells);

    if (to_right)
        fprintf(out, "%*s%s", gap, "", text);
    else
        fprintf(out, "%s%*s", text, last ? 0 : gap, "");
    fputs(last ? "\n" : "  ", out);
}

int sm_table_print(const sm_table *t, FILE *out)
{
    size_t *width;

    if (t->err < 0)
        return sm_fail(t->err, "no memory for a table");
    width = sm_alloc_zero(t->columns, sizeof *width);
    if (!width)
        return SM_ENOMEM;
    for (size_t i = 0; i < t->cells.length; i++)
        width[i % t->columns] = SM_MAX(width[i % t->columns], sm_text_columns(t->cells.items[i]));
    for (size_t i = 0; i < t->cells.length; i++) {
        const size_t column = i % t->columns;
        print_cell(out, t->cells.items[i], width[column], t->to_right[column], column + 1 == t->columns);
    }
    sm_free(width);
    return ferror(out) ? sm_fail(SM_EIO, "cannot write a table") : 0;
}
