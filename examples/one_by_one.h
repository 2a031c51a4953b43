/* What a fitted detector costs, image by image. */
#ifndef EXAMPLES_ONE_BY_ONE_H
#define EXAMPLES_ONE_BY_ONE_H

/* The whole program: reads the command line, times what is not in the store yet, prints and
 * records. */
int one_by_one_main(int argc, char **argv);

#endif
