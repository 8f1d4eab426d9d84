-- An event is heard of. KEYS[2]: the events by their numbers. ARGV: the message, the head that it
-- names or '', how long all this is remembered, of how many events. Answers its number, and what
-- is known.
--
-- Numbers begin at the time: a server that has forgotten the last one gives higher ones all the
-- same, and nobody takes an event for one that came before.

local number = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not number then
    number = text(math.max(tonumber(redis.call('HGET', KEYS[1], 'heard') or 0) + 1, now))
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
