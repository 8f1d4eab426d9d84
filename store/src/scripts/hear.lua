-- An event is heard of. KEYS[2]: the events by their numbers. ARGV: the message, the head that it
-- names or '', how long all this is remembered, of how many events. Answers its number, and what
-- is known.
--
-- Numbers are the microseconds since 1970, or more: a server that has forgotten the last one gives
-- higher ones all the same, and nobody takes an event for one that came before.

-- The score that it has: nothing is added to it, and it is not added to those that are not there.
local number = redis.call('ZADD', KEYS[2], 'XX', 'INCR', 0, ARGV[1])
if not number then
    local heard = redis.call('HMGET', KEYS[1], 'heard')[1]
    local microseconds = tonumber(time[1]) * 1000000 + tonumber(time[2])
    number = text(math.max(tonumber(heard or 0) + 1, microseconds))
    redis.call('HSET', KEYS[1], 'heard', number)
    redis.call('ZADD', KEYS[2], number, ARGV[1])
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -tonumber(ARGV[4]) - 1)
    if ARGV[2] ~= '' then
        came(ARGV[2])
        redis.call('HSET', KEYS[1], 'named', ARGV[2])
    end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local answer = lately()
answer[#answer + 1] = text(tonumber(number))
return answer
