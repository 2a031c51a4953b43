/* A file that is closed after writing, or moved into a folder, is inspected. What is there at the
 * start, and in a folder that comes in, is looked for; files that are still open for writing are
 * left to their event. An image that cannot be read yet is tried again until it has rested for some
 * seconds: there are programs that open a file several times while they write it. */
#include "station/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "checked.h"
#include "station/walk.h"

/* What was inspected last: files are told apart by content's time and size, so that a name that is
 * used again is a new part. Of fixed size: it bridges the time between a look into a folder and the
 * events of that time, of which the kernel keeps 16,384. */
enum { REMEMBERED = 65536 };

typedef struct identity {
    dev_t device;
    ino_t file;
    off_t size;
    struct timespec written, changed;
} identity;

/* An image that could not be read and may be complete later. */
typedef struct waiting {
    char *path;
    double deadline;
} waiting;

typedef struct watcher {
    station *station;
    int events;
    char **folders; /* by watch descriptor */
    int folder_room;
    identity *seen;
    size_t seen_count;         /* ever */
    struct timespec forgotten; /* the latest change among those that were dropped */
    waiting *list;
    size_t waiting_count, waiting_room;
    bool broken; /* standard output is gone */
} watcher;

/* ---- what was seen ---- */

static bool later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool was_seen(const watcher *w, const identity *i)
{
    size_t kept = w->seen_count < REMEMBERED ? w->seen_count : REMEMBERED;
    for (size_t k = 0; k < kept; ++k) {
        const identity *known = &w->seen[(w->seen_count - 1 - k) % REMEMBERED];
        if (known->file == i->file && known->device == i->device && known->size == i->size &&
            same_time(known->written, i->written))
            return true;
    }
    return w->seen_count > REMEMBERED && !later(i->changed, w->forgotten);
}

static void remember(watcher *w, const identity *i)
{
    identity *place = &w->seen[w->seen_count % REMEMBERED];
    if (w->seen_count >= REMEMBERED && later(place->changed, w->forgotten))
        w->forgotten = place->changed;
    *place = *i;
    ++w->seen_count;
}

static bool identify(identity *out, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    *out = (identity){info.st_dev, info.st_ino, info.st_size, info.st_mtim, info.st_ctim};
    return true;
}

/* ---- files ---- */

static void forget_waiting(watcher *w, const char *path)
{
    for (size_t i = 0; i < w->waiting_count; ++i)
        if (strcmp(w->list[i].path, path) == 0) {
            free(w->list[i].path);
            w->list[i] = w->list[--w->waiting_count];
            return;
        }
}

static bool let_wait(watcher *w, const char *path)
{
    forget_waiting(w, path);
    if (w->waiting_count == w->waiting_room) {
        size_t room = w->waiting_room ? 2 * w->waiting_room : 64;
        waiting *grown = realloc(w->list, room * sizeof *grown);
        if (!grown)
            return false;
        w->list = grown;
        w->waiting_room = room;
    }
    char *copy = strdup(path);
    if (!copy)
        return false;
    w->list[w->waiting_count++] = (waiting){copy, seconds_now() + w->station->command->settle};
    return true;
}

/* `last`: whether its time is over. */
static void inspect_file(watcher *w, const char *path, bool last)
{
    identity before;
    imiad_image *image;
    if (!identify(&before, path) || was_seen(w, &before)) {
        forget_waiting(w, path); /* gone, or done */
        return;
    }
    if (station_read(w->station, &image, path) != IMIAD_OK) {
        char problem[1024];
        snprintf(problem, sizeof problem, "%s", imiad_last_error());
        if (!last && let_wait(w, path))
            return;
        forget_waiting(w, path);
        remember(w, &before);
        w->broken = !station_fail(w->station, path, problem);
        return;
    }
    forget_waiting(w, path);
    remember(w, &before);
    w->broken = !station_inspect(w->station, path, image);
    imiad_image_free(image);
}

/* Whether somebody has the file open for writing: then a lease for reading is refused. */
static bool is_being_written(const char *path)
{
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return false;
    bool refused = fcntl(file, F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
    if (!refused)
        fcntl(file, F_SETLEASE, F_UNLCK);
    close(file);
    return refused;
}

/* ---- folders ---- */

static char *join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static bool keep_folder(watcher *w, int descriptor, const char *path)
{
    if (descriptor >= w->folder_room) {
        int room = 2 * descriptor + 16;
        char **grown = realloc(w->folders, (size_t)room * sizeof *grown);
        if (!grown)
            return false;
        memset(grown + w->folder_room, 0, (size_t)(room - w->folder_room) * sizeof *grown);
        w->folders = grown;
        w->folder_room = room;
    }
    free(w->folders[descriptor]);
    w->folders[descriptor] = strdup(path);
    return w->folders[descriptor] != NULL;
}

static bool add_folder(watcher *w, const char *path, bool inspect);

static void look_at_entry(watcher *w, const char *path, bool inspect)
{
    struct stat info;
    identity i;
    if (stat(path, &info) != 0)
        return;
    if (S_ISDIR(info.st_mode))
        add_folder(w, path, inspect);
    else if (is_image_name(path) && !is_being_written(path)) {
        if (inspect)
            inspect_file(w, path, false);
        else if (identify(&i, path))
            remember(w, &i);
    }
}

static int keep_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Everything in a folder and below that was not seen yet. */
static void look_into(watcher *w, const char *folder, bool inspect)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, keep_visible, alphasort);
    for (int i = 0; i < count; ++i) {
        char *path = join(folder, entries[i]->d_name);
        if (path && !w->broken && !station_stop_asked())
            look_at_entry(w, path, inspect);
        free(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static bool add_folder(watcher *w, const char *path, bool inspect)
{
    int descriptor =
        inotify_add_watch(w->events, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
    if (descriptor < 0 || !keep_folder(w, descriptor, path)) {
        fprintf(stderr, "%s: cannot watch %s: %s\n", w->station->command->program, path,
                strerror(errno));
        return false;
    }
    look_into(w, path, inspect);
    return true;
}

/* ---- events ---- */

static void look_everywhere(watcher *w)
{
    fprintf(stderr, "%s: more came in than the kernel remembers; looking through the folders\n",
            w->station->command->program);
    for (int i = 0; i < w->folder_room; ++i)
        if (w->folders[i])
            look_into(w, w->folders[i], true);
}

static void take_event(watcher *w, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW) {
        look_everywhere(w);
        return;
    }
    if (e->wd < 0 || e->wd >= w->folder_room || !w->folders[e->wd])
        return;
    if (e->mask & IN_IGNORED) { /* the folder is gone */
        free(w->folders[e->wd]);
        w->folders[e->wd] = NULL;
        return;
    }
    if (e->len == 0 || e->name[0] == '.')
        return;
    char *path = join(w->folders[e->wd], e->name);
    if (path && e->mask & IN_ISDIR)
        add_folder(w, path, true);
    else if (path && e->mask & (IN_CLOSE_WRITE | IN_MOVED_TO) && is_image_name(path))
        inspect_file(w, path, false);
    free(path);
}

static void take_events(watcher *w)
{
    char buffer[1 << 16] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t bytes = read(w->events, buffer, sizeof buffer);
    for (ssize_t at = 0; at < bytes && !w->broken && !station_stop_asked();) {
        const struct inotify_event *e = (const struct inotify_event *)(buffer + at);
        take_event(w, e);
        at += (ssize_t)(sizeof *e + e->len);
    }
}

/* Those whose time is over; returns how long until the next, in seconds, below 0: none waits. */
static double try_waiting(watcher *w)
{
    double next = -1;
    for (size_t i = 0; i < w->waiting_count;) {
        double left = w->list[i].deadline - seconds_now();
        if (left > 0) {
            next = next < 0 || left < next ? left : next;
            ++i;
            continue;
        }
        char *path = strdup(w->list[i].path);
        if (!path)
            return 1;
        if (is_being_written(path))
            w->list[i++].deadline = seconds_now() + w->station->command->settle;
        else
            inspect_file(w, path, true); /* takes it off the list */
        free(path);
    }
    return next;
}

static void wait_for_events(watcher *w, double seconds)
{
    struct pollfd poll = {w->events, POLLIN, 0};
    struct timespec limit = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    sigset_t none;
    sigemptyset(&none);
    if (station_stop_asked())
        return;
    sigprocmask(SIG_SETMASK, NULL, &none);
    sigdelset(&none, SIGTERM);
    sigdelset(&none, SIGINT);
    if (ppoll(&poll, 1, seconds < 0 ? NULL : &limit, &none) > 0)
        take_events(w);
}

/* The handlers do nothing: that a signal came is what ends the waiting. */
static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static void set_signals(void)
{
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGIO, SIG_IGN); /* a writer that meets our lease */
}

static void run(watcher *w)
{
    station *s = w->station;
    while (!stopped && !station_stop_asked() && !w->broken) {
        double next = try_waiting(w);
        if (s->sheet.file && s->sheet.changed && (next < 0 || next > 1))
            next = 1; /* a quiet second: the sheet is brought up to date */
        size_t before = s->inspected;
        wait_for_events(w, next);
        if (s->inspected == before)
            sheet_write(&s->sheet, s->command->program, s->pictures, s->inspected, s->anomalous,
                        s->failed);
    }
}

int watch(station *s, char **folders, int count)
{
    watcher w = {.station = s, .events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    w.seen = calloc(REMEMBERED, sizeof *w.seen);
    if (w.events < 0 || !w.seen) {
        fprintf(stderr, "%s: cannot watch folders: %s\n", s->command->program, strerror(errno));
        free(w.seen);
        return SOME_FAILED;
    }
    memset(w.seen, 0xFF, REMEMBERED * sizeof *w.seen); /* all of it in use from the start */
    set_signals();
    int code = 0;
    for (int i = 0; i < count && code == 0; ++i)
        code = add_folder(&w, folders[i], !s->command->skip_existing) ? 0 : SOME_FAILED;
    if (code == 0) {
        fprintf(stderr, "%s: watching; SIGTERM stops it\n", s->command->program);
        run(&w);
        fprintf(stderr, "%s: stopped: %zu inspected, %zu not OK, %zu could not be inspected\n",
                s->command->program, s->inspected, s->anomalous, s->failed);
    }
    for (int i = 0; i < w.folder_room; ++i)
        free(w.folders[i]);
    for (size_t i = 0; i < w.waiting_count; ++i)
        free(w.list[i].path);
    free(w.folders);
    free(w.list);
    free(w.seen);
    close(w.events);
    return code;
}
