/* Fits PatchCore on a product line that the library draws, measures it, and leaves a heat map of
 * the worst image. The network's weights are random unless a file is given.
 *
 *     example HEATMAP.png [WEIGHTS.pth] */
#include <imiad/imiad.hpp>

#include <iostream>

static void run(const std::string &heatmap, const std::string &weights)
{
    imiad::dataset data("synthetic", "", {{"size", 64}, {"train", 8}, {"test_good", 5}});
    imiad::split split(data, "hex_nut");
    imiad::backbone backbone("resnet18", weights);
    imiad::detector detector("patchcore", backbone, {{"resize", 64}, {"crop", 64}});
    detector.fit(split);

    imiad::metrics metrics;
    std::size_t worst = 0;
    float highest = 0;
    imiad::evaluate(metrics, detector, split, [&](const imiad_scored &one) {
        if (one.score > highest) {
            highest = one.score;
            worst = one.sample;
        }
    });
    std::cout << "image AUROC " << metrics.image_auroc() << ", AUPRO " << metrics.aupro() << "\n"
              << data.sample(worst).path << " is the worst, with " << highest << "\n";

    imiad::image image = data.read_image(worst);
    imiad::result result = detector.score(image);
    imiad::write_png(
        imiad::draw_heatmap(detector.preprocess(image), result.map, result.width, result.height),
        heatmap);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " HEATMAP.png [WEIGHTS.pth]\n";
        return 2;
    }
    try {
        run(argv[1], argc > 2 ? argv[2] : "");
    } catch (const imiad::error &problem) {
        std::cerr << problem.status_name() << ": " << problem.what() << "\n";
        return 1;
    }
    return 0;
}
