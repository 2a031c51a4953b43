/* The identity of a bank's content: imiad_bank_digest. */
#include <sha2.h>

#include "bank/bank.h"
#include "base/error.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the digest is of little-endian numbers");

void bank_digest(char out[65], const imiad_bank *bank)
{
    static const char name[] = "imiad bank\n";
    bool sources = bank_has_sources(bank);
    const int64_t head[] = {(int64_t)bank->storage, bank->dimension, bank->rows, sources};
    const point_set points = bank_points(bank);
    SHA2_CTX hash;
    SHA256Init(&hash);
    SHA256Update(&hash, (const uint8_t *)name, sizeof name - 1);
    SHA256Update(&hash, (const uint8_t *)head, sizeof head);
    if (bank->rows > 0)
        SHA256Update(&hash, bank->data, points.count * point_bytes(&points));
    if (sources)
        SHA256Update(&hash, (const uint8_t *)bank->sources, points.count * sizeof *bank->sources);
    SHA256End(&hash, out);
}

imiad_status imiad_bank_digest(char out[65], const imiad_bank *bank)
{
    if (!out || !bank)
        return fail(IMIAD_INVALID_ARGUMENT, "the digest of a bank: %s is NULL",
                    out ? "bank" : "out");
    bank_digest(out, bank);
    return IMIAD_OK;
}
