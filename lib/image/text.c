/* A stroke font of our own drawing, rendered by distance to the strokes, so that it has any size.
 */
#include "image/canvas.h"

#include <math.h>
#include <string.h>

/* Glyphs from ' ' to '~'. Strokes are separated by spaces. A stroke is a point and what leads on
 * from it; a point is x and y in base 36, y downward: capitals stand on 0..e, small letters
 * on 5..e, descenders end at i. A point alone is a dot. L  a line to a point H  a quarter of an
 * ellipse that leaves horizontally and arrives vertically V  one that leaves vertically and arrives
 * horizontally Q  a quadratic curve with a control point before the end */
static const char *const glyphs[95] = {
    "",
    "00L0a 0e",                                     /* ! */
    "00L04 30L34",                                  /* " */
    "30L1e 80L6e 05L95 0aL9a",                      /* # */
    "93Q8050H03Q0647Q989bV5eQ1e0b 50L5e",           /* $ */
    "a0L0e 20H02V24H42V20 8aH6cV8eHacV8a",          /* % */
    "aeL24L23V40H63Q6537Q090bV3eQ8e98",             /* & */
    "00L04",                                        /* ' */
    "40Q0408Q0c4g",                                 /* ( */
    "00Q4448Q4c0g",                                 /* ) */
    "30L38 02L66 62L06",                            /* * */
    "44L4c 08L88",                                  /* + */
    "1dL1eL0g",                                     /* , */
    "08L68",                                        /* - */
    "0e",                                           /* . */
    "60L0g",                                        /* / */
    "40H05L09V4eH89L85V40",                         /* 0 */
    "13L40L4e 1eL7e",                               /* 1 */
    "04V40H84Q8759L0eL8e",                          /* 2 */
    "03Q1040H73V46 26L46H8aV4eQ1e0b",               /* 3 */
    "6eL60L0aL8a",                                  /* 4 */
    "70L10L07Q1545H89L8aV4eQ1e0b",                  /* 5 */
    "72Q6040H06L0aV4eH8aL89V45H09",                 /* 6 */
    "00L80L3e",                                     /* 7 */
    "40H13V46H73V40 46H0aV4eH8aV46",                /* 8 */
    "1cQ2e4eH88L84V40H04L05V49H85",                 /* 9 */
    "06 0e",                                        /* : */
    "16 1dL1eL0g",                                  /* ; */
    "84L08L8c",                                     /* < */
    "06L86 0aL8a",                                  /* = */
    "04L88L0c",                                     /* > */
    "03V40H84Q8748L4a 4e",                          /* ? */
    "bfQag7gH08V70He8QecbcQacaaLa5 75H48V7bHa8V75", /* @ */
    "0eL50Lae 29L89",                               /* A */
    "0eL00L50H83L84V57L07 57H9aL9bV5eL0e",          /* B */
    "a3Q9050H05L09V5eQ9eab",                        /* C */
    "0eL00L40Ha6La8V4eL0e",                         /* D */
    "80L00L0eL8e 07L67",                            /* E */
    "80L00L0e 07L67",                               /* F */
    "a3Q9050H05L09V5eHaaLa8L68",                    /* G */
    "00L0e 90L9e 07L97",                            /* H */
    "00L0e",                                        /* I */
    "60L6aV3eH0b",                                  /* J */
    "00L0e 90L09 36L9e",                            /* K */
    "00L0eL8e",                                     /* L */
    "0eL00L6aLc0Lce",                               /* M */
    "0eL00L9eL90",                                  /* N */
    "50H05L09V5eHa9La5V50",                         /* O */
    "0eL00L50H94V58L08",                            /* P */
    "50H05L09V5eHa9La5V50 6aLae",                   /* Q */
    "0eL00L50H94V58L08 48L9e",                      /* R */
    "93Q8050H03Q0647Q989bV5eQ1e0b",                 /* S */
    "00La0 50L5e",                                  /* T */
    "00L09V5eHa9La0",                               /* U */
    "00L5eLa0",                                     /* V */
    "00L3eL72LbeLe0",                               /* W */
    "00L9e 90L0e",                                  /* X */
    "00L57La0 57L5e",                               /* Y */
    "00L90L0eL9e",                                  /* Z */
    "40L00L0gL4g",                                  /* [ */
    "00L6g",                                        /* \ */
    "00L40L4gL0g",                                  /* ] */
    "05L40L85",                                     /* ^ */
    "0gL9g",                                        /* _ */
    "00L23",                                        /* ` */
    "16Q2545H78L7e 79L39H0bL0cV2eQ6e7b",            /* a */
    "00L0e 45H09L0aV4eH8aL89V45",                   /* b */
    "87Q7545H09L0aV4eQ7e8c",                        /* c */
    "80L8e 45H09L0aV4eH8aL89V45",                   /* d */
    "09L89V45H09L0aV4eQ7e8c",                       /* e */
    "60L50H23L2e 05L55",                            /* f */
    "85L8fV4iQ1i0h 45H09L0aV4eH8aL89V45",           /* g */
    "00L0e 09V45H79L7e",                            /* h */
    "05L0e 01",                                     /* i */
    "25L2fV0i 21",                                  /* j */
    "00L0e 75L0b 38L8e",                            /* k */
    "00L0bV3e",                                     /* l */
    "05L0e 08V35H68L6e 68V95Hc8Lce",                /* m */
    "05L0e 09V45H79L7e",                            /* n */
    "45H09L0aV4eH8aL89V45",                         /* o */
    "05L0i 45H09L0aV4eH8aL89V45",                   /* p */
    "85L8i 45H09L0aV4eH8aL89V45",                   /* q */
    "05L0e 09V45L55",                               /* r */
    "77Q6545H07Q0949Q797cV4eQ1e0c",                 /* s */
    "21L2bV5eL6e 05L65",                            /* t */
    "05L0aV3eH7a 75L7e",                            /* u */
    "05L4eL85",                                     /* v */
    "05L3eL66L9eLc5",                               /* w */
    "05L7e 75L0e",                                  /* x */
    "05L4e 85L2i",                                  /* y */
    "05L75L0eL7e",                                  /* z */
    "50H23L26Q2808Q282aL2dV5g",                     /* { */
    "00L0g",                                        /* | */
    "00H33L36Q3858Q383aL3dV0g",                     /* } */
    "09Q1648Q7a87",                                 /* ~ */
};

/* Units of the glyphs' grid. */
static const float cap_units = 14, stroke_units = 1.75f, gap_units = 4.2f, space_units = 1.5f;
static const float dot_units = 0.5f; /* by which a dot is thicker than a line */
static const float margin_units = 2, below_units = 6;

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

static const char *glyph_of(char character)
{
    unsigned index = (unsigned char)character - 32u;
    return glyphs[index < 95 ? index : '?' - 32];
}

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

static void trace_glyph(outline *o, const char *text)
{
    o->count = 0;
    o->width = *text ? 0 : space_units;
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
    int32_t y0 = (int32_t)floorf(y - margin);
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
    for (; *text; ++text) {
        trace_glyph(&o, glyph_of(*text));
        draw_glyph(canvas, &o, left, top, unit, c);
        left += (o.width + gap_units) * unit;
    }
}

float text_width(float cap, const char *text)
{
    float unit = (roundf(cap) - 1) / cap_units, width = 0;
    outline o;
    for (; *text; ++text) {
        trace_glyph(&o, glyph_of(*text));
        width += (o.width + gap_units) * unit;
    }
    return width > 0 ? width - gap_units * unit + 1 : 0;
}
