/* Single values as text: durations, weights, names, hosts, paths. Pure. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DURATION_MAX_MS     2592000000u /* 30 days: fits 32 bits; nothing waits for longer */
#define DURATION_TEXT_BYTES 32

/* The shortest text that config_parse_duration() reads back to the same: "1m30s", "1500ms"
 * becomes "1s500ms", 0 is "0". */
void duration_format(uint64_t ms, char text[DURATION_TEXT_BYTES]);

/* A Strict-Transport-Security age: whole days as "365d", else a duration. */
void hsts_format(uint32_t seconds, char text[DURATION_TEXT_BYTES]);
/* Of enum config_tls_version; NULL-terminated. */
extern const char *const tls_version_words[];

/* Of enum config_strategy, config_order and config_failure_action; NULL-terminated. */
extern const char *const strategy_words[];
extern const char *const order_words[];
extern const char *const failure_action_words[];
extern const char *const inconclusive_words[];

/* Of enum config_access_format; NULL-terminated. */
extern const char *const access_format_words[];

#define ERROR_PAGE_TEXT_BYTES 8
struct config_error_page;
/* The key of a page: "503", "5xx". */
void error_page_statuses(const struct config_error_page *page, char text[ERROR_PAGE_TEXT_BYTES]);

#define SIZE_MAX_BYTES  ((uint64_t)1 << 40) /* 1 TiB: more than any message or machine here */
#define SIZE_TEXT_BYTES 24
/* The shortest text that config_parse_size() reads back to the same: 1048576 is "1m". */
void size_format(uint64_t bytes, char text[SIZE_TEXT_BYTES]);

/* A service's or listener's name. */
bool name_is_valid(const char *text);
/* A whole decimal number without sign and leading zeros. */
bool number_parse(const char *text, uint64_t *ret_value);
/* DNS name, IPv4, or IPv6 in brackets; no port. `*.` at the start is for routes. */
bool host_is_valid(const char *text);
/* "host:port", port 1 to 65535. */
bool endpoint_is_valid(const char *text);
/* An HTTP path: "/...", visible ASCII without ?, # and backslash, // and dot segments. */
bool path_is_valid(const char *text);
/* The same with a query, for a check. */
bool check_path_is_valid(const char *text);
/* Text without control bytes, not empty. */
bool text_is_clean(const char *text);
/* A token (RFC 9110 §5.6.2): the name of a field or cookie. */
bool token_is_valid(const char *text);
/* What a cookie's value may hold (RFC 6265 §4.1.1), not empty. */
bool cookie_value_is_valid(const char *text);
/* UTF-8 after RFC 3629, without controls but tab and line ends. Returns the line, from 1, of the
 * first byte that is not; 0: all is well. */
unsigned text_find_bad_line(const char *bytes, size_t length);
/* http:// or https:// with a host, in visible ASCII. */
bool web_url_is_valid(const char *text);
/* unix:///path or tcp://host:port. */
bool engine_host_is_valid(const char *text);

/* Edits (insert, remove, change, swap of neighbours) from one word to the other. */
size_t edit_distance(const char *a, const char *b);

#endif
