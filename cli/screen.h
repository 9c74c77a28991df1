/* The whole terminal, by ncurses. One at a time; the terminal is as before after screen_close(). */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include "text.h"

/* Returns false where the terminal cannot be used. */
bool screen_open(void);
void screen_close(void);
/* After SIGWINCH. */
void screen_resize(void);
size_t screen_columns(void);
/* Draws the lines from the first that is scrolled to; `status` is the bottom line. */
void screen_draw(const struct lines *lines, const char *status);
/* Takes what was typed: scrolls; returns whether it was q. */
bool screen_keys(void);

#endif
