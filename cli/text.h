/* Text for terminals: lines with styles, tables aligned by display width, durations and sizes for
 * people. Pure but for printing; strings that came from elsewhere lose their control bytes here.
 *
 * Owner: whoever called; a list of lines is ended by lines_done(). */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Styles stand in the text as two bytes and take no place. */
#define STYLE_BYTE '\x01'
#define GOOD       "\x01g"
#define BAD        "\x01r"
#define WARN       "\x01y"
#define BOLD                                                                                       \
    "\x01"                                                                                         \
    "b"
#define DIM                                                                                        \
    "\x01"                                                                                         \
    "d"
#define PLAIN "\x01."

struct lines {
    char **items;
    size_t count;
};

/* Takes the locale from the environment; where that says nothing, UTF-8. */
void text_init(void);
/* Whether the terminal's characters reach beyond ASCII; else glyphs have stand-ins. */
bool text_is_utf8(void);
/* `utf8` where the terminal can show it, else `ascii`. */
const char *text_glyph(const char *utf8, const char *ascii);

/* Columns that it takes on a terminal; styles count for nothing. */
size_t text_width(const char *text);
/* How many of its bytes fit into `columns`; styles before the end included. */
size_t text_fit(const char *text, size_t columns);

/* A line of its own; printf-like. Control bytes become '?'. */
void lines_add(struct lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lines_done(struct lines *lines);
/* With colour: ANSI sequences; without: the text alone. */
void lines_print(const struct lines *lines, FILE *stream, bool colour);

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_BYTES  160

struct table {
    unsigned columns;
    const char *alignment; /* per column 'l' or 'r' */
    char **cells;
    size_t count;
};
/* The header's cells are given as one text, separated by '|'. */
void table_init(struct table *table, const char *alignment, const char *header);
/* The next cell, row by row; printf-like, cut at TABLE_CELL_BYTES. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the table to `lines`, each line after `indent`, and ends it. */
void table_finish(struct table *table, const char *indent, struct lines *lines);

#define TEXT_BYTES 32
/* "340ms", "12.4s", "1m 05s", "2h 03m"; negative: "-". */
const char *text_duration(double ms, char text[TEXT_BYTES]);
/* Microseconds: "310us", "2.1ms", "1.3s"; negative: "-". */
const char *text_latency(double us, char text[TEXT_BYTES]);
/* "812 B", "1.5 MiB". */
const char *text_bytes(double bytes, char text[TEXT_BYTES]);
/* "5%", "0.25%". */
const char *text_weight(double weight, char text[TEXT_BYTES]);
/* The local time of day of an RFC 3339 time in UTC, "05:15:02"; `date`: with its day. "-" where it
 * is none. */
const char *text_time(const char *time, bool date, char text[TEXT_BYTES]);
/* RFC 3339 in UTC as milliseconds since 1970, or -1. */
double text_time_ms(const char *time);

#endif
