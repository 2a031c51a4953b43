/* Inspecting: one image, one line, flushed when it is written. */
#ifndef STATION_INSPECT_H
#define STATION_INSPECT_H

#include "station/judge.h"
#include "station/look.h"
#include "station/options.h"
#include "station/sheet.h"
#include "station/warnings.h"

typedef struct station {
    const command *command;
    imiad_detector *detector;
    imiad_calibration thresholds;
    imiad_score_options options;
    double threshold; /* of the sensitivity that was asked for */
    learned_range range;
    imiad_decode_options reading;
    unsigned told; /* doubts that were said loudly once */
    warnings warnings;
    bool random_weights;
    char *pictures; /* a folder, or NULL */
    sheet sheet;
    size_t inspected, anomalous, failed;
    bool stdout_failed;
} station;

/* Loads the detector, settles what is asked for, and says what makes its verdicts doubtful. Returns
 * 0 or SOME_FAILED with the reason printed. */
int station_open(station *s, const command *c);
void station_close(station *s);

/* Inspects a file and writes its line, whatever it is. `image` may be NULL: it is then read. false
 * where nothing more can be written. */
bool station_inspect(station *s, const char *path, const imiad_image *image);
/* As images were read that it learned from. */
imiad_status station_read(const station *s, imiad_image **out, const char *path);
/* The line of an image that could not be inspected. */
bool station_fail(station *s, const char *path, const char *problem);

/* Of what was inspected until now. */
int station_status(const station *s);

/* Signals that ask to stop: they wait until an image is done. Blocked before any thread starts. */
void station_block_signals(void);
bool station_stop_asked(void);

#endif
