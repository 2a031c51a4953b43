/* The procedural dataset: painters of categories, drawn on demand. */
#ifndef DATA_SYNTHETIC_SYNTHETIC_H
#define DATA_SYNTHETIC_SYNTHETIC_H

#include "data/dataset.h"
#include "data/synthetic/paint.h"

/* What to paint. The scene stream alone decides what the undamaged picture looks like, so that the
 * same plan with kind NO_DEFECT paints its twin. Painters copy the streams and leave the plan. */
enum { NO_DEFECT = -1 };
typedef struct paint_plan {
    random_stream scene, defect;
    int kind; /* index into the painter's kinds */
} paint_plan;

typedef struct painter {
    const char *category;
    const char *const *kinds; /* ends in NULL */
    void (*paint)(canvas *c, const paint_plan *plan);
} painter;

extern const painter fabric_painter, fuse_box_painter, hex_nut_painter, circuit_painter;

/* The picture of a defective sample as it was before the damage. */
imiad_status synthetic_read_twin(imiad_image **out, const imiad_dataset *dataset, size_t index);

#endif
