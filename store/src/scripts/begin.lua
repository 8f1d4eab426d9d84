-- Notes that a run of a message began. KEYS: the message's runs. ARGV: the run, how many runs are
-- noted at most, how long they are remembered (ms). Answers how many others have not ended.

local runs, run, most, remembered = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local others = redis.call('HLEN', runs) - redis.call('HEXISTS', runs, run)
if others < most then
    redis.call('HSET', runs, run, redis.call('TIME')[1])
    redis.call('PEXPIRE', runs, remembered)
end
return others
