/* What every class of the C++ header shares: failures, spans, options, progress. Part of
 * imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_BASE_HPP
#define IMIAD_CPP_BASE_HPP

#include "imiad/imiad.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <locale>
#include <memory>
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
    /* Gives the handle away: somebody else frees it. */
    T *release() noexcept
    {
        return pointer_.release();
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
/* Now, and not with the first call that needs a network. */
inline void torch_load()
{
    check(imiad_torch_load());
}
inline void set_threads(int threads)
{
    check(imiad_set_threads(threads));
}

} // namespace imiad

#endif
