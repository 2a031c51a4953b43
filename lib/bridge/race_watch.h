/* libtorch is not built for ThreadSanitizer (tests/races.sh): in a build for it, what every
 * operation reads of its operands is told to it here, and what it wrote to them, by the version
 * that libtorch counts for each tensor. In other builds there is nothing. */
#ifndef BRIDGE_RACE_WATCH_H
#define BRIDGE_RACE_WATCH_H

#include <vector>

#include "bridge/torch_compat.h"

#if defined(__SANITIZE_THREAD__)
#define BRIDGE_WATCHES_RACES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BRIDGE_WATCHES_RACES 1
#endif
#endif

#ifdef BRIDGE_WATCHES_RACES
extern "C" void __tsan_read_range(void *begin, unsigned long size);
extern "C" void __tsan_write_range(void *begin, unsigned long size);

class race_watch
{
  public:
    /* The operands of an operation that is about to run; NULL where one is left out. */
    template <typename Tensor> race_watch(const Tensor *const *operands, int count)
    {
        for (int i = 0; i < count; ++i) {
            if (!operands[i] || !in_memory(operands[i]->value))
                continue;
            watched_.push_back({operands[i]->value, version(operands[i]->value)});
            tell(operands[i]->value, __tsan_read_range);
        }
    }
    ~race_watch()
    {
        for (const watched &one : watched_)
            if (version(one.value) != one.version)
                tell(one.value, __tsan_write_range);
    }
    race_watch(const race_watch &) = delete;
    race_watch &operator=(const race_watch &) = delete;

  private:
    struct watched {
        at::Tensor value;
        int64_t version;
    };
    static bool in_memory(const at::Tensor &t)
    {
        return t.defined() && t.device().is_cpu() && t.has_storage() && t.numel() > 0;
    }
    static int64_t version(const at::Tensor &t)
    {
        return t.is_inference() ? 0 : t._version();
    }
    /* From its first to its last element. */
    static void tell(const at::Tensor &t, void (*what)(void *, unsigned long))
    {
        int64_t last = 0;
        for (int64_t i = 0; i < t.dim(); ++i)
            last += (t.size(i) - 1) * t.stride(i);
        what(t.data_ptr(), static_cast<unsigned long>(last + 1) * t.element_size());
    }
    std::vector<watched> watched_;
};
#else
class race_watch
{
  public:
    template <typename Tensor> race_watch(const Tensor *const *, int)
    {
    }
};
#endif

#endif
