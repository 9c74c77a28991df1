#include "error_pages.h"

#include "base/log.h"
#include "base/memory.h"
#include "limits.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct page {
    uint16_t first, last;
    struct answer_page page;
    char *bytes;
};

struct page_set {
    struct page *items;
    size_t count;
};

struct error_pages {
    size_t service_count;
    struct page_set *sets; /* by service; behind them the one for all */
};

static const char *type_of(const char *path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".htm", "text/html; charset=utf-8"},
                 {".json", "application/json"}};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(dot, types[i].ending) == 0)
            return types[i].type;
    return "text/plain; charset=utf-8";
}

/* Nothing that could block. Returns the length or -errno. */
static ssize_t read_file(const char *path, char **ret_bytes)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -errno;
    ssize_t length = fstat(fd, &status) < 0 ? -errno : 0;
    if (length == 0 && !S_ISREG(status.st_mode))
        length = -EINVAL;
    if (length == 0 && status.st_size > ERROR_PAGE_BYTES_MAX)
        length = -EFBIG;
    if (length == 0) {
        char *bytes = memory_new((size_t)status.st_size + 1);
        while (length < status.st_size) {
            ssize_t got = read(fd, bytes + length, (size_t)(status.st_size - length));
            if (got <= 0)
                break; /* it was cut just now, or the disk is broken: what there is */
            length += got;
        }
        *ret_bytes = bytes;
    }
    close(fd);
    return length;
}

static void open_page(struct page_set *set, const struct config_error_page *from)
{
    char *bytes = NULL;
    ssize_t length = read_file(from->file, &bytes);
    struct log_line line;

    if (length >= 0) {
        set->items[set->count++] =
            (struct page){.first = from->first,
                          .last = from->last,
                          .page = {.body = {bytes, (size_t)length}, .type = type_of(from->file)},
                          .bytes = bytes};
        return;
    }
    log_begin(&line, LOG_ERROR, "error-page-refused");
    log_string(&line, "file", from->file);
    if (length == -EINVAL)
        log_string(&line, "error", "no regular file");
    else
        log_errno(&line, (int)length);
    log_end(&line);
}

static void open_set(struct page_set *set, const struct config_error_pages *from)
{
    if (from->count == 0)
        return;
    set->items = memory_new_array(from->count, sizeof(*set->items));
    for (size_t i = 0; i < from->count; i++)
        open_page(set, &from->items[i]);
}

struct error_pages *error_pages_open(const struct config *config)
{
    struct error_pages *pages = memory_new(sizeof(*pages));

    pages->service_count = config->service_count;
    pages->sets = memory_new_array(config->service_count + 1, sizeof(*pages->sets));
    for (size_t i = 0; i < config->service_count; i++)
        open_set(&pages->sets[i], &config->services[i].error_pages);
    open_set(&pages->sets[config->service_count], &config->error_pages);
    return pages;
}

void error_pages_free(struct error_pages *pages)
{
    if (pages == NULL)
        return;
    for (size_t i = 0; i <= pages->service_count; i++) {
        for (size_t j = 0; j < pages->sets[i].count; j++)
            free(pages->sets[i].items[j].bytes);
        free(pages->sets[i].items);
    }
    free(pages->sets);
    free(pages);
}

static const struct answer_page *find(const struct page_set *set, unsigned status)
{
    const struct answer_page *of_class = NULL;

    for (size_t i = 0; i < set->count; i++) {
        const struct page *page = &set->items[i];
        if (status < page->first || status > page->last)
            continue;
        if (page->first == page->last)
            return &page->page;
        of_class = &page->page;
    }
    return of_class;
}

const struct answer_page *error_pages_find(const struct error_pages *pages, int service,
                                           unsigned status)
{
    const struct answer_page *own = NULL;

    if (service >= 0 && (size_t)service < pages->service_count)
        own = find(&pages->sets[service], status);
    return own != NULL ? own : find(&pages->sets[pages->service_count], status);
}
