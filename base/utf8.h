/* UTF-8 (RFC 3629). What engines, registries, scripts and webhooks say may be anything, and what is
 * cut to fit a limit may end within a character; JSON that is given out must be neither. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* Bytes of the character that `text` begins with, 1 to 4; 0: of none, or of one that does not end
 * within `length`. */
size_t utf8_length(const char *text, size_t length);

/* Puts "?" for each byte that is of no character. */
void utf8_mend(char *text);

#endif
