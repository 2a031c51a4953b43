#include "station/sheet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "names.h"

int sheet_open(sheet *s, const char *file, size_t most)
{
    *s = (sheet){.file = file, .most = most, .changed = true};
    s->worst = file ? calloc(most + 1, sizeof *s->worst) : NULL;
    s->failures = file ? calloc(most, sizeof *s->failures) : NULL;
    if (!file || (s->worst && s->failures))
        return 0;
    fprintf(stderr, "out of memory for the sheet %s\n", file);
    return -1;
}

void sheet_close(sheet *s)
{
    for (size_t i = 0; i < s->count; ++i)
        free(s->worst[i].path);
    for (size_t i = 0; i < s->failure_count; ++i) {
        free(s->failures[i].path);
        free(s->failures[i].problem);
    }
    free(s->worst);
    free(s->failures);
}

void sheet_add(sheet *s, const char *path, bool anomalous, double score, double threshold)
{
    if (!s->file)
        return;
    s->changed = true; /* the counts */
    size_t at = s->count;
    while (at > 0 && s->worst[at - 1].score < score)
        --at;
    if (at == s->most)
        return;
    char *copy = strdup(path);
    if (!copy)
        return;
    memmove(s->worst + at + 1, s->worst + at, (s->count - at) * sizeof *s->worst);
    s->worst[at] = (sheet_part){copy, anomalous, score, threshold};
    if (s->count == s->most)
        free(s->worst[s->count].path);
    else
        ++s->count;
}

void sheet_add_failure(sheet *s, const char *path, const char *problem)
{
    if (!s->file)
        return;
    s->changed = true; /* the counts */
    if (s->failure_count == s->most)
        return;
    sheet_failure f = {strdup(path), strdup(problem)};
    if (f.path && f.problem) {
        s->failures[s->failure_count++] = f;
        return;
    }
    free(f.path);
    free(f.problem);
}

/* ---- HTML ---- */

/* Text between tags. Bytes that are no UTF-8 are shown by the browser as it likes. */
static void write_text(FILE *out, const char *text)
{
    for (; *text; ++text)
        if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else
            fputc(*text, out);
}

/* The address of a file as seen from the sheet's folder. */
static char *address_of(const char *sheet_file, const char *file)
{
    const char *slash = strrchr(sheet_file, '/');
    size_t folder = slash ? (size_t)(slash - sheet_file) + 1 : 0;
    if (folder > 0 && strncmp(sheet_file, file, folder) == 0)
        return name_percent(file + folder);
    if (folder == 0 || *file == '/')
        return name_percent(file);
    char *whole = realpath(file, NULL), *address = name_percent(whole ? whole : file);
    free(whole);
    return address;
}

static void write_part(FILE *out, const sheet *s, const sheet_part *p, const char *folder)
{
    char *picture = name_picture(folder, p->path);
    char *address = picture ? address_of(s->file, picture) : NULL;
    char score[SCORE_TEXT], threshold[SCORE_TEXT];
    fprintf(out,
            "<figure class=\"%s\"><a href=\"%s\"><img loading=\"lazy\" src=\"%s\" alt=\"\"></a>"
            "<figcaption><b>%s</b> %s (threshold %s)<br>",
            p->anomalous ? "bad" : "good", address ? address : "", address ? address : "",
            p->anomalous ? "NOT OK" : "OK", checked_score(score, p->score),
            checked_score(threshold, p->threshold));
    write_text(out, p->path);
    fputs("</figcaption></figure>\n", out);
    free(address);
    free(picture);
}

/* Parts that nobody judged come first: somebody must look at them. */
static void write_failures(FILE *out, const sheet *s, size_t failed)
{
    if (s->failure_count == 0)
        return;
    fputs("<section class=\"failed\"><h2>Could not be inspected</h2>\n<ul>\n", out);
    for (size_t i = 0; i < s->failure_count; ++i) {
        fputs("<li><b>", out);
        write_text(out, s->failures[i].path);
        fputs("</b><br>", out);
        write_text(out, s->failures[i].problem);
        fputs("</li>\n", out);
    }
    if (failed > s->failure_count)
        fprintf(out, "<li>and %zu more</li>\n", failed - s->failure_count);
    fputs("</ul></section>\n", out);
}

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>The worst "
    "parts</title>\n<style>\n"
    "body { font: 16px/1.4 sans-serif; margin: 1.5em; background: #f4f4f5; color: #202024 }\n"
    "main { display: grid; grid-template-columns: repeat(auto-fill, minmax(26em, 1fr)); gap: 1em "
    "}\n"
    "figure { margin: 0; padding: .6em; background: #fff; border-top: .4em solid #127a3e;\n"
    "  overflow-wrap: anywhere }\n"
    "figure.bad { border-color: #be1824 }\n"
    "img { width: 100% }\n"
    "b { color: #127a3e } .bad b, .failed b { color: #be1824 }\n"
    ".failed { background: #fff; border-left: .4em solid #be1824; padding: .2em 1em; "
    "margin-bottom: 1em;\n  overflow-wrap: anywhere }\n"
    "h2 { font-size: 1.1em }\n"
    "</style></head><body>\n";

int sheet_write(sheet *s, const char *program, const char *folder, size_t inspected,
                size_t anomalous, size_t failed)
{
    if (!s->file || !s->changed)
        return 0;
    char *temporary;
    if (asprintf(&temporary, "%s.part", s->file) < 0)
        return -1;
    FILE *out = fopen(temporary, "we");
    int bad = !out;
    if (out) {
        fputs(head, out);
        fprintf(out,
                "<h1>The worst parts</h1>\n<p>%zu inspected, %zu not OK, %zu could not be "
                "inspected.</p>\n",
                inspected, anomalous, failed);
        write_failures(out, s, failed);
        fputs("<main>\n", out);
        for (size_t i = 0; i < s->count; ++i)
            write_part(out, s, &s->worst[i], folder);
        fputs("</main></body></html>\n", out);
        bad = ferror(out) != 0;
        bad |= fclose(out) != 0;
        bad = bad || rename(temporary, s->file) != 0;
    }
    if (bad) {
        fprintf(stderr, "%s: cannot write %s: %s\n", program, s->file, strerror(errno));
        remove(temporary);
    }
    s->changed = false;
    free(temporary);
    return bad ? -1 : 0;
}
