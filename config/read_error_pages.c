/* error_pages: a file for a status, or for all of a class. Workers read the files, at their start.
 */
#include "base/memory.h"
#include "base/slice.h"
#include "reader.h"
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct table error_pages_table = {.name = "error_pages"}; /* keys are statuses */

/* "503", or "5xx" for a whole class. */
static bool parse_statuses(const char *text, struct config_error_page *page)
{
    uint64_t status = 0;

    if (strcmp(text, "4xx") == 0 || strcmp(text, "5xx") == 0) {
        page->first = (uint16_t)((text[0] - '0') * 100);
        page->last = (uint16_t)(page->first + 99);
        return true;
    }
    if (slice_to_u64(slice_from_string(text), &status) < 0 || status < 400 || status > 599)
        return false;
    page->first = page->last = (uint16_t)status;
    return true;
}

static void read_pages(struct reader *reader, const struct node *node,
                       struct config_error_pages *pages)
{
    if (!reader_wants_mapping(reader, node) || node->count == 0)
        return;
    if (node->count > CONFIG_ERROR_PAGES_MAX) {
        reader_tell(reader, node->line, "found %zu pages, allowed are up to %d", node->count,
                    CONFIG_ERROR_PAGES_MAX);
        return;
    }
    pages->items = memory_new_array(node->count, sizeof(*pages->items));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        struct config_error_page *page = &pages->items[pages->count++];
        size_t mark = reader_enter(reader, item->key);
        if (parse_statuses(item->key, page))
            path_read(reader, item, &page->file);
        else
            reader_tell(reader, item->key_line,
                        "found no status of an error, allowed are 400 to 599, 4xx and 5xx");
        reader_leave(reader, mark);
    }
}

void error_pages_read(struct reader *reader, const struct node *node, void *target)
{
    read_pages(reader, node, &((struct config *)target)->error_pages);
}

void service_error_pages_read(struct reader *reader, const struct node *node, void *target)
{
    read_pages(reader, node, &((struct config_service *)target)->error_pages);
}

void config_error_pages_done(struct config_error_pages *pages)
{
    for (size_t i = 0; i < pages->count; i++)
        free(pages->items[i].file);
    free(pages->items);
}

void error_page_statuses(const struct config_error_page *page, char text[ERROR_PAGE_TEXT_BYTES])
{
    if (page->first == page->last)
        snprintf(text, ERROR_PAGE_TEXT_BYTES, "%u", page->first);
    else
        snprintf(text, ERROR_PAGE_TEXT_BYTES, "%uxx", page->first / 100u);
}
