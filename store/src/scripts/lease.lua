-- What all scripts about leases share. Rust puts this before each of them.
--
-- KEYS[1] is the boot marker, KEYS[2] the last epoch. Then come pairs: a lease and the index of its
-- project. All times are milliseconds since 1970 by this server's clock, and no other's.
--
-- A lease is a hash. `state` is held, resting or reserved; `at` is when that ends by itself (held,
-- resting); `back` is what it becomes when its holder is lost: free or reserve; `kept` is the head
-- that it is reserved for then, or ''; `delay` is its lock-delay. What ends as free vanishes by its time to live, a little after it has become free.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- How long what is over stays, so that these scripts say when it is over, and never the expiry.
local AFTERLIFE = 1000

local function text(number)
    return string.format('%.0f', number)
end

-- The next epoch: higher than any before, also when this server has forgotten all of them, because
-- none runs ahead of the microseconds since 1970.
local function rise()
    local microseconds = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local epoch = text(math.max(microseconds, tonumber(redis.call('GET', KEYS[2]) or 0) + 1))
    redis.call('SET', KEYS[2], epoch)
    return epoch
end

-- For how long nothing is granted yet, since this server may have forgotten grants: it has
-- restarted, or was emptied. `freeze` is the longest that a forgotten holder can still be at work.
-- The marker's `freeze` is the longest that any client had since this start of the server; `before`
-- is what counts of the time before it, when the grants were made that may be forgotten. A start
-- after that has been waited for forgets it.
local function frozen(freeze)
    local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
    local boot = redis.call('HMGET', KEYS[1], 'run', 'since', 'freeze', 'before')
    local since, longest, before = tonumber(boot[2] or now), boot[3] or '0', boot[4] or '0'
    if boot[1] ~= run then
        local both = math.max(tonumber(longest), tonumber(before))
        before = since + both > now and text(both) or longest
        since, longest = now, '0'
    elseif since > now then
        since = now
    end
    longest = text(math.max(tonumber(longest), tonumber(freeze)))
    if boot[1] ~= run or text(since) ~= boot[2] or longest ~= boot[3] then
        redis.call('HSET', KEYS[1], 'run', run, 'since', text(since), 'freeze', longest,
            'before', before)
    end
    return math.max(since + math.max(tonumber(longest), tonumber(before)) - now, 0)
end

local function forget(key, index)
    redis.call('DEL', key)
    redis.call('ZREM', index, key)
end

-- Notes when a lease is to vanish: what is or will be reserved never does.
local function note_end(key, index, lease)
    if lease.state == 'reserved' or lease.back == 'reserve' then
        redis.call('PERSIST', key)
        redis.call('ZADD', index, '+inf', key)
    else
        local free = lease.at + (lease.state == 'held' and lease.delay or 0)
        redis.call('PEXPIREAT', key, text(free + AFTERLIFE))
        redis.call('ZADD', index, text(free + AFTERLIFE), key)
    end
    redis.call('ZREMRANGEBYSCORE', index, '-inf', '(' .. text(now))
end

-- A lease as it stands now; nil when it is free. What has run out rests first, with a new epoch:
-- the grant that was lost has no say in it any more.
local function standing(key, index)
    local f = redis.call('HMGET', key, 'state', 'at', 'delay', 'back', 'epoch', 'nonce', 'pr', 'kept')
    if not f[1] then
        redis.call('ZREM', index, key)
        return nil
    end
    local lease = {
        state = f[1], at = tonumber(f[2]), delay = tonumber(f[3]), back = f[4],
        epoch = f[5], nonce = f[6], pr = f[7], kept = f[8] or '',
    }
    if lease.state == 'held' and lease.at <= now then
        lease.state, lease.at, lease.epoch = 'resting', lease.at + lease.delay, rise()
        redis.call('HSET', key, 'state', 'resting', 'at', text(lease.at), 'epoch', lease.epoch)
    end
    if lease.state == 'resting' and lease.at <= now then
        if lease.back ~= 'reserve' then
            forget(key, index)
            return nil
        end
        lease.state = 'reserved'
        redis.call('HSET', key, 'state', 'reserved')
    end
    return lease
end

-- What people are shown of a lease; last, how long until its state ends by itself.
local function told(key)
    local fields = redis.call('HMGET', key, 'state', 'back', 'nonce', 'job', 'host', 'pr', 'head',
        'epoch', 'since', 'renewed', 'phase', 'kept', 'at')
    fields[#fields] = text(math.max((tonumber(fields[#fields]) or now) - now, 0))
    return fields
end

-- Wakes those who wait for these leases.
local function announce(channel, keys)
    redis.call('PUBLISH', channel, cjson.encode(keys))
end
