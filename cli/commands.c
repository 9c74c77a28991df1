/* The table of commands: what each takes, and what its help says. */
#include "command.h"

#include <stddef.h>

#define EXITS_ASK                                                                                  \
    "0  done\n2  wrong usage, or no such service or rollout\n4  the daemon is not reachable\n"
#define EXITS_CHANGE                                                                               \
    "0  done\n2  wrong usage, or no such service or rollout\n"                                     \
    "3  refused, nothing was changed\n4  the daemon is not reachable\n"

const struct command commands[] = {
    {
        .name = "run",
        .summary = "start the proxy and updater with a config file",
        .usage = "CONFIG [--state DIR] [--admin PATH] [--engine HOST] [--workers N] "
                 "[--endpoints FILE]",
        .text =
            "Reads and checks CONFIG, then runs in the foreground until SIGTERM or Ctrl-C. SIGHUP\n"
            "reads CONFIG again: a bad one is logged and changes nothing. Options win over the\n"
            "file, so that several instances can run beside one another without root.\n",
        .examples = "sluice run /etc/sluice/sluice.yaml\n"
                    "sluice run shop.yaml --state ./state --admin ./admin.sock\n",
        .exits = "0  stopped as asked\n2  wrong usage, or CONFIG has errors\n"
                 "1  it could not start or go on; the last log line says why\n",
        .options = {{"state", "DIR", "where the journal and history are kept"},
                    {"engine", "HOST", "unix:///path or tcp://host:port of the engine"},
                    {"workers", "N", "worker processes, 1 to 32"},
                    {"endpoints", "FILE", "write the addresses really bound (for port 0)"}},
        .arguments_min = 1,
        .arguments_max = 1,
        .local = true,
        .run = command_run,
    },
    {
        .name = "check",
        .summary = "check a config file",
        .usage = "CONFIG [--canonical]",
        .text = "Says every error at once, each with its line, what was found and what is allowed. "
                "Tries\n"
                "the certificates and keys too: let it run as the user that starts Sluice.\n",
        .examples = "sluice check sluice.yaml\n"
                    "sluice check sluice.yaml --canonical   # with every default spelled out\n",
        .exits = "0  it is good\n1  its files could not be tried\n2  it, or a file that it names "
                 "for TLS, has errors\n",
        .options = {{"canonical", NULL,
                     "print it as JSON with every default spelled out; tries no files"}},
        .arguments_min = 1,
        .arguments_max = 1,
        .local = true,
        .run = command_check,
    },
    {
        .name = "status",
        .summary = "show services and their backends",
        .usage = "[SERVICE]",
        .examples = "sluice status\n"
                    "sluice status web\n"
                    "sluice status web --json\n",
        .exits = EXITS_ASK,
        .arguments_max = 1,
        .run = command_status,
    },
    {
        .name = "watch",
        .summary = "show weights, health, load and drains live",
        .usage = "[SERVICE] [--once]",
        .text =
            "Fills the screen and is drawn anew as things change; q quits. Where the output is no\n"
            "terminal, it prints one block of text after the other.\n",
        .examples = "sluice watch\n"
                    "sluice watch web\n"
                    "sluice watch web --once\n",
        .exits = EXITS_ASK,
        .options = {{"once", NULL, "print one frame and end"}},
        .arguments_max = 1,
        .run = command_watch,
    },
    {
        .name = "rollout",
        .summary = "bring a new image to a service, step by step",
        .usage = "SERVICE --image IMAGE [--env NAME=VALUE] [--label NAME=VALUE] [--memory SIZE] "
                 "[--cpus N] [--command WORDS] [--strategy WORD] [--order WORD] "
                 "[--steps 5,25,50,100] "
                 "[--interval 30s] [--preset NAME] [--reason TEXT] [--no-pull | --pull WHEN] "
                 "[--replicas N [--network NAME] [--volume WHAT] [--publish PORT] "
                 "[--restart WORD] [--user USER]] "
                 "[--dry-run] [--force CHECK,...] [--detach]",
        .text =
            "Starts a rollout and follows it to its end, a line for each thing that happens.\n"
            "Ctrl-C stops following; the rollout goes on. An image that the engine does not have\n"
            "is pulled first, which is shown; until then nothing is changed.\n"
            "\n"
            "Without --steps and --interval the steps in the service's config are taken.\n"
            "--steps gives the weights; between two of them it pauses for --interval (30s).\n"
            "--interval alone means --steps 5,25,50,100 with that pause. --preset takes a plan\n"
            "by name: of the config's presets, or careful, fast, at_once.\n"
            "\n"
            "--strategy canary moves traffic by steps, all old containers running to the end;\n"
            "rolling replaces replica by replica; blue_green raises all new ones, switches once\n"
            "and keeps the old ones for bake_time. --order start-first runs each new container\n"
            "beside its old one; stop-first stops the old one first, and holds requests where\n"
            "nothing else serves; auto takes stop-first only where start-first cannot work.\n"
            "What is not told is the config's.\n"
            "\n"
            "Before anything changes it is checked whether it can go well, and refused where it\n"
            "cannot. --dry-run shows these checks and the plan, and changes nothing: nothing is\n"
            "pulled either. What is a judgement (memory, cpu, disk ...) can be overruled by\n"
            "--force; it is then a warning, and in the rollout's record.\n"
            "\n"
            "--env, --label, --memory, --cpus and --command change the containers on purpose,\n"
            "with a new image or, without --image, with the one that they have. What is changed\n"
            "stays changed in later rollouts. --env and --label may be given more than once;\n"
            "NAME- unsets. --command is taken apart as by a shell; an empty one is the image's.\n"
            "\n"
            "--replicas N makes the first N containers of a service that has none: SERVICE-1 to\n"
            "SERVICE-N, with the label that the service is found by. They are in rotation once\n"
            "they are healthy; where one fails, all of them are removed again. --network,\n"
            "--volume, --publish, --restart and --user are as for `docker run`; they are on the\n"
            "service's own network in any case, and are restarted unless stopped. Later rollouts\n"
            "keep all of it.\n",
        .examples = "sluice rollout web --image web:v2\n"
                    "sluice rollout web --image web:v2 --strategy rolling\n"
                    "sluice rollout web --image web:v2 --steps 1,10,50,100 --interval 5m\n"
                    "sluice rollout web --image web:v2 --reason 'new checkout' --detach\n"
                    "sluice rollout web --memory 512m --env DEBUG- --env POOL=20\n"
                    "sluice rollout web --image web:v2 --dry-run\n"
                    "sluice rollout web --image web:v1 --replicas 3 --env POOL=20\n",
        .exits = "0  completed (with --detach: started; with --dry-run: it would begin)\n"
                 "1  failed and rolled back, or it needs attention\n"
                 "2  wrong usage, or no such service\n"
                 "3  refused, nothing was changed\n"
                 "4  the daemon is not reachable\n"
                 "5  aborted by somebody\n"
                 "130  Ctrl-C: it goes on, unfollowed\n",
        .options = {{"image", "IMAGE", "what to roll out: a reference or an id"},
                    {"steps", "LIST", "weights in per cent, rising, the last one 100"},
                    {"interval", "TIME", "pause between two steps: 500ms, 30s, 5m"},
                    {"strategy", "WORD", "canary, rolling or blue_green"},
                    {"order", "WORD", "auto, start-first or stop-first"},
                    {"preset", "NAME", "a plan by name, instead of --steps"},
                    {"env", "NAME=VALUE", "set a variable; NAME- unsets it"},
                    {"label", "NAME=VALUE", "set a label; NAME- takes it away"},
                    {"memory", "SIZE", "limit of memory: 512m, 2g; 0: none"},
                    {"cpus", "N", "limit of processors: 1.5; 0: none"},
                    {"command", "WORDS", "what is run in place of the image's command"},
                    {"replicas", "N", "make the first N containers: the service has none yet"},
                    {"network", "NAME", "first ones: a network that they are on"},
                    {"volume", "WHAT", "first ones: NAME:/PATH, /HOST:/PATH, :ro or not; /PATH"},
                    {"publish", "PORT", "first ones: [[IP:]HOST:]CONTAINER[/udp]"},
                    {"restart", "WORD", "first ones: no, always, unless-stopped, on-failure[:N]"},
                    {"user", "USER", "first ones: who they run as"},
                    {"reason", "TEXT", "why; kept in the history"},
                    {"pull", "WHEN", "missing, always or never; the config's is the default"},
                    {"no-pull", NULL, "the same as --pull never: what the engine has, or nothing"},
                    {"dry-run", NULL, "show the plan and every check; change nothing"},
                    {"force", "CHECKS", "go on though these refuse, with commas between"},
                    {"detach", NULL, "start it and return"}},
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_rollout,
    },
    {
        .name = "rollback",
        .summary = "go back to an earlier version of the history",
        .usage = "SERVICE [ROLLOUT | IMAGE] [--reason TEXT] [--dry-run] [--detach]",
        .text =
            "Rolls the very image out that served then, by its id: no registry is asked. Without "
            "a\n"
            "second word it is the version before the last completed rollout; with one, what that\n"
            "rollout brought, or the newest of that image. Changes made since (--env and such) "
            "are\n"
            "taken back. All of the new containers at once, then `monitor`: it has served before.\n"
            "A rollout that is in progress is taken back by `sluice abort`.\n",
        .examples = "sluice rollback web\n"
                    "sluice rollback web 20261123-051500-4f2a --reason 'checkout is broken'\n"
                    "sluice rollback web web:v1 --dry-run\n",
        .exits = "0  completed (with --detach: started; with --dry-run: it would begin)\n"
                 "1  failed and rolled back, or it needs attention\n"
                 "2  wrong usage, or no such service\n"
                 "3  refused, nothing was changed: its image is gone, or there is no such version\n"
                 "4  the daemon is not reachable\n"
                 "5  aborted by somebody\n"
                 "130  Ctrl-C: it goes on, unfollowed\n",
        .options = {{"reason", "TEXT", "why; kept in the history"},
                    {"dry-run", NULL, "print what it would do, and change nothing"},
                    {"detach", NULL, "start it and return"}},
        .arguments_min = 1,
        .arguments_max = 2,
        .run = command_rollback,
    },
    {
        .name = "pause",
        .summary = "hold a rollout where it is",
        .usage = "SERVICE | ROLLOUT",
        .text = "A service's name means the rollout that is in progress.\n",
        .examples = "sluice pause web\n",
        .exits = EXITS_CHANGE,
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_verb,
    },
    {
        .name = "resume",
        .summary = "go on with a rollout that was paused",
        .usage = "SERVICE | ROLLOUT",
        .text = "A service's name means the rollout that is in progress.\n",
        .examples = "sluice resume web\n",
        .exits = EXITS_CHANGE,
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_verb,
    },
    {
        .name = "promote",
        .summary = "end the pause that a rollout is in, and take its next step",
        .usage = "SERVICE | ROLLOUT",
        .text = "A service's name means the rollout that is in progress.\n",
        .examples = "sluice promote web\n",
        .exits = EXITS_CHANGE,
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_verb,
    },
    {
        .name = "abort",
        .summary = "take a rollout back: all traffic to the old version",
        .usage = "SERVICE | ROLLOUT",
        .text = "A service's name means the rollout that is in progress. The new containers are "
                "drained\n"
                "and removed; nothing is lost. While its image is still being pulled, the pull "
                "ends, and\n"
                "nothing was changed.\n",
        .examples = "sluice abort web\n",
        .exits = EXITS_CHANGE,
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_verb,
    },
    {
        .name = "confirm",
        .summary = "say yes to what a rollout waits for: a gate, or a hook that failed",
        .usage = "SERVICE | ROLLOUT [--name HOOK]",
        .text =
            "For gates at confirm_* points, a webhook's place included, and for hooks and\n"
            "verifications that failed with `on_failure: pause`. Who said yes is kept. The way to\n"
            "say no is `sluice abort`.\n",
        .examples = "sluice confirm web\n"
                    "sluice confirm web --name desk\n",
        .exits = EXITS_CHANGE,
        .options = {{"name", "HOOK", "which, where several wait"}},
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_confirm,
    },
    {
        .name = "history",
        .summary = "list past rollouts, or show one in full",
        .usage = "[SERVICE | ROLLOUT] [--limit N]",
        .examples = "sluice history\n"
                    "sluice history web --limit 5\n"
                    "sluice history 20261123-051500-4f2a\n",
        .exits = EXITS_ASK,
        .options = {{"limit", "N", "at most N of them, newest first (20)"}},
        .arguments_max = 1,
        .run = command_history,
    },
    {
        .name = "report",
        .summary = "print the report of a rollout: what, who, when, how it went",
        .usage = "SERVICE | ROLLOUT",
        .text =
            "Markdown; with --json the whole record. A service's name means its newest rollout,\n"
            "in progress or not. Reports of those that ended are kept in the state folder too,\n"
            "as reports/ROLLOUT.md and .json.\n",
        .examples = "sluice report web\n"
                    "sluice report 20261123-051500-4f2a > rollout.md\n",
        .exits = EXITS_ASK,
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_report,
    },
    {
        .name = "note",
        .summary = "note something with a rollout, for its report",
        .usage = "SERVICE | ROLLOUT TEXT [--lesson]",
        .text = "A service's name means its newest rollout, in progress or not. With --lesson the\n"
                "start of the service's next rollouts shows it too.\n",
        .examples = "sluice note web 'cart looked slow at 25%, it was the cache'\n"
                    "sluice note web 'run the migration first' --lesson\n",
        .exits = EXITS_CHANGE,
        .options = {{"lesson", NULL, "show it at the start of the next rollouts"}},
        .arguments_min = 2,
        .arguments_max = 2,
        .run = command_note,
    },
    {
        .name = "weight",
        .summary = "send a share of a static service's traffic to its canary list",
        .usage = "SERVICE PERCENT",
        .text = "For services with `backends` and `canary` lists. 0 to 100, in steps of 0.01.\n",
        .examples = "sluice weight web 10\n"
                    "sluice weight web 0.25\n"
                    "sluice weight web 0      # all of it back\n",
        .exits = EXITS_CHANGE,
        .arguments_min = 2,
        .arguments_max = 2,
        .run = command_weight,
    },
    {
        .name = "scale",
        .summary = "run more or fewer containers of a service",
        .usage = "SERVICE=N [--reason TEXT] [--detach]",
        .text =
            "More come up like those that run, each with volumes of its own, and get traffic once\n"
            "they are healthy, with slow start. Fewer: those of the highest numbers are drained,\n"
            "stopped and removed; their volumes stay. It is followed like a rollout, may be\n"
            "aborted while new ones come up, and is in the history.\n",
        .examples = "sluice scale web=5\n"
                    "sluice scale web=2 --reason 'the weekend'\n",
        .exits = "0  done (with --detach: started)\n"
                 "1  a new one failed and all new ones were removed, or it needs attention\n"
                 "2  wrong usage, or no such service\n"
                 "3  refused, nothing was changed\n"
                 "4  the daemon is not reachable\n"
                 "5  aborted by somebody\n"
                 "130  Ctrl-C: it goes on, unfollowed\n",
        .options = {{"reason", "TEXT", "why; kept in the history"},
                    {"detach", NULL, "start it and return"}},
        .arguments_min = 1,
        .arguments_max = 2,
        .run = command_scale,
    },
    {
        .name = "hold",
        .summary = "let a service's new requests and connections wait for a while",
        .usage = "SERVICE [--timeout 30s]",
        .text =
            "What is in progress goes on. What comes waits, at most hold.max per worker and\n"
            "hold.timeout each (see the service's config), and gets 503 past that. The hold ends\n"
            "by itself after --timeout, or by `sluice release`. Holding it again sets the time "
            "anew.\n",
        .examples = "sluice hold web\n"
                    "sluice hold db --timeout 2m && ./migrate; sluice release db\n",
        .exits = EXITS_CHANGE,
        .options = {{"timeout", "TIME", "how long at most, up to 1h; default hold.timeout (30s)"}},
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_hold,
    },
    {
        .name = "release",
        .summary = "end a hold: what waits goes on, in order",
        .usage = "SERVICE",
        .text = "Exit code 3 where it is not held any more: its time was over before.\n",
        .examples = "sluice release web\n",
        .exits = EXITS_CHANGE,
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_release,
    },
    {
        .name = "drain",
        .summary = "show what draining containers wait for, end it, or give it more time",
        .usage = "SERVICE [--end ID | --end CLASS] [--extend TIME | --extend CLASS=TIME] [--watch]",
        .text =
            "Classes: requests, uploads, streams, websockets, tcp, all. An end is polite first: a\n"
            "close frame, the end of an event, a 503, a FIN; and forced some seconds later. A "
            "class\n"
            "is ended over close_spread, so that its clients do not come back at once. More time\n"
            "is for the drains of the rollout in progress, also for those that are still to come.\n"
            "LEFT is what is left of the budget, or less where the rate so far says so.\n",
        .examples = "sluice drain web\n"
                    "sluice drain web --watch\n"
                    "sluice drain web --end 72057594037927937\n"
                    "sluice drain web --end websockets\n"
                    "sluice drain web --extend websockets=5m\n",
        .exits = EXITS_CHANGE,
        .options = {{"end", "ID", "end this exchange, or all of a class"},
                    {"extend", "TIME", "add so much to the budgets, or to one: CLASS=TIME"},
                    {"watch", NULL, "again each second, until nothing drains"}},
        .arguments_min = 1,
        .arguments_max = 1,
        .run = command_drain,
    },
    {
        .name = "version",
        .summary = "print the version",
        .usage = "",
        .examples = "sluice version\n",
        .exits = "0  done\n",
        .local = true,
        .run = command_version,
    },
    {
        .name = "help",
        .summary = "explain sluice, or one command",
        .usage = "[COMMAND]",
        .examples = "sluice help rollout\n",
        .exits = "0  done\n2  no such command\n",
        .arguments_max = 1,
        .local = true,
        .run = command_help,
    },
    {.name = NULL},
};
