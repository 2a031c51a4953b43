/* Memory banks: features of normal images, thinned by a coreset, searched exactly. */
#ifndef IMIAD_BANK_H
#define IMIAD_BANK_H

#include "imiad/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A fixed number of columns, a growing number of rows, each of them with the number of the image it
 * came from where the caller gives one. Searching does not change a bank: any number of threads may
 * search one; whatever changes it needs it alone. */
typedef struct imiad_bank imiad_bank;

/* How rows are stored. The narrow kinds halve the memory: a row is rounded when it is added, to the
 * nearest, ties to the even number, and what is stored is then what the bank means: selections and
 * searches are those of the stored numbers, in float32 arithmetic, and as exact as with float32. */
typedef enum imiad_storage {
    IMIAD_STORAGE_FLOAT32 = 1,
    IMIAD_STORAGE_BFLOAT16 = 2, /* 8 significant bits, the range of float32 */
    IMIAD_STORAGE_FLOAT16 = 3   /* 11 significant bits, up to 65504 */
} imiad_storage;

/* A row of no image in particular. */
#define IMIAD_NO_SOURCE INT64_MIN

/* An empty bank of `dimension` columns of float32. budget_bytes bounds what the bank, the choice of
 * a coreset and what speeds up searching may take together; 0 means no bound. */
IMIAD_API imiad_status imiad_bank_create(imiad_bank **out, int64_t dimension,
                                         uint64_t budget_bytes);
/* The same with a storage. */
IMIAD_API imiad_status imiad_bank_create_stored(imiad_bank **out, int64_t dimension,
                                                imiad_storage storage, uint64_t budget_bytes);
IMIAD_API void imiad_bank_free(imiad_bank *bank);

IMIAD_API int64_t imiad_bank_rows(const imiad_bank *bank);
IMIAD_API int64_t imiad_bank_dimension(const imiad_bank *bank);
IMIAD_API imiad_storage imiad_bank_storage(const imiad_bank *bank);
/* Row-major rows x dimension floats, borrowed until the bank changes. NULL where rows are not
 * stored as float32: imiad_bank_read reads any bank. */
IMIAD_API const float *imiad_bank_data(const imiad_bank *bank);
/* `count` rows from row `first` on, as float32, count x dimension. Errors: IMIAD_OUT_OF_RANGE. */
IMIAD_API imiad_status imiad_bank_read(float *out, const imiad_bank *bank, int64_t first,
                                       int64_t count);
/* The source of each row, borrowed until the bank changes; NULL where no row has one. */
IMIAD_API const int64_t *imiad_bank_sources(const imiad_bank *bank);

/* SHA-256, in lower-case hexadecimal, of what the bank means, wherever and whenever it was made:
 * the bytes "imiad bank\n"; then as little-endian int64 the number of imiad_storage, the dimension,
 * the number of rows, and 1 where a row has a source, else 0; then the rows as they are stored, and
 * in the case of 1 the sources. */
IMIAD_API imiad_status imiad_bank_digest(char out[65], const imiad_bank *bank);

/* Appends rows (row-major, copied), from no source or from one for each row. Sources take 8 bytes a
 * row once one is known. Errors: IMIAD_OVER_BUDGET naming both numbers, IMIAD_NOT_FINITE,
 * IMIAD_OUT_OF_RANGE where a number is too large for the storage: then nothing was added. */
IMIAD_API imiad_status imiad_bank_add(imiad_bank *bank, const float *rows, int64_t count);
IMIAD_API imiad_status imiad_bank_add_from(imiad_bank *bank, const float *rows, int64_t count,
                                           const int64_t *sources);
/* Appends the rows of another bank of the same dimension, which may be itself, with their sources.
 * They are rounded to the storage of the bank that takes them. Errors: those of adding, and
 * IMIAD_MISMATCH. */
IMIAD_API imiad_status imiad_bank_merge(imiad_bank *bank, const imiad_bank *other);
/* Removes the rows of a source, IMIAD_NO_SOURCE among them; the others keep their order. removed:
 * how many went, 0 where there was none; may be NULL. */
IMIAD_API imiad_status imiad_bank_forget(imiad_bank *bank, int64_t source, int64_t *removed);
/* Another budget, 0 for none. IMIAD_OVER_BUDGET where the rows alone take more. */
IMIAD_API imiad_status imiad_bank_set_budget(imiad_bank *bank, uint64_t budget_bytes);

typedef enum imiad_coreset_method {
    IMIAD_CORESET_GREEDY = 0, /* k-center */
    IMIAD_CORESET_RANDOM = 1  /* every set of rows is as likely; picks are in rising order */
} imiad_coreset_method;

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
    imiad_coreset_method method;
    int64_t rows; /* to keep, instead of the ratio; 0: the ratio says it */
} imiad_coreset_options;
#define IMIAD_CORESET_OPTIONS_INIT                                                                 \
    {                                                                                              \
        sizeof(imiad_coreset_options), 0.1, 0, 128, 10, 0, 0, 0, IMIAD_CORESET_GREEDY, 0           \
    }

/* Greedy k-center selection as in PatchCore's official code: picks, in order, into `out`, which
 * holds imiad_coreset_size(rows, ratio) indices, or options->rows. The bank is not changed. The
 * same bank, options and seed give the same picks on every CPU and with any number of threads.
 * Errors: IMIAD_OUT_OF_RANGE, also where the ratio keeps no row; IMIAD_OVER_BUDGET;
 * IMIAD_CANCELLED, with `out` untouched. */
IMIAD_API int64_t imiad_coreset_size(int64_t rows, double ratio);
IMIAD_API imiad_status imiad_bank_select(int64_t *out, const imiad_bank *bank,
                                         const imiad_coreset_options *options,
                                         imiad_progress_function progress, void *user);
/* Keeps only the given rows, in the given order. Old and new rows stand side by side for a moment:
 * the budget must have room for both. */
IMIAD_API imiad_status imiad_bank_keep(imiad_bank *bank, const int64_t *rows, int64_t count);

/* What a bank is to become. */
typedef struct imiad_recompression {
    uint32_t struct_size;
    imiad_storage storage;         /* 0: as it is */
    uint64_t bytes;                /* rows and sources may take at most, 0: no bound */
    int64_t rows;                  /* at most, 0: no bound */
    imiad_coreset_options coreset; /* how rows are chosen; its ratio and rows are not looked at */
} imiad_recompression;
#define IMIAD_RECOMPRESSION_INIT                                                                   \
    {                                                                                              \
        sizeof(imiad_recompression), (imiad_storage)0, 0, 0, IMIAD_CORESET_OPTIONS_INIT            \
    }

/* Thins a bank to as many rows as both bounds allow, chosen as imiad_bank_select chooses, in the
 * order of its picks, and then rounds them to the storage; a bank that fits keeps all its rows in
 * their order. Old and new rows stand side by side for a moment. Errors: those of selecting,
 * IMIAD_OUT_OF_RANGE where no row fits or a number is too large for the storage, IMIAD_OVER_BUDGET;
 * the bank is then as it was. */
IMIAD_API imiad_status imiad_bank_recompress(imiad_bank *bank, const imiad_recompression *to,
                                             imiad_progress_function progress, void *user);

/* What a bank will take, in bytes. The refusals of the functions above compare these numbers. */
typedef struct imiad_bank_needs {
    uint32_t struct_size;
    uint64_t bank;      /* all rows and their sources */
    uint64_t selection; /* beside them, while a coreset is chosen */
    uint64_t coreset;   /* what is kept, for a moment beside all rows */
    uint64_t index;     /* beside the coreset, while it is searched; 0 where none would be made */
    uint64_t peak;      /* of bank + selection, bank + coreset, coreset + index: the budget that
                         * all this needs to run at full speed */
} imiad_bank_needs;
#define IMIAD_BANK_NEEDS_INIT                                                                      \
    {                                                                                              \
        sizeof(imiad_bank_needs), 0, 0, 0, 0, 0                                                    \
    }
/* Before any row is there. sources: whether rows have one. coreset: NULL where all are kept. */
IMIAD_API imiad_status imiad_bank_estimate(imiad_bank_needs *out, int64_t rows, int64_t dimension,
                                           imiad_storage storage, int32_t sources,
                                           const imiad_coreset_options *coreset);

/* Rows that are never all in memory, and a bank of bounded size from them, whatever their number:
 * every block_rows of them are thinned to kept_rows, two thinned blocks are joined and thinned
 * again, two of these in turn, as a binary counter carries, so that memory grows with the logarithm
 * of the number of rows. Each thinning is greedy and begins with the row farthest from the mean;
 * nothing is drawn. The bank covers the rows less well than a coreset chosen from all of them at
 * once: docs/performance.md says by how much. A stream is for one thread at a time. Merge and
 * reduce: Har-Peled and Mazumdar, STOC 2004; for memory banks: Ferrari et al., arXiv 2605.27748. */
typedef struct imiad_bank_stream imiad_bank_stream;

typedef struct imiad_bank_stream_options {
    uint32_t struct_size;
    imiad_storage storage; /* of the banks that come out; rows are float32 until then */
    int64_t rows;          /* that such a bank has at most */
    int64_t block_rows;    /* that are gathered before they are thinned */
    int64_t kept_rows;     /* that are left of a block and of two joined ones; 0: as `rows` */
    uint64_t
        budget_bytes; /* that everything may take together, a bank that comes out too; 0: any */
} imiad_bank_stream_options;
#define IMIAD_BANK_STREAM_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(imiad_bank_stream_options), IMIAD_STORAGE_FLOAT32, 10000, 16384, 0, 0               \
    }

/* An empty stream of rows of `dimension` columns. options: NULL for the defaults. Errors:
 * IMIAD_OUT_OF_RANGE naming the number. */
IMIAD_API imiad_status imiad_bank_stream_create(imiad_bank_stream **out, int64_t dimension,
                                                const imiad_bank_stream_options *options);
IMIAD_API void imiad_bank_stream_free(imiad_bank_stream *stream);
/* Most bytes that a stream of so many rows takes, with a bank that is made from it. */
IMIAD_API imiad_status imiad_bank_stream_estimate(uint64_t *bytes, int64_t rows, int64_t dimension,
                                                  const imiad_bank_stream_options *options);
/* Adds rows (row-major, copied); sources: one for each of them, or NULL. How rows are spread over
 * calls makes no difference. A call thins each block that it fills. Errors: IMIAD_NOT_FINITE and
 * IMIAD_OVER_BUDGET, and then nothing was added; IMIAD_NO_MEMORY: rows may be lost, and where they
 * are the stream gives this error from then on. */
IMIAD_API imiad_status imiad_bank_stream_add(imiad_bank_stream *stream, const float *rows,
                                             int64_t count, const int64_t *sources);
/* How many rows were added so far. */
IMIAD_API int64_t imiad_bank_stream_rows(const imiad_bank_stream *stream);
/* A new bank, without a budget, of what was added so far: all rows in their order where there are
 * at most options.rows and no block was thinned, else chosen ones in the order of their picks. The
 * stream goes on as if nothing had happened. Errors: those of imiad_bank_add. */
IMIAD_API imiad_status imiad_bank_stream_bank(imiad_bank **out, const imiad_bank_stream *stream);

/* The k nearest rows of each of `count` queries (row-major): squared Euclidean distances ascending,
 * ties by lower row; both outputs are count x k, indices may be NULL. Exact: distances are sums of
 * squared float32 differences, to the last bit the same for any batch, CPU and number of threads.
 * The first search of many queries makes an index beside the rows: one byte for each of their
 * numbers, as if columns were a multiple of 64, and 88 for each row; where the budget lacks room
 * for it, searches are slower.
 * Errors: IMIAD_OUT_OF_RANGE where k is below 1 or above the number of rows. */
IMIAD_API imiad_status imiad_bank_search(float *distances, int64_t *indices, const imiad_bank *bank,
                                         const float *queries, int64_t count, int32_t k);
/* The same, reporting the stage "search" in queries. After IMIAD_CANCELLED the outputs hold the
 * results of the queries that were done, and nothing of use for the others. */
IMIAD_API imiad_status imiad_bank_search_reporting(float *distances, int64_t *indices,
                                                   const imiad_bank *bank, const float *queries,
                                                   int64_t count, int32_t k,
                                                   imiad_progress_function progress, void *user);

/* The same, to the last bit, with the products of all pairs made on a device, "cpu", "cuda" or
 * "cuda:1" (NULL: "cpu"): they make a shortlist, the distances of which are measured here; where a
 * bound on the device's rounding does not prove that the shortlist holds the nearest rows, the
 * query is searched as above. The first search puts a copy of the rows on the device, float32,
 * beside whatever the budget bounds; it stays there until the bank changes. Calls on one bank take
 * turns. Errors: also IMIAD_UNSUPPORTED (no such device here), IMIAD_NO_MEMORY (the device's, too).
 */
IMIAD_API imiad_status imiad_bank_search_on(float *distances, int64_t *indices,
                                            const imiad_bank *bank, const char *device,
                                            const float *queries, int64_t count, int32_t k);

/* One file, safetensors with a checksum: docs/formats.md. Loading executes nothing and refuses
 * damaged files. A loaded bank has no budget. */
IMIAD_API imiad_status imiad_bank_save(const imiad_bank *bank, const char *path);
IMIAD_API imiad_status imiad_bank_load(imiad_bank **out, const char *path);
/* A bank whose rows stay in the mapped file: processes that map one file share its memory, and only
 * what is read is brought in. verify 1 reads the file once, as loading does: it checks the checksum
 * and that all numbers are finite. verify 0 looks at the header alone, in a time that does not
 * depend on the size; damage to the rows then goes unseen and gives wrong distances, never more. A
 * change to the bank copies its rows into memory first and lets the file go; keeping, forgetting
 * and recompressing copy what stays. Do not overwrite the file in place while the bank lives;
 * replacing it, as imiad_bank_save does, is fine. */
IMIAD_API imiad_status imiad_bank_map(imiad_bank **out, const char *path, int32_t verify);

#ifdef __cplusplus
}
#endif
#endif
