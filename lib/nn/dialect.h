/* The names under which other programs keep the weights of an architecture, and finding them in a
 * file. A dialect is a table of rules from this library's names (the source's that the architecture
 * was taken from) to the other's. */
#ifndef NN_DIALECT_H
#define NN_DIALECT_H

#include "bridge/tensor.h"
#include "weights/weights.h"

enum { LONGEST_NAME = 192 };

typedef enum rule_change {
    RULE_NAME_ONLY,
    RULE_RESHAPED,   /* the same numbers in the same order, in another shape */
    RULE_TRANSPOSED, /* inputs before outputs, each of one or several dimensions */
    RULE_HWIO        /* a convolution with its channels last */
} rule_change;

/* Ours is a whole name or its beginning up to a dot; the rest of the name stays. In both, # stands
 * for a number: theirs takes ours in turn, #-1 and #+1 one less and one more; @ is the block's
 * place among all blocks. A * in theirs stands for query, key and value in turn, whose tensors are
 * joined along the first dimension. The first rule that fits counts; a name that none fits stays
 * as it is. */
typedef struct name_rule {
    const char *ours, *theirs;
    rule_change change;
} name_rule;

struct node_chain;

typedef struct dialect {
    const char *name;                         /* "timm": for messages and saved files */
    const name_rule *rules;                   /* ends in a NULL; NULL: no other names */
    const float *mean, *std;                  /* of the input, by colour; NULL: ImageNet's */
    void (*adjust)(struct node_chain *chain); /* what else differs; NULL: nothing */
} dialect;

typedef struct weights_source {
    const weights *file;
    const char *prefix; /* before every name */
    const dialect *dialect;
} weights_source;

/* What the source calls one of this library's tensors; false where that is too long. `piece` is 0,
 * or counts the parts of a joined tensor. `rule` (may be NULL) is the rule that did it, or NULL. */
bool source_name(char out[LONGEST_NAME], const name_rule **rule, const weights_source *source,
                 const char *ours, int block, int piece);
/* The tensor, or the first part of a joined one; NULL, and `theirs` says what is not there. */
const weight *source_find(const weights_source *source, const char *ours, int block,
                          char theirs[LONGEST_NAME]);
/* That a tensor which is there has this shape. IMIAD_MISMATCH names it with both shapes. */
imiad_status source_check(const weights_source *source, const char *ours, int block, int rank,
                          const int64_t *shape);
/* A copy on the CPU in the file's own type, of that shape, into the innermost scope; failures
 * stick. One that is not finite is IMIAD_FORMAT. */
tensor *source_load(const weights_source *source, const char *ours, int block, int rank,
                    const int64_t *shape);

#endif
