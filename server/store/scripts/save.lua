-- ARGV: the record, epoch, owner, revision, seconds to live. Answers 1, or TAKEN or GONE.

local epoch, owner, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 255),
  '^{"version":%d+,"epoch":(%d+),"owner":"([^"]*)","revision":(%d+)')
local mine = tonumber(ARGV[2])
if epoch then
  if owner == 'erased' then return -2 end
  epoch, revision = tonumber(epoch), tonumber(revision)
  if epoch > mine or (epoch == mine and owner ~= ARGV[3]) then return -1 end
  if epoch == mine and revision >= tonumber(ARGV[4]) then return 1 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[5])
return 1
