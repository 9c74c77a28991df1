/* What a command of `sluice` is: one entry of a table, with all that its help says. Owner: the
 * tables are constant; an invocation is main()'s and lives as long as the program. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

#define OPTIONS_MAX   32 /* of one command */
#define ARGUMENTS_MAX 2

/* The command's exit codes: docs and `--help` name the same. */
enum exit_code {
    DONE = 0,
    FAILED = 1,      /* failed and rolled back, or needs attention */
    USAGE = 2,       /* usage or config; a service or rollout that does not exist */
    REFUSED = 3,     /* refused before anything changed */
    UNREACHABLE = 4, /* the daemon is not reachable */
    ABORTED = 5,
};

#define GIVEN_MAX 256 /* options on one command line */

struct option_entry {
    const char *name;     /* without dashes; NULL ends a table */
    const char *argument; /* what it takes, for the help; NULL: nothing */
    const char *summary;
};

struct invocation;

struct command {
    const char *name;
    const char *summary;
    const char *usage;    /* what follows the name */
    const char *text;     /* paragraphs of the help; may be NULL */
    const char *examples; /* lines, ready to be typed */
    const char *exits;    /* lines: code and meaning */
    struct option_entry options[OPTIONS_MAX];
    unsigned arguments_min, arguments_max;
    bool local; /* does not talk to the daemon: --admin means nothing */
    enum exit_code (*run)(const struct invocation *invocation);
};

struct invocation {
    const struct command *command;
    const char *admin; /* path of the daemon's socket */
    bool admin_given;  /* by --admin or SLUICE_ADMIN */
    bool json, help, colour;
    const char *values[OPTIONS_MAX]; /* of command->options; NULL: not given; "": given, no value */
    struct {
        const char *name, *value;
    } given[GIVEN_MAX]; /* all of the command's own, in order: some may be given more than once */
    unsigned given_count;
    const char *arguments[ARGUMENTS_MAX]; /* NULL: not given */
    unsigned argument_count;
};

/* The option's value, "" for one that takes none, NULL where it was not given. */
const char *invocation_option(const struct invocation *invocation, const char *name);

/* The value of its n-th occurrence (from 0), or NULL where it was not given so often. */
const char *invocation_given(const struct invocation *invocation, const char *name, unsigned index);

/* Every command, in the order in which help lists them; ended by a NULL name. */
extern const struct command commands[];

/* Says "sluice: TEXT" on stderr and returns `code`. printf-like. */
enum exit_code complain(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

enum exit_code command_run(const struct invocation *invocation);
enum exit_code command_check(const struct invocation *invocation);
enum exit_code command_status(const struct invocation *invocation);
enum exit_code command_rollout(const struct invocation *invocation);
enum exit_code command_rollback(const struct invocation *invocation);
enum exit_code command_watch(const struct invocation *invocation);
enum exit_code command_verb(const struct invocation *invocation); /* pause, resume, ... */
enum exit_code command_history(const struct invocation *invocation);
enum exit_code command_report(const struct invocation *invocation);
enum exit_code command_confirm(const struct invocation *invocation);
enum exit_code command_note(const struct invocation *invocation);
enum exit_code command_weight(const struct invocation *invocation);
enum exit_code command_hold(const struct invocation *invocation);
enum exit_code command_scale(const struct invocation *invocation);
enum exit_code command_release(const struct invocation *invocation);
enum exit_code command_drain(const struct invocation *invocation);
enum exit_code command_version(const struct invocation *invocation);
enum exit_code command_help(const struct invocation *invocation);

#endif
