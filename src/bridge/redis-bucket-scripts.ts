/**
 * The token bucket of token-bucket.ts in Lua, so that Redis decides for all replicas at once, and who goes first between them.
 * Redis runs a script as one step: nobody sees half of it. A test plays random histories against both.
 *
 * What is stored, under one prefix and one hash slot for each participant:
 *
 *     bucket    one bucket: rates, tokens by refill slot, uses that are late, calls that ended; which server it was made by
 *     leases    calls under way, by when their holder must have ended
 *     waiting   replicas that were left without: how many callers of each priority, what they got meanwhile, until when that holds
 *     policies  when DICT was last asked about its buckets, or who is asking
 *
 * Time is the server's own (microseconds since 2025, in milliseconds), so that replicas need not agree on theirs; `scale` is
 * how many times as fast the product's clock runs. Should it jump back, time stands still here until it has caught up. State that
 * another server made (one that was restarted from a dump, or has taken over) may be old, and counts as lost.
 */

import { redisScript } from '../platform/redis/connection.ts';
import { PRIORITIES, RESERVED_SHARE } from './bucket-store.ts';
import { SLOTS_PER_PERIOD } from './token-bucket.ts';

const COMMON = `
local SLOTS = ${SLOTS_PER_PERIOD}
local scale = tonumber(ARGV[1])
local clock = redis.call('TIME')
-- Milliseconds, real and of the product's clock.
local realMs = (tonumber(clock[1]) - 1735689600) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local nowMs = ((tonumber(clock[1]) - 1735689600) * 1000 + tonumber(clock[2]) / 1000) * scale
if ARGV[2] ~= '' then nowMs = tonumber(ARGV[2]) end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')

local function read(key)
  local text = redis.call('GET', key)
  local state = text and cjson.decode(text)
  if state and state.run == run then return state end
  return nil
end

local function slotMs(b) return b.period / SLOTS end

local function know(b, tokens)
  for phase = 1, SLOTS do b.tokens[phase] = tokens end
  b.slot = math.ceil(nowMs / slotMs(b))
  b.late = 0
end

local function create(capacity, refill, period, available)
  local b = { run = run, born = clock[1] .. '.' .. clock[2], capacity = capacity, refill = refill, period = period, tokens = {}, ended = 0 }
  know(b, math.min(available, capacity))
  return b
end

local function takeFromAll(b, count)
  for phase = 1, SLOTS do b.tokens[phase] = b.tokens[phase] - count end
end

local function refillUpTo(b, slot)
  for phase = 0, SLOTS - 1 do
    local times = math.floor((slot - phase) / SLOTS) - math.floor((b.slot - phase) / SLOTS)
    b.tokens[phase + 1] = math.min(b.capacity, b.tokens[phase + 1] + times * b.refill)
  end
  b.slot = slot
end

local function advance(b)
  local slot = math.floor(nowMs / slotMs(b))
  if slot <= b.slot then return end
  refillUpTo(b, b.slot + 1)
  takeFromAll(b, b.late)
  b.late = 0
  refillUpTo(b, slot)
end

local function use(b, count)
  if count == 0 then return end
  b.ended = b.ended + count
  advance(b)
  if math.ceil(nowMs / slotMs(b)) > b.slot then b.late = b.late + count else takeFromAll(b, count) end
end

local function write(key, b)
  -- By then every reading has filled it again, so that nothing is lost.
  local fullMs = (math.ceil(b.capacity / b.refill) + 1) * b.period / scale
  local ttlMs = math.ceil(math.max(fullMs, 120000))
  redis.call('SET', key, cjson.encode(b), 'PX', ttlMs)
end

-- Calls whose holder must have ended by now, killed most likely: DICT may have charged them.
local function expire(b, leases)
  local gone = redis.call('ZREMRANGEBYSCORE', leases, '-inf', realMs)
  use(b, gone)
end
`;

const reserved = PRIORITIES.map((priority) => `math.floor(b.capacity * ${RESERVED_SHARE[priority]})`).join(', ');

/**
 * KEYS bucket, leases, waiting. ARGV scale, now, replica, number of the first lease, milliseconds a lease lasts, milliseconds a place
 * in line lasts, callers by priority. Answers nothing where the bucket is unknown, else when it was made, tokens left, capacity,
 * milliseconds until time can change that, tokens taken by priority.
 */
const TAKE = `${COMMON}
local replica, first, leaseMs, placeMs = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local wanted = { tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]) }
local b = read(KEYS[1])
if not b then return {} end
expire(b, KEYS[2])
advance(b)
local free = math.min(unpack(b.tokens)) - b.late - redis.call('ZCARD', KEYS[2])

-- Others who wait, and what each has got while it did. Whoever comes anew stands level with who has got most.
local others, got, most = {}, nil, 0
local line = redis.call('HGETALL', KEYS[3])
for i = 1, #line, 2 do
  local place = cjson.decode(line[i + 1])
  if place.untilMs <= realMs then redis.call('HDEL', KEYS[3], line[i])
  elseif line[i] == replica then got = place.got
  else
    others[#others + 1] = place
    most = math.max(most, place.got)
  end
end
got = got or most

local reserved = { ${reserved} }
local taken, keptForHigher, higherCount, short = { 0, 0, 0 }, 0, 0, false
for p = 1, 3 do
  -- Equals get equal parts in the long run: each is left what brings it level with us.
  local equals, count = {}, 0
  for _, place in ipairs(others) do
    count = count + place.waiting[p]
    if place.waiting[p] > 0 then equals[#equals + 1] = place end
  end
  local keep = math.max(reserved[p], keptForHigher)
  local spare = free - keep
  for _, place in ipairs(equals) do
    local part = math.floor((spare + got - place.got) / (#equals + 1))
    keep = keep + math.min(place.waiting[p], math.max(0, part))
  end
  if not short then
    taken[p] = math.min(wanted[p], math.max(0, free - keep))
    free = free - taken[p]
    short = taken[p] < wanted[p]
  end
  -- Calls of a lower priority leave what all these may take.
  higherCount = higherCount + count
  if count > 0 then keptForHigher = math.max(keptForHigher, reserved[p] + higherCount) end
end

local total = taken[1] + taken[2] + taken[3]
for i = 0, total - 1 do redis.call('ZADD', KEYS[2], realMs + leaseMs, replica .. ':' .. (first + i)) end
if total > 0 then redis.call('PEXPIRE', KEYS[2], 2 * leaseMs) end
if short then
  local left = { wanted[1] - taken[1], wanted[2] - taken[2], wanted[3] - taken[3] }
  redis.call('HSET', KEYS[3], replica, cjson.encode({ untilMs = realMs + placeMs, got = got + total, waiting = left }))
  redis.call('PEXPIRE', KEYS[3], 10 * placeMs)
else
  redis.call('HDEL', KEYS[3], replica)
end
write(KEYS[1], b)
return { b.born, free, b.capacity, math.ceil(slotMs(b) - nowMs % slotMs(b)), taken[1], taken[2], taken[3] }
`;

/**
 * KEYS bucket, leases. ARGV scale, now, then for each call that ended: its lease, when the bucket was made that it was taken from,
 * charged | free | exhausted. A lease that is not there has run out and was counted then, or is lost with a bucket that was made
 * before: then it is counted now.
 */
const END = `${COMMON}
local b = read(KEYS[1])
if b then expire(b, KEYS[2]) end
for i = 3, #ARGV, 3 do
  local held = redis.call('ZREM', KEYS[2], ARGV[i]) == 1
  if b and ARGV[i + 2] ~= 'free' and (held or ARGV[i + 1] ~= b.born) then use(b, 1) end
  if b and ARGV[i + 2] == 'exhausted' then know(b, 0) end
end
if b then write(KEYS[1], b) end
return 1
`;

/** KEYS leases. ARGV scale, now, milliseconds a lease lasts, leases: calls under way that Redis has forgotten. */
const HOLD = `${COMMON}
for i = 4, #ARGV do redis.call('ZADD', KEYS[1], realMs + tonumber(ARGV[3]), ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], 2 * tonumber(ARGV[3]))
return 1
`;

/** KEYS bucket, leases. ARGV scale, now, capacity, refill, period, available. States a bucket where nobody has. */
const ASSUME = `${COMMON}
if read(KEYS[1]) then return 0 end
write(KEYS[1], create(tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])))
return 1
`;

/**
 * KEYS policies, buckets. ARGV scale, now, replica, milliseconds within which an answer is recent, milliseconds for which others
 * leave the question to us. Answers recent, under-way, or for each bucket when it was made and how many calls have ended.
 */
const BEGIN_PRIMING = `${COMMON}
local asked = read(KEYS[1])
if asked and asked.doneMs and math.abs(nowMs - asked.doneMs) < tonumber(ARGV[4]) then return 'recent' end
if asked and asked.untilMs and asked.untilMs > realMs and asked.by ~= ARGV[3] then return 'under-way' end
redis.call('SET', KEYS[1], cjson.encode({ run = run, by = ARGV[3], untilMs = realMs + tonumber(ARGV[5]) }), 'PX', 120000)
local noted = {}
for i = 2, #KEYS do
  local b = read(KEYS[i])
  noted[#noted + 1] = b and b.born or ''
  noted[#noted + 1] = b and b.ended or 0
end
return noted
`;

/**
 * KEYS policies, then bucket and leases of each that DICT stated. ARGV scale, now, replica, then for each: capacity, refill, period,
 * available, when it was made and how many calls had ended when the question was begun. A bucket lost meanwhile stays unknown: what
 * was used meanwhile is lost with it.
 */
const FINISH_PRIMING = `${COMMON}
for i = 2, #KEYS, 2 do
  local at = 4 + (i - 2) * 3
  local capacity, refill, period, available = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local born, ended = ARGV[at + 4], tonumber(ARGV[at + 5])
  local b = read(KEYS[i])
  if b then
    expire(b, KEYS[i + 1])
    if b.born ~= born then ended = 0 end
    b.capacity, b.refill, b.period = capacity, refill, period
    know(b, math.min(available, capacity) - (b.ended - ended))
    write(KEYS[i], b)
  elseif born == '' then
    write(KEYS[i], create(capacity, refill, period, available))
  end
end
redis.call('SET', KEYS[1], cjson.encode({ run = run, by = ARGV[3], doneMs = nowMs }), 'PX', 120000)
return 1
`;

/** KEYS waiting of each bucket. ARGV replica. It waits no longer. */
const LEAVE = `for _, key in ipairs(KEYS) do redis.call('HDEL', key, ARGV[1]) end return 1`;

/** All of them; each line above says what it is given and answers. */
export const BUCKET_SCRIPTS = {
  take: redisScript(TAKE),
  end: redisScript(END),
  hold: redisScript(HOLD),
  assume: redisScript(ASSUME),
  beginPriming: redisScript(BEGIN_PRIMING),
  finishPriming: redisScript(FINISH_PRIMING),
  leave: redisScript(LEAVE),
} as const;
