/* Datasets written in C++, which then go through every protocol; docs/plugins.md. Part of
 * imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_DATASET_PLUGIN_HPP
#define IMIAD_CPP_DATASET_PLUGIN_HPP

#include "imiad/cpp/data.hpp"
#include "imiad/cpp/plugin.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

namespace imiad
{

/* One image that a dataset plug-in lists. */
struct listed {
    std::string path; /* unique in the dataset; below the root where images are files */
    std::string category;
    int label = 0; /* 1 defective */
    imiad_subset subset = IMIAD_SUBSET_TRAIN;
    std::string kind = {};      /* empty: "good" or "defect" */
    bool has_mask = false;      /* read_mask gives this defective image's ground truth */
    std::string mask_path = {}; /* of a defective image's mask file below the root */
    std::uint64_t key = 0;      /* handed back to read_image and read_mask */
};

/* A dataset while it is being listed. */
class listing
{
  public:
    explicit listing(imiad_listing *into) noexcept : into_(into)
    {
    }
    void add(const listed &one)
    {
        imiad_listed_sample s = IMIAD_LISTED_SAMPLE_INIT;
        s.subset = one.subset;
        s.category = one.category.c_str();
        s.label = one.label;
        s.kind = one.kind.empty() ? nullptr : one.kind.c_str();
        s.path = one.path.c_str();
        s.mask_path = one.mask_path.empty() ? nullptr : one.mask_path.c_str();
        s.has_mask = one.has_mask;
        s.key = one.key;
        check(imiad_listing_add(into_, &s));
    }

  private:
    imiad_listing *into_;
};

/* integer("size"), and the folder that the dataset was opened with. get(): the C handle. */
class dataset_settings : public detail::settings<imiad_dataset, imiad_dataset_option>
{
  public:
    using settings::settings;
    std::string root() const
    {
        return detail::text(imiad_dataset_root(get()));
    }
};

/* The base of datasets written in C++. What it throws becomes the failure of the library's call. */
class dataset_plugin
{
  public:
    dataset_plugin() = default;
    dataset_plugin(const dataset_plugin &) = delete;
    dataset_plugin &operator=(const dataset_plugin &) = delete;
    virtual ~dataset_plugin() = default;

    /* Adds every image, in any order; called once for each time that it is opened. */
    virtual void list(listing &into, const dataset_settings &of) const = 0;
    /* Override it where images are no files below the root: the same image for every call with the
     * sample. Called by several threads at once, as is read_mask. */
    virtual image read_image(const imiad_sample &, std::uint64_t, const dataset_settings &) const
    {
        throw error(IMIAD_NOT_FOUND, "this dataset has no function read_image");
    }
    /* Override it where samples have has_mask: GRAY8, of the image's size. */
    virtual image read_mask(const imiad_sample &, std::uint64_t, const dataset_settings &) const
    {
        throw error(IMIAD_NOT_FOUND, "this dataset has no function read_mask");
    }
};

namespace detail
{

template <class T> struct dataset_calls {
    static const T &object(void *user)
    {
        return *static_cast<const T *>(user);
    }
    static imiad_status list(void *user, imiad_listing *into, const imiad_dataset *dataset)
    {
        listing samples(into);
        return as_status([&] { object(user).list(samples, dataset_settings(dataset)); });
    }
    static imiad_status read_image(void *user, imiad_image **out, const imiad_dataset *dataset,
                                   const imiad_sample *sample, std::uint64_t key)
    {
        return as_status([&] {
            *out = object(user).read_image(*sample, key, dataset_settings(dataset)).release();
        });
    }
    static imiad_status read_mask(void *user, imiad_image **out, const imiad_dataset *dataset,
                                  const imiad_sample *sample, std::uint64_t key)
    {
        return as_status([&] {
            *out = object(user).read_mask(*sample, key, dataset_settings(dataset)).release();
        });
    }
    static void release(void *user)
    {
        delete static_cast<T *>(user);
    }
    static described<imiad_dataset_functions> functions(const plugin_info &info, T *object,
                                                        bool needs_root)
    {
        static_assert(std::is_base_of_v<dataset_plugin, T>, "derive it from imiad::dataset_plugin");
        described<imiad_dataset_functions> all(IMIAD_DATASET_FUNCTIONS_INIT, info);
        imiad_dataset_functions &f = all.functions;
        f.needs_root = needs_root;
        f.user = object;
        f.list = list;
        if constexpr (!std::is_same_v<decltype(&T::read_image),
                                      decltype(&dataset_plugin::read_image)>)
            f.read_image = read_image;
        if constexpr (!std::is_same_v<decltype(&T::read_mask),
                                      decltype(&dataset_plugin::read_mask)>)
            f.read_mask = read_mask;
        return all;
    }
};

} // namespace detail

/* Makes the name one that imiad::dataset takes, for the life of the process, and the object with
 * it. needs_root: whether it is opened with a folder. */
template <class T>
void register_dataset(const plugin_info &info, std::unique_ptr<T> object, bool needs_root = false)
{
    const auto all = detail::dataset_calls<T>::functions(info, object.get(), needs_root);
    check(imiad_dataset_register(&all.functions));
    (void)object.release(); /* the registry's, for good */
}

/* Opens a dataset of such an object without making its name known. The object goes with the last
 * dataset or split that uses it. */
template <class T>
dataset open_dataset(const plugin_info &info, std::unique_ptr<T> object,
                     const std::string &root = "", const options &given = {})
{
    using calls = detail::dataset_calls<T>;
    auto all = calls::functions(info, object.get(), !root.empty());
    all.functions.release = calls::release;
    const auto packed = detail::pack(given);
    imiad_dataset *out = nullptr;
    (void)object.release(); /* the library's, also where opening fails */
    check(imiad_dataset_open_functions(&out, &all.functions, root.c_str(), packed.data(),
                                       packed.size()));
    return dataset(out);
}

} // namespace imiad

#endif
