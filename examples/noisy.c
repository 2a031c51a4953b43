/* The noisy setting of IM-IAD: defective images hide among the normal ones that train. */
#include "grid.h"

#include <stddef.h>

int main(int argc, char **argv)
{
    static const char *const published[] = {"0.05", "0.1", "0.15", "0.2", NULL};
    static const grid_setting setting = {
        .setting = "noisy",
        .option = "ratio",
        .argument = "R",
        .help = "defective images per normal one, repeatable (default: 0.05, 0.1, 0.15, 0.2)",
        .published = published,
        .about = "Fits a detector on each category's normal images and on defective ones that it "
                 "is told are normal.",
    };
    return grid_main(argc, argv, &setting);
}
