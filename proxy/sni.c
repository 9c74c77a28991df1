#include "sni.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* In lower case, without the root's dot. Returns false for what is no name. */
static bool fold(struct slice name, char folded[SNI_NAME_BYTES_MAX + 1])
{
    if (name.length > 0 && name.data[name.length - 1] == '.')
        name.length--;
    if (name.length == 0 || name.length > SNI_NAME_BYTES_MAX ||
        memchr(name.data, '\0', name.length) != NULL)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        folded[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    folded[name.length] = '\0';
    return true;
}

/* RFC 6125 §6.4.3: a star stands for the whole first label, nowhere else. */
static bool can_be_asked_for(const char *name)
{
    const char *star = strchr(name, '*');

    return star == NULL || (star == name && name[1] == '.' && strchr(name + 1, '*') == NULL &&
                            strchr(name + 2, '.') != NULL);
}

void sni_add(struct sni_table *table, struct slice name, enum key_kind kind, int pair)
{
    char folded[SNI_NAME_BYTES_MAX + 1];

    check((unsigned)kind < KEY_KINDS && pair >= 0);
    if (!fold(name, folded) || !can_be_asked_for(folded))
        return;
    if (table->count == table->room) {
        table->room = table->room > 0 ? 2 * table->room : 16;
        table->entries = memory_resize(table->entries, table->room * sizeof(*table->entries));
    }
    struct sni_entry *entry = &table->entries[table->count];
    *entry = (struct sni_entry){
        .name = memory_copy_string(folded), .order = table->count, .pair = {-1, -1, -1}};
    entry->pair[kind] = pair;
    table->count++;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct sni_entry *)left)->name, ((const struct sni_entry *)right)->name);
}

static int compare_in_order(const void *left, const void *right)
{
    const struct sni_entry *a = left, *b = right;
    int names = strcmp(a->name, b->name);

    return names != 0 ? names : a->order < b->order ? -1 : a->order > b->order;
}

/* Entries of one name become one. */
static void merge(struct sni_table *table)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->count; i++) {
        struct sni_entry *entry = &table->entries[i];
        struct sni_entry *last = kept > 0 ? &table->entries[kept - 1] : NULL;
        if (last == NULL || strcmp(last->name, entry->name) != 0) {
            table->entries[kept++] = *entry;
            continue;
        }
        for (unsigned kind = 0; kind < KEY_KINDS; kind++)
            if (last->pair[kind] < 0)
                last->pair[kind] = entry->pair[kind];
        free(entry->name);
    }
    table->count = kept;
}

static const struct sni_entry *find_sorted(const struct sni_table *table, char *name)
{
    struct sni_entry key = {.name = name};

    return table->count == 0 ? NULL
                             : bsearch(&key, table->entries, table->count, sizeof(key), compare);
}

/* `name` is written over. */
static const struct sni_entry *find_star(const struct sni_table *table, char *name)
{
    char *dot = strchr(name, '.');

    if (dot == NULL || dot == name)
        return NULL;
    dot[-1] = '*';
    return find_sorted(table, dot - 1);
}

void sni_finish(struct sni_table *table)
{
    if (table->count > 0)
        qsort(table->entries, table->count, sizeof(*table->entries), compare_in_order);
    merge(table);
    for (size_t i = 0; i < table->count; i++) {
        struct sni_entry *entry = &table->entries[i];
        char name[SNI_NAME_BYTES_MAX + 1];
        if (entry->name[0] == '*')
            continue;
        strcpy(name, entry->name); /* fold() made it: it fits */
        const struct sni_entry *star = find_star(table, name);
        for (unsigned kind = 0; star != NULL && kind < KEY_KINDS; kind++)
            if (entry->pair[kind] < 0)
                entry->pair[kind] = star->pair[kind];
    }
}

void sni_done(struct sni_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->entries[i].name);
    free(table->entries);
    *table = (struct sni_table){0};
}

const struct sni_entry *sni_find(const struct sni_table *table, struct slice name)
{
    char folded[SNI_NAME_BYTES_MAX + 1];

    if (!fold(name, folded) || strchr(folded, '*') != NULL)
        return NULL;
    const struct sni_entry *entry = find_sorted(table, folded);
    return entry != NULL ? entry : find_star(table, folded);
}
