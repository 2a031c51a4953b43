/* What the library warns of, on standard error. */
#ifndef EXAMPLES_WARNINGS_SHOWN_H
#define EXAMPLES_WARNINGS_SHOWN_H

/* From now on each warning of the library is shown once, however often an image or a dataset is
 * read again. Call it before anything else of the library. */
void show_warnings(void);

#endif
