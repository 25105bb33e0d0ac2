-- By the server's clock, for those of the others may differ. ARGV: name, what it says, how many others to give, seconds after which
-- one that says nothing is gone. What this script did not write, or could not have (a time that is still to come), is removed.
-- A full server refuses HSET, but lets a script go on that has begun with HDEL.

local now, others = tonumber(redis.call('TIME')[1]), {}
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
local some = redis.call('HRANDFIELD', KEYS[1], ARGV[3], 'WITHVALUES')
for i = 1, #some, 2 do
  local at, says = string.match(some[i + 1], '^(%d+) (.*)$')
  if not at or math.abs(now - tonumber(at)) > tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[1], some[i])
  elseif some[i] ~= ARGV[1] then
    others[#others + 1] = says
  end
end
return others
