#include "report/svg.h"

#include <math.h>

#include "base/options.h"
#include "report/markup.h"

/* A number of SVG, in the C locale. */
typedef struct written {
    char text[REAL_BYTES];
} written;

static written w(double number)
{
    written out;
    plain_print(out.text, sizeof out.text, "%.1f", isfinite(number) ? number : 0.0);
    return out;
}

void svg_begin(FILE *file, const char *id, const char *title, const char *description, double width,
               double height)
{
    markup(file,
           "<figure id=\"%s\" class=\"%s\" data-part=\"figure\"><svg "
           "xmlns=\"http://www.w3.org/2000/svg\" "
           "role=\"img\" aria-labelledby=\"%s-title %s-description\" viewBox=\"0 0 ",
           id, width > 800 ? "wide" : "", id, id);
    fprintf(file, "%s %s\">", w(width).text, w(height).text);
    markup(file, "<title id=\"%s-title\">%s</title><desc id=\"%s-description\">%s</desc>\n", id,
           title, id, description);
}

void svg_end(FILE *file, const char *caption)
{
    markup(file, "</svg>\n<figcaption>%s</figcaption></figure>\n", caption);
}

void svg_text(FILE *file, double x, double y, const char *anchor, const char *class,
              const char *text)
{
    fprintf(file, "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\" class=\"%s\">", w(x).text, w(y).text,
            anchor, class);
    markup_text(file, text);
    fputs("</text>\n", file);
}

void svg_number(FILE *file, double x, double y, const char *anchor, const char *class,
                double number, int decimals)
{
    fprintf(file, "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\" class=\"%s\">", w(x).text, w(y).text,
            anchor, class);
    markup_number(file, number, decimals);
    fputs("</text>\n", file);
}

void svg_line(FILE *file, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(file, "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n", class,
            w(x1).text, w(y1).text, w(x2).text, w(y2).text);
}

void svg_rect(FILE *file, const char *class, double x, double y, double width, double height,
              double opacity)
{
    char text[REAL_BYTES];
    plain_print(text, sizeof text, "%.2f", opacity);
    fprintf(file,
            "<rect class=\"%s\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" opacity=\"%s\"/>\n",
            class, w(x).text, w(y).text, w(width).text, w(height).text, text);
}

void svg_circle(FILE *file, const char *class, double x, double y, double radius)
{
    fprintf(file, "<circle class=\"%s\" cx=\"%s\" cy=\"%s\" r=\"%s\"/>\n", class, w(x).text,
            w(y).text, w(radius).text);
}

/* ---- series ---- */

void svg_marker(FILE *file, size_t series, double x, double y)
{
    static const char *const shapes[SVG_SHAPES] = {
        "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z", /* circle */
        "M-4 -4h8v8h-8z",                                /* square */
        "M0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",           /* diamond */
        "M0 -5l5 9h-10z",                                /* triangle up */
        "M0 5l5 -9h-10z",                                /* triangle down */
        "M-5 -2h3v-3h4v3h3v4h-3v3h-4v-3h-3z",            /* cross */
    };
    fprintf(file, "<path class=\"f%zu\" transform=\"translate(%s %s)\" d=\"%s\"/>\n",
            series % SVG_COLOURS, w(x).text, w(y).text, shapes[series % SVG_SHAPES]);
}

void svg_bubble(FILE *file, size_t series, double x, double y, double radius)
{
    size_t colour = series % SVG_COLOURS;
    fprintf(file, "<circle class=\"bubble f%zu l%zu\" cx=\"%s\" cy=\"%s\" r=\"%s\"/>\n", colour,
            colour, w(x).text, w(y).text, w(radius).text);
}

void svg_outline(FILE *file, size_t series, double x, double y, double radius)
{
    fprintf(file, "<circle class=\"outline l%zu\" cx=\"%s\" cy=\"%s\" r=\"%s\"/>\n",
            series % SVG_COLOURS, w(x).text, w(y).text, w(radius).text);
}

void svg_curve(FILE *file, size_t series, int dashed, const double *x, const double *y,
               size_t count)
{
    int open = 0;
    fprintf(file, "<path class=\"%s l%zu\" d=\"", dashed ? "outline" : "line",
            series % SVG_COLOURS);
    for (size_t i = 0; i < count; ++i) {
        if (isnan(y[i])) {
            open = 0;
            continue;
        }
        fprintf(file, "%s%s %s", open ? "L" : "M", w(x[i]).text, w(y[i]).text);
        open = 1;
    }
    fputs("\"/>\n", file);
}

/* ---- axes ---- */

double svg_x(const svg_field *f, double x)
{
    return f->left + (x - f->x_low) / (f->x_high - f->x_low) * f->width;
}

double svg_y(const svg_field *f, double y)
{
    return f->top + f->height - (y - f->y_low) / (f->y_high - f->y_low) * f->height;
}

/* 1, 2 or 5 times a power of ten, so that about six of them span the axis. */
static double tick_step(double low, double high, int *decimals)
{
    double rough = (high - low) / 6, power = pow(10, floor(log10(rough)));
    double step = rough / power <= 1   ? power
                  : rough / power <= 2 ? 2 * power
                  : rough / power <= 5 ? 5 * power
                                       : 10 * power;
    *decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
    return step;
}

void svg_axis_x(FILE *file, const svg_field *f, const char *name)
{
    int decimals;
    double step = tick_step(f->x_low, f->x_high, &decimals), bottom = f->top + f->height;
    for (double x = ceil(f->x_low / step - 1e-9) * step; x <= f->x_high + 1e-9 * step; x += step) {
        svg_line(file, "rule", svg_x(f, x), f->top, svg_x(f, x), bottom);
        svg_number(file, svg_x(f, x), bottom + 16, "middle", "soft", x, decimals);
    }
    svg_line(file, "axis", f->left, bottom, f->left + f->width, bottom);
    if (name)
        svg_text(file, f->left + f->width / 2, bottom + 36, "middle", "", name);
}

void svg_axis_y(FILE *file, const svg_field *f, const char *name)
{
    int decimals;
    double step = tick_step(f->y_low, f->y_high, &decimals);
    for (double y = ceil(f->y_low / step - 1e-9) * step; y <= f->y_high + 1e-9 * step; y += step) {
        svg_line(file, "rule", f->left, svg_y(f, y), f->left + f->width, svg_y(f, y));
        svg_number(file, f->left - 6, svg_y(f, y) + 4, "end", "soft", y, decimals);
    }
    svg_line(file, "axis", f->left, f->top, f->left, f->top + f->height);
    if (name)
        svg_text(file, f->left - 40, f->top - 10, "start", "", name);
}
