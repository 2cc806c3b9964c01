-- Has wrk send the requests that it reads from its input, in that order, each over whichever connection is free, and look at every answer.
--
-- Arguments: 'once' or 'repeated', the least bytes of a good answer, and a number of texts. Input: as many texts, of which a good answer has one, and the
-- requests; each after its length in bytes on a line.
-- Its last line of output is JSON: requests answered, seconds, percentiles in milliseconds, and what went wrong.

local requests, texts = {}, {}
local once, leastBytes, nextRequest, asked = false, 0, 1, false
ranOut, wrong, sample = false, 0, ''

function init(arguments)
  once, leastBytes = arguments[1] == 'once', tonumber(arguments[2])
  local textCount = tonumber(arguments[3])
  local length = io.read('*n')
  while length do
    io.read(1)
    local list = #texts < textCount and texts or requests
    list[#list + 1] = io.read(length)
    length = io.read('*n')
  end
end

function request()
  if not asked then -- wrk looks at one request before it begins, and does not send it.
    asked = true
    return requests[1]
  end
  if nextRequest > #requests then
    if once then
      ranOut = true
      wrk.thread:stop()
      return requests[#requests]
    end
    nextRequest = 1
  end
  nextRequest = nextRequest + 1
  return requests[nextRequest - 1]
end

function response(status, _, body)
  if status == 200 and #body >= leastBytes then
    for i = 1, #texts do
      if string.find(body, texts[i], 1, true) then return end
    end
  end
  wrong = wrong + 1
  if sample == '' then sample = status .. ' ' .. string.sub(body, 1, 500) end
end

local thread

function setup(started)
  thread = started
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  local report = '{"units":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f,"wrong":%d,"broken":%d,"ranOut":%s,"sample":"%s"}\n'
  local hex = string.gsub(thread:get('sample'), '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  io.write(string.format(report, summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, thread:get('wrong'), broken, tostring(thread:get('ranOut')), hex))
end
