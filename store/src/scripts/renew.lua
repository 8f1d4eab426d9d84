-- Prolongs all leases of a grant, or none. ARGV: ttl, nonce, epoch, phase, back, head it is kept
-- for.
-- Answers {'ok'} or {'lost', which}.

local ttl, nonce, epoch, phase = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local back, kept = ARGV[5], ARGV[6]

local leases = {}
for i = 3, #KEYS, 2 do
    local lease = standing(KEYS[i], KEYS[i + 1])
    if not (lease and lease.state == 'held' and lease.nonce == nonce and lease.epoch == epoch) then
        return { 'lost', text((i - 3) / 2) }
    end
    leases[i] = lease
end
for i = 3, #KEYS, 2 do
    local key, lease = KEYS[i], leases[i]
    lease.at, lease.back = now + ttl, back
    redis.call('HSET', key, 'at', text(lease.at), 'back', back, 'kept', kept,
        'renewed', text(now), 'phase', phase)
    note_end(key, KEYS[i + 1], lease)
end
return { 'ok' }
