-- Takes one lease from whoever has it. ARGV: channel. Answers what was there, or nothing.

local key, index, channel = KEYS[3], KEYS[4], ARGV[1]
local lease = standing(key, index)
if not lease then
    return {}
end
local was = told(key)
redis.call('HSET', key, 'epoch', rise(), 'back', 'free')
lease.back = 'free'
if lease.state == 'reserved' then
    forget(key, index)
else
    if lease.state == 'held' then
        lease.state, lease.at = 'resting', now + lease.delay
        redis.call('HSET', key, 'state', 'resting', 'at', text(lease.at))
    end
    note_end(key, index, lease)
end
announce(channel, { key })
return was
