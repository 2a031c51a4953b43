/* A table of the paper filled with what a store holds and with what was published. */
#ifndef REPORT_GRID_H
#define REPORT_GRID_H

#include "report/gather.h"
#include "report/paper_tables.h"

/* Of two numbers that round to the same three decimals neither is better. */
typedef enum grid_rank { RANK_NONE = 0, RANK_BEST = 1, RANK_SECOND = 2 } grid_rank;

typedef struct grid_cell {
    table_key key; /* what both axes say; nothing is NULL but own_setting and neighbours */
    char value[96];

    /* Ours: NAN where the store has none. */
    const report_configuration *configuration; /* NULL for a mean of settings */
    const report_value *found;                 /* likewise */
    const char *category;
    double mean, deviation, forgotten;
    grid_rank rank;
    const char *note; /* what there is to know of it; "" */

    /* What was published: NAN where nothing was. */
    double published, published_forgotten;
    const char *source;
    grid_rank published_rank;
    imiad_mark mark;
    const char *reason; /* "" */

    double difference; /* NAN where it would mean nothing */
} grid_cell;

typedef struct grid {
    const paper_table *table;
    size_t rows, columns;
    grid_cell *cells; /* row by row; the report's kept memory */
    size_t ours, all_published;
} grid;

imiad_status grid_fill(grid *out, report_data *data, const paper_table *table);

/* Ours for a key whose method may be a detector's name, chosen as in a table; NULL for none. */
const report_value *grid_find(const report_data *data, const table_key *key);

grid_cell *grid_at(const grid *g, size_t row, size_t column);
/* The entries of both axes that a line or column is of; NULL where the axis has none. */
void grid_row_entries(const grid *g, size_t row, const table_entry *out[2]);
void grid_column_entries(const grid *g, size_t column, const table_entry *out[2]);

#endif
