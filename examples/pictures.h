/* Heat maps of a category's test images, on one scale. */
#ifndef EXAMPLES_PICTURES_H
#define EXAMPLES_PICTURES_H

#include <imiad/imiad.h>

typedef struct pictures pictures;

/* Pictures go below `folder`; NULL when memory runs out. */
pictures *pictures_open(const char *folder);
/* Keeps what a picture needs until the scale is known. */
imiad_status pictures_add(pictures *p, const imiad_scored *scored);
/* Draws what was added since the last call as FOLDER/NAME/KIND_NAME.png. */
imiad_status pictures_draw(pictures *p, const char *name);
void pictures_close(pictures *p);

#endif
