/* Backbones and detectors. Part of imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_DETECTOR_HPP
#define IMIAD_CPP_DETECTOR_HPP

#include "imiad/cpp/data.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace imiad
{

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

    /* The default weights, with the architecture that they are for. */
    static backbone with_default_weights(const std::string &device = "cpu",
                                         const std::string &precision = "float32")
    {
        imiad_backbone_options o = IMIAD_BACKBONE_OPTIONS_INIT;
        o.default_weights = 1;
        o.device = device.c_str();
        o.precision = precision.c_str();
        imiad_backbone *out = nullptr;
        check(imiad_backbone_create(&out, nullptr, &o));
        return backbone(out);
    }

  private:
    explicit backbone(imiad_backbone *made)
    {
        own(made);
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

/* An image to learn from, with what is known of it; borrowed during the call. */
struct labelled_image {
    image_view image;
    int label = 0;                       /* 1 defective */
    std::optional<image_view> mask = {}; /* one byte a pixel, above zero is defective */
    int category = 0;                    /* 0: the one to be inspected; another number: a
                                          * good image of another one */
};

class detector : public detail::handle<imiad_detector, imiad_detector_free>
{
  public:
    /* a template, so that a list of options in braces is never taken for a backbone */
    template <class B, class = std::enable_if_t<std::is_same_v<B, backbone>>>
    detector(const std::string &name, const B &features, const options &given = {})
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

    /* From labelled images, whose masks may be missing; a detector sees what it takes. */
    void fit_labelled(const std::vector<labelled_image> &images, const progress &show = {})
    {
        detail::carrier exceptions;
        detail::progress_call call = {show, exceptions};
        std::vector<imiad_labelled_image> list;
        for (const labelled_image &one : images)
            list.push_back({sizeof(imiad_labelled_image), one.label, one.image.get(),
                            one.mask ? one.mask->get() : nullptr, one.category});
        exceptions.finish(
            imiad_detector_fit_labelled(get(), list.data(), list.size(), call.call, &call));
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

} // namespace imiad

#endif
