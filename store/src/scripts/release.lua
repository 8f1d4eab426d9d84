-- Gives all leases of a grant back, or none. ARGV: nonce, epoch, how (free or reserve), channel,
-- head it is kept for.
-- Answers {'ok'} or {'lost', which}.

local nonce, epoch, how, channel, kept = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

for i = 3, #KEYS, 2 do
    local lease = standing(KEYS[i], KEYS[i + 1])
    if not (lease and lease.nonce == nonce and lease.epoch == epoch) then
        return { 'lost', text((i - 3) / 2) }
    end
end
local released = {}
for i = 3, #KEYS, 2 do
    local key, index = KEYS[i], KEYS[i + 1]
    if how == 'reserve' then
        redis.call('HSET', key, 'state', 'reserved', 'back', 'reserve', 'kept', kept)
        note_end(key, index, { state = 'reserved' })
    else
        forget(key, index)
    end
    released[#released + 1] = key
end
if #released > 0 then
    announce(channel, released)
end
return { 'ok' }
