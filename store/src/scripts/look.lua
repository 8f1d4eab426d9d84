-- What those who wait for leases go by. ARGV: freeze. Answers how long grants are frozen still,
-- when the first of these leases changes by itself (-1: never), and for each its epoch and state,
-- or ''.

local left, soonest = frozen(ARGV[1]), -1
local answer = { text(left), '' }
for i = 3, #KEYS, 2 do
    local lease = standing(KEYS[i], KEYS[i + 1])
    if lease and lease.state ~= 'reserved' and (soonest < 0 or lease.at - now < soonest) then
        soonest = lease.at - now
    end
    answer[#answer + 1] = lease and (lease.epoch .. ' ' .. lease.state) or ''
end
answer[2] = text(soonest)
return answer
