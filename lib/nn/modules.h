/* The layers from which papers build networks. Each has an "add", which puts its parameters into a
 * store under the names of PyTorch's state dict and returns handles of them, and a "run".
 *
 *     const builder b = {.store = store, .seed = 66, .purpose = "vae/"};
 *     linear encode = linear_add(&b, "fc1", 784, 400, true); // fc1.weight, fc1.bias
 *     tensor *h = activate(linear_run(&encode, x), RELU);
 *
 * A network that is trained runs in a scope that records gradients. A frozen one is added with
 * purpose NULL, filled by params_load, folded (batch norms into the layers before them) and moved
 * by params_to; it runs by the same functions.
 *
 * The handles are the store's, which must outlive them; there is nothing to free. Every function
 * needs an open scope; failures stick. What a run returns belongs to that scope. Images are
 * n x channels x height x width, tokens n x tokens x channels. */
#ifndef NN_MODULES_H
#define NN_MODULES_H

#include "nn/builder.h"

/* ---- activations ---- */

typedef enum activation {
    NO_ACTIVATION,
    RELU,
    RELU6,
    LEAKY_RELU,    /* slope 0.01, PyTorch's */
    LEAKY_RELU_02, /* slope 0.2 */
    ELU,
    GELU, /* with the error function */
    SILU,
    HARD_SWISH,
    HARD_SIGMOID,
    SIGMOID,
    TANH,
    SOFTPLUS
} activation;

tensor *activate(tensor *x, activation kind);
/* The same, and x may be overwritten: for what nothing else holds. */
tensor *activate_(tensor *x, activation kind);

/* ---- linear layers and convolutions ---- */

typedef struct linear {
    tensor *weight, *bias; /* outputs x inputs; outputs, or NULL */
} linear;

linear linear_add(const builder *b, const char *name, int64_t inputs, int64_t outputs, bool biased);
tensor *linear_run(const linear *l, tensor *x); /* along the last dimension */
/* One layer for b after a, in double and rounded once; new tensors of the scope. */
linear linear_compose(const linear *a, const linear *b);

/* TensorFlow's padding: the output's side is the input's over the stride, rounded up, and an odd
 * row or column of zeros is below or on the right. */
enum { PADDING_SAME = -1 };

typedef struct conv2d_spec {
    int64_t inputs, outputs;
    int kernel;
    int stride, dilation, groups; /* 0 stands for 1 */
    int padding;                  /* zeros on every side, or PADDING_SAME */
    bool bias;
    bool transposed;    /* no dilation, no PADDING_SAME */
    int output_padding; /* of a transposed one */
    bool turned;        /* conv2d_turn was here */
} conv2d_spec;

typedef struct conv2d {
    tensor *weight, *bias; /* channels-last in memory; bias NULL where there is none */
    conv2d_spec spec;
} conv2d;

conv2d conv2d_add(const builder *b, const char *name, conv2d_spec spec);
tensor *conv2d_run(const conv2d *c, tensor *x);

/* ---- normalisations ---- */

/* Of 1d and 2d: n x channels, or n x channels x any. Momentum 0.1 and eps 1e-5 until changed. */
typedef struct batch_norm {
    tensor *weight, *bias, *mean, *variance; /* all NULL once it is folded: the identity */
    double momentum, eps;
    bool frozen; /* running statistics in training too, and they stay */
} batch_norm;

batch_norm batch_norm_add(const builder *b, const char *name, int64_t channels);
/* Training takes the batch's statistics and moves the running ones. */
tensor *batch_norm_run(const batch_norm *n, tensor *x, bool training);

/* Batch norm by its running statistics into the layer before it, in double and rounded once. The
 * layer's parameters keep their names, a bias is added where it has none, the norm's leave the
 * store. Before params_to gives the store another type; optimisers made earlier must be gone. */
void conv2d_fold(conv2d *c, batch_norm *n, params *store);
void linear_fold(linear *l, batch_norm *n, params *store);
/* Turns a transposed convolution's kernel around, which no run then does again: for what learns no
 * more, after conv2d_fold. Only those whose kernel is a multiple of the stride, of floats on the
 * host; others stay as they are. Its parameter keeps its name, not its shape. */
void conv2d_turn(conv2d *c);

typedef struct layer_norm {
    tensor *weight, *bias;
    int dims; /* the last ones are normalised together */
    double eps;
} layer_norm;

/* Over the last `rank` dimensions, of that shape; eps 1e-5 until changed. */
layer_norm layer_norm_add(const builder *b, const char *name, int rank, const int64_t *shape);
tensor *layer_norm_run(const layer_norm *n, tensor *x);

typedef struct group_norm {
    tensor *weight, *bias; /* NULL where it has none */
    int groups;            /* 0: every channel is one: instance norm */
    double eps;
} group_norm;

group_norm group_norm_add(const builder *b, const char *name, int groups, int64_t channels);
/* Without running statistics, as PyTorch's; `affine` false has no parameters. */
group_norm instance_norm_add(const builder *b, const char *name, int64_t channels, bool affine);
tensor *group_norm_run(const group_norm *n, tensor *x);

/* ---- a convolution, its batch norm and what follows ---- */

typedef struct conv_block {
    conv2d conv;
    batch_norm norm;
    activation activation;
} conv_block;

/* `norm` NULL: there is none. */
conv_block conv_block_add(const builder *b, const char *conv, const char *norm, conv2d_spec spec,
                          activation kind);
tensor *conv_block_run(const conv_block *c, tensor *x, bool training);
void conv_block_fold(conv_block *c, params *store);

/* ---- tokens ---- */

typedef struct embedding {
    tensor *weight; /* entries x channels, from N(0, 1) */
} embedding;

embedding embedding_add(const builder *b, const char *name, int64_t entries, int64_t channels);
tensor *embedding_run(const embedding *e, tensor *index); /* I64 of any shape; channels last */

/* in_proj_weight and out_proj, as torch.nn.MultiheadAttention; or qkv and proj, as timm. */
typedef enum attention_names { ATTENTION_PYTORCH, ATTENTION_TIMM } attention_names;

typedef struct attention {
    linear in, out; /* in: queries, keys and values, one below the other */
    int heads;
    double dropout; /* of the weights of attention, in training; 0 until changed */
} attention;

attention attention_add(const builder *b, const char *name, int64_t channels, int heads,
                        attention_names names);
/* n x queries x channels; keys and values n x keys x channels. The mask is added to the products,
 * queries x keys or n x heads x queries x keys: minus infinity hides a key; NULL: none. */
tensor *attention_run(const attention *a, tensor *query, tensor *key, tensor *value, tensor *mask,
                      bool training);

/* ---- several layers in a row ---- */

enum { MLP_LAYERS = 8, SEQUENTIAL_MODULES = 64 };

typedef struct mlp {
    linear layers[MLP_LAYERS];
    int count;
    activation activation; /* between the layers */
} mlp;

/* widths[0] inputs to widths[count] outputs. names: of the layers; NULL: "0", "2", "4", as a
 * Sequential of layers and activations has them. */
mlp mlp_add(const builder *b, const char *name, int count, const int64_t *widths, activation kind,
            const char *const *names);
tensor *mlp_run(const mlp *m, tensor *x);

/* ---- a block of a Swin transformer ---- */

typedef struct swin_spec {
    int64_t channels;
    int heads;
    int64_t window, shift; /* places a side that look at each other; by how many they are shifted */
    double path_dropout;   /* how often a branch is left out for an input, in training */
} swin_spec;

typedef struct swin_block {
    swin_spec spec;
    layer_norm norm1, norm2;
    attention attention;
    tensor *offsets; /* (2 window - 1)^2 x heads: what the distance of two places adds */
    mlp mlp;
} swin_block;

swin_block swin_block_add(const builder *b, const char *name, const swin_spec *spec);
/* Tokens of a grid whose sides are multiples of the window: n x (height width) x channels. */
tensor *swin_block_run(const swin_block *s, tensor *x, int64_t height, int64_t width,
                       bool training);

typedef enum module_kind {
    MODULE_CONV2D = 1,
    MODULE_LINEAR,
    MODULE_BATCH_NORM,
    MODULE_GROUP_NORM,
    MODULE_INSTANCE_NORM,
    MODULE_ACTIVATION,
    MODULE_MAX_POOL,
    MODULE_AVG_POOL, /* what lies beyond the border counts, as in PyTorch */
    MODULE_UPSAMPLE, /* nearest */
    MODULE_DROPOUT,
    MODULE_FLATTEN /* all but the first dimension */
} module_kind;

/* A row of a table of layers. Channels come from the layer before. */
typedef struct layer_spec {
    module_kind kind;
    conv2d_spec conv; /* inputs 0: those that come; outputs and bias of a linear layer too */
    int kernel, stride, padding; /* of a pool */
    int factor;                  /* of upsampling; groups of group norm */
    double rate;                 /* of dropout */
    bool affine;                 /* instance norm */
    activation activation;
} layer_spec;

typedef struct module {
    layer_spec spec;
    union {
        conv2d conv;
        linear linear;
        batch_norm batch_norm;
        group_norm group_norm;
    };
} module;

typedef struct sequential {
    module modules[SEQUENTIAL_MODULES];
    int count;
    int64_t channels; /* of its output, as far as the table tells: before MODULE_FLATTEN */
} sequential;

/* Named "0", "1", ... by their places, as torch.nn.Sequential names them. */
sequential sequential_add(const builder *b, const char *name, const layer_spec *layers, int count,
                          int64_t inputs);
tensor *sequential_run(const sequential *s, tensor *x, bool training);
/* The modules from `first` up to and without `end`. */
tensor *sequential_part(const sequential *s, int first, int end, tensor *x, bool training);
/* Every batch norm that stands right behind a convolution or a linear layer. */
void sequential_fold(sequential *s, params *store);

#endif
