#include "text.h"

#include "base/memory.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

void text_init(void)
{
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    bool said = false;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        said = said || (value != NULL && value[0] != '\0');
    }
    if (setlocale(LC_ALL, said ? "" : "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "C.UTF-8");
    /* Numbers look the same everywhere: people paste them, programs read them. */
    setlocale(LC_NUMERIC, "C");
}

bool text_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

const char *text_glyph(const char *utf8, const char *ascii)
{
    return text_is_utf8() ? utf8 : ascii;
}

/* One of ours. In what comes from elsewhere the byte may stand before anything. */
static bool is_style(const char *text)
{
    return text[0] == STYLE_BYTE && text[1] != '\0' && strchr("grybd.", text[1]) != NULL;
}

/* Reads one character: its bytes and its columns. A byte that is none counts as one column. */
static size_t next_character(const char *text, size_t *ret_columns)
{
    wchar_t wide;
    mbstate_t state;
    if (is_style(text)) {
        *ret_columns = 0;
        return 2;
    }
    memset(&state, 0, sizeof state);
    size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
    if (bytes == 0 || bytes > strlen(text)) {
        *ret_columns = 1;
        return 1;
    }
    int width = wcwidth(wide);
    *ret_columns = width < 0 ? 1 : (size_t)width;
    return bytes;
}

size_t text_width(const char *text)
{
    size_t width = 0, columns = 0;
    while (*text != '\0') {
        text += next_character(text, &columns);
        width += columns;
    }
    return width;
}

size_t text_fit(const char *text, size_t columns)
{
    size_t offset = 0, width = 0, character = 0;
    while (text[offset] != '\0') {
        size_t bytes = next_character(text + offset, &character);
        if (width + character > columns)
            break;
        width += character;
        offset += bytes;
    }
    return offset;
}

/* What is no printable character becomes '?', byte by byte; styles stay. */
static void make_safe(char *text)
{
    while (*text != '\0') {
        if (is_style(text)) {
            text += 2;
            continue;
        }
        wchar_t wide;
        mbstate_t state;
        memset(&state, 0, sizeof state);
        size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
        if (bytes == 0 || bytes > strlen(text) || !iswprint((wint_t)wide)) {
            *text = '?';
            bytes = 1;
        }
        text += bytes;
    }
}

static void lines_take(struct lines *lines, char *text)
{
    make_safe(text);
    lines->items = memory_resize(lines->items, (lines->count + 1) * sizeof *lines->items);
    lines->items[lines->count++] = text;
}

void lines_add(struct lines *lines, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    lines_take(lines, length < 0 ? memory_copy_string("") : text);
}

void lines_done(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
    *lines = (struct lines){0};
}

static const char *ansi_of(char style)
{
    switch (style) {
    case 'g':
        return "\033[32m";
    case 'r':
        return "\033[31m";
    case 'y':
        return "\033[33m";
    case 'b':
        return "\033[1m";
    case 'd':
        return "\033[2m";
    default:
        return "\033[0m";
    }
}

void lines_print(const struct lines *lines, FILE *stream, bool colour)
{
    for (size_t i = 0; i < lines->count; i++) {
        for (const char *at = lines->items[i]; *at != '\0'; at++) {
            if (!is_style(at)) {
                fputc(*at, stream);
                continue;
            }
            at++;
            if (colour)
                fputs(ansi_of(*at), stream);
        }
        fputc('\n', stream);
    }
    fflush(stream);
}

void table_init(struct table *table, const char *alignment, const char *header)
{
    *table = (struct table){.columns = (unsigned)strlen(alignment), .alignment = alignment};
    for (unsigned i = 0; i < table->columns; i++) {
        size_t length = strcspn(header, "|");
        table_cell(table, "%.*s", (int)length, header);
        header += length + (header[length] == '|');
    }
}

void table_cell(struct table *table, const char *format, ...)
{
    char text[TABLE_CELL_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    table->cells = memory_resize(table->cells, (table->count + 1) * sizeof *table->cells);
    table->cells[table->count++] = memory_copy_string(text);
}

static void table_row(const struct table *table, char *const *cells, const size_t *widths,
                      struct lines *lines, const char *indent)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL)
        return;
    fputs(indent, stream);
    for (unsigned i = 0; i < table->columns; i++) {
        int padding = (int)(widths[i] - text_width(cells[i]));
        bool last = i + 1 == table->columns;
        if (table->alignment[i] == 'r')
            fprintf(stream, "%*s%s", padding, "", cells[i]);
        else
            fprintf(stream, "%s%*s", cells[i], last ? 0 : padding, "");
        if (!last)
            fputs("  ", stream);
    }
    fclose(stream);
    for (size_t end = strlen(text); end > 0 && text[end - 1] == ' ';)
        text[--end] = '\0';
    lines_take(lines, text);
}

void table_finish(struct table *table, const char *indent, struct lines *lines)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->count; i++) {
        size_t width = text_width(table->cells[i]);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
        table_row(table, table->cells + i, widths, lines, indent);
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

const char *text_duration(double ms, char text[TEXT_BYTES])
{
    if (ms < 0)
        snprintf(text, TEXT_BYTES, "-");
    else if (ms < 999.5)
        snprintf(text, TEXT_BYTES, "%.0fms", ms);
    else if (ms < 59950)
        snprintf(text, TEXT_BYTES, "%.1fs", ms / 1000);
    else {
        long seconds = lround(ms / 1000);
        if (seconds < 3600)
            snprintf(text, TEXT_BYTES, "%ldm %02lds", seconds / 60, seconds % 60);
        else
            snprintf(text, TEXT_BYTES, "%ldh %02ldm", seconds / 3600, seconds / 60 % 60);
    }
    return text;
}

const char *text_latency(double us, char text[TEXT_BYTES])
{
    if (us < 0)
        snprintf(text, TEXT_BYTES, "-");
    else if (us < 999.5)
        snprintf(text, TEXT_BYTES, "%.0fus", us);
    else if (us < 999950)
        snprintf(text, TEXT_BYTES, "%.1fms", us / 1000);
    else
        snprintf(text, TEXT_BYTES, "%.1fs", us / 1000000);
    return text;
}

const char *text_bytes(double bytes, char text[TEXT_BYTES])
{
    const char *units[] = {"KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    if (bytes < 1024) {
        snprintf(text, TEXT_BYTES, "%.0f B", bytes);
        return text;
    }
    for (bytes /= 1024; bytes >= 1024 && unit < 3; unit++)
        bytes /= 1024;
    snprintf(text, TEXT_BYTES, "%.1f %s", bytes, units[unit]);
    return text;
}

const char *text_weight(double weight, char text[TEXT_BYTES])
{
    snprintf(text, TEXT_BYTES, "%.4g%%", weight);
    return text;
}

static bool read_time(const char *time, struct tm *ret_tm)
{
    memset(ret_tm, 0, sizeof *ret_tm);
    return time != NULL && strptime(time, "%Y-%m-%dT%H:%M:%S", ret_tm) != NULL;
}

const char *text_time(const char *time, bool date, char text[TEXT_BYTES])
{
    struct tm utc, local;
    if (!read_time(time, &utc)) {
        snprintf(text, TEXT_BYTES, "-");
        return text;
    }
    time_t seconds = timegm(&utc);
    localtime_r(&seconds, &local);
    strftime(text, TEXT_BYTES, date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &local);
    return text;
}

double text_time_ms(const char *time)
{
    struct tm utc;
    if (!read_time(time, &utc))
        return -1;
    const char *fraction = strchr(time, '.');
    double ms = fraction != NULL ? strtod(fraction, NULL) * 1000 : 0;
    return (double)timegm(&utc) * 1000 + ms;
}
