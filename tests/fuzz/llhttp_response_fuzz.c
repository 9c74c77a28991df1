/* Responses: what Sluice takes, llhttp in strict mode takes, with the same framing. Each input is
 * read as a response to a GET and as one to a HEAD. */
#include "reading.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message = {.data = (const char *)data, .length = size, .response = true};

    compare_readings(&message);
    message.to_head = true;
    compare_readings(&message);
    return 0;
}
