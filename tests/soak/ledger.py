"""What was asked and what came of it, and the rules by which a failure is allowed."""
import time

# Not to be sent twice (RFC 9110 9.2.2), or in the middle of what cannot be sent twice.
FRAGILE = {"upload", "websocket", "tcp", "sse"}
UNACCEPTED = 100  # one in so many SIGTERMs, at least one: only a connection in the backlog just then is lost so
MARGIN = 1.0  # seconds between a death and the moment when the last worker has noticed, on a busy machine

RULES = """\
1. An exchange with a service whose backends only come and go as told (config, SIGHUP, then SIGTERM once nothing uses
   them; weights) never fails: not one request, WebSocket or TCP connection.
2. Where a backend is killed with SIGKILL, exchanges may fail that were in flight at that moment, of any kind: it may
   have begun to process them, or have sent a part of its answer.
3. Where a backend ends by SIGTERM without a word to Sluice, only fragile ones may fail that were in flight then: what
   must not be sent twice (uploads), and streams and tunnels that the backend itself cuts when its patience ends (5 s). Rarely, one
   on a new connection that the backend's kernel had taken and the backend itself never did: it is told 502.
4. Everything else is a failure: any other failed exchange, a wrong body, a refusal of what is in order, an answer to
   garbage other than 400 and close."""


class Exchange:
    def __init__(self, ledger, kind, wild):
        self.ledger, self.kind, self.wild = ledger, kind, wild
        self.start, self.end, self.detail = time.monotonic(), None, None

    def done(self):
        self.end = time.monotonic()
        self.ledger.done[self.kind] = self.ledger.done.get(self.kind, 0) + 1

    def failed(self, detail):
        self.end, self.detail = time.monotonic(), detail
        self.at = time.strftime("%H:%M:%S", time.gmtime())
        self.ledger.failures.append(self)


class Ledger:
    def __init__(self):
        self.done = {}       # kind: count
        self.failures = []   # exchanges
        self.deaths = []     # (time, "kill" or "term", backend)
        self.wrongs = []     # texts: what no rule allows, found elsewhere

    def begin(self, kind, wild=True):
        return Exchange(self, kind, wild)

    def died(self, how, backend):
        self.deaths.append((time.monotonic(), how, backend))

    def is_allowed(self, failure):
        if not failure.wild or failure.detail.startswith("wrong"):
            return False
        return any((how == "kill" or failure.kind.removeprefix("tls ") in FRAGILE)
                   and failure.start - MARGIN <= moment <= failure.end
                   for moment, how, _ in self.deaths)

    def may_be_unaccepted(self, failure):
        """A 502 in flight as a backend began to end: that its connection was new cannot be seen from here, only that it is rare."""
        return failure.wild and failure.detail == "status 502" and any(
            how == "term" and failure.start <= moment <= failure.end for moment, how, _ in self.deaths)

    def verdict(self):
        """(allowed failures by kind, texts of those that are not)"""
        allowed, wrong = {}, []
        unaccepted = max(1, sum(how == "term" for _, how, _ in self.deaths) // UNACCEPTED)
        for failure in self.failures:
            excused = self.is_allowed(failure)
            if not excused and unaccepted > 0 and self.may_be_unaccepted(failure):
                unaccepted -= 1
                excused = True
            if excused:
                allowed[failure.kind] = allowed.get(failure.kind, 0) + 1
            else:
                near = [f"{how} of {backend} {moment - failure.start:+.2f} s" for moment, how, backend in self.deaths
                        if abs(moment - failure.start) < 10]
                wrong.append(f"{failure.at}: {failure.kind}: {failure.detail} after {failure.end - failure.start:.2f} s"
                             + (f" ({'; '.join(near)} from its start)" if near else ""))
        return allowed, wrong + self.wrongs
