/* From --env, --label, --memory, --cpus and --command to a rollout's changes. Pure. */
#ifndef CLI_CHANGES_H
#define CLI_CHANGES_H

struct cJSON;
struct invocation;

#define CHANGES_WHY_BYTES 256

/* "K=V" sets, "K-" unsets. Returns 0 and the object (NULL: nothing is to be changed), which the
 * caller frees, or -EINVAL with `why`. */
int changes_make(const struct invocation *invocation, struct cJSON **ret_changes,
                 char why[CHANGES_WHY_BYTES]) __attribute__((warn_unused_result));

/* Words as a shell takes them apart: quotes hold together, a backslash takes the next character as
 * it is; nothing is expanded. Returns 0 and an array of texts, which the caller frees, or -EINVAL
 * where a quote is not closed. */
int changes_split_words(const char *text, struct cJSON **ret_words)
    __attribute__((warn_unused_result));

#endif
