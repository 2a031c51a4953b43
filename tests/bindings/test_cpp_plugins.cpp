/* Detectors and datasets written in C++ go through what the library's own go through. */
#include "checks.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>

/* ---- a dataset: every image has one grey value, its key; defective ones a white square ---- */

class greys : public imiad::dataset_plugin
{
  public:
    static inline std::atomic<int> alive{0};
    static inline std::atomic<bool> broken{false};
    greys()
    {
        ++alive;
    }
    ~greys() override
    {
        --alive;
    }
    void list(imiad::listing &into, const imiad::dataset_settings &of) const override
    {
        const std::int64_t count = of.integer("count");
        for (std::int64_t i = 0; i < count; ++i) {
            const std::string number = std::to_string(i);
            const auto grey = static_cast<std::uint64_t>(100 + i);
            into.add({"train/" + number, "grey", 0, IMIAD_SUBSET_TRAIN, "", false, "", grey});
            into.add({"good/" + number, "grey", 0, IMIAD_SUBSET_TEST, "", false, "", grey});
            into.add({"square/" + number, "grey", 1, IMIAD_SUBSET_TEST, "square", true, "", grey});
        }
        if (of.flag("twice"))
            into.add({"train/0", "grey"});
    }
    imiad::image read_image(const imiad_sample &sample, std::uint64_t key,
                            const imiad::dataset_settings &) const override
    {
        if (broken)
            throw std::runtime_error("no camera");
        return drawn(static_cast<std::uint8_t>(key), sample.label == 1);
    }
    imiad::image read_mask(const imiad_sample &, std::uint64_t,
                           const imiad::dataset_settings &) const override
    {
        return drawn(0, true);
    }

  private:
    static imiad::image drawn(std::uint8_t grey, bool square)
    {
        imiad::image out = imiad::image::create(IMIAD_PIXEL_GRAY8, 32, 32);
        for (int y = 0; y < 32; ++y) {
            const auto row = out.row(y);
            std::fill(row.begin(), row.end(), grey);
            if (square && y < 16)
                std::fill(row.begin(), row.begin() + 16, std::uint8_t{255});
        }
        return out;
    }
};

static const imiad::plugin_info greys_info = {
    "cpp_greys",
    "One grey value an image",
    {{IMIAD_OPTION_INT, "count", "3", "1..50", "images of each kind"},
     {IMIAD_OPTION_BOOL, "twice", "false", "", "lists an image twice"}}};

/* ---- a detector of images: how far the mean lies outside of what was seen ---- */

struct range {
    float low, high;
};

class brightness : public imiad::detector_plugin
{
  public:
    static inline std::atomic<int> alive{0};
    static inline void (*problem)() = nullptr;
    explicit brightness(const imiad::detector_settings &given) : factor_(given.real("factor"))
    {
        if (given.text("label") == "refused")
            throw std::invalid_argument("a label that is refused");
        ++alive;
    }
    ~brightness() override
    {
        --alive;
    }
    void fit(imiad::training_images &normals) override
    {
        seen_ = {256, -1};
        std::size_t images = 0;
        for (int pass = 0; pass < 2; ++pass) {
            while (auto seen = normals.next())
                for (std::size_t i = 0; i < seen->size(); ++i, ++images)
                    widen(mean_of(seen->image(i)));
            std::vector<std::size_t> backwards(normals.size());
            for (std::size_t i = 0; i < backwards.size(); ++i)
                backwards[i] = backwards.size() - 1 - i;
            if (pass == 0)
                normals.rewind(backwards);
        }
        if (images != 2 * normals.size())
            throw std::logic_error("two passes see every image twice");
        normals.report("range", 1, 1);
    }
    void fit_more(imiad::training_images &normals) override
    {
        while (auto seen = normals.next())
            for (std::size_t i = 0; i < seen->size(); ++i)
                widen(mean_of(seen->image(i)));
    }
    void score(const imiad::batch &seen, imiad::batch_scores &out) const override
    {
        if (problem)
            problem();
        const auto scores = out.images();
        for (std::size_t i = 0; i < seen.size(); ++i) {
            const float mean = mean_of(seen.image(i));
            scores[i] = static_cast<float>(factor_) * std::max(seen_.low - mean, mean - seen_.high);
        }
    }
    void save(imiad::block_writer &into) const override
    {
        into.put_value("range", seen_);
    }
    void load(const imiad::block_reader &from) override
    {
        seen_ = from.value<range>("range");
    }

  private:
    void widen(float mean)
    {
        seen_ = {std::min(seen_.low, mean), std::max(seen_.high, mean)};
    }
    static float mean_of(const imiad::image_view &image)
    {
        double sum = 0;
        for (int y = 0; y < image.height(); ++y)
            for (const std::uint8_t value : image.row(y))
                sum += value;
        return static_cast<float>(sum / (3.0 * image.width() * image.height()));
    }
    double factor_;
    range seen_ = {};
};

static const imiad::plugin_info brightness_info = {
    "cpp_brightness",
    "Mean grey value",
    {{IMIAD_OPTION_REAL, "factor", "1", "0<..", "of every score"},
     {IMIAD_OPTION_TEXT, "label", "fine", "", "refused is refused"}}};

/* ---- a detector of features: squared distance to their mean, position by position ---- */

class mean_feature : public imiad::detector_plugin
{
  public:
    std::vector<std::string> layers() const override
    {
        return {"layer1", "layer2"};
    }
    void fit(imiad::training_images &normals) override
    {
        mean_.clear();
        while (auto seen = normals.next()) {
            const imiad::layer_features found = seen->layer(1);
            const std::size_t size = found.values.size() / seen->size();
            mean_.resize(size);
            for (std::size_t i = 0; i < found.values.size(); ++i)
                mean_[i % size] += found.values[i] / static_cast<float>(normals.size());
        }
    }
    void score(const imiad::batch &seen, imiad::batch_scores &out) const override
    {
        const imiad::layer_features found = seen.layer(1);
        if (std::string(found.layer) != "layer2" ||
            found.values.size() != seen.size() * mean_.size())
            throw imiad::error(IMIAD_MISMATCH, "mean_feature: images of another size");
        const auto positions = static_cast<std::size_t>(found.height * found.width);
        const auto maps = out.maps(found.height, found.width);
        for (std::size_t i = 0; i < found.values.size(); ++i) {
            const float distance = found.values[i] - mean_[i % mean_.size()];
            maps[i / mean_.size() * positions + i % positions] += distance * distance;
        }
    }
    void save(imiad::block_writer &into) const override
    {
        into.put_values("mean", mean_);
    }
    void load(const imiad::block_reader &from) override
    {
        mean_ = from.values<float>("mean");
    }

  private:
    std::vector<float> mean_;
};

/* ---- one that reads its file wrongly ---- */

class forgetful : public brightness
{
  public:
    using brightness::brightness;
    void load(const imiad::block_reader &from) override
    {
        from.values<std::int32_t>("range", 3);
    }
};

static const imiad::options small = {{"resize", 32}, {"crop", 32}};

static void images(const std::string &folder)
{
    const imiad::dataset data("cpp_greys");
    const imiad::split split(data, "grey");
    std::string listed;
    imiad_option_info line = IMIAD_OPTION_INFO_INIT;
    for (std::size_t i = 0; imiad_detector_option_info(&line, "cpp_brightness", i) == IMIAD_OK; ++i)
        listed += std::string(line.name) + ' ' + line.range + '\n';
    holds(listed.find("factor 0<..\n") != std::string::npos, "options are listed");
    imiad::detector twice("cpp_brightness", {{"resize", 32}, {"crop", 32}, {"factor", 2.0}});
    twice.fit(split);
    /* learned: 100 to 102 */
    const imiad::image square = data.read_image(split.test().back());
    imiad::image grey = imiad::image::create(IMIAD_PIXEL_GRAY8, 32, 32);
    for (int y = 0; y < 32; ++y)
        for (std::uint8_t &value : grey.row(y))
            value = 110;
    holds(twice.score(grey).score == 2 * (110 - 102), "a score is what its equation says");
    holds(twice.score(data.read_image(split.train()[0])).score <= 0, "what was learned is normal");
    holds(twice.score(square).map.empty(), "without maps there is none");

    imiad::metrics metrics;
    imiad::evaluate(metrics, twice, split);
    holds(metrics.image_auroc() == 1, "an evaluation runs it");
    twice.save(folder + "/brightness.imiad");
    imiad::detector loaded = imiad::detector::load(folder + "/brightness.imiad");
    holds(loaded.score(grey).score == 16 && loaded.option("factor") == "2", "a file keeps it");
    float other = 0;
    imiad::detector clone = loaded.clone();
    std::thread([&] { other = clone.score(grey).score; }).join();
    holds(other == 16, "a clone scores the same in another thread");

    imiad::detector more("cpp_brightness", small);
    more.fit(split);
    const std::vector<imiad::image_view> views = {grey.view()};
    const imiad::dataset brighter = imiad::open_dataset(
        {"brighter", "", greys_info.options}, std::make_unique<greys>(), "", {{"count", 20}});
    more.fit_more(imiad::split(brighter, "grey"));
    holds(more.score(grey).score == 110 - 119, "another task is learned on top"); /* 100 to 119 */
    more.fit(views);
    holds(more.score(data.read_image(split.train()[0])).score == 10,
          "another fit forgets the first");
}

static void features(const std::string &folder)
{
    const imiad::dataset data("cpp_greys");
    const imiad::split split(data, "grey");
    const imiad::backbone backbone("resnet18");
    imiad::detector detector("cpp_mean_feature", backbone, small);
    detector.fit(split);
    const imiad::image square = data.read_image(split.test().back());
    const imiad::result found = detector.score(square);
    holds(found.width == 32 && found.map.size() == 32 * 32 && found.score > 0,
          "features make maps");
    imiad::detector again("cpp_mean_feature", backbone, small);
    again.fit(split);
    detector.save(folder + "/mean.imiad");
    holds(again.score(square).map == found.map &&
              imiad::detector::load(folder + "/mean.imiad").score(square).map == found.map,
          "a second fit and a file score the same");
    imiad::metrics metrics;
    imiad::evaluate(metrics, detector, split);
    holds(metrics.image_auroc() == 1 && metrics.pixel_auroc() > 0.8, "squares are found");
    holds(thrown([] { imiad::detector("cpp_mean_feature", small); }) == IMIAD_INVALID_ARGUMENT,
          "layers need a backbone");
    imiad::detector wide("cpp_mean_feature", backbone, {{"resize", 64}, {"crop", 64}});
    wide.fit(split);
    holds(wide.score(square).map.size() == 64 * 64, "images are resized before");
}

/* Learns how many of each kind there are in the batches it draws, and what the masks show. */
class counter : public imiad::detector_plugin
{
  public:
    static constexpr std::uint32_t takes = IMIAD_TAKES_ANOMALIES | IMIAD_TAKES_MASKS;
    static int defective, good, masked, listed;

    void fit(imiad::training_images &images) override
    {
        defective = good = masked = listed = 0;
        for (std::size_t i = 0; i < images.size(); ++i)
            listed += images.defective(i);
        images.draw_balanced(3, 4, 1, 0);
        while (const auto seen = images.next())
            for (std::size_t i = 0; i < seen->size(); ++i) {
                ++(seen->defective(i) ? defective : good);
                for (int y = 0; y < seen->height(); ++y)
                    for (const std::uint8_t value : seen->mask(i).row(y))
                        masked += value > 0;
            }
    }
    void score(const imiad::batch &, imiad::batch_scores &out) const override
    {
        out.images();
    }
    void save(imiad::block_writer &into) const override
    {
        into.put_value("good", good);
    }
    void load(const imiad::block_reader &) override
    {
    }
};
int counter::defective, counter::good, counter::masked, counter::listed;

static void labels()
{
    imiad::register_detector<counter>({"cpp_counter"});
    const imiad::image plain = imiad::image::create(IMIAD_PIXEL_RGB8, 64, 64);
    imiad::image mask = imiad::image::create(IMIAD_PIXEL_GRAY8, 64, 64);
    mask.row(5)[7] = 1;
    imiad::detector detector("cpp_counter", {{"resize", 64}, {"crop", 64}});
    detector.fit_labelled({{plain.view()}, {plain.view(), 1, mask.view()}, {plain.view()}});
    holds(counter::listed == 1 && counter::good == 6 && counter::defective == 6 &&
              counter::masked == 6,
          "a plug-in draws balanced batches and sees masks");
    holds(thrown([&] {
              detector.fit_labelled({{plain.view(), 1, mask.view()}});
          }) == IMIAD_INVALID_ARGUMENT,
          "good images are needed");
}

static void failures(const std::string &folder)
{
    const imiad::dataset data("cpp_greys");
    const imiad::split split(data, "grey");
    std::string message;
    holds(thrown([] { imiad::register_detector<brightness>(brightness_info); }, &message) ==
                  IMIAD_INVALID_ARGUMENT &&
              message.find("cpp_brightness") != std::string::npos,
          "a name is registered once");
    holds(thrown([] { imiad::register_dataset({"no name"}, std::make_unique<greys>()); }) ==
              IMIAD_INVALID_ARGUMENT,
          "a name that is none is refused");
    holds(thrown([] {
              imiad::detector("cpp_brightness", {{"factor", 0}});
          }) == IMIAD_OUT_OF_RANGE,
          "options are checked");
    holds(thrown(
              [] {
                  imiad::detector("cpp_brightness", {{"label", "refused"}});
              },
              &message) == IMIAD_INVALID_ARGUMENT &&
              message.find("a label that is refused") != std::string::npos,
          "a constructor's exception is the failure");

    imiad::detector detector("cpp_brightness", small);
    bool came_through = false;
    try {
        detector.fit(split, [](const char *, std::int64_t, std::int64_t) { throw 7; });
    } catch (int seven) {
        came_through = seven == 7;
    }
    holds(came_through, "progress stops a fit through the plug-in");
    detector.fit(split);
    const imiad::image image = data.read_image(split.test()[0]);
    const auto score = [&] { detector.score(image); };
    brightness::problem = [] { throw std::runtime_error("what went wrong"); };
    holds(thrown(score, &message) == IMIAD_INVALID_ARGUMENT &&
              message.find("what went wrong") != std::string::npos,
          "an exception becomes a status and a message");
    brightness::problem = [] { throw imiad::error(IMIAD_UNSUPPORTED, "not here"); };
    holds(thrown(score, &message) == IMIAD_UNSUPPORTED &&
              message.find("not here") != std::string::npos,
          "an error of the library keeps its status");
    brightness::problem = [] { throw std::bad_alloc(); };
    holds(thrown(score) == IMIAD_NO_MEMORY, "memory that runs out is told");
    brightness::problem = [] { throw 7; };
    holds(thrown(score) == IMIAD_INVALID_ARGUMENT, "whatever is thrown stays inside");
    brightness::problem = nullptr;
    holds(thrown(score) == IMIAD_OK, "and the detector goes on");

    imiad::detector saved("cpp_forgetful", small);
    saved.fit(split);
    saved.save(folder + "/forgetful.imiad");
    holds(thrown([&] { imiad::detector::load(folder + "/forgetful.imiad"); }, &message) ==
                  IMIAD_FORMAT &&
              message.find("\"range\" has another size") != std::string::npos,
          "a block of another size is a damaged file");
    holds(thrown([] { imiad::load_plugin("/nowhere/plugin.so"); }) == IMIAD_NOT_FOUND,
          "a plug-in that is not there throws");
}

static void datasets()
{
    const int before = greys::alive;
    {
        imiad::dataset data = imiad::open_dataset({"line", "", greys_info.options},
                                                  std::make_unique<greys>(), "", {{"count", 2}});
        holds(data.size() == 6 && data.categories() == std::vector<std::string>{"grey"},
              "a dataset lists its images");
        const imiad::split split(data, "grey");
        const std::size_t last = split.test().back();
        holds(data.sample(last).kind == std::string("square") &&
                  data.read_image(last).view().row(20)[0] == 101 &&
                  data.read_image(last).view().row(0)[0] == 255 &&
                  data.read_mask(last).view().row(15)[15] == 255 &&
                  data.read_mask(last).view().row(15)[16] == 0,
              "images and masks are drawn when asked");
        std::string message;
        greys::broken = true;
        holds(thrown([&] { data.read_image(0); }, &message) == IMIAD_INVALID_ARGUMENT &&
                  message.find("no camera") != std::string::npos &&
                  message.find(data.sample(0).path) != std::string::npos,
              "what reading throws is told with the image");
        greys::broken = false;
        holds(greys::alive == before + 1, "the plug-in lives as long as its dataset");
    }
    holds(greys::alive == before, "and goes with it");
    holds(thrown([] {
              imiad::open_dataset({"line", "", greys_info.options}, std::make_unique<greys>(), "",
                                  {{"twice", true}});
          }) == IMIAD_INVALID_ARGUMENT &&
              greys::alive == before,
          "a listing that is refused frees it too");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    imiad::register_dataset(greys_info, std::make_unique<greys>());
    imiad::register_detector<brightness>(brightness_info);
    imiad::register_detector<forgetful>({"cpp_forgetful", "", brightness_info.options});
    imiad::register_detector<mean_feature>({"cpp_mean_feature"});
    images(argv[1]);
    features(argv[1]);
    labels();
    failures(argv[1]);
    datasets();
    holds(brightness::alive == 0, "every detector of the test is gone");
    std::printf("cpp-plugins: %d passed, %d failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
