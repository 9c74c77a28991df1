/* Which requests a rollout sends to the canary group, whatever its weight. A value without
 * pointers: it is copied into plans, the journal's specs and the routing table. */
#ifndef CONFIG_MATCH_H
#define CONFIG_MATCH_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define CONFIG_MATCH_NAME_MAX  64  /* bytes */
#define CONFIG_MATCH_VALUE_MAX 128 /* bytes */

enum config_match_kind { MATCH_NONE, MATCH_HEADER, MATCH_COOKIE };

struct config_match {
    enum config_match_kind kind;
    char name[CONFIG_MATCH_NAME_MAX + 1]; /* of header or cookie */
    char value[CONFIG_MATCH_VALUE_MAX + 1];
};

/* Fills it in. Returns 0, or -EINVAL where a text is too long or there is no name. */
__attribute__((warn_unused_result)) static inline int config_match_set(struct config_match *match,
                                                                       enum config_match_kind kind,
                                                                       const char *name,
                                                                       const char *value)
{
    struct config_match set = {.kind = kind};

    if (name[0] == '\0' || strlen(name) >= sizeof(set.name) || strlen(value) >= sizeof(set.value))
        return -EINVAL;
    memcpy(set.name, name, strlen(name));
    memcpy(set.value, value, strlen(value));
    *match = set;
    return 0;
}

static inline bool config_match_equals(const struct config_match *a, const struct config_match *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 && strcmp(a->value, b->value) == 0;
}

#endif
