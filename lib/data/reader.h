/* What readers of datasets on disk share: looking below the root, finding masks, saying what was
 * left out, drawing a split where a dataset has none. Paths are relative to the root. */
#ifndef DATA_READER_H
#define DATA_READER_H

#include "data/dataset.h"
#include "data/readers/text_table.h"

/* Sorted bytewise; a folder that does not exist is empty. */
imiad_status reader_list(name_list *out, const imiad_dataset *dataset, const char *folder);
/* Without folders that are called as images are, which the log is told. */
imiad_status reader_list_files(name_list *out, const imiad_dataset *dataset, const char *folder);
bool reader_has_folder(const imiad_dataset *dataset, const char *folder, const char *name);
bool reader_has_file(const imiad_dataset *dataset, const char *path);

/* Tells the log which file or folder has no sample made of it, and why. */
void reader_left_out(const imiad_dataset *dataset, const char *folder, const char *name,
                     const char *why);

/* Why a name that is no is_image_name is left out. Static text. */
const char *reader_no_image(const char *name);

/* The listing's entry of that name, or one that differs in the case of letters only; NULL where
 * there is none. */
const char *reader_find(const name_list *names, const char *name);

/* The mask of the image `name`: an image file whose stem is the image's stem + suffix. Of several,
 * the one in the better format: PNG, BMP, JPEG. names->count where there is none. */
size_t reader_find_mask(const name_list *names, const char *name, const char *suffix);

/* Gives the sample its one mask: folder/name. */
imiad_status reader_set_mask(imiad_dataset *dataset, sample *s, const char *folder,
                             const char *name);

/* Whether a path from a file stays below the root: relative, with forward slashes, no empty part
 * and none that begins with a dot. A plain name has no slash either. */
bool reader_path_is_inside(const char *path);
bool reader_name_is_plain(const char *name);

/* root/path as a table. */
imiad_status reader_table(table *out, const imiad_dataset *dataset, const char *path,
                          char separator);

/* Which of count items train, drawn without replacement by the stream of (seed, purpose): the first
 * floor(share * count) of the shuffled items. Where group numbers are given (ascending, from 0),
 * whole groups are drawn instead, and one that would exceed that number tests. */
imiad_status reader_draw_train(bool *train, const size_t *groups, size_t count, double share,
                               uint64_t seed, const char *purpose);

#endif
