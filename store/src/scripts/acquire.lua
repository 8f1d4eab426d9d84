-- Takes all leases or none. ARGV: freeze, ttl, lock-delay, nonce, job, host, pull request, head.
-- Answers {'granted', epoch, back, head it is kept for} or {'busy', which, state, time left, owner ...}.

local ttl, delay, nonce, pr = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[7]
local left = frozen(ARGV[1])

local leases, epoch, repeated = {}, nil, true
for i = 3, #KEYS, 2 do
    local lease = standing(KEYS[i], KEYS[i + 1])
    leases[i] = lease
    local mine = lease and lease.state == 'held' and lease.nonce == nonce
    repeated = repeated and mine and (epoch == nil or epoch == lease.epoch)
    epoch = lease and lease.epoch
end

if not repeated then
    for i = 3, #KEYS, 2 do
        local lease = leases[i]
        if lease and not (lease.state == 'reserved' and lease.pr == pr) then
            local rest = lease.state == 'reserved' and 0 or lease.at - now
            if lease.state == 'held' then
                rest = rest + lease.delay
            end
            local owner = redis.call('HMGET', KEYS[i], 'nonce', 'job', 'host', 'pr', 'head')
            return { 'busy', text((i - 3) / 2), lease.state, text(rest), unpack(owner) }
        end
    end
    if left > 0 then
        return { 'busy', '0', 'resting', text(left) }
    end
    epoch = rise()
end

local give_back, kept = 'free', ARGV[8]
for i = 3, #KEYS, 2 do
    local key, before = KEYS[i], leases[i]
    local lease = { state = 'held', at = now + ttl, delay = delay, back = 'free', kept = ARGV[8] }
    if repeated then
        lease.back, lease.kept = before.back, before.kept
    elseif before then
        lease.back, lease.kept = 'reserve', before.kept
    end
    if lease.back == 'reserve' then
        give_back, kept = 'reserve', lease.kept
    end
    redis.call('HSET', key, 'state', 'held', 'at', text(lease.at), 'delay', text(delay),
        'back', lease.back, 'kept', lease.kept, 'epoch', epoch, 'renewed', text(now),
        'nonce', nonce, 'job', ARGV[5], 'host', ARGV[6], 'pr', pr, 'head', ARGV[8])
    if not repeated then
        redis.call('HSET', key, 'since', text(now), 'phase', '')
    end
    note_end(key, KEYS[i + 1], lease)
end
return { 'granted', epoch, give_back, kept }
