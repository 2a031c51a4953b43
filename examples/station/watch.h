/* Watching folders: each image is inspected once, when it has been written. */
#ifndef STATION_WATCH_H
#define STATION_WATCH_H

#include "station/inspect.h"

/* Until SIGTERM or SIGINT. Returns 0, or SOME_FAILED where a folder cannot be watched. */
int watch(station *s, char **folders, int count);

#endif
