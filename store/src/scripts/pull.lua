-- What all scripts about a pull request share. Rust puts this before each of them.
--
-- KEYS[1] is a hash. `heard` is the number of the newest event, `looked` the one up to which all
-- were looked at. `head` is what GitHub named last, `since` when it did first; `named` is what an
-- event named last; `pushes` are the last times at which another head was heard of or seen, the
-- newest first. All times are milliseconds since 1970 by this server's clock, and no other's.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function text(number)
    return string.format('%.0f', number)
end

-- A head is heard of or seen, maybe for the first time.
local function came(head)
    local known = redis.call('HMGET', KEYS[1], 'head', 'named', 'pushes')
    if known[1] == head or known[2] == head then
        return
    end
    local before = string.match(known[3] or '', '^%d+ ?%d*')
    redis.call('HSET', KEYS[1], 'pushes', text(now) .. (before and ' ' .. before or ''))
end

-- Now, and what is known.
local function lately()
    local fields = { 'heard', 'looked', 'head', 'since', 'named', 'pushes' }
    local known = redis.call('HMGET', KEYS[1], unpack(fields))
    local answer = { text(now) }
    for i = 1, #fields do
        answer[i + 1] = known[i] or ''
    end
    return answer
end
