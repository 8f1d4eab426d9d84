-- All events up to a number were looked at. ARGV: the number. One that this server did not give
-- speaks of what it has forgotten.

local known = redis.call('HMGET', KEYS[1], 'heard', 'looked')
local number = tonumber(ARGV[1])
if known[1] and number <= tonumber(known[1]) and number > tonumber(known[2] or 0) then
    redis.call('HSET', KEYS[1], 'looked', ARGV[1])
end
return ''
