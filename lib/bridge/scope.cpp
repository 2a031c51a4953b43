/* Scopes, handles and the thread's state. */
#include "bridge/bridge.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>

#include <dlfcn.h>
#include <unistd.h>

#include "base/error.h"

namespace
{

enum : uint32_t { ALIVE = 0x7e4507a1, DEAD = 0x0dead0d0 };

std::atomic<size_t> live{0};

/* libtorch's warnings go to the library's log instead of the standard error stream. */
class library_log : public compat::warning_log
{
  public:
    void log(const char *message) override
    {
        log_message(IMIAD_LOG_WARNING, "libtorch: %s", message);
    }
};

library_log warnings_to_log;

/* A dead handle's memory is given back at once; a debug build holds it for a while, so that a use
 * after the scope's end is told instead of crashing. */
void bury(tensor *t)
{
#ifdef NDEBUG
    delete t;
#else
    static std::mutex &lock = *new std::mutex; /* both outlive every thread's last scope */
    static std::deque<tensor *> &graves = *new std::deque<tensor *>;
    t->value.reset();
    t->sign = DEAD;
    std::lock_guard<std::mutex> hold(lock);
    graves.push_back(t);
    if (graves.size() > 16384) {
        delete graves.front();
        graves.pop_front();
    }
#endif
    live.fetch_sub(1, std::memory_order_relaxed);
}

void unwind(thread_state &thread, size_t mark)
{
    while (thread.stack.size() > mark) {
        tensor *t = thread.stack.back();
        thread.stack.pop_back();
        if (t)
            bury(t);
    }
}

/* OpenMP may have been told to start fewer (OMP_THREAD_LIMIT). oneDNN would wait for ever for those
 * that it was promised and that are not there. */
int threads_to_have()
{
    static const auto limit =
        reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_thread_limit"));
    int wanted = imiad_threads();
    return limit ? std::min(wanted, limit()) : wanted;
}

/* libtorch keeps its number of threads per calling thread. */
void apply_threads(thread_state &thread)
{
    int threads = threads_to_have();
    if (threads != thread.threads) {
        at::set_num_threads(threads);
        thread.threads = threads;
        if (threads > 1)
            let_idle_threads_sleep();
    }
}

/* A child of fork has none of the threads that its parent started, and libtorch would wait for them
 * for ever. On one thread it starts none and needs none. */
void refuse_after_fork()
{
    static std::atomic<pid_t> starter{0};
    pid_t nobody = 0, me = getpid();
    if (imiad_threads() == 1 || starter.compare_exchange_strong(nobody, me) || nobody == me)
        return;
    t_fail_with(IMIAD_WRONG_STATE,
                "this process was forked from one that had used a detector, whose threads "
                "it lacks: start it anew (spawn), fork before the first use, or set the "
                "threads to 1 (imiad_set_threads)");
}

scope open_scope(bool grad) noexcept
{
    thread_state &thread = this_thread();
    scope opened = {thread.stack.size(), ++thread.depth, grad, at::GradMode::is_enabled()};
    if (thread.depth == 1) {
        thread.outer_warnings = compat::warnings::get_warning_handler();
        compat::warnings::set_warning_handler(&warnings_to_log);
    }
    if (thread.depth == 1)
        refuse_after_fork();
    apply_threads(thread);
    at::GradMode::set_enabled(grad);
    return opened;
}

/* False where this scope is not open: ended twice, or an outer one has ended before it. */
bool close_scope(scope *s)
{
    thread_state &thread = this_thread();
    if (s->depth == 0 || s->depth > thread.depth) {
        t_fail_with(IMIAD_INTERNAL,
                    "a scope ends that is not open: it ended before, or an outer one");
        return false;
    }
    unwind(thread, s->mark); /* with the scopes inside that an early return left open */
    thread.depth = s->depth - 1;
    if (thread.depth == 0)
        compat::warnings::set_warning_handler(thread.outer_warnings);
    at::GradMode::set_enabled(s->outer_grad);
    s->depth = 0;
    return true;
}

} // namespace

thread_state::~thread_state()
{
    unwind(*this, 0);
}

thread_state &this_thread()
{
    static thread_local thread_state state;
    return state;
}

bool handle_lives(const tensor *t) noexcept
{
#ifdef NDEBUG
    return t != nullptr;
#else
    return t->sign == ALIVE;
#endif
}

tensor *give(at::Tensor &&value)
{
    thread_state &thread = this_thread();
    thread.stack.push_back(nullptr); /* first: it may throw */
    tensor *t;
    try {
        t = new tensor{std::move(value), &thread, thread.stack.size() - 1, ALIVE};
    } catch (...) {
        thread.stack.pop_back();
        throw;
    }
    thread.stack.back() = t;
    live.fetch_add(1, std::memory_order_relaxed);
    return t;
}

scope scope_begin(void)
{
    return open_scope(false);
}

scope scope_begin_grad(void)
{
    return open_scope(true);
}

imiad_status scope_end(scope *s)
{
    close_scope(s);
    imiad_status status = t_status();
    this_thread().failed.status = IMIAD_OK;
    return status;
}

tensor *scope_return(scope *s, tensor *t)
{
    thread_state &thread = this_thread();
    if (t && may_run("scope_return", {t}) && t->owner && t->owner != &thread)
        t = t_fail_with(IMIAD_INTERNAL,
                        "scope_return: the tensor belongs to another thread's scope");
    bool moves = t && !t_failed() && t->owner && t->position >= s->mark && s->depth > 0;
    if (moves)
        thread.stack[t->position] = nullptr;
    if (!close_scope(s) && moves)
        thread.stack[t->position] = t;
    else if (moves && thread.depth == 0) {
        bury(t);
        t = t_fail_with(IMIAD_INTERNAL, "scope_return: no enclosing scope is open");
    } else if (moves) {
        t->position = s->mark;
        thread.stack.push_back(t); /* does not allocate: unwinding left room, or t's own place */
    }
    return t_failed() ? nullptr : t;
}

tensor *t_keep(tensor *t)
{
    if (!may_run("keep", {t}))
        return nullptr;
    thread_state &thread = this_thread();
    if (t->owner != &thread)
        return t_fail_with(IMIAD_INTERNAL,
                           t->owner ? "keep: the tensor belongs to another thread's scope"
                                    : "keep: the tensor is kept already");
    thread.stack[t->position] = nullptr;
    t->owner = nullptr;
    return t;
}

void t_become_(tensor *kept, tensor *value)
{
    action("become_", {kept, value}, [&] {
        bool wanted = kept->value.requires_grad();
        at::Tensor leaf = value->value.detach();
        kept->value = leaf.requires_grad_(wanted);
    });
}

void t_free(tensor *t)
{
    if (!t)
        return;
    if (!handle_lives(t))
        t_fail_with(IMIAD_INTERNAL, "free: the tensor was freed before, or its scope has ended");
    else if (t->owner)
        t_fail_with(IMIAD_INTERNAL, "free: the tensor belongs to a scope");
    else
        bury(t);
}

size_t t_live(void)
{
    return live.load(std::memory_order_relaxed);
}
