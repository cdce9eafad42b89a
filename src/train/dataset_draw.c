/* Sounds drawn in characters. */
#include <math.h>
#include <string.h>

#include "dsp/dsp.h"
#include "train/dataset_verify.h"

/* Halves of cells: the wave is drawn with twice the rows. */
static const char *cell(bool top, bool bottom)
{
    return top && bottom ? "█" : top ? "▀" : bottom ? "▄" : " ";
}

int sm_draw_wave(const float *mono, size_t n, int columns, int rows, sm_buffer *out)
{
    const int halves = 2 * rows;
    float peak = 0;
    for (size_t i = 0; i < n; i++)
        peak = fmaxf(peak, fabsf(mono[i]));
    for (int row = 0; row < rows; row++) {
        for (int c = 0; c < columns; c++) {
            const size_t from = n * (size_t)c / (size_t)columns, to = n * (size_t)(c + 1) / (size_t)columns;
            float low = 0, high = 0;
            for (size_t i = from; i < to; i++) {
                low = fminf(low, mono[i]);
                high = fmaxf(high, mono[i]);
            }
            bool filled[2];
            for (int h = 0; h < 2; h++) {
                /* the middle of this half cell, 1 above to -1 below */
                const float y = 1 - (2 * (float)(2 * row + h) + 1) / (float)halves;
                filled[h] = peak > 0 && (y >= 0 ? high / peak >= y - 1e-6F : low / peak <= y + 1e-6F);
            }
            sm_buffer_text(out, cell(filled[0], filled[1]));
        }
        sm_buffer_text(out, "\n");
    }
    return out->failed ? SM_ENOMEM : 0;
}

static double mel(double hz)
{
    return 1127 * log(1 + hz / 700);
}

/* Power [columns][rows], row 0 the lowest band; bands between 60 Hz and 16 kHz or half the rate, equally wide in mel. */
static int band_powers(const float *mono, size_t n, int rate_hz, int columns, int rows, double *power)
{
    enum { FFT = 1024 };
    const double low = mel(60), high = mel(fmin(16000, rate_hz / 2.0));
    float *work = sm_alloc(3 * FFT + 4, sizeof *work), *window = work + FFT, *pairs = window + FFT;
    dsp_fft *fft = NULL;
    int err = work ? dsp_fft_new(FFT, &fft) : SM_ENOMEM;
    if (err == 0)
        dsp_window(DSP_WINDOW_HANN_PERIODIC, FFT, window);
    for (int c = 0; c < columns && err == 0; c++) {
        const int64_t middle = (int64_t)((double)n * (c + 0.5) / columns);
        for (int i = 0; i < FFT; i++) {
            const int64_t at = middle - FFT / 2 + i;
            work[i] = at >= 0 && at < (int64_t)n ? mono[at] * window[i] : 0;
        }
        dsp_fft_forward(fft, work, pairs);
        for (int bin = 1; bin <= FFT / 2; bin++) {
            const double where = (mel((double)bin * rate_hz / FFT) - low) / (high - low) * rows;
            const double p = (double)pairs[2 * bin] * pairs[2 * bin] + (double)pairs[2 * bin + 1] * pairs[2 * bin + 1];
            if (where >= 0 && where < rows)
                power[c * rows + (int)where] = fmax(power[c * rows + (int)where], p);
        }
    }
    dsp_fft_free(fft);
    sm_free(work);
    return err;
}

int sm_draw_spectrogram(const float *mono, size_t n, int rate_hz, int columns, int rows, sm_buffer *out)
{
    static const char *const greys[] = { " ", "░", "▒", "▓", "█" };
    double *power = sm_alloc_zero((size_t)columns * (size_t)rows, sizeof *power);
    double loudest = 0;
    const int err = power ? band_powers(mono, n, rate_hz, columns, rows, power) : SM_ENOMEM;
    for (int i = 0; i < columns * rows && err == 0; i++)
        loudest = fmax(loudest, power[i]);
    for (int row = rows - 1; row >= 0 && err == 0; row--) {
        for (int c = 0; c < columns; c++) {
            const double p = power[c * rows + row];
            const double db = p > 0 && loudest > 0 ? 10 * log10(p / loudest) : -200;
            sm_buffer_text(out, greys[(int)SM_CLAMP((db + 60) / 12, 0, 4)]);
        }
        sm_buffer_text(out, "\n");
    }
    sm_free(power);
    return err < 0 ? err : out->failed ? SM_ENOMEM : 0;
}
