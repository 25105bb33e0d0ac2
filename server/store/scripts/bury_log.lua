-- ARGV: epoch, owner, seconds to live.

redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '1-0', 'epoch', ARGV[1], 'owner', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
