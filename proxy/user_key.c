#include "user_key.h"

#include "base/siphash.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

#define USER_BYTES      8u
#define SIGNATURE_BYTES 16u
#define SIGNED_BYTES    (USER_BYTES + SIGNATURE_BYTES)
#define DIGEST_BYTES    32u

/* Cookies found good before, each where its user falls: most are met again on the same worker. */
#define FOUND_GOOD_COUNT 256u

struct user_key {
    EVP_MAC *hmac;
    EVP_MAC_CTX *signer;
    bool is_set;
    uint8_t secret[ROUTING_SECRET_BYTES];
    uint8_t hash_key[SIPHASH_KEY_BYTES];
    char found_good[FOUND_GOOD_COUNT][USER_COOKIE_BYTES];
};

struct user_key *user_key_new(void)
{
    struct user_key *key = calloc(1, sizeof(*key));

    if (key == NULL)
        return NULL;
    key->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (key->hmac != NULL)
        key->signer = EVP_MAC_CTX_new(key->hmac);
    if (key->signer == NULL) {
        user_key_free(key);
        return NULL;
    }
    return key;
}

void user_key_free(struct user_key *key)
{
    if (key == NULL)
        return;
    EVP_MAC_CTX_free(key->signer);
    EVP_MAC_free(key->hmac);
    OPENSSL_cleanse(key, sizeof(*key));
    free(key);
}

/* With no key given the one set before counts again. */
static bool sign(struct user_key *key, struct slice text, uint8_t digest[DIGEST_BYTES])
{
    size_t length = 0;

    return EVP_MAC_init(key->signer, NULL, 0, NULL) == 1 &&
           EVP_MAC_update(key->signer, (const uint8_t *)text.data, text.length) == 1 &&
           EVP_MAC_final(key->signer, digest, &length, DIGEST_BYTES) == 1 && length == DIGEST_BYTES;
}

int user_key_set(struct user_key *key, const uint8_t secret[ROUTING_SECRET_BYTES])
{
    char digest_name[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
        OSSL_PARAM_construct_end(),
    };
    uint8_t digest[DIGEST_BYTES];

    if (key->is_set && memcmp(key->secret, secret, sizeof(key->secret)) == 0)
        return 0;
    key->is_set = false;
    memset(key->found_good, 0, sizeof(key->found_good));
    if (EVP_MAC_init(key->signer, secret, ROUTING_SECRET_BYTES, params) != 1 ||
        !sign(key, SLICE("users that are hashed"), digest))
        return -ENOMEM;
    memcpy(key->hash_key, digest, sizeof(key->hash_key));
    memcpy(key->secret, secret, sizeof(key->secret));
    key->is_set = true;
    return 0;
}

uint64_t user_key_hash(const struct user_key *key, struct slice text)
{
    return siphash(key->hash_key, text);
}

/* --- base64url (RFC 4648 §5): 24 bytes are 32 letters, so nothing is padded --------------- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(const uint8_t bytes[SIGNED_BYTES], char text[USER_COOKIE_BYTES])
{
    for (unsigned i = 0; i < SIGNED_BYTES; i += 3) {
        uint32_t group =
            (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | (uint32_t)bytes[i + 2];
        for (unsigned j = 0; j < 4; j++)
            *text++ = letters[group >> (18 - 6 * j) & 63u];
    }
}

static int letter_value(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '-' ? 62 : letter == '_' ? 63 : -1;
}

/* The first 8 bytes: the signature need not be read, it is made again and compared as text. */
static bool decode_user(const char *text, uint8_t user[USER_BYTES])
{
    uint32_t bits = 0;
    unsigned have = 0, done = 0;

    for (unsigned i = 0; done < USER_BYTES; i++) {
        int value = letter_value(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            user[done++] = (uint8_t)(bits >> have);
        }
    }
    return true;
}

/* --- cookies ------------------------------------------------------------------------------ */

bool user_key_write_cookie(struct user_key *key, uint64_t user, char text[USER_COOKIE_BYTES])
{
    uint8_t bytes[SIGNED_BYTES], digest[DIGEST_BYTES];

    for (unsigned i = 0; i < USER_BYTES; i++)
        bytes[i] = (uint8_t)(user >> (8 * i));
    if (!key->is_set || !sign(key, (struct slice){(const char *)bytes, USER_BYTES}, digest))
        return false;
    memcpy(bytes + USER_BYTES, digest, SIGNATURE_BYTES);
    encode(bytes, text);
    return true;
}

bool user_key_read_cookie(struct user_key *key, struct slice text, uint64_t *ret_user)
{
    uint8_t bytes[USER_BYTES];
    char right[USER_COOKIE_BYTES];
    uint64_t user = 0;

    if (text.length != USER_COOKIE_BYTES || !decode_user(text.data, bytes))
        return false;
    for (unsigned i = 0; i < USER_BYTES; i++)
        user |= (uint64_t)bytes[i] << (8 * i);
    char *found_good = key->found_good[user % FOUND_GOOD_COUNT];
    if (CRYPTO_memcmp(found_good, text.data, USER_COOKIE_BYTES) != 0) {
        if (!user_key_write_cookie(key, user, right) ||
            CRYPTO_memcmp(right, text.data, USER_COOKIE_BYTES) != 0)
            return false;
        memcpy(found_good, right, USER_COOKIE_BYTES);
    }
    *ret_user = user;
    return true;
}
