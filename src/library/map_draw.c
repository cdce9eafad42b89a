/* Maps as JSON, SVG, and a page that needs nothing else: no network, no library of scripts. */
#include <math.h>
#include <string.h>

#include "library/map_draw.h"

enum { SIZE = 1000, MARGIN = 20, CLASSES = 64 };

typedef struct {
    const char *names[CLASSES];
    size_t n;
} classes;

/* The place of a point's class among those seen; the last one is for all that come later. */
static size_t class_of(classes *c, const char *name)
{
    size_t i = 0;

    if (!name)
        name = "?";
    while (i < c->n && strcmp(c->names[i], name) != 0)
        i++;
    if (i == c->n && c->n < CLASSES)
        c->names[c->n++] = name;
    return SM_MIN(i, (size_t)CLASSES - 1);
}

/* Neighbours in the list are far apart in colour (the golden angle). */
static int hue_of(size_t i)
{
    return (int)(i * 137508 / 1000 % 360);
}

static void json_points(const sm_map_picture *p, classes *c, sm_json *j)
{
    sm_json_key(j, "points");
    sm_json_begin_array(j);
    for (size_t i = 0; i < p->n; i++) {
        sm_json_begin_object(j);
        sm_json_key(j, "path");
        sm_json_string(j, p->points[i].path);
        sm_json_key(j, "id");
        sm_json_int(j, p->points[i].id);
        sm_json_key(j, "instrument");
        sm_json_string(j, p->points[i].instrument);
        sm_json_key(j, "class");
        sm_json_int(j, (int64_t)class_of(c, p->points[i].instrument));
        sm_json_key(j, "x");
        sm_json_f32(j, (double)p->points[i].x);
        sm_json_key(j, "y");
        sm_json_f32(j, (double)p->points[i].y);
        sm_json_end_object(j);
    }
    sm_json_end_array(j);
}

static void draw_json(const sm_map_picture *p, sm_buffer *out)
{
    classes c = { .n = 0 };
    sm_json j;

    sm_json_init(&j, out, false);
    sm_json_begin_object(&j);
    sm_json_key(&j, "count");
    sm_json_int(&j, (int64_t)p->n);
    sm_json_key(&j, "space");
    sm_json_string(&j, p->space);
    sm_json_key(&j, "trustworthiness");
    sm_json_f32(&j, p->trustworthiness);
    json_points(p, &c, &j);
    sm_json_key(&j, "classes");
    sm_json_begin_array(&j);
    for (size_t i = 0; i < c.n; i++)
        sm_json_string(&j, c.names[i]);
    sm_json_end_array(&j);
    sm_json_end_object(&j);
}

/* ---- svg ---- */

static void xml_text(sm_buffer *out, const char *text)
{
    while (*text) {
        const size_t length = sm_utf8_length(text, strlen(text));
        const unsigned char c = (unsigned char)*text;
        if (length == 0 || c < 32)
            sm_buffer_text(out, "?");
        else if (strchr("<>&\"'", c))
            sm_buffer_printf(out, "&#%d;", c);
        else
            sm_buffer_add(out, text, length);
        text += length ? length : 1;
    }
}

typedef struct {
    double x, y, by;
} frame;

static frame frame_of(const sm_map_picture *p)
{
    double low[2] = { INFINITY, INFINITY }, high[2] = { -INFINITY, -INFINITY };

    for (size_t i = 0; i < p->n; i++) {
        low[0] = fmin(low[0], (double)p->points[i].x), high[0] = fmax(high[0], (double)p->points[i].x);
        low[1] = fmin(low[1], (double)p->points[i].y), high[1] = fmax(high[1], (double)p->points[i].y);
    }
    const double wide = p->n ? fmax(high[0] - low[0], high[1] - low[1]) : 0;
    return (frame){ p->n ? low[0] : 0, p->n ? low[1] : 0, wide > 0 ? (SIZE - 2 * MARGIN) / wide : 1 };
}

static void draw_svg(const sm_map_picture *p, sm_buffer *out)
{
    classes c = { .n = 0 };
    const frame f = frame_of(p);

    sm_buffer_printf(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\"><title>%zu sounds</title>"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"#15171a\"/>\n",
                     SIZE, SIZE, p->n);
    for (size_t i = 0; i < p->n; i++) {
        const sm_map_point *at = &p->points[i];
        sm_buffer_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"hsl(%d,70%%,60%%)\"><title>",
                         MARGIN + f.by * ((double)at->x - f.x), MARGIN + f.by * ((double)at->y - f.y),
                         hue_of(class_of(&c, at->instrument)));
        xml_text(out, at->path);
        sm_buffer_text(out, " (");
        xml_text(out, at->instrument ? at->instrument : "?");
        sm_buffer_text(out, ")</title></circle>\n");
    }
    sm_buffer_text(out, "</svg>\n");
}

/* ---- html ---- */

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Map of sounds</title><style>\n"
    "html,body{margin:0;height:100%;background:#15171a;color:#ddd;font:14px sans-serif;overflow:hidden}\n"
    "canvas{display:block;width:100%;height:100%;cursor:grab}\n"
    "#legend{position:fixed;top:8px;left:8px;max-height:95%;overflow:auto;user-select:none}\n"
    "#legend div{cursor:pointer;padding:1px 6px}#legend .off{opacity:.3}\n"
    "#tip{position:fixed;display:none;background:#000c;padding:3px "
    "7px;border-radius:4px;pointer-events:none;max-width:70%}\n"
    "</style></head><body><canvas id=\"c\"></canvas><div id=\"legend\"></div><div id=\"tip\"></div>\n<script>\nconst "
    "map = ";

static const char page_tail[] =
    ";\n"
    "const canvas = document.getElementById('c'), g = canvas.getContext('2d'), tip = document.getElementById('tip');\n"
    "const legend = document.getElementById('legend'), points = map.points, off = new Set();\n"
    "const colour = i => `hsl(${Math.floor(i * 137.508) % 360},70%,60%)`;\n"
    "let scale = 1, ox = 0, oy = 0, drag = null;\n"
    "function fit() {\n"
    "  canvas.width = innerWidth; canvas.height = innerHeight;\n"
    "  let l = Infinity, r = -Infinity, t = Infinity, b = -Infinity;\n"
    "  for (const p of points) { l = Math.min(l, p.x); r = Math.max(r, p.x); t = Math.min(t, p.y); b = Math.max(b, "
    "p.y); }\n"
    "  scale = Math.min(canvas.width / (r - l || 1), canvas.height / (b - t || 1)) * .92;\n"
    "  ox = canvas.width / 2 - scale * (l + r) / 2; oy = canvas.height / 2 - scale * (t + b) / 2; draw();\n"
    "}\n"
    "function draw() {\n"
    "  g.fillStyle = '#15171a'; g.fillRect(0, 0, canvas.width, canvas.height);\n"
    "  const radius = points.length > 20000 ? 1.5 : points.length > 2000 ? 2.5 : 4;\n"
    "  for (const p of points) {\n"
    "    if (off.has(p.class)) continue;\n"
    "    const x = ox + scale * p.x, y = oy + scale * p.y;\n"
    "    if (x < -5 || y < -5 || x > canvas.width + 5 || y > canvas.height + 5) continue;\n"
    "    g.fillStyle = colour(p.class); g.beginPath(); g.arc(x, y, radius, 0, 7); g.fill();\n"
    "  }\n"
    "}\n"
    "map.classes.forEach((name, i) => {\n"
    "  const d = document.createElement('div'); d.textContent = name; d.style.color = colour(i);\n"
    "  d.onclick = () => { off.has(i) ? off.delete(i) : off.add(i); d.classList.toggle('off'); draw(); };\n"
    "  legend.append(d);\n"
    "});\n"
    "canvas.onwheel = e => {\n"
    "  e.preventDefault(); const by = Math.exp(-e.deltaY / 400);\n"
    "  ox = e.clientX - by * (e.clientX - ox); oy = e.clientY - by * (e.clientY - oy); scale *= by; draw();\n"
    "};\n"
    "canvas.onmousedown = e => { drag = [e.clientX - ox, e.clientY - oy]; };\n"
    "onmouseup = () => { drag = null; };\n"
    "canvas.onmousemove = e => {\n"
    "  if (drag) { ox = e.clientX - drag[0]; oy = e.clientY - drag[1]; draw(); return; }\n"
    "  let best = null, least = 144;\n"
    "  for (const p of points) {\n"
    "    if (off.has(p.class)) continue;\n"
    "    const dx = ox + scale * p.x - e.clientX, dy = oy + scale * p.y - e.clientY, d = dx * dx + dy * dy;\n"
    "    if (d < least) { least = d; best = p; }\n"
    "  }\n"
    "  tip.style.display = best ? 'block' : 'none';\n"
    "  if (best) {\n"
    "    tip.textContent = best.path + ' (' + (best.instrument || '?') + ')';\n"
    "    tip.style.left = Math.min(e.clientX + 12, innerWidth * .6) + 'px'; tip.style.top = e.clientY + 12 + 'px';\n"
    "  }\n"
    "};\n"
    "onresize = fit; fit();\n"
    "</script></body></html>\n";

static void draw_html(const sm_map_picture *p, sm_buffer *out)
{
    sm_buffer data = { 0 };

    draw_json(p, &data);
    sm_buffer_text(out, page_head);
    for (size_t i = 0; i < data.length; i++) /* a name may hold "</script>" */
        if (data.data[i] == '<')
            sm_buffer_text(out, "\\u003c");
        else
            sm_buffer_add(out, data.data + i, 1);
    sm_buffer_text(out, page_tail);
    out->failed |= data.failed;
    sm_buffer_free(&data);
}

int sm_map_draw(const sm_map_picture *p, const char *form, sm_buffer *out)
{
    static const struct {
        const char *form;
        void (*draw)(const sm_map_picture *p, sm_buffer *out);
    } forms[] = { { "html", draw_html }, { "svg", draw_svg }, { "json", draw_json } };

    for (size_t i = 0; i < SM_LENGTH(forms); i++)
        if (!strcmp(form, forms[i].form)) {
            forms[i].draw(p, out);
            return out->failed ? SM_ENOMEM : 0;
        }
    return sm_fail(SM_EUSAGE, "\"%s\": a map is drawn as html, svg or json", form);
}
