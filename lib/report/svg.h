/* Drawing figures as SVG within the page: pieces, axes, legends. Colours are classes of page.css.
 */
#ifndef REPORT_SVG_H
#define REPORT_SVG_H

#include <stddef.h>
#include <stdio.h>

/* Opens <figure> and <svg>; `id` is of the figure, title and description are what those get who do
 * not see it. */
void svg_begin(FILE *file, const char *id, const char *title, const char *description, double width,
               double height);
/* `caption` stands below. */
void svg_end(FILE *file, const char *caption);

/* Text anchors: "start", "middle", "end". The class may be "". */
void svg_text(FILE *file, double x, double y, const char *anchor, const char *class,
              const char *text);
void svg_number(FILE *file, double x, double y, const char *anchor, const char *class,
                double number, int decimals);
void svg_line(FILE *file, const char *class, double x1, double y1, double x2, double y2);
void svg_rect(FILE *file, const char *class, double x, double y, double width, double height,
              double opacity);
void svg_circle(FILE *file, const char *class, double x, double y, double radius);

/* Series are told apart by colour and by shape: 24 pairs. */
enum { SVG_COLOURS = 8, SVG_SHAPES = 6 };
void svg_marker(FILE *file, size_t series, double x, double y);
void svg_bubble(FILE *file, size_t series, double x, double y, double radius);
void svg_outline(FILE *file, size_t series, double x, double y, double radius);
/* A line through points whose y is not NAN, broken where it is. */
void svg_curve(FILE *file, size_t series, int dashed, const double *x, const double *y,
               size_t count);

/* A field with both axes linear. */
typedef struct svg_field {
    double left, top, width, height; /* in the figure */
    double x_low, x_high, y_low, y_high;
} svg_field;
double svg_x(const svg_field *f, double x);
double svg_y(const svg_field *f, double y);
/* Frame, grid and numbers; an axis without a name gets none. */
void svg_axis_x(FILE *file, const svg_field *f, const char *name);
void svg_axis_y(FILE *file, const svg_field *f, const char *name);

#endif
