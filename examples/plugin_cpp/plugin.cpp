/* A plug-in in C++: the detector `pixel_range` and the dataset `tiles`. imiad_plugin_load calls the
 * function at the end. */
#include <imiad/imiad.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace
{

/* At every position and colour, the smallest and the largest value of the normal images. A pixel is
 * as anomalous as it lies outside, by the colour that is farthest out. */
class pixel_range : public imiad::detector_plugin
{
  public:
    explicit pixel_range(const imiad::detector_settings &given)
        : margin_(static_cast<float>(given.real("margin")))
    {
    }
    void fit(imiad::training_images &normals) override
    {
        low_.clear();
        high_.clear();
        while (const auto seen = normals.next())
            for (std::size_t i = 0; i < seen->size(); ++i)
                learn(seen->image(i));
    }
    void score(const imiad::batch &seen, imiad::batch_scores &out) const override
    {
        if (low_.size() != 3 * static_cast<std::size_t>(seen.width() * seen.height()))
            throw imiad::error(IMIAD_MISMATCH, "pixel_range: an image of another size: set crop");
        const auto maps = out.maps(seen.height(), seen.width());
        std::size_t pixel = 0;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            std::size_t value = 0;
            for (int y = 0; y < seen.height(); ++y)
                for (const std::uint8_t colour : seen.image(i).row(y)) {
                    maps[pixel] = std::max(maps[pixel], outside(colour, value));
                    pixel += ++value % 3 == 0;
                }
        }
    }
    void save(imiad::block_writer &into) const override
    {
        into.put_values("low", low_);
        into.put_values("high", high_);
    }
    void load(const imiad::block_reader &from) override
    {
        low_ = from.values<std::uint8_t>("low");
        high_ = from.values<std::uint8_t>("high", low_.size());
    }

  private:
    void learn(const imiad::image_view &image)
    {
        std::vector<std::uint8_t> values;
        for (int y = 0; y < image.height(); ++y) {
            const auto row = image.row(y);
            values.insert(values.end(), row.begin(), row.end());
        }
        if (low_.empty())
            low_ = high_ = values;
        if (values.size() != low_.size())
            throw imiad::error(IMIAD_MISMATCH, "pixel_range: images of several sizes: set crop");
        for (std::size_t i = 0; i < values.size(); ++i) {
            low_[i] = std::min(low_[i], values[i]);
            high_[i] = std::max(high_[i], values[i]);
        }
    }
    float outside(std::uint8_t value, std::size_t at) const
    {
        const int distance = std::max(low_[at] - value, value - high_[at]);
        return std::max(0.0f, static_cast<float>(distance) - margin_);
    }
    float margin_;
    std::vector<std::uint8_t> low_, high_;
};

/* Square tiles with a border; a defective one has a corner missing. Nothing is read from disk. */
class tiles : public imiad::dataset_plugin
{
  public:
    void list(imiad::listing &into, const imiad::dataset_settings &) const override
    {
        for (int i = 0; i < 8; ++i)
            add(into, "train/good/", i, IMIAD_SUBSET_TRAIN, false);
        for (int i = 8; i < 12; ++i) {
            add(into, "test/good/", i, IMIAD_SUBSET_TEST, false);
            add(into, "test/corner/", i, IMIAD_SUBSET_TEST, true);
        }
    }
    imiad::image read_image(const imiad_sample &sample, std::uint64_t key,
                            const imiad::dataset_settings &of) const override
    {
        const int size = static_cast<int>(of.integer("size")), edge = size / 8;
        return draw(size, [&](int x, int y) {
            const int inner = std::min({x, y, size - 1 - x, size - 1 - y}) >= edge;
            const int grain = static_cast<int>(
                (static_cast<unsigned>(x * 73 + y * 151) + static_cast<unsigned>(key) * 31) *
                    2654435761u >>
                28);
            const bool missing = sample.label == 1 && in_corner(x, y, size);
            return (missing ? 20 : inner ? 150 : 90) + grain;
        });
    }
    imiad::image read_mask(const imiad_sample &, std::uint64_t,
                           const imiad::dataset_settings &of) const override
    {
        const int size = static_cast<int>(of.integer("size"));
        return draw(size, [&](int x, int y) { return in_corner(x, y, size) ? 255 : 0; });
    }

  private:
    static void add(imiad::listing &into, const std::string &folder, int number,
                    imiad_subset subset, bool missing)
    {
        imiad::listed one;
        one.path = folder + std::to_string(number);
        one.category = "tile";
        one.subset = subset;
        one.label = one.has_mask = missing;
        one.kind = missing ? "corner" : "good";
        one.key = static_cast<std::uint64_t>(number);
        into.add(one);
    }
    static bool in_corner(int x, int y, int size)
    {
        return x + y < size / 3;
    }
    template <class F> static imiad::image draw(int size, F &&value)
    {
        imiad::image out = imiad::image::create(IMIAD_PIXEL_GRAY8, size, size);
        for (int y = 0; y < size; ++y)
            for (int x = 0; x < size; ++x)
                out.row(y)[static_cast<std::size_t>(x)] = static_cast<std::uint8_t>(value(x, y));
        return out;
    }
};

} // namespace

extern "C" IMIAD_API imiad_status imiad_plugin_register(void)
{
    return imiad::as_status([] {
        imiad::register_detector<pixel_range>({"pixel_range",
                                               "Range of every pixel (example plug-in)",
                                               {{IMIAD_OPTION_REAL, "margin", "0", "0..",
                                                 "grey values outside that count as inside"}}});
        imiad::register_dataset(
            {"tiles",
             "Tiles with missing corners (example plug-in)",
             {{IMIAD_OPTION_INT, "size", "64", "32..1024", "pixels along a side"}}},
            std::make_unique<tiles>());
    });
}
