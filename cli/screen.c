#include "screen.h"

#include <sys/ioctl.h>

#include <ncurses.h>
#include <string.h>
#include <unistd.h>

static size_t top;       /* the first line that is shown */
static SCREEN *terminal; /* NULL: closed */

enum { PAIR_GOOD = 1, PAIR_BAD, PAIR_WARN };

bool screen_open(void)
{
    terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL)
        return false;
    cbreak();
    noecho();
    curs_set(0);
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    if (has_colors()) {
        start_color();
        use_default_colors();
        init_pair(PAIR_GOOD, COLOR_GREEN, -1);
        init_pair(PAIR_BAD, COLOR_RED, -1);
        init_pair(PAIR_WARN, COLOR_YELLOW, -1);
    }
    return true;
}

void screen_close(void)
{
    if (terminal == NULL)
        return;
    endwin();
    delscreen(terminal);
    terminal = NULL;
}

void screen_resize(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
    clear();
}

size_t screen_columns(void)
{
    return COLS > 0 ? (size_t)COLS : 80;
}

static attr_t attribute_of(char style)
{
    switch (style) {
    case 'g':
        return (attr_t)COLOR_PAIR(PAIR_GOOD);
    case 'r':
        return (attr_t)COLOR_PAIR(PAIR_BAD) | A_BOLD;
    case 'y':
        return (attr_t)COLOR_PAIR(PAIR_WARN);
    case 'b':
        return A_BOLD;
    case 'd':
        return A_DIM;
    default:
        return A_NORMAL;
    }
}

static void draw_line(int row, const char *line)
{
    size_t end = text_fit(line, screen_columns());
    move(row, 0);
    clrtoeol();
    attrset(A_NORMAL);
    for (size_t at = 0; at < end;) {
        if (line[at] == STYLE_BYTE) {
            attr_t attribute = attribute_of(line[at + 1]);
            if (attribute == A_NORMAL)
                attrset(A_NORMAL);
            else
                attron((int)attribute);
            at += 2;
            continue;
        }
        const char *style = memchr(line + at, STYLE_BYTE, end - at);
        size_t piece = style != NULL ? (size_t)(style - line) - at : end - at;
        addnstr(line + at, (int)piece);
        at += piece;
    }
    attrset(A_NORMAL);
}

void screen_draw(const struct lines *lines, const char *status)
{
    size_t rows = LINES > 1 ? (size_t)LINES - 1 : 0;
    size_t furthest = lines->count > rows ? lines->count - rows : 0;
    if (top > furthest)
        top = furthest;
    for (size_t row = 0; row < rows; row++)
        draw_line((int)row, top + row < lines->count ? lines->items[top + row] : "");
    if (LINES > 0)
        draw_line(LINES - 1, status);
    refresh();
}

bool screen_keys(void)
{
    for (;;) {
        switch (getch()) {
        case ERR:
            return false;
        case 'q':
        case 'Q':
            return true;
        case KEY_DOWN:
        case 'j':
            top++;
            break;
        case KEY_UP:
        case 'k':
            top -= top > 0;
            break;
        default:
            break;
        }
    }
}
