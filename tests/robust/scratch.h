/* A folder of a test's own, and files in it. */
#ifndef TESTS_ROBUST_SCRATCH_H
#define TESTS_ROBUST_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_suite.h"

static char scratch[64];

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void scratch_remove(void)
{
    nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_make(void)
{
    strcpy(scratch, "/tmp/imiad-robust-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

/* "scratch/name"; the text is static, one of four in turn. */
static inline const char *in_scratch(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

/* How many entries a folder has, those with a dot in front too. */
static inline int count_entries(const char *folder)
{
    int count = 0;
    DIR *opened = opendir(folder);
    ck_assert_ptr_nonnull(opened);
    for (struct dirent *entry; (entry = readdir(opened));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(opened);
    return count;
}

static inline mode_t mode_of(const char *path)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

#endif
