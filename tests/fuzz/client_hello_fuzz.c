/* ClientHellos: nothing is decided on fewer bytes that more bytes would change, and a name is one.
 */
#include "base/check.h"
#include "proxy/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_hello whole_hello = {.name = ""}, hello;
    struct slice bytes = {(const char *)data, size};
    enum client_hello_result whole = client_hello_parse(bytes, &whole_hello);

    if (whole == CLIENT_HELLO_DONE)
        check(memchr(whole_hello.name, 0, sizeof(whole_hello.name)) != NULL);
    for (size_t step = 1 + size / 16, i = 0; i < size; i += step) {
        enum client_hello_result result = client_hello_parse((struct slice){bytes.data, i}, &hello);
        check(result == CLIENT_HELLO_MORE || result == whole);
        if (result == CLIENT_HELLO_DONE)
            check(strcmp(hello.name, whole_hello.name) == 0);
    }
    return 0;
}
