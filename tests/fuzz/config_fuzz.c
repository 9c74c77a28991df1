/* Any bytes as a config file: no crash, and what is read is a fixed point of the canonical form. */
#include "base/check.h"
#include "config/config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses a buffer of its own where a document breaks off behind a quoted scalar,
 * once per broken document. What we leak ourselves the unit tests show under sanitizers too. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errors;
    struct config *config = NULL;

    if (config_read_text("fuzz", (const char *)data, size, NULL, &errors, &config) < 0) {
        check(errors.count > 0 && errors.text != NULL);
        config_errors_done(&errors);
        return 0;
    }
    char *json = config_to_json(config);
    config_free(config);
    check(config_read_text("again", json, strlen(json), NULL, &errors, &config) == 0);
    char *again = config_to_json(config);
    check(strcmp(json, again) == 0);
    config_free(config);
    free(json);
    free(again);
    return 0;
}
