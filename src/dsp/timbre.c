/* What a listener would say of a sound: seven words from 0 to 100, energy from 0 to 10. The words are those of the AudioCommons
 * project's models; the definitions are ours, made of the descriptors of spectrum.c and envelope.c. Each is a rising, saturating
 * function of one to three of them, so that "more of it" always means a higher number. docs/fields.md says them in words. */
#include "dsp/parts.h"

enum { BINS = DSP_SPECTRUM_FRAME / 2 + 1 };
#define BIN_HZ ((double)DSP_RATE / DSP_SPECTRUM_FRAME)

/* 0 at low, 1 at high (either may be the larger), straight between. */
static double ramp(double x, double low, double high)
{
    return SM_CLAMP((x - low) / (high - low), 0, 1);
}

static double log_ramp(double hz, double low, double high)
{
    return hz > 0 ? ramp(log2(hz), log2(low), log2(high)) : 0;
}

/* Part of the energy in a band: whole between b and c, falling to nothing at a and d, straight over log frequency. */
static double share(const dsp_spectral *s, double a, double b, double c, double d)
{
    double in = 0, all = 0;
    for (int k = 1; k < BINS; k++) {
        const double hz = k * BIN_HZ;
        all += s->mean_power[k];
        in += s->mean_power[k] * (hz < b ? log_ramp(hz, a, b) : hz > c ? log_ramp(hz, d, c) : 1);
    }
    return all > 0 ? in / all : 0;
}

/* Zwicker's critical-band rate in Bark; Traunmueller's formula (JASA 88, 1990). */
static double bark(double hz)
{
    return SM_MAX(26.81 * hz / (1960 + hz) - 0.53, 0);
}

/* Sharpness in acum after DIN 45692 with specific loudness taken as energy^0.23 in each Bark, without spreading. */
static double acum(const dsp_spectral *s)
{
    double energy[25] = { 0 }, most = 0, sum = 0, weighted = 0;
    for (int k = 1; k < BINS; k++)
        energy[SM_MIN((int)bark(k * BIN_HZ), 24)] += s->mean_power[k];
    for (int z = 0; z < 25; z++)
        most = SM_MAX(most, energy[z]);
    for (int z = 0; z < 25 && most > 0; z++) {
        const double at = z + 0.5, n = SM_MAX(pow(energy[z] / most, 0.23) - pow(1e-4, 0.23), 0);
        const double g = at <= 15.8 ? 1 : 0.15 * exp(0.42 * (at - 15.8)) + 0.85;
        sum += n;
        weighted += n * g * at;
    }
    return sum > 0 ? 0.11 * weighted / sum : 0;
}

void dsp_words(const dsp_spectral *s, const dsp_shape *shape, dsp_timbre *out)
{
    if (!isfinite(s->centroid_hz) || !isfinite(shape->attack_s)) {
        out->brightness = out->hardness = out->depth = out->roughness = out->boominess = out->warmth = out->sharpness =
            NAN;
        return;
    }
    const double deep = share(s, 1, 2, 60, 240), low = share(s, 15, 40, 200, 300),
                 middle = share(s, 100, 150, 800, 1200);
    const double treble = share(s, 2800, 4000, 22050, 22051);
    out->brightness = 100 * log_ramp(s->centroid_hz, 150, 14000);
    out->sharpness = 100 * ramp(acum(s), 0.3, 4.5);
    out->depth = 100 * sqrt(deep);
    out->boominess = 100 * sqrt(low) * (1 - exp(-s->low_length_s / 0.3));
    out->warmth = 100 * sqrt(middle) * (1 - sqrt(treble));
    out->hardness = 50 * log_ramp(shape->attack_s + 1e-9, 0.3, 0.002) + 50 * log_ramp(s->attack_centroid_hz, 300, 8000);
    out->roughness = 100 * ramp(shape->beating, 0, 1);
}

double dsp_energy(const dsp_levels *l, double onsets_a_second, double brightness)
{
    if (!isfinite(l->loudness_lufs))
        return isfinite(l->rms_dbfs) ? 0 : NAN;
    const double loud = ramp(l->loudness_lufs, -40, -6), dense = 1 - exp(-onsets_a_second / 4);
    const double bright = isfinite(brightness) ? brightness / 100 : 0;
    const double tight = isfinite(l->dynamic_range_db) ? ramp(l->dynamic_range_db, 25, 5) : 0;
    return 10 * (0.45 * loud + 0.25 * dense + 0.15 * bright + 0.15 * tight);
}
