#include "changes.h"

#include "base/memory.h"
#include "command.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One "K=V" or "K-" of --env or --label into `map`. */
static int add_entry(struct cJSON *map, const char *option, const char *text,
                     char why[CHANGES_WHY_BYTES])
{
    const char *equals = strchr(text, '=');
    size_t length = equals != NULL ? (size_t)(equals - text) : strlen(text);
    if (equals == NULL && (length < 2 || text[length - 1] != '-')) {
        snprintf(why, CHANGES_WHY_BYTES, "--%s takes NAME=VALUE, or NAME- to unset it, not '%.80s'",
                 option, text);
        return -EINVAL;
    }
    char *name = memory_format("%.*s", (int)(equals != NULL ? length : length - 1), text);
    struct cJSON *value = equals != NULL ? cJSON_CreateString(equals + 1) : cJSON_CreateNull();
    int error = 0;
    if (name[0] == '\0') {
        snprintf(why, CHANGES_WHY_BYTES, "--%s takes NAME=VALUE: the name is missing", option);
        error = -EINVAL;
        cJSON_Delete(value);
    } else {
        cJSON_DeleteItemFromObjectCaseSensitive(map, name);
        cJSON_AddItemToObject(map, name, value);
    }
    free(name);
    return error;
}

static int add_entries(const struct invocation *invocation, const char *option, const char *key,
                       struct cJSON *changes, char why[CHANGES_WHY_BYTES])
{
    struct cJSON *map = NULL;
    const char *text;
    for (unsigned i = 0; (text = invocation_given(invocation, option, i)) != NULL; i++) {
        if (map == NULL)
            map = cJSON_AddObjectToObject(changes, key);
        int error = add_entry(map, option, text, why);
        if (error < 0)
            return error;
    }
    return 0;
}

int changes_split_words(const char *text, struct cJSON **ret_words)
{
    struct cJSON *words = cJSON_CreateArray();
    char *word = memory_new(strlen(text) + 1);
    size_t length = 0;
    bool has_word = false;
    char quote = '\0';
    for (const char *at = text; *at != '\0'; at++) {
        bool is_space = quote == '\0' && strchr(" \t\n", *at) != NULL;
        if (is_space && has_word) {
            word[length] = '\0';
            cJSON_AddItemToArray(words, cJSON_CreateString(word));
        }
        if (is_space)
            length = 0;
        has_word = !is_space;
        if (is_space)
            continue;
        if (quote == '\0' && (*at == '"' || *at == '\''))
            quote = *at;
        else if (quote != '\0' && *at == quote)
            quote = '\0';
        else if (*at == '\\' && quote != '\'' && at[1] != '\0')
            word[length++] = *++at;
        else
            word[length++] = *at;
    }
    word[length] = '\0';
    if (has_word)
        cJSON_AddItemToArray(words, cJSON_CreateString(word));
    free(word);
    if (quote != '\0') {
        cJSON_Delete(words);
        return -EINVAL;
    }
    *ret_words = words;
    return 0;
}

static int add_command(const char *text, struct cJSON *changes, char why[CHANGES_WHY_BYTES])
{
    struct cJSON *words;
    if (changes_split_words(text, &words) < 0) {
        snprintf(why, CHANGES_WHY_BYTES, "--command has a quote that is not closed: %.120s", text);
        return -EINVAL;
    }
    cJSON_AddItemToObject(changes, "command", words);
    return 0;
}

static int add_cpus(const char *text, struct cJSON *changes, char why[CHANGES_WHY_BYTES])
{
    char *end = NULL;
    double cpus = strtod(text, &end);
    if (end == text || *end != '\0' || !(cpus >= 0. && cpus <= 4096.)) {
        snprintf(why, CHANGES_WHY_BYTES, "--cpus takes a number like 1.5, not '%.80s'", text);
        return -EINVAL;
    }
    cJSON_AddNumberToObject(changes, "cpus", cpus);
    return 0;
}

int changes_make(const struct invocation *invocation, struct cJSON **ret_changes,
                 char why[CHANGES_WHY_BYTES])
{
    const char *memory = invocation_option(invocation, "memory");
    const char *cpus = invocation_option(invocation, "cpus");
    const char *command = invocation_option(invocation, "command");
    struct cJSON *changes = cJSON_CreateObject();
    int error = add_entries(invocation, "env", "env", changes, why);
    if (error == 0)
        error = add_entries(invocation, "label", "labels", changes, why);
    if (error == 0 && memory != NULL) /* sizes are the daemon's to read, and to refuse */
        cJSON_AddStringToObject(changes, "memory", memory);
    if (error == 0 && cpus != NULL)
        error = add_cpus(cpus, changes, why);
    if (error == 0 && command != NULL)
        error = add_command(command, changes, why);
    if (error < 0 || changes->child == NULL) {
        cJSON_Delete(changes);
        changes = NULL;
    }
    if (error == 0)
        *ret_changes = changes;
    return error;
}
