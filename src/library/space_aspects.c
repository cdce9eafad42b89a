/* The descriptors of a sound as a vector, in four aspects: what `--by timbre=1,pitch=0` weighs. */
#include <math.h>
#include <string.h>

#include "library/space.h"

typedef enum {
    PLAIN,
    NONE_IS_0, /* not known: 0 */
    LOG2,
    RATIO,     /* field over other */
    LOG_RATIO, /* log2 of that */
    COUNT,     /* log2(1 + x) */
    RATE       /* log2(1 + field / other) */
} form;

enum { TIMBRE, PITCH, ENVELOPE, RHYTHM };

/* In the order of the vector, aspects one after the other. */
static const struct {
    int aspect;
    const char *field;
    form form;
    const char *other;
} values[] = {
    { TIMBRE, "brightness", PLAIN, NULL },
    { TIMBRE, "hardness", PLAIN, NULL },
    { TIMBRE, "depth", PLAIN, NULL },
    { TIMBRE, "roughness", PLAIN, NULL },
    { TIMBRE, "boominess", PLAIN, NULL },
    { TIMBRE, "warmth", PLAIN, NULL },
    { TIMBRE, "sharpness", PLAIN, NULL },
    { TIMBRE, "spectral_flatness", PLAIN, NULL },
    { TIMBRE, "spectral_entropy", PLAIN, NULL },
    { TIMBRE, "zero_crossing_rate", PLAIN, NULL },
    { TIMBRE, "spectral_centroid_hz", LOG2, NULL },
    { TIMBRE, "spectral_spread_hz", LOG2, NULL },
    { TIMBRE, "spectral_rolloff_hz", LOG2, NULL },
    { PITCH, "pitch_hz", LOG2, NULL },
    { PITCH, "pitch_confidence", NONE_IS_0, NULL },
    { PITCH, "pitch_salience", NONE_IS_0, NULL },
    { PITCH, "pitch_max_hz", LOG_RATIO, "pitch_min_hz" },
    { ENVELOPE, "log_attack_time", PLAIN, NULL },
    { ENVELOPE, "decay_s", LOG2, NULL },
    { ENVELOPE, "duration_effective_s", LOG2, NULL },
    { ENVELOPE, "temporal_centroid_s", RATIO, "duration_effective_s" },
    { ENVELOPE, "dynamic_range_db", PLAIN, NULL },
    { ENVELOPE, "silence_ratio", PLAIN, NULL },
    { RHYTHM, "bpm", LOG2, NULL },
    { RHYTHM, "bpm_confidence", NONE_IS_0, NULL },
    { RHYTHM, "onset_count", COUNT, NULL },
    { RHYTHM, "onset_count", RATE, "duration_s" },
    { RHYTHM, "duration_s", LOG2, NULL },
};

static const sm_aspect aspects[SM_ASPECTS] = {
    { "timbre", 0, 13 }, { "pitch", 13, 4 }, { "envelope", 17, 6 }, { "rhythm", 23, 5 }
};

int sm_aspect_values(void)
{
    return (int)SM_LENGTH(values);
}

const sm_aspect *sm_aspects(void)
{
    return aspects;
}

const char *sm_aspect_value_name(int i)
{
    return values[i].field;
}

static double formed(form how, double x, double y)
{
    switch (how) {
    case NONE_IS_0:
        return isfinite(x) ? x : 0;
    case LOG2:
        return x > 0 ? log2(x) : (double)NAN;
    case RATIO:
        return y > 0 ? x / y : (double)NAN;
    case LOG_RATIO:
        return x > 0 && y > 0 ? log2(x / y) : (double)NAN;
    case COUNT:
        return x >= 0 ? log2(1 + x) : (double)NAN;
    case RATE:
        return x >= 0 && y > 0 ? log2(1 + x / y) : (double)NAN;
    case PLAIN:
        break;
    }
    return x;
}

void sm_aspect_vector(double (*value)(void *user, const char *field), void *user, float *out)
{
    for (size_t i = 0; i < SM_LENGTH(values); i++)
        out[i] = (float)formed(values[i].form, value(user, values[i].field),
                               values[i].other ? value(user, values[i].other) : (double)NAN);
}

double sm_aspect_similarity(const sm_aspect *a, const float *x, const float *y)
{
    double sum = 0;

    for (int i = a->first; i < a->first + a->count; i++)
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return exp(-sum / a->count);
}
