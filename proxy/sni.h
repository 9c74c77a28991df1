/* Which certificate for which name: the names in all certificates of a listener, looked up by what
 * a client asks for (SNI, RFC 6066 §3) or by a Host. Pure.
 *
 * Owner: a listener's TLS. Filled once, then only asked. */
#ifndef PROXY_SNI_H
#define PROXY_SNI_H

#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

#define SNI_NAME_BYTES_MAX 253u /* RFC 1035 §2.3.4, without the root's dot */

/* OpenSSL holds one of each and takes what the client can verify. */
enum key_kind { KEY_RSA, KEY_ECDSA, KEY_EDDSA, KEY_KINDS };

struct sni_entry {
    char *name;          /* in lower case; "*.shop.example" for one label below */
    size_t order;        /* of its coming */
    int pair[KEY_KINDS]; /* the caller's numbers; -1: none */
};

struct sni_table {
    struct sni_entry *entries; /* sorted by name */
    size_t count, room;
};

/* A name in the certificate of a pair. The first pair of a kind to claim a name has it. Names that
 * no client can ask for are left out. */
void sni_add(struct sni_table *table, struct slice name, enum key_kind kind, int pair);
/* Before the first sni_find(): sorts. A very name lacks no kind that the `*.` above it has. */
void sni_finish(struct sni_table *table);
void sni_done(struct sni_table *table);

/* The very name, else the `*.` one label up, else NULL. Any case; a dot at the end says nothing. */
const struct sni_entry *sni_find(const struct sni_table *table, struct slice name);

#endif
