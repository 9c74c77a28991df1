/* check: reads a config and says what is wrong with it. */
#include "check_config.h"

#include "check_files.h"
#include "command.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cJSON *errors_to_json(const struct config_errors *errors)
{
    struct cJSON *array = cJSON_CreateArray();
    const char *at = errors->text != NULL ? errors->text : "";
    while (*at != '\0') {
        size_t length = strcspn(at, "\n");
        char line[1024];
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        cJSON_AddItemToArray(array, cJSON_CreateString(line));
        at += length + (at[length] == '\n');
    }
    return array;
}

/* Takes `errors` over. */
static void print_errors(struct cJSON *errors)
{
    struct cJSON *answer = cJSON_CreateObject();

    cJSON_AddBoolToObject(answer, "ok", 0);
    cJSON_AddItemToObject(answer, "errors", errors);
    json_print(answer);
    cJSON_Delete(answer);
}

enum exit_code check_config(const char *path, const struct config_overrides *overrides, bool json,
                            struct config **ret_config)
{
    struct config_errors errors = {0};
    enum exit_code code = DONE;
    if (config_read_file(path, overrides, &errors, ret_config) < 0) {
        code = USAGE;
        fputs(errors.text != NULL ? errors.text : "", stderr);
        if (json)
            print_errors(errors_to_json(&errors));
        complain(USAGE, "%s has %zu error%s", path, errors.count, errors.count == 1 ? "" : "s");
    }
    config_errors_done(&errors);
    return code;
}

static void print_summary(const char *path, const struct config *config)
{
    char address[ADDRESS_TEXT_BYTES];
    printf("%s is good: %zu listener%s, %zu service%s\n", path, config->listener_count,
           config->listener_count == 1 ? "" : "s", config->service_count,
           config->service_count == 1 ? "" : "s");
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        address_format(&listener->address, address);
        printf("  listener %-16s %s %s", listener->name, address,
               listener->protocol == PROTOCOL_TCP    ? "tcp"
               : listener->tls.certificate_count > 0 ? "https"
                                                     : "http");
        if (listener->service >= 0)
            printf(" to %s%s", config->services[listener->service].name,
                   listener->canary ? "'s canary" : "");
        if (listener->sni_count > 0)
            printf(", by SNI to %zu name%s", listener->sni_count,
                   listener->sni_count == 1 ? "" : "s");
        putchar('\n');
    }
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        if (service->label_key == NULL)
            printf("  service  %-16s %zu static backend%s, %zu canary\n", service->name,
                   service->backend_count, service->backend_count == 1 ? "" : "s",
                   service->canary_count);
        else
            printf("  service  %-16s containers with label %s%s%s\n", service->name,
                   service->label_key, service->label_value != NULL ? "=" : "",
                   service->label_value != NULL ? service->label_value : "");
    }
}

static enum exit_code check_named_files(const struct config *config, bool json)
{
    struct cJSON *errors = cJSON_CreateArray();
    enum exit_code code = check_files(config, errors);

    if (code != DONE && json)
        print_errors(errors);
    else
        cJSON_Delete(errors);
    return code;
}

enum exit_code command_check(const struct invocation *invocation)
{
    struct config *config = NULL;
    const char *path = invocation->arguments[0];
    enum exit_code code = check_config(path, NULL, invocation->json, &config);
    if (code != DONE)
        return code;
    if (invocation_option(invocation, "canonical") != NULL) {
        char *text = config_to_json(config);
        puts(text);
        free(text);
        config_free(config);
        return DONE;
    }
    code = check_named_files(config, invocation->json);
    if (code == DONE && invocation->json)
        puts("{\"ok\":true,\"errors\":[]}");
    else if (code == DONE)
        print_summary(path, config);
    config_free(config);
    return code;
}
