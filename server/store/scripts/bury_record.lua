-- A full server refuses SET and XADD, but lets a script go on that has begun with DEL. ARGV: the tombstone, seconds to live.

redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
