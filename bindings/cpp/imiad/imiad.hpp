/* libimiad for C++17 and later: handles that free themselves, failures as exceptions, spans.
 *
 * Every class owns one handle of the C interface and hands it out with get(), so that whatever is
 * not here is one C call away (imiad::check turns its status into an exception). Classes can be
 * moved, not copied. What each call does, its units, errors and thread rules: the C headers. Guide:
 * docs/cpp.md. */
#ifndef IMIAD_IMIAD_HPP
#define IMIAD_IMIAD_HPP

#include "imiad/imiad.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <locale>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__has_include) && __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_span
#include <span>
#endif

namespace imiad
{

/* ---- failures ---- */

/* what(): the message of imiad_last_error. */
class error : public std::runtime_error
{
  public:
    error(imiad_status status, const std::string &message)
        : std::runtime_error(message), status_(status)
    {
    }
    imiad_status status() const noexcept
    {
        return status_;
    }
    const char *status_name() const noexcept
    {
        return imiad_status_name(status_);
    }

  private:
    imiad_status status_;
};

inline void check(imiad_status status)
{
    if (status != IMIAD_OK)
        throw error(status, imiad_last_error());
}

/* ---- spans ---- */

#ifdef __cpp_lib_span
template <class T> using span = std::span<T>;
#else
/* A pointer and a length: what of std::span is needed here, before C++20. */
template <class T> class span
{
  public:
    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size)
    {
    }
    template <class C, class = std::enable_if_t<
                           std::is_convertible_v<decltype(std::declval<C &>().data()), T *>>>
    constexpr span(C &&container) noexcept : data_(container.data()), size_(container.size())
    {
    }
    constexpr T *data() const noexcept
    {
        return data_;
    }
    constexpr std::size_t size() const noexcept
    {
        return size_;
    }
    constexpr bool empty() const noexcept
    {
        return size_ == 0;
    }
    constexpr T *begin() const noexcept
    {
        return data_;
    }
    constexpr T *end() const noexcept
    {
        return data_ + size_;
    }
    constexpr T &operator[](std::size_t i) const noexcept
    {
        return data_[i];
    }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

/* ---- options ---- */

/* {"coreset_ratio", 0.1}, {"batch", 4}, {"overlap", true}, {"sampler", "exact"} */
struct option {
    option(std::string name_, std::string value_) : name(std::move(name_)), value(std::move(value_))
    {
    }
    option(std::string name_, const char *value_) : name(std::move(name_)), value(value_)
    {
    }
    option(std::string name_, bool value_)
        : name(std::move(name_)), value(value_ ? "true" : "false")
    {
    }
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    option(std::string name_, T value_) : name(std::move(name_))
    {
        std::ostringstream text;
        text.imbue(std::locale::classic()); /* a decimal comma would not be understood */
        text.precision(std::numeric_limits<T>::max_digits10);
        text << value_;
        value = text.str();
    }
    std::string name, value;
};
using options = std::vector<option>;

namespace detail
{

inline std::vector<imiad_option> pack(const options &given)
{
    std::vector<imiad_option> out;
    for (const option &o : given)
        out.push_back({o.name.c_str(), o.value.c_str()});
    return out;
}

inline std::string text(const char *value)
{
    return value ? value : "";
}

template <class T, void (*Free)(T *)> class handle
{
  public:
    T *get() const noexcept
    {
        return pointer_.get();
    }

  protected:
    handle() = default;
    explicit handle(T *pointer) : pointer_(pointer)
    {
    }
    void own(T *pointer)
    {
        pointer_.reset(pointer);
    }

  private:
    struct deleter {
        void operator()(T *pointer) const noexcept
        {
            Free(pointer);
        }
    };
    std::unique_ptr<T, deleter> pointer_;
};

/* Exceptions must not pass through C: they wait here until the call is over. */
class carrier
{
  public:
    template <class F> bool survives(F &&work) noexcept
    {
        try {
            work();
            return true;
        } catch (...) {
            problem_ = std::current_exception();
            return false;
        }
    }
    void finish(imiad_status status) const
    {
        if (problem_)
            std::rethrow_exception(problem_);
        check(status);
    }

  private:
    std::exception_ptr problem_;
};

} // namespace detail

/* Called by long calls with the stage, and what of it is done of how much; what it throws stops the
 * work and reaches the caller. */
using progress = std::function<void(const char *stage, std::int64_t done, std::int64_t total)>;

namespace detail
{

struct progress_call {
    const progress &function;
    carrier &exceptions;
    static int call(void *user, const imiad_progress *at)
    {
        auto *self = static_cast<progress_call *>(user);
        if (!self->function)
            return 0;
        return self->exceptions.survives([&] { self->function(at->stage, at->done, at->total); })
                   ? 0
                   : 1;
    }
};

} // namespace detail

inline std::string version()
{
    return imiad_version();
}
inline std::string torch_version()
{
    return imiad_torch_version();
}
inline void set_threads(int threads)
{
    check(imiad_set_threads(threads));
}

/* ---- images ---- */

/* Pixels of the caller's, or of an image: nothing is copied and nothing owned. */
class image_view
{
  public:
    image_view(imiad_pixel_format format, int width, int height, std::size_t stride,
               const std::uint8_t *pixels)
    {
        image_.format = format;
        image_.width = width;
        image_.height = height;
        image_.stride = stride;
        image_.pixels = const_cast<std::uint8_t *>(pixels); /* the library reads only */
    }
    explicit image_view(const imiad_image &image) : image_(image)
    {
    }
    const imiad_image *get() const noexcept
    {
        return &image_;
    }
    int width() const noexcept
    {
        return image_.width;
    }
    int height() const noexcept
    {
        return image_.height;
    }
    imiad_pixel_format format() const noexcept
    {
        return image_.format;
    }
    int channels() const noexcept
    {
        return image_.format == IMIAD_PIXEL_GRAY8 ? 1 : image_.format == IMIAD_PIXEL_RGBA8 ? 4 : 3;
    }
    span<const std::uint8_t> row(int y) const noexcept
    {
        return {image_.pixels + static_cast<std::size_t>(y) * image_.stride,
                static_cast<std::size_t>(image_.width * channels())};
    }

  private:
    imiad_image image_ = IMIAD_IMAGE_INIT;
};

/* An image that the library made. */
class image : public detail::handle<imiad_image, imiad_image_free>
{
  public:
    explicit image(imiad_image *taken) : handle(taken)
    {
    }
    static image read(const std::string &path)
    {
        return made([&](imiad_image **out) { return imiad_image_read(out, path.c_str()); });
    }
    static image from_floats(const imiad_float_pixels &pixels)
    {
        return made([&](imiad_image **out) { return imiad_image_from_floats(out, &pixels); });
    }
    template <class F> static image made(F &&make)
    {
        imiad_image *out = nullptr;
        check(make(&out));
        return image(out);
    }
    image_view view() const noexcept
    {
        return image_view(*get());
    }
    operator image_view() const noexcept
    {
        return view();
    }
    int width() const noexcept
    {
        return get()->width;
    }
    int height() const noexcept
    {
        return get()->height;
    }
};

inline void write_png(const image_view &picture, const std::string &path)
{
    check(imiad_image_write_png(picture.get(), path.c_str()));
}

inline image resize(const image_view &picture, int width, int height)
{
    return image::made(
        [&](imiad_image **out) { return imiad_image_resize(out, picture.get(), width, height); });
}

/* map: width x height floats, rows first. low and high: the ends of the colour scale; equal ones
 * ask for the map's own range. */
inline image draw_heatmap(const image_view &picture, span<const float> map, int width, int height,
                          float low = 0, float high = 0, const image_view *mask = nullptr,
                          const std::string &title = "")
{
    if (map.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height))
        throw error(IMIAD_MISMATCH, "draw_heatmap: the map does not have width x height values");
    imiad_heatmap_options o = IMIAD_HEATMAP_OPTIONS_INIT;
    o.low = low;
    o.high = high;
    o.mask = mask ? mask->get() : nullptr;
    o.title = title.empty() ? nullptr : title.c_str();
    return image::made([&](imiad_image **out) {
        return imiad_image_draw_heatmap(out, picture.get(), map.data(), width, height, &o);
    });
}

/* ---- data ---- */

class dataset : public detail::handle<imiad_dataset, imiad_dataset_free>
{
  public:
    explicit dataset(const std::string &name, const std::string &root = "",
                     const options &given = {})
    {
        const auto packed = detail::pack(given);
        imiad_dataset *out = nullptr;
        check(imiad_dataset_open(&out, name.c_str(), root.c_str(), packed.data(), packed.size()));
        own(out);
    }
    std::vector<std::string> categories() const
    {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < imiad_dataset_category_count(get()); ++i)
            out.emplace_back(imiad_dataset_category(get(), i));
        return out;
    }
    std::size_t size() const noexcept
    {
        return imiad_dataset_sample_count(get());
    }
    /* Its text is borrowed from the dataset. */
    imiad_sample sample(std::size_t index) const
    {
        imiad_sample out = IMIAD_SAMPLE_INIT;
        check(imiad_dataset_sample(&out, get(), index));
        return out;
    }
    image read_image(std::size_t index) const
    {
        return image::made(
            [&](imiad_image **out) { return imiad_dataset_read_image(out, get(), index); });
    }
    image read_mask(std::size_t index) const
    {
        return image::made(
            [&](imiad_image **out) { return imiad_dataset_read_mask(out, get(), index); });
    }
    std::string digest() const
    {
        char out[65];
        check(imiad_dataset_digest(out, get()));
        return out;
    }
    void write_to(const std::string &folder) const
    {
        check(imiad_dataset_export(get(), folder.c_str()));
    }
};

class split : public detail::handle<imiad_split, imiad_split_free>
{
  public:
    split(const dataset &data, const std::string &category,
          const std::string &setting = "unsupervised", const options &given = {})
    {
        const auto packed = detail::pack(given);
        imiad_split *out = nullptr;
        check(imiad_split_create(&out, data.get(), category.c_str(), setting.c_str(), packed.data(),
                                 packed.size()));
        own(out);
    }
    static split read(const dataset &data, const std::string &path)
    {
        split made;
        imiad_split *out = nullptr;
        check(imiad_split_read(&out, data.get(), path.c_str()));
        made.own(out);
        return made;
    }
    void write(const std::string &path) const
    {
        check(imiad_split_write(get(), path.c_str()));
    }
    /* Indices into the dataset. */
    std::vector<std::size_t> train() const
    {
        return all(imiad_split_train_count(get()), imiad_split_train);
    }
    std::vector<std::size_t> test() const
    {
        return all(imiad_split_test_count(get()), imiad_split_test);
    }

  private:
    split() = default;
    std::vector<std::size_t> all(std::size_t count,
                                 std::size_t (*one)(const imiad_split *, std::size_t)) const
    {
        std::vector<std::size_t> out(count);
        for (std::size_t i = 0; i < count; ++i)
            out[i] = one(get(), i);
        return out;
    }
};

/* ---- models ---- */

class backbone : public detail::handle<imiad_backbone, imiad_backbone_free>
{
  public:
    /* weights: a file; empty: random ones of the seed */
    explicit backbone(const std::string &architecture, const std::string &weights = "",
                      const std::string &device = "cpu", const std::string &precision = "float32",
                      std::uint64_t seed = 0)
    {
        imiad_backbone_options o = IMIAD_BACKBONE_OPTIONS_INIT;
        o.weights = weights.empty() ? nullptr : weights.c_str();
        o.device = device.c_str();
        o.precision = precision.c_str();
        o.seed = seed;
        imiad_backbone *out = nullptr;
        check(imiad_backbone_create(&out, architecture.c_str(), &o));
        own(out);
    }
};

/* Searching does not change a bank: any number of threads may; whatever changes it needs it alone.
 */
class bank : public detail::handle<imiad_bank, imiad_bank_free>
{
  public:
    explicit bank(std::int64_t dimension, std::uint64_t budget_bytes = 0,
                  imiad_storage storage = IMIAD_STORAGE_FLOAT32)
    {
        imiad_bank *out = nullptr;
        check(imiad_bank_create_stored(&out, dimension, storage, budget_bytes));
        own(out);
    }
    static bank load(const std::string &path)
    {
        return made([&](imiad_bank **out) { return imiad_bank_load(out, path.c_str()); });
    }
    /* Its rows stay in the mapped file; without verify only the header is looked at. */
    static bank map(const std::string &path, bool verify = true)
    {
        return made([&](imiad_bank **out) { return imiad_bank_map(out, path.c_str(), verify); });
    }
    void save(const std::string &path) const
    {
        check(imiad_bank_save(get(), path.c_str()));
    }
    /* What a bank will take in bytes, before any row is there; coreset: nullptr where all are kept
     */
    static imiad_bank_needs estimate(std::int64_t rows, std::int64_t dimension,
                                     imiad_storage storage = IMIAD_STORAGE_FLOAT32,
                                     bool sources = false,
                                     const imiad_coreset_options *coreset = nullptr)
    {
        imiad_bank_needs out = IMIAD_BANK_NEEDS_INIT;
        check(imiad_bank_estimate(&out, rows, dimension, storage, sources, coreset));
        return out;
    }

    std::int64_t rows() const noexcept
    {
        return imiad_bank_rows(get());
    }
    std::int64_t dimension() const noexcept
    {
        return imiad_bank_dimension(get());
    }
    imiad_storage storage() const noexcept
    {
        return imiad_bank_storage(get());
    }
    /* Borrowed until the bank changes: rows x dimension; empty where rows are not float32. */
    span<const float> data() const noexcept
    {
        return borrowed(imiad_bank_data(get()), rows() * dimension());
    }
    /* Borrowed until the bank changes: one for each row; empty where no row has one. */
    span<const std::int64_t> sources() const noexcept
    {
        return borrowed(imiad_bank_sources(get()), rows());
    }
    /* Fills out with whole rows from `first` on, whatever the storage. */
    void read(span<float> out, std::int64_t first = 0) const
    {
        check(imiad_bank_read(out.data(), get(), first, count_of(out)));
    }
    std::string digest() const
    {
        char out[65];
        check(imiad_bank_digest(out, get()));
        return out;
    }

    /* count x dimension floats */
    void add(span<const float> values)
    {
        check(imiad_bank_add(get(), values.data(), count_of(values)));
    }
    /* sources: the number of the image that each row came from */
    void add(span<const float> values, span<const std::int64_t> sources)
    {
        const std::int64_t count = count_of(values);
        if (sources.size() != static_cast<std::size_t>(count))
            throw error(IMIAD_MISMATCH, "bank::add: each row needs a source");
        check(imiad_bank_add_from(get(), values.data(), count, sources.data()));
    }
    void merge(const bank &other)
    {
        check(imiad_bank_merge(get(), other.get()));
    }
    /* How many rows of that source went. */
    std::int64_t forget(std::int64_t source = IMIAD_NO_SOURCE)
    {
        std::int64_t removed;
        check(imiad_bank_forget(get(), source, &removed));
        return removed;
    }
    void set_budget(std::uint64_t bytes)
    {
        check(imiad_bank_set_budget(get(), bytes));
    }
    /* The rows of a coreset, in the order of the picks. */
    std::vector<std::int64_t> select(const imiad_coreset_options &how,
                                     const progress &show = {}) const
    {
        const std::int64_t wanted = how.rows ? (how.rows < rows() ? how.rows : rows())
                                             : imiad_coreset_size(rows(), how.ratio);
        std::vector<std::int64_t> out(static_cast<std::size_t>(wanted < 1 ? 1 : wanted));
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        exceptions.finish(imiad_bank_select(out.data(), get(), &how, call.call, &call));
        return out;
    }
    void keep(span<const std::int64_t> kept)
    {
        check(imiad_bank_keep(get(), kept.data(), static_cast<std::int64_t>(kept.size())));
    }
    void recompress(const imiad_recompression &to, const progress &show = {})
    {
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        exceptions.finish(imiad_bank_recompress(get(), &to, call.call, &call));
    }

    /* Fills distances and indices, count x k each; indices may be empty. */
    void search(span<float> distances, span<std::int64_t> indices, span<const float> queries,
                std::int32_t k, const progress &show = {}) const
    {
        const std::int64_t count = outputs_fit(distances, indices, queries, k);
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        exceptions.finish(imiad_bank_search_reporting(
            distances.data(), indices.empty() ? nullptr : indices.data(), get(), queries.data(),
            count, k, call.call, &call));
    }
    /* The same, to the last bit, by a device such as "cuda". */
    void search_on(const std::string &device, span<float> distances, span<std::int64_t> indices,
                   span<const float> queries, std::int32_t k) const
    {
        const std::int64_t count = outputs_fit(distances, indices, queries, k);
        check(imiad_bank_search_on(distances.data(), indices.empty() ? nullptr : indices.data(),
                                   get(), device.c_str(), queries.data(), count, k));
    }

  private:
    bank() = default;
    template <class F> static bank made(F &&make)
    {
        bank one;
        imiad_bank *out = nullptr;
        check(make(&out));
        one.own(out);
        return one;
    }
    template <class T> static span<const T> borrowed(const T *values, std::int64_t count) noexcept
    {
        return {values, values ? static_cast<std::size_t>(count) : 0};
    }
    std::int64_t count_of(span<const float> values) const
    {
        const auto columns = static_cast<std::size_t>(dimension());
        if (values.size() % columns != 0)
            throw error(IMIAD_MISMATCH, "bank: values must be whole rows");
        return static_cast<std::int64_t>(values.size() / columns);
    }
    std::int64_t outputs_fit(span<float> distances, span<std::int64_t> indices,
                             span<const float> queries, std::int32_t k) const
    {
        const std::int64_t count = count_of(queries);
        const std::size_t wanted =
            static_cast<std::size_t>(count) * static_cast<std::size_t>(k < 0 ? 0 : k);
        if (distances.size() != wanted || (!indices.empty() && indices.size() != wanted))
            throw error(IMIAD_MISMATCH, "bank::search: the outputs must hold count x k values");
        return count;
    }
};

/* What an image came to. */
struct result {
    float score = 0;
    int width = 0, height = 0; /* of the map */
    std::vector<float> map;    /* rows first; empty without maps */
};

/* What several images came to; their maps lie one behind the other. */
struct results_of_batch {
    std::vector<float> scores;
    std::vector<std::pair<int, int>> sizes; /* width and height of each map */
    std::vector<float> maps;
    span<const float> map(std::size_t index) const
    {
        std::size_t begin = 0;
        for (std::size_t i = 0; i < index; ++i)
            begin += area(i);
        return {maps.data() + begin, area(index)};
    }

  private:
    std::size_t area(std::size_t i) const
    {
        return static_cast<std::size_t>(sizes[i].first) * static_cast<std::size_t>(sizes[i].second);
    }
};

class detector : public detail::handle<imiad_detector, imiad_detector_free>
{
  public:
    detector(const std::string &name, const backbone &features, const options &given = {})
        : detector(name, features.get(), given)
    {
    }
    /* one that needs no backbone */
    explicit detector(const std::string &name, const options &given = {})
        : detector(name, nullptr, given)
    {
    }
    static detector load(const std::string &path, const std::string &device = "cpu")
    {
        detector made;
        imiad_detector *out = nullptr;
        check(imiad_detector_load(&out, path.c_str(), device.c_str()));
        made.own(out);
        return made;
    }
    void save(const std::string &path) const
    {
        check(imiad_detector_save(get(), path.c_str()));
    }
    detector clone() const
    {
        detector made;
        imiad_detector *out = nullptr;
        check(imiad_detector_clone(&out, get()));
        made.own(out);
        return made;
    }
    std::string name() const
    {
        return imiad_detector_name(get());
    }
    std::optional<std::string> option(const std::string &name) const
    {
        const char *value = imiad_detector_option(get(), name.c_str());
        return value ? std::optional<std::string>(value) : std::nullopt;
    }

    void fit(const split &data, const progress &show = {})
    {
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        exceptions.finish(imiad_detector_fit(get(), data.get(), call.call, &call));
    }
    void fit_more(const split &data, const progress &show = {})
    {
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        exceptions.finish(imiad_detector_fit_more(get(), data.get(), call.call, &call));
    }
    void fit(const std::vector<image_view> &normals, const progress &show = {})
    {
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        const auto pointers = pointers_to(normals);
        exceptions.finish(
            imiad_detector_fit_images(get(), pointers.data(), pointers.size(), call.call, &call));
    }

    /* Takes out of a memory bank what one training image left there; how many rows went. */
    std::int64_t forget(std::int64_t image)
    {
        std::int64_t removed;
        check(imiad_detector_forget(get(), image, &removed));
        return removed;
    }

    /* Fits, and chooses thresholds from images that were not fitted. */
    void fit_calibrated(const split &data, const imiad_calibration_options *how = nullptr,
                        const progress &show = {})
    {
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        exceptions.finish(imiad_detector_fit_calibrated(get(), data.get(), how, call.call, &call));
    }
    /* Chooses thresholds from scores of images that were not fitted. labels: 0 normal, 1 defective;
     * empty: all normal. map_maxima: the largest value of each image's map, or empty. */
    void calibrate(span<const float> scores, span<const std::int32_t> labels = {},
                   span<const float> map_maxima = {}, const std::string &source = "",
                   const imiad_calibration_options *how = nullptr)
    {
        if ((!labels.empty() && labels.size() != scores.size()) ||
            (!map_maxima.empty() && map_maxima.size() != scores.size()))
            throw error(IMIAD_MISMATCH,
                        "calibrate: labels and map maxima need a value for each score");
        check(imiad_detector_calibrate(
            get(), scores.data(), labels.empty() ? nullptr : labels.data(),
            map_maxima.empty() ? nullptr : map_maxima.data(), scores.size(), source.c_str(), how));
    }
    /* Thresholds found elsewhere; their text is copied. */
    void set_calibration(const imiad_calibration &found)
    {
        check(imiad_detector_set_calibration(get(), &found));
    }
    /* Its source is borrowed from the detector. */
    imiad_calibration calibration() const
    {
        imiad_calibration out = IMIAD_CALIBRATION_INIT;
        check(imiad_detector_calibration(&out, get()));
        return out;
    }
    bool verdict(float score, imiad_sensitivity sensitivity = IMIAD_SENSITIVITY_NORMAL) const
    {
        std::int32_t out;
        check(imiad_detector_verdict(&out, get(), score, sensitivity));
        return out != 0;
    }
    double calibrated_score(float score) const
    {
        double out;
        check(imiad_detector_calibrated_score(&out, get(), score));
        return out;
    }

    result score(const image_view &picture)
    {
        imiad_result out = IMIAD_RESULT_INIT;
        check(imiad_detector_score(&out, get(), picture.get()));
        result copy = {out.score, out.width, out.height, {}};
        if (out.map)
            copy.map.assign(out.map, out.map + static_cast<std::size_t>(out.width) *
                                                   static_cast<std::size_t>(out.height));
        return copy;
    }
    results_of_batch score(const std::vector<image_view> &pictures,
                           const imiad_score_options *how = nullptr)
    {
        results_of_batch out;
        std::size_t total = 0;
        for (const image_view &picture : pictures) {
            std::int32_t width, height;
            check(imiad_detector_map_size(&width, &height, get(), picture.width(), picture.height(),
                                          how));
            out.sizes.emplace_back(width, height);
            total += static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
        }
        out.scores.resize(pictures.size());
        out.maps.resize(total);
        const auto pointers = pointers_to(pictures);
        check(imiad_detector_score_batch(out.scores.data(), out.maps.data(), total, get(),
                                         pointers.data(), pointers.size(), how));
        return out;
    }
    image preprocess(const image_view &picture) const
    {
        return image::made([&](imiad_image **out) {
            return imiad_detector_preprocess(out, get(), picture.get());
        });
    }

  private:
    detector() = default;
    detector(const std::string &name, imiad_backbone *features, const options &given)
    {
        const auto packed = detail::pack(given);
        imiad_detector *out = nullptr;
        check(imiad_detector_create(&out, name.c_str(), features, packed.data(), packed.size()));
        own(out);
    }
    static std::vector<const imiad_image *> pointers_to(const std::vector<image_view> &views)
    {
        std::vector<const imiad_image *> out;
        for (const image_view &view : views)
            out.push_back(view.get());
        return out;
    }
};

/* ---- regions ---- */

/* The regions of a map above a threshold; what region() gives borrows its contour. */
class regions : public detail::handle<imiad_regions, imiad_regions_free>
{
  public:
    regions(span<const float> map, int width, int height, double threshold,
            const imiad_regions_options *how = nullptr)
    {
        if (map.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height))
            throw error(IMIAD_MISMATCH, "regions: the map does not have width x height values");
        imiad_regions *out = nullptr;
        check(imiad_regions_find(&out, map.data(), width, height, threshold, how));
        own(out);
    }
    std::size_t size() const noexcept
    {
        return imiad_regions_count(get());
    }
    imiad_region region(std::size_t index) const
    {
        imiad_region out = IMIAD_REGION_INIT;
        check(imiad_regions_get(&out, get(), index));
        return out;
    }
};

/* ---- measuring ---- */

struct f1_max {
    double f1 = 0, threshold = 0;
};

class metrics : public detail::handle<imiad_metrics, imiad_metrics_free>
{
  public:
    explicit metrics(const options &given = {})
    {
        const auto packed = detail::pack(given);
        imiad_metrics *out = nullptr;
        check(imiad_metrics_create(&out, packed.data(), packed.size()));
        own(out);
    }
    void add_image(int label, double score)
    {
        check(imiad_metrics_add_image(get(), label, score));
    }
    /* mask: the ground truth, of the map's size or as the option sizes says; nullptr: good */
    void add_map(span<const float> map, int width, int height, const image_view *mask = nullptr)
    {
        if (map.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height))
            throw error(IMIAD_MISMATCH, "add_map: the map does not have width x height values");
        check(
            imiad_metrics_add_map(get(), map.data(), width, height, mask ? mask->get() : nullptr));
    }
    imiad_metrics_counts counts() const
    {
        imiad_metrics_counts out = IMIAD_METRICS_COUNTS_INIT;
        check(imiad_metrics_count(&out, get()));
        return out;
    }
    double image_auroc() const
    {
        return ask(imiad_metrics_image_auroc);
    }
    double image_ap() const
    {
        return ask(imiad_metrics_image_ap);
    }
    f1_max image_f1max() const
    {
        return ask_f1(imiad_metrics_image_f1max);
    }
    double pixel_auroc() const
    {
        return ask(imiad_metrics_pixel_auroc);
    }
    double pixel_ap() const
    {
        return ask(imiad_metrics_pixel_ap);
    }
    f1_max pixel_f1max() const
    {
        return ask_f1(imiad_metrics_pixel_f1max);
    }
    double aupro(double limit = 0.3) const
    {
        double out;
        check(imiad_metrics_aupro(&out, get(), limit));
        return out;
    }

  private:
    double ask(imiad_status (*function)(double *, const imiad_metrics *)) const
    {
        double out;
        check(function(&out, get()));
        return out;
    }
    f1_max ask_f1(imiad_status (*function)(double *, double *, const imiad_metrics *)) const
    {
        f1_max out;
        check(function(&out.f1, &out.threshold, get()));
        return out;
    }
};

/* Sees every scored test image; all of it is borrowed for the call. */
using scored = std::function<void(const imiad_scored &)>;

/* Scores every test image of the split with a fitted detector and adds it to the metrics. */
inline void evaluate(metrics &into, detector &fitted, const split &data, const scored &see = {},
                     const imiad_evaluation_options *how = nullptr, const progress &show = {})
{
    detail::carrier exceptions;
    detail::progress_call call = {show, exceptions};
    struct scored_call {
        const scored &function;
        detail::carrier &exceptions;
        static imiad_status call(void *user, const imiad_scored *one)
        {
            auto *self = static_cast<scored_call *>(user);
            const bool fine =
                !self->function || self->exceptions.survives([&] { self->function(*one); });
            return fine ? IMIAD_OK : IMIAD_CANCELLED;
        }
    } each = {see, exceptions};
    exceptions.finish(imiad_evaluate(into.get(), fitted.get(), data.get(), how, each.call, &each,
                                     call.call, &call));
}

/* ---- results ---- */

class results : public detail::handle<imiad_results, imiad_results_free>
{
  public:
    explicit results(const std::string &path, bool read_only = false)
    {
        imiad_results *out = nullptr;
        check(read_only ? imiad_results_open_to_read(&out, path.c_str())
                        : imiad_results_open(&out, path.c_str()));
        own(out);
    }
    /* The cell of a split and a detector, whose text they and the store lend it. */
    imiad_cell describe(const split &data, const detector &how, std::uint64_t seed = 0) const
    {
        imiad_cell cell = IMIAD_CELL_INIT;
        check(imiad_results_describe(&cell, get(), data.get(), how.get()));
        cell.seed = seed;
        return cell;
    }
    bool has(const imiad_cell &cell) const
    {
        int out;
        check(imiad_results_has(&out, get(), &cell));
        return out != 0;
    }
    void put(const imiad_cell &cell, const std::vector<std::pair<std::string, double>> &values)
    {
        std::vector<const char *> names;
        std::vector<double> numbers;
        for (const auto &[name, number] : values) {
            names.push_back(name.c_str());
            numbers.push_back(number);
        }
        check(imiad_results_put(get(), &cell, names.data(), numbers.data(), names.size()));
    }
    void write_csv(const std::string &path) const
    {
        check(imiad_results_write_csv(get(), nullptr, path.c_str()));
    }
};

} // namespace imiad

#endif
