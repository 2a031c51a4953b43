/* The thread's failure: checks before an operation, and exceptions turned into messages. */
#include "bridge/bridge.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>

#include "base/error.h"

namespace
{

/* A message in a buffer that is there already: nothing here allocates. */
struct text {
    char *at;
    size_t left;

    void add(const char *format, ...) __attribute__((format(printf, 2, 3)))
    {
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf(at, left, format, arguments);
        va_end(arguments);
        size_t used = length < 0 ? 0 : static_cast<size_t>(length);
        if (used >= left)
            used = left ? left - 1 : 0;
        at += used;
        left -= used;
    }
};

const char *type_name(const at::Tensor &value)
{
    switch (value.scalar_type()) {
    case at::kFloat:
        return "f32";
    case at::kDouble:
        return "f64";
    case at::kHalf:
        return "f16";
    case at::kBFloat16:
        return "bf16";
    case at::kLong:
        return "i64";
    case at::kInt:
        return "i32";
    case at::kByte:
        return "u8";
    case at::kBool:
        return "bool";
    default:
        return "?";
    }
}

/* "matmul(f32[2,3], f32[4,5])" */
void describe(text *out, const char *name, const operands &given)
{
    out->add("%s(", name);
    for (int i = 0; i < given.count; ++i) {
        const tensor *t = given.list[i];
        out->add("%s", i == 0 ? "" : ", ");
        if (i == 8 && given.count > 9) {
            out->add("... %d more", given.count - i);
            break;
        }
        if (!t || !handle_lives(t) || !t->value.defined()) {
            out->add(t ? "dead" : "NULL");
            continue;
        }
        out->add("%s[", type_name(t->value));
        for (int64_t d = 0; d < t->value.dim(); ++d)
            out->add("%s%lld", d == 0 ? "" : ",", static_cast<long long>(t->value.sizes()[d]));
        out->add("]");
    }
    out->add(")");
}

void record(imiad_status status, const char *name, const operands &given, const char *what)
{
    failure &failed = this_thread().failed;
    if (failed.status != IMIAD_OK)
        return;
    failed.status = status;
    text out = {failed.message, sizeof failed.message};
    describe(&out, name, given);
    size_t length = strlen(what);
    while (length > 0 && what[length - 1] == '\n')
        --length;
    out.add(": %.*s", static_cast<int>(length), what);
}

/* What libtorch says without a type of its own. */
imiad_status status_of(const char *what)
{
    static const struct {
        const char *text;
        imiad_status status;
    } known[] = {
        {"allocate memory", IMIAD_NO_MEMORY},   {"out of memory", IMIAD_NO_MEMORY},
        {"CUDA error", IMIAD_INTERNAL},         {"INTERNAL ASSERT", IMIAD_INTERNAL},
        {"not implemented", IMIAD_UNSUPPORTED}, {"Could not run", IMIAD_UNSUPPORTED},
    };
    for (const auto &entry : known)
        if (strstr(what, entry.text))
            return entry.status;
    return IMIAD_MISMATCH;
}

} // namespace

void refuse(imiad_status status, const char *format, ...)
{
    refusal refused;
    refused.status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refused.message, sizeof refused.message, format, arguments);
    va_end(arguments);
    throw refused;
}

bool may_run(const char *name, const operands &given) noexcept
{
    thread_state &thread = this_thread();
    if (thread.failed.status != IMIAD_OK)
        return false;
    const char *wrong = nullptr;
    if (thread.depth == 0)
        wrong = "no scope is open";
    if (given.count > 0 && !given.list)
        wrong = "no operands";
    for (int i = 0; !wrong && i < given.count; ++i) {
        if (!given.list[i] && i < given.required)
            wrong = "an operand is NULL";
        else if (given.list[i] && !handle_lives(given.list[i]))
            wrong = "the scope of an operand has ended";
    }
    if (wrong)
        record(IMIAD_INTERNAL, name, given, wrong);
    return !wrong;
}

void record_caught(const char *name, const operands &given) noexcept
{
    try {
        throw;
    } catch (const refusal &e) {
        record(e.status, name, given, e.message);
    } catch (const c10::OutOfMemoryError &e) {
        record(IMIAD_NO_MEMORY, name, given, e.what_without_backtrace());
    } catch (const c10::LinAlgError &e) {
        record(IMIAD_UNDEFINED, name, given, e.what_without_backtrace());
    } catch (const c10::NotImplementedError &e) {
        record(IMIAD_UNSUPPORTED, name, given, e.what_without_backtrace());
    } catch (const c10::Error &e) {
        record(status_of(e.what_without_backtrace()), name, given, e.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        record(IMIAD_NO_MEMORY, name, given, "out of memory");
    } catch (const std::runtime_error &e) { /* so some of libtorch's own checks */
        record(status_of(e.what()), name, given, e.what());
    } catch (const std::exception &e) {
        record(IMIAD_INTERNAL, name, given, e.what());
    } catch (...) {
        record(IMIAD_INTERNAL, name, given, "an exception of unknown type");
    }
}

imiad_status t_status(void)
{
    const failure &failed = this_thread().failed;
    if (failed.status != IMIAD_OK)
        fail(failed.status, "%s", failed.message);
    return failed.status;
}

bool t_failed(void)
{
    return this_thread().failed.status != IMIAD_OK;
}

tensor *t_fail_with(imiad_status status, const char *message)
{
    failure &failed = this_thread().failed;
    if (failed.status == IMIAD_OK) {
        snprintf(failed.message, sizeof failed.message, "%s", message);
        failed.status = status == IMIAD_OK ? IMIAD_INTERNAL : status;
    }
    return nullptr;
}

bool t_try(imiad_status status)
{
    if (status != IMIAD_OK)
        t_fail_with(status, imiad_last_error());
    return !t_failed();
}
