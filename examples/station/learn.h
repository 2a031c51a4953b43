/* Learning: from a folder of photographs to a detector's file and a record of how it was made. */
#ifndef STATION_LEARN_H
#define STATION_LEARN_H

#include "station/look.h"
#include "station/options.h"

/* Returns an exit status. */
int learn(command *c);

/* The range of sizes in the record beside a detector's file; false where there is none. */
bool learn_recall(learned_range *out, imiad_decode_options *reading, const char *detector_path);

#endif
