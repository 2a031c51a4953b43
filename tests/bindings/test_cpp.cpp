/* imiad.hpp: ownership, exceptions, spans, options. Built as C++17 and as C++20, which has
 * std::span. */
#include "checks.hpp"

#include <clocale>
#include <fstream>
#include <numeric>
#include <thread>

static const imiad::options tiny = {
    {"size", 64}, {"train", 4}, {"test_good", 3}, {"test_defective", 4}};
static const imiad::options small = {{"resize", 64}, {"crop", 64}, {"coreset_ratio", 0.5}};

static void data(const std::string &folder)
{
    imiad::dataset drawn("synthetic", "", tiny);
    holds(drawn.categories().size() == 4 && drawn.size() == 44,
          "a dataset has categories and samples");
    imiad::split split(drawn, "hex_nut");
    holds(split.train().size() == 4 && split.test().size() == 7, "a split lists its samples");
    holds(drawn.sample(split.test().back()).label == 1, "samples say what they are");
    imiad::image image = drawn.read_image(split.test().back());
    imiad::image mask = drawn.read_mask(split.test().back());
    const auto row = mask.view().row(32);
    holds(image.width() == 64 && row.size() == 64, "images have rows");
    holds(std::accumulate(row.begin(), row.end(), 0) % 255 == 0, "a mask is 0 or 255");
    holds(imiad::resize(image, 32, 16).height() == 16, "images are resized");

    split.write(folder + "/selection");
    holds(imiad::split::read(drawn, folder + "/selection").test() == split.test(),
          "a selection file repeats a split");
    imiad::write_png(image, folder + "/image.png");
    imiad::image again = imiad::image::read(folder + "/image.png");
    holds(again.view().row(5)[17] == image.view().row(5)[17], "a PNG file keeps the pixels");

    imiad::image deep = imiad::image::create(IMIAD_PIXEL_GRAY16, 3, 1);
    deep.row(0)[4] = 1; /* the last pixel: 1 or 256 */
    imiad_decode_options whole = IMIAD_DECODE_OPTIONS_INIT;
    whole.deep = 1;
    imiad::write_png(deep, folder + "/deep.png");
    imiad::image kept = imiad::image::read(folder + "/deep.png", whole);
    holds(kept.view().channels() == 1 && kept.view().row(0).size() == 6, "two bytes a deep pixel");
    holds(kept.view().deep(2, 0) == deep.view().deep(2, 0), "a PNG file keeps 16 bits");
    holds(imiad::stretch(kept, 0, 256).view().deep(2, 0) >= 256, "a range is stretched");
    const unsigned char file[] = "P5 1 1 4095\n\x08";
    holds(imiad::image::decode(file, sizeof file, whole).view().deep(0, 0) == 32776,
          "files in memory are decoded");
    holds(drawn.read_deep_image(0).view().format() == IMIAD_PIXEL_RGB8, "eight bits stay eight");

    const float grey[] = {0, 0.5f, 1, 1};
    imiad_float_pixels pixels = IMIAD_FLOAT_PIXELS_INIT;
    pixels.width = pixels.height = 2;
    pixels.channels = 1;
    pixels.values = grey;
    pixels.row_stride = 2;
    pixels.pixel_stride = 1;
    holds(imiad::image::from_floats(pixels).view().row(0)[1] == 128, "floats become bytes");
    imiad::split own = [] {
        imiad::dataset gone("synthetic", "", tiny);
        return imiad::split(gone, "fabric");
    }();
    holds(own.test().size() == 7, "a split keeps its dataset alive");
}

static void options()
{
    holds(imiad::option("a", 0.1).value == "0.10000000000000001", "a double is written in full");
    holds(imiad::option("a", 7).value == "7" && imiad::option("a", true).value == "true" &&
              imiad::option("a", "b").value == "b",
          "options of every type");
    holds(thrown([] {
              imiad::dataset("synthetic", "", {{"size", 1}});
          }) == IMIAD_OUT_OF_RANGE,
          "an option out of range throws");
    holds(thrown([] { imiad::dataset("synthetics"); }) == IMIAD_UNKNOWN_OPTION,
          "an unknown name throws");
    std::string message;
    setenv("IMIAD_WEIGHTS", "/nowhere/weights.pth", 1);
    holds(thrown([] { imiad::backbone::with_default_weights(); }, &message) == IMIAD_NOT_FOUND &&
              message.find("/nowhere/weights.pth") != std::string::npos,
          "the default weights are asked for, and named where they are not");
    unsetenv("IMIAD_WEIGHTS");
    try {
        imiad::image::read("/nowhere/image.png");
        holds(false, "a missing file throws");
    } catch (const imiad::error &problem) {
        holds(std::string(problem.what()).find("/nowhere/image.png") != std::string::npos &&
                  std::string(problem.status_name()) == "IMIAD_NOT_FOUND",
              "the message names the file");
    }
}

static void detectors(const std::string &folder)
{
    imiad::dataset drawn("synthetic", "", tiny);
    imiad::split split(drawn, "hex_nut");
    imiad::backbone backbone("resnet18");
    imiad::detector detector("patchcore", backbone, small);
    holds(detector.option("coreset_ratio") == "0.5" && !detector.option("nothing"),
          "a detector tells its options");
    imiad::image image = drawn.read_image(split.test()[0]);
    holds(thrown([&] { detector.score(image); }) == IMIAD_WRONG_STATE,
          "scoring before fitting throws");
    bool came_through = false;
    try {
        detector.fit(split, [](const char *, std::int64_t, std::int64_t) { throw 7; });
    } catch (int seven) {
        came_through = seven == 7;
    }
    holds(came_through, "what a callback throws reaches the caller");
    std::int64_t reports = 0;
    detector.fit(split, [&](const char *, std::int64_t done, std::int64_t total) {
        reports += done <= total;
    });
    holds(reports > 0, "progress is reported");

    const imiad::result alone = detector.score(image);
    holds(alone.width == 64 && alone.map.size() == 64 * 64, "a result has a map");
    detector.save(folder + "/nut.imiad");
    imiad::detector loaded = imiad::detector::load(folder + "/nut.imiad");
    holds(loaded.score(image).map == alone.map, "a loaded detector scores the same");
    float others = 0;
    imiad::detector clone = detector.clone();
    std::thread([&] { others = clone.score(image).score; }).join();
    holds(others == alone.score, "a clone scores the same in another thread");
    imiad::detector moved = std::move(loaded);
    holds(!loaded.get() && moved.score(image).score == alone.score, "handles move");

    imiad::image second = drawn.read_image(split.test()[1]);
    const auto batch = detector.score({image, second});
    holds(batch.scores.size() == 2 && batch.map(1).size() == 64 * 64 &&
              batch.map(1).data() == batch.maps.data() + 64 * 64,
          "a batch has a score and a map for each image");
    imiad::detector from_images("patchcore", backbone, small);
    from_images.fit({image, second});
    holds(from_images.score(image).score < alone.score, "a detector learns images in memory");

    imiad::detector calibrated("patchcore", backbone, small);
    calibrated.fit_calibrated(split);
    const float threshold = static_cast<float>(calibrated.calibration().threshold);
    holds(calibrated.verdict(threshold * 1.01f) && !calibrated.verdict(threshold * 0.99f),
          "a verdict follows the threshold");
    holds(calibrated.calibrated_score(threshold * 1000) == 1, "a calibrated score is at most 1");
    calibrated.calibrate(std::vector<float>{1, 2, 3}, {}, std::vector<float>{4, 5, 6},
                         "three scores");
    holds(calibrated.calibration().centre == 2 && calibrated.calibration().normal_count == 3 &&
              calibrated.calibration().source == std::string("three scores"),
          "thresholds are chosen from scores");
    imiad_calibration elsewhere = calibrated.calibration();
    elsewhere.threshold = elsewhere.low_threshold = elsewhere.high_threshold = 2.5;
    calibrated.set_calibration(elsewhere);
    holds(calibrated.verdict(2.6f) && !calibrated.verdict(2.4f), "thresholds are set");
    holds(thrown([&] {
              calibrated.calibrate(std::vector<float>{1, 2}, std::vector<std::int32_t>{0});
          }) == IMIAD_MISMATCH,
          "labels of another number throw");
    holds(calibrated.forget(0) >= 0 && calibrated.forget(0) == 0, "an image is forgotten once");
    holds(thrown([&] { calibrated.forget(99); }) == IMIAD_OUT_OF_RANGE,
          "an image that was not fitted throws");

    imiad::metrics metrics;
    std::size_t seen = 0;
    imiad::evaluate(metrics, detector, split, [&](const imiad_scored &one) {
        seen += one.width == 64 && one.map && one.mask;
    });
    holds(seen == 7 && metrics.counts().images == 7, "an evaluation shows every image");
    holds(metrics.aupro() > 0 && metrics.pixel_auroc() > 0 && metrics.image_f1max().f1 > 0,
          "and measures");
    const auto picture = imiad::draw_heatmap(image, alone.map, 64, 64);
    holds(picture.width() > 128, "a heat map is a picture");
    holds(thrown([&] { imiad::draw_heatmap(image, alone.map, 64, 63); }) == IMIAD_MISMATCH,
          "a map of another size throws");

    imiad::results results(folder + "/results.sqlite");
    const imiad_cell cell = results.describe(split, detector, 3);
    holds(!results.has(cell), "an empty store has no cell");
    results.put(cell, {{"image_auroc", 0.5}, {"aupro", 0.25}});
    holds(results.has(cell), "a cell is found again");
    imiad_cell other = cell;
    other.seed = 4;
    std::string message;
    results.put_failure(other, "it went wrong");
    results.failures([&](const imiad_failed &one) { message = one.message; });
    holds(message == "it went wrong", "a failure is kept with its message");
    imiad::results merged(folder + "/merged.sqlite");
    int conflicts = 0;
    merged.merge({folder + "/results.sqlite"});
    holds(merged.has(cell), "a merge brings cells along");
    merged.put(cell, {{"image_auroc", 0.75}});
    merged.merge({folder + "/results.sqlite"},
                 [&](const imiad_finished &, const imiad_finished &, const std::string &path,
                     const std::string &name) {
                     conflicts += name == "aupro" && path == folder + "/results.sqlite";
                 });
    holds(conflicts == 1, "a conflict is shown");
    holds(thrown([&] { merged.merge({folder + "/results.sqlite"}); }) == IMIAD_MISMATCH,
          "a conflict that nobody looks at throws");
    results.write_csv(folder + "/results.csv");
    std::ifstream csv(folder + "/results.csv");
    holds(std::string(std::istreambuf_iterator<char>(csv), {}).find("0.25") != std::string::npos,
          "results are written");
    results.write_report(folder + "/report.html");
    holds(std::ifstream(folder + "/report.html").good(), "a report is written");
}

static void numbers()
{
    imiad::metrics metrics;
    for (int i = 0; i < 4; ++i)
        metrics.add_image(i >= 2, i);
    holds(metrics.image_auroc() == 1 && metrics.image_ap() == 1, "perfect scores are perfect");
    holds(metrics.image_f1max().threshold == 2, "the lowest threshold of the largest F1");
    const std::uint8_t truth[] = {255, 0, 0, 0};
    const std::vector<float> map = {0.5f, 0.1f, 0.2f, 0.3f};
    const imiad::image_view mask(IMIAD_PIXEL_GRAY8, 2, 2, 2, truth);
    metrics.add_map(map, 2, 2, &mask);
    holds(metrics.aupro() == 1 && metrics.pixel_f1max().f1 == 1, "maps are measured");
    holds(thrown([] { imiad::metrics().pixel_auroc(); }) == IMIAD_UNDEFINED,
          "what does not exist throws");

    const imiad::regions regions(map, 2, 2, 0.25);
    holds(regions.size() == 1 && regions.region(0).peak == 0.5f && regions.region(0).area == 2,
          "regions are found above a threshold");

    imiad::bank bank(2);
    const std::vector<float> rows = {0, 0, 3, 4, 10, 0};
    bank.add(rows);
    std::vector<float> distances(2);
    std::vector<std::int64_t> indices(2);
    const float query[] = {0, 1};
    bank.search(distances, indices, {query, 2}, 2);
    holds(distances == std::vector<float>{1, 18} && indices == std::vector<std::int64_t>{0, 1},
          "a bank finds the nearest rows");
    holds(bank.rows() == 3 && bank.data()[3] == 4, "a bank shows its rows");
    holds(thrown([&] {
              bank.search(distances, {}, {query, 2}, 1);
          }) == IMIAD_MISMATCH,
          "outputs of another size throw");
}

/* float16 as IEEE 754 rounds: 11 significant bits, ties to even. */
static void banks(const std::string &folder)
{
    imiad::bank narrow(2, 0, IMIAD_STORAGE_FLOAT16);
    narrow.add(std::vector<float>{1, 2049, 0, 0, 3, 4}, std::vector<std::int64_t>{5, 6, 5});
    std::vector<float> row(2);
    narrow.read(row);
    holds(narrow.storage() == IMIAD_STORAGE_FLOAT16 && row[1] == 2048 && narrow.data().empty(),
          "a narrow bank stores rounded rows");
    holds(narrow.sources().size() == 3 && narrow.sources()[1] == 6, "rows have sources");
    holds(thrown([&] {
              narrow.add(row, std::vector<std::int64_t>{1, 2});
          }) == IMIAD_MISMATCH,
          "sources of another number throw");

    imiad::bank whole(2);
    whole.merge(narrow);
    narrow.save(folder + "/bank");
    const imiad::bank mapped = imiad::bank::map(folder + "/bank", false);
    holds(mapped.digest() == narrow.digest() &&
              imiad::bank::load(folder + "/bank").digest() == narrow.digest() &&
              whole.digest() != narrow.digest(),
          "a file keeps what a bank means");
    holds(whole.forget(5) == 2 && whole.rows() == 1 && whole.forget() == 0,
          "a source is forgotten");

    std::vector<float> distances(3), others(3);
    std::int64_t queries = 0;
    mapped.search(distances, {}, std::vector<float>{3, 4}, 3,
                  [&](const char *, std::int64_t, std::int64_t total) { queries = total; });
    mapped.search_on("cpu", others, {}, std::vector<float>{3, 4}, 3);
    holds(distances == others && distances[1] == 25 && queries == 1,
          "a device finds the same; a search reports");

    imiad_bank_stream_options few = IMIAD_BANK_STREAM_OPTIONS_INIT;
    few.rows = 2;
    few.block_rows = 3;
    imiad::bank_stream stream(1, few);
    stream.add(std::vector<float>{0, 1, 9}, std::vector<std::int64_t>{4, 5, 6});
    stream.add(std::vector<float>{2});
    const imiad::bank thinned = stream.make_bank();
    holds(stream.rows() == 4 && thinned.rows() == 2 && thinned.data()[0] == 9 &&
              thinned.sources()[1] == 4 &&
              thrown([&] {
                  stream.add(std::vector<float>{1}, std::vector<std::int64_t>{1, 2});
              }) == IMIAD_MISMATCH,
          "a stream makes banks of bounded size");
    few.budget_bytes = imiad::bank_stream::estimate(4, 1, few) - 1;
    holds(thrown([&] { imiad::bank_stream(1, few).add(std::vector<float>(4)); }) ==
              IMIAD_OVER_BUDGET,
          "and keeps to its budget");

    imiad_coreset_options how = IMIAD_CORESET_OPTIONS_INIT;
    how.exact = 1;
    how.projection = 0;
    how.rows = 2;
    const std::vector<std::int64_t> picks = narrow.select(how);
    holds(picks.size() == 2 && (picks[0] == 0 || picks[1] == 0), "a coreset takes the far row");
    how.rows = 4;
    holds(thrown([&] { narrow.select(how); }) == IMIAD_OUT_OF_RANGE,
          "more rows than there are throw");
    const imiad_bank_needs needs = imiad::bank::estimate(10, 2, IMIAD_STORAGE_FLOAT16, true);
    holds(needs.bank == 10 * (2 * 2 + 8), "needs are known before");
    imiad_recompression to = IMIAD_RECOMPRESSION_INIT;
    to.storage = IMIAD_STORAGE_FLOAT32;
    to.rows = 2;
    narrow.recompress(to);
    holds(narrow.rows() == 2 && narrow.data().size() == 4, "a bank is recompressed");
    narrow.keep(std::vector<std::int64_t>{1});
    holds(narrow.rows() == 1, "a bank keeps rows");
    holds(thrown([&] { narrow.set_budget(1); }) == IMIAD_OVER_BUDGET,
          "a budget below the rows throws");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    data(argv[1]);
    options();
    detectors(argv[1]);
    numbers();
    banks(argv[1]);
    std::printf("cpp: %d passed, %d failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
