/* What detectors and datasets written in C++ share: options, failures, files to load. Part of
 * imiad/imiad.hpp, which is the one to include. */
#ifndef IMIAD_CPP_PLUGIN_HPP
#define IMIAD_CPP_PLUGIN_HPP

#include "imiad/cpp/base.hpp"

#include <cstdint>
#include <exception>
#include <locale>
#include <new>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace imiad
{

/* Runs code for the library to call: an exception becomes a status and a message. imiad::error
 * keeps its own, std::bad_alloc is IMIAD_NO_MEMORY, any other IMIAD_INVALID_ARGUMENT. */
template <class F> imiad_status as_status(F &&work) noexcept
{
    try {
        work();
        return IMIAD_OK;
    } catch (const error &problem) {
        return imiad_fail(problem.status(), problem.what());
    } catch (const std::bad_alloc &) {
        return imiad_fail(IMIAD_NO_MEMORY, "out of memory");
    } catch (const std::exception &problem) {
        return imiad_fail(IMIAD_INVALID_ARGUMENT, problem.what());
    } catch (...) {
        return imiad_fail(IMIAD_INVALID_ARGUMENT, "an exception that is no std::exception");
    }
}

/* One option of a plug-in: {IMIAD_OPTION_REAL, "epsilon", "0.01", "0<..", "added to variances"}.
 * Ranges: imiad_option_type. */
struct option_line {
    imiad_option_type type = IMIAD_OPTION_TEXT;
    std::string name, default_value, range, help;
};

struct plugin_info {
    std::string name;                      /* letters, digits and underscores */
    std::string title = {};                /* one line for people */
    std::vector<option_line> options = {}; /* beside those of every detector or dataset */
};

namespace detail
{

/* Borrows the lines, which the library copies. */
inline std::vector<imiad_option_info> schema(const std::vector<option_line> &lines)
{
    std::vector<imiad_option_info> out;
    for (const option_line &line : lines)
        out.push_back({sizeof(imiad_option_info), line.type, line.name.c_str(),
                       line.default_value.c_str(), line.range.c_str(), line.help.c_str()});
    return out;
}

/* The structure of functions, and what of it is borrowed until it is handed over. */
template <class Functions> struct described {
    std::vector<imiad_option_info> options;
    Functions functions;
    described(const Functions &empty, const plugin_info &info)
        : options(schema(info.options)), functions(empty)
    {
        functions.name = info.name.c_str();
        functions.title = info.title.empty() ? nullptr : info.title.c_str();
        functions.options = options.data();
        functions.option_count = options.size();
    }
    described(described &&) = default; /* moving keeps the options' place */
};

/* Options of a handle as values: the library has checked type and range already. A name that is
 * none of the options is IMIAD_UNKNOWN_OPTION. */
template <class Handle, const char *(*Option)(const Handle *, const char *)> class settings
{
  public:
    explicit settings(const Handle *of) noexcept : of_(of)
    {
    }
    const Handle *get() const noexcept
    {
        return of_;
    }
    std::string text(const std::string &name) const
    {
        const char *value = Option(of_, name.c_str());
        if (!value)
            throw error(IMIAD_UNKNOWN_OPTION, "there is no option \"" + name + "\"");
        return value;
    }
    std::int64_t integer(const std::string &name) const
    {
        return number<std::int64_t>(name);
    }
    double real(const std::string &name) const
    {
        return number<double>(name);
    }
    bool flag(const std::string &name) const
    {
        return text(name) == "true";
    }

  private:
    template <class T> T number(const std::string &name) const
    {
        std::istringstream words(text(name));
        words.imbue(std::locale::classic());
        T out{};
        if (!(words >> out))
            throw error(IMIAD_INVALID_ARGUMENT, "the option \"" + name + "\" is no number");
        return out;
    }
    const Handle *of_;
};

} // namespace detail

/* Loads a plug-in in a shared object, which runs its code in this process. */
inline void load_plugin(const std::string &path)
{
    check(imiad_plugin_load(path.c_str()));
}

} // namespace imiad

#endif
