-- Every lease of one project: its key, then what people are shown. KEYS[3] is the project's index.

local index, all = KEYS[3], {}
for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if standing(key, index) then
        all[#all + 1] = { key, unpack(told(key)) }
    end
end
return all
