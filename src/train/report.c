/* The page about a model: curves, figures, confusions, calibration, the worst errors with their waveforms. One HTML file, drawings as
 * SVG, nothing from outside. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/sounds.h"

static const char style[] =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}"
    "td,th{padding:.15em .6em;text-align:right;border-bottom:1px solid #eee}th{font-weight:600}"
    "td:first-child,th:first-child{text-align:left}.c td{width:26px;padding:0;text-align:center;border:1px solid #fff;"
    "font-size:11px}.c td:first-child{width:auto;text-align:right;padding-right:.5em}.c th{writing-mode:vertical-rl;"
    "transform:rotate(180deg);padding:.2em 0;font-weight:400;font-size:12px}svg{background:#fafafa}"
    ".w{display:inline-block;margin:.4em;width:250px;font-size:12px;vertical-align:top;overflow-wrap:anywhere}"
    "small{color:#666}";

/* Text in HTML. */
static void escape(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", f);
        else if (*text == '&')
            fputs("&amp;", f);
        else if (*text == '"')
            fputs("&quot;", f);
        else
            fputc(*text, f);
    }
}

/* ---- curves ---- */
enum { WIDTH = 480, HEIGHT = 200, MARGIN = 36 };

typedef struct {
    const char *name, *colour;
    const double *y;
} curve;

static void plot(FILE *f, const char *title, const curve *curves, size_t n_curves, int n, double low, double high)
{
    fprintf(f, "<svg width=\"%d\" height=\"%d\" font-size=\"11\"><text x=\"%d\" y=\"14\">%s</text>\n", WIDTH,
            HEIGHT + 20, MARGIN, title);
    for (int i = 0; i <= 4; i++) {
        const double v = low + (high - low) * i / 4, y = HEIGHT - (HEIGHT - 30) * i / 4.0;
        fprintf(
            f,
            "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"2\" y=\"%.1f\">%.2f</text>\n",
            MARGIN, WIDTH - 4, y, y, y + 4, v);
    }
    for (size_t c = 0; c < n_curves; c++) {
        fprintf(f,
                "<text x=\"%d\" y=\"14\" fill=\"%s\">%s</text><polyline fill=\"none\" stroke=\"%s\" "
                "stroke-width=\"1.5\" points=\"",
                160 + 110 * (int)c, curves[c].colour, curves[c].name, curves[c].colour);
        for (int i = 0; i < n; i++)
            if (isfinite(curves[c].y[i]))
                fprintf(f, "%.1f,%.1f ", MARGIN + (WIDTH - 4.0 - MARGIN) * i / SM_MAX(n - 1, 1),
                        HEIGHT - (HEIGHT - 30) * SM_CLAMP((curves[c].y[i] - low) / (high - low), 0, 1));
        fputs("\"/>\n", f);
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\">epoch %d</text></svg>\n", WIDTH - 70, HEIGHT + 16, n);
}

static void curves_of(FILE *f, const sm_trained *t)
{
    const curve losses[] = { { "training", "#357", t->loss }, { "held out", "#c63", t->held_loss } };
    const curve right[] = { { "held out", "#c63", t->held_top1 }, { "val", "#393", t->val_top1 } };
    double top = 0.1;
    for (int i = 0; i < t->epochs; i++) {
        top = fmax(top, t->loss[i]);
        top = isfinite(t->held_loss[i]) ? fmax(top, t->held_loss[i]) : top;
    }
    fprintf(f,
            "<h2>Training</h2><p>%zu sounds of %zu families, %zu held out to choose the epoch (%d of %d) and the "
            "temperature (%.3f); "
            "%.0f s, %.0f sounds/s.</p>\n",
            t->sounds, t->families, t->held_sounds, t->best_epoch + 1, t->epochs, t->temperature, t->seconds,
            t->sounds_per_s);
    plot(f, "loss", losses, 2, t->epochs, 0, top);
    plot(f, "top-1", right, 2, t->epochs, 0, 1);
}

/* ---- figures ---- */
static void figure_row(FILE *f, const char *name, const sm_figure *x)
{
    if (isfinite(x->value))
        fprintf(f, "<tr><td>%s</td><td>%.1f %%</td><td>%.1f to %.1f</td></tr>\n", name, 100 * x->value, 100 * x->low,
                100 * x->high);
}

static void figures_of(FILE *f, const sm_scores *s, const char *side)
{
    fputs("<h2>", f);
    escape(f, side);
    fprintf(f, "</h2><p>%zu sounds of %zu families; intervals: 95 %%, bootstrap over families.</p><table>", s->n,
            s->n_families);
    figure_row(f, "top-1", &s->top1);
    figure_row(f, "top-3", &s->top3);
    figure_row(f, "balanced (macro recall)", &s->macro_recall);
    figure_row(f, "macro F1", &s->macro_f1);
    figure_row(f, "drums together", &s->drums);
    fprintf(f, "<tr><td>calibration error (ECE), before scaling</td><td>%.3f</td><td>%.3f</td></tr>\n", s->ece,
            s->ece_before);
    fprintf(f,
            "<tr><td>the same by chance, on so many sounds, if calibrated</td><td>%.3f</td><td>%.3f to "
            "%.3f</td></tr></table>\n",
            s->ece_by_chance.value, s->ece_by_chance.low, s->ece_by_chance.high);
}

/* The two classes that a class is most often taken for. */
static void confusions_of(FILE *f, const sm_scores *s, size_t c)
{
    size_t first = c, second = c;
    const size_t *row = s->confusion + c * s->n_classes;
    for (size_t k = 0; k < s->n_classes; k++)
        if (k != c && row[k] > 0) {
            if (first == c || row[k] > row[first]) {
                second = first;
                first = k;
            } else if (second == c || row[k] > row[second])
                second = k;
        }
    for (int i = 0; i < 2; i++) {
        const size_t k = i ? second : first;
        if (k != c)
            fprintf(f, "%s%s %zu", i ? ", " : "", s->classes[k], row[k]);
    }
}

static void classes_of(FILE *f, const sm_scores *s)
{
    fputs("<h2>Class by class</h2><table><tr><th>class</th><th>sounds</th><th>recall</th><th>precision</th><th>taken "
          "for</th></tr>\n",
          f);
    for (size_t c = 0; c < s->n_classes; c++) {
        if (s->support[c] == 0)
            continue;
        fputs("<tr><td>", f);
        escape(f, s->classes[c]);
        fprintf(f, "</td><td>%zu</td><td>%.0f %%</td><td>", s->support[c], 100 * s->recall[c]);
        fprintf(f, isfinite(s->precision[c]) ? "%.0f %%" : "-", 100 * s->precision[c]);
        fputs("</td><td>", f);
        confusions_of(f, s, c);
        fputs("</td></tr>\n", f);
    }
    fputs(
        "</table>\n<h2>Confusions</h2><p>Rows: what it is; columns: what was said.</p><table class=\"c\"><tr><td></td>",
        f);
    for (size_t c = 0; c < s->n_classes; c++) {
        fputs("<th>", f);
        escape(f, s->classes[c]);
        fputs("</th>", f);
    }
    for (size_t c = 0; c < s->n_classes; c++) {
        fputs("</tr>\n<tr><td>", f);
        escape(f, s->classes[c]);
        fputs("</td>", f);
        for (size_t k = 0; k < s->n_classes; k++) {
            const size_t n = s->confusion[c * s->n_classes + k];
            const double part = s->support[c] ? (double)n / (double)s->support[c] : 0;
            fprintf(f, "<td style=\"background:hsl(%d,60%%,%.0f%%)\">", c == k ? 140 : 15, 97 - 50 * part);
            if (n > 0)
                fprintf(f, "%zu", n);
            fputs("</td>", f);
        }
    }
    fputs("</tr></table>\n", f);
}

static void calibration_of(FILE *f, const sm_scores *s)
{
    fputs("<h2>Calibration</h2><p>Of answers with this confidence (across), so many are right (up); size: how many.</p>"
          "<svg width=\"260\" height=\"260\"><line x1=\"5\" y1=\"255\" x2=\"255\" y2=\"5\" stroke=\"#bbb\"/>\n",
          f);
    for (size_t b = 0; b < SM_LENGTH(s->reliability_n); b++)
        if (s->reliability_n[b] > 0)
            fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"#357\" fill-opacity=\".7\"/>\n",
                    5 + 250 * s->reliability_confidence[b], 255 - 250 * s->reliability_right[b],
                    2 + 14 * sqrt((double)s->reliability_n[b] / (double)s->n));
    fputs("</svg>\n", f);
}

/* ---- worst errors ---- */
typedef struct {
    size_t i;
    float sure;
} wrong_answer;

static int by_sureness(const void *a, const void *b)
{
    const wrong_answer *x = a, *y = b;
    return x->sure != y->sure ? (x->sure < y->sure ? 1 : -1) : (x->i > y->i) - (x->i < y->i);
}

static void waveform(FILE *f, const sm_sound *x)
{
    enum { W = 240, H = 60 };
    fprintf(f, "<svg width=\"%d\" height=\"%d\"><path stroke=\"#357\" d=\"", W, H);
    for (int i = 0; i < W && x->length > 0; i++) {
        const size_t from = x->length * (size_t)i / W, to = SM_MAX(from + 1, x->length * ((size_t)i + 1) / W);
        int low = 0, high = 0;
        for (size_t k = from; k < to && k < x->length; k++) {
            low = SM_MIN(low, x->samples[k]);
            high = SM_MAX(high, x->samples[k]);
        }
        fprintf(f, "M%d %.1fV%.1f", i, H / 2.0 - high * (H / 2.0) / 32768, H / 2.0 + 0.5 - low * (H / 2.0) / 32768);
    }
    fputs("\"/></svg>", f);
}

static int worst_of(FILE *f, const sm_sounds *s, const sm_scores *r)
{
    enum { SHOWN = 40 };
    wrong_answer *list = sm_alloc(r->n, sizeof *list);
    size_t n = 0;
    if (!list)
        return SM_ENOMEM;
    for (size_t i = 0; i < r->n; i++)
        if (r->said[i] != r->truth[i])
            list[n++] = (wrong_answer){ i, r->probability[i * r->n_classes + r->said[i]] };
    qsort(list, n, sizeof *list, by_sureness);
    fprintf(f, "<h2>The surest of %zu wrong answers</h2>\n", n);
    for (size_t k = 0; k < SM_MIN(n, (size_t)SHOWN); k++) {
        const sm_sound *x = &s->items[r->sound[list[k].i]];
        fputs("<div class=\"w\">", f);
        if (x->samples)
            waveform(f, x);
        fputs("<br><b>", f);
        escape(f, r->classes[r->truth[list[k].i]]);
        fputs("</b> was called <b>", f);
        escape(f, r->classes[r->said[list[k].i]]);
        fprintf(f, "</b> (%.0f %%), %.2f s<br><small>", 100 * (double)list[k].sure, x->duration_s);
        escape(f, sm_path_name(x->path));
        fputs(" &middot; ", f);
        escape(f, x->family);
        fputs("</small></div>\n", f);
    }
    sm_free(list);
    return 0;
}

int sm_report_write(const char *path, const char *title, const sm_sounds *s, const sm_trained *trained,
                    const sm_scores *scores, const char *side)
{
    sm_outfile *out = NULL;
    int err = sm_outfile_open(path, &out);
    if (err < 0)
        return err;
    FILE *f = sm_outfile_stream(out);
    fputs("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>", f);
    escape(f, title);
    fprintf(f, "</title><style>%s</style></head><body><h1>", style);
    escape(f, title);
    fprintf(f, "</h1><p>samplemind %s</p>\n", sm_version());
    if (trained)
        curves_of(f, trained);
    if (scores) {
        figures_of(f, scores, side);
        calibration_of(f, scores);
        classes_of(f, scores);
        err = worst_of(f, s, scores);
    }
    fputs("</body></html>\n", f);
    if (err == 0)
        return sm_outfile_commit(out);
    sm_outfile_abandon(out);
    return err;
}
