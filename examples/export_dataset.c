/* Writes a dataset to disk in MVTec AD's layout: by default the one that the library draws.
 *   export_dataset FOLDER [DATASET ROOT] [NAME=VALUE ...] */
#include <imiad/imiad.h>
#include <stdio.h>
#include <string.h>

#include "checked.h"
#include "warnings_shown.h"

int main(int argc, char **argv)
{
    static const char usage[] =
        "Usage: %s FOLDER [DATASET ROOT] [NAME=VALUE ...]\n\n"
        "Writes a dataset into FOLDER in MVTec AD's layout: by default the one that the library "
        "draws.\n\n"
        "  DATASET ROOT  another dataset, and where it lies\n"
        "  NAME=VALUE    an option of the dataset, such as size=128\n"
        "  --help, --version\n";
    const char *slash = strrchr(argv[0], '/'), *program = slash ? slash + 1 : argv[0];
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return printf(usage, program), checked_stdout(program, 0, 1);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("libimiad %s\n", imiad_version()), checked_stdout(program, 0, 1);
    if (argc < 2 || argv[1][0] == '-') {
        if (argc >= 2)
            fprintf(stderr, "%s: what is \"%s\"?\n", program, argv[1]);
        fprintf(stderr, usage, program);
        return 2;
    }
    show_warnings();
    imiad_option options[32];
    size_t count = 0;
    const char *names[2] = {"synthetic", NULL};
    int named = 0;
    for (int i = 2; i < argc; ++i) {
        char *equals = strchr(argv[i], '=');
        if (!equals && named < 2) {
            names[named++] = argv[i];
        } else if (equals && count < 32) {
            *equals = '\0';
            options[count++] = (imiad_option){argv[i], equals + 1};
        } else {
            fprintf(stderr, "%s: what is \"%s\"?\n", argv[0], argv[i]);
            return 2;
        }
    }
    imiad_dataset *dataset = NULL;
    imiad_status status = imiad_dataset_open(&dataset, names[0], names[1], options, count);
    if (status == IMIAD_OK)
        status = imiad_dataset_export(dataset, argv[1]);
    if (status != IMIAD_OK)
        fprintf(stderr, "%s: %s\n", argv[0], imiad_last_error());
    imiad_dataset_free(dataset);
    return status == IMIAD_OK ? 0 : 1;
}
