/* Values of tests: numbers with units, ranges, keys in three notations, notes, yes and no. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "dsp/dsp.h"
#include "library/query.h"

static int refuse(const query_field *f, const char *value, const char *expected)
{
    return sm_fail(SM_EUSAGE, "%s:%.60s: expected %s", f->name, value, expected);
}

/* ---- numbers ---- */

typedef struct {
    double value;
    int decimals; /* of what was written, in the field's unit */
} number;

/* What may follow a number: value * factor, with so many digits more behind the point. */
static const struct {
    const char *unit, *suffix;
    double factor;
    int decimals;
} suffixes[] = {
    { "s", "s", 1, 0 },         { "s", "sec", 1, 0 },          { "s", "ms", 0.001, 3 },
    { "s", "min", 60, 0 },      { "s", "m", 60, 0 },           { "s", "h", 3600, 0 },
    { "Hz", "hz", 1, 0 },       { "Hz", "khz", 1000, -3 },     { "Hz", "k", 1000, -3 },
    { "LUFS", "lufs", 1, 0 },   { "LUFS", "db", 1, 0 },        { "LU", "lu", 1, 0 },
    { "LU", "db", 1, 0 },       { "dBTP", "dbtp", 1, 0 },      { "dBTP", "db", 1, 0 },
    { "dBFS", "dbfs", 1, 0 },   { "dBFS", "db", 1, 0 },        { "dB", "db", 1, 0 },
    { "0..1", "%", 0.01, 2 },   { "0..100", "%", 1, 0 },       { "beats a minute", "bpm", 1, 0 },
    { "cents", "ct", 1, 0 },    { "bits", "bit", 1, 0 },       { "bits", "bits", 1, 0 },
    { "bit/s", "k", 1000, -3 }, { "bit/s", "kbps", 1000, -3 }, { "semitones", "st", 1, 0 },
    { "bytes", "b", 1, 0 },     { "bytes", "kb", 1e3, -3 },    { "bytes", "mb", 1e6, -6 },
    { "bytes", "gb", 1e9, -9 },
};

static bool apply_suffix(const query_field *f, const char *suffix, number *n)
{
    for (size_t i = 0; i < SM_LENGTH(suffixes); i++)
        if (!strcmp(suffixes[i].unit, f->unit) && !strcasecmp(suffixes[i].suffix, suffix)) {
            n->value *= suffixes[i].factor;
            n->decimals = SM_MAX(n->decimals + suffixes[i].decimals, 0);
            return true;
        }
    return false;
}

/* "1:30" and "1:02:03.5" of times. */
static bool clock_time(const char *text, number *out)
{
    double parts[3];
    size_t n = 0;
    const char *p = text;
    for (; n < 3; n++) {
        char part[24];
        const size_t length = strcspn(p, ":");
        if (length == 0 || length >= sizeof part)
            return false;
        memcpy(part, p, length);
        part[length] = 0;
        if (part[strspn(part, "0123456789.")] || !sm_parse_double(part, &parts[n]))
            return false;
        p += length;
        if (!*p++)
            break;
    }
    if (n == 0 || n == 3)
        return false;
    out->value = n == 1 ? parts[0] * 60 + parts[1] : parts[0] * 3600 + parts[1] * 60 + parts[2];
    const char *point = strchr(text, '.');
    out->decimals = point ? SM_MIN((int)strlen(point + 1), 9) : 0;
    return out->value < 1e15;
}

/* Length of a decimal number at the start of text, and the decimals that it was written with: "1.50" 2, "1.5e-3" 4. */
static size_t number_length(const char *text, int *decimals)
{
    size_t length = strspn(text, "+-"), after = 0;
    int exponent = 0;
    length += strspn(text + length, "0123456789");
    if (text[length] == '.') {
        after = strspn(text + length + 1, "0123456789");
        length += 1 + after;
    }
    if (length > 0 && (text[length] == 'e' || text[length] == 'E')) {
        const size_t sign = text[length + 1] == '-' || text[length + 1] == '+';
        const size_t digits = strspn(text + length + 1 + sign, "0123456789");
        if (digits > 0 && digits < 4) {
            for (size_t i = 0; i < digits; i++)
                exponent = exponent * 10 + (text[length + 1 + sign + i] - '0');
            if (text[length + 1] == '-')
                exponent = -exponent;
            length += 1 + sign + digits;
        }
    }
    *decimals = SM_CLAMP((int)SM_MIN(after, 64) - exponent, 0, 9);
    return length;
}

static bool read_number(const query_field *f, const char *text, number *out)
{
    char digits[64];
    if (!strcmp(f->unit, "s") && strchr(text, ':'))
        return clock_time(text, out);
    const size_t length = number_length(text, &out->decimals);
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, text, length);
    digits[length] = 0;
    if (!sm_parse_double(digits, &out->value))
        return false;
    if (text[length] && !apply_suffix(f, text + length, out))
        return false;
    out->decimals = SM_MIN(out->decimals, 9);
    out->value += 0.0; /* no negative zero */
    return fabs(out->value) < 1e15;
}

/* ---- keys ---- */

bool query_key_read(const char *text, int *tonic, int *minor)
{
    return dsp_key_read(text, tonic, minor);
}

uint32_t query_key_compatible(int tonic, int minor)
{
    /* same number, other letter: the relative key; neighbours: a fifth up and down */
    const int up = (tonic + 7) % 12, down = (tonic + 5) % 12, relative = (tonic + (minor ? 3 : 9)) % 12;
    const int own = 12 * minor, other = 12 - own;
    return 1u << (own + tonic) | 1u << (own + up) | 1u << (own + down) | 1u << (other + relative);
}

static int read_key(const query_field *f, const char *value, query_span *out)
{
    int minor = 0;
    if (!strcasecmp(value, "minor") || !strcasecmp(value, "major")) {
        out->tonic = -1;
        out->mode = !strcasecmp(value, "minor");
        out->set = out->mode ? 0xFFF000u : 0xFFFu;
        if (out->op == QUERY_NEAR)
            return refuse(f, value, "a key behind ~, such as ~Am");
        return 0;
    }
    if (!dsp_key_read(value, &out->tonic, &minor))
        return refuse(f, value, "a key: F#m, \"A minor\", Bb, 8A, 1m, major or minor");
    out->mode = minor;
    out->set = out->op == QUERY_NEAR ? query_key_compatible(out->tonic, minor) : 1u << (12 * minor + out->tonic);
    return 0;
}

/* ---- notes ---- */

/* "A#2", "Bb-1" or a MIDI number; *octave false: a pitch class. */
static bool read_note(const char *text, double *midi, bool *octave)
{
    int tonic;
    double up;
    *octave = true;
    if (sm_parse_double(text, midi))
        return *midi >= 0 && *midi <= 127 && *midi == floor(*midi);
    const char *rest = dsp_tonic_read(text, &tonic);
    if (!rest)
        return false;
    if (!*rest) {
        *octave = false;
        *midi = tonic;
        return true;
    }
    /* Cb4 is B3, B#3 is C4: the octave counts for the letter */
    const int letter_tonic = (tonic == 11 && toupper((unsigned char)text[0]) == 'C')  ? -1
                             : (tonic == 0 && toupper((unsigned char)text[0]) == 'B') ? 12
                                                                                      : tonic;
    if (!sm_parse_double(rest, &up) || up != floor(up) || up < -1 || up > 9)
        return false;
    *midi = 12 * (up + 1) + letter_tonic;
    return *midi >= 0 && *midi <= 127;
}

static int note_refused(const query_field *f, const char *value)
{
    return refuse(f, value, "a note: C2, F#, 36");
}

static int read_note_value(const query_field *f, const char *value, query_span *out)
{
    bool octave;
    double midi;
    if (!read_note(value, &midi, &octave))
        return note_refused(f, value);
    out->low = out->high = midi;
    if (!octave || out->op == QUERY_NEAR) {
        out->tonic = (int)midi % 12;
        out->set = 1u << out->tonic;
    }
    return 0;
}

/* ---- spans ---- */

static int read_bound(const query_field *f, const char *text, double *out)
{
    number n;
    bool octave;
    if (f->type == QUERY_NOTE) {
        if (!read_note(text, out, &octave) || !octave)
            return note_refused(f, text);
        return 0;
    }
    if (!read_number(f, text, &n))
        return refuse(f, text, "a number");
    *out = n.value;
    return 0;
}

static int read_range(sm_arena *a, const query_field *f, const char *value, const char *dots, query_span *out)
{
    const char *low = sm_arena_strndup(a, value, (size_t)(dots - value)), *high = dots + 2;
    int err = low ? 0 : SM_ENOMEM;
    out->op = QUERY_RANGE;
    out->low = -INFINITY;
    out->high = INFINITY;
    if (err == 0 && !*low && !*high)
        return refuse(f, value, "a number on one side of ..");
    if (err == 0 && *low)
        err = read_bound(f, low, &out->low);
    if (err == 0 && *high)
        err = read_bound(f, high, &out->high);
    if (err == 0 && out->low > out->high)
        return refuse(f, value, "the smaller number first");
    return err;
}

static int read_compared(const query_field *f, const char *op, const char *value, query_span *out)
{
    double bound;
    const int err = read_bound(f, value, &bound);
    out->op = QUERY_RANGE;
    out->low = *op == '>' ? bound : -INFINITY;
    out->high = *op == '<' ? bound : INFINITY;
    out->above = !strcmp(op, ">");
    out->below = !strcmp(op, "<");
    return err;
}

static int read_yes(const query_field *f, const char *value, query_span *out)
{
    static const char *const words[] = { "no", "false", "off", "0", "yes", "true", "on", "1" };
    for (size_t i = 0; i < SM_LENGTH(words); i++)
        if (!strcasecmp(value, words[i])) {
            out->low = i >= 4;
            return 0;
        }
    return refuse(f, value, "yes or no");
}

static bool is_numeric(const query_field *f)
{
    return f->type == QUERY_NUMBER || f->type == QUERY_INTEGER || f->type == QUERY_NOTE;
}

int query_span_read(sm_arena *a, const query_field *f, const char *op, const char *value, query_span *out)
{
    number n = { 0 };
    const char *dots = strstr(value, "..");
    *out = (query_span){ .op = QUERY_IS, .tonic = -1 };
    if (!*value)
        return refuse(f, value, "a value");
    if (*op == '<' || *op == '>') {
        if (!is_numeric(f))
            return refuse(f, value, "no comparison: the field is not a number");
        return read_compared(f, op, value, out);
    }
    if (*op == '~')
        out->op = QUERY_NEAR;
    if (is_numeric(f) && dots) {
        if (out->op == QUERY_NEAR)
            return refuse(f, value, "one value behind ~");
        return read_range(a, f, value, dots, out);
    }
    switch (f->type) {
    case QUERY_KEY:
        return read_key(f, value, out);
    case QUERY_NOTE:
        return read_note_value(f, value, out);
    case QUERY_NUMBER:
    case QUERY_INTEGER:
        if (!read_number(f, value, &n))
            return refuse(f, value, "a number, a range a..b, or <a, >a, ~a");
        out->low = n.value;
        out->decimals = n.decimals;
        return 0;
    default:
        break;
    }
    if (out->op == QUERY_NEAR)
        return refuse(f, value, "no ~: it is for numbers, keys and notes");
    if (f->type == QUERY_BOOLEAN || f->type == QUERY_LOOP || f->type == QUERY_FAVOURITE)
        return read_yes(f, value, out);
    out->text = sm_arena_strdup(a, value);
    return out->text ? 0 : SM_ENOMEM;
}

/* ---- judging ---- */

bool query_span_is_target(const query_field *f, const query_span *s)
{
    return s->op == QUERY_NEAR && (f->type == QUERY_NUMBER || f->type == QUERY_INTEGER) &&
           strcmp(f->unit, "beats a minute") != 0;
}

bool query_span_accepts(const query_field *f, const query_span *s, double value)
{
    const double octaves[] = { 0.5, 1, 2 };
    if (isnan(value))
        return false;
    if (s->op == QUERY_KNOWN)
        return true;
    if (s->set != 0 && f->type == QUERY_NOTE)
        return value >= 0 && (s->set >> ((unsigned)value % 12) & 1);
    if (s->op == QUERY_RANGE)
        return (s->above ? value > s->low : value >= s->low) && (s->below ? value < s->high : value <= s->high);
    if (s->op == QUERY_NEAR) {
        if (query_span_is_target(f, s))
            return true;
        for (size_t i = 0; i < SM_LENGTH(octaves); i++)
            if (fabs(value - s->low * octaves[i]) <= 0.02 * fabs(s->low) * octaves[i])
                return true;
        return false;
    }
    const double half = 0.5 * pow(10, -s->decimals);
    return value >= s->low - half && value < s->low + half;
}

double query_span_nearness(const query_field *f, const query_span *s, double value)
{
    const double away = fabs(value - s->low);
    double far; /* 1: nothing is left */
    if (isnan(value))
        return 0;
    if (isfinite(f->low) && isfinite(f->high) && strcmp(f->unit, "Hz") != 0)
        far = away / (0.3 * (f->high - f->low));
    else if (!strncmp(f->unit, "dB", 2) || !strncmp(f->unit, "LU", 2))
        far = away / 6;
    else if (!strncmp(f->unit, "log", 3))
        far = away / 0.5;
    else if (s->low > 0) /* lengths, frequencies, counts are heard as ratios: an octave at most */
        far = value > 0 ? fabs(log2(value / s->low)) : 1;
    else
        far = away;
    return SM_MAX(1 - far, 0);
}

/* Lower case; everything but letters, digits, # and bytes above ASCII is a blank; single blanks, none at the ends. */
static void simplify(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text && n + 2 < size; text++) {
        const unsigned char c = (unsigned char)*text;
        if (isalnum(c) || c == '#' || c >= 0x80)
            out[n++] = (char)tolower(c);
        else if (n > 0 && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = 0;
}

bool query_text_matches(const char *value, const char *wanted)
{
    char a[512], b[512];
    simplify(value, a, sizeof a);
    simplify(wanted, b, sizeof b);
    const size_t length = strlen(b);
    if (length == 0)
        return !strcmp(value, wanted);
    for (const char *at = strstr(a, b); at; at = strstr(at + 1, b))
        if ((at == a || at[-1] == ' ') && (at[length] == 0 || at[length] == ' '))
            return true;
    /* "oneshot" is one_shot, "hihatopen" is hihat-open: without the blanks */
    size_t i = 0, j = 0;
    while (a[i] || b[j]) {
        i += a[i] == ' ';
        j += b[j] == ' ';
        if (a[i] != b[j])
            return false;
        if (a[i])
            i++, j++;
    }
    return true;
}

/* ---- printing ---- */

static void add_number(sm_buffer *out, double value, int decimals)
{
    char text[64];
    if (decimals < 0)
        sm_format_f64(value, text);
    else
        snprintf(text, sizeof text, "%.*f", decimals, value);
    sm_buffer_text(out, text);
}

static void add_value(const query_field *f, double value, int decimals, sm_buffer *out)
{
    char text[16];
    if (f->type == QUERY_NOTE) {
        dsp_note_text((int)value, text);
        sm_buffer_text(out, text);
    } else
        add_number(out, value, decimals);
}

static void add_tonic(int tonic, sm_buffer *out)
{
    char text[16];
    dsp_note_text(60 + tonic, text); /* C4 ... */
    text[strlen(text) - 1] = 0;
    sm_buffer_text(out, text);
}

static void print_bounds(const query_field *f, const query_span *s, sm_buffer *out)
{
    if (isinf(s->low) && s->low < 0 && isinf(s->high))
        sm_buffer_text(out, "..");
    else if (s->above || s->below) {
        sm_buffer_text(out, s->above ? ">" : "<");
        add_value(f, s->above ? s->low : s->high, -1, out);
    } else {
        if (isfinite(s->low))
            add_value(f, s->low, -1, out);
        sm_buffer_text(out, "..");
        if (isfinite(s->high))
            add_value(f, s->high, -1, out);
    }
}

/* Quoted where the language would read it otherwise. */
static void print_text(const char *text, sm_buffer *out)
{
    const bool plain = *text && !text[strcspn(text, " \t\r\n\v\f\"|()~<>=")] && *text != '~';
    if (!plain)
        sm_buffer_text(out, "\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            sm_buffer_text(out, "\"");
        sm_buffer_add(out, p, 1);
    }
    if (!plain)
        sm_buffer_text(out, "\"");
}

void query_span_print(const query_field *f, const query_span *s, sm_buffer *out)
{
    if (s->op == QUERY_KNOWN)
        return;
    if (s->op == QUERY_RANGE) {
        print_bounds(f, s, out);
        return;
    }
    if (s->op == QUERY_NEAR)
        sm_buffer_text(out, "~");
    if (s->text)
        print_text(s->text, out);
    else if (f->type == QUERY_KEY && s->tonic < 0)
        sm_buffer_text(out, s->mode ? "minor" : "major");
    else if (f->type == QUERY_KEY) {
        add_tonic(s->tonic, out);
        sm_buffer_text(out, s->mode ? "m" : "");
    } else if (f->type == QUERY_NOTE && s->set != 0)
        add_tonic(s->tonic, out);
    else if (f->type == QUERY_BOOLEAN || f->type == QUERY_LOOP || f->type == QUERY_FAVOURITE)
        sm_buffer_text(out, s->low > 0 ? "yes" : "no");
    else
        add_value(f, s->low, s->decimals, out);
}

static void say_keys(const query_span *s, sm_buffer *out)
{
    char text[16];
    const char *comma = "";
    for (int k = 0; k < 24; k++)
        if (s->set >> k & 1) {
            const dsp_key key = { .tonic = k % 12, .minor = k >= 12 };
            sm_buffer_printf(out, "%s%s", comma, dsp_key_text(&key, "musical", text));
            comma = ", ";
        }
}

void query_span_say(const query_field *f, const query_span *s, sm_buffer *out)
{
    if (s->op == QUERY_KNOWN)
        sm_buffer_text(out, "is known");
    else if (f->type == QUERY_KEY && s->op == QUERY_NEAR) {
        sm_buffer_text(out, "goes with ");
        query_span_print(f, &(query_span){ .op = QUERY_IS, .tonic = s->tonic, .mode = s->mode, .set = 1 }, out);
        sm_buffer_text(out, ": ");
        say_keys(s, out);
    } else if (f->type == QUERY_NOTE && s->set != 0) {
        sm_buffer_text(out, "is a ");
        add_tonic(s->tonic, out);
        sm_buffer_text(out, " of any octave");
    } else if (s->op == QUERY_NEAR && !query_span_is_target(f, s)) {
        sm_buffer_text(out, "is within 2 % of ");
        add_number(out, s->low, s->decimals);
        sm_buffer_text(out, ", its half or its double");
    } else if (s->op == QUERY_NEAR) {
        sm_buffer_text(out, "ranks by nearness to ");
        add_number(out, s->low, s->decimals);
    } else if (s->op == QUERY_RANGE) {
        const bool low = isfinite(s->low), high = isfinite(s->high);
        sm_buffer_text(out, low && high ? "is from "
                            : s->above  ? "is above "
                            : s->below  ? "is below "
                            : low       ? "is at least "
                                        : "is at most ");
        if (low)
            add_value(f, s->low, -1, out);
        sm_buffer_text(out, low && high ? " to " : "");
        if (high)
            add_value(f, s->high, -1, out);
    } else {
        sm_buffer_text(out, "is ");
        query_span_print(f, s, out);
    }
    if (*f->unit && s->op != QUERY_KNOWN && strncmp(f->unit, "0..", 3) != 0 && f->type != QUERY_NOTE)
        sm_buffer_printf(out, " %s", f->unit);
}
