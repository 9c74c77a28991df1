/* PROXY headers: whole and in pieces come to the same; what is told can be written and read back.
 */
#include "base/check.h"
#include "proxy/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(enum config_proxy_protocol version, const struct proxy_protocol *told)
{
    char buffer[PROXY_PROTOCOL_OUT_BYTES_MAX];
    struct proxy_protocol again;
    size_t length = 0;
    size_t written = proxy_protocol_write(buffer, version, &told->source, &told->destination);

    check(written <= sizeof(buffer));
    check(proxy_protocol_parse((struct slice){buffer, written}, &again, &length) ==
          PROXY_PROTOCOL_DONE);
    check(length == written && again.told);
    check(address_equals(&again.source, &told->source));
    check(address_equals(&again.destination, &told->destination));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};
    struct proxy_protocol told = {.told = false}, piece;
    size_t length = 0, ignored = 0;
    enum proxy_protocol_result whole = proxy_protocol_parse(bytes, &told, &length);

    if (whole == PROXY_PROTOCOL_DONE)
        check(length > 0 && length <= size && length <= PROXY_PROTOCOL_BYTES_MAX);
    if (whole == PROXY_PROTOCOL_DONE && told.told) {
        check_written(SEND_PROXY_PROTOCOL_V1, &told);
        check_written(SEND_PROXY_PROTOCOL_V2, &told);
    }
    for (size_t step = 1 + size / 64, i = 0; i < size; i += step) {
        enum proxy_protocol_result result =
            proxy_protocol_parse((struct slice){bytes.data, i}, &piece, &ignored);
        check(result == PROXY_PROTOCOL_MORE || result == whole);
        if (whole == PROXY_PROTOCOL_DONE)
            check((result == PROXY_PROTOCOL_DONE) == (i >= length));
    }
    return 0;
}
