/* Pairs of categories: a detector learns one, then another from a few images on top. */
#ifndef EXAMPLES_PAIR_H
#define EXAMPLES_PAIR_H

/* The whole program: reads the command line, runs what is not in the store yet, prints and records.
 */
int pair_main(int argc, char **argv);

#endif
