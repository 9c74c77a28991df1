/* The help, made from the table of commands. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

struct command;

#define DEFAULT_ADMIN "/run/sluice/admin.sock"

void help_overview(void);
void help_command(const struct command *command);

#endif
