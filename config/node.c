#include "node.h"

#include "base/memory.h"
#include "problems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct node *node_new(enum node_kind kind, unsigned line)
{
    struct node *node = memory_new(sizeof(*node));

    node->kind = kind;
    node->line = node->key_line = line;
    return node;
}

/* Grows at each power of two, so no capacity is kept. */
void node_append(struct node *parent, struct node *child)
{
    size_t count = parent->count;

    if ((count & (count - 1)) == 0) {
        size_t capacity = count == 0 ? 1 : count * 2;
        parent->items = memory_resize(parent->items, capacity * sizeof(struct node *));
    }
    parent->items[parent->count++] = child;
}

/* As deep as DOCUMENT_DEPTH_MAX at most. */
void node_free(struct node *node)
{
    if (node == NULL)
        return;
    for (size_t i = 0; i < node->count; i++)
        node_free(node->items[i]);
    free(node->items);
    free(node->key);
    free(node->text);
    free(node);
}

const struct node *node_get(const struct node *node, const char *key)
{
    if (node == NULL || node->kind != NODE_MAPPING)
        return NULL;
    for (size_t i = 0; i < node->count; i++)
        if (strcmp(node->items[i]->key, key) == 0)
            return node->items[i];
    return NULL;
}

void node_describe(const struct node *node, char buffer[NODE_TEXT_BYTES])
{
    char quoted[QUOTED_BYTES];

    if (node->kind == NODE_MAPPING) {
        snprintf(buffer, NODE_TEXT_BYTES, "a mapping");
    } else if (node->kind == NODE_SEQUENCE) {
        snprintf(buffer, NODE_TEXT_BYTES, "a list");
    } else if (node->scalar == SCALAR_NULL) {
        snprintf(buffer, NODE_TEXT_BYTES, "nothing");
    } else {
        quote_text(node->text, strlen(node->text), quoted);
        snprintf(buffer, NODE_TEXT_BYTES, node->plain ? "%s" : "\"%s\"", quoted);
    }
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasecmp(text, *words) == 0)
            return true;
    return false;
}

static bool is_number(const char *text)
{
    static const char *const words[] = {".inf", "+.inf", "-.inf", ".nan", NULL};
    const char *at = text + (*text == '-' || *text == '+');
    size_t digits = strspn(at, "0123456789");

    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'o') && at[2] != '\0')
        return at[2 + strspn(at + 2, "0123456789abcdefABCDEF")] == '\0';
    at += digits;
    if (*at == '.') {
        size_t fraction = strspn(at + 1, "0123456789");
        digits += fraction;
        at += 1 + fraction;
    }
    if (digits > 0 && (*at == 'e' || *at == 'E')) {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t exponent = strspn(at, "0123456789");
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return (digits > 0 && *at == '\0') || is_one_of(text, words);
}

enum scalar_kind scalar_classify(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", NULL};
    static const char *const bools[] = {"true", "false", "yes", "no", "on", "off", NULL};

    if (is_one_of(text, nulls))
        return SCALAR_NULL;
    if (is_one_of(text, bools))
        return SCALAR_BOOL;
    return is_number(text) ? SCALAR_NUMBER : SCALAR_TEXT;
}
