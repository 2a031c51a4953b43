/* `imiad NAME ...` runs the program imiad-NAME that stands beside it; `imiad` alone lists them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checked.h"

static const struct {
    const char *name, *about;
} programs[] = {
    {"inspect", "learn good parts, check folders, and say OK or not OK of parts"},
    {"unsupervised", "every category on its own: all normal images train"},
    {"supervised", "the same, and some labelled defective ones"},
    {"fewshot", "a few normal images train"},
    {"noisy", "normal images with defective ones among them"},
    {"continual", "one category after another, with one detector"},
    {"transfer", "one category, then a few images of another"},
    {"efficiency", "times and memory, image by image"},
    {"benchmark", "a whole benchmark from one plan: run it, see how far it is"},
    {"compare", "a result store beside the published figures"},
    {"list_dataset", "what a dataset's folder holds"},
    {"export_dataset", "a dataset written in MVTec AD's layout"},
};
enum { PROGRAMS = sizeof programs / sizeof *programs };

static int list(void)
{
    printf("Usage: imiad NAME [options]\n\n"
           "Industrial image anomaly detection. \"imiad NAME --help\" tells more of each:\n\n");
    for (int i = 0; i < PROGRAMS; ++i)
        printf("  %-15s %s\n", programs[i].name, programs[i].about);
    printf("\n  --help, --version\n");
    return checked_stdout("imiad", 0, 1);
}

/* The folder that this program stands in; "" where the system does not tell. */
static void own_folder(char *out, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    out[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        slash[1] = '\0';
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0)
        return list();
    if (strcmp(argv[1], "--version") == 0) {
        printf("imiad %s\n", VERSION);
        return checked_stdout("imiad", 0, 1);
    }
    for (int i = 0; i < PROGRAMS; ++i) {
        char path[4096], name[64];
        if (strcmp(argv[1], programs[i].name) != 0)
            continue;
        own_folder(path, sizeof path);
        snprintf(name, sizeof name, "imiad-%s", argv[1]);
        strncat(path, name, sizeof path - strlen(path) - 1);
        argv[1] = name;
        execv(path, argv + 1);
        execvp(name, argv + 1);
        fprintf(stderr, "imiad: cannot run %s: %s\n", path, strerror(errno));
        return 2;
    }
    fprintf(stderr, "imiad: there is no program \"%s\"; \"imiad --help\" lists them\n", argv[1]);
    return 2;
}
