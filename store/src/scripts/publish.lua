-- Notes that jobs of one route wait. KEYS: what waits on the route, then for each job when it had
-- been published if it was begun already. ARGV: how much later than its message says word of a job
-- may be dated, the most that wait, how long they are remembered (ms), then each job and when it
-- was published (ms).
--
-- Word of a publishing may come after the job has begun, or ended: then it no longer waits.

local waiting, late, most, remembered = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3]
local newest = nil
for i = 2, #KEYS do
    local begun, job, at = redis.call('GET', KEYS[i]), ARGV[2 * i], ARGV[2 * i + 1]
    if not (begun and tonumber(at) - late <= tonumber(begun)) then
        redis.call('ZADD', waiting, 'LT', at, job)
        newest = math.max(newest or 0, tonumber(at))
    end
end
if newest then
    local oldest = string.format('%.0f', newest - tonumber(remembered))
    redis.call('ZREMRANGEBYSCORE', waiting, '-inf', oldest)
    redis.call('ZREMRANGEBYRANK', waiting, most, -1)
    redis.call('PEXPIRE', waiting, remembered)
end
return 1
