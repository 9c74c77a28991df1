/* Requests: what Sluice takes, llhttp in strict mode takes, with the same framing. */
#include "reading.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message = {.data = (const char *)data, .length = size};

    compare_readings(&message);
    return 0;
}
