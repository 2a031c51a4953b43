/* Memory banks. Part of imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_BANK_HPP
#define IMIAD_CPP_BANK_HPP

#include "imiad/cpp/base.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace imiad
{

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
    friend class bank_stream;
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

/* Rows that are never all in memory, and banks of bounded size from them. For one thread at a time.
 */
class bank_stream : public detail::handle<imiad_bank_stream, imiad_bank_stream_free>
{
  public:
    explicit bank_stream(std::int64_t dimension,
                         const imiad_bank_stream_options &how = IMIAD_BANK_STREAM_OPTIONS_INIT)
        : columns(dimension)
    {
        imiad_bank_stream *out = nullptr;
        check(imiad_bank_stream_create(&out, dimension, &how));
        own(out);
    }
    /* Most bytes that a stream of so many rows takes, with a bank that is made from it. */
    static std::uint64_t
    estimate(std::int64_t rows, std::int64_t dimension,
             const imiad_bank_stream_options &how = IMIAD_BANK_STREAM_OPTIONS_INIT)
    {
        std::uint64_t out;
        check(imiad_bank_stream_estimate(&out, rows, dimension, &how));
        return out;
    }

    /* How many rows were added so far. */
    std::int64_t rows() const noexcept
    {
        return imiad_bank_stream_rows(get());
    }
    /* count x dimension floats; sources: one for each row, or none at all */
    void add(span<const float> values, span<const std::int64_t> sources = {})
    {
        const std::size_t count = values.size() / static_cast<std::size_t>(columns);
        if (values.size() % static_cast<std::size_t>(columns) != 0 ||
            (!sources.empty() && sources.size() != count))
            throw error(IMIAD_MISMATCH, "bank_stream: values must be whole rows, of one source "
                                        "each where there are some");
        check(imiad_bank_stream_add(get(), values.data(), static_cast<std::int64_t>(count),
                                    sources.empty() ? nullptr : sources.data()));
    }
    /* Of what was added so far; the stream goes on as if nothing had happened. */
    imiad::bank make_bank() const
    {
        return imiad::bank::made(
            [&](imiad_bank **out) { return imiad_bank_stream_bank(out, get()); });
    }

  private:
    std::int64_t columns;
};

} // namespace imiad

#endif
