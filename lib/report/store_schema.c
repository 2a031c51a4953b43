/* The statements that make a result store. New metrics are new rows of `measurements`; a change of
 * columns is a new version. A store is known by these texts, so they never change. */
#include <string.h>

#include "report/store.h"

/* What tells a cell: the columns of a finished one and of a failed one. */
#define CELL_DECLARED                                                                              \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  run TEXT NOT NULL,"                                                                         \
    "  family TEXT NOT NULL,"                                                                      \
    "  category TEXT NOT NULL,"                                                                    \
    "  setting TEXT NOT NULL,"                                                                     \
    "  value TEXT NOT NULL,"                                                                       \
    "  dataset TEXT NOT NULL,"                                                                     \
    "  dataset_digest TEXT NOT NULL,"                                                              \
    "  detector TEXT NOT NULL,"                                                                    \
    "  backbone TEXT NOT NULL,"                                                                    \
    "  weights TEXT NOT NULL,"                                                                     \
    "  weights_digest TEXT NOT NULL,"                                                              \
    "  precision TEXT NOT NULL,"                                                                   \
    "  evaluation TEXT NOT NULL,"                                                                  \
    "  dataset_root TEXT NOT NULL,"                                                                \
    "  device TEXT NOT NULL,"                                                                      \
    "  machine TEXT NOT NULL,"                                                                     \
    "  command TEXT NOT NULL,"                                                                     \
    "  options TEXT NOT NULL,"                                                                     \
    "  dataset_options TEXT NOT NULL,"                                                             \
    "  facts TEXT NOT NULL,"                                                                       \
    "  seed INTEGER NOT NULL,"                                                                     \
    "  threads INTEGER NOT NULL,"                                                                  \
    "  library_version TEXT NOT NULL,"                                                             \
    "  torch_version TEXT NOT NULL,"                                                               \
    "  time TEXT NOT NULL,"

const store_statement store_statements[] = {
    {"cells", "CREATE TABLE cells (" CELL_DECLARED "  UNIQUE (run, category))"},
    {"cells_of_family", "CREATE INDEX cells_of_family ON cells (family)"},
    {"measurements", "CREATE TABLE measurements ("
                     "  cell INTEGER NOT NULL REFERENCES cells (id) ON DELETE CASCADE,"
                     "  name TEXT NOT NULL,"
                     "  number REAL,"
                     "  PRIMARY KEY (cell, name)) WITHOUT ROWID"},
    {"results",
     "CREATE VIEW results AS"
     "  SELECT setting, value, dataset, category, detector, backbone, precision, evaluation, seed, "
     " "
     "  name, number, options, weights, device, machine, threads, library_version, torch_version,  "
     "  time, family, cells.id AS cell"
     "  FROM cells JOIN measurements ON measurements.cell = cells.id"},
};
const size_t store_statement_count = sizeof store_statements / sizeof *store_statements;

const store_addition store_failures = {{"failures", "CREATE TABLE failures (" CELL_DECLARED
                                                    "  message TEXT NOT NULL DEFAULT '',"
                                                    "  UNIQUE (run, category))"},
                                       2};
const store_addition store_evidence = {
    {"evidence", "CREATE TABLE evidence ("
                 "  cell INTEGER NOT NULL REFERENCES cells (id) ON DELETE CASCADE,"
                 "  name TEXT NOT NULL,"
                 "  text TEXT NOT NULL,"
                 "  PRIMARY KEY (cell, name))"},
    3};

bool store_knows(bool *addition, const char *name, const char *text)
{
    const store_statement *const additions[] = {&store_failures.statement,
                                                &store_evidence.statement};
    *addition = true;
    for (size_t i = 0; i < sizeof additions / sizeof *additions; ++i)
        if (strcmp(additions[i]->name, name) == 0)
            return strcmp(additions[i]->text, text) == 0;
    *addition = false;
    for (size_t i = 0; i < store_statement_count; ++i)
        if (strcmp(store_statements[i].name, name) == 0)
            return strcmp(store_statements[i].text, text) == 0;
    return false;
}
