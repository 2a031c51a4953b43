#include <imiad/imiad.h>
#include <math.h>
#include <stdio.h>
/* two images of 2 x 2: a good one, and one whose first pixel is defective and scores highest */
enum { images = 2, width = 2, height = 2 };
static uint8_t truth[images][4] = {{0, 0, 0, 0}, {255, 0, 0, 0}};
static const float map[images][4] = {{0.1f, 0.2f, 0.1f, 0.3f}, {0.9f, 0.2f, 0.1f, 0.2f}};
static const double score[images] = {0.3, 0.9};
static const int label[images] = {0, 1};
int main(void)
{
    const imiad_image mask[images] = {
        {sizeof *mask, IMIAD_PIXEL_GRAY8, width, height, width, truth[0]},
        {sizeof *mask, IMIAD_PIXEL_GRAY8, width, height, width, truth[1]},
    };
@BLOCK@
    return auroc == 1 && fabs(aupro - 1) < 1e-12 ? 0 : 1;
}
