-- Looks at the boot marker, and sets it when it is not this server's. ARGV: freeze, and thaw when
-- an operator says that nothing runs. Answers how long grants are frozen still.

local left = frozen(ARGV[1])
if ARGV[2] == 'thaw' then
    redis.call('HSET', KEYS[1], 'since', '0')
end
return text(left)
