/* Pictures for operators: the verdict, the score beside the threshold, and where. */
#ifndef STATION_PICTURE_H
#define STATION_PICTURE_H

#include "station/inspect.h"

/* Writes the picture of an inspected image into the station's folder. outline: the map's value from
 * which on an anomalous image is outlined. Colours mean the same in all pictures: the threshold
 * lies in the middle of their scale. */
imiad_status picture_draw(const station *s, const char *path, const imiad_image *image,
                          const judged *j, double outline);

#endif
