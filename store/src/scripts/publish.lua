-- Notes that a job waits. KEYS: what waits on its route, and when it had been published if it was
-- begun already. ARGV: the job, when it was published (ms), how much later than the message says
-- that may be, the most that wait, how long they are remembered (ms).
--
-- Word of a publishing may come after the job has begun, or ended: then it no longer waits.

local waiting, begun = KEYS[1], redis.call('GET', KEYS[2])
local job, at, late = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local most, remembered = ARGV[4], ARGV[5]
if begun and at - late <= tonumber(begun) then
    return 0
end
redis.call('ZADD', waiting, 'LT', ARGV[2], job)
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', string.format('%.0f', at - tonumber(remembered)))
redis.call('ZREMRANGEBYRANK', waiting, most, -1)
redis.call('PEXPIRE', waiting, remembered)
return 1
