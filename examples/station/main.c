/* The inspection station's program: learn, check, and inspect. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checked.h"
#include "station/check.h"
#include "station/inspect.h"
#include "station/learn.h"
#include "station/walk.h"
#include "station/watch.h"

/* That a threshold comes from few images is a warning of the station's own. */
static void show_message(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    if (level >= IMIAD_LOG_WARNING && strncmp(message, "calibrate: ", 11) != 0)
        fprintf(stderr, "WARNING: %s\n", message);
}

/* ---- what is to be inspected ---- */

static bool inspect_file(void *user, const char *path)
{
    station *s = user;
    return !station_stop_asked() && station_inspect(s, path, NULL);
}

/* Nothing in a folder is passed over without a word. */
static bool inspect_found(void *user, const char *path, walk_kind kind, const char *problem)
{
    station *s = user;
    if (kind == WALK_IMAGE)
        return inspect_file(s, path);
    if (kind == WALK_OTHER) {
        fprintf(stderr, "%s: left out: %s has not the name of an image\n", s->command->program,
                path);
        return true;
    }
    char message[4600];
    snprintf(message, sizeof message, "cannot look into %s: %s", path, problem);
    return station_fail(s, path, message);
}

static bool inspect_word(void *user, const char *path)
{
    station *s = user;
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return inspect_file(s, path);
    size_t before = s->inspected;
    if (!walk_folder(path, inspect_found, s))
        return false;
    if (s->inspected == before)
        return station_fail(s, path, "there are no images in this folder");
    return true;
}

static void inspect_words(station *s)
{
    const command *c = s->command;
    bool go_on = true;
    for (int i = 1; i < c->word_count && go_on; ++i)
        go_on = strcmp(c->words[i], "-") == 0
                    ? walk_list(stdin, c->null ? '\0' : '\n', inspect_word, s)
                    : inspect_word(s, c->words[i]);
    if (s->inspected > 1)
        fprintf(stderr, "%s: %zu inspected, %zu not OK, %zu could not be inspected\n", c->program,
                s->inspected, s->anomalous, s->failed);
    if (station_stop_asked()) {
        fprintf(stderr, "%s: stopped by a signal after %zu images: not all were inspected\n",
                c->program, s->inspected);
        ++s->failed;
    }
}

static int inspect(const command *c)
{
    station s;
    station_block_signals();
    int code = station_open(&s, c);
    if (code == 0 && c->watch)
        code = watch(&s, c->words + 1, c->word_count - 1);
    else if (code == 0)
        inspect_words(&s);
    if (code == 0 &&
        sheet_write(&s.sheet, c->program, s.pictures, s.inspected, s.anomalous, s.failed) != 0)
        code = SOME_FAILED;
    if (code == 0)
        code = station_status(&s);
    station_close(&s);
    return code;
}

int main(int argc, char **argv)
{
    command c;
    int go_on = command_read(&c, argc, argv), code = go_on < 0 ? SOME_FAILED : ALL_OK;
    imiad_set_log(show_message, NULL);
    if (go_on > 0 && strcmp(c.words[0], "learn") == 0)
        code = learn(&c);
    else if (go_on > 0 && strcmp(c.words[0], "check") == 0)
        code = check(&c);
    else if (go_on > 0)
        code = inspect(&c);
    code = checked_stdout(c.program, code, SOME_FAILED);
    command_free(&c);
    return code;
}
