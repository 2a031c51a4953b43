/* Checking a folder: everything in it is decoded, and all that is wrong or doubtful is named. */
#ifndef STATION_CHECK_H
#define STATION_CHECK_H

#include "station/options.h"

/* Returns 0 where all is well, SOME_ANOMALOUS where something is doubtful, SOME_FAILED where
 * something cannot be read. */
int check(command *c);

#endif
