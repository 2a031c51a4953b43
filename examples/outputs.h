/* What a cell leaves behind beside its values in the store: pictures, a saved detector, the images'
 * scores in the record. They are made before the store says that the cell is finished, and a mark
 * beside them tells whose they are, so that a run that is started again makes what is missing. */
#ifndef EXAMPLES_OUTPUTS_H
#define EXAMPLES_OUTPUTS_H

#include "cells.h"

/* The name of the cell's folder of pictures and of its detector: CATEGORY, or CATEGORY-VALUE-SEED
 * where there are several values or seeds; never a path that leads elsewhere. */
void output_name(char out[IMIAD_FILE_NAME_ROOM], const measurement *r, int several);

/* What the cell is, in 16 digits: of its key in the store. */
void output_key(char out[OUTPUT_KEY], const imiad_cell *cell);

/* The record that an earlier run left in --json, where there is a store to go on with. */
void output_recall_record(experiment *b);
/* The entry of that record's list which is of the cell; borrowed, NULL where there is none. */
json_t *output_recorded(const experiment *b, const char *list, const char *key);
/* Whether the record is a file that a later run may go on with. */
int output_wants_record(const experiment *b);

/* Whether what --maps and --save ask of the cell is there already. */
int output_maps_are_made(const experiment *b, const measurement *r);
int output_is_saved(const experiment *b, const measurement *r);

/* Makes the marks. Before an output is touched its mark goes. */
void output_begin(const experiment *b, const measurement *r);
imiad_status output_end(const experiment *b, const measurement *r);

/* FOLDER/NAME.imiad for --save. */
imiad_status output_save(const experiment *b, const imiad_detector *detector, const measurement *r);

#endif
