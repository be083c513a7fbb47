-- A budget of HubSpot's that hosts share: the same log of send times as in budgets.py, kept by Redis.
--
-- All times are the server's own, in seconds; a caller is told how long to wait, so that its clock
-- is of no account. An answer's numbers are texts, as Redis would cut them to integers.
--
-- KEYS  state (a hash), times (a list, newest last), hosts (when each was last here)
-- ARGV  operation, a host; limit and interval until they are learned; margin's share and seconds,
--       least share, capacity, horizon, seconds for which a host counts, seconds for which all is
--       kept; what the operation takes

local state, times, hosts = KEYS[1], KEYS[2], KEYS[3]
local operation, host = ARGV[1], ARGV[2]
local given = {}
for index = 3, #ARGV do
  given[index - 2] = tonumber(ARGV[index])
end
local share, seconds, least = given[3], given[4], given[5]
local capacity, horizon, counts, kept = given[6], given[7], given[8], given[9]
local first, second, third, fourth = given[10], given[11], given[12], given[13]

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000

local function text(number)
  return string.format('%.6f', number)
end

local function sent(index)
  return tonumber(redis.call('LINDEX', times, index)) or 0
end

local function look()
  local found = redis.call('HMGET', state, 'limit', 'interval', 'hold', 'others', 'others_at')
  local defaults = {given[1], given[2], 0, 0, 0}
  for index, default in ipairs(defaults) do
    found[index] = tonumber(found[index]) or default
  end
  return unpack(found)
end

local limit, interval, hold, others, others_at = look()
if sent(-1) > now + horizon or hold > now + horizon then  -- the server's clock was set back
  redis.call('DEL', state, times)
  limit, interval, hold, others, others_at = look()
end

local turn = now
if operation == 'take' then
  if now - others_at > interval then
    others = 0
  end
  local allowed = math.floor(math.max(limit - others, limit * least, 1))
  local leaves = sent(-allowed) + interval * (1 + share) + seconds
  turn = math.max(now, sent(-1), leaves, hold)
  redis.call('RPUSH', times, text(turn))
  redis.call('LTRIM', times, -capacity, -1)
elseif operation == 'hold' then
  hold = math.max(hold, now + math.min(first, horizon))
  redis.call('HSET', state, 'hold', text(hold))
elseif operation == 'learn' then  -- limit, interval, remaining (-1: untold), how long ago it was sent
  limit, interval = math.max(1, first), second
  redis.call('HSET', state, 'limit', limit, 'interval', interval)
  if third >= 0 then
    local at, ours = now - fourth, 0
    for _, each in ipairs(redis.call('LRANGE', times, 0, -1)) do
      each = tonumber(each)
      if each > at - interval - seconds and each <= at + seconds then
        ours = ours + 1
      end
    end
    local seen = math.max(0, limit - third - ours)
    if seen >= others or now - others_at > interval then
      redis.call('HSET', state, 'others', seen, 'others_at', text(now))
    end
  end
end

redis.call('ZADD', hosts, now, host)
redis.call('ZREMRANGEBYSCORE', hosts, '-inf', now - counts)
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, kept)
end
return {text(turn), text(turn - now), text(hold), limit, text(interval), redis.call('ZCARD', hosts)}
