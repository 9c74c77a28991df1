#include "help.h"

#include "arguments.h"

#include <stdio.h>
#include <string.h>

#define NAME_COLUMNS 22

struct group {
    const char *title;
    const char *names[10];
};

static const struct group groups[] = {
    {"Run it", {"run", "check", "version"}},
    {"See", {"status", "watch", "drain", "history", "report"}},
    {"Roll out", {"rollout", "rollback", "pause", "resume", "promote", "abort", "confirm", "note"}},
    {"Shift by hand", {"weight", "scale", "hold", "release"}},
};

void help_overview(void)
{
    puts("sluice shifts a service's traffic to a new version in measured steps, and removes the "
         "old\n"
         "containers once they have truly finished.\n\n"
         "Usage: sluice COMMAND [OPTIONS]");
    for (unsigned i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        printf("\n%s\n", groups[i].title);
        for (const char *const *name = groups[i].names; *name != NULL; name++)
            printf("  %-10s %s\n", *name, arguments_find(*name)->summary);
    }
    puts("\nOptions of every command\n"
         "  --admin PATH   socket of the daemon (or SLUICE_ADMIN; default " DEFAULT_ADMIN ")\n"
         "  --json         for programs: print the admin API's JSON\n"
         "  --help         explain the command, with examples and exit codes\n"
         "\nThe first five minutes\n"
         "  1. Say what is fronted; here the Compose service `web`, on port 8080 in its "
         "containers:\n"
         "       listeners: { web: { address: \"0.0.0.0:80\" } }\n"
         "       services:\n"
         "         web: { discover: { label: com.docker.compose.service=web }, port: 8080,\n"
         "                healthcheck: { http: { path: /healthz } } }\n"
         "  2. sluice check sluice.yaml\n"
         "  3. sluice run sluice.yaml\n"
         "  4. sluice status                           # in another terminal\n"
         "  5. sluice rollout web --image web:v2       # Ctrl-C stops following, not the rollout\n"
         "     sluice watch web                        # the same, on a whole screen\n"
         "\nMore: sluice COMMAND --help");
}

/* Each line of `text` after `indent`. */
static void print_indented(const char *text, const char *indent)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        printf("%s%.*s\n", indent, (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void print_option(const char *name, const char *argument, const char *summary)
{
    char text[64];
    snprintf(text, sizeof text, "--%s%s%s", name, argument != NULL ? " " : "",
             argument != NULL ? argument : "");
    printf("  %-*s %s\n", NAME_COLUMNS, text, summary);
}

void help_command(const struct command *command)
{
    printf("sluice %s: %s\n\nUsage: sluice %s %s\n", command->name, command->summary, command->name,
           command->usage);
    if (command->text != NULL)
        printf("\n%s", command->text);
    puts("\nOptions");
    for (unsigned i = 0; i < OPTIONS_MAX && command->options[i].name != NULL; i++)
        print_option(command->options[i].name, command->options[i].argument,
                     command->options[i].summary);
    if (!command->local)
        print_option("admin", "PATH", "socket of the daemon; default " DEFAULT_ADMIN);
    else if (strcmp(command->name, "run") == 0)
        print_option("admin", "PATH", "listen for the admin API here");
    print_option("json", NULL, "for programs: print JSON");
    print_option("help", NULL, "print this");
    puts("\nExamples");
    print_indented(command->examples, "  ");
    puts("\nExit codes");
    print_indented(command->exits, "  ");
}

enum exit_code command_version(const struct invocation *invocation)
{
    if (invocation->json)
        puts("{\"version\":\"" SLUICE_VERSION "\"}");
    else
        puts("sluice " SLUICE_VERSION);
    return DONE;
}

enum exit_code command_help(const struct invocation *invocation)
{
    if (invocation->argument_count == 0) {
        help_overview();
        return DONE;
    }
    const struct command *command = arguments_find(invocation->arguments[0]);
    if (command == NULL)
        return complain(USAGE, "there is no command '%s'; `sluice --help` lists them",
                        invocation->arguments[0]);
    help_command(command);
    return DONE;
}
