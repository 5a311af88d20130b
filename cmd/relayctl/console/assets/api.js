// The console's own three requests. The relay's token is not here: it never leaves the console's process.

const token = document.querySelector('meta[name="console-token"]').content;

async function post(path, payload, signal) {
  let response;
  try {
    response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Console-Token': token },
      body: JSON.stringify(payload),
      signal,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new Error('The console does not answer. Is it still running?', { cause });
  }
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(text.trim() || `The console answered with HTTP ${response.status}.`);
  }
  if (!response.ok) throw new Error(body.error || `The console answered with HTTP ${response.status}.`);
  return body;
}

// find answers {observables: [{type, value, note?}], skipped: [{text, reason}], more?}.
export const find = (text, signal) => post('/api/find', { text }, signal);

// investigate answers {observe, deliberate, refer, problems, cost}; see api.go.
export const investigate = (observables, signal) => post('/api/investigate', { observables }, signal);

// tiles answers {tiles: [{head, answer, problems, cost}], problems}; see tiles.go.
export const tiles = (period, signal) => post('/api/tiles', { period }, signal);
