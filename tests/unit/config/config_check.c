/* What tests/config asks: reads a file as the daemon does and prints its canonical form, or the
 * errors on stderr with exit status 2. `--keys` prints every key that the reader knows. */
#include "config/config.h"
#include "config/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_keys(void)
{
    for (size_t i = 0; config_tables[i] != NULL; i++) {
        printf("%s\n", config_tables[i]->name);
        for (size_t j = 0; j < config_tables[i]->count; j++)
            printf("%s.%s\n", config_tables[i]->name, config_tables[i]->fields[j].key);
    }
}

int main(int argc, char **argv)
{
    struct config_errors errors;
    struct config *config = NULL;

    if (argc != 2) {
        fprintf(stderr, "usage: config_check FILE | --keys\n");
        return 2;
    }
    if (strcmp(argv[1], "--keys") == 0) {
        print_keys();
        return 0;
    }
    if (config_read_file(argv[1], NULL, &errors, &config) < 0) {
        fputs(errors.text, stderr);
        config_errors_done(&errors);
        return 2;
    }
    char *json = config_to_json(config);
    puts(json);
    free(json);
    config_free(config);
    return 0;
}
