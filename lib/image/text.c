/* A stroke font of our own drawing, rendered by distance to the strokes, so that it has any size.
 */
#include "image/canvas.h"
#include "image/letters.h"

#include <math.h>

/* Strokes are separated by spaces. A stroke is a point and what leads on from it; a point is x and
 * y in base 36, y downward: capitals stand on 0..e, small letters on 5..e, descenders end at i.
 * A point alone is a dot. L leads to a point in a straight line. H is a quarter of an ellipse that
 * leaves horizontally and arrives vertically, V one that leaves vertically and arrives
 * horizontally. Q is a quadratic curve with a control point before the end. */

/* Units of the glyphs' grid. */
static const float cap_units = 14, stroke_units = 1.75f, gap_units = 4.2f, space_units = 1.5f;
static const float dot_units = 0.5f; /* by which a dot is thicker than a line */
static const float margin_units = 2, below_units = 6, above_units = 5;

enum { CURVE_STEPS = 8, SEGMENTS_MAX = 128 };

typedef struct point {
    float x, y;
} point;

typedef struct segment {
    point a, b;
} segment;

typedef struct outline {
    segment segments[SEGMENTS_MAX];
    int count;
    float width;
} outline;

static float digit(char c)
{
    return (float)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static point read_point(const char **text)
{
    point p = {digit((*text)[0]), digit((*text)[1])};
    *text += 2;
    return p;
}

static void add_segment(outline *o, point a, point b)
{
    if (o->count < SEGMENTS_MAX)
        o->segments[o->count++] = (segment){a, b};
    o->width = fmaxf(o->width, fmaxf(a.x, b.x));
}

/* The point at t of a command's curve from a to b. */
static point curve_point(char command, point a, point control, point b, float t)
{
    float angle = t * 1.57079633f;
    if (command == 'H')
        return (point){a.x + (b.x - a.x) * sinf(angle), b.y + (a.y - b.y) * cosf(angle)};
    if (command == 'V')
        return (point){b.x + (a.x - b.x) * cosf(angle), a.y + (b.y - a.y) * sinf(angle)};
    float u = 1 - t;
    return (point){u * u * a.x + 2 * u * t * control.x + t * t * b.x,
                   u * u * a.y + 2 * u * t * control.y + t * t * b.y};
}

static void trace(outline *o, const char *text)
{
    while (*text) {
        point at = read_point(&text);
        if (*text == ' ' || *text == '\0')
            add_segment(o, at, at);
        while (*text && *text != ' ') {
            char command = *text++;
            point control = command == 'Q' ? read_point(&text) : at;
            point end = read_point(&text), from = at;
            int steps = command == 'L' ? 1 : CURVE_STEPS;
            for (int i = 1; i <= steps; ++i) {
                point to = i == steps
                               ? end
                               : curve_point(command, at, control, end, (float)i / (float)steps);
                add_segment(o, from, to);
                from = to;
            }
            at = end;
        }
        text += *text == ' ';
    }
}

/* The letter's strokes; its mark stands above or below its middle. */
static void trace_letter(outline *o, const letter *l)
{
    o->count = 0;
    o->width = *l->strokes ? 0 : space_units;
    trace(o, l->strokes);
    if (!l->mark)
        return;
    int first = o->count;
    float width = o->width;
    o->width = 0;
    trace(o, l->mark);
    float right = (width - o->width) / 2, down = (float)l->mark_drop;
    for (int i = first; i < o->count; ++i) {
        segment *s = &o->segments[i];
        *s = (segment){{s->a.x + right, s->a.y + down}, {s->b.x + right, s->b.y + down}};
    }
    o->width = width;
}

static float segment_distance(const segment *s, float x, float y)
{
    float dx = s->b.x - s->a.x, dy = s->b.y - s->a.y, length = dx * dx + dy * dy;
    if (length == 0)
        return hypotf(x - s->a.x, y - s->a.y) - dot_units;
    float t = ((x - s->a.x) * dx + (y - s->a.y) * dy) / length;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return hypotf(x - s->a.x - t * dx, y - s->a.y - t * dy);
}

/* Coverage falls from 1 to 0 over the pixel that the stroke's edge crosses. */
static void draw_glyph(imiad_image *canvas, const outline *o, float x, float y, float unit, color c)
{
    float radius = fmaxf(stroke_units * unit, 1.1f) / 2, margin = margin_units * unit + 1;
    int32_t x0 = (int32_t)floorf(x - margin), x1 = (int32_t)ceilf(x + o->width * unit + margin);
    int32_t y0 = (int32_t)floorf(y - above_units * unit - margin);
    int32_t y1 = (int32_t)ceilf(y + (cap_units + below_units) * unit + margin);
    for (int32_t py = y0; py < y1; ++py) {
        for (int32_t px = x0; px < x1; ++px) {
            float gx = ((float)px + 0.5f - x) / unit, gy = ((float)py + 0.5f - y) / unit;
            float nearest = INFINITY;
            for (int i = 0; i < o->count; ++i)
                nearest = fminf(nearest, segment_distance(&o->segments[i], gx, gy));
            float coverage = radius + 0.5f - nearest * unit;
            if (coverage > 0)
                canvas_blend(canvas, px, py, c, coverage < 1 ? coverage : 1);
        }
    }
}

void canvas_text(imiad_image *canvas, float x, float y, float cap, color c, const char *text)
{
    /* the middle of a capital's top and foot strokes fall on the middles of pixels: sharp */
    float unit = (roundf(cap) - 1) / cap_units;
    float left = floorf(x) + 0.5f, top = floorf(y) + 0.5f;
    outline o;
    while (*text) {
        letter l = letter_next(&text);
        trace_letter(&o, &l);
        draw_glyph(canvas, &o, left, top, unit, c);
        left += (o.width + gap_units) * unit;
    }
}

float text_width(float cap, const char *text)
{
    float unit = (roundf(cap) - 1) / cap_units, width = 0;
    outline o;
    while (*text) {
        letter l = letter_next(&text);
        trace_letter(&o, &l);
        width += (o.width + gap_units) * unit;
    }
    return width > 0 ? width - gap_units * unit + 1 : 0;
}
