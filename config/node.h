/* The document as a tree: what the YAML or JSON parser saw, with line numbers, before anything is
 * known about its meaning. Aliases and merge keys are resolved (copied, within a budget).
 *
 * Owner: whoever called document_parse(); freed whole by node_free(). */
#ifndef CONFIG_NODE_H
#define CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problems;

/* The file is not trusted further than it can be bounded. */
#define DOCUMENT_DEPTH_MAX   24   /* the deepest sensible file has 7 levels */
#define DOCUMENT_KEYS_MAX    1024 /* per mapping; services are limited to 256 */
#define DOCUMENT_ANCHORS_MAX 256  /* searched one by one */

struct document_limits {
    size_t text_bytes;  /* of the file */
    size_t nodes;       /* with the copies that aliases make */
    size_t value_bytes; /* of all scalars and keys, with those copies */
};
/* Of a file that people write, and of the canonical form, where every default is spelled out. */
extern const struct document_limits document_limits_file;
extern const struct document_limits document_limits_canonical;

enum node_kind { NODE_SCALAR, NODE_MAPPING, NODE_SEQUENCE };

enum scalar_kind { /* what YAML takes a scalar for; quoted ones are always text */
                   SCALAR_TEXT,
                   SCALAR_NUMBER,
                   SCALAR_BOOL,
                   SCALAR_NULL,
};

struct node {
    enum node_kind kind;
    enum scalar_kind scalar;
    bool open;     /* while it is built: an alias to it would be a circle */
    bool plain;    /* scalar without quotes */
    unsigned line; /* of the value, from 1 */
    unsigned key_line;
    char *key;           /* in a mapping; NULL in a sequence and for the root */
    char *text;          /* scalar, terminated; no NUL inside */
    struct node **items; /* mapping or sequence */
    size_t count;
};

/* Returns the root, or NULL with at least one problem added. */
struct node *document_parse(const char *text, size_t length, const struct document_limits *limits,
                            struct problems *problems);

struct node *node_new(enum node_kind kind, unsigned line);
void node_append(struct node *parent, struct node *child);
void node_free(struct node *node);

/* The value of a key; NULL where it is not given or `node` is no mapping. NULL is fine. */
const struct node *node_get(const struct node *node, const char *key);

/* What the node is, for "found ...". */
#define NODE_TEXT_BYTES 120
void node_describe(const struct node *node, char buffer[NODE_TEXT_BYTES]);

/* What a plain scalar is in YAML, 1.1's words for booleans included. */
enum scalar_kind scalar_classify(const char *text);

#endif
