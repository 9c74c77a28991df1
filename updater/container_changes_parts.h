/* What container_changes.c and container_undo.c share. Pure. */
#ifndef UPDATER_CONTAINER_CHANGES_PARTS_H
#define UPDATER_CONTAINER_CHANGES_PARTS_H

#include <stdbool.h>

struct cJSON;

#define CHANGES_NANO_CPUS 1e9

/* The object or list of that name, made where there is none (null counts as none). */
struct cJSON *changes_need(struct cJSON *object, const char *key, bool is_list);
/* Sets or (NULL) deletes it. Takes `item` over. */
void changes_put(struct cJSON *object, const char *key, struct cJSON *item);
/* "NAME=…" or "NAME". */
bool changes_is_variable(const struct cJSON *item, const char *name);
double changes_number(const struct cJSON *object, const char *key); /* 0: none */
/* Puts a name into a list of names once, or takes it out. */
void changes_list_note(struct cJSON *list, const char *name, bool is_in);

#endif
