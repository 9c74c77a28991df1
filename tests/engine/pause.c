/* What runs in the containers of these tests: waits until SIGTERM or SIGUSR1 and ends. */
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void on_signal(int signal)
{
    (void)signal;
    _exit(0);
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (;;)
        pause();
}
