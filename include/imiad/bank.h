/* Memory banks: features of normal images, thinned by a coreset, searched exactly. */
#ifndef IMIAD_BANK_H
#define IMIAD_BANK_H

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A fixed number of float32 columns, a growing number of rows. Searching does not change it: any
 * number of threads may search one bank; adding and thinning need it alone. */
typedef struct imiad_bank imiad_bank;

/* An empty bank of `dimension` columns. budget_bytes bounds what the bank, the choice of a coreset
 * and what speeds up searching may take together; 0 means no bound. */
IMIAD_API imiad_status imiad_bank_create(imiad_bank **out, int64_t dimension,
                                         uint64_t budget_bytes);
IMIAD_API void imiad_bank_free(imiad_bank *bank);

IMIAD_API int64_t imiad_bank_rows(const imiad_bank *bank);
IMIAD_API int64_t imiad_bank_dimension(const imiad_bank *bank);
/* Row-major rows x dimension floats, borrowed until the bank changes. */
IMIAD_API const float *imiad_bank_data(const imiad_bank *bank);

/* Appends rows (row-major, copied). Errors: IMIAD_OVER_BUDGET naming both numbers,
 * IMIAD_NOT_FINITE. */
IMIAD_API imiad_status imiad_bank_add(imiad_bank *bank, const float *rows, int64_t count);

typedef struct imiad_coreset_options {
    uint32_t struct_size;
    double ratio;       /* of the rows to keep, in (0, 1]; 1 keeps all: floor(ratio * rows) */
    int32_t exact;      /* 1: textbook distances from every row; 0: from `starts` random rows */
    int32_t projection; /* columns of the random projection that distances use; 0: none */
    int32_t starts;     /* rows whose mean distance begins the selection; 10 in the paper's code */
    uint64_t seed;      /* draws the projection and the starts */
    const float
        *projection_matrix;    /* projection x dimension floats instead of drawn ones, or NULL */
    const int64_t *start_rows; /* `starts` row indices instead of drawn ones, or NULL */
} imiad_coreset_options;
#define IMIAD_CORESET_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(imiad_coreset_options), 0.1, 0, 128, 10, 0, 0, 0                                    \
    }

/* Greedy k-center selection as in PatchCore's official code: picks, in order, into `out`, which
 * holds imiad_coreset_size(rows, ratio) indices. The bank is not changed. The same bank, options
 * and seed give the same picks on every CPU and with any number of threads. Errors:
 * IMIAD_OUT_OF_RANGE, also where the ratio keeps no row; IMIAD_OVER_BUDGET; IMIAD_CANCELLED, with
 * `out` untouched. */
IMIAD_API int64_t imiad_coreset_size(int64_t rows, double ratio);
IMIAD_API imiad_status imiad_bank_select(int64_t *out, const imiad_bank *bank,
                                         const imiad_coreset_options *options,
                                         imiad_progress_function progress, void *user);
/* Keeps only the given rows, in the given order. Old and new rows stand side by side for a moment:
 * the budget must have room for both. */
IMIAD_API imiad_status imiad_bank_keep(imiad_bank *bank, const int64_t *rows, int64_t count);

/* The k nearest rows of each of `count` queries (row-major): squared Euclidean distances ascending,
 * ties by lower row; both outputs are count x k, indices may be NULL. Exact: distances are sums of
 * squared float32 differences, to the last bit the same for any batch, CPU and number of threads.
 * The first search of many queries makes an index beside the rows, a little more than one byte for
 * each of their numbers; where the budget lacks room for it, searches are slower.
 * Errors: IMIAD_OUT_OF_RANGE where k is below 1 or above the number of rows. */
IMIAD_API imiad_status imiad_bank_search(float *distances, int64_t *indices, const imiad_bank *bank,
                                         const float *queries, int64_t count, int32_t k);

/* One file, safetensors with a checksum. Loading executes nothing and refuses damaged files. */
IMIAD_API imiad_status imiad_bank_save(const imiad_bank *bank, const char *path);
IMIAD_API imiad_status imiad_bank_load(imiad_bank **out, const char *path);

#ifdef __cplusplus
}
#endif
#endif
