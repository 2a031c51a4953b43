/* Position codes of a transformer for another grid than they were trained on. */
#ifndef NN_FAMILIES_POSITION_CODES_H
#define NN_FAMILIES_POSITION_CODES_H

#include "bridge/tensor.h"

/* As the sources do it. All are separable. */
typedef enum position_rule {
    POSITIONS_ANTIALIASED, /* timm, DINOv2 with registers: bicubic, as Pillow */
    POSITIONS_OFFSET,      /* DINOv2 without: bicubic, by the factor of a side longer by 0.1 */
    POSITIONS_CORNERS,     /* torchvision: bicubic, the corners stay where they are */
    POSITIONS_LINEAR       /* Google: linear, the corners stay where they are */
} position_rule;

/* Which of the settings of a transformer's first node is the rule. */
enum { POSITION_RULE_SETTING = 4 };

/* The codes, 1 x (side x side) x channels, for height x width positions: 1 x that many x channels.
 * In the codes' type; the same tensor where the grid is the same. */
tensor *position_codes_resize(tensor *codes, int64_t height, int64_t width, position_rule rule);

#endif
