/* The errors of one reading, gathered so that all of a file are told at once.
 *
 * Owner: the reader. Life: one config_read_*(); problems_finish() turns them into the caller's
 * struct config_errors, in the order of the file. */
#ifndef CONFIG_PROBLEMS_H
#define CONFIG_PROBLEMS_H

#include <stddef.h>

struct config_errors;

#define PROBLEMS_MAX 100 /* more are counted, but not told: nobody reads further */

struct problem {
    unsigned line; /* 0: not from the file (environment, command line) */
    char *text;
};

struct problems {
    const char *file;
    struct problem *items;
    size_t count; /* all; the first PROBLEMS_MAX are kept */
};

void problems_init(struct problems *problems, const char *file);
void problems_done(struct problems *problems);

/* `text` is taken over. */
void problems_add(struct problems *problems, unsigned line, char *text);

/* Fills `ret_errors` with one line per problem. */
void problems_finish(const struct problems *problems, struct config_errors *ret_errors);

#define QUOTED_BYTES 80
/* A piece of somebody's text made safe to print: control bytes escaped, cut where it is long. */
void quote_text(const char *text, size_t length, char buffer[QUOTED_BYTES]);

#endif
