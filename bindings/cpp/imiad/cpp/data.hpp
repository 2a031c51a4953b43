/* Datasets and splits. Part of imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_DATA_HPP
#define IMIAD_CPP_DATA_HPP

#include "imiad/cpp/image.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace imiad
{

class dataset : public detail::handle<imiad_dataset, imiad_dataset_free>
{
  public:
    explicit dataset(imiad_dataset *taken) : handle(taken)
    {
    }
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
    /* As detectors are shown it: GRAY16 where a grey image has more than 8 bits. */
    image read_deep_image(std::size_t index) const
    {
        return image::made(
            [&](imiad_image **out) { return imiad_dataset_read_deep_image(out, get(), index); });
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

} // namespace imiad

#endif
