#include "station/inspect.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "station/learn.h"
#include "station/picture.h"
#include "torch_start.h"

/* ---- opening ---- */

/* Tiles are a matter of learning: thresholds of whole images say nothing of tiles. */
static int check_tiles(const station *s, const command *c)
{
    if (c->tile_side == 0 || c->tile_side == s->thresholds.tile_side)
        return 0;
    if (s->thresholds.tile_side > 0)
        fprintf(stderr, "%s: %s was learned on tiles of %d pixels, not %lld\n", c->program,
                c->words[0], s->thresholds.tile_side, c->tile_side);
    else
        fprintf(stderr,
                "%s: %s was learned on whole images, and its threshold holds for these only; learn "
                "it with --tiles %lld\n",
                c->program, c->words[0], c->tile_side);
    return SOME_FAILED;
}

static int open_detector(station *s, const command *c)
{
    const char *path = c->words[0];
    if (torch_start() != IMIAD_OK ||
        imiad_detector_load(&s->detector, path, c->device ? c->device : "cpu") != IMIAD_OK)
        return command_fail(c, "inspect");
    if (imiad_detector_calibration(&s->thresholds, s->detector) != IMIAD_OK) {
        fprintf(stderr,
                "%s: %s has no threshold, so that nothing can be called OK or not: learn it with "
                "\"%s learn FOLDER %s\", or calibrate it in a program of your own\n",
                c->program, path, c->program, path);
        return SOME_FAILED;
    }
    return check_tiles(s, c);
}

/* "report.html" has its pictures in "report_pictures" where no folder is named. */
static char *pictures_beside(const char *page)
{
    const char *slash = strrchr(page, '/'), *name = slash ? slash + 1 : page;
    const char *dot = strrchr(name, '.');
    int stem = (int)((dot && dot > name ? dot : page + strlen(page)) - page);
    char *folder;
    return asprintf(&folder, "%.*s_pictures", stem, page) < 0 ? NULL : folder;
}

int station_open(station *s, const command *c)
{
    *s = (station){.command = c, .thresholds = IMIAD_CALIBRATION_INIT};
    s->warnings.list = json_array();
    int code = open_detector(s, c);
    if (code != 0)
        return code;
    s->options = judge_options(&s->thresholds);
    s->threshold = judge_threshold(&s->thresholds, c->sensitivity);
    if (!learn_recall(&s->range, &s->reading, c->words[0]))
        fprintf(
            stderr,
            "WARNING: there is no record %s.json: sizes and channels are not compared with what "
            "was learned\n",
            c->words[0]);
    warn_of_weights(&s->warnings, s->detector);
    s->random_weights = json_array_size(s->warnings.list) > 0;
    if (c->pictures || c->sheet)
        s->pictures = c->pictures ? strdup(c->pictures) : pictures_beside(c->sheet);
    return sheet_open(&s->sheet, c->sheet, (size_t)c->worst) == 0 ? 0 : SOME_FAILED;
}

void station_close(station *s)
{
    imiad_detector_free(s->detector);
    json_decref(s->warnings.list);
    sheet_close(&s->sheet);
    free(s->pictures);
}

int station_status(const station *s)
{
    return s->failed > 0 || s->stdout_failed ? SOME_FAILED
           : s->anomalous > 0                ? SOME_ANOMALOUS
                                             : ALL_OK;
}

/* ---- lines ---- */

/* One line whole, with one call, and at once. */
static bool write_line(station *s, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    json_decref(line);
    bool good = text && printf("%s\n", text) > 0;
    good = fflush(stdout) == 0 && good;
    free(text);
    s->stdout_failed = s->stdout_failed || !good;
    return good;
}

bool station_fail(station *s, const char *path, const char *problem)
{
    json_t *line = json_object();
    ++s->inspected;
    ++s->failed;
    fprintf(stderr, "%s: %s\n", s->command->program, problem);
    name_into(line, "image", path);
    name_into(line, "error", problem);
    sheet_add_failure(&s->sheet, path, problem);
    return write_line(s, line);
}

static json_t *describe_region(const imiad_region *r)
{
    json_t *contour = json_array();
    for (size_t i = 0; i < r->contour_points; ++i)
        json_array_append_new(contour,
                              json_pack("[i, i]", r->contour[2 * i], r->contour[2 * i + 1]));
    return json_pack("{s:[i, i, i, i], s:I, s:f, s:[i, i], s:o}", "box", r->left, r->top, r->width,
                     r->height, "area", (json_int_t)r->area, "peak", (double)r->peak, "at",
                     r->peak_x, r->peak_y, "contour", contour);
}

/* Where an anomalous image is so: the rule is in the station's page. */
static double region_threshold(const station *s, const judged *j)
{
    double threshold = s->thresholds.map_threshold;
    return (double)j->highest > threshold ? threshold : ((double)j->highest + (double)j->mean) / 2;
}

static imiad_status describe_regions(json_t *list, const station *s, const imiad_image *image,
                                     const judged *j)
{
    imiad_regions *regions;
    imiad_status status = imiad_regions_find(&regions, j->map, image->width, image->height,
                                             region_threshold(s, j), NULL);
    if (status != IMIAD_OK)
        return status;
    for (size_t i = 0; i < imiad_regions_count(regions); ++i) {
        imiad_region r = IMIAD_REGION_INIT;
        if (imiad_regions_get(&r, regions, i) == IMIAD_OK)
            json_array_append_new(list, describe_region(&r));
    }
    imiad_regions_free(regions);
    return status;
}

/* ---- doubts ---- */

static unsigned doubts_of(station *s, const char *path, const imiad_image *image)
{
    look l;
    if (look_at(&l, image, path) != IMIAD_OK)
        return 0;
    unsigned found = l.doubts | range_doubts(&s->range, &l);
    if (s->options.tiles == 0 && hides_border(s->detector, image->width, image->height))
        found |= DOUBT_BORDER;
    return found;
}

/* Each kind loudly the first time; every line has them all. */
static void tell_doubts(station *s, const char *path, unsigned found)
{
    for (int bit = 0; bit < DOUBTS; ++bit)
        if (found & ~s->told & 1u << bit)
            warn(&s->warnings, doubt_name(bit), "%s: %s (the first of its kind)", path,
                 doubt_words(bit));
    s->told |= found;
}

static json_t *warnings_of(const station *s, unsigned doubts)
{
    json_t *names = doubt_names(doubts);
    if (s->random_weights) {
        names = names ? names : json_array();
        json_array_append_new(names, json_string("random_weights"));
    }
    return names;
}

/* ---- one image ---- */

static imiad_status write_verdict(station *s, const char *path, const imiad_image *image,
                                  const judged *j)
{
    double calibrated = 0;
    bool anomalous = (double)j->score > s->threshold;
    unsigned doubts = doubts_of(s, path, image);
    json_t *line = json_object(), *regions = json_array();
    imiad_status status = imiad_detector_calibrated_score(&calibrated, s->detector, j->score);
    if (status == IMIAD_OK && anomalous && j->map)
        status = describe_regions(regions, s, image, j);
    if (status == IMIAD_OK && s->pictures)
        status = picture_draw(s, path, image, j, region_threshold(s, j));
    if (status != IMIAD_OK) {
        json_decref(line);
        json_decref(regions);
        return status;
    }
    tell_doubts(s, path, doubts);
    name_into(line, "image", path);
    json_object_set_new(line, "anomalous", json_boolean(anomalous));
    json_object_set_new(line, "score", json_real((double)j->score));
    json_object_set_new(line, "threshold", json_real(s->threshold));
    json_object_set_new(line, "calibrated", json_real(calibrated));
    json_object_set_new(line, "regions", regions);
    json_t *names = warnings_of(s, doubts);
    if (names)
        json_object_set_new(line, "warnings", names);
    ++s->inspected;
    s->anomalous += anomalous;
    sheet_add(&s->sheet, path, anomalous, j->score, s->threshold);
    write_line(s, line);
    return IMIAD_OK;
}

imiad_status station_read(const station *s, imiad_image **out, const char *path)
{
    return imiad_image_read_with(out, path, &s->reading);
}

bool station_inspect(station *s, const char *path, const imiad_image *image)
{
    imiad_image *read = NULL;
    judged j = {0};
    imiad_status status = image ? IMIAD_OK : station_read(s, &read, path);
    image = image ? image : read;
    if (status == IMIAD_OK)
        status = judge(&j, s->detector, image, &s->options);
    if (status == IMIAD_OK)
        status = write_verdict(s, path, image, &j);
    judged_free(&j);
    imiad_image_free(read);
    return status == IMIAD_OK ? !s->stdout_failed : station_fail(s, path, imiad_last_error());
}

/* ---- stopping ---- */

static sigset_t stopping(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void station_block_signals(void)
{
    sigset_t set = stopping();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool station_stop_asked(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}
