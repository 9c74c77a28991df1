/* What tells users apart: the secret that all workers share, and what is made with it.
 *
 * A user is 64 bits. Cookies carry them as they are, with a signature that only the secret makes
 * (HMAC-SHA-256 cut to 128 bits, RFC 2104 §5), so nobody can pick a user for himself. Other texts
 * are hashed. Owner: the worker. Made before privileges go, for the library reads files then. */
#ifndef PROXY_USER_KEY_H
#define PROXY_USER_KEY_H

#include "base/slice.h"
#include "board/routing.h"

#define USER_COOKIE_BYTES 32u /* of a cookie's value: no terminator */

struct user_key;

/* NULL where the library has no memory, or no HMAC. */
struct user_key *user_key_new(void);
void user_key_free(struct user_key *key);
/* Returns 0 or -ENOMEM. The same secret as before costs nothing. */
int user_key_set(struct user_key *key, const uint8_t secret[ROUTING_SECRET_BYTES])
    __attribute__((warn_unused_result));

uint64_t user_key_hash(const struct user_key *key, struct slice text);
/* Both return false where there is no memory; reading also where we have not signed it. */
bool user_key_write_cookie(struct user_key *key, uint64_t user, char text[USER_COOKIE_BYTES]);
bool user_key_read_cookie(struct user_key *key, struct slice text, uint64_t *ret_user);

#endif
