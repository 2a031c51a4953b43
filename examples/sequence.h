/* A sequence of tasks: one detector meets the categories one after another and is tested on every
 * task that it has met. */
#ifndef EXAMPLES_SEQUENCE_H
#define EXAMPLES_SEQUENCE_H

/* The whole program: reads the command line, goes on with what was left, prints and records. */
int sequence_main(int argc, char **argv);

#endif
