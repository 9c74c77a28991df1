#include "problems.h"

#include "base/memory.h"
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void problems_init(struct problems *problems, const char *file)
{
    *problems = (struct problems){.file = file};
    problems->items = memory_new_array(PROBLEMS_MAX, sizeof(*problems->items));
}

static size_t problems_kept(const struct problems *problems)
{
    return problems->count < PROBLEMS_MAX ? problems->count : PROBLEMS_MAX;
}

void problems_done(struct problems *problems)
{
    for (size_t i = 0; i < problems_kept(problems); i++)
        free(problems->items[i].text);
    free(problems->items);
    *problems = (struct problems){0};
}

void problems_add(struct problems *problems, unsigned line, char *text)
{
    if (problems->count < PROBLEMS_MAX)
        problems->items[problems->count] = (struct problem){line, text};
    else
        free(text);
    problems->count++;
}

/* Insertion sort: stable, and there are a hundred at most. */
static void problems_sort(struct problem *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct problem moving = items[i];
        size_t j = i;
        for (; j > 0 && items[j - 1].line > moving.line; j--)
            items[j] = items[j - 1];
        items[j] = moving;
    }
}

void problems_finish(const struct problems *problems, struct config_errors *ret_errors)
{
    size_t kept = problems_kept(problems);
    size_t length = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL)
        exit(EXIT_TRY_AGAIN);
    problems_sort(problems->items, kept);
    for (size_t i = 0; i < kept; i++) {
        const struct problem *problem = &problems->items[i];
        if (problem->line > 0)
            fprintf(out, "%s:%u: %s\n", problems->file, problem->line, problem->text);
        else
            fprintf(out, "%s: %s\n", problems->file, problem->text);
    }
    if (problems->count > kept)
        fprintf(out, "%s: and %zu more\n", problems->file, problems->count - kept);
    if (fclose(out) != 0)
        exit(EXIT_TRY_AGAIN);
    ret_errors->text = text;
    ret_errors->count = problems->count;
}

void config_errors_done(struct config_errors *errors)
{
    free(errors->text);
    *errors = (struct config_errors){0};
}

static bool byte_is_printable(unsigned char byte)
{
    return byte >= 0x20 && byte != 0x7f;
}

void quote_text(const char *text, size_t length, char buffer[QUOTED_BYTES])
{
    size_t used = 0;
    size_t i = 0;

    for (; i < length && used < QUOTED_BYTES - 12; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool c1 = byte == 0xc2 && i + 1 < length && (unsigned char)text[i + 1] < 0xa0;
        if (byte_is_printable(byte) && !c1)
            buffer[used++] = (char)byte;
        else
            used += (size_t)snprintf(buffer + used, 5, "\\x%02x", byte);
        if (c1)
            used += (size_t)snprintf(buffer + used, 5, "\\x%02x", (unsigned char)text[++i]);
    }
    while (i < length && i > 0 && used > 0 && ((unsigned char)text[i] & 0xc0) == 0x80) {
        used--; /* do not cut a character in two */
        i--;
    }
    snprintf(buffer + used, QUOTED_BYTES - used, "%s", i < length ? "..." : "");
}
