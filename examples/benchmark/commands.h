/* What `benchmark COMMAND` runs; each takes argv from the command's name on and returns what main
 * returns. */
#ifndef BENCHMARK_COMMANDS_H
#define BENCHMARK_COMMANDS_H

int estimate_main(int argc, char **argv);
int list_main(int argc, char **argv);
int run_main(int argc, char **argv);
int slurm_main(int argc, char **argv);
int status_main(int argc, char **argv);
int merge_main(int argc, char **argv);
int report_main(int argc, char **argv);
int table_main(int argc, char **argv);
int work_main(int argc, char **argv);
int start_main(int argc, char **argv);

#endif
