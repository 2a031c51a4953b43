/* One image scored, as the station scores all of them. */
#ifndef STATION_JUDGE_H
#define STATION_JUDGE_H

#include <imiad/imiad.h>

typedef struct judged {
    float score;
    float *map; /* over the whole image, at its own size; NULL where the detector has none */
    float highest, mean; /* of the map */
} judged;

imiad_status judge(judged *out, imiad_detector *detector, const imiad_image *image,
                   const imiad_score_options *options);
void judged_free(judged *j);

/* What the thresholds were chosen with: whole images, or tiles. */
imiad_score_options judge_options(const imiad_calibration *thresholds);

/* The threshold of a sensitivity. */
double judge_threshold(const imiad_calibration *c, imiad_sensitivity sensitivity);

#endif
