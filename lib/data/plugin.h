/* Datasets that programs write against the public header: a table of their functions as a reader's.
 */
#ifndef DATA_PLUGIN_H
#define DATA_PLUGIN_H

#include "data/dataset.h"

/* New memory; text is copied. Its release frees it and releases `user`. */
imiad_status dataset_plugin_adapt(dataset_ops **out, const imiad_dataset_functions *functions);
/* Frees one that came to nothing; `user` stays the caller's. */
void dataset_plugin_abandon(dataset_ops *ops);

#endif
