#include "base/log.h"
#include "base/memory.h"
#include "supervisor.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cJSON *listeners_to_json(const struct setup *setup)
{
    cJSON *listeners = cJSON_CreateObject();

    for (size_t i = 0; i < setup->config->listener_count; i++) {
        char text[ADDRESS_TEXT_BYTES];
        address_format(&setup->listening[i].bound, text);
        cJSON_AddStringToObject(listeners, setup->listening[i].name, text);
    }
    return listeners;
}

static cJSON *pids_to_json(const struct supervisor *supervisor)
{
    cJSON *pids = cJSON_CreateObject();
    cJSON *workers = cJSON_CreateArray();

    cJSON_AddNumberToObject(pids, "supervisor", getpid());
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->state != CHILD_RUNNING || !child->ready || child->stopping)
            continue;
        if (child->role == ROLE_WORKER)
            cJSON_AddItemToArray(workers, cJSON_CreateNumber(child->pid));
        else
            cJSON_AddNumberToObject(pids, child_name(child), child->pid);
    }
    cJSON_AddItemToObject(pids, "workers", workers);
    return pids;
}

void endpoints_write(const struct supervisor *supervisor)
{
    const char *path = supervisor->settings.endpoints_path;

    if (path == NULL)
        return;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddItemToObject(root, "listeners", listeners_to_json(&supervisor->setup));
    cJSON_AddStringToObject(root, "admin", supervisor->setup.config->admin_socket);
    cJSON_AddNumberToObject(root, "generation", supervisor->setup.generation);
    cJSON_AddItemToObject(root, "pids", pids_to_json(supervisor));
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    char *temporary = memory_format("%s.new", path);
    FILE *file = text != NULL ? fopen(temporary, "we") : NULL;
    bool written = file != NULL && fprintf(file, "%s\n", text) > 0;
    if (file != NULL && fclose(file) != 0)
        written = false;
    if (!written || rename(temporary, path) < 0) {
        struct log_line line;
        log_begin(&line, LOG_ERROR, "endpoints-not-written");
        log_string(&line, "path", path);
        log_errno(&line, errno);
        log_end(&line);
    }
    cJSON_free(text);
    free(temporary);
}

void endpoints_remove(const struct supervisor *supervisor)
{
    if (supervisor->settings.endpoints_path != NULL)
        unlink(supervisor->settings.endpoints_path);
}
