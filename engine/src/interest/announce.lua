-- Applies one node's change to what all nodes watch, and tells the backend where the union changed.
--
-- KEYS  1 the union, 2 the registry of nodes, 3 the calling node's set, 4 scratch;
--       5 the node's full set, staged: then it replaces the node's set
-- ARGV  1 the node's id, 2 the time
--       3 lease of the node's set, 4 lease of union and registry, 5 the same where no other node is registered (ms)
--       6 symbols per notice
--       7 symbols in the node's set before, 8 and after
--       9 1 to compute the whole union, 0 where what changed is enough
--       10 1 while other nodes may be on their way back from an outage of Redis: what they watched stays
--       11 number of symbols added; they follow, then the removed ones
--
-- Returns 1. Or 0: the node's set, or the staged one, is not what the caller believes; the union and the leases
-- are as they were, and the caller has to send the full set.
--
-- Cost: a change looks at its own symbols, removed ones in each node's set. The whole union grows with the symbols
-- of all nodes: 37 ms for 10 nodes of 10 000. It is computed only where more than this node's change may have
-- happened: a node died, or its own state or the union was lost. Only differences become Lua values.

local active, nodes, own, scratch, staged = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local node, timestamp = ARGV[1], ARGV[2]
local lease, lease_union, lease_union_alone = ARGV[3], ARGV[4], ARGV[5]
local symbols_per_notice = tonumber(ARGV[6])
local before, after, added = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[11])
local is_whole = ARGV[9] == '1' or staged ~= nil
local is_lenient = ARGV[10] == '1'
local FIRST_SYMBOL = 12
-- Beyond so many look-ups of single symbols the whole union is cheaper.
local LOOKUPS_MAX = 20000
-- unpack() puts its values on Lua's stack, which holds 8000.
local VALUES_PER_CALL = 1000

local function call_in_chunks(command, key, values, first, last)
  for from = first, last, VALUES_PER_CALL do
    redis.call(command, key, unpack(values, from, math.min(from + VALUES_PER_CALL - 1, last)))
  end
end

local function tell(action, symbols)
  for from = 1, #symbols, symbols_per_notice do
    local to = math.min(from + symbols_per_notice - 1, #symbols)
    -- Symbols have the alphabet A-Z 0-9 . - _ ^ = / : and need no escapes.
    redis.call('PUBLISH', 'market-data:subscriptions',
      '{"action":"' .. action .. '","symbols":["' .. table.concat(symbols, '","', from, to)
      .. '"],"node":"' .. node .. '","timestamp":"' .. timestamp .. '"}')
  end
end

-- The node's own set. Nobody else writes it, but its lease may have ended, or Redis may have lost it.
if staged then
  if redis.call('SCARD', staged) ~= after then return 0 end
  if after == 0 then
    redis.call('DEL', own)
  else
    redis.call('RENAME', staged, own)
  end
else
  if redis.call('SCARD', own) ~= before then return 0 end
  call_in_chunks('SADD', own, ARGV, FIRST_SYMBOL, FIRST_SYMBOL + added - 1)
  call_in_chunks('SREM', own, ARGV, FIRST_SYMBOL + added, #ARGV)
  if redis.call('SCARD', own) ~= after then return 0 end
end
if after == 0 then
  redis.call('SREM', nodes, node)
else
  redis.call('PEXPIRE', own, lease)
  local is_new = redis.call('SADD', nodes, node) == 1
  -- Others may have computed a union without us.
  if is_new and before > 0 then is_whole = true end
end

-- The nodes that live. A node key shares all but the id with ours.
local own_without_id = string.sub(own, 1, #own - #node)
local live, others, missing = {}, 0, 0
for _, id in ipairs(redis.call('SMEMBERS', nodes)) do
  local key = own_without_id .. id
  if redis.call('EXISTS', key) == 0 then
    missing = missing + 1
    if not is_lenient then
      redis.call('SREM', nodes, id)
      is_whole = true
    end
  else
    live[#live + 1] = key
    if id ~= node then others = others + 1 end
  end
end

local function is_watched(symbol)
  for _, key in ipairs(live) do
    if redis.call('SISMEMBER', key, symbol) == 1 then return true end
  end
  return false
end

-- How the union differs from what the backend was told.
if redis.call('EXISTS', active) == 0 then is_whole = true end
if (#ARGV - FIRST_SYMBOL + 1) * (#live + 1) > LOOKUPS_MAX then is_whole = true end
local wanted, unwanted = {}, {}
if is_whole then
  redis.call('DEL', scratch)
  for from = 1, #live, VALUES_PER_CALL do
    local to = math.min(from + VALUES_PER_CALL - 1, #live)
    redis.call('SUNIONSTORE', scratch, scratch, unpack(live, from, to))
  end
  wanted = redis.call('SDIFF', scratch, active)
  unwanted = redis.call('SDIFF', active, scratch)
  redis.call('DEL', scratch)
else
  for index = FIRST_SYMBOL, #ARGV do
    local symbol = ARGV[index]
    local was_told = redis.call('SISMEMBER', active, symbol) == 1
    if index < FIRST_SYMBOL + added then
      if not was_told then wanted[#wanted + 1] = symbol end
    elseif was_told and not is_watched(symbol) then
      unwanted[#unwanted + 1] = symbol
    end
  end
end
-- A node that is missing may be back in a moment, and nobody knows what it watched.
if is_lenient and missing > 0 then unwanted = {} end
table.sort(wanted)
table.sort(unwanted)
call_in_chunks('SADD', active, wanted, 1, #wanted)
call_in_chunks('SREM', active, unwanted, 1, #unwanted)
tell('subscribe', wanted)
tell('unsubscribe', unwanted)

if others == 0 and missing == 0 then lease_union = lease_union_alone end
redis.call('PEXPIRE', active, lease_union)
redis.call('PEXPIRE', nodes, lease_union)
return 1
