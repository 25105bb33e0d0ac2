-- ARGV: epoch, owner, seconds to live, most entries, most bytes, then number and text of each entry. Answers how many old entries
-- were dropped, or TAKEN or GONE. `size` counts the bytes of the log up to and with an entry.

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local seq, epoch, owner, number, size = 0, 0, '', 0, 0
if last then
  seq = tonumber(string.match(last[1], '^%d+'))
  epoch, owner, number = tonumber(last[2][2]) or 0, last[2][4], tonumber(last[2][6]) or 0
  size = tonumber(last[2][10]) or 0
end
if owner == 'erased' then return -2 end
local mine = tonumber(ARGV[1])
if epoch > mine or (epoch == mine and owner ~= ARGV[2]) then return -1 end
if owner ~= ARGV[2] then number = 0 end
for i = 6, #ARGV, 2 do
  if tonumber(ARGV[i]) > number then
    seq = seq + 1
    size = size + #ARGV[i + 1]
    redis.call('XADD', KEYS[1], string.format('%d-0', seq), 'epoch', ARGV[1], 'owner', ARGV[2], 'number', ARGV[i],
      'entry', ARGV[i + 1], 'size', string.format('%d', size))
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
local dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[4])
repeat
  local page, fat = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 100), 0
  for _, entry in ipairs(page) do
    if size - (tonumber(entry[2][10]) or 0) < tonumber(ARGV[5]) then break end
    fat = fat + 1
  end
  if fat > 0 then
    dropped = dropped + redis.call('XTRIM', KEYS[1], 'MAXLEN', redis.call('XLEN', KEYS[1]) - fat)
  end
until fat < #page or fat == 0
return dropped
