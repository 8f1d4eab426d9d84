-- GitHub named a head. ARGV: the head, how long all this is remembered.

if redis.call('HMGET', KEYS[1], 'head')[1] ~= ARGV[1] then
    came(ARGV[1])
    redis.call('HSET', KEYS[1], 'head', ARGV[1], 'since', text(now))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return ''
