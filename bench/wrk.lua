-- What wrk found, as one line of JSON. With an argument N each request asks the next of N services, s0.example to
-- sN-1.example.
local services = 0

function init(args)
   services = tonumber(args[1] or 0)
   if services > 0 then
      local heads = {}
      for i = 0, services - 1 do
         wrk.headers["Host"] = string.format("s%d.example", i)
         heads[i] = wrk.format("GET", nil)
      end
      local next = 0
      function request()
         next = (next + 1) % services
         return heads[next]
      end
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format('\n{"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "p999_us": %d, ' ..
      '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      e.connect, e.read, e.write, e.status, e.timeout))
end
