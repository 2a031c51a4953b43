/* What scores and maps come to: regions, metrics, evaluations, the result store. Part of
 * imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_MEASURE_HPP
#define IMIAD_CPP_MEASURE_HPP

#include "imiad/cpp/detector.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace imiad
{

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
    void put_failure(const imiad_cell &cell, const std::string &message)
    {
        check(imiad_results_put_failure(get(), &cell, message.c_str()));
    }
    /* Shows the cells that failed; what is shown is borrowed for the call. */
    using failed = std::function<void(const imiad_failed &)>;
    void failures(const failed &see, const imiad_results_filter *filter = nullptr) const
    {
        detail::carrier exceptions;
        struct failed_call {
            const failed &function;
            detail::carrier &exceptions;
            static imiad_status call(void *user, const imiad_failed *one)
            {
                auto *self = static_cast<failed_call *>(user);
                return self->exceptions.survives([&] { self->function(*one); }) ? IMIAD_OK
                                                                                : IMIAD_CANCELLED;
            }
        } each = {see, exceptions};
        exceptions.finish(imiad_results_each_failure(get(), filter, each.call, &each));
    }
    /* Adds other stores, all of them or none; an error at a conflict where nobody looks. */
    using conflict = std::function<void(const imiad_finished &kept, const imiad_finished &brought,
                                        const std::string &path, const std::string &name)>;
    void merge(const std::vector<std::string> &paths, const conflict &see = {})
    {
        std::vector<const char *> names;
        for (const auto &path : paths)
            names.push_back(path.c_str());
        detail::carrier exceptions;
        struct conflict_call {
            const conflict &function;
            detail::carrier &exceptions;
            static imiad_status call(void *user, const imiad_finished *kept,
                                     const imiad_finished *brought, const char *path,
                                     const char *name)
            {
                auto *self = static_cast<conflict_call *>(user);
                const bool fine =
                    self->exceptions.survives([&] { self->function(*kept, *brought, path, name); });
                return fine ? IMIAD_OK : IMIAD_CANCELLED;
            }
        } each = {see, exceptions};
        exceptions.finish(imiad_results_merge(get(), names.data(), names.size(),
                                              see ? each.call : nullptr, &each));
    }
    void write_csv(const std::string &path) const
    {
        check(imiad_results_write_csv(get(), nullptr, path.c_str()));
    }
    void write_report(const std::string &path,
                      imiad_report_options how = IMIAD_REPORT_OPTIONS_INIT) const
    {
        check(imiad_report_write(get(), &how, path.c_str()));
    }
};

} // namespace imiad

#endif
