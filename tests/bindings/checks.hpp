/* What the C++ tests share. */
#ifndef CHECKS_HPP
#define CHECKS_HPP

#include <imiad/imiad.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

inline int passed, failed;

inline void holds(bool condition, const char *statement)
{
    condition ? ++passed : ++failed;
    if (!condition)
        std::printf("FAILED: %s\n", statement);
}

/* The status of what the work throws, and its message; IMIAD_OK where it throws nothing. */
template <class F> imiad_status thrown(F &&work, std::string *message = nullptr)
{
    try {
        work();
    } catch (const imiad::error &problem) {
        if (message)
            *message = problem.what();
        return problem.status();
    }
    return IMIAD_OK;
}

#endif
