/* Detectors written in C++, which then go through every protocol; docs/plugins.md. Part of
 * imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_DETECTOR_PLUGIN_HPP
#define IMIAD_CPP_DETECTOR_PLUGIN_HPP

#include "imiad/cpp/image.hpp"
#include "imiad/cpp/plugin.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace imiad
{

/* The output of one backbone layer for a batch: count x channels x height x width, rows last. */
struct layer_features {
    const char *layer;
    std::int64_t channels, height, width;
    span<const float> values;
};

/* Images of one size, RGB8, after resize and crop, before normalisation. All of it is borrowed:
 * during score, or until the next batch. */
class batch
{
  public:
    explicit batch(const imiad_batch &seen) noexcept : seen_(&seen)
    {
    }
    const imiad_batch *get() const noexcept
    {
        return seen_;
    }
    std::size_t size() const noexcept
    {
        return seen_->count;
    }
    int width() const noexcept
    {
        return seen_->width;
    }
    int height() const noexcept
    {
        return seen_->height;
    }
    image_view image(std::size_t index) const noexcept
    {
        return image_view(*seen_->images[index]);
    }
    /* While training; while scoring there is nothing to know. */
    std::size_t index(std::size_t image) const noexcept
    {
        return seen_->indices[image];
    }
    bool defective(std::size_t image) const noexcept
    {
        return seen_->labels[image] != 0;
    }
    imiad_training_role role(std::size_t image) const noexcept
    {
        return static_cast<imiad_training_role>(seen_->roles[image]);
    }
    int category(std::size_t image) const noexcept
    {
        return seen_->categories[image];
    }
    /* Of a plug-in that takes masks: one byte a pixel, above zero where defective. */
    image_view mask(std::size_t image) const noexcept
    {
        return image_view(*seen_->masks[image]);
    }
    /* In the order of the plug-in's layers. */
    layer_features layer(std::size_t index) const noexcept
    {
        const auto *bytes = reinterpret_cast<const unsigned char *>(seen_->layers);
        const auto &found = *reinterpret_cast<const imiad_layer_features *>(
            bytes + index * seen_->layers[0].struct_size);
        const std::int64_t size = found.channels * found.height * found.width;
        return {found.layer,
                found.channels,
                found.height,
                found.width,
                {found.values, seen_->count * static_cast<std::size_t>(size)}};
    }

  private:
    const imiad_batch *seen_;
};

/* The training images of one fit, good ones and what the plug-in takes, a pass at a time. What next
 * and report throw where the caller of fit asks to stop is IMIAD_CANCELLED: let it through. */
class training_images
{
  public:
    explicit training_images(imiad_batches *batches) noexcept : batches_(batches)
    {
    }
    imiad_batches *get() const noexcept
    {
        return batches_;
    }
    /* Images, not batches. */
    std::size_t size() const noexcept
    {
        return imiad_batches_count(batches_);
    }
    /* Nothing at the end of the pass: while (auto seen = normals.next()) ... */
    std::optional<batch> next()
    {
        const imiad_batch *out = nullptr;
        check(imiad_batches_next(&out, batches_));
        return out ? std::optional<batch>(*out) : std::nullopt;
    }
    /* Begins another pass, in another order where one is given: a permutation of 0..size()-1. */
    void rewind(span<const std::size_t> order = {})
    {
        if (!order.empty() && order.size() != size())
            throw error(IMIAD_MISMATCH, "rewind: the order must name every image once");
        check(imiad_batches_rewind(batches_, order.empty() ? nullptr : order.data()));
    }
    /* How many tasks were learned before this one. */
    std::int64_t tasks() const noexcept
    {
        return imiad_batches_tasks(batches_);
    }
    bool defective(std::size_t image) const
    {
        std::int32_t label = 0;
        check(imiad_batches_image(&label, nullptr, nullptr, batches_, image));
        return label != 0;
    }
    /* Begins a pass over these images, each as often as it is named. */
    void draw(span<const std::size_t> order, std::size_t batch_size)
    {
        check(imiad_batches_draw(batches_, order.data(), order.size(), batch_size));
    }
    /* Begins a pass of batches that are half good, half defective images. */
    void draw_balanced(std::size_t steps, std::size_t batch_size, std::uint64_t seed,
                       std::int64_t epoch)
    {
        check(imiad_batches_draw_balanced(batches_, steps, batch_size, seed, epoch));
    }
    void report(const std::string &stage, std::int64_t done, std::int64_t total) const
    {
        check(imiad_batches_progress(batches_, stage.c_str(), done, total));
    }

  private:
    imiad_batches *batches_;
};

/* Where the scores of a batch go: memory to fill, all zeros. At least one of the two is needed,
 * each once. */
class batch_scores
{
  public:
    batch_scores(imiad_batch_scores *scores, std::size_t count) noexcept
        : scores_(scores), count_(count)
    {
    }
    /* count x height x width of any grid; larger is more anomalous. The library upsamples and
     * smooths. */
    span<float> maps(std::int64_t height, std::int64_t width)
    {
        return {filled(imiad_batch_scores_maps(scores_, height, width)),
                count_ * static_cast<std::size_t>(height * width)};
    }
    /* One for each image; without them a score is the largest value of the finished map. */
    span<float> images()
    {
        return {filled(imiad_batch_scores_images(scores_)), count_};
    }

  private:
    static float *filled(float *memory)
    {
        if (!memory)
            throw error(IMIAD_NO_MEMORY, "scores: no memory, no size, or asked for twice");
        return memory;
    }
    imiad_batch_scores *scores_;
    std::size_t count_;
};

/* What fit learned, into the detector's file: numbers and plain structures under names. */
class block_writer
{
  public:
    explicit block_writer(imiad_blocks *blocks) noexcept : blocks_(blocks)
    {
    }
    /* A container with data() and size(): a vector, a span, an array. */
    template <class C> void put_values(const std::string &name, const C &container)
    {
        put(name, container.data(), container.size());
    }
    template <class T> void put_value(const std::string &name, const T &value)
    {
        put(name, &value, 1);
    }

  private:
    template <class T> void put(const std::string &name, const T *values, std::size_t count)
    {
        static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>,
                      "its bytes must be all of it");
        check(imiad_blocks_put(blocks_, name.c_str(), values, count * sizeof(T)));
    }
    imiad_blocks *blocks_;
};

/* The same, out of a file, which comes from outside: what is read has the size that is asked for,
 * and may be anything. A block that is not there, or of another size, is IMIAD_FORMAT. */
class block_reader
{
  public:
    explicit block_reader(const imiad_blocks *blocks) noexcept : blocks_(blocks)
    {
    }
    /* As many as there are. */
    template <class T> std::vector<T> values(const std::string &name) const
    {
        static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>,
                      "its bytes must be all of it");
        const void *bytes;
        std::size_t size;
        check(imiad_blocks_get(&bytes, &size, blocks_, name.c_str()));
        if (size % sizeof(T) != 0)
            throw error(IMIAD_FORMAT, "the block \"" + name + "\" has another size");
        std::vector<T> out(size / sizeof(T));
        std::memcpy(out.data(), bytes, size);
        return out;
    }
    template <class T> std::vector<T> values(const std::string &name, std::size_t count) const
    {
        std::vector<T> out = values<T>(name);
        if (out.size() != count)
            throw error(IMIAD_FORMAT, "the block \"" + name + "\" has another size");
        return out;
    }
    template <class T> T value(const std::string &name) const
    {
        return values<T>(name, 1)[0];
    }

  private:
    const imiad_blocks *blocks_;
};

/* real("epsilon"), text("layer"): also those of every detector. get(): the C handle, as for
 * imiad_detector_backbone. */
using detector_settings = detail::settings<imiad_detector, imiad_detector_option>;

/* The base of detectors written in C++. One object is made for each detector, by the constructor
 * that takes a const detector_settings &, or the default one; clones share it. Nothing but score is
 * called at once for one object. What it throws becomes the failure of the library's call. */
class detector_plugin
{
  public:
    detector_plugin() = default;
    detector_plugin(const detector_plugin &) = delete;
    detector_plugin &operator=(const detector_plugin &) = delete;
    virtual ~detector_plugin() = default;

    /* Override it to see the features of backbone layers; otherwise there is no backbone. Asked
     * once, after construction. */
    virtual std::vector<std::string> layers() const
    {
        return {};
    }
    /* IMIAD_TAKES_...: what fit sees beside good images; hide it by one of your own. */
    static constexpr std::uint32_t takes = 0;
    /* Learns anew; what an earlier fit left must be gone. */
    virtual void fit(training_images &normals) = 0;
    /* Override it to learn another task on top; otherwise that is fit, which forgets the others. */
    virtual void fit_more(training_images &normals)
    {
        fit(normals);
    }
    /* Called by several threads at once, for clones: it changes nothing. */
    virtual void score(const batch &seen, batch_scores &out) const = 0;
    virtual void save(block_writer &into) const = 0;
    virtual void load(const block_reader &from) = 0;
};

namespace detail
{

/* The C functions over a class derived from detector_plugin. */
template <class T> struct detector_calls {
    struct state {
        std::unique_ptr<T> object;
        std::vector<std::string> layers;
        std::vector<const char *> layer_names;
    };
    static T &object(void *at)
    {
        return *static_cast<state *>(at)->object;
    }
    static const T &object(const void *at)
    {
        return *static_cast<const state *>(at)->object;
    }

    static imiad_status create(void *, void **out, const imiad_detector *detector)
    {
        return as_status([&] {
            auto made = std::make_unique<state>();
            const detector_settings given(detector);
            if constexpr (std::is_constructible_v<T, const detector_settings &>)
                made->object = std::make_unique<T>(given);
            else
                made->object = std::make_unique<T>();
            made->layers = made->object->layers();
            for (const std::string &layer : made->layers)
                made->layer_names.push_back(layer.c_str());
            *out = made.release();
        });
    }
    static void destroy(void *at)
    {
        delete static_cast<state *>(at);
    }
    static const char *const *layers(void *at, std::size_t *count)
    {
        const auto &names = static_cast<state *>(at)->layer_names;
        *count = names.size();
        return names.data();
    }
    static imiad_status fit(void *at, imiad_batches *batches)
    {
        training_images normals(batches);
        return as_status([&] { object(at).fit(normals); });
    }
    static imiad_status fit_more(void *at, imiad_batches *batches)
    {
        training_images normals(batches);
        return as_status([&] { object(at).fit_more(normals); });
    }
    static imiad_status score(const void *at, const imiad_batch *seen, imiad_batch_scores *scores)
    {
        batch_scores out(scores, seen->count);
        return as_status([&] { object(at).score(batch(*seen), out); });
    }
    static imiad_status save(const void *at, imiad_blocks *blocks)
    {
        block_writer into(blocks);
        return as_status([&] { object(at).save(into); });
    }
    static imiad_status load(void *at, const imiad_blocks *blocks)
    {
        const block_reader from(blocks);
        return as_status([&] { object(at).load(from); });
    }
};

} // namespace detail

/* Makes the name one that imiad::detector and imiad::detector::load take, for the life of the
 * process: register_detector<brightness>({"brightness", "Mean grey value"}). */
template <class T> void register_detector(const plugin_info &info)
{
    static_assert(std::is_base_of_v<detector_plugin, T>, "derive it from imiad::detector_plugin");
    using calls = detail::detector_calls<T>;
    detail::described<imiad_detector_functions> all(IMIAD_DETECTOR_FUNCTIONS_INIT, info);
    imiad_detector_functions &f = all.functions;
    f.create = calls::create;
    f.fit = calls::fit;
    f.score = calls::score;
    f.save = calls::save;
    f.load = calls::load;
    f.destroy = calls::destroy;
    f.takes = T::takes;
    if constexpr (!std::is_same_v<decltype(&T::layers), decltype(&detector_plugin::layers)>)
        f.layers = calls::layers;
    if constexpr (!std::is_same_v<decltype(&T::fit_more), decltype(&detector_plugin::fit_more)>)
        f.fit_more = calls::fit_more;
    check(imiad_detector_register(&f));
}

} // namespace imiad

#endif
