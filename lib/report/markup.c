#include "report/markup.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/options.h"

/* ---- characters ---- */

static const uint32_t unknown = 0xfffd;

static uint32_t fit_for_a_page(uint32_t c)
{
    int control = (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0);
    int turns = c == 0x061c || (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
                (c >= 0x2066 && c <= 0x2069);
    int no_character = (c >= 0xd800 && c <= 0xdfff) || (c & 0xfffe) == 0xfffe || c > 0x10ffff;
    return control || turns || no_character ? unknown : c;
}

uint32_t next_character(const char **text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)*text;
    int length = *at < 0x80             ? 1
                 : (*at & 0xe0) == 0xc0 ? 2
                 : (*at & 0xf0) == 0xe0 ? 3
                 : (*at & 0xf8) == 0xf0 ? 4
                                        : 0;
    if (*at == 0)
        return 0;
    uint32_t c = length == 1 ? *at : (uint32_t)(*at & (0xff >> (length + 1)));
    for (int i = 1; i < length; ++i) {
        if ((at[i] & 0xc0) != 0x80)
            length = 0;
        else
            c = (c << 6) | (at[i] & 0x3f);
    }
    *text += length > 0 ? length : 1;
    return length == 0 || c < least[length] ? unknown : fit_for_a_page(c);
}

void write_character(FILE *file, uint32_t c)
{
    if (c < 0x80) {
        putc((int)c, file);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const int heads[] = {0, 0xc0, 0xe0, 0xf0};
    putc(heads[more] | (int)(c >> (6 * more)), file);
    while (more-- > 0)
        putc(0x80 | (int)((c >> (6 * more)) & 0x3f), file);
}

/* ---- markup ---- */

static void write_escaped(FILE *file, uint32_t c)
{
    switch (c) {
    case '&':
        fputs("&amp;", file);
        break;
    case '<':
        fputs("&lt;", file);
        break;
    case '>':
        fputs("&gt;", file);
        break;
    case '"':
        fputs("&quot;", file);
        break;
    case '\'':
        fputs("&#39;", file);
        break;
    default:
        write_character(file, c);
    }
}

void markup_text(FILE *file, const char *text)
{
    for (uint32_t c; (c = next_character(&text)) != 0;)
        write_escaped(file, c);
}

void markup(FILE *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    for (; *format; ++format) {
        if (format[0] == '%' && format[1] == 's') {
            markup_text(file, va_arg(arguments, const char *));
            ++format;
        } else {
            putc(*format, file);
        }
    }
    va_end(arguments);
}

void markup_data(FILE *file, const char *name, const char *text)
{
    if (text)
        markup(file, " data-%s=\"%s\"", name, text);
}

void markup_word(FILE *file, const char *text)
{
    for (; *text; ++text)
        putc(isascii((unsigned char)*text) && isalnum((unsigned char)*text) ? *text : '-', file);
}

/* ---- numbers ---- */

static void write_number(FILE *file, const char *text)
{
    if (*text == '-') {
        fputs("\u2212", file);
        ++text;
    }
    fputs(text, file);
}

/* A minus stands before no zero. */
static double without_sign_of_zero(double number, int decimals)
{
    return fabs(number) < 0.5 * pow(10, -decimals) ? 0 : number;
}

static void write_decimals(FILE *file, double number, int decimals, const char *format)
{
    char text[400];
    if (!isfinite(number)) {
        fputs("\u2013", file);
        return;
    }
    if (fabs(number) >= 1e15) {
        plain_print(text, sizeof text, "%.6g", number);
    } else {
        plain_print(text, sizeof text, format, decimals, without_sign_of_zero(number, decimals));
    }
    write_number(file, text);
}

void markup_number(FILE *file, double number, int decimals)
{
    write_decimals(file, number, decimals, "%.*f");
}

void markup_signed(FILE *file, double number, int decimals)
{
    write_decimals(file, number, decimals, "%+.*f");
}

static int ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

int is_cost(const char *name)
{
    return ends_with(name, "_seconds") || ends_with(name, "_per_second") ||
           ends_with(name, "_bytes");
}

int is_count(const char *name)
{
    return ends_with(name, "_images");
}

static void write_bytes(FILE *file, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; unit < 4 && fabs(bytes) >= 1000; ++unit)
        bytes /= 1000;
    markup_number(file, bytes, unit == 0 || fabs(bytes) >= 100 ? 0 : 2);
    fprintf(file, " %s", units[unit]);
}

void markup_value(FILE *file, const char *name, double number)
{
    if (!isfinite(number))
        markup_number(file, number, 0);
    else if (ends_with(name, "_bytes"))
        write_bytes(file, number);
    else if (is_cost(name))
        markup_number(file, number, fabs(number) >= 100 ? 0 : fabs(number) >= 1 ? 2 : 5);
    else if (is_count(name) && number == floor(number))
        markup_number(file, number, 0);
    else
        markup_number(file, number, 3);
}
