/* The tables. A change of them is a new JOURNAL_SCHEMA with the way from the one before: entry n
 * leads from schema n to n + 1, and a new journal takes all of them. Entries are never edited. */
#include "base/check.h"
#include "journal_parts.h"

static const char first[] =
    "CREATE TABLE services (name TEXT PRIMARY KEY, stable_rollout TEXT, options TEXT,"
    " weight INTEGER NOT NULL) STRICT;"

    "CREATE TABLE rollouts (id TEXT PRIMARY KEY, service TEXT NOT NULL, strategy TEXT,"
    " spec TEXT NOT NULL, image TEXT, image_id TEXT, digest TEXT, previous_image TEXT,"
    " previous_image_id TEXT, reason TEXT, user TEXT, created_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, replicas INTEGER NOT NULL, weight INTEGER NOT NULL,"
    " wish_pause INTEGER NOT NULL, wish_promote INTEGER NOT NULL, wish_abort INTEGER NOT NULL,"
    " phase TEXT NOT NULL, outcome TEXT NOT NULL, step INTEGER NOT NULL,"
    " step_entered INTEGER NOT NULL, step_since_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL,"
    " promote_wanted INTEGER NOT NULL, aborted INTEGER NOT NULL, seen_low INTEGER NOT NULL,"
    " seen_high INTEGER NOT NULL, why TEXT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX one_in_progress ON rollouts (service) WHERE phase <> 'ended';"
    "CREATE INDEX rollouts_by_time ON rollouts (service, created_ms);"

    "CREATE TABLE actions (id INTEGER PRIMARY KEY, rollout TEXT NOT NULL"
    " REFERENCES rollouts (id) ON DELETE CASCADE, kind TEXT NOT NULL, container TEXT,"
    " ordinal INTEGER NOT NULL, detail TEXT, started_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, error INTEGER NOT NULL, message TEXT) STRICT;"
    "CREATE INDEX actions_by_rollout ON actions (rollout, ended_ms);"

    "CREATE TABLE steps (rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,"
    " position INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    " figures TEXT, PRIMARY KEY (rollout, position)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE containers (rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,"
    " id TEXT NOT NULL, name TEXT, final_name TEXT, image_id TEXT, ordinal INTEGER NOT NULL,"
    " is_new INTEGER NOT NULL, slot INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, published_ms INTEGER NOT NULL,"
    " stopped_ms INTEGER NOT NULL, removed_ms INTEGER NOT NULL,"
    " PRIMARY KEY (rollout, id)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE drains (rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,"
    " id TEXT NOT NULL, container TEXT, slot INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " is_new INTEGER NOT NULL, forced INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL, drained_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL,"
    " stopped_ms INTEGER NOT NULL, removed_ms INTEGER NOT NULL, notice_us INTEGER NOT NULL,"
    " proof TEXT, PRIMARY KEY (rollout, id)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE log (id INTEGER PRIMARY KEY, rollout TEXT NOT NULL"
    " REFERENCES rollouts (id) ON DELETE CASCADE, time_ms INTEGER NOT NULL, event TEXT NOT NULL,"
    " message TEXT) STRICT;"
    "CREATE INDEX log_by_rollout ON log (rollout, id);";

/* What people note of a rollout; what its hooks and verifications came to; what was looked up once
 * it had ended. */
static const char notes_and_tasks[] =
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, rollout TEXT NOT NULL"
    " REFERENCES rollouts (id) ON DELETE CASCADE, time_ms INTEGER NOT NULL, user TEXT,"
    " is_lesson INTEGER NOT NULL, message TEXT NOT NULL) STRICT;"
    "CREATE INDEX notes_by_rollout ON notes (rollout, id);"

    "CREATE TABLE tasks (rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,"
    " position INTEGER NOT NULL, step INTEGER NOT NULL, name TEXT NOT NULL,"
    " point TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, user TEXT, message TEXT,"
    " PRIMARY KEY (rollout, position, step)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE checks (rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,"
    " position INTEGER NOT NULL, name TEXT NOT NULL, passed INTEGER NOT NULL, message TEXT,"
    " PRIMARY KEY (rollout, position)) STRICT, WITHOUT ROWID;";

/* What a rollout's progress gains after this: journal_progress.c. */
static const char more_progress[] = "ALTER TABLE rollouts ADD COLUMN more TEXT;";

/* The last verdict of each step's analysis, with its figures. */
static const char analyses[] = "ALTER TABLE steps ADD COLUMN analysis TEXT;";

/* Changes of configuration, and what takes them back. */
static const char changes[] =
    "CREATE TABLE changes (rollout TEXT PRIMARY KEY REFERENCES rollouts (id) ON DELETE CASCADE,"
    " wanted TEXT NOT NULL, undo TEXT) STRICT, WITHOUT ROWID;";

/* How the exchanges of a drain ended, by class; and what operators ordered: journal_drains.c. */
static const char drain_ends[] =
    "ALTER TABLE drains ADD COLUMN ends TEXT;"
    "CREATE TABLE drain_orders (rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,"
    " kind TEXT NOT NULL, extend_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    " PRIMARY KEY (rollout, kind)) STRICT, WITHOUT ROWID;";

/* What was checked before it began. */
static const char preflight[] =
    "CREATE TABLE preflight (rollout TEXT NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,"
    " position INTEGER NOT NULL, name TEXT NOT NULL, outcome TEXT NOT NULL,"
    " forced INTEGER NOT NULL, message TEXT, PRIMARY KEY (rollout, position))"
    " STRICT, WITHOUT ROWID;";

/* What is to go with a container: looked for when the rollout has ended. */
static const char attached[] = "ALTER TABLE containers ADD COLUMN attached TEXT;";

static const char *const ways[] = {first,   notes_and_tasks, more_progress, analyses,
                                   changes, drain_ends,      preflight,     attached};

_Static_assert(sizeof(ways) / sizeof(ways[0]) == JOURNAL_SCHEMA, "each schema has its way");

const char *journal_way_from(int version)
{
    check(version >= 0 && version < JOURNAL_SCHEMA);
    return ways[version];
}
