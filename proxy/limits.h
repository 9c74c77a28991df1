/* Every limit of the data plane, with its reason. Those of the HTTP/1 grammar are in http1.h. */
#ifndef PROXY_LIMITS_H
#define PROXY_LIMITS_H

/* The most one read brings: 256 KiB moves 1 MiB bodies in a quarter less time than 64 KiB does.
 * Also what one connection can have queued, for its source is read again only when it is empty. */
#define READ_BYTES_MAX (256u << 10)

/* Tunnels in bulk are spliced: so many reads in a row that brought so much begin it, and as many
 * that brought less than the other figure end it. Below the one nothing is gained; see
 * docs/data-plane.md. Between the two all stays as it is. */
#define BULK_BYTES      (128u << 10)
#define BULK_LEFT_BYTES (32u << 10)
#define BULK_READS      8u
/* Of an answer of known length as much has to be left: a pipe of its own is four system calls. */
#define BODY_SPLICED_BYTES (256u << 10)
/* What each pipe is to hold: any user may have it so, and one of 64 KiB costs more than it saves.
 */
#define PIPE_BYTES (1u << 20)
/* Directions spliced at once, per worker; further ones are copied. All pipes of a user may hold
 * 64 MiB unasked (pipe-user-pages-soft): those of four workers do. */
#define PIPES_MAX 16u
/* And of all descriptors one in so many, for a pipe takes two of those kept for backends. */
#define DESCRIPTORS_PER_PIPE 64u

/* Bytes of further requests taken while one is in progress; then the kernel holds the rest. One
 * read may bring as many again. Small, for every connection may have them: some 100 requests. */
#define PIPELINED_BYTES_MAX (16u << 10)
/* Requests of one connection answered in one turn by the proxy itself: others want to be served. */
#define REQUESTS_PER_TURN 32u
#define YIELD_MS          1u

/* A client that sends no more has gone or has closed its sending side only; which of the two shows
 * when something is written to it. So long an answer is waited for. */
#define HALF_CLOSED_MS 2000u

/* Body bytes kept to send a request once more: small ones only, for most requests that are retried
 * have none at all. */
#define REPLAY_BYTES_MAX (16u << 10)
/* The longest protocol that an upgrade may ask for and be granted ("websocket" has 9 bytes). */
#define UPGRADE_BYTES_MAX 32u

/* What a client may send of certificates, chain included: far above any that is in use. In a head
 * it is written in base64. */
#define CLIENT_CERTIFICATES_BYTES_MAX (16u << 10)

/* A head as it is sent on: what was parsed, and the fields that the proxy adds. */
#define HEAD_OUT_BYTES_MAX                                                                         \
    (HTTP1_HEAD_BYTES_MAX + HTTP1_TARGET_BYTES_MAX + 4096u + CLIENT_CERTIFICATES_BYTES_MAX * 3 / 2)

/* Proxies before this one that are asked who their client was: no real chain is as long, and a
 * list that somebody made up costs no more. */
#define FORWARDED_HOPS_MAX 32u

/* Cookies of one name whose signature is looked at: a browser sends one, or one per path. A head
 * has room for hundreds, and each costs an HMAC. */
#define USER_COOKIES_MAX 4u

/* Connections accepted in one turn, so that a flood of them does not starve those in progress. */
#define ACCEPTS_PER_TURN 64u
/* Of all descriptors, one in so many is kept for connections to backends: a client that is taken on
 * can be served. */
#define DESCRIPTOR_SHARE_KEPT 8u
/* Accepting rests so long when there are no descriptors: time for some to be closed. */
#define ACCEPT_PAUSE_MS 200u

/* Memory, in per cent of limits.memory; see pressure.h. The last 5 % are what the requests that are
 * there already may still take; the gaps to where a level is left are some ten large answers. */
#define PRESSURE_TIGHT_PERCENT      92u
#define PRESSURE_TIGHT_LEFT_PERCENT 85u
#define PRESSURE_FULL_PERCENT       95u
#define PRESSURE_FULL_LEFT_PERCENT  90u
/* What one read brings then, and so about what one connection more can come to hold. */
#define PRESSURE_READ_BYTES (16u << 10)

/* Idle connections closed at once for want of descriptors or memory: the room that the next clients
 * find, so that not each of them has to look for it. */
#define SHED_BATCH 32u
/* A connection that has not asked yet is not idle for so long: its request is on its way. */
#define SHED_GRACE_MS 1000u
/* Connections looked at for that, each time: at most so much of a turn, however few are idle. */
#define SHED_LOOKS_MAX 1024u
/* "No descriptors" and the like are logged once in so long; the counters have them all. */
#define SHORTAGE_LOG_MS 1000u

/* Clients that figures are kept of: 64 Ki of them in 1 MiB, for connections and rates each, and
 * only where such a limit is given. More than a worker has connections, so all of those fit; eight
 * to a set are two lines of the cache, and few enough sets overflow before the table is full. */
#define CLIENT_TABLE_SETS 8192u
#define CLIENT_TABLE_WAYS 8u

/* How long an exchange may wait though a place became free on another worker; and how much longer
 * than another worker's first it may have waited before that one stands back. A look costs less
 * than a thousandth of this time; standing back leaves a place unused for a look's length. */
#define QUEUE_LOOK_MS 10u
#define QUEUE_FAIR_MS 50u
/* Between two sums of a group's load, per member: some hundredths of one core at most. */
#define HASH_SUM_US 1u
/* Where the config has none: the table is of another generation's. */
#define HASH_BOUND_PERCENT 125u
/* Times that another worker may take a backend's last place first, until the exchange waits. */
#define JOIN_TRIES_MAX 4u

/* Backends tried for one exchange: the first, and each retry that a config may allow. */
#define TRIES_MAX (1u + CONFIG_RETRIES_MAX)

/* Copies of requests for the canary, per worker: in flight at once, so that one that hangs costs no
 * more than these; the head that is copied, where ordinary ones have 1 KiB; the part of a body that
 * is compared (a multiple of 8), after which its connection is closed; and all of its time. */
#define MIRRORS_MAX           64u
#define MIRROR_HEAD_BYTES_MAX (16u << 10)
#define MIRROR_BODY_BYTES_MAX (256u << 10)
#define MIRROR_MS_MAX         30000u

/* Idle connections kept per backend and worker: above any steady concurrency of one worker. */
#define POOL_MAX 512u
/* Kept idle so long at most: below what common servers grant (nginx 75 s, Apache 5 s and up). */
#define POOL_IDLE_MS 30000u

/* After the last answer of a connection: what the client still sends is read and dropped, so that
 * it reads the answer and no reset. */
#define LINGER_MS        2000u
#define LINGER_BYTES_MAX (1u << 20)

/* A stopping worker grants idle connections so long: a request that is on its way just then is
 * answered (and the connection closed by that answer) instead of being cut off. */
#define DRAIN_IDLE_MS 1000u

/* A client or backend that was told goodbye (a close frame, a FIN) may take so long to take its
 * leave; a stream of events has so long to come to the end of one. */
#define FAREWELL_MS 3000u

/* The list of what holds the drains is made of a look at every exchange, and each end on a draining
 * backend asks for it. After it was made it rests for so many times as long as that took. */
#define HOLDS_REST 10u

/* Lines of the access log gather so far before they are written: some 200. */
#define ACCESS_LOG_BYTES_MAX (64u << 10)

/* A page for errors: read whole into each worker, and sent in one piece. */
#define ERROR_PAGE_BYTES_MAX (64 << 10)

/* Tries to copy a table out that its writer keeps changing; then the next bell. */
#define ADOPTION_TRIES_MAX 100u

/* Finished relays kept for reuse, with their timers armed: those of a busy worker. */
#define RELAYS_FREE_MAX 1024u

/* Interim answers (1xx) before a final one: a backend that sends them without end is broken. */
#define INTERIM_MAX 16u

#endif
