-- Takes one lease from whoever has it. ARGV: channel. Answers what was there, or nothing.
--
-- What was held rests for as long as if its holder had just been lost: one that is cut off from
-- here learns nothing of this, and goes on until its own fence.

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
        lease.state, lease.at = 'resting', lease.at + lease.delay
        redis.call('HSET', key, 'state', 'resting', 'at', text(lease.at))
    end
    note_end(key, index, lease)
end
announce(channel, { key })
return was
