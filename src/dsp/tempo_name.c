#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dsp/tempo_name.h"

static bool is_separator(char c)
{
    return c == 0 || strchr("_- .()[]{}+,@", c) != NULL;
}

/* Digits, with decimals if a point and one or two digits follow that are not a file ending's. Returns the length, 0: not a number here. */
static size_t number_at(const char *s, double *out)
{
    size_t n = 0;
    double v = 0, scale = 1;
    while (isdigit((unsigned char)s[n]) && n < 4)
        v = v * 10 + (s[n++] - '0');
    if (n == 0 || n == 4)
        return 0;
    size_t m = n + 1;
    if (s[n] == '.' && isdigit((unsigned char)s[m])) {
        while (isdigit((unsigned char)s[m]) && m < n + 4)
            v += (s[m++] - '0') * (scale /= 10);
        n = m;
    }
    *out = v;
    return isdigit((unsigned char)s[n]) ? 0 : n;
}

static size_t skip_separators(const char *s)
{
    size_t n = 0;
    while (s[n] && n < 2 && is_separator(s[n]))
        n++;
    return n;
}

static bool plausible(double v)
{
    return v >= 30 && v <= 400;
}

double tempo_from_name(const char *name)
{
    double bare = NAN, v;
    int bare_count = 0;
    if (!name)
        return NAN;
    const char *s = sm_path_name(name);
    for (const char *p = s; *p; p++) {
        const bool starts =
            p == s || (!isdigit((unsigned char)p[-1]) && !(p[-1] == '.' && p > s + 1 && isdigit((unsigned char)p[-2])));
        if (strncasecmp(p, "bpm", 3) == 0) {
            const char *after = p + 3 + skip_separators(p + 3);
            const bool word = p == s || !isalpha((unsigned char)p[-1]);
            if (word && number_at(after, &v) > 0 && plausible(v))
                return v;
        }
        const size_t n = starts ? number_at(p, &v) : 0;
        if (n == 0)
            continue;
        const char *after = p + n + skip_separators(p + n);
        if (plausible(v) && strncasecmp(after, "bpm", 3) == 0 && !isalpha((unsigned char)after[3]))
            return v;
        const bool alone = (p == s || is_separator(p[-1])) && is_separator(p[n]);
        if (alone && v == floor(v) && v >= 60 && v <= 200) {
            bare = v;
            bare_count++;
        }
        p += n - 1;
    }
    return bare_count == 1 ? bare : NAN;
}

double tempo_from_acid(const dsp_evidence *e, double duration_s)
{
    if (!e || e->acid_one_shot)
        return NAN;
    const double tempo = e->acid_tempo > 0                     ? e->acid_tempo
                         : e->acid_beats > 0 && duration_s > 0 ? 60.0 * e->acid_beats / duration_s
                                                               : NAN;
    return plausible(tempo) ? tempo : NAN;
}
