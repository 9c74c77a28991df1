#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX     32 /* longer words are too far from any of ours */
#define DISTANCE_MAX 2  /* further away it would be guessing */

static const struct option_entry globals[] = {
    {"admin", "PATH", NULL}, {"json", NULL, NULL}, {"help", NULL, NULL}, {NULL, NULL, NULL}};

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned arguments_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1]; /* the last two rows and the new one */
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > WORD_MAX || b_length > WORD_MAX)
        return WORD_MAX;
    for (unsigned j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned change = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(least(now[j - 1], last[j]) + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const struct command *arguments_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

struct guess {
    const char *name;
    unsigned distance;
};

static void guess_try(struct guess *guess, const char *word, const char *name)
{
    unsigned distance = arguments_distance(word, name);
    /* A name that goes on where the word ends is meant, however long it is. */
    if (strlen(word) >= 3 && strncmp(word, name, strlen(word)) == 0)
        distance = 1;
    if (distance <= DISTANCE_MAX && distance < strlen(name) &&
        (guess->name == NULL || distance < guess->distance))
        *guess = (struct guess){name, distance};
}

static int unknown_command(const char *word, char why[ARGUMENTS_WHY_BYTES])
{
    struct guess guess = {0};
    for (const struct command *command = commands; command->name != NULL; command++)
        guess_try(&guess, word, command->name);
    if (guess.name != NULL)
        snprintf(why, ARGUMENTS_WHY_BYTES, "there is no command '%.60s'; did you mean '%s'?", word,
                 guess.name);
    else
        snprintf(why, ARGUMENTS_WHY_BYTES,
                 "there is no command '%.60s'; `sluice --help` lists them", word);
    return -EINVAL;
}

static int unknown_option(const char *word, const struct command *command,
                          char why[ARGUMENTS_WHY_BYTES])
{
    struct guess guess = {0};
    char bare[WORD_MAX + 1];
    const char *letters = word + strspn(word, "-");
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(letters, "="), letters);
    for (const struct option_entry *option = globals; option->name != NULL; option++)
        guess_try(&guess, bare, option->name);
    for (unsigned i = 0; command != NULL && i < OPTIONS_MAX; i++)
        if (command->options[i].name != NULL)
            guess_try(&guess, bare, command->options[i].name);
    const char *of = command != NULL ? command->name : "";
    const char *space = command != NULL ? " " : "";
    if (guess.name != NULL)
        snprintf(why, ARGUMENTS_WHY_BYTES,
                 "there is no option '%.60s'; did you mean '--%s'? `sluice%s%s --help` lists them",
                 word, guess.name, space, of);
    else
        snprintf(why, ARGUMENTS_WHY_BYTES,
                 "there is no option '%.60s'; `sluice%s%s --help` lists them", word, space, of);
    return -EINVAL;
}

static const struct option_entry *find_option(const struct option_entry *table, size_t count,
                                              const char *name, size_t length)
{
    for (size_t i = 0; i < count && table[i].name != NULL; i++)
        if (strlen(table[i].name) == length && strncmp(table[i].name, name, length) == 0)
            return &table[i];
    return NULL;
}

static void set_global(struct invocation *invocation, const char *name, const char *value)
{
    if (strcmp(name, "admin") == 0) {
        invocation->admin = value;
        invocation->admin_given = true;
    } else if (strcmp(name, "json") == 0) {
        invocation->json = true;
    } else {
        invocation->help = true;
    }
}

/* Reads the option at argv[*index] and moves *index to its last word. */
static int read_option(int argc, char *const *argv, int *index, struct invocation *invocation,
                       char why[ARGUMENTS_WHY_BYTES])
{
    const char *word = argv[*index];
    const struct command *command = invocation->command;
    if (strcmp(word, "-h") == 0) {
        invocation->help = true;
        return 0;
    }
    if (strncmp(word, "--", 2) != 0)
        return unknown_option(word, command, why);
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const struct option_entry *own =
        command != NULL ? find_option(command->options, OPTIONS_MAX, name, length) : NULL;
    const struct option_entry *option =
        own != NULL ? own : find_option(globals, sizeof globals / sizeof globals[0], name, length);
    if (option == NULL)
        return unknown_option(word, command, why);
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (option->argument == NULL && value != NULL) {
        snprintf(why, ARGUMENTS_WHY_BYTES, "--%s takes no value", option->name);
        return -EINVAL;
    }
    if (option->argument != NULL && value == NULL) {
        if (*index + 1 >= argc) {
            snprintf(why, ARGUMENTS_WHY_BYTES, "--%s needs a value: --%s %s", option->name,
                     option->name, option->argument);
            return -EINVAL;
        }
        value = argv[++*index];
    }
    if (own != NULL && invocation->given_count == GIVEN_MAX) {
        snprintf(why, ARGUMENTS_WHY_BYTES, "more than %d options", GIVEN_MAX);
        return -EINVAL;
    }
    if (own != NULL) {
        invocation->values[own - command->options] = value != NULL ? value : "";
        invocation->given[invocation->given_count].name = own->name;
        invocation->given[invocation->given_count++].value = value != NULL ? value : "";
    } else {
        set_global(invocation, option->name, value);
    }
    return 0;
}

static int read_word(const char *word, struct invocation *invocation, char why[ARGUMENTS_WHY_BYTES])
{
    if (invocation->command == NULL) {
        invocation->command = arguments_find(word);
        return invocation->command != NULL ? 0 : unknown_command(word, why);
    }
    const struct command *command = invocation->command;
    if (invocation->argument_count >= command->arguments_max) {
        snprintf(why, ARGUMENTS_WHY_BYTES, "'%.60s' is one word too many: sluice %s %s", word,
                 command->name, command->usage);
        return -EINVAL;
    }
    invocation->arguments[invocation->argument_count++] = word;
    return 0;
}

int arguments_read(int argc, char *const *argv, struct invocation *ret_invocation,
                   char why[ARGUMENTS_WHY_BYTES])
{
    struct invocation invocation = {0};
    bool options_ended = false;
    for (int i = 1; i < argc; i++) {
        int error;
        if (!options_ended && strcmp(argv[i], "--") == 0) {
            options_ended = true;
            continue;
        }
        if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0')
            error = read_option(argc, argv, &i, &invocation, why);
        else
            error = read_word(argv[i], &invocation, why);
        if (error < 0)
            return error;
    }
    const struct command *command = invocation.command;
    if (command != NULL && !invocation.help && invocation.argument_count < command->arguments_min) {
        snprintf(why, ARGUMENTS_WHY_BYTES,
                 "something is missing: sluice %s %s; `sluice %s --help` shows examples",
                 command->name, command->usage, command->name);
        return -EINVAL;
    }
    *ret_invocation = invocation;
    return 0;
}

const char *invocation_option(const struct invocation *invocation, const char *name)
{
    for (unsigned i = 0; i < OPTIONS_MAX; i++) {
        const struct option_entry *option = &invocation->command->options[i];
        if (option->name != NULL && strcmp(option->name, name) == 0)
            return invocation->values[i];
    }
    return NULL;
}

const char *invocation_given(const struct invocation *invocation, const char *name, unsigned index)
{
    for (unsigned i = 0; i < invocation->given_count; i++)
        if (strcmp(invocation->given[i].name, name) == 0 && index-- == 0)
            return invocation->given[i].value;
    return NULL;
}
